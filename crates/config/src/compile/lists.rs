//! External lists: what their texts hold, and what of it could not be used.

use std::{fmt, sync::Arc};

use inspect::domains::{ListEntry, ListOptions, ListTag};
use policy::{HostPattern, Symbol};

use super::Compiler;
use crate::{
    document::{self, ListKind, Recurring},
    finding::{Finding, Quoted, Severity},
    reader::Text,
    source::Place,
    sources::{Location, SourceText},
};

/// What was read of one external list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSummary {
    /// Its name.
    pub name: Arc<str>,
    /// What it holds.
    pub kind: ListKind,
    /// Where it comes from.
    pub location: Location,
    /// How often it is read again; `None`: only at a commit.
    pub recurring: Option<Recurring>,
    /// Whether it is still to be fetched, and counts as empty until then.
    pub pending: bool,
    /// Entries taken.
    pub entries: usize,
    /// Lines that are comments.
    pub comments: usize,
    /// Lines that are no entry.
    pub invalid: usize,
    /// Entries refused because they cover a public suffix.
    pub refused: usize,
    /// Entries past the bound.
    pub over_limit: usize,
}

/// What became of the lines of a file.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) entries: usize,
    pub(super) comments: usize,
    pub(super) invalid: usize,
    pub(super) refused: usize,
    pub(super) over_limit: usize,
    /// The first faults: line, and what is wrong.
    pub(super) faults: Vec<(usize, String)>,
}

/// Faults of one file that are told one by one; the rest is summed up.
const TOLD: usize = 10;

impl Lines {
    pub(super) fn invalid(&mut self, line: usize, fault: impl FnOnce() -> String) {
        self.invalid = self.invalid.saturating_add(1);
        if self.faults.len() < TOLD {
            self.faults.push((line, fault()));
        }
    }

