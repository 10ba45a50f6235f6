//! From a flow's hash to the slot of its session.
//!
//! A flat array of eight-byte entries, eight to a cache line, filled to half at most and probed in order from where
//! the hash points. What follows a removed entry closes the gap, so that there are no tombstones, nothing is ever
//! rehashed, and the work of a probe stays what it is however long the firewall runs.

/// A part of a flow's hash, and its session's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    const EMPTY: Self = Self(0);

    pub(super) fn new(hash: u64, slot: u32) -> Self {
        // No slot has the number `u32::MAX`: so no entry is empty.
        Self((hash << 32) | (u64::from(slot) + 1))
    }

    /// The low half of the hash: the high bits chose the shard.
    #[expect(clippy::cast_possible_truncation, reason = "a half is what is asked for")]
    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the other half is the tag")]
    fn slot(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }
}

/// The entries of one shard's sessions.
#[derive(Debug)]
pub(super) struct Index {
    entries: Box<[u64]>,
    mask: usize,
}

impl Index {
    /// Room for `capacity` entries. The system gives the memory only where entries come to lie.
    pub(super) fn new(capacity: usize) -> Self {
        let places = capacity.saturating_mul(2).next_power_of_two().max(8);
        Self {
            entries: vec![0; places].into_boxed_slice(),
            mask: places - 1,
        }
    }

    /// The first answer of `accept` to the slots whose flows have this hash, as far as an entry tells.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut accept: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let wanted = Entry::new(hash, 0).tag();
        let mut place = self.home(wanted);
        loop {
            let entry = self.at(place);
            if entry == Entry::EMPTY {
                return None;
            }
            if entry.tag() == wanted
                && let Some(found) = accept(entry.slot())
            {
                return Some(found);
            }
            place = self.after(place);
        }
    }

    /// Adds an entry. The caller keeps to the capacity, so that a free place is always found.
    pub(super) fn insert(&mut self, entry: Entry) {
        let mut place = self.home(entry.tag());
        while self.at(place) != Entry::EMPTY {
            place = self.after(place);
        }
        self.put(place, entry);
    }

    /// Takes an entry out, and moves those behind it that would not be found over the gap.
    pub(super) fn remove(&mut self, entry: Entry) {
        let mut gap = self.home(entry.tag());
        while self.at(gap) != entry {
            if self.at(gap) == Entry::EMPTY {
                return;
            }
            gap = self.after(gap);
        }
        let mut place = gap;
        loop {
            place = self.after(place);
            let moving = self.at(place);
            if moving == Entry::EMPTY {
                break;
            }
            // It may lie at its home or behind, up to where it is now: is the gap on that way?
            let way = place.wrapping_sub(self.home(moving.tag())) & self.mask;
            if way >= place.wrapping_sub(gap) & self.mask {
                self.put(gap, moving);
                gap = place;
            }
        }
        self.put(gap, Entry::EMPTY);
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & self.mask
    }

    #[inline]
    fn at(&self, place: usize) -> Entry {
        Entry(self.entries.get(place).copied().unwrap_or_default())
    }

    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(old) = self.entries.get_mut(place) {
            *old = entry.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const CAPACITY: usize = 12;

    proptest! {
        /// Hashes that crowd at both ends of the array, so that probes run into one another and over its end.
        #[test]
        fn finds_what_a_map_holds(
            steps in proptest::collection::vec(
                (any::<bool>(), 0..CAPACITY as u32, prop_oneof![0_u64..3, 29_u64..35]), 1..300),
        ) {
            let mut index = Index::new(CAPACITY);
            let mut known: BTreeMap<u32, u64> = BTreeMap::new();
            for (adds, slot, hash) in steps {
                if adds && !known.contains_key(&slot) {
                    index.insert(Entry::new(hash, slot));
                    known.insert(slot, hash);
                } else if let Some(hash) = known.remove(&slot) {
                    index.remove(Entry::new(hash, slot));
                }
                for hash in 0..40 {
                    let mut found = Vec::new();
                    let end = index.find(hash, |slot| {
                        found.push(slot);
                        None::<()>
                    });
                    prop_assert_eq!(end, None);
                    found.sort_unstable();
                    let wanted: Vec<u32> =
                        known.iter().filter(|(_, of)| **of == hash).map(|(slot, _)| *slot).collect();
                    prop_assert_eq!(found, wanted);
                }
            }
            let left = index.entries.iter().filter(|entry| **entry != 0).count();
            prop_assert_eq!(left, known.len());
        }
    }
}
