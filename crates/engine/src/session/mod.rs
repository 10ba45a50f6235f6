//! Sessions: what a firewall remembers of a flow.

mod ages;
mod counts;
mod deadlines;
mod direction;
mod end_tags;
mod extra;
mod index;
mod ruling;
mod table;
mod tcp;
#[cfg(test)]
mod tcp_tests;

use std::sync::Arc;

use logs::SessionEndReason;
use packet::{DomainName, FlowKey, IpProtocol, MacAddr, NearKey, Tcp, Timestamp, Wire};
use policy::{AppId, DecryptionProfileId, InterfaceId, SessionTimeouts};

pub(crate) use ages::{Ages, Block, BlockDue};
pub(crate) use deadlines::{DeadlineQueue, Due};
pub(crate) use direction::Direction;
pub(crate) use end_tags::{DecidedUnder, EndTags};
pub(crate) use extra::Extra;
pub(crate) use ruling::{Ruling, Rulings, Zones};
pub(crate) use table::{SessionTable, SlotId};
pub(crate) use tcp::{Segment, TcpState, TcpTracker, after};

use crate::{
    ExcludedServer, Ruleset, SessionCounts,
    interception::{Adopted, Interception, Watch},
};

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

/// What is the case with a session, or is not.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(crate) enum Note {
    /// The client's address may be tagged from where it was seen.
    Taggable = 1,
    /// The server's address is only what a tunnel's inside claims.
    ServerUnproven = 1 << 1,
    /// The client sits at the wire's `interface1`.
    FromInside = 1 << 2,
    /// It has carried nothing but packets that count elsewhere, those inside it: no traffic session so far.
    Carrier = 1 << 3,
    /// A DNS query of it was sinkholed: an upstream reply to a listed name answers that query.
    SinkholedQuery = 1 << 4,
    /// Its TCP stream is no DNS.
    NotDns = 1 << 5,
    /// It was reported that its server answers DNS.
    AnsweredDns = 1 << 6,
    /// TLS in it was opened.
    Decrypted = 1 << 7,
    /// Its TLS stays closed only because of what its server is tagged with.
    Bypassed = 1 << 8,
    /// The link-layer address of its client is known.
    ClientMac = 1 << 9,
    /// Nothing is to be done for its packets but to count them.
    Settled = 1 << 10,
    /// What it was decided by holds for some time only.
    Timed = 1 << 11,
}

/// Above the notes.
const STATE_AT: u32 = 12;
const RECOGNITION_AT: u32 = 14;

/// Bits of a key's place that are not the key's: what packets of a settled session may still give to ask.
/// Datagrams that may be DNS are to be read.
const ASKS_DNS: u32 = 0x4000;
/// Payload of this direction was seen before: more of it is nothing new.
const HEARD: [u32; 2] = [0x1000_0000, 0x2000_0000];
const _: () = assert!((ASKS_DNS | HEARD[0] | HEARD[1]) & !NearKey::SPARE == 0);

/// How often the forwarder hears where the client of a long session is, in coarse time: about a minute, well below the
/// 300 s after which it forgets.
const SOURCE_TOLD_EVERY: u16 = 223;

/// Time in steps of 268 ms, of which it forgets the upper digits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it forgets the upper digits")]
fn coarse(time: Timestamp) -> u16 {
    (time.as_nanos() >> 28) as u16
}

/// One session, in two cache lines: what every packet touches in the first, in the second TCP's state and what is asked
/// for seldom. What only some have lies apart.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Session {
    ends: u64,
    /// [`Env::mark`](crate::Env::mark) when its verdict was last known to be current.
    pub(crate) mark: u64,
    pub(crate) last_packet: Timestamp,
    pub(crate) ruling: Arc<Ruling>,
    /// Bytes of original frames, of either direction; see [`Extra::bytes_above`].
    bytes: [u32; 2],
    packets: u32,
    ports: u32,
    /// The key's, and [`ASKS_DNS`] and [`HEARD`].
    place: u32,
    /// When the forwarder was last told where the client is.
    told: u16,
    wire: Wire,
    app: AppId,
    /// [`Note`]s, then state and how far the application is known.
    notes: u16,
    id_top: u16,
    protocol: IpProtocol,
    /// Why it will have ended; the highest-ranking cause seen so far. Of all fields this leaves the most values unused,
    /// so that the compiler keeps the `None` of an `Option<Session>` here, in a line that is read anyway.
    pub(crate) end_reason: Option<SessionEndReason>,

    pub(crate) start: Timestamp,
    pub(crate) extra: Option<Box<Extra>>,
    /// Of no use where the protocol is another.
    pub(crate) tracker: TcpTracker,
    id_low: u32,
    mac: [u8; 6],
    id_middle: u16,
}

