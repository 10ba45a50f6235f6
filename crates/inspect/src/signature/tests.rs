use packet::IpProtocol;
use proptest::prelude::*;

use crate::{AppDetector, Application, Ports, Recognition};

const CLIENT: bool = true;
const SERVER: bool = false;

fn ports(server: u16) -> Ports {
    Ports {
        client: 50_000,
        server,
    }
}

/// Feeds payloads until something is settled.
fn recognise(protocol: IpProtocol, ports: Ports, said: &[(bool, &[u8])]) -> Recognition {
    let mut detector = AppDetector::new(protocol);
    said.iter()
        .map(|&(from_client, payload)| detector.feed(ports, from_client, payload))
        .find(|found| *found != Recognition::NeedMore)
        .unwrap_or(Recognition::NeedMore)
}

fn tcp(server: u16, said: &[(bool, &[u8])]) -> Recognition {
    recognise(IpProtocol::TCP, ports(server), said)
}

fn udp(server: u16, payload: &[u8]) -> Recognition {
    recognise(IpProtocol::UDP, ports(server), &[(CLIENT, payload)])
}

fn is(application: Application) -> Recognition {
    Recognition::Recognised(application)
}

const HELLO: &[u8] = b"\x16\x03\x01\x00\xc1\x01\x00\x00\xbd\x03\x03abcdefghijklmnopqrstuvwxyz012345";
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";

