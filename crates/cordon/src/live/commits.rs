//! Configurations put in force: read and compiled beside the packet path, then published as one thing.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use config::{Finding, ListSummary, Running};
use control::{CommandError, ErrorCode};
use engine::Ruleset;
use logs::{Body, ConfigChange, ForwarderConfig, ForwardingProfiles, Severity};
use packet::Timestamp;
use policy::Policy;
use ports::live::Interface;
use serde_json::{Value, json};
use tags::TagNames;
use tracing::{info, warn};

use super::shared::Shared;
use crate::cli::tell;

/// What is kept of a configuration beside its ruleset.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) forwarding: ForwardingProfiles,
    pub(super) lists: Vec<ListSummary>,
    /// When it was read.
    pub(super) read: Timestamp,
}

/// Who wants a configuration in force, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) admin: &'a str,
    pub(super) cmd: &'static str,
}

/// The configuration in force and the way to another.
#[derive(Debug)]
pub(super) struct Commits {
    shared: Arc<Shared>,
    names: Arc<TagNames>,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    accepted: Accepted,
    generation: u64,
    /// Rulesets that a worker may still look at. They are freed here: it takes time, and a worker has none.
    retired: Vec<Arc<Ruleset>>,
}

impl Commits {
    /// Reads the configuration to start with; says on standard error what was found.
    pub(super) fn first(
        path: &Path,
        names: &TagNames,
        seed: u64,
        now: Timestamp,
    ) -> Option<(Accepted, Arc<Ruleset>)> {
        let loaded = control::load(path, names, None, seed);
        tell(&loaded.findings);
        let (accepted, policy, domains) = parts(loaded.running?, now);
        Some((accepted, Arc::new(Ruleset::new(policy, domains, 1))))
    }

    pub(super) fn new(
        shared: Arc<Shared>,
        names: Arc<TagNames>,
        accepted: Accepted,
        path: &Path,
        seed: u64,
    ) -> Self {
        Self {
            shared,
            names,
            seed,
            state: Mutex::new(State {
                path: path.to_owned(),
                accepted,
                generation: 1,
                retired: Vec::new(),
            }),
        }
    }

    /// Puts the configuration at `path` in force, and has it as the running one from now on.
    pub(super) fn commit(&self, path: &Path, wish: Wish<'_>) -> Result<Value, CommandError> {
        let mut state = self.lock();
        let outcome = self.put_in_force(&mut state, path);
        let (result, detail) = match &outcome {
            Ok(_) => ("succeeded", String::new()),
            Err(error) => ("failed", error.message.clone()),
        };
        let before = state.path.display().to_string();
        if outcome.is_ok() {
            path.clone_into(&mut state.path);
        }
        drop(state);
        info!(admin = wish.admin, cmd = wish.cmd, path = %path.display(), result, detail, "commit");
        self.shared.forwarding.tell(
            &self.shared,
            Body::Config(Box::new(ConfigChange {
                admin: wish.admin.to_owned(),
                cmd: wish.cmd.to_owned(),
                path: path.display().to_string(),
                before,
                after: path.display().to_string(),
                result: result.to_owned(),
            })),
        );
        outcome
    }

    /// Reads the running configuration and its lists again.
    pub(super) fn reload(&self, wish: Wish<'_>) {
        let path = self.lock().path.clone();
        if let Err(error) = self.commit(&path, wish) {
            warn!(%error, details = ?error.details, "the configuration was not read again; the old one stays in force");
            self.shared.forwarding.tell_system(
                &self.shared,
                Severity::High,
                "reload-failed",
                format!("{error}; the old configuration stays in force"),
            );
        }
    }

