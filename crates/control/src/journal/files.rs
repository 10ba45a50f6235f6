//! The files of a journal, and what they say together.
//!
//! `tags.snapshot` holds every tag of some moment, `tags.journal` what has changed since, and between them, while
//! the snapshot is being renewed, `tags.journal.old`. A snapshot's generation is that of the newest journal it
//! covers: a journal it covers is never read again, so that every step can be the last before a crash.

use std::{
    collections::HashMap,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    JournalError,
    frame::{self, HEADER, Header, VERSION},
    record::Parts,
};
use crate::state_directory::{keep_aside, sync_folder, write_whole};

/// Something in a journal that cannot be read. The file that had it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Which bytes.
    pub bytes: Range<usize>,
    /// The end of a record whose writing was cut off: it had not been confirmed, and nothing is kept.
    pub torn: bool,
    /// Where the damaged file is kept.
    pub kept_as: Option<PathBuf>,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { start, end } = self.bytes;
        let file = self.file.display();
        if self.torn {
            return write!(
                f,
                "{file}: the last record, at byte {start}, was not written to its end and is dropped"
            );
        }
        write!(
            f,
            "{file}: bytes {start} to {end} are damaged; what is around them was read"
        )?;
        match &self.kept_as {
            Some(kept) => write!(f, ", and the file is kept as {}", kept.display()),
            None => Ok(()),
        }
    }
}

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) snapshot: PathBuf,
    pub(super) old: PathBuf,
    pub(super) journal: PathBuf,
}

/// One file, read.
#[derive(Debug, Default)]
pub(super) struct Contents {
    path: PathBuf,
    bytes: Vec<u8>,
    /// `None` where there is no file, or its header is damaged.
    header: Option<Header>,
}

/// The tags in force by subject and tag, each as the payload that set it.
type State<'a> = HashMap<&'a [u8], &'a [u8], foldhash::fast::RandomState>;

impl Files {
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            snapshot: folder.join("tags.snapshot"),
            old: folder.join("tags.journal.old"),
            journal: folder.join("tags.journal"),
        }
    }

    /// Writes a snapshot that covers the journals up to `generation`; its length.
    pub(super) fn write_snapshot<'a>(
        &self,
        generation: u64,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<u64> {
        let mut out = Vec::new();
        Header {
            version: VERSION,
            generation,
        }
        .write(&mut out);
        for payload in payloads {
            frame::write(&mut out, |out| out.extend_from_slice(payload));
        }
        write_whole(&self.snapshot, &out)?;
        Ok(u64::try_from(out.len()).unwrap_or(u64::MAX))
    }

    /// Removes the old journal, which a snapshot covers.
    pub(super) fn forget_old(&self) -> io::Result<()> {
        match fs::remove_file(&self.old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => sync_folder(&self.old),
        }
    }
}

impl Contents {
    pub(super) fn read(path: &Path) -> Result<Self, JournalError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(JournalError::io(path, error)),
        };
        let header = Header::read(&bytes);
        if let Some(header) = header.filter(|header| header.version != VERSION) {
            return Err(JournalError::Version {
                path: path.to_owned(),
                version: header.version,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            header,
        })
    }

    pub(super) fn generation(&self) -> Option<u64> {
        self.header.map(|header| header.generation)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Replays the file onto `state`; what cannot be read goes to `damage`.
    pub(super) fn replay<'a>(&'a self, state: &mut State<'a>, damage: &mut Vec<Damage>) {
        let mut tell = |bytes: Range<usize>, torn: bool| {
            damage.push(Damage {
                file: self.path.clone(),
                bytes,
                torn,
                kept_as: None,
            });
        };
        let start = if self.header.is_some() { HEADER } else { 0 };
        // A file that ends inside its header never held anything.
        if self.header.is_none() && self.bytes.len() < HEADER {
            if !self.bytes.is_empty() {
                tell(0..self.bytes.len(), true);
            }
            return;
        }
        let frames = frame::scan(&self.bytes, start);
        for bytes in frames.damaged {
            tell(bytes, false);
        }
        if let Some(torn) = frames.torn {
            tell(torn..self.bytes.len(), true);
        }
        for payload in frames.payloads {
            match Parts::of(payload) {
                Some(parts) if parts.sets => {
                    state.insert(parts.key, parts.payload());
                }
                Some(parts) => {
                    state.remove(parts.key);
                }
                None => {}
            }
        }
    }
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) snapshot: Contents,
    pub(super) old: Contents,
    pub(super) journal: Contents,
}

impl Read {
    pub(super) fn all(files: &Files) -> Result<Self, JournalError> {
        Ok(Self {
            snapshot: Contents::read(&files.snapshot)?,
            old: Contents::read(&files.old)?,
            journal: Contents::read(&files.journal)?,
        })
    }

    /// The payloads of the tags in force, in order of subject and tag as bytes.
    pub(super) fn state(&self, damage: &mut Vec<Damage>) -> Vec<&[u8]> {
        let mut state = State::default();
        self.snapshot.replay(&mut state, damage);
        let covered = self.snapshot.generation().unwrap_or(0);
        for journal in [&self.old, &self.journal] {
            // One whose header is damaged may be the newest.
            if journal.generation().is_none_or(|generation| generation > covered) {
                journal.replay(&mut state, damage);
            }
        }
        let mut state: Vec<_> = state.into_iter().collect();
        state.sort_unstable();
        state.into_iter().map(|(_, payload)| payload).collect()
    }

    /// The newest generation that any file names.
    pub(super) fn newest_generation(&self) -> u64 {
        let files = [&self.snapshot, &self.old, &self.journal];
        files
            .into_iter()
            .filter_map(Contents::generation)
            .max()
            .unwrap_or(0)
    }

    /// Keeps each damaged file under another name, and says which.
    pub(super) fn keep_damaged(damage: &mut [Damage]) -> io::Result<()> {
        let mut kept: Vec<(PathBuf, PathBuf)> = Vec::new();
        for damage in damage.iter_mut().filter(|damage| !damage.torn) {
            let known = kept.iter().find(|(file, _)| *file == damage.file);
            let aside = if let Some((_, aside)) = known {
                aside.clone()
            } else {
                let aside = keep_aside(&damage.file)?;
                kept.push((damage.file.clone(), aside.clone()));
                aside
            };
            damage.kept_as = Some(aside);
        }
        Ok(())
    }
}
