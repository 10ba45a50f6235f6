//! The text of a document, and where in it a byte stands.

use std::sync::Arc;

use toml_span::Span;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1. A tab is one character, a byte order mark none.
    pub column: usize,
}

impl Place {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A document's text under the name the user gave it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    file: Arc<str>,
    text: Arc<str>,
    marks: Arc<[Mark]>,
}

/// A place that need not be counted out: the beginning of a line, or somewhere in a long one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: usize,
    place: Place,
}

/// Bytes between two marks at most: what is counted out for one place.
const MARK_EVERY: usize = 4096;

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
            marks: marks(text).into(),
        }
    }

    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Where the byte at `offset` stands; the end of the text for offsets beyond it.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let Some(mark) = after.checked_sub(1).and_then(|at| self.marks.get(at)) else {
            return Place::START;
        };
        let between = self.text.as_bytes().get(mark.offset..offset).unwrap_or(&[]);
        Place {
            column: mark.place.column.saturating_add(characters(between)),
            ..mark.place
        }
    }

    /// Where the value of `span` begins: at the opening quote of a string, whose span is its content.
    pub(crate) fn value_start(&self, span: Span) -> usize {
        let bytes = self.text.as_bytes();
        let before = bytes.get(..span.start).unwrap_or(bytes);
        // toml-span gives the empty string's own opening quote.
        let empty = span.end == span.start.saturating_add(1)
            && matches!(
                bytes.get(span.start..span.start.saturating_add(2)),
                Some(b"\"\"" | b"''")
            );
        if empty {
            return span.start;
        }
        let trimmed = before
            .strip_suffix(b"\r\n")
            .or_else(|| before.strip_suffix(b"\n"))
            .unwrap_or(before);
        if trimmed.ends_with(b"\"\"\"") || trimmed.ends_with(b"'''") {
            return trimmed.len().saturating_sub(3);
        }
        match before.last() {
            Some(b'"' | b'\'') => before.len().saturating_sub(1),
            _ => span.start,
        }
    }

    /// The offset in the text of the byte `inside` the decoded string whose content is `span`: escapes
    /// are longer in the text than what they stand for.
    pub(crate) fn inside_string(&self, span: Span, inside: usize) -> usize {
        let content = self.text.get(span.start..span.end).unwrap_or("");
        let escaped = self
            .text
            .as_bytes()
            .get(self.value_start(span))
            .is_some_and(|quote| *quote == b'"');
        let mut decoded = 0_usize;
        let mut rest = content;
        while let Some(first) = rest.chars().next() {
            let (taken, stands_for) = match first {
                '\\' if escaped => escape(rest),
                '\r' if rest.starts_with("\r\n") => (2, 1),
                _ => (first.len_utf8(), first.len_utf8()),
            };
            if decoded.saturating_add(stands_for) > inside {
                break;
            }
            decoded = decoded.saturating_add(stands_for);
            rest = rest.get(taken..).unwrap_or("");
        }
        span.start
            .saturating_add(content.len().saturating_sub(rest.len()))
    }
}

/// Characters that begin in `bytes`, so that an offset inside one does no harm.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// Every mark, in order. The byte order mark is no character, so that the first mark stands behind it.
fn marks(text: &str) -> Vec<Mark> {
    let begin = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut marks = Vec::new();
    let mut offset = begin;
    for (line, number) in text.get(begin..).unwrap_or("").split_inclusive('\n').zip(1..) {
        let mut column = 1_usize;
        for part in line.as_bytes().chunks(MARK_EVERY) {
            let place = Place { line: number, column };
            marks.push(Mark { offset, place });
            column = column.saturating_add(characters(part));
            offset = offset.saturating_add(part.len());
        }
    }
    if text.ends_with('\n') || marks.is_empty() {
        let line = marks.last().map_or(1, |mark| mark.place.line.saturating_add(1));
        let place = Place { line, column: 1 };
        marks.push(Mark { offset, place });
    }
    marks
}

/// How many bytes the escape at the beginning of `text` takes, and how many bytes it stands for.
fn escape(text: &str) -> (usize, usize) {
    let digits = match text.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            // A line-ending backslash swallows all white space behind it.
            let tail = text.get(1..).unwrap_or("");
            let white = tail.len().saturating_sub(tail.trim_start().len());
            return (white.saturating_add(1), 0);
        }
        Some(_) => return (2.min(text.len()), 1),
        None => return (1, 0),
    };
    let character = text
        .get(2..digits + 2)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .and_then(char::from_u32);
    ((digits + 2).min(text.len()), character.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, needle: &str) -> (usize, usize) {
        let at = Source::new("f", text).place(text.find(needle).unwrap());
        (at.line, at.column)
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(place("a = 1\nü\t = 2", "="), (1, 3));
        assert_eq!(place("a . 1\nüü\t = 2", "="), (2, 5));
        assert_eq!(place("\u{feff}a = 1", "a"), (1, 1));
        let source = Source::new("f", "ü");
        assert_eq!(source.place(1).column, 2, "inside a character");
        assert_eq!(source.place(99), Place { line: 1, column: 2 });
        assert_eq!(Source::new("f", "").place(0), Place::START);
        assert_eq!(Source::new("f", "a\n").place(2), Place { line: 2, column: 1 });
        let long = format!("é\n{}= 1", "é".repeat(10_000));
        assert_eq!(place(&long, "="), (2, 10_001));
    }

    /// Where the decoded byte `inside` of `value` stands in `text`, and where the value begins.
    fn inside(text: &str, inside: usize) -> (usize, usize) {
        let value = toml_span::parse(text).unwrap();
        let span = value.pointer("/a").unwrap().span;
        let source = Source::new("f", text);
        (source.inside_string(span, inside), source.value_start(span))
    }

    #[test]
    fn offsets_inside_strings_skip_escapes() {
        assert_eq!(inside(r#"a = "xyz""#, 1), (6, 4));
        assert_eq!(inside(r"a = 'x\z'", 2), (7, 4));
        assert_eq!(inside(r#"a = "\"x\u00e9y""#, 1), (7, 4));
        assert_eq!(inside(r#"a = "\"x\u00e9y""#, 2), (8, 4));
        assert_eq!(inside(r#"a = "\"x\u00e9y""#, 4), (14, 4));
        assert_eq!(inside("a = \"\"\"\nx\\\n   y\"\"\"", 1), (14, 4));
        assert_eq!(inside("a = '''\r\nx\r\ny'''", 2), (12, 4));
        assert_eq!(inside("a = \"\"", 0), (4, 4));
        assert_eq!(inside("a = \"xyz\"", 99), (8, 4), "behind the end");
    }
}
