//! The files of one type of record: `logs/TYPE/SEQNO.jsonl`, named by the first record in each.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use logs::LogType;

/// The longest part of a segment that is read to find its last record: longer than any record.
const TAIL: u64 = 64 << 10;

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// The `seqno` of its first record.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

/// The folder of a type's segments.
pub(super) fn folder_of(store: &Path, log_type: LogType) -> PathBuf {
    store.join(log_type.name())
}

/// The path of a segment that begins with this record.
pub(super) fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// Makes the folder of a type where it is missing.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The segments in a folder, oldest first. Files of other names are nobody's.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let first = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(first) = first {
            segments.push(Segment { first, path });
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// The `seqno` of the last whole record of a segment. A line that a killed process left half written is none.
pub(super) fn last_seqno(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail.split(|byte| *byte == b'\n').rev().find_map(seqno_of))
}

/// The `seqno` of a line; `None` where it is no whole record.
pub(super) fn seqno_of(line: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seqno: u64,
    }
    serde_json::from_slice::<Numbered>(line)
        .ok()
        .map(|numbered| numbered.seqno)
}
