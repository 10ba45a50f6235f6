//! DNS over TCP: each message stands behind its length in two bytes (RFC 1035 §4.2.2).

use super::likeness::MIN_MESSAGE;

/// The longest message that is put together by default, in bytes. A query is a few hundred at most.
pub const DEFAULT_MAX_MESSAGE: usize = 8 * 1024;

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
