//! A ring of frame slots that the kernel and this process share (`PACKET_MMAP`, `TPACKET_V2`).
//!
//! A slot belongs to whoever its status word says: nobody else touches its bytes. That word is the only
//! memory that both sides use at a time, and is read and written atomically.
//!
//! Source: `Documentation/networking/packet_mmap.rst` of Linux.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, OwnedFd},
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU32, Ordering},
};

use libc::{tpacket_req, tpacket2_hdr};

use super::sys;

/// The kernel hands out whole blocks of this size, in bytes; no slot crosses from one to the next.
const BLOCK: usize = 1 << 20;
/// The status word and what follows it, in front of every slot.
const SLOT_HEADER: usize = size_of::<tpacket2_hdr>();

/// Which way the frames of a ring go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Receive,
    Transmit,
}

/// The slots of one socket, mapped until they are dropped.
#[derive(Debug)]
pub(super) struct Ring {
    at: NonNull<u8>,
    mapped: usize,
    slots: u32,
    slots_per_block: u32,
    slot_bytes: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring of at least `slots` slots of at least `slot_bytes` bytes, on a socket that is not bound yet.
    pub(super) fn map(socket: &OwnedFd, way: Way, slots: u32, slot_bytes: usize) -> io::Result<Self> {
        let slot_bytes = slot_bytes
            .next_multiple_of(libc::TPACKET_ALIGNMENT)
            .clamp(SLOT_HEADER, BLOCK);
        let per_block = BLOCK / slot_bytes;
        let blocks = usize::try_from(slots)
            .unwrap_or(usize::MAX)
            .max(1)
            .div_ceil(per_block);
        let small =
            |number: usize| u32::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM));
        let request = tpacket_req {
            tp_block_size: small(BLOCK)?,
            tp_block_nr: small(blocks)?,
            tp_frame_size: small(slot_bytes)?,
            tp_frame_nr: small(blocks.saturating_mul(per_block))?,
        };
        let option = match way {
            Way::Receive => libc::PACKET_RX_RING,
            Way::Transmit => libc::PACKET_TX_RING,
        };
        sys::set_option(socket, libc::SOL_PACKET, option, request)?;
        let mapped = blocks.saturating_mul(BLOCK);
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                protection,
                flags,
                socket.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self {
            at,
            mapped,
            slots: request.tp_frame_nr,
            slots_per_block: small(per_block)?,
            slot_bytes,
        })
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// The bytes of a slot, its header included.
    pub(super) fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// The slot after `slot`.
    pub(super) fn after(&self, slot: u32) -> u32 {
        let next = slot.wrapping_add(1);
        if next >= self.slots { 0 } else { next }
    }

    /// Where a slot begins: always within the mapping, since `slot` is brought below `slots`.
    fn slot(&self, slot: u32) -> NonNull<u8> {
        let slot = if slot < self.slots { slot } else { 0 };
        let block = (slot / self.slots_per_block) as usize;
        let within = (slot % self.slots_per_block) as usize;
        // SAFETY: `block` is one of the blocks mapped, and a block has room for `slots_per_block` slots.
        unsafe { self.at.add(block * BLOCK + within * self.slot_bytes) }
    }

    fn status_word(&self, slot: u32) -> &AtomicU32 {
        // SAFETY: a slot begins with its status (aligned to 16), mapped as long as `self` lives, and both
        // sides access it as one word.
        unsafe { self.slot(slot).cast::<AtomicU32>().as_ref() }
    }

    /// `TP_STATUS_…`: after this, what the other side wrote before it set the status is seen.
    pub(super) fn status(&self, slot: u32) -> u32 {
        self.status_word(slot).load(Ordering::Acquire)
    }

    /// Hands the slot to the other side, with all that was written into it.
    pub(super) fn set_status(&mut self, slot: u32, status: u32) {
        self.status_word(slot).store(status, Ordering::Release);
    }

    /// The header of a slot that is this side's.
    pub(super) fn header(&self, slot: u32) -> tpacket2_hdr {
        // SAFETY: a slot has room for its header, is aligned to 16, and any bytes are a valid header.
        unsafe { self.slot(slot).cast::<tpacket2_hdr>().as_ptr().read_volatile() }
    }

    /// Sets the length of the frame in a slot that is this side's.
    pub(super) fn set_length(&mut self, slot: u32, length: u32) {
        // SAFETY: a slot has room for its header and is aligned to 16.
        unsafe { (*self.slot(slot).cast::<tpacket2_hdr>().as_ptr()).tp_len = length };
    }

    /// `length` bytes of a slot that is this side's, from byte `from` on; `None` where they do not lie in
    /// the slot, behind its header.
    pub(super) fn bytes(&self, slot: u32, from: usize, length: usize) -> Option<&[u8]> {
        self.within(from, length)?;
        // SAFETY: the bytes lie in the slot, which is mapped and initialised by the kernel; the kernel does
        // not write them before the status is set, which takes `&mut self`.
        Some(unsafe { slice::from_raw_parts(self.slot(slot).add(from).as_ptr(), length) })
    }

    /// As [`Ring::bytes`], to write to.
    pub(super) fn bytes_mut(&mut self, slot: u32, from: usize, length: usize) -> Option<&mut [u8]> {
        self.within(from, length)?;
        // SAFETY: as in `bytes`; `&mut self` makes it the only reference into the ring.
        Some(unsafe { slice::from_raw_parts_mut(self.slot(slot).add(from).as_ptr(), length) })
    }

    fn within(&self, from: usize, length: usize) -> Option<()> {
        let end = from.checked_add(length)?;
        (from >= SLOT_HEADER && end <= self.slot_bytes).then_some(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which no reference outlives.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.mapped) };
    }
}
