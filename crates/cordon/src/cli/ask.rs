//! The commands that ask a running firewall: what is typed becomes a command of the sockets' grammar, and the
//! answer a table or one JSON object.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use control::{AskError, Command, CommandError, ErrorCode, Usage};
use serde_json::{Value, json};

use super::{Exit, complain, table, terminal::harmless};

/// Where to ask, and how to answer.
#[derive(Clone, Debug, Args)]
pub(super) struct Asking {
    /// The stats socket; commands that change something go to control.sock beside it
    #[arg(long, value_name = "PATH", default_value = control::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `cordon show` is given.
#[derive(Clone, Debug, Args)]
#[command(after_help = usages("show"))]
pub(crate) struct ShowArguments {
    /// What to show
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon tag` is given.
#[derive(Clone, Debug, Args)]
#[command(after_help = usages("tag"))]
pub(crate) struct TagArguments {
    /// `add` or `remove`
    #[arg(value_name = "DO")]
    what: String,
    /// What carries the tag (address, prefix or range; name=NAME or client=ADDRESS may follow), and the tag
    #[arg(value_names = ["SUBJECT", "TAG"], required = true, num_args = 2..)]
    words: Vec<String>,
    /// Minutes until it goes by itself [default: until removed]
    #[arg(long, value_name = "MIN")]
    timeout: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon explain` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArguments {
    /// An address, or exactly this prefix or range; name=NAME or client=ADDRESS may follow
    #[arg(value_name = "SUBJECT", required = true)]
    subject: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon commit` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommitArguments {
    /// The configuration, as the firewall can read it
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Go back unless `cordon confirm` comes within this time, as in 10m
    #[arg(long, value_name = "TIME")]
    confirm_within: Option<String>,
    /// Kept beside the configuration
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon diff` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArguments {
    /// The candidate [default: the file the running configuration came from]
    #[arg(value_name = "CONFIG", conflicts_with = "to")]
    config: Option<PathBuf>,
    /// Compare from this commit [default: from the running configuration]
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// Compare with this commit
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon rollback` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct RollbackArguments {
    /// How many commits back [default: 1, the one before]
    #[arg(value_name = "N", conflicts_with = "to")]
    steps: Option<String>,
    /// The commit with this number, as `show commits` lists them
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon confirm` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfirmArguments {
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon clear` is given.
#[derive(Clone, Debug, Args)]
#[command(after_help = usages("clear"))]
pub(crate) struct ClearArguments {
    /// `session`, and which: all, an ID or a filter
    #[arg(value_name = "WHAT", required = true, num_args = 2..)]
    what: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What `cordon pause` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct PauseArguments {
    /// `tagging` or `decryption`
    #[arg(value_name = "WHAT")]
    what: String,
    /// For how long, as in 10m; 0s goes on at once
    #[arg(long = "for", value_name = "TIME")]
    duration: String,
    #[command(flatten)]
    asking: Asking,
}

/// The commands of the sockets that begin with a word, a line each.
fn usages(verb: &str) -> String {
    let mut text = String::new();
    for usage in Usage::of(verb) {
        // Writing to memory cannot fail.
        writeln!(text, "  {:<44} {}", usage.words, usage.does).unwrap_or_default();
    }
    text
}

impl ShowArguments {
    pub(crate) fn run(self) -> Exit {
        let mut what = self.what.into_iter();
        let mut words = Words::new("show");
        words.0.extend(what.next());
        words.option("limit", self.limit);
        words.arguments(what);
        words.ask(&self.asking)
    }
}

impl TagArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("tag");
        words.0.push(self.what);
        words.option("timeout", self.timeout);
        words.arguments(self.words);
        words.ask(&self.asking)
    }
}

impl ExplainArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("explain");
        words.arguments(self.subject);
        words.ask(&self.asking)
    }
}

impl CommitArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("commit");
        words.option("confirm-within", self.confirm_within);
        words.option("comment", self.comment);
        words.path(&self.config).ask(&self.asking)
    }
}

impl DiffArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("diff");
        words.option("from", self.from);
        words.option("to", self.to);
        match self.config {
            None => words.ask(&self.asking),
            Some(path) => words.path(&path).ask(&self.asking),
        }
    }
}

impl RollbackArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("rollback");
        words.option("to", self.to);
        words.arguments(self.steps);
        words.ask(&self.asking)
    }
}

impl ConfirmArguments {
    pub(crate) fn run(self) -> Exit {
        Words::new("confirm").ask(&self.asking)
    }
}

impl ClearArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("clear");
        words.0.extend(self.what);
        words.ask(&self.asking)
    }
}

impl PauseArguments {
    pub(crate) fn run(self) -> Exit {
        let mut words = Words::new("pause");
        words.0.push(self.what);
        words.option("for", Some(self.duration));
        words.ask(&self.asking)
    }
}

/// A command as words of the sockets' grammar.
struct Words(Vec<String>);

impl Words {
    fn new(verb: &str) -> Self {
        Self(vec![verb.to_owned()])
    }

    fn option(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.push(format!("--{name}={value}"));
        }
    }

    /// Words that are no options, whatever they begin with.
    fn arguments(&mut self, words: impl IntoIterator<Item = String>) {
        let mut words = words.into_iter().peekable();
        if words.peek().is_some() {
            self.0.push("--".to_owned());
            self.0.extend(words);
        }
    }

    /// A file, named so that the firewall finds it from where it runs.
    fn path(mut self, path: &Path) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // A name that is not UTF-8 cannot be said in JSON or TOML either; the firewall will not find it.
        self.arguments([absolute.to_string_lossy().into_owned()]);
        self
    }

    fn ask(self, asking: &Asking) -> Exit {
        ask(Command::from_words(self.0), asking)
    }
}

/// Asks, and shows the answer or says why there is none.
pub(super) fn ask(command: Result<Command, CommandError>, asking: &Asking) -> Exit {
    let command = match command {
        Ok(command) => command,
        Err(error) => return refused(&error, false),
    };
    match control::ask(&asking.socket, &command) {
        Ok(answer) => {
            show(&command, &answer, asking.json);
            Exit::Done
        }
        Err(AskError::Refused(error)) => refused(&error, asking.json),
        Err(error) => {
            complain(&harmless(&error.to_string()));
            Exit::SystemRefused
        }
    }
}

fn show(command: &Command, answer: &Value, json: bool) {
    let shown = if json {
        control::json_line(answer)
    } else if matches!(command, Command::Diff { .. }) {
        table::difference(answer).into_bytes()
    } else {
        table::render(answer, table::columns(command)).into_bytes()
    };
    // Where standard output is closed nobody is left to read it.
    drop(io::stdout().write_all(&shown));
}

/// Says why not; programs find it on standard output, too.
fn refused(error: &CommandError, json: bool) -> Exit {
    if json {
        let body = json!({ "code": error.code.name(), "message": error.message, "details": error.details });
        // As above.
        drop(io::stdout().write_all(&control::json_line(&json!({ "error": body }))));
    }
    let mut stderr = io::stderr().lock();
    for line in &error.details {
        // Where standard error is closed nobody is left to tell.
        drop(writeln!(stderr, "{}", harmless(line)));
    }
    drop(stderr);
    complain(&harmless(&error.message));
    match error.code {
        ErrorCode::Usage => Exit::Usage,
        ErrorCode::Filter | ErrorCode::NotFound | ErrorCode::Invalid | ErrorCode::Refused => Exit::WrongInput,
        ErrorCode::TooLong
        | ErrorCode::NotAllowed
        | ErrorCode::Busy
        | ErrorCode::System
        | ErrorCode::Stopping
        | ErrorCode::Internal => Exit::SystemRefused,
    }
}
