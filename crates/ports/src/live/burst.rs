//! Frames borrowed from a receiver.

use packet::Timestamp;

use super::{Offload, Receiver};

/// One received frame, valid as long as its burst.
#[derive(Clone, Copy, Debug)]
pub struct LiveFrame<'a> {
    /// From the link header on, VLAN tags included (also those that the hardware had taken out).
    pub bytes: &'a [u8],
    /// How long it was on the link, in bytes: more than `bytes` has only where it did not fit.
    pub original_len: u32,
    /// When the kernel received it, wall time.
    pub stamp: Timestamp,
    /// What is still to be done to it.
    pub offload: Offload,
    /// This machine sent it (only with [`OpenOptions::outgoing`](super::OpenOptions::outgoing)).
    pub outgoing: bool,
}

/// Frames that were received together, and are the process' until this is dropped.
#[derive(Debug)]
pub struct Burst<'a> {
    pub(super) receiver: &'a mut Receiver,
    pub(super) frames: usize,
}

impl Burst<'_> {
    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.frames
    }

    /// Whether nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// One of the frames, in order of arrival.
    pub fn get(&self, index: usize) -> Option<LiveFrame<'_>> {
        let found = self.receiver.found().get(..self.frames)?.get(index)?;
        Some(self.receiver.frame(found))
    }

    /// All frames, in order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = LiveFrame<'_>> {
        let found = self.receiver.found().get(..self.frames).unwrap_or_default();
        found.iter().map(|found| self.receiver.frame(found))
    }
}

impl Drop for Burst<'_> {
    fn drop(&mut self) {
        self.receiver.give_back();
    }
}
