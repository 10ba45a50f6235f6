//! What is inside a tunnel, judged: stories told from captures that are built here.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers stop it where anything is amiss"
)]

use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

use packet::{
    Checksums, LinkType, MAX_TUNNEL_DEPTH, MacAddr, Packet, TcpFlags, Timestamp, Transport,
    build::{self, Ends, Segment, Wrapping},
    parse,
};
use ports::{CaptureReader, CaptureWriter, CapturedFrame};
use serde_json::Value;

const HEAD: &str = r#"
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
networks   = ["10.0.0.0/8"]
[zone.outside]
interfaces = ["wan0"]
[tag.infected-host]
[address-group.Infected-Hosts]
dynamic.filter = "'infected-host'"
[external-list.names]
type      = "domain"
url       = "file:names.txt"
recurring = "hourly"
[profiles.spyware.Outbound]
botnet-domains.sinkhole.ipv4-address = "192.0.2.1"
botnet-domains.sinkhole.ipv6-address = "2001:db8::1"
[[profiles.spyware.Outbound.botnet-domains.lists]]
name   = "names"
action = "sinkhole"
[[log-settings.profiles.LF.match-list]]
name     = "Tag-Infected-Host"
log-type = "threat"
filter   = "(action eq sinkhole)"
[[log-settings.profiles.LF.match-list.actions]]
name = "Tag-Source-Infected"
type.tagging = { action = "add-tag", target = "source-address", registration = "localhost", tags = ["infected-host"], timeout = 0 }
"#;

/// A rule from inside to outside, as TOML.
fn rule(name: &str, lines: &str, action: &str) -> String {
    let field = |key: &str| {
        if lines.contains(key) {
            String::new()
        } else {
            format!("{key} = [\"any\"]\n")
        }
    };
    let open: String = ["from", "to", "source", "destination", "application", "service"]
        .map(field)
        .concat();
    format!(
        "[[rulebase.security.rules]]\nname = \"{name}\"\naction = \"{action}\"\n{open}{lines}\n\
         profile-setting.profiles.spyware = [\"Outbound\"]\nlog-setting = \"LF\"\n"
    )
}

fn allow_all() -> String {
    rule("all", "", "allow")
}

/// Frames, with the millisecond at which each comes.
type Story = Vec<(u64, Vec<u8>)>;

#[derive(Debug)]
struct Outcome {
    summary: Value,
    records: Vec<Value>,
    logs: Vec<u8>,
    written: Vec<Vec<u8>>,
}

impl Outcome {
    fn traffic(&self) -> Vec<&Value> {
        self.of_type("traffic")
    }

    fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.records
            .iter()
            .filter(|record| record["type"] == kind)
            .collect()
    }

    #[track_caller]
    fn dropped(&self, reason: &str, count: u64) {
        assert_eq!(
            self.summary["frames"]["dropped"][reason], count,
            "{:#}",
            self.summary["frames"]
        );
    }
}

