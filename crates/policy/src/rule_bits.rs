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

    /// An empty set for so many rules.
    pub(crate) fn for_rules(rules: usize) -> Self {
        Self::new(rules.div_ceil(64))
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

    pub(crate) fn contains(&self, rule: usize) -> bool {
        self.block(rule / 64) & 1 << (rule % 64) != 0
    }

    /// The rules in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let blocks = (0..).step_by(64).zip(&self.0).filter(|(_, block)| **block != 0);
        blocks.flat_map(|(first, &block)| {
            let bits = (0..64_usize).filter(move |bit| block & 1 << bit != 0);
            bits.map(move |bit| bit.wrapping_add(first))
        })
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.0
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }
}

/// A set in a [`BitStore`]: where it begins there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StoredBits(u32);

impl StoredBits {
    /// No rules; every store has it.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn as_raw(self) -> u32 {
        self.0
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        Self(raw)
    }
}

/// Sparse sets of rules, equal ones stored once, each in one run of words.
///
/// First, for every 64 blocks, a [`Summary`]; then the blocks that are not empty.
#[derive(Clone, Debug)]
pub(crate) struct BitStore(Vec<u64>);

/// Which of 64 blocks are worth looking at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Blocks that are not empty.
    pub(crate) filled: u64,
    /// Blocks that have a rule in common with the companion of the store, whatever that is to its owner.
    pub(crate) common: u64,
    /// Where the first block that is not empty lies: kept from the start of the set, asked for from that of
    /// the store.
    first: u64,
}

impl Summary {
    /// In words.
    const SIZE: usize = 3;
}

/// Stores sets once each while a [`BitStore`] is filled.
#[derive(Debug)]
pub(crate) struct BitStoreBuilder {
    words: Vec<u64>,
    companion: RuleBits,
    known: HashMap<Box<[u64]>, StoredBits>,
}

impl BitStoreBuilder {
    pub(crate) fn new(companion: RuleBits) -> Self {
        let mut builder = Self {
            words: Vec::new(),
            known: HashMap::new(),
            companion,
        };
        let empty = RuleBits::new(builder.companion.0.len());
        builder.store(empty.blocks());
        builder
    }

    /// Stores a set, which has as many blocks as the companion.
    pub(crate) fn store(&mut self, blocks: &[Block]) -> StoredBits {
        let mut set = Vec::new();
        let mut first = blocks.len().div_ceil(64).wrapping_mul(Summary::SIZE);
        for (blocks, companions) in blocks.chunks(64).zip(self.companion.0.chunks(64)) {
            let (mut filled, mut common) = (0, 0);
            for (bit, (block, companion)) in blocks.iter().zip(companions).enumerate() {
                filled |= u64::from(*block != 0) << bit;
                common |= u64::from(block & companion != 0) << bit;
            }
            set.extend([filled, common, first as u64]);
            first = first.wrapping_add(filled.count_ones() as usize);
        }
        set.extend(blocks.iter().filter(|block| **block != 0));
        if let Some(&known) = self.known.get(set.as_slice()) {
            return known;
        }
        // 2^32 words are 32 GiB, far beyond what the bounds on rules and objects can fill.
        let stored = StoredBits(u32::try_from(self.words.len()).unwrap_or(0));
        self.words.extend_from_slice(&set);
        self.known.insert(set.into(), stored);
        stored
    }

    pub(crate) fn finish(mut self) -> BitStore {
        self.words.shrink_to_fit();
        BitStore(self.words)
    }
}

impl BitStore {
    /// The summary of the 64 blocks from `64 * number` on.
    pub(crate) fn summary(&self, set: StoredBits, number: usize) -> Summary {
        let at = (set.0 as usize).wrapping_add(number.wrapping_mul(Summary::SIZE));
        match self.0.get(at..at.wrapping_add(Summary::SIZE)) {
            Some(&[filled, common, first]) => Summary {
                filled,
                common,
                first: first.wrapping_add(set.0.into()),
            },
            _ => Summary::default(),
        }
    }

    /// The rules of a set in order; the store holds sets of so many rules.
    pub(crate) fn rules(&self, set: StoredBits, rules: usize) -> impl Iterator<Item = usize> + '_ {
        (0..rules.div_ceil(64)).flat_map(move |block| {
            let bits = self.lone_block(set, block);
            let places = (0..64_usize).filter(move |bit| bits & 1 << bit != 0);
            places.map(move |bit| block.wrapping_mul(64).wrapping_add(bit))
        })
    }

    /// One block of a set, where no other of the same summary is wanted.
    pub(crate) fn lone_block(&self, set: StoredBits, block: usize) -> Block {
        #[expect(clippy::cast_possible_truncation, reason = "below 64")]
        self.block(self.summary(set, block / 64), (block % 64) as u32)
    }

    /// One of the 64 blocks of a summary.
    pub(crate) fn block(&self, summary: Summary, bit: u32) -> Block {
        let below = summary.filled & (1_u64 << bit).wrapping_sub(1);
        let at = summary.first.wrapping_add(below.count_ones().into());
        // Not a branch: whether the block is empty is beyond what a processor can predict.
        let mask = ((summary.filled >> bit) & 1).wrapping_neg();
        let block = usize::try_from(at).ok().and_then(|at| self.0.get(at));
        block.copied().unwrap_or(0) & mask
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
        fn a_store_gives_back_what_was_stored(sets in prop::collection::vec(rules(), 1..4), companion in rules()) {
            let blocks = RULES.div_ceil(64);
            let bits = |rules: &BTreeSet<usize>| RuleBits::from_rules(blocks, rules.iter().copied());
            let mut builder = BitStoreBuilder::new(bits(&companion));
            let stored: Vec<StoredBits> = sets.iter().map(|rules| builder.store(bits(rules).blocks())).collect();
            prop_assert_eq!(builder.store(bits(&sets[0]).blocks()), stored[0], "equal sets are stored once");
            prop_assert_eq!(builder.store(RuleBits::new(blocks).blocks()), StoredBits::NONE);
            let store = builder.finish();
            for (rules, set) in sets.iter().zip(stored) {
                let (mut found, mut common) = (BTreeSet::new(), BTreeSet::new());
                for number in 0..blocks.div_ceil(64) {
                    let summary = store.summary(set, number);
                    for bit in 0..64 {
                        let block = store.block(summary, bit);
                        prop_assert_eq!(block != 0, summary.filled & (1 << bit) != 0);
                        let first = (number * 64 + bit as usize) * 64;
                        found.extend((0..64).filter(|at| block & (1 << at) != 0).map(|at| first + at));
                        if summary.common & (1 << bit) != 0 {
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
