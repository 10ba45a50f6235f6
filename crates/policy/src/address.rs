//! Address objects, and what they and groups of them come down to.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use tags::{Addresses, TagId};

use crate::{AddressGroupId, AddressId, Networks, Symbol};

/// What an address object stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressValue {
    /// `ip-netmask` and `ip-range`.
    Addresses(Addresses),
    /// `ip-wildcard`.
    Wildcard(Wildcard),
    /// `fqdn`, with the addresses it has at the moment.
    Resolved(Vec<IpAddr>),
    /// An external list of addresses.
    List(Vec<Addresses>),
}

/// An IPv4 address of which only some bits count (`ip-wildcard`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wildcard {
    bits: u32,
    /// Ones where a bit must be the same.
    care: u32,
}

/// Why a text is no [`Wildcard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an IPv4 address and a wildcard mask with zeros where bits must match, as in 10.0.0.1/0.0.255.0"
)]
pub struct InvalidWildcard;

impl Wildcard {
    /// The addresses that agree with `address` wherever `mask` has a zero.
    pub fn new(address: Ipv4Addr, mask: Ipv4Addr) -> Self {
        let care = !mask.to_bits();
        Self {
            bits: address.to_bits() & care,
            care,
        }
    }

    /// The lowest of them.
    pub fn first(self) -> IpAddr {
        Ipv4Addr::from_bits(self.bits).into()
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.to_bits() & self.care == self.bits,
            IpAddr::V6(_) => false,
        }
    }

    /// Whether every address of `other` is one of this one's.
    fn includes(self, other: Self) -> bool {
        self.care & !other.care == 0 && other.bits & self.care == self.bits
    }
}

impl FromStr for Wildcard {
    type Err = InvalidWildcard;

    fn from_str(text: &str) -> Result<Self, InvalidWildcard> {
        let (address, mask) = text.split_once('/').ok_or(InvalidWildcard)?;
        let part = |text: &str| text.parse::<Ipv4Addr>().map_err(|_| InvalidWildcard);
        Ok(Self::new(part(address)?, part(mask)?))
    }
}

impl std::fmt::Display for Wildcard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}",
            Ipv4Addr::from_bits(self.bits),
            Ipv4Addr::from_bits(!self.care)
        )
    }
}

/// An address object.
#[derive(Clone, Debug)]
pub struct AddressObject {
    /// Its name.
    pub name: Symbol,
    /// What it stands for.
    pub value: AddressValue,
    /// The tags that every address it covers carries.
    pub tags: Vec<TagId>,
}

/// What a rule or group names as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressRef {
    /// An address object.
    Object(AddressId),
    /// An address group.
    Group(AddressGroupId),
    /// Addresses written out.
    Literal(Addresses),
}

/// Addresses that depend on no registered tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FixedAddresses {
    pub(crate) networks: Networks,
    pub(crate) wildcards: Vec<Wildcard>,
}

impl FixedAddresses {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.networks.contains(address) || self.wildcards.iter().any(|wildcard| wildcard.contains(address))
    }

    /// Whether it certainly has every address of `other`: two wildcards are only compared one to one.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let whole = |wildcard: &Wildcard| {
            let widest = Networks::from_iter([Addresses::Host(Ipv4Addr::from_bits(wildcard.bits).into())]);
            self.wildcards.iter().any(|outer| outer.includes(*wildcard))
                || (wildcard.care == u32::MAX && self.networks.is_superset(&widest))
        };
        self.networks.is_superset(&other.networks) && other.wildcards.iter().all(whole)
    }

    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self> + Clone) -> Self {
        let mut wildcards: Vec<Wildcard> = Vec::new();
        for set in sets.clone() {
            wildcards.extend_from_slice(&set.wildcards);
        }
        wildcards.sort_unstable();
        wildcards.dedup();
        Self {
            networks: Networks::union(sets.into_iter().map(|set| &set.networks)),
            wildcards,
        }
    }
}

impl From<&Addresses> for FixedAddresses {
    fn from(addresses: &Addresses) -> Self {
        Self {
            networks: [addresses].into_iter().collect(),
            wildcards: Vec::new(),
        }
    }
}

impl From<&AddressValue> for FixedAddresses {
    fn from(value: &AddressValue) -> Self {
        let (networks, wildcards) = match value {
            AddressValue::Addresses(addresses) => ([addresses].into_iter().collect(), Vec::new()),
            AddressValue::Wildcard(wildcard) => (Networks::default(), vec![*wildcard]),
            AddressValue::Resolved(hosts) => {
                (hosts.iter().copied().map(Addresses::Host).collect(), Vec::new())
            }
            AddressValue::List(entries) => (entries.iter().collect(), Vec::new()),
        };
        Self { networks, wildcards }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_compares_where_its_mask_is_zero() {
        let wildcard: Wildcard = "10.0.7.1/0.0.255.0".parse().unwrap();
        assert!(wildcard.contains("10.0.200.1".parse().unwrap()));
        assert!(!wildcard.contains("10.0.200.2".parse().unwrap()));
        assert!(!wildcard.contains("::ffff:10.0.200.1".parse().unwrap()));
        assert_eq!(wildcard.to_string(), "10.0.0.1/0.0.255.0");
        assert!("10.0.0.1".parse::<Wildcard>().is_err());
        assert!("10.0.0.1/24".parse::<Wildcard>().is_err());
        let wider: Wildcard = "10.0.0.1/0.255.255.0".parse().unwrap();
        assert!(wider.includes(wildcard) && !wildcard.includes(wider));
    }
}
