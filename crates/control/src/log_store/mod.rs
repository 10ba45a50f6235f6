//! The log store: every record as a line of JSON, in segments of bounded size, the oldest of which make room.
//!
//! One thread writes; whoever has records to store never waits for it. A disk that is slow or full costs records,
//! which are counted, and nothing else.

mod reader;
mod segments;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Sender, TrySendError, bounded};
use logs::Record;
use policy::Symbols;
use tags::TagNames;

pub use self::reader::LogReader;
use self::writer::{Message, Writer};

/// Batches of records that may wait for the writer.
const WAITING: usize = 256;

/// The bounds of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of one segment of one type; the segment that reaches it is the last but one.
    pub segment_bytes: u64,
    /// Segments of one type; the oldest is removed for a new one.
    pub segments: usize,
    /// Records that may wait for the writer; further ones are not stored.
    pub waiting: u64,
}

impl Default for LogLimits {
    /// 512 MiB for each of the seven types, at most.
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            segments: 64,
            waiting: 65_536,
        }
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    waiting: AtomicU64,
    stored: AtomicU64,
    not_stored: AtomicU64,
    faults: AtomicU64,
}

/// The figures of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Records written.
    pub stored: u64,
    /// Records that were not: too many waited, or the disk refused them.
    pub not_stored: u64,
    /// Writes that the disk refused.
    pub faults: u64,
}

/// Stores records.
#[derive(Debug)]
pub struct LogStore {
    folder: PathBuf,
    messages: Sender<Message>,
    counts: Arc<Counts>,
    limits: LogLimits,
    thread: Option<JoinHandle<()>>,
}

impl LogStore {
    /// Opens the store in `folder`, created where missing, and starts its thread. Also returns the highest `seqno`
    /// that is stored; 0 where there is none.
    ///
    /// # Errors
    ///
    /// Where the system refuses the folder or a thread.
    pub fn open(folder: &Path, names: Arc<TagNames>, limits: LogLimits) -> io::Result<(Self, u64)> {
        let counts = Arc::new(Counts::default());
        let (writer, last_seqno) = Writer::open(folder, names, limits, Arc::clone(&counts))?;
        let (messages, inbox) = bounded(WAITING);
        let thread = thread::Builder::new()
            .name("log-store".to_owned())
            .spawn(move || writer.run(&inbox))?;
        let store = Self {
            folder: folder.to_owned(),
            messages,
            counts,
            limits,
            thread: Some(thread),
        };
        Ok((store, last_seqno))
    }

    /// Hands records over to be written; never waits. `symbols` are those of the policy they were made under, or
    /// of a later one.
    pub fn store(&self, symbols: &Arc<Symbols>, records: Vec<Record>) {
        let count = records.len() as u64;
        let waiting = self.counts.waiting.fetch_add(count, Ordering::Relaxed);
        let message = Message::Records(Arc::clone(symbols), records);
        let taken = waiting.saturating_add(count) <= self.limits.waiting
            && match self.messages.try_send(message) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            };
        if !taken {
            self.counts.waiting.fetch_sub(count, Ordering::Relaxed);
            self.counts.not_stored.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Reads what is stored, whatever waited when it was asked included. To be used by threads that may wait.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.folder.clone(), self.messages.clone())
    }

    /// The figures.
    pub fn counters(&self) -> LogCounters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogCounters {
            stored: load(&self.counts.stored),
            not_stored: load(&self.counts.not_stored),
            faults: load(&self.counts.faults),
        }
    }

    /// Writes what waits, then ends.
    pub fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A writer that is gone has nothing to write; a panic was told by the panic hook.
            drop(self.messages.send(Message::Stop));
            drop(thread.join());
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
