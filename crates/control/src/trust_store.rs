//! The roots that the forward proxy believes, and revocation lists, read from the system and from files.

use std::{path::Path, sync::Arc};

use decrypt::Trust;
use packet::Timestamp;
use policy::{DecryptionSettings, TrustedRoots};

use crate::{
    system_roots::{Roots, SystemRoots},
    text_file,
};

/// The longest file of roots or of revocations, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Everything read, before it is made use of: two readings that are equal need no second proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustFiles {
    /// Absent where the configuration does not name the system's.
    system: Option<Arc<Roots>>,
    roots: Vec<u8>,
    crls: Vec<u8>,
    faults: Vec<String>,
}

impl TrustFiles {
    /// Reads the roots and revocation lists that a configuration in `folder` names, as they are at `now`. What cannot be
    /// read is left out and said.
    pub fn named_by(
        settings: &DecryptionSettings,
        folder: &Path,
        system: &SystemRoots,
        now: Timestamp,
    ) -> Self {
        let mut files = Self::default();
        for source in &settings.trusted_roots {
            match source {
                TrustedRoots::System => files.system = Some(system.read(now)),
                TrustedRoots::File(file) => {
                    append(&folder.join(&**file), &mut files.roots, &mut files.faults);
                }
            }
        }
        for file in &settings.crls {
            append(&folder.join(&**file), &mut files.crls, &mut files.faults);
        }
        files
    }

    /// What is trusted, and what was left out.
    pub fn trust(&self) -> (Trust, Vec<String>) {
        let (system, unread) = match self.system.as_deref() {
            Some(system) => (system.certificates.as_slice(), system.faults.as_slice()),
            None => Default::default(),
        };
        let (trust, warnings) = Trust::from_parts(system, &self.roots, &self.crls);
        let faults = unread.iter().chain(&self.faults).cloned();
        (trust, faults.chain(warnings).collect())
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
