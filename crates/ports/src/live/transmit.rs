//! Frames out: a transmit ring for whole frames, and single messages for those that stand for several.
//!
//! A frame is copied into its slot and sent with all others by one system call. Frames that are still
//! to be cut, or larger than a slot, are sent each on its own, straight from where they lie.
//!
//! All of them pass the interface's queueing discipline. To bypass it (`PACKET_QDISC_BYPASS`) gained
//! nothing measurable on veth, and would take the queue away from a slower link, hide the frames from
//! captures on the interface, and lose uncut frames where the device cannot cut them itself.

use std::{fmt, io, ops::Add, os::fd::OwnedFd};

use super::{
    Interface, Offload, OpenOptions, PortError,
    offload::VNET_HEADER,
    opening::{no_memory, promiscuous, slot_bytes, usable},
    ring::{Ring, Way},
    sys,
};

/// Where the virtio-net header stands in a slot, and the frame behind it.
const CONTENT: usize = libc::TPACKET2_HDRLEN - size_of::<libc::sockaddr_ll>();
/// What a slot holds beside the payload: those two headers, and the link header with two VLAN tags.
const SLOT_OVERHEAD: usize = CONTENT + VNET_HEADER + 22;
/// What may be on its way in the device, in bytes of the kernel's memory.
const ON_ITS_WAY: libc::c_int = 32 << 20;

/// Refusals of the device after which a flush gives up.
const REFUSALS: u32 = 8;
/// Bytes of a large frame that the kernel copies in front, its headers among them.
const LINEAR: u16 = 256;

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitDrop {
    /// The ring, or the device's queue, is full.
    Full,
    /// The frame is longer than the interface's MTU allows.
    TooLong,
    /// The interface is down or gone.
    Down,
    /// The kernel refused it otherwise: its description made no sense.
    Refused,
}

/// What a sender has counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounters {
    /// Frames that the kernel took.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames dropped as [`TransmitDrop::Full`].
    pub full: u64,
    /// Frames dropped as [`TransmitDrop::TooLong`].
    pub too_long: u64,
    /// Frames dropped as [`TransmitDrop::Down`].
    pub down: u64,
    /// Frames dropped as [`TransmitDrop::Refused`].
    pub refused: u64,
}

impl Add for SenderCounters {
    type Output = Self;

    /// What two senders have counted together.
    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            bytes: self.bytes + other.bytes,
            full: self.full + other.full,
            too_long: self.too_long + other.too_long,
            down: self.down + other.down,
            refused: self.refused + other.refused,
        }
    }
}

/// Where frames leave through one interface.
pub struct Sender {
    ring_socket: OwnedFd,
    ring: Ring,
    single_socket: OwnedFd,
    /// The slot for the next frame.
    next: u32,
    /// The first slot that the kernel has not taken; `waiting` of them.
    first: u32,
    waiting: u32,
    mtu: usize,
    counters: SenderCounters,
}

