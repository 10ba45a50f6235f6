//! Queries for listed names from frames in memory: a reply forged and one record into the ring for each.

use std::{fs, hint::black_box, net::Ipv4Addr, net::SocketAddr, path::Path};

use cordon_benches::{Case, Meter, bare_walk, per_step};
use crossbeam::queue::ArrayQueue;
use engine::{Env, Event, Frame, Ingress, Outputs, Ruleset, Shard, ShardLimits, Sides, Verdict};
use packet::{Checksums, FragmentLimits, LinkType, Outline, Timestamp, Wire, build::ethernet_udp, parse};
use std::sync::Arc;
use tags::{TagLimits, TagNames, TagStore};

use super::captures::{ends, query};

const LISTED: u32 = 1_000_000;
/// Clients, each from a port of its own, each with a query of its own.
const CLIENTS: u32 = 20_000;
const RING: usize = 1 << 14;
/// Queries whose events are gathered before they go into the ring, as a port's burst is.
const BURST: usize = 32;
const WIRE: Wire = Wire(0);
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(crate) fn replies(folder: &Path) {
    let name = |number: u32| format!("c{number}.evil-{}.example", number % 977);
    let list: Vec<String> = (0..LISTED).map(name).collect();
    fs::write(folder.join("names.txt"), list.join("\n")).expect("a list");
    let names = Arc::new(TagNames::new());
    let loaded = control::load(&folder.join("cordon.toml"), &names, None, 1);
    let running = loaded.running.expect("a configuration");
    let ruleset = Ruleset::new(running.policy, Arc::clone(running.domains.set()), 1);
    let tags = TagStore::new(names, TagLimits::default());
    let sides = Sides::new(Vec::new(), ruleset.policy(), WIRE);
    let env = Env {
        ruleset: &ruleset,
        tags: &tags,
        sides: &sides,
        adopting: false,
    };
    let resolver = SocketAddr::new(Ipv4Addr::new(198, 51, 100, 53).into(), 53);
    let frames: Vec<Vec<u8>> = (0..CLIENTS)
        .map(|number| {
            let asked = name(number.wrapping_mul(2_654_435_761) % LISTED);
            ethernet_udp(&ends(number, 10_000, resolver), &query(7, &asked))
        })
        .collect();
    let mut shard = Shard::new(ShardLimits {
        sessions: 1 << 16,
        adopted: 0,
        fragments: FragmentLimits::default(),
    });
    let ring = ArrayQueue::new(RING);
    let mut out = Outputs::default();
    let meter = Meter::start();
    meter.compare(
        &format!(
            "Queries for {LISTED} listed names: a reply and a record for each, the record taken out again"
        ),
        "query",
        &mut [
            bare_walk(&frames),
            Case::new("sinkholed", || {
                let mut threats = 0;
                let nanos = per_step(frames.len(), || {
                    for burst in frames.chunks(BURST) {
                        for frame in burst {
                            ask(&env, &mut shard, frame, &mut out);
                        }
                        black_box(out.emissions().count());
                        for (_, event) in out.drain_events() {
                            assert!(ring.push(event).is_ok(), "the ring is emptied below");
                        }
                        out.clear();
                        while let Some(event) = ring.pop() {
                            threats += usize::from(matches!(event, Event::Record(_)));
                        }
                    }
                });
                assert!(threats >= frames.len(), "{threats} records");
                nanos
            }),
        ],
    );
}

fn ask(env: &Env<'_>, shard: &mut Shard, bytes: &[u8], out: &mut Outputs) {
    let length = bytes.len();
    let outline = Outline::of_ethernet(bytes, length, WIRE, 0).expect("built right");
    if shard
        .established(env, NOW, &outline, bytes, length as u64)
        .is_some()
    {
        return;
    }
    let frame = Frame {
        number: 1,
        first_number: 1,
        frames: 1,
        stamp: NOW,
        ingress: Ingress::Wire(WIRE),
        original_bytes: length as u64,
        packet: parse(LinkType::Ethernet, bytes, length, Checksums::Ignore).expect("built right"),
    };
    let verdict = shard.packet(env, NOW, &frame, &(&outline).into(), out);
    assert!(!matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
}
