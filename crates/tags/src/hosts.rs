//! The tagged hosts of both families, in tables that grow while they are read.

use std::{hash::BuildHasher as _, net::IpAddr, sync::OnceLock};

use crate::{
    carried::Word,
    sync::{AtomicUsize, Ordering, RandomState},
    table::{Table, TableFull},
};

/// Host addresses and their words.
pub(crate) struct Hosts {
    hasher: RandomState,
    v4: Shards<1, { if cfg!(loom) { 1 } else { 7 } }>,
    v6: Shards<2, { if cfg!(loom) { 1 } else { 5 } }>,
}

/// One family. Many shards, so that a growing one keeps the writer busy for less than a millisecond.
struct Shards<const K: usize, const S: usize> {
    shards: Box<[Shard<K, S>]>,
}

/// A table, and those it outgrew. A table twice as large is made when more hosts than ever before are
/// tagged; the old ones stay, since readers may be in them, and take less room together than the one
/// in use.
struct Shard<const K: usize, const S: usize> {
    current: AtomicUsize,
    tables: [OnceLock<Box<Table<K, S>>>; SIZES],
}

/// How often a table can double, and once more. The last would hold 100 million hosts.
const SIZES: usize = 24;
const SMALLEST_LOG_BUCKETS: u32 = if cfg!(loom) { 0 } else { 2 };

impl Hosts {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::default(),
            v4: Shards::new(),
            v6: Shards::new(),
        }
    }

    /// The hash of an address, for all that goes by it.
    #[inline]
    pub(crate) fn hash(&self, address: IpAddr) -> u64 {
        match address {
            IpAddr::V4(v4) => self.hasher.hash_one(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => self.hasher.hash_one(v6.to_bits()),
        }
    }

    /// The word of `address`, which has this hash.
    #[inline]
    pub(crate) fn get(&self, hash: u64, address: IpAddr) -> Word {
        match address {
            IpAddr::V4(v4) => self.v4.get(hash, [v4.to_bits().into()]),
            IpAddr::V6(v6) => self.v6.get(hash, halves(v6.to_bits())),
        }
    }

    /// Gives `address` another word, and returns the one it had. For one writer at a time.
    pub(crate) fn set(&self, address: IpAddr, word: Word) -> Word {
        let hash = self.hash(address);
        match address {
            IpAddr::V4(v4) => {
                let key = [v4.to_bits().into()];
                self.v4.set(hash, key, word, |[bits]| self.hasher.hash_one(bits))
            }
            IpAddr::V6(v6) => self.v6.set(hash, halves(v6.to_bits()), word, |[high, low]| {
                self.hasher.hash_one(u128::from(high) << 64 | u128::from(low))
            }),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

impl<const K: usize, const S: usize> Shards<K, S> {
    /// loom builds every atomic anew for each execution.
    const BITS: u32 = if cfg!(loom) { 0 } else { 6 };

    fn new() -> Self {
        Self {
            shards: std::iter::repeat_with(Shard::new).take(1 << Self::BITS).collect(),
        }
    }

    #[inline]
    fn get(&self, hash: u64, key: [u64; K]) -> Word {
        match self.shard(hash).and_then(Shard::table) {
            Some(table) => table.get(hash, key),
            None => Word::NOTHING,
        }
    }

    fn set(&self, hash: u64, key: [u64; K], word: Word, rehash: impl Fn([u64; K]) -> u64) -> Word {
        let Some(shard) = self.shard(hash) else {
            return Word::NOTHING;
        };
        loop {
            match shard.table().map(|table| table.set(hash, key, word)) {
                Some(Ok(before)) => return before,
                Some(Err(TableFull)) => shard.grow(&rehash),
                None => return Word::NOTHING,
            }
        }
    }

    /// The hash's topmost bits choose: tables take their buckets from the lowest.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 63")]
    fn shard(&self, hash: u64) -> Option<&Shard<K, S>> {
        self.shards
            .get(hash.checked_shr(u64::BITS - Self::BITS).unwrap_or(0) as usize)
    }
}

impl<const K: usize, const S: usize> Shard<K, S> {
    fn new() -> Self {
        let shard = Self {
            current: AtomicUsize::new(0),
            tables: [const { OnceLock::new() }; SIZES],
        };
        if let Some(first) = shard.tables.first() {
            first.get_or_init(|| Box::new(Table::new(SMALLEST_LOG_BUCKETS, false)));
        }
        shard
    }

    /// Acquire pairs with the release in [`Shard::grow`]: the table is there, with all its hosts.
    #[inline]
    fn table(&self) -> Option<&Table<K, S>> {
        self.tables
            .get(self.current.load(Ordering::Acquire))?
            .get()
            .map(|table| &**table)
    }

    /// Readers stay with the old table until the new one holds all that it held.
    fn grow(&self, rehash: impl Fn([u64; K]) -> u64) {
        let next = self.current.load(Ordering::Relaxed) + 1;
        if let (Some(old), Some(new)) = (self.table(), self.tables.get(next)) {
            new.get_or_init(|| Box::new(old.doubled(next + 1 == SIZES, rehash)));
            self.current.store(next, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn grows_with_its_hosts() {
        let hosts = Hosts::new();
        let addresses = |number: u32| {
            [
                IpAddr::V4(Ipv4Addr::from_bits(number)),
                IpAddr::V6(Ipv6Addr::from_bits(u128::from(number) << 64 | 7)),
            ]
        };
        for number in 0..100_000 {
            for address in addresses(number) {
                assert_eq!(hosts.set(address, Word(5000 + u64::from(number))), Word::NOTHING);
            }
        }
        for number in (0..100_000).step_by(2) {
            for address in addresses(number) {
                assert_eq!(hosts.set(address, Word::NOTHING), Word(5000 + u64::from(number)));
            }
        }
        for number in 0..100_001_u32 {
            let tagged = number % 2 == 1 && number < 100_000;
            let word = if tagged {
                Word(5000 + u64::from(number))
            } else {
                Word::NOTHING
            };
            for address in addresses(number) {
                assert_eq!(hosts.get(hosts.hash(address), address), word, "{address}");
            }
        }
    }
}
