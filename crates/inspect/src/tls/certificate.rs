//! What a server's certificate says, where it is in the clear: up to TLS 1.2.

use std::net::IpAddr;

use packet::{DomainName, Timestamp};
use x509_parser::{
    asn1_rs::Tag, certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time,
    x509::X509Name,
};

use super::records::{numbers, prefixed};

/// The type of the handshake message.
pub(super) const CERTIFICATE: u8 = 11;

/// The most bytes of a chain that are looked at; a longer one is not.
pub const MAX_CHAIN: usize = 64 * 1024;

/// A server's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafCertificate {
    /// The common name of its subject; empty where it has none.
    pub cn: Box<str>,
    /// The common name of its issuer; empty where it has none.
    pub issuer_cn: Box<str>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// The DNS names it is for, as they came; at most [`MAX_CHAIN`] bytes in all.
    pub dns_names: Box<[Box<str>]>,
    /// The addresses it is for.
    pub addresses: Box<[IpAddr]>,
    /// Its subject is its issuer.
    pub is_self_signed: bool,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CertificateFault {
    /// Its time is over.
    #[error("server certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("server certificate is not valid yet")]
    NotYetValid,
    /// Nobody vouches for it.
    #[error("server certificate is self-signed")]
    SelfSigned,
    /// Its issuer is not one that is trusted, or is not shown. Never a certificate's own fault: it takes roots to tell.
    #[error("server certificate's issuer is not trusted")]
    Untrusted,
    /// A revocation list names it or an issuer. Never a certificate's own fault, either.
    #[error("server certificate is revoked")]
    Revoked,
    /// It is not for the name that was asked for.
    #[error("server certificate is not for the server name that was asked for")]
    WrongName,
}

impl LeafCertificate {
    /// Reads a DER certificate (RFC 5280); `None` where it is none.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut dns_names: Vec<Box<str>> = Vec::new();
        let mut addresses = Vec::new();
        let names = certificate.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                dns_names.push((*name).into());
            } else if let GeneralName::IPAddress(bytes) = name {
                addresses.extend(address(bytes));
            }
        }
        Some(Self {
            cn: common_name(certificate.subject()),
            issuer_cn: common_name(certificate.issuer()),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            dns_names: dns_names.into(),
            addresses: addresses.into(),
            is_self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        })
    }

    /// What is wrong with it at this time, on its face; the graver first.
    pub fn fault(&self, now: Timestamp) -> Option<CertificateFault> {
        if now > self.not_after {
            Some(CertificateFault::Expired)
        } else if now < self.not_before {
            Some(CertificateFault::NotYetValid)
        } else {
            self.is_self_signed.then_some(CertificateFault::SelfSigned)
        }
    }

    /// Whether it is for this server (RFC 9525): one of its DNS names is the name, or stands for it with `*` as its
    /// whole first label. The common name counts only where there are no DNS names.
    pub fn covers(&self, name: &DomainName) -> bool {
        if self.dns_names.is_empty() {
            return matches(&self.cn, name);
        }
        self.dns_names.iter().any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &DomainName) -> bool {
    if let Some(parent) = pattern.strip_prefix("*.") {
        let Ok(parent) = parent.parse::<DomainName>() else {
            return false;
        };
        // One label more than the parent, which has two at least.
        return parent.labels().count() >= 2
            && name.labels().skip(1).count() == parent.labels().count()
            && name
                .labels()
                .skip(1)
                .zip(parent.labels())
                .all(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs));
    }
    pattern
        .parse::<DomainName>()
        .is_ok_and(|pattern| !pattern.is_root() && pattern == *name)
}

/// The common name, also where it breaks the rules of its own type, as `*` in a `PrintableString` does.
fn common_name(name: &X509Name<'_>) -> Box<str> {
    let Some(name) = name.iter_common_name().next() else {
        return Box::default();
    };
    if let Ok(text) = name.as_str() {
        return text.into();
    }
    text(name.as_slice(), name.attr_value().tag() == Tag::BmpString).into()
}

/// Bytes as UTF-16 where they are, else as UTF-8, else as Latin 1.
fn text(bytes: &[u8], wide: bool) -> String {
    if wide {
        return char::decode_utf16(numbers(bytes))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// Times before 1970 become 1970.
fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_secs(u64::try_from(time.timestamp()).unwrap_or_default())
}

/// The certificates of a TLS 1.2 `Certificate` message, the server's own first.
pub(super) fn chain(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = prefixed::<3>(body).map(|(list, _)| list).unwrap_or_default();
    std::iter::from_fn(move || {
        let (certificate, more) = prefixed::<3>(rest)?;
        rest = more;
        Some(certificate)
    })
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn names_are_read_in_whatever_letters_they_are_written() {
        assert_eq!(text(b"*.a.example", false), "*.a.example");
        assert_eq!(text("b\u{fc}cher".as_bytes(), false), "b\u{fc}cher");
        assert_eq!(text(b"b\xfccher", false), "b\u{fc}cher");
        assert_eq!(text(b"\0a\0b\xd8\0", true), "ab\u{fffd}");
    }
}
