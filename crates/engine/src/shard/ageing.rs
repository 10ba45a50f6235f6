//! How sessions end by themselves: deadlines, eviction, and the end of a capture.

use logs::{Bypassed, Fact, SessionEndReason};
use packet::Timestamp;

use super::{Shard, fragment_reason};
use crate::{
    DropReason, Env, FragmentNote, Outputs, Verdict,
    interception::Interception,
    records,
    session::{Block, BlockDue, Note, Session, SlotId, State},
    stages::tls,
};

impl Shard {
    /// Ends what is due at `now`: sessions by their deadline, and fragments whose datagram never became whole.
    /// Records stand in `out` under the id of their session; inner after outer, where one frame opened both.
    pub fn expire(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) {
        while let Some(due) = self.ages.pop(now) {
            for slot in due.block.slots() {
                if let Some(session) = self.sessions.get_mut(slot)
                    && session.deadline() <= now
                {
                    session.ended_by(SessionEndReason::AgedOut);
                    self.close(env, now, slot, out);
                }
            }
            self.queue(due.block);
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

    /// The session of a block that is due next, and where it lies.
    fn next_of(&self, block: Block) -> Option<(BlockDue, SlotId)> {
        let dues = block.slots().filter_map(|slot| {
            let session = self.sessions.get(slot)?;
            let due = BlockDue {
                at: session.deadline(),
                session_id: session.id(),
                block,
            };
            Some((due, slot))
        });
        dues.min()
    }

    /// Queues a block for the session of it that is due next.
    fn queue(&mut self, block: Block) {
        if let Some((due, _)) = self.next_of(block) {
            self.ages.queue(due);
        }
    }

    /// Removes a session and logs its end, where that was not done before.
    pub(super) fn close(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId, out: &mut Outputs) {
        let Some(mut session) = self.sessions.remove(slot) else {
            return;
        };
        self.let_go(env, now, &mut session, out);
        let told = matches!(session.state(), State::Discard | State::Ended)
            || session.is(Note::Carrier)
            || !session.ruling.log_end;
        if !told {
            out.caused_by(session.id(), session.layer(), now);
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
        let [sent, received] = session.bytes();
        let bytes = sent.saturating_add(received);
        let rules = &mut self.counters.rules;
        if session.changed_rule() {
            rules.security.hit(session.ruling.name, now);
        }
        rules.security.carried(session.ruling.name, bytes);
        if let Some(extra) = session.extra() {
            rules.decryption.carried(extra.decryption_rule, bytes);
        }
        if let Some(bypassed) = bypassed(session) {
            out.fact(Fact::Bypassed(bypassed));
        }
    }

    /// Adds a session; where the table is full, the one that would age next goes.
    pub(super) fn insert(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        hash: u64,
        session: Session,
        out: &mut Outputs,
    ) -> Result<SlotId, DropReason> {
        if self.sessions.is_full() {
            self.evict(env, now, out);
        }
        self.sessions
            .insert(hash, session)
            .map_err(|_| DropReason::SessionTableFull)
    }

    fn evict(&mut self, env: &Env<'_>, now: Timestamp, out: &mut Outputs) {
        while let Some(due) = self.ages.pop(Timestamp::MAX) {
            let Some((next, slot)) = self.next_of(due.block) else {
                continue;
            };
            // What is known of a block is never later than what is true of it.
            if next != due {
                self.ages.queue(next);
                continue;
            }
            if let Some(session) = self.sessions.get_mut(slot) {
                session.ended_by(SessionEndReason::ResourcesUnavailable);
            }
            self.counters.evicted += 1;
            self.close(env, now, slot, out);
            self.queue(due.block);
            return;
        }
    }

    /// Turns a session into the memory of its refusal.
    pub(super) fn discard(&mut self, now: Timestamp, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            match session.take_interception() {
                None => {}
                Some(Interception::Watching(watch)) => self
                    .counters
                    .released(Verdict::Drop(DropReason::PolicyDeny), watch.held_frames()),
                // Cut, as any other session is, in silence.
                Some(Interception::Adopted(_)) => self.adopted = self.adopted.saturating_sub(1),
            }
            session.set_state(State::Discard);
            session.set(Note::Settled, false);
            if let Some(extra) = &mut session.extra {
                extra.dns_stream = None;
                extra.closed_tls = None;
                extra.name_finder = None;
                extra.detector = None;
            }
            session.tidy();
        }
        self.touch(now, slot);
    }

    /// A packet keeps its session for the timeout of its state.
    pub(super) fn touch(&mut self, now: Timestamp, slot: SlotId) {
        if let Some(session) = self.sessions.get_mut(slot) {
            session.last_packet = now;
            session.set_deadline(None);
            self.ages.note(slot, session.id(), session.deadline());
        }
    }

    /// A reset that its receiver will challenge: if nothing follows, the connection is gone. `before`: when it would
    /// have aged, had the reset not come.
    pub(super) fn shorten(&mut self, env: &Env<'_>, now: Timestamp, slot: SlotId, before: Timestamp) {
        let timeout = env.ruleset.policy().settings().session.tcp_unverified_rst;
        if let Some(session) = self.sessions.get_mut(slot) {
            let deadline = before.min(now.saturating_add(timeout));
            session.set_deadline(Some(deadline));
            self.ages.note(slot, session.id(), deadline);
        }
    }
}

/// What a session has carried unopened because of its server's tags.
pub(super) fn bypassed(session: &Session) -> Option<Bypassed> {
    session.is(Note::Bypassed).then(|| {
        let tuple = session.key().tuple();
        let [sent, received] = session.bytes();
        Bypassed {
            server: tuple.dst,
            client: tuple.src,
            name: session.server_name().copied(),
            bytes: sent.saturating_add(received),
        }
    })
}