fn replay(rules: &str, story: &Story, workers: usize) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(file("fw.toml"), format!("{HEAD}\n{rules}")).unwrap();
    fs::write(file("names.txt"), "listed.example\n").unwrap();
    let mut capture = CaptureWriter::create(&file("in.pcap"), "in.pcap").unwrap();
    for (time, bytes) in story {
        let frame = CapturedFrame {
            time: Timestamp::from_nanos(time * 1_000_000),
            link: 1,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        };
        capture.write(&frame).unwrap();
    }
    capture.finish(Some(1)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cordon"))
        .arg("replay")
        .arg(file("fw.toml"))
        .arg("--pcap")
        .arg(file("in.pcap"))
        .arg("--logs")
        .arg(file("logs.jsonl"))
        .arg("--write")
        .arg(file("out.pcap"))
        .args([
            "--checksums",
            "verify",
            "--json",
            "--workers",
            &workers.to_string(),
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let logs = fs::read(file("logs.jsonl")).unwrap();
    let mut reader = CaptureReader::open(&file("out.pcap"), "out.pcap").unwrap();
    let mut written = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        written.push(frame.bytes.to_vec());
    }
    let outcome = Outcome {
        summary: serde_json::from_slice(&output.stdout).unwrap(),
        records: logs
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect(),
        logs,
        written,
    };
    let frames = &outcome.summary["frames"];
    let dropped: u64 = frames["dropped"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    let others: u64 = ["forwarded", "answered", "consumed", "held"]
        .iter()
        .map(|key| frames[key].as_u64().unwrap())
        .sum();
    assert_eq!(
        dropped + others,
        story.len() as u64,
        "a frame is unaccounted for: {frames}"
    );
    outcome
}

fn ends(src: &str, dst: &str) -> Ends {
    let end = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Ends::new(end(src), end(dst))
}

/// The tunnel of all stories: from a host inside to a server outside.
fn tunnel() -> Ends {
    ends("10.0.0.5:50000", "198.51.100.1:0")
}

fn client() -> Ends {
    ends("10.1.0.7:40000", "203.0.113.9:80")
}

const GRE: Wrapping = Wrapping::Gre {
    key: Some(7),
    sequence: None,
    checksum: true,
};
const GRE_IN_SEQUENCE: Wrapping = Wrapping::Gre {
    key: None,
    sequence: Some(1),
    checksum: false,
};

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

fn asks(src: &str, name: &str) -> Vec<u8> {
    build::ethernet_udp(&ends(src, "198.51.100.53:53"), &query(name))
}

fn innermost(frame: &[u8]) -> Packet<'_> {
    let mut packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
    while let Some(inner) = packet.inside(0).unwrap() {
        packet = inner;
    }
    packet
}

#[test]
fn a_listed_name_asked_for_inside_a_tunnel_is_answered_there() {
    for wrapping in [GRE, Wrapping::IpInIp, Wrapping::Vxlan(3), Wrapping::Geneve(3, 8)] {
        let inner = asks("10.1.0.7:40000", "listed.example");
        let other = asks("10.1.0.7:40001", "harmless.example");
        let story = vec![
            (0, build::in_tunnel(&tunnel(), wrapping, &inner)),
            (5, build::in_tunnel(&tunnel(), wrapping, &other)),
        ];
        let outcome = replay(&allow_all(), &story, 1);
        assert_eq!(outcome.summary["frames"]["answered"], 1, "{wrapping:?}");
        // The host is tagged by then, and the rule has nothing against it; but the first query went nowhere.
        assert_eq!(outcome.written.len(), 2);
        let reply = innermost(&outcome.written[0]);
        let asked = innermost(&story[0].1).flow_tuple().unwrap();
        assert_eq!(reply.flow_tuple(), Some(asked.reversed()));
        assert_eq!(reply.tunnel(), innermost(&story[0].1).tunnel());
        assert_eq!(outcome.written[1], story[1].1);
        let threats = outcome.of_type("threat");
        assert_eq!(threats.len(), 1);
        assert_eq!(threats[0]["action"], "sinkhole");
        assert_eq!(threats[0]["src"], "10.1.0.7");
        assert_eq!(outcome.summary["tags"]["10.1.0.7"][0], "infected-host");
        // Both packets are accounted for inside, and only there.
        let sessions = outcome.traffic();
        assert_eq!(sessions.len(), 2, "{sessions:#?}");
        assert!(
            sessions
                .iter()
                .all(|record| record["dst"] == "198.51.100.53" && record["app"] == "dns")
        );
        assert_eq!(outcome.summary["sessions"]["udp"], 2);
        assert_eq!(outcome.summary["sessions"]["other"], 0);
    }
}

#[test]
fn a_listed_name_never_leaves_where_no_answer_can_be_made() {
    for wrapping in [GRE_IN_SEQUENCE, Wrapping::GtpU(5)] {
        let inner = asks("10.1.0.7:40000", "listed.example");
        let outcome = replay(
            &allow_all(),
            &vec![(0, build::in_tunnel(&tunnel(), wrapping, &inner))],
            1,
        );
        outcome.dropped("domain-blocked", 1);
        assert!(outcome.written.is_empty());
        assert_eq!(outcome.of_type("threat")[0]["action"], "block");
        assert_eq!(outcome.summary["sinkholed"], 0);
    }
}

#[test]
fn a_rule_about_the_inside_holds_for_the_inside() {
    let rules = [
        rule("not-there", "destination = [\"203.0.113.66\"]", "deny"),
        allow_all(),
    ]
    .concat();
    for wrapping in [
        GRE,
        Wrapping::IpInIp,
        Wrapping::Vxlan(3),
        Wrapping::Geneve(3, 0),
        Wrapping::GtpU(1),
    ] {
        let there = build::ethernet_udp(&ends("10.1.0.7:40000", "203.0.113.66:9"), b"a");
        let elsewhere = build::ethernet_udp(&ends("10.1.0.7:40000", "203.0.113.67:9"), b"a");
        let story: Story = [&there, &elsewhere, &there]
            .iter()
            .map(|inner| (0, build::in_tunnel(&tunnel(), wrapping, inner)))
            .collect();
        let outcome = replay(&rules, &story, 1);
        outcome.dropped("policy-deny", 2);
        assert_eq!(outcome.written, [story[1].1.clone()]);
        let refused: Vec<_> = outcome
            .traffic()
            .into_iter()
            .filter(|record| record["subtype"] == "deny")
            .collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(
            (&refused[0]["dst"], &refused[0]["rule"]),
            (&"203.0.113.66".into(), &"not-there".into())
        );
        assert_eq!(outcome.traffic().len(), 2);
    }
}

#[test]
fn nobody_claims_to_be_an_administrator_through_a_tunnel() {
    let rules = [
        rule("not-there", "destination = [\"203.0.113.9\"]", "deny"),
        allow_all(),
        "[setting.management]\naddresses = [\"10.1.0.7\"]\nports = [80]\n".to_owned(),
    ]
    .concat();
    let [syn, ..] = &handshake()[..] else {
        panic!("a handshake begins")
    };
    let inside = build::in_tunnel(&tunnel(), GRE, syn);
    let outcome = replay(&rules, &vec![(0, syn.clone()), (1, inside)], 1);
    outcome.dropped("policy-deny", 1);
    assert_eq!(outcome.written, std::slice::from_ref(syn));
    let rules: Vec<&Value> = outcome.traffic().iter().map(|record| &record["rule"]).collect();
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert!(rules.contains(&&"management".into()) && rules.contains(&&"not-there".into()));
}

#[test]
fn a_refused_tunnel_hides_what_is_inside() {
    for (wrapping, app) in [
        (GRE, "gre"),
        (Wrapping::IpInIp, "ip-in-ip"),
        (Wrapping::Vxlan(3), "vxlan"),
        (Wrapping::Geneve(3, 0), "geneve"),
        (Wrapping::GtpU(1), "gtp-u"),
    ] {
        let rules = [
            rule("no-tunnels", &format!("application = [\"{app}\"]"), "deny"),
            allow_all(),
        ]
        .concat();
        let frame = build::in_tunnel(&tunnel(), wrapping, &build::ethernet_udp(&client(), b"a"));
        let outcome = replay(&rules, &vec![(0, frame.clone()), (1, frame)], 1);
        outcome.dropped("policy-deny", 2);
        let records = outcome.traffic();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["dst"], "198.51.100.1");
        assert_eq!(records[0]["rule"], "no-tunnels");
        assert_eq!(
            records[0]["bytes"],
            u64::try_from(build::in_tunnel(&tunnel(), wrapping, &build::ethernet_udp(&client(), b"a")).len())
                .unwrap()
        );
    }
}

