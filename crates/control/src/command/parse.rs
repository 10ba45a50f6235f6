//! Words become a command.

use std::{path::PathBuf, time::Duration};

use logs::{Filter, LogType, TagAction};
use tags::Subject;

use super::{
    Brake, Command, CommandError, DiffTo, ErrorCode, RollbackTo, Sessions, Show,
    words::{Words, usage_error},
};

const VERBS: &[&str] = &[
    "help", "show", "tag", "explain", "commit", "diff", "rollback", "confirm", "clear", "pause", "test",
];
const SHOWN: &[&str] = &[
    "info",
    "counters",
    "sessions",
    "tags",
    "groups",
    "group",
    "rules",
    "lists",
    "logs",
    "bypass",
    "filter-fields",
    "commits",
];

type Rest = std::vec::IntoIter<String>;

impl Command {
    /// Reads one line, with or without its line end.
    ///
    /// # Errors
    ///
    /// What is wrong with it: [`ErrorCode::Usage`], [`ErrorCode::Filter`] or [`ErrorCode::TooLong`].
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        if line.len() > Self::MAX_LINE {
            return Err(CommandError::new(
                ErrorCode::TooLong,
                format!("a command has at most {} bytes", Self::MAX_LINE),
            ));
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        match shlex::split(line) {
            Some(words) => Self::from_words(words),
            None => Err(usage_error(
                "a quote is not closed, or the line ends in a backslash".to_owned(),
            )),
        }
    }

    /// Reads words whose quotes are gone, as a command line gives them.
    ///
    /// # Errors
    ///
    /// As [`Command::parse`].
    pub fn from_words(words: Vec<String>) -> Result<Self, CommandError> {
        if words.iter().any(|word| word.chars().any(char::is_control)) {
            return Err(usage_error("a command has no control characters".to_owned()));
        }
        let mut words = words.into_iter();
        let verb = words.next().unwrap_or_default();
        match verb.as_str() {
            "" => Err(usage_error("there is no command; `help` lists them".to_owned())),
            "help" => alone("help", words, Self::Help),
            "show" => show(words).map(Self::Show),
            "tag" => tag(words),
            "explain" => explain(words),
            "commit" => commit(words),
            "diff" => diff(words),
            "rollback" => rollback(words),
            "confirm" => alone("confirm", words, Self::Confirm),
            "clear" => clear(words),
            "pause" => pause(words),
            "test" => Ok(Self::Test(words.collect())),
            _ => Err(unknown("command", &verb, VERBS)),
        }
    }
}

fn alone<T>(name: &'static str, words: Rest, command: T) -> Result<T, CommandError> {
    Words::new(name, words, &[])?.end()?;
    Ok(command)
}

fn show(mut words: Rest) -> Result<Show, CommandError> {
    let what = words.next().unwrap_or_default();
    match what.as_str() {
        "" => Err(usage_error(format!("show what? One of {}", SHOWN.join(", ")))),
        "info" => alone("show info", words, Show::Info),
        "counters" => alone("show counters", words, Show::Counters),
        "sessions" => {
            let mut words = Words::new("show sessions", words, &["limit"])?;
            Ok(Show::Sessions {
                filter: filter(&words.rest(), LogType::Traffic)?,
                limit: limit(&words, Command::MAX_ROWS)?,
            })
        }
        "tags" => {
            let words = Words::new("show tags", words, &["limit"])?;
            let limit = limit(&words, Command::MAX_ROWS)?;
            words.end()?;
            Ok(Show::Tags { limit })
        }
        "groups" => alone("show groups", words, Show::Groups),
        "group" => {
            let mut words = Words::new("show group", words, &[])?;
            let name = words.need("NAME")?;
            words.end()?;
            Ok(Show::Group(name))
        }
        "rules" => alone("show rules", words, Show::Rules),
        "lists" => alone("show lists", words, Show::Lists),
        "logs" => {
            let mut words = Words::new("show logs", words, &["limit"])?;
            let log_type = log_type(&mut words)?;
            Ok(Show::Logs {
                filter: filter(&words.rest(), log_type)?,
                limit: limit(&words, Command::DEFAULT_RECORDS)?,
            })
        }
        "bypass" => alone("show bypass", words, Show::Bypass),
        "filter-fields" => {
            let mut words = Words::new("show filter-fields", words, &[])?;
            let log_type = log_type(&mut words)?;
            words.end()?;
            Ok(Show::FilterFields(log_type))
        }
        "commits" => alone("show commits", words, Show::Commits),
        _ => Err(unknown("thing to show", &what, SHOWN)),
    }
}

