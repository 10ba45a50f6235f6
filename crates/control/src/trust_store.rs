//! The roots that the forward proxy believes, and revocation lists, read from the system and from files.

use std::path::{Path, PathBuf};

use decrypt::Trust;
use policy::{DecryptionSettings, TrustedRoots};

use crate::text_file;

/// The longest file of roots or of revocations, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Where roots come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootSource {
    /// What the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed.
    System,
    /// A file in PEM.
    File(PathBuf),
}

/// Everything read, before it is made use of: two readings that are equal need no second proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    system: Vec<Vec<u8>>,
    roots: Vec<u8>,
    crls: Vec<u8>,
    faults: Vec<String>,
}

impl TrustFiles {
    /// Reads the roots and revocation lists that a configuration in `folder` names.
    pub fn named_by(settings: &DecryptionSettings, folder: &Path) -> Self {
        let roots: Vec<RootSource> = settings
            .trusted_roots
            .iter()
            .map(|source| match source {
                TrustedRoots::System => RootSource::System,
                TrustedRoots::File(file) => RootSource::File(folder.join(&**file)),
            })
            .collect();
        let crls: Vec<PathBuf> = settings.crls.iter().map(|file| folder.join(&**file)).collect();
        Self::read(&roots, crls.iter().map(PathBuf::as_path))
    }

    /// Reads roots and revocation lists. What cannot be read is left out and said.
    pub fn read<'a>(roots: &[RootSource], crls: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut files = Self::default();
        for root in roots {
            match root {
                RootSource::System => {
                    let found = rustls_native_certs::load_native_certs();
                    files.system.extend(found.certs.iter().map(|root| root.to_vec()));
                    files.faults.extend(found.errors.iter().map(ToString::to_string));
                }
                RootSource::File(path) => append(path, &mut files.roots, &mut files.faults),
            }
        }
        for path in crls {
            append(path, &mut files.crls, &mut files.faults);
        }
        files
    }

    /// What is trusted, and what was left out.
    pub fn trust(&self) -> (Trust, Vec<String>) {
        let (trust, warnings) = Trust::from_parts(&self.system, &self.roots, &self.crls);
        (trust, self.faults.iter().cloned().chain(warnings).collect())
    }
}

fn append(path: &Path, to: &mut Vec<u8>, faults: &mut Vec<String>) {
    match text_file::read_regular(path, MAX_FILE) {
        Ok(bytes) => {
            to.extend(bytes);
            to.push(b'\n');
        }
        Err(error) => faults.push(format!("{}: {error}", path.display())),
    }
}
