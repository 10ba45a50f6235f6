//! `cordon test … --socket PATH`: the same questions to a running firewall. The words go over as they are, and are read
//! on both sides by one parser: here to say what is wrong with them, there because anybody may send any.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};
use control::{Command, CommandError, ErrorCode};
use serde_json::Value;

use super::{Asked, Exit, Question, decryption, dns, security};
use crate::cli::ask::{Asking, ask};

/// Ask a running firewall which rule, list or record would match, and why
#[derive(Debug, Parser)]
#[command(name = "cordon test", bin_name = "cordon test")]
pub(crate) struct OnlineCommand {
    #[command(subcommand)]
    question: OnlineQuestion,
}

#[derive(Debug, Subcommand)]
enum OnlineQuestion {
    /// Say which security rule decides a session
    SecurityPolicyMatch(Online<security::SecurityQuestion>),
    /// Say which decryption rule decides a TLS session
    DecryptionPolicyMatch(Online<decryption::DecryptionQuestion>),
    /// Say which domain lists hold a name, and what the anti-spyware profiles do about it
    Dns(Online<dns::DnsQuestion>),
}

#[derive(Debug, Args)]
struct Online<Q: Args> {
    #[command(flatten)]
    question: Q,
    #[command(flatten)]
    asking: Asking,
}

/// Whether these words of a command line ask a running firewall: they say which, and no configuration.
pub(crate) fn is_online(words: &[OsString]) -> bool {
    let is_socket = |word: &OsString| word == "--socket" || word.to_string_lossy().starts_with("--socket=");
    words.get(1).is_some_and(|verb| verb == "test") && words.iter().any(is_socket)
}

impl OnlineCommand {
    /// Asks, by the words of a command line that begins with `cordon test`.
    pub(crate) fn run(words: &[OsString]) -> Exit {
        let words = words.get(1..).unwrap_or_default();
        let command = match Self::try_parse_from(words) {
            Ok(command) => command,
            Err(refusal) => return Exit::from_refusal(&refusal),
        };
        let asking = match &command.question {
            OnlineQuestion::SecurityPolicyMatch(online) => &online.asking,
            OnlineQuestion::DecryptionPolicyMatch(online) => &online.asking,
            OnlineQuestion::Dns(online) => &online.asking,
        };
        ask(Ok(Command::Test(without_asking(words))), asking)
    }

    /// What a running firewall says to the words behind `test`.
    pub(crate) fn answer(words: &[String], asked: &Asked<'_>) -> Result<Value, CommandError> {
        let words = ["test"].into_iter().chain(words.iter().map(String::as_str));
        let command = Self::try_parse_from(words).map_err(|refusal| {
            let text = refusal.to_string();
            let mut lines = text.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            CommandError::new(ErrorCode::Usage, first).with_details(lines.map(str::to_owned).collect())
        })?;
        match command.question {
            OnlineQuestion::SecurityPolicyMatch(online) => value(&online.question, asked),
            OnlineQuestion::DecryptionPolicyMatch(online) => value(&online.question, asked),
            OnlineQuestion::Dns(online) => value(&online.question, asked),
        }
    }
}

fn value(question: &impl Question, asked: &Asked<'_>) -> Result<Value, CommandError> {
    let answer = question
        .answer(asked)
        .map_err(|complaint| CommandError::new(ErrorCode::Invalid, complaint))?;
    serde_json::to_value(&answer).map_err(|error| CommandError::new(ErrorCode::Internal, error.to_string()))
}

/// The words behind `test`, without those that say where to ask and how to answer.
fn without_asking(words: &[OsString]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match &*word {
            "--json" => {}
            "--socket" => drop(words.next()),
            word if word.starts_with("--socket=") => {}
            word => kept.push(word.to_owned()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_questions_leave_the_process() {
        let line = words("cordon test dns a.example --socket /run/a --json --profile x --socket=/run/b");
        assert!(is_online(&line));
        assert_eq!(without_asking(&line[1..]), ["dns", "a.example", "--profile", "x"]);
        assert!(!is_online(&words("cordon test dns fw.toml a.example")));
        assert!(!is_online(&words("cordon show info --socket /run/a")));
    }
}
