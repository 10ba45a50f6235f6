//! Who counts as inside where frames do not say by which interface they came.

use std::net::IpAddr;

use packet::Wire;
use policy::{Networks, Policy};
use tags::Addresses;

/// Which way a session is opened over its wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The opener sits at the wire's `interface1`.
    pub(crate) from_inside: bool,
    /// The addresses decided nothing; the opener is taken for inside and not held to its zone's networks.
    pub(crate) undecided: bool,
}

/// The addresses that lie inside, for captures: they do not record interfaces.
#[derive(Clone, Debug)]
pub struct Sides {
    inside: Inside,
}

#[derive(Clone, Debug)]
enum Inside {
    Given(Vec<Addresses>),
    Zones(Vec<Networks>),
    Private,
}

impl Sides {
    /// The first of these that is given: `inside` (the command line), the networks of the zones on the
    /// wire's `interface1`, RFC 1918 and RFC 4193 (`fc00::/7`).
    pub fn new(inside: Vec<Addresses>, policy: &Policy, wire: Wire) -> Self {
        if !inside.is_empty() {
            return Self {
                inside: Inside::Given(inside),
            };
        }
        let first = policy.wire(wire).map(|spec| spec.interfaces[0]);
        let networks: Vec<Networks> = policy
            .zones()
            .iter()
            .filter(|zone| {
                zone.interfaces()
                    .iter()
                    .any(|(interface, _)| Some(*interface) == first)
            })
            .map(|zone| zone.networks.clone())
            .filter(|networks| !networks.is_empty())
            .collect();
        if networks.is_empty() {
            Self {
                inside: Inside::Private,
            }
        } else {
            Self {
                inside: Inside::Zones(networks),
            }
        }
    }

    /// Whether `address` lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        match &self.inside {
            Inside::Given(given) => given.iter().any(|addresses| addresses.contains(address)),
            Inside::Zones(zones) => zones.iter().any(|networks| networks.contains(address)),
            Inside::Private => private(address),
        }
    }

    pub(crate) fn opening(&self, opener: IpAddr, other: IpAddr) -> Opening {
        let (opener, other) = (self.contains(opener), self.contains(other));
        Opening {
            from_inside: opener || !other,
            undecided: opener == other,
        }
    }
}

/// RFC 1918 and RFC 4193.
fn private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}
