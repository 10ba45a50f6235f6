//! The filter language against a naive evaluator over the JSON of the written line.

use std::{
    net::IpAddr,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
};

use packet::Timestamp;
use proptest::{prelude::*, sample::select};
use serde_json::Value as Json;

use super::*;
use crate::{
    SessionEndReason, Severity, calendar,
    samples::{self, NOW_SECS, Names},
};

#[derive(Clone, Debug)]
enum Expression {
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Leaf(Leaf),
}

/// How the naive evaluator compares a member.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Like {
    Number,
    Text,
    Caseless,
    Address,
    Subject,
    Time,
    Severity,
    Tags,
    Flag,
}

#[derive(Clone, Debug)]
struct Leaf {
    /// As the filter spells it.
    name: &'static str,
    /// The members of the line it means.
    members: &'static [&'static str],
    like: Like,
    operator: &'static str,
    value: &'static str,
}

#[derive(Debug)]
struct Column(
    &'static str,
    &'static [&'static str],
    Like,
    &'static [&'static str],
);

const COMMON: &[Column] = &[
    Column("seqno", &["seqno"], Like::Number, &["0", "42", "99"]),
    Column("receive_time", &["receive_time"], Like::Time, TIMES),
    Column("time_generated", &["receive_time"], Like::Time, TIMES),
    Column("type", &["type"], Like::Text, &["traffic", "ip-tag"]),
];

const FLOW: &[Column] = &[
    Column("addr.src", &["src"], Like::Address, PREFIXES),
    Column("dst", &["dst"], Like::Address, PREFIXES),
    Column("addr", &["src", "dst"], Like::Address, PREFIXES),
    Column("port.dst", &["dport"], Like::Number, &["0", "53", "443"]),
    Column("port", &["sport", "dport"], Like::Number, &["53", "100"]),
    Column("zone.src", &["from"], Like::Text, samples::SYMBOLS),
    Column("zone", &["from", "to"], Like::Text, samples::SYMBOLS),
    Column(
        "interface",
        &["inbound_if", "outbound_if"],
        Like::Text,
        samples::SYMBOLS,
    ),
    Column("rule", &["rule"], Like::Text, samples::SYMBOLS),
    Column("app", &["app"], Like::Text, &["dns", "ssl", "ssh"]),
    Column("proto", &["proto"], Like::Text, &["tcp", "udp", "icmp", "253"]),
    Column("sessionid", &["sessionid"], Like::Number, &["3", "10"]),
];

const TRAFFIC: &[Column] = &[
    Column("src_tags", &["src_tags"], Like::Tags, samples::TAGS),
    Column(
        "subtype",
        &["subtype"],
        Like::Text,
        &["start", "end", "drop", "deny"],
    ),
    Column("action", &["action"], Like::Text, &["allow", "deny"]),
    Column(
        "session_end_reason",
        &["session_end_reason"],
        Like::Text,
        SessionEndReason::NAMES,
    ),
    Column("bytes", &["bytes"], Like::Number, &["3", "18446744073709551615"]),
    Column("elapsed", &["elapsed"], Like::Number, &["0", "3"]),
    Column("start", &["start"], Like::Time, TIMES),
    Column("category", &["category"], Like::Text, samples::SYMBOLS),
    Column("decrypted", &["decrypted"], Like::Flag, &["yes", "no"]),
    Column("tags", &["src_tags", "dst_tags"], Like::Tags, samples::TAGS),
];

const THREAT: &[Column] = &[
    Column("src_tags", &["src_tags"], Like::Tags, samples::TAGS),
    Column("action", &["action"], Like::Text, &["alert", "sinkhole"]),
    Column("severity", &["severity"], Like::Severity, Severity::NAMES),
    Column("threatid", &["threatid"], Like::Number, &["0", "1"]),
    Column("name-of-threatid", &["threat_name"], Like::Caseless, HOSTS),
    Column("misc", &["misc"], Like::Caseless, HOSTS),
    Column(
        "direction",
        &["direction"],
        Like::Text,
        &["client-to-server", "server-to-client"],
    ),
    Column("list", &["list"], Like::Text, samples::SYMBOLS),
    Column(
        "qtype",
        &["qtype"],
        Like::Text,
        &["A", "AAAA", "HTTPS", "TYPE65280"],
    ),
];

const URL: &[Column] = &[
    Column("url", &["misc"], Like::Caseless, &["", "a", "\\000"]),
    Column("xff_ip", &["xff_ip"], Like::Address, PREFIXES),
    Column("http_method", &["http_method"], Like::Text, &["GET", "POST", "T"]),
    Column("action", &["action"], Like::Text, &["block", "allow"]),
    Column(
        "session_end_reason",
        &["session_end_reason"],
        Like::Text,
        &["n/a", "threat"],
    ),
];

