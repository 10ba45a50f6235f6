//! Looking things up in the store.

use std::{fs, io, path::PathBuf, time::Duration};

use crossbeam::channel::{Sender, bounded};
use logs::{Filter, Line, LogType};
use packet::Timestamp;
use serde_json::Value;

use super::{
    segments::{self, seqno_of},
    writer::Message,
};

/// How long the writer may take until a look goes on without what it has not written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads a store while it is written.
#[derive(Clone, Debug)]
pub struct LogReader {
    folder: PathBuf,
    messages: Sender<Message>,
}

impl LogReader {
    pub(super) fn new(folder: PathBuf, messages: Sender<Message>) -> Self {
        Self { folder, messages }
    }

    /// The newest `limit` records that the filter matches, the newest first.
    ///
    /// # Errors
    ///
    /// Where the system refuses a file.
    pub fn newest(&self, filter: &Filter, now: Timestamp, limit: usize) -> io::Result<Vec<Value>> {
        self.catch_up();
        let mut found = Vec::new();
        let folder = segments::folder_of(&self.folder, filter.log_type());
        for segment in segments::list(&folder)?.iter().rev() {
            let Some(bytes) = read(&segment.path)? else {
                continue;
            };
            for line in bytes.split(|byte| *byte == b'\n').rev() {
                if found.len() >= limit {
                    return Ok(found);
                }
                if matches(filter, line, now)
                    && let Ok(record) = serde_json::from_slice(line)
                {
                    found.push(record);
                }
            }
        }
        Ok(found)
    }

    /// The record of a `seqno`, of whatever type.
    pub fn record(&self, seqno: u64) -> Option<Value> {
        self.catch_up();
        LogType::ALL.iter().find_map(|log_type| {
            let folder = segments::folder_of(&self.folder, *log_type);
            let segments = segments::list(&folder).ok()?;
            let segment = segments.iter().rev().find(|segment| segment.first <= seqno)?;
            let bytes = read(&segment.path).ok()??;
            let line = bytes
                .split(|byte| *byte == b'\n')
                .find(|line| seqno_of(line) == Some(seqno))?;
            serde_json::from_slice(line).ok()
        })
    }

    /// Waits until the writer has written what was handed over before, within reason.
    fn catch_up(&self) {
        let (done, written) = bounded(1);
        if self
            .messages
            .send_timeout(Message::Written(done), PATIENCE)
            .is_ok()
        {
            // What is late is not seen by this look.
            written.recv_timeout(PATIENCE).unwrap_or_default();
        }
    }
}

fn matches(filter: &Filter, line: &[u8], now: Timestamp) -> bool {
    std::str::from_utf8(line)
        .ok()
        .and_then(|text| Line::parse(text).ok())
        .is_some_and(|line| line.log_type() == filter.log_type() && filter.matches_line(&line, now))
}

/// The bytes of a segment; `None` where it has made room meanwhile.
fn read(path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
