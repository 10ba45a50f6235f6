//! One direction's place in its frames.

use super::{
    super::hpack::{Decoder, SizeUpdates},
    frame::FrameHeader,
};

/// A frame whose payload is not looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streaming {
    /// Bytes of it still to come.
    pub(super) left: usize,
    /// Whether it goes on.
    pub(super) forward: bool,
}

/// A header block that goes on over several frames.
#[derive(Debug)]
pub(super) struct Block {
    /// The frame that opened it.
    pub(super) first: FrameHeader,
    /// Its frames, as they came.
    pub(super) raw: Vec<u8>,
    pub(super) fragment: Vec<u8>,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Leg {
    /// A frame that is not whole; nothing of it went on.
    pub(super) held: Vec<u8>,
    pub(super) streaming: Option<Streaming>,
    pub(super) block: Option<Block>,
    pub(super) decoder: Decoder,
    /// Size updates of blocks that did not go on.
    pub(super) updates: SizeUpdates,
}

impl Leg {
    /// Whether what went on ends with a whole frame.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.streaming.is_none_or(|streaming| !streaming.forward)
    }

    /// What came and did not go on; it is forgotten.
    pub(super) fn release(&mut self) -> Vec<u8> {
        let mut kept = self.block.take().map(|block| block.raw).unwrap_or_default();
        kept.append(&mut self.held);
        kept
    }

    /// Gives a frame's buffer back for the next, unless it grew unusually.
    pub(super) fn reuse(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() <= 4096 {
            self.held = buffer;
        }
    }

    pub(super) fn memory(&self) -> usize {
        let block = self.block.as_ref().map_or(0, |block| {
            block.raw.capacity().saturating_add(block.fragment.capacity())
        });
        self.held
            .capacity()
            .saturating_add(block)
            .saturating_add(self.decoder.memory())
    }
}
