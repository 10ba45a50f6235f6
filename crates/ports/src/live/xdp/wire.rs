//! Two interfaces with one memory for the frames of both.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{
    attachment::Attachment,
    bpf::XdpMode,
    memory::{Memory, XdpFrame, XdpMemory},
    repair::repair,
    side::Side,
    socket::{ENTRIES, Socket},
};
use crate::live::{
    BURST, End, Interface, Offload, OpenOptions, PortError, ReceiverCounters, Sender, SenderCounters,
    TransmitDrop, opening::usable,
};

/// How often an interface whose last socket has just gone is tried again, and after what time.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);
/// What the kernel keeps free in front of a frame.
const HEADROOM: u32 = 256;
/// The link header with two VLAN tags.
const LINK_HEADER: u32 = 22;
/// The largest chunk that the kernel takes.
const LARGEST_CHUNK: u32 = 4096;

/// Where the program may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpDemand {
    /// In the driver, or not at all.
    Native,
    /// In the driver where that can run it, else in the kernel's stack.
    Any,
}

/// How an [`XdpWire`] was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpManner {
    /// Where the program of each end runs.
    pub modes: [XdpMode; 2],
    /// The drivers put frames into the memory themselves, so that nothing is copied anywhere.
    pub zero_copy: bool,
}

/// Two interfaces whose frames cross without being copied here (`AF_XDP`): each lies in one memory, and only its number
/// is handed from one to the other.
///
/// A frame is never larger than the MTU: while this is open, a virtual neighbour cuts what it sends, so that large
/// transfers are better carried by [`PacketSocket`](crate::live::PacketSocket). However the process ends, the interfaces
/// are the kernel's again.
#[derive(Debug)]
pub struct XdpWire {
    sides: [Side; 2],
    memory: Memory,
    largest: u32,
}

impl XdpWire {
    /// The largest MTU that it can carry.
    pub const MOST: u32 = LARGEST_CHUNK - HEADROOM - LINK_HEADER;

    /// Opens it for one worker, with the program wherever it can run.
    ///
    /// # Errors
    ///
    /// As [`XdpWire::open_for`].
    pub fn open(interfaces: [&Interface; 2]) -> Result<Self, PortError> {
        let mut wires = Self::open_for(interfaces, 1, XdpDemand::Any)?;
        wires.pop().ok_or_else(|| PortError::NoSuchInterface {
            interface: interfaces[0].name.clone(),
            nearest: None,
        })
    }

