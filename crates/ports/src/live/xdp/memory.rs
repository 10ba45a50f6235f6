//! The memory that frames lie in, in chunks that belong to the kernel or to the process.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    ptr::NonNull,
    slice,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::live::{ChecksumState, LiveFrame, Offload};
use packet::Timestamp;

/// Chunks that are kept for frames made here, however many arrive.
const RESERVE: usize = 64;

/// The memory of an [`XdpWire`](super::XdpWire), to read frames in that have arrived. Cheap to clone.
#[derive(Clone, Debug)]
pub struct XdpMemory(Arc<Mapping>);

/// Chunks of equal size, mapped until they are dropped.
#[derive(Debug)]
struct Mapping {
    at: NonNull<u8>,
    length: usize,
    chunk: usize,
    /// Told apart from other memory by it.
    number: u32,
}

// SAFETY: the mapping is not tied to a thread; whoever reads or writes in it holds the `XdpFrame` of the chunk.
unsafe impl Send for Mapping {}
// SAFETY: as above: shared, it allows nothing without such a frame.
unsafe impl Sync for Mapping {}

/// A frame in the memory: there is one of these for each chunk that is the process', and no second one.
///
/// Is to be handed on or released; one that is dropped takes its chunk with it.
#[derive(Debug)]
#[must_use = "a chunk that is dropped is not used again"]
pub struct XdpFrame {
    address: u64,
    length: u32,
    memory: u32,
    checksum: ChecksumState,
}

impl XdpFrame {
    /// Where it lies, and its length.
    pub(super) fn place(&self) -> (u64, u32) {
        (self.address, self.length)
    }

    pub(super) fn checksum(&self) -> ChecksumState {
        self.checksum
    }

    pub(super) fn set_checksum(&mut self, checksum: ChecksumState) {
        self.checksum = checksum;
    }
}

impl XdpMemory {
    /// The frame, as long as it is neither handed on nor released. Its time of arrival is not known, and told as zero.
    pub fn frame<'a>(&'a self, frame: &'a XdpFrame) -> LiveFrame<'a> {
        LiveFrame {
            bytes: self.bytes(frame),
            original_len: frame.length,
            stamp: Timestamp::ZERO,
            offload: Offload {
                checksum: frame.checksum,
                gso: None,
            },
            outgoing: false,
        }
    }

    /// Its bytes; none where it is of other memory.
    pub(super) fn bytes<'a>(&'a self, frame: &'a XdpFrame) -> &'a [u8] {
        if frame.memory != self.0.number {
            return &[];
        }
        // SAFETY: a frame's bytes lie in one chunk (`Memory::frame`), which is the process' as long as the frame exists:
        // what hands it to the kernel consumes it. There is one frame for a chunk, so nobody writes meanwhile.
        unsafe { slice::from_raw_parts(self.at(frame), frame.length as usize) }
    }

    /// The same, to be written.
    pub(super) fn bytes_mut<'a>(&'a self, frame: &'a mut XdpFrame) -> &'a mut [u8] {
        if frame.memory != self.0.number {
            return &mut [];
        }
        // SAFETY: as in `bytes`, and the frame is borrowed mutably: nobody reads meanwhile.
        unsafe { slice::from_raw_parts_mut(self.at(frame), frame.length as usize) }
    }

    fn at(&self, frame: &XdpFrame) -> *mut u8 {
        // It was looked up in here as a `usize`.
        let from = usize::try_from(frame.address).unwrap_or(0);
        // SAFETY: the address lies in the mapping (`Memory::frame`).
        unsafe { self.0.at.add(from).as_ptr() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `Memory::map`, which no reference outlives. Sockets that use it hold its pages
        // themselves.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.length) };
    }
}

/// The memory, and those of its chunks that nobody uses.
#[derive(Debug)]
pub(super) struct Memory {
    shared: XdpMemory,
    free: Vec<u64>,
    chunks: usize,
}

impl Memory {
    /// So many chunks of `chunk` bytes, a power of two; all of them free.
    pub(super) fn map(chunks: usize, chunk: usize) -> io::Result<Self> {
        static MAPPED: AtomicU32 = AtomicU32::new(0);
        let length = chunks * chunk;
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        );
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = Mapping {
            at: NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            length,
            chunk,
            number: MAPPED.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Self {
            shared: XdpMemory(Arc::new(mapping)),
            free: (0..chunks as u64)
                .rev()
                .map(|number| number * chunk as u64)
                .collect(),
            chunks,
        })
    }

