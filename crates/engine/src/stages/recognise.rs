//! Which application is this, and which server does it ask for?

use inspect::{AppDetector, NameSearch, Ports, Recognition as Found};
use packet::{IpProtocol, Tcp, Transport};
use policy::AppId;

use crate::{
    Env,
    session::{Direction, Recognition, Session, after},
};

/// What a packet has taught.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Learnt {
    pub(crate) app: bool,
    pub(crate) name: bool,
}

/// Shows a packet's payload to the recognisers that still have a question.
pub(crate) fn payload(
    session: &mut Session,
    env: &Env<'_>,
    transport: &Transport<'_>,
    direction: Direction,
) -> Learnt {
    let fresh = match transport {
        Transport::Tcp(tcp) => in_order(session, tcp, direction),
        Transport::Udp(udp) => udp.payload,
        Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => {
            return Learnt::default();
        }
    };
    if fresh.is_empty() {
        return Learnt::default();
    }
    Learnt {
        app: application(session, env, fresh, direction),
        name: server_name(session, transport, fresh, direction),
    }
}

/// Shows the recogniser all that a client has said, where its segments did not come in order, or went to the proxy.
/// `true`: the application is known now, and was not before.
pub(crate) fn first_bytes(session: &mut Session, env: &Env<'_>, said: &[u8]) -> bool {
    let detector = Box::new(AppDetector::new(session.protocol()));
    session.extra_mut().detector = Some(detector);
    application(session, env, said, Direction::ClientToServer)
}

/// The part of a segment that continues what was seen; nothing where it is old or a hole lies before it.
fn in_order<'a>(session: &mut Session, tcp: &Tcp<'a>, direction: Direction) -> &'a [u8] {
    let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
    let beginning = session.first_byte(tcp, direction);
    if tcp.payload.is_empty() {
        return &[];
    }
    session.hear(direction);
    // Without it nobody looks for anything.
    let Some(extra) = &mut session.extra else {
        return &[];
    };
    let Some(wanted) = extra.detector_seq.get_mut(direction.index()) else {
        return &[];
    };
    let expected = *wanted.get_or_insert(beginning);
    if after(first, expected) {
        return &[];
    }
    let known = expected.wrapping_sub(first) as usize;
    let fresh = tcp.payload.get(known..).unwrap_or_default();
    // Bytes that a snap length cut off count as seen: they will not come again.
    let end = first.wrapping_add(tcp.payload_len);
    if after(end, expected) {
        *wanted = Some(end);
    }
    fresh
}

fn application(session: &mut Session, env: &Env<'_>, payload: &[u8], direction: Direction) -> bool {
    if matches!(session.recognition(), Recognition::Settled(_)) {
        forget_detector(session);
        return false;
    }
    let tuple = session.key().tuple();
    let ports = Ports {
        client: tuple.sport,
        server: tuple.dport,
    };
    let detector = session.extra.as_mut().and_then(|extra| extra.detector.as_mut());
    let Some(detector) = detector else {
        return false;
    };
    let found = detector.feed(ports, direction == Direction::ClientToServer, payload);
    session.recognise(match found {
        Found::Recognised(application) => Recognition::Settled(env.ruleset.app(application)),
        Found::NeedMore => Recognition::Looking,
        Found::Unknown if tuple.protocol == IpProtocol::TCP => Recognition::Settled(AppId::UNKNOWN_TCP),
        Found::Unknown => Recognition::Settled(AppId::UNKNOWN_UDP),
    });
    let settled = matches!(session.recognition(), Recognition::Settled(_));
    if settled {
        forget_detector(session);
    }
    settled
}

fn forget_detector(session: &mut Session) {
    if let Some(extra) = &mut session.extra {
        extra.detector = None;
    }
}

fn server_name(
    session: &mut Session,
    transport: &Transport<'_>,
    payload: &[u8],
    direction: Direction,
) -> bool {
    if direction != Direction::ClientToServer || !matches!(transport, Transport::Tcp(_)) {
        return false;
    }
    let Some(extra) = &mut session.extra else {
        return false;
    };
    let Some(finder) = &mut extra.name_finder else {
        return false;
    };
    let search = finder.push(payload);
    if search == NameSearch::NeedMore {
        return false;
    }
    extra.name_finder = None;
    let NameSearch::Found(name) = search else {
        return false;
    };
    extra.server_name = Some(Box::new(name));
    true
}
