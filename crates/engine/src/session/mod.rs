//! Sessions: what a firewall remembers of a flow.

mod deadlines;
mod ruling;
mod table;
mod tcp;
#[cfg(test)]
mod tcp_tests;

use inspect::{AppDetector, ServerNameFinder};
use logs::SessionEndReason;
use packet::{DomainName, FlowKey, IpProtocol, MacAddr, Tcp, Timestamp};
use policy::{AppId, InterfaceId, SessionTimeouts, Symbol};
use tags::{Stamp, TagSet};

pub(crate) use deadlines::{DeadlineQueue, Due};
pub(crate) use ruling::{Ruling, Zones};
pub(crate) use table::{SessionTable, SlotId};
pub(crate) use tcp::{Segment, TcpState, TcpTracker, after};

use crate::{
    SessionCounts,
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

/// What the tags of the two ends were when the session was last decided, and how long that holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecidedUnder {
    /// The change marks of client and server.
    pub(crate) stamps: [Stamp; 2],
    /// The policy's generation.
    pub(crate) policy: u64,
    /// The earliest deadline among the tags consulted.
    pub(crate) until: Timestamp,
    pub(crate) src_tags: TagSet,
    pub(crate) dst_tags: TagSet,
}

/// Packets and bytes of one direction; bytes are original frame lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
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

/// One session. The fields that every packet touches come first.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one session"
)]
pub(crate) struct Session {
    pub(crate) key: FlowKey,
    pub(crate) hash: u64,
    pub(crate) state: State,
    pub(crate) deadline: Timestamp,
    /// When the deadline queue will look at this session next.
    pub(crate) queued: Timestamp,
    pub(crate) decided: DecidedUnder,
    pub(crate) traffic: [Traffic; 2],
    pub(crate) last_packet: Timestamp,
    pub(crate) tcp: Option<TcpTracker>,
    pub(crate) recognition: Recognition,
    pub(crate) detector: AppDetector,
    /// The next byte the detector wants, per direction; `None` before the first payload.
    pub(crate) detector_seq: [Option<u32>; 2],

    pub(crate) id: u64,
    /// How many packets are around its own.
    pub(crate) layer: u8,
    pub(crate) start: Timestamp,
    pub(crate) ruling: Ruling,
    pub(crate) zones: Zones,
    pub(crate) interfaces: [InterfaceId; 2],
    /// Why it will have ended; the highest-ranking cause seen so far.
    pub(crate) end_reason: Option<SessionEndReason>,
    pub(crate) client_mac: Option<MacAddr>,
    /// When the forwarder was last told where the client is.
    pub(crate) source_told: Timestamp,
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
    /// The host it was heard to ask for, by `ClientHello` or Host header.
    pub(crate) server_name: Option<Box<DomainName>>,
    pub(crate) name_finder: Option<ServerNameFinder>,
    /// Its TCP stream is no DNS.
    pub(crate) not_dns: bool,
    /// It was reported that its server answers DNS.
    pub(crate) answered_dns: bool,
    pub(crate) dns_stream: Option<Box<DnsStream>>,
    /// TLS that may be opened, or is.
    pub(crate) interception: Option<Interception>,
    /// TLS in it that stays closed, and is watched.
    pub(crate) closed_tls: Option<Box<ClosedTls>>,
    /// TLS in it was opened.
    pub(crate) decrypted: bool,
    /// What it counts for once it is over.
    pub(crate) account: Account,
}

impl Session {
    pub(crate) fn protocol(&self) -> IpProtocol {
        self.key.tuple().protocol
    }

    /// The interface that packets of this direction leave by.
    pub(crate) fn egress(&self, direction: Direction) -> InterfaceId {
        direction.reversed().pick(self.interfaces)
    }

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
