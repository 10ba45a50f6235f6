//! What all threads of a running firewall look at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use engine::{Env, Ruleset, Sides};
use packet::Timestamp;
use tags::TagStore;

use super::{
    clock::Clock,
    events::{Bell, EventQueue},
    forwarding::Forwarding,
    lag::Lags,
    way::Way,
};

/// How long after the start TCP sessions are adopted in mid-stream whatever `non-syn` says, in seconds: their
/// beginnings passed before cordon ran.
const GRACE_SECONDS: u64 = 120;

/// The read-mostly state of the firewall, and the way to its forwarder.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) started: Timestamp,
    /// Replaced whole by a commit; a worker looks once for each burst.
    pub(super) ruleset: Arc<ArcSwap<Ruleset>>,
    pub(super) tags: Arc<TagStore>,
    /// Live, interfaces say who is inside; this is for captures.
    pub(super) sides: Sides,
    /// One for each worker.
    pub(super) events: Vec<EventQueue>,
    pub(super) bell: Bell,
    pub(super) forwarding: Forwarding,
    pub(super) lags: Lags,
    /// Events that found their queue full, and that their worker saw to itself.
    pub(super) seen_to_by_workers: AtomicU64,
    /// By which way the frames of each wire come.
    pub(super) ways: Vec<Way>,
    pub(super) stopping: AtomicBool,
    /// No worker will tell anything any more.
    pub(super) workers_done: AtomicBool,
}

impl Shared {
    /// What holds for a burst that is judged at `now`.
    pub(super) fn env<'a>(&'a self, ruleset: &'a Ruleset, now: Timestamp) -> Env<'a> {
        Env {
            ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: now.saturating_since(self.started).as_secs() < GRACE_SECONDS,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
