//! How long it takes from the packet that gave a host away to its tag being in force.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Two buckets for every power of two nanoseconds, up to 2³⁹ (nine minutes).
const BUCKETS: usize = 80;

/// A histogram with buckets of at most half their value in width; the last takes all that is longer.
#[derive(Debug)]
pub(super) struct Lags {
    buckets: [AtomicU64; BUCKETS],
    longest: AtomicU64,
}

impl Default for Lags {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            longest: AtomicU64::new(0),
        }
    }
}

impl Lags {
    pub(super) fn add(&self, lag: Duration) {
        let nanos = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }

    /// A time that at least `share` (of 1,000) of all lags do not exceed; zero where there is none.
    pub(super) fn quantile(&self, share: u64) -> Duration {
        let wanted = (self.count() * share).div_ceil(1000);
        let mut seen = 0;
        for (number, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted && wanted > 0 {
                return Duration::from_nanos(end_of(number)).min(self.longest());
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(nanos: u64) -> usize {
    let exponent = nanos.checked_ilog2().unwrap_or(0);
    let half = if exponent == 0 {
        0
    } else {
        (nanos >> (exponent - 1)) & 1
    };
    (exponent as usize * 2 + usize::from(half == 1)).min(BUCKETS - 1)
}

/// The highest value of a bucket.
fn end_of(bucket: usize) -> u64 {
    let exponent = u32::try_from(bucket / 2).unwrap_or(0);
    let base = 1_u64 << exponent;
    if bucket.is_multiple_of(2) {
        base + base / 2 - u64::from(exponent > 0)
    } else {
        2 * base - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for nanos in (0..2000).chain([1 << 20, (1 << 20) + 1, 3 << 19, (1 << 30) - 1]) {
            let bucket = bucket_of(nanos);
            assert!(nanos <= end_of(bucket), "{nanos} beyond bucket {bucket}");
            assert!(
                bucket == 0 || nanos > end_of(bucket - 1),
                "{nanos} before bucket {bucket}"
            );
        }
    }

    #[test]
    fn a_quantile_is_not_below_the_truth() {
        let lags = Lags::default();
        assert_eq!(lags.quantile(990), Duration::ZERO);
        for micros in 1..=1000 {
            lags.add(Duration::from_micros(micros));
        }
        let p99 = lags.quantile(990);
        assert!(p99 >= Duration::from_micros(990) && p99 <= Duration::from_millis(1));
        assert_eq!(lags.quantile(1000), Duration::from_millis(1));
    }
}
