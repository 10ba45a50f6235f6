//! What was committed, and what differs.

use std::path::Path;

use control::{CommandError, Commit, ConfigurationText, DiffTo, Difference, ErrorCode};
use serde_json::{Value, json};

use super::{Commits, State, compile::invalid, kept};
use crate::live::answers::time;

impl Commits {
    /// Every commit that can return, newest first.
    pub(in crate::live) fn list(&self) -> Value {
        let state = self.lock();
        let running = state.in_force.number;
        let older = |commit: &Commit| running.is_none_or(|running| commit.number < running);
        let mut back = 0_u32;
        let mut rows = Vec::new();
        for commit in state.history.commits().iter().rev() {
            back += u32::from(older(commit));
            rows.push(json!({
                "number": commit.number,
                // What `rollback` is given; 0 is the one in force.
                "back": back,
                "time": time(commit.time),
                "admin": commit.admin,
                "path": commit.path,
                "state": standing(&state, commit),
                "comment": commit.comment,
            }));
        }
        json!({ "commits": rows })
    }

    /// What leads from one configuration to another.
    pub(in crate::live) fn diff(&self, from: Option<u32>, to: &DiffTo) -> Result<Value, CommandError> {
        // Read before anything waits for it: a file may lie on a disk that sleeps.
        let candidate = match (to, from) {
            (DiffTo::Path(path), _) => Some(candidate(path)?),
            (DiffTo::Usual, None) => Some(candidate(&self.path())?),
            (DiffTo::Usual, Some(_)) | (DiffTo::Commit(_), _) => None,
        };
        let state = self.lock();
        let (from_name, from_text) = match from {
            None => running(&state),
            Some(number) => committed(&state, number)?,
        };
        let (to_name, to_text) = match (to, candidate) {
            (DiffTo::Commit(number), _) => committed(&state, *number)?,
            (_, Some(candidate)) => candidate,
            (_, None) => running(&state),
        };
        // Comparing can take seconds, and nobody needs to wait for it.
        drop(state);
        let difference = Difference::between((&from_name, &from_text), (&to_name, &to_text));
        Ok(json!({
            "from": from_name,
            "to": to_name,
            "different": !difference.lines.is_empty(),
            "added": difference.added,
            "removed": difference.removed,
            "lines": difference.lines,
            "truncated": false,
        }))
    }
}

/// How a commit stands.
fn standing(state: &State, commit: &Commit) -> String {
    let waits = state.waiting.as_ref();
    match (
        waits.filter(|waiting| waiting.number == commit.number),
        commit.unconfirmed,
    ) {
        (Some(waiting), _) => format!("running, to be confirmed by {}", time(waiting.deadline)),
        (None, _) if state.in_force.number == Some(commit.number) => "running".to_owned(),
        (None, Some(_)) => "not confirmed".to_owned(),
        (None, None) => String::new(),
    }
}

fn running(state: &State) -> (String, String) {
    let name = match state.in_force.number {
        Some(number) => format!("running (commit {number})"),
        None => "running".to_owned(),
    };
    (name, state.in_force.configuration.text.clone())
}

fn committed(state: &State, number: u32) -> Result<(String, String), CommandError> {
    if state.history.get(number).is_none() {
        return Err(CommandError::new(
            ErrorCode::NotFound,
            format!("there is no commit {number}; `show commits` lists them"),
        ));
    }
    let configuration = kept(&state.history, number)?;
    Ok((format!("commit {number}"), configuration.text))
}

fn candidate(path: &Path) -> Result<(String, String), CommandError> {
    let name = path.display().to_string();
    match ConfigurationText::read(path) {
        Ok(configuration) => Ok((name, configuration.text)),
        Err(finding) => Err(invalid(&name, &[*finding])),
    }
}
