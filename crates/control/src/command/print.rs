//! A command becomes the line that reads as it.

use std::{fmt, time::Duration};

use super::{Brake, Command, DiffTo, RollbackTo, Sessions, Show};

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words().iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            // No command that was read holds a control character; one that was built must stay one line.
            let word = word.replace(char::is_control, " ");
            f.write_str(&shlex::try_quote(&word).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

impl Command {
    /// The words that read as this command.
    pub fn words(&self) -> Vec<String> {
        let mut line = Line::default();
        match self {
            Self::Help => line.add("help"),
            Self::Show(what) => {
                line.add("show");
                line.show(what);
            }
            Self::TagAdd {
                subject,
                tag,
                timeout,
            } => {
                line.all(["tag", "add"]);
                line.option("timeout", &timeout.to_string());
                // Tags may begin with dashes.
                line.add("--");
                line.add(&subject.to_string());
                line.add(tag);
            }
            Self::TagRemove { subject, tag } => {
                line.all(["tag", "remove", "--"]);
                line.add(&subject.to_string());
                line.add(tag);
            }
            Self::Explain { subject } => {
                line.add("explain");
                line.add(&subject.to_string());
            }
            Self::Commit {
                path,
                confirm_within,
                comment,
            } => {
                line.add("commit");
                if let Some(within) = confirm_within {
                    line.option("confirm-within", &duration(*within));
                }
                if !comment.is_empty() {
                    line.option("comment", comment);
                }
                line.add("--");
                line.add(&path.to_string_lossy());
            }
            Self::Diff { from, to } => {
                line.add("diff");
                if let Some(number) = from {
                    line.option("from", &number.to_string());
                }
                match to {
                    DiffTo::Usual => {}
                    DiffTo::Commit(number) => line.option("to", &number.to_string()),
                    DiffTo::Path(path) => {
                        line.add("--");
                        line.add(&path.to_string_lossy());
                    }
                }
            }
            Self::Rollback(to) => {
                line.add("rollback");
                match to {
                    RollbackTo::Steps(steps) => line.add(&steps.to_string()),
                    RollbackTo::Commit(number) => line.option("to", &number.to_string()),
                }
            }
            Self::Confirm => line.add("confirm"),
            Self::ClearRuleHits(rule) => {
                line.all(["clear", "rule-hits", "--"]);
                line.add(rule.as_deref().unwrap_or("all"));
            }
            Self::ClearSession(which) => {
                line.all(["clear", "session"]);
                line.add(&match which {
                    Sessions::All => "all".to_owned(),
                    Sessions::Id(id) => id.to_string(),
                    Sessions::Matching(filter) => filter.to_string(),
                });
            }
            Self::ClearExcludeCache => line.all(["clear", "exclude-cache"]),
            Self::Pause { what, duration: time } => {
                line.all(["pause", what.name()]);
                line.option("for", &duration(*time));
            }
            Self::Test(words) => {
                line.add("test");
                line.all(words.iter().map(String::as_str));
            }
        }
        line.0
    }
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn add(&mut self, word: &str) {
        self.0.push(word.to_owned());
    }

    fn all<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        self.0.extend(words.into_iter().map(str::to_owned));
    }

    fn option(&mut self, name: &str, value: &str) {
        self.0.push(format!("--{name}"));
        self.add(value);
    }

    fn show(&mut self, what: &Show) {
        match what {
            Show::Info => self.add("info"),
            Show::Counters => self.add("counters"),
            Show::Sessions { filter, limit } => {
                self.add("sessions");
                self.option("limit", &limit.to_string());
                self.add(&filter.to_string());
            }
            Show::Tags { limit } => {
                self.add("tags");
                self.option("limit", &limit.to_string());
            }
            Show::Groups => self.add("groups"),
            Show::Group(name) => {
                self.all(["group", "--"]);
                self.add(name);
            }
            Show::Rules => self.add("rules"),
            Show::Lists => self.add("lists"),
            Show::Logs { filter, limit } => {
                self.all(["logs", filter.log_type().name()]);
                self.option("limit", &limit.to_string());
                self.add(&filter.to_string());
            }
            Show::Bypass => self.add("bypass"),
            Show::FilterFields(log_type) => self.all(["filter-fields", log_type.name()]),
            Show::Commits => self.add("commits"),
        }
    }
}

/// Whole seconds, which is all that a command can say.
fn duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
