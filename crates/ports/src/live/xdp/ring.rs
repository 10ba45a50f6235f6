//! The rings of an `AF_XDP` socket: numbers of frames, handed to the kernel and taken back.
//!
//! A ring has one side that puts in and one that takes out; each writes its own counter and reads the other's. Entries
//! between the two belong to the side that takes out.
//!
//! Source: `Documentation/networking/af_xdp.rst` of Linux.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use libc::{off_t, xdp_ring_offset};

/// What a ring may hold: C structs of integers.
///
/// # Safety
/// Every bit pattern must be valid.
pub(super) unsafe trait Entry: Copy {}
// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: a C struct of integers.
unsafe impl Entry for libc::xdp_desc {}

/// One ring, mapped until it is dropped.
#[derive(Debug)]
pub(super) struct Ring<T> {
    at: NonNull<u8>,
    mapped: usize,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries: NonNull<T>,
    size: u32,
    /// Our own counter: where the next entry is put or taken.
    ours: u32,
    /// The other side's, as it was last seen.
    theirs: u32,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl<T> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    /// Maps the ring of `size` entries (a power of two) that lies at `page` of the socket.
    pub(super) fn map(
        socket: &OwnedFd,
        page: off_t,
        places: &xdp_ring_offset,
        size: u32,
    ) -> io::Result<Self> {
        let place = |offset: u64| usize::try_from(offset).map_err(|_| io::ErrorKind::OutOfMemory);
        let entries = place(places.desc)?;
        let mapped = entries + size as usize * size_of::<T>();
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
        );
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                protection,
                flags,
                socket.as_raw_fd(),
                page,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            at,
            mapped,
            producer: place(places.producer)?,
            consumer: place(places.consumer)?,
            flags: place(places.flags)?,
            // SAFETY: the entries begin within the mapping, where the kernel has aligned them.
            entries: unsafe { at.add(entries).cast() },
            size,
            ours: 0,
            theirs: 0,
        })
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: the kernel says that an aligned counter lies there, mapped as long as `self` lives; both sides
        // access it as one word.
        unsafe { self.at.add(offset).cast::<AtomicU32>().as_ref() }
    }

    /// Where entry number `counter` lies: always within the ring.
    fn entry(&self, counter: u32) -> NonNull<T> {
        // SAFETY: `size` is a power of two, so the place is below it.
        unsafe { self.entries.add((counter & (self.size - 1)) as usize) }
    }

    /// The kernel asks to be called before it goes on with this ring.
    pub(super) fn wants_call(&self) -> bool {
        self.word(self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Puts an entry in, for [`Ring::publish`]; `false` where there is no room.
    pub(super) fn put(&mut self, entry: T) -> bool {
        if self.ours.wrapping_sub(self.theirs) == self.size {
            self.theirs = self.word(self.consumer).load(Ordering::Acquire);
            if self.ours.wrapping_sub(self.theirs) == self.size {
                return false;
            }
        }
        // SAFETY: the entry lies in the ring, and is this side's until it is published.
        unsafe { self.entry(self.ours).write(entry) };
        self.ours = self.ours.wrapping_add(1);
        true
    }

    /// Hands the kernel what was put in.
    pub(super) fn publish(&mut self) {
        self.word(self.producer).store(self.ours, Ordering::Release);
    }

    /// Entries put in that the kernel has not taken yet.
    pub(super) fn pending(&self) -> u32 {
        self.ours
            .wrapping_sub(self.word(self.consumer).load(Ordering::Acquire))
    }

    /// Takes an entry out; [`Ring::release`] gives its place back.
    pub(super) fn take(&mut self) -> Option<T> {
        if self.ours == self.theirs {
            self.theirs = self.word(self.producer).load(Ordering::Acquire);
            if self.ours == self.theirs {
                return None;
            }
        }
        // SAFETY: the entry lies in the ring, and is this side's until it is released; any bytes are a valid entry.
        let entry = unsafe { self.entry(self.ours).read() };
        self.ours = self.ours.wrapping_add(1);
        Some(entry)
    }

    /// Gives the kernel the places back of what was taken out.
    pub(super) fn release(&mut self) {
        self.word(self.consumer).store(self.ours, Ordering::Release);
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which no reference outlives.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.mapped) };
    }
}
