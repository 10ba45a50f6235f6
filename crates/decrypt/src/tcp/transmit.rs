//! Which of our bytes go out now, and in what pieces.

use packet::{TcpFlags, Timestamp};

use super::{
    counters::Counters,
    endpoint::StampClock,
    options::OptionBuffer,
    receiver,
    recovery::State,
    segment::{Cutting, SegmentOut},
    sender::{Probe, Sender, TailProbe},
    sequence,
};

/// Data in one frame for a link that cuts it itself: with the longest headers it stays below 64 KiB.
const MAX_WHOLE: u16 = 65_000;

/// What all segments of one poll have in common.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) ack: u32,
    pub(super) window: u16,
    /// Where that window ends.
    pub(super) edge: u64,
    pub(super) options: OptionBuffer,
}

/// One poll's sending.
pub(super) struct Transmission<'a> {
    pub(super) now: Timestamp,
    pub(super) mode: Cutting,
    pub(super) header: &'a Header,
    pub(super) clock: &'a StampClock,
    pub(super) counters: &'a mut Counters,
    pub(super) emit: &'a mut dyn FnMut(&SegmentOut<'_>),
    /// Segments emitted.
    pub(super) emitted: u64,
}

impl Sender {
    /// Sends everything that may be sent now.
    pub(super) fn transmit(&mut self, to: &mut Transmission<'_>) {
        if self.path.raise(to.now) {
            self.cubic.set_mss(self.path.segment());
        }
        let paused = to.now.saturating_since(self.last_sent) > self.rtt.timeout();
        if self.board.is_empty() && self.next < self.end() && paused {
            self.cubic.restart();
        }
        let probe = self.probe.take();
        if probe == Some(Probe::Tail) {
            self.send_tail_probe(to);
        }
        self.limited = false;
        self.send_lost(to);
        if !self.limited {
            self.send_new(to);
        }
        if probe == Some(Probe::Window) && self.board.is_empty() && self.next < self.end() {
            self.send_window_probe(to);
        }
        self.arm_after_sending(to.now);
    }

    /// Bytes that the congestion window leaves.
    fn allowance(&self) -> u64 {
        let in_flight = self.in_flight();
        let least = if in_flight == 0 {
            u64::from(self.path.segment())
        } else {
            0
        };
        self.cubic.window().saturating_sub(in_flight).max(least)
    }

    fn most_at_once(&self, mode: Cutting) -> u64 {
        let segment = self.path.segment();
        u64::from(match mode {
            Cutting::Mss => segment,
            Cutting::Whole => (MAX_WHOLE / segment).max(1) * segment,
        })
    }

    fn send_lost(&mut self, to: &mut Transmission<'_>) {
        let segment = u64::from(self.path.segment());
        while let Some(&piece) = self.board.first_lost() {
            let allowance = self.allowance();
            if allowance < piece.len().min(segment) {
                self.limited = true;
                return;
            }
            let most = self.most_at_once(to.mode).min(whole_segments(allowance, segment));
            let end = piece.end.min(piece.start + most.max(segment));
            self.resend(to, piece.start, end);
        }
    }

    fn resend(&mut self, to: &mut Transmission<'_>, start: u64, end: u64) {
        self.emit(to, start, end);
        if start == self.una {
            self.restarted = to.now;
        }
        self.board.sent_again(start, end, to.now, self.path.segment());
        self.proportional.sent(end - start);
        to.counters.retransmitted += end - start;
        let (first, last) = self
            .resent
            .filter(|&(_, last)| last >= self.una)
            .unwrap_or((start, end));
        self.resent = Some((first.min(start), last.max(end)));
        if let Some(undo) = &mut self.undo {
            undo.unproven += end - start;
            undo.first_stamp.get_or_insert(to.clock.value(to.now));
        }
    }

