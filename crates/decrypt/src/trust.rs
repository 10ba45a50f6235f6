//! Whom we believe: roots, revocation lists, and the verdict over an upstream chain.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

/// How the upstream chain stands, as PAN-OS's `chain_status` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChainStatus {
    /// No certificate was seen.
    #[default]
    Uninspected,
    /// It leads to a root of ours.
    Trusted,
    /// It does not: unknown issuer, self-signed, incomplete, or not to be read.
    Untrusted,
    /// It leads to a root of ours, but one of its dates does not hold.
    Expired,
    /// A revocation list names it.
    Revoked,
}

impl ChainStatus {
    /// As it stands in a decryption record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uninspected => "Uninspected",
            Self::Trusted => "Trusted",
            Self::Untrusted => "Untrusted",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }
}

/// Everything that is wrong with an upstream chain; nothing, where all is empty.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// A date of the chain does not hold.
    pub expired: Option<CertificateError>,
    /// The chain does not lead to a root, dates apart.
    pub untrusted: Option<CertificateError>,
    /// A revocation list names a certificate of the chain.
    pub revoked: bool,
    /// There are revocation lists, but none speaks of the chain.
    pub unknown: bool,
    /// The certificate is not for the name that was asked, or the address where none was.
    pub wrong_name: Option<CertificateError>,
    /// It has no alternative names, but its common name is that name. No present client takes that for an answer.
    pub right_common_name: bool,
}

impl Verdict {
    /// Whether the forward-trust authority may sign for it.
    pub fn is_trusted(&self) -> bool {
        self.untrusted.is_none() && !self.revoked
    }

    /// The gravest of it.
    pub fn status(&self) -> ChainStatus {
        if self.revoked {
            ChainStatus::Revoked
        } else if self.untrusted.is_some() {
            ChainStatus::Untrusted
        } else if self.expired.is_some() {
            ChainStatus::Expired
        } else {
            ChainStatus::Trusted
        }
    }
}

/// Roots and revocation lists.
#[derive(Clone)]
pub struct Trust {
    /// Absent without roots: nothing is trusted then.
    verifiers: Option<Verifiers>,
    roots: usize,
    crls: usize,
}

#[derive(Clone)]
struct Verifiers {
    /// Lets an unknown revocation status pass.
    lenient: Arc<WebPkiServerVerifier>,
    /// Does not. Absent where no revocation list is loaded: nothing is checked then.
    strict: Option<Arc<WebPkiServerVerifier>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trust")
            .field("roots", &self.roots)
            .field("crls", &self.crls)
            .finish_non_exhaustive()
    }
}

