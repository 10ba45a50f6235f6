//! What clients can cost, and what they did.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The bounds of the sockets.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Clients of the stats socket at a time; one more is refused.
    pub stats_clients: usize,
    /// Clients of the control socket at a time; one more is refused.
    pub control_clients: usize,
    /// Commands of one socket that are answered at a time; more wait.
    pub concurrent: usize,
    /// How long a client may take to send a whole line; then it is closed.
    pub line_time: Duration,
    /// How long a client may take to read an answer; then it is closed.
    pub read_time: Duration,
    /// The shortest time between two commands of one client of the stats socket; the second waits.
    pub command_interval: Duration,
    /// The longest answer, in bytes; a longer one loses rows and says `truncated`.
    pub answer: usize,
    /// The longest sum of answers that clients are reading, in bytes; one more is refused.
    pub answers: usize,
    /// How long commands in work may take to end when the server stops.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            stats_clients: 64,
            control_clients: 16,
            concurrent: 4,
            line_time: Duration::from_mins(5),
            read_time: Duration::from_secs(30),
            command_interval: Duration::from_millis(5),
            answer: 128 << 20,
            answers: 256 << 20,
            grace: Duration::from_secs(5),
        }
    }
}

/// What the sockets have done, counted as it happens.
#[derive(Debug, Default)]
pub struct ServerCounters {
    pub(super) clients: AtomicU64,
    pub(super) clients_refused: AtomicU64,
    pub(super) clients_timed_out: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) commands_failed: AtomicU64,
    pub(super) answers_truncated: AtomicU64,
    pub(super) answers_refused: AtomicU64,
    pub(super) accept_errors: AtomicU64,
}

/// [`ServerCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the number of what its name says")]
pub struct ServerCounts {
    pub clients: u64,
    pub clients_refused: u64,
    pub clients_timed_out: u64,
    pub commands: u64,
    pub commands_failed: u64,
    pub answers_truncated: u64,
    pub answers_refused: u64,
    pub accept_errors: u64,
}

impl ServerCounters {
    /// The numbers now.
    pub fn counts(&self) -> ServerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ServerCounts {
            clients: read(&self.clients),
            clients_refused: read(&self.clients_refused),
            clients_timed_out: read(&self.clients_timed_out),
            commands: read(&self.commands),
            commands_failed: read(&self.commands_failed),
            answers_truncated: read(&self.answers_truncated),
            answers_refused: read(&self.answers_refused),
            accept_errors: read(&self.accept_errors),
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
