//! What a firewall starts with: the configuration on its command line, unless that one was committed to be confirmed
//! and never was.

use std::path::Path;

use control::{ConfigurationText, History, HistoryDamage, NewCommit, TrustFiles};
use engine::Ruleset;
use logs::Severity;
use packet::Timestamp;
use tracing::{info, warn};

use super::{
    InForce,
    compile::{Accepted, Compiled, Compiler},
};
use crate::cli::tell;

/// The generation of the first ruleset.
pub(super) const FIRST_GENERATION: u64 = 1;

/// The configuration on the command line, compiled.
#[derive(Debug)]
pub(in crate::live) struct Given {
    path: String,
    configuration: ConfigurationText,
    compiled: Compiled,
}

/// What a firewall starts with.
#[derive(Debug)]
pub(in crate::live) struct Beginning {
    pub(in crate::live) ruleset: Ruleset,
    pub(in crate::live) trust: TrustFiles,
    pub(in crate::live) begun: Begun,
}

/// What is kept of it.
#[derive(Debug)]
pub(in crate::live) struct Begun {
    pub(in crate::live) accepted: Accepted,
    pub(super) in_force: InForce,
    pub(super) history: History,
    /// The number of the newest commit before; that of this one where it was committed already.
    pub(super) before: Option<u32>,
    /// For the log of the system, as soon as there is one.
    pub(super) notes: Vec<Note>,
}

/// Something that the log of the system is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) severity: Severity,
    pub(super) event: &'static str,
    pub(super) text: String,
}

impl Given {
    /// Reads the configuration; says on standard error what was found. `None`: it has errors.
    pub(in crate::live) fn read(path: &Path, compiler: &Compiler, now: Timestamp) -> Option<Self> {
        let configuration = match ConfigurationText::read(path) {
            Ok(configuration) => configuration,
            Err(finding) => {
                tell(&[*finding]);
                return None;
            }
        };
        match compiler.first(&configuration, now) {
            Ok((compiled, findings)) => {
                tell(&findings);
                Some(Self {
                    path: path.display().to_string(),
                    configuration,
                    compiled,
                })
            }
            Err(findings) => {
                tell(&findings);
                None
            }
        }
    }
}

impl Beginning {
    /// Chooses between what is given and what was confirmed last, and writes down what was not committed yet.
    pub(in crate::live) fn choose(
        given: Given,
        mut history: History,
        damage: &[HistoryDamage],
        compiler: &Compiler,
        now: Timestamp,
    ) -> Self {
        let mut notes: Vec<Note> = damage
            .iter()
            .map(|damage| note(Severity::High, "commit-damaged", damage.to_string()))
            .collect();
        let before = history.newest().map(|commit| commit.number);
        let (given, comment) = match taken_back(&history, &given.configuration) {
            None => {
                notes.extend(differs(&history, &given));
                (given, "cordon run".to_owned())
            }
            Some(number) => match confirmed(&history, compiler, now) {
                Ok((last, confirmed)) => {
                    notes.push(not_confirmed(&given.path, number, last));
                    (
                        confirmed,
                        format!("commit {number} was not confirmed: commit {last} again"),
                    )
                }
                Err(why) => {
                    notes.push(not_confirmed_but_started(&given.path, number, &why));
                    (given, "cordon run".to_owned())
                }
            },
        };
        let Given {
            path,
            configuration,
            compiled,
        } = given;
        let number = if is_newest(&history, &configuration) {
            before
        } else {
            let commit = NewCommit {
                time: now,
                admin: "cordon",
                comment: &comment,
                path: &path,
                unconfirmed: None,
            };
            match history.append(&commit, &configuration) {
                Ok(number) => Some(number),
                Err(error) => {
                    let text =
                        format!("{path} is in force, but cannot be kept in the history of commits: {error}");
                    notes.push(note(Severity::High, "commit-not-written", text));
                    None
                }
            }
        };
        for Note { text, .. } in &notes {
            warn!("{text}");
        }
        info!(path, number, "configuration");
        let (accepted, ruleset, trust, _) = compiled.into_parts(FIRST_GENERATION);
        Self {
            ruleset,
            trust,
            begun: Begun {
                accepted,
                in_force: InForce {
                    path,
                    configuration,
                    number,
                },
                history,
                before,
                notes,
            },
        }
    }
}

/// Whether the configuration is that of the newest commit, which needs no confirmation.
fn is_newest(history: &History, configuration: &ConfigurationText) -> bool {
    let newest = history.newest().filter(|commit| commit.unconfirmed.is_none());
    newest.is_some_and(|newest| {
        let same = history.newest_of(configuration);
        same.is_some_and(|commit| commit.number == newest.number)
    })
}

/// What to say where the configuration given is not the one committed last.
fn differs(history: &History, given: &Given) -> Option<Note> {
    let newest = history.newest()?;
    if is_newest(history, &given.configuration) {
        return None;
    }
    let path = &given.path;
    let text = format!(
        "{path} is not the configuration committed last, number {} from {}; {path} is in force",
        newest.number, newest.path
    );
    Some(note(Severity::Medium, "configuration-differs", text))
}

fn not_confirmed(path: &str, number: u32, last: u32) -> Note {
    let text = format!(
        "{path} is the configuration of commit {number}, which was not confirmed; started with that of commit {last} \
         instead. To put it in force, commit it"
    );
    note(Severity::High, "commit-not-confirmed", text)
}

fn not_confirmed_but_started(path: &str, number: u32, why: &str) -> Note {
    let text = format!(
        "{path} is the configuration of commit {number}, which was not confirmed; started with it all the same: {why}"
    );
    note(Severity::Critical, "commit-not-confirmed", text)
}

/// The commit of this configuration that was never confirmed, where no later one put it in force for good.
fn taken_back(history: &History, configuration: &ConfigurationText) -> Option<u32> {
    let commit = history.newest_of(configuration)?;
    commit.unconfirmed.map(|_| commit.number)
}

/// The configuration confirmed last, and its number, or why it cannot be used.
fn confirmed(history: &History, compiler: &Compiler, now: Timestamp) -> Result<(u32, Given), String> {
    let commit = history.newest_confirmed().ok_or("no confirmed one is kept")?;
    let configuration = history
        .configuration(commit.number)
        .map_err(|damage| damage.to_string())?;
    let (compiled, findings) = compiler.first(&configuration, now).map_err(|findings| {
        tell(&findings);
        format!("the confirmed one, commit {}, has errors today", commit.number)
    })?;
    tell(&findings);
    let given = Given {
        path: commit.path.clone(),
        configuration,
        compiled,
    };
    Ok((commit.number, given))
}

const fn note(severity: Severity, event: &'static str, text: String) -> Note {
    Note {
        severity,
        event,
        text,
    }
}

#[cfg(test)]
mod tests;
