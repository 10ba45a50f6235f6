//! The wires of one worker whose frames come through XDP sockets: both their ways in and their ways out.

use std::os::fd::BorrowedFd;

use policy::InterfaceId;
use ports::live::{
    End, Offload, ReceiverCounters, SenderCounters, TransmitDrop, XdpFrame, XdpMemory, XdpWire,
};

/// One wire.
#[derive(Debug)]
struct Line {
    /// `None` while an end is gone.
    wire: Option<XdpWire>,
    ends: [InterfaceId; 2],
    /// What the wires before this one have counted.
    received: [ReceiverCounters; 2],
    sent: [SenderCounters; 2],
}

impl Line {
    fn counts(&self) -> [(InterfaceId, ReceiverCounters, SenderCounters); 2] {
        let [first, second] = self.ends;
        let count = |interface, end, place: usize| {
            let (mut received, mut sent) = (
                self.received.get(place).copied().unwrap_or_default(),
                self.sent.get(place).copied().unwrap_or_default(),
            );
            if let Some(wire) = &self.wire {
                received = received + wire.received(end);
                sent = sent + wire.sent(end);
            }
            (interface, received, sent)
        };
        [count(first, End::First, 0), count(second, End::Second, 1)]
    }
}

/// What has arrived at one end of a line, taken out of it.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) interface: InterfaceId,
    pub(super) memory: XdpMemory,
    pub(super) frames: Vec<XdpFrame>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// For the frames of a burst: one vector for all, so that none is made anew.
    spare: Vec<XdpFrame>,
}

impl Lines {
    /// A further one, between these interfaces.
    pub(super) fn push(&mut self, wire: XdpWire, ends: [InterfaceId; 2]) {
        self.lines.push(Line {
            wire: Some(wire),
            ends,
            received: Default::default(),
            sent: Default::default(),
        });
    }

    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// What has arrived at an end; `None` where nothing has. Its frames go back by [`Lines::hand_on`] or
    /// [`Lines::release`], and what is left of it by [`Lines::give_back`].
    pub(super) fn receive(&mut self, line: usize, end: End) -> Option<Arrived> {
        let Self { lines, spare } = self;
        let line = lines.get_mut(line)?;
        let wire = line.wire.as_mut()?;
        wire.receive(end, spare);
        if spare.is_empty() {
            return None;
        }
        let [first, second] = line.ends;
        Some(Arrived {
            interface: match end {
                End::First => first,
                End::Second => second,
            },
            memory: wire.memory(),
            frames: std::mem::take(spare),
        })
    }

    pub(super) fn give_back(&mut self, arrived: Arrived) {
        self.spare = arrived.frames;
        self.spare.clear();
    }

    /// Whether what arrives at this end leaves by that interface.
    pub(super) fn leads_to(&self, line: usize, from: End, egress: InterfaceId) -> bool {
        self.lines.get(line).is_some_and(|line| {
            let [first, second] = line.ends;
            egress
                == match from {
                    End::First => second,
                    End::Second => first,
                }
        })
    }

    /// Sends a frame out of the other end. One whose wire is gone is gone with it.
    pub(super) fn hand_on(&mut self, line: usize, from: End, frame: XdpFrame) -> Result<(), TransmitDrop> {
        match self.lines.get_mut(line).and_then(|line| line.wire.as_mut()) {
            Some(wire) => wire.hand_on(from, frame),
            None => Err(TransmitDrop::Down),
        }
    }

    /// The frame goes nowhere.
    pub(super) fn release(&mut self, line: usize, frame: XdpFrame) {
        if let Some(wire) = self.lines.get_mut(line).and_then(|line| line.wire.as_mut()) {
            wire.release(frame);
        }
    }

    /// Sends a copy out of an interface; `None` where it is no end of a line that is open.
    pub(super) fn send(
        &mut self,
        egress: InterfaceId,
        bytes: &[u8],
        offload: Offload,
    ) -> Option<Result<(), TransmitDrop>> {
        self.lines.iter_mut().find_map(|line| {
            let end = end_of(line.ends, egress)?;
            Some(line.wire.as_mut()?.send(end, bytes, offload))
        })
    }

    /// Sends what waits, and gives the kernel room for frames to come.
    pub(super) fn flush(&mut self) {
        for wire in self.lines.iter_mut().filter_map(|line| line.wire.as_mut()) {
            wire.flush();
        }
    }

    /// An interface has another MTU. `false`: its frames do not fit any more, the line must be opened anew.
    pub(super) fn set_mtu(&mut self, interface: InterfaceId, mtu: u32) -> bool {
        let set = self.lines.iter_mut().find_map(|line| {
            let end = end_of(line.ends, interface)?;
            Some(line.wire.as_mut()?.set_mtu(end, mtu))
        });
        set.unwrap_or(true)
    }

    /// The line that ends there is closed, and opened anew with `wire`.
    pub(super) fn install(&mut self, interface: InterfaceId, wire: Option<XdpWire>) {
        let line = self
            .lines
            .iter_mut()
            .find(|line| end_of(line.ends, interface).is_some());
        if let Some(line) = line {
            let [first, second] = line.counts();
            line.received = [first.1, second.1];
            line.sent = [first.2, second.2];
            line.wire = wire;
        }
    }

    /// What to wait for.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lines
            .iter()
            .filter_map(|line| line.wire.as_ref())
            .flat_map(XdpWire::fds)
    }

    /// What was counted at each interface.
    pub(super) fn counts(
        &self,
    ) -> impl Iterator<Item = (InterfaceId, ReceiverCounters, SenderCounters)> + use<'_> {
        self.lines.iter().flat_map(Line::counts)
    }
}

fn end_of([first, second]: [InterfaceId; 2], interface: InterfaceId) -> Option<End> {
    if interface == first {
        Some(End::First)
    } else {
        (interface == second).then_some(End::Second)
    }
}
