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

#[cfg(test)]
mod tests {
    use logs::{Body, Record, Severity, System};
    use packet::Timestamp;
    use policy::{LogSetting, Symbol};

    use super::*;

    const RECORDS: u64 = 200_000;
    /// One record in so many is shown to match lists.
    const TELLING_EVERY: u64 = 7;

    fn event(number: u64) -> Event {
        let body = Body::System(Box::new(System {
            subtype: "general",
            severity: Severity::Low,
            event: "test",
            opaque: String::new(),
        }));
        Event::Record(Record {
            seqno: number,
            log_setting: number
                .is_multiple_of(TELLING_EVERY)
                .then_some(LogSetting(Symbol::EMPTY)),
            ..Record::unforwarded(Timestamp::ZERO, body)
        })
    }

    fn number_of(event: &Event) -> u64 {
        match event {
            Event::Record(record) => record.seqno,
            Event::Fact(_) => panic!("no fact was pushed"),
        }
    }

    /// A worker makes records faster than they are taken: what can tag is seen to, all of it and in order, by whoever
    /// is at it; of the rest each is stored or counted as lost.
    #[test]
    fn a_flood_loses_nothing_that_can_tag() {
        let queue = EventQueue::new();
        let done = AtomicBool::new(false);
        // As the lock of the forwarder: whoever takes events holds it.
        let told = std::sync::Mutex::new(Vec::new());
        let (seen_to, stored) = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let mut seen_to = 0_u64;
                for number in 0..RECORDS {
                    if let Err(event) = queue.push(event(number)) {
                        let mut told = told.lock().unwrap();
                        while let Some(earlier) = queue.next_telling() {
                            told.push(number_of(&earlier));
                        }
                        told.push(number_of(&event));
                        seen_to += 1;
                    }
                }
                done.store(true, Ordering::Release);
                seen_to
            });
            let mut stored = 0_u64;
            loop {
                let last = done.load(Ordering::Acquire);
                // Nobody takes anything until the queues are full, nor while they fill again.
                if last || queue.lost() > stored {
                    let mut told = told.lock().unwrap();
                    while let Some(event) = queue.next_telling() {
                        told.push(number_of(&event));
                    }
                    while let Some(event) = queue.next_bulk() {
                        assert_ne!(number_of(&event) % TELLING_EVERY, 0);
                        stored += 1;
                    }
                }
                if last && queue.is_empty() {
                    break;
                }
                thread::yield_now();
            }
            (worker.join().unwrap(), stored)
        });
        let told = told.into_inner().unwrap();
        let due: Vec<u64> = (0..RECORDS)
            .filter(|number| number.is_multiple_of(TELLING_EVERY))
            .collect();
        assert!(
            told == due,
            "{} of {} were told ({seen_to} seen to)",
            told.len(),
            due.len()
        );
        assert_eq!(stored + queue.lost(), RECORDS - due.len() as u64);
        assert!(queue.lost() > 0, "the flood was none");
    }
}
