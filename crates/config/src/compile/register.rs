//! The names of one name space, and which of them anything refers to.

use std::{cell::Cell, collections::HashMap, fmt};

use crate::{
    finding::{Findings, Quoted},
    reader::Text,
};

/// Names that share a name space, each with what it stands for.
#[derive(Debug)]
pub(super) struct Register<'a, T> {
    /// What a reference may name, for messages: "address, address group or list of type ip".
    what: &'static str,
    entries: Vec<Entry<'a, T>>,
    index: HashMap<&'a str, usize>,
}

#[derive(Debug)]
struct Entry<'a, T> {
    name: &'a Text,
    /// What this one is: "address group".
    what: &'static str,
    value: T,
    used: Cell<bool>,
}

/// Who refers to a name: "rule `x`: source".
#[derive(Clone, Copy, Debug)]
pub(super) struct By<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) column: &'static str,
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, Quoted(self.name), self.column)
    }
}

/// Who refers to a name, for messages.
pub(super) fn by<'n>(kind: &'static str, name: &'n Text, column: &'static str) -> By<'n> {
    By {
        kind,
        name: &name.value,
        column,
    }
}

impl<'a, T: Copy> Register<'a, T> {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            entries: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Adds a name; one that is there already is an error, and keeps standing for what it did.
    pub(super) fn add(&mut self, what: &'static str, name: &'a Text, value: T, findings: &Findings) {
        if name.value.is_empty() {
            return;
        }
        if let Some(first) = self.entry(&name.value) {
            let line = findings.source().place(first.name.span.start).line;
            let message = format!(
                "duplicate name: {what} {} is called like the {} on line {line}",
                Quoted(&name.value),
                first.what
            );
            findings.error(name.span, message);
            return;
        }
        self.index.insert(&name.value, self.entries.len());
        self.entries.push(Entry {
            name,
            what,
            value,
            used: Cell::new(false),
        });
    }

    fn entry(&self, name: &str) -> Option<&Entry<'a, T>> {
        self.entries.get(*self.index.get(name)?)
    }

    /// What a name stands for; counts as a use of it.
    pub(super) fn find(&self, name: &str) -> Option<T> {
        let entry = self.entry(name)?;
        entry.used.set(true);
        Some(entry.value)
    }

    /// Where the name is defined.
    pub(super) fn definition(&self, name: &str) -> Option<usize> {
        self.entry(name).map(|entry| entry.name.span.start)
    }

    /// Whether the name is there; does not count as a use.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// What a reference stands for; a dangling one is an error.
    pub(super) fn resolve(&self, name: &Text, by: By<'_>, findings: &Findings) -> Option<T> {
        let found = self.find(&name.value);
        if found.is_none() {
            self.report_dangling(name, by, [], findings);
        }
        found
    }

    /// Reports a reference that leads nowhere. `others` are valid names besides those of the register.
    pub(super) fn report_dangling<'n>(
        &'n self,
        name: &Text,
        by: By<'_>,
        others: impl IntoIterator<Item = &'n str>,
        findings: &Findings,
    ) {
        let near = findings.nearest(&name.value, self.names().chain(others));
        let message = format!("{by} names {}, which is no {}", Quoted(&name.value), self.what);
        findings.error_near(name.span, message, near);
    }

    /// Every name, in order of adding.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.name.value)
    }

    /// Warns about every name that nothing refers to.
    pub(super) fn report_unused(&self, findings: &Findings) {
        for entry in self.entries.iter().filter(|entry| !entry.used.get()) {
            let message = format!("{} {} is not used", entry.what, Quoted(&entry.name.value));
            findings.warning(entry.name.span, message);
        }
    }
}
