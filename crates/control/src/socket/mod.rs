//! Two Unix sockets that answer commands, and the asking side.
//!
//! Whoever may open the stats socket is not trusted to be well-behaved: lines, clients, answers and waiting
//! all have bounds, and nothing here is waited for by a thread that carries packets.

mod answer;
mod bind;
mod client;
mod conversation;
mod json;
mod limits;
mod server;

use std::path::{Path, PathBuf};

pub use self::{
    answer::{Answer, filter_fields, rows},
    bind::{BindError, Sockets},
    client::{AskError, ask},
    json::json_line,
    limits::{ServerCounters, ServerCounts, ServerLimits},
    server::Server,
};
use crate::Privilege;

/// Where the stats socket lies unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/cordon/cordon.sock";
/// The name of the control socket, beside the stats socket.
const CONTROL_SOCKET: &str = "control.sock";

/// The socket that runs commands of a privilege, where the stats socket is at `stats`.
pub fn socket_for(stats: &Path, privilege: Privilege) -> PathBuf {
    match privilege {
        Privilege::Read => stats.to_owned(),
        Privilege::Write => stats.with_file_name(CONTROL_SOCKET),
    }
}

#[cfg(test)]
mod tests;