    /// The line's entry; counts it as a comment where it is one. PAN-OS lets a comment follow the entry.
    pub(super) fn entry_of<'t>(&mut self, line: &'t str) -> Option<&'t str> {
        let line = line.trim_start_matches('\u{feff}');
        let word = line.split_whitespace().next()?;
        if word.starts_with(['#', ';', '!']) || word.starts_with("//") {
            self.comments = self.comments.saturating_add(1);
            return None;
        }
        Some(word)
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn lists(&mut self) {
        for entry in &self.document.lists {
            self.watched(&entry.name, |this| this.list(entry));
        }
    }

    fn list(&mut self, entry: &'a document::ListEntry) {
        let name = self.symbol(&entry.name);
        let location = entry.url.as_ref().and_then(|url| self.location(url));
        let source = self.sources.list(&entry.name.value);
        let text = match &location {
            Some(_) => self.text("external list", &entry.name, entry.url.as_ref(), source),
            None => "",
        };
        let Some(kind) = entry.kind else {
            return;
        };
        let lines = match kind {
            ListKind::Domain => self.domain_list(entry, name, text),
            ListKind::Ip => self.address_list(entry, name, text),
            ListKind::Url => {
                let category = self.builder.add_category(name);
                self.categories
                    .add("external list", &entry.name, category, self.findings);
                let exceptions = self.host_exceptions(entry);
                self.read_hosts(category, text, &exceptions)
            }
        };
        let Some(location) = location else { return };
        if matches!(source, Some(SourceText::Read(_))) && lines.entries == 0 && lines.faults.is_empty() {
            let message = format!("external list {} has no entries", Quoted(&entry.name.value));
            self.findings.warning(entry.name.span, message);
        }
        self.tell(&location.to_string(), &lines);
        self.list_summaries.push(ListSummary {
            name: Arc::from(&*entry.name.value),
            kind,
            location,
            recurring: entry.recurring,
            pending: !matches!(source, Some(SourceText::Read(_))),
            entries: lines.entries,
            comments: lines.comments,
            invalid: lines.invalid,
            refused: lines.refused,
            over_limit: lines.over_limit,
        });
    }

    fn location(&self, url: &Text) -> Option<Location> {
        let location = Location::parse(&url.value);
        if location.is_none() {
            let near =
                (!url.value.is_empty() && !url.value.contains("://")).then(|| format!("file:{}", url.value));
            let message = format!(
                "a list comes from file:PATH, https://… or http://…, not {}",
                Quoted(&url.value)
            );
            self.findings.error_near(url.span, message, near);
        }
        if url.value.starts_with("http://") {
            let message = "fetched without TLS, anybody on the way can change this list; use https://";
            self.findings.warning(url.span, message);
        }
        location
    }

    fn host_exceptions(&self, entry: &document::ListEntry) -> Vec<HostPattern> {
        let mut exceptions = Vec::new();
        for name in &entry.exceptions {
            match name.value.parse() {
                Ok(pattern) => exceptions.push(pattern),
                Err(fault) => self.report_exception(name, &fault),
            }
        }
        exceptions
    }

    pub(super) fn report_exception(&self, name: &Text, fault: &dyn fmt::Display) {
        let message = format!("exception-list: {} is not valid: {fault}", Quoted(&name.value));
        self.findings.error(name.span, message);
    }

    fn domain_list(&mut self, entry: &'a document::ListEntry, name: Symbol, text: &'a str) -> Lines {
        let id = self.builder.add_list(name);
        self.domain_lists
            .add("external list", &entry.name, id, self.findings);
        let mut exceptions = Vec::new();
        for name in &entry.exceptions {
            match name.value.parse::<ListEntry>() {
                Ok(exception) => exceptions.push(exception),
                Err(fault) => self.report_exception(name, &fault),
            }
        }
        let options = ListOptions {
            expand: entry.expand_domain,
            exceptions,
            allow_public_suffix: entry.allow_public_suffix,
            ..ListOptions::default()
        };
        let report = self.domains.add(ListTag(id.0), text, options);
        let refused = report.refused.into_iter().map(|(line, name)| {
            let message = format!(
                "{} covers a public suffix; allow-public-suffix = true takes it",
                Quoted(&name)
            );
            (line, message)
        });
        let mut faults: Vec<(usize, String)> = report.invalid.into_iter().chain(refused).collect();
        faults.sort_by_key(|(line, _)| *line);
        faults.truncate(TOLD);
        Lines {
            entries: report.names,
            comments: report.comments,
            invalid: report.invalid_count,
            refused: report.refused_count,
            over_limit: report.over_limit,
            faults,
        }
    }

    /// The text of a file; where it could not be read that is told at `at`.
    pub(super) fn text(
        &self,
        what: &str,
        name: &Text,
        at: Option<&Text>,
        source: Option<&'a SourceText>,
    ) -> &'a str {
        let span = at.map_or(name.span, |at| at.span);
        match source {
            Some(SourceText::Read(text)) => return text,
            Some(SourceText::Failed(why)) => {
                self.findings
                    .error(span, format!("{}: {why}", Quoted(&name.value)));
            }
            Some(SourceText::Pending) | None => {
                let message = format!(
                    "{what} {} is fetched by a running firewall; here it counts as empty",
                    Quoted(&name.value)
                );
                self.findings.warning(span, message);
            }
        }
        ""
    }

    /// Warns about the faults of a file: the first one by one, the rest in one sum.
    pub(super) fn tell(&self, file: &str, lines: &Lines) {
        for (line, fault) in &lines.faults {
            self.foreign(file, *line, fault.clone());
        }
        let all = lines.invalid.saturating_add(lines.refused);
        let rest = all.saturating_sub(lines.faults.len());
        if let (1.., Some((line, _))) = (rest, lines.faults.last()) {
            self.foreign(file, *line, format!("{rest} more lines of this file are skipped"));
        }
        if lines.over_limit > 0 {
            let message = format!("{} entries are past the bound and skipped", lines.over_limit);
            self.foreign(file, 1, message);
        }
    }

    fn foreign(&self, file: &str, line: usize, message: String) {
        self.findings.push_foreign(Finding {
            file: Arc::from(file),
            place: Place { line, column: 1 },
            severity: Severity::Warning,
            message,
            nearest: None,
        });
    }
}
