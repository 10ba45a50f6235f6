//! Frames that arrived at one worker and belong to another: one bounded queue for each worker, and no other.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use engine::{FragmentNote, Ingress};
use packet::{Datagram, Timestamp, Wire};
use ports::live::Offload;

/// Parcels that may wait for one worker.
const CAPACITY: usize = 1024;

/// A packet's way so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) wire: Wire,
    pub(super) ingress: Ingress,
    pub(super) number: u64,
    pub(super) stamp: Timestamp,
    pub(super) original_len: u32,
    /// How many packets are around the one to be judged.
    pub(super) depth: u8,
}

/// Something for another worker.
#[derive(Debug)]
pub(super) enum Parcel {
    /// A frame, copied.
    Frame(Copied),
    /// Fragments that have become whole.
    Datagram(Arrival, Box<Datagram<FragmentNote>>),
}

/// A frame out of its ring.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) arrival: Arrival,
    pub(super) offload: Offload,
    pub(super) bytes: Vec<u8>,
}

/// What waits for one worker.
#[derive(Debug)]
pub(super) struct Handoff {
    parcels: ArrayQueue<Parcel>,
    /// Buffers to copy frames into, so that handing over does not allocate for long.
    spare: ArrayQueue<Vec<u8>>,
    refused: AtomicU64,
}

impl Handoff {
    pub(super) fn new() -> Self {
        Self {
            parcels: ArrayQueue::new(CAPACITY),
            spare: ArrayQueue::new(CAPACITY),
            refused: AtomicU64::new(0),
        }
    }

    /// A buffer with a copy of `bytes`.
    pub(super) fn copy(&self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Gives a buffer back.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        // One too many is simply freed.
        drop(self.spare.push(buffer));
    }

    /// Leaves a parcel; one that finds no room comes back.
    pub(super) fn push(&self, parcel: Parcel) -> Result<(), Parcel> {
        self.parcels.push(parcel).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    pub(super) fn next(&self) -> Option<Parcel> {
        self.parcels.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Parcels that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
