//! TLS that a decryption rule may want opened: watched, released or taken over; and driven on, once it is.

use decrypt::{
    Flow,
    tcp::{Limits, SynOptions},
    tls::{Failure, FailureClass, Leg},
};
use inspect::{Application, AskedHost};
use logs::SessionEndReason;
use packet::{
    Checksums, DomainName, Packet, Tcp, TcpFlags, Timestamp, TooBig, Transport,
    build::{Segment, SegmentFrames, Summing, tcp_toward_source_with_options},
    parse, too_big,
};
use policy::{Action, AppId, CategorySet, Decision, DecryptAction, DecryptionDecision, InterfaceId};

use super::{Shard, tell_source};
use crate::{
    Counters, DropReason, Env, Frame, Outputs, Verdict, decryption_records,
    interception::{
        Adopted, Greeting, Held, Interception, Step, Watch, behind, decided_by, drive, front, greeting,
        leg_of, offers_tls13, open, send_on, tell, without_fast_open,
    },
    records,
    session::{Direction, Due, Recognition, Session, SlotId, State},
    stages::{
        decide::{self, Again},
        opening::{self, Opening},
        recognise, refuse, tls,
    },
};

/// ECE and CWR: in a SYN they ask for explicit congestion notification.
const ECN: TcpFlags = TcpFlags(0xc0);

/// What becomes of a session whose client has said what it wants.
enum Choice {
    /// It goes on untouched, for good.
    Release,
    /// It is opened.
    Decrypt(DecryptionDecision),
    /// A security rule refuses it, now that the server's name is known.
    Refuse(Decision),
}

/// Whether a new session may become one that is opened, as far as its first packet tells.
pub(super) fn candidate(env: &Env<'_>, session: &Session, frame: &Frame<'_>) -> Option<Interception> {
    let with = env.ruleset.decryption()?;
    if frame.packet.tunnel().is_some() || with.pause.ends(session.start).is_some() {
        return None;
    }
    let decision = opening::by_rules(env.ruleset.policy(), session, session.tags(), None);
    let wanted = decision.action == DecryptAction::Decrypt || decision.name_matters;
    wanted.then(|| Interception::Watching(Box::default()))
}

/// Decides what a client wants that has greeted its server.
fn choose(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    name: Option<Box<DomainName>>,
    counters: &mut Counters,
) -> Choice {
    if name.is_some() {
        session.extra_mut().server_name = name;
    }
    if let Some(extra) = &mut session.extra {
        extra.name_finder = None;
    }
    // Tags can be of a server's name: they are read again now that it is known.
    if let Again::Refused(decision) = decide::again(session, env, now, true) {
        return Choice::Refuse(decision);
    }
    by_decryption_rules(env, now, session, counters)
}

/// What the decryption rules want of a session, now that its client will not name its server any more.
fn by_decryption_rules(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    counters: &mut Counters,
) -> Choice {
    let Opening {
        decision, doubted, ..
    } = opening::decide(env, now, session);
    counters.unverified_names += u64::from(doubted);
    match decision {
        Some(decision) if tls::left_closed(env, session, &decision) => {
            counters.excluded += 1;
            Choice::Release
        }
        Some(decision) if decision.action == DecryptAction::Decrypt => {
            let policy = env.ruleset.policy();
            if let Some(rule) = decision.rule.and_then(|id| policy.decryption_rule(id)) {
                session.extra_mut().decryption_rule = rule.name;
                counters.rules.decryption.hit(rule.name, now);
            }
            Choice::Decrypt(decision)
        }
        _ => Choice::Release,
    }
}

