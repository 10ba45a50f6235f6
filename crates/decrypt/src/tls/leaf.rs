//! The upstream leaf, read, and its likeness, minted.

use std::net::IpAddr;

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use rustls::{
    pki_types::{CertificateDer, DnsName},
    sign::CertifiedKey,
};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    public_key::PublicKey,
    x509::{AttributeTypeAndValue, X509Name},
};

use crate::authority::{Authority, AuthorityError, KeyKind, random_serial};

/// Alternative names that are copied; a real certificate has a few hundred at most.
const NAMES: usize = 2048;
/// Characters of a common name that are kept for the records.
const COMMON_NAME: usize = 256;
/// id-ce-certificatePolicies (RFC 5280 §4.2.1.4).
const CERTIFICATE_POLICIES: [u64; 4] = [2, 5, 29, 32];
/// Bytes of certificate policies that are copied; texts for users can be of any length.
const POLICIES: usize = 1024;

/// How a leaf is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Likeness {
    /// No extensions but key usage, extended key usage and alternative names, without which no client would take it
    /// (PAN-OS: restrict-cert-exts).
    pub(crate) restricted: bool,
    /// The common name is made an alternative name where there is none (PAN-OS: auto-include-altname).
    pub(crate) named_by_common_name: bool,
}

/// What is taken over from the server's certificate.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) common_name: String,
    pub(crate) issuer_common_name: String,
    pub(crate) serial: String,
    /// First and last second, since 1970.
    pub(crate) validity: (u64, u64),
    /// Of an RSA key; 0 for others.
    pub(crate) rsa_bits: usize,
    pub(crate) self_signed: bool,
    params: CertificateParams,
}

impl Leaf {
    /// Reads a certificate; `None` where it is not one.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
        let rsa_bits = match certificate.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => key.key_size(),
            _ => 0,
        };
        Some(Self {
            common_name: common_name(certificate.subject()),
            issuer_common_name: common_name(certificate.issuer()),
            serial: certificate.raw_serial_as_string(),
            validity: (
                seconds(validity.not_before.timestamp()),
                seconds(validity.not_after.timestamp()),
            ),
            rsa_bits,
            self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            params: likeness(&certificate)?,
        })
    }

    /// A certificate with the same subject, names and dates, signed by ours: with its key, ready to serve.
    pub(crate) fn mint(
        &self,
        authority: &Authority,
        trusted: bool,
        kind: KeyKind,
        likeness: Likeness,
    ) -> Result<CertifiedKey, AuthorityError> {
        let ca = authority.ca(trusted, kind).ok_or(AuthorityError::KeyMissing)?;
        let key = authority.leaf_key(kind);
        let mut params = self.params.clone();
        params.serial_number = Some(random_serial()?);
        if likeness.restricted {
            params.is_ca = IsCa::NoCa;
            params.use_authority_key_identifier_extension = false;
            params.custom_extensions.clear();
        }
        if likeness.named_by_common_name && params.subject_alt_names.is_empty() {
            params
                .subject_alt_names
                .extend(as_alternative_name(&self.common_name));
        }
        params.key_usages = match kind {
            KeyKind::Ecdsa => vec![KeyUsagePurpose::DigitalSignature],
            KeyKind::Rsa => vec![
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::KeyEncipherment,
            ],
        };
        let certificate = params.signed_by(&key.pair, &ca.issuer)?;
        let chain = vec![certificate.der().clone(), ca.certificate.clone()];
        Ok(CertifiedKey::new(chain, key.signer.clone()))
    }
}

fn likeness(certificate: &X509Certificate<'_>) -> Option<CertificateParams> {
    let validity = certificate.validity();
    let date = |at: i64| OffsetDateTime::from_unix_timestamp(at).ok();
    let mut params = CertificateParams::default();
    params.not_before = date(validity.not_before.timestamp())?;
    params.not_after = date(validity.not_after.timestamp())?;
    params.distinguished_name = DistinguishedName::new();
    for attribute in certificate.subject().iter_attributes() {
        if let Some((kind, value)) = attribute_of(attribute) {
            params.distinguished_name.push(kind, value);
        }
    }
    if let Ok(Some(names)) = certificate.subject_alternative_name() {
        params.subject_alt_names = names
            .value
            .general_names
            .iter()
            .filter_map(alternative_name)
            .take(NAMES)
            .collect();
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Nothing else can be copied: it would speak of the server's issuer, its lists and its logs, not of ours.
    params.custom_extensions = certificate
        .iter_extensions()
        .filter(|extension| extension.value.len() <= POLICIES)
        .filter(|extension| {
            extension
                .oid
                .iter()
                .is_some_and(|oid| oid.eq(CERTIFICATE_POLICIES))
        })
        .map(|extension| CustomExtension::from_oid_content(&CERTIFICATE_POLICIES, extension.value.to_vec()))
        .collect();
    params.use_authority_key_identifier_extension = true;
    Some(params)
}

fn attribute_of(attribute: &AttributeTypeAndValue<'_>) -> Option<(DnType, String)> {
    let kind: Vec<u64> = attribute.attr_type().iter()?.collect();
    let value = attribute.as_str().ok()?;
    Some((DnType::from_oid(&kind), value.to_owned()))
}

fn alternative_name(name: &GeneralName<'_>) -> Option<SanType> {
    match name {
        GeneralName::DNSName(name) => Some(SanType::DnsName((*name).try_into().ok()?)),
        GeneralName::RFC822Name(name) => Some(SanType::Rfc822Name((*name).try_into().ok()?)),
        GeneralName::URI(name) => Some(SanType::URI((*name).try_into().ok()?)),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                16 => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
                _ => return None,
            };
            Some(SanType::IpAddress(address))
        }
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// A common name that is a host's, as an alternative name.
fn as_alternative_name(common_name: &str) -> Option<SanType> {
    match common_name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) if is_host_name(common_name) => Some(SanType::DnsName(common_name.try_into().ok()?)),
        Err(_) => None,
    }
}

/// Whether a text can be the name of a host, or of all below one (`*.`).
fn is_host_name(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    host.contains('.') && DnsName::try_from(host).is_ok()
}

fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name()
        .next()
        .and_then(|attribute| attribute.as_str().ok())
        .map(|name| name.chars().take(COMMON_NAME).collect())
        .unwrap_or_default()
}
