//! What the peer sends: put in order, announced room for, reported as held.

use std::{collections::VecDeque, time::Duration};

use packet::Timestamp;

use super::{
    held_ranges::{HeldRanges, Insertion},
    options::OptionBuffer,
    sequence,
};

/// The smallest room announced to a peer that is read from.
const MIN_TARGET: usize = 64 * 1024;
/// Memory that a buffer may keep while it is empty, until the flow has been idle for a while.
pub(super) const KEPT_WHEN_EMPTY: usize = 256 * 1024;

/// What a segment's data was to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing in it.
    Nothing,
    /// It continued the stream and nothing is missing.
    InOrder(usize),
    /// It is ahead of a hole, filled one or was there before: the peer wants to know at once.
    Notable(usize),
    /// No room: as if it had been lost.
    Refused,
}

#[derive(Debug)]
pub(super) struct Receiver {
    /// From `read` on; holes hold zeros.
    buffer: VecDeque<u8>,
    held: HeldRanges,
    /// The place of the buffer's first byte.
    read: u64,
    /// The first byte missing.
    next: u64,
    /// Where the announced window ends: never taken back.
    edge: u64,
    /// The place of the peer's FIN.
    fin: Option<u64>,
    /// What arrived twice, for the next acknowledgment (RFC 2883).
    duplicate: Option<(u64, u64)>,
    /// Room wanted between `read` and `edge`.
    target: usize,
    limit: usize,
    shift: u8,
    /// Where reading stood when the current round began, and when that was.
    round: (u64, Timestamp),
}

impl Receiver {
    pub(super) fn new(now: Timestamp, next: u64, window: u32, shift: u8, limit: usize) -> Self {
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        Self {
            buffer: VecDeque::new(),
            held: HeldRanges::default(),
            read: next,
            next,
            edge: next + sequence::length(window),
            fin: None,
            duplicate: None,
            target: window.max(MIN_TARGET).min(limit),
            limit,
            shift,
            round: (next, now),
        }
    }

    /// The number to acknowledge with.
    pub(super) fn acknowledgment(&self) -> u64 {
        self.next + u64::from(self.fin_reached())
    }

    /// Whether the peer's FIN came and nothing before it is missing.
    pub(super) fn fin_reached(&self) -> bool {
        self.fin == Some(self.next)
    }

    pub(super) fn finished(&self) -> bool {
        self.fin_reached() && self.read == self.next
    }

    /// Where the announced window ends; the scale rounds it up.
    pub(super) fn edge(&self) -> u64 {
        self.edge + (1 << self.shift) - 1
    }

