//! TLS read from both directions, against what the oracle saw: names, versions, certificates, alerts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use inspect::tls::{HelloSearch, Peer, TlsEnd, TlsFailure, TlsWatch, client_hello, version_name};
use packet::{Checksums, FlowTuple, LinkType, StreamAssembler, Transport};
use ports::CaptureReader;
use serde_json::Value;

use crate::{oracle, shared};

/// One connection: its pieces in the order they were put together, and which end opened it.
struct Connection {
    streams: [StreamAssembler; 2],
    syn: [Option<u32>; 2],
    pieces: Vec<(usize, Vec<u8>)>,
}

impl Connection {
    fn new() -> Self {
        Self {
            streams: [StreamAssembler::new(1 << 20), StreamAssembler::new(1 << 20)],
            syn: [None; 2],
            pieces: Vec::new(),
        }
    }

    /// The watch that has seen it all; `None` where neither end sent TLS.
    fn watched(&self) -> Option<TlsWatch> {
        let begins = |end: usize| {
            let sent = self.pieces.iter().filter(|(from, _)| *from == end);
            let bytes: Vec<u8> = sent.flat_map(|(_, bytes)| bytes).copied().collect();
            bytes
                .first()
                .is_some_and(|byte| (20..24).contains(byte) || byte & 0x80 != 0)
                && !matches!(client_hello(&bytes), HelloSearch::NotTls | HelloSearch::NeedMore)
        };
        let (first, _) = self.pieces.first()?;
        // Where only a server was captured, it is the one that speaks.
        let answers = matches!(self.pieces.first(), Some((_, bytes)) if bytes.get(5) == Some(&2));
        let client = (0..2)
            .find(|end| begins(*end))
            .unwrap_or(if answers { 1 - first } else { *first });
        let mut watch = TlsWatch::default();
        for (from, bytes) in &self.pieces {
            let peer = if *from == client {
                Peer::Client
            } else {
                Peer::Server
            };
            watch.push(peer, bytes);
        }
        Some(watch)
    }
}

fn connections(file: &Path) -> Vec<Connection> {
    let mut open: BTreeMap<FlowTuple, Connection> = BTreeMap::new();
    let mut over = Vec::new();
    let mut reader = CaptureReader::open(file, "capture").unwrap();
    while let Ok(Some(frame)) = reader.next_frame() {
        let Some(link) = LinkType::from_pcap(frame.link) else {
            continue;
        };
        let original = usize::try_from(frame.original_len).unwrap();
        let Ok(packet) = packet::parse(link, frame.bytes, original, Checksums::Ignore) else {
            continue;
        };
        let (Some(tuple), Some(ip)) = (packet.flow_tuple(), packet.ip()) else {
            continue;
        };
        let Transport::Tcp(tcp) = &ip.transport else {
            continue;
        };
        let key = tuple.min(tuple.reversed());
        let end = usize::from(key != tuple);
        if tcp.flags.syn() {
            let known = open.get(&key).and_then(|connection| connection.syn[end]);
            if known.is_some_and(|seq| seq != tcp.seq) && !tcp.flags.ack() {
                over.extend(open.remove(&key));
            }
        }
        let connection = open.entry(key).or_insert_with(Connection::new);
        let stream = &mut connection.streams[end];
        if tcp.flags.syn() && connection.syn[end].replace(tcp.seq).is_none() {
            stream.start(tcp.seq.wrapping_add(1));
        }
        let seq = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
        let pieces = &mut connection.pieces;
        stream.push(seq, tcp.payload, &mut |bytes| pieces.push((end, bytes.to_vec())));
    }
    over.extend(open.into_values());
    over
}

/// Counts, by what is counted.
type Counts = BTreeMap<String, u64>;

fn count(counts: &mut Counts, what: String) {
    *counts.entry(what).or_default() += 1;
}

fn oracle_counts(counts: &Value) -> Counts {
    let counts = counts.as_object().into_iter().flatten();
    counts
        .map(|(what, count)| (what.clone(), count.as_u64().unwrap()))
        .collect()
}

