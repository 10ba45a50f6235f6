use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::dns;

const QUERY: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
const LISTED: &[u8] = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06listed\x07example\0\0\x01\0\x01";
const FORGED: &[u8] = b"forged";

/// Remembers what was said; answers the listed name, replaces replies that say `alias`.
#[derive(Default)]
struct Recorder {
    events: Vec<String>,
    queries: usize,
    cut_at: Option<&'static str>,
}

impl Judge for Recorder {
    fn event(&mut self, event: &Event<'_>) -> Ruling {
        let said = match event {
            Event::Request {
                stream,
                method,
                host,
                path,
                forwarded_for,
                content_type,
            } => format!(
                "{stream} {method} {} {path} {} {}",
                host.map_or("-".to_owned(), |host| host.to_string()),
                forwarded_for.map_or("-".to_owned(), |address: IpAddr| address.to_string()),
                content_type.unwrap_or("-")
            ),
            Event::Response {
                stream,
                status,
                content_type,
            } => format!("{stream} {status} {}", content_type.unwrap_or("-")),
            Event::NotHttp(departure) => departure.name().to_owned(),
        };
        let cut = self.cut_at.is_some_and(|at| said.contains(at));
        self.events.push(said);
        if cut { Ruling::Cut } else { Ruling::Allow }
    }

    fn dns_query(&mut self, message: &[u8], reply: &mut Vec<u8>) -> DnsRuling {
        self.queries += 1;
        let listed = dns::parse_query(message).is_some_and(|query| {
            query
                .questions()
                .any(|asked| asked.name.to_string() == "listed.example")
        });
        if listed {
            reply.extend_from_slice(FORGED);
            DnsRuling::Answer
        } else {
            DnsRuling::Pass
        }
    }

    fn dns_reply(&mut self, message: &[u8], replacement: &mut Vec<u8>) -> DnsRuling {
        if message == b"alias" {
            replacement.extend_from_slice(FORGED);
            DnsRuling::Answer
        } else {
            DnsRuling::Pass
        }
    }
}

/// An inspector between two ends.
struct Between {
    inspector: HttpInspector,
    judge: Recorder,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    cut: bool,
}

impl Between {
    fn new(version: HttpVersion) -> Self {
        Self {
            inspector: HttpInspector::new(version),
            judge: Recorder::default(),
            to_server: Vec::new(),
            to_client: Vec::new(),
            cut: false,
        }
    }

    fn push(&mut self, from_client: bool, bytes: &[u8]) {
        if self.cut {
            return;
        }
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        let passage = self
            .inspector
            .push(from_client, bytes, &mut self.judge, &mut onward, &mut back);
        let (far, near) = if from_client {
            (&mut self.to_server, &mut self.to_client)
        } else {
            (&mut self.to_client, &mut self.to_server)
        };
        match passage {
            Passage::Pass => {
                assert!(onward.is_empty(), "what passes is not written");
                far.extend_from_slice(bytes);
            }
            Passage::Replaced => far.extend_from_slice(&onward),
            Passage::Cut => self.cut = true,
        }
        near.extend_from_slice(&back);
    }

    fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.push(true, bytes);
        self
    }

    fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.push(false, bytes);
        self
    }

    fn end(&mut self) {
        for from_client in [true, false] {
            let far = if from_client {
                &mut self.to_server
            } else {
                &mut self.to_client
            };
            self.inspector.finish(from_client, &mut self.judge, far);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn post(message: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /dns-query HTTP/1.1\r\nHost: r.example\r\nContent-Type: application/dns-message\r\n\
         Content-Length: {}\r\n\r\n",
        message.len()
    );
    [head.as_bytes(), message].concat()
}

fn reply(message: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: {}\r\n\r\n",
        message.len()
    );
    [head.as_bytes(), message].concat()
}

fn forged() -> Vec<u8> {
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 6\r\nCache-Control: \
          no-store\r\n\r\n",
        FORGED,
    ]
    .concat()
}

