//! A few bits that say of most rules that they do not accept a session.

use crate::ZoneId;
use crate::criteria::Criteria;
use crate::service_index::{PortClasses, Services};

/// Of a session: one bit for its zone of origin, one for the zone it goes to, one for its port. Of a rule: the bits
/// of every session that it may accept. Zones and ports share bits, so that a rule with all bits of a session may
/// still refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits(u16);

impl Traits {
    /// Of a rule that says nothing of zones or ports.
    pub(crate) const ALL: Self = Self(u16::MAX);

    /// Zones share so many bits.
    const ZONES: usize = 4;

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Of a session.
    #[inline]
    pub(crate) fn of_session(from: ZoneId, to: ZoneId, port: PortClasses) -> Self {
        Self(Self::from_zone(from.index()) | Self::to_zone(to.index()) | Self::ports(port))
    }

    /// Of every rule of a rule base; `services` was built for it.
    pub(crate) fn of_rules(rules: &[&Criteria], services: &Services) -> Vec<Self> {
        let classes = services.classes_of_rules(rules.len());
        let both = rules.iter().zip(classes);
        both.map(|(rule, classes)| Self::of_rule(rule, classes)).collect()
    }

    fn of_rule(rule: &Criteria, ports: PortClasses) -> Self {
        let from = rule.from.iter().map(|zone| Self::from_zone(zone.into()));
        let to = rule.to.iter().map(|zone| Self::to_zone(zone.into()));
        Self(from.chain(to).fold(Self::ports(ports), |all, bit| all | bit))
    }

    fn from_zone(zone: usize) -> u16 {
        1 << (zone % Self::ZONES)
    }

    fn to_zone(zone: usize) -> u16 {
        1 << (zone % Self::ZONES).wrapping_add(Self::ZONES)
    }

    fn ports(classes: PortClasses) -> u16 {
        u16::from(classes.0) << (2 * Self::ZONES)
    }
}
