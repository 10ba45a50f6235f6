//! One packet's journey. This page names every stage in order.
//!
//! A shard owns the sessions and fragments of one part of all flows. It takes `(now, frame)` and gives a
//! verdict, records and frames; it reads no clock, opens no socket and starts no thread, so the same code
//! runs live, in replay, in tests and under the fuzzer.

mod ageing;
mod established;
mod intercept;
mod listing;
#[cfg(test)]
mod model;

use logs::SessionEndReason;
use packet::{
    Datagram, FlowTuple, FragmentFault, FragmentLimits, IpProtocol, Network, Packet, Reassembler, Reassembly,
    Tcp, Timestamp, Transport, Wire, crosses_always,
};
use policy::{Action, AppId, AppKnowledge, InterfaceId, NonSyn, Policy, WireSpec};

use crate::{
    Counters, DropReason, Env, FlowRef, FragmentNote, Frame, Ingress, Outputs, Scene, Verdict, records,
    session::{
        Ages, DeadlineQueue, Direction, Note, Recognition, Rulings, Segment, Session, SessionTable, SlotId,
        State,
    },
    stages::{admit, admit::Ends, decide, decide::Again, dns, dns_tcp, naming, recognise, refuse, tcp, tls},
};

/// The bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardLimits {
    /// Sessions, those that only remember a refusal included.
    pub sessions: usize,
    /// Sessions that the proxy has taken over.
    pub adopted: usize,
    /// Fragments that wait for the rest of their datagram.
    pub fragments: FragmentLimits,
}

pub use self::listing::SessionState;

/// The state of one of the [`crate::SHARDS`] parts of all flows.
#[derive(Debug)]
pub struct Shard {
    sessions: SessionTable,
    ages: Ages,
    rulings: Rulings,
    /// What is due in sessions that were taken over.
    timers: DeadlineQueue,
    /// Sessions that are taken over now, and the most there may be.
    adopted: usize,
    limits_adopted: usize,
    fragments: Reassembler<FragmentNote>,
    counters: Counters,
    message: Vec<u8>,
    replies: Vec<u8>,
    /// DNS questions whose answers would tell names of addresses.
    asked: naming::Asked,
}

