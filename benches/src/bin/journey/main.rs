//! The path of a packet: established sessions and session set-up beside the bare walk over the same frames.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark: it prints, and may stop"
)]

mod lives;
mod memory;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cordon_benches::{Case, Meter, bare_walk, per_step};
use engine::{BURST, Env, Frame, Ingress, Outputs, Ruleset, Shard, ShardLimits, Sides, Verdict, fetch};
use inspect::domains::DomainSetBuilder;
use packet::{
    Checksums, FragmentLimits, LinkType, Outline, Timestamp, Wire,
    build::{Ends, ethernet_udp},
    parse,
};
use policy::{Action, Policy, PolicyBuilder, SecurityRuleDraft, SymbolsBuilder, WireSpec, ZoneDraft};
use tags::{TagLimits, TagNames, TagStore};

const WIRE: Wire = Wire(0);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

fn limits() -> ShardLimits {
    ShardLimits {
        sessions: 1 << 20,
        adopted: 0,
        fragments: FragmentLimits::default(),
    }
}

fn main() {
    // `journey count FLOWS WALKS` does one thing and prints nothing: for callgrind, twice, with other numbers.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [count, flows, walks] = &arguments[..]
        && count == "count"
    {
        return count_instructions(flows.parse().expect("flows"), walks.parse().expect("walks"));
    }
    memory::of_sessions(1_000_000);
    let meter = Meter::start();
    for flows in [10_000, 100_000, 1_000_000] {
        journey(&meter, flows);
    }
    for flows in [10_000, 1_000_000] {
        lives::with_rules(&meter, flows);
    }
}

/// What frames are judged under, with nothing tagged.
struct Scene {
    tags: TagStore,
    ruleset: Ruleset,
    sides: Sides,
}

impl Scene {
    fn new(policy: Policy) -> Self {
        let ruleset = Ruleset::new(policy, DomainSetBuilder::new(0).build(), 1);
        Self {
            tags: TagStore::new(Arc::new(TagNames::new()), TagLimits::default()),
            sides: Sides::new(Vec::new(), ruleset.policy(), WIRE),
            ruleset,
        }
    }

    fn env(&self) -> Env<'_> {
        Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        }
    }
}

/// Sets sessions up and sends each a packet so many times.
fn count_instructions(flows: u32, walks: u32) {
    let frames: Vec<Vec<u8>> = (0..flows).map(frame).collect();
    let scene = Scene::new(policy());
    let env = scene.env();
    let (mut shard, mut out) = (Shard::new(limits()), Outputs::default());
    for _ in 0..walks {
        walk(&env, START, &frames, &mut shard, &mut out);
    }
}

fn journey(meter: &Meter, flows: u32) {
    let frames: Vec<Vec<u8>> = (0..flows).map(frame).collect();
    let scene = Scene::new(policy());
    let env = scene.env();
    let limits = limits();
    let (mut fresh_out, mut aged_out, mut known_out, mut young_out) = Default::default();
    let mut aged = Shard::new(limits);
    let mut now = START;
    let mut known = Shard::new(limits);
    // Until the applications are known, or given up.
    for _ in 0..10 {
        walk(&env, START, &frames, &mut known, &mut known_out);
    }
    meter.compare(
        &format!(
            "One frame of each of {flows} flows: Ethernet, IPv4, UDP, 60 bytes; one rule, inspection on"
        ),
        "packet",
        &mut [
            bare_walk(&frames),
            Case::new("established", || {
                per_step(frames.len(), || {
                    walk(&env, START, &frames, &mut known, &mut known_out);
                })
            }),
            Case::new("established, its application still asked for", || {
                let mut young = Shard::new(limits);
                walk(&env, START, &frames, &mut young, &mut young_out);
                per_step(frames.len(), || {
                    walk(&env, START, &frames, &mut young, &mut young_out);
                })
            }),
            Case::new("session set-up", || {
                now = now.saturating_add(Duration::from_hours(1));
                aged.expire(&env, now, &mut aged_out);
                aged_out.clear();
                assert_eq!(aged.session_count(), 0, "all have aged");
                per_step(frames.len(), || {
                    walk(&env, now, &frames, &mut aged, &mut aged_out);
                })
            }),
            Case::new("session set-up, table still empty", || {
                let mut fresh = Shard::new(limits);
                per_step(frames.len(), || {
                    walk(&env, START, &frames, &mut fresh, &mut fresh_out);
                })
            }),
        ],
    );
}

/// The whole way of every frame through the engine, a burst at a time, as ports do it.
#[inline(never)]
fn walk(env: &Env<'_>, now: Timestamp, frames: &[Vec<u8>], shard: &mut Shard, out: &mut Outputs) {
    let mut outlines = [None; BURST];
    for (frames, first) in frames.chunks(BURST).zip((1..).step_by(BURST)) {
        for (bytes, outline) in frames.iter().zip(&mut outlines) {
            *outline = Outline::of_ethernet(bytes, bytes.len(), WIRE, 0);
        }
        fetch(outlines.iter().flatten().map(|outline| (&*shard, outline)));
        for ((bytes, outline), number) in frames.iter().zip(&outlines).zip(first..) {
            let outline = outline.as_ref().expect("built right");
            let verdict = shard
                .established(env, now, outline, bytes, bytes.len() as u64)
                .unwrap_or_else(|| long_way(env, now, (bytes, number, outline), shard, out));
            assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
        }
    }
    out.clear();
}

fn long_way(
    env: &Env<'_>,
    now: Timestamp,
    (bytes, number, outline): (&[u8], u64, &Outline),
    shard: &mut Shard,
    out: &mut Outputs,
) -> Verdict {
    let frame = Frame {
        number,
        first_number: number,
        frames: 1,
        stamp: now,
        ingress: Ingress::Wire(WIRE),
        original_bytes: bytes.len() as u64,
        packet: parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore).expect("built right"),
    };
    shard.packet(env, now, &frame, &outline.into(), out)
}

fn frame(number: u32) -> Vec<u8> {
    let [_, a, b, c] = number.to_be_bytes();
    let client = SocketAddr::from(([10, a, b, c], 40_000));
    let ends = Ends::new(client, SocketAddr::from(([198, 51, 100, c], 9999)));
    ethernet_udp(&ends, &[0xff; 18])
}

/// One wire between two zones; all is allowed.
fn policy() -> Policy {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
    for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
        builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]));
    }
    builder.add_rule(SecurityRuleDraft::new(symbols.intern("all"), Action::Allow));
    builder.build(Arc::new(symbols.freeze())).expect("built right")
}
