//! The roots that the system trusts: hundreds of files that change a few times a year, and take longer to read than
//! all else that a commit does.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use packet::Timestamp;

/// Where OpenSSL and all others are told to look for roots.
const FILE: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";
/// A file that was written less than this before it was read may have been written once more in the same tick of its
/// file system's clock, and look as it did before. 2 s is the coarsest in use.
const TICK: u64 = 2;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roots {
    /// Certificates, in DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// What could not be read.
    pub(crate) faults: Vec<String>,
}

/// Reads the system's roots, and reads them again only where a file of theirs is another one than before.
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed.
#[derive(Debug)]
pub struct SystemRoots {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
    last: Mutex<Option<(Files, Arc<Roots>)>>,
}

/// All files that roots are read from, as they stand in their folders.
type Files = BTreeMap<PathBuf, Option<State>>;

/// What tells a file from what it was; every change of it or its content moves the last of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    /// Of the file that a name leads to.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Whether a later change would show, at this second since 1970.
    fn settled(self, now: u64) -> bool {
        let changed = u64::try_from(self.changed.0).unwrap_or(u64::MAX);
        changed.saturating_add(TICK) < now
    }
}

impl Default for SystemRoots {
    /// Where this process is told to look, or else where this system keeps them.
    fn default() -> Self {
        let file = env::var_os(FILE).map(PathBuf::from);
        let directories: Vec<PathBuf> = env::var_os(DIRECTORIES)
            .iter()
            .flat_map(env::split_paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        if file.is_some() || !directories.is_empty() {
            return Self::at(file, directories);
        }
        let usual = openssl_probe::probe();
        Self::at(usual.cert_file, usual.cert_dir)
    }
}

impl SystemRoots {
    fn at(file: Option<PathBuf>, directories: Vec<PathBuf>) -> Self {
        Self {
            file,
            directories,
            last: Mutex::new(None),
        }
    }

    /// The roots as they are at `now`; the same value as long as they are the same.
    pub(crate) fn read(&self, now: Timestamp) -> Arc<Roots> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before they are read: what changes in between is found the next time.
        let files = self.files();
        if let Some((known, roots)) = &*last
            && *known == files
        {
            return Arc::clone(roots);
        }
        let roots = Arc::new(self.load());
        let now = now.as_nanos() / 1_000_000_000;
        let settled = files.values().flatten().all(|state| state.settled(now));
        *last = settled.then(|| (files, Arc::clone(&roots)));
        roots
    }

    fn files(&self) -> Files {
        let inside = self.directories.iter().flat_map(|directory| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        });
        // A directory itself changes when what is in it is named otherwise.
        let all = self.file.iter().chain(&self.directories).cloned().chain(inside);
        all.map(|path| {
            let state = State::of(&path);
            (path, state)
        })
        .collect()
    }

    fn load(&self) -> Roots {
        let mut roots = Roots::default();
        let mut add = |file, directory| {
            let found = rustls_native_certs::load_certs_from_paths(file, directory);
            let certificates = found.certs.iter().map(|root| root.to_vec());
            roots.certificates.extend(certificates);
            roots.faults.extend(found.errors.iter().map(ToString::to_string));
        };
        add(self.file.as_deref(), None);
        for directory in &self.directories {
            add(None, Some(directory));
        }
        roots.certificates.sort_unstable();
        roots.certificates.dedup();
        roots
    }
}

#[cfg(test)]
mod tests {
    use decrypt::Authority;

    use super::*;

    /// Certificates in PEM that nobody else has.
    fn certificate(name: &str) -> String {
        Authority::generate(1_800_000_000, name)
            .unwrap()
            .trust_certificate_pem()
    }

    /// When all that was written so far has settled.
    fn later() -> Timestamp {
        let newest = tempfile::NamedTempFile::new().unwrap();
        let written = u64::try_from(newest.as_file().metadata().unwrap().ctime()).unwrap();
        Timestamp::from_secs(written + TICK + 1)
    }

    #[test]
    fn files_that_are_the_same_are_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        fs::write(&path, certificate("a")).unwrap();
        let system = SystemRoots::at(None, vec![folder.path().to_owned()]);
        let first = system.read(later());
        assert!(!first.certificates.is_empty());
        assert!(Arc::ptr_eq(&first, &system.read(later())));
    }

    #[test]
    fn what_was_just_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        fs::write(&path, certificate("a")).unwrap();
        let system = SystemRoots::at(Some(path), Vec::new());
        let soon = Timestamp::from_secs(later().as_nanos() / 1_000_000_000 - 2);
        let first = system.read(soon);
        let second = system.read(soon);
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(first, second);
    }

    #[test]
    fn every_way_to_change_a_root_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("c.pem");
        fs::write(&target, certificate("c")).unwrap();
        fs::write(at("a.pem"), certificate("a")).unwrap();
        let system = SystemRoots::at(Some(target.clone()), vec![folder.path().to_owned()]);
        let mut before = system.read(later());
        let mut differs = |what: &str| {
            let now = system.read(later());
            assert_ne!(before, now, "{what}");
            before = now;
        };
        fs::write(at("b.pem"), certificate("b")).unwrap();
        differs("another file");
        fs::write(at("b.pem"), certificate("b")).unwrap();
        differs("another content");
        fs::write(at("new"), certificate("b")).unwrap();
        fs::rename(at("new"), at("b.pem")).unwrap();
        differs("put in its place");
        fs::remove_file(at("b.pem")).unwrap();
        differs("gone");
        let linked = elsewhere.path().join("d.pem");
        fs::write(&linked, certificate("d")).unwrap();
        std::os::unix::fs::symlink(&linked, at("d.pem")).unwrap();
        differs("a link");
        fs::write(&linked, certificate("d")).unwrap();
        differs("what the link leads to");
        fs::write(&target, "").unwrap();
        differs("the file outside is empty");
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let system = SystemRoots::at(Some(PathBuf::from("/nowhere/at/all")), Vec::new());
        let roots = system.read(later());
        assert!(roots.certificates.is_empty());
        assert_eq!(roots.faults.len(), 1);
    }
}
