//! The tagged prefixes and ranges: an immutable snapshot that answers which of them lie around an
//! address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{Addresses, carried::Carried};

/// The networks of each family. Prefixes nest, but ranges may overlap at will.
#[derive(Default)]
pub(crate) struct Networks {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// An address lies in one of several intervals, which has the list of its networks. Where very many networks lie
/// around each other the lists would be too long to be written out: then a tree is searched.
#[derive(Default)]
struct Family<A> {
    intervals: Option<Intervals<A>>,
    tree: Tree<A>,
}

/// The address space from end to end, cut wherever a network begins or ends.
struct Intervals<A> {
    /// Where each begins, and where its list does.
    starts: Vec<(A, u32)>,
    /// Each list: its length, then the numbers of networks in order.
    lists: Vec<u32>,
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
                    snapshot.v4.tree.push(first.to_bits(), last.to_bits(), network);
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    snapshot.v6.tree.push(first.to_bits(), last.to_bits(), network);
                }
                // An `Addresses` is of one family.
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
            }
        }
        snapshot.v4.finish(|address| address.checked_add(1));
        snapshot.v6.finish(|address| address.checked_add(1));
        snapshot
    }

    /// Calls `each` with every network around `address`.
    #[inline]
    pub(crate) fn around(&self, address: IpAddr, mut each: impl FnMut(&Network)) {
        match address {
            IpAddr::V4(v4) => self.v4.around(v4.to_bits(), &mut each),
            IpAddr::V6(v6) => self.v6.around(v6.to_bits(), &mut each),
        }
    }
}

impl<A: Copy + Ord> Family<A> {
    fn finish(&mut self, next: impl Fn(A) -> Option<A>) {
        self.intervals = Intervals::build(&self.tree.spans, next);
        self.tree.fill_furthest(0, self.tree.spans.len());
    }

    #[inline]
    fn around(&self, address: A, each: &mut impl FnMut(&Network)) {
        let Some(intervals) = &self.intervals else {
            return self.tree.around(address, 0, self.tree.spans.len(), each);
        };
        for &number in intervals.around(address) {
            if let Some(network) = self.tree.networks.get(number as usize) {
                each(network);
            }
        }
    }
}

impl<A: Copy + Ord> Intervals<A> {
    /// Words of lists for each network, on average, that are worth their memory and the time to write them.
    const WORDS: usize = 32;

    /// `None` where the lists would be too long.
    fn build(spans: &[Span<A>], next: impl Fn(A) -> Option<A>) -> Option<Self> {
        let mut changes: Vec<(A, bool, u32)> = Vec::with_capacity(spans.len().saturating_mul(2));
        for (span, number) in spans.iter().zip(0..) {
            changes.push((span.first, true, number));
            // Behind the last address there is nothing to be told apart.
            changes.extend(next(span.last).map(|beyond| (beyond, false, number)));
        }
        changes.sort_unstable();
        let mut intervals = Self {
            starts: Vec::new(),
            lists: Vec::new(),
        };
        let mut current = BTreeSet::new();
        for group in changes.chunk_by(|a, b| a.0 == b.0) {
            for &(_, entering, number) in group {
                if entering {
                    current.insert(number);
                } else {
                    current.remove(&number);
                }
            }
            if let Some(&(start, ..)) = group.first() {
                let list = u32::try_from(intervals.lists.len()).ok()?;
                intervals.starts.push((start, list));
            }
            if intervals.lists.len() + current.len() > spans.len().saturating_mul(Self::WORDS) {
                return None;
            }
            intervals.lists.push(u32::try_from(current.len()).ok()?);
            intervals.lists.extend(&current);
        }
        Some(intervals)
    }

    #[inline]
    fn around(&self, address: A) -> &[u32] {
        let after = self.starts.partition_point(|&(start, _)| start <= address);
        let list = || {
            let &(_, list) = self.starts.get(after.checked_sub(1)?)?;
            let (&length, numbers) = self.lists.get(list as usize..)?.split_first()?;
            numbers.get(..length as usize)
        };
        list().unwrap_or(&[])
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

    fn nested(networks: u32) -> BTreeMap<Addresses, Carried> {
        let ip = |bits: u32| IpAddr::V4(bits.into());
        (0..networks)
            .map(|number| Addresses::range(ip(number), ip(u32::MAX - number)).unwrap())
            .map(|range| (range, Carried::default()))
            .collect()
    }

    #[test]
    fn many_ranges_around_each_other_are_found_by_the_tree() {
        for (networks, by_tree) in [(20, false), (2_000, true)] {
            let snapshot = Networks::build(&nested(networks));
            assert_eq!(snapshot.v4.intervals.is_none(), by_tree);
            for (address, around) in [(0, 1), (7, 8), (1 << 31, networks), (u32::MAX, 1)] {
                let mut found = 0;
                snapshot.around(IpAddr::V4(address.into()), |_| found += 1);
                assert_eq!(found, around);
            }
        }
    }

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
            let all: Vec<Addresses> =
                networks.keys().copied().filter(|network| network.contains(ip(address, v4))).collect();
            let mut snapshot = Networks::build(&networks);
            for by_tree in [false, true] {
                if by_tree {
                    snapshot.v4.intervals = None;
                    snapshot.v6.intervals = None;
                }
                let mut found = Vec::new();
                snapshot.around(ip(address, v4), |network| found.push(network.addresses));
                prop_assert_eq!(&found, &all, "by tree: {}", by_tree);
            }
        }
    }
}
