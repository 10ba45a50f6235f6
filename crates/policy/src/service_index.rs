//! Which rules accept a port.

use std::collections::{BTreeMap, BTreeSet};

use packet::IpProtocol;

use crate::PortSet;
use crate::criteria::{Criteria, ServiceColumn};
use crate::rule_bits::{BitStore, BitStoreBuilder, Block, RuleBits, StoredBits};

/// The sets of `service`.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    /// Rules that accept any port: the application may still matter.
    any: RuleBits,
    /// By port; none has a set beyond the end.
    tcp: Vec<StoredBits>,
    udp: Vec<StoredBits>,
    store: BitStore,
}

/// Ports fall into eight classes, those with the same rules into the same; a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortClasses(pub(crate) u8);

impl PortClasses {
    const ALL: Self = Self(u8::MAX);
    const NONE: Self = Self(0);

    /// The one class of a port with this set.
    #[inline]
    pub(crate) fn of(set: StoredBits) -> Self {
        // Sets lie wherever the one before ends: multiplied, any bits of their places are as good as others.
        Self(1 << (set.as_raw().wrapping_mul(0x9e37_79b1) >> 29))
    }
}

/// How many ports a protocol has.
const PORTS: usize = 1 << 16;

impl Services {
    pub(crate) fn build(blocks: usize, rules: &[&Criteria]) -> Self {
        let mut any = RuleBits::new(blocks);
        let mut store = BitStoreBuilder::new(RuleBits::new(blocks));
        let mut changes: [BTreeMap<usize, Vec<(usize, bool)>>; 2] = [BTreeMap::new(), BTreeMap::new()];
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.disabled) {
            let ServiceColumn::Of(services) = &rule.service else {
                any.set(number, true);
                continue;
            };
            // Several services of a rule can overlap: each protocol's ports are joined first.
            let [tcp, udp] = &mut changes;
            for (changes, protocol) in [(tcp, IpProtocol::TCP), (udp, IpProtocol::UDP)] {
                let ports = services.iter().filter(|service| service.protocol == protocol);
                for &(first, last) in PortSet::union(ports.map(|service| &service.ports)).ranges() {
                    changes.entry(first.into()).or_default().push((number, true));
                    let beyond = usize::from(last).saturating_add(1);
                    changes.entry(beyond).or_default().push((number, false));
                }
            }
        }
        let [tcp, udp] = changes.map(|changes| {
            let mut current = RuleBits::new(blocks);
            let mut set = StoredBits::NONE;
            let mut sets = Vec::new();
            for (port, changes) in changes {
                sets.resize(port, set);
                for (rule, value) in changes {
                    current.set(rule, value);
                }
                set = store.store(current.blocks());
            }
            // Nearly all ports end in the same set, most often none: a table that ends there is made, asked and
            // given back sooner than one of all ports.
            if set != StoredBits::NONE {
                sets.resize(PORTS, set);
            }
            sets
        });
        Self {
            any,
            tcp,
            udp,
            store: store.finish(),
        }
    }

    /// The classes of the ports that each of so many rules accepts.
    pub(crate) fn classes_of_rules(&self, rules: usize) -> Vec<PortClasses> {
        let mut classes = vec![PortClasses::NONE; rules];
        let spans = [&self.tcp, &self.udp]
            .into_iter()
            .flat_map(|sets| sets.chunk_by(|a, b| a == b));
        let sets: BTreeSet<StoredBits> = spans.filter_map(|span| span.first()).copied().collect();
        for set in sets {
            for rule in self.store.rules(set, rules) {
                if let Some(classes) = classes.get_mut(rule) {
                    classes.0 |= PortClasses::of(set).0;
                }
            }
        }
        for rule in self.any.iter() {
            if let Some(classes) = classes.get_mut(rule) {
                *classes = PortClasses::ALL;
            }
        }
        classes
    }

    /// The set for a port.
    pub(crate) fn set(&self, protocol: IpProtocol, dport: u16) -> StoredBits {
        let sets = match protocol {
            IpProtocol::TCP => self.tcp.as_slice(),
            IpProtocol::UDP => &self.udp,
            _ => &[],
        };
        sets.get(usize::from(dport)).copied().unwrap_or(StoredBits::NONE)
    }

    /// Whether a rule accepts the port.
    pub(crate) fn accepts(&self, set: StoredBits, rule: usize) -> bool {
        self.lone_block(set, rule / 64) & 1 << (rule % 64) != 0
    }

    /// The same as [`Services::block`] where no other block of the same summary is wanted.
    pub(crate) fn lone_block(&self, set: StoredBits, block: usize) -> Block {
        self.any.block(block) | self.store.lone_block(set, block)
    }

    /// The rules of a block that accept the port.
    pub(crate) fn block(&self, set: StoredBits, block: usize, bit: u32) -> Block {
        let summary = self.store.summary(set, block / 64);
        self.any.block(block) | self.store.block(summary, bit)
    }
}
