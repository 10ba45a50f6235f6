//! A bounded map that forgets what was not touched for long.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    fmt,
    hash::Hash,
    time::Duration,
};

use packet::Timestamp;

/// Maps keys to values for `lifetime` after their last touch. At the bound the one touched longest ago makes
/// room. What it answers depends on the calls alone, never on the order of hashes.
pub(super) struct AgingMap<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Every key once, with a time at which it was touched, perhaps not the last.
    order: VecDeque<(Timestamp, K)>,
    lifetime: Duration,
    capacity: usize,
    evicted: u64,
}

struct Slot<V> {
    value: V,
    touched: Timestamp,
}

impl<V> Slot<V> {
    fn is_over(&self, now: Timestamp, lifetime: Duration) -> bool {
        now.saturating_since(self.touched) >= lifetime
    }
}

impl<K: Hash + Eq + Clone, V> AgingMap<K, V> {
    /// At most `capacity` keys (at least one).
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            slots: HashMap::new(),
            order: VecDeque::new(),
            lifetime,
            capacity: capacity.max(1),
            evicted: 0,
        }
    }

    /// The value, unless its time is over.
    pub(super) fn get(&self, now: Timestamp, key: &K) -> Option<&V> {
        let slot = self.slots.get(key)?;
        (!slot.is_over(now, self.lifetime)).then_some(&slot.value)
    }

    /// The value, touched; a new one where there is none or its time is over.
    pub(super) fn touch(&mut self, now: Timestamp, key: &K, new: impl FnOnce() -> V) -> &mut V {
        if !self.slots.contains_key(key) {
            self.make_room(now);
            self.order.push_back((now, key.clone()));
        }
        match self.slots.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                &mut vacant
                    .insert(Slot {
                        value: new(),
                        touched: now,
                    })
                    .value
            }
            Entry::Occupied(occupied) => {
                let slot = occupied.into_mut();
                if slot.is_over(now, self.lifetime) {
                    slot.value = new();
                }
                slot.touched = slot.touched.max(now);
                &mut slot.value
            }
        }
    }

    /// The value, whatever its age, not touched.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.slots.get_mut(key).map(|slot| &mut slot.value)
    }

    /// Every key and its value, whatever their age.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order
            .iter()
            .filter_map(|(_, key)| Some((key, &self.slots.get(key)?.value)))
    }

    /// Puts a value, touched.
    pub(super) fn insert(&mut self, now: Timestamp, key: &K, value: V)
    where
        V: Clone,
    {
        let slot = self.touch(now, key, || value.clone());
        *slot = value;
    }

    /// How many were thrown out at the bound.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Forgets what is over at the front, and one more where the map is full all the same.
    fn make_room(&mut self, now: Timestamp) {
        loop {
            let full = self.slots.len() >= self.capacity;
            let Some((noted, _)) = self.order.front() else {
                return;
            };
            if !full && now.saturating_since(*noted) < self.lifetime {
                return;
            }
            let Some((noted, key)) = self.order.pop_front() else {
                return;
            };
            match self.slots.get(&key) {
                Some(slot) if slot.touched > noted => self.order.push_back((slot.touched, key)),
                Some(slot) => {
                    self.evicted += u64::from(!slot.is_over(now, self.lifetime));
                    self.slots.remove(&key);
                }
                None => {}
            }
        }
    }
}

impl<K, V> fmt::Debug for AgingMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgingMap")
            .field("len", &self.slots.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_mins(5);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn forgets_what_was_not_touched() {
        let mut map = AgingMap::new(8, LIFETIME);
        assert_eq!(*map.touch(at(0), &1, || 'a'), 'a');
        assert_eq!(*map.touch(at(200), &1, || 'b'), 'a', "still there");
        assert_eq!(map.get(at(499), &1), Some(&'a'), "touched at 200");
        assert_eq!(map.get(at(500), &1), None);
        assert_eq!(*map.touch(at(500), &1, || 'c'), 'c', "made anew");
        assert_eq!(map.evicted(), 0);
    }

    #[test]
    fn the_longest_untouched_makes_room() {
        let mut map = AgingMap::new(3, LIFETIME);
        for key in 1..=3 {
            map.touch(at(key), &key, || key);
        }
        map.touch(at(10), &1, || 0);
        map.touch(at(11), &4, || 4);
        assert_eq!(map.get(at(11), &2), None, "2 was touched longest ago");
        assert_eq!((map.get(at(11), &1), map.get(at(11), &3)), (Some(&1), Some(&3)));
        assert_eq!(map.evicted(), 1);
        assert_eq!(map.slots.len(), map.order.len());
    }

    #[test]
    fn what_is_over_is_no_eviction() {
        let mut map = AgingMap::new(2, LIFETIME);
        map.touch(at(0), &1, || ());
        map.touch(at(1), &2, || ());
        map.touch(at(400), &3, || ());
        assert_eq!((map.slots.len(), map.order.len(), map.evicted()), (1, 1, 0));
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut map = AgingMap::new(2, LIFETIME);
        map.touch(at(1000), &1, || 1);
        assert_eq!(*map.touch(at(5), &1, || 2), 1);
        map.touch(at(4), &2, || 2);
        map.touch(at(3), &3, || 3);
        assert_eq!(map.slots.len(), 2);
    }
}
