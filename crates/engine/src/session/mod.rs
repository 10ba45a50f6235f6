//! Sessions: what a firewall remembers of a flow.

mod deadlines;
mod index;
mod ruling;
mod table;
mod tcp;
#[cfg(test)]
mod tcp_tests;

use std::sync::LazyLock;

use inspect::{AppDetector, ServerNameFinder};
use logs::SessionEndReason;
use packet::{DomainName, FlowKey, IpProtocol, MacAddr, Tcp, Timestamp};
use policy::{AppId, DecryptionProfileId, InterfaceId, SessionTimeouts, Symbol};
use tags::{Stamp, TagSet};

pub(crate) use deadlines::{DeadlineQueue, Due};
pub(crate) use ruling::{Ruling, Zones};
pub(crate) use table::{SessionTable, SlotId};
pub(crate) use tcp::{Segment, TcpState, TcpTracker, after};

use crate::{
    ExcludedServer, SessionCounts,
    interception::Interception,
    stages::{dns_tcp::DnsStream, tls::ClosedTls},
};

/// Which way a packet goes in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    /// The sender's of a pair that holds the client's first.
    pub(crate) fn pick<T>(self, [client, server]: [T; 2]) -> T {
        match self {
            Self::ClientToServer => client,
            Self::ServerToClient => server,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::ClientToServer => 0,
            Self::ServerToClient => 1,
        }
    }
}

/// Whether a session still carries traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Allowed; its end is still to be logged.
    Open,
    /// A query in it was sinkholed over TCP and both ends were told; nothing passes any more.
    Sinkholed,
    /// Over, and logged; the proxy may still be telling the ends.
    Ended,
    /// Refused or cut, and logged; remembered so that what follows is dropped in silence.
    Discard,
}

/// What the two ends of a session are tagged with. Most are not, and take no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndTags(Option<Box<(TagSet, TagSet)>>);

impl EndTags {
    pub(crate) fn new(client: TagSet, server: TagSet) -> Self {
        let any = !(client.is_empty() && server.is_empty());
        Self(any.then(|| Box::new((client, server))))
    }

    pub(crate) fn of_client(&self) -> &TagSet {
        self.0.as_ref().map_or(&NO_TAGS, |tags| &tags.0)
    }

    pub(crate) fn of_server(&self) -> &TagSet {
        self.0.as_ref().map_or(&NO_TAGS, |tags| &tags.1)
    }
}

static NO_TAGS: LazyLock<TagSet> = LazyLock::new(TagSet::new);

/// What the tags of the two ends were when the session was last decided, and how long that holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecidedUnder {
    /// The change marks of client and server.
    pub(crate) stamps: [Stamp; 2],
    /// The policy's generation.
    pub(crate) policy: u64,
    /// The earliest deadline among the tags consulted.
    pub(crate) until: Timestamp,
    pub(crate) tags: EndTags,
}

/// Packets and bytes of one direction; bytes are original frame lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// What packets of a settled session may still give to ask.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asks {
    /// Datagrams that may be DNS are to be read.
    pub(crate) dns: bool,
    /// Payload of this direction was seen before: more of it is nothing new.
    pub(crate) heard: [bool; 2],
}

/// What is known of the application.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recognition {
    /// No payload was seen yet.
    NoPayload,
    /// Still looking.
    Looking,
    /// Recognised, or given up as unknown.
    Settled(AppId),
}

/// What a session counts for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// The security rule that was counted when it began.
    pub(crate) first_rule: Symbol,
    /// The decryption rule that has decided on it; empty where none has.
    pub(crate) decryption_rule: Symbol,
    /// Its TLS stays closed only because of what its server is tagged with.
    pub(crate) bypassed: bool,
}

/// Says nothing of a session, but that there is one: of all its fields this leaves the most values unused, so that the
/// compiler keeps the `None` of an `Option<Session>` here, in a line that is read anyway.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Present {
    Yes = 1,
}