/// Every kind of framing in one conversation, both directions.
fn conversation() -> Vec<(bool, Vec<u8>)> {
    let said: [(bool, &[u8]); 9] = [
        (true, b"GET /a?b HTTP/1.1\r\nHost: A.example:80\r\nX-Forwarded-For: 192.0.2.9, ::1\r\n\r\n"),
        (true, b"HEAD http://b.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nabc"),
        (false, b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"),
        (true, b"PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (false, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (true, b"5;x=\"y\"\r\nGET /\r\n00\r\nTrailer: a\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"),
        (false, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (false, b"HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n"),
    ];
    said.into_iter()
        .map(|(side, bytes)| (side, bytes.to_vec()))
        .collect()
}

const CONVERSATION: [&str; 9] = [
    "1 GET a.example /a?b 192.0.2.9 -",
    "2 HEAD b.example /x - -",
    "1 200 text/html",
    "2 200 -",
    "3 PUT a.example / - -",
    "3 100 -",
    "4 GET - / - -",
    "3 204 -",
    "4 200 a/b",
];

#[test]
fn a_conversation_passes_as_it_came_and_is_read() {
    let mut between = Between::new(HttpVersion::Http1);
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for (from_client, bytes) in conversation() {
        between.push(from_client, &bytes);
        if from_client { &mut client } else { &mut server }.extend_from_slice(&bytes);
    }
    assert_eq!(
        between.judge.events.join("\n").to_ascii_lowercase(),
        CONVERSATION.join("\n").to_ascii_lowercase()
    );
    assert_eq!(
        (text(&between.to_server), text(&between.to_client)),
        (text(&client), text(&server))
    );
    assert!(
        between.inspector.memory() < 2048,
        "{}",
        between.inspector.memory()
    );
}

#[test]
fn listed_queries_never_leave_and_are_answered_in_their_turn() {
    let mut between = Between::new(HttpVersion::Http1);
    between.client(&post(LISTED));
    assert_eq!(text(&between.to_server), "");
    assert_eq!(text(&between.to_client), text(&forged()));
    // Behind a request that is not answered yet, the forged answer waits.
    between.to_client.clear();
    let get = b"GET /q?dns=AAABAAABAAAAAAAABmxpc3RlZAdleGFtcGxlAAABAAE HTTP/1.1\r\nHost: r.example\r\n\r\n";
    let other = post(QUERY);
    between.client(&other).client(get).client(&other);
    assert_eq!(text(&between.to_server), text(&[&*other, &*other].concat()));
    assert_eq!(text(&between.to_client), "");
    between.server(&reply(b"one")).server(&reply(b"alias"));
    assert_eq!(
        text(&between.to_client),
        text(&[reply(b"one"), forged(), forged()].concat())
    );
    assert_eq!(between.judge.queries, 4);
    assert!(!between.cut);
}

#[test]
fn what_could_be_read_in_two_ways_is_a_fault() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    for (request, name) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n",
            "malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            "malformed",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\n\r\n", "malformed"),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx",
            "malformed",
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
            "malformed",
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
            "malformed",
        ),
        (&long, "over-limit"),
    ] {
        for piece in [usize::MAX, 7] {
            let mut between = Between::new(HttpVersion::Http1);
            let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            between.client(good.as_bytes());
            for bytes in request.as_bytes().chunks(piece) {
                between.client(bytes);
            }
            assert_eq!(
                between.judge.events.last().map(String::as_str),
                Some(name),
                "{request:.200}"
            );
            // Allowed, it goes on, not a byte changed.
            assert!(text(&between.to_server) == format!("{good}{request}"));
            assert!(!between.inspector.is_reading());
        }
    }
}

#[test]
fn other_protocols_are_let_alone() {
    let mut between = Between::new(HttpVersion::Unknown);
    between
        .server(b"220 mail.example ESMTP\r\n")
        .client(b"EHLO a\r\n");
    assert_eq!(between.judge.events, ["other-protocol"]);
    let mut between = Between::new(HttpVersion::Unknown);
    between.client(b"PRI").client(b"VMSG x\r\n");
    assert_eq!(between.judge.events, ["other-protocol"]);
    assert_eq!(text(&between.to_server), "PRIVMSG x\r\n");
    // After a switch nothing is read; before it, what follows CONNECT is anyone's guess.
    let connect = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let mut between = Between::new(HttpVersion::Unknown);
    between
        .client(connect)
        .server(b"HTTP/1.1 200 OK\r\n\r\nGET")
        .client(b"\x16\x03\x01");
    assert_eq!(
        between.judge.events,
        ["1 CONNECT a.example  - -", "1 200 -", "tunnel"]
    );
    let mut between = Between::new(HttpVersion::Http1);
    between.client(connect).client(b"GET / HTTP/1.1\r\n");
    assert_eq!(between.judge.events.last().map(String::as_str), Some("malformed"));
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let mut between = Between::new(HttpVersion::Http1);
    between.client(upgrade).server(b"HTTP/1.1 101 x\r\n\r\n\x81\x05");
    assert_eq!(between.judge.events.last().map(String::as_str), Some("upgraded"));
    assert_eq!(text(&between.to_client), "HTTP/1.1 101 x\r\n\r\n\u{fffd}\x05");
}

