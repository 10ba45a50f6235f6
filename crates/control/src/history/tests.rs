use proptest::prelude::*;

use super::*;

fn text(body: &str) -> ConfigurationText {
    ConfigurationText {
        name: "fw.toml".to_owned(),
        folder: PathBuf::from("/etc/cordon"),
        text: body.to_owned(),
    }
}

fn new(comment: &str) -> NewCommit<'_> {
    NewCommit {
        time: Timestamp::from_nanos(1_795_000_000_123_456_789),
        admin: "uid 0",
        comment,
        path: "fw.toml",
        unconfirmed: None,
    }
}

fn open(folder: &Path) -> (History, Vec<HistoryDamage>) {
    History::open(folder, HistoryLimits::default()).unwrap()
}

/// Three commits, the newest unconfirmed.
fn three(folder: &Path) -> History {
    let (mut history, damage) = open(folder);
    assert!(damage.is_empty());
    history.append(&new("one"), &text("a = 1\n")).unwrap();
    history.append(&new("two"), &text("b = \"ü\"\r\n")).unwrap();
    let unconfirmed = Some(Unconfirmed {
        deadline: Timestamp::from_secs(1_795_000_600),
    });
    let commit = NewCommit {
        unconfirmed,
        ..new("three")
    };
    assert_eq!(history.append(&commit, &text("")).unwrap(), 3);
    history
}

fn numbers(history: &History) -> Vec<u32> {
    history.commits().iter().map(|commit| commit.number).collect()
}

#[test]
fn outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let before = three(folder.path());
    let (mut history, damage) = open(folder.path());
    assert_eq!(damage, []);
    assert_eq!(history.commits(), before.commits());
    let second = history.get(2).unwrap();
    assert_eq!((second.admin.as_str(), second.comment.as_str()), ("uid 0", "two"));
    let kept = history.configuration(2).unwrap();
    assert_eq!(kept.text, "b = \"ü\"\r\n");
    assert_eq!(kept.folder, Path::new("/etc/cordon"));
    assert!(kept.name.ends_with("configs/000002.toml"), "{}", kept.name);
    assert_eq!(history.newest_confirmed().unwrap().number, 2);
    history.confirm(3).unwrap();
    assert!(history.confirm(4).is_err());
    let (history, _) = open(folder.path());
    assert_eq!(history.newest_confirmed().unwrap().number, 3);
}

#[test]
fn counts_back_as_administrators_do() {
    let folder = tempfile::tempdir().unwrap();
    let history = three(folder.path());
    let before = |from, steps| history.before(from, steps).map(|commit| commit.number);
    assert_eq!(before(3, 1), Some(2));
    assert_eq!(before(3, 2), Some(1));
    assert_eq!(before(3, 3), None);
    assert_eq!(before(3, 0), None);
    // Where the running one was not written down.
    assert_eq!(before(u32::MAX, 1), Some(3));
}

#[test]
fn knows_a_configuration_by_text_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = three(folder.path());
    let number =
        |history: &History, wanted: &ConfigurationText| history.newest_of(wanted).map(|commit| commit.number);
    assert_eq!(number(&history, &text("a = 1\n")), Some(1));
    assert_eq!(number(&history, &text("a = 2\n")), None);
    let elsewhere = ConfigurationText {
        folder: PathBuf::from("/srv"),
        ..text("a = 1\n")
    };
    assert_eq!(number(&history, &elsewhere), None);
    history.append(&new("again"), &text("a = 1\n")).unwrap();
    assert_eq!(number(&history, &text("a = 1\n")), Some(4));
}

#[test]
fn the_oldest_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let limits = HistoryLimits {
        commits: 3,
        bytes: 100,
    };
    let (mut history, _) = History::open(folder.path(), limits).unwrap();
    for number in 1..=5 {
        assert_eq!(history.append(&new(""), &text("x")).unwrap(), number);
    }
    assert_eq!(numbers(&history), [3, 4, 5]);
    let count = || fs::read_dir(folder.path().join("configs")).unwrap().count();
    assert_eq!(count(), 6);
    // The newest two stay, whatever they have.
    let long = "#".repeat(101);
    history.append(&new(""), &text(&long)).unwrap();
    assert_eq!(numbers(&history), [5, 6]);
    history.append(&new(""), &text(&long)).unwrap();
    assert_eq!(numbers(&history), [6, 7]);
    assert_eq!(numbers(&open(folder.path()).0), [6, 7]);
    assert_eq!(count(), 4);
}