    /// The longest frame that a chunk holds.
    pub(super) fn chunk_bytes(&self) -> usize {
        self.shared.0.chunk
    }

    /// For whoever reads frames.
    pub(super) fn shared(&self) -> &XdpMemory {
        &self.shared
    }

    /// What the kernel is told about it.
    pub(super) fn registration(&self) -> libc::xdp_umem_reg {
        let mapping = &self.shared.0;
        libc::xdp_umem_reg {
            addr: mapping.at.as_ptr().addr() as u64,
            len: mapping.length as u64,
            // Chunks have a few thousand bytes.
            chunk_size: u32::try_from(mapping.chunk).unwrap_or(u32::MAX),
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        }
    }

    /// A chunk for a frame to come, unless few are left.
    pub(super) fn chunk_to_fill(&mut self) -> Option<u64> {
        (self.free.len() > RESERVE).then(|| self.free.pop()).flatten()
    }

    /// A frame of `length` bytes to be written. `None` where a chunk does not hold it, or none is free.
    pub(super) fn new_frame(&mut self, length: usize) -> Option<XdpFrame> {
        let address = *self.free.last()?;
        let frame = self.frame(address, u32::try_from(length).ok()?)?;
        self.free.pop();
        Some(frame)
    }

    /// The frame that the kernel says has arrived; it gives each address once. `None` where it does not lie in one chunk.
    pub(super) fn frame(&self, address: u64, length: u32) -> Option<XdpFrame> {
        let mapping = &self.shared.0;
        let (from, bytes) = (usize::try_from(address).ok()?, usize::try_from(length).ok()?);
        let fits = from < mapping.length && bytes <= mapping.chunk - from % mapping.chunk;
        fits.then_some(XdpFrame {
            address,
            length,
            memory: mapping.number,
            checksum: ChecksumState::Unverified,
        })
    }

    /// Nobody uses the chunk any more in which `address` lies. One that lies nowhere is forgotten.
    pub(super) fn give_back(&mut self, address: u64) {
        let mapping = &self.shared.0;
        let inside = usize::try_from(address).is_ok_and(|address| address < mapping.length);
        // Never more than there are: the list does not grow.
        if inside && self.free.len() < self.chunks {
            self.free.push(address - address % mapping.chunk as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_is_handed_out_once_and_some_are_kept_for_frames_made_here() {
        let mut memory = Memory::map(RESERVE + 2, 2048).unwrap();
        assert_eq!(
            [(); 3].map(|()| memory.chunk_to_fill()),
            [Some(0), Some(2048), None]
        );
        memory.give_back(2048 + 256);
        assert_eq!(memory.chunk_to_fill(), Some(2048));
        let made: Vec<_> = std::iter::from_fn(|| memory.new_frame(60)).collect();
        assert_eq!(made.len(), RESERVE);
    }

    #[test]
    fn a_frame_lies_in_one_chunk_or_is_none() {
        let mut memory = Memory::map(2, 2048).unwrap();
        let mut whole = memory.frame(256, 1792).unwrap();
        memory.shared().bytes_mut(&mut whole).fill(7);
        let end = memory.frame(2047, 1).unwrap();
        assert_eq!(memory.shared().frame(&end).bytes, [7]);
        for (address, length) in [(256, 1793), (4096, 1), (u64::MAX, 1), (2048, 2049)] {
            assert!(memory.frame(address, length).is_none());
            memory.give_back(u64::MAX);
        }
        assert!(memory.new_frame(2049).is_none());
    }

    #[test]
    fn a_frame_of_other_memory_has_no_bytes() {
        let (one, other) = (Memory::map(1, 2048).unwrap(), Memory::map(1, 2048).unwrap());
        let mut frame = one.frame(0, 60).unwrap();
        assert!(other.shared().bytes(&frame).is_empty() && other.shared().bytes_mut(&mut frame).is_empty());
        assert_eq!(one.shared().bytes(&frame).len(), 60);
    }
}
