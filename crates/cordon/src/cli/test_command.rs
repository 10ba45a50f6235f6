//! `cordon test`: which rule, list or record would match, and why. Asks a configuration, or a running firewall.

mod decryption;
mod dns;
mod filter;
mod match_list;
mod online;
mod records;
mod security;
mod session;

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use config::Running;
use inspect::domains::DomainSet;
use logs::ForwardingProfiles;
use packet::Timestamp;
use policy::Policy;
use serde::Serialize;
use tags::{TagNames, TagStore};

pub(crate) use self::online::{OnlineCommand, is_online};

use super::{
    Exit,
    check::{print_json, tell},
    complain,
};

/// What can be tested.
#[derive(Clone, Debug, Subcommand)]
#[command(
    after_help = "With --socket PATH in place of CONFIG a running firewall is asked, with the tags that are registered there."
)]
pub(crate) enum TestCommand {
    /// Say which security rule decides a session
    SecurityPolicyMatch(Offline<security::SecurityQuestion>),
    /// Say which decryption rule decides a TLS session
    DecryptionPolicyMatch(Offline<decryption::DecryptionQuestion>),
    /// Say which domain lists hold a name, and what the anti-spyware profiles do about it
    Dns(Offline<dns::DnsQuestion>),
    /// Check a filter, and say which records it or the match lists of a configuration let through
    Filter(filter::FilterArguments),
}

/// A question to a configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Offline<Q: Args> {
    /// The configuration
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    question: Q,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Why there is no answer, for people.
type Complaint = String;

/// Something that a configuration can be asked.
pub(crate) trait Question {
    type Answer: Serialize + fmt::Display;

    fn answer(&self, asked: &Asked<'_>) -> Result<Self::Answer, Complaint>;
}

impl TestCommand {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::SecurityPolicyMatch(offline) => offline.run(),
            Self::DecryptionPolicyMatch(offline) => offline.run(),
            Self::Dns(offline) => offline.run(),
            Self::Filter(arguments) => arguments.run(),
        }
    }
}

impl<Q: Args + Question> Offline<Q> {
    fn run(&self) -> Exit {
        match load(&self.config) {
            Ok(loaded) => finish(self.question.answer(&loaded.asked()), self.json),
            Err(exit) => exit,
        }
    }
}

/// Who is asked: a configuration without errors, or a running firewall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) domains: &'a DomainSet,
    pub(crate) forwarding: &'a ForwardingProfiles,
    pub(crate) names: &'a TagNames,
    /// The tags of a running firewall, and its time.
    pub(crate) registered: Option<(&'a TagStore, Timestamp)>,
}

/// A configuration without errors, and the names of its tags.
struct Loaded {
    running: Running,
    names: TagNames,
}

impl Loaded {
    fn asked(&self) -> Asked<'_> {
        Asked {
            policy: &self.running.policy,
            domains: self.running.domains.set(),
            forwarding: &self.running.forwarding,
            names: &self.names,
            registered: None,
        }
    }
}

/// Loads the configuration at `path`; tells what is wrong with it only where it cannot be used.
fn load(path: &Path) -> Result<Loaded, Exit> {
    let names = TagNames::new();
    let loaded = control::load(path, &names, None, 0);
    let Some(running) = loaded.running else {
        tell(&loaded.findings);
        return Err(Exit::WrongInput);
    };
    Ok(Loaded { running, names })
}

/// Prints the answer, an object for programs or text for people, or says why there is none.
fn finish(answer: Result<impl Serialize + fmt::Display, Complaint>, json: bool) -> Exit {
    match answer {
        Ok(answer) if json => print_json(&answer),
        // Where standard output is closed nobody is left to read it.
        Ok(answer) => drop(write!(io::stdout(), "{answer}")),
        Err(complaint) => {
            complain(&complaint);
            return Exit::WrongInput;
        }
    }
    Exit::Done
}

/// `what` is not there; names what comes near.
fn unknown<'a>(what: &str, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Complaint {
    match logs::nearest(name, candidates) {
        Some(nearest) => format!("there is no {what} `{name}`; nearest valid name: `{nearest}`"),
        None => format!("there is no {what} `{name}`"),
    }
}
