//! When sessions age: an ordered queue of deadlines that packets need not touch.
//!
//! A packet that keeps its session alive only writes the new deadline into the session. The queue
//! finds out when the old one comes up, and queues the session again. So a session has one live
//! entry, and the queue costs nothing per packet. What sessions that are gone leave behind is forgotten
//! before it outnumbers them.

use std::{cmp::Reverse, collections::BinaryHeap};

use packet::Timestamp;

use super::table::SlotId;

/// A queued deadline; ordered by time, then by session id, so that replay is reproducible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Timestamp,
    pub(crate) session_id: u64,
    pub(crate) slot: SlotId,
}

/// The deadlines of one shard's sessions.
#[derive(Debug, Default)]
pub(crate) struct DeadlineQueue {
    heap: BinaryHeap<Reverse<Due>>,
}

impl DeadlineQueue {
    pub(crate) fn push(&mut self, due: Due) {
        self.heap.push(Reverse(due));
    }

    /// Forgets every entry that `is_true` denies, once there are more than [`DeadlineQueue::bound`] allows
    /// beside this many sessions: seldom enough to cost a push next to nothing.
    pub(crate) fn prune(&mut self, sessions: usize, is_true: impl Fn(&Due) -> bool) {
        if self.heap.len() > Self::bound(sessions) {
            self.heap.retain(|Reverse(due)| is_true(due));
        }
    }

    /// Entries, whether still true or not.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The most entries there can be beside this many sessions.
    pub(crate) fn bound(sessions: usize) -> usize {
        sessions.saturating_mul(2).saturating_add(64)
    }

    /// The earliest entry, whether still true or not.
    pub(crate) fn peek(&self) -> Option<&Due> {
        self.heap.peek().map(|Reverse(due)| due)
    }

    pub(crate) fn pop(&mut self) -> Option<Due> {
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// Takes the earliest entry where it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Due> {
        if self.peek()?.at > now {
            return None;
        }
        self.pop()
    }
}
