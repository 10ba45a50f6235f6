//! The asking side.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use super::socket_for;
use crate::{Command, CommandError, ErrorCode, Privilege};

/// The longest answer that is read, in bytes: more than a server sends.
const MAX_ANSWER: u64 = 1 << 30;
/// How long an answer may take: a commit reads lists of millions of names.
const PATIENCE: Duration = Duration::from_mins(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing lies at the path.
    #[error("there is no socket {}: is cordon running? `cordon run … --socket PATH` and this command must name the same path", .0.display())]
    NoSocket(PathBuf),
    /// A socket that nobody listens on.
    #[error("nobody answers at {}: cordon is not running, or has just been killed", .0.display())]
    NobodyThere(PathBuf),
    /// The socket is there, and not for this user.
    #[error("permission denied at {}: {}", path.display(), remedy(*privilege))]
    Permission {
        /// The socket.
        path: PathBuf,
        /// Which of the two.
        privilege: Privilege,
    },
    /// The connection broke.
    #[error("{}: {error}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The firewall closed the connection before it had answered.
    #[error("{} closed without an answer: cordon is stopping, or was restarted", .0.display())]
    Closed(PathBuf),
    /// Whoever answered is no cordon, or another version.
    #[error("what {} answered is not understood: is it this version of cordon?", .0.display())]
    Malformed(PathBuf),
    /// The firewall understood, and says why not.
    #[error("{0}")]
    Refused(CommandError),
}

fn remedy(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::Read => "run as root, or as a member of the socket's group",
        Privilege::Write => "commands that change something need the user that cordon runs as: root",
    }
}

/// Sends a command to the socket that runs it, where the stats socket is at `stats`, and waits for the answer.
///
/// # Errors
///
/// What is wrong, and what to do about it.
pub fn ask(stats: &Path, command: &Command) -> Result<Value, AskError> {
    let privilege = command.privilege();
    let path = socket_for(stats, privilege);
    let stream = UnixStream::connect(&path).map_err(|error| not_connected(&path, privilege, error))?;
    let answer = exchange(stream, &format!("{command}\n")).map_err(|error| AskError::Io {
        path: path.clone(),
        error,
    })?;
    if answer.is_empty() {
        return Err(AskError::Closed(path));
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&answer) else {
        return Err(AskError::Malformed(path));
    };
    match value.get_mut("error") {
        None => Ok(value),
        Some(error) => Err(refusal(error).map_or(AskError::Malformed(path), AskError::Refused)),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has more kinds than have a word of ours"
)]
fn not_connected(path: &Path, privilege: Privilege, error: io::Error) -> AskError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => AskError::NoSocket(path),
        io::ErrorKind::ConnectionRefused => AskError::NobodyThere(path),
        io::ErrorKind::PermissionDenied => AskError::Permission { path, privilege },
        _ => AskError::Io { path, error },
    }
}

/// One line there, one line back.
fn exchange(mut stream: UnixStream, line: &str) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A server that refuses closes without reading; what it said can still be read.
    let sent = stream.write_all(line.as_bytes());
    let mut answer = Vec::new();
    let received = BufReader::new(stream.take(MAX_ANSWER)).read_until(b'\n', &mut answer);
    if answer.is_empty() {
        sent?;
        received?;
    }
    Ok(answer)
}

fn refusal(error: &Value) -> Option<CommandError> {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let details = error.get("details").and_then(Value::as_array);
    Some(CommandError {
        code: text("code").and_then(ErrorCode::from_name)?,
        message: text("message")?.to_owned(),
        details: details
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect(),
    })
}
