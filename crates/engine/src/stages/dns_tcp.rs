//! DNS over TCP: messages may be split anywhere, and a sinkholed query ends the connection.
//!
//! The segment that completes a listed query is withheld. The client gets the forged reply and a FIN, the
//! server a reset; the session stays, so that what follows goes nowhere, but is still read.

use inspect::dns::{self, Likeness, TcpMessages};
use packet::{
    StreamAssembler, StreamPush, Tcp, TcpFlags,
    build::{self, Segment},
};
use policy::{DnsAction, SpywareProfile};

use super::{dns as names, naming, refuse};
use crate::{
    DropReason, Scene, Verdict,
    session::{Direction, Note, Session, State},
};

/// Bytes of out-of-order data kept per direction.
const MAX_BUFFERED: usize = 16 * 1024;

/// Both directions of a TCP session that is, or may be, DNS.
#[derive(Debug)]
pub(crate) struct DnsStream {
    halves: [Half; 2],
    /// Some first bytes have made sure that this is DNS.
    certain: bool,
}

#[derive(Debug)]
struct Half {
    assembler: StreamAssembler,
    messages: TcpMessages,
    started: bool,
    /// First bytes, kept while they do not tell yet whether this is DNS.
    head: Vec<u8>,
}

impl Half {
    fn new() -> Self {
        Self {
            assembler: StreamAssembler::new(MAX_BUFFERED),
            messages: TcpMessages::default(),
            started: false,
            head: Vec::new(),
        }
    }
}

/// What the messages in one segment came to.
#[derive(Debug, Default)]
struct Found {
    sinkholed: bool,
    blocked: bool,
    /// The message that decided began in an earlier segment, which has been forwarded.
    begun_earlier: bool,
}

/// Looks at a segment of a session whose rule carries `profile`. `None`: it may go on.
pub(crate) fn segment(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    tcp: &Tcp<'_>,
) -> Option<Verdict> {
    if session.is(Note::NotDns) || tcp.payload.is_empty() {
        return None;
    }
    let stream = session.extra.as_mut().and_then(|extra| extra.dns_stream.take());
    if stream.is_none() && !worth_a_stream(session, tcp, scene.direction) {
        session.set(Note::NotDns, true);
        return None;
    }
    let mut stream = stream.unwrap_or_else(|| {
        Box::new(DnsStream {
            halves: [Half::new(), Half::new()],
            certain: false,
        })
    });
    let found = read(scene, session, profile, &mut stream, tcp);
    if !session.is(Note::NotDns) {
        session.extra_mut().dns_stream = Some(stream);
    }
    match (session.state(), found.sinkholed || found.blocked) {
        (State::Open, true) => Some(end(scene, session, &found, tcp)),
        // What belongs to a session that is over is dropped by the caller.
        (State::Open, false) | (State::Sinkholed | State::Ended | State::Discard, _) => None,
    }
}

/// The common case decided without a stream: a first segment that is plainly something else. One that is
/// ahead of its stream's beginning tells nothing yet.
fn worth_a_stream(session: &Session, tcp: &Tcp<'_>, direction: Direction) -> bool {
    let first_of_session =
        !(session.has_heard(Direction::ClientToServer) && session.has_heard(Direction::ServerToClient));
    let at_beginning = tcp.seq.wrapping_add(u32::from(tcp.flags.syn())) == session.first_byte(tcp, direction);
    !first_of_session || !at_beginning || dns::looks_like_dns_tcp(tcp.payload) != Likeness::No
}

fn read(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    stream: &mut DnsStream,
    tcp: &Tcp<'_>,
) -> Found {
    let direction = scene.direction;
    let mut found = Found::default();
    let certain = stream.certain;
    let Some(half) = stream.halves.get_mut(direction.index()) else {
        return found;
    };
    let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
    if !half.started {
        half.assembler.start(session.first_byte(tcp, direction));
        half.started = true;
    }
    scene.replies.clear();
    let mut is_dns = certain;
    let mut no_dns = false;
    let Half {
        assembler,
        messages,
        head,
        ..
    } = half;
    let pushed = assembler.push(first, tcp.payload, &mut |bytes: &[u8]| {
        let mut bytes = bytes;
        if !is_dns && !no_dns {
            head.extend_from_slice(bytes);
            match dns::looks_like_dns_tcp(head) {
                Likeness::No => no_dns = true,
                Likeness::Undecided => {}
                Likeness::Yes => is_dns = true,
            }
            bytes = head;
        }
        if is_dns {
            let pending = messages.pending() > 0 || bytes.len() > tcp.payload.len();
            let mut first_message = true;
            messages.push(bytes, &mut |message: &[u8]| {
                found.begun_earlier |= pending && first_message;
                first_message = false;
                one_message(scene, session, profile, message, &mut found);
            });
        }
    });
    if is_dns {
        head.clear();
    }
    stream.certain = is_dns;
    if pushed == StreamPush::Overflow {
        scene.counters.dns_stream_overflow += 1;
    }
    session.set(Note::NotDns, no_dns);
    found
}

