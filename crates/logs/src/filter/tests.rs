//! The filter language against its description.

use packet::Timestamp;

use super::*;
use crate::{
    Body, Severity,
    samples::{self, Names},
};

fn parse(text: &str, log_type: LogType) -> Filter {
    match Filter::parse(text, log_type) {
        Ok((filter, warnings)) => {
            assert_eq!(warnings, [], "{text}");
            filter
        }
        Err(errors) => panic!("{text}: {errors:?}"),
    }
}

/// The only error of a filter, as column and message.
fn error(text: &str, log_type: LogType) -> (usize, String) {
    let errors = Filter::parse(text, log_type).unwrap_err();
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    (errors[0].column(), format!("{:#}", errors[0]))
}

#[test]
fn reads_what_people_already_have() {
    let traffic = [
        "(session_end_reason eq decrypt-error) or (session_end_reason eq decrypt-unsupport-param)",
        "( session_end_reason eq decrypt-cert-validation )",
        "(( zone.dst eq Backup ) or ( zone.dst eq Management)) and !( addr.src in 10.0.0.0/8 )",
        "( receive_time geq '2026/11/24 08:00:00' ) and ( receive_time leq '2026/11/24 09:00:00' )",
        "( port.dst geq 20 ) and ( port.dst leq 53 )",
        "(addr.src in 10.0.0.0/8) and not (action eq allow)",
        "!( addr in 1.1.1.1 )",
        "receive_time in last-15-minutes",
        "(addr.src in 10.10.10.2/30)",
        "app eq dns AND rule contains 'egress'",
        "session_end_reason eq n/a",
        "decrypted eq yes and proto eq tcp and proto neq 132",
    ];
    for text in traffic {
        parse(text, LogType::Traffic);
    }
    for text in [
        "( action eq sinkhole )",
        "( severity eq critical ) or ( severity eq high )",
        "qtype eq HTTPS",
    ] {
        parse(text, LogType::Threat);
    }
    parse(
        "( err_index neq None ) and ( proxy_type eq 'No Decrypt' )",
        LogType::Decryption,
    );
    parse(
        "eventid eq unlisted-resolver and opaque contains 'DNS'",
        LogType::System,
    );
    parse(
        "event eq refused and ip in 10.0.0.0/8 and source eq socket",
        LogType::IpTag,
    );
    for text in ["", "  ", "All Logs", " all logs "] {
        assert!(parse(text, LogType::Config).is_all());
    }
}

