//! PAN-OS's filter language: `(addr.src in 10.0.0.0/8) and not (action eq allow)`.
//!
//! ```text
//! filter  = "All Logs" | "" | or
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = { "not" | "!" } primary
//! primary = "(" or ")" | attribute operator value
//! value   = word | 'text' | "text"
//! ```
//!
//! A filter is checked when it is read, for one type of record: fields, operators and values that can never
//! match are errors then, so that evaluation has no way to fail.

mod error;
mod evaluate;
mod lexer;
mod literal;
mod operator;
mod parser;
mod print;
mod screen;

use packet::Timestamp;

use self::literal::Literal;
pub(crate) use self::screen::Screen;
pub use self::{
    error::{FilterError, FilterWarning},
    operator::Operator,
};
use crate::{
    Attribute, Line, LogType, Record, View,
    value::{Fields, Named},
};

/// A checked filter over one type of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    log_type: LogType,
    root: Node,
}

/// A part of a filter. `And` and `Or` hold two or more parts, none of them of their own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    All,
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Test {
    attribute: Attribute,
    operator: Operator,
    literal: Literal,
}

impl Filter {
    /// The longest filter (PAN-OS's limit for match lists).
    pub const MAX_CHARS: usize = 1023;
    /// How deep parentheses and negations nest.
    pub const MAX_DEPTH: usize = 64;

    /// Every record of a type.
    pub fn all(log_type: LogType) -> Self {
        Self {
            log_type,
            root: Node::All,
        }
    }

    /// Reads a filter over records of one type. Loose spellings that are understood come back as warnings.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, from left to right, up to the first place where the grammar itself is left.
    pub fn parse(text: &str, log_type: LogType) -> Result<(Self, Vec<FilterWarning>), Vec<FilterError>> {
        let (root, warnings) = parser::parse(text, log_type)?;
        Ok((Self { log_type, root }, warnings))
    }

    /// The type of record it is for.
    pub fn log_type(&self) -> LogType {
        self.log_type
    }

    /// Whether it lets every record of its type through because it says so.
    pub fn is_all(&self) -> bool {
        self.root == Node::All
    }

    /// Whether a record passes; one of another type never does. `now` is what `last-hour` looks back from.
    pub fn matches(&self, record: &Record, view: View<'_>, now: Timestamp) -> bool {
        record.log_type() == self.log_type && self.holds(&Named { record, view }, now)
    }

    /// Whether a record that was read back from its line passes.
    pub fn matches_line(&self, line: &Line, now: Timestamp) -> bool {
        line.log_type() == self.log_type && self.holds(line, now)
    }

    fn holds(&self, fields: &impl Fields, now: Timestamp) -> bool {
        self.root.holds(fields, now)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
