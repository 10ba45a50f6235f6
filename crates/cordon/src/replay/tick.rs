//! Captured frames gathered into ticks of one millisecond of the captures' own time.

use std::ops::Range;

use packet::{LinkType, Timestamp};
use ports::{CaptureError, CapturedFrame, MergedReader};

const TICK_NANOS: u64 = 1_000_000;
/// Frames of one tick that are gathered before it is cut: a capture can claim that all its frames are one
/// instant. What is cut off becomes a tick of its own, at the same time.
const MAX_FRAMES: usize = 1 << 16;

/// One frame of a tick.
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
#[derive(Clone, Debug, Default)]
pub(super) struct Tick {
    /// When the tick begins; what is due by then has expired.
    pub(super) start: Timestamp,
    pub(super) frames: Vec<TickFrame>,
    bytes: Vec<u8>,
}

impl Tick {
    pub(super) fn bytes(&self, frame: &TickFrame) -> &[u8] {
        self.bytes.get(frame.range.clone()).unwrap_or_default()
    }

    fn clear(&mut self) {
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
    /// The frame that opened the tick after the one handed out.
    ahead: Tick,
    number: u64,
    now: Timestamp,
    ended: bool,
}

impl TickReader {
    pub(super) fn new(captures: MergedReader) -> Self {
        Self {
            captures,
            ahead: Tick::default(),
            number: 0,
            now: Timestamp::ZERO,
            ended: false,
        }
    }

    /// The link type the captures announce, for output that may hold no frame.
    pub(super) fn link(&self) -> Option<u32> {
        self.captures.link()
    }

    /// Fills `tick` with the next one; `false` at the end. Faults of a capture end that capture and are added
    /// to `faults`.
    pub(super) fn next(&mut self, tick: &mut Tick, faults: &mut Vec<CaptureError>) -> bool {
        tick.clear();
        std::mem::swap(tick, &mut self.ahead);
        while !self.ended && tick.frames.len() < MAX_FRAMES {
            match self.captures.next_frame() {
                Ok(None) => self.ended = true,
                Err(fault) => faults.push(fault),
                Ok(Some(frame)) => {
                    self.number += 1;
                    self.now = self.now.max(frame.time);
                    let same = tick
                        .frames
                        .last()
                        .is_none_or(|last| ordinal(last.now) == ordinal(self.now));
                    if !same {
                        self.ahead.push(&frame, self.number, self.now);
                        break;
                    }
                    tick.push(&frame, self.number, self.now);
                }
            }
        }
        let Some(first) = tick.frames.first() else {
            return false;
        };
        // A tick that was cut goes on where it stopped.
        tick.start = tick
            .start
            .max(Timestamp::from_nanos(ordinal(first.now) * TICK_NANOS));
        true
    }
}

fn ordinal(time: Timestamp) -> u64 {
    time.as_nanos() / TICK_NANOS
}
