//! A client, a firewall and a server in one process.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "helpers of tests, of which each file uses its part"
)]

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use cordon_decrypt::{
    Authority, Trust,
    tls::{Facts, Leg, Passage, Proxy, Relay, State, Tap, Terms},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
};
use time::OffsetDateTime;

/// In 2026.
pub const NOW: u64 = 1_790_000_000;
pub const NAME: &str = "www.example.org";
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

pub struct Root {
    pub issuer: Issuer<'static, KeyPair>,
    pub der: CertificateDer<'static>,
}

impl Root {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        let der = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            der,
        }
    }

    pub fn sign(&self, params: &CertificateParams, key: KeyPair) -> Site {
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Site::of(&certificate, &key)
    }
}

/// A server's certificate and key.
#[derive(Clone)]
pub struct Site {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl Site {
    pub fn of(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            chain: vec![certificate.der().clone()],
            key: Arc::new(PrivateKeyDer::try_from(key.serialize_der()).unwrap()),
        }
    }
}

pub fn leaf_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example Ltd");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(NOW - 86_400);
    params.not_after = at(NOW + 30 * 86_400);
    params
}

pub fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

#[derive(Debug)]
struct FixedTime;

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

/// The firewall and what is around it.
pub struct Lab {
    pub root: Root,
    pub authority: Authority,
    pub proxy: Arc<Proxy>,
    pub provider: Arc<CryptoProvider>,
}

impl Lab {
    pub fn new() -> Self {
        let root = Root::new("Root of the tests");
        Self::with(root, Vec::new())
    }

    pub fn with(root: Root, crls: Vec<rustls::pki_types::CertificateRevocationListDer<'static>>) -> Self {
        let authority = Authority::generate(NOW, "Test forward trust").unwrap();
        let (trust, warnings) = Trust::from_ders([root.der.clone()], crls);
        assert!(warnings.is_empty(), "{warnings:?}");
        Self {
            proxy: Arc::new(Proxy::new(authority.clone(), trust)),
            root,
            authority,
            provider: Arc::new(aws_lc_rs::default_provider()),
        }
    }

    pub fn good_site(&self) -> Site {
        self.root.sign(&leaf_params(NAME), KeyPair::generate().unwrap())
    }

    pub fn relay(&self, terms: Terms) -> Relay {
        Relay::open(&self.proxy, terms, ADDRESS, Duration::from_secs(NOW))
    }

    /// A client that trusts these certificates.
    pub fn client_config(&self, trusted: &str) -> ClientConfig {
        self.client_config_with(self.provider.as_ref().clone(), rustls::ALL_VERSIONS, trusted)
    }

    pub fn client_config_with(
        &self,
        provider: CryptoProvider,
        versions: &[&'static rustls::SupportedProtocolVersion],
        trusted: &str,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        ClientConfig::builder_with_details(Arc::new(provider), Arc::new(FixedTime))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub fn client(&self) -> ClientConnection {
        connect(&Arc::new(
            self.client_config(&self.authority.trust_certificate_pem()),
        ))
    }

    pub fn server_config(
        &self,
        site: &Site,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        self.server_config_with(self.provider.as_ref().clone(), site, versions)
    }

    pub fn server_config_with(
        &self,
        provider: CryptoProvider,
        site: &Site,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(site.chain.clone(), site.key.clone_key())
            .unwrap()
    }

    pub fn server(&self, site: &Site) -> ServerConnection {
        ServerConnection::new(Arc::new(self.server_config(site, rustls::ALL_VERSIONS))).unwrap()
    }
}

pub fn connect(config: &Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME).unwrap()).unwrap()
}

/// Counts, and does as it is told.
#[derive(Default)]
pub struct Witness {
    pub opened: usize,
    pub seen: Vec<(Leg, Vec<u8>)>,
    /// What goes on in place of anything of the client's, and back to it.
    pub replace: Option<(Vec<u8>, Vec<u8>)>,
    pub cut: bool,
    /// What goes on of the client's at its end.
    pub last_words: Vec<u8>,
    /// What the relay has not taken yet.
    pub from_client: Vec<u8>,
    pub from_server: Vec<u8>,
}

