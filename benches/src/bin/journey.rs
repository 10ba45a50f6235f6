//! The path of a packet, timed: established sessions and session set-up beside the bare walk over the same
//! frames (parse, hash, nothing else), rule lookup at three sizes, listed and tagged lookups.
//!
//! Medians of five. Ratios count; absolute figures are this machine's.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

use std::{hint::black_box, net::SocketAddr, sync::Arc, time::Instant};

use engine::{Env, Frame, Ingress, Outputs, Placement, Ruleset, Shard, ShardLimits, Sides, place};
use inspect::domains::{DomainSet, DomainSetBuilder, ListOptions, ListTag};
use packet::{
    Checksums, DomainName, FlowTuple, FragmentLimits, IpProtocol, LinkType, Timestamp, Wire,
    build::{Ends, ethernet_udp},
    parse,
};
use policy::{
    Action, AddressRef, AntiSpoof, AppKnowledge, Criterion, Ethertypes, Policy, PolicyBuilder, Query,
    SecurityRuleDraft, SymbolsBuilder, VlanSet, WireSpec, ZoneDraft, ZoneId,
};
use tags::{Addresses, Cause, CauseSource, Context, Subject, TagLimits, TagNames, TagSet, TagStore};

const WIRE: Wire = Wire(0);
const ROUNDS: usize = 5;

fn main() {
    for flows in [10_000_u32, 100_000] {
        journey(flows);
    }
    for rules in [10, 1_000, 10_000] {
        println!(
            "rule lookup, {rules:>6} rules           {:>9.1} ns",
            rule_lookup(rules)
        );
    }
    listed();
    tagged();
}

/// Keeps the compiler from leaving out what nobody looks at.
fn drop_result<T>(result: T) {
    drop(black_box(result));
}

/// The median of some rounds, in ns for each of `count` steps.
fn median(count: usize, mut round: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn journey(flows: u32) {
    let frames: Vec<Vec<u8>> = (0..flows).map(frame).collect();
    let tags = TagStore::new(Arc::new(TagNames::new()), TagLimits::default());
    let ruleset = Ruleset::new(policy(1), DomainSetBuilder::new(0).build(), 1);
    let sides = Sides::new(Vec::new(), ruleset.policy(), WIRE);
    let env = Env {
        ruleset: &ruleset,
        tags: &tags,
        sides: &sides,
        adopting: false,
    };
    let limits = ShardLimits {
        sessions: 1 << 20,
        fragments: FragmentLimits::default(),
    };
    let mut out = Outputs::default();
    let now = Timestamp::from_secs(1_700_000_000);

    let bare = median(frames.len(), || {
        for bytes in &frames {
            let packet =
                parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore).expect("built right");
            black_box(matches!(place(&packet, WIRE, 0), Placement::Flow(..)));
        }
    });
    let mut walk = |shard: &mut Shard| {
        for (bytes, number) in frames.iter().zip(1..) {
            let packet =
                parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore).expect("built right");
            let Placement::Flow(_, flow) = place(&packet, WIRE, 0) else {
                continue;
            };
            let frame = Frame {
                number,
                first_number: number,
                frames: 1,
                stamp: now,
                ingress: Ingress::Wire(WIRE),
                original_bytes: bytes.len() as u64,
                packet,
            };
            drop_result(shard.packet(&env, now, &frame, &flow, &mut out));
        }
        out.clear();
    };
    let set_up = median(frames.len(), || walk(&mut Shard::new(limits)));
    let mut shard = Shard::new(limits);
    walk(&mut shard);
    let established = median(frames.len(), || walk(&mut shard));
    println!("bare walk (parse, hash), {flows:>7} flows   {bare:>9.1} ns");
    println!(
        "established,             {flows:>7} flows   {established:>9.1} ns  {:>5.1} x bare",
        established / bare
    );
    println!(
        "session set-up,          {flows:>7} flows   {set_up:>9.1} ns  {:>5.1} x bare",
        set_up / bare
    );
}

fn frame(number: u32) -> Vec<u8> {
    let [_, a, b, c] = number.to_be_bytes();
    let client = SocketAddr::from(([10, a, b, c], 40_000));
    let ends = Ends::new(client, SocketAddr::from(([198, 51, 100, c], 9999)));
    ethernet_udp(&ends, &[0xff; 18])
}