#[test]
fn a_cut_is_for_good() {
    let mut between = Between::new(HttpVersion::Http1);
    between.judge.cut_at = Some("/secret");
    between.client(b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(between.cut && between.to_server.is_empty());
    between.cut = false;
    between.server(b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(between.cut);
}

#[test]
fn a_long_body_keeps_nothing() {
    let mut between = Between::new(HttpVersion::Http1);
    between.client(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    between.server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    let before = between.inspector.memory();
    for _ in 0..10 {
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        let passage = between
            .inspector
            .push(false, &[0; 16_384], &mut between.judge, &mut onward, &mut back);
        assert_eq!(
            (passage, onward.capacity(), back.capacity()),
            (Passage::Pass, 0, 0)
        );
    }
    assert_eq!(between.inspector.memory(), before);
}

/// Cuts each saying into pieces, keeping the order of the two sides.
fn pieces(said: &[(bool, Vec<u8>)], sizes: &[usize]) -> Vec<(bool, Vec<u8>)> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut out = Vec::new();
    for (side, bytes) in said {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            out.push((*side, piece.to_vec()));
            rest = more;
        }
    }
    out
}

fn run(version: HttpVersion, said: &[(bool, Vec<u8>)]) -> Between {
    let mut between = Between::new(version);
    for (side, bytes) in said {
        between.push(*side, bytes);
    }
    between.end();
    between
}

#[test]
fn a_frame_without_payload_does_not_wait() {
    let mut between = Between::new(HttpVersion::Http2);
    let end = [0, 0, 0, 0, 1, 0, 0, 0, 1];
    for byte in end {
        between.server(&[byte]);
    }
    assert_eq!(between.to_client, end);
}

proptest! {
    #[test]
    fn no_cut_changes_what_is_read(sizes in prop::collection::vec(1_usize..60, 1..9)) {
        let said = conversation();
        let (whole, cut) = (run(HttpVersion::Unknown, &said), run(HttpVersion::Unknown, &pieces(&said, &sizes)));
        prop_assert_eq!(whole.judge.events, cut.judge.events);
        prop_assert_eq!(whole.to_server, cut.to_server);
        prop_assert_eq!(whole.to_client, cut.to_client);
    }

    #[test]
    fn no_cut_changes_what_is_answered(
        sizes in prop::collection::vec(1_usize..60, 1..9),
        order in prop::collection::vec(0_u8..4, 1..8),
    ) {
        // Queries, listed and not, and other requests, each answered before the next one's answer.
        let (mut said, mut server, mut client) = (Vec::new(), Vec::new(), Vec::new());
        for kind in order {
            let (asked, answered) = match kind {
                0 => (post(LISTED), None),
                1 => (post(QUERY), Some(reply(b"reply"))),
                2 => (post(QUERY), Some(reply(b"alias"))),
                _ => (
                    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
                    Some(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
                ),
            };
            said.push((true, asked.clone()));
            match answered {
                Some(answered) => {
                    server.extend(asked);
                    client.extend(if kind == 2 { forged() } else { answered.clone() });
                    said.push((false, answered));
                }
                None => client.extend(forged()),
            }
        }
        let between = run(HttpVersion::Http1, &pieces(&said, &sizes));
        prop_assert_eq!(text(&between.to_server), text(&server));
        prop_assert_eq!(text(&between.to_client), text(&client));
    }

    #[test]
    fn whatever_is_said_passes_byte_by_byte(
        said in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                prop::collection::vec(any::<u8>(), 0..60),
                prop::sample::select(conversation()).prop_map(|(_, bytes)| bytes),
            ]),
            0..10,
        ),
        sizes in prop::collection::vec(1_usize..60, 1..9),
        known in any::<bool>(),
    ) {
        let version = if known { HttpVersion::Http1 } else { HttpVersion::Unknown };
        let between = run(version, &pieces(&said, &sizes));
        prop_assert!(!between.cut);
        for (side, out) in [(true, &between.to_server), (false, &between.to_client)] {
            let sent: Vec<u8> = said.iter().filter(|(from, _)| *from == side).flat_map(|(_, bytes)| bytes.clone()).collect();
            prop_assert_eq!(text(out), text(&sent));
        }
        prop_assert!(between.inspector.memory() < 200_000);
    }

    #[test]
    fn no_frames_panic(
        said in prop::collection::vec(
            (any::<bool>(), 0_u8..11, any::<u8>(), 0_u32..6, prop::collection::vec(any::<u8>(), 0..40)),
            0..30,
        ),
        sizes in prop::collection::vec(1_usize..60, 1..9),
        dns: bool,
    ) {
        let mut sayings = vec![(true, inspector::PREFACE.to_vec())];
        if dns {
            // From here on blocks are written anew.
            let block = b"\x83\x87\x0f\x10\x17application/dns-message";
            sayings.push((true, [&[0, 0, 28, 1, 4, 0, 0, 0, 1], &block[..]].concat()));
        }
        for (side, kind, flags, stream, payload) in said {
            let length = u8::try_from(payload.len()).unwrap();
            let header = [0, 0, length, kind, flags, 0, 0, 0, u8::try_from(stream).unwrap()];
            sayings.push((side, [&header, &*payload].concat()));
        }
        let between = run(HttpVersion::Http2, &pieces(&sayings, &sizes));
        prop_assert!(between.inspector.memory() < 1 << 20);
        if !dns && !between.cut {
            // Windows and settings that mean nothing aside, what came went on.
            let kept = between.to_server.len() + between.to_client.len();
            let sent: usize = sayings.iter().map(|(_, bytes)| bytes.len()).sum();
            prop_assert!(kept <= sent);
        }
    }
}
