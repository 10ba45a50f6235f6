//! What all intercepted connections share: authorities, roots, minted certificates, sessions to resume.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest;
use rustls::{
    ClientConfig, Error, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs as provider},
    pki_types::{CertificateDer, UnixTime},
    server::NoServerSessionStorage,
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};

use super::{
    Ciphers, Terms, Version,
    leaf::{Leaf, Likeness},
    upstream::{Judge, NoClientCertificate, Strictness},
};
use crate::{
    authority::{Authority, AuthorityError, KeyKind},
    trust::Trust,
};

/// Parts of the cache of minted certificates, each behind a lock of its own.
const SHARDS: usize = 16;
/// Minted certificates in a part.
const MINTED_PER_SHARD: usize = 256;
/// Servers whose sessions are kept for resumption, for each combination of profile settings that is in use.
const UPSTREAM_SESSIONS: usize = 1024;
/// Session tickets given to a client after a full handshake.
const TICKETS: usize = 1;

/// Made at the start and at commits, and shared by all workers behind an `Arc`.
pub struct Proxy {
    authority: Authority,
    trust: Trust,
    /// By the ciphers a profile allows.
    providers: [Arc<CryptoProvider>; Ciphers::COUNT],
    clock: Arc<Clock>,
    /// By strictness, versions and ciphers, made when first used.
    clients: Vec<OnceLock<Result<Arc<ClientConfig>, Error>>>,
    minted: [Mutex<HashMap<[u8; 32], Minted>>; SHARDS],
    uses: AtomicU64,
    counters: Counters,
}

struct Minted {
    config: Arc<ServerConfig>,
    used: u64,
}

#[derive(Default)]
struct Counters {
    minted: AtomicU64,
    reused: AtomicU64,
    evicted: AtomicU64,
}

/// What the cache of minted certificates did, since the proxy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProxyCounters {
    /// Certificates minted.
    pub minted: u64,
    /// Connections served from the cache.
    pub reused: u64,
    /// Certificates that made room for others.
    pub evicted: u64,
}

/// The time as connections brought it: rustls asks for it, and nothing here may look at a clock.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            self.0.load(Ordering::Relaxed),
        )))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("authority", &self.authority)
            .field("trust", &self.trust)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy with nothing cached. The authority may be the last proxy's.
    pub fn new(authority: Authority, trust: Trust) -> Self {
        let count = Strictness::COUNT * Versions::ALL.len() * Ciphers::COUNT;
        Self {
            authority,
            trust,
            providers: Ciphers::providers(),
            clock: Arc::default(),
            clients: (0..count).map(|_| OnceLock::new()).collect(),
            minted: std::array::from_fn(|_| Mutex::default()),
            uses: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// The authorities it signs with.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What happened so far.
    pub fn counters(&self) -> ProxyCounters {
        ProxyCounters {
            minted: self.counters.minted.load(Ordering::Relaxed),
            reused: self.counters.reused.load(Ordering::Relaxed),
            evicted: self.counters.evicted.load(Ordering::Relaxed),
        }
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Time never goes back, whichever worker brings it.
    pub(super) fn set_time(&self, now: Duration) {
        self.clock.0.fetch_max(now.as_secs(), Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.clock.0.load(Ordering::Relaxed)))
    }

    /// How to speak to servers under these terms.
    pub(super) fn client_config(
        &self,
        terms: &Terms,
        versions: Versions,
    ) -> Result<Arc<ClientConfig>, Error> {
        let strictness = Strictness::of(terms);
        let index = strictness.index() * Versions::ALL.len() + versions as usize;
        let index = index * Ciphers::COUNT + terms.ciphers.index();
        let Some(slot) = self.clients.get(index) else {
            return Err(Error::General("no such configuration".to_owned()));
        };
        slot.get_or_init(|| self.make_client_config(strictness, versions, terms.ciphers))
            .clone()
    }

    fn provider(&self, ciphers: Ciphers) -> &Arc<CryptoProvider> {
        &self.providers[ciphers.index()]
    }

    fn make_client_config(
        &self,
        strictness: Strictness,
        versions: Versions,
        ciphers: Ciphers,
    ) -> Result<Arc<ClientConfig>, Error> {
        let provider = self.provider(ciphers);
        let judge = Judge {
            trust: self.trust.clone(),
            strictness,
            provider: Arc::clone(provider),
        };
        let time: Arc<dyn TimeProvider> = self.clock.clone();
        let mut config = ClientConfig::builder_with_details(Arc::clone(provider), time)
            .with_protocol_versions(versions.list())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge))
            .with_client_cert_resolver(Arc::new(NoClientCertificate));
        config.resumption = Resumption::in_memory_sessions(UPSTREAM_SESSIONS);
        Ok(Arc::new(config))
    }

    /// How to speak to a client for a server: from the cache, or minted now.
    pub(super) fn server_config(&self, wanted: &Wanted<'_>) -> Result<Arc<ServerConfig>, MintError> {
        let key = wanted.key();
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let shard = &self.minted[usize::from(key[0]) % SHARDS];
        if let Some(minted) = shard.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
            minted.used = now;
            self.counters.reused.fetch_add(1, Ordering::Relaxed);
            return Ok(Arc::clone(&minted.config));
        }
        let config = Arc::new(self.make_server_config(wanted)?);
        self.counters.minted.fetch_add(1, Ordering::Relaxed);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MINTED_PER_SHARD
            && let Some(oldest) = shard
                .iter()
                .min_by_key(|(_, minted)| minted.used)
                .map(|(key, _)| *key)
        {
            shard.remove(&oldest);
            self.counters.evicted.fetch_add(1, Ordering::Relaxed);
        }
        shard.insert(
            key,
            Minted {
                config: Arc::clone(&config),
                used: now,
            },
        );
        Ok(config)
    }

    fn make_server_config(&self, wanted: &Wanted<'_>) -> Result<ServerConfig, MintError> {
        let certified = wanted
            .leaf
            .mint(&self.authority, wanted.trusted, wanted.kind, wanted.likeness)?;
        let time: Arc<dyn TimeProvider> = self.clock.clone();
        let mut config = ServerConfig::builder_with_details(Arc::clone(self.provider(wanted.ciphers)), time)
            .with_protocol_versions(wanted.versions.list())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = wanted.alpn.map(<[u8]>::to_vec).into_iter().collect();
        // Tickets, with keys of this certificate alone: a client cannot carry a session past a change of verdict.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = provider::Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        Ok(config)
    }
}

