//! The set itself: which lists a name stands on.
//!
//! A name is looked for under its own hash and that of each ancestor for which any list has an entry that
//! covers what is below. The table never changes, so its buckets need no room to grow: each is a block of
//! bytes that holds a few names, and an array small enough for a processor's cache says where it begins. A
//! name that is not there costs one read of memory that is not cached, and so does one that is.

use std::fmt;

use packet::DomainName;
use smallvec::SmallVec;

use super::builder::{Record, name_at};
use super::groups::{ListTag, Member, Stance};
use super::suffixes::Suffixes;

/// Names in a bucket, on average.
const BUCKET: usize = 4;
/// Stands for a group that does not fit a byte: four bytes in front of the name hold it.
const FAR_GROUP: u8 = u8::MAX;

/// One list that a name stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The list.
    pub list: ListTag,
    /// Labels of the name in front of the entry's: 0 where the name itself is listed, else it lies below.
    /// The entry is the name's [`DomainName::parent`] of as many labels.
    pub labels_skipped: u8,
}

impl Hit {
    /// Whether the name is listed only because it lies below an entry.
    pub fn wildcard(&self) -> bool {
        self.labels_skipped > 0
    }
}

/// The lists that a name stands on, by number, each once: with its most specific entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits(SmallVec<[Hit; 4]>);

impl Hits {
    /// Whether no list has the name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each list, in order of its number.
    pub fn iter(&self) -> impl Iterator<Item = Hit> + '_ {
        self.0.iter().copied()
    }

    /// How this list has the name.
    pub fn on(&self, list: ListTag) -> Option<Hit> {
        self.iter().find(|hit| hit.list == list)
    }

    fn apply(&mut self, members: &[Member], relevant: Stance, labels_skipped: u8) {
        for member in members {
            let place = self.0.binary_search_by_key(&member.tag, |hit| hit.list);
            if member.stance.has(relevant.excepted()) {
                if let Ok(index) = place {
                    self.0.remove(index);
                }
            } else if member.stance.has(relevant) {
                let hit = Hit {
                    list: member.tag,
                    labels_skipped,
                };
                match place {
                    Ok(index) => {
                        if let Some(known) = self.0.get_mut(index) {
                            *known = hit;
                        }
                    }
                    Err(index) => self.0.insert(index, hit),
                }
            }
        }
    }
}

/// Domain lists, looked up together. Immutable; a new list makes a new set.
pub struct DomainSet {
    seed: u64,
    /// Where each bucket begins in `blocks`, and where the last one ends.
    starts: Box<[u32]>,
    /// Per bucket that is not empty: how many names, two bytes; for each name 16 bits of its hash, its length
    /// and its group; then the names, in lower case, in wire format without the root.
    blocks: Box<[u8]>,
    groups: Box<[Box<[Member]>]>,
    count: usize,
    /// Bit n: some entry of n labels says something about its own name.
    exact_depths: u128,
    /// Bit n: some entry of n labels says something about what is below it.
    below_depths: u128,
}

impl Default for DomainSet {
    fn default() -> Self {
        Self::new(0, &[], &[], Box::default())
    }
}

impl DomainSet {
    pub(super) fn new(seed: u64, names: &[u8], records: &[Record], groups: Box<[Box<[Member]>]>) -> Self {
        let buckets = records.len().div_ceil(BUCKET).max(1);
        let mut set = Self {
            seed,
            starts: vec![0; buckets.saturating_add(1)].into(),
            blocks: Box::default(),
            groups,
            count: records.len(),
            exact_depths: 0,
            below_depths: 0,
        };
        let mut placed: Vec<(u64, u32)> = Vec::with_capacity(records.len());
        for (record, index) in records.iter().zip(0..) {
            let wire = name_at(names, record.offset);
            set.note_depth(wire, record.group);
            placed.push((Suffixes::new(wire).hash(seed), index));
        }
        // Buckets divide the hashes by their size, so that sorting puts each bucket's names together.
        placed.sort_unstable();
        set.write_blocks(&placed, names, records);
        set
    }

