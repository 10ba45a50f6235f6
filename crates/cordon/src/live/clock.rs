//! The time that packets, records and deadlines are judged by: wall time that never goes back.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use packet::Timestamp;

/// How fast a difference to the system's wall clock is made up for: a tenth of the time that passes.
const SLEW_PARTS: i64 = 10;
/// A wall clock that is ahead by more than this is followed at once: the machine has slept, or was set.
const LEAP: Duration = Duration::from_secs(5);

/// Wall time without steps back: deadlines and sessions must not live twice. It runs on the monotonic clock, and
/// is drawn towards the system's wall clock, which others set.
#[derive(Debug)]
pub(super) struct Clock {
    anchor: ArcSwap<Anchor>,
}

/// Wall time at one instant, and how far the clock runs ahead or behind for each nanosecond since.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    instant: Instant,
    wall: u64,
    /// Nanoseconds to add in all, in the course of `SLEW_PARTS` times as many.
    slew: i64,
}

impl Anchor {
    fn at(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.instant);
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let part = i64::try_from(elapsed).unwrap_or(i64::MAX) / SLEW_PARTS;
        let slewed = if self.slew < 0 {
            self.slew.max(-part)
        } else {
            self.slew.min(part)
        };
        self.wall.saturating_add(elapsed).saturating_add_signed(slewed)
    }
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the process reads its clock"
    )]
    pub(super) fn new() -> Self {
        Self {
            anchor: ArcSwap::from_pointee(Anchor {
                instant: Instant::now(),
                wall: wall(),
                slew: 0,
            }),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the process reads its clock"
    )]
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.anchor.load().at(Instant::now()))
    }

    /// Compares with the system's wall clock; to be called every second or so, by one thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the process reads its clock"
    )]
    pub(super) fn correct(&self) {
        let instant = Instant::now();
        self.anchor
            .store(Arc::new(corrected(&self.anchor.load(), instant, wall())));
    }
}

fn corrected(anchor: &Anchor, instant: Instant, wall: u64) -> Anchor {
    let own = anchor.at(instant);
    let ahead = i64::try_from(i128::from(wall) - i128::from(own)).unwrap_or(i64::MAX);
    if ahead > i64::try_from(LEAP.as_nanos()).unwrap_or(i64::MAX) {
        return Anchor {
            instant,
            wall,
            slew: 0,
        };
    }
    Anchor {
        instant,
        wall: own,
        slew: ahead,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where the process reads its clock"
)]
fn wall() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn anchor() -> Anchor {
        Anchor {
            instant: Instant::now(),
            wall: 1000 * SECOND,
            slew: 0,
        }
    }

    #[test]
    fn a_wall_clock_set_back_slows_time_but_never_turns_it() {
        let first = anchor();
        let after = first.instant + Duration::from_secs(1);
        let slow = corrected(&first, after, 900 * SECOND);
        assert_eq!(slow.at(after), 1001 * SECOND);
        let mut last = 0;
        for tenth in 0..100 {
            let now = slow.at(after + Duration::from_millis(tenth * 100));
            assert!(now > last, "time stands still or goes back");
            last = now;
        }
        assert_eq!(slow.at(after + Duration::from_secs(10)), 1010 * SECOND);
    }

    #[test]
    fn a_small_lag_is_made_up_for_and_no_more() {
        let first = anchor();
        let late = corrected(&first, first.instant, 1000 * SECOND + SECOND / 2);
        assert_eq!(
            late.at(first.instant + Duration::from_secs(1)),
            1001 * SECOND + SECOND / 10
        );
        assert_eq!(
            late.at(first.instant + Duration::from_mins(1)),
            1060 * SECOND + SECOND / 2
        );
    }

    #[test]
    fn a_leap_forward_is_followed_at_once() {
        let first = anchor();
        let woken = corrected(&first, first.instant, 5000 * SECOND);
        assert_eq!(woken.at(first.instant), 5000 * SECOND);
    }
}