    /// Opens it for so many workers: each takes the frames of every so many-th queue of either end.
    ///
    /// # Errors
    ///
    /// [`PortError::TooLargeForXdp`] where frames of an MTU do not fit into a chunk; else what the system says.
    pub fn open_for(
        interfaces: [&Interface; 2],
        workers: usize,
        demand: XdpDemand,
    ) -> Result<Vec<Self>, PortError> {
        for interface in interfaces {
            Self::carries(&interface.name, interface.mtu)?;
            usable(interface)?;
        }
        let queues = interfaces.map(Interface::receive_queues);
        let open = |copy| {
            let worker = |number| Unattached::open(interfaces, queues, (number, workers), copy);
            (0..workers).map(worker).collect::<Result<Vec<_>, PortError>>()
        };
        // The ends share a memory only where both need no copy, or both do.
        let unattached = match open(false) {
            Err(PortError::System { source, .. })
                if matches!(source.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL)) =>
            {
                open(true)?
            }
            opened => opened?,
        };
        let attach = |end: usize| -> Result<Arc<Attachment>, PortError> {
            let (Some(interface), Some(queues)) = (interfaces.get(end), queues.get(end)) else {
                return Err(PortError::NoSuchInterface {
                    interface: String::new(),
                    nearest: None,
                });
            };
            let sockets = unattached.iter().filter_map(|worker| worker.sockets.get(end));
            let sockets = sockets.flatten().map(|(queue, socket)| (*queue, socket));
            let native = demand == XdpDemand::Native;
            Attachment::new(interface, *queues, sockets, native).map(Arc::new)
        };
        let attached = [attach(0)?, attach(1)?];
        let wires = unattached.into_iter();
        wires.map(|worker| worker.attach(interfaces, &attached)).collect()
    }

    /// Whether frames of an interface with this MTU fit.
    ///
    /// # Errors
    ///
    /// [`PortError::TooLargeForXdp`] where they do not.
    pub fn carries(interface: &str, mtu: u32) -> Result<(), PortError> {
        if mtu <= Self::MOST {
            return Ok(());
        }
        Err(PortError::TooLargeForXdp {
            interface: interface.to_owned(),
            mtu,
            most: Self::MOST,
        })
    }

    /// How it was opened.
    pub fn manner(&self) -> XdpManner {
        let [first, second] = &self.sides;
        let mut sockets = first.sockets.iter().chain(&second.sockets).peekable();
        XdpManner {
            modes: [first.attached.mode, second.attached.mode],
            zero_copy: sockets.peek().is_some() && sockets.all(Socket::is_zero_copy),
        }
    }

    /// Where frames that have arrived can be read.
    pub fn memory(&self) -> XdpMemory {
        self.memory.shared().clone()
    }

    /// Adds what has arrived at one end to `into`, as long as that holds fewer than [`BURST`]. Never waits.
    /// Checksums have been looked at.
    pub fn receive(&mut self, end: End, into: &mut Vec<XdpFrame>) {
        let (side, _) = pair(&mut self.sides, end);
        side.receive(&mut self.memory, into);
    }

    /// Hands a frame that came in at `from` on to the other end; it leaves with the next [`XdpWire::flush`], in the order
    /// given. Never waits: what cannot be taken is dropped and counted.
    pub fn hand_on(&mut self, from: End, frame: XdpFrame) -> Result<(), TransmitDrop> {
        let (from, to) = pair(&mut self.sides, from);
        to.hand_on(&mut self.memory, from.found(), frame)
    }

    /// The frame goes nowhere.
    pub fn release(&mut self, frame: XdpFrame) {
        let (address, _) = frame.place();
        drop(frame);
        self.memory.give_back(address);
    }

    /// Sends a copy of a frame out of one end, in order with what is handed on. Never waits.
    pub fn send(&mut self, end: End, bytes: &[u8], offload: Offload) -> Result<(), TransmitDrop> {
        let (to, from) = pair(&mut self.sides, end);
        to.send(&mut self.memory, from.found(), bytes, offload)
    }

    /// Sends what waits, and gives the kernel room for frames to come.
    pub fn flush(&mut self) {
        for side in &mut self.sides {
            side.flush(&mut self.memory);
        }
        for side in &mut self.sides {
            side.supply(&mut self.memory);
        }
    }

    /// The MTU of an end has changed. `false`: its frames do not fit any more, and the wire must be opened anew.
    #[must_use]
    pub fn set_mtu(&mut self, end: End, mtu: u32) -> bool {
        let (side, _) = pair(&mut self.sides, end);
        side.set_mtu(mtu);
        mtu <= self.largest
    }

    /// What to wait for.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let sockets = self.sides.iter().flat_map(|side| &side.sockets);
        sockets.map(AsFd::as_fd).collect()
    }

    /// What was counted of the frames that came in at an end. Asks the kernel for its drops, so not for every burst.
    pub fn received(&self, end: End) -> ReceiverCounters {
        let [first, second] = &self.sides;
        match end {
            End::First => first.receiver_counters(),
            End::Second => second.receiver_counters(),
        }
    }

    /// What was counted of the frames that went out of an end.
    pub fn sent(&self, end: End) -> SenderCounters {
        let [first, second] = &self.sides;
        match end {
            End::First => first.sender_counters(),
            End::Second => second.sender_counters(),
        }
    }

    /// Frames that came in at an end with an unfinished checksum.
    pub fn repaired(&self, end: End) -> u64 {
        let [first, second] = &self.sides;
        match end {
            End::First => first.repaired,
            End::Second => second.repaired,
        }
    }

    /// Hands on what has arrived, a burst of each side; how many frames there were. Never waits. Looks at nothing but whether
    /// a checksum must be finished.
    pub fn forward(&mut self) -> usize {
        let frames = self.cross(End::First) + self.cross(End::Second);
        if frames > 0 {
            self.flush();
        }
        frames
    }

    fn cross(&mut self, end: End) -> usize {
        let Self { sides, memory, .. } = self;
        let (from, to) = pair(sides, end);
        let mut frames = 0;
        for (place, socket) in from.sockets.iter_mut().enumerate() {
            let mut taken = 0;
            while taken < BURST
                && let Some(arrived) = socket.arrived.take()
            {
                taken += 1;
                let Some(mut frame) = memory.frame(arrived.addr, arrived.len) else {
                    memory.give_back(arrived.addr);
                    continue;
                };
                from.received.frames += 1;
                from.repaired += u64::from(repair(memory.shared().bytes_mut(&mut frame)));
                let _counted = to.put(memory, place, frame);
            }
            socket.arrived.release();
            frames += taken;
        }
        frames
    }
}

