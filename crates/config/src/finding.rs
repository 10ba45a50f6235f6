//! What is wrong with a document, and where.

use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::Arc,
};

use toml_span::Span;

use crate::source::{Place, Source};

/// Whether a finding stops a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but probably does not say what was meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong, with its place.
///
/// [`fmt::Display`] writes the line the user sees: `FILE:LINE:COL: error: what is wrong; nearest valid
/// name: …`. Control characters of foreign text are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as the user spelled it.
    pub file: Arc<str>,
    /// Line and column in it.
    pub place: Place,
    /// Whether it stops a commit.
    pub severity: Severity,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The nearest valid name, where a name was wrong and one comes near.
    pub nearest: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}: {}",
            self.file,
            self.place.line,
            self.place.column,
            self.severity.name(),
            self.message
        )?;
        match &self.nearest {
            Some(name) => write!(f, "; nearest valid name: {}", Quoted(name)),
            None => Ok(()),
        }
    }
}

/// Text of others inside a message: between backticks, on one line, without control characters, cut
/// where it is long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Quoted<'_> {
    const MAX: usize = 80;
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        f.write_char('`')?;
        for (count, character) in self.0.chars().enumerate() {
            if count == Self::MAX {
                f.write_str("…")?;
                break;
            }
            // `escape_debug` also escapes what turns text round or takes no room.
            match character {
                '\'' | '"' | '\\' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        f.write_char('`')
    }
}

/// Collects findings about one document; shared by everything that reads it.
#[derive(Debug)]
pub(crate) struct Findings {
    source: Source,
    list: RefCell<Vec<Finding>>,
    errors: Cell<usize>,
    /// Statements were skipped: what is missing may only have been skipped.
    partial: bool,
    /// Names that may still be compared in search of the nearest one.
    comparisons: Cell<usize>,
}

impl Findings {
    /// Names compared in search of the nearest one; past it findings come without one. Ten thousand wrong
    /// references to ten thousand objects must not take minutes.
    const COMPARISONS: usize = 200_000;

    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            list: RefCell::default(),
            errors: Cell::new(0),
            partial: false,
            comparisons: Cell::new(Self::COMPARISONS),
        }
    }

    /// The candidate nearest to `name`, if one comes near.
    pub(crate) fn nearest<'a>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        let left = self.comparisons.get();
        let mut used = 0_usize;
        let counted = candidates.into_iter().take(left).inspect(|_| used += 1);
        let found = logs::nearest(name, counted).map(str::to_owned);
        self.comparisons.set(left.saturating_sub(used));
        found
    }

    /// Goes on where an earlier reading of the same document ended.
    pub(crate) fn resume(source: Source, earlier: Vec<Finding>) -> Self {
        let errors = earlier
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        Self {
            list: RefCell::new(earlier),
            errors: Cell::new(errors),
            ..Self::new(source)
        }
    }

    /// How many of them stop a commit.
    pub(crate) fn error_count(&self) -> usize {
        self.errors.get()
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// From here on nothing is reported as missing.
    pub(crate) fn mark_partial(&mut self) {
        self.partial = true;
    }

    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// An error about the value or key of `span`.
    pub(crate) fn error(&self, span: Span, message: impl Into<String>) {
        self.error_near(span, message, None);
    }

    /// An error about the value or key of `span`, with the nearest valid name.
    pub(crate) fn error_near(&self, span: Span, message: impl Into<String>, nearest: Option<String>) {
        let at = self.source.value_start(span);
        self.push(at, Severity::Error, message.into(), nearest);
    }

    /// A warning about the value or key of `span`.
    pub(crate) fn warning(&self, span: Span, message: impl Into<String>) {
        self.warning_near(span, message, None);
    }

    /// A warning about the value or key of `span`, with the nearest valid name.
    pub(crate) fn warning_near(&self, span: Span, message: impl Into<String>, nearest: Option<String>) {
        let at = self.source.value_start(span);
        self.push(at, Severity::Warning, message.into(), nearest);
    }

    /// A finding inside the string value of `span`, at byte `inside` of what it stands for.
    pub(crate) fn inside(
        &self,
        span: Span,
        inside: usize,
        severity: Severity,
        message: impl Into<String>,
        nearest: Option<String>,
    ) {
        let at = self.source.inside_string(span, inside);
        self.push(at, severity, message.into(), nearest);
    }

    /// A finding at a byte of the text.
    pub(crate) fn push(&self, offset: usize, severity: Severity, message: String, nearest: Option<String>) {
        self.push_foreign(Finding {
            file: Arc::clone(self.source.file()),
            place: self.source.place(offset),
            severity,
            message,
            nearest,
        });
    }

    /// A finding in another file than the document.
    pub(crate) fn push_foreign(&self, finding: Finding) {
        if finding.severity == Severity::Error {
            self.errors.set(self.errors.get().saturating_add(1));
        }
        self.list.borrow_mut().push(finding);
    }

    /// All findings: the document's first, each file's in the order of its lines.
    pub(crate) fn into_sorted(self) -> Vec<Finding> {
        let mut list = self.list.into_inner();
        let file = Arc::clone(self.source.file());
        list.sort_by(|a, b| {
            let key = |finding: &Finding| (finding.file != file, Arc::clone(&finding.file), finding.place);
            key(a).cmp(&key(b))
        });
        list.dedup();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_place_and_injects_nothing() {
        let findings = Findings::new(Source::new("fw.toml", "a = 1\nb = \"x\""));
        let b = Span::new(11, 12);
        findings.error_near(
            b,
            format!("unknown {}", Quoted("x\u{1b}[2J\u{202e}'")),
            Some("y".into()),
        );
        findings.warning(Span::new(0, 1), "first");
        let lines: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "fw.toml:1:1: warning: first",
                "fw.toml:2:5: error: unknown `x\\u{1b}[2J\\u{202e}'`; nearest valid name: `y`"
            ]
        );
        assert_eq!(Quoted(&"x".repeat(99)).to_string().chars().count(), 83);
    }
}
