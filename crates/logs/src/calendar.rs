//! Times as records and filters write them: RFC 3339, PAN-OS's slashed form, and words such as `last-hour`.
//! All in UTC.

use std::{fmt, ops::Range};

use packet::Timestamp;

const MICROS_PER_SEC: u64 = 1_000_000;
const SECS_PER_DAY: u64 = 86_400;

/// A date of the proleptic Gregorian calendar and the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    micros: u32,
}

impl Civil {
    fn from_micros(micros: u64) -> Self {
        let secs = micros / MICROS_PER_SEC;
        let of_day = small(secs % SECS_PER_DAY);
        let (year, month, day) = date_of(secs / SECS_PER_DAY);
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            micros: small(micros % MICROS_PER_SEC),
        }
    }

    /// Microseconds since the epoch; `None` where a part is out of its range or the date before 1970.
    fn to_micros(self) -> Option<u64> {
        let in_range = (1970..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            // A leap second counts as the second before it.
            && self.second <= 60
            && self.micros < 1_000_000;
        if !in_range {
            return None;
        }
        let secs = day_number(self.year, self.month, self.day) * SECS_PER_DAY
            + u64::from(self.hour) * 3600
            + u64::from(self.minute) * 60
            + u64::from(self.second.min(59));
        Some(secs * MICROS_PER_SEC + u64::from(self.micros))
    }
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day comes last; an era is
/// the 400 years after which the calendar repeats.
fn day_number(year: u32, month: u32, day: u32) -> u64 {
    let year = u64::from(year) - u64::from(month <= 2);
    let month_from_march = (u64::from(month) + 9) % 12;
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * month_from_march + 2) / 5 + u64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - EPOCH_FROM_MARCH_0000
}

/// The date that is this many days after 1970-01-01.
fn date_of(days: u64) -> (u32, u32, u32) {
    let days = days + EPOCH_FROM_MARCH_0000;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (
        small(era * 400 + year_of_era + u64::from(month <= 2)),
        small(month),
        small(day),
    )
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0000: u64 = 719_468;

/// Microseconds since the epoch: the precision of records.
pub(crate) fn micros(time: Timestamp) -> u64 {
    time.as_nanos() / 1000
}

/// Writes `2026-11-24T04:16:00.000000Z`.
pub fn write_rfc3339(time: Timestamp, out: &mut Vec<u8>) {
    let at = Civil::from_micros(micros(time));
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    digits(&mut text[0..4], at.year);
    digits(&mut text[5..7], at.month);
    digits(&mut text[8..10], at.day);
    digits(&mut text[11..13], at.hour);
    digits(&mut text[14..16], at.minute);
    digits(&mut text[17..19], at.second);
    digits(&mut text[20..26], at.micros);
    out.extend_from_slice(&text);
}

fn digits(field: &mut [u8], mut value: u32) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Writes the shortest form that a filter reads back: `2026/11/24 04:16:00`, with a fraction where there is
/// one.
pub(crate) fn write_filter_time(time: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let at = Civil::from_micros(micros(time));
    let (year, month, day) = (at.year, at.month, at.day);
    write!(
        f,
        "{year:04}/{month:02}/{day:02} {:02}:{:02}:{:02}",
        at.hour, at.minute, at.second
    )?;
    if at.micros > 0 {
        write!(f, ".{:06}", at.micros)?;
    }
    Ok(())
}

/// Reads `2026/11/24 04:16:00`, `2026-11-24T04:16:00.5+01:00` and what lies between: `/` or `-`, a blank or
/// `T`, time of day, fraction and zone left out or not. Without a zone it is UTC. Digits of the fraction
/// beyond the sixth are dropped.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let mut rest = Cursor(text.as_bytes());
    let mut at = Civil {
        year: rest.number(4)?,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        micros: 0,
    };
    let separator = rest.one_of(b"/-")?;
    at.month = rest.number(2)?;
    rest.one_of(&[separator])?;
    at.day = rest.number(2)?;
    let mut offset = 0_i64;
    if rest.one_of(b" Tt").is_some() {
        at.hour = rest.number(2)?;
        rest.one_of(b":")?;
        at.minute = rest.number(2)?;
        if rest.one_of(b":").is_some() {
            at.second = rest.number(2)?;
            if rest.one_of(b".").is_some() {
                at.micros = rest.fraction()?;
            }
        }
        offset = rest.zone()?;
    }
    if !rest.0.is_empty() {
        return None;
    }
    let micros = i64::try_from(at.to_micros()?).ok()?;
    let utc = micros.checked_sub(offset.checked_mul(1_000_000)?)?;
    Some(Timestamp::from_nanos(u64::try_from(utc).ok()?.checked_mul(1000)?))
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        if !accepted.contains(&first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }

    fn digit(&mut self) -> Option<u32> {
        self.one_of(b"0123456789").map(|digit| u32::from(digit - b'0'))
    }

    fn number(&mut self, width: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..width {
            value = value * 10 + self.digit()?;
        }
        Some(value)
    }

    fn fraction(&mut self) -> Option<u32> {
        let mut value = self.digit()?;
        let mut places = 1;
        while let Some(digit) = self.digit() {
            if places < 6 {
                value = value * 10 + digit;
                places += 1;
            }
        }
        Some(value * 10_u32.pow(6 - places))
    }

    /// Seconds east of UTC; 0 without a zone.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let sign = self.one_of(b"+-")?;
        let hours = self.number(2)?;
        self.one_of(b":")?;
        let minutes = self.number(2)?;
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i64::from(hours * 3600 + minutes * 60);
        Some(if sign == b'-' { -seconds } else { seconds })
    }
}

