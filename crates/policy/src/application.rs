//! The predefined applications, under their App-ID names.
//!
//! The table says over what an application runs and which ports are its default, for
//! `application-default` services. It is fixed: no bytes from outside reach it.

use packet::IpProtocol;

/// An application: an index into the predefined table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(u16);

/// What an application runs over by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Tcp(u16),
    Udp(u16),
    /// Any TCP port; App-ID writes `tcp/dynamic`.
    AnyTcp,
    /// Any UDP port.
    AnyUdp,
    /// ICMP, of either family.
    Icmp,
    /// A protocol without ports.
    Protocol(u8),
    /// No default: an application that stands for "not known" is never held to ports.
    Anything,
}

struct Application {
    name: &'static str,
    carriers: &'static [Carrier],
}

macro_rules! applications {
    ($($(#[$doc:meta])* $id:ident $name:literal [$($carrier:expr),*];)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "the variants only number the constants")]
        enum Number { $($id),* }

        impl AppId {
            $($(#[$doc])* pub const $id: Self = Self(Number::$id as u16);)*
        }

        const TABLE: &[Application] = &[$(Application { name: $name, carriers: &[$($carrier),*] }),*];
    };
}

use Carrier::{AnyTcp, AnyUdp, Anything, Icmp, Protocol, Tcp, Udp};

applications! {
    /// No session to recognise an application in: it was refused before.
    NOT_APPLICABLE "not-applicable" [Anything];
    /// A TCP handshake that did not finish, or no byte after it.
    INCOMPLETE "incomplete" [Anything];
    /// Too few bytes to tell.
    INSUFFICIENT_DATA "insufficient-data" [Anything];
    /// TCP, and none of those below.
    UNKNOWN_TCP "unknown-tcp" [AnyTcp];
    /// UDP, and none of those below.
    UNKNOWN_UDP "unknown-udp" [AnyUdp];
    /// Neither TCP, UDP nor ICMP, and none of those below.
    UNKNOWN_IP "unknown-ip" [Anything];
    /// TCP first seen in mid-stream, and none of those below.
    NON_SYN_TCP "non-syn-tcp" [AnyTcp];
    /// DNS over UDP or TCP.
    DNS "dns" [Udp(53), Tcp(53)];
    /// TLS without a known application inside.
    SSL "ssl" [Tcp(443)];
    /// HTTP.
    WEB_BROWSING "web-browsing" [Tcp(80), Tcp(8080)];
    /// Secure shell.
    SSH "ssh" [Tcp(22)];
    /// QUIC.
    QUIC "quic" [Udp(443), Udp(80)];
    /// Network time.
    NTP "ntp" [Udp(123)];
    /// ICMP other than echo.
    ICMP "icmp" [Icmp];
    /// ICMP echo.
    PING "ping" [Icmp];
    /// DNS inside TLS (RFC 7858).
    DNS_OVER_TLS "dns-over-tls" [Tcp(853)];
    /// DNS inside HTTPS (RFC 8484).
    DNS_OVER_HTTPS "dns-over-https" [Tcp(443)];
    /// DNS inside QUIC (RFC 9250).
    DNS_OVER_QUIC "dns-over-quic" [Udp(853)];
    /// Cleartext HTTP/2.
    HTTP2 "http2" [Tcp(80), Tcp(443)];
    /// Mail between servers and from clients.
    SMTP "smtp" [Tcp(25), Tcp(587), Tcp(465)];
    /// Mail access.
    IMAP "imap" [Tcp(143), Tcp(993)];
    /// Mail access.
    POP3 "pop3" [Tcp(110), Tcp(995)];
    /// File transfer.
    FTP "ftp" [Tcp(21)];
    /// Trivial file transfer.
    TFTP "tftp" [Udp(69)];
    /// Telnet.
    TELNET "telnet" [Tcp(23)];
    /// Remote desktop.
    MS_RDP "ms-rdp" [Tcp(3389), Udp(3389)];
    /// Remote frame buffer.
    VNC "vnc-base" [Tcp(5900), Tcp(5901), Tcp(5800)];
    /// Server message block.
    MS_SMB "ms-smb" [Tcp(445), Tcp(139)];
    /// DCE/RPC.
    MSRPC "msrpc-base" [Tcp(135), Udp(135)];
    /// NetBIOS name service.
    NETBIOS_NS "netbios-ns" [Udp(137)];
    /// NetBIOS datagrams.
    NETBIOS_DG "netbios-dg" [Udp(138)];
    /// NetBIOS sessions.
    NETBIOS_SS "netbios-ss" [Tcp(139)];
    /// Dynamic host configuration.
    DHCP "dhcp" [Udp(67), Udp(68)];
    /// Dynamic host configuration for IPv6.
    DHCPV6 "dhcpv6" [Udp(546), Udp(547)];
    /// Multicast DNS.
    MDNS "mdns" [Udp(5353)];
    /// Link-local multicast name resolution.
    LLMNR "llmnr" [Udp(5355)];
    /// Simple service discovery.
    SSDP "ssdp" [Udp(1900)];
    /// Network management.
    SNMP "snmp" [Udp(161), Udp(162)];
    /// System logs.
    SYSLOG "syslog" [Udp(514), Tcp(514), Tcp(601)];
    /// Session initiation.
    SIP "sip" [Udp(5060), Tcp(5060), Tcp(5061)];
    /// Real-time transport.
    RTP "rtp-base" [AnyUdp];
    /// RTP's control protocol.
    RTCP "rtcp" [AnyUdp];
    /// Streaming control.
    RTSP "rtsp" [Tcp(554), Udp(554)];
    /// NAT traversal.
    STUN "stun" [Udp(3478), Tcp(3478), Udp(19302)];
    /// Peer-to-peer file sharing.
    BITTORRENT "bittorrent" [AnyTcp, AnyUdp];
    /// A database.
    MYSQL "mysql" [Tcp(3306)];
    /// A database.
    POSTGRES "postgres" [Tcp(5432)];
    /// A database.
    MSSQL "mssql-db" [Tcp(1433)];
    /// A database.
    ORACLE "oracle" [Tcp(1521)];
    /// A database.
    MONGODB "mongodb" [Tcp(27017)];
    /// A key-value store.
    REDIS "redis" [Tcp(6379)];
    /// A key-value cache.
    MEMCACHED "memcached" [Tcp(11211), Udp(11211)];
    /// Directory access.
    LDAP "ldap" [Tcp(389), Udp(389), Tcp(636), Tcp(3268)];
    /// Tickets.
    KERBEROS "kerberos" [Tcp(88), Udp(88)];
    /// Network access control.
    RADIUS "radius" [Udp(1812), Udp(1813), Udp(1645), Udp(1646)];
    /// Network access control.
    TACACS_PLUS "tacacs-plus" [Tcp(49)];
    /// Internet key exchange.
    IKE "ike" [Udp(500), Udp(4500)];
    /// `IPsec` payload.
    IPSEC_ESP "ipsec-esp" [Protocol(50)];
    /// `IPsec` payload inside UDP.
    IPSEC_ESP_UDP "ipsec-esp-udp" [Udp(4500)];
    /// `IPsec` authentication.
    IPSEC_AH "ipsec-ah" [Protocol(51)];
    /// A tunnel.
    GRE "gre" [Protocol(47)];
    /// IP inside IP.
    IP_IN_IP "ip-in-ip" [Protocol(4), Protocol(41)];
    /// A tunnel.
    L2TP "l2tp" [Udp(1701)];
    /// A tunnel.
    PPTP "pptp" [Tcp(1723)];
    /// A tunnel.
    OPENVPN "open-vpn" [Udp(1194), Tcp(1194)];
    /// A tunnel.
    WIREGUARD "wireguard" [Udp(51820)];
    /// IPv6 inside UDP.
    TEREDO "teredo" [Udp(3544)];
    /// A tunnel of mobile networks.
    GTP_U "gtp-u" [Udp(2152)];
    /// A tunnel of data centres.
    VXLAN "vxlan" [Udp(4789), Udp(8472)];
    /// A tunnel of data centres.
    GENEVE "geneve" [Udp(6081)];
    /// Multicast membership.
    IGMP "igmp" [Protocol(2)];
    /// Routing.
    OSPF "ospf" [Protocol(89)];
    /// Routing.
    EIGRP "eigrp" [Protocol(88)];
    /// Routing.
    BGP "bgp" [Tcp(179)];
    /// Routing.
    RIP "rip" [Udp(520)];
    /// Multicast routing.
    PIM "pim" [Protocol(103)];
    /// Router redundancy.
    VRRP "vrrp" [Protocol(112)];
    /// Router redundancy.
    HSRP "hsrp" [Udp(1985), Udp(2029)];
    /// Stream control transmission.
    SCTP "sctp" [Protocol(132)];
    /// Messages of small devices.
    MQTT "mqtt" [Tcp(1883), Tcp(8883)];
    /// Requests of small devices.
    COAP "coap" [Udp(5683), Udp(5684)];
    /// Queued messages.
    AMQP "amqp" [Tcp(5672), Tcp(5671)];
    /// A proxy protocol.
    SOCKS "socks" [Tcp(1080)];
    /// HTTP CONNECT and absolute requests.
    HTTP_PROXY "http-proxy" [Tcp(3128), Tcp(8080), Tcp(80)];
    /// Chat.
    IRC "irc-base" [Tcp(6667), Tcp(6697)];
    /// Chat.
    JABBER "jabber" [Tcp(5222), Tcp(5269)];
    /// Version control.
    GIT "git-base" [Tcp(9418)];
    /// File synchronisation.
    RSYNC "rsync" [Tcp(873)];
    /// Network file system.
    NFS "nfs" [Tcp(2049), Udp(2049)];
    /// Remote procedure calls.
    PORTMAPPER "portmapper" [Tcp(111), Udp(111)];
    /// Printing.
    LPD "lpd" [Tcp(515)];
    /// Printing.
    IPP "ipp" [Tcp(631), Udp(631)];
    /// Newsgroups.
    NNTP "nntp" [Tcp(119), Tcp(563)];
    /// Streaming.
    RTMP "rtmp" [Tcp(1935)];
    /// Flow export.
    NETFLOW "netflow" [Udp(2055), Udp(9995), Udp(4739)];
    /// Industrial control.
    MODBUS "modbus-base" [Tcp(502)];
    /// Industrial control.
    DNP3 "dnp3-base" [Tcp(20000), Udp(20000)];
    /// Industrial control.
    S7COMM "siemens-s7" [Tcp(102)];
    /// Industrial control.
    ETHERNET_IP "ethernet-ip-base" [Tcp(44818), Udp(2222)];
    /// Building control.
    BACNET "bacnet-base" [Udp(47808)];
    /// Speed tests.
    IPERF "iperf" [Tcp(5001), Tcp(5201), Udp(5001), Udp(5201)];
    /// User lookup.
    FINGER "finger" [Tcp(79)];
    /// Registry lookup.
    WHOIS "whois" [Tcp(43)];
    /// Network time's ancestors.
    TIME "time" [Tcp(37), Udp(37)];
    /// File sharing.
    DROPBOX_LAN "dropbox-lan-sync" [Udp(17500), Tcp(17500)];
    /// Address translation by request.
    NAT_PMP "nat-pmp" [Udp(5351)];
}

impl AppId {
    /// How many there are; ids are below.
    pub const COUNT: usize = TABLE.len();

    /// All applications.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u16::MAX).map(Self).take(Self::COUNT)
    }

    /// The application with this App-ID name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|app| app.name() == name)
    }

    /// The App-ID name.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    /// The id as an index below [`AppId::COUNT`].
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// Whether `dport` is one of its default ports over `protocol` (`application-default`).
    pub fn is_default(self, protocol: IpProtocol, dport: u16) -> bool {
        self.carriers().iter().any(|carrier| match *carrier {
            Tcp(port) => protocol == IpProtocol::TCP && port == dport,
            Udp(port) => protocol == IpProtocol::UDP && port == dport,
            AnyTcp | AnyUdp | Icmp | Protocol(_) | Anything => carrier.runs_over(protocol),
        })
    }

    /// Whether it can be found over `protocol` at all, on whatever port.
    pub fn runs_over(self, protocol: IpProtocol) -> bool {
        self.carriers().iter().any(|carrier| carrier.runs_over(protocol))
    }

    fn carriers(self) -> &'static [Carrier] {
        self.entry().map_or(&[], |entry| entry.carriers)
    }

    fn entry(self) -> Option<&'static Application> {
        TABLE.get(self.index())
    }
}

