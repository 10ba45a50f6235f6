use std::{fs, io::Write as _};

use logs::{Body, Filter, LogType, Severity, System};
use packet::Timestamp;
use policy::SymbolsBuilder;

use super::*;

fn record(seqno: u64, opaque: &str) -> Record {
    let system = System {
        subtype: "general",
        severity: Severity::Low,
        event: "test",
        opaque: opaque.to_owned(),
    };
    Record {
        seqno,
        ..Record::unforwarded(
            Timestamp::from_secs(1_000 + seqno),
            Body::System(Box::new(system)),
        )
    }
}

fn open(folder: &Path, limits: LogLimits) -> (LogStore, u64) {
    LogStore::open(folder, Arc::new(TagNames::new()), limits).unwrap()
}

fn symbols() -> Arc<Symbols> {
    Arc::new(SymbolsBuilder::new().freeze())
}

fn seqnos(store: &LogStore, filter: &str, limit: usize) -> Vec<u64> {
    let filter = Filter::parse(filter, LogType::System).unwrap().0;
    let found = store.reader().newest(&filter, Timestamp::from_secs(2_000), limit);
    found
        .unwrap()
        .iter()
        .map(|record| record["seqno"].as_u64().unwrap())
        .collect()
}

#[test]
fn the_newest_come_first_and_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (store, last) = open(folder.path(), LogLimits::default());
    assert_eq!(last, 0);
    store.store(&symbols(), (1..=5).map(|seqno| record(seqno, "a")).collect());
    store.store(&symbols(), vec![record(6, "b"), record(7, "a")]);
    assert_eq!(seqnos(&store, "(severity eq low)", 3), [7, 6, 5]);
    assert_eq!(seqnos(&store, "(opaque eq b)", 100), [6]);
    assert_eq!(store.reader().record(4).unwrap()["opaque"], "a");
    assert_eq!(store.reader().record(99), None);
    assert_eq!(store.counters().stored, 7);
}

#[test]
fn every_line_is_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path(), LogLimits::default());
    store.store(&symbols(), vec![record(1, "a"), record(2, "a")]);
    store.stop();
    let segment = segments::list(&segments::folder_of(folder.path(), LogType::System)).unwrap();
    let text = fs::read_to_string(&segment[0].path).unwrap();
    let numbers: Vec<Option<u64>> = text
        .lines()
        .map(|line| segments::seqno_of(line.as_bytes()))
        .collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[test]
fn numbers_go_on_after_a_restart_and_half_a_line_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open(folder.path(), LogLimits::default());
    store.store(&symbols(), vec![record(1, "a"), record(2, "a")]);
    store.stop();
    let segment = segments::list(&segments::folder_of(folder.path(), LogType::System)).unwrap();
    let mut file = fs::File::options().append(true).open(&segment[0].path).unwrap();
    file.write_all(br#"{"seqno":3,"receive_ti"#).unwrap();
    let (store, last) = open(folder.path(), LogLimits::default());
    assert_eq!(last, 2);
    store.store(&symbols(), vec![record(3, "a")]);
    assert_eq!(seqnos(&store, "(severity eq low)", 9), [3, 2, 1]);
}

#[test]
fn the_oldest_segments_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        segment_bytes: 400,
        segments: 3,
        ..LogLimits::default()
    };
    let (store, _) = open(folder.path(), limits);
    for seqno in 1..=40 {
        store.store(&symbols(), vec![record(seqno, "a record of some length")]);
    }
    let kept = seqnos(&store, "(severity eq low)", 100);
    assert_eq!(kept[0], 40);
    assert!(kept.len() < 40 && kept.windows(2).all(|pair| pair[0] == pair[1] + 1));
    let segments = segments::list(&segments::folder_of(folder.path(), LogType::System)).unwrap();
    assert_eq!(segments.len(), 3);
    assert_eq!(store.reader().record(1), None);
    assert_eq!(store.reader().record(40).unwrap()["seqno"], 40);
}

#[test]
fn what_is_too_much_is_counted_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        waiting: 10,
        ..LogLimits::default()
    };
    let (store, _) = open(folder.path(), limits);
    store.store(&symbols(), (1..=11).map(|seqno| record(seqno, "a")).collect());
    store.store(&symbols(), vec![record(12, "a")]);
    assert_eq!(seqnos(&store, "(severity eq low)", 100), [12]);
    let counters = store.counters();
    assert_eq!((counters.stored, counters.not_stored), (1, 11));
}

#[test]
fn a_disk_that_refuses_costs_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), LogLimits::default());
    let system = segments::folder_of(folder.path(), LogType::System);
    fs::remove_dir_all(&system).unwrap();
    store.store(&symbols(), vec![record(1, "a")]);
    store.reader().record(1);
    assert_eq!(store.counters().not_stored, 1);
    assert_eq!(store.counters().faults, 1);
    fs::create_dir(&system).unwrap();
    store.store(&symbols(), vec![record(2, "a")]);
    assert_eq!(seqnos(&store, "(severity eq low)", 9), [2]);
}
