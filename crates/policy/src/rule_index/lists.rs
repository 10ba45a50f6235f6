//! Sessions both of whose addresses stand in few rules: lists compared.

use std::ops::ControlFlow;

use super::side::{Named, Side};
use super::{Candidate, Columns, RuleIndex};
use crate::criteria::Facts;
use crate::rule_bits::{Block, RuleBits};
use crate::rule_traits::Traits;
use crate::service_index::PortClasses;

impl RuleIndex {
    /// Visits every rule that can match, in order, until a visit breaks. Neither side lists more than `N` rules; room
    /// for them is cleared, so that of two sizes the smaller is worth asking for.
    pub(super) fn visit_lists<const N: usize, B>(
        &self,
        facts: &Facts<'_>,
        columns: &Columns<'_>,
        [src, dst]: [&Named; 2],
        mut visit: impl FnMut(Candidate) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let session = Traits::of_session(facts.from, facts.to, PortClasses::of(columns.service));
        let (mut few_src, mut few_dst) = (Few::<N>::EMPTY, Few::<N>::EMPTY);
        few_src.fill(&self.source, src, session);
        few_dst.fill(&self.destination, dst, session);
        let mut both = Both {
            src: &few_src,
            dst: &few_dst,
            any_src: &self.source.any,
            any_dst: &self.destination.any,
            at: [0, 0],
        };
        let mut open = OpenRules {
            index: self,
            columns,
            next: columns.open.first,
        };
        while let Some(rule) = both.next() {
            while let Some(before) = open.next_before(rule) {
                visit(columns.candidate(before))?;
            }
            if self.accepts(columns, rule) {
                visit(columns.candidate(rule))?;
            }
        }
        while let Some(rule) = open.next_before(self.rules) {
            visit(columns.candidate(rule))?;
        }
        ControlFlow::Continue(())
    }

    /// Whether a rule that accepts the addresses is in the sets of all other columns.
    fn accepts(&self, columns: &Columns<'_>, rule: usize) -> bool {
        columns.from.contains(rule)
            && columns.to.contains(rule)
            && columns.app.contains(rule)
            && self.services.accepts(columns.service, rule)
    }
}

/// The rules that name one end of a session and may accept it: in order, each once.
struct Few<const N: usize> {
    rules: [u16; N],
    len: usize,
}

impl<const N: usize> Few<N> {
    const EMPTY: Self = Self {
        rules: [0; N],
        len: 0,
    };

    /// `named` lists no more than `N`, a power of two.
    fn fill(&mut self, side: &Side, named: &Named, session: Traits) {
        let Self { rules, len } = self;
        // Kept apart from the rules, or every step would wait for the store of the one before.
        let mut end = 0_usize;
        for &set in named {
            for listed in side.sets.list(set) {
                // Not a branch: which rules may accept is beyond what a processor can predict.
                if let Some(slot) = rules.get_mut(end & N.wrapping_sub(1)) {
                    *slot = listed.rule();
                }
                end = end.wrapping_add(usize::from(listed.may_accept(session)));
            }
        }
        *len = end;
        if named.len() > 1 {
            self.sort();
        }
    }

    fn sort(&mut self) {
        let rules = self.rules.get_mut(..self.len).unwrap_or_default();
        rules.sort_unstable();
        let mut kept = 0_usize;
        let mut last = None;
        for at in 0..rules.len() {
            let rule = rules.get(at).copied();
            if let (Some(slot), Some(rule)) = (rules.get_mut(kept), rule) {
                *slot = rule;
                kept = kept.wrapping_add(usize::from(last != Some(rule)));
                last = Some(rule);
            }
        }
        self.len = kept;
    }

    /// Behind the last comes what is no rule.
    fn get(&self, at: usize) -> usize {
        let rule = self.rules.get(at).filter(|_| at < self.len);
        rule.map_or(usize::MAX, |&rule| rule.into())
    }
}

/// The rules that name an end of the session, and accept both.
struct Both<'a, const N: usize> {
    src: &'a Few<N>,
    dst: &'a Few<N>,
    any_src: &'a RuleBits,
    any_dst: &'a RuleBits,
    at: [usize; 2],
}

impl<const N: usize> Both<'_, N> {
    fn next(&mut self) -> Option<usize> {
        loop {
            let [src, dst] = [self.src.get(self.at[0]), self.dst.get(self.at[1])];
            let rule = src.min(dst);
            if rule == usize::MAX {
                return None;
            }
            let [by_src, by_dst] = [src == rule, dst == rule];
            self.at[0] = self.at[0].wrapping_add(by_src.into());
            self.at[1] = self.at[1].wrapping_add(by_dst.into());
            if (by_src || self.any_src.contains(rule)) && (by_dst || self.any_dst.contains(rule)) {
                return Some(rule);
            }
        }
    }
}

/// The rules for any source and any destination that accept a session.
struct OpenRules<'a> {
    index: &'a RuleIndex,
    columns: &'a Columns<'a>,
    /// The next is this one or behind it.
    next: usize,
}

impl OpenRules<'_> {
    /// The next of them, where it comes before `end`.
    fn next_before(&mut self, end: usize) -> Option<usize> {
        while self.next < end {
            let block = self.next / 64;
            let rules = self.block(block) & Block::MAX << (self.next % 64);
            if rules != 0 {
                let rule = block
                    .wrapping_mul(64)
                    .wrapping_add(rules.trailing_zeros() as usize);
                let found = rule < end;
                self.next = rule.wrapping_add(found.into());
                return found.then_some(rule);
            }
            self.next = self.filled_from(block.wrapping_add(1)).wrapping_mul(64);
        }
        None
    }

    fn block(&self, block: usize) -> Block {
        let Self { index, columns, .. } = self;
        let rules = index.open_store.lone_block(columns.open.rules, block) & columns.app.block(block);
        rules & index.services.lone_block(columns.service, block)
    }

    /// The first block from here on that is not empty; behind the last comes one beyond all rules.
    fn filled_from(&self, block: usize) -> usize {
        let filled = |word: usize| {
            self.index
                .open_store
                .summary(self.columns.open.rules, word)
                .filled
        };
        let mut word = block / 64;
        let mut left = filled(word) & u64::MAX << (block % 64);
        while left == 0 {
            word = word.wrapping_add(1);
            if word >= self.index.summary {
                return usize::MAX / 64;
            }
            left = filled(word);
        }
        word.wrapping_mul(64).wrapping_add(left.trailing_zeros() as usize)
    }
}