impl Shard {
    /// An empty shard.
    pub fn new(limits: ShardLimits) -> Self {
        Self {
            sessions: SessionTable::new(limits.sessions),
            ages: Ages::default(),
            rulings: Rulings::default(),
            timers: DeadlineQueue::default(),
            adopted: 0,
            limits_adopted: limits.adopted,
            fragments: Reassembler::new(limits.fragments),
            counters: Counters::default(),
            message: Vec::with_capacity(1024),
            replies: Vec::with_capacity(1024),
            asked: naming::Asked::default(),
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sessions in the table now.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Sessions in the hands of the proxy now.
    pub fn adopted_count(&self) -> usize {
        self.adopted
    }

    /// Counts frames that were dropped before they could be placed.
    pub fn refuse_frames(&mut self, reason: DropReason, frames: u64) {
        self.counters.dropped(reason, frames);
    }

    /// Takes a fragment. `Some`: it completes its datagram, which belongs to the shard of its flow.
    pub fn fragment(
        &mut self,
        now: Timestamp,
        wire: Wire,
        frame: &Frame<'_>,
    ) -> Option<Datagram<FragmentNote>> {
        self.fragment_with_parts(now, wire, frame, Vec::new())
    }

    /// As [`Shard::fragment`], for a fragment from inside a datagram that came as these fragments itself.
    pub fn fragment_with_parts(
        &mut self,
        now: Timestamp,
        wire: Wire,
        frame: &Frame<'_>,
        parts: Vec<(FragmentNote, Box<[u8]>)>,
    ) -> Option<Datagram<FragmentNote>> {
        let note = FragmentNote {
            number: frame.number,
            stamp: frame.stamp,
            original_bytes: frame.original_bytes,
            parts,
        };
        match self.fragments.push(now, wire, &frame.packet, note) {
            Reassembly::Held => None,
            Reassembly::Complete(datagram) => Some(datagram),
            Reassembly::Dropped { reason, notes } => {
                let frames = notes.iter().map(FragmentNote::frames).sum();
                self.counters.dropped(fragment_reason(reason), frames);
                None
            }
        }
    }

    /// Takes a frame without IP inside: only its wire's rules for VLANs and Ethernet protocols concern it.
    pub fn stateless(&mut self, env: &Env<'_>, frame: &Frame<'_>) -> Verdict {
        let verdict = match admit::wire_of(env.ruleset.policy(), frame.ingress) {
            None => Verdict::Drop(DropReason::NoZone),
            Some((_, spec)) => match admit::link(spec, &frame.packet) {
                Ok(()) => Verdict::Forward(across(spec, frame.ingress)),
                Err(reason) => Verdict::Drop(reason),
            },
        };
        self.counters.verdict(verdict, frame.frames);
        verdict
    }

    /// Takes a packet of a flow that this shard owns. Where its frame has an outline, ask
    /// [`Shard::established`] first.
    ///
    /// Where it carries another, and may pass, it is not counted yet: the caller has that one judged too
    /// ([`crate::inside`] hands it out), by the shard that owns it. The frame crosses where all of them may.
    pub fn packet(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        flow: &FlowRef,
        out: &mut Outputs,
    ) -> Verdict {
        out.caused_by(frame.number, frame.layer(), frame.stamp);
        let verdict = self
            .journey(env, now, frame, flow, out)
            .unwrap_or_else(Verdict::Drop);
        let goes_on_inside = flow.carries && matches!(verdict, Verdict::Forward(_));
        if !goes_on_inside {
            self.counters.verdict(verdict, frame.frames);
        }
        verdict
    }

    /// Brings the index line of a flow with this hash near; see [`crate::fetch()`].
    #[inline]
    pub(crate) fn touch_index(&self, hash: u64) -> u64 {
        self.sessions.touch_index(hash)
    }

    /// Where the session of a flow with this hash may lie.
    #[inline]
    pub(crate) fn place_of(&self, hash: u64) -> Option<SlotId> {
        self.sessions.find_slot(hash)
    }

    /// Brings the session that lies there near; see [`crate::fetch()`].
    #[inline]
    pub(crate) fn touch_place(&self, slot: SlotId, tcp: bool) -> u64 {
        self.sessions.touch(slot, tcp)
    }

    /// The stages in order.
    fn journey(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        flow: &FlowRef,
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        // 1. May it cross the wire at all?
        let policy = env.ruleset.policy();
        let (_, spec) = admit::wire_of(policy, frame.ingress).ok_or(DropReason::NoZone)?;
        admit::link(spec, &frame.packet)?;
        let tcp = tcp_of(&frame.packet);
        if let Some(tcp) = &tcp {
            tcp::plausible(tcp)?;
        }

        // 2. A known session? An ICMP error belongs to the one it quotes.
        if let Some((key, hash)) = &flow.quoted
            && let Some((slot, quoted)) = self.sessions.find(*hash, key)
        {
            return Ok(self.icmp_error(slot, quoted, frame, now));
        }
        let mut found = self.sessions.find(flow.hash, &flow.key);
        if let Some((slot, _)) = found {
            self.unsettle(slot);
        }
        if let Some((slot, direction)) = found
            && self.makes_way(env, now, slot, direction, tcp.as_ref(), out)
        {
            found = None;
        }

        // 3. A new one: where does it come from, and which rule holds?
        let Some((slot, direction)) = found else {
            return self.open(env, now, frame, spec, flow, out);
        };

        // 4. Over, though the proxy may still be telling the ends?
        let over = self
            .sessions
            .get(slot)
            .is_some_and(|session| session.state() == State::Ended);
        if over && let Some(verdict) = self.of_adopted(env, now, frame, (slot, direction), out) {
            return verdict;
        }

        // 5. Is its verdict still current? Only a session whose verdict changed is cut.
        if let Some(verdict) = self.still_allowed(env, now, frame, slot, direction, out) {
            return verdict;
        }

        // 6. The proxy's, while it may go on.
        if let Some(verdict) = self.of_adopted(env, now, frame, (slot, direction), out) {
            return verdict;
        }

        // 7. TCP state, payload, counters.
        self.carry(env, now, frame, (slot, direction, flow.carries), out)
    }

    /// Whether a session that is over gives its place to the packet's: reused ports, or a refusal that was
    /// lifted. The packet then opens a session of its own.
    fn makes_way(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        slot: SlotId,
        direction: Direction,
        tcp: Option<&Tcp<'_>>,
        out: &mut Outputs,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(slot) else {
            return true;
        };
        match session.state() {
            State::Open | State::Sinkholed => {
                let (Some(tcp), Some(mut tracker)) = (tcp, session.tcp().copied()) else {
                    return false;
                };
                let mut resync = session.resync();
                if !tcp.flags.syn() || tracker.segment(tcp, direction, &mut resync) != Segment::NewConnection
                {
                    return false;
                }
                session.ended_by(SessionEndReason::TcpReuse);
                self.close(env, now, slot, out);
                true
            }
            State::Ended => {
                let reopens = direction == Direction::ClientToServer
                    && tcp.is_some_and(|tcp| tcp.flags.syn() && !tcp.flags.ack());
                if reopens {
                    self.close(env, now, slot, out);
                }
                reopens
            }
            State::Discard => {
                if decide::is_current(session, env, now) {
                    return false;
                }
                match decide::again(session, env, now, false) {
                    Again::Allowed => {
                        if let Some(session) = self.sessions.remove(slot) {
                            self.count_end(&session, now, out);
                        }
                        true
                    }
                    Again::Unchanged => false,
                    Again::Refused(decision) => {
                        session.set_ruling(env.ruleset, decision);
                        false
                    }
                }
            }
        }
    }

    /// Sets up a session: ends, tags, rule. A refusal is logged once and remembered.
    fn open(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        spec: &WireSpec,
        flow: &FlowRef,
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        let policy = env.ruleset.policy();
        let tcp = tcp_of(&frame.packet);
        // A SYN-ACK tells that the opener was the other one.
        let sender_is_client = !tcp.is_some_and(|tcp| tcp.flags.syn() && tcp.flags.ack());
        if tcp.is_some_and(|tcp| !tcp.flags.syn())
            && policy.settings().tcp.non_syn == NonSyn::Drop
            && !env.adopting
        {
            return Err(DropReason::NonSyn);
        }
        let key = if sender_is_client {
            flow.key
        } else {
            flow.key.reversed()
        };
        let direction = if sender_is_client {
            Direction::ClientToServer
        } else {
            Direction::ServerToClient
        };
        let tuple = key.tuple();
        let ends = admit::ends(policy, spec, env.sides, frame.ingress, &key, sender_is_client)?;
        let (taggable, server_unproven) = provenance(policy, frame, &ends, &tuple, direction)?;

        let mark = env.mark();
        let decided = decide::read_tags(env, now, tuple.src, tuple.dst, None);
        let (app, recognition) = match app_by_protocol(env, &frame.packet) {
            Some(app) => (AppKnowledge::Known(app), Recognition::Settled(app)),
            None => (AppKnowledge::Unknown, Recognition::NoPayload),
        };
        let decision = decide::ask(env, ends.zones, &key, app, None, &decided);
        if !decision.action.allows() && crosses_always(&frame.packet) && !spec.protect_link_local {
            return Ok(Verdict::Forward(direction.reversed().pick(ends.interfaces)));
        }
        let ruling = self
            .rulings
            .of_new(env.ruleset, decision, ends.zones, ends.interfaces);
        let mut session = Session::new(&key, frame.first_number, now, mark, ruling);
        session.set_decided(decided);
        session.recognise(recognition);
        session.set_client_mac(if sender_is_client {
            frame.packet.link().source
        } else {
            frame.packet.link().destination
        });
        session.set(Note::Taggable, taggable);
        session.set(Note::ServerUnproven, server_unproven);
        session.set(Note::FromInside, ends.from_inside);
        session.set(Note::Carrier, flow.carries && decision.action.allows());
        let looks = matches!(app, AppKnowledge::Unknown);
        if looks || tcp.is_some() || frame.layer() > 0 {
            let extra = session.extra_mut();
            extra.layer = frame.layer();
            extra.detector = looks.then(|| Box::new(inspect::AppDetector::new(tuple.protocol)));
            extra.name_finder = tcp.is_some().then(Box::default);
        }
        if tcp.is_some_and(|tcp| tcp.flags.syn()) && decision.action.allows() {
            session.set_interception(intercept::candidate(env, &session, frame));
        }
        let carrier = session.is(Note::Carrier);
        let slot = self.insert(env, now, flow.hash, session, out)?;
        if !carrier {
            self.counters.sessions.add(tuple.protocol);
        }
        out.caused_by(frame.number, frame.layer(), frame.stamp);
        self.announce(env, now, frame, slot, direction, out);
        if decision.action.allows() {
            return self.carry(env, now, frame, (slot, direction, flow.carries), out);
        }
        self.refuse_new(env, now, frame, (slot, direction), out)
    }

    fn refuse_new(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::PolicyDeny);
        };
        session.count(direction, frame.original_bytes, now);
        out.record(records::refused_at_once(env, now, session));
        self.discard(now, slot);
        Ok(self.turn_away(frame, slot, direction, out))
    }

