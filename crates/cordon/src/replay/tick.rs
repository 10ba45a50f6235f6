//! Captured frames gathered into ticks of one millisecond of the captures' own time, and ticks into batches.

use std::ops::Range;

use packet::{LinkType, Timestamp};
use ports::{CaptureError, CapturedFrame, MergedReader};

const TICK_NANOS: u64 = 1_000_000;
/// Frames of one tick that are gathered before it is cut: a capture can claim that all its frames are one
/// instant. What is cut off becomes a tick of its own, at the same time.
const MAX_FRAMES: usize = 1 << 16;
/// Bytes of frames after which no further tick is added to a batch.
const BATCH_BYTES: usize = 1 << 20;

/// One frame of a batch.
#[derive(Clone, Debug)]
pub(super) struct TickFrame {
    /// Its number in the captures, from 1.
    pub(super) number: u64,
    /// When the capture says it came.
    pub(super) stamp: Timestamp,
    /// When it is judged: its stamp, but never earlier than what went before.
    pub(super) now: Timestamp,
    pub(super) original_len: u32,
    /// The link type's number in capture files.
    pub(super) link: u32,
    pub(super) link_type: Option<LinkType>,
    range: Range<usize>,
}

/// The frames of one millisecond.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    /// When the tick begins; what is due by then has expired.
    pub(super) start: Timestamp,
    /// Its frames, by their places in the batch.
    pub(super) frames: Range<usize>,
}

/// Frames that were read together: whole ticks, at least one.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) ticks: Vec<Tick>,
    pub(super) frames: Vec<TickFrame>,
    bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn bytes(&self, frame: &TickFrame) -> &[u8] {
        self.bytes.get(frame.range.clone()).unwrap_or_default()
    }

    /// The frames of one of its ticks.
    pub(super) fn frames_of(&self, tick: &Tick) -> &[TickFrame] {
        self.frames.get(tick.frames.clone()).unwrap_or_default()
    }

    /// Bytes that were captured of one of its ticks.
    pub(super) fn captured(&self, tick: &Tick) -> usize {
        match self.frames_of(tick) {
            [] => 0,
            [first, .., last] => last.range.end - first.range.start,
            [only] => only.range.len(),
        }
    }

    fn clear(&mut self) {
        self.ticks.clear();
        self.frames.clear();
        self.bytes.clear();
    }

    fn push(&mut self, frame: &CapturedFrame<'_>, number: u64, now: Timestamp) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame.bytes);
        self.frames.push(TickFrame {
            number,
            stamp: frame.time,
            now,
            original_len: frame.original_len,
            link: frame.link,
            link_type: LinkType::from_pcap(frame.link),
            range: start..self.bytes.len(),
        });
    }
}

/// Cuts captures into ticks.
#[derive(Debug)]
pub(super) struct TickReader {
    captures: MergedReader,
    /// The frame that opens the tick after those handed out.
    ahead: Batch,
    /// Frames after which no further tick is added to a batch.
    enough: usize,
    number: u64,
    now: Timestamp,
    ended: bool,
}

impl TickReader {
    /// `enough` frames, in whole ticks, are a batch.
    pub(super) fn new(captures: MergedReader, enough: usize) -> Self {
        Self {
            captures,
            ahead: Batch::default(),
            enough,
            number: 0,
            now: Timestamp::ZERO,
            ended: false,
        }
    }

    /// The link type the captures announce, for output that may hold no frame.
    pub(super) fn link(&self) -> Option<u32> {
        self.captures.link()
    }

    /// Fills `batch` with the next ticks; `false` at the end. Faults of a capture end that capture and are added
    /// to `faults`.
    pub(super) fn next(&mut self, batch: &mut Batch, faults: &mut Vec<CaptureError>) -> bool {
        batch.clear();
        std::mem::swap(batch, &mut self.ahead);
        let mut opened = 0;
        // Nanoseconds at which the tick that is open ends.
        let mut ends = batch.frames.last().map_or(0, |first| end_of(first.now));
        while !self.ended {
            let frame = match self.captures.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            self.number += 1;
            self.now = self.now.max(frame.time);
            let known = batch.frames.len();
            if known > opened && (self.now.as_nanos() >= ends || known - opened >= MAX_FRAMES) {
                close(batch, opened);
                opened = known;
                if known >= self.enough || batch.bytes.len() >= BATCH_BYTES {
                    self.ahead.push(&frame, self.number, self.now);
                    return true;
                }
            }
            if known == opened {
                ends = end_of(self.now);
            }
            batch.push(&frame, self.number, self.now);
        }
        if batch.frames.len() > opened {
            close(batch, opened);
        }
        !batch.ticks.is_empty()
    }
}

fn close(batch: &mut Batch, opened: usize) {
    if let Some(first) = batch.frames.get(opened) {
        batch.ticks.push(Tick {
            start: Timestamp::from_nanos(first.now.as_nanos() / TICK_NANOS * TICK_NANOS),
            frames: opened..batch.frames.len(),
        });
    }
}

/// Where the tick of a time ends.
fn end_of(time: Timestamp) -> u64 {
    (time.as_nanos() / TICK_NANOS)
        .saturating_add(1)
        .saturating_mul(TICK_NANOS)
}
