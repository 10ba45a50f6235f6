//! What a taken-over session does in one turn, and what is recorded of it.

use decrypt::{
    ChainStatus, Ending,
    tcp::Cutting,
    tls::{Failure, FailureClass, Leg},
};
use logs::{Fact, NameProof, SessionEndReason};
use packet::{
    DomainName, Timestamp,
    build::{Segment, Summing},
};
use policy::{Decision, DecryptionDecision};

use super::{Adopted, DecryptedBy, Inspector, terms, toward};
use crate::{
    Counters, Decrypting, Env, Outputs, decryption_records, records,
    session::{Direction, Note, Session, State},
    stages::tls,
};

/// The rule that has decided, as records name it.
pub(crate) fn decided_by(env: &Env<'_>, decision: DecryptionDecision) -> Option<DecryptedBy> {
    let rule = env.ruleset.policy().decryption_rule(decision.rule?)?;
    Some(DecryptedBy::new(rule))
}

/// Opens a taken-over session as its rule says.
pub(crate) fn open(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    adopted: &mut Adopted,
    decision: DecryptionDecision,
) {
    let Some(Decrypting { proxy, .. }) = env.ruleset.decryption() else {
        return adopted.flow.pass();
    };
    adopted.rule = decided_by(env, decision);
    let profile = decision
        .profile
        .and_then(|id| env.ruleset.policy().decryption_profile(id));
    adopted.remembers = decision
        .profile
        .filter(|_| profile.is_some_and(|profile| profile.local_exclusion_cache))
        .map(|id| (id, env.ruleset.generation()));
    let server = adopted.asked.unwrap_or(session.key().tuple().dst);
    adopted.flow.decrypt(now, proxy, terms(profile), server);
}

/// Has a flow do what it can; `Some`: a security rule refuses what is inside.
pub(crate) fn drive(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    adopted: &mut Adopted,
    summing: Summing,
    counters: &mut Counters,
    out: &mut Outputs,
) -> Option<Decision> {
    let egress = [Direction::ClientToServer, Direction::ServerToClient].map(|to| session.egress(to));
    let cutting = match summing {
        Summing::Complete => Cutting::Mss,
        Summing::Unfinished => Cutting::Whole,
    };
    let Adopted {
        flow, frames, inside, ..
    } = adopted;
    let mut inspector = Inspector::new(env, now, session, inside, counters);
    flow.turn(now, cutting, &mut inspector, &mut |leg, segment| {
        let direction = toward(leg);
        let written = Segment {
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            payload: segment.payload[0],
        };
        out.emit_segment(direction.pick(egress), |buffer| {
            direction.pick(*frames).write(
                &written,
                segment.payload[1],
                segment.options,
                summing,
                segment.segment_size,
                buffer,
            )
        });
    });
    inspector.tell(out)
}

/// Records what has happened to a taken-over session: TLS opened, or the end.
pub(crate) fn tell(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    adopted: &mut Adopted,
    out: &mut Outputs,
) {
    if session.is(Note::Decrypted) && !adopted.told_open {
        adopted.told_open = true;
        if let Some(rule) = adopted.rule
            && let Some(facts) = adopted.flow.facts()
            && (rule.log_success || rule.log_fail && decryption_records::is_for_another(facts))
        {
            out.record(decryption_records::opened(env, now, session, &rule, facts));
        }
    }
    if !adopted.told_name
        && let Some(fact) = certified_name(env, now, session, adopted)
    {
        adopted.told_name = true;
        out.fact(fact);
    }
    let Some(ending) = adopted.flow.ending() else {
        return;
    };
    if session.state() != State::Open {
        return;
    }
    session.ended_by(reason(ending));
    if let Ending::Failed(failure) = ending {
        remember(env, now, session, adopted, failure);
    }
    if let (Ending::Failed(failure), Some(rule)) = (ending, adopted.rule)
        && rule.log_fail
    {
        let facts = adopted.flow.facts();
        out.record(decryption_records::failed(
            env, now, session, &rule, facts, failure,
        ));
    }
    // It went through as it was, and was watched.
    if let Some(record) = tls::ended(env, now, session) {
        out.record(record);
    }
    if session.ruling.log_end {
        out.record(records::end(env, now, session));
    }
    session.end();
}

/// The server has shown in a handshake that the name asked for is its own. Behind plaintext it may be anybody whom the
/// server at this address has passed the client on to.
fn certified_name(env: &Env<'_>, now: Timestamp, session: &Session, adopted: &Adopted) -> Option<Fact> {
    let facts = adopted.flow.facts().filter(|_| env.ruleset.verifies_names())?;
    let shown =
        adopted.direct && facts.server.is_some() && facts.chain == ChainStatus::Trusted && facts.name_matches;
    let name: DomainName = facts.sni.as_ref().filter(|_| shown)?.parse().ok()?;
    let address = session.key().tuple().dst;
    let proof = NameProof::Certificate;
    env.ruleset
        .wants_name(now, address, &name, proof)
        .then_some(Fact::Named {
            address,
            name,
            proof,
            asker: None,
        })
}

/// Has sessions with a server that does not fit left closed from now on, where the profile wants that. What a client
/// does makes nobody's sessions go uninspected.
fn remember(env: &Env<'_>, now: Timestamp, session: &Session, adopted: &Adopted, failure: &Failure) {
    let (Some((profile, generation)), Some(with)) = (adopted.remembers, env.ruleset.decryption()) else {
        return;
    };
    if failure.may_bypass && failure.leg == Leg::Server {
        let server = session.excluded_as(profile);
        with.excluded.add(now, generation, &server, failure.error.clone());
    }
}

/// PAN-OS's reason for the end of a session that the proxy had in hand.
fn reason(ending: &Ending) -> SessionEndReason {
    match ending {
        Ending::Failed(failure) => match failure.class {
            FailureClass::CertValidation => SessionEndReason::DecryptCertValidation,
            FailureClass::UnsupportedParameter => SessionEndReason::DecryptUnsupportParam,
            FailureClass::Error => SessionEndReason::DecryptError,
            FailureClass::ResetByClient => SessionEndReason::TcpRstFromClient,
            FailureClass::ResetByServer => SessionEndReason::TcpRstFromServer,
            FailureClass::NoResources => SessionEndReason::ResourcesUnavailable,
            FailureClass::Timeout => SessionEndReason::AgedOut,
        },
        Ending::Reset(Leg::Client) => SessionEndReason::TcpRstFromClient,
        Ending::Reset(Leg::Server) => SessionEndReason::TcpRstFromServer,
        Ending::Finished => SessionEndReason::TcpFin,
        Ending::Silent(_) => SessionEndReason::AgedOut,
    }
}
