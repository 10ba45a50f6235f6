//! Round trip times and the retransmission timeout (RFC 6298).

use std::time::Duration;

use packet::Timestamp;

/// Linux's floor; RFC 6298's whole second is older than the internet it is used on.
const MIN_RTO: Duration = Duration::from_millis(200);
const MAX_RTO: Duration = Duration::from_mins(1);
const INITIAL_RTO: Duration = Duration::from_secs(1);
/// How long the smallest sample stands for the path (RFC 8985 §7.2 asks for a windowed minimum).
const MIN_LIFETIME: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, Debug)]
pub(super) struct RttEstimator {
    smoothed: Option<Duration>,
    variation: Duration,
    smallest: Duration,
    smallest_at: Timestamp,
    backoff: u32,
}

impl RttEstimator {
    pub(super) fn new(now: Timestamp, first: Option<Duration>) -> Self {
        let mut rtt = Self {
            smoothed: None,
            variation: Duration::ZERO,
            smallest: Duration::MAX,
            smallest_at: now,
            backoff: 0,
        };
        if let Some(first) = first {
            rtt.sample(now, first);
        }
        rtt
    }

    pub(super) fn sample(&mut self, now: Timestamp, sample: Duration) {
        let sample = sample.clamp(Duration::from_micros(1), MAX_RTO);
        self.variation = match self.smoothed {
            None => sample / 2,
            Some(smoothed) => (self.variation * 3 + smoothed.abs_diff(sample)) / 4,
        };
        self.smoothed = Some(match self.smoothed {
            None => sample,
            Some(smoothed) => (smoothed * 7 + sample) / 8,
        });
        if sample <= self.smallest || now.saturating_since(self.smallest_at) > MIN_LIFETIME {
            self.smallest = sample;
            self.smallest_at = now;
        }
        self.backoff = 0;
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The smallest sample of the last minutes; zero before the first.
    pub(super) fn smallest(&self) -> Duration {
        self.smoothed.map_or(Duration::ZERO, |_| self.smallest)
    }

    /// The timeout, doubled for every time it expired since the peer last answered.
    pub(super) fn timeout(&self) -> Duration {
        let base = self.smoothed.map_or(INITIAL_RTO, |smoothed| {
            (smoothed + self.variation * 4).clamp(MIN_RTO, MAX_RTO)
        });
        base.saturating_mul(1 << self.backoff).min(MAX_RTO)
    }

    pub(super) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    pub(super) fn answered(&mut self) {
        self.backoff = 0;
    }

    pub(super) fn backoff(&self) -> u32 {
        self.backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn follows_the_rfc() {
        let mut rtt = RttEstimator::new(Timestamp::ZERO, None);
        assert_eq!(rtt.timeout(), INITIAL_RTO);
        rtt.sample(Timestamp::ZERO, ms(100));
        assert_eq!(rtt.timeout(), ms(300));
        rtt.sample(Timestamp::ZERO, ms(20));
        assert_eq!(rtt.smoothed(), Some(ms(90)));
        assert_eq!(rtt.smallest(), ms(20));
        rtt.back_off();
        rtt.back_off();
        assert_eq!(rtt.timeout(), (ms(90) + (ms(150) + ms(80)) / 4 * 4) * 4);
        rtt.sample(Timestamp::from_secs(1000), ms(50));
        assert_eq!(rtt.smallest(), ms(50), "the old minimum is forgotten");
    }
}