    /// Tells what a new session means for the addresses in it, before anything else is said of it.
    fn announce(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        slot: SlotId,
        direction: Direction,
        out: &mut Outputs,
    ) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        self.counters.rules.security.hit(session.ruling.name, now);
        // What a tunnel's inside claims about addresses is no fact of the link.
        if let (Some(mac), Some(ip), None) = (
            frame.packet.link().source,
            frame.packet.ip(),
            frame.packet.tunnel(),
        ) {
            out.fact(records::source_seen(session, direction, ip.src, mac));
        }
        if !session.ruling.action.allows() {
            return;
        }
        let policy = env.ruleset.policy();
        let rule = policy.rule(session.ruling.rule);
        if rule.log_start && !session.is(Note::Carrier) {
            out.record(records::start(env, now, session));
        }
        if session.is(Note::FromInside)
            && let Some(profile) = rule.spyware
        {
            let profile = policy.spyware(profile);
            if profile.sinkhole.contains(session.key().tuple().dst) {
                out.record(records::toward_sinkhole(env, now, session));
            }
        }
    }

    /// `Some`: the session may not go on (or never might), and this is what becomes of the packet.
    fn still_allowed(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        slot: SlotId,
        direction: Direction,
        out: &mut Outputs,
    ) -> Option<Result<Verdict, DropReason>> {
        let session = self.sessions.get_mut(slot)?;
        if session.state() == State::Discard {
            self.touch(now, slot);
            return Some(Ok(self.turn_away(frame, slot, direction, out)));
        }
        if decide::is_current(session, env, now) {
            return None;
        }
        match decide::again(session, env, now, false) {
            Again::Unchanged => None,
            Again::Allowed => {
                self.counters.redecided += 1;
                None
            }
            Again::Refused(decision) => {
                self.counters.redecided += 1;
                session.set_ruling(env.ruleset, decision);
                session.ended_by(SessionEndReason::PolicyDeny);
                session.count(direction, frame.original_bytes, now);
                session.carries_traffic(&mut self.counters.sessions);
                out.record(records::cut(env, now, session));
                self.counters.cut += 1;
                Some(Ok(self.cut(env, now, frame, (slot, direction), out)))
            }
        }
    }

    /// Ends a session that is refused from now on, and says what becomes of the packet at hand.
    fn cut(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Verdict {
        let answered = self.cut_adopted(env, now, slot, out);
        self.discard(now, slot);
        if answered {
            Verdict::Answered
        } else {
            self.turn_away(frame, slot, direction, out)
        }
    }

    /// Takes a packet of an allowed session: TCP state, payload, counters. `carries`: another packet is inside.
    fn carry(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction, carries): (SlotId, Direction, bool),
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        let policy = env.ruleset.policy();
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::SessionTableFull);
        };
        let Network::Ip(ip) = frame.packet.network() else {
            return Err(DropReason::NoZone);
        };
        // Under a rule that may open it, a session carries no data before its handshake is done.
        let watched = session.interception().is_some();
        let (transport, early) = if watched {
            intercept::without_early_data(ip.transport)
        } else {
            (ip.transport, false)
        };

        // TCP: what the receiver would not accept changes nothing here.
        let asymmetric = policy.settings().tcp.asymmetric;
        let judged = match &transport {
            Transport::Tcp(tcp) => Some(tcp::judge(session, asymmetric, tcp, direction)?),
            Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => {
                None
            }
        };
        let ages = judged.and_then(|judged| judged.shortens(session));
        session.count(direction, frame.original_bytes, now);
        tell_source(now, session, &frame.packet, direction, out);
        if session.is(Note::Carrier) && !carries {
            begin_traffic(env, now, session, &mut self.counters, out);
        }

        // Payload: names first, since a listed one never leaves.
        let mut verdict = None;
        let profile = policy.rule(session.ruling.rule).spyware;
        let mut scene = Scene {
            env,
            now,
            packet: &frame.packet,
            direction,
            ingress: frame.ingress,
            out,
            counters: &mut self.counters,
            message: &mut self.message,
            replies: &mut self.replies,
        };
        if let Some(profile) = profile {
            let profile = policy.spyware(profile);
            verdict = match &transport {
                Transport::Udp(udp) => dns::datagram(&mut scene, session, profile, udp),
                Transport::Tcp(tcp) => dns_tcp::segment(&mut scene, session, profile, tcp),
                Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => None,
            };
        }
        naming::packet(&mut scene, &mut self.asked, session, &transport);
        let learnt = recognise::payload(session, env, &transport, direction);
        if verdict.is_none() && session.state() == State::Open {
            let asks =
                (learnt.app && session.ruling.provisional) || (learnt.name && session.ruling.name_matters);
            if asks && let Again::Refused(decision) = decide::again(session, env, now, true) {
                session.set_ruling(env.ruleset, decision);
                session.ended_by(SessionEndReason::PolicyDeny);
                session.carries_traffic(&mut self.counters.sessions);
                out.record(records::refused_later(env, now, session));
                self.discard(now, slot);
                return Ok(self.turn_away(frame, slot, direction, out));
            }
        }
        if watched
            && verdict.is_none()
            && session.state() == State::Open
            && let Some(verdict) = self.intercept(env, now, frame, (slot, direction), out)
        {
            self.touch(now, slot);
            return verdict;
        }
        if let Some(refused) = self.closed_tls(env, now, frame, (slot, direction), out) {
            return Ok(refused);
        }
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::SessionTableFull);
        };
        let (egress, state) = (session.egress(direction), session.state());
        let forwarded = verdict.is_none() && state == State::Open;
        if forwarded && carries {
            session.hand_over(direction, frame.original_bytes);
        } else {
            session.carries_traffic(&mut self.counters.sessions);
        }
        if let Some(judged) = judged
            && (forwarded || session.tcp().is_none())
        {
            session.set_tcp(judged.tracker, judged.resync);
        }
        match ages {
            Some(before) => self.shorten(env, now, slot, before),
            None => self.touch(now, slot),
        }
        self.settle(env, slot);
        match (verdict, state) {
            (Some(verdict), _) => Ok(verdict),
            (None, State::Open) if early => Ok(intercept::plain_syn(env, frame, egress, out)),
            (None, State::Open) => Ok(Verdict::Forward(egress)),
            (None, State::Ended) => Err(DropReason::SessionEnded),
            (None, State::Sinkholed) => Err(DropReason::SinkholedSession),
            (None, State::Discard) => Err(DropReason::PolicyDeny),
        }
    }

    /// Watches TLS that passes closed. `Some`: its rule refuses the server's certificate, and both ends are told.
    fn closed_tls(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Option<Verdict> {
        let tcp = tcp_of(&frame.packet)?;
        let session = self.sessions.get_mut(slot)?;
        let closed = session.state() == State::Open && !session.is_watched();
        if !closed || !tls::segment(env, now, session, &tcp, direction, &mut self.counters) {
            return None;
        }
        session.ended_by(SessionEndReason::DecryptCertValidation);
        session.set_action(Action::ResetBoth);
        if let Some(record) = tls::ended(env, now, session) {
            out.record(record);
        }
        if session.ruling.log_end {
            out.record(records::end(env, now, session));
        }
        Some(self.cut(env, now, frame, (slot, direction), out))
    }

    /// An ICMP error goes where the packet it quotes came from, while that packet's session may carry traffic.
    /// It neither ends the session nor keeps it alive: anyone can make one up.
    fn icmp_error(&mut self, slot: SlotId, quoted: Direction, frame: &Frame<'_>, now: Timestamp) -> Verdict {
        let Some(session) = self.sessions.get_mut(slot) else {
            return Verdict::Drop(DropReason::PolicyDeny);
        };
        match session.state() {
            State::Open if session.is_adopted() => self.icmp_of_adopted(slot, quoted, &frame.packet, now),
            State::Open => {
                let direction = quoted.reversed();
                session.count_aside(direction, frame.original_bytes);
                session.carries_traffic(&mut self.counters.sessions);
                Verdict::Forward(session.egress(direction))
            }
            State::Sinkholed => Verdict::Drop(DropReason::SinkholedSession),
            State::Ended => Verdict::Drop(DropReason::SessionEnded),
            State::Discard => Verdict::Drop(DropReason::PolicyDeny),
        }
    }

    /// What becomes of a packet of a refused session.
    fn turn_away(&self, frame: &Frame<'_>, slot: SlotId, direction: Direction, out: &mut Outputs) -> Verdict {
        if let (Some(session), Some(tcp)) = (self.sessions.get(slot), tcp_of(&frame.packet))
            && refuse::reset(
                session,
                session.ruling.action,
                &frame.packet,
                &tcp,
                direction,
                out,
            )
        {
            return Verdict::Answered;
        }
        Verdict::Drop(DropReason::PolicyDeny)
    }
}