/// A span of time named relative to now, as PAN-OS's reports name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelativeTime {
    /// `last-N-minutes`, `last-N-hrs`, `last-N-days`: up to now.
    Last(u32, Unit),
    /// `last-N-calendar-days`: whole days up to the last midnight; `last-calendar-day` is yesterday.
    CalendarDays(u32),
    /// `last-calendar-week`: the last whole week from Monday to Sunday.
    CalendarWeek,
    /// `last-calendar-month`: the last whole month.
    CalendarMonth,
}

/// What [`RelativeTime::Last`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 60 s.
    Minutes,
    /// 3,600 s.
    Hours,
    /// 86,400 s.
    Days,
}

impl Unit {
    fn secs(self) -> u64 {
        match self {
            Self::Minutes => 60,
            Self::Hours => 3600,
            Self::Days => SECS_PER_DAY,
        }
    }
}

impl RelativeTime {
    /// The words to suggest, in the order PAN-OS offers them.
    pub const WORDS: &'static [&'static str] = &[
        "last-15-minutes",
        "last-hour",
        "last-6-hrs",
        "last-12-hrs",
        "last-24-hrs",
        "last-calendar-day",
        "last-7-days",
        "last-7-calendar-days",
        "last-calendar-week",
        "last-30-days",
        "last-30-calendar-days",
        "last-calendar-month",
    ];

    /// Reads a word such as `last-hour` or `last-15-minutes`; counts are 1 to 9999.
    pub fn parse(word: &str) -> Option<Self> {
        let rest = word.strip_prefix("last-")?;
        match rest {
            "hour" => return Some(Self::Last(1, Unit::Hours)),
            "calendar-day" => return Some(Self::CalendarDays(1)),
            "calendar-week" => return Some(Self::CalendarWeek),
            "calendar-month" => return Some(Self::CalendarMonth),
            _ => {}
        }
        let (count, unit) = rest.split_once('-')?;
        if count.is_empty() || count.len() > 4 || !count.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let count = count.parse::<u32>().ok().filter(|&count| count > 0)?;
        match unit {
            "minutes" => Some(Self::Last(count, Unit::Minutes)),
            "hrs" | "hours" => Some(Self::Last(count, Unit::Hours)),
            "days" => Some(Self::Last(count, Unit::Days)),
            "calendar-days" => Some(Self::CalendarDays(count)),
            _ => None,
        }
    }

    /// The span in microseconds since the epoch, its end excluded.
    pub(crate) fn span(self, now: Timestamp) -> Range<u64> {
        let now = micros(now);
        let today = now / (SECS_PER_DAY * MICROS_PER_SEC);
        let midnight = |day: u64| day * SECS_PER_DAY * MICROS_PER_SEC;
        match self {
            // "Up to now" includes now itself.
            Self::Last(count, unit) => {
                let length = u64::from(count) * unit.secs() * MICROS_PER_SEC;
                now.saturating_sub(length)..now.saturating_add(1)
            }
            Self::CalendarDays(count) => midnight(today.saturating_sub(u64::from(count)))..midnight(today),
            Self::CalendarWeek => {
                // Day 0 was a Thursday.
                let monday = today.saturating_sub((today + 3) % 7);
                midnight(monday.saturating_sub(7))..midnight(monday)
            }
            Self::CalendarMonth => {
                let (year, month, _) = date_of(today);
                let (last_year, last_month) = if month == 1 {
                    (year - 1, 12)
                } else {
                    (year, month - 1)
                };
                let first = if last_year < 1970 {
                    0
                } else {
                    day_number(last_year, last_month, 1)
                };
                midnight(first)..midnight(day_number(year, month, 1))
            }
        }
    }
}

