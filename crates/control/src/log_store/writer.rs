//! The thread that writes.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use crossbeam::channel::{Receiver, Sender};
use logs::{LineWriter, LogType, Record, View};
use policy::Symbols;
use tags::TagNames;

use super::{
    Counts, LogLimits,
    segments::{self, Segment},
};

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Write these.
    Records(Arc<Symbols>, Vec<Record>),
    /// Say when all before this is written.
    Written(Sender<()>),
    /// End.
    Stop,
}

#[derive(Debug)]
pub(super) struct Writer {
    types: BTreeMap<LogType, Type>,
    names: Arc<TagNames>,
    limits: LogLimits,
    counts: Arc<Counts>,
    lines: LineWriter,
}

/// The segments of one type, the last of which is being written.
#[derive(Debug)]
struct Type {
    folder: PathBuf,
    segments: Vec<Segment>,
    file: Option<File>,
    /// Bytes of the last segment.
    length: u64,
    /// Lines that are not written yet.
    lines: Vec<u8>,
    records: u64,
    first: u64,
}

impl Writer {
    pub(super) fn open(
        folder: &Path,
        names: Arc<TagNames>,
        limits: LogLimits,
        counts: Arc<Counts>,
    ) -> io::Result<(Self, u64)> {
        let mut types = BTreeMap::new();
        let mut last_seqno = 0;
        for log_type in LogType::ALL {
            let of_type = Type::open(segments::folder_of(folder, *log_type))?;
            // The last segment may have been begun and not written.
            for segment in of_type.segments.iter().rev().take(2) {
                last_seqno = last_seqno.max(segments::last_seqno(&segment.path)?.unwrap_or(0));
            }
            types.insert(*log_type, of_type);
        }
        let writer = Self {
            types,
            names,
            limits,
            counts,
            lines: LineWriter::new(),
        };
        Ok((writer, last_seqno))
    }

    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        for message in inbox {
            match message {
                Message::Records(symbols, records) => self.write(&symbols, &records),
                Message::Written(done) => {
                    // Where nobody waits any more nobody needs it.
                    done.send(()).unwrap_or_default();
                }
                Message::Stop => return,
            }
        }
    }

    fn write(&mut self, symbols: &Symbols, records: &[Record]) {
        let view = View {
            symbols,
            tags: &self.names,
        };
        for record in records {
            if let Some(of_type) = self.types.get_mut(&record.log_type()) {
                of_type.add(record, view, &mut self.lines);
            }
        }
        for of_type in self.types.values_mut() {
            let records = std::mem::take(&mut of_type.records);
            if records == 0 {
                continue;
            }
            if of_type.write(&self.limits).is_ok() {
                self.counts.stored.fetch_add(records, Ordering::Relaxed);
            } else {
                self.counts.faults.fetch_add(1, Ordering::Relaxed);
                self.counts.not_stored.fetch_add(records, Ordering::Relaxed);
            }
        }
        let count = records.len() as u64;
        self.counts.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Type {
    fn open(folder: PathBuf) -> io::Result<Self> {
        segments::create(&folder)?;
        Ok(Self {
            segments: segments::list(&folder)?,
            folder,
            file: None,
            length: 0,
            lines: Vec::new(),
            records: 0,
            first: 0,
        })
    }

    fn add(&mut self, record: &Record, view: View<'_>, writer: &mut LineWriter) {
        if self.records == 0 {
            self.first = record.seqno;
        }
        self.records = self.records.saturating_add(1);
        writer.write(record, view, &mut self.lines);
    }

    /// Appends the lines gathered. What could not be written whole is taken back, so that no line is half there.
    fn write(&mut self, limits: &LogLimits) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        let written = self.append(&lines, limits);
        self.lines = lines;
        self.lines.clear();
        if written.is_err()
            && let Some(file) = &self.file
        {
            // Where that fails too, a reader passes over the half line.
            drop(file.set_len(self.length));
            self.file = None;
        }
        written
    }

    fn append(&mut self, lines: &[u8], limits: &LogLimits) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) if self.length < limits.segment_bytes => file,
            place => {
                let path = segments::path_of(&self.folder, self.first);
                let file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(&path)?;
                self.length = file.metadata()?.len();
                let segment = Segment {
                    first: self.first,
                    path,
                };
                if self.segments.last() != Some(&segment) {
                    self.segments.push(segment);
                }
                while self.segments.len() > limits.segments.max(1) {
                    // One that somebody else has removed is gone all the same.
                    drop(fs::remove_file(self.segments.remove(0).path));
                }
                place.insert(file)
            }
        };
        file.write_all(lines)?;
        self.length = self.length.saturating_add(lines.len() as u64);
        Ok(())
    }
}
