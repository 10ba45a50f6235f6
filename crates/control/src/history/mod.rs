//! Every configuration that was put in force, exactly as it was, so that any of them can return.
//!
//! `configs/NNNNNN.toml` is the configuration, `configs/NNNNNN.json` beside it says who, when and why. The first is
//! on the disk before the second is begun, and both appear whole or not at all: a commit exists from the moment
//! its JSON has its name. What fits together in neither length, number nor checksum is told and left alone.

mod commit;
mod damage;

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use packet::Timestamp;

use self::commit::Unreadable;
pub use self::{
    commit::{Commit, NewCommit, Unconfirmed},
    damage::{HistoryDamage, HistoryFault},
};
use crate::{
    load::{ConfigurationText, MAX_CONFIGURATION},
    state_directory::{sync_folder, write_whole},
    text_file,
};

/// The longest file that says something about a commit, in bytes: paths and comments are lines of a socket.
const MAX_COMMIT: u64 = 1 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// The newest so many.
    pub commits: usize,
    /// Bytes of all configurations together; the newest two are kept whatever they have.
    pub bytes: u64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            commits: 100,
            bytes: 256 << 20,
        }
    }
}

/// The committed configurations of a state directory. Whoever holds that directory owns it.
#[derive(Debug)]
pub struct History {
    folder: PathBuf,
    limits: HistoryLimits,
    /// Oldest first.
    commits: Vec<Commit>,
    /// The number of the next commit: above every number that a file has in its name, readable or not.
    next: u32,
}

