//! A fixed buffer that slides over a file.

use std::io::{self, Read};

/// How many bytes can be looked at in one piece.
pub(super) const WINDOW: usize = 1 << 20;

/// How many bytes are read at once, where no longer piece is asked for: few enough to be still in a near cache when
/// they are looked at.
const READ: usize = 1 << 17;

/// The part of a file that is in memory. Its size never depends on what the file says.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The place in the file of `buffer[start]`.
    offset: u64,
    ended: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
        }
    }

    /// Where in the file the bytes begin that come next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What is in memory of the bytes that come next.
    pub(super) fn ahead(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes that come next: at least `wanted`, unless the file ends before or `wanted` is more
    /// than [`WINDOW`].
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.end.saturating_sub(self.start) < wanted {
            self.slide(wanted)?;
        }
        Ok(self.ahead())
    }

    #[cold]
    fn slide(&mut self, wanted: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        while !self.ended && self.end < wanted {
            let most = self.end.saturating_add(READ).min(WINDOW);
            let Some(free) = self
                .buffer
                .get_mut(self.end..most)
                .filter(|free| !free.is_empty())
            else {
                break;
            };
            match self.source.read(free) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end = self.end.saturating_add(count).min(WINDOW),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Steps over the next `count` bytes, which must be in memory, and tells where in
    /// [`Window::behind`] they are until the next [`Window::fill`].
    pub(super) fn take(&mut self, count: usize) -> usize {
        let at = self.start;
        self.start = self.start.saturating_add(count).min(self.end);
        self.offset = self
            .offset
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        at
    }

    /// `len` bytes at a place that [`Window::take`] told.
    pub(super) fn behind(&self, at: usize, len: usize) -> &[u8] {
        self.buffer
            .get(at..)
            .and_then(|rest| rest.get(..len))
            .unwrap_or_default()
    }

    /// Steps over the next `count` bytes, in memory or not; false where the file ends before.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        let mut left = count;
        while left > 0 {
            let here = self.fill(1)?.len();
            if here == 0 {
                return Ok(false);
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(here);
            self.take(step);
            left = left.saturating_sub(u64::try_from(step).unwrap_or(u64::MAX));
        }
        Ok(true)
    }
}
