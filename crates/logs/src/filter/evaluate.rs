//! Whether a record passes.

use packet::Timestamp;

use super::{Literal, Node, Operator, Test};
use crate::{
    Severity, calendar,
    value::{Fields, TextBuffer, Value},
};

impl Node {
    pub(super) fn holds(&self, fields: &impl Fields, now: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Or(parts) => parts.iter().any(|part| part.holds(fields, now)),
            Self::And(parts) => parts.iter().all(|part| part.holds(fields, now)),
            Self::Not(inner) => !inner.holds(fields, now),
            Self::Test(test) => test.holds(fields, now),
        }
    }
}

impl Test {
    /// Of a pair such as `addr`, one end is enough; so that its negation says that neither end does.
    fn holds(&self, fields: &impl Fields, now: Timestamp) -> bool {
        let (first, second) = self.attribute.fields();
        let compare = |field| compare(fields.value(field), self.operator, &self.literal, now);
        let positive = compare(first) || second.is_some_and(compare);
        match self.operator {
            Operator::Neq | Operator::NotIn => !positive,
            Operator::Eq | Operator::Leq | Operator::Geq | Operator::In | Operator::Contains => positive,
        }
    }
}

/// The comparison without its negation: `neq` answers as `eq`, `notin` as `in`. A value that is missing
/// compares with nothing.
fn compare(value: Value<'_>, operator: Operator, literal: &Literal, now: Timestamp) -> bool {
    let contains = operator == Operator::Contains;
    match literal {
        Literal::Number(number) => matches!(value, Value::Number(value) if ordered(value, operator, *number)),
        Literal::Flag(flag) => matches!(value, Value::Flag(value) if value == *flag),
        Literal::Time(time) => {
            let time = calendar::micros(*time);
            matches!(value, Value::Time(value) if ordered(calendar::micros(value), operator, time))
        }
        Literal::Relative(word) => {
            matches!(value, Value::Time(value) if word.span(now).contains(&calendar::micros(value)))
        }
        Literal::Severity(severity) => {
            let value = Severity::from_name(value.text(&mut TextBuffer::new()));
            value.is_some_and(|value| ordered(value, operator, *severity))
        }
        Literal::Addresses(literal) => {
            if let Value::Address(address) = value {
                literal.contains(address)
            } else if let Value::Addresses(addresses) = value {
                match operator {
                    Operator::In | Operator::NotIn => {
                        literal.contains(addresses.first()) && literal.contains(addresses.last())
                    }
                    Operator::Eq | Operator::Neq | Operator::Leq | Operator::Geq | Operator::Contains => {
                        addresses == *literal
                    }
                }
            } else {
                false
            }
        }
        Literal::Protocol(protocol) => matches!(value, Value::Protocol(value) if value == *protocol),
        Literal::QueryType(query_type) => matches!(value, Value::QueryType(value) if value == query_type.0),
        Literal::Tag(tag) => {
            matches!(value, Value::Tags(tags)
                if tags.any(|name| if contains { name.contains(&**tag) } else { name == &**tag }))
        }
        Literal::Text(text) => {
            let mut buffer = TextBuffer::new();
            let value = value.text(&mut buffer);
            if contains {
                value.contains(&**text)
            } else {
                value == &**text
            }
        }
        Literal::Caseless(text) => {
            let mut buffer = TextBuffer::new();
            let value = value.text(&mut buffer);
            if contains {
                contains_ignoring_case(value, text)
            } else {
                value.eq_ignore_ascii_case(text)
            }
        }
    }
}

fn ordered<T: Ord + Copy>(value: T, operator: Operator, literal: T) -> bool {
    match operator {
        Operator::Leq => value <= literal,
        Operator::Geq => value >= literal,
        Operator::Eq | Operator::Neq | Operator::In | Operator::NotIn | Operator::Contains => {
            value == literal
        }
    }
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    part.is_empty()
        || text
            .as_bytes()
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
