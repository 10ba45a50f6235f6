//! A segment comes in (RFC 9293 §3.10.7, RFC 5961, RFC 7323 §5).

use std::time::Duration;

use packet::Timestamp;

use super::{
    Endpoint, SegmentIn,
    acknowledge::{Acknowledgment, is_before},
    endpoint::Life,
    options::SegmentOptions,
    receiver::Arrival,
    sequence,
};

/// The least time between two challenge ACKs, or answers to empty segments that do not fit.
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);
/// A timestamp this old says nothing any more (RFC 7323 §5.5).
const STAMP_LIFETIME: Duration = Duration::from_hours(24 * 24);
/// Round trip time assumed for sizing the window before one was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(100);

impl Endpoint {
    /// Takes a segment of the peer's whose checksum was right; what does not fit the connection changes nothing.
    /// `true`: sequence and acknowledgment number are the connection's, which nobody knows who does not see it
    /// (RFC 5961 §5).
    pub fn receive(&mut self, now: Timestamp, segment: &SegmentIn<'_>) -> bool {
        if self.life != Life::Open {
            return false;
        }
        let options = SegmentOptions::parse(segment.options);
        let stamps = options.timestamps.filter(|_| self.recent.is_some());
        let next = self.receiver.acknowledgment();
        let seq = sequence::near(next, segment.seq);

        if segment.flags.rst() {
            self.receive_reset(now, seq);
            return false;
        }
        let length = sequence::length(segment.payload.len()) + u64::from(segment.flags.fin());
        if let (Some((stamp, _)), Some(recent)) = (stamps, self.recent)
            && is_before(stamp, recent.stamp)
            && now.saturating_since(recent.at) < STAMP_LIFETIME
        {
            self.refuse(now, seq, segment, length);
            return false;
        }
        let edge = self.receiver.edge();
        let fits = if length == 0 {
            seq >= self.acknowledged && seq <= edge.max(next)
        } else {
            seq < edge && seq + length > next
        };
        if !fits {
            self.refuse(now, seq, segment, length);
            return false;
        }
        if segment.flags.syn() {
            self.challenge(now);
            return false;
        }
        if !segment.flags.ack() {
            return false;
        }
        let number = sequence::near(self.sender.una, segment.ack);
        let oldest = self.sender.una.saturating_sub(self.sender.max_window);
        if number > self.sender.next || number < oldest {
            self.counters.unacceptable += 1;
            self.challenge(now);
            return false;
        }
        if let (Some((stamp, _)), Some(recent)) = (stamps, &mut self.recent)
            && seq <= self.acknowledged
            && !is_before(stamp, recent.stamp)
        {
            recent.stamp = stamp;
            recent.at = now;
        }

        let before = self.sender.una;
        if number >= before {
            let ack = Acknowledgment {
                number,
                seq,
                window: u64::from(segment.window) << self.peer_shift,
                blocks: options.sack_blocks(),
                echo: stamps.map(|(_, echo)| echo),
                has_data: length > 0,
            };
            self.sender
                .acknowledged(now, &ack, &self.clock, &mut self.counters);
            if self.sender.una > before {
                self.progress = now;
            }
        }
        if length > 0 {
            self.receive_data(now, seq, segment);
        }
        true
    }

    fn receive_data(&mut self, now: Timestamp, seq: u64, segment: &SegmentIn<'_>) {
        match self.receiver.accept(seq, segment.payload, segment.flags.fin()) {
            Arrival::Nothing => {}
            Arrival::InOrder(bytes) => {
                self.counters.received += sequence::length(bytes);
                self.progress = now;
                self.ack.in_order(now, bytes, usize::from(self.our_mss));
            }
            Arrival::Notable(bytes) => {
                self.counters.received += sequence::length(bytes);
                if bytes > 0 {
                    self.progress = now;
                }
                self.ack.now();
            }
            Arrival::Refused => {
                self.counters.refused += 1;
                self.ack.now();
            }
        }
        self.receiver
            .tune(now, self.sender.rtt.smoothed().unwrap_or(ASSUMED_RTT));
    }

    /// Only the very next number resets; another one inside the window is asked about (RFC 5961 §3).
    fn receive_reset(&mut self, now: Timestamp, seq: u64) {
        let next = self.receiver.acknowledgment();
        // A host that has closed answers what was under way with a reset from before its FIN.
        let before_fin = self.receiver.fin_reached() && seq + 1 == next;
        if seq == next || before_fin {
            self.life = Life::ResetByPeer;
            self.sender.clear();
        } else if seq > next && seq <= self.receiver.edge() {
            self.challenge(now);
        } else {
            self.counters.unacceptable += 1;
        }
    }

    /// The segment does not fit: say where we are.
    fn refuse(&mut self, now: Timestamp, seq: u64, segment: &SegmentIn<'_>, length: u64) {
        self.counters.unacceptable += 1;
        if length == 0 || segment.flags.syn() {
            return self.challenge(now);
        }
        let next = self.receiver.acknowledgment();
        if seq + length <= next && !segment.payload.is_empty() {
            // Sent once more although we have it: tell that, too.
            self.receiver.accept(seq, segment.payload, false);
        }
        self.ack.now();
    }

    fn challenge(&mut self, now: Timestamp) {
        if now >= self.quiet_until {
            self.quiet_until = now.saturating_add(CHALLENGE_INTERVAL);
            self.counters.challenges += 1;
            self.ack.now();
        }
    }
}
