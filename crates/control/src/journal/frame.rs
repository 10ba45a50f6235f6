//! The bytes of a journal: a header, then frames, each with its length and checksum.
//!
//! ```text
//! header = "CORDNTAG" version:u32 generation:u64 crc:u32
//! frame  = length:u32 crc:u32 payload          (crc over length and payload)
//! ```
//!
//! Numbers are little-endian. A frame is found again behind damage because hardly anything else has the right
//! checksum.

use std::ops::Range;

const MAGIC: [u8; 8] = *b"CORDNTAG";
/// The version this code writes and reads.
pub(super) const VERSION: u32 = 1;
/// Bytes of a header.
pub(super) const HEADER: usize = 24;
/// Bytes before a frame's payload.
const PREFIX: usize = 8;
/// The longest payload: a name escapes to four times its length, all else is short.
const MAX_PAYLOAD: usize = 8 << 10;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) generation: u64,
}

impl Header {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// `None` where it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        let (body, crc) = bytes.split_at_checked(HEADER - 4)?;
        if body.get(..8)? != MAGIC || crc32fast::hash(body).to_le_bytes() != crc {
            return None;
        }
        Some(Self {
            version: u32::from_le_bytes(body.get(8..12)?.try_into().ok()?),
            generation: u64::from_le_bytes(body.get(12..20)?.try_into().ok()?),
        })
    }
}

/// Appends a frame whose payload `write` appends. One that is too long is left out: `false`.
pub(super) fn write(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    write(out);
    let length = out.len().saturating_sub(start).saturating_sub(PREFIX);
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAX_PAYLOAD);
    let Some((prefix, frame)) = prefix.zip(out.get_mut(start..)) else {
        out.truncate(start);
        return false;
    };
    let length = prefix.to_le_bytes();
    if let Some((head, payload)) = frame.split_at_mut_checked(PREFIX) {
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&length);
        second.copy_from_slice(&checksum(length, payload).to_le_bytes());
    }
    true
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// What stands at an offset.
enum Found<'a> {
    Frame {
        payload: &'a [u8],
        end: usize,
    },
    /// The file ends inside what may be a frame.
    CutOff,
    Damage,
}

fn at(bytes: &[u8], offset: usize) -> Found<'_> {
    let rest = bytes.get(offset..).unwrap_or_default();
    let Some((prefix, rest)) = rest.split_at_checked(PREFIX) else {
        return Found::CutOff;
    };
    let (length, crc) = prefix.split_at(4);
    let Ok(length) = <[u8; 4]>::try_from(length) else {
        return Found::Damage;
    };
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if size == 0 || size > MAX_PAYLOAD {
        return Found::Damage;
    }
    let Some(payload) = rest.get(..size) else {
        return Found::CutOff;
    };
    if checksum(length, payload).to_le_bytes() != crc {
        return Found::Damage;
    }
    Found::Frame {
        payload,
        end: offset.saturating_add(PREFIX).saturating_add(size),
    }
}

/// The good frames of a file, and what lies between them.
#[derive(Debug, Default)]
pub(super) struct Frames<'a> {
    pub(super) payloads: Vec<&'a [u8]>,
    /// Bytes that are no frame, before good ones or of a whole frame's length.
    pub(super) damaged: Vec<Range<usize>>,
    /// Where a last frame begins whose end was never written.
    pub(super) torn: Option<usize>,
}

/// Reads the frames of `bytes` from `start` on.
pub(super) fn scan(bytes: &[u8], start: usize) -> Frames<'_> {
    let mut frames = Frames::default();
    let mut offset = start;
    while offset < bytes.len() {
        let (broken, cut_off) = match at(bytes, offset) {
            Found::Frame { payload, end } => {
                frames.payloads.push(payload);
                offset = end;
                continue;
            }
            Found::CutOff => (offset, true),
            Found::Damage => (offset, false),
        };
        let next = (broken.saturating_add(1)..bytes.len())
            .find(|next| matches!(at(bytes, *next), Found::Frame { .. }));
        offset = next.unwrap_or(bytes.len());
        if next.is_none() && cut_off {
            frames.torn = Some(broken);
        } else {
            frames.damaged.push(broken..offset);
        }
    }
    frames
}