/// Who changes this looks at the figures again.
const _: () = {
    assert!(size_of::<Session>() == 128 && size_of::<Option<Session>>() == 128);
    assert!(std::mem::offset_of!(Session, start) == 64);
};

impl Session {
    /// A session that begins `now`; nothing is known of it.
    pub(crate) fn new(key: &FlowKey, id: u64, now: Timestamp, mark: u64, ruling: Arc<Ruling>) -> Self {
        let near = key.near();
        let far = key.far();
        let (id_low, id_high) = counts::halves(id);
        let [middle_low, middle_high, top_low, top_high] = id_high.to_le_bytes();
        Self {
            ends: near.ends,
            mark,
            last_packet: now,
            ruling,
            bytes: [0; 2],
            packets: 0,
            ports: near.ports,
            place: near.place,
            told: coarse(now),
            wire: near.wire,
            app: AppId::UNKNOWN_IP,
            notes: 0,
            id_top: u16::from_le_bytes([top_low, top_high]),
            protocol: near.protocol,
            end_reason: None,
            start: now,
            extra: far.is_some().then(|| {
                Box::new(Extra {
                    far,
                    ..Extra::default()
                })
            }),
            tracker: TcpTracker::default(),
            id_low,
            mac: [0; 6],
            id_middle: u16::from_le_bytes([middle_low, middle_high]),
        }
    }

    /// The number of its first frame.
    pub(crate) fn id(&self) -> u64 {
        u64::from(self.id_low) | (u64::from(self.id_middle) << 32) | (u64::from(self.id_top) << 48)
    }

    #[inline]
    fn near(&self) -> NearKey {
        NearKey {
            ends: self.ends,
            ports: self.ports,
            place: self.place & !NearKey::SPARE,
            wire: self.wire,
            protocol: self.protocol,
        }
    }

    /// The key of packets of its client.
    pub(crate) fn key(&self) -> FlowKey {
        let far = self.extra().and_then(|extra| extra.far.as_ref());
        FlowKey::from_parts(self.near(), far)
    }

    pub(crate) fn protocol(&self) -> IpProtocol {
        self.protocol
    }

    /// Which way a packet with this key goes, where it is one of the session's.
    #[inline]
    pub(crate) fn direction_of(&self, key: &FlowKey) -> Option<Direction> {
        let (mine, near) = (self.near(), key.near());
        if mine.is_partial() {
            return self.direction_by_all(key);
        }
        if mine == near {
            Some(Direction::ClientToServer)
        } else if mine == near.reversed() {
            Some(Direction::ServerToClient)
        } else {
            None
        }
    }

    #[inline(never)]
    fn direction_by_all(&self, key: &FlowKey) -> Option<Direction> {
        let mine = self.key();
        if mine == *key {
            Some(Direction::ClientToServer)
        } else if mine.is_reverse_of(key) {
            Some(Direction::ServerToClient)
        } else {
            None
        }
    }

    /// Reads a word of each line that a packet needs, of TCP or not, so that they are near when it comes.
    #[inline]
    pub(crate) fn touch(&self, tcp: bool) -> u64 {
        let tracked = tcp && self.tracker.is_some();
        self.mark.wrapping_add(u64::from(tracked))
    }

    #[inline]
    pub(crate) fn is(&self, note: Note) -> bool {
        self.notes & note as u16 != 0
    }

    pub(crate) fn set(&mut self, note: Note, to: bool) {
        if to {
            self.notes |= note as u16;
        } else {
            self.notes &= !(note as u16);
        }
    }

    pub(crate) fn state(&self) -> State {
        match (self.notes >> STATE_AT) & 3 {
            0 => State::Open,
            1 => State::Sinkholed,
            2 => State::Ended,
            _ => State::Discard,
        }
    }

    pub(crate) fn set_state(&mut self, state: State) {
        let bits = match state {
            State::Open => 0,
            State::Sinkholed => 1,
            State::Ended => 2,
            State::Discard => 3,
        };
        self.notes = (self.notes & !(3 << STATE_AT)) | (bits << STATE_AT);
    }

    pub(crate) fn recognition(&self) -> Recognition {
        match self.notes >> RECOGNITION_AT {
            0 => Recognition::NoPayload,
            1 => Recognition::Looking,
            _ => Recognition::Settled(self.app),
        }
    }

    pub(crate) fn recognise(&mut self, recognition: Recognition) {
        let bits = match recognition {
            Recognition::NoPayload => 0,
            Recognition::Looking => 1,
            Recognition::Settled(app) => {
                self.app = app;
                2
            }
        };
        self.notes = (self.notes & !(3 << RECOGNITION_AT)) | (bits << RECOGNITION_AT);
    }

    /// What only some sessions have, where this one has any of it.
    pub(crate) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// Room for what only some sessions have.
    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Gives room back that it does not need any more.
    pub(crate) fn tidy(&mut self) {
        if self.extra().is_some_and(Extra::is_idle) {
            self.extra = None;
        }
    }