/// Why no certificate could be minted.
#[derive(Debug, thiserror::Error)]
pub(super) enum MintError {
    #[error(transparent)]
    Certificate(#[from] AuthorityError),
    #[error(transparent)]
    Configuration(#[from] Error),
}

/// What a client is to be served with.
pub(super) struct Wanted<'a> {
    /// The name asked, or the address.
    pub(super) name: &'a str,
    pub(super) leaf: &'a Leaf,
    pub(super) der: &'a CertificateDer<'a>,
    pub(super) trusted: bool,
    pub(super) alpn: Option<&'a [u8]>,
    pub(super) kind: KeyKind,
    pub(super) versions: Versions,
    pub(super) ciphers: Ciphers,
    pub(super) likeness: Likeness,
}

impl Wanted<'_> {
    fn key(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let alpn = self.alpn.unwrap_or_default();
        context.update(&[
            u8::from(self.trusted),
            u8::from(self.kind == KeyKind::Rsa),
            self.versions as u8,
            u8::from(self.alpn.is_some()),
            u8::from(self.ciphers.aes_128_gcm),
            u8::from(self.ciphers.aes_256_gcm),
            u8::from(self.ciphers.chacha20_poly1305),
            u8::from(self.likeness.restricted),
            u8::from(self.likeness.named_by_common_name),
        ]);
        for part in [self.name.as_bytes(), alpn, self.der.as_ref()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

/// The versions that the profile and rustls have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    Both,
    Tls12,
    Tls13,
}

impl Versions {
    pub(super) const ALL: [Self; 3] = [Self::Both, Self::Tls12, Self::Tls13];

    /// `None` where there is none.
    pub(super) fn between(least: Version, most: Version) -> Option<Self> {
        let has = |version| least <= version && version <= most;
        match (has(Version::Tls12), has(Version::Tls13)) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Tls12),
            (false, true) => Some(Self::Tls13),
            (false, false) => None,
        }
    }

    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        static ONLY_TLS12: [&SupportedProtocolVersion; 1] = [&TLS12];
        static ONLY_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];
        match self {
            Self::Both => &BOTH,
            Self::Tls12 => &ONLY_TLS12,
            Self::Tls13 => &ONLY_TLS13,
        }
    }
}
