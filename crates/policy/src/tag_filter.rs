//! The filter of a dynamic address group: `'a' and ('b' or c)`.
//!
//! PAN-OS knows `and`, `or`, parentheses and tags, quoted or bare; `and` binds tighter. `not` is
//! cordon's extension. Written by whoever writes the configuration; length and depth are bounded.

use std::fmt;

use tags::{InvalidTagName, TagId, TagNames};

/// A filter over the tags of an address. Tags are exact and case-sensitive, and need not be defined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagFilter(Expression);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Expression {
    Tag(TagId),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Why a text is no filter, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagFilterError {
    /// Bytes before the fault.
    pub column: usize,
    /// What is wrong there.
    pub fault: TagFilterFault,
}

/// What is wrong with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFilterFault {
    /// A word, quote or parenthesis was needed.
    #[error("expected a tag, `not` or `(`")]
    ExpectedTag,
    /// Two tags without a word between them.
    #[error("expected `and`, `or`{}", if *.0 { " or `)`" } else { " or the end" })]
    ExpectedOperator(
        /// Inside parentheses.
        bool,
    ),
    /// A quote without its partner.
    #[error("the quote is not closed")]
    OpenQuote,
    /// The tag cannot be one.
    #[error("{0}")]
    Tag(#[from] InvalidTagName),
    /// More than [`TagFilter::MAX_LENGTH`] bytes.
    #[error("a filter has at most {} characters", TagFilter::MAX_LENGTH)]
    TooLong,
    /// More than [`TagFilter::MAX_DEPTH`] parentheses or `not`s inside each other.
    #[error("parentheses are nested more than {} deep", TagFilter::MAX_DEPTH)]
    TooDeep,
}

impl fmt::Display for TagFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for TagFilterError {}

impl TagFilter {
    /// The longest filter, as in PAN-OS.
    pub const MAX_LENGTH: usize = 2047;
    /// The deepest nesting.
    pub const MAX_DEPTH: usize = 64;

    /// Reads a filter; its tags are interned in `names`.
    pub fn parse(text: &str, names: &TagNames) -> Result<Self, TagFilterError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(TagFilterError {
                column: Self::MAX_LENGTH,
                fault: TagFilterFault::TooLong,
            });
        }
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
            names,
        };
        let expression = parser.any()?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.error(TagFilterFault::ExpectedOperator(false)));
        }
        Ok(Self(expression))
    }

    /// Whether a set of tags satisfies the filter; `has` answers for one tag.
    pub fn matches(&self, has: impl Fn(TagId) -> bool) -> bool {
        self.0.matches(&has)
    }

    /// Whether carrying any one of the tags it names is all it asks for.
    pub(crate) fn asks_for_any(&self) -> bool {
        match &self.0 {
            Expression::Tag(_) => true,
            Expression::Any(parts) => parts.iter().all(|part| matches!(part, Expression::Tag(_))),
            Expression::Not(_) | Expression::All(_) => false,
        }
    }

    /// Every tag the filter names, in order of their ids, each once.
    pub fn tags(&self) -> Vec<TagId> {
        let mut tags = Vec::new();
        self.0.collect(&mut tags);
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// The filter as text that reads back as the same filter: quoted tags, parentheses only where needed.
    pub fn display<'a>(&'a self, names: &'a TagNames) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| self.0.write(names, false, f))
    }
}

impl Expression {
    fn matches(&self, has: &impl Fn(TagId) -> bool) -> bool {
        match self {
            Self::Tag(tag) => has(*tag),
            Self::Not(inner) => !inner.matches(has),
            Self::All(parts) => parts.iter().all(|part| part.matches(has)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(has)),
        }
    }

