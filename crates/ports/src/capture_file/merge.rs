//! Several captures read as one, by time.

use std::{cmp::Reverse, collections::BinaryHeap, fs::File, io::Read};

use packet::Timestamp;

use super::{CaptureError, CaptureReader, CapturedFrame};

/// Reads several captures as one: of the frames that are next in their files always the earliest,
/// and of equally early ones that of the file named first.
///
/// The order inside a file is never changed, even where its times go back.
#[derive(Debug)]
pub struct MergedReader<R = File> {
    readers: Vec<CaptureReader<R>>,
    /// Readers that stand on a frame.
    ready: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Readers whose frame was handed out, or that have not begun.
    passed: Vec<usize>,
}

impl<R: Read> MergedReader<R> {
    /// Merges `readers`, none of which has been read from.
    pub fn new(readers: Vec<CaptureReader<R>>) -> Self {
        Self {
            ready: BinaryHeap::with_capacity(readers.len()),
            passed: (0..readers.len()).rev().collect(),
            readers,
        }
    }

    /// The link type that the beginnings of the files tell first; see [`CaptureReader::link`].
    pub fn link(&self) -> Option<u32> {
        self.readers.iter().find_map(CaptureReader::link)
    }

    /// The next frame; `None` when all files have ended. An error ends only the file it names: call
    /// again for the frames of the others.
    pub fn next_frame(&mut self) -> Result<Option<CapturedFrame<'_>>, CaptureError> {
        // One file has nothing to be merged with.
        if let [only] = self.readers.as_mut_slice() {
            only.advance()?;
            return Ok(self.readers.first().and_then(CaptureReader::current));
        }
        while let Some(index) = self.passed.pop() {
            let Some(reader) = self.readers.get_mut(index) else {
                continue;
            };
            if let Some(time) = reader.advance()? {
                self.ready.push(Reverse((time, index)));
            }
        }
        let Some(Reverse((_, index))) = self.ready.pop() else {
            return Ok(None);
        };
        self.passed.push(index);
        Ok(self.readers.get(index).and_then(CaptureReader::current))
    }
}
