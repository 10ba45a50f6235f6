//! Zones and the virtual wires between them.

use std::sync::Arc;

use packet::VlanTags;

use crate::{InterfaceId, Networks, Symbol};

/// What happens to a source outside its zone's networks; its tags are refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AntiSpoof {
    /// It passes, but can never be tagged from there.
    #[default]
    NoTag,
    /// It is dropped, except where the engine exempts it (unspecified and link-local sources).
    Drop,
}

/// A security zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub name: Symbol,
    /// Whose sources live here. Empty: no anti-spoofing.
    pub networks: Networks,
    /// What happens to other sources.
    pub anti_spoof: AntiSpoof,
    /// Hosts here that ask DNS for others.
    pub resolvers: Networks,
    pub(crate) interfaces: Vec<(InterfaceId, Option<u16>)>,
}

impl Zone {
    /// The interfaces of the zone, each with the VLAN it is limited to. VLAN 0 stands for untagged frames.
    pub fn interfaces(&self) -> &[(InterfaceId, Option<u16>)] {
        &self.interfaces
    }
}

/// VLAN ids that may cross a wire; 0 stands for untagged frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanSet(Arc<[u64; 64]>);

/// Why a text is no set of VLANs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVlans {
    /// Not a number, or above 4094.
    #[error("a VLAN id is a number from 0 (untagged) to 4094, as in `0,10,100-199`")]
    Id,
    /// A range whose end comes before its beginning.
    #[error("a range of VLAN ids goes from the lower to the higher")]
    Range,
}

impl VlanSet {
    /// Every VLAN, and untagged frames.
    pub fn all() -> Self {
        Self(Arc::new([u64::MAX; 64]))
    }

    /// Whether frames with these tags may cross: the outermost decides.
    pub fn allows(&self, vlans: VlanTags) -> bool {
        let id = vlans.outer().unwrap_or(0);
        self.0
            .get(usize::from(id / 64))
            .is_some_and(|word| word & (1 << (id % 64)) != 0)
    }
}

impl std::str::FromStr for VlanSet {
    type Err = InvalidVlans;

    fn from_str(text: &str) -> Result<Self, InvalidVlans> {
        let id = |text: &str| match text.trim().parse::<u16>() {
            Ok(id) if id <= 4094 => Ok(id),
            _ => Err(InvalidVlans::Id),
        };
        let mut words = [0_u64; 64];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (id(first)?, id(last)?);
            if last < first {
                return Err(InvalidVlans::Range);
            }
            for id in first..=last {
                if let Some(word) = words.get_mut(usize::from(id / 64)) {
                    *word |= 1 << (id % 64);
                }
            }
        }
        Ok(Self(Arc::new(words)))
    }
}

/// Which non-IP frames may cross a wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ethertypes {
    /// All.
    #[default]
    All,
    /// These only.
    Only(Vec<u16>),
}

impl Ethertypes {
    /// Spanning tree frames have a length where others have an ethertype; the parser reports this.
    pub const STP: u16 = 0x42;

    const NAMES: [(&str, u16); 12] = [
        ("arp", 0x0806),
        ("rarp", 0x8035),
        ("lldp", 0x88cc),
        ("stp", Self::STP),
        ("eapol", 0x888e),
        ("lacp", 0x8809),
        ("cfm", 0x8902),
        ("ptp", 0x88f7),
        ("mpls", 0x8847),
        ("macsec", 0x88e5),
        ("pppoe-discovery", 0x8863),
        ("profinet", 0x8892),
    ];

    /// The number of a name such as `arp`, or of digits such as `0x88cc`.
    pub fn number(name: &str) -> Option<u16> {
        if let Some(digits) = name.strip_prefix("0x") {
            return u16::from_str_radix(digits, 16).ok();
        }
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|&(_, number)| number)
    }

    /// The names that [`Ethertypes::number`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|&(name, _)| name)
    }

    /// Whether frames of this ethertype may cross.
    pub fn allows(&self, ethertype: u16) -> bool {
        match self {
            Self::All => true,
            Self::Only(numbers) => numbers.contains(&ethertype),
        }
    }
}

/// A virtual wire: frames cross from one interface to the other, unrouted.
#[derive(Clone, Debug)]
pub struct WireSpec {
    /// Its name.
    pub name: Symbol,
    /// Whether frames cross it.
    pub mode: WireMode,
    /// Its two ends; of a tap, the same interface twice.
    pub interfaces: [InterfaceId; 2],
    /// The VLANs that may cross.
    pub tag_allowed: VlanSet,
    /// The non-IP frames that may cross.
    pub ethertypes: Ethertypes,
    /// Whether neighbour discovery, MLD and DHCP are judged by the rules too, instead of always crossing.
    pub protect_link_local: bool,
    /// Whether a link that goes down takes the other side's down.
    pub link_state_pass_through: bool,
    /// How a running firewall gets its frames from the kernel.
    pub io: WireIo,
}

/// How frames of a wire come from the kernel, and go there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WireIo {
    /// As is best for its interfaces.
    #[default]
    Auto,
    /// Through `AF_XDP` sockets.
    Xdp,
    /// Through `AF_PACKET` rings.
    Packet,
}

impl WireIo {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::Packet => "packet",
        }
    }
}

/// Whether frames cross a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WireMode {
    /// From one interface to the other.
    #[default]
    Inline,
    /// Nothing crosses: one interface sees a copy of what passes elsewhere. Everything is judged and logged, and
    /// nothing is sent.
    Tap,
}

impl WireSpec {
    /// A wire that all VLANs and all frames that are not IP may cross.
    pub fn new(name: Symbol, interfaces: [InterfaceId; 2]) -> Self {
        Self {
            name,
            mode: WireMode::Inline,
            interfaces,
            tag_allowed: VlanSet::all(),
            ethertypes: Ethertypes::All,
            protect_link_local: false,
            link_state_pass_through: false,
            io: WireIo::Auto,
        }
    }

    /// Its interfaces, each once.
    pub fn distinct_interfaces(&self) -> &[InterfaceId] {
        match self.mode {
            WireMode::Inline => &self.interfaces,
            WireMode::Tap => self.interfaces.split_at(1).0,
        }
    }

    /// Whether non-IP frames of this ethertype may cross.
    pub fn allows_ethertype(&self, ethertype: u16) -> bool {
        self.ethertypes.allows(ethertype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_by_the_outermost() {
        let vlans: VlanSet = "0,100-199, 4094".parse().unwrap();
        assert!(vlans.allows(VlanTags::NONE));
        assert!(vlans.allows(VlanTags::single(0)), "a priority tag is untagged");
        assert!(vlans.allows(VlanTags::double(150, 7)) && !vlans.allows(VlanTags::double(7, 150)));
        assert!(vlans.allows(VlanTags::single(4094)) && !vlans.allows(VlanTags::single(200)));
        assert!(VlanSet::all().allows(VlanTags::single(4095)));
        for text in ["", "4095", "a", "1-"] {
            assert_eq!(text.parse::<VlanSet>(), Err(InvalidVlans::Id), "{text:?}");
        }
        assert_eq!("9-1".parse::<VlanSet>(), Err(InvalidVlans::Range));
    }

    #[test]
    fn ethertypes_by_name_and_number() {
        assert_eq!(Ethertypes::number("lldp"), Some(0x88cc));
        assert_eq!(Ethertypes::number("0x88CC"), Some(0x88cc));
        assert_eq!(Ethertypes::number("ipx"), None);
        assert!(Ethertypes::All.allows(1));
        assert!(!Ethertypes::Only(vec![0x0806]).allows(0x88cc));
    }
}
