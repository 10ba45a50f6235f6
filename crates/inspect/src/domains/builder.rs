//! Builds a domain set out of the texts of lists.

use hashbrown::HashTable;
use packet::DomainName;

use super::entry::{ListEntry, Scope};
use super::folding::{hash, same_name};
use super::groups::{Groups, ListTag, Member, Stance};
use super::set::DomainSet;
use super::suffixes::without_root;
use super::text::{Line, read_line};

/// How many bad lines a report names; the rest is counted.
const MAX_EXAMPLES: usize = 1000;

/// How a list is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOptions {
    /// `expand-domain`: a plain name also covers what is below it.
    pub expand: bool,
    /// `exception-list`: names that this list does not stand for. Where an entry and an exception both fit
    /// a name, the more specific one counts, and the exception where they are the same.
    pub exceptions: Vec<ListEntry>,
    /// `allow-public-suffix`: entries that cover a public suffix are taken.
    pub allow_public_suffix: bool,
    /// Entries taken at most; those past it are counted.
    pub max_names: usize,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            expand: false,
            exceptions: Vec::new(),
            allow_public_suffix: false,
            max_names: 4_000_000,
        }
    }
}

/// What became of a list's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReport {
    /// Entries taken, duplicates included.
    pub names: usize,
    /// Lines that are comments.
    pub comments: usize,
    /// Lines or names that are invalid.
    pub invalid_count: usize,
    /// The first thousand of them: line (from 1) and what is wrong.
    pub invalid: Vec<(usize, String)>,
    /// Entries refused because they cover a public suffix.
    pub refused_count: usize,
    /// The first thousand of them: line (from 1) and entry.
    pub refused: Vec<(usize, String)>,
    /// Entries past the bound.
    pub over_limit: usize,
}

/// A name on its way into a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Where its length byte and its bytes stand.
    pub(super) offset: u32,
    pub(super) group: u32,
}

/// Collects lists; [`DomainSetBuilder::build`] makes the set.
#[derive(Debug)]
pub struct DomainSetBuilder {
    seed: u64,
    /// Length byte and lower-case wire bytes without the root's, name after name.
    names: Vec<u8>,
    records: Vec<Record>,
    index: HashTable<u32>,
    groups: Groups,
}

impl DomainSetBuilder {
    /// An empty builder. `seed` keys the hash: drawn at start when live, fixed in replay.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            names: Vec::new(),
            records: Vec::new(),
            index: HashTable::new(),
            groups: Groups::default(),
        }
    }

    /// Adds the list `tag` with the entries of `text`, one a line.
    pub fn add(&mut self, tag: ListTag, text: &str, options: &ListOptions) -> ListReport {
        let mut report = ListReport::default();
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count();
        self.reserve(lines.min(options.max_names));
        for (line, number) in text.lines().zip(1..) {
            match read_line(line) {
                Line::Blank => {}
                Line::Comment => report.comments = report.comments.saturating_add(1),
                Line::Invalid(why) => report.note_invalid(number, why.to_string()),
                Line::Entries(entries) => {
                    for (written, entry) in entries.iter() {
                        match entry {
                            Ok(entry) => {
                                self.take(tag, &entry, options, number, &mut report);
                            }
                            Err(why) => report.note_invalid(number, format!("{}: {why}", shown(written))),
                        }
                    }
                }
            }
        }
        for exception in &options.exceptions {
            self.insert(&exception.name, tag, stance(exception.scope, options).excepted());
        }
        report
    }

    /// Makes room for as many lines as a text has, which is less than it is long itself.
    fn reserve(&mut self, names: usize) {
        let (stored, records, seed) = (&self.names, &self.records, self.seed);
        self.index.reserve(names, |&index| {
            at(records, index).map_or(0, |record| hash(seed, name_at(stored, record.offset)))
        });
        self.records.reserve(names);
    }

    fn take(
        &mut self,
        tag: ListTag,
        entry: &ListEntry,
        options: &ListOptions,
        line: usize,
        report: &mut ListReport,
    ) {
        let stance = stance(entry.scope, options);
        if !options.allow_public_suffix && covers_public_suffix(&entry.name, stance) {
            report.refused_count = report.refused_count.saturating_add(1);
            if report.refused.len() < MAX_EXAMPLES {
                report.refused.push((line, entry.to_string()));
            }
        } else if report.names >= options.max_names || !self.insert(&entry.name, tag, stance) {
            report.over_limit = report.over_limit.saturating_add(1);
        } else {
            report.names = report.names.saturating_add(1);
        }
    }

    /// Adds one name; `false` where no more fit.
    fn insert(&mut self, name: &DomainName, tag: ListTag, stance: Stance) -> bool {
        let wire = without_root(name);
        let key = hash(self.seed, wire);
        let member = Member { tag, stance };
        let (names, records) = (&self.names, &mut self.records);
        let known = self.index.find(key, |&index| {
            at(records, index).is_some_and(|record| same_name(name_at(names, record.offset), wire))
        });
        if let Some(&index) = known {
            if let Some(record) = records.get_mut(to_usize(index)) {
                record.group = self.groups.joined(Some(record.group), member);
            }
            return true;
        }
        let (Ok(offset), Ok(index), Ok(length)) = (
            // The set needs some bytes beside each name.
            u32::try_from(self.names.len().saturating_add(records.len().saturating_mul(10)))
                .and_then(|_| u32::try_from(self.names.len())),
            u32::try_from(records.len()),
            u8::try_from(wire.len()),
        ) else {
            return false;
        };
        let group = self.groups.joined(None, member);
        self.names.push(length);
        self.names.extend(wire.iter().map(u8::to_ascii_lowercase));
        self.records.push(Record { offset, group });
        let (names, records, seed) = (&self.names, &self.records, self.seed);
        self.index.insert_unique(key, index, |&index| {
            at(records, index).map_or(0, |record| hash(seed, name_at(names, record.offset)))
        });
        true
    }

    /// The set of everything added.
    pub fn build(self) -> DomainSet {
        DomainSet::new(self.seed, &self.names, &self.records, self.groups.into_sets())
    }
}

