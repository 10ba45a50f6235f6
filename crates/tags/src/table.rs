//! A hash table of hosts that readers read while one writer writes.
//!
//! A bucket is two cache lines of atomic words: keys, each with its [`Word`], and a control word. What
//! finds no place in its bucket goes into a map beside, and the control word counts it. A host never
//! moves within a table, and a slot whose host lost its tags is free at once: no tombstones, so that a
//! table is outgrown only by more hosts.
//!
//! **Why a reader never sees one host's word as another's.** A slot's word is [`Word::UNUSED`] while its
//! key changes, and the control word changes before the key does. A reader takes control, word, key,
//! and control again, each with acquire, and each is stored with release. If it took the new word, it
//! sees the whole new key; if it took the old word and any part of the new key, its second look at the
//! control word differs from the first, and it starts over. It starts over only when a writer has just
//! put another host into this bucket: it waits for nobody.

use std::sync::OnceLock;

use papaya::HashMap;

use crate::{
    carried::Word,
    sync::{AtomicU64, Ordering, RandomState},
};

/// Buckets of `S` slots, for keys of `K` words.
pub(crate) struct Table<const K: usize, const S: usize> {
    buckets: Box<[Bucket<K, S>]>,
    /// Hosts that found their bucket full.
    crowded_out: OnceLock<CrowdedOut<K>>,
    /// Hosts in the table. For the writer.
    hosts: AtomicU64,
    /// How many may be.
    room: u64,
}

type CrowdedOut<const K: usize> = HashMap<[u64; K], Word, RandomState>;

#[repr(align(128))]
struct Bucket<const K: usize, const S: usize> {
    /// See [`Control`].
    control: AtomicU64,
    slots: [Slot<K>; S],
}

struct Slot<const K: usize> {
    key: [AtomicU64; K],
    word: AtomicU64,
}

/// How many hosts of a bucket were crowded out (lower 24 bits), and how often one was added (upper 40).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Control(u64);

/// Another host would make buckets overflow: build a larger table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFull;

impl Control {
    const ADDED: u64 = 1 << 24;

    fn crowded_out(self) -> u64 {
        self.0 % Self::ADDED
    }
}

impl<const K: usize, const S: usize> Table<K, S> {
    /// An empty table of `1 << log_buckets` buckets; a `last` one never says that it is full.
    pub(crate) fn new(log_buckets: u32, last: bool) -> Self {
        let buckets = 1_usize << log_buckets;
        // With three sevenths of all slots taken, one bucket in a hundred is crowded.
        let room = if last {
            u64::MAX
        } else {
            (buckets * S * 3 / 7 + 1) as u64
        };
        Self {
            buckets: std::iter::repeat_with(Bucket::new).take(buckets).collect(),
            crowded_out: OnceLock::new(),
            hosts: AtomicU64::new(0),
            room,
        }
    }

    /// The word of `key`, which has this hash. Lock-free.
    #[inline]
    pub(crate) fn get(&self, hash: u64, key: [u64; K]) -> Word {
        let Some(bucket) = self.bucket(hash) else {
            return Word::NOTHING;
        };
        loop {
            let control = bucket.control();
            // Every slot is looked at, without a branch: which one it is nobody could predict. Two can
            // match only while one is written, and then the control word differs.
            let found = bucket
                .slots
                .iter()
                .fold(Word::UNUSED, |found, slot| Word(found.0 | slot.word_of(key).0));
            if found == Word::UNUSED {
                return if control.crowded_out() == 0 {
                    Word::NOTHING
                } else {
                    self.crowded_out(key)
                };
            }
            if bucket.control() == control {
                return found;
            }
        }
    }

    #[cold]
    fn crowded_out(&self, key: [u64; K]) -> Word {
        let word = self
            .crowded_out
            .get()
            .and_then(|hosts| hosts.pin().get(&key).copied());
        word.unwrap_or(Word::NOTHING)
    }

