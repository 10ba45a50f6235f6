//! What is wrong with a commit's files.

use std::{fmt, path::PathBuf};

/// A commit that cannot return, and why. Its files are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryDamage {
    /// The commit.
    pub number: u32,
    /// The file that is to blame.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: HistoryFault,
}

/// What is wrong with a file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryFault {
    /// Writing it was cut off: it was never in force by an answered command.
    HalfWritten,
    /// What is said about it cannot be trusted, and why.
    Metadata(String),
    /// The configuration is not the one that was committed, and why.
    Configuration(String),
    /// A later cordon wrote it, in this format.
    Later(u32),
}

impl HistoryFault {
    /// Which of the two files it concerns.
    pub(super) const fn extension(&self) -> &'static str {
        match self {
            Self::HalfWritten | Self::Configuration(_) => "toml",
            Self::Metadata(_) | Self::Later(_) => "json",
        }
    }
}

impl fmt::Display for HistoryDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, file, fault } = self;
        let file = file.display();
        match fault {
            HistoryFault::HalfWritten => write!(
                f,
                "commit {number} is skipped: it was not written to its end; what is left begins with {file}"
            ),
            HistoryFault::Metadata(what) | HistoryFault::Configuration(what) => {
                write!(f, "commit {number} is skipped: {file} {what}")
            }
            HistoryFault::Later(format) => write!(
                f,
                "commit {number} is skipped: {file} has format {format}, which this cordon does not know"
            ),
        }
    }
}

impl std::error::Error for HistoryDamage {}
