//! `cordon test`: which rule, list or record would match, and why. Asks a configuration, not a firewall.

mod decryption;
mod dns;
mod filter;
mod match_list;
mod records;
mod security;
mod session;

use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
};

use clap::Subcommand;
use config::Running;
use serde::Serialize;
use tags::TagNames;

use super::{
    Exit,
    check::{print_json, tell},
    complain,
};

/// What can be tested.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Say which security rule decides a session
    SecurityPolicyMatch(security::SecurityArguments),
    /// Say which decryption rule decides a TLS session
    DecryptionPolicyMatch(decryption::DecryptionArguments),
    /// Say which domain lists hold a name, and what the anti-spyware profiles do about it
    Dns(dns::DnsArguments),
    /// Check a filter, and say which records it or the match lists of a configuration let through
    Filter(filter::FilterArguments),
}

/// Why there is no answer, for people.
type Complaint = String;

impl TestCommand {
    pub(crate) fn run(&self) -> Exit {
        match self {
            Self::SecurityPolicyMatch(arguments) => arguments.run(),
            Self::DecryptionPolicyMatch(arguments) => arguments.run(),
            Self::Dns(arguments) => arguments.run(),
            Self::Filter(arguments) => arguments.run(),
        }
    }
}

/// A configuration without errors, and the names of its tags.
struct Asked {
    running: Running,
    names: TagNames,
}

/// Loads the configuration at `path`; tells what is wrong with it only where it cannot be used.
fn load(path: &Path) -> Result<Asked, Exit> {
    let names = TagNames::new();
    let loaded = control::load(path, &names, None, 0);
    let Some(running) = loaded.running else {
        tell(&loaded.findings);
        return Err(Exit::WrongInput);
    };
    Ok(Asked { running, names })
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