fn segment(flags: TcpFlags, seq: u32, ack: u32, payload: &[u8]) -> Segment<'_> {
    Segment {
        seq,
        ack,
        flags,
        window: 1000,
        payload,
    }
}

/// A handshake, client first, and where both sides stand after it.
fn handshake() -> Vec<Vec<u8>> {
    let there = client();
    let back = client().reversed();
    vec![
        build::ethernet_tcp(&there, &segment(TcpFlags::SYN, 100, 0, b"")),
        build::ethernet_tcp(&back, &segment(TcpFlags::SYN | TcpFlags::ACK, 500, 101, b"")),
        build::ethernet_tcp(&there, &segment(TcpFlags::ACK, 101, 501, b"")),
    ]
}

#[test]
fn nobody_reaches_a_session_through_the_side_of_a_tunnel() {
    let reset = build::ethernet_tcp(&client().reversed(), &segment(TcpFlags::RST, 501, 0, b""));
    let data = build::ethernet_tcp(&client(), &segment(TcpFlags::ACK, 101, 501, b"more"));
    let within = |frame: &[u8], back: bool| {
        let ends = if back { tunnel().reversed() } else { tunnel() };
        build::in_tunnel(&ends, GRE, frame)
    };
    let other = |frame: &[u8]| build::in_tunnel(&ends("198.51.100.2:1", "10.0.0.5:1"), GRE, frame);
    let [syn, syn_ack, ack] = <[Vec<u8>; 3]>::try_from(handshake()).unwrap();
    // The session inside, the reset outside or in another tunnel; and the reverse.
    let stories = [
        vec![
            within(&syn, false),
            within(&syn_ack, true),
            within(&ack, false),
            reset.clone(),
            within(&data, false),
        ],
        vec![
            within(&syn, false),
            within(&syn_ack, true),
            within(&ack, false),
            other(&reset),
            within(&data, false),
        ],
        vec![
            syn.clone(),
            syn_ack.clone(),
            ack.clone(),
            within(&reset, true),
            data.clone(),
        ],
    ];
    for frames in stories {
        let story: Story = frames
            .into_iter()
            .zip(0..)
            .map(|(frame, time)| (time, frame))
            .collect();
        let outcome = replay(&allow_all(), &story, 1);
        let sessions = outcome.traffic();
        let real: Vec<_> = sessions.iter().filter(|record| record["packets"] == 4).collect();
        assert_eq!(real.len(), 1, "{sessions:#?}");
        assert_eq!(real[0]["session_end_reason"], "unknown");
        assert_eq!(real[0]["src"], "10.1.0.7");
        assert_eq!(outcome.written.last(), Some(&story[4].1));
    }
    // In its own tunnel it does end the session.
    let frames = [
        within(&syn, false),
        within(&syn_ack, true),
        within(&ack, false),
        within(&reset, true),
    ];
    let story: Story = frames
        .into_iter()
        .zip(0..)
        .map(|(frame, time)| (time, frame))
        .collect();
    let outcome = replay(&allow_all(), &story, 1);
    assert_eq!(outcome.traffic()[0]["session_end_reason"], "tcp-rst-from-server");
}

