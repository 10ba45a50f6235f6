//! Two interfaces with one memory for the frames of both.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use super::{
    bpf::{self, XdpMode},
    memory::Memory,
    program,
    repair::repair,
    socket::{ENTRIES, Socket},
};
use crate::live::{BURST, Interface, PortError, opening::usable};

/// The queue whose frames are taken.
const QUEUE: u32 = 0;
/// How often an interface whose last socket has just gone is tried again, and after what time.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// What the kernel keeps free in front of a frame.
const HEADROOM: usize = 256;
/// The link header with two VLAN tags.
const LINK_HEADER: usize = 22;

/// What an [`XdpWire`] has counted of the frames of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpCounters {
    /// Frames that were handed on.
    pub forwarded: u64,
    /// Of these, frames whose checksum had to be finished.
    pub repaired: u64,
    /// Frames that found the other interface's ring full.
    pub full: u64,
}

/// One interface.
#[derive(Debug)]
struct Side {
    /// Goes first: no frame comes any more when the socket goes.
    _attached: OwnedFd,
    _sockets: OwnedFd,
    socket: Socket,
    mode: XdpMode,
    counters: XdpCounters,
}

/// Two interfaces whose frames cross without being copied here (`AF_XDP`): each lies in one memory, and only its number
/// is handed from one to the other.
///
/// Takes the frames of the first queue of each; those of others go to the kernel. A frame is never larger than the MTU:
/// while this is open, a virtual neighbour cuts what it sends, so that large transfers are better carried by
/// [`PacketSocket`](crate::live::PacketSocket). However the process ends, the interfaces are the kernel's again.
#[derive(Debug)]
pub struct XdpWire {
    sides: [Side; 2],
    memory: Memory,
}

impl XdpWire {
    /// Opens both, in the driver where that can run the program, else in the kernel's stack.
    pub fn open(interfaces: [&Interface; 2]) -> Result<Self, PortError> {
        let largest = interfaces
            .map(|interface| interface.mtu as usize)
            .into_iter()
            .max();
        let chunk = (largest.unwrap_or(0) + HEADROOM + LINK_HEADER).clamp(2048, 4096);
        let memory = Memory::map(4 * ENTRIES, chunk.next_power_of_two())
            .map_err(|error| PortError::from_system(&interfaces[0].name, "map memory for frames", error))?;
        let first = Side::open(interfaces[0], &memory, None)?;
        let second = Side::open(interfaces[1], &memory, Some(&first.socket))?;
        let mut wire = Self {
            sides: [first, second],
            memory,
        };
        for place in 0..wire.sides.len() {
            wire.supply(place);
        }
        Ok(wire)
    }

    /// Hands on what has arrived, a burst of each side; how many frames there were. Never waits.
    pub fn forward(&mut self) -> usize {
        self.cross(0) + self.cross(1)
    }

    /// What to wait for, in the order of opening.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.sides[0].socket.as_fd(), self.sides[1].socket.as_fd()]
    }

    /// Where the programs run.
    pub fn modes(&self) -> [XdpMode; 2] {
        [self.sides[0].mode, self.sides[1].mode]
    }

    /// What was counted of the frames that arrived at each interface.
    pub fn counters(&self) -> [XdpCounters; 2] {
        [self.sides[0].counters, self.sides[1].counters]
    }

    fn cross(&mut self, from: usize) -> usize {
        let Self { sides, memory } = self;
        let [first, second] = sides;
        let (from_side, to_side) = if from == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let to = &mut to_side.socket;
        while let Some(chunk) = to.sent.take() {
            memory.give_back(chunk);
        }
        to.sent.release();
        let mut frames = 0;
        while frames < BURST
            && let Some(frame) = from_side.socket.arrived.take()
        {
            frames += 1;
            let counters = &mut from_side.counters;
            let repaired = memory.frame(frame.addr, frame.len).is_some_and(repair);
            if to.leaving.put(frame) {
                counters.forwarded += 1;
                counters.repaired += u64::from(repaired);
            } else {
                counters.full += 1;
                memory.give_back(frame.addr);
            }
        }
        from_side.socket.arrived.release();
        to.leaving.publish();
        to.flush();
        if frames > 0 {
            self.supply(from);
        }
        frames
    }

    /// Chunks for frames to come.
    fn supply(&mut self, place: usize) {
        let Self { sides, memory } = self;
        let Some(Side { socket, .. }) = sides.get_mut(place) else {
            return;
        };
        while let Some(chunk) = memory.take() {
            if !socket.empty.put(chunk) {
                memory.give_back(chunk);
                break;
            }
        }
        socket.empty.publish();
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

impl Side {
    fn open(interface: &Interface, memory: &Memory, first: Option<&Socket>) -> Result<Self, PortError> {
        let failed = |what| move |error| PortError::from_system(&interface.name, what, error);
        usable(interface)?;
        let socket = once_free(|| Socket::open(memory, interface.index, QUEUE, first))
            .map_err(failed("open an XDP socket"))?;
        let sockets = bpf::socket_map(QUEUE + 1).map_err(failed("make a map of sockets"))?;
        bpf::put_socket(sockets.as_fd(), QUEUE, socket.as_fd())
            .map_err(failed("enter a socket into the map"))?;
        let program =
            bpf::load(&program::to_sockets(sockets.as_fd())).map_err(failed("load an XDP program"))?;
        let attach = |mode| bpf::attach(program.as_fd(), interface.index, mode).map(|link| (link, mode));
        let attached: io::Result<_> = attach(XdpMode::Native).or_else(|_| attach(XdpMode::Generic));
        let (attached, mode) = attached.map_err(failed("put an XDP program on the interface"))?;
        Ok(Self {
            _attached: attached,
            _sockets: sockets,
            socket,
            mode,
            counters: XdpCounters::default(),
        })
    }
}
