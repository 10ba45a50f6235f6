//! The applications that payloads are recognised as.

use packet::{Encapsulation, IpProtocol};

macro_rules! applications {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// An application, recognised by what is said, not by the port.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Application {
            $($(#[$doc])* $variant,)*
        }

        impl Application {
            /// Every application.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The PAN-OS App-ID name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

applications! {
    /// Border gateway protocol.
    Bgp = "bgp",
    /// `BitTorrent`, peers and DHT.
    BitTorrent = "bittorrent",
    /// DHCP for IPv4.
    Dhcp = "dhcp",
    /// DHCP for IPv6.
    Dhcpv6 = "dhcpv6",
    /// DNS over UDP or TCP, on any port.
    Dns = "dns",
    /// DNS in HTTP (RFC 8484): seen where the session is decrypted.
    DnsOverHttps = "dns-over-https",
    /// DNS in QUIC (RFC 9250), on its own port.
    DnsOverQuic = "dns-over-quic",
    /// DNS in TLS on its own port (RFC 7858), or by its ALPN.
    DnsOverTls = "dns-over-tls",
    /// FTP, the control connection.
    Ftp = "ftp",
    /// Geneve.
    Geneve = "geneve",
    /// Git's own protocol.
    Git = "git-base",
    /// Generic Routing Encapsulation.
    Gre = "gre",
    /// User data of mobile networks.
    GtpU = "gtp-u",
    /// HTTP asked to carry something else (CONNECT).
    HttpProxy = "http-proxy",
    /// ICMP of either family, other than echo.
    Icmp = "icmp",
    /// IGMP.
    Igmp = "igmp",
    /// Internet Key Exchange.
    Ike = "ike",
    /// IMAP in the clear.
    Imap = "imap",
    /// IP directly inside IP.
    IpInIp = "ip-in-ip",
    /// `IPsec`'s encapsulated payload.
    IpsecEsp = "ipsec-esp",
    /// The same inside UDP (RFC 3948).
    IpsecEspUdp = "ipsec-esp-udp",
    /// Kerberos.
    Kerberos = "kerberos",
    /// LDAP in the clear.
    Ldap = "ldap",
    /// Link-local multicast name resolution.
    Llmnr = "llmnr",
    /// Multicast DNS.
    Mdns = "mdns",
    /// MQTT.
    Mqtt = "mqtt",
    /// Remote Desktop.
    MsRdp = "ms-rdp",
    /// Microsoft's remote procedure calls.
    MsRpc = "msrpc-base",
    /// SMB over TCP.
    MsSmb = "ms-smb",
    /// SQL Server.
    MsSql = "mssql-db",
    /// `MySQL`.
    Mysql = "mysql",
    /// `NetBIOS` datagrams.
    NetbiosDg = "netbios-dg",
    /// `NetBIOS` name service.
    NetbiosNs = "netbios-ns",
    /// `NetBIOS` sessions.
    NetbiosSs = "netbios-ss",
    /// Network Time Protocol.
    Ntp = "ntp",
    /// `OpenVPN`.
    OpenVpn = "open-vpn",
    /// Echo of ICMP, either family.
    Ping = "ping",
    /// POP3 in the clear.
    Pop3 = "pop3",
    /// `PostgreSQL`.
    Postgres = "postgres",
    /// Point-to-point tunnelling protocol, the control connection.
    Pptp = "pptp",
    /// QUIC, HTTP/3 or another.
    Quic = "quic",
    /// RADIUS.
    Radius = "radius",
    /// Real-time transport protocol.
    Rtp = "rtp-base",
    /// Real-time streaming protocol.
    Rtsp = "rtsp",
    /// Session initiation protocol.
    Sip = "sip",
    /// SMTP, also where it later turns to TLS.
    Smtp = "smtp",
    /// SNMP.
    Snmp = "snmp",
    /// SOCKS proxies.
    Socks = "socks",
    /// Secure shell.
    Ssh = "ssh",
    /// Simple service discovery.
    Ssdp = "ssdp",
    /// TLS and SSL.
    Ssl = "ssl",
    /// STUN and TURN.
    Stun = "stun",
    /// Syslog.
    Syslog = "syslog",
    /// Telnet.
    Telnet = "telnet",
    /// Trivial file transfer.
    Tftp = "tftp",
    /// Remote frame buffers.
    Vnc = "vnc-base",
    /// VXLAN.
    Vxlan = "vxlan",
    /// HTTP in the clear, version 1 or 2.
    WebBrowsing = "web-browsing",
    /// `WireGuard`.
    Wireguard = "wireguard",
}

impl Application {
    /// The application that a tunnel is.
    pub fn of_tunnel(encapsulation: Encapsulation) -> Self {
        match encapsulation {
            Encapsulation::IpInIp => Self::IpInIp,
            Encapsulation::Gre => Self::Gre,
            Encapsulation::Vxlan => Self::Vxlan,
            Encapsulation::Geneve => Self::Geneve,
            Encapsulation::GtpU => Self::GtpU,
        }
    }

    /// The application of a protocol that is one by itself; `echo` tells ICMP's echo from the rest.
    pub fn of_protocol(protocol: IpProtocol, echo: bool) -> Option<Self> {
        Some(match protocol {
            IpProtocol::ICMP | IpProtocol::ICMPV6 if echo => Self::Ping,
            IpProtocol::ICMP | IpProtocol::ICMPV6 => Self::Icmp,
            IpProtocol(2) => Self::Igmp,
            IpProtocol::IPIP | IpProtocol::IPV6 => Self::IpInIp,
            IpProtocol::GRE => Self::Gre,
            IpProtocol(50) => Self::IpsecEsp,
            _ => return None,
        })
    }
}
