//! What an acknowledgment changes for the sender.

use std::time::Duration;

use packet::Timestamp;

use super::{
    counters::Counters,
    cubic::Acknowledged,
    endpoint::StampClock,
    recovery::{Proportional, State, Undo},
    sender::Sender,
    sequence,
};

/// Acknowledgments without news after which a peer without SACK is believed to miss something (RFC 5681 §3.2).
const DUPLICATE_THRESHOLD: u64 = 3;

/// The acknowledging half of a segment; its number was found possible.
#[derive(Debug)]
pub(super) struct Acknowledgment<'a> {
    pub(super) number: u64,
    /// The sequence number of the segment.
    pub(super) seq: u64,
    /// Bytes.
    pub(super) window: u64,
    /// As they stood in the option.
    pub(super) blocks: &'a [(u32, u32)],
    /// The echoed timestamp.
    pub(super) echo: Option<u32>,
    pub(super) has_data: bool,
}

/// What left the network by an acknowledgment.
#[derive(Default)]
struct Delivered {
    bytes: u64,
    sample: Option<Duration>,
    /// As `sample`, of what came in order: what overtook others says nothing about the queues on the path.
    in_order: Option<Duration>,
    retransmitted: bool,
}

impl Sender {
    /// Takes an acknowledgment at or behind `una`.
    pub(super) fn acknowledged(
        &mut self,
        now: Timestamp,
        ack: &Acknowledgment<'_>,
        clock: &StampClock,
        counters: &mut Counters,
    ) {
        let advances = ack.number > self.una;
        let window_moved = self.update_window(ack);
        let in_flight_before = self.in_flight();
        let duplicate = duplicate_block(ack, self.una);

        let delivered = self.deliver(now, ack, clock);
        if advances {
            counters.acknowledged += ack.number - self.una;
            self.drop_acknowledged(ack.number);
            self.rtt.answered();
            self.restarted = now;
            self.duplicates = 0;
        }
        if advances || delivered.bytes > 0 {
            self.waiting_since = (!self.board.is_empty()).then_some(now);
        } else if self.board.is_empty() {
            // The answer to a probe of the window.
            self.waiting_since = None;
        }
        self.measure(now, ack, clock, &delivered, advances);

        self.judge_duplicate(duplicate, counters);
        self.judge_tail_probe(ack, duplicate.is_some(), counters);
        if advances {
            self.judge_response(ack, counters);
        }
        let mut marked = self.count_duplicate(ack, advances, window_moved);
        if let State::Recovery { end } | State::Loss { end } = self.state
            && self.una >= end
        {
            self.leave_recovery();
        }
        let mut wait = None;
        if self.sack {
            let recovering = self.state != State::Open;
            let (lost, left) =
                self.rack
                    .detect(now, &mut self.board, &self.rtt, recovering, self.path.segment());
            marked += lost;
            wait = left;
        }
        if self.board.lost() > 0 && self.state == State::Open {
            self.enter_recovery(counters);
        }
        if let State::Recovery { .. } = self.state {
            self.proportion(delivered.bytes, advances && marked == 0);
        } else if delivered.bytes > 0 {
            let slow_start = self.cubic.in_slow_start();
            let busy = slow_start && self.cubic.window() < in_flight_before.saturating_mul(2);
            self.cubic.acknowledged(&Acknowledged {
                now,
                bytes: delivered.bytes,
                una: self.una,
                next: self.next,
                sample: delivered.in_order,
                smoothed: self.rtt.smoothed().unwrap_or_default(),
                limited: self.limited || busy || self.state != State::Open,
            });
        }
        self.arm(now, wait);
    }

    /// Whether the window's end moved (RFC 9293 §3.10.7.4).
    fn update_window(&mut self, ack: &Acknowledgment<'_>) -> bool {
        if self.window_from > (ack.seq, ack.number) && self.window_from.0 != 0 {
            return false;
        }
        self.window_from = (ack.seq, ack.number);
        let edge = ack.number + ack.window;
        let moved = edge != self.edge;
        self.edge = edge;
        self.max_window = self.max_window.max(ack.window);
        if self.edge > self.next {
            self.window_probes = 0;
            self.closed_since = None;
        }
        moved
    }

    /// Strikes from the scoreboard what arrived.
    fn deliver(&mut self, now: Timestamp, ack: &Acknowledgment<'_>, clock: &StampClock) -> Delivered {
        let Self {
            board,
            rack,
            rtt,
            sack,
            next,
            ..
        } = self;
        let mut delivered = Delivered::default();
        let mut arrived = |piece: &super::scoreboard::Sent| {
            delivered.bytes += piece.len();
            delivered.retransmitted |= piece.retransmitted;
            if !piece.retransmitted {
                let took = now.saturating_since(piece.time);
                delivered.sample = Some(delivered.sample.map_or(took, |least| least.min(took)));
                if piece.end <= ack.number {
                    delivered.in_order = delivered.sample;
                }
            }
            // What is ahead of a hole is answered with the echo of what came before it (RFC 7323 §4.3).
            let older = piece.end <= ack.number
                && ack
                    .echo
                    .is_some_and(|echo| is_before(echo, clock.value(piece.time)));
            rack.delivered(now, piece, rtt, older);
        };
        board.acknowledge(ack.number, &mut arrived);
        if *sack {
            for &(start, end) in ack.blocks {
                let (start, end) = (sequence::near(ack.number, start), sequence::near(ack.number, end));
                if start >= ack.number && start < end && end <= *next {
                    board.sack(start, end, &mut arrived);
                }
            }
        }
        delivered
    }

