//! TOML text becomes values, past as many faults as can be told apart.
//!
//! The parser stops at the first fault. Here the faulty statement is blanked out of a copy of the text
//! (places stay where they are) and the rest is parsed again, so that one fault does not hide the next.

use std::ops::Range;

use toml_span::{
    ErrorKind, Span, Value,
    tokens::{Token, Tokenizer},
};

use crate::finding::{Findings, Quoted, Severity};

/// Bytes parsed in all before giving up on the rest of the document, and parsings in any case.
const MAX_PARSED: usize = 64 << 20;
const MIN_PARSINGS: usize = 8;
/// Faults reported before giving up, however short the document is.
const MAX_FAULTS: usize = 500;

/// Reads the values of the text without its faulty statements; reports every fault of the text as TOML.
///
/// Where more than a duplicate was skipped, `findings` are marked partial: what is missing may only have
/// been skipped. `None` where there is no end to the faults.
pub(crate) fn read<R>(findings: &mut Findings, read: impl FnOnce(&Value<'_>, &Findings) -> R) -> Option<R> {
    let mut text = findings.source().text().to_string();
    let parsings = (MAX_PARSED / text.len().max(1)).clamp(MIN_PARSINGS, MAX_FAULTS);
    for _ in 0..parsings {
        let fault = match toml_span::parse(&text) {
            Ok(values) => return Some(read(&values, findings)),
            Err(fault) => fault,
        };
        let message = describe(&fault, findings);
        findings.push(fault.span.start, Severity::Error, message, None);
        let duplicate = matches!(
            fault.kind,
            ErrorKind::DuplicateKey { .. } | ErrorKind::DuplicateTable { .. }
        );
        if !duplicate {
            findings.mark_partial();
        }
        let range = faulty_range(&text, &fault);
        if !blank(&mut text, range) {
            break;
        }
    }
    findings.mark_partial();
    None
}

fn describe(fault: &toml_span::Error, findings: &Findings) -> String {
    let source = findings.source();
    let first = |span: Span| source.place(span.start).line;
    match &fault.kind {
        ErrorKind::DuplicateKey { key, first: span } => {
            format!("duplicate {}, first given on line {}", Quoted(key), first(*span))
        }
        ErrorKind::DuplicateTable { name, first: span } => {
            format!(
                "duplicate table {}, first given on line {}",
                Quoted(name),
                first(*span)
            )
        }
        ErrorKind::DottedKeyInvalidType { first: span } => format!(
            "this key extends a value that is no table, given on line {}",
            first(*span)
        ),
        ErrorKind::RedefineAsArray => {
            "`[[…]]` adds to what was given as a single table `[…]` before; use the same brackets".to_owned()
        }
        ErrorKind::UnquotedString => "text values must be quoted: \"…\"".to_owned(),
        ErrorKind::UnexpectedEof => "the file ends where a value was expected".to_owned(),
        ErrorKind::ExceededDepthLimit => "nested too deeply".to_owned(),
        ErrorKind::UnterminatedString => "this string has no closing quote".to_owned(),
        ErrorKind::InvalidCharInString('\n') => "the line ends inside a string".to_owned(),
        ErrorKind::InvalidNumber => "not a number TOML knows; text values must be quoted: \"…\"".to_owned(),
        ErrorKind::InvalidCharInString(c) => {
            format!("{} must not stand in a string", Quoted(&c.to_string()))
        }
        ErrorKind::InvalidEscape(c) => format!(
            "{} is no escape TOML knows; single quotes take backslashes as they are",
            Quoted(&format!("\\{c}"))
        ),
        ErrorKind::Unexpected(c) => format!("{} is not expected here", Quoted(&c.to_string())),
        ErrorKind::Wanted { expected, found } => format!("expected {expected}, found {found}"),
        ErrorKind::InvalidHexEscape(_)
        | ErrorKind::InvalidEscapeValue(_)
        | ErrorKind::OutOfRange(_)
        | ErrorKind::MultilineStringKey
        | ErrorKind::Custom(_)
        | ErrorKind::UnexpectedKeys { .. }
        | ErrorKind::MissingField(_)
        | ErrorKind::Deprecated { .. }
        | ErrorKind::UnexpectedValue { .. } => fault.to_string(),
    }
}

/// Replaces what `range` holds by spaces; says whether there was anything to replace.
fn blank(text: &mut String, range: Range<usize>) -> bool {
    let Some(old) = text.get(range.clone()) else {
        return false;
    };
    let spaces: String = old
        .bytes()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                char::from(byte)
            } else {
                ' '
            }
        })
        .collect();
    let changed = old != spaces;
    text.replace_range(range, &spaces);
    changed
}

