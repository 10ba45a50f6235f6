//! One packet's journey. This page names every stage in order.
//!
//! A shard owns the sessions and fragments of one part of all flows. It takes `(now, frame)` and gives a
//! verdict, records and frames; it reads no clock, opens no socket and starts no thread, so the same code
//! runs live, in replay, in tests and under the fuzzer.

use logs::SessionEndReason;
use packet::{
    Datagram, FragmentFault, FragmentLimits, IpProtocol, Network, Packet, Reassembler, Reassembly, Tcp,
    Timestamp, Transport, Wire, crosses_always,
};
use policy::{AppId, AppKnowledge, Asymmetric, InterfaceId, NonSyn, WireSpec};
use tags::TagStore;

use crate::{
    Counters, DropReason, FlowRef, Outputs, Ruleset, Sides, Verdict, records,
    session::{
        DeadlineQueue, Direction, Due, Recognition, Segment, Session, SessionTable, SlotId, State, TcpTracker,
    },
    stages::{admit, decide, decide::Again, dns, dns_tcp, recognise, refuse},
};

/// Where a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// By this interface.
    Interface(InterfaceId),
    /// Somewhere on this wire: captures do not say by which interface.
    Wire(Wire),
}

/// What holds for a whole burst: one ruleset, one tag store.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// The policy and lists in force.
    pub ruleset: &'a Ruleset,
    /// The tags of addresses.
    pub tags: &'a TagStore,
    /// Who is inside, where frames do not say.
    pub sides: &'a Sides,
}

/// One frame, or the fragments that make up one datagram, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// The number of the first frame of the same datagram; `number` where it is whole by itself.
    pub first_number: u64,
    /// How many frames make up the datagram.
    pub frames: u64,
    /// When it was stamped.
    pub stamp: Timestamp,
    /// Where it came in.
    pub ingress: Ingress,
    /// Bytes on the wire, of all its frames.
    pub original_bytes: u64,
    /// What it holds.
    pub packet: Packet<'a>,
}

/// What a fragment's place in the reassembly remembers of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentNote {
    /// The frame's number.
    pub number: u64,
    /// When it was stamped.
    pub stamp: Timestamp,
    /// Its bytes on the wire.
    pub original_bytes: u64,
}

/// The bounds of one shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardLimits {
    /// Sessions, those that only remember a refusal included.
    pub sessions: usize,
    /// Fragments that wait for the rest of their datagram.
    pub fragments: FragmentLimits,
}

/// Everything a stage may look at or add to, for one packet.
#[derive(Debug)]
pub(crate) struct Scene<'a, 'p> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) now: Timestamp,
    pub(crate) packet: &'a Packet<'p>,
    pub(crate) direction: Direction,
    pub(crate) out: &'a mut Outputs,
    pub(crate) counters: &'a mut Counters,
    /// Room for one forged DNS message.
    pub(crate) message: &'a mut Vec<u8>,
    /// Room for forged DNS messages on their way into a TCP stream.
    pub(crate) replies: &'a mut Vec<u8>,
}

impl Scene<'_, '_> {
    /// The interface this packet goes out by, if it goes on.
    pub(crate) fn egress_of(&self, session: &Session) -> InterfaceId {
        let [client, server] = session.interfaces;
        match self.direction {
            Direction::ClientToServer => server,
            Direction::ServerToClient => client,
        }
    }

    /// The interface this packet came in by.
    pub(crate) fn ingress_of(&self, session: &Session) -> InterfaceId {
        let [client, server] = session.interfaces;
        match self.direction {
            Direction::ClientToServer => client,
            Direction::ServerToClient => server,
        }
    }
}

/// The state of one of the [`crate::SHARDS`] parts of all flows.
#[derive(Debug)]
pub struct Shard {
    sessions: SessionTable,
    deadlines: DeadlineQueue,
    fragments: Reassembler<FragmentNote>,
    counters: Counters,
    message: Vec<u8>,
    replies: Vec<u8>,
}