    /// Gives `key` another word, and returns the one it had. For one writer at a time.
    pub(crate) fn set(&self, hash: u64, key: [u64; K], word: Word) -> Result<Word, TableFull> {
        let Some(bucket) = self.bucket(hash) else {
            return Ok(Word::NOTHING);
        };
        let before = self.replace(bucket, key, word);
        if before == Word::NOTHING && word != Word::NOTHING {
            if self.hosts.load(Ordering::Relaxed) >= self.room {
                return Err(TableFull);
            }
            self.insert(bucket, key, word);
        }
        Ok(before)
    }

    /// A table with the same hosts and twice the buckets, the `last` or not. For the writer.
    pub(crate) fn doubled(&self, last: bool, rehash: impl Fn([u64; K]) -> u64) -> Self {
        let new = Self::new(self.buckets.len().ilog2() + 1, last);
        self.for_each(|key, word| {
            if let Some(bucket) = new.bucket(rehash(key)) {
                new.insert(bucket, key, word);
            }
        });
        new
    }

    fn for_each(&self, mut each: impl FnMut([u64; K], Word)) {
        for slot in self.buckets.iter().flat_map(|bucket| &bucket.slots) {
            let word = slot.word();
            if word != Word::UNUSED {
                each(slot.key(), word);
            }
        }
        if let Some(crowded_out) = self.crowded_out.get() {
            for (&key, &word) in &crowded_out.pin() {
                each(key, word);
            }
        }
    }

    /// Gives a host that is there another word.
    fn replace(&self, bucket: &Bucket<K, S>, key: [u64; K], word: Word) -> Word {
        if let Some(slot) = bucket.slots.iter().find(|slot| slot.word_of(key) != Word::UNUSED) {
            let before = slot.word();
            if word == Word::NOTHING {
                self.count(-1);
                slot.word.store(Word::UNUSED.0, Ordering::Release);
            } else {
                // Release: a list is there before a word says so.
                slot.word.store(word.0, Ordering::Release);
            }
            return before;
        }
        let control = bucket.control();
        let before = if control.crowded_out() == 0 {
            Word::NOTHING
        } else {
            self.crowded_out(key)
        };
        if before != Word::NOTHING {
            let hosts = self.crowded_out.get_or_init(HashMap::default).pin();
            if word == Word::NOTHING {
                self.count(-1);
                bucket.control.store(control.0 - 1, Ordering::Release);
                hosts.remove(&key);
            } else {
                hosts.insert(key, word);
            }
        }
        before
    }

    /// Adds a host that is not there.
    fn insert(&self, bucket: &Bucket<K, S>, key: [u64; K], word: Word) {
        self.count(1);
        let control = bucket.control().0.wrapping_add(Control::ADDED);
        if let Some(slot) = bucket.slots.iter().find(|slot| slot.word() == Word::UNUSED) {
            bucket.control.store(control, Ordering::Release);
            for (part, value) in slot.key.iter().zip(key) {
                part.store(value, Ordering::Release);
            }
            slot.word.store(word.0, Ordering::Release);
        } else {
            self.crowded_out
                .get_or_init(HashMap::default)
                .pin()
                .insert(key, word);
            bucket.control.store(control + 1, Ordering::Release);
        }
    }

    fn count(&self, change: i64) {
        self.hosts.store(
            self.hosts.load(Ordering::Relaxed).wrapping_add_signed(change),
            Ordering::Relaxed,
        );
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lowest bits are what is wanted"
    )]
    fn bucket(&self, hash: u64) -> Option<&Bucket<K, S>> {
        self.buckets
            .get(hash as usize & self.buckets.len().wrapping_sub(1))
    }
}

impl<const K: usize, const S: usize> Bucket<K, S> {
    fn new() -> Self {
        Self {
            control: AtomicU64::new(0),
            slots: std::array::from_fn(|_| Slot::new()),
        }
    }

    #[inline]
    fn control(&self) -> Control {
        Control(self.control.load(Ordering::Acquire))
    }
}