const DECRYPTION: &[Column] = &[
    Column("err_index", &["err_index"], Like::Text, &["None", "HSM"]),
    Column(
        "proxy_type",
        &["proxy_type"],
        Like::Text,
        &["Forward", "No Decrypt"],
    ),
    Column("policy_name", &["policy_name"], Like::Text, samples::SYMBOLS),
    Column("sni", &["sni"], Like::Caseless, HOSTS),
    Column("cn", &["cn"], Like::Caseless, &["", "0", "\\255"]),
    Column("error", &["error"], Like::Text, &["", "commit", "it's"]),
];

const IP_TAG: &[Column] = &[
    Column("ip", &["ip"], Like::Subject, PREFIXES),
    Column("tag_name", &["tag"], Like::Text, samples::TAGS),
    Column(
        "event_id",
        &["event"],
        Like::Text,
        &["register", "refused", "shadow"],
    ),
    Column("source", &["source"], Like::Text, &["socket", "config", "3"]),
    Column(
        "match_list",
        &["match_list"],
        Like::Text,
        &["", "Tag", "Tag-Infected-Host"],
    ),
    Column("timeout", &["timeout"], Like::Number, &["0", "1"]),
    Column(
        "qualifier",
        &["qualifier"],
        Like::Caseless,
        &["", "name=golfsource.us", "client=10.0.0.1", "NAME="],
    ),
];

const SYSTEM: &[Column] = &[
    Column("severity", &["severity"], Like::Severity, Severity::NAMES),
    Column(
        "eventid",
        &["event"],
        Like::Text,
        &["unlisted-resolver", "unlisted"],
    ),
    Column(
        "description",
        &["opaque"],
        Like::Text,
        &["commit", "a", "line\nend"],
    ),
];

const CONFIG: &[Column] = &[
    Column("admin", &["admin"], Like::Text, &["commit", "\"x\""]),
    Column("cmd", &["cmd"], Like::Text, &["", "tag add"]),
    Column(
        "after-change-detail",
        &["after"],
        Like::Text,
        &["it's", "back\\slash"],
    ),
];

const TIMES: &[&str] = &[
    "2026/11/24 04:16:00",
    "2026/11/24 03:16:00",
    "2026/10/30",
    "2026-11-01T12:00:00.000001Z",
    "last-hour",
    "last-15-minutes",
    "last-calendar-day",
    "last-30-days",
];
const PREFIXES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "2001:db8::/32",
    "2001:db8::1",
    "0.0.0.0/0",
    "::/0",
];
const HOSTS: &[&str] = &[
    "golfsource.us",
    "GOLFSOURCE.us",
    "source",
    "",
    "a\\032b.example",
    ".",
];

fn columns(log_type: LogType) -> Vec<&'static Column> {
    let flow = match log_type {
        LogType::IpTag | LogType::System | LogType::Config => &[],
        LogType::Traffic | LogType::Threat | LogType::Url | LogType::Decryption => FLOW,
    };
    let own = match log_type {
        LogType::Traffic => TRAFFIC,
        LogType::Threat => THREAT,
        LogType::Url => URL,
        LogType::Decryption => DECRYPTION,
        LogType::IpTag => IP_TAG,
        LogType::System => SYSTEM,
        LogType::Config => CONFIG,
    };
    COMMON.iter().chain(flow).chain(own).collect()
}

fn any_leaf(log_type: LogType) -> impl Strategy<Value = Leaf> {
    select(columns(log_type)).prop_flat_map(move |&Column(name, members, like, values)| {
        let operators = match like {
            Like::Number | Like::Severity => vec!["eq", "neq", "leq", "geq"],
            // Closed sets do not take `contains`.
            Like::Text
                if Attribute::resolve(name, log_type)
                    .unwrap()
                    .operators(log_type)
                    .len()
                    == 2 =>
            {
                vec!["eq", "neq"]
            }
            Like::Text | Like::Caseless | Like::Tags => vec!["eq", "neq", "contains"],
            Like::Flag => vec!["eq", "neq"],
            Like::Address | Like::Subject => vec!["in", "notin", "eq", "neq"],
            Like::Time => vec!["eq", "neq", "leq", "geq", "in", "notin"],
        };
        (select(operators), select(values)).prop_filter_map(
            "operator and value fit",
            move |(operator, value)| {
                let is_in = matches!(operator, "in" | "notin");
                let fits = match like {
                    Like::Time => is_in == value.starts_with("last"),
                    Like::Address => is_in || !value.contains('/'),
                    Like::Number
                    | Like::Text
                    | Like::Caseless
                    | Like::Subject
                    | Like::Severity
                    | Like::Tags
                    | Like::Flag => true,
                };
                fits.then_some(Leaf {
                    name,
                    members,
                    like,
                    operator,
                    value,
                })
            },
        )
    })
}

