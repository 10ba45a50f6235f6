//! Times in records, and how a bunch of them is told.

/// Microseconds since 1970 of a time like `2026-11-24T12:00:00.000001Z`.
pub fn micros(time: &str) -> Option<u64> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1_000_000 + number(20, 26)?)
}

/// The time below which so many percent of times in nanoseconds lie, in microseconds; 0 of none.
pub fn quantile(nanos: &[u64], percent: usize) -> f64 {
    let mut nanos = nanos.to_vec();
    nanos.sort_unstable();
    let last = nanos.len().saturating_sub(1);
    nanos
        .get(last * percent / 100)
        .map_or(0.0, |&time| time as f64 / 1e3)
}

/// The middle, the tail and the end of times in nanoseconds, told in microseconds.
pub fn quantiles(mut nanos: Vec<u64>) -> String {
    nanos.sort_unstable();
    let Some(last) = nanos.len().checked_sub(1) else {
        return "none".to_owned();
    };
    let micros = |share: usize| nanos[last * share / 1000] as f64 / 1e3;
    format!(
        "p50 {:.0}, p99 {:.0}, max {:.0} (of {})",
        micros(500),
        micros(990),
        micros(1000),
        nanos.len()
    )
}
