//! Configurations put in force: read and compiled beside the packet path, then published as one thing. Each is kept,
//! so that it can return: by a command, or by itself where nobody has confirmed the one after it.

mod begin;
mod compare;
mod compile;
mod waiting;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use config::ListSummary;
use control::{CommandError, ConfigurationText, ErrorCode, History, NewCommit, RollbackTo, Unconfirmed};
use engine::Ruleset;
use logs::{Body, ConfigChange, ForwardingProfiles, Severity};
use serde_json::{Value, json};
use tags::TagNames;
use tracing::{info, warn};

use self::{begin::FIRST_GENERATION, compile::Compiled, waiting::Waiting};
pub(super) use self::{
    begin::{Beginning, Begun, Given},
    compile::{Accepted, Compiler, forwarder_config},
};
use super::{decryption::Decryption, shared::Shared};

/// Who wants a configuration in force, and by which command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) admin: &'a str,
    pub(super) cmd: &'a str,
}

/// What `commit` is given beside a configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms<'a> {
    pub(super) comment: &'a str,
    pub(super) confirm_within: Option<Duration>,
}

/// The configuration in force and the way to another.
#[derive(Debug)]
pub(super) struct Commits {
    shared: Arc<Shared>,
    compiler: Compiler,
    decryption: Decryption,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_force: InForce,
    accepted: Accepted,
    generation: u64,
    history: History,
    waiting: Option<Waiting>,
    /// Rulesets that a worker may still look at. They are freed here: it takes time, and a worker has none.
    retired: Vec<Arc<Ruleset>>,
}

/// A configuration that is or was in force.
#[derive(Clone, Debug)]
struct InForce {
    /// The file it came from, as it was given: what SIGHUP reads.
    path: String,
    configuration: ConfigurationText,
    /// Its commit; `None` where it could not be written down.
    number: Option<u32>,
}

impl Commits {
    /// Takes over what the firewall has started with, and tells about it.
    pub(super) fn new(shared: Arc<Shared>, compiler: Compiler, begun: Begun, decryption: Decryption) -> Self {
        let Begun {
            accepted,
            in_force,
            history,
            before,
            notes,
        } = begun;
        for note in notes {
            shared
                .forwarding
                .tell_system(&shared, note.severity, note.event, note.text);
        }
        if before != in_force.number {
            let wish = Wish {
                admin: "cordon",
                cmd: "run",
            };
            tell_change(&shared, wish, &in_force.path, [before, in_force.number], true);
        }
        Self {
            shared,
            compiler,
            decryption,
            state: Mutex::new(State {
                in_force,
                accepted,
                generation: FIRST_GENERATION,
                history,
                waiting: None,
                retired: Vec::new(),
            }),
        }
    }

    /// Puts the configuration at `path` in force, and has it as the running one from now on.
    pub(super) fn commit(
        &self,
        path: &Path,
        wish: Wish<'_>,
        terms: Terms<'_>,
    ) -> Result<Value, CommandError> {
        // Read before anything waits for it: a file may lie on a disk that sleeps.
        let name = path.display().to_string();
        let read = ConfigurationText::read(path).map_err(|finding| compile::invalid(&name, &[*finding]));
        let mut state = self.lock();
        let before = state.in_force.number;
        let outcome = read.and_then(|read| self.commit_text(&mut state, &name, read, wish, terms));
        self.tell(&state, wish, &name, before, &outcome);
        outcome
    }

    /// Reads the file that the running configuration came from, and its lists, again.
    pub(super) fn reload(&self, wish: Wish<'_>) {
        let path = self.path();
        if let Err(error) = self.commit(&path, wish, Terms::default()) {
            self.not_reloaded(&error);
        }
    }

    /// Puts an earlier configuration in force again, with its lists as they are now.
    pub(super) fn rollback(&self, to: RollbackTo, wish: Wish<'_>) -> Result<Value, CommandError> {
        let mut state = self.lock();
        let before = state.in_force.number;
        let outcome = self.commit_again(&mut state, to, wish);
        let path = state.in_force.path.clone();
        self.tell(&state, wish, &path, before, &outcome);
        outcome
    }

    /// Keeps a commit that waits.
    pub(super) fn confirm(&self, wish: Wish<'_>) -> Result<Value, CommandError> {
        let mut state = self.lock();
        let before = state.in_force.number;
        let outcome = state.confirm();
        let path = state.in_force.path.clone();
        self.tell(&state, wish, &path, before, &outcome);
        outcome
    }