impl History {
    /// Opens what is kept in the state directory `state`. Damage is no error: it is told, and the rest is there.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub fn open(state: &Path, limits: HistoryLimits) -> io::Result<(Self, Vec<HistoryDamage>)> {
        let folder = state.join("configs");
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            sync_folder(&folder)?;
        }
        let mut history = Self {
            folder,
            limits,
            commits: Vec::new(),
            next: 1,
        };
        let mut damage = Vec::new();
        for number in history.numbers()? {
            history.next = history.next.max(number.saturating_add(1));
            match history.read(number) {
                Ok((commit, _)) => history.commits.push(commit),
                Err(fault) => damage.push(HistoryDamage {
                    number,
                    file: history.file(number, fault.extension()),
                    fault,
                }),
            }
        }
        Ok((history, damage))
    }

    /// The commits that can return, oldest first.
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// The newest commit.
    pub fn newest(&self) -> Option<&Commit> {
        self.commits.last()
    }

    /// The commit with this number.
    pub fn get(&self, number: u32) -> Option<&Commit> {
        let at = self.commits.binary_search_by_key(&number, |commit| commit.number);
        self.commits.get(at.ok()?)
    }

    /// The commit `steps` before the one with the number `from`; 1 is the one just before it.
    pub fn before(&self, from: u32, steps: u32) -> Option<&Commit> {
        let steps = usize::try_from(steps).ok()?.checked_sub(1)?;
        let older = self.commits.iter().rev().filter(|commit| commit.number < from);
        older.into_iter().nth(steps)
    }

    /// The newest commit that needs no confirmation any more.
    pub fn newest_confirmed(&self) -> Option<&Commit> {
        self.commits
            .iter()
            .rev()
            .find(|commit| commit.unconfirmed.is_none())
    }

    /// The newest commit of exactly this configuration.
    pub fn newest_of(&self, configuration: &ConfigurationText) -> Option<&Commit> {
        let crc32 = crc32fast::hash(configuration.text.as_bytes());
        let length = u64::try_from(configuration.text.len()).unwrap_or(u64::MAX);
        self.commits.iter().rev().find(|commit| {
            (commit.crc32, commit.length, &commit.folder) == (crc32, length, &configuration.folder)
                && self
                    .read(commit.number)
                    .is_ok_and(|(_, text)| text == configuration.text)
        })
    }

    /// A commit's configuration, read and checked again. Findings name the file that keeps it.
    ///
    /// # Errors
    ///
    /// Where it was damaged or removed since.
    pub fn configuration(&self, number: u32) -> Result<ConfigurationText, HistoryDamage> {
        let damaged = |fault: HistoryFault| HistoryDamage {
            number,
            file: self.file(number, fault.extension()),
            fault,
        };
        let (commit, text) = self.read(number).map_err(damaged)?;
        Ok(ConfigurationText {
            name: self.file(number, "toml").to_string_lossy().into_owned(),
            folder: commit.folder,
            text,
        })
    }

    /// Keeps a configuration, on the disk when this returns, and gives it a number. The oldest make room.
    ///
    /// # Errors
    ///
    /// Where it could not be written: then it is not kept.
    pub fn append(&mut self, new: &NewCommit<'_>, configuration: &ConfigurationText) -> io::Result<u32> {
        let number = self.next;
        let text = configuration.text.as_bytes();
        let commit = Commit {
            number,
            time: to_micros(new.time),
            admin: new.admin.to_owned(),
            comment: new.comment.to_owned(),
            path: new.path.to_owned(),
            folder: configuration.folder.clone(),
            unconfirmed: new.unconfirmed.map(|Unconfirmed { deadline }| Unconfirmed {
                deadline: to_micros(deadline),
            }),
            length: u64::try_from(text.len()).unwrap_or(u64::MAX),
            crc32: crc32fast::hash(text),
        };
        let next = number
            .checked_add(1)
            .ok_or_else(|| io::Error::other("there is no number left"))?;
        let files = [self.file(number, "toml"), self.file(number, "json")];
        let [toml, json] = &files;
        let bytes = commit.encode()?;
        if let Err(error) = write_whole(toml, text).and_then(|()| write_whole(json, &bytes)) {
            // What cannot be removed is half of a commit, or has no fellow: the next one overwrites it.
            for file in files.iter().rev() {
                drop(fs::remove_file(file));
            }
            return Err(error);
        }
        self.next = next;
        self.commits.push(commit);
        self.prune();
        Ok(number)
    }

    /// Keeps the commit with this number for good.
    ///
    /// # Errors
    ///
    /// Where there is none, or it could not be written: then it stays unconfirmed.
    pub fn confirm(&mut self, number: u32) -> io::Result<()> {
        let path = self.file(number, "json");
        let commit = self.commits.iter_mut().find(|commit| commit.number == number);
        let commit = commit.ok_or(io::ErrorKind::NotFound)?;
        let confirmed = Commit {
            unconfirmed: None,
            ..commit.clone()
        };
        write_whole(&path, &confirmed.encode()?)?;
        *commit = confirmed;
        Ok(())
    }

    fn file(&self, number: u32, extension: &str) -> PathBuf {
        self.folder.join(format!("{number:06}.{extension}"))
    }

    /// All numbers that a file has in its name, in order.
    fn numbers(&self) -> io::Result<BTreeSet<u32>> {
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            numbers.extend(number_of(&entry?.path()));
        }
        Ok(numbers)
    }

    fn read(&self, number: u32) -> Result<(Commit, String), HistoryFault> {
        let [toml, json] = ["toml", "json"].map(|extension| self.file(number, extension));
        if !json.exists() {
            return Err(HistoryFault::HalfWritten);
        }
        let bytes = text_file::read_regular(&json, MAX_COMMIT)
            .map_err(|error| HistoryFault::Metadata(error.to_string()))?;
        let commit = Commit::decode(&bytes).map_err(|fault| match fault {
            Unreadable::Damaged => HistoryFault::Metadata("is damaged".to_owned()),
            Unreadable::Later(format) => HistoryFault::Later(format),
        })?;
        if commit.number != number {
            return Err(HistoryFault::Metadata("belongs to another commit".to_owned()));
        }
        let text = text_file::read_regular(&toml, MAX_CONFIGURATION)
            .map_err(|error| HistoryFault::Configuration(error.to_string()))?;
        if u64::try_from(text.len()).ok() != Some(commit.length) || crc32fast::hash(&text) != commit.crc32 {
            return Err(HistoryFault::Configuration("is damaged".to_owned()));
        }
        let text = String::from_utf8(text);
        let text = text.map_err(|_| HistoryFault::Configuration("is damaged".to_owned()))?;
        Ok((commit, text))
    }

    /// Removes what is older than the oldest that is kept, damaged files too.
    fn prune(&mut self) {
        let (mut kept, mut bytes) = (0_usize, 0_u64);
        for commit in self.commits.iter().rev() {
            bytes = bytes.saturating_add(commit.length);
            if kept >= self.limits.commits || (kept >= 2 && bytes > self.limits.bytes) {
                break;
            }
            kept = kept.saturating_add(1);
        }
        self.commits.drain(..self.commits.len().saturating_sub(kept));
        let oldest = self.commits.first().map_or(0, |commit| commit.number);
        // What cannot be read or removed now is removed after another commit.
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if number_of(&path).is_some_and(|number| number < oldest) {
                drop(fs::remove_file(&path));
            }
        }
    }
}

/// The number in a name such as `000012.toml`, or `000012.json.new` of one that was being written.
fn number_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let (digits, extension) = name.split_once('.')?;
    let ours = ["toml", "json", "toml.new", "json.new"].contains(&extension);
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (ours && plain).then(|| digits.parse().ok()).flatten()
}

/// To the precision that is written.
const fn to_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.as_nanos() / 1000 * 1000)
}

#[cfg(test)]
mod tests;
