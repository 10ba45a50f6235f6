//! Applications against nDPI's own expectations, flow by flow, on whatever ports they use.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use serde_json::Value;

use crate::{Lab, oracle, shared};

/// What nDPI calls a protocol, and what we may call it. Where nDPI goes on to tell whose service it is
/// (`TLS.Google`), only the first part is compared.
const NAMES: &[(&str, &[&str])] = &[
    ("BGP", &["bgp"]),
    ("BitTorrent", &["bittorrent"]),
    ("DCERPC", &["msrpc-base"]),
    ("DHCP", &["dhcp"]),
    ("DHCPV6", &["dhcpv6"]),
    ("DNS", &["dns"]),
    ("DoH_DoT", &["dns-over-tls", "ssl"]),
    ("FTP_CONTROL", &["ftp"]),
    ("Git", &["git-base"]),
    ("HTTP", &["web-browsing"]),
    ("HTTP_Connect", &["http-proxy"]),
    ("HTTP_Proxy", &["http-proxy", "web-browsing"]),
    ("ICMP", &["icmp", "ping"]),
    ("ICMPV6", &["icmp", "ping"]),
    ("IGMP", &["igmp"]),
    ("IMAP", &["imap"]),
    ("IMAPS", &["ssl"]),
    ("IPSec", &["ike", "ipsec-esp", "ipsec-esp-udp"]),
    ("Kerberos", &["kerberos"]),
    ("LDAP", &["ldap"]),
    ("LLMNR", &["llmnr"]),
    ("MDNS", &["mdns"]),
    ("MQTT", &["mqtt"]),
    ("MsSQL-TDS", &["mssql-db"]),
    ("MySQL", &["mysql"]),
    ("NTP", &["ntp"]),
    ("NetBIOS", &["netbios-dg", "netbios-ns", "netbios-ss"]),
    ("OpenVPN", &["open-vpn"]),
    ("POP3", &["pop3"]),
    ("POPS", &["ssl"]),
    ("PostgreSQL", &["postgres"]),
    ("QUIC", &["quic"]),
    ("RDP", &["ms-rdp"]),
    ("RTP", &["rtp-base"]),
    ("RTSP", &["rtsp"]),
    ("Radius", &["radius"]),
    ("SIP", &["sip"]),
    ("SMBv1", &["ms-smb", "netbios-dg", "netbios-ss"]),
    ("SMBv23", &["ms-smb"]),
    ("SMTP", &["smtp"]),
    ("SMTPS", &["smtp", "ssl"]),
    ("SNMP", &["snmp"]),
    ("SOCKS", &["socks"]),
    ("SSDP", &["ssdp"]),
    ("SSH", &["ssh"]),
    ("STUN", &["stun"]),
    ("Syslog", &["syslog"]),
    ("TFTP", &["tftp"]),
    ("TLS", &["dns-over-tls", "ssl"]),
    ("Telnet", &["telnet"]),
    ("VNC", &["vnc-base"]),
    ("WireGuard", &["wireguard"]),
];

/// The longest frame of TCP without payload, Ethernet and options included.
const BARE: u64 = 94;

/// Protocol, and both ends in order.
type Flow = (String, [SocketAddr; 2]);

/// What the sessions of one flow were recognised as.
#[derive(Default)]
struct Ours {
    apps: BTreeSet<String>,
    payload: bool,
}

fn flow(protocol: &str, a: SocketAddr, b: SocketAddr) -> Flow {
    (protocol.to_owned(), [a.min(b), a.max(b)])
}

fn ours(records: &[Value]) -> BTreeMap<Flow, Ours> {
    let mut flows: BTreeMap<Flow, Ours> = BTreeMap::new();
    for record in records.iter().filter(|record| record["type"] == "traffic") {
        let end = |address: &str, port: &str| {
            let port = u16::try_from(record[port].as_u64().unwrap()).unwrap();
            SocketAddr::new(record[address].as_str().unwrap().parse().unwrap(), port)
        };
        let protocol = match record["proto"].as_str().unwrap() {
            "ipv6-icmp" | "icmp6" => "icmpv6",
            protocol => protocol,
        };
        let ours = flows
            .entry(flow(protocol, end("src", "sport"), end("dst", "dport")))
            .or_default();
        ours.apps.insert(record["app"].as_str().unwrap().to_owned());
        let frames = record["packets"].as_u64().unwrap();
        ours.payload |= record["bytes"].as_u64().unwrap() > frames * BARE;
    }
    flows
}

/// How we differ from nDPI in one flow; `None` where we agree, or where there is nothing to recognise.
fn difference(expected: &str, ours: Option<&Ours>) -> Option<String> {
    let names = NAMES
        .iter()
        .find(|(name, _)| *name == expected)
        .map(|(_, names)| *names);
    let Some(ours) = ours else {
        // An ICMP error is counted with the session it quotes.
        return names
            .filter(|names| !names.contains(&"icmp"))
            .map(|_| "no session".to_owned());
    };
    // Without a byte of payload nDPI guesses by the port.
    if !ours.payload && ours.apps.iter().all(|app| app == "incomplete") {
        return None;
    }
    let agrees = match names {
        Some(names) => ours.apps.iter().any(|app| names.contains(&app.as_str())),
        None => NAMES
            .iter()
            .all(|(_, names)| !ours.apps.iter().any(|app| names.contains(&app.as_str()))),
    };
    let apps: Vec<&str> = ours.apps.iter().map(String::as_str).collect();
    (!agrees).then(|| apps.join(","))
}

#[test]
fn applications_are_what_ndpi_says_they_are() {
    let Some(shared) = shared() else { return };
    let lab = Lab::new(&shared);
    let table = include_str!("applications.tsv");
    let explained: BTreeSet<String> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once('\t').unwrap().0.to_owned())
        .collect();
    let (mut compared, mut different) = (0, BTreeSet::new());
    for facts in oracle(&shared) {
        let name = facts["name"].as_str().unwrap();
        let Some(expected) = facts["ndpi"]["flows"].as_array() else {
            continue;
        };
        let outcome = lab.replay(&[shared.join("pcaps").join(name)], &BTreeSet::new(), 1);
        let ours = ours(&outcome.records);
        for facts in expected {
            let [l4, a, b, protocol] = ["l4", "a", "b", "proto"].map(|key| facts[key].as_str().unwrap());
            let master = protocol.split('.').next().unwrap();
            let [first, second] = [a, b].map(|end| end.parse().unwrap());
            compared += 1;
            let key = flow(&l4.to_ascii_lowercase(), first, second);
            if let Some(ours) = difference(master, ours.get(&key)) {
                different.insert(format!("{name}\t{l4} {a} {b}\t{protocol}\t{ours}"));
            }
        }
    }
    assert!(compared > 1500, "only {compared} flows");
    let unexplained: Vec<_> = different.difference(&explained).collect();
    assert!(
        unexplained.is_empty(),
        "differ where nobody explains it:\n{unexplained:#?}"
    );
    let agreed: Vec<_> = explained.difference(&different).collect();
    assert!(agreed.is_empty(), "differ no longer:\n{agreed:#?}");
}
