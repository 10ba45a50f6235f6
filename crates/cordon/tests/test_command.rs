//! `cordon test` and `cordon check` as scripts see them.
#![expect(clippy::expect_used, reason = "a test says what it expected")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

const CONFIG: &str = r#"
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
resolvers = ["10.9.9.53"]
interfaces = ["lan0"]
networks = ["10.0.0.0/8", "fd00::/8"]
[zone.outside]
interfaces = ["wan0"]

[tag.infected]
[address-group.Infected]
dynamic.filter = "'infected'"
[profiles.custom-url-category.Closed]
list = ["*.bank.example"]

[external-list.bad]
type = "domain"
url = "file:bad.txt"
[external-list.good]
type = "domain"
url = "file:good.txt"
[profiles.spyware.Strict]
botnet-domains.sinkhole.ipv4-address = "192.0.2.1"
botnet-domains.sinkhole.fqdn = "sinkhole.example"
[[profiles.spyware.Strict.botnet-domains.lists]]
name = "good"
action = "allow"
[[profiles.spyware.Strict.botnet-domains.lists]]
name = "bad"
action = "sinkhole"

[[log-settings.profiles.forward.match-list]]
name = "tag-asker"
log-type = "threat"
filter = "(action eq sinkhole)"
[[log-settings.profiles.forward.match-list.actions]]
name = "tag"
type.tagging = { action = "add-tag", target = "source-address", tags = ["infected"], timeout = 30 }

