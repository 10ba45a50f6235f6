//! How the workers of a crew start together and are waited for: often, and for a few microseconds only.

use std::{
    hint,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
};

/// Looks at what is waited for before the core is offered to others, and offers before a helper sleeps.
const LOOKS: u32 = 4000;
const OFFERS: u32 = 200;

/// Starts all helpers on the same job, and tells when they are done.
#[derive(Debug)]
pub(super) struct Whistle<J> {
    job: Mutex<Option<J>>,
    /// Counts the jobs given.
    given: AtomicU64,
    /// Helpers that are not done with the job given last.
    busy: AtomicUsize,
    /// A helper has ended that was not told to.
    lost: AtomicBool,
    sleepers: Box<[Sleeper]>,
}

#[derive(Debug, Default)]
struct Sleeper {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl<J: Clone> Whistle<J> {
    /// For so many helpers.
    pub(super) fn new(helpers: usize) -> Self {
        Self {
            job: Mutex::new(None),
            given: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            sleepers: (0..helpers).map(|_| Sleeper::default()).collect(),
        }
    }

    /// Gives all helpers a job; the last must be done.
    pub(super) fn start(&self, job: J) {
        self.busy.store(self.sleepers.len(), Ordering::Relaxed);
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
        self.given.fetch_add(1, Ordering::SeqCst);
        for sleeper in &self.sleepers {
            if sleeper.asleep.swap(false, Ordering::SeqCst)
                && let Some(thread) = sleeper.thread.get()
            {
                thread.unpark();
            }
        }
    }

    /// Waits until all helpers are done; `false` where one is gone.
    pub(super) fn wait(&self) -> bool {
        let mut looks = 0;
        while self.busy.load(Ordering::Acquire) > 0 {
            if self.lost.load(Ordering::Acquire) {
                return false;
            }
            looks += 1;
            if looks < LOOKS {
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
        !self.lost.load(Ordering::Acquire)
    }

    /// A helper's life: does what it is given until that is to end (`false`). `number` counts helpers from 0.
    pub(super) fn obey(&self, number: usize, mut work: impl FnMut(J) -> bool) {
        /// Tells that a helper ends.
        struct Farewell<'a>(&'a AtomicBool);
        impl Drop for Farewell<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let _farewell = Farewell(&self.lost);
        let Some(sleeper) = self.sleepers.get(number) else {
            return;
        };
        sleeper.thread.get_or_init(thread::current);
        let mut seen = 0;
        loop {
            self.await_job(sleeper, seen);
            seen += 1;
            let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if !job.is_some_and(&mut work) {
                return;
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }

    fn await_job(&self, sleeper: &Sleeper, seen: u64) {
        let is_given = || self.given.load(Ordering::SeqCst) > seen;
        for _ in 0..LOOKS {
            if is_given() {
                return;
            }
            hint::spin_loop();
        }
        for _ in 0..OFFERS {
            if is_given() {
                return;
            }
            thread::yield_now();
        }
        while !is_given() {
            sleeper.asleep.store(true, Ordering::SeqCst);
            // Who gives a job after this look sees that somebody sleeps.
            if !is_given() {
                thread::park();
            }
        }
        sleeper.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "helpers are threads")]
mod tests {
    use std::sync::{Arc, atomic::AtomicU64};

    use super::*;

    #[test]
    fn every_helper_does_every_job_once() {
        let whistle = Arc::new(Whistle::new(3));
        let sum = Arc::new(AtomicU64::new(0));
        let helpers: Vec<_> = (0..3)
            .map(|number| {
                let (whistle, sum) = (Arc::clone(&whistle), Arc::clone(&sum));
                thread::spawn(move || {
                    whistle.obey(number, |job: u64| {
                        sum.fetch_add(job, Ordering::Relaxed);
                        job > 0
                    });
                })
            })
            .collect();
        let mut expected = 0;
        for job in 1..500 {
            whistle.start(job);
            assert!(whistle.wait());
            expected += 3 * job;
            assert_eq!(sum.load(Ordering::Relaxed), expected);
            if job % 100 == 0 {
                // Long enough to fall asleep.
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        whistle.start(0);
        for helper in helpers {
            helper.join().unwrap();
        }
    }

    #[test]
    fn a_helper_that_is_gone_is_told() {
        let whistle = Arc::new(Whistle::new(1));
        let helper = {
            let whistle = Arc::clone(&whistle);
            thread::spawn(move || whistle.obey(0, |()| panic!("on purpose")))
        };
        whistle.start(());
        assert!(!whistle.wait());
        helper.join().unwrap_err();
    }
}
