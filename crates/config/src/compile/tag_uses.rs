//! Who defines, sets and asks for which tags.
//!
//! A tag need not be defined to be registered or matched, so a misspelt one is no error; but it is the
//! kind of fault that shows only when somebody should have been quarantined.

use std::collections::BTreeSet;

use tags::{InvalidTagName, TagId, TagNames};

use super::{Compiler, Register};
use crate::{
    finding::{Findings, Quoted, Severity},
    reader::Text,
};

/// Every mention of a tag in the document.
#[derive(Debug)]
pub(super) struct TagUses<'a> {
    defined: Register<'a, TagId>,
    /// Set by an action, or carried by an object or group.
    set: Mentions<'a>,
    /// Named by the filter of a dynamic group.
    asked: Mentions<'a>,
    /// Only a colour in listings: on a rule.
    shown: Mentions<'a>,
}

type Mentions<'a> = Vec<(TagId, &'a Text)>;

impl<'a> TagUses<'a> {
    pub(super) fn new() -> Self {
        Self {
            defined: Register::new("tag"),
            set: Vec::new(),
            asked: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Notes the tags that a group's filter asks for.
    pub(super) fn ask(&mut self, filter: &'a Text, tags: Vec<TagId>) {
        self.asked.extend(tags.into_iter().map(|tag| (tag, filter)));
    }

    /// Warns about tags that are defined for nothing, asked for in vain, or set in vain.
    pub(super) fn report(&self, names: &TagNames, findings: &Findings) {
        for (tag, _) in self.set.iter().chain(&self.asked).chain(&self.shown) {
            self.defined.find(names.resolve(*tag));
        }
        self.defined.report_unused(findings);
        let ids = |mentions: &Mentions<'_>| mentions.iter().map(|(tag, _)| *tag).collect::<BTreeSet<_>>();
        let (set, asked) = (ids(&self.set), ids(&self.asked));
        let name = |tag: &TagId| &**names.resolve(*tag);
        for (tag, filter) in &self.asked {
            if !set.contains(tag) && !self.defined.has(name(tag)) {
                let near = findings.nearest(name(tag), self.defined.names().chain(set.iter().map(name)));
                let at = filter.value.find(name(tag)).unwrap_or(0);
                let message = format!("nothing sets or defines tag {}", Quoted(name(tag)));
                findings.inside(filter.span, at, Severity::Warning, message, near);
            }
        }
        for (tag, text) in &self.set {
            if !asked.contains(tag) && !self.defined.has(name(tag)) {
                let near = findings.nearest(name(tag), self.defined.names().chain(asked.iter().map(name)));
                let message = format!(
                    "no address group asks for tag {}, and it is not defined",
                    Quoted(name(tag))
                );
                findings.warning_near(text.span, message, near);
            }
        }
        for (tag, text) in &self.shown {
            if !self.defined.has(name(tag)) {
                let near = findings.nearest(name(tag), self.defined.names());
                findings.warning_near(
                    text.span,
                    format!("tag {} is not defined", Quoted(name(tag))),
                    near,
                );
            }
        }
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn tags(&mut self) {
        for entry in &self.document.tags {
            let tag = match self.tag_names.intern(&entry.name.value) {
                Ok(tag) => tag,
                // Told when its name was read.
                Err(InvalidTagName::Empty | InvalidTagName::TooLong | InvalidTagName::ControlCharacter) => {
                    continue;
                }
                Err(fault @ InvalidTagName::TooMany) => {
                    self.findings.error(entry.name.span, fault.to_string());
                    continue;
                }
            };
            self.tag_uses.defined.add("tag", &entry.name, tag, self.findings);
        }
    }

    /// The tags that an object, a group or an action puts on addresses.
    pub(super) fn set_tags(&mut self, names: &'a [Text]) -> Vec<TagId> {
        let tags = self.tag_ids(names);
        self.tag_uses.set.extend(&tags);
        tags.into_iter().map(|(tag, _)| tag).collect()
    }

    /// The tags that a rule or service is shown with.
    pub(super) fn shown_tags(&mut self, names: &'a [Text]) -> Vec<TagId> {
        let tags = self.tag_ids(names);
        self.tag_uses.shown.extend(&tags);
        tags.into_iter().map(|(tag, _)| tag).collect()
    }

    fn tag_ids(&self, names: &'a [Text]) -> Mentions<'a> {
        let named = names.iter().filter_map(|name| Some((self.tag(name)?, name)));
        named.collect()
    }

    fn tag(&self, name: &Text) -> Option<TagId> {
        match self.tag_names.intern(&name.value) {
            Ok(tag) => Some(tag),
            Err(fault) => {
                self.findings.error(name.span, fault.to_string());
                None
            }
        }
    }

    /// Objects and groups that a dynamic group takes in by their tags are used, though nothing names them.
    pub(super) fn use_by_tags(&self) {
        let objects = self
            .document
            .addresses
            .iter()
            .map(|entry| (&entry.name, &entry.tags));
        let groups = self
            .document
            .address_groups
            .iter()
            .map(|entry| (&entry.name, &entry.tags));
        let asked: BTreeSet<TagId> = self.tag_uses.asked.iter().map(|(tag, _)| *tag).collect();
        for (name, tags) in objects.chain(groups) {
            let mut tags = tags.iter().filter_map(|tag| self.tag_names.get(&tag.value));
            if tags.any(|tag| asked.contains(&tag)) {
                self.addresses.find(&name.value);
            }
        }
    }
}
