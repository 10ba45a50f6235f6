//! One interface of an XDP wire, as one worker sees it: its sockets on some of the queues.

use std::{hint::black_box, sync::Arc};

use super::{
    attachment::Attachment,
    memory::{Memory, XdpFrame},
    repair::examine,
    socket::Socket,
};
use crate::live::{
    BURST, ChecksumState, Offload, ReceiverCounters, Sender, SenderCounters, TransmitDrop,
    checksum::finish_checksum,
    transmit::{payload, reason},
};

/// Where a frame's IP header lies, or near enough.
const HEADERS: usize = 30;

#[derive(Debug)]
pub(super) struct Side {
    /// Goes first: no frame comes any more when the sockets go.
    pub(super) attached: Arc<Attachment>,
    /// On the queues of this worker; none where there are fewer queues than workers.
    pub(super) sockets: Vec<Socket>,
    /// For what the rings cannot carry: frames still to be cut, and those of a worker without a queue. For all frames where
    /// the kernel copies them anyway it would be slower than they are.
    other: Sender,
    /// Whose frames are looked for next, and whose were found last.
    turn: usize,
    found: usize,
    mtu: usize,
    /// The kernel did not take what stands in a ring: the interface is down, or gone.
    down: bool,
    pub(super) received: ReceiverCounters,
    pub(super) sent: SenderCounters,
    /// Frames whose checksum came unfinished.
    pub(super) repaired: u64,
}

impl Side {
    pub(super) fn new(attached: Arc<Attachment>, sockets: Vec<Socket>, other: Sender, mtu: u32) -> Self {
        Self {
            attached,
            sockets,
            other,
            turn: 0,
            found: 0,
            mtu: mtu as usize,
            down: false,
            received: ReceiverCounters::default(),
            sent: SenderCounters::default(),
            repaired: 0,
        }
    }

    pub(super) fn set_mtu(&mut self, mtu: u32) {
        self.mtu = mtu as usize;
        self.other.set_mtu(mtu);
    }

    /// Takes what has arrived in one of the queues, each in its turn.
    pub(super) fn receive(&mut self, memory: &mut Memory, into: &mut Vec<XdpFrame>) {
        for _ in 0..self.sockets.len() {
            let place = self.turn;
            self.turn = (place + 1) % self.sockets.len();
            let Some(socket) = self.sockets.get_mut(place) else {
                return;
            };
            let before = into.len();
            while into.len() < BURST
                && let Some(arrived) = socket.arrived.take()
            {
                let Some(frame) = memory.frame(arrived.addr, arrived.len) else {
                    self.received.damaged += 1;
                    memory.give_back(arrived.addr);
                    continue;
                };
                self.received.frames += 1;
                self.received.bytes += u64::from(arrived.len);
                into.push(frame);
            }
            socket.arrived.release();
            if into.len() == before {
                continue;
            }
            let arrived = into.get_mut(before..).unwrap_or_default();
            // Another core has written them: all are asked for before one is waited for.
            let headers = arrived
                .iter()
                .map(|frame| memory.shared().bytes(frame).get(HEADERS));
            black_box(headers.fold(0, |sum, byte| sum ^ byte.unwrap_or(&0)));
            for frame in arrived {
                let (checksum, repaired) = examine(memory.shared().bytes_mut(frame));
                frame.set_checksum(checksum);
                self.repaired += u64::from(repaired);
            }
            self.found = place;
            return;
        }
    }

    /// Which of the sockets has brought the latest frames.
    pub(super) fn found(&self) -> usize {
        self.found
    }

    /// Sends a frame from where it lies with the next [`Side::flush`], in the order given; a worker without a queue sends a copy.
    /// What cannot be taken is dropped and counted.
    pub(super) fn hand_on(
        &mut self,
        memory: &mut Memory,
        socket: usize,
        mut frame: XdpFrame,
    ) -> Result<(), TransmitDrop> {
        let (address, _) = frame.place();
        let checksum = frame.checksum();
        if !self.sockets.is_empty()
            && (!matches!(checksum, ChecksumState::Unfinished { .. })
                || finish_checksum(memory.shared().bytes_mut(&mut frame), checksum))
        {
            return self.put(memory, socket, frame);
        }
        let live = memory.shared().frame(&frame);
        let sent = self.other.send(live.bytes, live.offload);
        drop(frame);
        memory.give_back(address);
        sent
    }

