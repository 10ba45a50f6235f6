//! Rules that never match, because one before them always does.

use std::collections::HashSet;

use policy::Policy;

use super::Compiler;
use crate::{
    document::Document,
    finding::{Findings, Quoted},
    reader::Text,
};

/// Objects and rules with faults, by the place of their names. What is left of them may match less than
/// was meant, so that nothing is said about what shadows them or is shadowed by them.
pub(super) type Unsound = HashSet<usize>;

impl Compiler<'_> {
    /// Compiles an object or rule; one with an error, or that refers to one with an error, is unsound.
    pub(super) fn watched<T>(&mut self, name: &Text, compile: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.findings.error_count();
        self.touched_unsound.set(false);
        let compiled = compile(self);
        if self.touched_unsound.get() || self.findings.error_count() > before {
            self.unsound.insert(name.span.start);
        }
        compiled
    }

    /// What is being compiled refers to the object that is defined here.
    pub(super) fn refer_to(&self, definition: Option<usize>) {
        if definition.is_some_and(|at| self.unsound.contains(&at)) {
            self.touched_unsound.set(true);
        }
    }
}

/// Warns about shadowed rules.
pub(super) fn report(document: &Document, policy: &Policy, unsound: &Unsound, findings: &Findings) {
    for (rule, by) in policy.shadowed() {
        let rules = &document.security_rules;
        if let (Some(rule), Some(by)) = (rules.get(rule.index()), rules.get(by.index())) {
            warn("security rule", &rule.name, &by.name, unsound, findings);
        }
    }
    for (rule, by) in policy.shadowed_decryption() {
        let rules = &document.decryption_rules;
        if let (Some(rule), Some(by)) = (rules.get(rule.index()), rules.get(by.index())) {
            warn("decryption rule", &rule.name, &by.name, unsound, findings);
        }
    }
}

fn warn(kind: &str, rule: &Text, by: &Text, unsound: &Unsound, findings: &Findings) {
    if unsound.contains(&rule.span.start) || unsound.contains(&by.span.start) {
        return;
    }
    let line = findings.source().place(by.span.start).line;
    let message = format!(
        "{kind} {} is shadowed: {} on line {line} matches whatever it would",
        Quoted(&rule.value),
        Quoted(&by.value)
    );
    findings.warning(rule.span, message);
}
