//! From a flow's hash to the slot of its session.
//!
//! A flat array of eight-byte entries, eight to a cache line, filled to half at most and probed in order from where
//! the hash points. What follows a removed entry closes the gap, so that there are no tombstones and the work of a
//! probe stays what it is however long the firewall runs. It grows with the sessions, so that few lie close together;
//! but never at once: each entry that is added takes a few along from the array that has become too small.

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
    pub(super) fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the other half is the tag")]
    fn slot(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }
}

/// Places at the start; a power of two, as ever after.
const SMALLEST: usize = 64;
/// Places of the old array that are emptied for each entry that is added to the new, which has room for one in two of
/// the old one's places before it is too small itself.
const EMPTIED_AT_ONCE: usize = 8;

/// The entries of one shard's sessions.
#[derive(Debug)]
pub(super) struct Index {
    places: Places,
    len: usize,
    /// The array before, while it still has entries: those of the places below are gone.
    outgrown: Option<(Places, usize)>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            places: Places::new(SMALLEST),
            len: 0,
            outgrown: None,
        }
    }

    /// Reads where the first entry with this hash would lie, whatever is there.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u64 {
        let entry = Entry::new(hash, 0);
        self.places.at(self.places.home(entry)).0
    }

    /// The first answer of `accept` to the slots whose flows have this hash, as far as an entry tells.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, mut accept: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let wanted = Entry::new(hash, 0);
        match (self.places.find(wanted, &mut accept), &self.outgrown) {
            (None, Some((places, _))) => places.find(wanted, &mut accept),
            (found, _) => found,
        }
    }

    /// Adds an entry, which is not there yet.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.empty_some();
        if self.len >= self.places.0.len() / 2 {
            let larger = Places::new(self.places.0.len().saturating_mul(2));
            let outgrown = std::mem::replace(&mut self.places, larger);
            self.outgrown = Some((outgrown, 0));
        }
        self.places.insert(entry);
        self.len += 1;
    }

    /// Takes an entry out, if it is there.
    pub(super) fn remove(&mut self, entry: Entry) {
        let mut removed = self.places.remove(entry);
        if let Some((places, _)) = &mut self.outgrown
            && !removed
        {
            removed = places.remove(entry);
        }
        self.len -= usize::from(removed);
    }

    /// Moves some entries over from the array that was outgrown.
    fn empty_some(&mut self) {
        let Some((old, emptied)) = &mut self.outgrown else {
            return;
        };
        for _ in 0..EMPTIED_AT_ONCE {
            // What follows closes the gap: the place is looked at until nothing does.
            while *emptied < old.0.len() && old.at(*emptied) != Entry::EMPTY {
                let entry = old.at(*emptied);
                old.remove(entry);
                self.places.insert(entry);
            }
            *emptied += 1;
        }
        if *emptied >= old.0.len() {
            self.outgrown = None;
        }
    }
}

/// One array; never more than half full, so that every probe ends.
#[derive(Debug)]
struct Places(Box<[u64]>);

impl Places {
    fn new(places: usize) -> Self {
        Self(vec![0; places].into_boxed_slice())
    }

    #[inline]
    fn find<T>(&self, wanted: Entry, accept: &mut impl FnMut(u32) -> Option<T>) -> Option<T> {
        let mut place = self.home(wanted);
        loop {
            let entry = self.at(place);
            if entry == Entry::EMPTY {
                return None;
            }
            if entry.tag() == wanted.tag()
                && let Some(found) = accept(entry.slot())
            {
                return Some(found);
            }
            place = self.after(place);
        }
    }

    fn insert(&mut self, entry: Entry) {
        let mut place = self.home(entry);
        while self.at(place) != Entry::EMPTY {
            place = self.after(place);
        }
        self.put(place, entry);
    }

    /// Takes an entry out, and moves those behind it that would not be found over the gap. `false`: it is not here.
    fn remove(&mut self, entry: Entry) -> bool {
        let mut gap = self.home(entry);
        while self.at(gap) != entry {
            if self.at(gap) == Entry::EMPTY {
                return false;
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
            let way = place.wrapping_sub(self.home(moving)) & self.mask();
            if way >= place.wrapping_sub(gap) & self.mask() {
                self.put(gap, moving);
                gap = place;
            }
        }
        self.put(gap, Entry::EMPTY);
        true
    }

    #[inline]
    fn mask(&self) -> usize {
        self.0.len().wrapping_sub(1)
    }

    #[inline]
    fn home(&self, entry: Entry) -> usize {
        entry.tag() as usize & self.mask()
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & self.mask()
    }

    #[inline]
    fn at(&self, place: usize) -> Entry {
        Entry(self.0.get(place).copied().unwrap_or_default())
    }

    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(old) = self.0.get_mut(place) {
            *old = entry.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes that crowd at both ends of the arrays, so that probes run into one another and over the end; enough
        /// of them to grow twice.
        #[test]
        fn finds_what_a_map_holds(
            steps in proptest::collection::vec(
                (0_u8..10, 0_u32..160, prop_oneof![0_u64..5, 55_u64..75, 250_u64..260, any::<u64>()]), 1..900),
        ) {
            let mut index = Index::new();
            let mut known: BTreeMap<u32, u64> = BTreeMap::new();
            for (adds, slot, hash) in steps {
                if adds < 7 && !known.contains_key(&slot) {
                    index.insert(Entry::new(hash, slot));
                    known.insert(slot, hash);
                } else if let Some(hash) = known.remove(&slot) {
                    index.remove(Entry::new(hash, slot));
                }
                prop_assert_eq!(index.len, known.len());
                prop_assert!(index.len * 2 <= index.places.0.len());
                for hash in [hash, 3, 63, 255] {
                    let mut found = Vec::new();
                    let end = index.find(hash, |slot| {
                        found.push(slot);
                        None::<()>
                    });
                    prop_assert_eq!(end, None);
                    found.sort_unstable();
                    let low = |hash: u64| hash << 32;
                    let wanted: Vec<u32> = known
                        .iter()
                        .filter(|(_, of)| low(**of) == low(hash))
                        .map(|(slot, _)| *slot)
                        .collect();
                    prop_assert_eq!(found, wanted);
                }
            }
            for (slot, hash) in known {
                prop_assert_eq!(index.find(hash, |found| (found == slot).then_some(())), Some(()));
                index.remove(Entry::new(hash, slot));
            }
            let left = |places: &Places| places.0.iter().filter(|entry| **entry != 0).count();
            prop_assert_eq!(left(&index.places) + index.outgrown.map_or(0, |(old, _)| left(&old)), 0);
        }
    }
}
