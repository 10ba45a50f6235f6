//! The session table, its deadlines and its bound against a list that is walked from end to end.

use std::{net::IpAddr, sync::Arc, time::Duration};

use logs::Body;
use packet::{FlowKey, FlowTuple, VlanTags};
use policy::{
    Action, Decision, Policy, PolicyBuilder, RuleId, SecurityRuleDraft, SymbolsBuilder, WireSpec, ZoneDraft,
    ZoneId,
};
use proptest::prelude::*;
use tags::{TagLimits, TagNames, TagStore};

use super::*;
use crate::{Event, Ruleset, Sides, session::Ruling};

const CAPACITY: usize = 8;
const FLOWS: u8 = 24;

/// What is done to the table; flows by their number.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open(u8),
    Find(u8),
    Close(u8),
    Touch(u8),
    Shorten(u8),
    Discard(u8),
    /// Milliseconds pass.
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let flow = 0..FLOWS;
    prop_oneof![
        4 => flow.clone().prop_map(Step::Open),
        2 => flow.clone().prop_map(Step::Find),
        1 => flow.clone().prop_map(Step::Close),
        3 => flow.clone().prop_map(Step::Touch),
        1 => flow.clone().prop_map(Step::Shorten),
        1 => flow.prop_map(Step::Discard),
        2 => (0..40_000_u32).prop_map(Step::Wait),
    ]
}

/// A flow: every third is TCP, and some differ in nothing but their VLAN or in the order of their ends.
fn key(flow: u8) -> FlowKey {
    let host = |last: u8| IpAddr::from([10, 0, 0, last]);
    let tuple = FlowTuple {
        src: host(flow / 4),
        dst: host(100),
        sport: 1000,
        dport: 1000,
        protocol: if flow.is_multiple_of(3) {
            IpProtocol::TCP
        } else {
            IpProtocol::UDP
        },
    };
    let vlans = VlanTags::single(u16::from(flow % 4));
    FlowKey::new(Wire(0), vlans, &tuple)
}

/// One session of the list.
#[derive(Clone, Copy, Debug)]
struct Known {
    flow: u8,
    id: u64,
    deadline: Timestamp,
    discard: bool,
}

fn timeout(known: &Known) -> Duration {
    Duration::from_secs(match (known.discard, key(known.flow).tuple().protocol) {
        (false, _) => 30,
        (true, IpProtocol::TCP) => 90,
        (true, _) => 60,
    })
}

/// What a session left behind: its id and why it ended.
type End = (u64, SessionEndReason);

#[derive(Debug, Default)]
struct Naive {
    known: Vec<Known>,
    ends: Vec<End>,
}

impl Naive {
    fn find(&mut self, flow: u8) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.flow == flow)
    }

    fn end(&mut self, place: usize, reason: Option<SessionEndReason>) {
        let known = self.known.remove(place);
        if !known.discard {
            self.ends
                .push((known.id, reason.unwrap_or(SessionEndReason::Unknown)));
        }
    }

    fn open(&mut self, now: Timestamp, flow: u8, id: u64) {
        if self.find(flow).is_some() {
            return;
        }
        if self.known.len() == CAPACITY {
            let next = (0..CAPACITY).min_by_key(|place| (self.known[*place].deadline, self.known[*place].id));
            self.end(next.unwrap(), Some(SessionEndReason::ResourcesUnavailable));
        }
        let known = Known {
            flow,
            id,
            deadline: now,
            discard: false,
        };
        self.known.push(known);
        self.touch(now, flow);
    }

    fn touch(&mut self, now: Timestamp, flow: u8) {
        if let Some(known) = self.find(flow) {
            known.deadline = now.saturating_add(timeout(known));
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(place) = self.known.iter().position(|known| known.deadline <= now) {
            self.end(place, Some(SessionEndReason::AgedOut));
        }
    }
}

fn policy() -> Policy {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
    builder.add_zone(ZoneDraft::new(symbols.intern("all"), &interfaces));
    builder.add_rule(SecurityRuleDraft::new(symbols.intern("all"), Action::Allow));
    builder.build(Arc::new(symbols.freeze())).unwrap()
}

fn ruling(ruleset: &Ruleset) -> Arc<Ruling> {
    let decision = Decision {
        rule: RuleId(0),
        action: Action::Allow,
        provisional: false,
        name_matters: false,
    };
    Rulings::default().of_new(
        ruleset,
        decision,
        [ZoneId(0); 2],
        [InterfaceId(0), InterfaceId(1)],
    )
}

fn session(ruleset: &Ruleset, flow: u8, id: u64, now: Timestamp) -> Session {
    Session::new(&key(flow), id, now, 0, ruling(ruleset))
}

fn hash(flow: u8) -> u64 {
    key(flow).symmetric_hash(0)
}

fn ends(out: &mut Outputs) -> Vec<End> {
    let mut ends: Vec<End> = out
        .drain_events()
        .map(|(order, event)| {
            let Event::Record(record) = event else {
                panic!("{event:?}")
            };
            let Body::Traffic(traffic) = record.body else {
                panic!("{record:?}")
            };
            (order.number, traffic.session_end_reason)
        })
        .collect();
    ends.sort_unstable();
    ends
}

