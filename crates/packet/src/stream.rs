//! The bytes of one direction of a TCP connection, in order.

use std::collections::VecDeque;

/// What became of a segment's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamPush {
    /// Some of it, or of what waited for it, was delivered.
    Delivered,
    /// It waits for bytes before it.
    Held,
    /// None of it was new.
    Duplicate,
    /// It is ahead of the stream and there is no room for it; nothing of it was kept.
    Overflow,
}

/// Pieces that may wait at a time, however small.
const MAX_PIECES: usize = 64;

/// Puts one direction of a TCP connection in order, with bounded memory and the first copy of every byte.
///
/// The first copy wins because it is what was inspected first: a later one cannot change what was
/// already judged. Data in order passes through without being copied; an idle assembler owns no memory.
#[derive(Clone, Debug, Default)]
pub struct StreamAssembler {
    max_buffered: usize,
    started: bool,
    /// The sequence number of the next byte to deliver.
    next_seq: u32,
    /// Bytes in `held`.
    buffered: usize,
    /// What waits, ordered and free of overlaps; sequence numbers count from `next_seq` modulo 2^32.
    held: VecDeque<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    seq: u32,
    bytes: Box<[u8]>,
}

impl StreamAssembler {
    /// Holds at most `max_buffered` bytes that are ahead of the stream, in at most 64 pieces. Without
    /// [`StreamAssembler::start`] the stream begins with the first byte pushed.
    pub fn new(max_buffered: usize) -> Self {
        Self {
            max_buffered,
            ..Self::default()
        }
    }

    /// Begins, or begins anew, with the byte that has this sequence number: one more than the SYN's.
    pub fn start(&mut self, next_seq: u32) {
        self.started = true;
        self.next_seq = next_seq;
        self.buffered = 0;
        self.held.clear();
    }

    /// The sequence number of the next byte to deliver, once the stream has begun.
    pub fn next_seq(&self) -> Option<u32> {
        self.started.then_some(self.next_seq)
    }

    /// Bytes that wait for others before them.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes a segment's data and hands everything that is in order now to `deliver`, in one or more calls.
    pub fn push(&mut self, seq: u32, data: &[u8], deliver: &mut dyn FnMut(&[u8])) -> StreamPush {
        if !self.started {
            self.start(seq);
        }
        let ahead = seq.wrapping_sub(self.next_seq);
        // Sequence numbers are compared modulo 2^32: the nearer half is ahead (RFC 9293 §3.4).
        let (seq, data) = if ahead < 1 << 31 {
            (seq, data)
        } else {
            let old = usize::try_from(ahead.wrapping_neg()).unwrap_or(usize::MAX);
            (self.next_seq, data.get(old..).unwrap_or_default())
        };
        if data.is_empty() {
            return StreamPush::Duplicate;
        }
        if seq == self.next_seq {
            self.advance(data, deliver);
            return StreamPush::Delivered;
        }
        self.hold(seq, data)
    }

    /// Delivers `data`, which begins at `next_seq`, except where held bytes came first; then what follows.
    fn advance(&mut self, mut data: &[u8], deliver: &mut dyn FnMut(&[u8])) {
        loop {
            let gap = self
                .held
                .front()
                .map_or(usize::MAX, |piece| distance(self.next_seq, piece.seq));
            let (fresh, rest) = data.split_at_checked(gap).unwrap_or((data, &[]));
            if !fresh.is_empty() {
                deliver(fresh);
                self.next_seq = self.next_seq.wrapping_add(length(fresh));
            }
            let reached = self.held.front().is_some_and(|piece| piece.seq == self.next_seq);
            let Some(piece) = self.held.pop_front_if(|_| reached) else {
                return;
            };
            deliver(&piece.bytes);
            self.buffered = self.buffered.saturating_sub(piece.bytes.len());
            self.next_seq = self.next_seq.wrapping_add(length(&piece.bytes));
            data = rest.get(piece.bytes.len()..).unwrap_or_default();
        }
    }

