//! The control plane: what happens beside the packet path. Configurations and the files they refer to are read;
//! commands are answered on two sockets; tags are kept over a restart.
//!
//! Files come from administrators and list publishers, of any size and content: what is read is bounded, and
//! what cannot be read is told with its place. Whoever may open the stats socket may flood it, stall or go away:
//! that costs a bounded share of one thread.
#![forbid(unsafe_code)]

mod command;
mod journal;
mod load;
mod log_store;
mod socket;
mod state_directory;
mod text_file;

pub use command::{Brake, Command, CommandError, ErrorCode, Privilege, Sessions, Show, Usage};
pub use journal::{Compaction, Damage, Journal, JournalError, Restored, TagChange};
pub use load::{Loaded, load};
pub use log_store::{LogCounters, LogLimits, LogReader, LogStore};
pub use socket::{
    Answer, AskError, BindError, DEFAULT_SOCKET, Server, ServerCounters, ServerCounts, ServerLimits, Sockets,
    ask, filter_fields, json_line, rows, socket_for,
};
pub use state_directory::{StateDirectory, StateError};
