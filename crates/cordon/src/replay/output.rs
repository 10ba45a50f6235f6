//! What a replay writes: the records, and the frames that would have left.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::MutexGuard,
};

use engine::{FragmentNote, Verdict};
use logs::{LineWriter, Record, View};
use ports::{CaptureWriter, CapturedFrame, WriteError};

use super::{
    crew::{Outcome, Work},
    tick::{Batch, Tick, TickFrame},
};

/// Bytes of log lines gathered before they are written.
const CHUNK: usize = 1 << 20;

/// An output could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("{}: cannot be written: {source}", path.display())]
    Logs { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Capture(#[from] WriteError),
}

/// Records as JSON lines.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    writer: LineWriter,
    buffer: Vec<u8>,
}

impl LogFile {
    pub(super) fn create(path: &Path) -> Result<Self, OutputError> {
        let file = File::create(path).map_err(|source| OutputError::Logs {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            writer: LineWriter::new(),
            buffer: Vec::with_capacity(CHUNK + 4096),
        })
    }

    pub(super) fn write(&mut self, record: &Record, view: View<'_>) -> Result<(), OutputError> {
        self.writer.write(record, view, &mut self.buffer);
        if self.buffer.len() >= CHUNK {
            self.flush()
        } else {
            Ok(())
        }
    }

    pub(super) fn finish(mut self) -> Result<(), OutputError> {
        self.flush()
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| OutputError::Logs {
            path: self.path.clone(),
            source,
        })
    }
}

/// The frames that would have left the firewall.
#[derive(Debug)]
pub(super) struct WrittenCapture {
    writer: CaptureWriter,
}

impl WrittenCapture {
    pub(super) fn create(path: &Path) -> Result<Self, OutputError> {
        Ok(Self {
            writer: CaptureWriter::create(path, &path.to_string_lossy())?,
        })
    }

    /// Writes what leaves in one tick, in the order of the frames that caused it.
    pub(super) fn tick(
        &mut self,
        batch: &Batch,
        tick: &Tick,
        work: &[MutexGuard<'_, Work>],
    ) -> Result<(), OutputError> {
        for frame in batch.frames_of(tick) {
            self.writer.note_link(frame.link)?;
        }
        let mut outcomes: Vec<&Outcome> = work.iter().flat_map(|work| &work.outcomes).collect();
        outcomes.sort_unstable_by_key(|outcome| outcome.index);
        let mut emissions: Vec<_> = work.iter().flat_map(|work| work.outputs.emissions()).collect();
        emissions.sort_unstable_by_key(|emission| emission.order);
        let mut emissions = emissions.into_iter().peekable();
        for outcome in outcomes {
            let Some(frame) = batch.frames.get(outcome.index) else {
                continue;
            };
            while let Some(emission) = emissions.next_if(|emission| emission.order.number <= frame.number) {
                let length = u32::try_from(emission.bytes.len()).unwrap_or(u32::MAX);
                self.writer.write(&CapturedFrame {
                    time: emission.time,
                    link: frame.link,
                    original_len: length,
                    bytes: emission.bytes,
                })?;
            }
            let Verdict::Forward(_) = outcome.verdict else {
                continue;
            };
            match &outcome.datagram {
                None => self.writer.write(&CapturedFrame {
                    time: frame.stamp,
                    link: frame.link,
                    original_len: frame.original_len,
                    bytes: batch.bytes(frame),
                })?,
                // Fragments leave as they came, when the last of them is there.
                Some(datagram) => {
                    self.fragments(frame, &datagram.fragments)?;
                }
            }
        }
        Ok(())
    }

    fn fragments(
        &mut self,
        frame: &TickFrame,
        fragments: &[(FragmentNote, Box<[u8]>)],
    ) -> Result<(), OutputError> {
        for (note, bytes) in fragments {
            if !note.parts.is_empty() {
                self.fragments(frame, &note.parts)?;
                continue;
            }
            self.writer.write(&CapturedFrame {
                time: frame.stamp,
                link: frame.link,
                original_len: u32::try_from(note.original_bytes).unwrap_or(u32::MAX),
                bytes,
            })?;
        }
        Ok(())
    }

    pub(super) fn finish(self, link: Option<u32>) -> Result<(), OutputError> {
        Ok(self.writer.finish(link)?)
    }
}
