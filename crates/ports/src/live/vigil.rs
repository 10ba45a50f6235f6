//! Looking again before sleeping.

use std::time::Duration;

use packet::Timestamp;

/// How long after a frame the next one is looked for without sleep.
const MOMENT: Duration = Duration::from_micros(50);
/// A look that comes this much after the one before: somebody else keeps the core busy.
const TAKEN: Duration = Duration::from_micros(500);
/// How long a core that others keep busy is left to them: at first, and at most where it stays so.
const CROWDED: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
/// How much longer each time.
const PATIENCE: u32 = 4;
/// After so many looks in time the core is nobody else's.
const CALM: u32 = 1000;

/// Whether one who has found no frame looks again at once, or sleeps.
///
/// To sleep costs the sender of the next frame an interrupt to another core (on a virtual machine, two exits to the
/// host), and the frame the time until that core runs: more than a short wait, where frames come close upon each
/// other. So the one who waits goes on looking for 50 µs, and lets others have the core between two looks; only as
/// long as it has lately been worth it: after a sleep that was shorter than that, and until a look in vain.
#[derive(Debug)]
pub struct Vigil {
    /// When frames were there last.
    found: Timestamp,
    /// The look before this one, where nobody slept in between.
    looked: Option<Timestamp>,
    /// Since when it has slept.
    slept: Option<Timestamp>,
    worthwhile: bool,
    crowded_until: Timestamp,
    /// How long the core is left to others the next time.
    crowded_for: Duration,
    /// Looks that came in time since it was.
    calm: u32,
}

impl Default for Vigil {
    fn default() -> Self {
        Self {
            found: Timestamp::ZERO,
            looked: None,
            slept: None,
            worthwhile: false,
            crowded_until: Timestamp::ZERO,
            crowded_for: CROWDED[0],
            calm: 0,
        }
    }
}

impl Vigil {
    /// Frames were there.
    pub fn found(&mut self, now: Timestamp) {
        if let Some(slept) = self.slept.take() {
            self.worthwhile = now.saturating_since(slept) < MOMENT;
        }
        let before = self.looked.take();
        self.see_crowd(before, now);
        self.found = now;
    }

    /// Nothing was there. `true`: to be looked for again, when others have had the core; `false`: sleep.
    pub fn looks_again(&mut self, now: Timestamp) -> bool {
        let before = self.looked.take();
        self.see_crowd(before, now);
        self.worthwhile &= now.saturating_since(self.found) < MOMENT;
        let again = self.worthwhile && now >= self.crowded_until;
        let place = if again { &mut self.looked } else { &mut self.slept };
        *place = Some(now);
        again
    }

    /// How long it took until this look says whether others want the core.
    fn see_crowd(&mut self, before: Option<Timestamp>, now: Timestamp) {
        let Some(before) = before else { return };
        if now.saturating_since(before) >= TAKEN {
            self.crowded_until = now.saturating_add(self.crowded_for);
            self.crowded_for = (self.crowded_for * PATIENCE).min(CROWDED[1]);
            self.calm = 0;
        } else {
            self.calm += 1;
            if self.calm >= CALM {
                self.calm = 0;
                self.crowded_for = CROWDED[0];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(1_000_000_000 + micros * 1000)
    }

    /// One who has slept for 10 µs, woken by a frame at 10.
    fn after_a_short_sleep() -> Vigil {
        let mut vigil = Vigil::default();
        assert!(!vigil.looks_again(at(0)), "nothing is known yet");
        vigil.found(at(10));
        vigil
    }

    #[test]
    fn a_short_sleep_was_not_worth_it() {
        let mut vigil = after_a_short_sleep();
        assert!(vigil.looks_again(at(20)));
        assert!(vigil.looks_again(at(59)));
        vigil.found(at(59));
        assert!(vigil.looks_again(at(100)));
    }

    #[test]
    fn after_a_look_in_vain_it_sleeps_until_frames_are_close_again() {
        let mut vigil = after_a_short_sleep();
        assert!(!vigil.looks_again(at(60)));
        vigil.found(at(500));
        assert!(!vigil.looks_again(at(501)));
        vigil.found(at(520));
        assert!(vigil.looks_again(at(521)));
    }

    #[test]
    fn a_core_that_others_keep_busy_is_left_to_them() {
        let mut vigil = after_a_short_sleep();
        assert!(vigil.looks_again(at(11)));
        // Three milliseconds later it has the core again, and there are frames.
        vigil.found(at(3_011));
        assert!(!vigil.looks_again(at(3_012)));
        vigil.found(at(3_020));
        assert!(!vigil.looks_again(at(3_021)));
        vigil.found(at(4_011));
        assert!(!vigil.looks_again(at(4_100)));
        vigil.found(at(4_110));
        assert!(vigil.looks_again(at(4_111)));
    }

    /// For how long after a look that came late no further one is tried, in steps of 10 µs.
    fn left_alone(vigil: &mut Vigil, now: &mut u64) -> u64 {
        *now += 1_000;
        vigil.found(at(*now));
        let began = *now;
        while !vigil.looks_again(at(*now)) {
            *now += 10;
            vigil.found(at(*now));
        }
        *now - began
    }

    #[test]
    fn the_longer_others_keep_it_busy_the_longer_it_is_left_to_them() {
        let mut vigil = after_a_short_sleep();
        let mut now = 11;
        assert!(vigil.looks_again(at(now)));
        let mut alone = || left_alone(&mut vigil, &mut now);
        assert_eq!([(); 3].map(|()| alone()), [1_000, 4_000, 16_000]);
        assert_eq!([(); 4].map(|()| alone())[1..], [256_000, 1_000_000, 1_000_000]);
        for _ in 0..CALM {
            now += 1;
            vigil.found(at(now));
            assert!(vigil.looks_again(at(now)));
        }
        assert_eq!(left_alone(&mut vigil, &mut now), 1_000);
    }
}
