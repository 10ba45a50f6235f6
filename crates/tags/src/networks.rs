//! The tagged prefixes and ranges: an immutable snapshot that answers which of them lie around an
//! address.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{Addresses, carried::Carried};

/// An interval tree for each family. Prefixes nest, but ranges may overlap at will.
#[derive(Default)]
pub(crate) struct Networks {
    v4: Tree<u32>,
    v6: Tree<u128>,
}

/// One prefix or range.
pub(crate) struct Network {
    pub(crate) addresses: Addresses,
    pub(crate) carried: Carried,
}

/// A balanced tree that is implied by order: the middle of a slice is the root of what lies left and
/// right of it.
#[derive(Default)]
struct Tree<A> {
    /// In order of their first address, and close together: a search reads a dozen of them.
    spans: Vec<Span<A>>,
    /// To each span its network.
    networks: Vec<Network>,
}

struct Span<A> {
    first: A,
    last: A,
    /// The highest `last` of the subtree whose root this is.
    furthest: A,
}

impl Networks {
    pub(crate) fn build(networks: &BTreeMap<Addresses, Carried>) -> Self {
        let mut snapshot = Self::default();
        for (&addresses, carried) in networks {
            let network = Network {
                addresses,
                carried: carried.clone(),
            };
            match (addresses.first(), addresses.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    snapshot.v4.push(first.to_bits(), last.to_bits(), network);
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    snapshot.v6.push(first.to_bits(), last.to_bits(), network);
                }
                // An `Addresses` is of one family.
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
            }
        }
        snapshot.v4.fill_furthest(0, snapshot.v4.spans.len());
        snapshot.v6.fill_furthest(0, snapshot.v6.spans.len());
        snapshot
    }

    /// Calls `each` with every network around `address`.
    #[inline]
    pub(crate) fn around(&self, address: IpAddr, mut each: impl FnMut(&Network)) {
        match address {
            IpAddr::V4(v4) => self.v4.around(v4.to_bits(), 0, self.v4.spans.len(), &mut each),
            IpAddr::V6(v6) => self.v6.around(v6.to_bits(), 0, self.v6.spans.len(), &mut each),
        }
    }
}

impl<A: Copy + Ord> Tree<A> {
    fn push(&mut self, first: A, last: A, network: Network) {
        self.spans.push(Span {
            first,
            last,
            furthest: last,
        });
        self.networks.push(network);
    }

    /// Of the subtree `from..to`; its furthest, if it is not empty.
    fn fill_furthest(&mut self, from: usize, to: usize) -> Option<A> {
        if from >= to {
            return None;
        }
        let root = usize::midpoint(from, to);
        let below = self
            .fill_furthest(from, root)
            .max(self.fill_furthest(root + 1, to));
        let span = self.spans.get_mut(root)?;
        span.furthest = below.map_or(span.last, |below| below.max(span.last));
        Some(span.furthest)
    }

    /// Of the subtree `from..to`. As deep as the tree is: 14 for 10,000 networks.
    fn around(&self, address: A, from: usize, to: usize, each: &mut impl FnMut(&Network)) {
        if from >= to {
            return;
        }
        let root = usize::midpoint(from, to);
        let Some(span) = self.spans.get(root) else { return };
        if span.furthest < address {
            return;
        }
        self.around(address, from, root, each);
        if span.first <= address {
            if address <= span.last
                && let Some(network) = self.networks.get(root)
            {
                each(network);
            }
            self.around(address, root + 1, to, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_exactly_what_is_around(
            ends in prop::collection::vec((0_u32..64, 0_u32..64, any::<bool>()), 0..40),
            address in 0_u32..64,
            v4: bool,
        ) {
            let ip = |bits: u32, v4: bool| -> IpAddr {
                if v4 { IpAddr::V4(bits.into()) } else { IpAddr::V6(u128::from(bits).into()) }
            };
            let networks: BTreeMap<Addresses, Carried> = ends
                .iter()
                .filter(|(a, b, _)| a != b)
                .map(|&(a, b, v4)| (Addresses::range(ip(a.min(b), v4), ip(a.max(b), v4)).unwrap(), Carried::default()))
                .collect();
            let mut found = Vec::new();
            Networks::build(&networks).around(ip(address, v4), |network| found.push(network.addresses));
            let all = networks.into_keys().filter(|network| network.contains(ip(address, v4)));
            prop_assert_eq!(found, all.collect::<Vec<_>>());
        }
    }
}
