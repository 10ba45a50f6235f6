//! The shortest path: a packet of a session that needs nothing more is held against what has changed, and counted.
//!
//! Whatever else a packet may be or bring (a first of anything, an end, a question of DNS) leaves everything as it
//! was and takes the long way, where all is decided. So this path has no say in anything: it only knows what the long
//! way would do, and a test holds it to that.

use inspect::dns;
use packet::{Outline, Timestamp};

use super::Shard;
use crate::{
    Env, Verdict,
    session::{Direction, Note, Recognition, Session, SlotId, State, TcpState},
    stages::decide,
};

/// The content type of a TLS record that opens a connection.
const HANDSHAKE: u8 = 0x16;

impl Shard {
    /// Takes a frame of a session of this shard that needs nothing more. `None`, and nothing was changed: parse it,
    /// and take it by [`Shard::packet`].
    #[inline]
    pub fn established(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        outline: &Outline,
        frame: &[u8],
        original_len: u64,
    ) -> Option<Verdict> {
        let (slot, direction) = self.sessions.find(outline.hash(), outline.key())?;
        let session = self.sessions.get_mut(slot)?;
        if !session.is_settled(now) {
            return None;
        }
        let mark = env.mark();
        if session.mark != mark {
            if !decide::is_current(session, env, now) {
                return None;
            }
            session.mark = mark;
        }
        match outline.tcp() {
            Some(tcp) => {
                if let Some(first) = outline.payload(frame).first()
                    && (!session.has_heard(direction)
                        || (direction == Direction::ClientToServer && *first == HANDSHAKE))
                {
                    return None;
                }
                if !session.tracker.carry_on(&tcp, direction) {
                    return None;
                }
            }
            None if session.asks_dns() && may_be_dns(outline.payload(frame)) => return None,
            None => {}
        }
        session.count(direction, original_len, now);
        self.counters.forwarded += 1;
        Some(Verdict::Forward(session.egress(direction)))
    }

    /// A packet takes the long way: until it has come through, nobody takes the short one.
    pub(super) fn unsettle(&mut self, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.set(Note::Settled, false);
        }
    }

    /// Lets the next packets of a session take the short way, where nothing is left to be asked.
    pub(super) fn settle(&mut self, env: &Env<'_>, slot: SlotId) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        let policy = env.ruleset.policy();
        let profile = policy.rule(session.ruling.rule).spyware.is_some();
        if !is_settled(session, profile) {
            return;
        }
        // Answers tell which names lead where, under a profile or not.
        session.ask_dns(profile || env.ruleset.verifies_names());
        session.set(Note::Settled, true);
        self.rulings.shared(&mut session.ruling);
        session.tidy();
    }
}

/// Whether the stage for DNS would read a datagram's payload at all.
fn may_be_dns(payload: &[u8]) -> bool {
    dns::Header::parse(payload).is_some_and(|header| header.is_of_standard_query())
}

/// Whether nothing in a session is open any more that its packets could answer. `profile`: its rule asks for DNS.
fn is_settled(session: &Session, profile: bool) -> bool {
    let stream = session.tcp().is_none_or(|tcp| {
        tcp.state() == TcpState::Established && !tcp.one_sided() && (session.is(Note::NotDns) || !profile)
    });
    let open = session.extra().is_some_and(|extra| {
        extra.name_finder.is_some()
            || extra.dns_stream.is_some()
            || extra.interception.is_some()
            || extra.deadline.is_some()
            || extra.closed_tls.as_ref().is_some_and(|tls| !tls.is_settled())
    });
    stream
        && !open
        && session.state() == State::Open
        && !session.is(Note::Carrier)
        && matches!(session.recognition(), Recognition::Settled(_))
}
