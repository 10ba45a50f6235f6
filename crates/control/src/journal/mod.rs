//! The tags that outlive the process: a file to which every change is appended before it is confirmed.
//!
//! A process that is killed at any instant loses nothing that was confirmed: a record is one `write`, and what the
//! kernel has, it keeps. Against a power cut the caller syncs in batches. A full disk is an error that the caller
//! reports; the tags are in force all the same, and [`Journal::rewrite`] catches up.

mod files;
mod frame;
mod record;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tags::{Entry, TagNames};

pub use self::{files::Damage, record::TagChange};
use self::{
    files::{Contents, Files, Read},
    frame::{HEADER, Header, VERSION},
    record::Parts,
};
use crate::state_directory::{private_file, sync_folder};

/// A journal shorter than this, in bytes, is not compacted.
const COMPACT_FROM: u64 = 1 << 20;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused: permission, a full disk.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Written by a later cordon.
    #[error("{} has version {version}, which this cordon does not know: use the one that wrote it, or move the file away", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
}

impl JournalError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

/// What a journal held when it was opened.
#[derive(Debug, Default)]
pub struct Restored {
    /// The tags in force, deadlines that have passed since among them; in a fixed order.
    pub entries: Vec<Entry>,
    /// Records that were read and cannot be held: more names of tags than there is room for.
    pub skipped: usize,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

/// The journal, open for appending. One thread owns it.
#[derive(Debug)]
pub struct Journal {
    files: Files,
    file: File,
    /// Bytes of the file that hold whole records.
    length: u64,
    generation: u64,
    buffer: Vec<u8>,
    /// An append failed: the file lacks what is in force.
    behind: bool,
    /// Bytes of the snapshot; the thread that folds sets it.
    snapshot_length: Arc<AtomicU64>,
    folding: Arc<AtomicBool>,
    /// Bytes.
    compact_from: u64,
}

impl Journal {
    /// Opens the journal in `folder`, creating what is missing. Damage is no error: what is good around it is
    /// restored and written anew, and the damaged file is kept under another name.
    ///
    /// # Errors
    ///
    /// Where the system refuses, or a later version wrote the files.
    pub fn open(folder: &Path, names: &TagNames) -> Result<(Self, Restored), JournalError> {
        let files = Files::of(folder);
        let read = Read::all(&files)?;
        let mut restored = Restored::default();
        let state = read.state(&mut restored.damage);
        for payload in &state {
            match Parts::of(payload).and_then(|parts| parts.entry(names)) {
                Some(entry) => restored.entries.push(entry),
                None => restored.skipped = restored.skipped.saturating_add(1),
            }
        }
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |error| JournalError::Io { path, error }
        };
        let newest = read.newest_generation();
        let whole =
            restored.damage.is_empty() && read.journal.generation() == Some(newest) && read.old.len() == 0;
        let mut journal = if whole && newest > read.snapshot.generation().unwrap_or(0) {
            Self::continued(files, newest, &read.journal)?
        } else {
            // Nothing is removed before a snapshot holds it.
            Read::keep_damaged(&mut restored.damage).map_err(refused(&files.journal))?;
            let length = files
                .write_snapshot(newest, state.into_iter())
                .map_err(refused(&files.snapshot))?;
            let journal = Self::fresh(files, newest.saturating_add(1))?;
            journal.snapshot_length.store(length, Ordering::Relaxed);
            journal.files.forget_old().map_err(refused(&journal.files.old))?;
            return Ok((journal, restored));
        };
        journal.snapshot_length = Arc::new(AtomicU64::new(
            u64::try_from(read.snapshot.len()).unwrap_or(u64::MAX),
        ));
        Ok((journal, restored))
    }

    /// Goes on at the end of a file that is whole.
    fn continued(files: Files, generation: u64, read: &Contents) -> Result<Self, JournalError> {
        let file = private_file()
            .append(true)
            .open(&files.journal)
            .map_err(|error| JournalError::io(&files.journal, error))?;
        let length = u64::try_from(read.len()).unwrap_or(u64::MAX);
        Ok(Self::of(files, file, length, generation))
    }

