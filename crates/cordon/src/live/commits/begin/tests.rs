use std::{fs, path::PathBuf, sync::Arc};

use control::{HistoryLimits, Unconfirmed};
use tags::TagNames;

use super::*;

const CONFIG: &str = include_str!("../../../../examples/live_quarantine.toml");
const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// A state directory beside a configuration.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("names.txt"), "golfsource.us\n").unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fw.toml")
    }

    /// Writes a configuration that differs from others by a comment.
    fn write(&self, mark: &str) {
        fs::write(self.path(), format!("{CONFIG}# {mark}\n")).unwrap();
    }

    fn history(&self) -> History {
        let (history, damage) = History::open(self.folder.path(), HistoryLimits::default()).unwrap();
        assert_eq!(damage, []);
        history
    }

    /// What the file says now is committed, and has to be confirmed or not.
    fn commit(&self, unconfirmed: bool) -> u32 {
        let path = self.path();
        let commit = NewCommit {
            time: NOW,
            admin: "uid 0",
            comment: "",
            path: &path.display().to_string(),
            unconfirmed: unconfirmed.then_some(Unconfirmed { deadline: NOW }),
        };
        let configuration = ConfigurationText::read(&path).unwrap();
        self.history().append(&commit, &configuration).unwrap()
    }

    fn begin(&self) -> Beginning {
        let compiler = Compiler::new(Arc::new(TagNames::new()), 0);
        let given = Given::read(&self.path(), &compiler, NOW).unwrap();
        Beginning::choose(given, self.history(), &[], &compiler, NOW)
    }
}

/// The mark and the number of what is in force, and the events told.
fn outcome(begun: &Beginning) -> (&str, Option<u32>, Vec<&'static str>) {
    let text = begun.begun.in_force.configuration.text.trim_end();
    let mark = text.rsplit("# ").next().unwrap();
    let events = begun.begun.notes.iter().map(|note| note.event).collect();
    (mark, begun.begun.in_force.number, events)
}

#[test]
fn the_first_configuration_is_a_commit() {
    let machine = Machine::new();
    machine.write("a");
    assert_eq!(outcome(&machine.begin()), ("a", Some(1), vec![]));
    // Once.
    let again = machine.begin();
    assert_eq!(outcome(&again), ("a", Some(1), vec![]));
    assert_eq!(again.begun.before, Some(1));
    assert_eq!(again.begun.history.commits().len(), 1);
}

#[test]
fn the_command_line_has_its_way_and_is_told_of_a_later_commit() {
    let machine = Machine::new();
    machine.write("a");
    drop(machine.begin());
    machine.write("b");
    assert_eq!(machine.commit(false), 2);
    machine.write("a");
    let begun = machine.begin();
    assert_eq!(outcome(&begun), ("a", Some(3), vec!["configuration-differs"]));
    assert_eq!(begun.begun.before, Some(2));
    assert!(
        begun.begun.notes[0].text.contains("number 2 from "),
        "{:?}",
        begun.begun.notes
    );
}

#[test]
fn what_nobody_confirmed_does_not_start() {
    let machine = Machine::new();
    machine.write("a");
    drop(machine.begin());
    machine.write("b");
    assert_eq!(machine.commit(true), 2);
    // However often it is tried.
    assert_eq!(
        outcome(&machine.begin()),
        ("a", Some(3), vec!["commit-not-confirmed"])
    );
    assert_eq!(
        outcome(&machine.begin()),
        ("a", Some(3), vec!["commit-not-confirmed"])
    );
    // Once committed for good it does.
    assert_eq!(machine.commit(false), 4);
    assert_eq!(outcome(&machine.begin()), ("b", Some(4), vec![]));
}

#[test]
fn another_file_ends_the_wait() {
    let machine = Machine::new();
    machine.write("a");
    drop(machine.begin());
    machine.write("b");
    assert_eq!(machine.commit(true), 2);
    machine.write("c");
    assert_eq!(
        outcome(&machine.begin()),
        ("c", Some(3), vec!["configuration-differs"])
    );
}

#[test]
fn with_nothing_to_go_back_to_it_starts_all_the_same() {
    let machine = Machine::new();
    machine.write("a");
    assert_eq!(machine.commit(true), 1);
    let begun = machine.begin();
    assert_eq!(outcome(&begun), ("a", Some(2), vec!["commit-not-confirmed"]));
    assert_eq!(begun.begun.notes[0].severity, Severity::Critical);
}

#[test]
fn a_confirmed_one_with_errors_today_does_not_keep_the_firewall_from_starting() {
    let machine = Machine::new();
    machine.write("a");
    let other = machine.folder.path().join("other.txt");
    fs::write(&other, "a.example\n").unwrap();
    let text = fs::read_to_string(machine.path()).unwrap();
    fs::write(machine.path(), text.replace("names.txt", "other.txt")).unwrap();
    drop(machine.begin());
    machine.write("b");
    assert_eq!(machine.commit(true), 2);
    fs::remove_file(other).unwrap();
    let begun = machine.begin();
    assert_eq!(outcome(&begun), ("b", Some(3), vec!["commit-not-confirmed"]));
    assert!(
        begun.begun.notes[0].text.contains("commit 1, has errors today"),
        "{:?}",
        begun.begun.notes
    );
}
