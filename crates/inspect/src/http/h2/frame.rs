//! Frames (RFC 9113 §4.1, §6): their headers, and those written here.

use super::super::judge::Departure;

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;
/// The payload every peer takes (§4.2).
pub(super) const MAX_PAYLOAD: usize = 16 * 1024;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`; `None` where it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER>()?;
        Some(Self {
            length: usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).ok()?,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Header and payload together, in bytes.
    pub(super) fn whole(&self) -> usize {
        self.length.saturating_add(HEADER)
    }

    /// What a DATA, HEADERS or `PUSH_PROMISE` frame carries, without its padding (§6.1, §6.2).
    pub(super) fn content<'p>(&self, payload: &'p [u8]) -> Result<&'p [u8], Departure> {
        let mut content = payload;
        if self.has(PADDED) {
            let (&padding, rest) = content.split_first().ok_or(Departure::Malformed)?;
            let kept = rest.len().checked_sub(usize::from(padding));
            content = kept
                .and_then(|kept| rest.get(..kept))
                .ok_or(Departure::Malformed)?;
        }
        if self.kind == HEADERS && self.has(PRIORITY) {
            content = content.get(5..).ok_or(Departure::Malformed)?;
        }
        Ok(content)
    }
}

/// The 32-bit number at the start of a payload, its top bit left away.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    let number = payload.first_chunk().copied().map(u32::from_be_bytes)?;
    Some(number & 0x7fff_ffff)
}

/// Appends a frame.
pub(super) fn write_frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a header block, in as many frames as it takes.
pub(super) fn write_block(first: u8, flags: u8, stream: u32, block: &[u8], out: &mut Vec<u8>) {
    let (mut rest, mut kind, mut flags) = (block, first, flags & !END_HEADERS);
    loop {
        let (part, more) = rest.split_at_checked(MAX_PAYLOAD).unwrap_or((rest, &[]));
        let end = if more.is_empty() { END_HEADERS } else { 0 };
        write_frame(kind, flags | end, stream, part, out);
        if more.is_empty() {
            return;
        }
        (rest, kind, flags) = (more, CONTINUATION, 0);
    }
}

/// Appends a message's data, and ends the stream.
pub(super) fn write_data(stream: u32, data: &[u8], out: &mut Vec<u8>) {
    let mut rest = data;
    loop {
        let (part, more) = rest.split_at_checked(MAX_PAYLOAD).unwrap_or((rest, &[]));
        let end = if more.is_empty() { END_STREAM } else { 0 };
        write_frame(DATA, end, stream, part, out);
        if more.is_empty() {
            return;
        }
        rest = more;
    }
}

/// Appends credit for `bytes` of data, where there are any.
pub(super) fn write_window_update(stream: u32, bytes: u64, out: &mut Vec<u8>) {
    let bytes = u32::try_from(bytes).unwrap_or(0x7fff_ffff);
    if bytes > 0 {
        write_frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes(), out);
    }
}
