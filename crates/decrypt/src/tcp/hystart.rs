//! When slow start has filled the path (`HyStart++`, RFC 9406).

use std::time::Duration;

const MIN_THRESHOLD: Duration = Duration::from_millis(4);
const MAX_THRESHOLD: Duration = Duration::from_millis(16);
const SAMPLES: u32 = 8;
const CONSERVATIVE_ROUNDS: u32 = 5;
/// How much slower the window grows once delay rises.
const CONSERVATIVE_DIVISOR: u64 = 4;

/// What slow start does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlowStart {
    /// Grow by what was acknowledged, divided by this.
    Grow(u64),
    /// The path is full: go over to congestion avoidance.
    Leave,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct HyStart {
    /// The round lasts until this place is acknowledged.
    round_end: u64,
    previous: Duration,
    current: Duration,
    samples: u32,
    conservative: Option<Conservative>,
}

#[derive(Clone, Copy, Debug)]
struct Conservative {
    baseline: Duration,
    rounds: u32,
}

impl HyStart {
    pub(super) const NEW: Self = Self {
        round_end: 0,
        previous: Duration::MAX,
        current: Duration::MAX,
        samples: 0,
        conservative: None,
    };

    /// Takes an acknowledgment up to `una` while `next` is the next place to send.
    pub(super) fn acknowledged(&mut self, una: u64, next: u64, sample: Option<Duration>) -> SlowStart {
        if una >= self.round_end {
            self.round_end = next;
            self.previous = self.current;
            self.current = Duration::MAX;
            self.samples = 0;
            if let Some(conservative) = &mut self.conservative {
                conservative.rounds += 1;
                if conservative.rounds >= CONSERVATIVE_ROUNDS {
                    return SlowStart::Leave;
                }
            }
        }
        if let Some(sample) = sample {
            self.current = self.current.min(sample);
            self.samples += 1;
        }
        if self.samples >= SAMPLES && self.previous != Duration::MAX {
            let threshold = (self.previous / 8).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
            match self.conservative {
                None if self.current >= self.previous + threshold => {
                    self.conservative = Some(Conservative {
                        baseline: self.current,
                        rounds: 0,
                    });
                }
                Some(conservative) if self.current < conservative.baseline => self.conservative = None,
                _ => {}
            }
        }
        SlowStart::Grow(self.conservative.map_or(1, |_| CONSERVATIVE_DIVISOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(hystart: &mut HyStart, number: u64, millis: u64) -> SlowStart {
        let mut last = SlowStart::Leave;
        for at in 0..10 {
            let sample = Some(Duration::from_millis(millis));
            last = hystart.acknowledged(number * 100 + at, (number + 1) * 100, sample);
            if last == SlowStart::Leave {
                break;
            }
        }
        last
    }

    #[test]
    fn rising_delay_slows_and_then_ends_slow_start() {
        let mut hystart = HyStart::NEW;
        assert_eq!(round(&mut hystart, 1, 20), SlowStart::Grow(1));
        assert_eq!(round(&mut hystart, 2, 21), SlowStart::Grow(1));
        assert_eq!(round(&mut hystart, 3, 30), SlowStart::Grow(4));
        for number in 4..8 {
            assert_eq!(round(&mut hystart, number, 30), SlowStart::Grow(4));
        }
        assert_eq!(round(&mut hystart, 8, 30), SlowStart::Leave);
    }

    #[test]
    fn a_passing_delay_is_forgiven() {
        let mut hystart = HyStart::NEW;
        round(&mut hystart, 1, 20);
        assert_eq!(round(&mut hystart, 2, 30), SlowStart::Grow(4));
        assert_eq!(round(&mut hystart, 3, 20), SlowStart::Grow(1));
    }
}