fn any_expression(log_type: LogType) -> impl Strategy<Value = Expression> {
    any_leaf(log_type)
        .prop_map(Expression::Leaf)
        .prop_recursive(4, 12, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Expression::Or(Box::new(a), Box::new(b))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Expression::And(Box::new(a), Box::new(b))),
                inner.prop_map(|a| Expression::Not(Box::new(a))),
            ]
        })
}

/// As text with no parentheses but those that precedence demands.
fn sparse(expression: &Expression) -> String {
    match expression {
        Expression::Or(a, b) => format!("{} or {}", sparse(a), sparse(b)),
        Expression::And(a, b) => format!("{} and {}", sparse_factor(a), sparse_factor(b)),
        Expression::Not(a) => match &**a {
            Expression::Leaf(_) | Expression::Not(_) => format!("!{}", sparse(a)),
            Expression::Or(..) | Expression::And(..) => format!("not ({})", sparse(a)),
        },
        Expression::Leaf(leaf) => {
            let Leaf {
                name,
                operator,
                value,
                ..
            } = leaf;
            let quote = if value.contains('\'') { '"' } else { '\'' };
            let needs_quotes =
                value.is_empty() || value.contains(char::is_whitespace) || value.starts_with(['"', '!']);
            let value = if needs_quotes {
                format!("{quote}{value}{quote}")
            } else {
                (*value).to_owned()
            };
            format!("{name} {operator} {value}")
        }
    }
}

fn sparse_factor(expression: &Expression) -> String {
    match expression {
        Expression::Or(..) => format!("({})", sparse(expression)),
        Expression::And(..) | Expression::Not(_) | Expression::Leaf(_) => sparse(expression),
    }
}

/// As text with parentheses everywhere.
fn dense(expression: &Expression) -> String {
    match expression {
        Expression::Or(a, b) => format!("( ({}) or ({}) )", dense(a), dense(b)),
        Expression::And(a, b) => format!("( ({}) and ({}) )", dense(a), dense(b)),
        Expression::Not(a) => format!("not ({})", dense(a)),
        Expression::Leaf(_) => format!("( {} )", sparse(expression)),
    }
}

fn naive(expression: &Expression, line: &Json) -> bool {
    match expression {
        Expression::Or(a, b) => naive(a, line) || naive(b, line),
        Expression::And(a, b) => naive(a, line) && naive(b, line),
        Expression::Not(a) => !naive(a, line),
        Expression::Leaf(leaf) => {
            let hit = |operator: &str| {
                leaf.members
                    .iter()
                    .any(|member| naive_compare(&line[*member], leaf, operator))
            };
            match leaf.operator {
                "neq" => !hit("eq"),
                "notin" => !hit("in"),
                operator => hit(operator),
            }
        }
    }
}

fn naive_compare(member: &Json, leaf: &Leaf, operator: &str) -> bool {
    let text = member.as_str().map_or_else(|| member.to_string(), str::to_owned);
    let value = leaf.value;
    let order = match leaf.like {
        Like::Number => member.as_u64().unwrap().cmp(&value.parse().unwrap()),
        Like::Severity => {
            let rank = |name: &str| {
                Severity::NAMES
                    .iter()
                    .position(|severity| *severity == name)
                    .unwrap()
            };
            rank(&text).cmp(&rank(value))
        }
        Like::Time if operator == "in" => {
            let span = calendar::RelativeTime::parse(value)
                .unwrap()
                .span(Timestamp::from_secs(NOW_SECS));
            let from = calendar::micros(calendar::parse_time(&text).unwrap());
            return from >= span.start && from < span.end;
        }
        Like::Time => calendar::parse_time(&text)
            .unwrap()
            .cmp(&calendar::parse_time(value).unwrap()),
        Like::Text if operator == "contains" => return text.contains(value),
        Like::Text => return text == value,
        Like::Caseless if operator == "contains" => {
            return text.to_ascii_lowercase().contains(&value.to_ascii_lowercase());
        }
        Like::Caseless => return text.eq_ignore_ascii_case(value),
        Like::Flag => return member.as_bool().unwrap() == (value == "yes"),
        Like::Tags => {
            let mut tags = member.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap());
            return tags.any(|tag| {
                if operator == "contains" {
                    tag.contains(value)
                } else {
                    tag == value
                }
            });
        }
        // An address may be unknown.
        Like::Address if text.is_empty() => return false,
        Like::Subject if operator == "eq" => return text == value,
        Like::Address | Like::Subject => {
            let ends: Vec<IpAddr> = match text.split_once('-') {
                Some((first, last)) => vec![first.parse().unwrap(), last.parse().unwrap()],
                None => vec![text.split('/').next().unwrap().parse().unwrap()],
            };
            let length = |text: &str| {
                text.split_once('/')
                    .map_or(128, |(_, length)| length.parse::<u32>().unwrap())
            };
            return length(&text) >= length(value) && ends.iter().all(|end| naive_within(*end, value));
        }
    };
    match operator {
        "eq" => order.is_eq(),
        "leq" => order.is_le(),
        "geq" => order.is_ge(),
        _ => panic!("{operator} on {leaf:?}"),
    }
}

