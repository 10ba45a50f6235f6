//! The engine with everything decrypted, and the processor time that it takes.

use std::{sync::Arc, time::Duration};

use cordon_benches::processor_time;
use decrypt::tls::Proxy;
use engine::{
    Decrypting, Env, Frame, Ingress, Outputs, Placement, Ruleset, Shard, ShardLimits, Sides, Verdict, place,
};
use inspect::domains::DomainSetBuilder;
use packet::{Checksums, FragmentLimits, LinkType, Timestamp, Wire, build::Summing, parse};
use policy::{
    Action, DecryptAction, DecryptionRuleDraft, InterfaceId, Policy, PolicyBuilder, SecurityRuleDraft,
    SymbolsBuilder, WireSpec, ZoneDraft,
};
use tags::{TagLimits, TagNames, TagStore};

const WIRE: Wire = Wire(0);

/// Which of the firewall's two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Lan,
    Wan,
}

impl Port {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Lan => Self::Wan,
            Self::Wan => Self::Lan,
        }
    }
}

/// A frame and the port it comes to, or leaves by.
pub(crate) type AtPort = (Port, Vec<u8>);

/// One shard, with all that is around it.
pub(crate) struct Firewall {
    ruleset: Ruleset,
    tags: TagStore,
    sides: Sides,
    shard: Shard,
    out: Outputs,
    interfaces: [InterfaceId; 2],
    frames: u64,
    /// What it has taken of this thread's processor time.
    pub(crate) spent: Duration,
}

impl Firewall {
    pub(crate) fn new(proxy: Arc<Proxy>, summing: Summing) -> Self {
        let (policy, interfaces) = policy();
        let decrypting = Decrypting {
            proxy,
            summing,
            pause: Arc::default(),
            excluded: Arc::default(),
        };
        let ruleset = Ruleset::new(policy, DomainSetBuilder::new(0).build(), 1).decrypting(decrypting);
        Self {
            sides: Sides::new(Vec::new(), ruleset.policy(), WIRE),
            ruleset,
            tags: TagStore::new(Arc::new(TagNames::new()), TagLimits::default()),
            shard: Shard::new(ShardLimits {
                sessions: 1 << 16,
                adopted: 1 << 16,
                fragments: FragmentLimits::default(),
            }),
            out: Outputs::default(),
            interfaces,
            frames: 0,
            spent: Duration::ZERO,
        }
    }

    /// Judges frames, and does what is due; adds what leaves to `left`.
    pub(crate) fn judge(&mut self, now: Timestamp, arrived: &[AtPort], left: &mut Vec<AtPort>) {
        let mut verdicts = Vec::with_capacity(arrived.len());
        let before = processor_time();
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        for (port, bytes) in arrived {
            self.frames += 1;
            let ingress = self.interfaces[*port as usize];
            let packet =
                parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore).expect("built right");
            let Placement::Flow(_, flow) = place(&packet, WIRE, 0) else {
                panic!("built right");
            };
            let frame = Frame {
                number: self.frames,
                first_number: self.frames,
                frames: 1,
                stamp: now,
                ingress: Ingress::Interface(ingress),
                original_bytes: bytes.len() as u64,
                packet,
            };
            verdicts.push(self.shard.packet(&env, now, &frame, &flow, &mut self.out));
        }
        self.shard.wake(&env, now, &mut self.out);
        self.out.drain_events().for_each(drop);
        self.spent += processor_time().saturating_sub(before);
        for ((port, bytes), verdict) in arrived.iter().zip(verdicts) {
            match verdict {
                Verdict::Forward(_) => left.push((port.other(), bytes.clone())),
                Verdict::Held | Verdict::Consumed => {}
                verdict @ (Verdict::Answered | Verdict::Drop(_)) => panic!("{verdict:?}"),
            }
        }
        for emission in self.out.emissions() {
            let lan = emission.egress == self.interfaces[0];
            let port = if lan { Port::Lan } else { Port::Wan };
            left.push((port, emission.bytes.to_vec()));
        }
        self.out.clear();
    }

    /// Ends what has aged.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let before = processor_time();
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        self.shard.expire(&env, now, &mut self.out);
        self.out.clear();
        self.spent += processor_time().saturating_sub(before);
    }

    /// When something is due though nothing comes.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.shard.next_wake()
    }

    /// Sessions that were taken over.
    pub(crate) fn adopted(&self) -> u64 {
        self.shard.counters().adopted
    }
}

/// One wire between two zones; all is allowed, and decrypted.
fn policy() -> (Policy, [InterfaceId; 2]) {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
    for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
        builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]));
    }
    builder.add_rule(SecurityRuleDraft::new(symbols.intern("all"), Action::Allow));
    builder.add_decryption_rule(DecryptionRuleDraft::new(
        symbols.intern("open"),
        DecryptAction::Decrypt,
    ));
    let policy = builder.build(Arc::new(symbols.freeze())).expect("built right");
    (policy, interfaces)
}
