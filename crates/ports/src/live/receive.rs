//! Frames in: bursts borrowed from a receive ring.
//!
//! The ring is `TPACKET_V2`: a frame can be read the moment it has arrived, where version 3 hands out
//! blocks that it closes when they are full or a timer of at least a millisecond fires. A slot holds a
//! frame of the interface's MTU. One that is larger (the kernel joins TCP segments up to 64 KiB) waits
//! whole in the socket's queue, in the same order, and is read from there (`PACKET_COPY_THRESH`): 64 KiB
//! for each of thousands of slots would be wasted on all others.

use std::{
    fmt,
    ops::Add,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use libc::{c_int, tpacket2_hdr};
use packet::Timestamp;

use super::{
    Burst, LiveFrame, Offload, OpenOptions, PortError,
    offload::VNET_HEADER,
    opening::{join, no_memory, promiscuous, slot_bytes, usable},
    ring::{Ring, Way},
    sys,
};

/// The most frames of one burst.
pub const BURST: usize = 32;
/// The most frames larger than a slot in one burst.
const LARGE_IN_BURST: usize = 4;
/// The longest frame that is taken: 64 KiB of payload (an IP packet cannot be longer), and its headers.
pub const MAX_LIVE_FRAME: usize = 65_536 + 64;
/// Bytes of an 802.1Q tag.
const VLAN_TAG: usize = 4;
/// The two link-layer addresses, which a VLAN tag follows.
const ADDRESSES: usize = 12;
/// What a slot holds beside the payload: header, address, alignment, virtio-net header, and the link
/// header with two VLAN tags.
pub(super) const SLOT_OVERHEAD: usize = 128 + 22;
/// Frames larger than a slot wait in the socket's queue, up to this many bytes of the kernel's memory.
const LARGE_QUEUE: c_int = 64 << 20;

/// What a receiver has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Frames handed out.
    pub frames: u64,
    /// Their bytes on the link.
    pub bytes: u64,
    /// Of these, frames that were larger than a slot.
    pub large: u64,
    /// Frames that came while every slot was taken, or that the kernel cannot describe: dropped there.
    pub dropped_by_kernel: u64,
    /// Frames for which the kernel had no chunk of memory: dropped there. Only of an [`XdpWire`](super::XdpWire).
    pub no_buffer: u64,
    /// Frames that did not fit anywhere (queue for large frames full, or beyond [`MAX_LIVE_FRAME`]).
    pub too_large: u64,
    /// Frames whose description made no sense.
    pub damaged: u64,
}

impl Add for ReceiverCounters {
    type Output = Self;

    /// What two receivers have counted together.
    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            bytes: self.bytes + other.bytes,
            large: self.large + other.large,
            dropped_by_kernel: self.dropped_by_kernel + other.dropped_by_kernel,
            no_buffer: self.no_buffer + other.no_buffer,
            too_large: self.too_large + other.too_large,
            damaged: self.damaged + other.damaged,
        }
    }
}

/// Why a port's socket reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortFault {
    /// The interface is down. Frames come again when it is up; nothing need be opened anew.
    Down,
    /// The interface is gone. One that comes back under its name is another one: open it anew.
    Gone,
}

/// Where the frames of one interface arrive.
pub struct Receiver {
    socket: OwnedFd,
    ring: Ring,
    index: c_int,
    /// The slot where the next frame arrives.
    next: u32,
    /// The first slot of the burst handed out, not yet given back.
    first: u32,
    found: [Found; BURST],
    large: Vec<Box<[u8]>>,
    counters: ReceiverCounters,
    outgoing: bool,
    group: Option<u16>,
}

/// Where a frame of the burst lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    slot: u32,
    /// Which of the buffers for large frames, or none.
    large: Option<u8>,
    from: usize,
    length: usize,
    original_len: u32,
    stamp: Timestamp,
    offload: Offload,
    outgoing: bool,
}