    /// Begins an empty file, which replaces the one there is.
    fn fresh(files: Files, generation: u64) -> Result<Self, JournalError> {
        let file =
            Self::begin(&files, generation).map_err(|error| JournalError::io(&files.journal, error))?;
        Ok(Self::of(files, file, HEADER_LENGTH, generation))
    }

    fn of(files: Files, file: File, length: u64, generation: u64) -> Self {
        Self {
            files,
            file,
            length,
            generation,
            buffer: Vec::new(),
            behind: false,
            snapshot_length: Arc::default(),
            folding: Arc::default(),
            compact_from: COMPACT_FROM,
        }
    }

    /// A file appears with its header or not at all. Where this fails, the name is still the former file's.
    fn begin(files: &Files, generation: u64) -> io::Result<File> {
        let mut header = Vec::with_capacity(HEADER);
        Header {
            version: VERSION,
            generation,
        }
        .write(&mut header);
        let new = files.journal.with_extension("journal.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = private_file().create_new(true).append(true).open(&new)?;
        file.write_all(&header)?;
        file.sync_all()?;
        fs::rename(&new, &files.journal)?;
        // The step is done; that its name lasts matters to a power cut alone.
        drop(sync_folder(&files.journal));
        Ok(file)
    }

    /// Appends changes, in order. When this returns, a kill loses none of them. Tags that do not outlive a restart
    /// are left out.
    ///
    /// # Errors
    ///
    /// Where the system refuses: none of these changes is on the disk then, [`Journal::is_behind`] says so from now
    /// on, and later ones may succeed.
    pub fn append<'a>(
        &mut self,
        changes: impl IntoIterator<Item = TagChange<'a>>,
        names: &TagNames,
    ) -> Result<(), JournalError> {
        self.buffer.clear();
        for change in changes {
            if matches!(change, TagChange::Register(entry) if !entry.persistent) {
                continue;
            }
            if !frame::write(&mut self.buffer, |out| change.write(names, out)) {
                self.behind = true;
            }
        }
        let result = self.file.write_all(&self.buffer);
        match result {
            Ok(()) => {
                let written = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
                self.length = self.length.saturating_add(written);
            }
            Err(error) => {
                self.behind = true;
                // Half a record in the middle would be read over, but is better not there.
                drop(self.file.set_len(self.length));
                return Err(JournalError::io(&self.files.journal, error));
            }
        }
        // A storm must not hold its memory for good.
        self.buffer.shrink_to(64 << 10);
        Ok(())
    }

