//! Text files, read within bounds.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Why a file has no text to give.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The system refused.
    #[error("cannot be read: {}", reason(.0))]
    Io(#[from] io::Error),
    /// A folder, device or pipe where a file must be: reading it might never end.
    #[error("is no regular file")]
    NotRegular,
    /// Longer than any honest file of its kind.
    #[error("is longer than {} MiB", .0 >> 20)]
    TooLong(u64),
}

/// What the system said, without the error's number.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has more kinds than have a word of ours"
)]
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// The bytes of `path`, at most `limit` of them. May be a pipe: whoever named it waits for it.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(Unreadable::TooLong(limit));
    }
    Ok(bytes)
}

/// The bytes of `path`, which a document named and which therefore must be a regular file.
pub(crate) fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
    // Asked before opening, since opening a pipe already waits.
    if !fs::metadata(path)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    read(path, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_no_more_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, [7; 5]).unwrap();
        assert_eq!(read(&path, 5).unwrap(), [7; 5]);
        assert!(matches!(read(&path, 4), Err(Unreadable::TooLong(4))));
        // An endless source ends at the limit, too.
        assert!(matches!(
            read(Path::new("/dev/zero"), 1 << 20),
            Err(Unreadable::TooLong(_))
        ));
        let error = Unreadable::TooLong(64 << 20).to_string();
        assert_eq!(error, "is longer than 64 MiB");
    }

    #[test]
    fn what_is_no_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let says = |path: &Path| read_regular(path, 9).unwrap_err().to_string();
        assert_eq!(says(folder.path()), "is no regular file");
        assert_eq!(says(Path::new("/dev/zero")), "is no regular file");
        assert_eq!(
            says(&folder.path().join("a")),
            "cannot be read: there is no such file"
        );
        assert_eq!(
            read(folder.path(), 9).unwrap_err().to_string(),
            "cannot be read: it is a folder"
        );
    }
}
