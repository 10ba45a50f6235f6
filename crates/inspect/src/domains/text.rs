//! The lines of a domain list's text: entries, comments, hosts-file lines.

use super::entry::{InvalidEntry, ListEntry, is_address};

/// What a line holds.
pub(super) enum Line<'t> {
    Blank,
    Comment,
    /// One or, in a hosts file, several entries as they are written.
    Entries(Written<'t>),
    Invalid(InvalidEntry),
}

/// The entries of a line: the first, and the text that may hold more.
pub(super) struct Written<'t> {
    first: &'t str,
    more: &'t str,
}

impl<'t> Written<'t> {
    /// Each entry as written, with what it means.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'t str, Result<ListEntry, InvalidEntry>)> {
        std::iter::once(self.first)
            .chain(self.more.split_ascii_whitespace())
            .map(|text| (text, text.parse()))
    }
}

/// Names that hosts files give to the machine itself; no list means them.
const OWN_NAMES: [&str; 12] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
];

/// Reads one line.
pub(super) fn read_line(line: &str) -> Line<'_> {
    let text = line.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Line::Blank;
    }
    if is_comment(text) {
        return Line::Comment;
    }
    let (first, rest) = split_word(text);
    if is_address(first) {
        return hosts_line(rest);
    }
    if !rest.is_empty() && !is_comment(rest) {
        return Line::Invalid(InvalidEntry::Trailing);
    }
    Line::Entries(Written { first, more: "" })
}

/// `address name name … # comment`.
fn hosts_line(names: &str) -> Line<'_> {
    let names = names.split('#').next().unwrap_or_default().trim();
    let (first, more) = split_word(names);
    if first.is_empty() {
        return Line::Invalid(InvalidEntry::Address);
    }
    if OWN_NAMES.contains(&first) || is_address(first) {
        return Line::Comment;
    }
    Line::Entries(Written { first, more })
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| byte.is_ascii_whitespace())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn is_comment(text: &str) -> bool {
    text.starts_with(['#', ';', '!']) || text.starts_with("//")
}
