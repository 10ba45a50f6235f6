//! The sets of rules for one end of sessions.

use std::collections::HashMap;

use smallvec::SmallVec;
use tags::TagId;

use crate::TagFilter;
use crate::address::FixedAddresses;
use crate::address_group::{AddressBook, CarriedTags};
use crate::criteria::AddressColumn;
use crate::interval_map::{IntervalMap, Sweep};
use crate::rule_bits::{Block, RuleBits, StoredBits, Summary};
use crate::rule_sets::{RuleSets, RuleSetsBuilder, SetId};
use crate::rule_traits::Traits;

/// The sets of `source` or of `destination`.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Rules that accept any address, or that no set below can hold: negated ones and wildcards.
    pub(super) any: RuleBits,
    /// Rules whose addresses hold this one.
    by_address: IntervalMap<SetId>,
    /// By number of the tag: rules with a dynamic group whose filter names it.
    by_tag: Vec<SetId>,
    /// The sets of this side; the companion of their bits is the other side's `any`.
    pub(super) sets: RuleSets,
}

/// The sets that hold one end of a session: one by its address, one more for each of its tags.
pub(super) type Named = SmallVec<[SetId; MAX_SETS]>;

/// The same as bits. With each goes its summary of the blocks under way.
pub(super) type NamedBits = SmallVec<[(StoredBits, Summary); MAX_SETS]>;

/// An address with more tags that rules ask for is decided without an index.
const MAX_SETS: usize = 40;

impl Side {
    /// Gathers the sets that hold an address; `false` where they are too many.
    pub(super) fn gather(&self, carried: &CarriedTags<'_>, sets: &mut Named) -> bool {
        let by_address = self.by_address.get(carried.address);
        sets.push(by_address.copied().unwrap_or(SetId::NONE));
        for tag in carried.iter() {
            match self.by_tag.get(tag.as_raw() as usize) {
                None | Some(&SetId::NONE) => {}
                Some(_) if sets.len() == MAX_SETS => return false,
                Some(&set) => sets.push(set),
            }
        }
        true
    }

    /// How many rules the sets list together; more than [`RuleSets::LONGEST`] where one of them is not listed.
    pub(super) fn len(&self, named: &Named) -> usize {
        named.iter().map(|&set| self.sets.len(set)).sum()
    }

    pub(super) fn bits(&self, named: &Named) -> NamedBits {
        let bits = named.iter().map(|&set| (self.sets.bits(set), Summary::default()));
        bits.collect()
    }

    /// Moves to the next 64 blocks. Returns the summary of the union.
    pub(super) fn advance(&self, sets: &mut NamedBits, word: usize) -> Summary {
        let mut all = Summary::default();
        for (set, summary) in sets {
            *summary = self.sets.bits.summary(*set, word);
            all.filled |= summary.filled;
            all.common |= summary.common;
        }
        all
    }

    /// The rules of a block that accept the address.
    pub(super) fn block(&self, sets: &NamedBits, block: usize, bit: u32) -> Block {
        sets.iter().fold(self.any.block(block), |rules, &(_, summary)| {
            rules | self.sets.bits.block(summary, bit)
        })
    }
}

/// A side whose companion is not known yet.
#[derive(Clone, Debug)]
pub(super) struct SideDraft {
    pub(super) any: RuleBits,
    /// Distinct addresses, each with the rules that name them.
    fixed: Vec<(FixedAddresses, Vec<usize>)>,
    by_tag: HashMap<TagId, Vec<usize>>,
}

impl SideDraft {
    pub(super) fn new<'a>(
        book: &AddressBook,
        blocks: usize,
        columns: impl Iterator<Item = (bool, &'a AddressColumn)>,
    ) -> Self {
        let mut any = RuleBits::new(blocks);
        let mut fixed: HashMap<&FixedAddresses, Vec<usize>> = HashMap::new();
        let mut by_tag: HashMap<TagId, Vec<usize>> = HashMap::new();
        let live = columns.enumerate().filter(|(_, (disabled, _))| !disabled);
        for (rule, (_, column)) in live {
            let Some(members) = column.members.as_ref().filter(|_| !column.negate) else {
                any.set(rule, true);
                continue;
            };
            let filters = || members.dynamic.iter().filter_map(|&group| book.filter(group));
            // A filter that no tag at all satisfies holds addresses without tags.
            if !members.fixed.wildcards.is_empty() || filters().any(|filter| filter.matches(|_| false)) {
                any.set(rule, true);
                continue;
            }
            for tag in filters().flat_map(TagFilter::tags) {
                by_tag.entry(tag).or_default().push(rule);
            }
            fixed.entry(&members.fixed).or_default().push(rule);
        }
        let mut fixed: Vec<_> = fixed
            .into_iter()
            .map(|(fixed, rules)| (fixed.clone(), rules))
            .collect();
        fixed.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        Self { any, fixed, by_tag }
    }

    /// `companion` is what the other side accepts from anybody, `traits` are those of each rule.
    pub(super) fn finish(self, companion: RuleBits, traits: &[Traits]) -> Side {
        let mut sweep = RuleSweep {
            rules: self.fixed.iter().map(|(_, rules)| rules.as_slice()).collect(),
            current: RuleBits::for_rules(traits.len()),
            store: RuleSetsBuilder::new(companion, traits),
        };
        let networks = self.fixed.iter().map(|(fixed, _)| &fixed.networks);
        let by_address = IntervalMap::build(networks, &mut sweep);
        let mut store = sweep.store;
        let mut by_tag = Vec::new();
        let mut tags: Vec<(TagId, Vec<usize>)> = self.by_tag.into_iter().collect();
        tags.sort_unstable();
        for (tag, rules) in tags {
            let number = usize::try_from(tag.as_raw()).unwrap_or(0);
            by_tag.resize(number, SetId::NONE);
            by_tag.push(store.store(&RuleBits::from_rules(traits.len().div_ceil(64), rules)));
        }
        Side {
            any: self.any,
            by_address,
            by_tag,
            sets: store.finish(),
        }
    }
}

/// Follows which rules name the current address.
struct RuleSweep<'a> {
    rules: Vec<&'a [usize]>,
    current: RuleBits,
    store: RuleSetsBuilder<'a>,
}

impl RuleSweep<'_> {
    fn set(&mut self, set: usize, value: bool) {
        for &rule in self.rules.get(set).copied().unwrap_or(&[]) {
            self.current.set(rule, value);
        }
    }
}

impl Sweep for RuleSweep<'_> {
    type Value = SetId;

    fn enter(&mut self, set: usize) {
        self.set(set, true);
    }

    fn leave(&mut self, set: usize) {
        self.set(set, false);
    }

    fn value(&mut self) -> SetId {
        self.store.store(&self.current)
    }
}