proptest! {
    #[test]
    fn sessions_come_and_go_as_in_a_list(steps in proptest::collection::vec(step(), 1..400)) {
        let ruleset = Ruleset::new(policy(), inspect::domains::DomainSetBuilder::new(0).build(), 1);
        let tags = TagStore::new(Arc::new(TagNames::new()), TagLimits::default());
        let sides = Sides::new(Vec::new(), ruleset.policy(), Wire(0));
        let env = Env {
            ruleset: &ruleset,
            tags: &tags,
            sides: &sides,
            adopting: false,
        };
        let limits = ShardLimits { sessions: CAPACITY, adopted: 0, fragments: FragmentLimits::default() };
        let (mut shard, mut naive, mut out) = (Shard::new(limits), Naive::default(), Outputs::default());
        let mut now = Timestamp::from_secs(1000);

        for (step, id) in steps.into_iter().zip(1..) {
            let find = |shard: &Shard, key: FlowKey| shard.sessions.find(key.symmetric_hash(0), &key);
            let slot = |shard: &Shard, flow| find(shard, key(flow)).map(|(slot, _)| slot);
            match step {
                Step::Open(flow) => {
                    if slot(&shard, flow).is_none() {
                        let slot = shard.insert(&env, now, hash(flow), session(&ruleset, flow, id, now), &mut out).unwrap();
                        shard.touch(now, slot);
                    }
                    naive.open(now, flow, id);
                }
                Step::Find(flow) => {
                    let known = naive.find(flow).map(|known| known.id);
                    for (key, way) in [
                        (key(flow), Direction::ClientToServer),
                        (key(flow).reversed(), Direction::ServerToClient),
                    ] {
                        let found = find(&shard, key);
                        let session = found.and_then(|(slot, _)| shard.sessions.get(slot));
                        prop_assert_eq!(session.map(Session::id), known);
                        prop_assert_eq!(found.map(|(_, direction)| direction), known.map(|_| way));
                    }
                }
                Step::Close(flow) => {
                    if let Some(slot) = slot(&shard, flow) {
                        shard.close(&env, now, slot, &mut out);
                    }
                    if let Some(place) = naive.known.iter().position(|known| known.flow == flow) {
                        naive.end(place, None);
                    }
                }
                Step::Touch(flow) => {
                    if let Some(slot) = slot(&shard, flow) {
                        shard.touch(now, slot);
                    }
                    naive.touch(now, flow);
                }
                Step::Shorten(flow) => {
                    if let Some(slot) = slot(&shard, flow) {
                        let before = shard.sessions.get(slot).unwrap().deadline();
                        shard.shorten(&env, now, slot, before);
                    }
                    let soon = now.saturating_add(Duration::from_secs(30));
                    if let Some(known) = naive.find(flow) {
                        known.deadline = known.deadline.min(soon);
                    }
                }
                Step::Discard(flow) => {
                    if let Some(slot) = slot(&shard, flow) {
                        shard.discard(now, slot);
                    }
                    if let Some(known) = naive.find(flow) {
                        known.discard = true;
                    }
                    naive.touch(now, flow);
                }
                Step::Wait(millis) => {
                    now = now.saturating_add(Duration::from_millis(u64::from(millis)));
                    shard.expire(&env, now, &mut out);
                    naive.expire(now);
                }
            }
            naive.ends.sort_unstable();
            prop_assert_eq!(ends(&mut out), std::mem::take(&mut naive.ends), "after {:?}", step);
            prop_assert_eq!(shard.session_count(), naive.known.len());
            let [queued, bound] = shard.ages.size();
            prop_assert!(queued <= bound && bound <= 64 + 2 * CAPACITY);
        }
        let held: Vec<u64> = shard.sessions.slots().map(|(_, session)| session.id()).collect();
        for known in &naive.known {
            prop_assert!(held.contains(&known.id));
        }
    }
}

/// Ports used again and again leave deadlines behind that lie an hour ahead.
#[test]
fn deadlines_of_sessions_that_are_gone_do_not_pile_up() {
    let ruleset = Ruleset::new(policy(), inspect::domains::DomainSetBuilder::new(0).build(), 1);
    let tags = TagStore::new(Arc::new(TagNames::new()), TagLimits::default());
    let sides = Sides::new(Vec::new(), ruleset.policy(), Wire(0));
    let env = Env {
        ruleset: &ruleset,
        tags: &tags,
        sides: &sides,
        adopting: false,
    };
    let limits = ShardLimits {
        sessions: CAPACITY,
        adopted: 0,
        fragments: FragmentLimits::default(),
    };
    let (mut shard, mut out) = (Shard::new(limits), Outputs::default());
    let now = Timestamp::from_secs(1000);
    for id in 1..10_000 {
        let slot = shard
            .insert(&env, now, hash(0), session(&ruleset, 0, id, now), &mut out)
            .unwrap();
        shard.touch(now, slot);
        shard.close(&env, now, slot, &mut out);
        let [queued, bound] = shard.ages.size();
        assert!(queued <= bound && bound <= 64 + 2 * CAPACITY, "{id}");
    }
}