    /// The state of its TCP connection, once a segment has gone on.
    pub(crate) fn tcp(&self) -> Option<&TcpTracker> {
        Some(&self.tracker).filter(|tracker| tracker.is_some())
    }

    /// A client's SYN over its open connection that waits for the server's answer.
    pub(crate) fn resync(&self) -> Option<u32> {
        self.extra()?.resync
    }

    /// What was said by then of its TCP connection has gone on.
    pub(crate) fn set_tcp(&mut self, tracker: TcpTracker, resync: Option<u32>) {
        self.tracker = tracker;
        if self.resync() != resync {
            self.extra_mut().resync = resync;
        }
    }

    /// A segment of its TCP connection, that is known to be acceptable, goes on.
    pub(crate) fn follow(&mut self, tcp: &Tcp<'_>, direction: Direction) {
        if self.tracker.is_some() {
            let mut resync = self.resync();
            let mut tracker = self.tracker;
            tracker.segment(tcp, direction, &mut resync);
            self.set_tcp(tracker, resync);
        }
    }

    pub(crate) fn client_mac(&self) -> Option<MacAddr> {
        self.is(Note::ClientMac).then_some(MacAddr(self.mac))
    }

    pub(crate) fn set_client_mac(&mut self, mac: Option<MacAddr>) {
        self.set(Note::ClientMac, mac.is_some());
        self.mac = mac.map_or([0; 6], |mac| mac.0);
    }

    /// How many packets are around its own.
    pub(crate) fn layer(&self) -> u8 {
        self.extra().map_or(0, |extra| extra.layer)
    }

    /// The host it was heard to ask for.
    pub(crate) fn server_name(&self) -> Option<&DomainName> {
        self.extra()?.server_name.as_deref()
    }

    /// What the two ends were tagged with when it was last decided.
    pub(crate) fn tags(&self) -> &EndTags {
        static NONE: EndTags = EndTags::NONE;
        self.extra().map_or(&NONE, |extra| &extra.tags)
    }

    /// The earliest deadline among the tags that were consulted then.
    pub(crate) fn until(&self) -> Timestamp {
        self.extra().map_or(Timestamp::MAX, |extra| extra.until)
    }

    pub(crate) fn set_decided(&mut self, decided: DecidedUnder) {
        let DecidedUnder { until, tags } = decided;
        let timed = until != Timestamp::MAX;
        self.set(Note::Timed, timed);
        if timed || tags != EndTags::default() || self.extra.is_some() {
            let extra = self.extra_mut();
            extra.until = until;
            extra.tags = tags;
        }
    }

    /// TLS that may be opened in it, or is.
    pub(crate) fn interception(&self) -> Option<&Interception> {
        self.extra()?.interception.as_ref()
    }

    /// As [`Session::interception`], and out of its hands.
    pub(crate) fn take_interception(&mut self) -> Option<Interception> {
        self.extra.as_mut()?.interception.take()
    }

    pub(crate) fn set_interception(&mut self, interception: Option<Interception>) {
        if interception.is_some() || self.extra.is_some() {
            self.extra_mut().interception = interception;
        }
    }

    /// What is seen of the TLS that may begin in it.
    pub(crate) fn watch_mut(&mut self) -> Option<&mut Watch> {
        match self.extra.as_mut()?.interception.as_mut()? {
            Interception::Watching(watch) => Some(watch),
            Interception::Adopted(_) => None,
        }
    }

    /// Its connection in the hands of the proxy.
    pub(crate) fn adopted_mut(&mut self) -> Option<&mut Adopted> {
        match self.extra.as_mut()?.interception.as_mut()? {
            Interception::Adopted(adopted) => Some(adopted),
            Interception::Watching(_) => None,
        }
    }

    /// The rules have been asked again.
    pub(crate) fn set_ruling(&mut self, ruleset: &Ruleset, decision: policy::Decision) {
        let before = self.ruling.name;
        self.ruling = Arc::new(self.ruling.revised(ruleset, decision));
        if self.ruling.name != before {
            let extra = self.extra_mut();
            extra.first_rule = extra.first_rule.or(Some(before));
        }
    }

    /// It is refused by another word than its rule's.
    pub(crate) fn set_action(&mut self, action: policy::Action) {
        Arc::make_mut(&mut self.ruling).action = action;
    }

    /// Whether the rule that counted it when it began is another than the one that has decided last.
    pub(crate) fn changed_rule(&self) -> bool {
        let first = self.extra().and_then(|extra| extra.first_rule);
        first.is_some_and(|first| first != self.ruling.name)
    }

    /// The interface that packets of this direction leave by.
    #[inline]
    pub(crate) fn egress(&self, direction: Direction) -> InterfaceId {
        direction.reversed().pick(self.ruling.interfaces)
    }

