//! What is wrong with a server's certificate that passed in the clear.

use inspect::tls::{CertificateFault, LeafCertificate};
use logs::ChainStatus;
use packet::Timestamp;

use crate::{Env, session::Session};

/// What was found of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its time, or that of an issuer.
    dates: Option<CertificateFault>,
    /// Who vouches for it.
    issuer: Option<CertificateFault>,
    /// It is not for the name that the client asked for.
    wrong_name: bool,
    /// It was followed to a trusted root.
    trusted: bool,
}

impl Shown {
    /// What a certificate shows on its face. Whoever issued it may have been nobody.
    pub(crate) fn on_its_face(certificate: &LeafCertificate, session: &Session, now: Timestamp) -> Self {
        let wrong_name = session
            .server_name()
            .is_some_and(|name| !certificate.covers(name));
        Self {
            dates: certificate
                .fault(now)
                .filter(|fault| matches!(fault, CertificateFault::Expired | CertificateFault::NotYetValid)),
            issuer: certificate.is_self_signed.then_some(CertificateFault::SelfSigned),
            wrong_name,
            trusted: false,
        }
    }

    /// The same, with its chain followed to those whom the configuration trusts, by the packet's clock. Signatures cost:
    /// this is for sessions whose rule wants to know.
    pub(crate) fn judged(
        self,
        chain: &[Vec<u8>],
        certificate: &LeafCertificate,
        env: &Env<'_>,
        now: Timestamp,
        session: &Session,
    ) -> Self {
        let Some(trust) = env.ruleset.trust() else {
            return self;
        };
        let name = session.server_name().map(ToString::to_string);
        let validity = [certificate.not_before, certificate.not_after].map(seconds);
        let verdict = trust.judge_shown(
            chain,
            name.as_deref(),
            session.key().tuple().dst,
            seconds(now),
            validity.into(),
        );
        let issuer = if verdict.revoked {
            Some(CertificateFault::Revoked)
        } else if verdict.untrusted.is_some() {
            self.issuer.or(Some(CertificateFault::Untrusted))
        } else {
            // One that is trusted as it stands need not be vouched for.
            None
        };
        Self {
            dates: self
                .dates
                .or_else(|| verdict.expired.map(|_| CertificateFault::Expired)),
            issuer,
            trusted: issuer.is_none(),
            ..self
        }
    }

    /// Its time, or that of an issuer, is not now.
    pub(crate) fn is_out_of_date(self) -> bool {
        self.dates.is_some()
    }

    /// Nobody who is trusted vouches for it.
    pub(crate) fn is_untrusted(self) -> bool {
        self.issuer.is_some()
    }

    /// It is for another name than the one that the client asked for.
    pub(crate) fn is_for_another(self) -> bool {
        self.wrong_name
    }

    /// The gravest of it.
    pub(crate) fn fault(self) -> Option<CertificateFault> {
        let name = self.wrong_name.then_some(CertificateFault::WrongName);
        self.dates.or(self.issuer).or(name)
    }

    /// As decryption records say it.
    pub(crate) fn status(self) -> ChainStatus {
        if self.dates.is_some() {
            ChainStatus::Expired
        } else if self.issuer.is_some() {
            ChainStatus::Untrusted
        } else if self.trusted {
            ChainStatus::Trusted
        } else {
            ChainStatus::Uninspected
        }
    }
}

fn seconds(time: Timestamp) -> u64 {
    time.as_nanos() / 1_000_000_000
}
