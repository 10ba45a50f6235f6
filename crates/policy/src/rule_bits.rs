//! Sets of rules as bits, one for each rule in order, 64 to a block.

use std::collections::HashMap;

/// The bits of one block.
pub(crate) type Block = u64;

/// A set of rules with all its blocks: for sets that most lookups touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleBits(Box<[Block]>);

impl RuleBits {
    pub(crate) fn new(blocks: usize) -> Self {
        Self(vec![0; blocks].into())
    }

    pub(crate) fn from_rules(blocks: usize, rules: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = Self::new(blocks);
        rules.into_iter().for_each(|rule| bits.set(rule, true));
        bits
    }

    pub(crate) fn set(&mut self, rule: usize, value: bool) {
        if let Some(block) = self.0.get_mut(rule / 64) {
            let bit = 1 << (rule % 64);
            *block = if value { *block | bit } else { *block & !bit };
        }
    }

    pub(crate) fn block(&self, block: usize) -> Block {
        self.0.get(block).copied().unwrap_or(0)
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.0
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }
}

/// A set in a [`BitStore`]: where its words begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoredBits(u32);

impl StoredBits {
    /// No rules; every store has it.
    pub(crate) const NONE: Self = Self(0);
}

/// Sparse sets of rules, equal ones stored once.
///
/// A set is: a summary with a bit for each block that is not empty; a second one with a bit for each
/// block that has a rule in common with a *companion*, whatever that is to the owner; and the blocks
/// that are not empty.
#[derive(Clone, Debug)]
pub(crate) struct BitStore {
    /// Words of one summary.
    summary: usize,
    words: Vec<u64>,
}

/// Stores sets once each while a [`BitStore`] is filled.
#[derive(Debug)]
pub(crate) struct BitStoreBuilder {
    store: BitStore,
    companion: RuleBits,
    known: HashMap<Box<[u64]>, StoredBits>,
}

impl BitStoreBuilder {
    pub(crate) fn new(companion: RuleBits) -> Self {
        let mut builder = Self {
            store: BitStore {
                summary: companion.0.len().div_ceil(64),
                words: Vec::new(),
            },
            companion,
            known: HashMap::new(),
        };
        builder.store(&[]);
        builder
    }

    /// Stores a set; blocks that are not given are empty.
    pub(crate) fn store(&mut self, blocks: &[Block]) -> StoredBits {
        let (mut any, mut common) = (vec![0_u64; self.store.summary], vec![0_u64; self.store.summary]);
        let mut filled = Vec::new();
        for (number, &block) in blocks.iter().enumerate().filter(|(_, block)| **block != 0) {
            filled.push(block);
            mark(&mut any, number);
            if block & self.companion.block(number) != 0 {
                mark(&mut common, number);
            }
        }
        any.append(&mut common);
        any.append(&mut filled);
        if let Some(&known) = self.known.get(any.as_slice()) {
            return known;
        }
        // 2^32 words are 32 GiB, far beyond what the bounds on rules and objects can fill.
        let stored = StoredBits(u32::try_from(self.store.words.len()).unwrap_or(0));
        self.store.words.extend_from_slice(&any);
        self.known.insert(any.into(), stored);
        stored
    }

    pub(crate) fn finish(mut self) -> BitStore {
        self.store.words.shrink_to_fit();
        self.store
    }
}

fn mark(summary: &mut [u64], block: usize) {
    if let Some(word) = summary.get_mut(block / 64) {
        *word |= 1 << (block % 64);
    }
}

impl BitStore {
    /// The set, for walking its blocks in order.
    pub(crate) fn cursor(&self, set: StoredBits) -> Cursor<'_> {
        let start = usize::try_from(set.0).unwrap_or(usize::MAX);
        let words = self.words.get(start..).unwrap_or(&[]);
        let (any, rest) = words.split_at_checked(self.summary).unwrap_or((&[], &[]));
        let (common, filled) = rest.split_at_checked(self.summary).unwrap_or((&[], &[]));
        Cursor {
            any,
            common,
            filled,
            word: 0,
        }
    }
}

/// A set of a [`BitStore`], read one word of the summary at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    any: &'a [u64],
    common: &'a [u64],
    /// From the first block of the current summary word on.
    filled: &'a [u64],
    word: u64,
}

impl Cursor<'_> {
    /// Moves to the summary word `number`, each of which must be asked for in order. Returns which of
    /// its blocks are not empty, and which have a rule in common with the companion.
    pub(crate) fn advance(&mut self, number: usize) -> (u64, u64) {
        let passed = usize::try_from(self.word.count_ones()).unwrap_or(0);
        self.filled = self.filled.get(passed..).unwrap_or(&[]);
        self.word = self.any.get(number).copied().unwrap_or(0);
        (self.word, self.common.get(number).copied().unwrap_or(0))
    }

    /// The block that stands for bit `bit` of the current summary word.
    pub(crate) fn block(&self, bit: u32) -> Block {
        let below = (1_u64 << bit).wrapping_sub(1);
        if self.word & (1 << bit) == 0 {
            return 0;
        }
        let rank = usize::try_from((self.word & below).count_ones()).unwrap_or(0);
        self.filled.get(rank).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RULES: usize = 6_000;

    fn rules() -> impl Strategy<Value = BTreeSet<usize>> {
        prop_oneof![
            prop::collection::btree_set(0..RULES, 0..40),
            prop::collection::btree_set(0..RULES, 1_000..1_200),
        ]
    }

    proptest! {
        #[test]
        fn cursors_give_back_what_was_stored(sets in prop::collection::vec(rules(), 1..4), companion in rules()) {
            let blocks = RULES.div_ceil(64);
            let bits = |rules: &BTreeSet<usize>| RuleBits::from_rules(blocks, rules.iter().copied());
            let mut builder = BitStoreBuilder::new(bits(&companion));
            let stored: Vec<StoredBits> = sets.iter().map(|rules| builder.store(bits(rules).blocks())).collect();
            prop_assert_eq!(builder.store(bits(&sets[0]).blocks()), stored[0], "equal sets are stored once");
            prop_assert_eq!(builder.store(&[]), StoredBits::NONE);
            let store = builder.finish();
            for (rules, set) in sets.iter().zip(stored) {
                let mut cursor = store.cursor(set);
                let (mut found, mut common) = (BTreeSet::new(), BTreeSet::new());
                for number in 0..blocks.div_ceil(64) {
                    let (any, shared) = cursor.advance(number);
                    for bit in 0..64 {
                        let block = cursor.block(bit);
                        prop_assert_eq!(block != 0, any & (1 << bit) != 0);
                        let first = (number * 64 + bit as usize) * 64;
                        found.extend((0..64).filter(|at| block & (1 << at) != 0).map(|at| first + at));
                        if shared & (1 << bit) != 0 {
                            common.insert(first / 64);
                        }
                    }
                }
                prop_assert_eq!(&found, rules);
                let shared: BTreeSet<usize> = rules.intersection(&companion).map(|rule| rule / 64).collect();
                prop_assert_eq!(common, shared);
            }
        }
    }
}