/// One session. What every packet touches comes first: who it is and whether anything has changed in one cache line,
/// what is counted in the next; of TCP its state in a third.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Session {
    pub(crate) key: FlowKey,
    /// [`Env::mark`](crate::Env::mark) when its verdict was last known to be current.
    pub(crate) mark: u64,
    /// Until then nothing is to be done for its packets but to count them; zero where more is.
    pub(crate) settled_until: Timestamp,

    pub(crate) traffic: [Traffic; 2],
    pub(crate) last_packet: Timestamp,
    pub(crate) deadline: Timestamp,
    /// Whole seconds that a packet keeps it in its present state; 0 where that is not known.
    pub(crate) keep: u32,
    pub(crate) present: Present,
    pub(crate) interfaces: [InterfaceId; 2],
    pub(crate) state: State,
    pub(crate) asks: Asks,

    pub(crate) tcp: Option<TcpTracker>,

    pub(crate) hash: u64,
    /// When the deadline queue will look at this session next.
    pub(crate) queued: Timestamp,
    pub(crate) decided: DecidedUnder,
    pub(crate) id: u64,
    pub(crate) start: Timestamp,
    /// When the forwarder was last told where the client is.
    pub(crate) source_told: Timestamp,
    /// Looks for the application; gone once it is known, or given up.
    pub(crate) detector: Option<Box<AppDetector>>,
    /// The host it was heard to ask for, by `ClientHello` or Host header.
    pub(crate) server_name: Option<Box<DomainName>>,
    pub(crate) name_finder: Option<Box<ServerNameFinder>>,
    pub(crate) dns_stream: Option<Box<DnsStream>>,
    /// TLS that may be opened, or is.
    pub(crate) interception: Option<Interception>,
    /// TLS in it that stays closed, and is watched.
    pub(crate) closed_tls: Option<Box<ClosedTls>>,
    pub(crate) ruling: Ruling,
    pub(crate) zones: Zones,
    /// The next byte the detector wants, per direction; `None` before the first payload.
    pub(crate) detector_seq: [Option<u32>; 2],
    pub(crate) recognition: Recognition,
    pub(crate) client_mac: Option<MacAddr>,
    /// Why it will have ended; the highest-ranking cause seen so far.
    pub(crate) end_reason: Option<SessionEndReason>,
    /// How many packets are around its own.
    pub(crate) layer: u8,
    /// Whether the client's address may be tagged from where it was seen.
    pub(crate) taggable: bool,
    /// The server's address is only what a tunnel's inside claims.
    pub(crate) server_unproven: bool,
    /// The client sits at the wire's `interface1`.
    pub(crate) from_inside: bool,
    /// It has carried nothing but packets that count elsewhere, those inside it: no traffic session so far.
    pub(crate) carrier: bool,
    /// A DNS query of it was sinkholed: an upstream reply to a listed name answers that query.
    pub(crate) sinkholed_query: bool,
    /// Its TCP stream is no DNS.
    pub(crate) not_dns: bool,
    /// It was reported that its server answers DNS.
    pub(crate) answered_dns: bool,
    /// TLS in it was opened.
    pub(crate) decrypted: bool,
    /// What it counts for once it is over.
    pub(crate) account: Account,
}

/// Who changes this looks at the figures again.
const _: () = assert!(size_of::<Session>() <= 448 && std::mem::offset_of!(Session, tcp) == 128);

impl Session {
    pub(crate) fn protocol(&self) -> IpProtocol {
        self.key.tuple().protocol
    }

    /// The interface that packets of this direction leave by.
    pub(crate) fn egress(&self, direction: Direction) -> InterfaceId {
        direction.reversed().pick(self.interfaces)
    }

    /// Its server, as it is left closed under a profile that it does not fit.
    pub(crate) fn excluded_as(&self, profile: DecryptionProfileId) -> ExcludedServer {
        let tuple = self.key.tuple();
        ExcludedServer {
            address: tuple.dst,
            port: tuple.dport,
            name: self.server_name.as_deref().copied(),
            profile,
        }
    }

    /// Which way a packet with this key goes, where it is one of the session's.
    #[inline]
    pub(crate) fn direction_of(&self, key: &FlowKey) -> Option<Direction> {
        if self.key == *key {
            Some(Direction::ClientToServer)
        } else if self.key.is_reverse_of(key) {
            Some(Direction::ServerToClient)
        } else {
            None
        }
    }