    /// Reads lists again that are due, and frees what no worker looks at any more.
    pub(super) fn look_after(&self) {
        let mut state = self.lock();
        state.retired.retain(|ruleset| Arc::strong_count(ruleset) > 1);
        let age = self.shared.clock.now().saturating_since(state.accepted.read);
        let due = state.accepted.due_after().is_some_and(|period| age >= period);
        if due {
            // Where it fails, the next try comes a period later.
            state.accepted.read = self.shared.clock.now();
        }
        drop(state);
        if due {
            self.reload(Wish {
                admin: "cordon",
                cmd: "refresh-lists",
            });
        }
    }

    /// What was read of each list.
    pub(super) fn lists(&self) -> Vec<ListSummary> {
        self.lock().accepted.lists.clone()
    }

    /// Where the running configuration was read.
    pub(super) fn path(&self) -> PathBuf {
        self.lock().path.clone()
    }

    /// The names of all tags.
    pub(super) fn names(&self) -> &Arc<TagNames> {
        &self.names
    }

    fn put_in_force(&self, state: &mut State, path: &Path) -> Result<Value, CommandError> {
        let old = self.shared.ruleset.load_full();
        let loaded = control::load(path, &self.names, Some(old.policy().symbols()), self.seed);
        let findings: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
        let Some(running) = loaded.running else {
            let errors = loaded
                .findings
                .iter()
                .filter(|finding| finding.severity == config::Severity::Error)
                .count();
            return Err(CommandError::new(
                ErrorCode::Invalid,
                format!("{}: {errors} errors; nothing was changed", path.display()),
            )
            .with_details(findings));
        };
        if !same_interfaces(old.policy(), &running.policy) {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "the virtual wires have other interfaces than those that cordon holds: restart it with this \
                 configuration",
            )
            .with_details(findings));
        }
        let (accepted, policy, domains) = parts(running, self.shared.clock.now());
        state.generation += 1;
        let ruleset = Arc::new(Ruleset::new(policy, domains, state.generation));
        let forwarder = forwarder_config(&accepted.forwarding, ruleset.policy());
        self.shared
            .forwarding
            .commit(&self.shared, forwarder, || self.shared.ruleset.store(ruleset));
        state.accepted = accepted;
        state.retired.push(old);
        Ok(json!({
            "committed": path.display().to_string(),
            "generation": state.generation,
            "findings": findings,
        }))
    }

    /// A thread that panicked with the lock held has left a configuration in force, the old or the new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accepted {
    /// The shortest period after which one of the lists is to be read again.
    fn due_after(&self) -> Option<Duration> {
        self.lists
            .iter()
            .filter_map(|list| list.recurring)
            .map(config::Recurring::period)
            .min()
    }
}

/// What the forwarder obeys under a policy, on this machine.
pub(super) fn forwarder_config(forwarding: &ForwardingProfiles, policy: &Policy) -> ForwarderConfig {
    let own_addresses = Interface::all().map_or_else(
        |fault| {
            warn!(%fault, "this machine's own addresses are not known, and could be tagged");
            Vec::new()
        },
        |interfaces| {
            interfaces
                .into_iter()
                .flat_map(|interface| interface.addresses)
                .collect()
        },
    );
    ForwarderConfig {
        profiles: forwarding.clone(),
        max_new_per_hour: policy.settings().tagging.max_new_per_hour,
        own_addresses,
    }
}

fn parts(running: Running, read: Timestamp) -> (Accepted, Policy, inspect::domains::DomainSet) {
    let Running {
        policy,
        domains,
        forwarding,
        lists,
    } = running;
    let accepted = Accepted {
        forwarding,
        lists,
        read,
    };
    (accepted, policy, domains)
}

/// Whether the wires hold the same interfaces, under the same numbers.
fn same_interfaces(old: &Policy, new: &Policy) -> bool {
    let names = |policy: &Policy| -> Vec<[String; 2]> {
        let name = |interface| {
            policy
                .symbols()
                .resolve(policy.interface_name(interface))
                .to_owned()
        };
        policy
            .wires()
            .iter()
            .map(|wire| wire.interfaces.map(name))
            .collect()
    };
    names(old) == names(new)
}
