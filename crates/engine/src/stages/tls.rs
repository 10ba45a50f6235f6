//! TLS that passes closed: what can be seen of it is read, held against the decryption rules and recorded.
//!
//! Where a rule would open the session, but nobody does (replay, taps), a failure on the wire is the session's end
//! reason: so a capture tells which destinations would break before anyone turns decryption on. Where the rule
//! leaves it closed, its profile may still refuse servers whose certificate can be seen to be bad (`ssl-no-proxy`).

use inspect::tls::{
    FailureClass, Peer, TlsEnd, TlsFacts, TlsOutcome, TlsPhase, TlsWatch, cipher_suite_name,
    key_exchange_name, version_name,
};
use logs::{Body, Decryption, ErrorIndex, EscapedText, ProxyType, Record, SessionEndReason};
use packet::{StreamAssembler, StreamPush, Tcp, Timestamp};
use policy::{DecryptAction, DecryptionDecision, SslForwardProxy, SslNoProxy};

use super::{
    opening::{self, Opening},
    shown::Shown,
};
use crate::{
    Counters, Env,
    interception::DecryptedBy,
    records,
    session::{Direction, Note, Session},
};

/// Bytes of out-of-order data kept per direction.
const MAX_BUFFERED: usize = 16 * 1024;
/// The content type of the record that opens TLS.
const HANDSHAKE: u8 = 0x16;

/// A closed TLS session under observation.
#[derive(Debug)]
pub(crate) struct ClosedTls {
    watch: TlsWatch,
    streams: [StreamAssembler; 2],
    started: [bool; 2],
    rule: Option<Ruled>,
    /// What the server's certificate was found to be, once it was looked at.
    shown: Option<Shown>,
    /// Who ended it, and how.
    end: TlsEnd,
}

/// What the decryption rules say of it.
#[derive(Clone, Copy, Debug)]
struct Ruled {
    by: DecryptedBy,
    action: DecryptAction,
    closed: SslNoProxy,
    opened: SslForwardProxy,
    /// The oldest version that would be decrypted, as it stands on the wire.
    oldest: u16,
    /// Only tags of the server keep it closed.
    bypassed: bool,
}

/// TLS 1.2: the proxy speaks nothing older.
const OLDEST_SPOKEN: u16 = 0x0303;

impl ClosedTls {
    fn new() -> Self {
        Self {
            watch: TlsWatch::default(),
            streams: [
                StreamAssembler::new(MAX_BUFFERED),
                StreamAssembler::new(MAX_BUFFERED),
            ],
            started: [false; 2],
            rule: None,
            shown: None,
            end: TlsEnd::Silent,
        }
    }

    /// The version on which the ends have agreed, where a rule would have opened the session and could not have.
    fn too_old(&self) -> Option<u16> {
        let rule = self.rule.filter(|rule| rule.action == DecryptAction::Decrypt)?;
        let version = self.watch.facts().server.as_ref()?.version;
        (version < rule.oldest).then_some(version)
    }

    /// Whether only the end of the connection can still tell anything.
    pub(crate) fn is_settled(&self) -> bool {
        self.rule.is_some() && matches!(self.watch.phase(), TlsPhase::Over | TlsPhase::Failed)
    }

    /// What the session ends by, where a rule would have opened it.
    fn end_reason(&self) -> Option<SessionEndReason> {
        let rule = self.rule.filter(|rule| rule.action == DecryptAction::Decrypt)?;
        if let Some(shown) = self.shown {
            let blocked = rule.opened.block_expired_certificate && shown.is_out_of_date()
                || rule.opened.block_untrusted_issuer && shown.is_untrusted()
                || rule.opened.block_if_sni_mismatch && shown.is_for_another();
            if blocked {
                return Some(SessionEndReason::DecryptCertValidation);
            }
        }
        let failed = self.watch.ended(self.end).and_then(|outcome| outcome.class);
        let failed = failed.map(|class| match class {
            FailureClass::CertValidation => SessionEndReason::DecryptCertValidation,
            FailureClass::UnsupportParam => SessionEndReason::DecryptUnsupportParam,
            FailureClass::Error => SessionEndReason::DecryptError,
        });
        let too_old = self.too_old().map(|_| SessionEndReason::DecryptUnsupportParam);
        [failed, too_old].into_iter().flatten().min()
    }
}