/// Whether a new session's client may be tagged from where it was seen, and whether its server's address is only
/// claimed; an error where the sender's zone drops strangers.
fn provenance(
    policy: &Policy,
    frame: &Frame<'_>,
    ends: &Ends,
    tuple: &FlowTuple,
    direction: Direction,
) -> Result<(bool, bool), DropReason> {
    let [client_zone, server_zone] = ends.zones;
    if frame.packet.tunnel().is_some() {
        return Ok((
            admit::proven_inside(policy, client_zone, tuple.src),
            !admit::proven_inside(policy, server_zone, tuple.dst),
        ));
    }
    let sender = direction.pick([tuple.src, tuple.dst]);
    let sender_zone = direction.pick(ends.zones);
    let taggable = ends.undecided || admit::source(policy, sender_zone, sender)?;
    Ok((taggable, false))
}

/// A session that has only carried packets inside packets so far has traffic of its own.
fn begin_traffic(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    counters: &mut Counters,
    out: &mut Outputs,
) {
    session.carries_traffic(&mut counters.sessions);
    if env.ruleset.policy().rule(session.ruling.rule).log_start {
        out.record(records::start(env, now, session));
    }
}

/// Tells the forwarder now and then where the client of a long session is.
fn tell_source(
    now: Timestamp,
    session: &mut Session,
    packet: &Packet<'_>,
    direction: Direction,
    out: &mut Outputs,
) {
    if !session.source_is_due(now) || direction == Direction::ServerToClient {
        return;
    }
    session.source_told(now);
    if let (Some(mac), Some(ip), None) = (packet.link().source, packet.ip(), packet.tunnel()) {
        out.fact(records::source_seen(session, direction, ip.src, mac));
    }
}

