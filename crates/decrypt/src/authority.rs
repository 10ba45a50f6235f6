//! Our certification authorities: one that clients trust, one that they must not, and the keys of minted leaves.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ::aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SerialNumber,
};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    sign::SigningKey,
};
use time::{Duration, OffsetDateTime};

/// Ten years: an authority is renewed by hand.
const VALID_DAYS: i64 = 3650;
/// Before its making, for clients whose clock is behind.
const BACKDATED_DAYS: i64 = 2;
const BEGIN_OF_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const END_OF_CERTIFICATE: &str = "-----END CERTIFICATE-----";

/// The kind of key a client can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA over P-256: what every current client takes.
    Ecdsa,
    /// RSA of 2048 bits, for clients that offer no ECDSA.
    Rsa,
}

/// What is wrong with authorities that were read, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The PEM text holds no certificate, or one that is not readable.
    #[error("no readable CA certificate: {0}")]
    Certificate(String),
    /// The PEM text holds no key, or one that is not readable.
    #[error("no readable private key: {0}")]
    Key(String),
    /// A certificate without its key.
    #[error("a CA certificate has no private key beside it")]
    KeyMissing,
    /// The provider of cryptography refused.
    #[error("a key or a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// One authority as text: its certificates (ECDSA, RSA or both) and their keys, which belong into a file of mode 0600.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityPem {
    /// One or two `CERTIFICATE` blocks.
    pub certificates: String,
    /// As many `PRIVATE KEY` blocks (PKCS #8), in any order.
    pub keys: String,
}

impl fmt::Debug for AuthorityPem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AuthorityPem")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

/// The forward-trust and the forward-untrust authority and the keys of leaves (PAN-OS: forward-trust-certificate,
/// forward-untrust-certificate, each with an RSA and an ECDSA slot). Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    shared: Arc<Shared>,
}

struct Shared {
    trust: Slots,
    untrust: Slots,
    ecdsa_leaf: LeafKey,
    /// Made when first wanted, or by [`Authority::prepare`]: it takes a good part of a second.
    rsa_leaf: OnceLock<Option<LeafKey>>,
}

/// A CA certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaDescription {
    /// `forward-trust` or `forward-untrust`.
    pub purpose: &'static str,
    /// Its name.
    pub subject: String,
    /// `ECDSA` or `RSA`.
    pub key: &'static str,
    /// When it begins to be valid.
    pub not_before: String,
    /// When it ends.
    pub not_after: String,
    /// The fingerprint of the certificate, hexadecimal with colons.
    pub sha256: String,
}

/// One authority; at least one of its slots is filled.
struct Slots {
    ecdsa: Option<Ca>,
    rsa: Option<Ca>,
}

/// A CA certificate with its key.
pub(crate) struct Ca {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pem: String,
}

/// The key that all minted leaves of a kind share: a key of their own would buy nothing but time.
pub(crate) struct LeafKey {
    pub(crate) pair: KeyPair,
    pub(crate) signer: Arc<dyn SigningKey>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("trust", &self.trust_certificate_pem())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// New authorities named after `name` (`"NAME"` and `"NAME (untrusted)"`, RSA with ` RSA` behind), valid for ten
    /// years around `now`, in seconds since 1970.
    pub fn generate(now: u64, name: &str) -> Result<Self, AuthorityError> {
        let untrusted = format!("{name} (untrusted)");
        Self::with(Slots::generate(now, name)?, Slots::generate(now, &untrusted)?)
    }

    /// Authorities as [`Authority::to_pem`] wrote them, or an operator's own.
    pub fn from_pem(trust: &AuthorityPem, untrust: &AuthorityPem) -> Result<Self, AuthorityError> {
        Self::with(Slots::from_pem(trust)?, Slots::from_pem(untrust)?)
    }

    /// Forward-trust, then forward-untrust. The keys are in `keys` alone.
    pub fn to_pem(&self) -> (AuthorityPem, AuthorityPem) {
        (self.shared.trust.to_pem(), self.shared.untrust.to_pem())
    }

    /// What clients have to trust: the forward-trust certificates, one PEM block for each kind of key.
    pub fn trust_certificate_pem(&self) -> String {
        self.shared.trust.certificates()
    }

    /// What clients must not trust: the forward-untrust certificates.
    pub fn untrust_certificate_pem(&self) -> String {
        self.shared.untrust.certificates()
    }

    /// All certificates that sign, for people.
    pub fn describe(&self) -> Vec<CaDescription> {
        let sets = [
            ("forward-trust", &self.shared.trust),
            ("forward-untrust", &self.shared.untrust),
        ];
        let each = sets
            .into_iter()
            .flat_map(|(purpose, slots)| slots.each().map(move |ca| (purpose, ca)));
        each.filter_map(|(purpose, ca)| ca.describe(purpose)).collect()
    }

