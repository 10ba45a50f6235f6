use std::{collections::BTreeMap, fs, sync::Arc};

use packet::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};
use tags::{Cause, CauseSource, Entry, Subject, TagId, TagNames};

use super::*;

const TAGS: [&str; 3] = ["infected-host", "a b", "ü"];
const SUBJECTS: [&str; 5] = [
    "10.0.0.1",
    "10.0.0.0/8",
    "fd00::1-fd00::ff",
    "203.0.113.9 name=WWW.a\\032b.example",
    "203.0.113.9 client=fd00::1",
];

/// What a journal says, kept the obvious way.
type Model = BTreeMap<(Subject, TagId), Entry>;

#[derive(Clone, Debug)]
enum Change {
    Register(Entry),
    Unregister(Subject, TagId),
    Expire(Subject, TagId),
}

impl Change {
    fn as_tag_change(&self) -> TagChange<'_> {
        match self {
            Self::Register(entry) => TagChange::Register(entry),
            Self::Unregister(subject, tag) => TagChange::Unregister(subject, *tag),
            Self::Expire(subject, tag) => TagChange::Expire(subject, *tag),
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Self::Register(entry) if !entry.persistent => {}
            Self::Register(entry) => {
                model.insert((entry.subject.clone(), entry.tag), entry.clone());
            }
            Self::Unregister(subject, tag) | Self::Expire(subject, tag) => {
                model.remove(&(subject.clone(), *tag));
            }
        }
    }
}

fn names() -> TagNames {
    let names = TagNames::new();
    for tag in TAGS {
        names.intern(tag).unwrap();
    }
    names
}

fn any_change() -> impl Strategy<Value = Change> {
    let key = (select(SUBJECTS.to_vec()), select(TAGS.to_vec()));
    let source = prop_oneof![
        any::<u64>().prop_map(CauseSource::Record),
        "[a-z]{0,9}".prop_map(|admin| CauseSource::Socket {
            admin: Arc::from(admin)
        }),
        Just(CauseSource::Config),
    ];
    let match_list = proptest::option::of("[A-Za-zä ]{1,20}");
    let rest = (
        any::<u64>(),
        any::<u64>(),
        prop::bool::weighted(0.9),
        source,
        match_list,
        0..4_u8,
    );
    (key, rest).prop_map(
        |((subject, tag), (deadline, at, persistent, source, match_list, kind))| {
            let subject: Subject = subject.parse().unwrap();
            let tag = names().get(tag).unwrap();
            match kind {
                0 => Change::Unregister(subject, tag),
                1 => Change::Expire(subject, tag),
                _ => Change::Register(Entry {
                    subject,
                    tag,
                    deadline: Timestamp::from_nanos(deadline),
                    persistent,
                    cause: Cause {
                        source,
                        match_list: match_list.map(Arc::from),
                        at: Timestamp::from_nanos(at),
                    },
                }),
            }
        },
    )
}

fn append(journal: &mut Journal, changes: &[Change]) {
    journal
        .append(changes.iter().map(Change::as_tag_change), &names())
        .unwrap();
}

fn model_of(changes: &[Change]) -> Model {
    let mut model = Model::new();
    for change in changes {
        change.apply(&mut model);
    }
    model
}

fn restored_model(restored: &Restored) -> Model {
    assert_eq!(restored.skipped, 0);
    let entries = restored.entries.iter();
    entries
        .map(|entry| ((entry.subject.clone(), entry.tag), entry.clone()))
        .collect()
}

/// Opens what lies in a folder and says what it holds.
fn reopened(folder: &Path) -> (Model, Vec<Damage>) {
    let (_, restored) = Journal::open(folder, &names()).unwrap();
    (restored_model(&restored), restored.damage)
}

fn entry(host: u32, deadline: u64) -> Change {
    Change::Register(Entry {
        subject: Subject::host(std::net::Ipv4Addr::from_bits(host).into()),
        tag: names().get("infected-host").unwrap(),
        deadline: Timestamp::from_secs(deadline),
        persistent: true,
        cause: Cause {
            source: CauseSource::Record(host.into()),
            match_list: Some("Tag-Infected-Host".into()),
            at: Timestamp::from_secs(1_700_000_000),
        },
    })
}

#[test]
fn an_empty_folder_is_an_empty_journal() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(reopened(folder.path()), (Model::new(), Vec::new()));
    assert_eq!(reopened(folder.path()), (Model::new(), Vec::new()));
}

#[test]
fn a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(folder.path(), &names()).unwrap());
    let mut later = Vec::new();
    Header {
        version: 2,
        generation: 1,
    }
    .write(&mut later);
    fs::write(folder.path().join("tags.journal"), &later).unwrap();
    let refused = Journal::open(folder.path(), &names()).unwrap_err();
    assert!(
        matches!(refused, JournalError::Version { version: 2, .. }),
        "{refused}"
    );
    assert_eq!(fs::read(folder.path().join("tags.journal")).unwrap(), later);
}

