//! The socket files: made with their permissions, replaced where stale, refused where in use.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::{
        fs::{
            DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
        },
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use super::{CONTROL_SOCKET, socket_for};
use crate::Privilege;

/// Who may connect to the stats socket: its owner and its group.
const STATS_MODE: u32 = 0o660;
/// Who may connect to the control socket: its owner.
const CONTROL_MODE: u32 = 0o600;

/// Why there are no sockets.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The path belongs to a living process.
    #[error("another cordon runs on {}: stop it, or give --socket another folder", .0.display())]
    InUse(PathBuf),
    /// Something else lies there, which is not ours to delete.
    #[error("{} is no socket: move it away, or give --socket another path", .0.display())]
    NotASocket(PathBuf),
    /// The path cannot be that of the stats socket.
    #[error("{}: the stats socket needs a file name other than {CONTROL_SOCKET}, which lies beside it", .0.display())]
    Name(PathBuf),
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    |error| BindError::Io { path, error }
}

/// Both sockets, listening. Clients that connect before [`Sockets::serve`] wait. The files are removed when
/// this, or the server made of it, is dropped.
#[derive(Debug)]
pub struct Sockets {
    /// Of the stats socket.
    pub(super) path: PathBuf,
    pub(super) stats: UnixListener,
    pub(super) control: UnixListener,
    pub(super) files: SocketFiles,
}

/// The files of both sockets, while this process owns them.
#[derive(Debug)]
pub(super) struct SocketFiles {
    /// Each with its inode, by which it is known again.
    sockets: Vec<(PathBuf, u64)>,
    lock: (PathBuf, File),
}

impl Sockets {
    /// Listens at `stats` and beside it. The folder is created where missing. Whoever holds the lock of a
    /// folder owns the sockets in it, so that what a killed process left is known to be stale.
    ///
    /// # Errors
    ///
    /// Where another process answers there, or the system refuses.
    pub fn bind(stats: &Path) -> Result<Self, BindError> {
        match stats.file_name() {
            Some(name) if name != CONTROL_SOCKET => {}
            _ => return Err(BindError::Name(stats.to_owned())),
        }
        let control = socket_for(stats, Privilege::Write);
        let folder = match stats.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(io_error(folder))?;
        let lock_path = control.with_extension("lock");
        let lock = lock(&lock_path, stats)?;
        let mut files = SocketFiles {
            sockets: Vec::new(),
            lock: (lock_path, lock),
        };
        let control_listener = files.listen(&control, folder, CONTROL_MODE)?;
        let stats_listener = files.listen(stats, folder, STATS_MODE)?;
        Ok(Self {
            path: stats.to_owned(),
            stats: stats_listener,
            control: control_listener,
            files,
        })
    }
}

/// Takes the lock of a folder's sockets; the system gives it back when the process ends, however it ends.
fn lock(path: &Path, stats: &Path) -> Result<File, BindError> {
    loop {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(io_error(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BindError::InUse(stats.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io_error(path)(error)),
        }
        // Its owner may have removed it between the two steps; then the name is another file's by now.
        let ours = file.metadata().map_err(io_error(path))?.ino();
        if fs::metadata(path).is_ok_and(|named| named.ino() == ours) {
            return Ok(file);
        }
    }
}

impl SocketFiles {
    /// A socket appears with its permissions or not at all: it is made where nobody else looks, then moved.
    fn listen(&mut self, path: &Path, folder: &Path, mode: u32) -> Result<UnixListener, BindError> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(BindError::NotASocket(path.to_owned()));
            }
            Ok(_) | Err(_) => {}
        }
        let hidden = Hidden::create(folder)?;
        let made = hidden.0.join("s");
        let listener = UnixListener::bind(&made).map_err(io_error(path))?;
        fs::set_permissions(&made, Permissions::from_mode(mode)).map_err(io_error(path))?;
        let inode = fs::symlink_metadata(&made).map_err(io_error(path))?.ino();
        fs::rename(&made, path).map_err(io_error(path))?;
        self.sockets.push((path.to_owned(), inode));
        Ok(listener)
    }
}

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for (path, inode) in &self.sockets {
            if fs::symlink_metadata(path).is_ok_and(|found| found.ino() == *inode) {
                // What cannot be removed is stale for the next one.
                drop(fs::remove_file(path));
            }
        }
        // Removed while it is held, so that whoever waits for it sees that the name is gone.
        drop(fs::remove_file(&self.lock.0));
    }
}

/// A folder that only this user can look into; removed again.
struct Hidden(PathBuf);

impl Hidden {
    fn create(folder: &Path) -> Result<Self, BindError> {
        let path = folder.join(format!(".cordon-{}", std::process::id()));
        // A killed process of the same number may have left it.
        drop(fs::remove_dir_all(&path));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(io_error(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