impl Tap for Witness {
    fn opened(&mut self, _: &Facts) {
        self.opened += 1;
    }

    fn plaintext(&mut self, leg: Leg, bytes: &[u8], onward: &mut Vec<u8>, back: &mut Vec<u8>) -> Passage {
        self.seen.push((leg, bytes.to_vec()));
        if self.cut {
            return Passage::Cut;
        }
        match &self.replace {
            Some((on, to_sender)) if leg == Leg::Client => {
                onward.extend_from_slice(on);
                back.extend_from_slice(to_sender);
                Passage::Replaced
            }
            _ => Passage::Pass,
        }
    }

    fn finished(&mut self, leg: Leg, onward: &mut Vec<u8>) {
        if leg == Leg::Client {
            onward.append(&mut self.last_words);
        }
    }
}

/// What became of a client and a server that were brought together.
pub struct Outcome {
    pub client: Result<(), rustls::Error>,
    pub server: Result<(), rustls::Error>,
}

/// Carries bytes, `segment` of them at most at a time, until nothing moves.
pub fn exchange(
    relay: &mut Relay,
    client: &mut ClientConnection,
    server: &mut ServerConnection,
    tap: &mut Witness,
    segment: usize,
) -> Outcome {
    let mut outcome = Outcome {
        client: Ok(()),
        server: Ok(()),
    };
    let mut from_client = std::mem::take(&mut tap.from_client);
    let mut from_server = std::mem::take(&mut tap.from_server);
    loop {
        let mut moved = false;
        while client.wants_write() {
            client.write_tls(&mut from_client).unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut from_server).unwrap();
        }
        for (leg, bytes) in [(Leg::Client, &mut from_client), (Leg::Server, &mut from_server)] {
            while !bytes.is_empty() {
                let piece = bytes.len().min(segment);
                let taken = relay.receive(leg, &bytes[..piece], tap);
                bytes.drain(..taken);
                if taken == 0 {
                    break;
                }
                moved = true;
            }
        }
        moved |= deliver(relay, Leg::Client, client, &mut outcome.client);
        moved |= deliver(relay, Leg::Server, server, &mut outcome.server);
        if !moved && !client.wants_write() && !server.wants_write() {
            (tap.from_client, tap.from_server) = (from_client, from_server);
            return outcome;
        }
    }
}

fn deliver<D: rustls::SideData>(
    relay: &mut Relay,
    leg: Leg,
    peer: &mut rustls::ConnectionCommon<D>,
    result: &mut Result<(), rustls::Error>,
) -> bool {
    let waiting = relay.outgoing(leg).to_vec();
    let mut rest = &waiting[..];
    while !rest.is_empty() && result.is_ok() {
        if peer.read_tls(&mut rest).unwrap_or(0) == 0 {
            break;
        }
        if let Err(error) = peer.process_new_packets() {
            *result = Err(error);
        }
    }
    let count = if result.is_ok() {
        waiting.len() - rest.len()
    } else {
        waiting.len()
    };
    relay.sent(leg, count);
    count > 0
}

pub fn say<D: rustls::SideData>(peer: &mut rustls::ConnectionCommon<D>, text: &[u8]) {
    peer.writer().write_all(text).unwrap();
}

pub fn heard<D: rustls::SideData>(peer: &mut rustls::ConnectionCommon<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A clean end, an open stream and a truncated one all end it.
    let _ignored: Result<usize, _> = peer.reader().read_to_end(&mut bytes);
    bytes
}

pub fn failure(relay: &Relay) -> cordon_decrypt::Failure {
    match relay.state() {
        State::Failed(failure) => failure.clone(),
        other @ (State::Handshaking | State::Open | State::Closed) => panic!("not failed: {other:?}"),
    }
}
