//! Sessions with an address that stands in many rules: sets intersected as bits.

use std::ops::ControlFlow;

use super::side::Named;
use super::{Candidate, Columns, RuleIndex};

impl RuleIndex {
    /// Visits every rule that can match, in order, until a visit breaks.
    pub(super) fn visit_blocks<B>(
        &self,
        columns: &Columns<'_>,
        [src, dst]: [&Named; 2],
        mut visit: impl FnMut(Candidate) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (mut src, mut dst) = (self.source.bits(src), self.destination.bits(dst));
        for word in 0..self.summary {
            let named_src = self.source.advance(&mut src, word);
            let named_dst = self.destination.advance(&mut dst, word);
            let open = self.open_store.summary(columns.open.rules, word).filled;
            // Both sides named, or one named and the other open, or both open.
            let mut left = (named_src.filled & named_dst.filled) | named_src.common | named_dst.common | open;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                let block = word.wrapping_mul(64).wrapping_add(bit as usize);
                let mut rules = columns.from.block(block) & columns.to.block(block);
                rules &= self.source.block(&src, block, bit);
                if rules == 0 {
                    continue;
                }
                rules &= self.destination.block(&dst, block, bit) & columns.app.block(block);
                if rules == 0 {
                    continue;
                }
                rules &= self.services.block(columns.service, block, bit);
                while rules != 0 {
                    let bit = rules.trailing_zeros() as usize;
                    rules &= rules.wrapping_sub(1);
                    visit(columns.candidate(block.wrapping_mul(64).wrapping_add(bit)))?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}
