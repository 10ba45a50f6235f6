//! What a field is compared with.

use std::fmt;

use packet::{IpProtocol, Timestamp};
use policy::AppId;
use tags::Addresses;

use super::{Operator, error::Problem, lexer::is_word};
use crate::{
    Attribute, Field, LogType, Severity,
    calendar::{self, RelativeTime},
    field::Kind,
    record::query_type::QueryType,
    spelling::nearest,
};

/// A value that was checked against the field it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Number(u64),
    Flag(bool),
    Text(Box<str>),
    Caseless(Box<str>),
    Tag(Box<str>),
    Addresses(Addresses),
    Time(Timestamp),
    Relative(RelativeTime),
    Severity(Severity),
    Protocol(IpProtocol),
    QueryType(QueryType),
}

/// A value that does not fit, and what may have been meant.
pub(super) struct Misfit {
    pub(super) problem: Problem,
    pub(super) nearest: Option<String>,
}

/// Spellings of session end reasons that people use and PAN-OS does not.
const LOOSE_END_REASONS: &[(&str, &str)] = &[
    ("decrypt-unsupported-parameter", "decrypt-unsupport-param"),
    ("decrypt-unsupported-param", "decrypt-unsupport-param"),
    ("decrypt-cert-validation-err", "decrypt-cert-validation"),
];

impl Literal {
    /// Reads the value that `attribute` is compared with. The second part is the right spelling where a loose
    /// one was accepted.
    pub(super) fn read(
        text: &str,
        attribute: Attribute,
        operator: Operator,
        log_type: LogType,
    ) -> Result<(Self, Option<&'static str>), Misfit> {
        let kind = attribute.kind(log_type);
        let misfit = |nearest: Option<&str>| Misfit {
            problem: Problem::Value {
                attribute: attribute.name().to_owned(),
                value: shown(text),
                expected: kind.expected(),
            },
            nearest: nearest.map(str::to_owned),
        };
        let form = |what, instead| Misfit {
            problem: Problem::Form {
                value: shown(text),
                what,
                instead,
            },
            nearest: None,
        };
        let literal = match kind {
            Kind::Number(max) => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|&number| digits && number <= max);
                Self::Number(number.ok_or_else(|| misfit(None))?)
            }
            Kind::Flag => match text {
                "yes" | "true" => Self::Flag(true),
                "no" | "false" => Self::Flag(false),
                _ => return Err(misfit(nearest(text, ["yes", "no"]))),
            },
            Kind::Time if matches!(operator, Operator::In | Operator::NotIn) => {
                let word = RelativeTime::parse(text);
                Self::Relative(
                    word.ok_or_else(|| misfit(nearest(text, RelativeTime::WORDS.iter().copied())))?,
                )
            }
            Kind::Time if RelativeTime::parse(text).is_some() => {
                return Err(form("span of time", "compare with it by `in`"));
            }
            Kind::Time => {
                let time = calendar::parse_time(text).ok_or_else(|| misfit(None))?;
                Self::Time(Timestamp::from_nanos(calendar::micros(time).saturating_mul(1000)))
            }
            Kind::Address | Kind::Addresses => {
                let addresses: Addresses = text.parse().map_err(|_| misfit(None))?;
                match (kind, operator, addresses) {
                    (_, Operator::In | Operator::NotIn, Addresses::Range(_)) => {
                        return Err(form("range", "compare with its ends or with prefixes"));
                    }
                    (
                        Kind::Address,
                        Operator::Eq | Operator::Neq,
                        Addresses::Prefix(_) | Addresses::Range(_),
                    ) => {
                        return Err(form("set of addresses", "compare with it by `in` or `notin`"));
                    }
                    _ => Self::Addresses(addresses),
                }
            }
            Kind::Severity => {
                let severity = Severity::from_name(text);
                Self::Severity(
                    severity.ok_or_else(|| misfit(nearest(text, Severity::NAMES.iter().copied())))?,
                )
            }
            Kind::OneOf(values) => {
                if !values.contains(&text) {
                    let loose = LOOSE_END_REASONS.iter().find(|(loose, _)| *loose == text);
                    return match loose {
                        Some((_, right)) if attribute == Attribute::One(Field::SessionEndReason) => {
                            Ok((Self::Text((*right).into()), Some(right)))
                        }
                        _ => Err(misfit(nearest(text, values.iter().copied()))),
                    };
                }
                Self::Text(text.into())
            }
            Kind::Protocol => Self::Protocol(IpProtocol::from_name(text).ok_or_else(|| {
                misfit(nearest(
                    text,
                    (0..=u8::MAX).filter_map(|number| IpProtocol(number).name()),
                ))
            })?),
            Kind::Application => match AppId::from_name(text) {
                Some(app) => Self::Text(app.name().into()),
                None => return Err(misfit(nearest(text, AppId::all().map(AppId::name)))),
            },
            Kind::QueryType => {
                let query_type = QueryType::parse(text);
                let names = QueryType::NAMES.iter().map(|&(_, name)| name);
                Self::QueryType(query_type.ok_or_else(|| misfit(nearest(text, names)))?)
            }
            Kind::Text => Self::Text(text.into()),
            Kind::CaselessText => Self::Caseless(text.into()),
            Kind::Tags => Self::Tag(text.into()),
        };
        Ok((literal, None))
    }
}

/// A value as a message shows it: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

impl fmt::Display for Literal {
    /// As a filter reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Text(text) | Self::Caseless(text) | Self::Tag(text) => write_text(text, f),
            Self::Addresses(addresses) => write!(f, "{addresses}"),
            Self::Time(time) => {
                f.write_str("'")?;
                calendar::write_filter_time(*time, f)?;
                f.write_str("'")
            }
            Self::Relative(word) => write!(f, "{word}"),
            Self::Severity(severity) => write!(f, "{severity}"),
            Self::Protocol(protocol) => match protocol.name() {
                Some(name) => f.write_str(name),
                None => write!(f, "{}", protocol.0),
            },
            Self::QueryType(query_type) => write!(f, "{query_type}"),
        }
    }
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_word(text) && !super::parser::is_keyword(text) {
        return f.write_str(text);
    }
    // What was read from quotes holds no quote of that kind, and a word that holds both kinds is a word again.
    let quote = if text.contains('\'') { '"' } else { '\'' };
    write!(f, "{quote}{text}{quote}")
}