fn naive_within(address: IpAddr, prefix: &str) -> bool {
    let (network, length) = prefix.split_once('/').unwrap_or((prefix, "128"));
    let length: usize = length.parse().unwrap();
    let bits = |address: IpAddr| -> Vec<bool> {
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        octets
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1))
            .collect()
    };
    let (a, b) = (bits(address), bits(network.parse().unwrap()));
    a.len() == b.len() && a.get(..length).unwrap_or(&a) == b.get(..length).unwrap_or(&b)
}

fn any_case(names: &Arc<Names>) -> impl Strategy<Value = (LogType, Record, Expression)> + use<> {
    let names = names.clone();
    select(LogType::ALL).prop_flat_map(move |log_type| {
        let record = samples::any_record(&names, log_type);
        (Just(log_type), record, any_expression(log_type))
    })
}

#[test]
fn agrees_with_a_naive_evaluator_over_the_line() {
    let names = Arc::new(Names::new());
    let now = Timestamp::from_secs(NOW_SECS);
    let passed = [const { AtomicU32::new(0) }; 2];
    proptest!(ProptestConfig::with_cases(4000), |((log_type, record, expression) in any_case(&names))| {
        let mut line = Vec::new();
        record.write_json(names.view(), &mut line);
        let line = String::from_utf8(line).unwrap();
        let expected = naive(&expression, &serde_json::from_str(&line).unwrap());

        let text = sparse(&expression);
        prop_assume!(text.chars().count() <= Filter::MAX_CHARS);
        let (filter, _) = Filter::parse(&text, log_type).unwrap();
        prop_assert_eq!(filter.matches(&record, names.view(), now), expected, "{} on {}", text, line);
        if let Some(flow) = record.flow() {
            let admitted = filter.screen(names.view().symbols).admits(log_type, &record, flow);
            prop_assert!(admitted || !expected, "the screen of {} refuses {}", text, line);
        }
        let stored = Line::parse(&line).unwrap();
        prop_assert_eq!(filter.matches_line(&stored, now), expected, "{} on stored {}", text, line);
        passed[usize::from(expected)].fetch_add(1, Ordering::Relaxed);
    });
    assert!(
        passed.iter().all(|count| count.load(Ordering::Relaxed) > 400),
        "both answers must occur often: {passed:?}"
    );
}

#[test]
fn what_is_printed_reads_back() {
    let names = Arc::new(Names::new());
    proptest!(ProptestConfig::with_cases(2000), |((log_type, _, expression) in any_case(&names))| {
        let [dense, sparse] = [dense(&expression), sparse(&expression)];
        prop_assume!(dense.chars().count() <= Filter::MAX_CHARS);
        let (filter, _) = Filter::parse(&sparse, log_type).unwrap();
        prop_assert_eq!(&filter, &Filter::parse(&dense, log_type).unwrap().0, "{} / {}", sparse, dense);
        let printed = filter.to_string();
        prop_assert_eq!(&filter, &Filter::parse(&printed, log_type).unwrap().0, "{}", printed);
    });
}

proptest! {
    /// Whatever is typed gives an answer, and every column lies in the text.
    #[test]
    fn no_text_does_harm(text in "[a-z.()!'\" 0-9/]{0,80}|\\PC{0,40}", log_type in select(LogType::ALL)) {
        match Filter::parse(&text, log_type) {
            Ok((filter, _)) => {
                let printed = filter.to_string();
                prop_assert_eq!(filter, Filter::parse(&printed, log_type).unwrap().0);
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                prop_assert!(errors.iter().all(|error| error.column() <= text.chars().count()));
            }
        }
    }
}
