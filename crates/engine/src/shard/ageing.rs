//! How sessions end by themselves: deadlines, eviction, and the end of a capture.

use std::time::Duration;

use logs::{Bypassed, Fact, SessionEndReason};
use packet::Timestamp;

use super::{Shard, fragment_reason};
use crate::{
    DropReason, Env, FragmentNote, Outputs, Verdict,
    interception::Interception,
    records,
    session::{Due, Session, SlotId, State},
    stages::tls,
};

impl Shard {
    /// Ends what is due at `now`: sessions by their deadline, and fragments whose datagram never became whole.
    /// Records stand in `out` under the id of their session; inner after outer, where one frame opened both.
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
        self.count_lost_fragments(now);
    }

    /// Counts the fragments whose datagram ran out of time, or had to make room for others.
    fn count_lost_fragments(&mut self, now: Timestamp) {
        for (fault, note) in self.fragments.expire(now) {
            self.counters.dropped(fragment_reason(fault), note.frames());
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
        self.count_lost_fragments(now);
        self.fragments.drain().iter().map(FragmentNote::frames).sum()
    }

    /// The session that a queue entry still speaks of.
    fn current(&mut self, due: &Due) -> Option<&mut Session> {
        self.sessions
            .get_mut(due.slot)
            .filter(|session| speaks_of(due, session))
    }

    /// Removes a session and logs its end, where that was not done before.
    pub(super) fn close(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId, out: &mut Outputs) {
        let Some(mut session) = self.sessions.remove(slot) else {
            return;
        };
        self.let_go(env, now, &mut session, out);
        let told = matches!(session.state, State::Discard | State::Ended)
            || session.carrier
            || !session.ruling.log_end;
        if !told {
            out.caused_by(session.id, session.layer, now);
        }
        self.count_end(&session, now, out);
        if told {
            return;
        }
        if let Some(record) = tls::ended(env, now, &session) {
            out.record(record);
        }
        out.record(records::end(env, now, &session));
    }

    /// Counts what a session that goes has carried, for its rules and for what let it pass unopened.
    pub(super) fn count_end(&mut self, session: &Session, now: Timestamp, out: &mut Outputs) {
        let [sent, received] = session.traffic;
        let bytes = sent.bytes.saturating_add(received.bytes);
        let rules = &mut self.counters.rules;
        if session.account.first_rule != session.ruling.name {
            rules.security.hit(session.ruling.name, now);
        }
        rules.security.carried(session.ruling.name, bytes);
        rules.decryption.carried(session.account.decryption_rule, bytes);
        if let Some(bypassed) = bypassed(session) {
            out.fact(Fact::Bypassed(bypassed));
        }
    }

    /// Adds a session; where the table is full, the one that would age next goes.
    pub(super) fn insert(
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
    pub(super) fn discard(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            match session.interception.take() {
                None => {}
                Some(Interception::Watching(watch)) => self
                    .counters
                    .released(Verdict::Drop(DropReason::PolicyDeny), watch.held_frames()),
                // Cut, as any other session is, in silence.
                Some(Interception::Adopted(_)) => self.adopted = self.adopted.saturating_sub(1),
            }
            session.state = State::Discard;
            session.settled_until = Timestamp::ZERO;
            session.dns_stream = None;
            session.closed_tls = None;
            session.name_finder = None;
            session.detector = None;
        }
        self.touch(env, now, slot);
    }

    /// A packet keeps its session for the timeout of its state.
    pub(super) fn touch(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
        let timeouts = &env.ruleset.policy().settings().session;
        if let Some(session) = self.sessions.get_mut(slot) {
            let timeout = session.timeout(timeouts);
            session.keep = whole_seconds(timeout);
            session.deadline = now.saturating_add(timeout);
            self.requeue(slot);
        }
    }

    /// A reset that its receiver will challenge: if nothing follows, the connection is gone.
    pub(super) fn shorten(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId) {
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
            let sessions = &self.sessions;
            self.deadlines.prune(sessions.len(), |due| {
                sessions
                    .get(due.slot)
                    .is_some_and(|session| speaks_of(due, session))
            });
        }
    }
}

/// What a session has carried unopened because of its server's tags.
pub(super) fn bypassed(session: &Session) -> Option<Bypassed> {
    let tuple = session.key.tuple();
    let [sent, received] = session.traffic;
    session.account.bypassed.then(|| Bypassed {
        server: tuple.dst,
        client: tuple.src,
        name: session.server_name.as_deref().copied(),
        bytes: sent.bytes.saturating_add(received.bytes),
    })
}

/// 0 where it is no whole number of seconds, or too many.
fn whole_seconds(timeout: Duration) -> u32 {
    match (u32::try_from(timeout.as_secs()), timeout.subsec_nanos()) {
        (Ok(seconds), 0) => seconds,
        _ => 0,
    }
}

/// Whether a queue entry is the session's live one.
fn speaks_of(due: &Due, session: &Session) -> bool {
    session.id == due.session_id && session.queued == due.at
}