fn tag(mut words: Rest) -> Result<Command, CommandError> {
    match words.next().unwrap_or_default().as_str() {
        "add" => {
            let mut words = Words::new("tag add", words, &["timeout"])?;
            let (subject, tag) = subject_and_tag(&mut words)?;
            let timeout = match words.option("timeout") {
                None => 0,
                Some(minutes) => minutes
                    .parse()
                    .ok()
                    .filter(|minutes| *minutes <= TagAction::MAX_TIMEOUT)
                    .ok_or_else(|| {
                        let most = TagAction::MAX_TIMEOUT;
                        words.wrong(&format!("--timeout is in minutes, 0 (until removed) to {most}"))
                    })?,
            };
            Ok(Command::TagAdd {
                subject,
                tag,
                timeout,
            })
        }
        "remove" => {
            let mut words = Words::new("tag remove", words, &[])?;
            let (subject, tag) = subject_and_tag(&mut words)?;
            Ok(Command::TagRemove { subject, tag })
        }
        "" => {
            Words::new("tag", words, &[]).and_then(|words| Err(words.wrong("`add` or `remove` is missing")))
        }
        word => Err(unknown("tag command", word, &["add", "remove"])),
    }
}

/// The last word is the tag; a subject can have two.
fn subject_and_tag(words: &mut Words) -> Result<(Subject, String), CommandError> {
    let tag = words.need_last("TAG")?;
    if tag.starts_with("name=") || tag.starts_with("client=") {
        return Err(words.wrong("TAG is missing"));
    }
    if tag.is_empty() {
        return Err(words.wrong("a tag needs a name"));
    }
    Ok((subject(words)?, tag))
}

fn subject(words: &mut Words) -> Result<Subject, CommandError> {
    let text = words.rest();
    if text.is_empty() {
        return Err(words.wrong("SUBJECT is missing"));
    }
    text.parse()
        .map_err(|fault| words.wrong(&format!("`{text}`: {fault}")))
}

fn explain(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("explain", words, &[])?;
    let subject = subject(&mut words)?;
    Ok(Command::Explain { subject })
}

fn commit(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("commit", words, &["confirm-within", "comment"])?;
    let path = path(&words.need("PATH")?, &words)?;
    let confirm_within = match words.option("confirm-within") {
        None => None,
        Some(text) => Some(
            duration(text)
                .filter(|duration| !duration.is_zero())
                .ok_or_else(|| words.wrong(&format!("--confirm-within: {DURATION}")))?,
        ),
    };
    let comment = words.option("comment").unwrap_or_default().to_owned();
    words.end()?;
    Ok(Command::Commit {
        path,
        confirm_within,
        comment,
    })
}

fn diff(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("diff", words, &["from", "to"])?;
    let from = commit_number(&words, "from")?;
    let to = match (words.next(), commit_number(&words, "to")?) {
        (None, None) => DiffTo::Usual,
        (Some(text), None) => DiffTo::Path(path(&text, &words)?),
        (None, Some(number)) => DiffTo::Commit(number),
        (Some(_), Some(_)) => return Err(words.wrong("PATH and --to exclude each other")),
    };
    words.end()?;
    Ok(Command::Diff { from, to })
}

/// The value of an option that names a commit.
fn commit_number(words: &Words, option: &str) -> Result<Option<u32>, CommandError> {
    let Some(text) = words.option(option) else {
        return Ok(None);
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(words.wrong(&format!(
            "--{option} is the number of a commit, as `show commits` lists them"
        ))),
    }
}

fn path(text: &str, words: &Words) -> Result<PathBuf, CommandError> {
    if text.is_empty() {
        return Err(words.wrong("PATH is empty"));
    }
    Ok(PathBuf::from(text))
}

fn rollback(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("rollback", words, &["to"])?;
    let to = match (words.next(), commit_number(&words, "to")?) {
        (None, None) => RollbackTo::Steps(1),
        (None, Some(number)) => RollbackTo::Commit(number),
        (Some(number), None) => number
            .parse()
            .ok()
            .filter(|steps| *steps > 0)
            .map(RollbackTo::Steps)
            .ok_or_else(|| words.wrong("N counts commits back, from 1"))?,
        (Some(_), Some(_)) => return Err(words.wrong("N and --to exclude each other")),
    };
    words.end()?;
    Ok(Command::Rollback(to))
}

