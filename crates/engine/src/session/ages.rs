//! When sessions age: by blocks of slots, in an order that packets need not touch.
//!
//! A packet that keeps its session alive only moves the session's deadline. For each block of slots a time is noted
//! before which none of its sessions is due, and a queue has the blocks in order of those times. What is due is found
//! out when a block's time comes: then its sessions are looked at, and the block is queued for the next of them. So
//! the queue costs nothing per packet, next to nothing per session, and a session that goes leaves nothing behind.

use std::{cmp::Reverse, collections::BinaryHeap};

use packet::Timestamp;

use super::table::SlotId;

/// Slots of a block: few enough to be looked at in one go, enough to make the queue small.
const BLOCK: u32 = 16;

/// A block of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block(u32);

impl Block {
    fn of(slot: SlotId) -> Self {
        Self(slot.0 / BLOCK)
    }

    fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Its slots, whether there are sessions or not.
    pub(crate) fn slots(self) -> impl Iterator<Item = SlotId> {
        let first = self.0.saturating_mul(BLOCK);
        (first..first.saturating_add(BLOCK)).map(SlotId)
    }
}

/// When a session of a block is due, at the earliest; ordered by time, then by session id, so that replay is
/// reproducible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockDue {
    pub(crate) at: Timestamp,
    pub(crate) session_id: u64,
    pub(crate) block: Block,
}

/// The deadlines of one shard's sessions.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    /// None of a block's sessions is due before.
    earliest: Vec<Timestamp>,
    queue: BinaryHeap<Reverse<BlockDue>>,
}

impl Ages {
    /// A session has this deadline now.
    #[inline]
    pub(crate) fn note(&mut self, slot: SlotId, session_id: u64, deadline: Timestamp) {
        let block = Block::of(slot);
        let known = self.earliest.get(block.index()).copied();
        if known.is_none_or(|known| deadline < known) {
            self.queue(BlockDue {
                at: deadline,
                session_id,
                block,
            });
        }
    }

    /// Queues a block whose sessions were looked at, for the first of them.
    pub(crate) fn queue(&mut self, due: BlockDue) {
        let place = due.block.index();
        if self.earliest.len() <= place {
            self.earliest.resize(place.saturating_add(1), Timestamp::MAX);
        }
        if let Some(earliest) = self.earliest.get_mut(place) {
            *earliest = due.at;
        }
        if self.queue.len() >= Self::bound(self.earliest.len()) {
            // Of what is queued only the latest entry of each block is true.
            let blocks = self.earliest.iter().zip(0_u32..);
            self.queue = blocks
                .filter(|(at, _)| **at != Timestamp::MAX)
                .map(|(at, block)| {
                    Reverse(BlockDue {
                        at: *at,
                        session_id: 0,
                        block: Block(block),
                    })
                })
                .collect();
        } else {
            self.queue.push(Reverse(due));
        }
    }

    /// The most entries there may be for so many blocks.
    fn bound(blocks: usize) -> usize {
        blocks.saturating_mul(2).saturating_add(64)
    }

    /// Takes out the block with the session that is due next, as far as is known, where that may be by `now`. It has
    /// to be looked at, and to be queued again.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<BlockDue> {
        while let Some(Reverse(due)) = self.queue.peek().copied() {
            if due.at > now {
                return None;
            }
            self.queue.pop();
            if let Some(earliest) = self.earliest.get_mut(due.block.index())
                && *earliest == due.at
            {
                *earliest = Timestamp::MAX;
                return Some(due);
            }
        }
        None
    }

    /// Entries, whether still true or not, and the most there may be.
    #[cfg(test)]
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.queue.len(), Self::bound(self.earliest.len())]
    }
}
