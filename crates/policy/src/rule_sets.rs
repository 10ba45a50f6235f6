//! Sets of rules by what one end of a session is: an address, or a tag it carries.
//!
//! Most such sets are short beside a large rule base: a score of ten thousand rules. They are read as a list,
//! in a cache line or two, where the same set as bits is spread over many. Each rule in a list comes with
//! its [`Traits`], which refuse nine in ten without a look at anything else. Every set has its bits as well, for
//! sessions one of whose sets is long.

use std::collections::HashMap;

use crate::rule_bits::{BitStore, BitStoreBuilder, RuleBits, StoredBits};
use crate::rule_traits::Traits;

/// A set in a [`RuleSets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SetId(u32);

impl SetId {
    /// No rules; every store has it.
    pub(crate) const NONE: Self = Self(0);
}

/// Sets of rules, equal ones stored once.
#[derive(Clone, Debug)]
pub(crate) struct RuleSets {
    /// For each set: how many rules it lists, or [`LONG`]; its place in `bits`; and the rules it lists.
    words: Vec<u32>,
    pub(crate) bits: BitStore,
}

/// In place of a length: the set is not listed.
const LONG: u32 = u32::MAX;

/// A rule of a list: its number, and above that its traits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed(u32);

impl Listed {
    fn new(rule: u16, traits: Traits) -> Self {
        Self(u32::from(rule) | u32::from(traits.bits()) << 16)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the number")]
    pub(crate) fn rule(self) -> u16 {
        self.0 as u16
    }

    /// Whether the rule may accept a session with these traits.
    #[inline]
    pub(crate) fn may_accept(self, session: Traits) -> bool {
        let wanted = u32::from(session.bits()) << 16;
        self.0 & wanted == wanted
    }
}

impl RuleSets {
    /// The longest set that is listed.
    pub(crate) const LONGEST: usize = 128;

    /// How many rules a set lists; more than [`RuleSets::LONGEST`] where it is not listed.
    #[inline]
    pub(crate) fn len(&self, set: SetId) -> usize {
        self.words.get(set.0 as usize).map_or(0, |&len| len as usize)
    }

    /// The rules of a set in order; none where it is not listed.
    #[inline]
    pub(crate) fn list(&self, set: SetId) -> impl Iterator<Item = Listed> + '_ {
        let first = (set.0 as usize).wrapping_add(2);
        let list = self.words.get(first..first.wrapping_add(self.len(set)));
        list.unwrap_or(&[]).iter().map(|&word| Listed(word))
    }

    /// The same set as bits.
    pub(crate) fn bits(&self, set: SetId) -> StoredBits {
        let at = (set.0 as usize).wrapping_add(1);
        self.words
            .get(at)
            .map_or(StoredBits::NONE, |&at| StoredBits::from_raw(at))
    }
}

/// Stores sets once each while a [`RuleSets`] is filled.
#[derive(Debug)]
pub(crate) struct RuleSetsBuilder<'a> {
    words: Vec<u32>,
    bits: BitStoreBuilder,
    known: HashMap<StoredBits, SetId>,
    /// By rule.
    traits: &'a [Traits],
}

impl<'a> RuleSetsBuilder<'a> {
    /// For as many rules as there are `traits`; the companion is that of the bits.
    pub(crate) fn new(companion: RuleBits, traits: &'a [Traits]) -> Self {
        let mut builder = Self {
            words: Vec::new(),
            bits: BitStoreBuilder::new(companion),
            known: HashMap::new(),
            traits,
        };
        builder.store(&RuleBits::for_rules(traits.len()));
        builder
    }

    pub(crate) fn store(&mut self, rules: &RuleBits) -> SetId {
        let bits = self.bits.store(rules.blocks());
        if let Some(&known) = self.known.get(&bits) {
            return known;
        }
        // 2^32 words are 16 GiB, far beyond what the bounds on rules and objects can fill.
        let set = SetId(u32::try_from(self.words.len()).unwrap_or(0));
        self.known.insert(bits, set);
        let list: Option<Vec<u32>> = rules
            .iter()
            .map(|rule| {
                let traits = self.traits.get(rule).copied().unwrap_or(Traits::ALL);
                Some(Listed::new(u16::try_from(rule).ok()?, traits).0)
            })
            .take(RuleSets::LONGEST.saturating_add(1))
            .collect();
        // More rules than a `u16` numbers are beyond the bound; the bits hold them all the same.
        let list = list.filter(|list| list.len() <= RuleSets::LONGEST);
        let len = list.as_ref().and_then(|list| u32::try_from(list.len()).ok());
        self.words.extend([len.unwrap_or(LONG), bits.as_raw()]);
        self.words.extend(list.unwrap_or_default());
        set
    }

    pub(crate) fn finish(mut self) -> RuleSets {
        self.words.shrink_to_fit();
        RuleSets {
            words: self.words,
            bits: self.bits.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RULES: usize = 70_000;

    fn rules() -> impl Strategy<Value = BTreeSet<usize>> {
        let rule = prop_oneof![3 => 0..300_usize, 1 => 0..RULES];
        prop_oneof![
            prop::collection::btree_set(rule.clone(), 0..RuleSets::LONGEST + 1),
            prop::collection::btree_set(rule, 0..200),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn gives_back_what_was_stored(sets in prop::collection::vec(rules(), 1..6), traits in any::<u16>()) {
            let all = vec![Traits::from_bits(traits); RULES];
            let bits = |rules: &BTreeSet<usize>| {
                RuleBits::from_rules(RULES.div_ceil(64), rules.iter().copied())
            };
            let mut builder = RuleSetsBuilder::new(bits(&sets[0]), &all);
            let stored: Vec<SetId> = sets.iter().map(|rules| builder.store(&bits(rules))).collect();
            prop_assert_eq!(builder.store(&bits(&sets[0])), stored[0], "equal sets are stored once");
            prop_assert_eq!(builder.store(&bits(&BTreeSet::new())), SetId::NONE);
            let store = builder.finish();
            for (rules, set) in sets.iter().zip(stored) {
                let numbered = rules.last().is_none_or(|&last| last < 1 << 16);
                if rules.len() <= RuleSets::LONGEST && numbered {
                    prop_assert_eq!(store.len(set), rules.len());
                    prop_assert!(store.list(set).map(|listed| usize::from(listed.rule())).eq(rules.iter().copied()));
                    prop_assert!(store.list(set).all(|listed| listed.may_accept(Traits::from_bits(traits))));
                    let more = Traits::from_bits(!traits);
                    prop_assert!(traits == u16::MAX || store.list(set).all(|listed| !listed.may_accept(more)));
                } else {
                    prop_assert!(store.len(set) > RuleSets::LONGEST);
                    prop_assert_eq!(store.list(set).count(), 0);
                }
                let mut found = BTreeSet::new();
                for number in 0..RULES.div_ceil(64 * 64) {
                    let summary = store.bits.summary(store.bits(set), number);
                    for bit in 0..64_u32 {
                        let block = store.bits.block(summary, bit);
                        let first = (number * 64 + bit as usize) * 64;
                        found.extend((0..64).filter(|at| block & (1 << at) != 0).map(|at| first + at));
                    }
                }
                prop_assert_eq!(&found, rules);
            }
        }
    }
}