#[test]
fn tls_is_read_as_the_oracle_reads_it() {
    let Some(shared) = shared() else { return };
    let mut different = BTreeSet::new();
    let mut captures = 0;
    for facts in oracle(&shared) {
        let name = facts["name"].as_str().unwrap();
        let tls = &facts["tls"];
        if !name.starts_with("tls/") || tls.is_null() {
            continue;
        }
        captures += 1;
        let mut names = BTreeSet::new();
        let (mut versions, mut alerts) = (Counts::new(), Counts::new());
        let mut leaves = BTreeSet::new();
        for watch in connections(&shared.join("pcaps").join(name))
            .iter()
            .filter_map(Connection::watched)
        {
            let seen = watch.facts();
            names.extend(seen.server_name.map(|name| name.to_string().to_lowercase()));
            if let Some(server) = &seen.server {
                count(&mut versions, version_name(server.version).to_owned());
            }
            leaves.extend(seen.certificate.as_ref().map(|leaf| leaf.cn.to_string()));
            let outcome = watch.ended(TlsEnd::Silent);
            if let Some(TlsFailure::Alert { from, alert }) = outcome.map(|outcome| outcome.failure) {
                count(&mut alerts, format!("{}/{from}", alert.description));
            }
        }
        let hellos = tls["client_hello_list"].as_array().into_iter().flatten();
        let expected: BTreeSet<String> = hellos
            .filter(|hello| hello["transport"] == "tcp")
            .filter_map(|hello| hello["sni"].as_str())
            .map(str::to_lowercase)
            .collect();
        let mut difference = |what: &str, same: bool, text: String| {
            if !same {
                eprintln!("{name}: {what}: {text}");
                different.insert(format!("{name} {what}"));
            }
        };
        difference("names", names == expected, format!("{names:?} for {expected:?}"));
        let expected: Counts = oracle_counts(&tls["negotiated_versions"])
            .into_iter()
            .filter(|(version, _)| version != "None")
            .map(|(version, count)| {
                let named = version.replace(' ', "");
                // Drafts have numbers only.
                let drafts = named.starts_with("0x");
                (if drafts { String::new() } else { named }, count)
            })
            .collect();
        difference(
            "versions",
            versions == expected,
            format!("{versions:?} for {expected:?}"),
        );
        let mut expected = Counts::new();
        for (alert, count) in oracle_counts(&tls["alert_counts"]) {
            // fatal/handshake_failure(40)/server
            let Some((code, from)) = alert
                .strip_prefix("fatal/")
                .and_then(|alert| alert.split_once(")/"))
            else {
                continue;
            };
            let code = code.split_once('(').unwrap().1;
            expected.insert(format!("{code}/{from}"), count);
        }
        difference(
            "alerts",
            alerts == expected,
            format!("{alerts:?} for {expected:?}"),
        );
        let subjects: BTreeSet<String> = tls["certificate_subject_cns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cn| cn.as_str().unwrap().to_owned())
            .collect();
        leaves.remove("");
        difference(
            "certificates",
            leaves.is_subset(&subjects) && leaves.is_empty() == subjects.is_empty(),
            format!("{leaves:?} of {subjects:?}"),
        );
    }
    assert_eq!(captures, 50);
    let explained: BTreeSet<String> = EXPLAINED.iter().map(|(what, _)| (*what).to_owned()).collect();
    assert_eq!(different, explained);
}

/// Where we differ from the oracle, and why.
const EXPLAINED: &[(&str, &str)] = &[
    ("tls/sites.pcapng versions", "two of its connections are QUIC"),
    (
        "tls/ssl-v2.pcap certificates",
        "the certificate is in a hello of SSL 2, which is stepped over",
    ),
    (
        "tls/tls-fragmented-handshake.pcap names",
        "an address is no server name (RFC 6066)",
    ),
    (
        "tls/tls_multiple_synack_different_seq.pcapng versions",
        "the first SYN-ACK is forged: the test begins with its sequence number",
    ),
    (
        "tls/tls_multiple_synack_different_seq.pcapng certificates",
        "as above",
    ),
];
