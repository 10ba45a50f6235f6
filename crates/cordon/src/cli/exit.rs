//! How the process ends.

use std::{
    fmt,
    io::{self, Write as _},
    process::{ExitCode, Termination},
};

/// The exit codes that scripts may lean on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: the input was wrong: configuration, list, capture.
    WrongInput,
    /// 2: the command line was wrong.
    Usage,
    /// 3: the system refused: permission, interface, disk.
    SystemRefused,
}

impl Exit {
    /// The end of a command line that was not accepted, or only asked for help: says why.
    pub(super) fn from_refusal(refusal: &clap::Error) -> Self {
        // Where standard output is closed nobody is left to read the help.
        drop(refusal.print());
        if refusal.use_stderr() {
            Self::Usage
        } else {
            Self::Done
        }
    }
}

/// Says on standard error what went wrong.
pub(crate) fn complain(what: &dyn fmt::Display) {
    // Where standard error is closed nobody is left to tell.
    drop(writeln!(io::stderr(), "cordon: {what}"));
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::WrongInput => 1,
            Self::Usage => 2,
            Self::SystemRefused => 3,
        })
    }
}
