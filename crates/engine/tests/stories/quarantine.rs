//! Asked for a listed name, tagged, cut, refused, healed.

use inspect::dns::{parse_query, parse_response};
use packet::{Checksums, LinkType, Transport, build, parse};

use crate::{
    lab::{ALIAS, Fate, Lab, Plan, SINKHOLE_V4, SINKHOLE_V6},
    tcp::Connection,
};

pub(crate) const INFECTED: &str = "192.168.1.2";
const HEALTHY: &str = "192.168.1.3";
const RESOLVER: &str = "203.0.113.53:53";

/// A query as stacks send it; `name` in its case, labels behind dots.
pub(crate) fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = b"\xbe\xef\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend([qtype.to_be_bytes(), [0, 1]].concat());
    message
}

pub(crate) fn ends(client: &str, port: u16, server: &str) -> build::Ends {
    let client = std::net::SocketAddr::new(client.parse().unwrap(), port);
    build::Ends::new(client, server.parse().unwrap())
}

fn ask(client: &str, port: u16, name: &str, qtype: u16) -> Vec<u8> {
    build::ethernet_udp(&ends(client, port, RESOLVER), &query(name, qtype))
}

fn payload(frame: &[u8]) -> Vec<u8> {
    let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
    let Transport::Udp(udp) = packet.ip().unwrap().transport else {
        panic!("no UDP")
    };
    udp.payload.to_vec()
}

fn answer(fate: Fate) -> Vec<u8> {
    let Fate::Answered(mut sent) = fate else {
        panic!("{fate:?}")
    };
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

#[test]
fn who_asks_for_a_listed_name_is_cut_off_until_healed() {
    let mut lab = Lab::new(&Plan::default());
    let mut download = Connection::open(&mut lab, INFECTED, 50_000, "198.51.100.7:80");
    let mut other = Connection::open(&mut lab, HEALTHY, 50_000, "198.51.100.7:80");
    assert_eq!(download.server_says(&mut lab, &[b'x'; 100]), Fate::Forwarded);
    assert_eq!(lab.told(), [""; 0]);

    // The lookup: answered here, told, tagged.
    let asked = ask(INFECTED, 40_000, "GoLfSoUrCe.uS", 1);
    let reply = answer(lab.send(&asked));
    assert_eq!(
        (&reply[..6], &reply[6..12]),
        (&asked[6..12], &asked[..6]),
        "turned round"
    );
    let (message, asked) = (payload(&reply), payload(&asked));
    let mut expected = b"\xbe\xef\x81\x80\0\x01\0\x02\0\0\0\0".to_vec();
    expected.extend_from_slice(&asked[12..]);
    expected.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x1e\0\x1f");
    expected.extend_from_slice(b"\x08sinkhole\x10paloaltonetworks\x03com\0");
    let target = u16::try_from(expected.len() - 31).unwrap();
    expected.extend((0xc000 | target).to_be_bytes());
    expected.extend_from_slice(b"\0\x01\0\x01\0\0\0\x1e\0\x04");
    expected.extend(SINKHOLE_V4);
    assert_eq!(message, expected, "alias and address, id and case as asked");
    assert_eq!(
        lab.told(),
        [
            "sinkhole 192.168.1.2 GoLfSoUrCe.uS A names",
            "register infected-host on 192.168.1.2 by 1",
        ]
    );

    // The next packet of the running download ends it; later ones say nothing.
    assert_eq!(
        download.server_says(&mut lab, b"more"),
        Fate::Dropped("policy-deny")
    );
    assert_eq!(
        lab.told(),
        ["end 192.168.1.2 insufficient-data deny policy-deny by quarantine"]
    );
    assert_eq!(
        download.server_says(&mut lab, b"more"),
        Fate::Dropped("policy-deny")
    );
    assert_eq!(
        download.client_says(&mut lab, b"why"),
        Fate::Dropped("policy-deny")
    );
    assert_eq!(other.server_says(&mut lab, b"still here"), Fate::Forwarded);
    assert_eq!(lab.told(), [""; 0]);

    // The second lookup is refused, logged once, and sent again in vain.
    let second = ask(INFECTED, 40_001, "tourindia.ion", 1);
    assert_eq!(lab.send(&second), Fate::Dropped("policy-deny"));
    assert_eq!(
        lab.told(),
        ["deny 192.168.1.2 not-applicable deny policy-deny by quarantine"]
    );
    assert_eq!(lab.send(&second), Fate::Dropped("policy-deny"));
    assert_eq!(lab.told(), [""; 0]);

    // Healed: an unlisted name leaves, by the very ports that were refused.
    lab.heal(INFECTED);
    assert_eq!(
        lab.send(&ask(INFECTED, 40_001, "example.net", 1)),
        Fate::Forwarded
    );
    assert_eq!(download.server_says(&mut lab, b"more"), Fate::Forwarded);
    lab.assert_frames(6 + 1 + 1 + 2, 1, &[("policy-deny", 5)]);
    lab.assert_sessions([3, 3, 0], 1, 1, 0);
    assert_eq!(lab.finish(), 0);
    lab.assert_frames(10, 1, &[("policy-deny", 5)]);
}

#[test]
fn every_type_of_a_listed_name_is_answered() {
    for (qtype, name, addresses) in [
        (1, "A", vec!["72.5.65.111".parse().unwrap()]),
        (28, "AAAA", vec![SINKHOLE_V6.parse().unwrap()]),
        (65, "HTTPS", vec![]),
        (255, "ANY", vec![]),
        (16, "TXT", vec![]),
    ] {
        let mut lab = Lab::new(&Plan::default());
        let reply = answer(lab.send(&ask(INFECTED, 40_000, "golfsource.us", qtype)));
        let message = payload(&reply);
        let response = parse_response(&message).unwrap();
        let found: Vec<std::net::IpAddr> = response.addresses().collect();
        assert_eq!(
            (found, response.flags().rcode()),
            (addresses.clone(), 0),
            "{name}"
        );
        let aliases: Vec<String> = response.aliases().map(|alias| alias.to_string()).collect();
        let expected = if addresses.is_empty() {
            vec![]
        } else {
            vec![ALIAS.to_owned()]
        };
        assert_eq!(aliases, expected, "{name}");
        assert_eq!(
            lab.told()[0],
            format!("sinkhole 192.168.1.2 golfsource.us {name} names")
        );
        lab.assert_frames(0, 1, &[]);
        lab.assert_sessions([0, 1, 0], 1, 0, 0);
    }
}

#[test]
fn a_reply_that_leads_through_a_listed_name_is_replaced() {
    let mut lab = Lab::new(&Plan::default());
    assert_eq!(
        lab.send(&ask(INFECTED, 40_000, "www.example.net", 1)),
        Fate::Forwarded
    );
    let mut reply = query("www.example.net", 1);
    reply[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 2]);
    // An alias of golfsource.us, whose address follows.
    reply.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x0f\x0agolfsource\x02us\0");
    let owner = u16::try_from(reply.len() - 15).unwrap();
    reply.extend((0xc000 | owner).to_be_bytes());
    reply.extend_from_slice(b"\0\x01\0\x01\0\0\x0e\x10\0\x04\xc6\x33\x64\x42");
    let upstream = build::ethernet_udp(&ends(INFECTED, 40_000, RESOLVER).reversed(), &reply);
    let replaced = answer(lab.send(&upstream));
    assert_eq!(replaced[..12], upstream[..12], "onwards, to who asked");
    let message = payload(&replaced);
    let response = parse_response(&message).unwrap();
    assert_eq!(
        response.addresses().collect::<Vec<_>>(),
        [std::net::IpAddr::from(SINKHOLE_V4)]
    );
    assert_eq!(response.id(), 0xbeef);
    let records = lab.records();
    assert_eq!(records[0]["src"], INFECTED);
    assert_eq!(records[0]["direction"], "server-to-client");
    assert_eq!(
        (&records[0]["misc"], &records[0]["threat_name"]),
        (&"www.example.net".into(), &"golfsource.us".into())
    );
    assert_eq!(
        (&records[1]["event"], &records[1]["ip"]),
        (&"register".into(), &INFECTED.into())
    );
    lab.assert_frames(1, 1, &[]);
    lab.assert_sessions([0, 1, 0], 1, 0, 0);
}