impl Receiver {
    /// Opens a receiver alone: a tap.
    pub fn open(options: &OpenOptions<'_>) -> Result<Self, PortError> {
        let interface = options.interface;
        let failed = |what| move |error| PortError::from_system(&interface.name, what, error);
        let index = usable(interface)?;
        // Protocol 0: nothing arrives before everything is set.
        let socket =
            sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(failed("open a packet socket"))?;
        sys::see_nothing(&socket).map_err(failed("set a filter"))?;
        let set = |option, value| sys::set_option(&socket, libc::SOL_PACKET, option, value);
        set(libc::PACKET_VERSION, 1).map_err(failed("choose the ring's layout"))?;
        set(libc::PACKET_VNET_HDR, 1).map_err(failed("ask for unfinished checksums"))?;
        set(libc::PACKET_COPY_THRESH, 1).map_err(failed("ask for large frames"))?;
        if !options.outgoing {
            set(libc::PACKET_IGNORE_OUTGOING, 1).map_err(failed("ignore outgoing frames"))?;
        }
        sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, LARGE_QUEUE)
            .map_err(failed("size the queue of large frames"))?;
        let slot_bytes = slot_bytes(interface, SLOT_OVERHEAD);
        let ring = Ring::map(&socket, Way::Receive, options.receive_slots, slot_bytes)
            .map_err(|error| no_memory(interface, options.receive_slots, slot_bytes, error))?;
        sys::bind_packet(&socket, index, sys::EVERY_PROTOCOL).map_err(failed("bind a packet socket"))?;
        let group = join(&socket, options)?;
        if options.promiscuous {
            sys::set_option(
                &socket,
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                promiscuous(index),
            )
            .map_err(failed("see frames for other addresses"))?;
        }
        sys::see_everything(&socket).map_err(failed("take the filter away"))?;
        Ok(Self {
            socket,
            ring,
            index,
            next: 0,
            first: 0,
            found: [Found::default(); BURST],
            large: vec![vec![0; VLAN_TAG + MAX_LIVE_FRAME].into_boxed_slice(); LARGE_IN_BURST],
            counters: ReceiverCounters::default(),
            outgoing: options.outgoing,
            group,
        })
    }

    /// What has arrived, up to [`BURST`] frames; empty where nothing has. Never waits.
    ///
    /// The frames are the burst's until it is dropped, then the kernel's again.
    pub fn receive(&mut self) -> Burst<'_> {
        self.give_back();
        let mut frames = 0;
        let mut large = 0_u8;
        // Slots are passed over where a frame is refused: a burst must end all the same.
        let mut looked_at = 0;
        while frames < BURST && usize::from(large) < LARGE_IN_BURST && looked_at < 2 * BURST {
            let slot = self.next;
            let status = self.ring.status(slot);
            if status & libc::TP_STATUS_USER == 0 {
                break;
            }
            looked_at += 1;
            self.next = self.ring.after(slot);
            let header = self.ring.header(slot);
            let found = if status & libc::TP_STATUS_COPY != 0 {
                self.take_large(slot, &header, &mut large)
            } else {
                self.take(slot, &header)
            };
            if let Some(found) = found {
                self.counters.frames += 1;
                self.counters.bytes += u64::from(found.original_len);
                if let Some(place) = self.found.get_mut(frames) {
                    *place = found;
                    frames += 1;
                }
            }
        }
        Burst {
            receiver: self,
            frames,
        }
    }

    /// What lies behind a readiness that is no frame: see [`Ready::fault`]. `None` where all is well.
    ///
    /// [`Ready::fault`]: super::Ready::fault
    pub fn fault(&mut self) -> Option<PortFault> {
        let error = sys::option::<c_int>(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR).unwrap_or(0);
        if sys::bound_index(&self.socket).unwrap_or(-1) != self.index {
            return Some(PortFault::Gone);
        }
        (error == libc::ENETDOWN).then_some(PortFault::Down)
    }

    /// What was counted so far. Asks the kernel for its drops, so not for every burst.
    pub fn counters(&mut self) -> ReceiverCounters {
        // Reading sets the kernel's own count to zero.
        let asked =
            sys::option::<libc::tpacket_stats>(&self.socket, libc::SOL_PACKET, libc::PACKET_STATISTICS);
        if let Ok(statistics) = asked {
            self.counters.dropped_by_kernel += u64::from(statistics.tp_drops);
        }
        self.counters
    }

    /// The fan-out group that this socket is in.
    pub fn fanout_group(&self) -> Option<u16> {
        self.group
    }

    /// How many frames the ring holds.
    pub fn slots(&self) -> u32 {
        self.ring.slots()
    }

    /// Where the frames of the burst lie, and of earlier ones behind them.
    pub(super) fn found(&self) -> &[Found] {
        &self.found
    }

    /// The burst is over: its slots are the kernel's again.
    pub(super) fn give_back(&mut self) {
        while self.first != self.next {
            self.ring.set_status(self.first, libc::TP_STATUS_KERNEL);
            self.first = self.ring.after(self.first);
        }
    }

    /// A frame that lies in its slot.
    fn take(&mut self, slot: u32, header: &tpacket2_hdr) -> Option<Found> {
        if header.tp_snaplen < header.tp_len {
            self.counters.too_large += 1;
            return None;
        }
        let Some(mut found) = self.describe(slot, header) else {
            self.counters.damaged += 1;
            return None;
        };
        if let Some(tag) = taken_out(header) {
            // The addresses move over the virtio-net header, which was read.
            let from = found.from - VLAN_TAG;
            let moved = self.ring.bytes_mut(slot, from, ADDRESSES + VLAN_TAG);
            put_in(moved?, tag);
            found.put_in(from);
        }
        Some(found)
    }

    fn describe(&self, slot: u32, header: &tpacket2_hdr) -> Option<Found> {
        let from = usize::from(header.tp_mac);
        let length = usize::try_from(header.tp_snaplen).ok()?;
        let vnet = self
            .ring
            .bytes(slot, from.checked_sub(VNET_HEADER)?, VNET_HEADER)?;
        self.ring.bytes(slot, from, length.max(ADDRESSES))?;
        Some(Found {
            slot,
            large: None,
            from,
            length,
            original_len: header.tp_len,
            stamp: stamp(header),
            offload: Offload::from_vnet(vnet.try_into().ok()?)?,
            outgoing: self.outgoing && self.sent_by_us(slot),
        })
    }

    /// A frame that waits in the socket's queue.
    fn take_large(&mut self, slot: u32, header: &tpacket2_hdr, used: &mut u8) -> Option<Found> {
        let buffer = self.large.get_mut(usize::from(*used))?;
        let (_, room) = buffer.split_at_mut_checked(VLAN_TAG)?;
        let mut vnet = [0; VNET_HEADER];
        let received = sys::receive_into(&self.socket, &mut vnet, room);
        let Some(length) = received.ok().and_then(|length| length.checked_sub(VNET_HEADER)) else {
            self.counters.damaged += 1;
            return None;
        };
        if length > room.len() {
            self.counters.too_large += 1;
            return None;
        }
        let Some(offload) = Offload::from_vnet(vnet) else {
            self.counters.damaged += 1;
            return None;
        };
        let mut found = Found {
            slot,
            large: Some(*used),
            from: VLAN_TAG,
            length,
            original_len: u32::try_from(length).ok()?,
            stamp: stamp(header),
            offload,
            outgoing: false,
        };
        if let Some(tag) = taken_out(header) {
            put_in(buffer.get_mut(..ADDRESSES + VLAN_TAG)?, tag);
            found.put_in(0);
        }
        found.outgoing = self.outgoing && self.sent_by_us(slot);
        *used += 1;
        self.counters.large += 1;
        Some(found)
    }

    /// Behind the slot's header stands an address of the link layer (`sockaddr_ll`) that says who sent.
    fn sent_by_us(&self, slot: u32) -> bool {
        const PACKET_TYPE: usize = 10;
        let at = size_of::<tpacket2_hdr>() + PACKET_TYPE;
        self.ring.bytes(slot, at, 1).and_then(<[u8]>::first) == Some(&libc::PACKET_OUTGOING)
    }

    /// The frame that lies there.
    pub(super) fn frame(&self, found: &Found) -> LiveFrame<'_> {
        let bytes = match found.large {
            None => self.ring.bytes(found.slot, found.from, found.length),
            Some(large) => self
                .large
                .get(usize::from(large))
                .and_then(|buffer| buffer.get(found.from..)?.get(..found.length)),
        };
        LiveFrame {
            bytes: bytes.unwrap_or_default(),
            original_len: found.original_len,
            stamp: found.stamp,
            offload: found.offload,
            outgoing: found.outgoing,
        }
    }
}

