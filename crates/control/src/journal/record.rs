//! What a frame says: one tag on one subject was set, removed or has timed out.
//!
//! ```text
//! payload = kind:u8 subject:text tag:text [deadline:u64 persistent:u8 at:u64 source match_list:text]
//! source  = 1 seqno:u64 | 2 admin:text | 3
//! text    = length:u16 bytes
//! ```
//!
//! Only a set tag (kind 1) has what stands in brackets. Times are nanoseconds since the Unix epoch.

use std::sync::Arc;

use packet::Timestamp;
use tags::{Cause, CauseSource, Entry, Subject, TagId, TagNames};

const REGISTER: u8 = 1;
const UNREGISTER: u8 = 2;
const EXPIRE: u8 = 3;

const BY_RECORD: u8 = 1;
const BY_SOCKET: u8 = 2;
const BY_CONFIG: u8 = 3;

/// A change of the tags in force.
#[derive(Clone, Copy, Debug)]
pub enum TagChange<'a> {
    /// The tag is in force as the entry has it: after merging it with an earlier one.
    Register(&'a Entry),
    /// The tag was removed.
    Unregister(&'a Subject, TagId),
    /// The tag has timed out.
    Expire(&'a Subject, TagId),
}

impl TagChange<'_> {
    pub(super) fn write(self, names: &TagNames, out: &mut Vec<u8>) {
        let mut head = |kind: u8, subject: &Subject, tag: TagId| {
            out.push(kind);
            text(&subject.to_string(), out);
            text(names.resolve(tag), out);
        };
        match self {
            Self::Unregister(subject, tag) => head(UNREGISTER, subject, tag),
            Self::Expire(subject, tag) => head(EXPIRE, subject, tag),
            Self::Register(entry) => {
                head(REGISTER, &entry.subject, entry.tag);
                out.extend_from_slice(&entry.deadline.as_nanos().to_le_bytes());
                out.push(entry.persistent.into());
                out.extend_from_slice(&entry.cause.at.as_nanos().to_le_bytes());
                match &entry.cause.source {
                    CauseSource::Record(seqno) => {
                        out.push(BY_RECORD);
                        out.extend_from_slice(&seqno.to_le_bytes());
                    }
                    CauseSource::Socket { admin } => {
                        out.push(BY_SOCKET);
                        text(admin, out);
                    }
                    CauseSource::Config => out.push(BY_CONFIG),
                }
                text(entry.cause.match_list.as_deref().unwrap_or_default(), out);
            }
        }
    }
}

/// Bytes beyond what a length can say are lost; no text here is so long.
fn text(text: &str, out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes().get(..length.into()).unwrap_or_default());
}

/// A payload whose kind, subject and tag have been found; the rest is read only where it is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) sets: bool,
    /// Subject and tag, as bytes: what makes two records concern the same tag.
    pub(super) key: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(payload);
        let kind = rest.byte()?;
        rest.bytes()?;
        rest.bytes()?;
        let key = payload.get(1..payload.len().checked_sub(rest.0.len())?)?;
        let sets = match kind {
            REGISTER => true,
            UNREGISTER | EXPIRE => false,
            _ => return None,
        };
        Some(Self { sets, key, payload })
    }

    /// The payload as it stands.
    pub(super) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The entry that it sets. `None` where it sets none, or one that this version cannot hold.
    pub(super) fn entry(&self, names: &TagNames) -> Option<Entry> {
        let mut rest = Reader(self.payload);
        if rest.byte()? != REGISTER {
            return None;
        }
        let subject = rest.text()?.parse().ok()?;
        let tag = names.intern(rest.text()?).ok()?;
        let deadline = rest.time()?;
        let persistent = rest.byte()? != 0;
        let at = rest.time()?;
        let source = match rest.byte()? {
            BY_RECORD => CauseSource::Record(rest.number()?),
            BY_SOCKET => CauseSource::Socket {
                admin: Arc::from(rest.text()?),
            },
            BY_CONFIG => CauseSource::Config,
            _ => return None,
        };
        let match_list = Some(rest.text()?).filter(|name| !name.is_empty()).map(Arc::from);
        Some(Entry {
            subject,
            tag,
            deadline,
            persistent,
            cause: Cause {
                source,
                match_list,
                at,
            },
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_nanos)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}
