//! The folder of what outlives the process.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Why there is no state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process works in it.
    #[error("another cordon uses the state directory {}: stop it, or give --state another", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The state directory, for this process alone, until dropped.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    /// The system gives it back when the process ends, however it ends.
    _lock: File,
}

impl StateDirectory {
    /// Opens the directory, which is created where missing; nobody else may look into it (0700).
    ///
    /// # Errors
    ///
    /// Where another process uses it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            |error| StateError::Io { path, error }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(refused(path))?;
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(refused(path))?;
        let lock_path = path.join("lock");
        let lock = private_file()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(refused(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(refused(&lock_path)(error)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// How files of the state directory are opened: nobody else may read what is created.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Puts a file in place whole or not at all, on the disk when this returns.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = private_file()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        // Room on a full disk; what is left over is overwritten by the next.
        drop(fs::remove_file(&new));
        return Err(error);
    }
    sync_folder(path)
}

/// Makes the names in the folder of `path` last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Keeps a damaged file under another name beside it, which it returns; the file itself stays too.
pub(crate) fn keep_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".damaged-{number}"));
        let aside = path.with_file_name(name);
        match fs::hard_link(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number = number.saturating_add(1),
            // Not every file system has links.
            Err(_) => return fs::copy(path, &aside).map(|_| aside),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_private_and_for_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/state");
        let state = StateDirectory::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.path()), 0o700);
        assert!(matches!(StateDirectory::open(&path), Err(StateError::InUse(_))));
        drop(state);
        // Loose permissions are tightened.
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        drop(StateDirectory::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700);
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(
            StateDirectory::open(&folder.path().join("file")),
            Err(StateError::Io { .. })
        ));
    }

    #[test]
    fn files_are_whole_and_damaged_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_whole(&path, b"one").unwrap();
        let first = keep_aside(&path).unwrap();
        write_whole(&path, b"two").unwrap();
        let second = keep_aside(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read(first).unwrap(), b"one");
        assert_eq!(fs::read(second).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