impl Carrier {
    fn runs_over(self, protocol: IpProtocol) -> bool {
        match self {
            Tcp(_) | AnyTcp => protocol == IpProtocol::TCP,
            Udp(_) | AnyUdp => protocol == IpProtocol::UDP,
            Icmp => protocol == IpProtocol::ICMP || protocol == IpProtocol::ICMPV6,
            Protocol(number) => protocol.0 == number,
            Anything => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back() {
        let names: HashSet<&str> = AppId::all().map(AppId::name).collect();
        assert_eq!(names.len(), AppId::COUNT);
        for app in AppId::all() {
            assert_eq!(AppId::from_name(app.name()), Some(app));
        }
        assert_eq!(AppId::from_name("DNS"), None);
        assert_eq!(AppId::from_name("dns"), Some(AppId::DNS));
    }

    #[test]
    fn knows_default_ports() {
        assert!(AppId::DNS.is_default(IpProtocol::TCP, 53));
        assert!(!AppId::DNS.is_default(IpProtocol::UDP, 5300));
        assert!(AppId::PING.is_default(IpProtocol::ICMPV6, 0));
        assert!(AppId::UNKNOWN_TCP.is_default(IpProtocol::TCP, 4444));
        assert!(!AppId::UNKNOWN_TCP.is_default(IpProtocol::UDP, 4444));
        assert!(AppId::SSL.runs_over(IpProtocol::TCP) && !AppId::SSL.runs_over(IpProtocol::UDP));
        assert!(AppId::IPSEC_ESP.is_default(IpProtocol(50), 0));
    }
}
