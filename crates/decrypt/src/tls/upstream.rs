//! How the server's certificate is judged within the handshake, and what is learned on the way.
//!
//! Resumption wants one verifier for many connections, so what one connection learns cannot lie in the verifier.
//! rustls calls it on the thread that feeds the connection: it leaves its findings with that thread.

use std::{cell::RefCell, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::{Terms, leaf::Leaf};
use crate::trust::{Trust, Verdict};

thread_local! {
    static FINDINGS: RefCell<Findings> = const { RefCell::new(Findings::new()) };
}

/// What was seen while a connection was fed.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) certificate_requested: bool,
    pub(super) judged: Option<(Box<Leaf>, Verdict)>,
}

impl Findings {
    const fn new() -> Self {
        Self {
            certificate_requested: false,
            judged: None,
        }
    }

    /// Takes what this thread's connection left; to be called before and after feeding it.
    pub(super) fn take() -> Self {
        FINDINGS.replace(Self::new())
    }
}

/// Which problems of a certificate end the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the profile's switches")]
pub(super) struct Strictness {
    expired: bool,
    untrusted: bool,
    unknown: bool,
    wrong_name: bool,
    cipher: bool,
    /// A common name is as good as an alternative name: it will be shown as one.
    common_name: bool,
}

impl Strictness {
    /// Distinct values of [`Strictness::index`].
    pub(super) const COUNT: usize = 64;

    pub(super) fn of(terms: &Terms) -> Self {
        Self {
            expired: terms.block_expired_certificate,
            untrusted: terms.block_untrusted_issuer,
            unknown: terms.block_unknown_cert,
            wrong_name: terms.block_if_sni_mismatch,
            cipher: terms.block_unsupported_cipher,
            common_name: terms.auto_include_altname,
        }
    }

    pub(super) fn index(self) -> usize {
        [
            self.expired,
            self.untrusted,
            self.unknown,
            self.wrong_name,
            self.cipher,
            self.common_name,
        ]
        .iter()
        .fold(0, |index, &bit| index << 1 | usize::from(bit))
    }

    /// The problem that ends it, if one does.
    pub(super) fn objection(self, verdict: &Verdict) -> Option<CertificateError> {
        let unsupported = matches!(
            verdict.untrusted,
            Some(
                CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                    | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
            )
        );
        if verdict.revoked {
            return Some(CertificateError::Revoked);
        }
        let expired = verdict.expired.as_ref().filter(|_| self.expired);
        let untrusted = verdict
            .untrusted
            .as_ref()
            .filter(|_| self.untrusted || (unsupported && self.cipher));
        let is_right_name = self.common_name && verdict.right_common_name;
        let wrong_name = verdict
            .wrong_name
            .as_ref()
            .filter(|_| self.wrong_name && !is_right_name);
        expired
            .or(untrusted)
            .cloned()
            .or_else(|| {
                (verdict.unknown && self.unknown).then_some(CertificateError::UnknownRevocationStatus)
            })
            .or_else(|| wrong_name.cloned())
    }
}

/// Judges chains by [`Trust`] and lets pass what the profile does not block. Signatures always count.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) trust: Trust,
    pub(super) strictness: Strictness,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(leaf) = Leaf::read(end_entity) else {
            return Err(CertificateError::BadEncoding.into());
        };
        let verdict = self
            .trust
            .judge(end_entity, intermediates, server_name, now, leaf.validity);
        let objection = self.strictness.objection(&verdict);
        FINDINGS.with_borrow_mut(|findings| findings.judged = Some((Box::new(leaf), verdict)));
        match objection {
            Some(error) => Err(error.into()),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Has no certificate to show, and says that one was asked for.
#[derive(Debug)]
pub(super) struct NoClientCertificate;

impl ResolvesClientCert for NoClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        FINDINGS.with_borrow_mut(|findings| findings.certificate_requested = true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
