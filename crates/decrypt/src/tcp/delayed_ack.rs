//! When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2).

use std::time::Duration;

use packet::Timestamp;

/// Well below the 500 ms of the RFC, and below every minimum retransmission timeout in use.
const DELAY: Duration = Duration::from_millis(40);
/// Segments acknowledged at once at the beginning and after a pause: the peer is in slow start.
const QUICK_SEGMENTS: u32 = 16;

#[derive(Clone, Copy, Debug)]
enum Due {
    Not,
    At(Timestamp),
    Now,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct DelayedAck {
    due: Due,
    /// Bytes in order that were not acknowledged.
    unacknowledged: usize,
    quick: u32,
    /// The peer's segment size, as far as it was seen.
    segment: usize,
    last_data: Timestamp,
}

impl DelayedAck {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            due: Due::Not,
            unacknowledged: 0,
            quick: QUICK_SEGMENTS,
            segment: 536,
            last_data: now,
        }
    }

    /// Data came in order; `largest` is the most that one segment can carry.
    pub(super) fn in_order(&mut self, now: Timestamp, bytes: usize, largest: usize) {
        if now.saturating_since(self.last_data) > Duration::from_secs(1) {
            self.quick = QUICK_SEGMENTS;
        }
        self.last_data = now;
        self.segment = self.segment.max(bytes.min(largest));
        self.unacknowledged = self.unacknowledged.saturating_add(bytes);
        let quick = self.quick > 0;
        self.quick = self.quick.saturating_sub(1);
        if quick || self.unacknowledged >= self.segment.saturating_mul(2) {
            self.due = Due::Now;
        } else if let Due::Not = self.due {
            self.due = Due::At(now.saturating_add(DELAY));
        }
    }

    pub(super) fn now(&mut self) {
        self.due = Due::Now;
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.due {
            Due::Not => false,
            Due::At(time) => time <= now,
            Due::Now => true,
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self.due {
            Due::Not => None,
            Due::At(time) => Some(time),
            Due::Now => Some(Timestamp::ZERO),
        }
    }

    /// A segment went out that acknowledges everything.
    pub(super) fn sent(&mut self) {
        self.due = Due::Not;
        self.unacknowledged = 0;
    }
}