/// One end, and the other.
fn pair([first, second]: &mut [Side; 2], end: End) -> (&mut Side, &mut Side) {
    match end {
        End::First => (first, second),
        End::Second => (second, first),
    }
}

/// The sockets of one worker, before frames come to them.
struct Unattached {
    memory: Memory,
    sockets: [Vec<(u32, Socket)>; 2],
    largest: u32,
}

impl Unattached {
    fn open(
        interfaces: [&Interface; 2],
        queues: [u32; 2],
        (number, workers): (usize, usize),
        copy: bool,
    ) -> Result<Self, PortError> {
        let ours = |queues: u32| (0..queues).skip(number).step_by(workers.max(1));
        let largest = interfaces.map(|interface| interface.mtu).into_iter().max();
        let chunk = (largest.unwrap_or(0) + HEADROOM + LINK_HEADER).clamp(2048, LARGEST_CHUNK);
        let chunk = chunk.next_power_of_two();
        let sockets: usize = queues.map(|queues| ours(queues).count()).iter().sum();
        // In the rings on the way in, and on the way out.
        let chunks = sockets.max(1) * 2 * ENTRIES as usize;
        let mut memory = Memory::map(chunks, chunk as usize)
            .map_err(|error| PortError::from_system(&interfaces[0].name, "map memory for frames", error))?;
        let mut opened: [Vec<(u32, Socket)>; 2] = [Vec::new(), Vec::new()];
        for (end, (interface, queues)) in interfaces.into_iter().zip(queues).enumerate() {
            for queue in ours(queues) {
                let first = opened.iter().flatten().next().map(|(_, socket)| socket);
                let socket = once_free(|| Socket::open(&memory, interface.index, queue, first, copy))
                    .map_err(|error| PortError::from_system(&interface.name, "open an XDP socket", error))?;
                if let Some(side) = opened.get_mut(end) {
                    side.push((queue, socket));
                }
            }
        }
        // Before the program runs: the first frame finds a chunk.
        for (_, socket) in opened.iter_mut().flatten() {
            socket.supply(&mut memory);
        }
        Ok(Self {
            memory,
            sockets: opened,
            largest: chunk - HEADROOM - LINK_HEADER,
        })
    }

    fn attach(
        self,
        interfaces: [&Interface; 2],
        attached: &[Arc<Attachment>; 2],
    ) -> Result<XdpWire, PortError> {
        let Self {
            memory,
            sockets: [first, second],
            largest,
        } = self;
        let side = |sockets: Vec<(u32, Socket)>, interface: &Interface, attached: &Arc<Attachment>| {
            let other = Sender::open(&OpenOptions::new(interface))?;
            other.see_all(interface)?;
            let sockets = sockets.into_iter().map(|(_, socket)| socket).collect();
            Ok::<_, PortError>(Side::new(Arc::clone(attached), sockets, other, interface.mtu))
        };
        let [attached_first, attached_second] = attached;
        let sides = [
            side(first, interfaces[0], attached_first)?,
            side(second, interfaces[1], attached_second)?,
        ];
        Ok(XdpWire {
            sides,
            memory,
            largest,
        })
    }
}

/// The kernel gives a queue back some time after the socket on it was closed.
fn once_free<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..TRIES {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(PAUSE),
            opened => return opened,
        }
    }
    open()
}