#[test]
fn a_kill_while_writing_loses_only_what_was_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let before = three(folder.path());
    let configs = folder.path().join("configs");
    // Every state that the steps of a commit leave behind.
    let steps: [&[(&str, &str)]; 4] = [
        &[("000004.toml.new", "c =")],
        &[("000004.toml", "c = 1\n")],
        &[("000004.toml", "c = 1\n"), ("000004.json.new", "{\"for")],
        &[("000004.json", "{}")],
    ];
    for files in steps {
        for (name, bytes) in files {
            fs::write(configs.join(name), bytes).unwrap();
        }
        let (mut history, damage) = open(folder.path());
        assert_eq!(history.commits(), before.commits());
        assert_eq!(damage.len(), 1, "{files:?}");
        assert!(
            damage[0].to_string().starts_with("commit 4 is skipped: "),
            "{damage:?}"
        );
        // Its number is not given again.
        assert_eq!(history.append(&new(""), &text("d = 1\n")).unwrap(), 5);
        for entry in fs::read_dir(&configs).unwrap() {
            let path = entry.unwrap().path();
            if number_of(&path) > Some(3) {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn a_full_disk_or_a_lost_folder_keeps_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = three(folder.path());
    // A folder of that name cannot be replaced by a file.
    fs::create_dir(folder.path().join("configs/000004.json")).unwrap();
    assert!(history.append(&new(""), &text("d = 1\n")).is_err());
    assert!(!folder.path().join("configs/000004.toml").exists());
    assert_eq!(numbers(&history), [1, 2, 3]);
    fs::remove_dir(folder.path().join("configs/000004.json")).unwrap();
    assert_eq!(history.append(&new(""), &text("d = 1\n")).unwrap(), 4);
}

#[test]
fn a_later_format_is_said_and_left() {
    let folder = tempfile::tempdir().unwrap();
    three(folder.path());
    let path = folder.path().join("configs/000002.json");
    fs::write(&path, "{\"format\":2,\"what\":\"else\"}").unwrap();
    let (history, damage) = open(folder.path());
    assert_eq!(numbers(&history), [1, 3]);
    assert_eq!(damage[0].fault, HistoryFault::Later(2));
    assert!(path.exists());
}

/// Whatever is in the files: what the history offers is what was committed.
fn offers_only_the_truth(folder: &Path, before: &History, texts: &[String]) -> usize {
    let (history, damage) = open(folder);
    for commit in history.commits() {
        assert_eq!(before.get(commit.number), Some(commit));
        let text = history.configuration(commit.number).unwrap().text;
        assert_eq!(text, texts[usize::try_from(commit.number).unwrap() - 1]);
    }
    assert_eq!(history.commits().len() + damage.len(), texts.len());
    damage.len()
}

fn texts(history: &History) -> Vec<String> {
    let numbers = numbers(history).into_iter();
    numbers
        .map(|number| history.configuration(number).unwrap().text)
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("configs")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn no_cut_and_no_changed_byte_makes_another_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let before = three(folder.path());
    let texts = texts(&before);
    for file in files(folder.path()) {
        let whole = fs::read(&file).unwrap();
        let is_json = file.extension().unwrap() == "json";
        // The line end of the JSON is nothing.
        let needed = whole.len() - usize::from(is_json);
        for at in 0..whole.len() {
            fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(
                offers_only_the_truth(folder.path(), &before, &texts),
                usize::from(at < needed),
                "{file:?} cut at {at}"
            );
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                fs::write(&file, changed).unwrap();
                let damaged = offers_only_the_truth(folder.path(), &before, &texts);
                // JSON can say the same in other letters: a time with a small `t`, say.
                assert!(damaged == 1 || is_json, "{file:?}, bit {bit} of byte {at}");
            }
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(offers_only_the_truth(folder.path(), &before, &texts), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_bytes_in_any_file_are_survived(which in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let before = three(folder.path());
        let texts = texts(&before);
        let files = files(folder.path());
        let file = which.get(&files);
        fs::write(file, bytes).unwrap();
        offers_only_the_truth(folder.path(), &before, &texts);
    }
}

#[test]
fn files_of_two_commits_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let before = three(folder.path());
    let texts = texts(&before);
    let configs = folder.path().join("configs");
    let whole = fs::read(configs.join("000001.toml")).unwrap();
    fs::copy(configs.join("000002.toml"), configs.join("000001.toml")).unwrap();
    assert_eq!(offers_only_the_truth(folder.path(), &before, &texts), 1);
    fs::write(configs.join("000001.toml"), whole).unwrap();
    fs::copy(configs.join("000002.json"), configs.join("000001.json")).unwrap();
    assert_eq!(offers_only_the_truth(folder.path(), &before, &texts), 1);
}
