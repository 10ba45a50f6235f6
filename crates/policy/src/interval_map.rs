//! A value for every address, the same over whole intervals.

use std::net::IpAddr;

use crate::Networks;
use crate::interval_finder::{Finder, Number};

/// Follows which sets hold the current address while all addresses are passed in order.
pub(crate) trait Sweep {
    /// What an interval is given.
    type Value: PartialEq;

    /// From here on the set with this number holds the address.
    fn enter(&mut self, set: usize);
    /// From here on it does not.
    fn leave(&mut self, set: usize);
    /// The value of the interval that begins here.
    fn value(&mut self) -> Self::Value;
}

/// A value for every IPv4 and IPv6 address.
#[derive(Clone, Debug)]
pub(crate) struct IntervalMap<V> {
    v4: Intervals<u32, V>,
    v6: Intervals<u128, V>,
}

#[derive(Clone, Debug)]
struct Intervals<A, V> {
    /// Where intervals begin, the first at 0, and their values: who finds the one has the other in the cache.
    intervals: Vec<(A, V)>,
    finder: Finder<A>,
}

impl<V: PartialEq> IntervalMap<V> {
    /// Passes over all addresses of each family and keeps what `sweep` says of them.
    pub(crate) fn build<'a>(
        sets: impl Iterator<Item = &'a Networks> + Clone,
        sweep: &mut impl Sweep<Value = V>,
    ) -> Self {
        Self {
            v4: Intervals::build(sets.clone().map(Networks::v4), sweep),
            v6: Intervals::build(sets.map(Networks::v6), sweep),
        }
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&V> {
        match address {
            IpAddr::V4(v4) => self.v4.get(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.get(v6.to_bits()),
        }
    }
}

impl<A: Number, V: PartialEq> Intervals<A, V> {
    fn build<'a>(sets: impl Iterator<Item = &'a [(A, A)]>, sweep: &mut impl Sweep<Value = V>) -> Self
    where
        A: 'a,
    {
        // `None`, behind the last address, comes last; there all sets are left.
        let mut changes: Vec<(bool, A, bool, usize)> = Vec::new();
        for (set, ranges) in sets.enumerate() {
            for &(first, last) in ranges {
                changes.push((false, first, true, set));
                match last.next() {
                    Some(beyond) => changes.push((false, beyond, false, set)),
                    None => changes.push((true, last, false, set)),
                }
            }
        }
        changes.sort_unstable();
        let mut intervals = Self {
            intervals: Vec::new(),
            finder: Finder::new(&[]),
        };
        if changes.first().is_none_or(|change| change.1 > A::ZERO) {
            intervals.push(A::ZERO, sweep.value());
        }
        for group in changes.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            for &(_, _, entering, set) in group {
                if entering {
                    sweep.enter(set);
                } else {
                    sweep.leave(set);
                }
            }
            if let Some(&(false, start, _, _)) = group.first() {
                intervals.push(start, sweep.value());
            }
        }
        intervals.intervals.shrink_to_fit();
        let starts: Vec<A> = intervals.intervals.iter().map(|&(start, _)| start).collect();
        intervals.finder = Finder::new(&starts);
        intervals
    }

    fn push(&mut self, start: A, value: V) {
        if self.intervals.last().is_none_or(|(_, last)| *last != value) {
            self.intervals.push((start, value));
        }
    }

    fn get(&self, address: A) -> Option<&V> {
        let at = self.finder.last_not_behind(&self.intervals, address)?;
        self.intervals.get(at).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tags::Addresses;

    use super::*;

    /// Every interval gets the numbers of the sets that hold it.
    #[derive(Default)]
    struct Holders(BTreeSet<usize>);

    impl Sweep for Holders {
        type Value = Vec<usize>;

        fn enter(&mut self, set: usize) {
            assert!(self.0.insert(set), "entered twice");
        }

        fn leave(&mut self, set: usize) {
            assert!(self.0.remove(&set), "left without entering");
        }

        fn value(&mut self) -> Vec<usize> {
            self.0.iter().copied().collect()
        }
    }

    /// Close together, far apart, and at both ends.
    fn address() -> impl Strategy<Value = IpAddr> {
        let v4 = prop_oneof![
            0..300_u32,
            0x0a00_0000..0x0a00_0400_u32,
            Just(u32::MAX),
            any::<u32>()
        ];
        let v6 = prop_oneof![0..9_u128, Just(u128::MAX), any::<u128>()];
        prop_oneof![
            3 => v4.prop_map(|bits| IpAddr::from(std::net::Ipv4Addr::from_bits(bits))),
            1 => v6.prop_map(|bits| IpAddr::from(std::net::Ipv6Addr::from_bits(bits))),
        ]
    }

    fn networks() -> impl Strategy<Value = Networks> {
        let range = (address(), address()).prop_filter_map("of one family", |(a, b)| {
            Addresses::range(a.min(b), a.max(b)).ok()
        });
        let any = prop_oneof![4 => address().prop_map(Addresses::Host), 1 => range];
        prop::collection::vec(any, 0..40).prop_map(|parts| parts.iter().collect())
    }

    proptest! {
        #[test]
        fn gives_every_address_its_sets(
            sets in prop::collection::vec(networks(), 0..6),
            probes in prop::collection::vec(address(), 100),
        ) {
            let map = IntervalMap::build(sets.iter(), &mut Holders::default());
            let ends = sets.iter().flat_map(Networks::iter).flat_map(|part| [part.first(), part.last()]);
            for probe in probes.into_iter().chain(ends) {
                let holders: Vec<usize> = (0..sets.len()).filter(|&set| sets[set].contains(probe)).collect();
                prop_assert_eq!(map.get(probe), Some(&holders), "{}", probe);
            }
        }
    }
}
