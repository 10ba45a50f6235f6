//! Who vouches for whom: a root that the firewall trusts, one that it does not, and servers of both.

use std::{sync::Arc, time::Duration};

use decrypt::{Authority, Trust, tls::Proxy};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
    time_provider::TimeProvider,
};
use time::OffsetDateTime;

/// When all stories begin, in seconds since 1970.
pub(crate) const NOW: u64 = 1_790_000_000;
const DAY: u64 = 86_400;

/// What the server of a story shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Good,
    Expired,
    /// Signed by a root that the firewall does not know.
    UnknownIssuer,
    SelfSigned,
    /// Speaks TLS 1.2 only.
    Tls12,
    /// Wants a certificate of the client.
    ClientCertificate,
}

#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

struct Root {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
}

impl Root {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            der,
        }
    }
}

/// Roots, the firewall's authorities, and what the ends are configured with.
pub(crate) struct Certificates {
    known: Root,
    unknown: Root,
    authority: Authority,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let known = Root::new("a root that is known");
        let authority = Authority::generate(NOW, "Stories").unwrap();
        let (trust, warnings) = Trust::from_ders([known.der.clone()], Vec::new());
        assert!(warnings.is_empty(), "{warnings:?}");
        Self {
            proxy: Arc::new(Proxy::new(authority.clone(), trust.clone())),
            trust,
            unknown: Root::new("a root that is not"),
            known,
            authority,
            provider: Arc::new(aws_lc_rs::default_provider()),
        }
    }

    /// A client of these versions. `pinned`: it trusts the servers' own roots, and not the firewall.
    pub(crate) fn client(
        &self,
        pinned: bool,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.known.der.clone()).unwrap();
        if !pinned {
            let pem = self.authority.trust_certificate_pem();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.unwrap()).unwrap();
            }
        }
        ClientConfig::builder_with_details(Arc::clone(&self.provider), Arc::new(Clock))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) fn server(&self, site: Site, name: &str) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = at(NOW - 90 * DAY);
        params.not_after = at(if site == Site::Expired {
            NOW - DAY
        } else {
            NOW + 90 * DAY
        });
        let root = if site == Site::UnknownIssuer {
            &self.unknown
        } else {
            &self.known
        };
        let key = KeyPair::generate().unwrap();
        let certificate = if site == Site::SelfSigned {
            params.self_signed(&key).unwrap()
        } else {
            params.signed_by(&key, &root.issuer).unwrap()
        };
        let chain = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let versions: &[_] = if site == Site::Tls12 {
            &[&rustls::version::TLS12]
        } else {
            rustls::ALL_VERSIONS
        };
        let builder = ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::new(Clock))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if site == Site::ClientCertificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.known.der.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        builder.with_single_cert(chain, key).unwrap()
    }
}

fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}
