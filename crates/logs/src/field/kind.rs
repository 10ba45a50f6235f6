//! What a field's values look like, and so which filters make sense.

use super::Field;
use crate::{
    LogType, SessionEndReason,
    filter::Operator,
    record::{
        ChainStatus, Direction, ErrorIndex, ProxyType, TagEvent, ThreatAction, ThreatSubtype, TrafficSubtype,
        UrlAction,
    },
};

/// What a field's values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A decimal number up to a highest.
    Number(u64),
    /// A point in time.
    Time,
    /// A host's address.
    Address,
    /// An address, prefix or range.
    Addresses,
    /// `yes` or `no`.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of the severities, which are ordered.
    Severity,
    /// A protocol's name or number.
    Protocol,
    /// An application's name.
    Application,
    /// A DNS query type.
    QueryType,
    /// Text that is compared to the letter.
    Text,
    /// Text in which ASCII case does not matter: domain names, whose senders may vary it at will.
    CaselessText,
    /// A set of tags.
    Tags,
}

/// The names of [`policy::Action`].
const RULE_ACTIONS: &[&str] = &[
    "allow",
    "deny",
    "drop",
    "reset-client",
    "reset-server",
    "reset-both",
];

const ADDRESS: &[Operator] = &[Operator::In, Operator::NotIn, Operator::Eq, Operator::Neq];
const NUMBER: &[Operator] = &[Operator::Eq, Operator::Neq, Operator::Leq, Operator::Geq];
const TIME: &[Operator] = &[
    Operator::Geq,
    Operator::Leq,
    Operator::In,
    Operator::NotIn,
    Operator::Eq,
    Operator::Neq,
];
const TEXT: &[Operator] = &[Operator::Eq, Operator::Neq, Operator::Contains];
const WORD: &[Operator] = &[Operator::Eq, Operator::Neq];

impl Kind {
    /// The kind of a field in a type of record.
    pub(crate) fn of(field: Field, log_type: LogType) -> Self {
        match field {
            Field::Sport | Field::Dport => Self::Number(65_535),
            Field::Seqno
            | Field::Sessionid
            | Field::Bytes
            | Field::BytesSent
            | Field::BytesReceived
            | Field::Packets
            | Field::Elapsed
            | Field::Repeatcnt
            | Field::Threatid
            | Field::Timeout => Self::Number(u64::MAX),
            Field::ReceiveTime | Field::Start => Self::Time,
            Field::Src | Field::Dst | Field::XffIp => Self::Address,
            Field::Ip => Self::Addresses,
            Field::Decrypted => Self::Flag,
            Field::Severity => Self::Severity,
            Field::Proto => Self::Protocol,
            Field::App => Self::Application,
            Field::Qtype => Self::QueryType,
            Field::SrcTags | Field::DstTags => Self::Tags,
            Field::Type => Self::OneOf(LogType::NAMES),
            Field::SessionEndReason => Self::OneOf(SessionEndReason::NAMES),
            Field::Direction => Self::OneOf(Direction::NAMES),
            Field::ErrIndex => Self::OneOf(ErrorIndex::NAMES),
            Field::ProxyType => Self::OneOf(ProxyType::NAMES),
            Field::ChainStatus => Self::OneOf(ChainStatus::NAMES),
            Field::Action if log_type == LogType::Threat => Self::OneOf(ThreatAction::NAMES),
            Field::Action if log_type == LogType::Url => Self::OneOf(UrlAction::NAMES),
            Field::Action => Self::OneOf(RULE_ACTIONS),
            Field::Subtype if log_type == LogType::Traffic => Self::OneOf(TrafficSubtype::NAMES),
            Field::Subtype if log_type == LogType::Threat => Self::OneOf(ThreatSubtype::NAMES),
            Field::Event if log_type == LogType::IpTag => Self::OneOf(TagEvent::NAMES),
            Field::ThreatName | Field::Misc | Field::Sni | Field::Cn | Field::Qualifier => Self::CaselessText,
            Field::Subtype
            | Field::Event
            | Field::From
            | Field::To
            | Field::InboundIf
            | Field::OutboundIf
            | Field::Rule
            | Field::Category
            | Field::List
            | Field::HttpMethod
            | Field::PolicyName
            | Field::IssuerCn
            | Field::TlsVersion
            | Field::TlsCipher
            | Field::TlsKeyxchg
            | Field::Error
            | Field::Tag
            | Field::Source
            | Field::MatchList
            | Field::Opaque
            | Field::Admin
            | Field::Cmd
            | Field::Path
            | Field::Before
            | Field::After
            | Field::Result => Self::Text,
        }
    }

    /// The operators that make sense, the most usual first.
    pub(crate) fn operators(self) -> &'static [Operator] {
        match self {
            Self::Number(_) | Self::Severity => NUMBER,
            Self::Time => TIME,
            Self::Address | Self::Addresses => ADDRESS,
            Self::Flag | Self::OneOf(_) | Self::Protocol | Self::Application | Self::QueryType => WORD,
            Self::Text | Self::CaselessText | Self::Tags => TEXT,
        }
    }

    /// What a value looks like, for error messages.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Number(65_535) => "a number from 0 to 65535",
            Self::Number(_) => "a decimal number",
            Self::Time => {
                "a time such as '2026/11/24 08:00:00' or '2026-11-24T08:00:00Z', or with `in` one of the words \
                 such as last-hour"
            }
            Self::Address | Self::Addresses => {
                "an address such as 192.0.2.1 or 2001:db8::1, or with `in` a prefix such as 10.0.0.0/8"
            }
            Self::Flag => "yes or no",
            Self::OneOf(_) | Self::Severity => "one of the values of this field",
            Self::Protocol => "a protocol such as tcp, udp, icmp, or its number from 0 to 255",
            Self::Application => "an application such as dns, ssl, web-browsing",
            Self::QueryType => "a DNS type such as A, AAAA, HTTPS, TYPE65280",
            Self::Text | Self::CaselessText => "text",
            Self::Tags => "a tag",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_actions_are_the_policy_s() {
        let names: Vec<&str> = policy::Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(RULE_ACTIONS, names);
    }
}
