//! The forwarder at work: one owned object behind one lock, which workers take only where their own queue is full.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use engine::{Event, Ruleset};
use logs::{
    AddressNameCounts, Body, CommandOutcome, Forwarder, ForwarderConfig, ForwarderCounters, Passed, Record,
    Severity, System, TagCommand, TagEvent,
};
use packet::Timestamp;
use tags::Subject;

use super::{events::EventQueue, shared::Shared, sinks::Sinks};

/// How many events of one worker are taken before the next one's, and before what they caused is written down.
const BATCH: usize = 256;
/// How long the forwarder sleeps where nothing happens: tags that run out are told within that time.
const NAP: Duration = Duration::from_millis(100);

/// The one writer of tags that records cause.
#[derive(Debug)]
pub(super) struct Forwarding {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    forwarder: Forwarder,
    records: Vec<Record>,
    sinks: Sinks,
}

impl Forwarding {
    pub(super) fn new(forwarder: Forwarder, sinks: Sinks) -> Self {
        Self {
            inner: Mutex::new(Inner {
                forwarder,
                records: Vec::new(),
                sinks,
            }),
        }
    }

    /// The forwarder's thread: until the firewall stops and nothing is left to be told.
    pub(super) fn run(&self, shared: &Shared) {
        let mut last_expiry = Timestamp::ZERO;
        loop {
            let stopping = shared.is_stopping();
            let mut idle = true;
            for queue in &shared.events {
                idle &= self.take(shared, queue);
            }
            let now = shared.clock.now();
            if now.saturating_since(last_expiry) >= NAP {
                last_expiry = now;
                let mut inner = self.lock();
                let Inner {
                    forwarder, records, ..
                } = &mut *inner;
                forwarder.expire_tags(now, &shared.tags, records);
                inner.settle(shared, now);
            }
            if idle {
                if stopping && shared.workers_done.load(Ordering::Acquire) {
                    break;
                }
                shared
                    .bell
                    .sleep(NAP, || shared.events.iter().all(EventQueue::is_empty));
            }
        }
        self.lock().sinks.finish();
    }

    /// Sees to a batch of events of one worker. `true`: there was none.
    fn take(&self, shared: &Shared, queue: &EventQueue) -> bool {
        if queue.is_empty() {
            return true;
        }
        let ruleset = shared.ruleset.load();
        let mut inner = self.lock();
        for _ in 0..BATCH {
            let Some(event) = queue.next_telling() else { break };
            inner.event(shared, &ruleset, event);
        }
        inner.settle(shared, shared.clock.now());
        for _ in 0..BATCH {
            let Some(event) = queue.next_bulk() else { break };
            inner.event(shared, &ruleset, event);
        }
        inner.settle(shared, shared.clock.now());
        false
    }

    /// What a worker does whose event has found no room: all that waits before it, then the event itself.
    pub(super) fn see_to(&self, shared: &Shared, queue: &EventQueue, event: Event) {
        let ruleset = shared.ruleset.load();
        let mut inner = self.lock();
        while let Some(earlier) = queue.next_telling() {
            inner.event(shared, &ruleset, earlier);
        }
        inner.event(shared, &ruleset, event);
        inner.settle(shared, shared.clock.now());
    }

    /// Sets or removes a tag for an administrator. What comes back was written down.
    pub(super) fn command(&self, shared: &Shared, command: &TagCommand) -> Result<CommandOutcome, String> {
        let now = shared.clock.now();
        let mut inner = self.lock();
        let Inner {
            forwarder, records, ..
        } = &mut *inner;
        let outcome = forwarder.command(now, command, &shared.tags, records);
        inner.settle(shared, now);
        match inner.sinks.fault() {
            None => Ok(outcome),
            Some(fault) => Err(fault.to_owned()),
        }
    }

    /// Records something about the firewall itself.
    pub(super) fn tell_system(
        &self,
        shared: &Shared,
        severity: Severity,
        event: &'static str,
        opaque: String,
    ) {
        let system = System {
            subtype: "general",
            severity,
            event,
            opaque,
        };
        self.tell(shared, Body::System(Box::new(system)));
    }

    /// Records what is no packet's doing.
    pub(super) fn tell(&self, shared: &Shared, body: Body) {
        let now = shared.clock.now();
        let mut inner = self.lock();
        let record = Record::unforwarded(now, body);
        let ruleset = shared.ruleset.load();
        let Inner {
            forwarder, records, ..
        } = &mut *inner;
        forwarder.record(now, record, ruleset.policy(), &shared.tags, records);
        inner.settle(shared, now);
    }

    /// Puts a configuration in force: match lists and rules change together.
    pub(super) fn commit(&self, shared: &Shared, config: ForwarderConfig, publish: impl FnOnce()) {
        let mut inner = self.lock();
        inner.forwarder.configure(config);
        publish();
        drop(inner);
        shared.bell.ring();
    }

    pub(super) fn pause_tagging(&self, until: Timestamp) {
        self.lock().forwarder.pause_tagging(until);
    }

    /// What sessions that are over have carried unopened because of a subject's tags.
    pub(super) fn passed_under(&self, now: Timestamp, subject: &Subject) -> Passed {
        self.lock().forwarder.passed_under(now, subject)
    }

    /// What became of the names of addresses.
    pub(super) fn address_names(&self) -> AddressNameCounts {
        self.lock().forwarder.address_names().counts()
    }

    pub(super) fn counters(&self) -> ForwarderCounters {
        self.lock().forwarder.counters()
    }

    /// Looks at what is written, or at what could not be.
    pub(super) fn with_sinks<T>(&self, look: impl FnOnce(&mut Sinks) -> T) -> T {
        look(&mut self.lock().sinks)
    }

    /// A thread that panicked with the lock held has left the forwarder between two records: it goes on.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn event(&mut self, shared: &Shared, ruleset: &Ruleset, event: Event) {
        let policy = ruleset.policy();
        match event {
            Event::Record(record) => {
                let happened = record.time;
                let before = self.records.len();
                self.forwarder
                    .record(happened, record, policy, &shared.tags, &mut self.records);
                let caused = self.records.get_mut(before..).unwrap_or_default();
                if caused.iter().any(sets_a_tag) {
                    // Their time is that from which on no packet passes the tag by, not that of the cause.
                    let in_force = shared.clock.now();
                    shared.lags.add(in_force.saturating_since(happened));
                    for record in caused.iter_mut().filter(|record| sets_a_tag(record)) {
                        record.time = in_force;
                    }
                }
            }
            Event::Fact(fact) => {
                let now = shared.clock.now();
                self.forwarder.fact(now, fact, policy, &mut self.records);
            }
        }
    }

    /// Writes down what was caused: tags first, since an ip-tag record says that the tag will be kept.
    fn settle(&mut self, shared: &Shared, now: Timestamp) {
        if self.records.is_empty() {
            return;
        }
        self.sinks.take(shared, now, &mut self.records);
    }
}

fn sets_a_tag(record: &Record) -> bool {
    matches!(&record.body, Body::IpTag(change) if change.event == TagEvent::Register)
}
