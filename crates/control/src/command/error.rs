//! Why a command was not done.

use std::fmt;

/// What kind of trouble; programs go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The words are no command.
    Usage,
    /// A filter is wrong.
    Filter,
    /// The line or the answer is too long.
    TooLong,
    /// This socket does not run it.
    NotAllowed,
    /// What was named does not exist.
    NotFound,
    /// A configuration with errors.
    Invalid,
    /// Understood, and declined.
    Refused,
    /// Too many clients, or too much asked at once: try again.
    Busy,
    /// The system refused: permission, disk.
    System,
    /// The firewall is ending.
    Stopping,
    /// A fault of the firewall itself.
    Internal,
}

impl ErrorCode {
    const ALL: [Self; 11] = [
        Self::Usage,
        Self::Filter,
        Self::TooLong,
        Self::NotAllowed,
        Self::NotFound,
        Self::Invalid,
        Self::Refused,
        Self::Busy,
        Self::System,
        Self::Stopping,
        Self::Internal,
    ];

    /// As answers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Filter => "filter",
            Self::TooLong => "too-long",
            Self::NotAllowed => "not-allowed",
            Self::NotFound => "not-found",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Busy => "busy",
            Self::System => "system",
            Self::Stopping => "stopping",
            Self::Internal => "internal",
        }
    }

    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// Why a command was not done, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// What kind of trouble.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
    /// More of it, a line each: the findings of a configuration.
    pub details: Vec<String>,
}

impl CommandError {
    /// An error of one sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// The same with more lines to it.
    #[must_use]
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}