    /// Its server, as it is left closed under a profile that it does not fit.
    pub(crate) fn excluded_as(&self, profile: DecryptionProfileId) -> ExcludedServer {
        let tuple = self.key().tuple();
        ExcludedServer {
            address: tuple.dst,
            port: tuple.dport,
            name: self.server_name().copied(),
            profile,
        }
    }

    /// It is over, and logged; its ends may still have to be told, for which it has the time that it had.
    pub(crate) fn end(&mut self) {
        let deadline = self.deadline();
        self.set_state(State::Ended);
        self.set_deadline(Some(deadline));
    }

    /// Whether TLS may begin in it about which nobody has decided.
    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.interception(), Some(Interception::Watching(_)))
    }

    /// Whether it is in the hands of the proxy.
    pub(crate) fn is_adopted(&self) -> bool {
        matches!(self.interception(), Some(Interception::Adopted(_)))
    }

    /// A packet counts here: from now on this is a traffic session.
    pub(crate) fn carries_traffic(&mut self, sessions: &mut SessionCounts) {
        if self.is(Note::Carrier) {
            self.set(Note::Carrier, false);
            sessions.add(self.protocol());
        }
    }

    /// Where a direction's bytes begin, of which `tcp` are the first that are seen: behind what its sender is
    /// known to have sent. So a first segment that is early or late hides nothing.
    pub(crate) fn first_byte(&self, tcp: &Tcp<'_>, direction: Direction) -> u32 {
        match self.tcp() {
            Some(tracker) if tracker.heard(direction) => tracker.next_seq(direction),
            _ => tcp.seq.wrapping_add(u32::from(tcp.flags.syn())),
        }
    }

    /// Payload of this direction was seen.
    pub(crate) fn hear(&mut self, direction: Direction) {
        self.place |= direction.pick(HEARD);
    }

    /// Whether payload of this direction was seen.
    #[inline]
    pub(crate) fn has_heard(&self, direction: Direction) -> bool {
        self.place & direction.pick(HEARD) != 0
    }

    /// Datagrams that may be DNS are to be read, settled or not.
    pub(crate) fn ask_dns(&mut self, asks: bool) {
        self.place = (self.place & !ASKS_DNS) | if asks { ASKS_DNS } else { 0 };
    }

    #[inline]
    pub(crate) fn asks_dns(&self) -> bool {
        self.place & ASKS_DNS != 0
    }

    /// Whether the forwarder is to be told again where its client is.
    #[inline]
    pub(crate) fn source_is_due(&self, now: Timestamp) -> bool {
        coarse(now).wrapping_sub(self.told) >= SOURCE_TOLD_EVERY
    }

    pub(crate) fn source_told(&mut self, now: Timestamp) {
        self.told = coarse(now);
    }

    /// Whether nothing is to be done for a packet but to count it.
    #[inline]
    pub(crate) fn is_settled(&self, now: Timestamp) -> bool {
        let notes = self.notes & (Note::Settled as u16 | Note::Timed as u16);
        !self.source_is_due(now)
            && (notes == Note::Settled as u16 || (self.is(Note::Settled) && now < self.until()))
    }

    /// Notes a cause of the session's end; only the highest-ranking one is kept (PAN-OS's precedence).
    pub(crate) fn ended_by(&mut self, reason: SessionEndReason) {
        self.end_reason = Some(self.end_reason.map_or(reason, |known| known.min(reason)));
    }

    /// When it ages, if nothing more comes.
    pub(crate) fn deadline(&self) -> Timestamp {
        let fixed = self.extra().and_then(|extra| extra.deadline);
        fixed.unwrap_or_else(|| {
            self.last_packet
                .saturating_add(self.timeout(&self.ruling.timeouts))
        })
    }

    /// It ages then, if nothing more comes; `None`: as its last packet has it.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Timestamp>) {
        if deadline.is_some() || self.extra.is_some() {
            self.extra_mut().deadline = deadline;
        }
    }

    /// How long the session may stay silent in its present state.
    fn timeout(&self, timeouts: &SessionTimeouts) -> std::time::Duration {
        let protocol = self.protocol();
        match self.state() {
            State::Ended => timeouts.tcp_time_wait,
            State::Discard | State::Sinkholed if protocol == IpProtocol::TCP => timeouts.discard_tcp,
            State::Discard | State::Sinkholed if protocol == IpProtocol::UDP => timeouts.discard_udp,
            State::Discard | State::Sinkholed => timeouts.discard_default,
            State::Open => match (self.tcp(), protocol) {
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
        match self.recognition() {
            Recognition::Settled(app) => app,
            Recognition::Looking => AppId::INSUFFICIENT_DATA,
            Recognition::NoPayload => AppId::INCOMPLETE,
        }
    }
}