/// Reads a segment of a session that is closed, or may be. `true`: its rule refuses the server's certificate.
pub(crate) fn segment(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    tcp: &Tcp<'_>,
    direction: Direction,
    counters: &mut Counters,
) -> bool {
    let peer = match direction {
        Direction::ClientToServer => Peer::Client,
        Direction::ServerToClient => Peer::Server,
    };
    let Some(mut tls) = session
        .extra
        .as_mut()
        .and_then(|extra| extra.closed_tls.take())
        .or_else(|| begin(env, session, tcp, direction))
    else {
        return false;
    };
    if tls.end == TlsEnd::Silent && tcp.flags.rst() {
        tls.end = TlsEnd::Reset(peer);
    }
    if tls.watch.phase() < TlsPhase::Over && !tcp.payload.is_empty() {
        read(session, &mut tls, tcp, direction, peer);
    }
    if tls.end == TlsEnd::Silent && tcp.flags.fin() {
        tls.end = TlsEnd::Closed(peer);
    }
    if tls.rule.is_none() && tls.watch.phase() >= TlsPhase::Greeted {
        tls.rule = ruled(env, now, session, counters);
        if let Some(rule) = tls.rule {
            session.extra_mut().decryption_rule = rule.by.name;
            session.set(Note::Bypassed, rule.bypassed);
            counters.rules.decryption.hit(rule.by.name, now);
        }
        if tls.rule.is_none() {
            return false;
        }
    }
    let mut refused = false;
    if tls.shown.is_none() && tls.watch.facts().certificate.is_some() {
        let chain = tls.watch.take_chain();
        if let Some(certificate) = &tls.watch.facts().certificate {
            let shown = Shown::on_its_face(certificate, session, now);
            let shown = if tls.rule.is_some_and(|rule| rule.wants_a_judge()) {
                shown.judged(&chain, certificate, env, now, session)
            } else {
                shown
            };
            tls.shown = Some(shown);
        }
        refused = refuses(&tls);
    }
    if let Some(reason) = tls.end_reason() {
        session.ended_by(reason);
    }
    if tls.watch.phase() == TlsPhase::Unreadable {
        return false;
    }
    session.extra_mut().closed_tls = Some(tls);
    refused
}

/// Watches TLS in a session that may have been opened and stays closed. `said` are the client's first bytes of it, `next`
/// the sequence numbers of what client and server say next.
pub(crate) fn watch_from(session: &mut Session, said: &[u8], next: [u32; 2]) {
    let mut tls = Box::new(ClosedTls::new());
    for (stream, first) in tls.streams.iter_mut().zip(next) {
        stream.start(first);
    }
    tls.started = [true; 2];
    tls.watch.push(Peer::Client, said);
    session.extra_mut().closed_tls = Some(tls);
}

/// Whether this segment opens a TLS session on which a rule could have a word.
fn begin(env: &Env<'_>, session: &Session, tcp: &Tcp<'_>, direction: Direction) -> Option<Box<ClosedTls>> {
    let opens = direction == Direction::ClientToServer
        && tcp.payload.first() == Some(&HANDSHAKE)
        && tcp.seq.wrapping_add(u32::from(tcp.flags.syn())) == session.first_byte(tcp, direction)
        && session.layer() == 0;
    let policy = env.ruleset.policy();
    (opens && policy.decryption_rules().len() > 0).then(|| Box::new(ClosedTls::new()))
}

fn read(session: &Session, tls: &mut ClosedTls, tcp: &Tcp<'_>, direction: Direction, peer: Peer) {
    let ClosedTls {
        watch,
        streams,
        started,
        ..
    } = tls;
    let place = direction.index();
    let (Some(stream), Some(started)) = (streams.get_mut(place), started.get_mut(place)) else {
        return;
    };
    if !*started {
        stream.start(session.first_byte(tcp, direction));
        *started = true;
    }
    let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
    let pushed = stream.push(first, tcp.payload, &mut |bytes| {
        watch.push(peer, bytes);
    });
    let cut_off = usize::try_from(tcp.payload_len).unwrap_or(usize::MAX) > tcp.payload.len();
    if pushed == StreamPush::Overflow || cut_off {
        watch.lose(peer);
    }
}

fn ruled(env: &Env<'_>, now: Timestamp, session: &Session, counters: &mut Counters) -> Option<Ruled> {
    let Opening {
        decision,
        doubted,
        bypassed,
    } = opening::decide(env, now, session);
    counters.unverified_names += u64::from(doubted);
    let decision = decision?;
    if left_closed(env, session, &decision) {
        return None;
    }
    let policy = env.ruleset.policy();
    let rule = policy.decryption_rule(decision.rule?)?;
    let profile = decision.profile.and_then(|id| policy.decryption_profile(id));
    Some(Ruled {
        bypassed,
        by: DecryptedBy::new(rule),
        action: decision.action,
        closed: profile.map_or_else(SslNoProxy::default, |profile| profile.ssl_no_proxy),
        opened: profile.map_or_else(SslForwardProxy::default, |profile| profile.ssl_forward_proxy),
        oldest: profile.map_or(OLDEST_SPOKEN, |profile| {
            profile.min_version.wire().max(OLDEST_SPOKEN)
        }),
    })
}