#[test]
fn what_cannot_be_read_inside_counts_to_the_tunnel() {
    let mut arp = build::ethernet_udp(&client(), b"x");
    arp[12..14].copy_from_slice(&[8, 6]);
    let readable = build::ethernet_udp(&client(), b"x");
    let story: Story = [&readable, &arp, &readable]
        .iter()
        .map(|inner| (0, build::in_tunnel(&tunnel(), Wrapping::Vxlan(1), inner)))
        .collect();
    let outcome = replay(&allow_all(), &story, 1);
    assert_eq!(outcome.written.len(), 3);
    let records = outcome.traffic();
    assert_eq!(records.len(), 2);
    // One frame opened both; the outer stands first.
    assert_eq!(
        (&records[0]["dst"], &records[0]["app"]),
        (&"198.51.100.1".into(), &"vxlan".into())
    );
    assert_eq!(
        (&records[0]["packets"], &records[1]["packets"]),
        (&1.into(), &2.into())
    );
    assert_eq!(records[0]["sessionid"], records[1]["sessionid"]);
    assert_eq!(outcome.summary["sessions"]["udp"], 2);
}

#[test]
fn tunnels_in_tunnels_end_somewhere() {
    let nested = |depth: u8| {
        let mut frame = build::ethernet_udp(&client(), b"deep");
        for _ in 0..depth {
            frame = build::in_tunnel(&tunnel(), Wrapping::IpInIp, &frame);
        }
        frame
    };
    let story = vec![(0, nested(MAX_TUNNEL_DEPTH)), (1, nested(MAX_TUNNEL_DEPTH + 1))];
    let outcome = replay(&allow_all(), &story, 1);
    outcome.dropped("tunnel-depth", 1);
    assert_eq!(outcome.written, [story[0].1.clone()]);
    assert_eq!(outcome.traffic().len(), 1);
    assert_eq!(outcome.traffic()[0]["src"], "10.1.0.7");
}