    pub(super) fn has_holes(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the data of a segment that touches the window.
    pub(super) fn accept(&mut self, seq: u64, payload: &[u8], fin: bool) -> Arrival {
        let end = seq + sequence::length(payload.len());
        let possible = end >= self.next.max(self.held.end()) && end <= self.edge();
        if fin && self.fin.is_none() && possible {
            self.fin = Some(end);
        }
        let last = self.fin.unwrap_or(u64::MAX).min(self.room_end());
        let cut = payload.len().min(sequence::distance(seq, last));
        let end = seq + sequence::length(cut);
        if payload.is_empty() {
            return if fin {
                Arrival::Notable(0)
            } else {
                Arrival::Nothing
            };
        }
        if end <= self.next {
            if seq >= self.next {
                return Arrival::Refused;
            }
            self.duplicate = Some((seq, end));
            return Arrival::Notable(0);
        }
        let start = seq.max(self.next);
        if start >= end {
            return Arrival::Refused;
        }
        let skipped = sequence::distance(seq, start);
        let Some(data) = payload.get(skipped..cut) else {
            return Arrival::Refused;
        };
        if seq < self.next {
            self.duplicate = Some((seq, self.next));
        }
        let was_whole = self.held.is_empty();
        if start == self.next && was_whole {
            self.write(start, data);
            self.next = end;
            let bytes = data.len();
            return if fin || self.duplicate.is_some() {
                Arrival::Notable(bytes)
            } else {
                Arrival::InOrder(bytes)
            };
        }
        if start > self.next {
            match self.held.insert(start, end) {
                Insertion::Full => return Arrival::Refused,
                Insertion::Duplicate => {
                    self.duplicate = Some((start, end));
                    return Arrival::Notable(0);
                }
                Insertion::New => {}
            }
            self.write(start, data);
            return Arrival::Notable(0);
        }
        self.write(start, data);
        let reached = self.held.advance(end);
        let bytes = sequence::distance(self.next, reached);
        self.next = reached;
        Arrival::Notable(bytes)
    }

    /// Data behind this is not kept, whatever was announced at adoption.
    fn room_end(&self) -> u64 {
        // Announcing rounds up to what the scale can express.
        self.read + sequence::length(self.limit + (1 << self.shift))
    }

    fn write(&mut self, start: u64, data: &[u8]) {
        let at = sequence::distance(self.read, start);
        let end = at + data.len();
        if at >= self.buffer.len() {
            self.buffer.resize(at, 0);
            self.buffer.extend(data);
            return;
        }
        if end > self.buffer.len() {
            self.buffer.resize(end, 0);
        }
        let (front, back) = self.buffer.as_mut_slices();
        let in_front = front.len().saturating_sub(at).min(data.len());
        let (first, second) = data.split_at(in_front);
        if let Some(place) = front.get_mut(at..at + first.len()) {
            place.copy_from_slice(first);
        }
        let at = (at + first.len()).saturating_sub(front.len());
        if let Some(place) = back.get_mut(at..at + second.len()) {
            place.copy_from_slice(second);
        }
    }

    pub(super) fn next(&self) -> u32 {
        sequence::wire(self.next)
    }

    pub(super) fn readable(&self) -> [&[u8]; 2] {
        slices(&self.buffer, 0, sequence::distance(self.read, self.next))
    }

    /// Whether the window opens by enough to tell the peer (RFC 9293 §3.8.6.2.2).
    pub(super) fn consume(&mut self, bytes: usize, mss: u16) -> bool {
        let bytes = bytes.min(sequence::distance(self.read, self.next));
        self.buffer.drain(..bytes);
        self.read += sequence::length(bytes);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_WHEN_EMPTY {
            self.buffer = VecDeque::new();
        }
        let opens = sequence::distance(self.edge, self.read + sequence::length(self.target));
        let enough = (self.target / 4).max(2 * usize::from(mss)).min(self.target / 2);
        bytes > 0 && self.fin.is_none() && opens >= enough
    }

    /// Doubles the room as long as what is read in a round trip is more than half of it.
    pub(super) fn tune(&mut self, now: Timestamp, rtt: Duration) {
        let (read, since) = self.round;
        if now.saturating_since(since) < rtt {
            return;
        }
        let in_round = sequence::distance(read, self.read);
        if in_round > self.target / 4 {
            self.target = self.target.max(in_round.saturating_mul(4)).min(self.limit);
        }
        self.round = (self.read, now);
    }

    /// The window field for the next segment, and where the window it announces ends.
    pub(super) fn window(&self, mss: u16) -> (u16, u64) {
        let wanted = self.read + sequence::length(self.target);
        let step = usize::from(mss).min(self.target / 2);
        let mut edge = self.edge;
        if sequence::distance(edge, wanted) >= step {
            edge = wanted;
        }
        let next = self.acknowledgment();
        let field = edge.saturating_sub(next).div_ceil(1 << self.shift);
        let field = u16::try_from(field).unwrap_or(u16::MAX);
        (field, edge.min(next + (u64::from(field) << self.shift)).max(next))
    }

    /// A segment went out with a window that ends there.
    pub(super) fn announced(&mut self, edge: u64) {
        self.edge = edge;
    }

    /// SACK blocks for an acknowledgment; what arrived twice is reported once.
    pub(super) fn report(&mut self, options: &mut OptionBuffer) {
        let duplicate = self.duplicate.take();
        options.sack(duplicate.into_iter().chain(self.held.latest()));
    }

    pub(super) fn has_report(&self) -> bool {
        self.duplicate.is_some() || self.has_holes()
    }

    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity() + self.held.memory()
    }

    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = VecDeque::new();
        }
        self.held.release();
    }

    pub(super) fn clear(&mut self) {
        self.buffer = VecDeque::new();
        self.held = HeldRanges::default();
        self.read = self.next;
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.read <= self.next);
        assert!(sequence::distance(self.read, self.next) <= self.buffer.len());
        assert!(self.buffer.len() <= self.limit + (1 << self.shift));
        assert!(self.buffer.len() == sequence::distance(self.read, self.next) || self.has_holes());
        assert!(self.fin.is_none_or(|fin| self.next <= fin));
    }
}

/// `from..to` of a buffer.
pub(super) fn slices(buffer: &VecDeque<u8>, from: usize, to: usize) -> [&[u8]; 2] {
    let (front, back) = buffer.as_slices();
    let split = front.len();
    [
        front.get(from.min(split)..to.min(split)).unwrap_or_default(),
        back.get(from.saturating_sub(split)..to.saturating_sub(split))
            .unwrap_or_default(),
    ]
}