impl Shard {
    /// An empty shard.
    pub fn new(limits: ShardLimits) -> Self {
        Self {
            sessions: SessionTable::new(limits.sessions),
            deadlines: DeadlineQueue::default(),
            fragments: Reassembler::new(limits.fragments),
            counters: Counters::default(),
            message: Vec::with_capacity(1024),
            replies: Vec::with_capacity(1024),
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
        let note = FragmentNote {
            number: frame.number,
            stamp: frame.stamp,
            original_bytes: frame.original_bytes,
        };
        match self.fragments.push(now, wire, &frame.packet, note) {
            Reassembly::Held => None,
            Reassembly::Complete(datagram) => Some(datagram),
            Reassembly::Dropped { reason, notes } => {
                self.counters.dropped(fragment_reason(reason), notes.len() as u64);
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

    /// Takes a packet of a flow that this shard owns.
    pub fn packet(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        flow: &FlowRef,
        out: &mut Outputs,
    ) -> Verdict {
        out.caused_by(frame.number, frame.stamp);
        let verdict = self
            .journey(env, now, frame, flow, out)
            .unwrap_or_else(Verdict::Drop);
        self.counters.verdict(verdict, frame.frames);
        verdict
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
            plausible(tcp)?;
        }

        // 2. A known session? An ICMP error belongs to the one it quotes.
        if let Some((key, hash)) = &flow.quoted
            && let Some((slot, quoted)) = self.sessions.find(*hash, key)
        {
            return Ok(self.icmp_error(slot, quoted, frame, now));
        }
        let mut found = self.sessions.find(flow.hash, &flow.key);
        if let Some((slot, direction)) = found {
            if self.makes_way(env, now, slot, direction, tcp.as_ref(), out) {
                found = None;
            }
        }

        // 3. A new one: where does it come from, and which rule holds?
        let Some((slot, direction)) = found else {
            return self.open(env, now, frame, spec, flow, out);
        };

        // 4. Is its verdict still current? Only a session whose verdict changed is cut.
        if let Some(verdict) = self.still_allowed(env, now, frame, slot, direction, out) {
            return verdict;
        }

        // 5. TCP state, payload, counters.
        self.carry(env, now, frame, slot, direction, out)
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
        match session.state {
            State::Open | State::Sinkholed => {
                let (Some(tcp), Some(tracker)) = (tcp, &session.tcp) else {
                    return false;
                };
                let mut tracker = *tracker;
                if !tcp.flags.syn() || tracker.segment(tcp, direction) != Segment::NewConnection {
                    return false;
                }
                session.ended_by(SessionEndReason::TcpReuse);
                self.close(env, now, slot, out);
                true
            }
            State::Discard => {
                if decide::is_current(session, env, now) {
                    return false;
                }
                match decide::again(session, env, now, false) {
                    Again::Allowed => {
                        self.sessions.remove(slot);
                        true
                    }
                    Again::Unchanged | Again::Refused(_) => false,
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
        if tcp.is_some_and(|tcp| !tcp.flags.syn()) && policy.settings().tcp.non_syn == NonSyn::Drop {
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
        let ends = admit::ends(
            policy,
            spec,
            env.sides,
            frame.ingress,
            flow.key.vlans(),
            tuple.src,
            tuple.dst,
            sender_is_client,
        )?;
        let sender = flow.key.tuple().src;
        let sender_zone = ends.zones[direction.index()];
        let taggable = ends.undecided || admit::source(policy, sender_zone, sender)?;

        let decided = decide::read_tags(env, now, tuple.src, tuple.dst, None);
        let (app, recognition) = match self.app_by_protocol(env, &frame.packet) {
            Some(app) => (AppKnowledge::Known(app), Recognition::Settled(app)),
            None => (AppKnowledge::Unknown, Recognition::NoPayload),
        };
        let decision = decide::ask(env, ends.zones, tuple, app, None, &decided);
        if !decision.action.allows() && crosses_always(&frame.packet) && !spec.protect_link_local {
            return Ok(Verdict::Forward(ends.interfaces[direction.reversed().index()]));
        }
        let session = Session {
            key,
            hash: flow.hash,
            state: State::Open,
            deadline: now,
            queued: Timestamp::MAX,
            decided,
            traffic: Default::default(),
            last_packet: now,
            tcp: None,
            recognition,
            detector: inspect::AppDetector::new(tuple.protocol),
            detector_seq: [None; 2],
            id: frame.first_number,
            start: now,
            rule: decision.rule,
            action: decision.action,
            provisional: decision.provisional,
            name_matters: decision.name_matters,
            zones: ends.zones,
            interfaces: ends.interfaces,
            end_reason: None,
            client_mac: if sender_is_client {
                frame.packet.link().source
            } else {
                frame.packet.link().destination
            },
            taggable,
            from_inside: ends.from_inside,
            sinkholed_query: false,
            server_name: None,
            name_finder: tcp.is_some().then(inspect::ServerNameFinder::default),
            not_dns: false,
            answered_dns: false,
            dns_stream: None,
        };
        let slot = self.insert(env, now, session, out)?;
        self.count_session(tuple.protocol);
        out.caused_by(frame.number, frame.stamp);
        self.announce(env, now, frame, slot, direction, out);
        if decision.action.allows() {
            return self.carry(env, now, frame, slot, direction, out);
        }
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::PolicyDeny);
        };
        session.count(direction, frame.original_bytes, now);
        out.record(records::refused_at_once(env, now, session));
        self.discard(env, now, slot);
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
        let Some(session) = self.sessions.get(slot) else {
            return;
        };
        if let (Some(mac), Some(ip)) = (frame.packet.link().source, frame.packet.ip()) {
            out.fact(records::source_seen(session, direction, ip.src, mac));
        }
        if !session.action.allows() {
            return;
        }
        let policy = env.ruleset.policy();
        let rule = policy.rule(session.rule);
        if rule.log_start {
            out.record(records::start(env, now, session));
        }
        if session.from_inside
            && let Some(profile) = rule.spyware
        {
            let profile = policy.spyware(profile);
            if profile.sinkhole.contains(session.key.tuple().dst) {
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
        if session.state == State::Discard {
            self.touch(env, now, slot);
            return Some(Ok(self.turn_away(frame, slot, direction, out)));
        }
        if decide::is_current(session, env, now) {
            return None;
        }
        self.counters.redecided += 1;
        match decide::again(session, env, now, false) {
            Again::Unchanged | Again::Allowed => None,
            Again::Refused(decision) => {
                session.rule = decision.rule;
                session.action = decision.action;
                session.ended_by(SessionEndReason::PolicyDeny);
                session.count(direction, frame.original_bytes, now);
                out.record(records::cut(env, now, session));
                self.counters.cut += 1;
                self.discard(env, now, slot);
                Some(Ok(self.turn_away(frame, slot, direction, out)))
            }
        }
    }

    /// Takes a packet of an allowed session: TCP state, payload, counters.
    fn carry(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        slot: SlotId,
        direction: Direction,
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        let policy = env.ruleset.policy();
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::SessionTableFull);
        };
        let Network::Ip(ip) = frame.packet.network() else {
            return Err(DropReason::NoZone);
        };
        let tcp = tcp_of(&frame.packet);

        // TCP: what the receiver would not accept changes nothing here.
        let mut tracker = None;
        let mut unverified_reset = false;
        if let Some(tcp) = &tcp {
            let (next, segment) = match session.tcp {
                None => (TcpTracker::new(tcp, direction), first_segment(tcp)),
                Some(mut known) => {
                    let segment = known.segment(tcp, direction);
                    (known, segment)
                }
            };
            if segment == Segment::OutOfWindow {
                return Err(DropReason::OutOfWindow);
            }
            if next.one_sided()
                && session.tcp.is_some()
                && !tcp.flags.syn()
                && policy.settings().tcp.asymmetric == Asymmetric::Drop
            {
                return Err(DropReason::Asymmetric);
            }
            match (segment, direction) {
                (Segment::Fin, _) => session.ended_by(SessionEndReason::TcpFin),
                (Segment::Reset, Direction::ClientToServer) => {
                    session.ended_by(SessionEndReason::TcpRstFromClient)
                }
                (Segment::Reset, Direction::ServerToClient) => {
                    session.ended_by(SessionEndReason::TcpRstFromServer)
                }
                (Segment::UnverifiedReset, _) => unverified_reset = true,
                (
                    Segment::Accepted
                    | Segment::Resynchronise
                    | Segment::NewConnection
                    | Segment::OutOfWindow,
                    _,
                ) => {}
            }
            tracker = Some(next);
        }
        session.count(direction, frame.original_bytes, now);

        // Payload: names first, since a listed one never leaves.
        let mut verdict = None;
        let profile = policy.rule(session.rule).spyware;
        let mut scene = Scene {
            env,
            now,
            packet: &frame.packet,
            direction,
            out,
            counters: &mut self.counters,
            message: &mut self.message,
            replies: &mut self.replies,
        };
        if let Some(profile) = profile {
            let profile = policy.spyware(profile);
            verdict = match &ip.transport {
                Transport::Udp(udp) => dns::datagram(&mut scene, session, profile, udp),
                Transport::Tcp(tcp) => dns_tcp::segment(&mut scene, session, profile, tcp),
                Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => None,
            };
        }
        let learnt = recognise::payload(session, env, &ip.transport, direction);
        if verdict.is_none() && session.state == State::Open {
            let asks = (learnt.app && session.provisional) || (learnt.name && session.name_matters);
            if asks && let Again::Refused(decision) = decide::again(session, env, now, true) {
                session.rule = decision.rule;
                session.action = decision.action;
                session.ended_by(SessionEndReason::PolicyDeny);
                out.record(records::refused_later(env, now, session));
                self.discard(env, now, slot);
                return Ok(self.turn_away(frame, slot, direction, out));
            }
        }
        let egress = scene_egress(session, direction);
        let state = session.state;
        let forwarded = verdict.is_none() && state == State::Open;
        if forwarded || session.tcp.is_none() {
            session.tcp = tracker.or(session.tcp);
        }
        if unverified_reset {
            self.shorten(env, now, slot);
        } else {
            self.touch(env, now, slot);
        }
        if let Some(verdict) = verdict {
            return Ok(verdict);
        }
        match state {
            State::Open => Ok(Verdict::Forward(egress)),
            State::Sinkholed => Err(DropReason::SinkholedSession),
            State::Discard => Err(DropReason::PolicyDeny),
        }
    }

    /// An ICMP error goes where the packet it quotes came from, while that packet's session may carry traffic.
    /// It neither ends the session nor keeps it alive: anyone can make one up.
    fn icmp_error(&mut self, slot: SlotId, quoted: Direction, frame: &Frame<'_>, now: Timestamp) -> Verdict {
        let Some(session) = self.sessions.get_mut(slot) else {
            return Verdict::Drop(DropReason::PolicyDeny);
        };
        match session.state {
            State::Open => {
                let direction = quoted.reversed();
                let last = session.last_packet;
                session.count(direction, frame.original_bytes, now);
                session.last_packet = last;
                Verdict::Forward(scene_egress(session, direction))
            }
            State::Sinkholed => Verdict::Drop(DropReason::SinkholedSession),
            State::Discard => Verdict::Drop(DropReason::PolicyDeny),
        }
    }

    /// What becomes of a packet of a refused session.
    fn turn_away(&self, frame: &Frame<'_>, slot: SlotId, direction: Direction, out: &mut Outputs) -> Verdict {
        if let (Some(session), Some(tcp)) = (self.sessions.get(slot), tcp_of(&frame.packet))
            && refuse::reset(session, session.action, &frame.packet, &tcp, direction, out)
        {
            return Verdict::Answered;
        }
        Verdict::Drop(DropReason::PolicyDeny)
    }

    fn app_by_protocol(&self, env: &Env<'_>, packet: &Packet<'_>) -> Option<AppId> {
        let ip = packet.ip()?;
        let echo = matches!(
            &ip.transport,
            Transport::Icmp(icmp) if matches!(icmp.message, packet::IcmpMessage::Echo { .. })
        );
        match ip.protocol {
            IpProtocol::TCP | IpProtocol::UDP => None,
            protocol => Some(
                inspect::Application::of_protocol(protocol, echo)
                    .map_or(AppId::UNKNOWN_IP, |application| env.ruleset.app(application)),
            ),
        }
    }

    fn count_session(&mut self, protocol: IpProtocol) {
        let sessions = &mut self.counters.sessions;
        match protocol {
            IpProtocol::TCP => sessions.tcp += 1,
            IpProtocol::UDP => sessions.udp += 1,
            IpProtocol::ICMP | IpProtocol::ICMPV6 => sessions.icmp += 1,
            _ => sessions.other += 1,
        }
    }
}

/// Ageing.
impl Shard {
    /// Ends what is due at `now`: sessions by their deadline, and fragments whose datagram never became whole.
    /// Records stand in `out` under the id of their session.
    pub fn expire(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) {
        while let Some(due) = self.deadlines.pop_due(now) {
            let Some(session) = self.current(&due) else {
                continue;
            };
            if session.deadline > now {
                let deadline = session.deadline;
                session.queued = deadline;
                self.deadlines.push(Due { at: deadline, ..due });
                continue;
            }
            session.ended_by(SessionEndReason::AgedOut);
            self.close(env, now, due.slot, out);
        }
        for (fault, _) in self.fragments.expire(now) {
            self.counters.dropped(fragment_reason(fault), 1);
        }
    }

    /// Ends everything at the end of a capture. Returns the frames still held as fragments.
    pub fn finish(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) -> u64 {
        let slots: Vec<SlotId> = self.sessions.slots().map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(session) = self.sessions.get_mut(slot) {
                session.ended_by(SessionEndReason::Unknown);
            }
            self.close(env, now, slot, out);
        }
        self.fragments.drain().len() as u64
    }

    /// The session that a queue entry still speaks of.
    fn current(&mut self, due: &Due) -> Option<&mut Session> {
        self.sessions
            .get_mut(due.slot)
            .filter(|session| session.id == due.session_id && session.queued == due.at)
    }

    /// Removes a session and logs its end, where that was not done before.
    fn close(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId, out: &mut Outputs) {
        let Some(session) = self.sessions.remove(slot) else {
            return;
        };
        if session.state == State::Discard || !env.ruleset.policy().rule(session.rule).log_end {
            return;
        }
        out.caused_by(session.id, now);
        out.record(records::end(env, now, &session));
    }

    /// Adds a session; where the table is full, the one that would age next goes.
    fn insert(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        session: Session,
        out: &mut Outputs,
    ) -> Result<SlotId, DropReason> {
        if self.sessions.is_full() {
            self.evict(env, now, out);
        }
        self.sessions
            .insert(session)
            .map_err(|_| DropReason::SessionTableFull)
    }

    fn evict(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) {
        while let Some(due) = self.deadlines.pop() {
            let Some(session) = self.current(&due) else {
                continue;
            };
            if session.deadline > due.at {
                let deadline = session.deadline;
                session.queued = deadline;
                self.deadlines.push(Due { at: deadline, ..due });
                continue;
            }
            session.ended_by(SessionEndReason::ResourcesUnavailable);
            self.counters.evicted += 1;
            self.close(env, now, due.slot, out);
            return;
        }
    }

    /// Turns a session into the memory of its refusal.
    fn discard(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.state = State::Discard;
            session.dns_stream = None;
            session.name_finder = None;
        }
        self.touch(env, now, slot);
    }

    /// A packet keeps its session for the timeout of its state.
    fn touch(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
        let timeouts = &env.ruleset.policy().settings().session;
        if let Some(session) = self.sessions.get_mut(slot) {
            session.deadline = now.saturating_add(session.timeout(timeouts));
            self.requeue(slot);
        }
    }

    /// A reset that its receiver will challenge: if nothing follows, the connection is gone.
    fn shorten(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
        let timeout = env.ruleset.policy().settings().session.tcp_unverified_rst;
        if let Some(session) = self.sessions.get_mut(slot) {
            session.deadline = session.deadline.min(now.saturating_add(timeout));
            self.requeue(slot);
        }
    }

    /// Queues a session where its deadline has moved forward; one that moved back is found out later.
    fn requeue(&mut self, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot)
            && session.deadline < session.queued
        {
            session.queued = session.deadline;
            self.deadlines.push(Due {
                at: session.deadline,
                session_id: session.id,
                slot,
            });
        }
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

/// Refuses combinations of flags that no stack sends and scanners do: SYN with FIN or RST, and none at all.
fn plausible(tcp: &Tcp<'_>) -> Result<(), DropReason> {
    let flags = tcp.flags;
    let nonsense = flags.syn() && (flags.fin() || flags.rst());
    let nothing = !(flags.syn() || flags.ack() || flags.rst() || flags.fin());
    if nonsense || nothing {
        Err(DropReason::TcpFlags)
    } else {
        Ok(())
    }
}

/// What the first segment of a session means.
fn first_segment(tcp: &Tcp<'_>) -> Segment {
    match (tcp.flags.rst(), tcp.flags.fin()) {
        (true, _) => Segment::Reset,
        (false, true) => Segment::Fin,
        (false, false) => Segment::Accepted,
    }
}

fn scene_egress(session: &Session, direction: Direction) -> InterfaceId {
    let [client, server] = session.interfaces;
    match direction {
        Direction::ClientToServer => server,
        Direction::ServerToClient => client,
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
