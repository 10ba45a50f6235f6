//! What workers tell the forwarder: bounded queues that no worker ever waits at.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam::queue::ArrayQueue;
use engine::Event;

/// Events of each kind that may wait; a record is about half a kilobyte.
const TELLING: usize = 1 << 14;
const BULK: usize = 1 << 14;

/// The events of one worker. What can tag does not share a queue with what is only stored.
#[derive(Debug)]
pub(super) struct EventQueue {
    /// Records that a match list sees, and the facts it judges by, in order.
    telling: ArrayQueue<Event>,
    /// Records that are only stored.
    bulk: ArrayQueue<Event>,
    lost: AtomicU64,
}

impl EventQueue {
    pub(super) fn new() -> Self {
        Self {
            telling: ArrayQueue::new(TELLING),
            bulk: ArrayQueue::new(BULK),
            lost: AtomicU64::new(0),
        }
    }

    /// Adds an event. One that can tag comes back where its queue is full: its worker has to see to it itself. One
    /// that is only stored is lost then, and counted.
    #[expect(
        clippy::result_large_err,
        reason = "what finds no room is seen to, not copied to the heap"
    )]
    pub(super) fn push(&self, event: Event) -> Result<(), Event> {
        let stored_only = matches!(&event, Event::Record(record) if record.log_setting.is_none());
        if !stored_only {
            return self.telling.push(event);
        }
        if self.bulk.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn next_telling(&self) -> Option<Event> {
        self.telling.pop()
    }

    pub(super) fn next_bulk(&self) -> Option<Event> {
        self.bulk.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.telling.is_empty() && self.bulk.is_empty()
    }

    /// Records that found no room and were not stored.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Rouses the forwarder, at the price of a load where it is awake.
#[derive(Debug, Default)]
pub(super) struct Bell {
    sleeper: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Bell {
    /// Says that there is something to do.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(sleeper) = self.sleeper.get()
        {
            sleeper.unpark();
        }
    }

    /// Lets the calling thread, always the same one, sleep until the bell rings or `longest` has passed.
    /// `idle` is asked once more when a ring would already be heard.
    pub(super) fn sleep(&self, longest: Duration, idle: impl Fn() -> bool) {
        self.sleeper.get_or_init(thread::current);
        self.asleep.store(true, Ordering::SeqCst);
        if idle() {
            thread::park_timeout(longest);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}
