//! External lists and URL categories: texts of other files.

use std::sync::Arc;

use inspect::domains::{ListEntry, ListOptions, ListTag};
use policy::{AddressObject, AddressRef, AddressValue, HostPattern};
use tags::Addresses;

use super::Compiler;
use crate::{
    document::ListKind,
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
    /// Entries taken.
    pub entries: usize,
    /// Lines that are comments.
    pub comments: usize,
    /// Lines that are no entry.
    pub invalid: usize,
    /// Entries refused because they cover a public suffix.
    pub refused: usize,
}

/// Findings told of one list; the rest is summed up.
const TOLD: usize = 10;

impl<'a> Compiler<'a> {
    pub(super) fn lists(&mut self) {
        for entry in &self.document.lists {
            let symbol = self.symbol(&entry.name);
            let id = self.builder.add_list(symbol);
            let file = entry
                .url
                .as_ref()
                .map(|url| &*url.value)
                .and_then(Location::parse);
            if let Some(url) = &entry.url
                && file.is_none()
            {
                self.findings.error(
                    url.span,
                    "a list comes from `file:PATH`, `https://…` or `http://…`",
                );
            }
            let file = file.map_or_else(String::new, |file| file.to_string());
            let text = self.text(
                &entry.name,
                entry.url.as_ref(),
                self.sources.list(&entry.name.value),
            );
            match entry.kind {
                Some(ListKind::Domain) => {
                    self.domain_lists
                        .add("external list", &entry.name, id, self.findings);
                    let mut exceptions = Vec::new();
                    for name in &entry.exceptions {
                        match name.value.parse::<ListEntry>() {
                            Ok(exception) => exceptions.push(exception),
                            Err(fault) => self.findings.error(name.span, fault.to_string()),
                        }
                    }
                    let options = ListOptions {
                        expand: entry.expand_domain,
                        exceptions,
                        allow_public_suffix: entry.allow_public_suffix,
                        ..ListOptions::default()
                    };
                    let report = self.domains.add(ListTag(id.0), text, &options);
                    let refused = report.refused.iter().map(|(line, name)| {
                        (
                            *line,
                            format!(
                                "{} covers a public suffix; `allow-public-suffix = true` takes it",
                                Quoted(name)
                            ),
                        )
                    });
                    let told: Vec<(usize, String)> = report.invalid.iter().cloned().chain(refused).collect();
                    self.tell(&file, &told, report.invalid_count + report.refused_count);
                    self.list_summaries.push(ListSummary {
                        name: Arc::from(&*entry.name.value),
                        entries: report.names,
                        comments: report.comments,
                        invalid: report.invalid_count,
                        refused: report.refused_count,
                    });
                }
                Some(ListKind::Ip) => {
                    let mut summary = Summing::new(&entry.name);
                    let mut list = Vec::new();
                    for (line, number) in text.lines().zip(1..) {
                        let Some(word) = word_of(line) else {
                            summary.comment(line);
                            continue;
                        };
                        match word.parse::<Addresses>() {
                            Ok(addresses) => list.push(addresses),
                            Err(_) => summary
                                .invalid(number, format!("{} is no address, prefix or range", Quoted(word))),
                        }
                    }
                    summary.of.entries = list.len();
                    self.tell(&file, &summary.told, summary.of.invalid);
                    self.list_summaries.push(summary.of);
                    let object = AddressObject {
                        name: symbol,
                        value: AddressValue::List(list),
                        tags: Vec::new(),
                    };
                    let id = self.builder.add_address(object);
                    self.addresses.add(
                        "external list",
                        &entry.name,
                        AddressRef::Object(id),
                        self.findings,
                    );
                }
                Some(ListKind::Url) => {
                    let category = self.builder.add_category(symbol);
                    self.categories
                        .add("external list", &entry.name, category, self.findings);
                    let mut summary = Summing::new(&entry.name);
                    self.patterns(category, text, &mut summary);
                    self.tell(&file, &summary.told, summary.of.invalid);
                    self.list_summaries.push(summary.of);
                }
                None => {}
            }
        }
        for entry in &self.document.url_categories {
            let symbol = self.symbol(&entry.name);
            let category = self.builder.add_category(symbol);
            self.categories
                .add("URL category", &entry.name, category, self.findings);
            for host in &entry.list {
                match host.value.parse::<HostPattern>() {
                    Ok(pattern) => self.builder.add_pattern(category, &pattern),
                    Err(fault) => self.findings.error(host.span, fault.to_string()),
                }
            }
        }
        for name in self.document.folder_categories() {
            let Some(source) = self.sources.category(&name.value) else {
                continue;
            };
            if let SourceText::Failed(_) = source
                && !self.sources.folders().any(|folder| folder == &*name.value)
            {
                continue; // no such folder: told where a rule names it
            }
            let symbol = self.symbol(name);
            let category = self.builder.add_category(symbol);
            self.categories.add("URL category", name, category, self.findings);
            let text = self.text(name, Some(name), Some(source));
            let file = self.document.category_path(&name.value).unwrap_or_default();
            let mut summary = Summing::new(name);
            self.patterns(category, text, &mut summary);
            self.tell(&file, &summary.told, summary.of.invalid);
        }
    }

    /// The text of a file; an error where it could not be read.
    fn text(&self, name: &Text, at: Option<&Text>, source: Option<&'a SourceText>) -> &'a str {
        let span = at.map_or(name.span, |at| at.span);
        match source {
            Some(SourceText::Read(text)) => text,
            Some(SourceText::Failed(why)) => {
                self.findings
                    .error(span, format!("{}: {why}", Quoted(&name.value)));
                ""
            }
            Some(SourceText::Pending) => {
                let message = format!(
                    "{} is fetched by a running firewall; here it counts as empty",
                    Quoted(&name.value)
                );
                self.findings.warning(span, message);
                ""
            }
            None => "",
        }
    }

    fn patterns(&mut self, category: policy::CategoryId, text: &str, summary: &mut Summing) {
        for (line, number) in text.lines().zip(1..) {
            let Some(word) = word_of(line) else {
                summary.comment(line);
                continue;
            };
            match word.parse::<HostPattern>() {
                Ok(pattern) => {
                    self.builder.add_pattern(category, &pattern);
                    summary.of.entries += 1;
                }
                Err(fault) => summary.invalid(number, format!("{}: {fault}", Quoted(word))),
            }
        }
    }

    fn tell(&self, file: &str, told: &[(usize, String)], count: usize) {
        let told = told.get(..TOLD).unwrap_or(told);
        for (line, message) in told {
            self.foreign(file, *line, message.clone());
        }
        if count > told.len()
            && let Some((line, _)) = told.last()
        {
            self.foreign(
                file,
                *line,
                format!("{} more lines are skipped", count - told.len()),
            );
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

/// The entry of a line of an address or host list; `None` where it is empty or a comment.
fn word_of(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    (!word.starts_with(['#', ';']) && !word.starts_with("//")).then_some(word)
}

struct Summing {
    of: ListSummary,
    told: Vec<(usize, String)>,
}

impl Summing {
    fn new(name: &Text) -> Self {
        let of = ListSummary {
            name: Arc::from(&*name.value),
            entries: 0,
            comments: 0,
            invalid: 0,
            refused: 0,
        };
        Self { of, told: Vec::new() }
    }

    fn comment(&mut self, line: &str) {
        self.of.comments += usize::from(!line.trim().is_empty());
    }

    fn invalid(&mut self, line: usize, message: String) {
        self.of.invalid += 1;
        if self.told.len() < TOLD {
            self.told.push((line, message));
        }
    }
}