impl Ruled {
    /// Whether it matters to the rule who vouches for the server.
    fn wants_a_judge(&self) -> bool {
        match self.action {
            DecryptAction::Decrypt => {
                self.opened.block_untrusted_issuer || self.opened.block_expired_certificate
            }
            DecryptAction::NoDecrypt => self.closed != SslNoProxy::default(),
        }
    }
}

/// Whether a session that its rule would open is left closed, since its server was found not to fit.
pub(crate) fn left_closed(env: &Env<'_>, session: &Session, decision: &DecryptionDecision) -> bool {
    let (Some(with), Some(profile)) = (env.ruleset.decryption(), decision.profile) else {
        return false;
    };
    // Asked twice of one session: as of its start, so that the answers agree.
    decision.action == DecryptAction::Decrypt
        && with.excluded.contains(
            session.start,
            env.ruleset.generation(),
            &session.excluded_as(profile),
        )
}

/// Whether the rule leaves the session closed, but not with such a certificate (PAN-OS: ssl-no-proxy).
fn refuses(tls: &ClosedTls) -> bool {
    let Some(rule) = tls.rule.filter(|rule| rule.action == DecryptAction::NoDecrypt) else {
        return false;
    };
    tls.shown.is_some_and(|shown| {
        rule.closed.block_expired_certificate && shown.is_out_of_date()
            || rule.closed.block_untrusted_issuer && shown.is_untrusted()
    })
}

/// The decryption record of a session that was closed and is over, where its rule wants one.
pub(crate) fn ended(env: &Env<'_>, now: Timestamp, session: &Session) -> Option<Record> {
    let tls = session.extra()?.closed_tls.as_ref()?;
    let rule = tls.rule?;
    let outcome = tls.watch.ended(tls.end);
    let fault = tls.shown.is_some_and(|shown| shown.fault().is_some());
    let failed = outcome.is_some() || fault || tls.too_old().is_some();
    let wanted = if failed {
        rule.by.log_fail
    } else {
        rule.by.log_success
    };
    wanted.then(|| record(env, now, session, tls, &rule, outcome))
}

fn record(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    tls: &ClosedTls,
    rule: &Ruled,
    outcome: Option<TlsOutcome>,
) -> Record {
    let facts: &TlsFacts = tls.watch.facts();
    let certificate = facts.certificate.as_ref();
    let text = |text: Option<&str>| {
        text.map_or_else(EscapedText::default, |text| {
            EscapedText::from_bytes(text.as_bytes())
        })
    };
    let server = facts.server.as_ref();
    let shown = tls.shown.unwrap_or_default();
    let (err_index, error) = match (shown.fault(), outcome, tls.too_old()) {
        (Some(fault), _, _) => (ErrorIndex::Certificate, fault.to_string()),
        (None, Some(outcome), _) => (index(outcome), outcome.failure.to_string()),
        (None, None, Some(version)) => (
            ErrorIndex::Version,
            format!("{} is older than what is decrypted", version_name(version)),
        ),
        (None, None, None) => (ErrorIndex::None, String::new()),
    };
    Record {
        time: now,
        seqno: 0,
        body: Body::Decryption(Box::new(Decryption {
            flow: records::flow(env, session),
            action: session.ruling.action,
            policy_name: rule.by.name,
            sni: facts.server_name,
            cn: text(certificate.map(|certificate| &*certificate.cn)),
            issuer_cn: text(certificate.map(|certificate| &*certificate.issuer_cn)),
            tls_version: server.map_or("", |server| version_name(server.version)),
            tls_cipher: server.map_or("", |server| cipher_suite_name(server.cipher_suite)),
            tls_keyxchg: server.map_or("", |server| key_exchange_name(server.cipher_suite, server.group)),
            err_index,
            error: error.into(),
            proxy_type: match rule.action {
                DecryptAction::Decrypt => ProxyType::Forward,
                DecryptAction::NoDecrypt => ProxyType::NoDecrypt,
            },
            chain_status: shown.status(),
            session_end_reason: session.end_reason.unwrap_or(SessionEndReason::Unknown),
        })),
        origin: records::origin(session),
        log_setting: rule.by.log_setting.or(session.ruling.log_setting),
    }
}

fn index(outcome: TlsOutcome) -> ErrorIndex {
    match outcome.class {
        Some(FailureClass::CertValidation) => ErrorIndex::Certificate,
        Some(FailureClass::UnsupportParam) => ErrorIndex::Version,
        Some(FailureClass::Error) | None => ErrorIndex::Protocol,
    }
}
