//! The control plane: what happens beside the packet path. Configurations and the files they refer to are read;
//! commands are answered on two sockets; tags are kept over a restart.
//!
//! Files come from administrators and list publishers, of any size and content: what is read is bounded, and
//! what cannot be read is told with its place. Whoever may open the stats socket may flood it, stall or go away:
//! that costs a bounded share of one thread.
#![forbid(unsafe_code)]

mod ca_store;
mod command;
mod difference;
mod history;
mod journal;
mod load;
mod log_store;
mod socket;
mod state_directory;
mod system_roots;
mod text_file;
mod trust_store;

pub use ca_store::{CaError, CaStore};
pub use command::{
    Brake, Command, CommandError, DiffTo, ErrorCode, Privilege, RollbackTo, Sessions, Show, Usage,
};
pub use difference::Difference;
pub use history::{Commit, History, HistoryDamage, HistoryFault, HistoryLimits, NewCommit, Unconfirmed};
pub use journal::{Compaction, Damage, Journal, JournalError, Restored, TagChange};
pub use load::{ConfigurationText, Loaded, load};
pub use log_store::{LogCounters, LogLimits, LogReader, LogStore};
pub use socket::{
    Answer, AskError, BindError, DEFAULT_SOCKET, Server, ServerCounters, ServerCounts, ServerLimits, Sockets,
    ask, filter_fields, json_line, rows, socket_for,
};
pub use state_directory::{StateDirectory, StateError};
pub use system_roots::SystemRoots;
pub use trust_store::TrustFiles;
