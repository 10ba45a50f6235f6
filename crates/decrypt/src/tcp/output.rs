//! What goes out now, and when to ask again.

use std::time::Duration;

use packet::{TcpFlags, Timestamp};

use super::{
    Cutting, Endpoint, SegmentOut,
    endpoint::Life,
    options::OptionBuffer,
    sequence,
    transmit::{Header, Transmission},
};

/// An idle flow gives its buffers back after this.
const RELEASE_AFTER: Duration = Duration::from_secs(1);

impl Endpoint {
    /// Emits everything that may be sent now.
    pub fn poll(&mut self, now: Timestamp, mode: Cutting, emit: &mut dyn FnMut(&SegmentOut<'_>)) {
        match self.life {
            Life::Open => {}
            Life::Resetting => return self.send_reset(now, emit),
            Life::Reset | Life::ResetByPeer => return,
        }
        if self.sender.expire(now, self.patience, &mut self.counters) {
            self.gave_up = true;
            self.reset();
            return self.send_reset(now, emit);
        }
        let due = self.ack.is_due(now);
        if due && self.sender.sack && self.receiver.has_report() {
            // Reports go alone, so that data segments are all of one size.
            self.send_acknowledgment(now, emit);
        }
        let header = self.header(now);
        let mut transmission = Transmission {
            now,
            mode,
            header: &header,
            clock: &self.clock,
            counters: &mut self.counters,
            emit,
            emitted: 0,
        };
        self.sender.transmit(&mut transmission);
        if transmission.emitted > 0 {
            self.was_acknowledged(header.edge);
        } else if self.ack.is_due(now) {
            self.send_acknowledgment(now, emit);
        }
        if self.may_release() && now >= self.progress.saturating_add(RELEASE_AFTER) {
            self.sender.release();
            self.receiver.release();
        }
    }

    /// When [`Endpoint::poll`] has something to do next; in the past where it has now.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.life {
            Life::Open => {}
            Life::Resetting => return Some(Timestamp::ZERO),
            Life::Reset | Life::ResetByPeer => return None,
        }
        let timer = self.sender.timer.map(|(_, at)| at);
        let release = self
            .may_release()
            .then(|| self.progress.saturating_add(RELEASE_AFTER));
        [timer, self.ack.deadline(), release].into_iter().flatten().min()
    }

    /// Whether buffers are held that hold nothing.
    fn may_release(&self) -> bool {
        let empty = self.sender.board.is_empty()
            && self.sender.buffer.is_empty()
            && self.receiver.readable().iter().all(|piece| piece.is_empty())
            && !self.receiver.has_holes();
        empty && self.sender.memory() + self.receiver.memory() > 0
    }

    fn header(&self, now: Timestamp) -> Header {
        let mut options = OptionBuffer::EMPTY;
        if let Some(recent) = self.recent {
            options.timestamps(self.clock.value(now), recent.stamp);
        }
        let (window, edge) = self.receiver.window(self.our_mss);
        Header {
            ack: sequence::wire(self.receiver.acknowledgment()),
            window,
            edge,
            options,
        }
    }

    fn was_acknowledged(&mut self, edge: u64) {
        self.receiver.announced(edge);
        self.acknowledged = self.receiver.acknowledgment();
        self.ack.sent();
    }

    fn send_acknowledgment(&mut self, now: Timestamp, emit: &mut dyn FnMut(&SegmentOut<'_>)) {
        let mut header = self.header(now);
        if self.sender.sack {
            self.receiver.report(&mut header.options);
        }
        emit(&SegmentOut {
            seq: sequence::wire(self.sender.next),
            ack: header.ack,
            flags: TcpFlags::ACK,
            window: header.window,
            options: header.options.as_slice(),
            payload: [&[], &[]],
            segment_size: None,
        });
        self.was_acknowledged(header.edge);
    }

    fn send_reset(&mut self, now: Timestamp, emit: &mut dyn FnMut(&SegmentOut<'_>)) {
        let header = self.header(now);
        emit(&SegmentOut {
            seq: sequence::wire(self.sender.next),
            ack: header.ack,
            flags: TcpFlags::RST | TcpFlags::ACK,
            window: header.window,
            options: header.options.as_slice(),
            payload: [&[], &[]],
            segment_size: None,
        });
        self.life = Life::Reset;
    }
}