#[test]
fn a_file_written_by_version_1_is_read() {
    // Bytes as this code wrote them first: what is on disks must stay readable.
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
    append(&mut journal, &[entry(0x0a00_0001, 1_700_000_900)]);
    let bytes = fs::read(folder.path().join("tags.journal")).unwrap();
    let mut expected = Vec::new();
    expected.extend_from_slice(b"CORDNTAG\x01\0\0\0\x01\0\0\0\0\0\0\0");
    expected.extend_from_slice(&crc32fast::hash(&expected).to_le_bytes());
    let mut frame = b"\x47\0\0\0\x01\x08\x0010.0.0.1\x0d\x00infected-host".to_vec();
    frame.extend_from_slice(&1_700_000_900_000_000_000_u64.to_le_bytes());
    frame.push(1);
    frame.extend_from_slice(&1_700_000_000_000_000_000_u64.to_le_bytes());
    frame.extend_from_slice(b"\x01\x01\0\0\x0a\0\0\0\0\x11\x00Tag-Infected-Host");
    let crc = crc32fast::hash(&frame);
    frame.splice(4..4, crc.to_le_bytes());
    expected.extend_from_slice(&frame);
    assert_eq!(bytes, expected);
}

#[test]
fn a_full_disk_loses_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
    append(&mut journal, &[entry(1, 10)]);
    let file = std::mem::replace(
        &mut journal.file,
        fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
    );
    let lost = entry(2, 10);
    let error = journal.append([lost.as_tag_change()], &names()).unwrap_err();
    assert!(
        error.to_string().contains("tags.journal: No space left"),
        "{error}"
    );
    assert!(journal.is_behind());
    journal.file = file;
    // Half a record is what a full disk leaves.
    journal.file.write_all(&[9; 5]).unwrap();
    append(&mut journal, &[entry(3, 10)]);
    assert!(journal.is_behind(), "one is still missing");
    let both = [entry(1, 10), entry(2, 10), entry(3, 10)];
    let entries: Vec<Entry> = model_of(&both).into_values().collect();
    journal.rewrite(&entries, &names()).unwrap();
    assert!(!journal.is_behind());
    append(&mut journal, &[entry(4, 10)]);
    drop(journal);
    let (model, damage) = reopened(folder.path());
    assert_eq!(damage, []);
    assert_eq!(model, model_of(&[&both[..], &[entry(4, 10)]].concat()));
}

#[test]
fn what_half_a_record_stands_before_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
    append(&mut journal, &[entry(1, 10)]);
    let broken = journal.length();
    journal.file.write_all(&[9; 5]).unwrap();
    append(&mut journal, &[entry(3, 10)]);
    drop(journal);
    let (model, damage) = reopened(folder.path());
    assert_eq!(model, model_of(&[entry(1, 10), entry(3, 10)]));
    let broken = usize::try_from(broken).unwrap();
    assert_eq!(damage[0].bytes, broken..broken + 5);
    assert!(damage[0].kept_as.is_some());
}

