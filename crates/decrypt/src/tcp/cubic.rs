//! The congestion window (CUBIC, RFC 9438).
//!
//! Own code because quinn-proto's controllers, the only sans-IO ones at hand, take a `RttEstimator` that only
//! quinn-proto can make, and know nothing of a response taken back. Lengths are bytes, times milliseconds.

use std::time::Duration;

use packet::Timestamp;

use super::hystart::{HyStart, SlowStart};

/// Segments sent before the first acknowledgment (RFC 6928).
const INITIAL_SEGMENTS: u64 = 10;
const MIN_SEGMENTS: u64 = 2;
/// No path needs more; keeps the arithmetic far from its ends.
const MAX_WINDOW: u64 = 1 << 30;
/// β = 0.7.
const BETA: (u64, u64) = (7, 10);
/// (1 + β) / 2, for fast convergence.
const CONVERGENCE: (u64, u64) = (17, 20);
/// 3 (1 - β) / (1 + β), the growth that is fair to Reno.
const ALPHA: (u64, u64) = (9, 17);

/// What an acknowledgment tells the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) now: Timestamp,
    /// Bytes that left the network.
    pub(super) bytes: u64,
    /// Everything before this was acknowledged.
    pub(super) una: u64,
    /// The next place to send.
    pub(super) next: u64,
    pub(super) sample: Option<Duration>,
    pub(super) smoothed: Duration,
    /// The window was what kept more from being sent.
    pub(super) limited: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cubic {
    window: u64,
    threshold: u64,
    mss: u64,
    /// The window at the last loss.
    max: u64,
    /// Milliseconds from the epoch's start to the plateau.
    k: u64,
    epoch: Option<Timestamp>,
    /// What Reno would have.
    reno: u64,
    reno_remainder: u64,
    remainder: u64,
    last_ack: Timestamp,
    hystart: HyStart,
}