/// First bytes of client and server, and what they are, on a port that means nothing.
fn openings() -> Vec<(Application, Vec<u8>, Vec<u8>)> {
    use Application as A;
    let framed = |message: &[u8]| [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat();
    [
        (A::Ssl, HELLO, &b"\x16\x03\x03\0\x3f\x02\0\0\x3b\x03\x03"[..]),
        (
            A::WebBrowsing,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ),
        (
            A::WebBrowsing,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0\0\x12\x04\0\0\0\0\0",
        ),
        (
            A::WebBrowsing,
            b"PROPFIND /dav HTTP/1.1\r\n",
            b"HTTP/1.1 207 Multi-Status\r\n",
        ),
        (
            A::HttpProxy,
            b"CONNECT a.example:443 HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ),
        (A::Ssh, b"SSH-2.0-OpenSSH_9.7\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"),
        (A::Dns, &framed(QUERY), b""),
        (
            A::Sip,
            b"INVITE sip:bob@example.com SIP/2.0\r\n",
            b"SIP/2.0 100 Trying\r\n",
        ),
        (
            A::Rtsp,
            b"DESCRIBE rtsp://a.example/x RTSP/1.0\r\n",
            b"RTSP/1.0 200 OK\r\n",
        ),
        (
            A::BitTorrent,
            b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0",
            b"\x13BitTorrent protocol",
        ),
        (A::Postgres, b"\0\0\0\x08\x04\xd2\x16\x2f", b"N"),
        (
            A::Postgres,
            b"\0\0\0\x29\0\x03\0\0user\0alice\0database\0shop\0\0",
            b"R",
        ),
        (
            A::Ldap,
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
            b"\x30\x0c\x02\x01\x01\x61\x07",
        ),
        (A::MsSmb, b"\0\0\0\xd4\xfeSMB\x40\0", b"\0\0\0\xd4\xfeSMB\x40\0"),
        (
            A::MsRdp,
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0",
            b"\x03\0\0\x13\x0e\xd0",
        ),
        (
            A::Mqtt,
            b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04abcd",
            b"\x20\x02\0\0",
        ),
        (
            A::MsSql,
            b"\x12\x01\0\x2f\0\0\0\0\0\0\0\x1a\0\x06",
            b"\x04\x01\0\x2b",
        ),
        (A::MsRpc, b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0", b"\x05\0\x0c\x03"),
        (
            A::Pptp,
            b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0",
            b"\0\x9c\0\x01\x1a\x2b\x3c\x4d",
        ),
        (
            A::Bgp,
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x1d\x01\x04",
            b"",
        ),
    ]
    .map(|(application, client, server)| (application, client.to_vec(), server.to_vec()))
    .into()
}

/// What a server says first, and what the client answers.
const GREETINGS: [(Application, &[u8], &[u8]); 8] = [
    (Application::Ssh, b"SSH-2.0-dropbear\r\n", b""),
    (Application::Smtp, b"220 mail.example ESMTP\r\n", b""),
    (
        Application::Smtp,
        b"220 mail.example ready\r\n",
        b"EHLO a.example\r\n",
    ),
    (Application::Ftp, b"220 (vsFTPd 3.0.3)\r\n", b""),
    (Application::Ftp, b"220 welcome\r\n", b"USER anonymous\r\n"),
    (Application::Imap, b"* OK IMAP4rev1 ready\r\n", b""),
    (Application::Pop3, b"+OK ready\r\n", b"USER a\r\n"),
    (Application::Mysql, b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0", b""),
];

#[test]
fn streams_are_recognised_on_any_port() {
    for (application, client, _) in openings() {
        assert_eq!(
            tcp(4242, &[(CLIENT, &client)]),
            is(application),
            "{}",
            application.name()
        );
    }
    for (application, server, client) in GREETINGS {
        assert_eq!(
            tcp(4242, &[(SERVER, server), (CLIENT, client)]),
            is(application),
            "{}",
            application.name()
        );
    }
}

#[test]
fn tls_on_the_port_of_dns_over_tls_is_that() {
    assert_eq!(tcp(853, &[(CLIENT, HELLO)]), is(Application::DnsOverTls));
    let dot = [HELLO, &[0, 16, 0, 6, 0, 4, 3, b'd', b'o', b't']].concat();
    assert_eq!(tcp(443, &[(CLIENT, &dot)]), is(Application::DnsOverTls));
    assert_eq!(tcp(443, &[(CLIENT, HELLO)]), is(Application::Ssl));
    let quic = [&b"\xc3\0\0\0\x01\x08destinat\0\0"[..], &[0x77; 1180]].concat();
    assert_eq!(udp(853, &quic), is(Application::DnsOverQuic));
    // In mid-stream too, and from the side that answers.
    let data = [&b"\x17\x03\x03\x00\x40"[..], &[0x5a; 64], b"\x17\x03\x03"].concat();
    assert_eq!(tcp(4242, &[(SERVER, &data)]), is(Application::Ssl));
    // A record that is followed by none is no record.
    let noise = [&b"\x17\x03\x03\x00\x40"[..], &[0x5a; 80]].concat();
    assert_eq!(tcp(4242, &[(SERVER, &noise)]), Recognition::NeedMore);
    let old = b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10\0\0\x04\0\0\x05";
    assert_eq!(tcp(4242, &[(CLIENT, old)]), is(Application::Ssl));
}

#[test]
fn starttls_stays_what_it_began_as() {
    let said: [(bool, &[u8]); 2] = [(SERVER, b"220 mail.example ESMTP\r\n"), (CLIENT, HELLO)];
    assert_eq!(tcp(25, &said), is(Application::Smtp));
}

#[test]
fn datagrams_are_recognised_on_any_port() {
    let mut ntp = [0_u8; 48];
    ntp[..4].copy_from_slice(&[0x23, 0, 6, 0xec]);
    ntp[40..].copy_from_slice(&[0xe9; 8]);
    let mut dhcp = [0_u8; 300];
    dhcp[..4].copy_from_slice(&[1, 1, 6, 0]);
    dhcp[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    let mut ike = [0_u8; 40];
    ike[..8].copy_from_slice(&[7; 8]);
    ike[16..20].copy_from_slice(&[33, 0x20, 34, 8]);
    ike[27] = 40;
    let mut wireguard = [9_u8; 148];
    wireguard[..4].copy_from_slice(&[1, 0, 0, 0]);
    let quic = [&b"\xc3\0\0\0\x01\x08destinat\0\0"[..], &[0x77; 1180]].concat();
    let negotiation = b"\x80\0\0\0\0\x04dest\x04sour\0\0\0\x01\x6b\x33\x43\xcf";
    let stun = b"\0\x01\0\0\x21\x12\xa4\x42transactions";
    let radius = b"\x01\x07\0\x1aauthenticatorxyz\x01\x06user";
    let snmp = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01";
    let netbios = [
        &b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20"[..],
        &[b'C'; 32],
        b"\0\0\x20\0\x01",
    ]
    .concat();
    let cases: [(Application, &[u8]); 14] = [
        (Application::Dns, QUERY),
        (Application::Ntp, &ntp),
        (Application::Dhcp, &dhcp),
        (Application::Ike, &ike),
        (Application::Wireguard, &wireguard),
        (Application::Quic, &quic),
        (Application::Quic, negotiation),
        (Application::Stun, stun),
        (Application::Radius, radius),
        (Application::Snmp, snmp),
        (Application::NetbiosNs, &netbios),
        (Application::Sip, b"REGISTER sip:example.com SIP/2.0\r\n"),
        (
            Application::Ssdp,
            b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n",
        ),
        (
            Application::BitTorrent,
            b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping",
        ),
    ];
    for (application, payload) in cases {
        assert_eq!(udp(4242, payload), is(application), "{}", application.name());
    }
    assert_eq!(udp(69, b"\0\x01boot.img\0octet\0"), is(Application::Tftp));
    assert_eq!(
        udp(514, b"<34>1 2026-01-01T00:00:00Z host app - - - hello"),
        is(Application::Syslog)
    );
}

#[test]
fn names_asked_on_the_link_are_told_by_their_ports() {
    let at = |client, server| recognise(IpProtocol::UDP, Ports { client, server }, &[(CLIENT, QUERY)]);
    assert_eq!(at(5353, 5353), is(Application::Mdns));
    assert_eq!(at(50_000, 5355), is(Application::Llmnr));
    assert_eq!(at(50_000, 5353), is(Application::Dns));
}

#[test]
fn some_show_only_in_sequence() {
    let voice = |sequence: u8| [&[0x80, 8, 0, sequence, 0, 0, 0, 1, 9, 9, 9, 9][..], &[0xd5; 160]].concat();
    let (first, second) = (voice(1), voice(2));
    let said: [(bool, &[u8]); 2] = [(CLIENT, &first), (CLIENT, &second)];
    assert_eq!(
        recognise(IpProtocol::UDP, ports(4242), &said),
        is(Application::Rtp)
    );
    let said: [(bool, &[u8]); 2] = [(CLIENT, &first), (SERVER, &second)];
    assert_eq!(
        recognise(IpProtocol::UDP, ports(4242), &said),
        Recognition::NeedMore
    );
    let said: [(bool, &[u8]); 2] = [(CLIENT, &[0x38; 14]), (SERVER, &[0x40; 26])];
    assert_eq!(
        recognise(IpProtocol::UDP, ports(4242), &said),
        is(Application::OpenVpn)
    );
}

/// One side alone: what follows the reset carries the same session id. Over TCP each packet stands behind
/// its length.
#[test]
fn open_vpn_shows_by_one_side_alone_and_over_tcp() {
    let reset = b"\x38\x33\x48\x57\x70\x3d\x96\xdb\x39\0\0\0\0\0";
    let hello = b"\x20\x33\x48\x57\x70\x3d\x96\xdb\x39\0\0\0\0\x01\x16\x03\x01";
    let said: [(bool, &[u8]); 2] = [(CLIENT, reset), (CLIENT, hello)];
    assert_eq!(
        recognise(IpProtocol::UDP, ports(443), &said),
        is(Application::OpenVpn)
    );
    let other = b"\x20\x33\x48\x57\x70\x3d\x96\xdb\x38\0\0\0\0\x01\x16\x03\x01";
    let said: [(bool, &[u8]); 2] = [(CLIENT, reset), (CLIENT, other)];
    assert_eq!(
        recognise(IpProtocol::UDP, ports(443), &said),
        Recognition::NeedMore
    );
    let framed = |packet: &[u8]| [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat();
    let answer = b"\x40\x9a\xd7\x47\xbe\xb2\x4d\x8a\x1b\x01\0\0\0\0\x33\x48\x57\x70\x3d\x96\xdb\x39\0\0\0\0";
    assert_eq!(
        tcp(443, &[(CLIENT, &framed(reset)), (SERVER, &framed(answer))]),
        is(Application::OpenVpn)
    );
}

#[test]
fn what_is_nothing_known_ends_as_unknown() {
    let noise: [u8; 64] = std::array::from_fn(|n| u8::try_from(n * 37 % 251).unwrap() | 0x80);
    assert_eq!(
        tcp(443, &[(CLIENT, &noise), (SERVER, &noise)]),
        Recognition::Unknown
    );
    assert_eq!(
        tcp(443, &[(CLIENT, &noise), (CLIENT, b"")]),
        Recognition::NeedMore
    );
    let mut detector = AppDetector::new(IpProtocol::UDP);
    let answers: Vec<Recognition> = (0..8)
        .map(|_| detector.feed(ports(4242), CLIENT, &noise))
        .collect();
    assert_eq!(answers[6..], [Recognition::NeedMore, Recognition::Unknown]);
}

#[test]
fn protocols_without_ports_are_told_by_their_number() {
    assert_eq!(
        Application::of_protocol(IpProtocol::ICMPV6, true),
        Some(Application::Ping)
    );
    assert_eq!(
        Application::of_protocol(IpProtocol::ICMP, false),
        Some(Application::Icmp)
    );
    assert_eq!(Application::of_protocol(IpProtocol::TCP, false), None);
}

proptest! {
    /// However a stream is cut, its beginning is the same.
    #[test]
    fn streams_may_be_cut_anywhere(case in 0_usize..20, cuts in prop::collection::vec(1_usize..12, 0..4)) {
        let (application, client, _) = openings().swap_remove(case);
        let mut detector = AppDetector::new(IpProtocol::TCP);
        let mut rest = &client[..];
        let mut found = Recognition::NeedMore;
        for cut in cuts {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            rest = behind;
            if found == Recognition::NeedMore {
                found = detector.feed(ports(4242), CLIENT, piece);
            }
        }
        if found == Recognition::NeedMore {
            found = detector.feed(ports(4242), CLIENT, rest);
        }
        prop_assert_eq!(found, is(application), "{}", application.name());
    }

    #[test]
    fn no_payload_panics(
        protocol in prop::sample::select(vec![IpProtocol::TCP, IpProtocol::UDP]),
        said in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..10),
        client: u16,
        server in prop_oneof![any::<u16>(), Just(53), Just(443), Just(123), Just(4500), Just(1812)],
    ) {
        let said: Vec<(bool, &[u8])> = said.iter().map(|(side, bytes)| (*side, bytes.as_slice())).collect();
        recognise(protocol, Ports { client, server }, &said);
    }

    /// Bytes without meaning are not taken for anything on a port without one.
    #[test]
    fn noise_is_unknown(bytes in prop::collection::vec(any::<u8>(), 40..300)) {
        prop_assert_eq!(udp(4242, &bytes), Recognition::NeedMore);
    }

    /// Known beginnings with some bytes changed reach far into the signatures.
    #[test]
    fn no_broken_opening_panics(
        case in 0_usize..20,
        changes in prop::collection::vec((0_usize..60, any::<u8>()), 0..6),
        length in 0_usize..60,
    ) {
        let (_, mut client, server) = openings().swap_remove(case);
        for (place, byte) in changes {
            if let Some(old) = client.get_mut(place) {
                *old = byte;
            }
        }
        client.truncate(length);
        tcp(4242, &[(CLIENT, &client), (SERVER, &server)]);
        udp(4242, &client);
    }
}