    /// Reads a word of each line that a packet needs, of TCP or not, so that they are near when it comes.
    #[inline]
    pub(crate) fn touch(&self, tcp: bool) -> u64 {
        let tracked = tcp && self.tcp.is_some();
        self.mark
            .wrapping_add(u64::from(self.keep))
            .wrapping_add(u64::from(tracked))
    }

    #[inline]
    pub(crate) fn count(&mut self, direction: Direction, bytes: u64, now: Timestamp) {
        if let Some(traffic) = self.traffic.get_mut(direction.index()) {
            traffic.packets += 1;
            traffic.bytes += bytes;
        }
        self.last_packet = now;
    }

    /// It is over, and logged; its ends may still have to be told.
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
    }

    /// Whether TLS may begin in it about which nobody has decided.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.interception, Some(Interception::Watching(_)))
    }

    /// Whether it is in the hands of the proxy.
    pub(crate) fn is_adopted(&self) -> bool {
        matches!(self.interception, Some(Interception::Adopted(_)))
    }

    /// A packet counts here: from now on this is a traffic session.
    pub(crate) fn carries_traffic(&mut self, sessions: &mut SessionCounts) {
        if std::mem::take(&mut self.carrier) {
            sessions.add(self.protocol());
        }
    }

    /// Takes back what [`Session::count`] counted: the packet is another session's, the one inside it.
    pub(crate) fn hand_over(&mut self, direction: Direction, bytes: u64) {
        if let Some(traffic) = self.traffic.get_mut(direction.index()) {
            traffic.packets = traffic.packets.saturating_sub(1);
            traffic.bytes = traffic.bytes.saturating_sub(bytes);
        }
    }

    /// Where a direction's bytes begin, of which `tcp` are the first that are seen: behind what its sender is
    /// known to have sent. So a first segment that is early or late hides nothing.
    pub(crate) fn first_byte(&self, tcp: &Tcp<'_>, direction: Direction) -> u32 {
        match &self.tcp {
            Some(tracker) if tracker.heard(direction) => tracker.next_seq(direction),
            _ => tcp.seq.wrapping_add(u32::from(tcp.flags.syn())),
        }
    }

    /// Notes a cause of the session's end; only the highest-ranking one is kept (PAN-OS's precedence).
    pub(crate) fn ended_by(&mut self, reason: SessionEndReason) {
        self.end_reason = Some(self.end_reason.map_or(reason, |known| known.min(reason)));
    }

    /// How long the session may stay silent in its present state.
    pub(crate) fn timeout(&self, timeouts: &SessionTimeouts) -> std::time::Duration {
        let protocol = self.protocol();
        match self.state {
            State::Ended => timeouts.tcp_time_wait,
            State::Discard | State::Sinkholed if protocol == IpProtocol::TCP => timeouts.discard_tcp,
            State::Discard | State::Sinkholed if protocol == IpProtocol::UDP => timeouts.discard_udp,
            State::Discard | State::Sinkholed => timeouts.discard_default,
            State::Open => match (&self.tcp, protocol) {
                (Some(tcp), _) => match tcp.state() {
                    TcpState::Opening => timeouts.tcp_init,
                    TcpState::Handshake => timeouts.tcp_handshake,
                    TcpState::Established => timeouts.tcp,
                    TcpState::HalfClosed => timeouts.tcp_half_closed,
                    TcpState::Closed => timeouts.tcp_time_wait,
                },
                (None, IpProtocol::UDP) => timeouts.udp,
                (None, IpProtocol::ICMP | IpProtocol::ICMPV6) => timeouts.icmp,
                (None, _) => timeouts.default,
            },
        }
    }

    /// The application as a record names it when the session ends.
    pub(crate) fn app(&self) -> AppId {
        match self.recognition {
            Recognition::Settled(app) => app,
            Recognition::Looking => AppId::INSUFFICIENT_DATA,
            Recognition::NoPayload => AppId::INCOMPLETE,
        }
    }
}