    /// Takes a round trip time, if this acknowledgment tells one (Karn's rule, RFC 6298 §3, RFC 7323 §4).
    fn measure(
        &mut self,
        now: Timestamp,
        ack: &Acknowledgment<'_>,
        clock: &StampClock,
        delivered: &Delivered,
        advances: bool,
    ) {
        let ambiguous = delivered.retransmitted && !self.sack;
        let from_echo = || {
            let echo = ack.echo.filter(|&echo| advances && echo != 0)?;
            let millis = clock.value(now).wrapping_sub(echo);
            (millis < 60_000).then(|| Duration::from_millis(u64::from(millis)))
        };
        if let Some(sample) = delivered.sample.filter(|_| !ambiguous).or_else(from_echo) {
            self.rtt.sample(now, sample);
        }
    }

    /// The peer got something twice.
    fn judge_duplicate(&mut self, duplicate: Option<(u64, u64)>, counters: &mut Counters) {
        let Some((start, end)) = duplicate else {
            return;
        };
        let of_probe = self
            .tail_probe
            .is_some_and(|probe| probe.retransmission && probe.end == end);
        let ours = self
            .resent
            .is_some_and(|(first, last)| first <= start && end <= last);
        // Otherwise it was the network that duplicated it.
        if of_probe || !ours {
            return;
        }
        self.rack.duplicate_reported(self.una, self.next);
        let Some(undo) = self.undo.as_mut().filter(|undo| undo.una <= start) else {
            return;
        };
        let proven = undo.first_stamp.is_some() && undo.unproven <= end - start;
        undo.unproven = undo.unproven.saturating_sub(end - start);
        if proven {
            self.take_back(counters);
        }
    }

    /// Whether a tail loss probe repaired a loss, which then has to be answered for (RFC 8985 §7.4.2).
    fn judge_tail_probe(&mut self, ack: &Acknowledgment<'_>, duplicate: bool, counters: &mut Counters) {
        let Some(probe) = self.tail_probe else {
            return;
        };
        if ack.number < probe.end {
            return;
        }
        let answered = !probe.retransmission || duplicate;
        if answered {
            self.tail_probe = None;
        } else if ack.number > probe.end || !ack.has_data {
            self.tail_probe = None;
            if self.state == State::Open {
                counters.recoveries += 1;
                self.cubic.lost();
                self.cubic.set_window(self.cubic.threshold());
            }
        }
    }

    /// Takes back the response to a loss if the echo is older than the first retransmission: the first copy had
    /// arrived (RFC 3522).
    fn judge_response(&mut self, ack: &Acknowledgment<'_>, counters: &mut Counters) {
        let stamp = self.undo.and_then(|undo| undo.first_stamp);
        if let (Some(stamp), Some(echo)) = (stamp, ack.echo)
            && self.state != State::Open
            && is_before(echo, stamp)
        {
            self.take_back(counters);
        }
    }

    fn take_back(&mut self, counters: &mut Counters) {
        if let Some(undo) = self.undo.take() {
            counters.undone += 1;
            self.cubic.undo(&undo.before);
            if let State::Loss { .. } | State::Recovery { .. } = self.state {
                self.board.unmark_lost();
                self.state = State::Open;
            }
        }
    }

    /// Counts what tells a sender without SACK of a loss (RFC 6582); bytes marked lost.
    fn count_duplicate(&mut self, ack: &Acknowledgment<'_>, advances: bool, window_moved: bool) -> u64 {
        if self.sack {
            return 0;
        }
        let segment = u64::from(self.path.segment());
        if advances {
            return match self.state {
                State::Recovery { end } if self.una < end => self.board.mark_head_lost(segment),
                State::Open | State::Recovery { .. } | State::Loss { .. } => 0,
            };
        }
        if ack.number < self.una || ack.has_data || window_moved || self.board.is_empty() {
            return 0;
        }
        let most = self.board.in_flight() / segment;
        self.duplicates = (self.duplicates + 1).min(most);
        if self.duplicates == DUPLICATE_THRESHOLD && self.state == State::Open {
            return self.board.mark_head_lost(segment);
        }
        0
    }

    pub(super) fn enter_recovery(&mut self, counters: &mut Counters) {
        counters.recoveries += 1;
        self.undo = Some(Undo {
            before: self.cubic,
            una: self.una,
            unproven: 0,
            first_stamp: None,
        });
        self.cubic.lost();
        let at_start = self.board.in_flight() + self.board.lost();
        self.proportional = Proportional::begin(at_start);
        self.state = State::Recovery { end: self.next };
    }

    /// Sets the window that recovery allows.
    pub(super) fn proportion(&mut self, delivered: u64, safe: bool) {
        let (in_flight, mss) = (self.in_flight(), u64::from(self.path.segment()));
        let window = self
            .proportional
            .window(delivered, in_flight, &self.cubic, mss, safe);
        self.cubic.set_window(window);
    }

    fn leave_recovery(&mut self) {
        if let State::Recovery { .. } = self.state {
            self.cubic.set_window(self.cubic.threshold());
        }
        self.rack.recovered();
        self.state = State::Open;
        self.duplicates = 0;
    }
}

/// The block that reports what arrived twice: the first one, where it is below the number acknowledged or inside the
/// second (RFC 2883 §4).
fn duplicate_block(ack: &Acknowledgment<'_>, una: u64) -> Option<(u64, u64)> {
    let place = |&(start, end): &(u32, u32)| (sequence::near(una, start), sequence::near(una, end));
    let (start, end) = ack.blocks.first().map(place)?;
    if start >= end {
        return None;
    }
    let inside = |(first, last): (u64, u64)| first <= start && end <= last;
    let twice = end <= ack.number || ack.blocks.get(1).map(place).is_some_and(inside);
    twice.then_some((start, end))
}

/// Whether a timestamp is older than another.
pub(super) fn is_before(stamp: u32, other: u32) -> bool {
    stamp.wrapping_sub(other).cast_signed() < 0
}
