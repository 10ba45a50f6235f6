//! What is due in sessions that were taken over: an ordered queue of their timers.
//!
//! A timer that moves later is found out when its entry comes up, and is queued again; one that moves earlier has a
//! further entry. What is left behind is forgotten before it outnumbers the sessions.

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

/// The timers of one shard's sessions.
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

    /// The most entries there can be beside this many sessions.
    fn bound(sessions: usize) -> usize {
        sessions.saturating_mul(2).saturating_add(64)
    }

    /// The earliest entry, whether still true or not.
    pub(crate) fn peek(&self) -> Option<&Due> {
        self.heap.peek().map(|Reverse(due)| due)
    }

    /// Takes the earliest entry where it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Due> {
        if self.peek()?.at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }
}