/// What must go so that the rest can be read: a statement, or a table's header with all it holds.
fn faulty_range(text: &str, fault: &toml_span::Error) -> Range<usize> {
    let at = fault.span.start.min(text.len());
    let statements = statements(text);
    let index = statements.partition_point(|statement| statement.range.end <= at);
    let Some(statement) = statements.get(index) else {
        return statements.last().map_or(0..0, |last| last.range.clone());
    };
    if statement.header {
        let end = statements
            .iter()
            .skip(index + 1)
            .find(|next| next.header)
            .map_or(text.len(), |next| next.range.start);
        return statement.range.start..end;
    }
    // A bracket that is never closed swallows what follows: give up the lines before the fault only.
    let fault_line = text
        .get(..at)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |end| end + 1);
    if !statement.closed && fault_line > statement.range.start {
        return statement.range.start..fault_line;
    }
    statement.range.clone()
}

struct Statement {
    range: Range<usize>,
    header: bool,
    /// Every bracket was closed.
    closed: bool,
}

/// Cuts the text at the line ends that end a statement: those outside of brackets and strings.
fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let statement = next_statement(text, start);
        start = statement.range.end.max(start + 1);
        statements.push(statement);
    }
    statements
}

fn next_statement(text: &str, start: usize) -> Statement {
    let rest = text.get(start..).unwrap_or("");
    let mut tokens = Tokenizer::new(rest);
    let mut depth = 0_usize;
    let mut first = true;
    let mut header = false;
    loop {
        match tokens.step() {
            Ok(Some((span, Token::Newline))) if depth == 0 => {
                // The span of a folded CR LF begins at the CR.
                let end = rest
                    .get(span.start..)
                    .and_then(|tail| tail.find('\n'))
                    .map_or(rest.len(), |at| span.start + at + 1);
                return Statement {
                    range: start..start + end,
                    header,
                    closed: true,
                };
            }
            Ok(Some((_, token))) => match token {
                Token::LeftBracket | Token::LeftBrace => {
                    header |= first;
                    first = false;
                    depth += 1;
                }
                Token::RightBracket | Token::RightBrace => depth = depth.saturating_sub(1),
                Token::Whitespace(_) | Token::Newline | Token::Comment(_) => {}
                Token::Equals
                | Token::Period
                | Token::Comma
                | Token::Colon
                | Token::Plus
                | Token::Keylike(_)
                | Token::String { .. } => first = false,
            },
            Ok(None) => {
                return Statement {
                    range: start..text.len(),
                    header,
                    closed: depth == 0,
                };
            }
            Err(_) => {
                let at = tokens.current().min(rest.len());
                let end = rest
                    .get(at.saturating_sub(1)..)
                    .and_then(|tail| tail.find('\n'))
                    .map_or(rest.len(), |line| at.saturating_sub(1) + line + 1);
                return Statement {
                    range: start..start + end.max(1),
                    header,
                    closed: depth == 0,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Source;

    fn faults(text: &str) -> (Vec<String>, bool) {
        let mut findings = Findings::new(Source::new("f", text));
        let usable = read(&mut findings, |_, _| ()).is_some() && !findings.is_partial();
        (
            findings.into_sorted().iter().map(ToString::to_string).collect(),
            usable,
        )
    }

    #[test]
    fn duplicates_are_found_and_passed_over() {
        let (lines, usable) = faults("[a.x]\nk = 1\nk = 2\n[a.y]\n[a.x]\nz = [\n1]\nk = 3\n[a.y]\n");
        assert_eq!(
            lines,
            [
                "f:3:1: error: duplicate `k`, first given on line 2",
                "f:5:1: error: duplicate table `x`, first given on line 1",
                "f:9:1: error: duplicate table `y`, first given on line 4",
            ]
        );
        assert!(usable);
    }

    #[test]
    fn faults_do_not_hide_each_other() {
        let (lines, usable) = faults("a = lan0\nb = 1\nc = \"x\nd = [1, 2\ne = 3\nf = \"\\q\"\n[g\nh = 1\n");
        assert_eq!(
            lines,
            [
                "f:1:5: error: text values must be quoted: \"…\"",
                "f:3:7: error: the line ends inside a string",
                "f:5:1: error: expected a right bracket, found an identifier",
                "f:6:7: error: `\\q` is no escape TOML knows; single quotes take backslashes as they are",
                "f:7:3: error: expected a right bracket, found a newline",
            ]
        );
        assert!(!usable);
    }

    #[test]
    fn statements_end_where_no_bracket_is_open() {
        let text = "a = [\n1]\r\n\n[t]\nb = '''\n]\n'''";
        let cut: Vec<_> = statements(text).into_iter().map(|s| &text[s.range]).collect();
        assert_eq!(cut, ["a = [\n1]\r\n", "\n", "[t]\n", "b = '''\n]\n'''"]);
    }

    proptest! {
        /// Text made of what TOML is made of, mostly wrong.
        #[test]
        fn any_text_is_survived(text in r#"([ab.=\[\]{}"',#\\\r\nu01 é+-]|'''|"""|\[\[a\]\]|\[a\]|a = |\n){0,40}"#) {
            faults(&text);
        }
    }
}