    fn collect(&self, tags: &mut Vec<TagId>) {
        match self {
            Self::Tag(tag) => tags.push(*tag),
            Self::Not(inner) => inner.collect(tags),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(tags)),
        }
    }

    fn write(&self, names: &TagNames, inside_all: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => {
                let name = names.resolve(*tag);
                let quote = if name.contains('\'') { '"' } else { '\'' };
                write!(f, "{quote}{name}{quote}")
            }
            Self::Not(inner) => {
                let bare = matches!(**inner, Self::Tag(_) | Self::Not(_));
                f.write_str(if bare { "not " } else { "not (" })?;
                inner.write(names, false, f)?;
                f.write_str(if bare { "" } else { ")" })
            }
            Self::All(parts) => Self::join(parts, " and ", names, true, f),
            Self::Any(parts) if inside_all => {
                f.write_str("(")?;
                Self::join(parts, " or ", names, false, f)?;
                f.write_str(")")
            }
            Self::Any(parts) => Self::join(parts, " or ", names, false, f),
        }
    }

    fn join(
        parts: &[Self],
        word: &str,
        names: &TagNames,
        inside_all: bool,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { word })?;
            part.write(names, inside_all, f)?;
        }
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    names: &'a TagNames,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Result<Expression, TagFilterError> {
        self.chain("or", Self::all, Expression::Any)
    }

    fn all(&mut self) -> Result<Expression, TagFilterError> {
        self.chain("and", Self::factor, Expression::All)
    }

    /// `part (word part)*`; a chain of one is that one.
    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Expression, TagFilterError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, TagFilterError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                Ok(join(parts))
            }
        }
    }

    fn factor(&mut self) -> Result<Expression, TagFilterError> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > TagFilter::MAX_DEPTH {
            return Err(self.error(TagFilterFault::TooDeep));
        }
        let expression = self.nested()?;
        self.depth = self.depth.saturating_sub(1);
        Ok(expression)
    }

    fn nested(&mut self) -> Result<Expression, TagFilterError> {
        if self.take_word("not") || self.take("!") {
            return Ok(Expression::Not(Box::new(self.factor()?)));
        }
        if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.error(TagFilterFault::ExpectedOperator(true)));
            }
            return Ok(inner);
        }
        self.tag()
    }

    fn tag(&mut self) -> Result<Expression, TagFilterError> {
        self.skip_space();
        let start = self.at;
        let rest = self.rest();
        let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let (name, length) = if let Some(quote) = quote {
            let inner = rest.get(1..).unwrap_or("");
            let Some(end) = inner.find(quote) else {
                return Err(self.error(TagFilterFault::OpenQuote));
            };
            (inner.get(..end).unwrap_or(""), end.saturating_add(2))
        } else {
            let end = word_length(rest);
            let name = rest.get(..end).unwrap_or("");
            if matches!(name.to_ascii_lowercase().as_str(), "" | "and" | "or" | "not") {
                return Err(self.error(TagFilterFault::ExpectedTag));
            }
            (name, end)
        };
        self.at = start.saturating_add(length);
        match self.names.intern(name) {
            Ok(tag) => Ok(Expression::Tag(tag)),
            Err(fault) => Err(TagFilterError {
                column: start,
                fault: fault.into(),
            }),
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let length = word_length(self.rest());
        let found = self
            .rest()
            .get(..length)
            .is_some_and(|found| found.eq_ignore_ascii_case(word));
        if found {
            self.at = self.at.saturating_add(length);
        }
        found
    }

    fn take(&mut self, mark: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(mark);
        if found {
            self.at = self.at.saturating_add(mark.len());
        }
        found
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let space = rest.len().saturating_sub(rest.trim_start().len());
        self.at = self.at.saturating_add(space);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, fault: TagFilterFault) -> TagFilterError {
        TagFilterError {
            column: self.at,
            fault,
        }
    }
}

/// The length of the bare word at the beginning of `text`.
fn word_length(text: &str) -> usize {
    text.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\'' | '"' | '!'))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(filter: &str, tags: &[&str]) -> bool {
        let names = TagNames::new();
        let filter = TagFilter::parse(filter, &names).unwrap();
        let tags: Vec<TagId> = tags.iter().map(|tag| names.intern(tag).unwrap()).collect();
        filter.matches(|tag| tags.contains(&tag))
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(holds("'a' or b and c", &["a"]));
        assert!(!holds("('a' or b) and c", &["a"]));
        assert!(holds("('a' or b) and c", &["b", "c"]));
        assert!(holds("not a and not (b or c)", &["d"]));
        assert!(!holds("not not a", &[]));
        assert!(holds("'two words' AND \"it's\"", &["two words", "it's"]));
        assert!(!holds("'a'", &["A"]), "tags are case-sensitive");
        assert!(holds("'and' or'or'", &["or"]), "a quoted word is a tag");
    }

    #[test]
    fn names_the_column() {
        let names = TagNames::new();
        for (text, column, fault) in [
            ("", 0, TagFilterFault::ExpectedTag),
            ("  ", 2, TagFilterFault::ExpectedTag),
            ("'a' and", 7, TagFilterFault::ExpectedTag),
            ("'a' 'b'", 4, TagFilterFault::ExpectedOperator(false)),
            ("('a' 'b')", 5, TagFilterFault::ExpectedOperator(true)),
            ("('a' or b", 9, TagFilterFault::ExpectedOperator(true)),
            ("'a')", 3, TagFilterFault::ExpectedOperator(false)),
            ("a or 'b", 5, TagFilterFault::OpenQuote),
            ("a or ''", 5, TagFilterFault::Tag(InvalidTagName::Empty)),
            ("or a", 0, TagFilterFault::ExpectedTag),
        ] {
            assert_eq!(
                TagFilter::parse(text, &names),
                Err(TagFilterError { column, fault }),
                "{text:?}"
            );
        }
        assert_eq!(
            TagFilterFault::ExpectedOperator(true).to_string(),
            "expected `and`, `or` or `)`"
        );
    }

    #[test]
    fn is_bounded() {
        let names = TagNames::new();
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(TagFilter::parse(&nested(63), &names).is_ok());
        let fault = |text: &str| TagFilter::parse(text, &names).map_err(|error| error.fault);
        assert_eq!(fault(&nested(64)), Err(TagFilterFault::TooDeep));
        assert_eq!(fault(&"a or ".repeat(500)), Err(TagFilterFault::TooLong));
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec!["'a'", "b", "'c d'"]).prop_map(str::to_owned);
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4)
                    .prop_map(|parts| format!("({})", parts.join(" or "))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
                inner.prop_map(|part| format!("not ({part})")),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(text in expression()) {
            let names = TagNames::new();
            let filter = TagFilter::parse(&text, &names).unwrap();
            let written = filter.display(&names).to_string();
            let read = TagFilter::parse(&written, &names).unwrap();
            let ids: Vec<TagId> = ["a", "b", "c d"].iter().map(|tag| names.intern(tag).unwrap()).collect();
            for present in 0..8_usize {
                let has = |tag| ids.iter().position(|id| *id == tag).is_some_and(|at| present & (1 << at) != 0);
                prop_assert_eq!(filter.matches(has), read.matches(has), "{} / {}", text, written);
            }
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            let names = TagNames::new();
            if let Err(error) = TagFilter::parse(&text, &names) {
                prop_assert!(error.column <= text.len());
            }
        }
    }
}