/// The counter of a fragment that was given up.
fn fragment_reason(fault: FragmentFault) -> DropReason {
    match fault {
        FragmentFault::Overlap => DropReason::FragmentOverlap,
        FragmentFault::Timeout => DropReason::FragmentTimeout,
        FragmentFault::TooMany | FragmentFault::TableFull => DropReason::FragmentLimit,
        FragmentFault::TooLong | FragmentFault::NotAFragment => DropReason::FragmentInvalid,
    }
}

fn tcp_of<'p>(packet: &Packet<'p>) -> Option<Tcp<'p>> {
    match packet.ip()?.transport {
        Transport::Tcp(tcp) => Some(tcp),
        Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => None,
    }
}

/// The other side of the wire; frames whose side is not known count as coming from `interface1`.
fn across(spec: &WireSpec, ingress: Ingress) -> InterfaceId {
    let [inner, outer] = spec.interfaces;
    match ingress {
        Ingress::Interface(interface) if interface == outer => inner,
        Ingress::Interface(_) | Ingress::Wire(_) => outer,
    }
}

/// The application of protocols that are one by themselves.
fn app_by_protocol(env: &Env<'_>, packet: &Packet<'_>) -> Option<AppId> {
    let ip = packet.ip()?;
    let echo = matches!(
        &ip.transport,
        Transport::Icmp(icmp) if matches!(icmp.message, packet::IcmpMessage::Echo { .. })
    );
    match ip.protocol {
        IpProtocol::TCP => None,
        IpProtocol::UDP => packet
            .encapsulation()
            .map(|encapsulation| env.ruleset.app(inspect::Application::of_tunnel(encapsulation))),
        protocol => Some(
            inspect::Application::of_protocol(protocol, echo)
                .map_or(AppId::UNKNOWN_IP, |application| env.ruleset.app(application)),
        ),
    }
}