/// The reply of a resolver that asked on behalf of somebody and was faster than the forged one.
#[test]
fn a_true_reply_to_a_sinkholed_query_is_dropped_without_a_word() {
    let mut lab = Lab::new(&Plan::default());
    // Healed at once: the session itself may go on.
    answer(lab.send(&ask(INFECTED, 40_000, "golfsource.us", 1)));
    lab.heal(INFECTED);
    lab.told();
    let mut reply = query("golfsource.us", 1);
    reply[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc6\x33\x64\x42");
    let upstream = build::ethernet_udp(&ends(INFECTED, 40_000, RESOLVER).reversed(), &reply);
    assert_eq!(lab.send(&upstream), Fate::Dropped("sinkholed-session"));
    assert_eq!(lab.told(), [""; 0]);
    lab.assert_frames(0, 1, &[("sinkholed-session", 1)]);
}

/// Behind a resolver the sinkhole's address gives the client away.
#[test]
fn a_session_to_the_sinkhole_address_tags_its_client() {
    let mut lab = Lab::new(&Plan::default());
    let to_sinkhole = ends(HEALTHY, 41_000, "72.5.65.111:443");
    let syn = build::Segment {
        seq: 1,
        ack: 0,
        flags: packet::TcpFlags::SYN,
        window: 64_000,
        payload: b"",
    };
    assert_eq!(
        lab.send(&build::ethernet_tcp(&to_sinkhole, &syn)),
        Fate::Forwarded
    );
    assert_eq!(
        lab.told(),
        [
            "sinkhole 192.168.1.3   ",
            "register infected-host on 192.168.1.3 by 1"
        ]
    );
    assert_eq!(
        lab.send(&build::ethernet_tcp(&to_sinkhole, &syn)),
        Fate::Dropped("policy-deny")
    );
    lab.assert_frames(1, 0, &[("policy-deny", 1)]);
    // Not counted as sinkholed: no query was.
    lab.assert_sessions([1, 0, 0], 0, 1, 0);
}

#[test]
fn the_story_speaks_dns() {
    assert!(parse_query(&query("golfsource.us", 1)).is_some());
}