    /// Whether tags are in force that the file lacks: [`Journal::rewrite`] catches up.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Makes everything appended survive a power cut. May take long: not for the thread that tags, which gives
    /// [`Journal::file`] to another.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file
            .sync_data()
            .map_err(|error| JournalError::io(&self.files.journal, error))
    }

    /// A second handle of the file, to be synced by another thread.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub fn file(&self) -> Result<File, JournalError> {
        self.file
            .try_clone()
            .map_err(|error| JournalError::io(&self.files.journal, error))
    }

    /// Puts `entries`, all that is in force, in place of everything written so far.
    ///
    /// # Errors
    ///
    /// Where the system refuses: nothing that was appended is lost.
    pub fn rewrite(&mut self, entries: &[Entry], names: &TagNames) -> Result<(), JournalError> {
        // A fold that ends later would put its older snapshot over this one.
        if self.folding.load(Ordering::Acquire) {
            return Err(JournalError::io(
                &self.files.snapshot,
                io::ErrorKind::ResourceBusy.into(),
            ));
        }
        let mut frames = Vec::new();
        for entry in entries.iter().filter(|entry| entry.persistent) {
            let mut payload = Vec::new();
            TagChange::Register(entry).write(names, &mut payload);
            frames.push(payload);
        }
        if self.old_is_closed()? {
            self.snapshot(self.generation.saturating_sub(1), &frames)?;
        }
        let covered = self.generation;
        self.rotate()?;
        self.snapshot(covered, &frames)?;
        self.behind = false;
        Ok(())
    }

    /// Writes a snapshot in place of the old journal.
    fn snapshot(&self, covered: u64, frames: &[Vec<u8>]) -> Result<(), JournalError> {
        let length = self
            .files
            .write_snapshot(covered, frames.iter().map(Vec::as_slice))
            .map_err(|error| JournalError::io(&self.files.snapshot, error))?;
        self.snapshot_length.store(length, Ordering::Relaxed);
        self.files
            .forget_old()
            .map_err(|error| JournalError::io(&self.files.old, error))
    }

    /// Where what is out of date dominates the file: closes it, goes on in a new one, and gives the work of folding
    /// the closed one into the snapshot, to be run by another thread.
    ///
    /// # Errors
    ///
    /// Where the system refuses: then appending goes on as before.
    pub fn compaction(&mut self) -> Result<Option<Compaction>, JournalError> {
        let most = self
            .snapshot_length
            .load(Ordering::Relaxed)
            .saturating_mul(2)
            .max(self.compact_from);
        if self.length <= most || self.folding.load(Ordering::Acquire) {
            return Ok(None);
        }
        // What an earlier fold left undone goes first.
        if !self.old_is_closed()? {
            self.rotate()?;
        }
        self.folding.store(true, Ordering::Release);
        Ok(Some(Compaction {
            files: self.files.clone(),
            snapshot_length: self.snapshot_length.clone(),
            folding: Folding(self.folding.clone()),
        }))
    }

    /// Whether there is an old journal, which must be folded. One that is still the current file's second name is
    /// taken away.
    fn old_is_closed(&self) -> Result<bool, JournalError> {
        let refused = |error| JournalError::io(&self.files.old, error);
        let old = match fs::metadata(&self.files.old) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(refused(error)),
        };
        if old.ino() != self.file.metadata().map_err(refused)?.ino() {
            return Ok(true);
        }
        fs::remove_file(&self.files.old).map_err(refused)?;
        Ok(false)
    }

    /// Closes the file and goes on in a new one.
    fn rotate(&mut self) -> Result<(), JournalError> {
        // Both names lead to the closed file until the new one takes its own.
        fs::hard_link(&self.files.journal, &self.files.old)
            .map_err(|error| JournalError::io(&self.files.old, error))?;
        let generation = self.generation.saturating_add(1);
        self.file = Self::begin(&self.files, generation)
            .map_err(|error| JournalError::io(&self.files.journal, error))?;
        self.generation = generation;
        self.length = HEADER_LENGTH;
        Ok(())
    }
}

/// Bytes of a file without records.
const HEADER_LENGTH: u64 = 24;
const _: () = assert!(HEADER == 24);

/// The work of folding a closed journal into the snapshot.
#[derive(Debug)]
#[must_use = "until it is run, the files only grow"]
pub struct Compaction {
    files: Files,
    snapshot_length: Arc<AtomicU64>,
    folding: Folding,
}

/// While it lives, a fold is under way.
#[derive(Debug)]
struct Folding(Arc<AtomicBool>);

impl Drop for Folding {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Compaction {
    /// Folds, and tells what could not be read. Reads and writes files: takes as long as the disk does.
    ///
    /// # Errors
    ///
    /// Where the system refuses: nothing is lost, the closed journal stays for the next try.
    pub fn run(self) -> Result<Vec<Damage>, JournalError> {
        let read = Read {
            snapshot: Contents::read(&self.files.snapshot)?,
            old: Contents::read(&self.files.old)?,
            journal: Contents::default(),
        };
        let mut damage = Vec::new();
        let state = read.state(&mut damage);
        Read::keep_damaged(&mut damage).map_err(|error| JournalError::io(&self.files.old, error))?;
        let length = self
            .files
            .write_snapshot(read.newest_generation(), state.into_iter())
            .map_err(|error| JournalError::io(&self.files.snapshot, error))?;
        self.snapshot_length.store(length, Ordering::Relaxed);
        let forgotten = self.files.forget_old();
        drop(self.folding);
        forgotten.map_err(|error| JournalError::io(&self.files.old, error))?;
        Ok(damage)
    }
}

#[cfg(test)]
mod tests;
