//! A value for every address, the same over whole intervals.

use std::net::IpAddr;

use crate::Networks;

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
    /// Where intervals begin; the first at 0.
    starts: Vec<A>,
    values: Vec<V>,
}

impl<V: PartialEq> IntervalMap<V> {
    /// Passes over all addresses of each family and keeps what `sweep` says of them.
    pub(crate) fn build<'a>(
        sets: impl Iterator<Item = &'a Networks> + Clone,
        sweep: &mut impl Sweep<Value = V>,
    ) -> Self {
        Self {
            v4: Intervals::build(
                sets.clone().map(Networks::v4),
                |last: u32| last.checked_add(1),
                0,
                sweep,
            ),
            v6: Intervals::build(sets.map(Networks::v6), |last: u128| last.checked_add(1), 0, sweep),
        }
    }

    pub(crate) fn get(&self, address: IpAddr) -> Option<&V> {
        match address {
            IpAddr::V4(v4) => self.v4.get(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.get(v6.to_bits()),
        }
    }
}

impl<A: Ord + Copy, V: PartialEq> Intervals<A, V> {
    fn build<'a>(
        sets: impl Iterator<Item = &'a [(A, A)]>,
        next: impl Fn(A) -> Option<A>,
        zero: A,
        sweep: &mut impl Sweep<Value = V>,
    ) -> Self
    where
        A: 'a,
    {
        // `None`, behind the last address, comes last; there all sets are left.
        let mut changes: Vec<(bool, A, bool, usize)> = Vec::new();
        for (set, ranges) in sets.enumerate() {
            for &(first, last) in ranges {
                changes.push((false, first, true, set));
                match next(last) {
                    Some(beyond) => changes.push((false, beyond, false, set)),
                    None => changes.push((true, last, false, set)),
                }
            }
        }
        changes.sort_unstable();
        let mut intervals = Self {
            starts: Vec::new(),
            values: Vec::new(),
        };
        if changes.first().is_none_or(|change| change.1 > zero) {
            intervals.push(zero, sweep.value());
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
        intervals.starts.shrink_to_fit();
        intervals.values.shrink_to_fit();
        intervals
    }

    fn push(&mut self, start: A, value: V) {
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    fn get(&self, address: A) -> Option<&V> {
        let after = self.starts.partition_point(|&start| start <= address);
        self.values.get(after.checked_sub(1)?)
    }
}
