//! What the sockets are answered.

mod sessions;
mod show;
mod tagged;

use std::{sync::Arc, time::Duration};

use control::{Answer, Brake, Command, CommandError, ErrorCode, RollbackTo, Show, filter_fields};
use crossbeam::channel::bounded;
use logs::{CommandOutcome, Severity, TagCommand, TagOperation};
use packet::Timestamp;
use serde_json::{Value, json};
use tags::{Registration, Subject};

use super::{
    commits::{Commits, Terms, Wish},
    shared::Shared,
    worker::{Reach, Worker},
};
use crate::cli::{Asked, OnlineCommand};

/// How long a worker may take until it answers; it looks between two bursts.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers commands about a running firewall.
#[derive(Debug)]
pub(super) struct Answers {
    shared: Arc<Shared>,
    commits: Arc<Commits>,
    workers: Vec<Reach>,
}

impl Answers {
    pub(super) fn new(shared: Arc<Shared>, commits: Arc<Commits>, workers: Vec<Reach>) -> Self {
        Self {
            shared,
            commits,
            workers,
        }
    }

    /// Asks every worker something, in turn: one of them at a time waits for nobody and carries no packets.
    fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&mut Worker, Timestamp) -> T + Clone + Send + 'static,
    ) -> Result<Vec<T>, CommandError> {
        self.workers
            .iter()
            .map(|reach| {
                let (sender, answer) = bounded(1);
                let question = question.clone();
                reach.errand(Box::new(move |worker, now| {
                    // Nobody waits any more: then nobody needs it.
                    drop(sender.send(question(worker, now)));
                }));
                answer
                    .recv_timeout(PATIENCE)
                    .map_err(|_| CommandError::new(ErrorCode::Busy, "a worker does not answer; try again"))
            })
            .collect()
    }

    fn show(&self, show: Show) -> Result<Value, CommandError> {
        match show {
            Show::Info => self.info(),
            Show::Counters => self.counters(),
            Show::Sessions { filter, limit } => self.sessions(&filter, limit),
            Show::Tags { limit } => Ok(self.tags(limit)),
            Show::Groups => Ok(self.groups()),
            Show::Group(name) => self.group(&name),
            Show::Rules => self.rules(),
            Show::Lists => Ok(self.lists()),
            Show::Logs { filter, limit } => self.logs(&filter, limit),
            Show::Bypass => self.bypass(),
            Show::FilterFields(log_type) => Ok(filter_fields(log_type)),
            Show::Commits => Ok(self.commits.list()),
        }
    }

    fn tag(
        &self,
        admin: &str,
        operation: TagOperation,
        subject: &Subject,
        tag: &str,
        timeout: u32,
    ) -> Result<Value, CommandError> {
        let names = self.commits.names();
        let invalid = |message: String| CommandError::new(ErrorCode::Invalid, message);
        let id = match operation {
            TagOperation::Add => names.intern(tag).map_err(|error| invalid(error.to_string()))?,
            TagOperation::Remove => names.get(tag).ok_or_else(|| absent(subject, tag))?,
        };
        let command = TagCommand {
            subject: subject.clone(),
            tag: id,
            operation,
            timeout,
            admin: admin.into(),
        };
        let outcome = self
            .shared
            .forwarding
            .command(&self.shared, &command)
            .map_err(|fault| {
                CommandError::new(
                    ErrorCode::System,
                    format!("the tag is in force, but could not be written down and will not outlive a restart: {fault}"),
                )
            })?;
        match outcome {
            CommandOutcome::Added(Registration::Full(limit)) => Err(CommandError::new(
                ErrorCode::Refused,
                format!("{subject} was not tagged: {limit} is reached"),
            )),
            CommandOutcome::Added(Registration::New) => Ok(done("register", subject, tag)),
            CommandOutcome::Added(Registration::Refreshed { .. }) => Ok(done("refresh", subject, tag)),
            CommandOutcome::Removed => Ok(done("unregister", subject, tag)),
            CommandOutcome::Absent => Err(absent(subject, tag)),
        }
    }

    fn test(&self, words: &[String]) -> Result<Value, CommandError> {
        let (ruleset, forwarding) = self.commits.running();
        let shared = &self.shared;
        OnlineCommand::answer(
            words,
            &Asked {
                policy: ruleset.policy(),
                domains: ruleset.domains(),
                forwarding: &forwarding,
                names: self.commits.names(),
                registered: Some((&shared.tags, shared.clock.now())),
            },
        )
    }

    fn pause(&self, admin: &str, what: Brake, duration: Duration) -> Value {
        let until = self.shared.clock.now().saturating_add(duration);
        match what {
            Brake::Tagging => self.shared.forwarding.pause_tagging(until),
            Brake::Decryption => self.commits.decryption().pause.until(until),
        }
        let text = time(until);
        let (event, meaning) = match what {
            Brake::Tagging => ("tagging-paused", "records are stored, and none of them tags"),
            Brake::Decryption => (
                "decryption-paused",
                "sessions that begin meanwhile are not opened",
            ),
        };
        self.shared.forwarding.tell_system(
            &self.shared,
            Severity::Medium,
            event,
            format!("{admin} has paused {} until {text}: {meaning}", what.name()),
        );
        json!({ "paused": what.name(), "until": text })
    }
}