impl Shard {
    /// Looks at a segment of a session in which TLS may begin. `None`: it goes its way like any other; `Some`: this
    /// became of it. What is held, or carried on by the proxy, has not been sent to its receiver.
    pub(super) fn intercept(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Option<Result<Verdict, DropReason>> {
        let tcp = tcp_in(&frame.packet)?;
        let session = self.sessions.get_mut(slot)?;
        let watch = session.watch_mut()?;
        let step = watch.step(now, &frame.packet, tcp, direction);
        self.do_step(env, now, frame, (slot, direction), step, out)
    }

    fn do_step(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        step: Step,
        out: &mut Outputs,
    ) -> Option<Result<Verdict, DropReason>> {
        match step {
            Step::Pass => None,
            Step::Over => {
                self.release(env, frame, slot, out);
                None
            }
            Step::Plain => {
                self.let_held_go(env, frame, slot, out);
                None
            }
            Step::Hold { front } => Some(Ok(self.withhold(env, frame, slot, front, out))),
            Step::Refuse => Some(Err(DropReason::HelloIncomplete)),
            Step::Undecided => Some(self.take_over(env, now, frame, (slot, direction), None, out)),
            Step::Unseen => self.unseen(env, now, frame, (slot, direction), out).map(Ok),
            Step::Hello { name, otherwise } => {
                let session = self.sessions.get_mut(slot)?;
                name_by_request(session, name.is_some());
                match choose(env, now, session, name, &mut self.counters) {
                    Choice::Release => {
                        self.watch_closed(frame, (slot, direction));
                        self.release(env, frame, slot, out);
                        None
                    }
                    Choice::Decrypt(decision) => match otherwise {
                        None => Some(self.take_over(env, now, frame, (slot, direction), Some(decision), out)),
                        Some(step) => self.do_step(env, now, frame, (slot, direction), *step, out),
                    },
                    Choice::Refuse(decision) => {
                        session.set_ruling(env.ruleset, decision);
                        session.ended_by(SessionEndReason::PolicyDeny);
                        out.record(records::refused_later(env, now, session));
                        Some(Ok(self.cut(env, now, frame, (slot, direction), out)))
                    }
                }
            }
        }
    }

    /// Withholds a segment of the client; its first bytes, before those with which TLS may begin, go on.
    fn withhold(
        &mut self,
        env: &Env<'_>,
        frame: &Frame<'_>,
        slot: SlotId,
        length: usize,
        out: &mut Outputs,
    ) -> Verdict {
        let (Some(session), Some(tcp)) = (self.sessions.get_mut(slot), tcp_in(&frame.packet)) else {
            return Verdict::Consumed;
        };
        let egress = session.egress(Direction::ClientToServer);
        if length > 0 {
            let front = front(tcp, length);
            session.follow(&front, Direction::ClientToServer);
            let Some(watch) = session.watch_mut() else {
                return Verdict::Consumed;
            };
            send_on(
                &frame.packet,
                &front,
                summing(env),
                watch.segment_size(),
                egress,
                out,
            );
        }
        let Some(watch) = session.watch_mut() else {
            return Verdict::Consumed;
        };
        if watch.hold(tcp, frame.packet.frame().into(), frame.frames) {
            Verdict::Held
        } else {
            Verdict::Consumed
        }
    }

    /// TLS has come about that was not seen to begin: under a rule that opens sessions it goes no further. `None`: no
    /// such rule holds.
    fn unseen(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Option<Verdict> {
        let session = self.sessions.get_mut(slot)?;
        let Choice::Decrypt(decision) = by_decryption_rules(env, now, session, &mut self.counters) else {
            self.release(env, frame, slot, out);
            return None;
        };
        session.ended_by(SessionEndReason::DecryptError);
        session.set_action(Action::ResetBoth);
        if let Some(rule) = decided_by(env, decision).filter(|rule| rule.log_fail) {
            let failure = Failure::new(FailureClass::Error, Leg::Client, "TLS that was not seen to begin");
            out.record(decryption_records::failed(
                env, now, session, &rule, None, &failure,
            ));
        }
        if session.ruling.log_end {
            out.record(records::end(env, now, session));
        }
        Some(self.cut(env, now, frame, (slot, direction), out))
    }

    /// The TLS that begins with what is held, and with the packet at hand, stays closed, and is watched.
    fn watch_closed(&mut self, frame: &Frame<'_>, (slot, direction): (SlotId, Direction)) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        if let Some(Interception::Watching(watch)) = session.interception()
            && let Some([client, server]) = watch.nexts()
        {
            let at_hand = tcp_in(&frame.packet).filter(|_| direction == Direction::ClientToServer);
            let said = watch.flight(at_hand);
            let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
            tls::watch_from(session, &said, [client.wrapping_add(length), server]);
        }
    }

    /// Lets a session go for good: what was held leaves as it came, ahead of the packet at hand.
    fn release(&mut self, env: &Env<'_>, frame: &Frame<'_>, slot: SlotId, out: &mut Outputs) {
        self.let_held_go(env, frame, slot, out);
        if let Some(session) = self.sessions.get_mut(slot) {
            session.set_interception(None);
        }
    }

    /// What was held leaves as it came, ahead of the packet at hand.
    fn let_held_go(&mut self, env: &Env<'_>, frame: &Frame<'_>, slot: SlotId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        let egress = session.egress(Direction::ClientToServer);
        let Some(watch) = session.watch_mut() else {
            return;
        };
        let summing = summing(env);
        let size = watch.segment_size();
        let kind = frame.packet.link().kind;
        let held = watch.take_held();
        for held in held {
            self.counters.released(Verdict::Forward(egress), held.frames);
            let Ok(packet) = parse(kind, &held.bytes, held.bytes.len(), Checksums::Ignore) else {
                continue;
            };
            let Some(tcp) = tcp_in(&packet) else { continue };
            let tcp = behind(tcp, held.seq);
            session.follow(&tcp, Direction::ClientToServer);
            send_on(&packet, &tcp, summing, size, egress, out);
        }
    }

    /// Takes a session over, the packet at hand included. `decision` is `None` where it is still to be made.
    fn take_over(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        decision: Option<DecryptionDecision>,
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        let (Some(session), Some(tcp)) = (self.sessions.get_mut(slot), tcp_in(&frame.packet)) else {
            return Err(DropReason::SessionTableFull);
        };
        if decision.is_none() {
            name_by_request(session, false);
        }
        let Some(Interception::Watching(mut watch)) = session.take_interception() else {
            return Err(DropReason::SessionEnded);
        };
        let room = self.adopted < self.limits_adopted;
        let Some(takings) = watch.takings(Limits::default()).filter(|_| room) else {
            return self.cannot_take_over(env, now, frame, (slot, direction), (watch, decision), out);
        };
        let client_next = takings.client.peer_next;
        let mut flow = Flow::adopt(now, takings.client, takings.server);
        if watch.has_plaintext() {
            flow.answers_first();
        }
        let kind = frame.packet.link().kind;
        for held in watch.take_held() {
            self.counters.released(Verdict::Consumed, held.frames);
            if let Ok(packet) = parse(kind, &held.bytes, held.bytes.len(), Checksums::Ignore)
                && let Some(tcp) = tcp_in(&packet)
            {
                flow.segment(now, Leg::Client, &Held::segment(&behind(tcp, held.seq)));
            }
        }
        let known = watch.has_plaintext() && keeps_application(env, session);
        let mut adopted = Adopted::new(flow, takings.frames, known);
        adopted.direct = !watch.has_plaintext();
        adopted.asked = watch.asked_address();
        let tcp = match direction {
            Direction::ClientToServer => behind(tcp, client_next),
            Direction::ServerToClient => *tcp,
        };
        adopted.take(now, &frame.packet, &tcp, direction);
        if let Some(decision) = decision {
            open(env, now, session, &mut adopted, decision);
        }
        session.set_interception(Some(Interception::Adopted(Box::new(adopted))));
        self.adopted += 1;
        self.counters.adopted += 1;
        self.touch(now, slot);
        self.turn(env, now, slot, out);
        Ok(Verdict::Consumed)
    }

    /// A session that should be opened, and cannot: it passes as it is, or is ended where its profile says so.
    fn cannot_take_over(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        (watch, decision): (Box<Watch>, Option<DecryptionDecision>),
        out: &mut Outputs,
    ) -> Result<Verdict, DropReason> {
        self.counters.not_adopted += 1;
        let Some(session) = self.sessions.get_mut(slot) else {
            return Err(DropReason::SessionTableFull);
        };
        let egress = session.egress(direction);
        let policy = env.ruleset.policy();
        let profile = decision.and_then(|decision| policy.decryption_profile(decision.profile?));
        let blocks = profile.is_some_and(|profile| {
            let proxy = &profile.ssl_forward_proxy;
            let at_hand = tcp_in(&frame.packet).filter(|_| direction == Direction::ClientToServer);
            proxy.block_if_no_resource
                || proxy.block_tls13_downgrade_no_resource && offers_tls13(&watch.flight(at_hand))
        });
        session.set_interception(Some(Interception::Watching(watch)));
        if blocks {
            session.ended_by(SessionEndReason::DecryptError);
            out.record(records::end(env, now, session));
            self.discard(now, slot);
            return Err(DropReason::PolicyDeny);
        }
        self.watch_closed(frame, (slot, direction));
        self.release(env, frame, slot, out);
        if let (Some(session), Some(tcp)) = (self.sessions.get_mut(slot), tcp_in(&frame.packet)) {
            session.follow(tcp, direction);
        }
        Ok(Verdict::Forward(egress))
    }

    /// Takes a packet of a session that was taken over; `None` where it was not.
    pub(super) fn of_adopted(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        frame: &Frame<'_>,
        (slot, direction): (SlotId, Direction),
        out: &mut Outputs,
    ) -> Option<Result<Verdict, DropReason>> {
        let session = self.sessions.get_mut(slot)?;
        let Some(adopted) = session.adopted_mut() else {
            if session.state() != State::Ended {
                return None;
            }
            session.count_aside(direction, frame.original_bytes);
            let told =
                session.ruling.action.allows() && after_the_end(session, &frame.packet, direction, out);
            return Some(if told {
                Ok(Verdict::Answered)
            } else {
                Err(DropReason::SessionEnded)
            });
        };
        let tcp = tcp_in(&frame.packet)?;
        adopted.take(now, &frame.packet, tcp, direction);
        session.count(direction, frame.original_bytes, now);
        tell_source(now, session, &frame.packet, direction, out);
        if session.extra().is_some_and(|extra| extra.closed_tls.is_some())
            && let Some(refused) = self.closed_tls(env, now, frame, (slot, direction), out)
        {
            return Some(Ok(refused));
        }
        self.touch(now, slot);
        self.turn(env, now, slot, out);
        Some(Ok(Verdict::Consumed))
    }

    /// Lets go of a session that is cut, and resets the ends that its rule resets: only the proxy knows what they expect.
    /// `false`: no end was told.
    pub(super) fn cut_adopted(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        slot: SlotId,
        out: &mut Outputs,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(slot) else {
            return false;
        };
        let (client, server) = refuse::resets(session.ruling.action);
        if !session.is_adopted() || !(client || server) {
            return false;
        }
        let Some(Interception::Adopted(mut adopted)) = session.take_interception() else {
            return false;
        };
        self.adopted = self.adopted.saturating_sub(1);
        adopted.flow.cut(client, server);
        let summing = summing(env);
        drive(env, now, session, &mut adopted, summing, &mut self.counters, out);
        true
    }

    /// Takes an ICMP error about a segment that the proxy has sent: nobody else can do anything with it. `quoted` is the
    /// direction in which that segment travelled.
    pub(super) fn icmp_of_adopted(
        &mut self,
        slot: SlotId,
        quoted: Direction,
        packet: &Packet<'_>,
        now: Timestamp,
    ) -> Verdict {
        if let Some(session) = self.sessions.get_mut(slot)
            && let Some(adopted) = session.adopted_mut()
            && let Some(TooBig { mtu, seq }) = too_big(packet)
        {
            // What travels to the server was sent on the server's leg.
            adopted.flow.path_mtu(now, leg_of(quoted.reversed()), seq, mtu);
        }
        Verdict::Consumed
    }

    /// Carries a taken-over session on as far as it goes, and says what became of it.
    fn turn(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId, out: &mut Outputs) {
        let Some(session) = self.sessions.get_mut(slot) else {
            return;
        };
        let Some(Interception::Adopted(mut adopted)) = session.take_interception() else {
            return;
        };
        if adopted.flow.is_undecided() && session.state() == State::Open {
            decide_late(env, now, session, &mut adopted, &mut self.counters, out);
        }
        let summing = summing(env);
        let refused = drive(env, now, session, &mut adopted, summing, &mut self.counters, out);
        if let Some(decision) = refused
            && session.state() == State::Open
        {
            refuse_adopted(env, now, session, decision, out);
        }
        tell(env, now, session, &mut adopted, out);
        if adopted.flow.is_over() {
            self.adopted = self.adopted.saturating_sub(1);
            if session.state() == State::Open {
                session.end();
            }
            self.touch(now, slot);
            return;
        }
        let due = adopted.flow.deadline().filter(|at| *at < adopted.queued);
        if let Some(at) = due {
            adopted.queued = at;
            self.timers.push(Due {
                at,
                session_id: session.id(),
                slot,
            });
        }
        session.set_interception(Some(Interception::Adopted(adopted)));
        // What an earlier deadline has overtaken must not outnumber the sessions.
        let sessions = &self.sessions;
        self.timers.prune(self.adopted, |due| {
            sessions.get(due.slot).is_some_and(|session| {
                session.id() == due.session_id
                    && matches!(session.interception(), Some(Interception::Adopted(adopted)) if adopted.queued == due.at)
            })
        });
    }

    /// Does what is due at `now` in sessions that were taken over.
    pub fn wake(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) {
        while let Some(due) = self.timers.pop_due(now) {
            let Some(session) = self.sessions.get_mut(due.slot) else {
                continue;
            };
            if session.id() != due.session_id {
                continue;
            }
            let Some(adopted) = session.adopted_mut() else {
                continue;
            };
            if adopted.queued != due.at {
                continue;
            }
            adopted.queued = Timestamp::MAX;
            out.caused_by(session.id(), session.layer(), now);
            self.turn(env, now, due.slot, out);
        }
    }

    /// When [`Shard::wake`] is to be called next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.timers.peek().map(|due| due.at)
    }

    /// Lets go of what a session that is removed held: frames that wait are dropped, ends that are spoken to reset.
    pub(super) fn let_go(&mut self, env: &Env<'_>, now: Timestamp, session: &mut Session, out: &mut Outputs) {
        match session.take_interception() {
            None => {}
            Some(Interception::Watching(watch)) => {
                self.counters
                    .released(Verdict::Drop(DropReason::HelloIncomplete), watch.held_frames());
            }
            Some(Interception::Adopted(mut adopted)) => {
                self.adopted = self.adopted.saturating_sub(1);
                adopted.flow.abort();
                let summing = summing(env);
                drive(env, now, session, &mut adopted, summing, &mut self.counters, out);
            }
        }
    }
}

fn summing(env: &Env<'_>) -> Summing {
    env.ruleset
        .decryption()
        .map_or(Summing::Complete, |with| with.summing)
}

/// Sends a SYN on without what [`without_early_data`] has found in it: the client sends its data once the
/// connection stands, and neither end marks packets.
pub(super) fn plain_syn(env: &Env<'_>, frame: &Frame<'_>, egress: InterfaceId, out: &mut Outputs) -> Verdict {
    if let (Some(tcp), Some(frames)) = (tcp_in(&frame.packet), SegmentFrames::like(&frame.packet)) {
        let segment = Segment {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: TcpFlags(tcp.flags.0 & !ECN.0),
            window: tcp.window,
            payload: &[],
        };
        let stripped = without_fast_open(tcp.options);
        let options = stripped.as_deref().unwrap_or(tcp.options);
        out.emit_segment(egress, |buffer| {
            frames.write(&segment, &[], options, summing(env), None, buffer)
        });
    }
    Verdict::Consumed
}

/// A SYN may ask to carry data (RFC 7413), which would pass before anybody has decided; and for explicit congestion
/// notification (RFC 3168 §6.1.1), which whoever takes the connection over would have to go on with: `true`, and the
/// segment without data.
pub(super) fn without_early_data(transport: Transport<'_>) -> (Transport<'_>, bool) {
    let Transport::Tcp(tcp) = transport else {
        return (transport, false);
    };
    let opens = tcp.flags.syn() && !tcp.flags.ack();
    let marks = tcp.flags.0 & ECN.0 != 0;
    if !opens || (!marks && tcp.payload.is_empty() && without_fast_open(tcp.options).is_none()) {
        return (transport, false);
    }
    let without = Tcp {
        payload: &[],
        payload_len: 0,
        ..tcp
    };
    (Transport::Tcp(without), true)
}

/// Answers an end that has not heard the last word: with it, where it sends its FIN again (RFC 9293 §3.6.1), and with a
/// reset, where it goes on.
fn after_the_end(session: &Session, packet: &Packet<'_>, direction: Direction, out: &mut Outputs) -> bool {
    let Some(tcp) = tcp_in(packet).filter(|tcp| tcp.flags.ack() && !tcp.flags.rst() && !tcp.flags.syn())
    else {
        return false;
    };
    let mut options = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    let flags = match (tcp.flags.fin(), tcp.payload.is_empty()) {
        (true, _) => TcpFlags::ACK,
        (false, false) => TcpFlags::RST,
        (false, true) => return false,
    };
    let segment = Segment {
        seq: tcp.ack,
        ack: tcp
            .seq
            .wrapping_add(tcp.payload_len)
            .wrapping_add(u32::from(tcp.flags.fin())),
        flags,
        window: 0,
        payload: &[],
    };
    let stamps = SynOptions::parse(tcp.options).timestamps;
    let options = match stamps {
        Some((value, echo)) if flags.ack() => {
            for (place, byte) in options
                .iter_mut()
                .skip(4)
                .zip(echo.to_be_bytes().into_iter().chain(value.to_be_bytes()))
            {
                *place = byte;
            }
            &options[..]
        }
        Some(_) | None => &[],
    };
    out.emit(session.egress(direction.reversed()), |buffer| {
        tcp_toward_source_with_options(packet, &segment, options, buffer)
    });
    true
}

fn tcp_in<'a, 'p>(packet: &'a Packet<'p>) -> Option<&'a Tcp<'p>> {
    match &packet.ip()?.transport {
        Transport::Tcp(tcp) => Some(tcp),
        Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => None,
    }
}

/// Decides about a session that was taken over before its client had said what it wants.
fn decide_late(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    adopted: &mut Adopted,
    counters: &mut Counters,
    out: &mut Outputs,
) {
    let said = adopted.flow.undecided();
    let found = greeting(&said);
    let learnt = match found {
        Greeting::Other | Greeting::Hello(_) => recognise::first_bytes(session, env, &said),
        Greeting::NeedMore | Greeting::Unreadable => false,
    };
    let refused = match found {
        Greeting::NeedMore => None,
        Greeting::Other => {
            adopted.flow.pass();
            match learnt.then(|| decide::again(session, env, now, true)) {
                Some(Again::Refused(decision)) => Some(decision),
                Some(Again::Unchanged | Again::Allowed) | None => None,
            }
        }
        Greeting::Unreadable => {
            // As a session whose client names no server.
            let nameless = Some(CategorySet::default());
            let decision = opening::by_rules(env.ruleset.policy(), session, session.tags(), nameless);
            adopted.rule = decided_by(env, decision);
            let failure = Failure::new(
                FailureClass::Error,
                Leg::Client,
                "the ClientHello cannot be read, or has no end",
            );
            adopted.flow.fail(now, failure);
            None
        }
        Greeting::Hello(name) => match choose(env, now, session, name, counters) {
            Choice::Release => {
                tls::watch_from(session, &said, adopted.flow.next());
                adopted.flow.pass();
                None
            }
            Choice::Decrypt(decision) => {
                open(env, now, session, adopted, decision);
                None
            }
            Choice::Refuse(decision) => Some(decision),
        },
    };
    if let Some(decision) = refused {
        refuse_adopted(env, now, session, decision, out);
        let (client, server) = refuse::resets(session.ruling.action);
        adopted.flow.cut(client, server);
    }
}

/// A security rule refuses a session that was taken over.
fn refuse_adopted(
    env: &Env<'_>,
    now: Timestamp,
    session: &mut Session,
    decision: Decision,
    out: &mut Outputs,
) {
    session.set_ruling(env.ruleset, decision);
    session.ended_by(SessionEndReason::PolicyDeny);
    out.record(records::refused_later(env, now, session));
    session.end();
}

/// A client that asks a proxy for a host, and then names none in its `ClientHello`, wants that host.
fn name_by_request(session: &mut Session, named: bool) {
    if let Some(Interception::Watching(watch)) = session.interception()
        && !named
        && let Some(asked) = watch.asked()
    {
        session.extra_mut().server_name = match asked {
            AskedHost::Name(name) => Some(Box::new(name)),
            AskedHost::Address(_) => None,
        };
    }
}

/// Whether a session whose plaintext was recognised stays what it is when TLS begins in it. What a tunnel carries is
/// an application of its own.
fn keeps_application(env: &Env<'_>, session: &Session) -> bool {
    let tunnels = [Application::HttpProxy, Application::Socks].map(|tunnel| env.ruleset.app(tunnel));
    match session.recognition() {
        Recognition::Settled(app) => app != AppId::UNKNOWN_TCP && !tunnels.contains(&app),
        Recognition::Looking | Recognition::NoPayload => false,
    }
}