#[test]
fn lies_inside_a_tunnel_are_dropped() {
    let mut inner = build::ethernet_udp(&client(), b"payload");
    inner[17] += 1;
    let frame = build::in_tunnel(&tunnel(), Wrapping::Vxlan(1), &inner);
    let outcome = replay(&allow_all(), &vec![(0, frame)], 1);
    outcome.dropped("ip-length-beyond-frame", 1);
    assert!(outcome.traffic().is_empty());
}

#[test]
fn fragments_inside_and_outside_leave_as_they_came() {
    let inner = build::ethernet_udp(&client(), &[b'x'; 900]);
    for wrapping in [GRE, Wrapping::Vxlan(1), Wrapping::IpInIp] {
        // Fragments in a tunnel whose packets are fragmented again: the only session is the one inside.
        let frames: Vec<Vec<u8>> = build::fragment(&inner, 300)
            .iter()
            .flat_map(|fragment| build::fragment(&build::in_tunnel(&tunnel(), wrapping, fragment), 200))
            .collect();
        assert!(frames.len() > 5);
        let story: Story = frames.iter().cloned().map(|frame| (0, frame)).collect();
        let outcome = replay(&allow_all(), &story, 1);
        assert_eq!(outcome.written, frames, "{wrapping:?}");
        assert_eq!(outcome.traffic().len(), 1);
        let bytes: usize = frames.iter().map(Vec::len).sum();
        assert_eq!(outcome.traffic()[0]["bytes"], u64::try_from(bytes).unwrap());
        assert_eq!(outcome.traffic()[0]["packets"], 1);

        // One is missing: all that came waits, and is counted so.
        let missing: Story = story[1..].to_vec();
        let outcome = replay(&allow_all(), &missing, 1);
        assert_eq!(
            outcome.summary["frames"]["held"],
            u64::try_from(missing.len()).unwrap()
        );
        assert!(outcome.written.is_empty() && outcome.traffic().is_empty());

        // All the waiting ones are given up together.
        let mut late = missing.clone();
        late.push((40_000, build::ethernet_udp(&client(), b"later")));
        let outcome = replay(&allow_all(), &late, 1);
        outcome.dropped("fragment-timeout", u64::try_from(missing.len()).unwrap());
    }
}

#[test]
fn a_tunnel_cannot_have_others_tagged() {
    let victim = "10.1.0.7:40000";
    let wrapped = |src: &str| build::in_tunnel(&tunnel(), Wrapping::IpInIp, &asks(src, "listed.example"));
    // Somebody holds the address: packets of its own were seen, with its own link-layer address.
    let own = build::ethernet_udp(&ends(victim, "203.0.113.9:9"), b"here I am");
    let outcome = replay(&allow_all(), &vec![(0, own), (5, wrapped(victim))], 1);
    assert_eq!(outcome.summary["frames"]["answered"], 1);
    assert_eq!(outcome.summary["tags"], serde_json::json!({}));
    assert!(
        outcome
            .of_type("ip-tag")
            .iter()
            .all(|record| record["event"] == "refused")
    );
    // An address that the zone's networks do not hold.
    let outcome = replay(&allow_all(), &vec![(0, wrapped("192.168.9.9:40000"))], 1);
    assert_eq!(outcome.summary["frames"]["answered"], 1);
    assert_eq!(outcome.summary["tags"], serde_json::json!({}));
    // And what a tunnel claims binds no address: its holder is tagged for what it asks itself.
    let mut honest = ends(victim, "198.51.100.53:53");
    honest.src_mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let own = build::ethernet_udp(&honest, &query("listed.example"));
    let harmless = build::in_tunnel(&tunnel(), Wrapping::IpInIp, &asks(victim, "harmless.example"));
    let outcome = replay(&allow_all(), &vec![(0, harmless), (5, own)], 1);
    assert_eq!(outcome.summary["tags"]["10.1.0.7"][0], "infected-host");
}

