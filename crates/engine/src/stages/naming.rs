//! Which server names DNS answers give to which addresses, for rules that believe only those (`verify-sni`).
//!
//! A client inside is not to be believed, and can ask a DNS server of its own. Where zones list `resolvers`, only what
//! these answer or are answered counts. An answer counts only where its question was seen: no guess from elsewhere does.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use inspect::dns::{self, Question, Response};
use logs::{Fact, NameProof};
use packet::{Timestamp, Transport};

use super::dns::link_local_naming;
use crate::{
    Env, Ingress, Scene, records,
    session::{Direction, Note, Session},
};

/// Questions of one shard that may wait for their answers; a further one takes the place of another.
const MAX_ASKED: usize = 1024;
/// Addresses taken from one answer.
const MAX_ADDRESSES: usize = 16;

/// Questions on their way, as marks of what was asked in which session.
#[derive(Debug, Default)]
pub(crate) struct Asked(Vec<u64>);

impl Asked {
    fn note(&mut self, mark: u64) {
        if self.0.is_empty() {
            self.0.resize(MAX_ASKED, 0);
        }
        if let Some(place) = self.0.get_mut(place(mark)) {
            *place = mark;
        }
    }

    /// Whether it was asked; an answer counts once.
    fn take(&mut self, mark: u64) -> bool {
        let place = self.0.get_mut(place(mark)).filter(|place| **place == mark);
        place.map(|place| *place = 0).is_some()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
fn place(mark: u64) -> usize {
    mark as usize % MAX_ASKED
}

/// Another session has another mark for the same question.
fn mark(session: &Session, id: u16, question: &Question) -> u64 {
    let mut hasher = DefaultHasher::new();
    session.id().hash(&mut hasher);
    id.hash(&mut hasher);
    question.name.hash(&mut hasher);
    question.qtype.hash(&mut hasher);
    // Zero is an empty place.
    hasher.finish().max(1)
}

/// Looks at a packet of a session that may be DNS over UDP.
pub(crate) fn packet(
    scene: &mut Scene<'_, '_>,
    asked: &mut Asked,
    session: &Session,
    transport: &Transport<'_>,
) {
    let (env, now) = (scene.env, scene.now);
    let Transport::Udp(udp) = transport else { return };
    if !env.ruleset.verifies_names() || !may_tell(env, session) || link_local_naming(udp) {
        return;
    }
    match scene.direction {
        Direction::ClientToServer => {
            if let Some(query) = dns::parse_query(udp.payload)
                && let Some(question) = query.questions().next()
            {
                asked.note(mark(session, query.id(), &question));
            }
        }
        Direction::ServerToClient => {
            if came_from_server(session, scene.ingress)
                && let Some(response) = dns::parse_response(udp.payload)
                && let Some(question) = response.questions().next()
                && asked.take(mark(session, response.id(), &question))
            {
                answered(env, now, session, &response, &mut |fact| scene.out.fact(fact));
            }
        }
    }
}

/// Whether a packet of the server came from where the server is. Captures do not say.
pub(crate) fn came_from_server(session: &Session, ingress: Ingress) -> bool {
    match ingress {
        Ingress::Wire(_) => true,
        Ingress::Interface(interface) => interface == session.egress(Direction::ClientToServer),
    }
}

/// Tells what is worth knowing of an answer that its client waits for.
pub(crate) fn answered(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    response: &Response<'_>,
    tell: &mut dyn FnMut(Fact),
) {
    if !env.ruleset.verifies_names() || !may_tell(env, session) {
        return;
    }
    let Some(Question { name, .. }) = response.questions().next() else {
        return;
    };
    let policy = env.ruleset.policy();
    let by_asker = policy.lists_resolvers() && !policy.is_resolver(session.key().tuple().dst);
    let asker = records::sender(session).filter(|_| by_asker);
    for address in response.addresses().take(MAX_ADDRESSES) {
        let proof = NameProof::Dns;
        if env.ruleset.wants_name(now, address, &name, proof) {
            tell(Fact::Named {
                address,
                name,
                proof,
                asker,
            });
        }
    }
}

/// Whether answers in this session count: those of a listed resolver, and those to one that is where it should be.
fn may_tell(env: &Env<'_>, session: &Session) -> bool {
    let policy = env.ruleset.policy();
    let tuple = session.key().tuple();
    // What a tunnel's inside claims about addresses is no fact.
    session.layer() == 0
        && (!policy.lists_resolvers()
            || policy.is_resolver(tuple.dst)
            || (policy.is_resolver(tuple.src) && session.is(Note::Taggable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_and_only_where_it_was_asked_for() {
        let mut asked = Asked::default();
        assert!(!asked.take(5), "nothing was asked");
        asked.note(5);
        assert!(
            !asked.take(5 + MAX_ASKED as u64),
            "another question in the same place"
        );
        assert!(asked.take(5));
        assert!(!asked.take(5), "a second answer");
        asked.note(5);
        asked.note(5 + MAX_ASKED as u64);
        assert!(!asked.take(5), "it made room");
        assert_eq!(asked.0.len(), MAX_ASKED);
    }
}
