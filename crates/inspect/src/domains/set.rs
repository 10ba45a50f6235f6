//! The set itself: which lists a name stands on.
//!
//! A name is looked for under its own hash and that of each ancestor for which any list has an entry that
//! covers what is below. The hash table holds, in buckets of one cache line, half of each hash beside the
//! place of the name; the name itself is compared before anything counts as found.

use std::fmt;

use packet::DomainName;
use smallvec::SmallVec;

use super::builder::{Record, hash_wire, name_at};
use super::folded::{Folded, start_state};
use super::groups::{ListTag, Member, Stance};

/// Slots of a bucket: one cache line.
const SLOTS: usize = 8;
/// Slots filled of a bucket on average, in tenths.
const FILL_TENTHS: usize = 58;

/// The upper half of a slot is half of the name's hash, the lower half its place plus one; 0 is empty.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket([u64; SLOTS]);

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
    buckets: Box<[Bucket]>,
    /// Per name: its group as a variable-length number, its length byte, its wire bytes without the root's.
    names: Box<[u8]>,
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
        let wanted = records.len().saturating_mul(10) / FILL_TENTHS;
        let mut set = Self {
            seed,
            buckets: vec![Bucket([0; SLOTS]); wanted.saturating_add(1)].into(),
            names: Box::default(),
            groups,
            count: 0,
            exact_depths: 0,
            below_depths: 0,
        };
        let mut packed = Vec::with_capacity(names.len().saturating_add(records.len()));
        for record in records {
            let wire = name_at(names, record.offset);
            if let Ok(place) = u32::try_from(packed.len()) {
                write_number(record.group, &mut packed);
                packed.push(u8::try_from(wire.len()).unwrap_or(0));
                packed.extend_from_slice(wire);
                set.place(hash_wire(wire, seed), place);
                set.note_depth(wire, record.group);
            }
        }
        set.names = packed.into();
        set
    }

    /// Puts a name's place into the first free slot from its bucket on.
    fn place(&mut self, hash: u64, place: u32) {
        let slot = (hash << 32) | u64::from(place.saturating_add(1));
        let first = self.bucket_of(hash);
        let (front, back) = self.buckets.split_at_mut(first);
        let free = back
            .iter_mut()
            .chain(front)
            .flat_map(|bucket| bucket.0.iter_mut())
            .find(|slot| **slot == 0);
        if let Some(free) = free {
            *free = slot;
            self.count = self.count.saturating_add(1);
        }
    }

    fn note_depth(&mut self, wire: &[u8], group: u32) {
        let mut depth = 0_u32;
        let mut rest = wire;
        while let Some((&length, tail)) = rest.split_first() {
            depth = depth.saturating_add(1);
            rest = tail.get(usize::from(length)..).unwrap_or_default();
        }
        let bit = 1_u128.checked_shl(depth).unwrap_or(0);
        for member in self.members(group) {
            if member.stance.has(Stance::EXACT.union(Stance::EXACT.excepted())) {
                self.exact_depths |= bit;
            }
            if member.stance.has(Stance::BELOW.union(Stance::BELOW.excepted())) {
                self.below_depths |= bit;
            }
        }
    }

    fn members(&self, group: u32) -> Vec<Member> {
        usize::try_from(group)
            .ok()
            .and_then(|group| self.groups.get(group))
            .map(|set| set.to_vec())
            .unwrap_or_default()
    }

    fn bucket_of(&self, hash: u64) -> usize {
        let count = u128::try_from(self.buckets.len()).unwrap_or(1);
        usize::try_from(u128::from(hash).wrapping_mul(count) >> 64).unwrap_or(0)
    }

    /// The lists that `name` stands on.
    pub fn lookup(&self, name: &DomainName) -> Hits {
        let mut hits = Hits::default();
        let folded = Folded::new(name);
        let labels = u32::try_from(folded.labels()).unwrap_or(0);
        let own = 1_u128.checked_shl(labels).unwrap_or(0);
        let depths = self.below_depths & own.wrapping_sub(1) | self.exact_depths & own;
        let mut state = start_state(self.seed);
        let mut rest = depths >> 1;
        let mut depth = 0_usize;
        while rest != 0 {
            depth = depth.saturating_add(1);
            state = folded.hash_label(state, depth);
            if rest & 1 != 0
                && let Some(group) = self.find(state, folded.suffix(depth))
            {
                let skipped = folded.labels().saturating_sub(depth);
                let relevant = if skipped == 0 {
                    Stance::EXACT
                } else {
                    Stance::BELOW
                };
                hits.apply(group, relevant, u8::try_from(skipped).unwrap_or(u8::MAX));
            }
            rest >>= 1;
        }
        hits
    }

    /// What the lists say about exactly this suffix.
    fn find(&self, hash: u64, wire: &[u8]) -> Option<&[Member]> {
        let half = hash << 32;
        let (front, back) = self.buckets.split_at_checked(self.bucket_of(hash))?;
        for bucket in back.iter().chain(front) {
            for &slot in &bucket.0 {
                if (slot ^ half) >> 32 == 0
                    && slot != 0
                    && let Some(members) = self.compare(slot, wire)
                {
                    return Some(members);
                }
            }
            // Slots fill in order: a bucket with room never sent anything on.
            if bucket.0.last() == Some(&0) {
                return None;
            }
        }
        None
    }

    #[inline(never)]
    fn compare(&self, slot: u64, wire: &[u8]) -> Option<&[Member]> {
        let place = usize::try_from((slot & 0xffff_ffff).wrapping_sub(1)).ok()?;
        let (group, rest) = read_number(self.names.get(place..)?)?;
        let (&length, rest) = rest.split_first()?;
        if rest.get(..usize::from(length))? != wire {
            return None;
        }
        self.groups.get(usize::try_from(group).ok()?).map(AsRef::as_ref)
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
        size_of_val::<[Bucket]>(&self.buckets)
            .saturating_add(self.names.len())
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

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn write_number(number: u32, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(0x80 | u8::try_from(rest & 0x7f).unwrap_or(0));
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

fn read_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u32;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index.checked_add(1)?..)?));
        }
    }
    None
}
