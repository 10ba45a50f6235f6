//! What can be asked of a running firewall: one grammar for the sockets and for the command line.
//!
//! A command is one line of words, quoted as a shell quotes them. Reading one checks everything that can be
//! checked without the firewall: whoever answers gets a [`Command`], never words to interpret.

mod error;
mod parse;
mod print;
mod usage;
mod words;

use std::{path::PathBuf, time::Duration};

use logs::{Filter, LogType};
use tags::Subject;

pub use self::{
    error::{CommandError, ErrorCode},
    usage::Usage,
};

/// Which socket runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// Both: it only looks.
    Read,
    /// The control socket alone: it changes something, or reads files by name.
    Write,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The commands there are. The server answers it itself.
    Help,
    /// How things stand.
    Show(Show),
    /// Registers a tag by hand.
    TagAdd {
        /// What carries it.
        subject: Subject,
        /// The tag: not checked against the names that the configuration uses.
        tag: String,
        /// Minutes, at most [`logs::TagAction::MAX_TIMEOUT`]; 0 = until removed.
        timeout: u32,
    },
    /// Removes a tag.
    TagRemove {
        /// What carries it.
        subject: Subject,
        /// The tag.
        tag: String,
    },
    /// Why an address carries its tags.
    Explain {
        /// The address, or exactly this subject.
        subject: Subject,
    },
    /// Puts a configuration in force.
    Commit {
        /// The configuration; absolute where it comes from the command line.
        path: PathBuf,
        /// Without a `confirm` within this time the configuration before it returns.
        confirm_within: Option<Duration>,
        /// Kept beside the configuration; may be empty.
        comment: String,
    },
    /// What a commit would change, or what differs between two commits.
    Diff {
        /// The number of a commit; `None`: the running configuration.
        from: Option<u32>,
        /// What it is compared with.
        to: DiffTo,
    },
    /// Puts an earlier configuration in force again, as a commit of its own.
    Rollback(RollbackTo),
    /// Keeps a configuration that was committed with a time to confirm it.
    Confirm,
    /// Ends sessions: their next packet opens a new one.
    ClearSession(Sessions),
    /// Counts the hits of a rule from nothing, or of all rules where no name is given.
    ClearRuleHits(Option<String>),
    /// Forgets the servers that are left closed because they do not fit the proxy.
    ClearExcludeCache,
    /// Holds one of the firewall's doings still.
    Pause {
        /// Which.
        what: Brake,
        /// For how long, at most [`Command::MAX_PAUSE`]; zero goes on at once.
        duration: Duration,
    },
    /// Which rule, list or record would match: the words behind `test`. They come from whoever may open the
    /// stats socket, so no file may be opened by them.
    Test(Vec<String>),
}

/// What a configuration is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffTo {
    /// With only one commit named, the running configuration; else the file that the running one came from.
    Usual,
    /// A candidate.
    Path(PathBuf),
    /// The number of a commit.
    Commit(u32),
}

/// Which earlier configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackTo {
    /// So many commits before the running one, from 1.
    Steps(u32),
    /// The commit with this number.
    Commit(u32),
}

/// What can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// The process: version, configuration, times, health.
    Info,
    /// Every counter.
    Counters,
    /// Open sessions.
    Sessions {
        /// Those that pass, each asked as the traffic record that it would log now.
        filter: Filter,
        /// At most so many.
        limit: usize,
    },
    /// Registered tags.
    Tags {
        /// At most so many.
        limit: usize,
    },
    /// Address groups, with the number of their members.
    Groups,
    /// The members of one address group.
    Group(String),
    /// Rules, with their hits.
    Rules,
    /// Domain and address lists.
    Lists,
    /// Stored records, newest first.
    Logs {
        /// Those that pass; knows the type.
        filter: Filter,
        /// At most so many.
        limit: usize,
    },
    /// What is exempt from decryption for now.
    Bypass,
    /// What a filter over a type of record can ask. The server answers it itself.
    FilterFields(LogType),
    /// Committed configurations, newest first.
    Commits,
}

/// Which sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Every one.
    All,
    /// The one with this `sessionid`.
    Id(u64),
    /// Those that pass, each asked as the traffic record that it would log now.
    Matching(Filter),
}

/// What can be held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// Match lists tag nothing; what is tagged stays so.
    Tagging,
    /// No new session is decrypted.
    Decryption,
}

impl Brake {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tagging => "tagging",
            Self::Decryption => "decryption",
        }
    }
}

impl Command {
    /// The longest line, in bytes.
    pub const MAX_LINE: usize = 64 << 10;
    /// The most rows one answer has, and what is shown where no limit is given.
    pub const MAX_ROWS: usize = 100_000;
    /// Records shown where no limit is given.
    pub const DEFAULT_RECORDS: usize = 100;
    /// The longest a brake holds, and the longest time to confirm a commit.
    pub const MAX_PAUSE: Duration = Duration::from_hours(24);

    /// Who may run it.
    pub const fn privilege(&self) -> Privilege {
        match self {
            Self::Help | Self::Show(_) | Self::Explain { .. } | Self::Test(_) => Privilege::Read,
            // A candidate is a file of the caller's choice, read by the firewall.
            Self::TagAdd { .. }
            | Self::TagRemove { .. }
            | Self::Commit { .. }
            | Self::Diff { .. }
            | Self::Rollback(_)
            | Self::Confirm
            | Self::ClearSession(_)
            | Self::ClearRuleHits(_)
            | Self::ClearExcludeCache
            | Self::Pause { .. } => Privilege::Write,
        }
    }
}

#[cfg(test)]
mod tests;
