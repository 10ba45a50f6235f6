//! What TLS is opened with in this process: authorities from the state directory, trust from the system and from files.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use control::{CaError, CaStore, TrustFiles};
use decrypt::{Authority, Trust, tls::Proxy};
use engine::{Decrypting, DecryptionPause, ExclusionCache, Ruleset};
use logs::AddressNames;
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
    /// What outlives every configuration too: which names were seen to lead where.
    names: Arc<AddressNames>,
    pub(super) excluded: Arc<ExclusionCache>,
}

#[derive(Debug)]
struct Made {
    certificates: String,
    files: TrustFiles,
    proxy: Arc<Proxy>,
    trust: Trust,
}

impl Decryption {
    /// That of the state directory; its authorities are made on the first start. The forwarder notes in `names` what it
    /// learns of them.
    pub(super) fn open(state: &Path, now: Timestamp, names: Arc<AddressNames>) -> Result<Self, CaError> {
        let store = CaStore::new(state);
        let authority = store.open(seconds(now))?;
        Ok(Self {
            store,
            authority: Mutex::new(authority),
            made: Mutex::new(None),
            pause: Arc::default(),
            names,
            excluded: Arc::default(),
        })
    }

    /// The rules of a configuration that trusts these, with what TLS is opened with. Minted certificates and sessions to
    /// be resumed are kept where nothing has changed. Authorities that cannot be read any more stay in use.
    pub(super) fn equip(&self, ruleset: Ruleset, files: TrustFiles, now: Timestamp) -> Ruleset {
        let (decrypting, trust) = self.with(files, now);
        ruleset
            .decrypting(decrypting)
            .trusting(trust)
            .knowing(Arc::clone(&self.names))
    }

    fn with(&self, files: TrustFiles, now: Timestamp) -> (Decrypting, Trust) {
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
        let (proxy, trust) = if let Some(made) = same {
            (Arc::clone(&made.proxy), made.trust.clone())
        } else {
            let (proxy, trust) = make(authority, &files);
            *made = Some(Made {
                certificates,
                files,
                proxy: Arc::clone(&proxy),
                trust: trust.clone(),
            });
            (proxy, trust)
        };
        let decrypting = Decrypting {
            proxy,
            summing: Summing::Unfinished,
            pause: Arc::clone(&self.pause),
            excluded: Arc::clone(&self.excluded),
        };
        (decrypting, trust)
    }
}

fn make(authority: Authority, files: &TrustFiles) -> (Arc<Proxy>, Trust) {
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
    (Arc::new(Proxy::new(authority, trust.clone())), trust)
}

fn seconds(now: Timestamp) -> u64 {
    now.as_nanos() / 1_000_000_000
}
