//! The primitives that readers and writers meet in: std's, or loom's where their protocol is model
//! checked (`tests/loom.rs`). Everything that orders publication goes through here.
//!
//! loom does not look inside arc-swap, papaya and dashmap: there, what they do is one step.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// Hashes are keyed anew for every store, as whoever sends packets chooses which hosts are tagged; but
/// loom's executions must repeat.
#[cfg(loom)]
pub(crate) use foldhash::quality::FixedState as RandomState;
#[cfg(not(loom))]
pub(crate) use foldhash::quality::RandomState;
