//! The records and handshake messages of one direction of a TLS connection, as far as they are in the clear.

use std::borrow::Cow;

/// The content type of a change of cipher.
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
/// The content type of an alert.
pub(super) const ALERT: u8 = 21;
/// The content type of a handshake.
pub(super) const HANDSHAKE: u8 = 22;
/// The content type of data, and of all that TLS 1.3 protects.
pub(super) const APPLICATION_DATA: u8 = 23;
/// Stands for the hello of SSL 2, which has no content type and is stepped over.
pub(super) const VERSION_2: u8 = 0;

/// The longest record: 2^14 bytes and what encryption may add (RFC 5246 §6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

/// Reads `N` bytes as a big-endian length, and splits what follows there.
pub(super) fn prefixed<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<N>()?;
    let length = length
        .iter()
        .fold(0_usize, |sum, &byte| (sum << 8) | usize::from(byte));
    rest.split_at_checked(length)
}

/// The big-endian 16-bit numbers in `bytes`; a byte left over is not one.
pub(super) fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.as_chunks::<2>().0.iter().copied().map(u16::from_be_bytes)
}

/// A part of a record that lay in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    /// The record's content type.
    pub(super) kind: u8,
    /// How long the whole record is.
    pub(super) length: u16,
    /// Whether the record begins with this part.
    pub(super) first: bool,
    pub(super) bytes: &'a [u8],
}

/// Splits a direction's bytes into records. Owns no memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    header: [u8; 5],
    header_len: u8,
    /// Bytes of the record that are still to come.
    left: u16,
    place: Place,
    /// Nothing of the record's body was given away.
    first: bool,
    /// A record has been recognised.
    started: bool,
}

/// Where a direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Header,
    Body,
    /// What came is no record.
    Lost,
}

impl Records {
    /// The next part of a record at the start of `rest`, which is moved behind it; `None` where more bytes are
    /// needed, or no more can be understood.
    pub(super) fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Option<Fragment<'a>> {
        while self.place != Place::Body {
            if self.place == Place::Lost {
                *rest = &[];
                return None;
            }
            let (&byte, tail) = rest.split_first()?;
            *rest = tail;
            if let Some(place) = self.header.get_mut(usize::from(self.header_len)) {
                *place = byte;
            }
            self.header_len = self.header_len.saturating_add(1);
            self.read_header();
        }
        if rest.is_empty() && self.left > 0 {
            return None;
        }
        let (bytes, tail) = rest.split_at(usize::from(self.left).min(rest.len()));
        *rest = tail;
        self.left = self
            .left
            .saturating_sub(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
        let fragment = Fragment {
            kind: self.kind(),
            length: self.length(),
            first: std::mem::take(&mut self.first),
            bytes,
        };
        if self.left == 0 {
            self.place = Place::Header;
            self.header_len = 0;
        }
        Some(fragment)
    }

    /// Looks at a header as soon as each of its bytes is there.
    fn read_header(&mut self) {
        let opening = !self.started;
        let fits = match (self.header_len, self.header) {
            (1, [kind, ..]) => (CHANGE_CIPHER_SPEC..=24).contains(&kind) || opening && self.is_version_2(),
            (2, _) if self.is_version_2() => {
                self.left = self.length();
                self.left > 0
            }
            (2, [_, major, ..]) => major == 3,
            (5, _) => {
                self.left = self.length();
                self.left <= MAX_RECORD
            }
            _ => true,
        };
        if !fits {
            self.place = Place::Lost;
        }
        let whole = if self.is_version_2() { 2 } else { 5 };
        if fits && self.header_len == whole {
            self.place = Place::Body;
            self.first = true;
            self.started = true;
        }
    }

    fn is_version_2(&self) -> bool {
        self.header.first().is_some_and(|byte| byte & 0x80 != 0)
    }

    fn kind(&self) -> u8 {
        match self.header {
            [first, ..] if first & 0x80 != 0 => VERSION_2,
            [kind, ..] => kind,
        }
    }

    fn length(&self) -> u16 {
        match self.header {
            [high, low, ..] if high & 0x80 != 0 => u16::from_be_bytes([high & 0x7f, low]),
            [_, _, _, high, low] => u16::from_be_bytes([high, low]),
        }
    }

    /// The content type of the record that has begun, as soon as its first byte is there.
    pub(super) fn begun(&self) -> Option<u8> {
        (self.header_len > 0).then(|| self.kind())
    }

    /// Whether a whole record, or the beginning of one, has been read.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether what came is no record: no more can be read from here.
    pub(super) fn is_broken(&self) -> bool {
        self.place == Place::Lost
    }
}

/// A handshake message.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    /// Its type.
    pub(super) kind: u8,
    /// What it says; `None` where it is longer than was asked for: then it has only begun.
    pub(super) body: Option<Cow<'a, [u8]>>,
}

/// Splits the handshake parts of records into messages; one that lies whole in a part is read there.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    header: [u8; 4],
    header_len: u8,
    kept: Vec<u8>,
    /// Bytes of a message nobody asked for that are still to come.
    skip: usize,
}

impl Messages {
    /// The next message that is whole, or is not to be kept, at the start of `rest`, which is moved behind it.
    /// `keep` says how many bytes of which type are wanted at most.
    pub(super) fn next<'a>(
        &mut self,
        rest: &mut &'a [u8],
        keep: impl Fn(u8) -> usize,
    ) -> Option<Message<'a>> {
        let (_, tail) = rest.split_at(self.skip.min(rest.len()));
        self.skip = self.skip.saturating_sub(rest.len());
        *rest = tail;
        while usize::from(self.header_len) < self.header.len() {
            let (&byte, tail) = rest.split_first()?;
            *rest = tail;
            if let Some(place) = self.header.get_mut(usize::from(self.header_len)) {
                *place = byte;
            }
            self.header_len = self.header_len.saturating_add(1);
        }
        let [kind, a, b, c] = self.header;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        if length > keep(kind) {
            self.header_len = 0;
            let (_, tail) = rest.split_at(length.min(rest.len()));
            self.skip = length.saturating_sub(rest.len());
            *rest = tail;
            return Some(Message { kind, body: None });
        }
        let missing = length.saturating_sub(self.kept.len());
        let Some((bytes, tail)) = rest.split_at_checked(missing) else {
            self.kept.extend_from_slice(rest);
            *rest = &[];
            return None;
        };
        *rest = tail;
        self.header_len = 0;
        let body = if self.kept.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            self.kept.extend_from_slice(bytes);
            Cow::Owned(std::mem::take(&mut self.kept))
        };
        Some(Message {
            kind,
            body: Some(body),
        })
    }

    /// The type of the message that has begun, as soon as its first byte is there.
    pub(super) fn begun(&self) -> Option<u8> {
        let [kind, ..] = self.header;
        (self.header_len > 0).then_some(kind)
    }
}
