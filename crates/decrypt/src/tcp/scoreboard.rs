//! What was sent and not yet acknowledged (RFC 6675's scoreboard, with the times RFC 8985 wants).

use std::collections::VecDeque;

use packet::Timestamp;

/// Pieces remembered at a time. Past it nothing new is sent and a block that would cut a piece is not believed.
const MAX_PIECES: usize = 8192;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    InFlight,
    /// The peer has it, but not all before it.
    Sacked,
    /// To be sent again.
    Lost,
}

/// A run of bytes sent at one time. FIN counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) time: Timestamp,
    /// The segment size it was cut into.
    pub(super) cut: u16,
    pub(super) fate: Fate,
    pub(super) retransmitted: bool,
}

impl Sent {
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// In order and without holes: from the first byte not acknowledged to the last one sent.
#[derive(Debug, Default)]
pub(super) struct Scoreboard {
    pieces: VecDeque<Sent>,
    in_flight: u64,
    sacked: u64,
    lost: u64,
}

impl Scoreboard {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether there is no room for another piece.
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= MAX_PIECES
    }

    /// Bytes thought to be in the network ("pipe").
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(super) fn sacked(&self) -> u64 {
        self.sacked
    }

    /// Bytes that wait to be sent again.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn first(&self) -> Option<&Sent> {
        self.pieces.front()
    }

    pub(super) fn last(&self) -> Option<&Sent> {
        self.pieces.back()
    }

    pub(super) fn memory(&self) -> usize {
        self.pieces.capacity() * size_of::<Sent>()
    }

    pub(super) fn release(&mut self) {
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// New data went out.
    pub(super) fn sent(&mut self, start: u64, end: u64, now: Timestamp, cut: u16) {
        self.in_flight += end - start;
        if let Some(last) = self.pieces.back_mut() {
            let same = last.fate == Fate::InFlight && !last.retransmitted && last.cut == cut;
            if same && last.time == now && last.end == start {
                last.end = end;
                return;
            }
        }
        self.pieces.push_back(Sent {
            start,
            end,
            time: now,
            cut,
            fate: Fate::InFlight,
            retransmitted: false,
        });
    }

    /// The peer has everything before `una`; calls `delivered` with what had been unknown to have arrived.
    pub(super) fn acknowledge(&mut self, una: u64, mut delivered: impl FnMut(&Sent)) {
        while let Some(piece) = self.pieces.front_mut() {
            if piece.start >= una {
                return;
            }
            let mut done = *piece;
            if piece.end > una {
                piece.start = una;
                done.end = una;
            } else {
                self.pieces.pop_front();
            }
            let total = self.total(done.fate);
            *total = total.saturating_sub(done.len());
            if done.fate != Fate::Sacked {
                delivered(&done);
            }
        }
    }

    /// The peer has `start..end`; calls `delivered` with what had been unknown to have arrived.
    pub(super) fn sack(&mut self, start: u64, end: u64, mut delivered: impl FnMut(&Sent)) {
        if start >= end {
            return;
        }
        let mut index = self.pieces.partition_point(|piece| piece.end <= start);
        while let Some(&piece) = self.pieces.get(index) {
            if piece.start >= end {
                return;
            }
            if piece.fate != Fate::Sacked {
                if piece.start < start {
                    if !self.split(index, start) {
                        return;
                    }
                    index += 1;
                }
                if piece.end > end && !self.split(index, end) {
                    return;
                }
                if let Some(before) = self.set_fate(index, Fate::Sacked) {
                    delivered(&before);
                }
            }
            index += 1;
        }
    }

    /// Marks as lost what `judge` says of the pieces in flight; stops where it says `None`.
    pub(super) fn mark_lost(&mut self, mut judge: impl FnMut(&Sent) -> Option<bool>) -> u64 {
        let before = self.lost;
        for piece in &mut self.pieces {
            if piece.fate != Fate::InFlight {
                continue;
            }
            match judge(piece) {
                None => break,
                Some(false) => {}
                Some(true) => {
                    piece.fate = Fate::Lost;
                    self.in_flight = self.in_flight.saturating_sub(piece.len());
                    self.lost += piece.len();
                }
            }
        }
        self.lost - before
    }

    /// Marks as lost the first `bytes` of the first piece, if it is in flight.
    pub(super) fn mark_head_lost(&mut self, bytes: u64) -> u64 {
        let Some(&head) = self.pieces.front() else {
            return 0;
        };
        if head.fate != Fate::InFlight {
            return 0;
        }
        if head.len() > bytes {
            self.split(0, head.start + bytes);
        }
        self.set_fate(0, Fate::Lost).map_or(0, |piece| piece.len())
    }

    /// Takes back every mark of a loss: it was none.
    pub(super) fn unmark_lost(&mut self) {
        for piece in &mut self.pieces {
            if piece.fate == Fate::Lost {
                piece.fate = Fate::InFlight;
            }
        }
        self.in_flight += std::mem::take(&mut self.lost);
    }

    /// The peer threw away what it had said it has (RFC 2018 §8): all of it is lost.
    pub(super) fn distrust(&mut self) {
        for piece in &mut self.pieces {
            if piece.fate == Fate::Sacked {
                piece.fate = Fate::Lost;
            }
        }
        self.lost += std::mem::take(&mut self.sacked);
    }

    /// The first piece to send again.
    pub(super) fn first_lost(&self) -> Option<&Sent> {
        if self.lost == 0 {
            return None;
        }
        self.pieces.iter().find(|piece| piece.fate == Fate::Lost)
    }

    /// `start..end` went out again; it lies in one piece that begins or ends there.
    pub(super) fn sent_again(&mut self, start: u64, end: u64, now: Timestamp, cut: u16) {
        let mut index = self.pieces.partition_point(|piece| piece.end <= start);
        let Some(&piece) = self.pieces.get(index) else {
            return;
        };
        if piece.start < start && self.split(index, start) {
            index += 1;
        }
        if piece.end > end {
            self.split(index, end);
        }
        self.set_fate(index, Fate::InFlight);
        if let Some(piece) = self.pieces.get_mut(index) {
            piece.time = now;
            piece.cut = cut;
            piece.retransmitted = true;
        }
    }

    fn split(&mut self, index: usize, at: u64) -> bool {
        // Twice the pieces that may be sent: a cut made by sending again has to find room.
        if self.pieces.len() >= 2 * MAX_PIECES {
            return false;
        }
        let Some(piece) = self.pieces.get_mut(index) else {
            return false;
        };
        let mut behind = *piece;
        behind.start = at;
        piece.end = at;
        self.pieces.insert(index + 1, behind);
        true
    }

    /// The piece as it was before.
    fn set_fate(&mut self, index: usize, fate: Fate) -> Option<Sent> {
        let piece = self.pieces.get_mut(index)?;
        let before = *piece;
        piece.fate = fate;
        let total = self.total(before.fate);
        *total = total.saturating_sub(before.len());
        *self.total(fate) += before.len();
        Some(before)
    }

    fn total(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::InFlight => &mut self.in_flight,
            Fate::Sacked => &mut self.sacked,
            Fate::Lost => &mut self.lost,
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut sums = [0; 3];
        let mut at = None;
        for piece in &self.pieces {
            assert!(piece.start < piece.end);
            assert_eq!(*at.get_or_insert(piece.start), piece.start);
            at = Some(piece.end);
            sums[piece.fate as usize] += piece.len();
        }
        assert_eq!(sums, [self.in_flight, self.sacked, self.lost]);
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the models count small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One cell per byte.
    #[derive(Default)]
    struct Naive {
        una: u64,
        cells: Vec<Fate>,
    }

    proptest! {
        #[test]
        fn agrees_with_one_cell_per_byte(
            steps in proptest::collection::vec((0_u8..6, 0_u64..120, 0_u64..40), 1..80),
        ) {
            let mut board = Scoreboard::default();
            let mut naive = Naive::default();
            for (time, (step, at, len)) in steps.into_iter().enumerate() {
                let now = Timestamp::from_secs(time as u64 / 2);
                let end = naive.una + naive.cells.len() as u64;
                let from = (naive.una + at).min(end);
                let to = (from + len).min(end);
                let range = (from - naive.una) as usize..(to - naive.una) as usize;
                let mut delivered = 0;
                let mut expected = 0;
                match step {
                    0 | 1 if len > 0 => {
                        board.sent(end, end + len, now, 10);
                        naive.cells.extend((0..len).map(|_| Fate::InFlight));
                    }
                    2 => {
                        board.acknowledge(to, |piece| delivered += piece.len());
                        let gone = naive.cells.drain(..range.end);
                        expected = gone.filter(|&fate| fate != Fate::Sacked).count() as u64;
                        naive.una = to;
                    }
                    3 => {
                        board.sack(from, to, |piece| delivered += piece.len());
                        for cell in &mut naive.cells[range] {
                            expected += u64::from(*cell != Fate::Sacked);
                            *cell = Fate::Sacked;
                        }
                    }
                    4 => {
                        board.mark_lost(|piece| Some(piece.start < to));
                        // Whole pieces are lost: only their bytes' sum is compared below.
                        for piece in &board.pieces {
                            for at in piece.start..piece.end {
                                naive.cells[(at - naive.una) as usize] = piece.fate;
                            }
                        }
                    }
                    _ => {
                        if let Some(&lost) = board.first_lost() {
                            let end = lost.end.min(lost.start + len.max(1));
                            board.sent_again(lost.start, end, now, 10);
                            for at in lost.start..end {
                                prop_assert_eq!(naive.cells[(at - naive.una) as usize], Fate::Lost);
                                naive.cells[(at - naive.una) as usize] = Fate::InFlight;
                            }
                        }
                    }
                }
                prop_assert_eq!(delivered, expected);
                board.check();
                let count = |fate| naive.cells.iter().filter(|&&cell| cell == fate).count() as u64;
                prop_assert_eq!(board.in_flight(), count(Fate::InFlight));
                prop_assert_eq!(board.sacked(), count(Fate::Sacked));
                prop_assert_eq!(board.lost(), count(Fate::Lost));
            }
        }
    }

    #[test]
    fn pieces_are_bounded() {
        let mut board = Scoreboard::default();
        board.sent(0, 100_000, Timestamp::ZERO, 1);
        for at in 0..50_000 {
            board.sack(2 * at, 2 * at + 1, |_| {});
        }
        board.check();
        assert!(board.pieces.len() <= 2 * MAX_PIECES && board.is_full());
    }
}
