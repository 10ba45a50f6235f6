//! The shortest path: a packet of a session that needs nothing more is held against what has changed, and counted.
//!
//! Whatever else a packet may be or bring (a first of anything, an end, a question of DNS) leaves everything as it
//! was and takes the long way, where all is decided. So this path has no say in anything: it only knows what the long
//! way would do, which a test holds it to.

use inspect::dns;
use packet::{Link, Timestamp, Transport};
use policy::InterfaceId;

use super::{SOURCE_TOLD_EVERY, Shard};
use crate::{
    Env, FlowRef, Frame,
    session::{Direction, Recognition, Session, SlotId, State, TcpState},
    stages::decide,
};

/// The content type of a TLS record that opens a connection.
const HANDSHAKE: u8 = 0x16;

impl Shard {
    /// Takes the packet of a settled session, and says by which interface it leaves. `None`, and nothing was
    /// changed: it has to go the long way.
    #[inline]
    pub(super) fn established(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        flow: &FlowRef,
        (slot, direction): (SlotId, Direction),
    ) -> Option<InterfaceId> {
        let session = self.sessions.get_mut(slot)?;
        let labelled = matches!(
            frame.packet.link().ethertype,
            Link::MPLS | Link::MPLS_MULTICAST
        );
        if now >= session.settled_until || flow.carries || flow.quoted.is_some() || labelled {
            return None;
        }
        let mark = env.mark();
        if session.mark != mark {
            if !decide::is_current(session, env, now) {
                return None;
            }
            session.mark = mark;
        }
        match &frame.packet.ip()?.transport {
            Transport::Tcp(tcp) => {
                if let Some(first) = tcp.payload.first()
                    && (!direction.pick(session.asks.heard)
                        || (direction == Direction::ClientToServer && *first == HANDSHAKE))
                {
                    return None;
                }
                if !session.tcp.as_mut()?.carry_on(tcp, direction) {
                    return None;
                }
            }
            Transport::Udp(udp) => {
                // Only what the stage for DNS would not read at all passes here.
                let readable = |payload| {
                    dns::Header::parse(payload).is_some_and(|header| header.is_of_standard_query())
                };
                if session.asks.dns && readable(udp.payload) {
                    return None;
                }
            }
            Transport::Icmp(_) | Transport::Other { .. } => {}
            Transport::Fragment { .. } => return None,
        }
        session.count(direction, frame.original_bytes, now);
        session.deadline = Timestamp::from_nanos(now.as_nanos().saturating_add(session.keep));
        Some(session.egress(direction))
    }

    /// A packet takes the long way: until it has come through, nobody takes the short one.
    pub(super) fn unsettle(&mut self, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.settled_until = Timestamp::ZERO;
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
        session.asks.dns = profile;
        session.asks.heard = session.detector_seq.map(|next| next.is_some());
        // The forwarder is told where the client is, now and then.
        session.settled_until = session
            .decided
            .until
            .min(session.source_told.saturating_add(SOURCE_TOLD_EVERY));
    }
}

/// Whether nothing in a session is open any more that its packets could answer. `profile`: its rule asks for DNS.
fn is_settled(session: &Session, profile: bool) -> bool {
    let stream = match &session.tcp {
        Some(tcp) => {
            tcp.state() == TcpState::Established && !tcp.one_sided() && (session.not_dns || !profile)
        }
        None => true,
    };
    stream
        && session.state == State::Open
        && !session.carrier
        && matches!(session.recognition, Recognition::Settled(_))
        && session.name_finder.is_none()
        && session.dns_stream.is_none()
        && session.interception.is_none()
        && session.closed_tls.as_ref().is_none_or(|tls| tls.is_settled())
}
