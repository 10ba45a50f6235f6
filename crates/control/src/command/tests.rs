use std::{path::PathBuf, time::Duration};

use logs::{Filter, LogType};
use proptest::{prelude::*, sample::select};

use super::*;

fn parse(line: &str) -> Command {
    Command::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn fault(line: &str) -> CommandError {
    Command::parse(line).expect_err(line)
}

fn filter(text: &str, log_type: LogType) -> Filter {
    Filter::parse(text, log_type).unwrap().0
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row for every command")]
fn reads_every_command() {
    let subject = |text: &str| text.parse::<Subject>().unwrap();
    let infected = "infected-host".to_owned();
    let tags = |limit| Command::Show(Show::Tags { limit });
    for (line, command) in [
        ("help", Command::Help),
        ("show info\r\n", Command::Show(Show::Info)),
        ("  show   counters ", Command::Show(Show::Counters)),
        ("show tags", tags(Command::MAX_ROWS)),
        ("show tags --limit 5", tags(5)),
        ("show tags --limit=5", tags(5)),
        ("show groups", Command::Show(Show::Groups)),
        (
            "show group 'Infected Hosts'",
            Command::Show(Show::Group("Infected Hosts".to_owned())),
        ),
        (
            "show group -- --odd",
            Command::Show(Show::Group("--odd".to_owned())),
        ),
        (
            "show filter-fields ip-tag",
            Command::Show(Show::FilterFields(LogType::IpTag)),
        ),
        (
            "show logs threat --limit 3 '(addr.src in 10.0.0.0/8)'",
            Command::Show(Show::Logs {
                filter: filter("(addr.src in 10.0.0.0/8)", LogType::Threat),
                limit: 3,
            }),
        ),
        (
            // Unquoted, as one types it to netcat.
            "show logs traffic (addr.src in 10.0.0.0/8) and (app eq dns)",
            Command::Show(Show::Logs {
                filter: filter("(addr.src in 10.0.0.0/8) and (app eq dns)", LogType::Traffic),
                limit: Command::DEFAULT_RECORDS,
            }),
        ),
        (
            "show sessions",
            Command::Show(Show::Sessions {
                filter: Filter::all(LogType::Traffic),
                limit: Command::MAX_ROWS,
            }),
        ),
        (
            "tag add 192.168.1.2 infected-host --timeout 15",
            Command::TagAdd {
                subject: subject("192.168.1.2"),
                tag: infected.clone(),
                timeout: 15,
            },
        ),
        (
            "tag add 203.0.113.9 name=www.golfsource.us infected-host",
            Command::TagAdd {
                subject: subject("203.0.113.9 name=www.golfsource.us"),
                tag: infected.clone(),
                timeout: 0,
            },
        ),
        (
            "tag remove '203.0.113.9 client=10.0.0.1' infected-host",
            Command::TagRemove {
                subject: subject("203.0.113.9 client=10.0.0.1"),
                tag: infected,
            },
        ),
        (
            "explain 10.0.0.0/8",
            Command::Explain {
                subject: subject("10.0.0.0/8"),
            },
        ),
        (
            "commit /etc/cordon/fw.toml --confirm-within 10m --comment 'guests may print'",
            Command::Commit {
                path: PathBuf::from("/etc/cordon/fw.toml"),
                confirm_within: Some(Duration::from_mins(10)),
                comment: "guests may print".to_owned(),
            },
        ),
        (
            "diff",
            Command::Diff {
                from: None,
                to: DiffTo::Usual,
            },
        ),
        (
            "diff fw.toml --from 3",
            Command::Diff {
                from: Some(3),
                to: DiffTo::Path("fw.toml".into()),
            },
        ),
        (
            "diff --from 3 --to 12",
            Command::Diff {
                from: Some(3),
                to: DiffTo::Commit(12),
            },
        ),
        ("rollback", Command::Rollback(RollbackTo::Steps(1))),
        ("rollback 3", Command::Rollback(RollbackTo::Steps(3))),
        ("rollback --to 3", Command::Rollback(RollbackTo::Commit(3))),
        ("confirm", Command::Confirm),
        ("clear rule-hits all", Command::ClearRuleHits(None)),
        (
            "clear rule-hits 'Block Infected'",
            Command::ClearRuleHits(Some("Block Infected".to_owned())),
        ),
        ("clear session all", Command::ClearSession(Sessions::All)),
        ("clear exclude-cache", Command::ClearExcludeCache),
        ("clear session 4711", Command::ClearSession(Sessions::Id(4711))),
        (
            "clear session 'rule eq guests'",
            Command::ClearSession(Sessions::Matching(filter("rule eq guests", LogType::Traffic))),
        ),
        (
            "pause tagging --for 10m",
            Command::Pause {
                what: Brake::Tagging,
                duration: Duration::from_mins(10),
            },
        ),
        (
            "pause decryption --for 0s",
            Command::Pause {
                what: Brake::Decryption,
                duration: Duration::ZERO,
            },
        ),
        (
            "test dns 'a b' --limit",
            Command::Test(["dns", "a b", "--limit"].map(str::to_owned).to_vec()),
        ),
    ] {
        assert_eq!(parse(line), command, "{line}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row for every fault")]
fn says_what_is_wrong_and_what_was_meant() {
    for (line, says) in [
        ("", "there is no command; `help` lists them"),
        (
            "shwo info",
            "there is no command `shwo`; nearest valid name: `show`",
        ),
        (
            "show sesions",
            "there is no thing to show `sesions`; nearest valid name: `sessions`",
        ),
        (
            "show logs trafic",
            "there is no type of record `trafic`; nearest valid name: `traffic`",
        ),
        (
            "show logs",
            "TYPE is missing; usage: show logs TYPE ['FILTER'] [--limit N]",
        ),
        ("show info now", "`now` is one word too many; usage: show info"),
        (
            "show tags --limti 3",
            "there is no option --limti here; nearest valid name: --limit; usage: show tags [--limit N]",
        ),
        (
            "show tags --limit",
            "--limit needs a value; usage: show tags [--limit N]",
        ),
        (
            "show tags --limit 1 --limit 2",
            "--limit is given twice; usage: show tags [--limit N]",
        ),
        (
            "show tags --limit 0",
            "--limit is a number from 1 to 100000; usage: show tags [--limit N]",
        ),
        (
            "tag",
            "`add` or `remove` is missing; usage: tag add SUBJECT TAG [--timeout MIN], or tag remove SUBJECT TAG",
        ),
        (
            "tag ad 10.0.0.1 a",
            "there is no tag command `ad`; nearest valid name: `add`",
        ),
        (
            "tag remove 10.0.0.1",
            "SUBJECT is missing; usage: tag remove SUBJECT TAG",
        ),
        (
            "tag remove 10.0.0.1 name=a.b",
            "TAG is missing; usage: tag remove SUBJECT TAG",
        ),
        (
            "tag add 10.0.0.1 a --timeout 43201",
            "--timeout is in minutes, 0 (until removed) to 43200; usage: tag add SUBJECT TAG [--timeout MIN]",
        ),
        (
            "explain 10.0.0",
            "`10.0.0`: expected an address such as 192.0.2.1 or 2001:db8::1, a prefix or a range; \
             usage: explain SUBJECT",
        ),
        (
            "rollback 0",
            "N counts commits back, from 1; usage: rollback [N], or rollback --to N",
        ),
        (
            "rollback 1 --to 2",
            "N and --to exclude each other; usage: rollback [N], or rollback --to N",
        ),
        (
            "diff --from x",
            "--from is the number of a commit, as `show commits` lists them; \
             usage: diff [PATH] [--from N], or diff [--from N] --to N",
        ),
        (
            "diff a --to 2",
            "PATH and --to exclude each other; usage: diff [PATH] [--from N], or diff [--from N] --to N",
        ),
        (
            "clear session",
            "which sessions?; usage: clear session all|ID|'FILTER'",
        ),
        (
            "clear session ''",
            "which sessions?; usage: clear session all|ID|'FILTER'",
        ),
        (
            "clear tags",
            "there is no thing to clear `tags`; there are: session, rule-hits, exclude-cache",
        ),
        (
            "pause tagging",
            "--for is missing; usage: pause tagging|decryption --for 10m",
        ),
        (
            "pause tagging --for 25h",
            "--for: a time is a number with s, m, h or d, as in 10m, and at most 24h; \
             usage: pause tagging|decryption --for 10m",
        ),
        (
            "show group 'open",
            "a quote is not closed, or the line ends in a backslash",
        ),
        ("show group a\u{9b}b", "a command has no control characters"),
    ] {
        let error = fault(line);
        assert_eq!(error.code, ErrorCode::Usage, "{line}");
        assert_eq!(error.message, says, "{line}");
    }
}

#[test]
fn a_wrong_filter_shows_every_column() {
    let error = fault("show logs traffic '(appp eq dns) and (sport eq x)'");
    assert_eq!(error.code, ErrorCode::Filter);
    assert!(error.message.starts_with("filter:1:2: "), "{error}");
    assert!(error.message.ends_with("nearest valid name: `app`"), "{error}");
    assert_eq!(error.details.len(), 1, "{error:?}");
    assert!(error.details[0].starts_with("filter:1:29: "), "{error:?}");
}

#[test]
fn a_line_is_bounded() {
    let longest = "help".to_owned() + &" ".repeat(Command::MAX_LINE - 4);
    assert_eq!(parse(&longest), Command::Help);
    assert_eq!(parse(&format!("{longest}\n")), Command::Help);
    assert_eq!(fault(&format!("{longest} ")).code, ErrorCode::TooLong);
}

#[test]
fn only_the_control_socket_changes_anything() {
    for usage in Usage::ALL {
        let line = usage
            .words
            .replace("'FILTER'", "'app eq dns'")
            .replace("TYPE", "traffic")
            .replace("SUBJECT", "10.0.0.1")
            .replace("all|ID|'app eq dns'", "all")
            .replace("tagging|decryption", "tagging")
            .replace(['[', ']'], "")
            .replace(" N", " 7")
            .replace("MIN", "7");
        assert_eq!(parse(&line).privilege(), usage.privilege, "{line}");
    }
}

fn any_word() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{0,12}"
}

fn any_name() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,12}".prop_filter("reads as a qualifier", |tag| {
        !tag.starts_with("name=") && !tag.starts_with("client=")
    })
}

