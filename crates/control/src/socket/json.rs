//! Answers become lines that do nothing to a terminal.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Map, Serializer, Value, json,
    ser::{CompactFormatter, Formatter},
};

use crate::CommandError;

/// JSON on one line whose strings hold no control character, the C1 set and DEL included, which JSON itself
/// would let through.
struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, control)) = rest.char_indices().find(|(_, character)| character.is_control()) {
            let (before, behind) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            write!(writer, "\\u{:04x}", u32::from(control))?;
            rest = behind.get(control.len_utf8()..).unwrap_or_default();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

/// Memory up to a limit; writing beyond it fails.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(bytes.len()) > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value's JSON, where it has at most `limit` bytes.
fn within(value: &Value, limit: usize) -> Option<Vec<u8>> {
    let writer = Bounded {
        bytes: Vec::new(),
        limit,
    };
    let mut serializer = Serializer::with_formatter(writer, Harmless(CompactFormatter));
    value.serialize(&mut serializer).ok()?;
    Some(serializer.into_inner().bytes)
}

/// A value as one line whose strings hold no control character: what may be written to a terminal.
pub fn json_line(value: &Value) -> Vec<u8> {
    let mut bytes = within(value, usize::MAX).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// An answer as a line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    /// It lost rows.
    pub(super) truncated: bool,
}

/// The answer as one line of at most `limit` bytes; the longest list in it loses what does not fit, and then
/// `truncated` is true. `None` where no list is to blame.
pub(super) fn line(value: Value, limit: usize) -> Option<Line> {
    // Room for the line end.
    let limit = limit.saturating_sub(1);
    let (mut bytes, truncated) = if let Some(bytes) = within(&value, limit) {
        (bytes, false)
    } else if let Value::Object(members) = value {
        (cut(members, limit)?, true)
    } else {
        return None;
    };
    bytes.push(b'\n');
    Some(Line { bytes, truncated })
}

fn cut(mut members: Map<String, Value>, limit: usize) -> Option<Vec<u8>> {
    let lists = members
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_array()?)));
    let longest = lists.max_by_key(|(_, list)| list.len())?.0.clone();
    let rows = members.insert(longest.clone(), json!([]));
    members.insert("truncated".to_owned(), Value::Bool(true));
    let mut value = Value::Object(members);
    let mut left = limit.checked_sub(within(&value, limit)?.len())?;
    let mut kept = Vec::new();
    for row in rows.iter().filter_map(Value::as_array).flatten() {
        // The comma counts for every row, one more than there are.
        let Some(size) = within(row, left).map(|bytes| bytes.len().saturating_add(1)) else {
            break;
        };
        left = left.saturating_sub(size);
        kept.push(row.clone());
    }
    value[longest] = Value::Array(kept);
    within(&value, limit)
}

/// An error as a line.
pub(super) fn error(error: &CommandError) -> Vec<u8> {
    let mut body = json!({ "code": error.code.name(), "message": error.message });
    if !error.details.is_empty() {
        body["details"] = json!(error.details);
    }
    json_line(&json!({ "error": body }))
}
