//! What a replay came to: one JSON object for programs, a page for people.

use std::{collections::BTreeMap, fmt::Write as _};

use engine::SessionCounts;
use serde::Serialize;

/// The outcome of a replay. Field order is the order of the JSON object.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) packets: u64,
    /// Original lengths, in bytes.
    pub(crate) bytes: u64,
    /// Wall clock, from opening the first capture to the last byte written.
    pub(crate) seconds: f64,
    pub(crate) pps: f64,
    pub(crate) workers: usize,
    pub(crate) frames_by_worker: Vec<u64>,
    pub(crate) peak_rss_bytes: u64,
    /// A capture could not be read to its end.
    pub(crate) truncated: bool,
    pub(crate) sessions: Sessions,
    pub(crate) sinkholed: u64,
    pub(crate) frames: Frames,
    /// Records by type.
    pub(crate) logs: BTreeMap<&'static str, u64>,
    /// Tags as registered at the end, by subject.
    pub(crate) tags: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sessions {
    pub(crate) tcp: u64,
    pub(crate) udp: u64,
    pub(crate) icmp: u64,
    pub(crate) other: u64,
}

impl From<SessionCounts> for Sessions {
    fn from(counts: SessionCounts) -> Self {
        Self {
            tcp: counts.tcp,
            udp: counts.udp,
            icmp: counts.icmp,
            other: counts.other,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Frames {
    pub(crate) forwarded: u64,
    pub(crate) answered: u64,
    pub(crate) consumed: u64,
    pub(crate) held: u64,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// The page for people.
    pub(crate) fn to_text(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        self.write_text(&mut page).unwrap_or_default();
        page
    }

    fn write_text(&self, page: &mut String) -> std::fmt::Result {
        let workers = if self.workers == 1 {
            "1 worker".to_owned()
        } else {
            format!("{} workers", self.workers)
        };
        writeln!(
            page,
            "{} packets, {} in {:.2} s ({} packets/s, {workers}, {} resident at most)",
            grouped(self.packets),
            size(self.bytes),
            self.seconds,
            grouped_f64(self.pps),
            size(self.peak_rss_bytes),
        )?;
        if self.truncated {
            writeln!(
                page,
                "a capture could not be read to its end; what was read is counted here"
            )?;
        }
        let Sessions {
            tcp,
            udp,
            icmp,
            other,
        } = self.sessions;
        writeln!(
            page,
            "\nSessions   {} tcp, {} udp, {} icmp, {} other",
            grouped(tcp),
            grouped(udp),
            grouped(icmp),
            grouped(other)
        )?;
        writeln!(page, "Frames     {} forwarded", grouped(self.frames.forwarded))?;
        for (what, count) in [
            ("answered", self.frames.answered),
            ("consumed", self.frames.consumed),
            ("held", self.frames.held),
        ] {
            if count > 0 {
                writeln!(page, "           {} {what}", grouped(count))?;
            }
        }
        for (reason, count) in &self.frames.dropped {
            writeln!(page, "           {} dropped: {reason}", grouped(*count))?;
        }
        let logs: Vec<String> = self
            .logs
            .iter()
            .map(|(kind, count)| format!("{} {kind}", grouped(*count)))
            .collect();
        writeln!(
            page,
            "Records    {}",
            if logs.is_empty() {
                "none".to_owned()
            } else {
                logs.join(", ")
            }
        )?;
        writeln!(page, "Sinkholed  {}", grouped(self.sinkholed))?;
        if self.tags.is_empty() {
            return writeln!(page, "Tags       none");
        }
        let mut label = "Tags      ";
        for (subject, tags) in self.tags.iter().take(MAX_SUBJECTS) {
            writeln!(page, "{label} {subject}  {}", tags.join(", "))?;
            label = "          ";
        }
        if self.tags.len() > MAX_SUBJECTS {
            writeln!(
                page,
                "           and {} more subjects (--json lists all)",
                self.tags.len() - MAX_SUBJECTS
            )?;
        }
        Ok(())
    }
}

/// Subjects listed for people; a flood of tags is better read elsewhere.
const MAX_SUBJECTS: usize = 20;

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for display, never negative"
)]
fn grouped_f64(number: f64) -> String {
    grouped(number as u64)
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS.get(unit).unwrap_or(&""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567]
                .map(grouped)
                .each_ref()
                .map(String::as_str)
        );
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }

    #[test]
    fn the_json_object_always_has_all_keys() {
        let json = serde_json::to_value(Summary::default()).unwrap();
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        for key in [
            "packets",
            "bytes",
            "seconds",
            "pps",
            "workers",
            "frames_by_worker",
            "peak_rss_bytes",
            "truncated",
            "sessions",
            "sinkholed",
            "frames",
            "logs",
            "tags",
        ] {
            assert!(keys.contains(&key), "{key}");
        }
        for key in ["forwarded", "answered", "consumed", "held", "dropped"] {
            assert!(json["frames"].get(key).is_some(), "{key}");
        }
    }
}
