//! Keeps the operator's log readable where one thing happens again and again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{Event, Subscriber, callsite::Identifier, warn};
use tracing_subscriber::layer::{Context, Layer};

/// What is said from one place of the code within [`WINDOW`]; the rest is counted.
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// Its own messages, which are never held back.
const TARGET: &str = "cordon::log_limit";

/// A layer that lets [`MOST`] events of each place in the code pass in [`WINDOW`], and says how many it has left out.
#[derive(Debug)]
pub(super) struct LogLimit {
    began: Instant,
    /// As many as there are places that say something.
    places: Mutex<HashMap<Identifier, Place>>,
}

/// One place in the code.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    since: Duration,
    said: u32,
    left_out: u64,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Said,
    /// Said, after so many that were not.
    SaidAgain(u64),
    /// The first that is left out.
    FirstLeftOut,
    LeftOut,
}

impl LogLimit {
    #[expect(
        clippy::disallowed_methods,
        reason = "how often the process says something is no matter of packets"
    )]
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            places: Mutex::default(),
        }
    }

    fn fate(&self, place: Identifier) -> Fate {
        let now = self.began.elapsed();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place).or_default().event(now)
    }
}

impl Place {
    fn event(&mut self, now: Duration) -> Fate {
        let over = now.saturating_sub(self.since) >= WINDOW;
        if over {
            let left_out = self.left_out;
            *self = Self {
                since: now,
                said: 1,
                left_out: 0,
            };
            return if left_out > 0 {
                Fate::SaidAgain(left_out)
            } else {
                Fate::Said
            };
        }
        if self.said < MOST {
            self.said += 1;
            return Fate::Said;
        }
        self.left_out += 1;
        if self.left_out == 1 {
            Fate::FirstLeftOut
        } else {
            Fate::LeftOut
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let place = event.metadata();
        if place.target() == TARGET {
            return true;
        }
        let at = || format!("{}:{}", place.file().unwrap_or(""), place.line().unwrap_or(0));
        match self.fate(place.callsite()) {
            Fate::Said => true,
            Fate::SaidAgain(left_out) => {
                warn!(target: TARGET, left_out, at = at(), "messages of one kind were left out before the next");
                true
            }
            Fate::FirstLeftOut => {
                warn!(target: TARGET, at = at(), "too many messages of one kind: more of them are left out for some seconds");
                false
            }
            Fate::LeftOut => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_place_says_so_much_in_a_window_and_then_how_much_it_did_not() {
        let mut place = Place::default();
        let at = |seconds| Duration::from_secs(seconds);
        for _ in 0..MOST {
            assert_eq!(place.event(at(1)), Fate::Said);
        }
        assert_eq!(place.event(at(2)), Fate::FirstLeftOut);
        assert_eq!(place.event(at(9)), Fate::LeftOut);
        assert_eq!(place.event(at(10)), Fate::SaidAgain(2));
        for _ in 1..MOST {
            assert_eq!(place.event(at(19)), Fate::Said);
        }
        assert_eq!(place.event(at(19)), Fate::FirstLeftOut);
        assert_eq!(place.event(at(1000)), Fate::SaidAgain(1));
        assert_eq!(
            place.event(at(2000)),
            Fate::Said,
            "nothing was left out meanwhile"
        );
    }

    /// Counts what comes through.
    struct Heard(Arc<AtomicU32>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_place_that_repeats_itself_silences_no_other() {
        let heard = Arc::new(AtomicU32::new(0));
        let log = tracing_subscriber::registry()
            .with(Heard(Arc::clone(&heard)))
            .with(LogLimit::new());
        tracing::subscriber::with_default(log, || {
            for _ in 0..5 * MOST {
                warn!("again");
            }
            warn!("something else");
        });
        assert_eq!(heard.load(Ordering::Relaxed), MOST + 1);
    }
}
