//! When sessions age: an ordered queue of deadlines that packets need not touch.
//!
//! A packet that keeps its session alive only writes the new deadline into the session. The queue
//! finds out when the old one comes up, and queues the session again. So a session has one live
//! entry, and the queue costs nothing per packet.

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
