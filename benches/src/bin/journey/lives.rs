//! Sessions from their first packet to their record, under a thousand rules.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cordon_benches::{Case, Meter, bare_walk, per_step};
use engine::{Event, Order, Outputs, Shard};
use packet::build::{Ends, ethernet_udp};
use policy::{
    Action, AddressGroup, AddressGroupId, AddressObject, AddressRef, AddressValue, Criterion, GroupMembers,
    LogSetting, Policy, PolicyBuilder, SecurityRuleDraft, SymbolsBuilder, WireSpec, ZoneDraft,
};
use tags::Addresses;

use super::{START, Scene, limits, walk};

const RULES: u32 = 1_000;
const GROUPS: u32 = 250;
/// As many records as a worker hands on at a time.
const BATCH: usize = 4_096;

/// Each flow sends one datagram; then all age, and their records go into a queue and out of it.
pub(crate) fn with_rules(meter: &Meter, flows: u32) {
    let frames: Vec<Vec<u8>> = (0..flows).map(frame).collect();
    let scene = Scene::new(policy());
    let env = scene.env();
    let mut now = START;
    let (mut shard, mut out) = (Shard::new(limits()), Outputs::default());
    let (mut full, mut records) = (Shard::new(limits()), Outputs::default());
    let mut more = START;
    let mut queue: Vec<(Order, Event)> = Vec::with_capacity(BATCH);
    meter.compare(
        &format!(
            "{flows} sessions under {RULES} rules with {GROUPS} groups, each rule with a log forwarding profile"
        ),
        "session",
        &mut [
            bare_walk(&frames),
            Case::new("set up", || {
                now = now.saturating_add(Duration::from_hours(1));
                shard.expire(&env, now, &mut out);
                out.clear();
                assert_eq!(shard.session_count(), 0, "all have aged");
                per_step(frames.len(), || {
                    walk(&env, now, &frames, &mut shard, &mut out);
                })
            }),
            Case::new("set up, aged, its record into a queue and out", || {
                per_step(frames.len(), || {
                    for some in frames.chunks(BATCH) {
                        walk(&env, more, some, &mut full, &mut records);
                        more = more.saturating_add(Duration::from_mins(1));
                        full.expire(&env, more, &mut records);
                        queue.extend(records.drain_events());
                        assert!(queue.len() >= some.len(), "one record each");
                        queue.clear();
                    }
                })
            }),
        ],
    );
}

/// Clients in all of 10.0.0.0/8, servers in one /24.
fn frame(number: u32) -> Vec<u8> {
    let [_, a, b, c] = number.wrapping_mul(0x009e_3779).to_be_bytes();
    let client = SocketAddr::from(([10, a, b, c], 40_000));
    let ends = Ends::new(client, SocketAddr::from(([198, 51, 100, a ^ b ^ c], 9999)));
    ethernet_udp(&ends, &[0xff; 18])
}

/// Each rule allows a group of clients one server; the last one all that is left.
fn policy() -> Policy {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
    for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
        builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]));
    }
    let log_setting = Some(LogSetting(symbols.intern("to-the-store")));
    let mut object = |builder: &mut PolicyBuilder, octets: [u8; 4], length: u8| {
        let prefix = Addresses::prefix(octets.into(), length).expect("a prefix");
        AddressRef::Object(builder.add_address(AddressObject {
            name: symbols.intern(&format!("{octets:?}/{length}")),
            value: AddressValue::Addresses(prefix),
            tags: Vec::new(),
        }))
    };
    let octet = |number: u32| u8::try_from(number % 256).expect("below 256");
    let servers: Vec<AddressRef> = (0..=255)
        .map(|last| object(&mut builder, [198, 51, 100, last], 32))
        .collect();
    let groups: Vec<Vec<AddressRef>> = (0..GROUPS)
        .map(|group| {
            (0..4)
                .map(|part| object(&mut builder, [10, octet(group), part * 64, 0], 18))
                .collect()
        })
        .collect();
    for (number, members) in groups.into_iter().enumerate() {
        builder.add_group(AddressGroup {
            name: symbols.intern(&format!("group-{number}")),
            members: GroupMembers::Static(members),
            tags: Vec::new(),
        });
    }
    for number in 1..RULES {
        let mut rule = SecurityRuleDraft::new(symbols.intern(&format!("rule-{number}")), Action::Allow);
        let group = AddressRef::Group(AddressGroupId(number % GROUPS));
        rule.source = Criterion::Of(vec![group]);
        rule.destination = Criterion::Of(
            (0..64)
                .filter_map(|part| servers.get((number / GROUPS * 64 + part) as usize).copied())
                .collect(),
        );
        rule.log_setting = log_setting;
        builder.add_rule(rule);
    }
    let mut rest = SecurityRuleDraft::new(symbols.intern("rest"), Action::Allow);
    rest.log_setting = log_setting;
    builder.add_rule(rest);
    builder.build(Arc::new(symbols.freeze())).expect("built right")
}