fn one_message(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    message: &[u8],
    found: &mut Found,
) {
    let domains = scene.env.ruleset.domains();
    let can_answer = build::can_answer(scene.packet);
    let (listed, asker) = if let Some(query) = dns::parse_query(message) {
        let Some(listed) = names::listed_question(domains, profile, query.questions()) else {
            return;
        };
        let listed = listed.as_far_as(can_answer);
        if listed.action == DnsAction::Sinkhole {
            dns::sinkhole_reply(&query, &names::sinkhole_answer(profile), scene.message);
        }
        (listed, scene.direction)
    } else if let Some(response) = dns::parse_response(message) {
        names::answered(scene, session);
        // Only who hears the stream can write into it.
        if scene.direction == Direction::ServerToClient && naming::came_from_server(session, scene.ingress) {
            let out = &mut *scene.out;
            naming::answered(scene.env, scene.now, session, &response, &mut |fact| {
                out.fact(fact);
            });
        }
        if session.is(Note::SinkholedQuery) {
            return;
        }
        let Some(listed) = names::listed_reply(domains, profile, &response) else {
            return;
        };
        let listed = listed.as_far_as(can_answer);
        if listed.action == DnsAction::Sinkhole {
            dns::sinkhole_response(&response, &names::sinkhole_answer(profile), scene.message);
        }
        (listed, scene.direction.reversed())
    } else {
        return;
    };
    names::record(scene, session, &listed, asker);
    match listed.action {
        DnsAction::Alert | DnsAction::Allow => {}
        DnsAction::Block => found.blocked = true,
        DnsAction::Sinkhole => {
            scene.counters.sinkholed += 1;
            found.sinkholed = true;
            session.set(Note::SinkholedQuery, true);
            // A forged reply is far shorter than 64 KiB.
            let length = u16::try_from(scene.message.len()).unwrap_or(u16::MAX);
            scene.replies.extend_from_slice(&length.to_be_bytes());
            scene.replies.extend_from_slice(scene.message);
        }
    }
}

/// Ends the connection: forged replies and FIN to whoever asked, a reset to the other end.
fn end(scene: &mut Scene<'_, '_>, session: &mut Session, found: &Found, tcp: &Tcp<'_>) -> Verdict {
    let direction = scene.direction;
    let packet = scene.packet;
    session.set_state(State::Sinkholed);
    session.ended_by(logs::SessionEndReason::Threat);
    let asked_here = direction == Direction::ClientToServer;
    if !build::can_answer(packet) {
        return Verdict::Drop(DropReason::DomainBlocked);
    }
    // A reply of which the client already has the beginning cannot be replaced: it is reset.
    let can_answer = found.sinkholed && (asked_here || !found.begun_earlier);
    if can_answer {
        let (seq, ack) = client_position(session, tcp, direction);
        let replies = &*scene.replies;
        let mut sent = 0_usize;
        for chunk in replies.chunks(MAX_SEGMENT) {
            let segment = Segment {
                seq: advance(seq, sent),
                ack,
                flags: TcpFlags::PSH | TcpFlags::ACK,
                window: tcp.window,
                payload: chunk,
            };
            refuse::send(
                session,
                Direction::ServerToClient,
                packet,
                direction,
                &segment,
                scene.out,
            );
            sent = sent.saturating_add(chunk.len());
        }
        let fin = Segment {
            seq: advance(seq, sent),
            ack,
            flags: TcpFlags::FIN | TcpFlags::ACK,
            window: tcp.window,
            payload: &[],
        };
        refuse::send(
            session,
            Direction::ServerToClient,
            packet,
            direction,
            &fin,
            scene.out,
        );
    } else {
        refuse::toward(
            session,
            Direction::ServerToClient,
            packet,
            tcp,
            direction,
            scene.out,
        );
    }
    let told = refuse::toward(
        session,
        Direction::ClientToServer,
        packet,
        tcp,
        direction,
        scene.out,
    );
    if can_answer || told {
        Verdict::Answered
    } else {
        Verdict::Drop(DropReason::SinkholedSession)
    }
}

/// Forged replies are cut into segments that fit every path.
const MAX_SEGMENT: usize = 1220;

/// What the client expects next of the server, and what it has sent itself, the withheld bytes included.
fn client_position(session: &Session, tcp: &Tcp<'_>, direction: Direction) -> (u32, u32) {
    let end = tcp
        .seq
        .wrapping_add(tcp.payload_len)
        .wrapping_add(u32::from(tcp.flags.syn()));
    match direction {
        Direction::ClientToServer => (tcp.ack, end),
        Direction::ServerToClient => {
            let tracker = session.tcp();
            let seq = tracker
                .filter(|tracker| tracker.heard(direction))
                .map_or(tcp.seq, |tracker| tracker.next_seq(direction));
            (seq, tcp.ack)
        }
    }
}

fn advance(seq: u32, by: usize) -> u32 {
    seq.wrapping_add(u32::try_from(by).unwrap_or(0))
}