impl Trust {
    /// From PEM text: `CERTIFICATE` and `X509 CRL` blocks. What cannot be used is left out and said.
    pub fn from_pem(roots: &[u8], crls: &[u8]) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut read = |what: &str, error: &dyn fmt::Display| warnings.push(format!("{what}: {error}"));
        let roots: Vec<_> = CertificateDer::pem_slice_iter(roots)
            .filter_map(|root| root.inspect_err(|error| read("a root certificate", error)).ok())
            .collect();
        let crls: Vec<_> = CertificateRevocationListDer::pem_slice_iter(crls)
            .filter_map(|crl| crl.inspect_err(|error| read("a revocation list", error)).ok())
            .collect();
        let (trust, further) = Self::from_ders(roots, crls);
        warnings.extend(further);
        (trust, warnings)
    }

    /// From what the system's store gave, in DER, and from PEM text.
    pub fn from_parts(system: &[Vec<u8>], roots: &[u8], crls: &[u8]) -> (Self, Vec<String>) {
        let (mut certificates, mut lists, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        certificates.extend(system.iter().cloned().map(CertificateDer::from));
        for root in CertificateDer::pem_slice_iter(roots) {
            match root {
                Ok(root) => certificates.push(root),
                Err(error) => warnings.push(format!("a root certificate: {error}")),
            }
        }
        for list in CertificateRevocationListDer::pem_slice_iter(crls) {
            match list {
                Ok(list) => lists.push(list),
                Err(error) => warnings.push(format!("a revocation list: {error}")),
            }
        }
        let (trust, further) = Self::from_ders(certificates, lists);
        warnings.extend(further);
        (trust, warnings)
    }

    /// From DER, as the system's store gives it. What cannot be used is left out and said.
    pub fn from_ders(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
        crls: impl IntoIterator<Item = CertificateRevocationListDer<'static>>,
    ) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut store = RootCertStore::empty();
        for (at, root) in roots.into_iter().enumerate() {
            if let Err(error) = store.add(root) {
                warnings.push(format!("root certificate {}: {error}", at + 1));
            }
        }
        let roots = store.len();
        let store = Arc::new(store);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            || WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(&provider));
        if roots == 0 {
            warnings.push("no root certificate: every chain is untrusted".to_owned());
            let none = Self {
                verifiers: None,
                roots: 0,
                crls: 0,
            };
            return (none, warnings);
        }
        let mut usable = Vec::new();
        for (at, crl) in crls.into_iter().enumerate() {
            match builder().with_crls([crl.clone()]).build() {
                Ok(_) => usable.push(crl),
                Err(error) => warnings.push(format!("revocation list {}: {error}", at + 1)),
            }
        }
        let crls = usable.len();
        let lenient = builder()
            .with_crls(usable.clone())
            .allow_unknown_revocation_status()
            .build();
        let strict = (crls > 0)
            .then(|| builder().with_crls(usable).build())
            .transpose();
        let verifiers = match (lenient, strict) {
            (Ok(lenient), Ok(strict)) => Some(Verifiers { lenient, strict }),
            (Err(error), _) | (_, Err(error)) => {
                warnings.push(format!("roots and revocation lists: {error}"));
                None
            }
        };
        (
            Self {
                verifiers,
                roots,
                crls,
            },
            warnings,
        )
    }

    /// How many roots and revocation lists are in force.
    pub fn counts(&self) -> (usize, usize) {
        (self.roots, self.crls)
    }

    /// Judges a chain that passed in the clear: DER certificates, the server's own first; for the name asked for, or the
    /// address where none was; at a time and with a validity in seconds since 1970.
    pub fn judge_shown(
        &self,
        chain: &[Vec<u8>],
        name: Option<&str>,
        address: IpAddr,
        now: u64,
        validity: (u64, u64),
    ) -> Verdict {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(&**der)).collect();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let name = name.unwrap_or_else(|| ServerName::from(address));
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        match chain.split_first() {
            Some((leaf, intermediates)) => self.judge(leaf, intermediates, &name, now, validity),
            None => Verdict {
                untrusted: Some(CertificateError::BadEncoding),
                ..Verdict::default()
            },
        }
    }

    /// Judges a chain at a time. `validity` is the leaf's own, in seconds since 1970.
    pub fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        validity: (u64, u64),
    ) -> Verdict {
        let wrong_name = wrong_name(leaf, name);
        let mut verdict = Verdict {
            right_common_name: wrong_name.is_some() && is_for_by_common_name(leaf, name),
            wrong_name,
            ..Verdict::default()
        };
        let Some(verifiers) = &self.verifiers else {
            verdict.untrusted = Some(CertificateError::UnknownIssuer);
            return verdict;
        };
        let mut problem = chain_problem(&verifiers.lenient, leaf, intermediates, name, now);
        let mut at = now;
        if problem.as_ref().is_some_and(is_about_dates) {
            verdict.expired = problem;
            // What it was worth while it was valid: an expired leaf of a trusted issuer is not an untrusted one.
            let (from, until) = validity;
            let inside = now.as_secs().min(until.saturating_sub(1)).max(from);
            at = UnixTime::since_unix_epoch(Duration::from_secs(inside));
            problem = chain_problem(&verifiers.lenient, leaf, intermediates, name, at);
        }
        match problem {
            None => {
                verdict.unknown = verifiers.strict.as_ref().is_some_and(|strict| {
                    matches!(
                        chain_problem(strict, leaf, intermediates, name, at),
                        Some(CertificateError::UnknownRevocationStatus)
                    )
                });
            }
            Some(CertificateError::Revoked) => verdict.revoked = true,
            // An issuer's dates do not hold even then; the leaf's may.
            Some(error) if is_about_dates(&error) && verdict.expired.is_some() => {
                verdict.untrusted = Some(CertificateError::UnknownIssuer);
            }
            Some(error) => verdict.untrusted = Some(error),
        }
        verdict
    }
}

/// What is wrong with the chain; the name is looked at apart.
fn chain_problem(
    verifier: &WebPkiServerVerifier,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Option<CertificateError> {
    match verifier.verify_server_cert(leaf, intermediates, name, &[], now) {
        Ok(_)
        // The name is checked last: the chain stands.
        | Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => None,
        Err(Error::InvalidCertificate(error)) => Some(error),
        Err(_) => Some(CertificateError::BadEncoding),
    }
}

fn wrong_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Option<CertificateError> {
    let parsed = match ParsedCertificate::try_from(leaf) {
        Ok(parsed) => parsed,
        Err(Error::InvalidCertificate(error)) => return Some(error),
        Err(_) => return Some(CertificateError::BadEncoding),
    };
    match verify_server_name(&parsed, name) {
        Ok(()) => None,
        Err(Error::InvalidCertificate(error)) => Some(error),
        Err(_) => Some(CertificateError::NotValidForName),
    }
}

/// Whether a certificate without alternative names is for a name by its common name.
fn is_for_by_common_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(leaf) else {
        return false;
    };
    if !matches!(certificate.subject_alternative_name(), Ok(None)) {
        return false;
    }
    let common_name = certificate.subject().iter_common_name().next();
    let Some(common_name) = common_name.and_then(|attribute| attribute.as_str().ok()) else {
        return false;
    };
    let asked = name.to_str();
    let below = |host: &str| {
        let (label, rest) = asked.split_once('.')?;
        Some(!label.is_empty() && rest.eq_ignore_ascii_case(host))
    };
    match common_name.strip_prefix("*.") {
        Some(host) => matches!(name, ServerName::DnsName(_)) && below(host).unwrap_or(false),
        None => common_name.eq_ignore_ascii_case(&asked),
    }
}

fn is_about_dates(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}
