//! What is kept of a commit beside its configuration, and how it is written.
//!
//! One JSON object a file: `{"format":1,"commit":{…},"crc32":"…"}`. The checksum is that of `commit` as this code
//! writes it, so that a changed byte anywhere in it is noticed.

use std::path::PathBuf;

use packet::Timestamp;
use serde::{Deserialize, Serialize};

/// The version this code writes and reads.
const FORMAT: u32 = 1;

/// A configuration that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Counted from 1; never given twice.
    pub number: u32,
    /// When, to the microsecond, as wall time.
    #[serde(with = "time")]
    pub time: Timestamp,
    /// Who, as the socket knows them.
    pub admin: String,
    /// What they said about it; may be empty.
    pub comment: String,
    /// The file it came from, as it was given.
    pub path: String,
    /// Where relative names in it begin.
    pub folder: PathBuf,
    /// It has to be confirmed; `None` where it needs not, or was.
    pub unconfirmed: Option<Unconfirmed>,
    /// The configuration's bytes.
    pub(super) length: u64,
    /// Over the configuration's bytes.
    pub(super) crc32: u32,
}

/// What becomes of a commit that is not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unconfirmed {
    /// When the time to confirm it is over, to the microsecond, as wall time.
    #[serde(with = "time")]
    pub deadline: Timestamp,
}

/// A commit that is to be made.
#[derive(Clone, Debug)]
pub struct NewCommit<'a> {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub admin: &'a str,
    /// What they say about it; may be empty.
    pub comment: &'a str,
    /// The file it comes from, as it was given.
    pub path: &'a str,
    /// Where it has to be confirmed.
    pub unconfirmed: Option<Unconfirmed>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    format: u32,
    commit: Commit,
    crc32: String,
}

/// Why a file says nothing about a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not what was written.
    Damaged,
    /// A later cordon wrote it.
    Later(u32),
}

impl Commit {
    /// The bytes of its file.
    pub(super) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let envelope = Envelope {
            format: FORMAT,
            crc32: self.checksum()?,
            commit: self.clone(),
        };
        let mut bytes = serde_json::to_vec(&envelope)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// What a file's bytes say.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let format: Format = serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged)?;
        if format.format > FORMAT {
            return Err(Unreadable::Later(format.format));
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| Unreadable::Damaged)?;
        match envelope.commit.checksum() {
            Ok(checksum) if checksum == envelope.crc32 && envelope.format == FORMAT => Ok(envelope.commit),
            Ok(_) | Err(_) => Err(Unreadable::Damaged),
        }
    }

    fn checksum(&self) -> serde_json::Result<String> {
        Ok(format!("{:08x}", crc32fast::hash(&serde_json::to_vec(self)?)))
    }
}

/// Times as records write them.
mod time {
    use packet::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Vec::new();
        logs::write_rfc3339(*time, &mut text);
        String::from_utf8_lossy(&text).serialize(serializer)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        logs::parse_time(&text).ok_or_else(|| D::Error::custom("not a time"))
    }
}