fn to_usize(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn at(records: &[Record], index: u32) -> Option<&Record> {
    records.get(to_usize(index))
}

/// The wire bytes behind the length byte at `offset`.
pub(super) fn name_at(names: &[u8], offset: u32) -> &[u8] {
    names
        .get(to_usize(offset)..)
        .and_then(<[u8]>::split_first)
        .and_then(|(&length, rest)| rest.get(..usize::from(length)))
        .unwrap_or_default()
}

/// What an entry says about its name.
fn stance(scope: Scope, options: &ListOptions) -> Stance {
    match scope {
        Scope::Plain if options.expand => Stance::EXACT.union(Stance::BELOW),
        Scope::Plain | Scope::Exact => Stance::EXACT,
        Scope::Below => Stance::BELOW,
    }
}

/// Whether the names that the entry stands for include a public suffix (<https://publicsuffix.org>).
fn covers_public_suffix(name: &DomainName, stance: Stance) -> bool {
    let mut text = [0; DomainName::MAX + 2];
    let mut used = 0;
    // A rule such as `*.ck` makes every name directly below `ck` a suffix, whatever its label.
    for label in std::iter::once(&b"x"[..]).chain(name.labels()) {
        if used > 0 {
            copy(b".", &mut text, &mut used);
        }
        copy(label, &mut text, &mut used);
    }
    let below = text.get(..used).unwrap_or_default();
    let own = below.get(2..).unwrap_or_default();
    let is_suffix = |text: &[u8]| psl::suffix(text).is_some_and(|suffix| suffix.is_known() && suffix == text);
    is_suffix(own) || stance.has(Stance::BELOW) && is_suffix(below)
}

fn copy(from: &[u8], to: &mut [u8], used: &mut usize) {
    let end = used.saturating_add(from.len());
    if let Some(place) = to.get_mut(*used..end) {
        place.copy_from_slice(from);
        *used = end;
    }
}

impl ListReport {
    fn note_invalid(&mut self, line: usize, why: String) {
        self.invalid_count = self.invalid_count.saturating_add(1);
        if self.invalid.len() < MAX_EXAMPLES {
            self.invalid.push((line, why));
        }
    }
}

/// An entry as a message shows it: short and without anything that moves a cursor.
fn shown(written: &str) -> String {
    let mut shown: String = written.chars().take(80).flat_map(char::escape_default).collect();
    if written.chars().nth(80).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
