//! Records of the decryption log.

use std::borrow::Cow;

use decrypt::tls::{Facts, Failure};
use inspect::tls::CertificateFault;
use logs::{Body, ChainStatus, Decryption, ErrorIndex, EscapedText, ProxyType, Record, SessionEndReason};
use packet::{DomainName, Timestamp};

use crate::{
    Env,
    interception::DecryptedBy,
    records,
    session::{Note, Session},
};

/// TLS in a session was opened.
pub(crate) fn opened(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    rule: &DecryptedBy,
    facts: &Facts,
) -> Record {
    record(env, now, session, rule, Some(facts), None)
}

/// TLS in a session could not be opened, or failed later.
pub(crate) fn failed(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    rule: &DecryptedBy,
    facts: Option<&Facts>,
    failure: &Failure,
) -> Record {
    record(env, now, session, rule, facts, Some(failure))
}

fn record(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    rule: &DecryptedBy,
    facts: Option<&Facts>,
    failure: Option<&Failure>,
) -> Record {
    let server = facts
        .and_then(|facts| facts.server.or(facts.client))
        .unwrap_or_default();
    let text = |text: Option<&String>| {
        text.map_or_else(EscapedText::default, |text| {
            EscapedText::from_bytes(text.as_bytes())
        })
    };
    Record {
        time: now,
        seqno: 0,
        body: Body::Decryption(Box::new(Decryption {
            flow: records::flow(env, session),
            action: session.ruling.action,
            policy_name: rule.name,
            sni: asked_for(session, facts),
            cn: text(facts.map(|facts| &facts.cn)),
            issuer_cn: text(facts.map(|facts| &facts.issuer_cn)),
            tls_version: server.version,
            tls_cipher: server.suite,
            tls_keyxchg: server.key_exchange,
            err_index: match failure {
                Some(failure) => index(failure.index),
                None if facts.is_some_and(is_for_another) => ErrorIndex::Certificate,
                None => ErrorIndex::None,
            },
            error: match failure {
                Some(failure) => failure.error.clone(),
                None if facts.is_some_and(is_for_another) => CertificateFault::WrongName.to_string().into(),
                None => Cow::Borrowed(""),
            },
            proxy_type: ProxyType::Forward,
            chain_status: facts.map_or(ChainStatus::Uninspected, |facts| chain(facts.chain)),
            session_end_reason: if failure.is_some() {
                session.end_reason.unwrap_or(SessionEndReason::Unknown)
            } else {
                SessionEndReason::NotApplicable
            },
        })),
        origin: records::origin(session),
        log_setting: rule.log_setting.or(session.ruling.log_setting),
    }
}

/// The name of the hello. Once requests are read, the session's own is that of the latest request.
fn asked_for(session: &Session, facts: Option<&Facts>) -> Option<DomainName> {
    match facts {
        Some(facts) if session.is(Note::Decrypted) => facts.sni.as_ref()?.parse().ok(),
        Some(_) | None => session.server_name().copied(),
    }
}

/// The server's certificate is not for the name that the client asked for. By default that stops nobody; it is said.
pub(crate) fn is_for_another(facts: &Facts) -> bool {
    facts.sni.is_some() && facts.server.is_some() && !facts.name_matches
}

fn index(index: decrypt::ErrorIndex) -> ErrorIndex {
    use decrypt::ErrorIndex as Found;
    match index {
        Found::Certificate => ErrorIndex::Certificate,
        Found::Cipher => ErrorIndex::Cipher,
        Found::Version => ErrorIndex::Version,
        Found::Protocol => ErrorIndex::Protocol,
        Found::Feature => ErrorIndex::Feature,
        Found::Resource => ErrorIndex::Resource,
    }
}

fn chain(status: decrypt::ChainStatus) -> ChainStatus {
    use decrypt::ChainStatus as Found;
    match status {
        Found::Uninspected => ChainStatus::Uninspected,
        Found::Trusted => ChainStatus::Trusted,
        // The decryption log has no word of its own for a revoked certificate.
        Found::Untrusted | Found::Revoked => ChainStatus::Untrusted,
        Found::Expired => ChainStatus::Expired,
    }
}