    fn write_blocks(&mut self, placed: &[(u64, u32)], names: &[u8], records: &[Record]) {
        let mut blocks = Vec::with_capacity(names.len().saturating_add(placed.len().saturating_mul(5)));
        let mut rest = placed;
        for bucket in 0..self.starts.len() {
            if let Some(start) = self.starts.get_mut(bucket) {
                // The builder takes no more names than 32 bits reach.
                *start = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            }
            let count = rest.partition_point(|&(hash, _)| self.bucket_of(hash) <= bucket);
            let (mine, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            write_block(mine, names, records, &mut blocks);
        }
        self.blocks = blocks.into();
    }

    fn note_depth(&mut self, wire: &[u8], group: u32) {
        let mut depth = 0_u32;
        let mut rest = wire;
        while let Some((&length, tail)) = rest.split_first() {
            depth = depth.saturating_add(1);
            rest = tail.get(usize::from(length)..).unwrap_or_default();
        }
        let bit = 1_u128.checked_shl(depth).unwrap_or(0);
        let (mut exact, mut below) = (0, 0);
        for member in self.members(group).unwrap_or_default() {
            if member.stance.has(Stance::EXACT.union(Stance::EXACT.excepted())) {
                exact = bit;
            }
            if member.stance.has(Stance::BELOW.union(Stance::BELOW.excepted())) {
                below = bit;
            }
        }
        self.exact_depths |= exact;
        self.below_depths |= below;
    }

    fn members(&self, group: u32) -> Option<&[Member]> {
        self.groups.get(usize::try_from(group).ok()?).map(AsRef::as_ref)
    }

    /// The bucket of a hash; a greater hash never has a lesser bucket.
    fn bucket_of(&self, hash: u64) -> usize {
        let buckets = u128::try_from(self.starts.len().saturating_sub(1)).unwrap_or(1);
        usize::try_from(u128::from(hash).wrapping_mul(buckets) >> 64).unwrap_or(0)
    }

    /// The lists that `name` stands on.
    pub fn lookup(&self, name: &DomainName) -> Hits {
        let mut hits = Hits::default();
        let suffixes = Suffixes::new(name.as_wire());
        let labels = u32::try_from(suffixes.labels()).unwrap_or(0);
        let own = 1_u128.checked_shl(labels).unwrap_or(0);
        let depths = self.below_depths & own.wrapping_sub(1) | self.exact_depths & own;
        let mut hasher = suffixes.hasher(self.seed);
        let mut rest = depths >> 1;
        let mut depth = 1_usize;
        while rest != 0 {
            if rest & 1 != 0 {
                let suffix = suffixes.suffix(depth);
                if let Some(members) = self.find(hasher.hash(suffix), suffix) {
                    let skipped = suffixes.labels().saturating_sub(depth);
                    let relevant = if skipped == 0 {
                        Stance::EXACT
                    } else {
                        Stance::BELOW
                    };
                    hits.apply(members, relevant, u8::try_from(skipped).unwrap_or(u8::MAX));
                }
            }
            rest >>= 1;
            depth = depth.saturating_add(1);
        }
        hits
    }

    /// What the lists say about exactly this suffix.
    fn find(&self, hash: u64, wire: &[u8]) -> Option<&[Member]> {
        let &[start, end] = self.starts.get(self.bucket_of(hash)..)?.first_chunk::<2>()?;
        let block = self
            .blocks
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        let (count, rest) = block.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        let (heads, mut names) = rest.split_at_checked(count.saturating_mul(4))?;
        let wanted = mark(hash);
        for &[mark0, mark1, length, group] in heads.as_chunks::<4>().0 {
            let before = if group == FAR_GROUP { 4 } else { 0 };
            let (body, others) = names.split_at_checked(usize::from(length).saturating_add(before))?;
            if [mark0, mark1] == wanted
                && let Some((far, name)) = body.split_at_checked(before)
                && name.eq_ignore_ascii_case(wire)
            {
                let far = far.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
                return self.members(far.unwrap_or(u32::from(group)));
            }
            names = others;
        }
        None
    }

    /// Distinct names held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no list has any name.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        let groups: usize = self
            .groups
            .iter()
            .map(|set| size_of_val::<[Member]>(set).saturating_add(size_of::<Box<[Member]>>()))
            .sum();
        size_of_val::<[u32]>(&self.starts)
            .saturating_add(self.blocks.len())
            .saturating_add(groups)
    }
}

impl fmt::Debug for DomainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainSet")
            .field("names", &self.count)
            .field("bytes", &self.memory())
            .finish_non_exhaustive()
    }
}

/// The part of a hash that stands beside a name: not the part that chooses its bucket.
fn mark(hash: u64) -> [u8; 2] {
    let [low, high, ..] = hash.to_le_bytes();
    [low, high]
}

/// Appends a bucket's names: first what is needed to tell them apart, then themselves.
fn write_block(placed: &[(u64, u32)], names: &[u8], records: &[Record], out: &mut Vec<u8>) {
    // A keyed hash puts a handful of names into a bucket; no list can make it more than 16 bits.
    let Some(count) = u16::try_from(placed.len()).ok().filter(|count| *count > 0) else {
        return;
    };
    let named = || {
        placed.iter().filter_map(|&(hash, index)| {
            let record = records.get(usize::try_from(index).ok()?)?;
            let near = u8::try_from(record.group).unwrap_or(FAR_GROUP);
            Some((hash, name_at(names, record.offset), near, record.group))
        })
    };
    out.extend_from_slice(&count.to_le_bytes());
    for (hash, wire, near, _) in named() {
        let [low, high] = mark(hash);
        out.extend_from_slice(&[low, high, u8::try_from(wire.len()).unwrap_or(0), near]);
    }
    for (_, wire, near, group) in named() {
        if near == FAR_GROUP {
            out.extend_from_slice(&group.to_le_bytes());
        }
        out.extend_from_slice(wire);
    }
}