#[test]
fn a_tunnel_cannot_have_servers_tagged() {
    // Who controls both ends of a tunnel can play any server in it.
    let rules = [
        allow_all(),
        r#"
[[log-settings.profiles.LF.match-list]]
name     = "Tag-Server"
log-type = "traffic"
filter   = "(session_end_reason eq tcp-rst-from-server)"
[[log-settings.profiles.LF.match-list.actions]]
name = "Tag-Server"
type.tagging = { action = "add-tag", target = "destination-address", registration = "localhost", tags = ["infected-host"], timeout = 0 }
"#
        .to_owned(),
    ]
    .concat();
    let reset = build::ethernet_tcp(&client().reversed(), &segment(TcpFlags::RST, 501, 0, b""));
    let mut frames = handshake();
    frames.push(reset);
    let story = |wrap: bool| -> Story {
        let wrapped = frames.iter().enumerate().map(|(number, frame)| {
            let ends = if number % 2 == 0 {
                tunnel()
            } else {
                tunnel().reversed()
            };
            if wrap {
                build::in_tunnel(&ends, GRE, frame)
            } else {
                frame.clone()
            }
        });
        wrapped.zip(0..).map(|(frame, time)| (time, frame)).collect()
    };
    let outside = replay(&rules, &story(false), 1);
    assert_eq!(outside.summary["tags"]["203.0.113.9"][0], "infected-host");
    let inside = replay(&rules, &story(true), 1);
    assert_eq!(inside.traffic()[0]["session_end_reason"], "tcp-rst-from-server");
    assert_eq!(inside.summary["tags"], serde_json::json!({}));
}

#[test]
fn any_number_of_workers_says_the_same_of_tunnels() {
    let wrappings = [
        GRE,
        Wrapping::IpInIp,
        Wrapping::Vxlan(3),
        Wrapping::Geneve(3, 8),
        Wrapping::GtpU(1),
    ];
    let mut story = Vec::new();
    // Enough in one tick that the workers are woken.
    for number in 0..1500_u16 {
        let wrapping = wrappings[usize::from(number) % wrappings.len()];
        let src = format!("10.1.{}.7:{}", number % 50, 1000 + number % 200);
        let inner = match number % 4 {
            0 => asks(&src, "listed.example"),
            1 => build::ethernet_udp(&ends(&src, "203.0.113.66:9"), b"refused"),
            _ => build::ethernet_udp(&ends(&src, "203.0.113.9:9"), &[b'x'; 300]),
        };
        let outer = Ends {
            src: format!("10.0.0.{}:50000", number % 9).parse().unwrap(),
            ..tunnel()
        };
        let outer = if number % 3 == 0 {
            build::in_tunnel(&outer, wrapping, &build::in_tunnel(&tunnel(), GRE, &inner))
        } else {
            build::in_tunnel(&outer, wrapping, &inner)
        };
        for frame in build::fragment(&outer, 250) {
            story.push((u64::from(number / 1000), frame));
        }
    }
    let rules = [
        rule("quarantine", "source = [\"Infected-Hosts\"]", "deny"),
        rule("not-there", "destination = [\"203.0.113.66\"]", "deny"),
        allow_all(),
    ]
    .concat();
    let one = replay(&rules, &story, 1);
    assert!(one.summary["frames"]["answered"].as_u64() > Some(100));
    assert!(one.summary["frames"]["dropped"]["policy-deny"].as_u64() > Some(100));
    assert!(one.written.len() > 500);
    for workers in [2, 4, 64] {
        let many = replay(&rules, &story, workers);
        assert!(one.logs == many.logs, "{workers} workers write other logs");
        assert!(
            one.written == many.written,
            "{workers} workers write other frames"
        );
        assert_eq!(one.summary["frames"], many.summary["frames"]);
        assert_eq!(one.summary["tags"], many.summary["tags"]);
    }
}

#[test]
fn labels_do_not_hide_a_packet() {
    let rules = [
        rule("not-there", "destination = [\"203.0.113.66\"]", "deny"),
        allow_all(),
    ]
    .concat();
    let labelled =
        |dst: &str| build::with_labels(&build::ethernet_udp(&ends("10.1.0.7:4000", dst), b"a"), &[16, 17]);
    let story = vec![(0, labelled("203.0.113.66:9")), (0, labelled("203.0.113.67:9"))];
    let outcome = replay(&rules, &story, 1);
    outcome.dropped("policy-deny", 1);
    assert_eq!(outcome.written, [story[1].1.clone()]);
    let Transport::Udp(_) = innermost(&outcome.written[0]).ip().unwrap().transport else {
        panic!("no UDP")
    };
}