[[rulebase.security.rules]]
name = "quarantine"
from = ["inside"]
to = ["any"]
source = ["Infected"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "deny"
[[rulebase.security.rules]]
name = "web"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
application = ["ssl"]
service = ["application-default"]
action = "allow"
profile-setting.profiles.spyware = ["Strict"]
log-setting = "forward"

[[rulebase.decryption.rules]]
name = "closed"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
category = ["Closed"]
action = "no-decrypt"
[[rulebase.decryption.rules]]
name = "opened"
source = ["10.0.0.7"]
action = "decrypt"
profile = "Checked"
[profiles.decryption.Checked]
verify-sni = true
[[setting.ssl-decrypt.ssl-exclude-cert]]
name = "*.pinned.example"
"#;

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        lab.put("fw.toml", CONFIG);
        lab.put("bad.txt", "bad.example\n*.worse.example\n");
        lab.put("good.txt", "fine.worse.example\n");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Runs `cordon` in the folder.
    fn cordon(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cordon"))
            .current_dir(self.folder.path())
            .args(words)
            .output()
            .expect("the binary runs")
    }

    /// The object that `cordon WORDS --json` prints when all is well.
    fn object(&self, words: &[&str]) -> Value {
        let output = self.cordon(&[words, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).expect("one object")
    }

    /// What is said on standard error by words that end with code 1.
    fn complaint(&self, words: &[&str]) -> String {
        let output = self.cordon(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    }

    fn security(&self, more: &str) -> Value {
        let start = "test security-policy-match fw.toml --source 10.0.0.1 --destination 203.0.113.9";
        let words: Vec<&str> = start.split(' ').chain(more.split_whitespace()).collect();
        self.object(&words)
    }
}

/// Each tried rule with what it said and why.
fn tried(answer: &Value) -> Vec<[&str; 3]> {
    let rules = answer["tried"].as_array().expect("rules");
    rules
        .iter()
        .map(|rule| ["rule", "matches", "column"].map(|key| rule[key].as_str().expect("text")))
        .collect()
}

#[test]
fn the_security_rule_is_told_with_its_reasons() {
    let lab = Lab::new();
    let answer = lab.security("--application ssl");
    assert_eq!(answer["rule"], "web");
    assert_eq!(
        (&answer["index"], &answer["action"]),
        (&json!(2), &json!("allow"))
    );
    assert_eq!(answer["provisional"], false);
    assert_eq!(
        (&answer["profile"], &answer["log_setting"]),
        (&json!("Strict"), &json!("forward"))
    );
    assert_eq!(
        tried(&answer),
        [["quarantine", "no", "source"], ["web", "yes", ""]]
    );
    let session = &answer["session"];
    assert_eq!(
        (&session["from"], &session["to"]),
        (&json!("inside"), &json!("outside"))
    );
    assert_eq!(
        (&session["proto"], &session["dport"]),
        (&json!("tcp"), &json!(443))
    );
}

#[test]
fn an_application_that_is_not_known_yet_leaves_rules_open() {
    let answer = Lab::new().security("--destination-port 443");
    assert_eq!(
        (&answer["rule"], &answer["provisional"]),
        (&json!("web"), &json!(true))
    );
    assert_eq!(answer["application"], Value::Null);
    assert_eq!(
        tried(&answer),
        [
            ["quarantine", "no", "source"],
            ["web", "open", "application"],
            ["intrazone-default", "no", "rule-type"],
            ["interzone-default", "yes", ""],
        ]
    );
}

#[test]
fn tags_that_would_be_registered_count() {
    let answer = Lab::new().security("--application ssl --source-tag infected");
    assert_eq!(
        (&answer["rule"], &answer["action"]),
        (&json!("quarantine"), &json!("deny"))
    );
    assert_eq!(answer["session"]["src_tags"], json!(["infected"]));
}

#[test]
fn zones_follow_from_the_source() {
    let lab = Lab::new();
    let words =
        "test security-policy-match fw.toml --source 203.0.113.9 --destination 10.0.0.1 --protocol icmp";
    let answer = lab.object(&words.split(' ').collect::<Vec<_>>());
    assert_eq!(answer["rule"], "interzone-default");
    let session = &answer["session"];
    assert_eq!(
        (&session["from"], &session["to"]),
        (&json!("outside"), &json!("inside"))
    );
}

#[test]
fn the_decryption_rule_is_told_with_its_reasons() {
    let lab = Lab::new();
    let ask = |more: &[&str]| {
        let start = "test decryption-policy-match fw.toml --source 10.0.0.1 --destination 203.0.113.9";
        let words: Vec<&str> = start.split(' ').chain(more.iter().copied()).collect();
        lab.object(&words)
    };
    let bank = ask(&["--host", "www.bank.example"]);
    assert_eq!(
        (&bank["rule"], &bank["action"]),
        (&json!("closed"), &json!("no-decrypt"))
    );
    assert_eq!(bank["session"]["categories"], json!(["Closed"]));
    assert_eq!(ask(&["--category", "Closed"])["rule"], "closed");
    let other = ask(&["--host", "example.com"]);
    assert_eq!(
        (&other["rule"], &other["name_matters"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        tried(&other),
        [["closed", "no", "category"], ["opened", "no", "source"]]
    );
    let start = "test decryption-policy-match fw.toml --source 10.0.0.7 --destination 203.0.113.9 --host";
    for (host, action, excluded) in [
        ("www.pinned.example", "no-decrypt", true),
        ("pinned.example", "decrypt", false),
    ] {
        let words: Vec<&str> = start.split(' ').chain([host]).collect();
        let answer = lab.object(&words);
        assert_eq!(answer["rule"], "opened");
        assert_eq!(
            (
                &answer["action"],
                &answer["excluded"],
                &answer["name_to_be_proved"]
            ),
            (&json!(action), &json!(excluded), &json!(excluded))
        );
    }
    let unnamed = ask(&[]);
    assert_eq!(
        (&unnamed["rule"], &unnamed["name_matters"]),
        (&Value::Null, &json!(true))
    );
}

#[test]
fn names_are_told_with_their_lists() {
    let answer = Lab::new().object(&[
        "test",
        "dns",
        "fw.toml",
        "BAD.example.",
        "a.worse.example",
        "fine.worse.example",
        "example.com",
    ]);
    let told = |index: usize| {
        let name = &answer["names"][index];
        let profile = &name["profiles"][0];
        json!([
            name["name"],
            name["lists"],
            profile["action"],
            profile["list"],
            profile["entry"]
        ])
    };
    let on = |list: &str, entry: &str| json!({"list": list, "entry": entry});
    assert_eq!(
        told(0),
        json!([
            "bad.example",
            [on("bad", "bad.example")],
            "sinkhole",
            "bad",
            "bad.example"
        ])
    );
    assert_eq!(
        told(1),
        json!([
            "a.worse.example",
            [on("bad", "worse.example")],
            "sinkhole",
            "bad",
            "worse.example"
        ])
    );
    // The profile's first list that holds the name decides.
    let both = [on("bad", "worse.example"), on("good", "fine.worse.example")];
    assert_eq!(
        told(2),
        json!(["fine.worse.example", both, "allow", "good", "fine.worse.example"])
    );
    assert_eq!(told(3), json!(["example.com", [], "pass", "", ""]));
    let sinkholed = &answer["names"][0]["profiles"][0];
    assert_eq!(sinkholed["rules"], json!(["web"]));
    assert_eq!(
        sinkholed["answer"],
        json!({"fqdn": "sinkhole.example", "ipv4_address": "192.0.2.1", "ipv6_address": null})
    );
}

/// A threat record as its line may look.
fn record(seqno: u64, action: &str, rule: &str) -> String {
    let record = json!({"seqno": seqno, "type": "threat", "action": action, "rule": rule, "src": "10.0.0.7"});
    format!("{record}\n")
}

#[test]
fn a_filter_is_checked_and_lets_records_through() {
    let lab = Lab::new();
    let records = [
        record(1, "sinkhole", "web"),
        record(2, "alert", "web"),
        record(3, "sinkhole", "other"),
    ];
    lab.put("records.jsonl", &records.concat());
    let filter = "addr.src in 10.0.0.0/8 and (action eq sinkhole)";
    let answer = lab.object(&[
        "test",
        "filter",
        "fw.toml",
        "threat",
        filter,
        "--records",
        "records.jsonl",
    ]);
    assert_eq!(answer["filter"], "(src in 10.0.0.0/8) and (action eq sinkhole)");
    assert_eq!(answer["records"], 3);
    let seqnos: Vec<_> = answer["matched"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|record| &record["seqno"])
        .collect();
    assert_eq!(seqnos, [1, 3]);

    let alone = lab.object(&["test", "filter", "fw.toml", "threat", filter]);
    assert_eq!((&alone["records"], &alone["matched"]), (&Value::Null, &json!([])));

    let output = lab.cordon(&[
        "test",
        "filter",
        "fw.toml",
        "threat",
        filter,
        "--records",
        "records.jsonl",
    ]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.starts_with(&records[0]),
        "people see the line as it stands: {text}"
    );
    assert!(text.ends_with("2 of 3 pass\n"), "{text}");
}

#[test]
fn without_a_filter_the_match_lists_are_asked() {
    let lab = Lab::new();
    let records = [
        record(1, "sinkhole", "web"),
        record(2, "alert", "web"),
        record(3, "sinkhole", "quarantine"),
    ];
    lab.put("records.jsonl", &records.concat());
    let answer = lab.object(&["test", "filter", "fw.toml", "--records", "records.jsonl"]);
    assert_eq!(answer["records"], 3);
    // The third is of a rule without `log-setting`.
    assert_eq!(answer["matched"].as_array().map(Vec::len), Some(1), "{answer}");
    let entry = &answer["matched"][0]["entries"][0];
    assert_eq!(
        (&entry["name"], &entry["mode"]),
        (&json!("tag-asker"), &json!("enforce"))
    );
    assert_eq!(
        entry["actions"],
        json!([{
            "name": "tag", "action": "add-tag", "target": "source-address",
            "address": "10.0.0.7", "tags": ["infected"], "timeout": 30,
        }])
    );
}

#[test]
fn a_broken_filter_is_shown_where_it_breaks() {
    let lab = Lab::new();
    let filter = "(acton eq sinkhole)";
    let text = lab.complaint(&["test", "filter", "fw.toml", "threat", filter]);
    assert!(text.starts_with("filter:1:2: error: "), "{text}");
    assert!(text.contains("nearest valid name: `action`"), "{text}");
    assert!(text.ends_with("  (acton eq sinkhole)\n   ^\n"), "{text}");
    let output = lab.cordon(&["test", "filter", "fw.toml", "threat", filter, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(answer["errors"][0]["column"], 2);
}

#[test]
fn what_is_not_there_is_named() {
    let lab = Lab::new();
    let session = |more: &str| {
        let words = format!("test security-policy-match fw.toml --source 10.0.0.1 --destination {more}");
        lab.complaint(&words.split(' ').collect::<Vec<_>>())
    };
    for (text, says) in [
        (
            session("203.0.113.9 --from insid --destination-port 1"),
            "no zone `insid`; nearest valid name: `inside`",
        ),
        (
            session("203.0.113.9 --application sssl"),
            "no application `sssl`; nearest valid name: `ssl`",
        ),
        (session("203.0.113.9"), "give --destination-port"),
        (
            session("2001:db8::1 --destination-port 1"),
            "both be IPv4 or both IPv6",
        ),
        (
            session("203.0.113.9 --destination-port 1 --category Open"),
            "no URL category in use `Open`",
        ),
        (
            session("203.0.113.9 --destination-port 1 --protocol gre"),
            "only tcp and udp have ports",
        ),
        (
            lab.complaint(&["test", "dns", "fw.toml", "a.example", "--profile", "Strct"]),
            "no anti-spyware profile `Strct`; nearest valid name: `Strict`",
        ),
        (
            lab.complaint(&["test", "filter", "fw.toml", "--records", "none"]),
            "none: ",
        ),
    ] {
        assert!(text.contains(says), "{text:?} should say {says:?}");
    }
    lab.put("records.jsonl", "\n{}\n");
    let text = lab.complaint(&["test", "filter", "fw.toml", "--records", "records.jsonl"]);
    assert!(text.contains("records.jsonl:2: "), "{text}");
}

#[test]
fn a_configuration_with_errors_is_not_asked() {
    let lab = Lab::new();
    lab.put("fw.toml", "[zone.inside]\ninterfaces = 7\n");
    for words in [
        &["test", "dns", "fw.toml", "a.example"][..],
        &["test", "filter", "fw.toml", "threat", "All Logs"],
        &["check", "fw.toml"],
    ] {
        assert!(
            lab.complaint(words).contains("fw.toml:2:14: error: "),
            "{words:?}"
        );
    }
}

#[test]
fn check_tells_programs_and_people_the_same() {
    let lab = Lab::new();
    let fine = lab.object(&["check", "fw.toml"]);
    assert_eq!(fine, json!({"findings": [], "errors": 0, "warnings": 0}));

    lab.put(
        "fw.toml",
        &CONFIG.replace("log-setting = \"forward\"", "log-setting = \"forwrd\""),
    );
    let people = lab.cordon(&["check", "fw.toml"]);
    let programs = lab.cordon(&["check", "fw.toml", "--json"]);
    assert_eq!((people.status.code(), programs.status.code()), (Some(1), Some(1)));
    assert!(programs.stderr.is_empty());
    let object: Value = serde_json::from_slice(&programs.stdout).expect("one object");
    let lines: Vec<String> = object["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|finding| {
            let word = |key: &str| finding[key].as_str().expect("text").to_owned();
            let (file, severity, message) = (word("file"), word("severity"), word("message"));
            format!(
                "{file}:{}:{}: {severity}: {message}\n",
                finding["line"], finding["column"]
            )
        })
        .collect();
    assert_eq!(String::from_utf8(people.stderr).expect("text"), lines.concat());
    assert!(
        lines.concat().contains("nearest valid name: `forward`"),
        "{lines:?}"
    );
    assert_eq!(object["errors"], 1);
    let summary = String::from_utf8(people.stdout).expect("text");
    assert_eq!(summary.lines().count(), 1, "{summary}");
}
