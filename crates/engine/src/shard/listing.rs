//! Sessions as an administrator sees them: listed as the records they would write now, and cleared by those.

use logs::{Bypassed, Record, SessionEndReason};
use packet::Timestamp;
use policy::Symbol;

use super::{Shard, ageing::bypassed};
use crate::{
    Env, Outputs, records,
    session::{SlotId, State},
};

/// Whether a listed session still carries traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It passes.
    Active,
    /// It was refused, cut or sinkholed; what follows is dropped.
    Discard,
}

impl SessionState {
    /// PAN-OS's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Discard => "DISCARD",
        }
    }
}

impl Shard {
    /// Shows every session as the traffic record it would write at `now`.
    pub fn list_sessions(&self, env: &Env<'_>, now: Timestamp, show: &mut dyn FnMut(SessionState, Record)) {
        for (_, session) in self.sessions.slots() {
            let state = match session.state() {
                State::Open => SessionState::Active,
                State::Sinkholed | State::Ended | State::Discard => SessionState::Discard,
            };
            show(state, records::start(env, now, session));
        }
    }

    /// Tells what open sessions have carried unopened because of their servers' tags.
    pub fn list_bypassed(&self, show: &mut dyn FnMut(Bypassed)) {
        self.sessions
            .slots()
            .filter_map(|(_, session)| bypassed(session))
            .for_each(show);
    }

    /// Forgets how often rules have decided: those with this name, or all.
    pub fn clear_rule_hits(&mut self, rule: Option<Symbol>) {
        self.counters.rules.clear(rule);
    }

    /// Ends the sessions whose record at `now` is chosen, and logs those that were not logged yet. Returns how
    /// many there were. Whatever of them still comes is judged anew.
    pub fn clear_sessions(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        choose: &dyn Fn(&Record) -> bool,
        out: &mut Outputs,
    ) -> usize {
        let chosen: Vec<SlotId> = self
            .sessions
            .slots()
            .filter(|(_, session)| choose(&records::start(env, now, session)))
            .map(|(slot, _)| slot)
            .collect();
        for slot in &chosen {
            if let Some(session) = self.sessions.get_mut(*slot) {
                session.ended_by(SessionEndReason::Unknown);
            }
            self.close(env, now, *slot, out);
        }
        chosen.len()
    }
}
