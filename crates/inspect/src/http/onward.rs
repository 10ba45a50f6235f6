//! What goes on in place of the bytes that came; a copy is made only once the two differ.

use super::judge::Passage;

/// Walks over the input and says of each byte whether it goes on.
#[derive(Debug)]
pub(super) struct Onward<'a> {
    input: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    replaced: bool,
}

impl<'a> Onward<'a> {
    pub(super) fn new(input: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            input,
            at: 0,
            out,
            replaced: false,
        }
    }

    /// What was not walked over yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self, count: usize) -> &'a [u8] {
        let rest = self.rest();
        let taken = rest.get(..count).unwrap_or(rest);
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    /// The next `count` bytes go on.
    pub(super) fn pass(&mut self, count: usize) {
        let taken = self.step(count);
        if self.replaced {
            self.out.extend_from_slice(taken);
        }
    }

    /// The next `count` bytes do not go on, at least not here.
    pub(super) fn withhold(&mut self, count: usize) -> &'a [u8] {
        self.differ();
        self.step(count)
    }

    /// Something else goes on at this place.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.differ();
            self.out.extend_from_slice(bytes);
        }
    }

    fn differ(&mut self) {
        if !self.replaced {
            self.replaced = true;
            self.out
                .extend_from_slice(self.input.get(..self.at).unwrap_or_default());
        }
    }

    /// What was walked over is done with; the rest goes on.
    pub(super) fn finish(mut self) -> Passage {
        self.pass(usize::MAX);
        if self.replaced {
            Passage::Replaced
        } else {
            Passage::Pass
        }
    }
}
