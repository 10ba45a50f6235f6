//! What TLS is opened with in this process: authorities from the state directory, trust from the system and from files.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use control::{CaError, CaStore, TrustFiles};
use decrypt::{Authority, tls::Proxy};
use engine::{Decrypting, DecryptionPause};
use packet::{Timestamp, build::Summing};
use tracing::{info, warn};

/// The proxy of this process; the same one as long as nothing it was made of has changed.
#[derive(Debug)]
pub(super) struct Decryption {
    store: CaStore,
    /// As last read.
    authority: Mutex<Authority>,
    made: Mutex<Option<Made>>,
    pub(super) pause: Arc<DecryptionPause>,
}

#[derive(Debug)]
struct Made {
    certificates: String,
    files: TrustFiles,
    proxy: Arc<Proxy>,
}

impl Decryption {
    /// That of the state directory; its authorities are made on the first start.
    pub(super) fn open(state: &Path, now: Timestamp) -> Result<Self, CaError> {
        let store = CaStore::new(state);
        let authority = store.open(seconds(now))?;
        Ok(Self {
            store,
            authority: Mutex::new(authority),
            made: Mutex::new(None),
            pause: Arc::default(),
        })
    }

    /// What TLS is opened with under a configuration that trusts these. Minted certificates and sessions to be resumed
    /// are kept where nothing has changed. Authorities that cannot be read any more stay in use.
    pub(super) fn with(&self, files: TrustFiles, now: Timestamp) -> Decrypting {
        let authority = {
            let mut last = self.authority.lock().unwrap_or_else(PoisonError::into_inner);
            match self.store.open(seconds(now)) {
                Ok(authority) => *last = authority,
                Err(fault) => {
                    warn!(%fault, "the forward proxy's authorities stay those that were read before");
                }
            }
            last.clone()
        };
        let certificates = authority.trust_certificate_pem();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let same = made
            .as_ref()
            .filter(|made| made.files == files && made.certificates == certificates);
        let proxy = if let Some(made) = same {
            Arc::clone(&made.proxy)
        } else {
            let proxy = make(authority, &files);
            *made = Some(Made {
                certificates,
                files,
                proxy: Arc::clone(&proxy),
            });
            proxy
        };
        Decrypting {
            proxy,
            summing: Summing::Unfinished,
            pause: Arc::clone(&self.pause),
        }
    }
}

fn make(authority: Authority, files: &TrustFiles) -> Arc<Proxy> {
    let (trust, faults) = files.trust();
    for fault in faults {
        warn!(%fault, "trusted roots");
    }
    let preparing = authority.clone();
    let thread = thread::Builder::new().name("rsa-key".to_owned());
    if let Err(fault) = thread.spawn(move || preparing.prepare()) {
        warn!(%fault, "the key for clients that speak RSA only is made when the first of them comes");
    }
    let (roots, revocations) = trust.counts();
    info!(roots, revocations, "forward proxy");
    Arc::new(Proxy::new(authority, trust))
}

fn seconds(now: Timestamp) -> u64 {
    now.as_nanos() / 1_000_000_000
}
