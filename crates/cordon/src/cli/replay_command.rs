//! `cordon replay`: what the user gave becomes a replay, and its outcome an exit code.

use std::{io::Write as _, path::Path, sync::Arc};

use config::DomainLists;
use control::{SystemRoots, TrustFiles};
use engine::Ruleset;
use logs::{AddressNames, ForwarderConfig, ForwarderLimits};
use packet::{Timestamp, Wire};
use policy::Policy;
use tags::TagNames;

use super::{
    Exit, ReplayArguments,
    check::{print_json, tell},
    complain,
};
use crate::replay::{Options, ReplayError, Replayed, Rules, Summary, replay};

/// Keys the domain lists; fixed, so that a replay can be repeated.
const SEED: u64 = 0;

impl ReplayArguments {
    pub(crate) fn run(self) -> Exit {
        let json = self.json;
        let refused = || {
            if json {
                print_json(&Summary::default());
            }
            Exit::WrongInput
        };
        let names = Arc::new(TagNames::new());
        let loaded = control::load(&self.config, &names, None, SEED);
        tell(&loaded.findings);
        let Some(running) = loaded.running else {
            return refused();
        };
        let Some(wire) = self.wire(&running.policy) else {
            return refused();
        };
        let forwarding = ForwarderConfig {
            profiles: running.forwarding,
            max_new_per_hour: running.policy.settings().tagging.max_new_per_hour,
            own_addresses: Vec::new(),
        };
        let rules = Rules {
            ruleset: Arc::new(self.ruleset(running.policy, &running.domains)),
            forwarding,
            names,
        };
        let options = Options {
            captures: self.captures,
            inside: self.inside,
            wire,
            workers: self.workers.unwrap_or(1),
            checksums: self.checksums,
            write: self.write,
            logs: self.logs,
            quiet: json,
        };
        match replay(&rules, &options) {
            Ok(replayed) => finish(&replayed, json),
            Err(error) => {
                complain(&error);
                match error {
                    ReplayError::Capture(_) => refused(),
                    ReplayError::Output(_) | ReplayError::Worker(_) | ReplayError::Thread(_) => {
                        Exit::SystemRefused
                    }
                }
            }
        }
    }

    /// The rules, with what they say of TLS that passes closed: whom they trust, and what names they know.
    fn ruleset(&self, policy: Policy, domains: &DomainLists) -> Ruleset {
        let decides = policy.decryption_rules().len() > 0;
        let folder = self.config.parent().unwrap_or(Path::new(""));
        let files = decides.then(|| {
            // Read once, whenever that is.
            let system = SystemRoots::default();
            TrustFiles::named_by(&policy.settings().decryption, folder, &system, Timestamp::ZERO)
        });
        let names = AddressNames::new(ForwarderLimits::default().address_names, SEED);
        let ruleset = Ruleset::new(policy, Arc::clone(domains.set()), 1).knowing(Arc::new(names));
        let Some(files) = files else { return ruleset };
        let (trust, faults) = files.trust();
        for fault in faults {
            complain(&format_args!("trusted roots: {fault}"));
        }
        ruleset.trusting(trust)
    }

    /// The wire that the captures cross: the one named, or the first.
    fn wire(&self, policy: &Policy) -> Option<Wire> {
        let names: Vec<&str> = policy
            .wires()
            .iter()
            .map(|wire| policy.symbols().resolve(wire.name))
            .collect();
        let found = match &self.wire {
            None => (!names.is_empty()).then_some(0),
            Some(wanted) => names.iter().position(|name| name == wanted),
        };
        if found.is_none() {
            let wanted = self.wire.as_deref().unwrap_or("");
            complain(&format_args!(
                "{}: no virtual wire `{wanted}`; there is {}",
                self.config.display(),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            ));
        }
        found.and_then(|place| u16::try_from(place).ok()).map(Wire)
    }
}

fn finish(replayed: &Replayed, json: bool) -> Exit {
    if json {
        print_json(&replayed.summary);
    } else {
        // Where standard output is closed nobody is left to read it.
        drop(write!(std::io::stdout(), "{}", replayed.summary.to_text()));
    }
    for fault in &replayed.faults {
        complain(fault);
    }
    if replayed.faults.is_empty() {
        Exit::Done
    } else {
        Exit::WrongInput
    }
}
