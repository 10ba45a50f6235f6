//! The tables that indices point into (RFC 7541 §2.3, Appendix A).

use std::collections::VecDeque;

use super::super::judge::Departure;

/// What an entry costs beside its text (§4.1).
const OVERHEAD: usize = 32;
/// The size of a dynamic table until its owner says otherwise, in bytes (RFC 9113 §6.5.2).
const DEFAULT_SIZE: usize = 4096;
/// The largest dynamic table that is followed, in bytes; settings that allow more are lowered on their way.
pub(crate) const MAX_SIZE: usize = 64 * 1024;

/// Fields that every connection knows, from index 1 on.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The fields that the sender put into the table, the newest first.
#[derive(Debug)]
pub(super) struct DynamicTable {
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
}

/// Name and value in one piece, and where the value begins.
#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    value_at: usize,
}

impl Default for DynamicTable {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max_size: DEFAULT_SIZE,
        }
    }
}

impl DynamicTable {
    /// The field at an index over both tables.
    pub(super) fn field(&self, index: usize) -> Result<(&[u8], &[u8]), Departure> {
        let at = index.checked_sub(1).ok_or(Departure::Malformed)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(at.saturating_sub(STATIC.len()));
        let entry = entry.ok_or(Departure::Malformed)?;
        entry
            .text
            .split_at_checked(entry.value_at)
            .ok_or(Departure::Malformed)
    }

    /// Puts a field in front; older ones make room (§4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let cost = cost(name.len().saturating_add(value.len()));
        self.shrink(self.max_size.saturating_sub(cost));
        if cost > self.max_size {
            return;
        }
        self.size = self.size.saturating_add(cost);
        self.entries.push_front(Entry {
            text: [name, value].concat().into(),
            value_at: name.len(),
        });
    }

    /// Sets the table's size (§4.3).
    pub(super) fn resize(&mut self, size: usize) -> Result<(), Departure> {
        if size > MAX_SIZE {
            return Err(Departure::OverLimit);
        }
        self.max_size = size;
        self.shrink(size);
        Ok(())
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size = self.size.saturating_sub(cost(oldest.text.len()));
        }
    }

    pub(super) fn memory(&self) -> usize {
        let places = self.entries.capacity().saturating_mul(size_of::<Entry>());
        self.entries
            .iter()
            .map(|entry| entry.text.len())
            .fold(places, usize::saturating_add)
    }
}

fn cost(text: usize) -> usize {
    text.saturating_add(OVERHEAD)
}