    /// Puts a frame in the ring of a socket; the next [`Side::flush`] sends it. What cannot be taken is dropped and counted.
    pub(super) fn put(
        &mut self,
        memory: &mut Memory,
        socket: usize,
        frame: XdpFrame,
    ) -> Result<(), TransmitDrop> {
        let (addr, len) = frame.place();
        let refused = if self.down {
            Some(TransmitDrop::Down)
        } else if payload(memory.shared().bytes(&frame)) > self.mtu {
            Some(TransmitDrop::TooLong)
        } else {
            None
        };
        // The frame ends here: its chunk is the ring's, or nobody's.
        drop(frame);
        let why = match (refused, self.socket(socket)) {
            (Some(why), _) => why,
            (None, None) => TransmitDrop::Refused,
            (None, Some(socket)) => {
                if socket.leaving.put(libc::xdp_desc {
                    addr,
                    len,
                    options: 0,
                }) {
                    self.sent.frames += 1;
                    self.sent.bytes += u64::from(len);
                    return Ok(());
                }
                TransmitDrop::Full
            }
        };
        memory.give_back(addr);
        Err(self.dropped(why))
    }

    fn socket(&mut self, number: usize) -> Option<&mut Socket> {
        let sockets = self.sockets.len().max(1);
        self.sockets.get_mut(number % sockets)
    }

    /// Sends a copy of a frame. Frames leave in the order given.
    pub(super) fn send(
        &mut self,
        memory: &mut Memory,
        socket: usize,
        bytes: &[u8],
        offload: Offload,
    ) -> Result<(), TransmitDrop> {
        if self.sockets.is_empty() {
            return self.other.send(bytes, offload);
        }
        if bytes.len() > memory.chunk_bytes() || offload.gso.is_some() {
            // What was given before leaves before.
            self.flush(memory);
            let sent = self.other.send(bytes, offload);
            self.other.flush();
            return sent;
        }
        let Some(mut frame) = memory.new_frame(bytes.len()) else {
            return Err(self.dropped(TransmitDrop::Full));
        };
        let copy = memory.shared().bytes_mut(&mut frame);
        copy.copy_from_slice(bytes);
        if matches!(offload.checksum, ChecksumState::Unfinished { .. })
            && !finish_checksum(copy, offload.checksum)
        {
            let (address, _) = frame.place();
            memory.give_back(address);
            return Err(self.dropped(TransmitDrop::Refused));
        }
        self.put(memory, socket, frame)
    }

    /// Has the kernel send what waits, and takes back the chunks of what was sent.
    pub(super) fn flush(&mut self, memory: &mut Memory) {
        if self.other.waiting() > 0 {
            self.other.flush();
        }
        for socket in &mut self.sockets {
            socket.leaving.publish();
            if socket.leaving.pending() > 0 {
                match socket.flush() {
                    Ok(()) => self.down = false,
                    // It was full, or the queue behind it: the rest is sent the next time.
                    Err(error) => self.down = reason(&error) == TransmitDrop::Down,
                }
            }
            while let Some(chunk) = socket.sent.take() {
                memory.give_back(chunk);
            }
            socket.sent.release();
        }
    }

    /// Gives the kernel chunks for frames to come.
    pub(super) fn supply(&mut self, memory: &mut Memory) {
        for socket in &mut self.sockets {
            socket.supply(memory);
        }
    }

    /// What has arrived, and what the kernel has dropped before.
    pub(super) fn receiver_counters(&self) -> ReceiverCounters {
        let mut counters = self.received;
        for statistics in self.sockets.iter().filter_map(|socket| socket.statistics().ok()) {
            // What finds no chunk is counted as dropped too.
            let no_buffer = statistics.rx_fill_ring_empty_descs.min(statistics.rx_dropped);
            counters.dropped_by_kernel += statistics.rx_ring_full;
            counters.no_buffer += no_buffer;
            counters.too_large += statistics.rx_dropped - no_buffer;
        }
        counters
    }

    pub(super) fn sender_counters(&self) -> SenderCounters {
        self.sent + self.other.counters()
    }

    fn dropped(&mut self, why: TransmitDrop) -> TransmitDrop {
        self.sent.count(why);
        why
    }
}
