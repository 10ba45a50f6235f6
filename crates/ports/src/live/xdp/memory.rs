//! The memory that frames lie in, in chunks that belong to the kernel or to the process.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{io, ptr::NonNull, slice};

/// Chunks of equal size, mapped until they are dropped; and those of them that nobody uses.
#[derive(Debug)]
pub(super) struct Memory {
    at: NonNull<u8>,
    chunk: usize,
    chunks: u32,
    free: Vec<u64>,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Memory {}

impl Memory {
    /// So many chunks of `chunk` bytes, a power of two; all of them free.
    pub(super) fn map(chunks: u32, chunk: usize) -> io::Result<Self> {
        let length = chunks as usize * chunk;
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        );
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            at: NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            chunk,
            chunks,
            free: (0..u64::from(chunks))
                .rev()
                .map(|number| number * chunk as u64)
                .collect(),
        })
    }

    /// What the kernel is told about it.
    pub(super) fn registration(&self) -> libc::xdp_umem_reg {
        libc::xdp_umem_reg {
            addr: self.at.as_ptr().addr() as u64,
            len: self.length() as u64,
            // Chunks have a few thousand bytes.
            chunk_size: u32::try_from(self.chunk).unwrap_or(u32::MAX),
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        }
    }

    fn length(&self) -> usize {
        self.chunks as usize * self.chunk
    }

    /// A chunk that nobody uses.
    pub(super) fn take(&mut self) -> Option<u64> {
        self.free.pop()
    }

    /// Nobody uses the chunk any more in which `address` lies. One that lies nowhere is forgotten.
    pub(super) fn give_back(&mut self, address: u64) {
        let inside = usize::try_from(address).is_ok_and(|address| address < self.length());
        // Never more than there are: the list does not grow.
        if inside && self.free.len() < self.chunks as usize {
            self.free.push(address - address % self.chunk as u64);
        }
    }

    /// The frame of `length` bytes at `address`, in a chunk that is the process'. `None` where it does not lie in one.
    pub(super) fn frame(&mut self, address: u64, length: u32) -> Option<&mut [u8]> {
        let (from, length) = (usize::try_from(address).ok()?, usize::try_from(length).ok()?);
        let fits = from < self.length() && length <= self.chunk - from % self.chunk;
        // SAFETY: the bytes lie in one chunk of the mapping. The kernel does not touch chunks that are not in one of
        // its rings, and `&mut self` makes this the only reference into the memory.
        fits.then(|| unsafe { slice::from_raw_parts_mut(self.at.add(from).as_ptr(), length) })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which no reference outlives. Sockets that use it hold its pages themselves.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.length()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_is_handed_out_once() {
        let mut memory = Memory::map(3, 2048).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| memory.take()).collect();
        assert_eq!(taken, [0, 2048, 4096]);
        memory.give_back(2048 + 256);
        assert_eq!((memory.take(), memory.take()), (Some(2048), None));
    }

    #[test]
    fn a_frame_lies_in_one_chunk_or_is_none() {
        let mut memory = Memory::map(2, 2048).unwrap();
        memory.frame(256, 1792).unwrap().fill(7);
        assert_eq!(memory.frame(2047, 1).unwrap(), [7]);
        for (address, length) in [(256, 1793), (4096, 1), (u64::MAX, 1), (2048, 2049)] {
            assert!(memory.frame(address, length).is_none());
            memory.give_back(u64::MAX);
        }
    }
}
