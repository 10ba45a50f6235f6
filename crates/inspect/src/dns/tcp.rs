//! DNS over TCP: each message stands behind its length in two bytes (RFC 1035 §4.2.2).

use super::message::{HEADER_LEN, Header, skip_question};
use super::query::MAX_QUESTIONS;

/// The longest message that is put together by default, in bytes. A query is a few hundred at most.
pub const DEFAULT_MAX_MESSAGE: usize = 8 * 1024;
/// The smallest message with a question: header, root name, type, class.
const MIN_MESSAGE: usize = HEADER_LEN + 5;

/// Splits the byte stream of one direction into messages.
///
/// A message that lies whole in one piece is delivered from there, without a copy. One that is longer than
/// the bound is delivered cut to the bound: its question stands in front.
#[derive(Clone, Debug)]
pub struct TcpMessages {
    /// Length bytes and message bytes kept of a message that is not whole.
    partial: Vec<u8>,
    /// Bytes of an over-long message that are still to be skipped.
    skip: usize,
    max_message: usize,
    cut: u64,
}

impl Default for TcpMessages {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_MESSAGE)
    }
}

impl TcpMessages {
    /// A splitter that keeps at most `max_message` bytes of a message (itself at most 64 KiB by its length field).
    pub fn new(max_message: usize) -> Self {
        Self {
            partial: Vec::new(),
            skip: 0,
            max_message: max_message.max(MIN_MESSAGE),
            cut: 0,
        }
    }

    /// Takes the next bytes of the stream and delivers each message that is whole now.
    pub fn push(&mut self, bytes: &[u8], deliver: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        loop {
            let (_, tail) = rest.split_at(self.skip.min(rest.len()));
            self.skip = self.skip.saturating_sub(rest.len());
            rest = tail;
            if rest.is_empty() {
                return;
            }
            rest = if self.partial.is_empty() {
                self.take_whole(rest, deliver)
            } else {
                self.complete(rest, deliver)
            };
        }
    }

    /// Delivers the message at the start of `bytes`, or keeps what there is of it.
    fn take_whole<'b>(&mut self, bytes: &'b [u8], deliver: &mut dyn FnMut(&[u8])) -> &'b [u8] {
        if let Some((length, body)) = split_length(bytes) {
            let kept = length.min(self.max_message);
            if let Some((message, rest)) = body.split_at_checked(kept) {
                self.finish(length, kept);
                if kept > 0 {
                    deliver(message);
                }
                return rest;
            }
        }
        self.partial.extend_from_slice(bytes);
        &[]
    }

    /// Adds to the message that is not whole yet.
    fn complete<'b>(&mut self, bytes: &'b [u8], deliver: &mut dyn FnMut(&[u8])) -> &'b [u8] {
        let wanted = match split_length(&self.partial) {
            Some((length, _)) => length.min(self.max_message).saturating_add(2),
            None => 2,
        };
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.partial.extend_from_slice(taken);
        if let Some((length, body)) = split_length(&self.partial) {
            let kept = length.min(self.max_message);
            if body.len() >= kept {
                if kept > 0 {
                    deliver(body);
                }
                self.partial.clear();
                self.finish(length, kept);
            }
        }
        rest
    }

    fn finish(&mut self, length: usize, kept: usize) {
        self.skip = length.saturating_sub(kept);
        if self.skip > 0 {
            self.cut = self.cut.saturating_add(1);
        }
    }

    /// Bytes that wait for the rest of their message, length bytes included.
    pub fn pending(&self) -> usize {
        self.partial.len()
    }

    /// Messages that were longer than the bound.
    pub fn cut(&self) -> u64 {
        self.cut
    }
}

/// The length in front of a message, and what follows it.
fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_be_bytes(*length)), rest))
}

/// Whether something is DNS over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It is not, whatever follows.
    No,
    /// It may be; more bytes will tell.
    Undecided,
    /// It is.
    Yes,
}

/// Whether the first bytes of a stream's direction are DNS over TCP, a query or a response.
///
/// `Yes` once the first message's header and questions are seen and valid.
pub fn looks_like_dns_tcp(first: &[u8]) -> Likeness {
    let Some((length, message)) = split_length(first) else {
        return Likeness::Undecided;
    };
    if length < MIN_MESSAGE {
        return Likeness::No;
    }
    let message = message.get(..length).unwrap_or(message);
    let whole = message.len() == length;
    let Some(header) = Header::parse(message) else {
        // The flags may already tell.
        return match message.get(2) {
            Some(flags) if flags & 0x78 != 0 => Likeness::No,
            _ => Likeness::Undecided,
        };
    };
    if !plausible(&header, length) {
        return Likeness::No;
    }
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        match skip_question(message, at) {
            Some(end) => at = end,
            None if whole || broken(message, at) => return Likeness::No,
            None => return Likeness::Undecided,
        }
    }
    Likeness::Yes
}

/// Whether counts and flags could be those of a DNS message of `length` bytes.
fn plausible(header: &Header, length: usize) -> bool {
    let questions = usize::from(header.questions);
    let room = length
        .saturating_sub(HEADER_LEN)
        .saturating_sub(questions.saturating_mul(5));
    header.flags.opcode() == 0
        && (1..=u16::from(MAX_QUESTIONS)).contains(&header.questions)
        && header.records() <= room / super::query::MIN_RECORD
        && (header.flags.response() || header.answers == 0)
}

/// Whether the name at `at` is wrong in the bytes that are there.
fn broken(message: &[u8], at: usize) -> bool {
    let mut at = at;
    while let Some(&length) = message.get(at) {
        match length {
            1..=63 => at = at.saturating_add(1).saturating_add(usize::from(length)),
            0 | 0xc0.. => return false,
            _ => return true,
        }
        if at > HEADER_LEN.saturating_add(4 * 260) {
            return true;
        }
    }
    false
}
