//! Both ends of the firewall's cable, recorded with the kernel's time of every frame.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use cordon_benches::{Cable, tap};
use ports::live::Receiver;

use crate::traffic::{Session, Told, read};

/// Slots of each tap: a frame each.
const SLOTS: u32 = 1 << 16;

/// A host's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// When, in nanoseconds of wall time.
    pub(crate) at: u64,
    pub(crate) host: u16,
    pub(crate) session: Session,
    pub(crate) number: u32,
}

/// What was seen at both ends.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// Hosts' frames at `lan0`, before the firewall, and at `wan0`, behind it.
    pub(crate) frames_arrived: u64,
    pub(crate) frames_crossed: u64,
    /// The same one by one, unless they were only counted.
    pub(crate) arrived: Vec<Seen>,
    pub(crate) crossed: Vec<Seen>,
    /// Hosts that asked, and when.
    pub(crate) queries: Vec<(u64, u16)>,
    /// Queries that have crossed.
    pub(crate) queries_crossed: usize,
    /// Forged answers: when they left, to whom, and what they say.
    pub(crate) answers: Vec<(u64, u16, [u8; 4])>,
    /// Frames that the taps themselves have missed.
    pub(crate) missed: u64,
}

/// The taps of both ends.
pub(crate) struct Taps {
    lan: Receiver,
    wan: Receiver,
}

impl Taps {
    /// To be opened after the firewall: what is opened last is given a frame first, so that none has been judged
    /// before its time is taken.
    pub(crate) fn open(cable: &Cable) -> io::Result<Self> {
        Ok(Self {
            lan: tap(&cable.firewall, "lan0", SLOTS)?,
            wan: tap(&cable.firewall, "wan0", SLOTS)?,
        })
    }

    /// Records while `what` runs, and a little longer.
    pub(crate) fn record<T>(&mut self, what: impl FnOnce() -> T) -> (T, Captured) {
        self.watch(true, what)
    }

    /// The same, but hosts' frames are only counted: to keep millions of them takes time that others want.
    pub(crate) fn count<T>(&mut self, what: impl FnOnce() -> T) -> (T, Captured) {
        self.watch(false, what)
    }

    fn watch<T>(&mut self, keep: bool, what: impl FnOnce() -> T) -> (T, Captured) {
        let done = AtomicBool::new(false);
        let before = self.missed();
        let mut captured = Captured::default();
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                loop {
                    let last = done.load(Ordering::Acquire);
                    while self.take(keep, &mut captured) {}
                    if last {
                        return;
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            });
            let result = what();
            thread::sleep(Duration::from_millis(200));
            done.store(true, Ordering::Release);
            result
        });
        captured.missed = self.missed() - before;
        (result, captured)
    }

    fn missed(&mut self) -> u64 {
        self.lan.counters().dropped_by_kernel + self.wan.counters().dropped_by_kernel
    }

    /// Takes what is there. `true`: there may be more.
    fn take(&mut self, keep: bool, captured: &mut Captured) -> bool {
        let burst = self.lan.receive();
        let mut more = !burst.is_empty();
        for frame in burst.iter() {
            let at = frame.stamp.as_nanos();
            match (read(frame.bytes), frame.outgoing) {
                (Some(Told::Sent(host, session, number)), false) => {
                    captured.frames_arrived += 1;
                    if keep {
                        captured.arrived.push(Seen {
                            at,
                            host,
                            session,
                            number,
                        });
                    }
                }
                (Some(Told::Query(host)), false) => captured.queries.push((at, host)),
                (Some(Told::Answer(host, address)), true) => captured.answers.push((at, host, address)),
                _ => {}
            }
        }
        drop(burst);
        let burst = self.wan.receive();
        more |= !burst.is_empty();
        for frame in burst.iter().filter(|frame| frame.outgoing) {
            match read(frame.bytes) {
                Some(Told::Sent(host, session, number)) => {
                    captured.frames_crossed += 1;
                    if keep {
                        captured.crossed.push(Seen {
                            at: frame.stamp.as_nanos(),
                            host,
                            session,
                            number,
                        });
                    }
                }
                Some(Told::Query(_)) => captured.queries_crossed += 1,
                Some(Told::Answer(..)) | None => {}
            }
        }
        more
    }
}