    fn send_new(&mut self, to: &mut Transmission<'_>) {
        let segment = u64::from(self.path.segment());
        loop {
            let waiting = self.end() - self.next;
            if waiting == 0 || self.board.is_full() {
                return;
            }
            let allowance = self.allowance();
            if allowance < waiting.min(segment) {
                self.limited = true;
                return;
            }
            let usable = self.edge.saturating_sub(self.next);
            let most = self.most_at_once(to.mode).min(allowance).min(usable);
            let mut length = waiting.min(most);
            if length < waiting {
                // Not silly pieces: whole segments, or half of the largest window seen (RFC 9293 §3.8.6.2.1).
                length = whole_segments(length, segment);
                let small = length < segment;
                let reasonable = length >= (self.max_window / 2).max(1) || self.board.is_empty();
                if length == 0 || small && !reasonable {
                    return;
                }
            }
            self.send_next(to, length);
            if let State::Recovery { .. } = self.state {
                self.proportional.sent(length);
            }
        }
    }

    fn send_next(&mut self, to: &mut Transmission<'_>, length: u64) {
        let (start, end) = (self.next, self.next + length);
        self.emit(to, start, end);
        if self.board.is_empty() {
            self.restarted = to.now;
        }
        self.waiting_since.get_or_insert(to.now);
        self.board.sent(start, end, to.now, self.path.segment());
        self.next = end;
        self.last_sent = to.now;
    }

    /// One segment, new if there is one, else the last one once more (RFC 8985 §7.3).
    fn send_tail_probe(&mut self, to: &mut Transmission<'_>) {
        let segment = u64::from(self.path.segment());
        let usable = self.edge.saturating_sub(self.next);
        let fresh = (self.end() - self.next).min(segment);
        let retransmission = fresh == 0 || fresh > usable || self.board.is_full();
        if retransmission {
            let Some(&last) = self.board.last() else {
                return;
            };
            let start = last.end.saturating_sub(segment).max(last.start);
            self.emit(to, start, last.end);
            self.board
                .sent_again(start, last.end, to.now, self.path.segment());
            to.counters.retransmitted += last.end - start;
            self.last_sent = to.now;
        } else {
            self.send_next(to, fresh);
        }
        self.restarted = to.now;
        self.tail_probe = Some(TailProbe {
            end: self.next,
            retransmission,
        });
    }

    /// A segment that the peer must refuse, and so answer.
    fn send_window_probe(&mut self, to: &mut Transmission<'_>) {
        let out = SegmentOut {
            seq: sequence::wire(self.una - 1),
            ack: to.header.ack,
            flags: TcpFlags::ACK,
            window: to.header.window,
            options: to.header.options.as_slice(),
            payload: [&[], &[]],
            segment_size: None,
        };
        (to.emit)(&out);
        to.emitted += 1;
        self.last_sent = to.now;
    }

    fn emit(&self, to: &mut Transmission<'_>, start: u64, end: u64) {
        let base = self.una_of_data();
        let data_end = self.data_end();
        let until = end.min(data_end);
        let payload = receiver::slices(
            &self.buffer,
            sequence::distance(base, start),
            sequence::distance(base, until),
        );
        let mut flags = TcpFlags::ACK;
        if until == data_end && start < until {
            flags = flags | TcpFlags::PSH;
        }
        if self.fin.is_some_and(|fin| end > fin) {
            flags = flags | TcpFlags::FIN;
        }
        let segment = self.path.segment();
        let out = SegmentOut {
            seq: sequence::wire(start),
            ack: to.header.ack,
            flags,
            window: to.header.window,
            options: to.header.options.as_slice(),
            payload,
            segment_size: (until.saturating_sub(start) > u64::from(segment)).then_some(segment),
        };
        (to.emit)(&out);
        to.emitted += 1;
    }
}

/// `bytes` cut down to whole segments, where it is more than one.
fn whole_segments(bytes: u64, segment: u64) -> u64 {
    if bytes < segment {
        return bytes;
    }
    bytes - bytes % segment
}
