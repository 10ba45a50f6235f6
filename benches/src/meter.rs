//! Timing side by side, and one way to print it.

use std::{
    hint,
    time::{Duration, Instant},
};

use crate::figures::{Figure, Figures};

use rustix::time::{ClockId, clock_gettime};

/// Rounds of a comparison, after one to warm up.
const ROUNDS: usize = 11;

/// Something that is timed.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Case<'a> {
    name: String,
    round: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Case<'a> {
    /// `round` does it many times and returns the nanoseconds that one took.
    pub fn new(name: impl Into<String>, round: impl FnMut() -> f64 + 'a) -> Self {
        Self {
            name: name.into(),
            round: Box::new(round),
        }
    }
}

/// Nanoseconds that this thread had a processor for each of `steps`: other work on the machine counts only
/// through the caches it takes.
pub fn per_step(steps: usize, run: impl FnOnce()) -> f64 {
    let start = processor_nanos();
    run();
    (processor_nanos() - start) / steps as f64
}

fn processor_nanos() -> f64 {
    processor_time().as_secs_f64() * 1e9
}

/// Time that this thread has had a processor.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Compares and prints.
#[derive(Debug)]
pub struct Meter {
    cycles_per_nano: f64,
    figures: Figures,
}

impl Meter {
    /// Finds out how fast the time stamp counter runs, and says so.
    pub fn start() -> Self {
        let cycles_per_nano = counter_frequency();
        println!(
            "ns: of processor time. A cycle is a tick of the time stamp counter, {cycles_per_nano:.2} GHz here; the core's own \
             clock may run faster or slower. x: the median of the ratios to the first line, round by round."
        );
        Self {
            cycles_per_nano,
            figures: Figures::of_this_run(),
        }
    }

    /// Runs the cases in turn, round by round, so that what disturbs one disturbs all, and prints what
    /// one `step` costs in each. The first is what the others are compared with.
    pub fn compare(&self, title: &str, step: &str, cases: &mut [Case<'_>]) {
        let mut rounds: Vec<Vec<f64>> = Vec::new();
        for _ in 0..=ROUNDS {
            rounds.push(cases.iter_mut().map(|case| (case.round)()).collect());
        }
        rounds.remove(0);
        println!("\n{title}");
        println!(
            "{:<52} {:>9} {:>9} {:>9} {:>12} {:>6}",
            "", "min", "median ns", "max", "cycles", "x"
        );
        for (at, case) in cases.iter().enumerate() {
            let nanos = Spread::of(rounds.iter().map(|round| round[at]));
            let ratio = Spread::of(rounds.iter().map(|round| round[at] / round[0]));
            println!(
                "{:<52} {:>9.1} {:>9.1} {:>9.1} {:>12.0} {:>6.2}",
                format!("{} / {step}", case.name),
                nanos.min,
                nanos.median,
                nanos.max,
                nanos.median * self.cycles_per_nano,
                ratio.median
            );
            self.figures.keep(&Figure {
                title: title.to_owned(),
                what: format!("{} / {step}", case.name),
                unit: "ns".to_owned(),
                least: nanos.min,
                median: nanos.median,
                most: nanos.max,
                ratio: (at > 0).then_some(ratio.median),
                ours: at > 0,
            });
        }
    }
}

/// Of several rounds.
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(rounds: impl Iterator<Item = f64>) -> Self {
        let mut rounds: Vec<f64> = rounds.collect();
        rounds.sort_by(f64::total_cmp);
        Self {
            min: rounds[0],
            median: rounds[rounds.len() / 2],
            max: rounds[rounds.len() - 1],
        }
    }
}

/// Ticks of the time stamp counter in a nanosecond.
fn counter_frequency() -> f64 {
    let counter = quanta::Clock::new();
    let (start, first) = (Instant::now(), counter.raw());
    while start.elapsed() < Duration::from_millis(100) {
        hint::spin_loop();
    }
    let ticks = counter.raw().wrapping_sub(first);
    ticks as f64 / (start.elapsed().as_secs_f64() * 1e9)
}