    /// Keeps what is new of data that begins ahead of `next_seq`.
    fn hold(&mut self, seq: u32, data: &[u8]) -> StreamPush {
        let start = distance(self.next_seq, seq);
        let end = start.saturating_add(data.len());
        let gaps = || Gaps {
            base: self.next_seq,
            held: self.held.iter(),
            at: start,
            end,
        };
        let (count, new) = gaps().fold((0_usize, 0_usize), |(count, bytes), (from, to)| {
            (
                count.saturating_add(1),
                bytes.saturating_add(to.saturating_sub(from)),
            )
        });
        if new == 0 {
            return StreamPush::Duplicate;
        }
        if self.buffered.saturating_add(new) > self.max_buffered
            || self.held.len().saturating_add(count) > MAX_PIECES
            || end >= 1 << 31
        {
            return StreamPush::Overflow;
        }
        let pieces: Vec<Piece> = gaps()
            .filter_map(|(from, to)| {
                let bytes = data.get(from.saturating_sub(start)..to.saturating_sub(start))?;
                let seq = self.next_seq.wrapping_add(u32::try_from(from).ok()?);
                Some(Piece {
                    seq,
                    bytes: bytes.into(),
                })
            })
            .collect();
        for piece in pieces {
            let ahead = distance(self.next_seq, piece.seq);
            let place = self
                .held
                .partition_point(|held| distance(self.next_seq, held.seq) < ahead);
            self.buffered = self.buffered.saturating_add(piece.bytes.len());
            self.held.insert(place, piece);
        }
        StreamPush::Held
    }
}

/// The parts of `at..end` that no held piece covers; offsets count from `base`.
struct Gaps<'a> {
    base: u32,
    held: std::collections::vec_deque::Iter<'a, Piece>,
    at: usize,
    end: usize,
}

impl Iterator for Gaps<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        while self.at < self.end {
            let from = self.at;
            let Some(piece) = self.held.next() else {
                self.at = self.end;
                return Some((from, self.end));
            };
            let start = distance(self.base, piece.seq);
            let behind = start.saturating_add(piece.bytes.len());
            self.at = self.at.max(behind);
            let to = start.min(self.end);
            if from < to {
                return Some((from, to));
            }
        }
        None
    }
}

/// How far `to` is ahead of `from`.
fn distance(from: u32, to: u32) -> usize {
    usize::try_from(to.wrapping_sub(from)).unwrap_or(usize::MAX)
}

