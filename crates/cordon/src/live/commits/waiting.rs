//! A commit that has to be confirmed: kept by a word, or taken back at its deadline.

use std::time::Duration;

use control::{CommandError, ErrorCode, NewCommit};
use logs::Severity;
use packet::Timestamp;
use serde_json::{Value, json};
use tracing::warn;

use super::{Commits, InForce, State, Wish};

/// How long until a configuration that should return, but has errors, is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// A commit that nobody has confirmed yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) number: u32,
    pub(super) deadline: Timestamp,
    /// What returns at the deadline.
    pub(super) before: InForce,
    /// It could not return so far.
    pub(super) overdue: bool,
}

impl Commits {
    /// What happens where nobody confirms. It must not fail for anything but the configuration itself.
    pub(super) fn bring_back(&self, state: &mut State, waiting: &Waiting, now: Timestamp) {
        let wish = Wish {
            admin: "cordon",
            cmd: "confirm-timeout",
        };
        let before = state.in_force.number;
        let outcome = self
            .compile(state, &waiting.before.configuration)
            .map(|compiled| {
                let comment = match waiting.before.number {
                    Some(number) => format!(
                        "commit {} was not confirmed: commit {number} again",
                        waiting.number
                    ),
                    None => format!("commit {} was not confirmed", waiting.number),
                };
                let commit = NewCommit {
                    time: now,
                    admin: wish.admin,
                    comment: &comment,
                    path: &waiting.before.path,
                    unconfirmed: None,
                };
                let mut in_force = waiting.before.clone();
                match state.history.append(&commit, &in_force.configuration) {
                    Ok(number) => in_force.number = Some(number),
                    Err(error) => warn!(%error, "what has returned cannot be kept in the history of commits"),
                }
                state.waiting = None;
                self.publish(state, compiled, in_force)
            });
        if let (Err(_), Some(waiting)) = (&outcome, &mut state.waiting) {
            waiting.deadline = now.saturating_add(RETRY);
            if std::mem::replace(&mut waiting.overdue, true) {
                return;
            }
        }
        self.tell(state, wish, &waiting.before.path, before, &outcome);
        let (severity, text) = match outcome {
            Ok(_) => (
                Severity::High,
                format!(
                    "commit {} was not confirmed in time; the configuration before it is in force again",
                    waiting.number
                ),
            ),
            Err(error) => (
                Severity::Critical,
                format!(
                    "commit {} was not confirmed in time, but stays in force: the configuration before it has errors \
                     today, and is tried again every {} s: {error}",
                    waiting.number,
                    RETRY.as_secs()
                ),
            ),
        };
        self.shared
            .forwarding
            .tell_system(&self.shared, severity, "commit-not-confirmed", text);
    }
}

impl State {
    /// Keeps the commit that waits.
    pub(super) fn confirm(&mut self) -> Result<Value, CommandError> {
        let Some(waiting) = &self.waiting else {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "no commit waits to be confirmed",
            ));
        };
        let number = waiting.number;
        self.history.confirm(number).map_err(|error| {
            CommandError::new(
                ErrorCode::System,
                format!(
                    "commit {number} still waits to be confirmed: that it was cannot be written down: {error}"
                ),
            )
        })?;
        self.waiting = None;
        Ok(json!({ "confirmed": number }))
    }
}