#[test]
fn prints_one_spelling() {
    let printed = |text: &str| parse(text, LogType::Traffic).to_string();
    assert_eq!(
        printed("addr.src in 10.10.10.2/30 and(zone eq inside or ! rule eq 'a b')"),
        "(src in 10.10.10.0/30) and ((zone eq inside) or not (rule eq 'a b'))"
    );
    assert_eq!(printed("((app eq dns))"), "(app eq dns)");
    assert_eq!(
        printed("not(app eq dns and port eq 53)"),
        "not ((app eq dns) and (port eq 53))"
    );
    assert_eq!(
        printed("(receive_time geq '2026-11-24T09:00:00+01:00')"),
        "(receive_time geq '2026/11/24 08:00:00')"
    );
    assert_eq!(printed(r#"rule eq "it's""#), "(rule eq it's)");
    assert_eq!(printed("rule eq 'and'"), "(rule eq 'and')");
    assert_eq!(printed("rule eq ''"), "(rule eq '')");
    assert_eq!(printed(""), "All Logs");
}

#[test]
fn and_binds_before_or() {
    let same = |a: &str, b: &str| assert_eq!(parse(a, LogType::Traffic), parse(b, LogType::Traffic));
    same(
        "app eq dns or app eq ssl and port eq 53",
        "app eq dns or (app eq ssl and port eq 53)",
    );
    same("! app eq dns and port eq 53", "(!(app eq dns)) and port eq 53");
    same(
        "app eq dns and (app eq ssl and app eq ssh)",
        "app eq dns and app eq ssl and app eq ssh",
    );
    assert_ne!(
        parse("(app eq dns or app eq ssl) and port eq 53", LogType::Traffic),
        parse("app eq dns or app eq ssl and port eq 53", LogType::Traffic)
    );
}

#[test]
fn syntax_errors_say_where_and_what() {
    let traffic = |text| error(text, LogType::Traffic);
    let end = "`and`, `or` or the end of the filter (a value with blanks needs quotes)";
    assert_eq!(
        traffic("(app eq dns"),
        (
            11,
            "expected `and`, `or` or `)` (a value with blanks needs quotes), found the end".into()
        )
    );
    assert_eq!(traffic("app eq dns)"), (10, format!("expected {end}, found `)`")));
    assert_eq!(
        traffic("rule eq No Decrypt"),
        (11, format!("expected {end}, found `Decrypt`"))
    );
    assert_eq!(
        traffic("()"),
        (1, "expected a field, `not` or `(`, found `)`".into())
    );
    assert_eq!(
        traffic("app eq dns and"),
        (14, "expected a field, `not` or `(`, found the end".into())
    );
    assert_eq!(
        traffic("app eq and"),
        (
            7,
            "expected a value (`and`, `or` and `not` need quotes), found `and`".into()
        )
    );
    assert_eq!(traffic("app eq 'dns"), (7, "the quote ' is not closed".into()));
    let (column, message) = traffic("app = dns");
    assert_eq!(column, 4);
    assert!(
        message.ends_with("found `=`; nearest valid name: `eq`"),
        "{message}"
    );
    let (column, message) = traffic("rule contain x");
    assert_eq!(column, 5);
    assert!(message.ends_with("nearest valid name: `contains`"), "{message}");
}

#[test]
fn names_and_values_are_checked() {
    let traffic = |text| error(text, LogType::Traffic);
    let (column, message) = traffic("(app eq dns) and (sesion_end_reason eq threat)");
    assert_eq!(column, 18);
    assert_eq!(
        message,
        "unknown field `sesion_end_reason` of traffic records; nearest valid name: `session_end_reason`"
    );
    assert_eq!(
        traffic("natsrc in 10.0.0.0/8"),
        (0, "field `natsrc` is not supported".into())
    );
    let (column, message) = traffic("session_end_reason eq decrypt-eror");
    assert_eq!(column, 22);
    assert!(
        message.contains("`decrypt-eror` is no value of `session_end_reason`"),
        "{message}"
    );
    assert!(
        message.ends_with("nearest valid name: `decrypt-error`"),
        "{message}"
    );
    let (_, message) = error("action eq sinkohle", LogType::Threat);
    assert!(message.ends_with("nearest valid name: `sinkhole`"), "{message}");
    let (_, message) = traffic("app eq web-browsin");
    assert!(
        message.ends_with("nearest valid name: `web-browsing`"),
        "{message}"
    );
    assert_eq!(
        traffic("rule geq x"),
        (
            5,
            "`geq` does not apply to `rule`; expected eq, neq or contains".into()
        )
    );
    for (text, column) in [
        ("port.dst eq 65536", 12),
        ("port.dst eq +1", 12),
        ("bytes geq many", 10),
        ("src in 10.0.0.0/33", 7),
        ("src in 10.0.0.1-10.0.0.9", 7),
        ("src eq 10.0.0.0/8", 7),
        ("receive_time in yesterday", 16),
        ("receive_time geq last-hour", 17),
        ("receive_time geq '2026/13/01 00:00:00'", 17),
        ("decrypted eq maybe", 13),
        ("proto eq 256", 9),
        ("type eq threats", 8),
        ("dst_tags leq x", 9),
    ] {
        assert_eq!(traffic(text).0, column, "{text}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let errors = Filter::parse(
        "(aap eq dns) or (action eq alow) or (rule geq 3) and (",
        LogType::Traffic,
    )
    .unwrap_err();
    let columns: Vec<usize> = errors.iter().map(FilterError::column).collect();
    assert_eq!(columns, [1, 27, 42, 54]);
}

#[test]
fn loose_spellings_are_warned_about() {
    let text = "(session_end_reason eq decrypt-unsupported-parameter) or (session_end_reason neq decrypt-cert-validation-err)";
    let (filter, warnings) = Filter::parse(text, LogType::Traffic).unwrap();
    assert_eq!(
        filter.to_string(),
        "(session_end_reason eq decrypt-unsupport-param) or (session_end_reason neq decrypt-cert-validation)"
    );
    let warned: Vec<(usize, String)> = warnings.iter().map(|w| (w.column(), w.to_string())).collect();
    assert_eq!(
        warned,
        [
            (
                23,
                "`decrypt-unsupported-parameter` is taken for `decrypt-unsupport-param`; write it so"
                    .to_owned()
            ),
            (
                81,
                "`decrypt-cert-validation-err` is taken for `decrypt-cert-validation`; write it so"
                    .to_owned()
            ),
        ]
    );
    let (filter, warnings) = Filter::parse("dag.src eq x", LogType::Traffic).unwrap();
    assert_eq!(
        (filter.to_string(), warnings.len()),
        ("(src_tags eq x)".to_owned(), 1)
    );
}

#[test]
fn is_bounded() {
    let long = format!("rule eq {}", "x".repeat(Filter::MAX_CHARS));
    assert_eq!(
        error(&long, LogType::Traffic),
        (1023, "the filter is longer than 1023 characters".into())
    );
    assert!(Filter::parse(&long[..Filter::MAX_CHARS], LogType::Traffic).is_ok());
    let nested = |depth: usize| format!("{}app eq dns{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(64), LogType::Traffic).is_ok());
    assert_eq!(error(&nested(65), LogType::Traffic).0, 64);
    assert!(Filter::parse(&format!("{}app eq dns", "!".repeat(65)), LogType::Traffic).is_err());
}

#[test]
fn another_type_of_record_never_matches() {
    let names = Names::new();
    let record = samples::record(Timestamp::ZERO, Body::Traffic(samples::traffic(&names)));
    assert!(Filter::all(LogType::Traffic).matches(&record, names.view(), Timestamp::ZERO));
    assert!(!Filter::all(LogType::Threat).matches(&record, names.view(), Timestamp::ZERO));
}

#[test]
fn severities_are_ordered() {
    let names = Names::new();
    let mut threat = samples::threat(&names);
    let mut passes = |severity, text| {
        threat.severity = severity;
        let record = samples::record(Timestamp::ZERO, Body::Threat(Box::new(threat.clone())));
        parse(text, LogType::Threat).matches(&record, names.view(), Timestamp::ZERO)
    };
    assert!(passes(Severity::High, "severity geq medium"));
    assert!(passes(Severity::Medium, "severity geq medium"));
    assert!(!passes(Severity::Low, "severity geq medium"));
    assert!(passes(Severity::Informational, "severity leq low"));
    assert!(passes(Severity::Critical, "severity neq high"));
}

#[test]
fn negated_pairs_mean_neither_end() {
    let names = Names::new();
    let record = samples::record(Timestamp::ZERO, Body::Traffic(samples::traffic(&names)));
    let passes = |text| parse(text, LogType::Traffic).matches(&record, names.view(), Timestamp::ZERO);
    assert!(passes("addr in 192.168.0.0/16"));
    assert!(passes("addr in 203.0.113.0/24"));
    assert!(!passes("addr notin 203.0.113.0/24"));
    assert!(passes("addr notin 10.0.0.0/8"));
    assert!(passes("zone eq outside and !(zone neq outside)"));
    assert!(passes("port eq 53 and port eq 40000"));
}