impl Sender {
    /// Opens the way out of an interface. Receives nothing.
    pub fn open(options: &OpenOptions<'_>) -> Result<Self, PortError> {
        let interface = options.interface;
        let failed = |what| move |error| PortError::from_system(&interface.name, what, error);
        let index = usable(interface)?;
        let open = || -> Result<OwnedFd, PortError> {
            let socket =
                sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(failed("open a packet socket"))?;
            let set = |option, value| sys::set_option(&socket, libc::SOL_PACKET, option, value);
            set(libc::PACKET_VERSION, 1).map_err(failed("choose the ring's layout"))?;
            set(libc::PACKET_VNET_HDR, 1).map_err(failed("hand on unfinished checksums"))?;
            sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, ON_ITS_WAY)
                .map_err(failed("size the send buffer"))?;
            Ok(socket)
        };
        let (ring_socket, single_socket) = (open()?, open()?);
        // A slot that makes no sense is passed over: so a frame is taken back out of the ring.
        sys::set_option(&ring_socket, libc::SOL_PACKET, libc::PACKET_LOSS, 1)
            .map_err(failed("pass over damaged slots"))?;
        let slot_bytes = slot_bytes(interface, SLOT_OVERHEAD);
        let ring = Ring::map(&ring_socket, Way::Transmit, options.transmit_slots, slot_bytes)
            .map_err(|error| no_memory(interface, options.transmit_slots, slot_bytes, error))?;
        for socket in [&ring_socket, &single_socket] {
            sys::bind_packet(socket, index, 0).map_err(failed("bind a packet socket"))?;
        }
        Ok(Self {
            ring_socket,
            ring,
            single_socket,
            mtu: interface.mtu as usize,
            next: 0,
            first: 0,
            waiting: 0,
            counters: SenderCounters::default(),
        })
    }

    /// Takes a copy of a frame, to be sent by the next [`Sender::flush`]. Frames leave in the order given.
    ///
    /// A received frame is handed on with the offload it came with; what cordon builds has
    /// [`Offload::COMPLETE`]. Never waits: what cannot be taken is dropped and counted.
    pub fn send(&mut self, bytes: &[u8], offload: Offload) -> Result<(), TransmitDrop> {
        if offload.gso.is_none() && payload(bytes) > self.mtu {
            return Err(self.dropped(TransmitDrop::TooLong));
        }
        let longest = self.ring.slot_bytes() - CONTENT - VNET_HEADER;
        if offload.gso.is_some() || bytes.len() > longest {
            return self.send_single(bytes, offload);
        }
        if self.waiting == self.ring.slots() {
            self.flush();
        }
        let slot = self.next;
        let free = self.waiting < self.ring.slots() && self.ring.status(slot) == libc::TP_STATUS_AVAILABLE;
        if !free || self.fill(slot, bytes, offload).is_none() {
            return Err(self.dropped(TransmitDrop::Full));
        }
        self.ring.set_status(slot, libc::TP_STATUS_SEND_REQUEST);
        self.next = self.ring.after(slot);
        self.waiting += 1;
        Ok(())
    }

    fn fill(&mut self, slot: u32, bytes: &[u8], offload: Offload) -> Option<()> {
        let content = self.ring.bytes_mut(slot, CONTENT, VNET_HEADER + bytes.len())?;
        let (vnet, frame) = content.split_first_chunk_mut::<VNET_HEADER>()?;
        // Copied whole: pages lent to the device would be copied anyway by a virtual one, at more cost.
        *vnet = offload.to_vnet(u16::try_from(bytes.len()).ok()?);
        frame.copy_from_slice(bytes);
        self.ring
            .set_length(slot, u32::try_from(VNET_HEADER + bytes.len()).ok()?);
        Some(())
    }

    /// Sends what waits. What the device refuses is dropped and counted; nothing waits for long: where a
    /// whole call brought not one frame out, all that waits is dropped.
    pub fn flush(&mut self) {
        let mut refusals = 0;
        let before = self.counters.frames;
        while self.waiting > 0 {
            let result = sys::send_ring(&self.ring_socket);
            self.count_taken();
            let Err(error) = result else {
                // The kernel looked through the ring to its end.
                break;
            };
            match reason(&error) {
                TransmitDrop::Full if refusals < REFUSALS => {
                    refusals += 1;
                    self.take_back();
                }
                TransmitDrop::Full if self.counters.frames > before => break,
                why @ (TransmitDrop::Full
                | TransmitDrop::TooLong
                | TransmitDrop::Down
                | TransmitDrop::Refused) => self.take_back_all(why),
            }
        }
    }

    /// How many frames wait for the next [`Sender::flush`].
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// The interface's MTU has changed.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.mtu = mtu as usize;
    }

    /// What was counted so far.
    pub fn counters(&self) -> SenderCounters {
        self.counters
    }

    fn count_taken(&mut self) {
        while self.waiting > 0 && self.ring.status(self.first) != libc::TP_STATUS_SEND_REQUEST {
            let length = u64::from(self.ring.header(self.first).tp_len);
            self.first = self.ring.after(self.first);
            self.waiting -= 1;
            // A frame that was taken back has no length.
            if length > 0 {
                self.counters.frames += 1;
                self.counters.bytes += length.saturating_sub(VNET_HEADER as u64);
            }
        }
    }

    /// Takes the frame that the device has refused out of the ring: without a length it is passed over.
    fn take_back(&mut self) {
        self.ring.set_length(self.first, 0);
        self.dropped(TransmitDrop::Full);
    }

    fn take_back_all(&mut self, why: TransmitDrop) {
        let mut slot = self.first;
        while self.waiting > 0 {
            self.ring.set_status(slot, libc::TP_STATUS_AVAILABLE);
            if self.ring.header(slot).tp_len > 0 {
                self.dropped(why);
            }
            slot = self.ring.after(slot);
            self.waiting -= 1;
        }
        // The kernel goes on where it stopped.
        self.next = self.first;
    }

    fn send_single(&mut self, bytes: &[u8], offload: Offload) -> Result<(), TransmitDrop> {
        // What was given before leaves before.
        self.flush();
        let linear = u16::try_from(bytes.len().min(usize::from(LINEAR))).unwrap_or(LINEAR);
        match sys::send_parts(&self.single_socket, &offload.to_vnet(linear), bytes) {
            Ok(()) => {
                self.counters.frames += 1;
                self.counters.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.dropped(reason(&error))),
        }
    }

    fn dropped(&mut self, why: TransmitDrop) -> TransmitDrop {
        self.counters.count(why);
        why
    }

    /// Has the interface take frames for every link-layer address as long as this lives.
    pub(super) fn see_all(&self, interface: &Interface) -> Result<(), PortError> {
        let all = promiscuous(usable(interface)?);
        sys::set_option(
            &self.single_socket,
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            all,
        )
        .map_err(|error| PortError::from_system(&interface.name, "see frames for other addresses", error))
    }
}

