//! Which rules accept a port.

use std::collections::BTreeMap;

use packet::IpProtocol;

use crate::PortSet;
use crate::criteria::{Criteria, ServiceColumn};
use crate::rule_bits::{BitStore, BitStoreBuilder, Block, RuleBits, StoredBits};

/// The sets of `service`.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    /// Rules that accept any port: the application may still matter.
    any: RuleBits,
    /// By port.
    tcp: Vec<StoredBits>,
    udp: Vec<StoredBits>,
    store: BitStore,
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
            let mut sets = Vec::with_capacity(PORTS);
            for (port, changes) in changes {
                sets.resize(port, set);
                for (rule, value) in changes {
                    current.set(rule, value);
                }
                set = store.store(current.blocks());
            }
            sets.resize(PORTS, set);
            sets
        });
        Self {
            any,
            tcp,
            udp,
            store: store.finish(),
        }
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

    /// The rules of a block that accept the port.
    pub(crate) fn block(&self, set: StoredBits, block: usize, bit: u32) -> Block {
        let summary = self.store.summary(set, block / 64);
        self.any.block(block) | self.store.block(summary, bit)
    }
}