    /// Brings back what was not confirmed away, reads lists again that are due, and frees what no worker looks at any
    /// more. To be called every second or so.
    pub(super) fn look_after(&self) {
        let mut state = self.lock();
        state.retired.retain(|ruleset| Arc::strong_count(ruleset) > 1);
        let now = self.shared.clock.now();
        if let Some(waiting) = state.waiting.clone().filter(|waiting| waiting.deadline <= now) {
            self.bring_back(&mut state, &waiting, now);
        }
        let age = now.saturating_since(state.accepted.read);
        if state.accepted.due_after().is_some_and(|period| age >= period) {
            // Where it fails, the next try comes a period later.
            state.accepted.read = now;
            self.refresh_lists(&mut state);
        }
    }

    /// What is in force, rules and log forwarding of one configuration.
    pub(super) fn running(&self) -> (Arc<Ruleset>, ForwardingProfiles) {
        let state = self.lock();
        (self.shared.ruleset.load_full(), state.accepted.forwarding.clone())
    }

    /// What was read of each list.
    pub(super) fn lists(&self) -> Vec<ListSummary> {
        self.lock().accepted.lists.clone()
    }

    /// The file that the running configuration came from.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.lock().in_force.path)
    }

    /// The number of the running commit.
    pub(super) fn number(&self) -> Option<u32> {
        self.lock().in_force.number
    }

    /// What TLS is opened with.
    pub(super) fn decryption(&self) -> &Decryption {
        &self.decryption
    }

    /// The names of all tags.
    pub(super) fn names(&self) -> &Arc<TagNames> {
        self.compiler.names()
    }

    fn commit_text(
        &self,
        state: &mut State,
        path: &str,
        configuration: ConfigurationText,
        wish: Wish<'_>,
        terms: Terms<'_>,
    ) -> Result<Value, CommandError> {
        if let Some(waiting) = &state.waiting {
            return Err(CommandError::new(
                ErrorCode::Refused,
                format!(
                    "commit {} waits until {} to be confirmed: `confirm` keeps it, `rollback` takes it back; nothing \
                     was changed",
                    waiting.number,
                    super::answers::time(waiting.deadline)
                ),
            ));
        }
        let compiled = self.compile(state, &configuration)?;
        let now = self.shared.clock.now();
        let deadline = terms.confirm_within.map(|within| now.saturating_add(within));
        let unchanged = configuration.text == state.in_force.configuration.text
            && configuration.folder == state.in_force.configuration.folder;
        // Whoever commits every minute to have the lists read again must not push all else out of the history.
        let number = if unchanged && deadline.is_none() && terms.comment.is_empty() {
            state.in_force.number
        } else {
            let commit = NewCommit {
                time: now,
                admin: wish.admin,
                comment: terms.comment,
                path,
                unconfirmed: deadline.map(|deadline| Unconfirmed { deadline }),
            };
            let number = state.history.append(&commit, &configuration);
            Some(number.map_err(|error| not_written(&error))?)
        };
        let before = state.in_force.clone();
        let in_force = InForce {
            path: path.to_owned(),
            configuration,
            number,
        };
        state.waiting = number.zip(deadline).map(|(number, deadline)| Waiting {
            number,
            deadline,
            before,
            overdue: false,
        });
        let mut answer = self.publish(state, compiled, in_force);
        if let Some(deadline) = deadline {
            answer["confirm_by"] = json!(super::answers::time(deadline));
        }
        Ok(answer)
    }

    fn commit_again(&self, state: &mut State, to: RollbackTo, wish: Wish<'_>) -> Result<Value, CommandError> {
        let running = state.in_force.number;
        let target = match to {
            RollbackTo::Steps(steps) => state.history.before(running.unwrap_or(u32::MAX), steps),
            RollbackTo::Commit(number) => state.history.get(number),
        };
        let Some(target) = target.cloned() else {
            return Err(absent(to));
        };
        if Some(target.number) == running {
            return Err(CommandError::new(
                ErrorCode::Refused,
                format!("commit {} is in force already", target.number),
            ));
        }
        let configuration = kept(&state.history, target.number)?;
        let compiled = self.compile(state, &configuration)?;
        let comment = format!("rollback to commit {}", target.number);
        let commit = NewCommit {
            time: self.shared.clock.now(),
            admin: wish.admin,
            comment: &comment,
            path: &target.path,
            unconfirmed: None,
        };
        let number = state.history.append(&commit, &configuration);
        let number = number.map_err(|error| not_written(&error))?;
        state.waiting = None;
        let in_force = InForce {
            path: target.path,
            configuration,
            number: Some(number),
        };
        let mut answer = self.publish(state, compiled, in_force);
        answer["restored"] = json!(target.number);
        Ok(answer)
    }

    fn refresh_lists(&self, state: &mut State) {
        let wish = Wish {
            admin: "cordon",
            cmd: "refresh-lists",
        };
        let in_force = state.in_force.clone();
        let (path, before) = (in_force.path.clone(), in_force.number);
        let outcome = self
            .compile(state, &in_force.configuration)
            .map(|compiled| self.publish(state, compiled, in_force));
        self.tell(state, wish, &path, before, &outcome);
        if let Err(error) = outcome {
            self.not_reloaded(&error);
        }
    }

    fn compile(&self, state: &State, configuration: &ConfigurationText) -> Result<Compiled, CommandError> {
        let old = self.shared.ruleset.load();
        let now = self.shared.clock.now();
        self.compiler
            .compile(configuration, (old.policy(), &state.accepted), now)
    }

    /// From here on packets are judged by it.
    fn publish(&self, state: &mut State, compiled: Compiled, in_force: InForce) -> Value {
        let old = self.shared.ruleset.load_full();
        state.generation += 1;
        let (accepted, ruleset, trust, findings) = compiled.into_parts(state.generation);
        let ruleset = Arc::new(self.decryption.equip(ruleset, trust, self.shared.clock.now()));
        let forwarder = forwarder_config(&accepted.forwarding, ruleset.policy());
        self.shared
            .forwarding
            .commit(&self.shared, forwarder, || self.shared.ruleset.store(ruleset));
        state.accepted = accepted;
        state.retired.push(old);
        state.in_force = in_force;
        json!({
            "committed": state.in_force.path,
            "number": state.in_force.number,
            "generation": state.generation,
            "findings": findings,
        })
    }

    fn not_reloaded(&self, error: &CommandError) {
        warn!(%error, details = ?error.details, "the configuration was not read again; the old one stays in force");
        self.shared.forwarding.tell_system(
            &self.shared,
            Severity::High,
            "reload-failed",
            format!("{error}; the old configuration stays in force"),
        );
    }

    fn tell(
        &self,
        state: &State,
        wish: Wish<'_>,
        path: &str,
        before: Option<u32>,
        outcome: &Result<Value, CommandError>,
    ) {
        let detail = match outcome {
            Ok(_) => "",
            Err(error) => &error.message,
        };
        let numbers = [before, state.in_force.number];
        info!(
            admin = wish.admin,
            cmd = wish.cmd,
            path,
            number = numbers[1],
            detail,
            "commit"
        );
        tell_change(&self.shared, wish, path, numbers, outcome.is_ok());
    }

    /// A thread that panicked with the lock held has left a configuration in force, the old or the new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration of a commit.
