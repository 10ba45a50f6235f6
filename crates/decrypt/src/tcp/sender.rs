//! What we send: the bytes not yet acknowledged and all that decides when they go.

use std::{collections::VecDeque, time::Duration};

use packet::Timestamp;

use super::{
    cubic::Cubic,
    path_mtu::PathMtu,
    rack::Rack,
    receiver,
    recovery::{Proportional, State, Undo},
    rtt::RttEstimator,
    scoreboard::Scoreboard,
    sequence,
    timers::Timer,
};

/// Room to write into that every connection has, in bytes.
const MIN_BUFFER: usize = 64 * 1024;

/// The tail loss probe in the network (RFC 8985 §7).
#[derive(Clone, Copy, Debug)]
pub(super) struct TailProbe {
    pub(super) end: u64,
    pub(super) retransmission: bool,
}

/// Sent to get an answer, whatever the windows say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Of the tail of what was sent.
    Tail,
    /// Of a closed window.
    Window,
}

#[derive(Debug)]
pub(super) struct Sender {
    /// From `una` on.
    pub(super) buffer: VecDeque<u8>,
    /// The first byte not acknowledged.
    pub(super) una: u64,
    /// The next place to send.
    pub(super) next: u64,
    /// Where FIN stands, once it is to be sent.
    pub(super) fin: Option<u64>,
    /// Where the peer's window ends.
    pub(super) edge: u64,
    /// The largest window the peer announced.
    pub(super) max_window: u64,
    /// Sequence and acknowledgment number of the segment that last set the window.
    pub(super) window_from: (u64, u64),
    pub(super) board: Scoreboard,
    pub(super) rack: Rack,
    pub(super) rtt: RttEstimator,
    pub(super) cubic: Cubic,
    pub(super) state: State,
    pub(super) proportional: Proportional,
    pub(super) undo: Option<Undo>,
    /// Where the pieces begin and end that were sent again in this recovery or the one before.
    pub(super) resent: Option<(u64, u64)>,
    /// Acknowledgments that brought nothing new, where the peer knows no SACK.
    pub(super) duplicates: u64,
    pub(super) tail_probe: Option<TailProbe>,
    /// The window was what kept more from being sent.
    pub(super) limited: bool,
    pub(super) path: PathMtu,
    pub(super) timer: Option<(Timer, Timestamp)>,
    /// What the next poll is to send.
    pub(super) probe: Option<Probe>,
    /// When the retransmission timer was last restarted.
    pub(super) restarted: Timestamp,
    pub(super) last_sent: Timestamp,
    /// Since when the peer has owed an answer.
    pub(super) waiting_since: Option<Timestamp>,
    pub(super) window_probes: u32,
    /// Since when the peer's window has been probed and stayed closed.
    pub(super) closed_since: Option<Timestamp>,
    pub(super) sack: bool,
    limit: usize,
}

impl Sender {
    pub(super) fn new(
        now: Timestamp,
        next: u64,
        window: u32,
        sack: bool,
        path: PathMtu,
        rtt: Option<Duration>,
        limit: usize,
    ) -> Self {
        Self {
            buffer: VecDeque::new(),
            una: next,
            next,
            fin: None,
            edge: next + u64::from(window),
            max_window: u64::from(window),
            window_from: (0, 0),
            board: Scoreboard::default(),
            rack: Rack::new(next),
            rtt: RttEstimator::new(now, rtt),
            cubic: Cubic::new(path.segment()),
            state: State::Open,
            proportional: Proportional::default(),
            undo: None,
            resent: None,
            duplicates: 0,
            tail_probe: None,
            limited: false,
            path,
            timer: None,
            probe: None,
            restarted: now,
            last_sent: now,
            waiting_since: None,
            window_probes: 0,
            closed_since: None,
            sack,
            limit,
        }
    }

    /// One past the last byte written, FIN not counted.
    pub(super) fn data_end(&self) -> u64 {
        self.una_of_data() + sequence::length(self.buffer.len())
    }

    /// The place of the buffer's first byte.
    pub(super) fn una_of_data(&self) -> u64 {
        self.una.min(self.fin.unwrap_or(u64::MAX))
    }

    /// One past everything to send.
    pub(super) fn end(&self) -> u64 {
        self.data_end() + u64::from(self.fin.is_some())
    }

    pub(super) fn fin_acknowledged(&self) -> bool {
        self.fin.is_some_and(|fin| self.una > fin)
    }

    /// Twice the congestion window: more would only wait here.
    pub(super) fn room(&self) -> usize {
        if self.fin.is_some() {
            return 0;
        }
        let wanted = usize::try_from(self.cubic.window().saturating_mul(2)).unwrap_or(usize::MAX);
        let bound = wanted.max(MIN_BUFFER).min(self.limit);
        bound.saturating_sub(self.buffer.len())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        self.buffer.extend(bytes.get(..taken).unwrap_or_default());
        taken
    }

    pub(super) fn finish(&mut self) {
        if self.fin.is_none() {
            self.fin = Some(self.data_end());
        }
    }

    /// Forgets the bytes before `una`.
    pub(super) fn drop_acknowledged(&mut self, una: u64) {
        let bytes = sequence::distance(self.una, una).min(self.buffer.len());
        self.buffer.drain(..bytes);
        self.una = una;
        if self.buffer.is_empty() && self.buffer.capacity() > receiver::KEPT_WHEN_EMPTY {
            self.buffer = VecDeque::new();
        }
    }

    /// Bytes thought to be in the network.
    pub(super) fn in_flight(&self) -> u64 {
        let left = self.duplicates.saturating_mul(u64::from(self.path.segment()));
        self.board.in_flight().saturating_sub(left)
    }

    pub(super) fn memory(&self) -> usize {
        self.buffer.capacity() + self.board.memory()
    }

    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = VecDeque::new();
        }
        self.board.release();
    }

    pub(super) fn clear(&mut self) {
        self.buffer = VecDeque::new();
        self.board.clear();
        self.una = self.next;
        self.fin = self.fin.filter(|&fin| fin < self.next);
        self.timer = None;
        self.waiting_since = None;
        self.closed_since = None;
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.board.check();
        assert!(self.una <= self.next && self.next <= self.end());
        let total = self.board.in_flight() + self.board.sacked() + self.board.lost();
        assert_eq!(total, self.next - self.una);
        assert!(self.buffer.len() <= self.limit);
    }
}