impl SenderCounters {
    pub(super) fn count(&mut self, why: TransmitDrop) {
        let counter = match why {
            TransmitDrop::Full => &mut self.full,
            TransmitDrop::TooLong => &mut self.too_long,
            TransmitDrop::Down => &mut self.down,
            TransmitDrop::Refused => &mut self.refused,
        };
        *counter += 1;
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("slots", &self.ring.slots())
            .field("waiting", &self.waiting)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// What the MTU limits: the bytes behind the link header and its VLAN tags.
pub(super) fn payload(frame: &[u8]) -> usize {
    const ADDRESSES: usize = 12;
    let mut at = ADDRESSES;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(at..at + 2) {
        at += 4;
    }
    frame.len().saturating_sub(at + 2)
}

pub(super) fn reason(error: &io::Error) -> TransmitDrop {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => TransmitDrop::Full,
        Some(libc::EMSGSIZE) => TransmitDrop::TooLong,
        Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => TransmitDrop::Down,
        _ => TransmitDrop::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_limits_what_stands_behind_the_tags() {
        let mut frame = vec![0; 1514];
        assert_eq!(payload(&frame), 1500);
        frame.splice(12..12, [0x81, 0, 0, 7]);
        assert_eq!(payload(&frame), 1500);
        frame.splice(12..12, [0x88, 0xa8, 0, 9]);
        assert_eq!(payload(&frame), 1500);
        assert_eq!(payload(&[0; 3]), 0);
        assert_eq!(payload(&[0x81, 0].repeat(9)), 0);
    }

    #[test]
    fn refusals_have_their_reasons() {
        let of = |code| reason(&io::Error::from_raw_os_error(code));
        assert_eq!(of(libc::ENOBUFS), TransmitDrop::Full);
        assert_eq!(of(libc::EMSGSIZE), TransmitDrop::TooLong);
        assert_eq!(of(libc::ENXIO), TransmitDrop::Down);
        assert_eq!(of(libc::EINVAL), TransmitDrop::Refused);
    }
}