fn kept(history: &History, number: u32) -> Result<ConfigurationText, CommandError> {
    history
        .configuration(number)
        .map_err(|damage| CommandError::new(ErrorCode::System, format!("{damage}; nothing was changed")))
}

fn absent(to: RollbackTo) -> CommandError {
    let what = match to {
        RollbackTo::Steps(1) => "there is no earlier commit".to_owned(),
        RollbackTo::Steps(steps) => format!("there are no {steps} earlier commits"),
        RollbackTo::Commit(number) => format!("there is no commit {number}"),
    };
    CommandError::new(ErrorCode::NotFound, format!("{what}; `show commits` lists them"))
}

fn not_written(error: &std::io::Error) -> CommandError {
    CommandError::new(
        ErrorCode::System,
        format!("the commit cannot be kept in the state directory, so nothing was changed: {error}"),
    )
}

/// Records who has put what in force; `numbers` are those of the commits before and after.
fn tell_change(shared: &Shared, wish: Wish<'_>, path: &str, numbers: [Option<u32>; 2], succeeded: bool) {
    let [before, after] = numbers.map(|number| number.map_or_else(String::new, |number| number.to_string()));
    shared.forwarding.tell(
        shared,
        Body::Config(Box::new(ConfigChange {
            admin: wish.admin.to_owned(),
            cmd: wish.cmd.to_owned(),
            path: path.to_owned(),
            before,
            after,
            result: if succeeded { "succeeded" } else { "failed" }.to_owned(),
        })),
    );
}
