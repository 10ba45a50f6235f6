//! The forward proxy's authorities in the state directory: made once, kept until somebody rotates them.
//!
//! `ca/forward-trust.pem` and `ca/forward-untrust.pem` hold certificates and keys together, so that one rename puts an
//! authority in place whole. An operator's own may take their place.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use decrypt::{Authority, AuthorityError, AuthorityPem};

use crate::state_directory::write_whole;

/// What clients find as the issuer of minted certificates.
const NAME: &str = "cordon forward-trust CA";

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file holds no authority.
    #[error("{}: {error}; put it right, or move it away and have cordon make a new one, which clients must then trust", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: AuthorityError,
    },
    /// None are there.
    #[error("{}: no CA yet: `cordon run` makes one on its first start, `cordon ca rotate` at once", .0.display())]
    Absent(PathBuf),
    /// New ones could not be made.
    #[error("a CA cannot be made: {0}")]
    Make(AuthorityError),
}

/// The authorities in one state directory.
#[derive(Debug)]
pub struct CaStore {
    folder: PathBuf,
    /// What was read last, with its files' text: reading the same again costs nothing.
    last: Mutex<Option<([AuthorityPem; 2], Authority)>>,
}

impl CaStore {
    /// Those of the state directory at `state`.
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join("ca"),
            last: Mutex::new(None),
        }
    }

    /// Reads them; makes them where there are none. `now`: seconds since 1970.
    ///
    /// # Errors
    ///
    /// Where the files cannot be read or written, or hold something else. What is there is never replaced.
    pub fn open(&self, now: u64) -> Result<Authority, CaError> {
        match self.read() {
            Err(CaError::Absent(_)) => self.make(now),
            read => read,
        }
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// As [`CaStore::open`], and where there are none.
    pub fn read(&self) -> Result<Authority, CaError> {
        let trust = self.file("forward-trust")?;
        let untrust = self.file("forward-untrust")?;
        match (trust, untrust) {
            (Some(trust), Some(untrust)) => {
                let files = [trust, untrust];
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((known, authority)) = &*last
                    && *known == files
                {
                    return Ok(authority.clone());
                }
                let [trust, untrust] = &files;
                let authority = Authority::from_pem(trust, untrust).map_err(|error| CaError::Damaged {
                    path: self.folder.clone(),
                    error,
                })?;
                *last = Some((files, authority.clone()));
                Ok(authority)
            }
            // Only one: a first start was cut off between the two, and nobody trusts the first yet.
            (None, _) | (Some(_), None) => Err(CaError::Absent(self.folder.clone())),
        }
    }

    /// Makes new ones; those that are there are kept beside, with `.old` behind their names.
    ///
    /// # Errors
    ///
    /// Where they cannot be made or written.
    pub fn rotate(&self, now: u64) -> Result<Authority, CaError> {
        for name in ["forward-trust", "forward-untrust"] {
            let path = self.path(name);
            let old = path.with_extension("pem.old");
            match fs::copy(&path, &old) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CaError::Io { path: old, error }),
            }
        }
        self.make(now)
    }

    fn make(&self, now: u64) -> Result<Authority, CaError> {
        let authority = Authority::generate(now, NAME).map_err(CaError::Make)?;
        let (trust, untrust) = authority.to_pem();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| CaError::Io {
                path: self.folder.clone(),
                error,
            })?;
        for (name, pem) in [("forward-trust", trust), ("forward-untrust", untrust)] {
            let path = self.path(name);
            let text = format!("{}{}", pem.certificates, pem.keys);
            write_whole(&path, text.as_bytes()).map_err(|error| CaError::Io { path, error })?;
        }
        Ok(authority)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    /// Certificates and keys of one file; `None` where there is none.
    fn file(&self, name: &str) -> Result<Option<AuthorityPem>, CaError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(AuthorityPem {
                certificates: text.clone(),
                keys: text,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CaError::Io { path, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn authorities_are_made_once_for_nobody_else_to_read() {
        let state = tempfile::tempdir().unwrap();
        let store = CaStore::new(state.path());
        assert!(matches!(store.read(), Err(CaError::Absent(_))));
        let made = store.open(NOW).unwrap().trust_certificate_pem();
        assert_eq!(store.open(NOW + 1).unwrap().trust_certificate_pem(), made);
        for name in ["forward-trust.pem", "forward-untrust.pem"] {
            let mode = fs::metadata(state.path().join("ca").join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let folder = fs::metadata(state.path().join("ca"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(folder & 0o777, 0o700);
    }

    #[test]
    fn rotating_keeps_the_old_ones_beside() {
        let state = tempfile::tempdir().unwrap();
        let store = CaStore::new(state.path());
        let old = store.open(NOW).unwrap().trust_certificate_pem();
        let new = store.rotate(NOW).unwrap().trust_certificate_pem();
        assert_ne!(old, new);
        assert_eq!(store.read().unwrap().trust_certificate_pem(), new);
        let kept = fs::read_to_string(state.path().join("ca/forward-trust.pem.old")).unwrap();
        assert!(kept.starts_with(&old));
    }

    #[test]
    fn what_is_damaged_is_told_and_not_replaced() {
        let state = tempfile::tempdir().unwrap();
        let store = CaStore::new(state.path());
        store.open(NOW).unwrap();
        let path = state.path().join("ca/forward-trust.pem");
        let text = fs::read_to_string(&path).unwrap();
        let cut = &text[..text.len() / 2];
        fs::write(&path, cut).unwrap();
        assert!(matches!(store.open(NOW), Err(CaError::Damaged { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), cut);
    }
}