impl Found {
    fn put_in(&mut self, from: usize) {
        self.from = from;
        self.length += VLAN_TAG;
        self.original_len += 4;
        self.offload = self.offload.moved_back(4);
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("index", &self.index)
            .field("slots", &self.ring.slots())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

fn stamp(header: &tpacket2_hdr) -> Timestamp {
    let seconds = u64::from(header.tp_sec).saturating_mul(1_000_000_000);
    Timestamp::from_nanos(seconds.saturating_add(header.tp_nsec.into()))
}

/// The VLAN tag that hardware or kernel took out of the frame, as it stood there.
fn taken_out(header: &tpacket2_hdr) -> Option<[u8; VLAN_TAG]> {
    if header.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let protocol = if header.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
        header.tp_vlan_tpid
    } else {
        0x8100
    };
    let ([p0, p1], [t0, t1]) = (protocol.to_be_bytes(), header.tp_vlan_tci.to_be_bytes());
    Some([p0, p1, t0, t1])
}

/// Moves the two addresses to the front of `head`, which is as long as they and a tag, and the tag behind.
fn put_in(head: &mut [u8], tag: [u8; VLAN_TAG]) {
    if head.len() == ADDRESSES + VLAN_TAG {
        head.copy_within(VLAN_TAG.., 0);
        if let Some(place) = head.last_chunk_mut::<VLAN_TAG>() {
            *place = tag;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(status: u32) -> tpacket2_hdr {
        tpacket2_hdr {
            tp_status: status,
            tp_len: 60,
            tp_snaplen: 60,
            tp_mac: 76,
            tp_net: 90,
            tp_sec: 1_700_000_000,
            tp_nsec: 123_456_789,
            tp_vlan_tci: 0x2014,
            tp_vlan_tpid: 0x88a8,
            tp_padding: [0; 4],
        }
    }

    #[test]
    fn a_frame_is_stamped_in_wall_time() {
        assert_eq!(stamp(&header(1)).as_nanos(), 1_700_000_000_123_456_789);
    }

    #[test]
    fn a_tag_taken_out_is_told_by_the_status_alone() {
        let (valid, kind) = (libc::TP_STATUS_VLAN_VALID, libc::TP_STATUS_VLAN_TPID_VALID);
        assert_eq!(taken_out(&header(1)), None);
        assert_eq!(taken_out(&header(1 | valid)), Some([0x81, 0, 0x20, 0x14]));
        assert_eq!(
            taken_out(&header(1 | valid | kind)),
            Some([0x88, 0xa8, 0x20, 0x14])
        );
    }

    #[test]
    fn a_tag_is_put_in_behind_the_addresses() {
        let mut head = *b"....DDDDDDSSSSSS";
        put_in(&mut head, [0x81, 0, 0, 20]);
        assert_eq!(&head, b"DDDDDDSSSSSS\x81\0\0\x14");
    }
}
