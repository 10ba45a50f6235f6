//! What is remembered of one tag on one subject.

use std::sync::Arc;

use packet::Timestamp;

use crate::{Subject, TagId};

/// Who made a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CauseSource {
    /// A log record, by its `seqno`.
    Record(u64),
    /// A command on the control socket.
    Socket {
        /// The peer of the socket, as config records name it.
        admin: Arc<str>,
    },
    /// The configuration.
    Config,
}

/// Why a subject carries a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    /// Who made the tag.
    pub source: CauseSource,
    /// The match list entry that acted, if one did.
    pub match_list: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

/// One tag on one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is tagged.
    pub subject: Subject,
    /// With what.
    pub tag: TagId,
    /// The tag is in force before this time; [`Timestamp::MAX`] where it stays until removed.
    pub deadline: Timestamp,
    /// Whether the tag outlives a restart.
    pub persistent: bool,
    /// Why; of several registrations, the one that set the deadline.
    pub cause: Cause,
}