    fn with(trust: Slots, untrust: Slots) -> Result<Self, AuthorityError> {
        Ok(Self {
            shared: Arc::new(Shared {
                trust,
                untrust,
                ecdsa_leaf: LeafKey::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)?,
                rsa_leaf: OnceLock::new(),
            }),
        })
    }

    /// The authority that signs for this verdict and this kind of key; of the other kind where this one is absent.
    pub(crate) fn ca(&self, trusted: bool, kind: KeyKind) -> Option<&Ca> {
        let slots = if trusted {
            &self.shared.trust
        } else {
            &self.shared.untrust
        };
        match kind {
            KeyKind::Ecdsa => slots.ecdsa.as_ref().or(slots.rsa.as_ref()),
            KeyKind::Rsa => slots.rsa.as_ref().or(slots.ecdsa.as_ref()),
        }
    }

    /// The key of leaves of this kind; of the other kind, should an RSA key not have come about.
    pub(crate) fn leaf_key(&self, kind: KeyKind) -> &LeafKey {
        match kind {
            KeyKind::Ecdsa => &self.shared.ecdsa_leaf,
            KeyKind::Rsa => self.rsa_leaf().unwrap_or(&self.shared.ecdsa_leaf),
        }
    }

    /// Makes what takes long to make, beside the path of packets: the RSA key of leaves.
    pub fn prepare(&self) {
        self.rsa_leaf();
    }

    fn rsa_leaf(&self) -> Option<&LeafKey> {
        let made = self.shared.rsa_leaf.get_or_init(|| {
            let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).ok()?;
            LeafKey::new(pair).ok()
        });
        made.as_ref()
    }
}

impl Slots {
    fn generate(now: u64, name: &str) -> Result<Self, AuthorityError> {
        let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        Ok(Self {
            ecdsa: Some(Ca::generate(now, name, ecdsa)?),
            rsa: Some(Ca::generate(now, &format!("{name} RSA"), rsa)?),
        })
    }

    fn from_pem(pem: &AuthorityPem) -> Result<Self, AuthorityError> {
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(pem.keys.as_bytes())
            .map(|key| {
                let key = key.map_err(|error| AuthorityError::Key(error.to_string()))?;
                KeyPair::try_from(&PrivateKeyDer::Pkcs8(key))
                    .map_err(|error| AuthorityError::Key(error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut keys: Vec<Option<KeyPair>> = keys.into_iter().map(Some).collect();
        let mut slots = Self {
            ecdsa: None,
            rsa: None,
        };
        for block in pem.certificates.split_inclusive(END_OF_CERTIFICATE) {
            let Some(start) = block.find(BEGIN_OF_CERTIFICATE) else {
                continue;
            };
            let block = &block[start..];
            let certificate = CertificateDer::from_pem_slice(block.as_bytes())
                .map_err(|error| AuthorityError::Certificate(error.to_string()))?;
            let public = public_key_of(&certificate)?;
            let key = keys
                .iter_mut()
                .find(|key| key.as_ref().is_some_and(|key| key.public_key_raw() == public))
                .and_then(Option::take)
                .ok_or(AuthorityError::KeyMissing)?;
            let is_rsa = key.is_compatible(&PKCS_RSA_SHA256);
            let ca = Ca::read(certificate, format!("{block}\n"), key)?;
            *(if is_rsa { &mut slots.rsa } else { &mut slots.ecdsa }) = Some(ca);
        }
        if slots.ecdsa.is_none() && slots.rsa.is_none() {
            return Err(AuthorityError::Certificate("there is none".to_owned()));
        }
        Ok(slots)
    }

    fn each(&self) -> impl Iterator<Item = &Ca> {
        self.ecdsa.iter().chain(&self.rsa)
    }

    fn certificates(&self) -> String {
        self.each().map(|ca| ca.pem.as_str()).collect()
    }

    fn to_pem(&self) -> AuthorityPem {
        AuthorityPem {
            certificates: self.certificates(),
            keys: self.each().map(|ca| ca.issuer.key().serialize_pem()).collect(),
        }
    }
}

impl Ca {
    fn generate(now: u64, name: &str, key: KeyPair) -> Result<Self, AuthorityError> {
        let now = OffsetDateTime::from_unix_timestamp(now.cast_signed())
            .map_err(|_| AuthorityError::Certificate("the time is out of range".to_owned()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = now.saturating_sub(Duration::days(BACKDATED_DAYS));
        params.not_after = now.saturating_add(Duration::days(VALID_DAYS));
        params.serial_number = Some(random_serial()?);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    fn read(certificate: CertificateDer<'static>, pem: String, key: KeyPair) -> Result<Self, AuthorityError> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| AuthorityError::Certificate(error.to_string()))?;
        Ok(Self {
            issuer,
            certificate,
            pem,
        })
    }
}

impl Ca {
    fn describe(&self, purpose: &'static str) -> Option<CaDescription> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&self.certificate).ok()?;
        let digest = digest::digest(&digest::SHA256, &self.certificate);
        let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let rsa = self.issuer.key().is_compatible(&PKCS_RSA_SHA256);
        Some(CaDescription {
            purpose,
            subject: parsed.subject().to_string(),
            key: if rsa { "RSA" } else { "ECDSA" },
            not_before: parsed.validity().not_before.to_string(),
            not_after: parsed.validity().not_after.to_string(),
            sha256: pairs.join(":"),
        })
    }
}

impl LeafKey {
    fn new(pair: KeyPair) -> Result<Self, AuthorityError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let signer = aws_lc_rs::sign::any_supported_type(&der)
            .map_err(|error| AuthorityError::Key(error.to_string()))?;
        Ok(Self { pair, signer })
    }
}

/// A serial number nobody else of this authority has: clients refuse two certificates of one issuer and serial.
pub(crate) fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| AuthorityError::Key("no randomness".to_owned()))?;
    // Positive, and never shortened by leading zeros (RFC 5280 §4.1.2.2).
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn public_key_of(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, AuthorityError> {
    x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| parsed.public_key().subject_public_key.data.to_vec())
        .map_err(|error| AuthorityError::Certificate(error.to_string()))
}