#[test]
fn more_names_than_there_is_room_for_are_told_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
    append(&mut journal, &[entry(1, 10)]);
    drop(journal);
    let full = TagNames::new();
    for number in 0..TagNames::MAX_TAGS {
        full.intern(&number.to_string()).unwrap();
    }
    let (_, restored) = Journal::open(folder.path(), &full).unwrap();
    assert_eq!((restored.entries.len(), restored.skipped), (0, 1));
    assert_eq!(reopened(folder.path()).0, model_of(&[entry(1, 10)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_kill_at_any_byte_loses_only_what_was_not_confirmed(changes in vec(any_change(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
        // Where each record ends.
        let mut ends = vec![journal.length()];
        for change in &changes {
            append(&mut journal, std::slice::from_ref(change));
            ends.push(journal.length());
        }
        drop(journal);
        let whole = fs::read(folder.path().join("tags.journal")).unwrap();
        let snapshot = fs::read(folder.path().join("tags.snapshot")).unwrap();
        prop_assert_eq!(u64::try_from(whole.len()).unwrap(), *ends.last().unwrap());
        for cut in 0..=whole.len() {
            let crashed = tempfile::tempdir().unwrap();
            fs::write(crashed.path().join("tags.journal"), &whole[..cut]).unwrap();
            fs::write(crashed.path().join("tags.snapshot"), &snapshot).unwrap();
            let cut = u64::try_from(cut).unwrap();
            let confirmed = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            let (model, damage) = reopened(crashed.path());
            prop_assert_eq!(model, model_of(&changes[..confirmed]), "cut at {}", cut);
            prop_assert_eq!(damage.len(), usize::from(cut > 0 && !ends.contains(&cut)));
            prop_assert!(damage.iter().all(|damage| damage.torn));
        }
    }

    #[test]
    fn damage_at_any_byte_costs_one_record_and_the_file_is_kept(
        changes in vec(any_change(), 1..8),
        flip in 1..=255_u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
        let mut ends = vec![usize::try_from(journal.length()).unwrap()];
        for change in &changes {
            append(&mut journal, std::slice::from_ref(change));
            ends.push(usize::try_from(journal.length()).unwrap());
        }
        drop(journal);
        let whole = fs::read(folder.path().join("tags.journal")).unwrap();
        for at in 0..whole.len() {
            let damaged = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            fs::write(damaged.path().join("tags.journal"), &bytes).unwrap();
            let (model, damage) = reopened(damaged.path());
            let mut good = changes.clone();
            if let Some(record) = ends.iter().rposition(|end| *end <= at) {
                good.remove(record);
            }
            prop_assert_eq!(model.clone(), model_of(&good), "byte {}", at);
            prop_assert_eq!(damage.len(), 1, "byte {}: {:?}", at, damage);
            prop_assert!(damage[0].bytes.contains(&at), "byte {}: {:?}", at, damage);
            if let Some(kept) = &damage[0].kept_as {
                prop_assert_eq!(&fs::read(kept).unwrap(), &bytes);
            } else {
                // Only a length that leads past the end looks like a record cut off.
                let last = ends.iter().rfind(|end| **end < whole.len());
                prop_assert!(damage[0].torn && at >= *last.unwrap());
            }
            // Told once; from then on all is well.
            prop_assert_eq!(reopened(damaged.path()), (model, Vec::new()));
        }
    }

    #[test]
    fn arbitrary_files_never_panic_and_are_kept(
        contents in vec(vec(any::<u8>(), 0..200), 3),
        header in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (name, garbage) in ["tags.snapshot", "tags.journal.old", "tags.journal"].iter().zip(&contents) {
            let mut bytes = Vec::new();
            if header {
                Header { version: VERSION, generation: 7 }.write(&mut bytes);
            }
            bytes.extend_from_slice(garbage);
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        drop(Journal::open(folder.path(), &names()).unwrap());
        prop_assert_eq!(reopened(folder.path()).1, Vec::new());
    }
}

/// A step of a journal's life.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Change>),
    /// Closes the file where it is long enough, and leaves the work to be done.
    Close,
    /// Does the work that was left.
    Fold,
    /// Forgets the work that was left, as a failure does.
    Abandon,
    Rewrite,
    /// Killed and started again.
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(any_change(), 0..6).prop_map(Step::Append),
        2 => Just(Step::Close),
        2 => Just(Step::Fold),
        1 => Just(Step::Abandon),
        1 => Just(Step::Rewrite),
        2 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn compaction_at_any_moment_loses_nothing(steps in vec(any_step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let (mut journal, restored) = Journal::open(folder.path(), &names()).unwrap();
            journal.compact_from = 100;
            (journal, restored)
        };
        let (mut journal, _) = open();
        let mut model = Model::new();
        let mut work: Option<Compaction> = None;
        for step in steps {
            match step {
                Step::Append(changes) => {
                    append(&mut journal, &changes);
                    for change in changes {
                        change.apply(&mut model);
                    }
                }
                Step::Close => {
                    if let Some(new) = journal.compaction().unwrap() {
                        prop_assert!(work.is_none(), "one at a time");
                        work = Some(new);
                    }
                }
                Step::Fold => {
                    if let Some(work) = work.take() {
                        prop_assert_eq!(work.run().unwrap(), Vec::new());
                    }
                }
                Step::Abandon => work = None,
                Step::Rewrite => {
                    let entries: Vec<Entry> = model.values().cloned().collect();
                    prop_assert_eq!(journal.rewrite(&entries, &names()).is_ok(), work.is_none());
                }
                Step::Reopen => {
                    work = None;
                    drop(journal);
                    let restored;
                    (journal, restored) = open();
                    prop_assert_eq!(restored_model(&restored), model.clone());
                    prop_assert_eq!(restored.damage, Vec::new());
                }
            }
            // A kill at this very moment.
            let crashed = tempfile::tempdir().unwrap();
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), crashed.path().join(file.file_name())).unwrap();
            }
            prop_assert_eq!(reopened(crashed.path()), (model.clone(), Vec::new()));
        }
    }
}

#[test]
fn files_stay_in_proportion_to_the_tags() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), &names()).unwrap();
    journal.compact_from = 10_000;
    for round in 0..20_000 {
        append(&mut journal, &[entry(round % 100, u64::from(round))]);
        if let Some(work) = journal.compaction().unwrap() {
            work.run().unwrap();
        }
    }
    drop(journal);
    let sizes = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    assert!(total < 60_000, "{total} bytes for 100 tags");
    assert_eq!(reopened(folder.path()).0.len(), 100);
}