/// The length of data that came out of one packet.
fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push(stream: &mut StreamAssembler, seq: u32, data: &[u8], out: &mut Vec<u8>) -> StreamPush {
        stream.push(seq, data, &mut |bytes| out.extend_from_slice(bytes))
    }

    #[test]
    fn in_order_data_passes_through() {
        let mut stream = StreamAssembler::new(0);
        let mut out = Vec::new();
        stream.start(u32::MAX - 1);
        assert_eq!(
            push(&mut stream, u32::MAX - 1, b"abc", &mut out),
            StreamPush::Delivered
        );
        assert_eq!(push(&mut stream, 1, b"def", &mut out), StreamPush::Delivered);
        assert_eq!(out, b"abcdef");
        assert_eq!(stream.next_seq(), Some(4));
    }

    #[test]
    fn a_gap_holds_and_its_filling_delivers_all() {
        let mut stream = StreamAssembler::new(100);
        let mut out = Vec::new();
        stream.start(10);
        assert_eq!(push(&mut stream, 13, b"def", &mut out), StreamPush::Held);
        assert_eq!(push(&mut stream, 13, b"XYZ", &mut out), StreamPush::Duplicate);
        assert_eq!(push(&mut stream, 16, b"", &mut out), StreamPush::Duplicate);
        assert_eq!(stream.buffered(), 3);
        assert_eq!(push(&mut stream, 10, b"abcXYZg", &mut out), StreamPush::Delivered);
        assert_eq!(out, b"abcdefg", "the first copy of d, e, f came earlier");
        assert_eq!(push(&mut stream, 10, b"abcdefg", &mut out), StreamPush::Duplicate);
        assert_eq!(push(&mut stream, 14, b"efghi", &mut out), StreamPush::Delivered);
        assert_eq!(out, b"abcdefghi");
        assert_eq!(stream.buffered(), 0);
    }

    #[test]
    fn bounds_refuse_whole_segments() {
        let mut stream = StreamAssembler::new(8);
        let mut out = Vec::new();
        stream.start(0);
        assert_eq!(push(&mut stream, 1, &[1; 8], &mut out), StreamPush::Held);
        assert_eq!(push(&mut stream, 20, &[1], &mut out), StreamPush::Overflow);
        assert_eq!(push(&mut stream, 0, &[0], &mut out), StreamPush::Delivered);
        assert_eq!(out, [0, 1, 1, 1, 1, 1, 1, 1, 1]);
        let mut many = StreamAssembler::new(1000);
        many.start(0);
        for piece in 0..64 {
            assert_eq!(push(&mut many, 1 + 2 * piece, &[1], &mut out), StreamPush::Held);
        }
        assert_eq!(push(&mut many, 129, &[1], &mut out), StreamPush::Overflow);
    }

    #[test]
    fn without_a_start_the_first_byte_is_the_beginning() {
        let mut stream = StreamAssembler::new(8);
        let mut out = Vec::new();
        assert_eq!(stream.next_seq(), None);
        assert_eq!(push(&mut stream, 77, b"mid", &mut out), StreamPush::Delivered);
        assert_eq!(push(&mut stream, 70, b"earlier", &mut out), StreamPush::Duplicate);
        assert_eq!(out, b"mid");
    }

    /// One cell per byte of the stream: first copy wins, the full prefix is delivered.
    #[derive(Clone)]
    struct Naive {
        cells: Vec<Option<u8>>,
        delivered: usize,
    }

    impl Naive {
        fn push(&mut self, start: usize, data: &[u8]) {
            for (cell, &byte) in self.cells[start..].iter_mut().zip(data) {
                cell.get_or_insert(byte);
            }
            self.delivered = self.cells.iter().take_while(|cell| cell.is_some()).count();
        }

        fn ahead(&self) -> usize {
            self.cells[self.delivered..].iter().flatten().count()
        }
    }

    proptest! {
        #[test]
        fn agrees_with_one_cell_per_byte(
            first in any::<u32>(),
            segments in proptest::collection::vec((0_u8..60, 0_u8..12, any::<u8>()), 1..60),
        ) {
            const BOUND: usize = 20;
            let mut stream = StreamAssembler::new(BOUND);
            stream.start(first);
            let mut naive = Naive { cells: vec![None; 80], delivered: 0 };
            let mut out = Vec::new();
            for (start, len, fill) in segments {
                let data: Vec<u8> = (0..len).map(|index| fill.wrapping_add(index)).collect();
                let seq = first.wrapping_add(u32::from(start));
                let start = usize::from(start);
                let result = push(&mut stream, seq, &data, &mut out);
                let mut after = naive.clone();
                after.push(start, &data);
                let (delivered, ahead) = (naive.delivered, naive.ahead());
                match result {
                    StreamPush::Delivered => prop_assert!(after.delivered > delivered),
                    StreamPush::Held => {
                        prop_assert!(after.delivered == delivered && after.ahead() > ahead);
                    }
                    StreamPush::Duplicate => {
                        prop_assert_eq!((after.delivered, after.ahead()), (delivered, ahead));
                    }
                    StreamPush::Overflow => {
                        prop_assert!(start > delivered && after.ahead() > BOUND);
                        // Refused as a whole: as if it had never come.
                        after = naive;
                    }
                }
                naive = after;
                prop_assert_eq!(stream.buffered(), naive.ahead());
                let expected: Vec<u8> = naive.cells[..naive.delivered].iter().flatten().copied().collect();
                prop_assert_eq!(&out, &expected);
            }
        }
    }
}
