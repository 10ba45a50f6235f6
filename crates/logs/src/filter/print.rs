//! Filters as text again.

use std::fmt;

use super::{Filter, Node, Test};

impl fmt::Display for Filter {
    /// The filter in one spelling for all: fields by their names in the line, every comparison in
    /// parentheses. Reading it gives the same filter, unless that makes it longer than
    /// [`Filter::MAX_CHARS`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("All Logs");
        }
        write!(f, "{}", self.root)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Test(test) => write!(f, "({test})"),
            Self::Or(parts) => write_joined(parts, " or ", f),
            Self::And(parts) => write_joined(parts, " and ", f),
            Self::Not(inner) => {
                f.write_str("not ")?;
                write_part(inner, f)
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.attribute.name(), self.operator, self.literal)
    }
}

fn write_joined(parts: &[Node], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        write_part(part, f)?;
    }
    Ok(())
}

fn write_part(part: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match part {
        Node::Or(_) | Node::And(_) => write!(f, "({part})"),
        Node::All | Node::Test(_) | Node::Not(_) => write!(f, "{part}"),
    }
}