impl Answer for Answers {
    fn answer(&self, admin: &str, command: Command) -> Result<Value, CommandError> {
        match command {
            Command::Show(show) => self.show(show),
            Command::TagAdd {
                subject,
                tag,
                timeout,
            } => self.tag(admin, TagOperation::Add, &subject, &tag, timeout),
            Command::TagRemove { subject, tag } => self.tag(admin, TagOperation::Remove, &subject, &tag, 0),
            Command::Explain { subject } => Ok(self.explain(&subject)),
            Command::Commit {
                path,
                confirm_within,
                comment,
            } => {
                let cmd = match confirm_within {
                    None => "commit".to_owned(),
                    Some(within) => format!("commit confirm-within {}s", within.as_secs()),
                };
                let terms = Terms {
                    comment: &comment,
                    confirm_within,
                };
                self.commits.commit(&path, Wish { admin, cmd: &cmd }, terms)
            }
            Command::Diff { from, to } => self.commits.diff(from, &to),
            Command::Rollback(to) => {
                let cmd = match to {
                    RollbackTo::Steps(steps) => format!("rollback {steps}"),
                    RollbackTo::Commit(number) => format!("rollback to {number}"),
                };
                self.commits.rollback(to, Wish { admin, cmd: &cmd })
            }
            Command::Confirm => self.commits.confirm(Wish {
                admin,
                cmd: "confirm",
            }),
            Command::ClearSession(sessions) => self.clear(sessions),
            Command::ClearRuleHits(rule) => self.clear_rule_hits(rule.as_deref()),
            Command::ClearExcludeCache => {
                Ok(json!({ "cleared": self.commits.decryption().excluded.clear() }))
            }
            Command::Pause { what, duration } => Ok(self.pause(admin, what, duration)),
            Command::Test(words) => self.test(&words),
            // The server answers it itself.
            Command::Help => Err(CommandError::new(ErrorCode::Internal, "nobody answers this")),
        }
    }
}

fn done(event: &str, subject: &Subject, tag: &str) -> Value {
    json!({ "event": event, "subject": subject.to_string(), "tag": tag })
}

fn absent(subject: &Subject, tag: &str) -> CommandError {
    CommandError::new(
        ErrorCode::NotFound,
        format!("{subject} does not carry the tag {tag}"),
    )
}

/// A time as records write it.
pub(super) fn time(at: Timestamp) -> String {
    let mut text = Vec::new();
    logs::write_rfc3339(at, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
