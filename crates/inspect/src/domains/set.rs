//! The set itself: which lists a name stands on.
//!
//! A name is looked for under its own hash and that of each ancestor for which any list has an entry that
//! covers what is below.

use std::fmt;

use packet::DomainName;
use smallvec::SmallVec;

use super::builder::{Record, name_at};
use super::groups::{ListTag, Member, Stance};
use super::suffixes::{Suffixes, without_root};
use super::table::{NameTable, Probe};

/// Ancestors that are looked for at the same time: more than most names have.
const ABREAST: usize = 4;

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
                    Err(index) if index == self.0.len() => self.0.push(hit),
                    Err(index) => self.0.insert(index, hit),
                }
            }
        }
    }
}

/// Domain lists, looked up together. Immutable; a new list makes a new set.
pub struct DomainSet {
    table: NameTable,
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
        let mut set = Self {
            table: NameTable::new(seed, names, records),
            groups,
            count: records.len(),
            exact_depths: 0,
            below_depths: 0,
        };
        for record in records {
            set.note_depth(name_at(names, record.offset), record.group);
        }
        set
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

    /// The lists that `name` stands on.
    pub fn lookup(&self, name: &DomainName) -> Hits {
        let mut hits = Hits::default();
        if self.is_empty() {
            return hits;
        }
        let wire = without_root(name);
        // Memory answers while the labels are counted.
        let own = self.table.probe(wire);
        let suffixes = Suffixes::new(wire);
        let own_depth = 1_u128.wrapping_shl(u32::try_from(suffixes.labels()).unwrap_or(0));
        // The root has no entry.
        let mut depths = self.below_depths & own_depth.wrapping_sub(1) & !1;
        while depths != 0 {
            let mut probes = [(0, Probe::default()); ABREAST];
            let mut count = 0_usize;
            while depths != 0
                && let Some(slot) = probes.get_mut(count)
            {
                let depth = usize::try_from(depths.trailing_zeros()).unwrap_or(0);
                depths &= depths.wrapping_sub(1);
                *slot = (depth, self.table.probe(suffixes.suffix(depth)));
                count = count.saturating_add(1);
            }
            for (depth, probe) in probes.iter().take(count) {
                if let Some(members) = self.find(probe) {
                    let skipped = u8::try_from(suffixes.labels().saturating_sub(*depth));
                    hits.apply(members, Stance::BELOW, skipped.unwrap_or(u8::MAX));
                }
            }
        }
        if self.exact_depths & own_depth != 0
            && let Some(members) = self.find(&own)
        {
            hits.apply(members, Stance::EXACT, 0);
        }
        hits
    }

    /// What the lists say about exactly the name probed for.
    fn find(&self, probe: &Probe<'_>) -> Option<&[Member]> {
        self.members(self.table.find(probe)?)
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
        self.table.memory().saturating_add(groups)
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
