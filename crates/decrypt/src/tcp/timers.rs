//! What the sender does when nothing comes.

use std::time::Duration;

use packet::Timestamp;

use super::{
    counters::Counters,
    path_mtu::SUSPICIOUS_TIMEOUTS,
    recovery::{State, Undo},
    sender::{Probe, Sender},
};

/// How long a peer may wait before it acknowledges a lone segment (RFC 8985 §7.2).
const MAX_ACK_DELAY: Duration = Duration::from_millis(200);

const MAX_PROBE_INTERVAL: Duration = Duration::from_mins(1);

/// What the one timer of a sender is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Nothing was acknowledged for too long.
    Retransmission,
    /// The tail of what was sent may be lost.
    TailProbe,
    /// A piece that is late would be lost by then.
    Reordering,
    /// The peer's window is closed.
    Window,
}

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// That answers nothing.
    pub(super) silence: Duration,
    /// That answers, and takes nothing. RFC 9293 §3.8.6.1 would have it probed for ever; then whoever says that
    /// its window is closed holds what others wrote for it as long as it likes.
    pub(super) closed_window: Duration,
}

impl Sender {
    /// Sets the timer; `late` is how long until a piece that is late counts as lost.
    pub(super) fn arm(&mut self, now: Timestamp, late: Option<Duration>) {
        self.timer = late
            .map(|late| (Timer::Reordering, now.saturating_add(late)))
            .or_else(|| self.next_timer(now));
    }

    /// As [`Sender::arm`] after sending: a piece that is late stays so.
    pub(super) fn arm_after_sending(&mut self, now: Timestamp) {
        if !matches!(self.timer, Some((Timer::Reordering, _))) {
            self.timer = self.next_timer(now);
        }
    }

    /// What is over already, because less is known to wait for than before, is over soon: a poll never has to be
    /// repeated at once.
    fn next_timer(&self, now: Timestamp) -> Option<(Timer, Timestamp)> {
        let soon = now.saturating_add(Duration::from_millis(1));
        self.timer_from_last_event()
            .map(|(timer, at)| (timer, at.max(soon)))
    }

    fn timer_from_last_event(&self) -> Option<(Timer, Timestamp)> {
        if self.board.is_empty() {
            let waits = self.next < self.end();
            let at = self.restarted.max(self.last_sent);
            let timeout = self.rtt.timeout().saturating_mul(1 << self.window_probes.min(16));
            let timeout = timeout.min(MAX_PROBE_INTERVAL);
            return waits.then(|| (Timer::Window, at.saturating_add(timeout)));
        }
        let expiry = self.restarted.saturating_add(self.rtt.timeout());
        let probe = self.tail_probe_delay().map(|delay| {
            let from = self.last_sent.max(self.restarted);
            from.saturating_add(delay)
        });
        Some(match probe {
            Some(probe) if probe < expiry => (Timer::TailProbe, probe),
            _ => (Timer::Retransmission, expiry),
        })
    }

    fn tail_probe_delay(&self) -> Option<Duration> {
        let calm = self.state == State::Open && self.board.sacked() == 0 && self.rtt.backoff() == 0;
        if !self.sack || !calm || self.tail_probe.is_some() {
            return None;
        }
        let smoothed = self.rtt.smoothed()?;
        let lone = self.board.in_flight() <= u64::from(self.path.segment());
        Some(
            smoothed * 2
                + if lone {
                    MAX_ACK_DELAY
                } else {
                    Duration::from_millis(2)
                },
        )
    }

    /// Acts on the timer if it is over; whether the peer is to be given up.
    pub(super) fn expire(&mut self, now: Timestamp, patience: Patience, counters: &mut Counters) -> bool {
        let Some((timer, _)) = self.timer.filter(|&(_, at)| at <= now) else {
            return false;
        };
        self.timer = None;
        match timer {
            Timer::Retransmission => {
                if self.is_hopeless(now, patience) {
                    return true;
                }
                self.time_out(now, counters);
            }
            Timer::TailProbe => {
                counters.tail_probes += 1;
                self.probe = Some(Probe::Tail);
            }
            Timer::Reordering => {
                let recovering = self.state != State::Open;
                let segment = self.path.segment();
                let (_, late) = self
                    .rack
                    .detect(now, &mut self.board, &self.rtt, recovering, segment);
                if self.board.lost() > 0 && self.state == State::Open {
                    self.enter_recovery(counters);
                }
                if let State::Recovery { .. } = self.state {
                    self.proportion(0, false);
                }
                self.arm(now, late);
            }
            Timer::Window => {
                let closed = *self.closed_since.get_or_insert(now);
                if now.saturating_since(closed) >= patience.closed_window {
                    counters.closed_windows += 1;
                    return true;
                }
                if self.is_hopeless(now, patience) {
                    return true;
                }
                counters.window_probes += 1;
                self.window_probes = self.window_probes.saturating_add(1);
                self.waiting_since.get_or_insert(now);
                self.probe = Some(Probe::Window);
                self.restarted = now;
            }
        }
        false
    }

    fn is_hopeless(&self, now: Timestamp, patience: Patience) -> bool {
        self.waiting_since
            .is_some_and(|since| now.saturating_since(since) >= patience.silence)
    }

    fn time_out(&mut self, now: Timestamp, counters: &mut Counters) {
        counters.timeouts += 1;
        self.rtt.back_off();
        self.restarted = now;
        if self
            .board
            .first()
            .is_some_and(|head| head.fate == super::scoreboard::Fate::Sacked)
        {
            self.board.distrust();
        }
        if self.state == State::Open {
            self.undo = Some(Undo {
                before: self.cubic,
                una: self.una,
                unproven: 0,
                first_stamp: None,
            });
            self.cubic.lost();
        }
        let full = self
            .board
            .first()
            .is_some_and(|head| head.cut == self.path.segment() && head.len() >= u64::from(head.cut));
        if full && self.rtt.backoff() >= SUSPICIOUS_TIMEOUTS && self.path.suspect(now) {
            counters.path_mtu_changes += 1;
            self.cubic.set_mss(self.path.segment());
        }
        self.board.mark_lost(|_| Some(true));
        self.state = State::Loss { end: self.next };
        self.cubic.collapse();
        self.tail_probe = None;
        self.duplicates = 0;
    }

    /// The path takes smaller segments than thought: what was cut larger is gone, and no fault of congestion.
    pub(super) fn cut_smaller(&mut self) {
        let segment = self.path.segment();
        self.cubic.set_mss(segment);
        self.board
            .mark_lost(|piece| Some(piece.cut > segment && piece.len() > u64::from(segment)));
        if self.board.lost() > 0 && self.state == State::Open {
            // Nothing to undo, and the window stays: only the order of sending is recovery's.
            self.undo = None;
            self.state = State::Loss { end: self.next };
        }
    }
}