impl fmt::Display for RelativeTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(1, Unit::Hours) => f.write_str("last-hour"),
            Self::Last(count, Unit::Minutes) => write!(f, "last-{count}-minutes"),
            Self::Last(count, Unit::Hours) => write!(f, "last-{count}-hrs"),
            Self::Last(count, Unit::Days) => write!(f, "last-{count}-days"),
            Self::CalendarDays(1) => f.write_str("last-calendar-day"),
            Self::CalendarDays(count) => write!(f, "last-{count}-calendar-days"),
            Self::CalendarWeek => f.write_str("last-calendar-week"),
            Self::CalendarMonth => f.write_str("last-calendar-month"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(time: Timestamp) -> String {
        let mut out = Vec::new();
        write_rfc3339(time, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_known_instants() {
        assert_eq!(written(Timestamp::ZERO), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            written(Timestamp::from_nanos(1_700_000_000_123_456_789)),
            "2023-11-14T22:13:20.123456Z"
        );
        assert_eq!(
            written(Timestamp::from_secs(951_782_399)),
            "2000-02-28T23:59:59.000000Z"
        );
        assert_eq!(
            written(Timestamp::from_secs(951_782_400)),
            "2000-02-29T00:00:00.000000Z"
        );
        assert_eq!(
            written(Timestamp::from_secs(4_107_542_400)),
            "2100-03-01T00:00:00.000000Z"
        );
        assert_eq!(written(Timestamp::MAX), "2554-07-21T23:34:33.709551Z");
    }

    #[test]
    fn reads_both_spellings() {
        let eight = Timestamp::from_secs(1_340_352_000);
        for text in [
            "2012/06/22 08:00:00",
            "2012-06-22T08:00:00Z",
            "2012-06-22 08:00",
            "2012-06-22T10:00:00.000+02:00",
            "2012-06-22T02:30:00-05:30",
        ] {
            assert_eq!(parse_time(text), Some(eight), "{text}");
        }
        assert_eq!(
            parse_time("2012/06/22"),
            Some(Timestamp::from_secs(1_340_323_200))
        );
        let fraction = Timestamp::from_nanos(1_340_352_000_123_456_000);
        assert_eq!(parse_time("2012/06/22 08:00:00.1234569"), Some(fraction));
        for text in [
            "",
            "2012",
            "2012/06-22",
            "2012/13/01",
            "2012/02/30",
            "2011/02/29",
            "2012/06/22 24:00:00",
            "2012/06/22 08",
            "2012/06/22 08:00:00 ",
            "2012/06/22x",
            "1969/12/31",
            "1970-01-01T00:00:00+01:00",
            "99999/01/01",
            "2012/06/22 08:00:00.",
            "2012/06/22 08:00:00+2",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn relative_words_span_what_they_say() {
        let now = parse_time("2026/11/24 04:16:00").unwrap(); // a Tuesday
        let spans = |word: &str, from: &str, to: &str| {
            let span = RelativeTime::parse(word).unwrap().span(now);
            let from = micros(parse_time(from).unwrap());
            let to = micros(parse_time(to).unwrap());
            assert_eq!((span.start, span.end), (from, to), "{word}");
        };
        spans("last-hour", "2026/11/24 03:16:00", "2026/11/24 04:16:00.000001");
        spans(
            "last-15-minutes",
            "2026/11/24 04:01:00",
            "2026/11/24 04:16:00.000001",
        );
        spans("last-7-days", "2026/11/17 04:16:00", "2026/11/24 04:16:00.000001");
        spans("last-calendar-day", "2026/11/23", "2026/11/24");
        spans("last-7-calendar-days", "2026/11/17", "2026/11/24");
        spans("last-calendar-week", "2026/11/16", "2026/11/23");
        spans("last-calendar-month", "2026/10/01", "2026/11/01");
        for word in [
            "last",
            "last-",
            "last-0-days",
            "last-x-days",
            "last-10000-days",
            "last-5-weeks",
            "next-hour",
        ] {
            assert_eq!(RelativeTime::parse(word), None, "{word}");
        }
        for word in RelativeTime::WORDS {
            assert_eq!(RelativeTime::parse(word).unwrap().to_string(), *word);
        }
    }

    #[test]
    fn relative_words_do_not_underflow_at_the_epoch() {
        for word in RelativeTime::WORDS {
            let span = RelativeTime::parse(word).unwrap().span(Timestamp::ZERO);
            assert!(span.start <= span.end, "{word}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in any::<u64>()) {
            let time = Timestamp::from_nanos(nanos / 1000 * 1000);
            prop_assert_eq!(parse_time(&written(time)), Some(time));
        }

        /// The day before and after any date are its neighbours in the naive calendar.
        #[test]
        fn days_follow_one_another(days in 0_u64..2_932_000) {
            let (year, month, day) = date_of(days);
            let next = if day < days_in_month(year, month) {
                (year, month, day + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
            prop_assert_eq!(date_of(days + 1), next);
            prop_assert_eq!(day_number(year, month, day), days);
        }
    }
}