impl Cubic {
    pub(super) fn new(mss: u16) -> Self {
        let mss = u64::from(mss).max(1);
        Self {
            window: INITIAL_SEGMENTS * mss,
            threshold: MAX_WINDOW,
            mss,
            max: 0,
            k: 0,
            epoch: None,
            reno: 0,
            reno_remainder: 0,
            remainder: 0,
            last_ack: Timestamp::ZERO,
            hystart: HyStart::NEW,
        }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    pub(super) fn threshold(&self) -> u64 {
        self.threshold
    }

    pub(super) fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// Recovery says how much may be in flight.
    pub(super) fn set_window(&mut self, window: u64) {
        self.window = window.clamp(self.mss, MAX_WINDOW);
    }

    pub(super) fn set_mss(&mut self, mss: u16) {
        self.mss = u64::from(mss).max(1);
        self.window = self.window.max(self.mss);
    }

    /// Bytes left the network and nothing was lost, or it is being made up for after a timeout.
    pub(super) fn acknowledged(&mut self, ack: &Acknowledged) {
        if !ack.limited {
            // Time in which the window was not tried does not let it grow (RFC 9438 §5.8).
            let unused = ack.now.saturating_since(self.last_ack);
            self.epoch = self.epoch.map(|epoch| epoch.saturating_add(unused).min(ack.now));
        }
        self.last_ack = ack.now;
        if !ack.limited {
            return;
        }
        if self.in_slow_start() {
            match self.hystart.acknowledged(ack.una, ack.next, ack.sample) {
                SlowStart::Grow(divisor) => {
                    let room = self.threshold - self.window;
                    self.window += (ack.bytes / divisor).min(room);
                }
                SlowStart::Leave => self.threshold = self.window,
            }
        } else {
            self.avoid_congestion(ack);
        }
        self.window = self.window.min(MAX_WINDOW);
    }

    fn avoid_congestion(&mut self, ack: &Acknowledged) {
        let epoch = if let Some(epoch) = self.epoch {
            epoch
        } else {
            self.begin_epoch();
            self.epoch = Some(ack.now);
            ack.now
        };
        let window = self.window.max(1);
        let bytes = ack.bytes.min(window);
        let elapsed = ack.now.saturating_since(epoch);

        // Once Reno's estimate has reached the old window it grows as Reno does (RFC 9438 §4.3).
        let (numerator, denominator) = if self.reno >= self.max { (1, 1) } else { ALPHA };
        let growth = self.mss * bytes * numerator / denominator + self.reno_remainder;
        self.reno = (self.reno + growth / window).min(MAX_WINDOW);
        self.reno_remainder = growth % window;

        if self.curve(elapsed) < self.reno {
            self.window = self.window.max(self.reno);
            return;
        }
        let target = self.curve(elapsed + ack.smoothed);
        let target = target.clamp(window, window + window / 2);
        let growth = (target - window) * bytes + self.remainder;
        self.window += growth / window;
        self.remainder = growth % window;
    }

    fn begin_epoch(&mut self) {
        self.reno = self.window;
        self.reno_remainder = 0;
        self.remainder = 0;
        if self.window >= self.max {
            self.max = self.window;
            self.k = 0;
        } else {
            // K = ∛((max - window) / C), C = 0.4 segments/s³.
            let seconds_cubed_e9 =
                u128::from(self.max - self.window) * 10_000_000_000 / u128::from(4 * self.mss);
            self.k = cube_root(u64::try_from(seconds_cubed_e9).unwrap_or(u64::MAX));
        }
    }

    /// `C (t - K)³ + max`.
    fn curve(&self, elapsed: Duration) -> u64 {
        let t = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let distance = u128::from(t.abs_diff(self.k).min(1 << 22));
        let step = distance * distance * distance * u128::from(4 * self.mss) / 10_000_000_000;
        let step = u64::try_from(step).unwrap_or(u64::MAX);
        if t < self.k {
            self.max.saturating_sub(step)
        } else {
            self.max.saturating_add(step).min(MAX_WINDOW)
        }
    }

    /// Something was lost: the threshold falls; the window follows as recovery has it.
    pub(super) fn lost(&mut self) {
        self.epoch = None;
        self.max = if self.window < self.max {
            self.window * CONVERGENCE.0 / CONVERGENCE.1
        } else {
            self.window
        };
        self.threshold = (self.window * BETA.0 / BETA.1).max(MIN_SEGMENTS * self.mss);
    }

    /// After a timeout the window is one segment.
    pub(super) fn collapse(&mut self) {
        self.window = self.mss;
        self.hystart = HyStart::NEW;
    }

    /// After a pause nothing is known of the path (RFC 5681 §4.1).
    pub(super) fn restart(&mut self) {
        self.threshold = self.threshold.max(self.window * 3 / 4);
        self.window = self.window.min(INITIAL_SEGMENTS * self.mss);
        self.epoch = None;
    }

    /// As it was before a response to a loss that was none.
    pub(super) fn undo(&mut self, before: &Self) {
        let window = self.window.max(before.window);
        let mss = self.mss;
        *self = *before;
        self.mss = mss;
        self.window = window;
    }
}

/// The largest number whose cube is not above `value`.
fn cube_root(value: u64) -> u64 {
    let mut root = 0_u64;
    for bit in (0..22).rev() {
        let next = root | (1 << bit);
        if u128::from(next).pow(3) <= u128::from(value) {
            root = next;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MSS: u64 = 1448;

    fn ack(now: Timestamp, bytes: u64, una: u64) -> Acknowledged {
        Acknowledged {
            now,
            bytes,
            una,
            next: una + 100 * MSS,
            sample: Some(Duration::from_millis(20)),
            smoothed: Duration::from_millis(20),
            limited: true,
        }
    }

    #[test]
    fn grows_as_the_cubic_function_has_it() {
        let mut cubic = Cubic::new(1448);
        cubic.set_window(1000 * MSS);
        cubic.lost();
        cubic.set_window(cubic.threshold());
        assert_eq!(cubic.window(), 700 * MSS);
        let start = Timestamp::from_secs(100);
        // K = ∛(300 / 0.4) = 9.08 s: back at the old window by then; later Reno would have more, so it gets that.
        let mut una = 0;
        for step in 0..1200_u64 {
            let now = start.saturating_add(Duration::from_millis(10 * step));
            let half_window = cubic.window() / 2;
            una += half_window;
            cubic.acknowledged(&ack(now, half_window, una));
            match step {
                300 => assert!(
                    (895..930).contains(&(cubic.window() / MSS)),
                    "{}",
                    cubic.window() / MSS
                ),
                900 => assert!(
                    (995..1005).contains(&(cubic.window() / MSS)),
                    "{}",
                    cubic.window() / MSS
                ),
                _ => {}
            }
        }
        assert!(
            (1010..1050).contains(&(cubic.window() / MSS)),
            "{}",
            cubic.window() / MSS
        );
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut cubic = Cubic::new(1448);
        let before = cubic.window();
        let mut unused = ack(Timestamp::from_secs(1), MSS, MSS);
        unused.limited = false;
        cubic.acknowledged(&unused);
        assert_eq!(cubic.window(), before);
    }

    #[test]
    fn an_undone_loss_costs_nothing() {
        let mut cubic = Cubic::new(1448);
        let before = cubic;
        cubic.lost();
        cubic.set_window(cubic.threshold());
        cubic.undo(&before);
        assert_eq!(
            (cubic.window(), cubic.threshold()),
            (before.window(), before.threshold())
        );
    }

    proptest! {
        #[test]
        fn roots_are_exact(value in 0..1_u64 << 62) {
            let root = u128::from(cube_root(value));
            prop_assert!(root.pow(3) <= u128::from(value) && (root + 1).pow(3) > u128::from(value) || root == (1 << 22) - 1);
        }

        #[test]
        fn any_course_of_events_stays_in_bounds(
            mss in 1_u16..9000,
            events in proptest::collection::vec((0_u8..6, any::<u32>(), any::<u32>()), 0..200),
        ) {
            let mut cubic = Cubic::new(mss);
            let mut now = Timestamp::ZERO;
            for (event, wait, bytes) in events {
                now = now.saturating_add(Duration::from_micros(u64::from(wait)));
                match event {
                    0 => cubic.lost(),
                    1 => cubic.collapse(),
                    2 => cubic.restart(),
                    _ => cubic.acknowledged(&ack(now, u64::from(bytes), u64::from(bytes))),
                }
                prop_assert!((u64::from(mss)..=MAX_WINDOW).contains(&cubic.window()));
            }
        }
    }
}
