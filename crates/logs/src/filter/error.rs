//! What is wrong with a filter, and where.

use std::fmt;

use crate::{Filter, Operator};

/// What is wrong at one place of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub(super) column: usize,
    pub(super) problem: Problem,
    pub(super) nearest: Option<String>,
}

/// A spelling that is accepted although it is not the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterWarning {
    pub(super) column: usize,
    pub(super) message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the filter is longer than {} characters", Filter::MAX_CHARS)]
    TooLong,
    #[error("more than {} parentheses and negations inside each other", Filter::MAX_DEPTH)]
    TooDeep,
    #[error("expected {expected}, found {found}")]
    Expected { expected: &'static str, found: String },
    #[error("the quote {0} is not closed")]
    UnclosedQuote(char),
    #[error("{0}")]
    Attribute(#[from] crate::UnknownAttribute),
    #[error("`{operator}` does not apply to `{attribute}`; expected {}", Alternatives(.operators))]
    Operator {
        attribute: String,
        operator: Operator,
        operators: &'static [Operator],
    },
    #[error("`{value}` is no value of `{attribute}`; expected {expected}")]
    Value {
        attribute: String,
        value: String,
        expected: &'static str,
    },
    #[error("`{value}` is a {what}; {instead}")]
    Form {
        value: String,
        what: &'static str,
        instead: &'static str,
    },
}

/// `a, b or c`.
struct Alternatives<'a>(&'a [Operator]);

impl fmt::Display for Alternatives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operator) in self.0.iter().enumerate() {
            let separator = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{operator}")?;
        }
        Ok(())
    }
}

impl FilterError {
    /// Where it is, in characters from 0.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What may have been meant.
    pub fn nearest(&self) -> Option<&str> {
        self.nearest.as_deref()
    }
}

impl fmt::Display for FilterError {
    /// What is wrong; `{:#}` adds the nearest valid name. Neither says the column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem)?;
        match &self.nearest {
            Some(nearest) if f.alternate() => write!(f, "; nearest valid name: `{nearest}`"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}

impl FilterWarning {
    /// Where it is, in characters from 0.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for FilterWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
