//! Telling the ends that a connection is over, with segments that a real TCP stack accepts.
//!
//! RFC 5961 §3.2: a reset counts only at exactly the byte its receiver expects. What an end expects is
//! what the other end has sent past here, since nothing of the packet at hand has gone on.

use packet::{
    Packet, Tcp, TcpFlags,
    build::{self, Segment},
};
use policy::Action;

use crate::{
    Outputs,
    session::{Direction, Session, TcpTracker},
};

/// Which ends an action resets: client, server.
pub(crate) fn resets(action: Action) -> (bool, bool) {
    match action {
        Action::ResetClient => (true, false),
        Action::ResetServer => (false, true),
        Action::ResetBoth => (true, true),
        Action::Allow | Action::Deny | Action::Drop => (false, false),
    }
}

/// Resets the ends that `action` names, in answer to a packet that is not forwarded. `true` where a reset
/// was sent; protocols other than TCP are refused in silence.
pub(crate) fn reset(
    session: &Session,
    action: Action,
    packet: &Packet<'_>,
    tcp: &Tcp<'_>,
    direction: Direction,
    out: &mut Outputs,
) -> bool {
    let (client, server) = resets(action);
    // Never answer a reset with a reset; and where a tunnel's packet cannot be made, silence has to do.
    if tcp.flags.rst() || !build::can_answer(packet) {
        return false;
    }
    let mut sent = false;
    if client {
        sent |= toward(session, Direction::ServerToClient, packet, tcp, direction, out);
    }
    if server {
        sent |= toward(session, Direction::ClientToServer, packet, tcp, direction, out);
    }
    sent
}

/// Sends a reset that travels in direction `travel`, made from a packet that travels in `direction`.
pub(crate) fn toward(
    session: &Session,
    travel: Direction,
    packet: &Packet<'_>,
    tcp: &Tcp<'_>,
    direction: Direction,
    out: &mut Outputs,
) -> bool {
    let Some(segment) = reset_segment(session.tcp(), travel, tcp, direction) else {
        return false;
    };
    send(session, travel, packet, direction, &segment, out);
    true
}

/// Sends a segment that travels in direction `travel`, made from a packet that travels in `direction`.
pub(crate) fn send(
    session: &Session,
    travel: Direction,
    packet: &Packet<'_>,
    direction: Direction,
    segment: &Segment<'_>,
    out: &mut Outputs,
) {
    let [client, server] = session.ruling.interfaces;
    let egress = match travel {
        Direction::ClientToServer => server,
        Direction::ServerToClient => client,
    };
    out.emit(egress, |frame| {
        if travel == direction {
            build::tcp_toward_destination(packet, segment, frame)
        } else {
            build::tcp_toward_source(packet, segment, frame)
        }
    });
}

fn reset_segment(
    tracker: Option<&TcpTracker>,
    travel: Direction,
    tcp: &Tcp<'_>,
    direction: Direction,
) -> Option<Segment<'static>> {
    if travel == direction {
        // Onwards, in place of the packet at hand. Whoever has not heard of the connection needs no reset.
        let known = tracker.filter(|tracker| tracker.heard(direction));
        if known.is_none() && tcp.flags.syn() {
            return None;
        }
        let seq = known.map_or(tcp.seq, |known| known.next_seq(direction));
        return Some(Segment {
            seq,
            ack: tcp.ack,
            flags: if tcp.flags.ack() {
                TcpFlags::RST | TcpFlags::ACK
            } else {
                TcpFlags::RST
            },
            window: 0,
            payload: &[],
        });
    }
    // Back to the sender (RFC 9293 §3.5.2).
    let ack = tcp
        .seq
        .wrapping_add(tcp.payload_len)
        .wrapping_add(u32::from(tcp.flags.syn()))
        .wrapping_add(u32::from(tcp.flags.fin()));
    let seq = if tcp.flags.ack() { tcp.ack } else { 0 };
    Some(Segment {
        seq,
        ack,
        flags: TcpFlags::RST | TcpFlags::ACK,
        window: 0,
        payload: &[],
    })
}