/// A policy whose last rule allows all, behind `rules - 1` that do not match.
fn policy(rules: u32) -> Policy {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    builder.add_wire(WireSpec {
        name: symbols.intern("uplink"),
        interfaces,
        tag_allowed: VlanSet::all(),
        ethertypes: Ethertypes::All,
        protect_link_local: false,
        link_state_pass_through: false,
    });
    for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
        builder.add_zone(ZoneDraft {
            name: symbols.intern(name),
            interfaces: vec![(interface, None)],
            networks: Vec::new(),
            anti_spoof: AntiSpoof::NoTag,
            resolvers: Vec::new(),
        });
    }
    for number in 1..rules {
        let [_, a, b, c] = number.to_be_bytes();
        let name = symbols.intern(&format!("rule {number}"));
        let source: Addresses = format!("172.{}.{b}.{c}", 16 + a % 16)
            .parse()
            .expect("an address");
        builder.add_rule(SecurityRuleDraft {
            source: Criterion::Of(vec![AddressRef::Literal(source)]),
            ..SecurityRuleDraft::new(name, Action::Deny)
        });
    }
    builder.add_rule(SecurityRuleDraft::new(symbols.intern("all"), Action::Allow));
    builder.build(Arc::new(symbols.freeze())).expect("built right")
}

fn rule_lookup(rules: u32) -> f64 {
    const LOOKUPS: u32 = 2_000;
    let policy = policy(rules);
    let none = TagSet::new();
    median(LOOKUPS as usize, || {
        for number in 0..LOOKUPS {
            let [_, a, b, c] = number.to_be_bytes();
            let query = Query {
                from: ZoneId(0),
                to: ZoneId(1),
                tuple: FlowTuple {
                    src: [10, a, b, c].into(),
                    dst: [198, 51, 100, c].into(),
                    sport: 40_000,
                    dport: 443,
                    protocol: IpProtocol::TCP,
                },
                app: AppKnowledge::Unknown,
                category: None,
                src_tags: &none,
                dst_tags: &none,
            };
            black_box(policy.decide(&query));
        }
    })
}

fn listed() {
    const NAMES: u32 = 1_000_000;
    let lines: Vec<String> = (0..NAMES)
        .map(|number| format!("host{number}.example{}.com\n", number % 977))
        .collect();
    let text = lines.concat();
    let start = Instant::now();
    let mut builder = DomainSetBuilder::new(0);
    builder.add(ListTag(0), &text, &ListOptions::default());
    let set: DomainSet = builder.build();
    println!(
        "a million names: loaded in           {:>9.2} s",
        start.elapsed().as_secs_f64()
    );
    println!(
        "a million names: memory              {:>9.1} bytes a name",
        set.memory() as f64 / f64::from(NAMES)
    );
    let asked: Vec<DomainName> = (0..100_000_u32)
        .map(|number| {
            format!("host{}.example{}.com", number * 37, number % 977)
                .parse()
                .expect("a name")
        })
        .collect();
    let lookup = median(asked.len(), || {
        for name in &asked {
            black_box(set.lookup(name));
        }
    });
    println!("a million names: lookup              {lookup:>9.1} ns");
}

fn tagged() {
    const HOSTS: u32 = 1_000_000;
    let names = Arc::new(TagNames::new());
    let tag = names.intern("infected-host").expect("a tag");
    let store = TagStore::new(names, TagLimits::default());
    let now = Timestamp::from_secs(1);
    let address = |number: u32| {
        ((number.wrapping_mul(2_654_435_761) % HOSTS) | 0x0a00_0000)
            .to_be_bytes()
            .into()
    };
    for number in 0..HOSTS {
        let subject: Subject = std::net::IpAddr::from((number | 0x0a00_0000).to_be_bytes())
            .to_string()
            .parse()
            .expect("a host");
        let cause = Cause {
            source: CauseSource::Config,
            match_list: None,
            at: now,
        };
        drop_result(store.register(now, &subject, tag, None, false, cause));
    }
    let mut set = TagSet::new();
    let lookup = median(200_000, || {
        for number in 0..200_000 {
            set.clear();
            let context = Context {
                peer: [198, 51, 100, 1].into(),
                server_name: None,
            };
            black_box(store.lookup(now, address(number), context, &mut set));
        }
    });
    println!("a million tagged hosts: lookup       {lookup:>9.1} ns  (nobody writing)");
}