fn any_subject() -> impl Strategy<Value = Subject> {
    select(vec![
        "10.0.0.1",
        "10.0.0.0/8",
        "fd00::1-fd00::ff",
        "203.0.113.9 name=a\\032b.example",
        "203.0.113.9 client=fd00::1",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn any_filter() -> impl Strategy<Value = Filter> {
    select(vec![
        "",
        "(rule eq 'a b')",
        "not (addr in 10.0.0.0/8) or (misc contains \"x y\")",
    ])
    .prop_flat_map(|text| {
        let types = if text.contains("misc") {
            vec![LogType::Threat]
        } else {
            vec![LogType::Traffic]
        };
        select(types).prop_map(move |log_type| filter(text, log_type))
    })
}

fn any_diff_to() -> impl Strategy<Value = DiffTo> {
    prop_oneof![
        Just(DiffTo::Usual),
        any_name().prop_map(|path| DiffTo::Path(path.into())),
        (1..=u32::MAX).prop_map(DiffTo::Commit),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let limit = 1..=Command::MAX_ROWS;
    let seconds = (0..=86_400_u64).prop_map(Duration::from_secs);
    let within = proptest::option::of((1..=86_400_u64).prop_map(Duration::from_secs));
    let traffic = || any_filter().prop_filter("of sessions", |filter| filter.log_type() == LogType::Traffic);
    prop_oneof![
        Just(Command::Help),
        Just(Command::Confirm),
        any_name().prop_map(|name| Command::Show(Show::Group(name))),
        (any_filter(), limit.clone()).prop_map(|(filter, limit)| Command::Show(Show::Logs { filter, limit })),
        (traffic(), limit.clone())
            .prop_map(|(filter, limit)| Command::Show(Show::Sessions { filter, limit })),
        limit.prop_map(|limit| Command::Show(Show::Tags { limit })),
        (any_subject(), any_name(), 0..=43_200_u32).prop_map(|(subject, tag, timeout)| Command::TagAdd {
            subject,
            tag,
            timeout
        }),
        (any_subject(), any_name()).prop_map(|(subject, tag)| Command::TagRemove { subject, tag }),
        any_subject().prop_map(|subject| Command::Explain { subject }),
        (any_name(), within, any_word()).prop_map(|(path, confirm_within, comment)| Command::Commit {
            path: path.into(),
            confirm_within,
            comment
        }),
        (proptest::option::of(1..=u32::MAX), any_diff_to()).prop_map(|(from, to)| Command::Diff { from, to }),
        (1..=u32::MAX).prop_map(|steps| Command::Rollback(RollbackTo::Steps(steps))),
        (1..=u32::MAX).prop_map(|number| Command::Rollback(RollbackTo::Commit(number))),
        proptest::option::of(any_name())
            .prop_map(|name| Command::ClearRuleHits(name.filter(|name| name != "all"))),
        any::<u64>().prop_map(|id| Command::ClearSession(Sessions::Id(id))),
        Just(Command::ClearExcludeCache),
        traffic()
            .prop_filter("one that forgets nothing", |filter| !filter.is_all())
            .prop_map(|filter| Command::ClearSession(Sessions::Matching(filter))),
        seconds.prop_map(|duration| Command::Pause {
            what: Brake::Tagging,
            duration
        }),
        proptest::collection::vec(any_word(), 0..4).prop_map(Command::Test),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(command in any_command()) {
        let line = command.to_string();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(Command::parse(&line), Ok(command.clone()), "{}", line);
        prop_assert_eq!(Command::from_words(command.words()), Ok(command));
    }

    #[test]
    fn arbitrary_lines_never_panic(line in "\\PC{0,60}", verb in select(vec!["", "show logs traffic ", "tag add ", "clear session "])) {
        drop(Command::parse(&format!("{verb}{line}")));
    }
}
