//! The commands that ask a running firewall, from the command line to the sockets and back.
#![expect(clippy::expect_used, reason = "a test says what it expected")]

use std::{
    path::PathBuf,
    process::{Command as Process, Output},
    sync::{Arc, Mutex},
};

use control::{Answer, Command, CommandError, DiffTo, ErrorCode, Server, ServerLimits, Show, Sockets};
use serde_json::{Value, json};

/// A firewall that remembers what it was asked.
#[derive(Default)]
struct Fake(Mutex<Vec<Command>>);

impl Answer for Fake {
    fn answer(&self, _: &str, command: Command) -> Result<Value, CommandError> {
        self.0.lock().expect("no test panics here").push(command.clone());
        if command == Command::Show(Show::Groups) {
            let error = CommandError::new(ErrorCode::Invalid, "fw.toml has\u{1b}[2J errors");
            return Err(error.with_details(vec!["fw.toml:1:2: error: \u{9b}odd".to_owned()]));
        }
        if command
            == (Command::Diff {
                from: None,
                to: DiffTo::Usual,
            })
        {
            return Err(CommandError::new(ErrorCode::Busy, "later"));
        }
        Ok(
            json!({ "tags": [{ "subject": "10.0.0.1", "tag": "infected-host\u{9b}", "minutes": 15 }], "truncated": false }),
        )
    }
}

struct Running {
    folder: tempfile::TempDir,
    fake: Arc<Fake>,
    _server: Server,
}

impl Running {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fake = Arc::new(Fake::default());
        let sockets = Sockets::bind(&folder.path().join("cordon.sock")).expect("sockets");
        let server = sockets
            .serve(fake.clone(), ServerLimits::default())
            .expect("a server");
        Self {
            folder,
            fake,
            _server: server,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("cordon.sock")
    }

    fn cordon(&self, words: &[&str]) -> Output {
        Process::new(env!("CARGO_BIN_EXE_cordon"))
            .args(words)
            .arg("--socket")
            .arg(self.socket())
            .output()
            .expect("the binary runs")
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn words_reach_the_firewall_as_they_were_meant() {
    let running = Running::new();
    let here = std::env::current_dir().expect("a folder").join("fw.toml");
    let here = here.to_str().expect("UTF-8");
    for (words, line) in [
        (&["show", "info"][..], "show info"),
        (&["show", "tags", "--limit", "7"], "show tags --limit 7"),
        (
            &["show", "group", "Infected Hosts"],
            "show group 'Infected Hosts'",
        ),
        (
            &[
                "show",
                "logs",
                "threat",
                "(addr.src in 10.0.0.0/8)",
                "--limit",
                "2",
            ],
            "show logs threat '(addr.src in 10.0.0.0/8)' --limit 2",
        ),
        (&["show", "filter-fields", "url"], ""),
        (
            &[
                "tag",
                "add",
                "10.0.0.1",
                "name=a.b",
                "infected-host",
                "--timeout",
                "15",
            ],
            "tag add 10.0.0.1 name=a.b infected-host --timeout 15",
        ),
        (&["tag", "remove", "10.0.0.1", "a"], "tag remove 10.0.0.1 a"),
        (&["explain", "192.168.1.2"], "explain 192.168.1.2"),
        (
            &["commit", "fw.toml", "--confirm-within", "10m", "--comment", "a b"],
            &format!("commit '{here}' --confirm-within 10m --comment 'a b'"),
        ),
        (&["diff", "fw.toml"], &format!("diff '{here}'")),
        (&["rollback"], "rollback 1"),
        (&["rollback", "3"], "rollback 3"),
        (&["rollback", "--to", "3"], "rollback --to 3"),
        (&["diff", "--from", "3", "--to", "4"], "diff --from 3 --to 4"),
        (&["confirm"], "confirm"),
        (&["clear", "session", "all"], "clear session all"),
        (&["clear", "session", "rule eq x"], "clear session 'rule eq x'"),
        (&["pause", "tagging", "--for", "10m"], "pause tagging --for 10m"),
    ] {
        let output = running.cordon(words);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}",
            text(&output.stderr)
        );
        let asked = running.fake.0.lock().expect("no panic").pop();
        let meant = (!line.is_empty()).then(|| Command::parse(line).expect(line));
        assert_eq!(asked, meant, "{words:?}");
    }
}

#[test]
fn people_get_tables_and_programs_get_json() {
    let running = Running::new();
    let output = running.cordon(&["show", "tags"]);
    assert_eq!(
        text(&output.stdout),
        "subject   tag                  minutes\n10.0.0.1  infected-host\\u{9b}  15\n"
    );
    let output = running.cordon(&["show", "tags", "--json"]);
    assert_eq!(
        text(&output.stdout),
        "{\"tags\":[{\"minutes\":15,\"subject\":\"10.0.0.1\",\"tag\":\"infected-host\\u009b\"}],\"truncated\":false}\n"
    );
}

#[test]
fn refusals_have_their_exit_codes() {
    let running = Running::new();
    for (words, code, says) in [
        (&["show", "sesions"][..], 2, "nearest valid name: `sessions`"),
        (&["tag", "add", "10.0.0", "a"], 2, "expected an address"),
        (
            &["pause", "tagging", "--for", "10"],
            2,
            "a time is a number with s, m, h or d",
        ),
        (&["pause", "tagging"], 2, "--for"),
        (
            &["show", "logs", "traffic", "appp eq dns"],
            1,
            "nearest valid name: `app`",
        ),
        (&["show", "groups"], 1, "fw.toml has\\u{1b}[2J errors"),
        (&["diff"], 3, "later"),
    ] {
        let output = running.cordon(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(
            text(&output.stderr).contains(says),
            "{words:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty(), "{words:?}");
        assert!(!text(&output.stderr).contains(['\u{1b}', '\u{9b}']), "{words:?}");
    }
    let output = running.cordon(&["show", "groups", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["error"]["code"], "invalid");
    assert_eq!(answer["error"]["details"][0], "fw.toml:1:2: error: \u{9b}odd");
}

#[test]
fn nobody_there_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("cordon.sock");
    let ask = || {
        let output = Process::new(env!("CARGO_BIN_EXE_cordon"))
            .args(["show", "info", "--socket"])
            .arg(&socket)
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(3));
        text(&output.stderr).to_owned()
    };
    assert!(ask().contains("is cordon running?"), "{}", ask());
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    assert!(ask().contains("nobody answers at "), "{}", ask());
}
