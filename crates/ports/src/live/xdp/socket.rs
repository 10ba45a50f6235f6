//! A socket that takes the frames of one queue, and sends there.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use libc::{
    XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, xdp_desc,
};

use super::{memory::Memory, ring::Ring};
use crate::live::sys;

/// Entries of each ring.
pub(super) const ENTRIES: u32 = 2048;
/// Calls of the kernel for what waits to be sent; each takes 32 frames where it copies.
const CALLS: u32 = 4;

#[derive(Debug)]
pub(super) struct Socket {
    /// Frames that have arrived.
    pub(super) arrived: Ring<xdp_desc>,
    /// Frames to send.
    pub(super) leaving: Ring<xdp_desc>,
    /// Chunks for frames to come.
    pub(super) empty: Ring<u64>,
    /// Chunks whose frames were sent.
    pub(super) sent: Ring<u64>,
    fd: OwnedFd,
}

impl Socket {
    /// Opens one over `memory`, on a queue of an interface. `first` is a socket that has the memory already; `copy`: the kernel
    /// is to copy frames even where the driver could do without.
    pub(super) fn open(
        memory: &Memory,
        interface: u32,
        queue: u32,
        first: Option<&Socket>,
        copy: bool,
    ) -> io::Result<Self> {
        let fd = sys::socket(libc::AF_XDP, libc::SOCK_RAW, 0)?;
        if first.is_none() {
            sys::set_option(&fd, libc::SOL_XDP, libc::XDP_UMEM_REG, memory.registration())?;
        }
        for ring in [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ] {
            sys::set_option(&fd, libc::SOL_XDP, ring, ENTRIES.cast_signed())?;
        }
        let places: libc::xdp_mmap_offsets = sys::option(&fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
        let page = |page: u64| libc::off_t::try_from(page).map_err(|_| io::ErrorKind::OutOfMemory);
        let socket = Self {
            arrived: Ring::map(&fd, XDP_PGOFF_RX_RING, &places.rx, ENTRIES)?,
            leaving: Ring::map(&fd, XDP_PGOFF_TX_RING, &places.tx, ENTRIES)?,
            empty: Ring::map(&fd, page(XDP_UMEM_PGOFF_FILL_RING)?, &places.fr, ENTRIES)?,
            sent: Ring::map(&fd, page(XDP_UMEM_PGOFF_COMPLETION_RING)?, &places.cr, ENTRIES)?,
            fd,
        };
        sys::bind_xdp(&socket.fd, interface, queue, first.map(AsFd::as_fd), copy)?;
        Ok(socket)
    }

    /// Has the kernel send what waits, if it must be told. What it does not take now it takes at a later call.
    pub(super) fn flush(&self) -> io::Result<()> {
        if !self.leaving.wants_call() {
            return Ok(());
        }
        for _ in 0..CALLS {
            if self.leaving.pending() == 0 {
                break;
            }
            match sys::send_ring(&self.fd) {
                Err(error) if error.raw_os_error() != Some(libc::EAGAIN) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the kernel chunks for frames to come, and tells it where it must be told.
    pub(super) fn supply(&mut self, memory: &mut Memory) {
        let mut supplied = false;
        while let Some(chunk) = memory.chunk_to_fill() {
            if !self.empty.put(chunk) {
                memory.give_back(chunk);
                break;
            }
            supplied = true;
        }
        if !supplied {
            return;
        }
        self.empty.publish();
        if self.empty.wants_call() {
            // A look at the socket is a call; that nothing is there is no fault.
            drop(sys::poll(
                &mut [sys::readable(self.fd.as_fd())],
                Some(Duration::ZERO),
            ));
        }
    }

    /// What the kernel has dropped of this queue since the socket was opened.
    pub(super) fn statistics(&self) -> io::Result<libc::xdp_statistics> {
        sys::option(&self.fd, libc::SOL_XDP, libc::XDP_STATISTICS)
    }

    /// Whether the driver puts frames into the memory by itself, and takes them from there.
    pub(super) fn is_zero_copy(&self) -> bool {
        let options: io::Result<libc::c_int> = sys::option(&self.fd, libc::SOL_XDP, libc::XDP_OPTIONS);
        options.is_ok_and(|options| options & libc::XDP_OPTIONS_ZEROCOPY.cast_signed() != 0)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