fn clear(mut words: Rest) -> Result<Command, CommandError> {
    match words.next().unwrap_or_default().as_str() {
        "session" => {}
        "rule-hits" => return clear_rule_hits(words),
        "exclude-cache" => return alone("clear exclude-cache", words, Command::ClearExcludeCache),
        "" => {
            return Words::new("clear", words, &[])
                .and_then(|words| Err(words.wrong("`session`, `rule-hits` or `exclude-cache` is missing")));
        }
        word => {
            return Err(unknown(
                "thing to clear",
                word,
                &["session", "rule-hits", "exclude-cache"],
            ));
        }
    }
    let mut words = Words::new("clear session", words, &[])?;
    let which = words.rest();
    // An empty filter lets everything through: too much for a forgotten word.
    if which.trim().is_empty() {
        return Err(words.wrong("which sessions?"));
    }
    let sessions = if which == "all" {
        Sessions::All
    } else if which.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = which.parse();
        Sessions::Id(id.map_err(|_| words.wrong("no session has so large an ID"))?)
    } else {
        Sessions::Matching(filter(&which, LogType::Traffic)?)
    };
    Ok(Command::ClearSession(sessions))
}

fn clear_rule_hits(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("clear rule-hits", words, &[])?;
    let name = words.need("`all` or NAME")?;
    words.end()?;
    Ok(Command::ClearRuleHits((name != "all").then_some(name)))
}

fn pause(words: Rest) -> Result<Command, CommandError> {
    let mut words = Words::new("pause", words, &["for"])?;
    let what = match words.need("`tagging` or `decryption`")?.as_str() {
        "tagging" => Brake::Tagging,
        "decryption" => Brake::Decryption,
        word => return Err(unknown("thing to pause", word, &["tagging", "decryption"])),
    };
    let duration = match words.option("for") {
        None => return Err(words.wrong("--for is missing")),
        Some(text) => duration(text).ok_or_else(|| words.wrong(&format!("--for: {DURATION}")))?,
    };
    words.end()?;
    Ok(Command::Pause { what, duration })
}

fn log_type(words: &mut Words) -> Result<LogType, CommandError> {
    let name = words.need("TYPE")?;
    LogType::from_name(&name).ok_or_else(|| unknown("type of record", &name, LogType::NAMES))
}

fn limit(words: &Words, default: usize) -> Result<usize, CommandError> {
    match words.option("limit") {
        None => Ok(default),
        Some(number) => number
            .parse()
            .ok()
            .filter(|limit| (1..=Command::MAX_ROWS).contains(limit))
            .ok_or_else(|| words.wrong(&format!("--limit is a number from 1 to {}", Command::MAX_ROWS))),
    }
}

/// Every error of a filter, each with its column.
fn filter(text: &str, log_type: LogType) -> Result<Filter, CommandError> {
    let errors = match Filter::parse(text, log_type) {
        Ok((filter, _)) => return Ok(filter),
        Err(errors) => errors,
    };
    let mut told = errors
        .iter()
        .map(|error| format!("filter:1:{}: {error:#}", error.column().saturating_add(1)));
    let first = told.next().unwrap_or_else(|| "the filter is wrong".to_owned());
    Err(CommandError::new(ErrorCode::Filter, first).with_details(told.collect()))
}

const DURATION: &str = "a time is a number with s, m, h or d, as in 10m, and at most 24h";

/// `90s`, `10m`, `2h`, `1d`; at most [`Command::MAX_PAUSE`].
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let duration = number.checked_mul(seconds).map(Duration::from_secs)?;
    (duration <= Command::MAX_PAUSE).then_some(duration)
}

fn unknown(what: &str, name: &str, candidates: &'static [&'static str]) -> CommandError {
    usage_error(match logs::nearest(name, candidates.iter().copied()) {
        Some(nearest) => format!("there is no {what} `{name}`; nearest valid name: `{nearest}`"),
        None => format!(
            "there is no {what} `{name}`; there are: {}",
            candidates.join(", ")
        ),
    })
}