impl<const K: usize> Slot<K> {
    fn new() -> Self {
        Self {
            key: std::array::from_fn(|_| AtomicU64::new(0)),
            word: AtomicU64::new(Word::UNUSED.0),
        }
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    fn key(&self) -> [u64; K] {
        std::array::from_fn(|at| self.key.get(at).map_or(0, |part| part.load(Ordering::Acquire)))
    }

    /// The word, if the slot looks as if it were this key's; else [`Word::UNUSED`], as of a free slot.
    #[inline]
    fn word_of(&self, key: [u64; K]) -> Word {
        let word = self.word();
        let differs = self.key.iter().zip(key).fold(0, |bits, (part, wanted)| {
            bits | (part.load(Ordering::Acquire) ^ wanted)
        });
        if differs == 0 { word } else { Word::UNUSED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts<const K: usize, const S: usize>(table: &Table<K, S>) -> u64 {
        let mut hosts = 0;
        table.for_each(|_, _| hosts += 1);
        assert_eq!(table.hosts.load(Ordering::Relaxed), hosts);
        hosts
    }

    #[test]
    fn a_crowded_bucket_loses_nobody() {
        let table = Table::<2, 5>::new(0, true);
        for key in 0..9_u64 {
            assert_eq!(table.set(60, [key, !key], Word(5000 + key)), Ok(Word::NOTHING));
        }
        assert_eq!(table.set(60, [3, !3], Word::NOTHING), Ok(Word(5003)));
        assert_eq!(
            table.set(60, [8, !8], Word::NOTHING),
            Ok(Word(5008)),
            "from the map beside"
        );
        assert_eq!(table.set(60, [7, !7], Word(6007)), Ok(Word(5007)));
        assert_eq!(
            table.set(60, [99, 0], Word::NOTHING),
            Ok(Word::NOTHING),
            "was not there"
        );
        assert_eq!(
            table.set(60, [9, !9], Word(5009)),
            Ok(Word::NOTHING),
            "takes the free slot"
        );
        for key in 0..12_u64 {
            let word = match key {
                3 | 8 | 10.. => Word::NOTHING,
                7 => Word(6007),
                _ => Word(5000 + key),
            };
            assert_eq!(table.get(60, [key, !key]), word, "{key}");
        }
        assert_eq!(table.get(60, [3, 3]), Word::NOTHING);
        assert_eq!(hosts(&table), 8);
        assert_eq!(table.buckets[0].control().crowded_out(), 3);
    }

    #[test]
    fn an_emptied_table_is_as_good_as_new() {
        let table = Table::<1, 7>::new(2, false);
        for round in 0..1000_u64 {
            for key in round..round + 12 {
                assert_eq!(table.set(key, [key], Word(5000)), Ok(Word::NOTHING));
            }
            for key in round..round + 12 {
                assert_eq!(table.set(key, [key], Word::NOTHING), Ok(Word(5000)));
            }
        }
        assert_eq!(hosts(&table), 0);
        assert!(
            table
                .buckets
                .iter()
                .all(|bucket| bucket.control().crowded_out() == 0)
        );
    }

    #[test]
    fn doubling_keeps_everybody() {
        let table = Table::<1, 7>::new(0, true);
        for key in 0..100 {
            assert_eq!(table.set(key, [key], Word(5000 + key)), Ok(Word::NOTHING));
        }
        let new = table.doubled(false, |[key]| key);
        assert_eq!(new.buckets.len(), 2);
        assert_eq!(hosts(&new), 100);
        for key in 0..100 {
            assert_eq!(new.get(key, [key]), Word(5000 + key));
        }
    }

    #[test]
    fn says_when_it_is_full() {
        let table = Table::<1, 7>::new(2, false);
        for key in 0..13 {
            assert_eq!(table.set(key, [key], Word(5000)), Ok(Word::NOTHING));
        }
        assert_eq!(table.set(13, [13], Word(5000)), Err(TableFull));
        assert_eq!(
            table.set(1, [1], Word(5001)),
            Ok(Word(5000)),
            "a known host has its place"
        );
        assert_eq!(table.get(13, [13]), Word::NOTHING);
    }
}
