//! Which pieces are lost, by when they and later ones were sent (RACK, RFC 8985).

use std::time::Duration;

use packet::Timestamp;

use super::{
    rtt::RttEstimator,
    scoreboard::{Scoreboard, Sent},
};

/// Recoveries without a sign of reordering after which the window of tolerance is small again.
const PERSISTENCE: u32 = 16;
const MAX_MULTIPLIER: u32 = 64;
/// Segments beyond the first hole that prove a loss while no reordering was ever seen.
const DUPLICATE_THRESHOLD: u64 = 3;

#[derive(Clone, Copy, Debug)]
pub(super) struct Rack {
    /// When the most recently sent of the delivered pieces was sent, and where it ended.
    latest: Option<(Timestamp, u64)>,
    rtt: Duration,
    /// The highest place delivered.
    forward: u64,
    reordering_seen: bool,
    multiplier: u32,
    persist: u32,
    /// A DSACK is counted once until this place is acknowledged.
    dsack_round: Option<u64>,
}

impl Rack {
    pub(super) fn new(next: u64) -> Self {
        Self {
            latest: None,
            rtt: Duration::ZERO,
            forward: next,
            reordering_seen: false,
            multiplier: 1,
            persist: PERSISTENCE,
            dsack_round: None,
        }
    }

    /// A piece arrived. `echo_is_older` says that the peer's timestamp echo is older than its last transmission.
    pub(super) fn delivered(
        &mut self,
        now: Timestamp,
        piece: &Sent,
        rtt: &RttEstimator,
        echo_is_older: bool,
    ) {
        if piece.end > self.forward {
            self.forward = piece.end;
        } else if !piece.retransmitted && piece.end < self.forward {
            self.reordering_seen = true;
        }
        let took = now.saturating_since(piece.time);
        // Then it was the first copy that arrived, and when that was sent is forgotten.
        if piece.retransmitted && (echo_is_older || took < rtt.smallest()) {
            return;
        }
        self.rtt = took;
        if self.latest.is_none_or(|latest| latest < (piece.time, piece.end)) {
            self.latest = Some((piece.time, piece.end));
        }
    }

    /// The peer got something twice: what was thought lost was late.
    pub(super) fn duplicate_reported(&mut self, una: u64, next: u64) {
        if self.dsack_round.is_some_and(|round| una < round) {
            return;
        }
        self.dsack_round = Some(next);
        self.reordering_seen = true;
        self.multiplier = (self.multiplier + 1).min(MAX_MULTIPLIER);
        self.persist = PERSISTENCE;
    }

    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = 1;
        }
    }

    fn tolerance(&self, board: &Scoreboard, rtt: &RttEstimator, recovering: bool, mss: u16) -> Duration {
        let enough = board.sacked() >= DUPLICATE_THRESHOLD * u64::from(mss);
        if !self.reordering_seen && (recovering || enough) {
            return Duration::ZERO;
        }
        let tolerance = rtt.smallest() / 4 * self.multiplier;
        tolerance.min(rtt.smoothed().unwrap_or_default())
    }

    /// Marks what is lost by now; how long until the next piece would be, and how many bytes were marked.
    pub(super) fn detect(
        &self,
        now: Timestamp,
        board: &mut Scoreboard,
        rtt: &RttEstimator,
        recovering: bool,
        mss: u16,
    ) -> (u64, Option<Duration>) {
        let Some(latest) = self.latest else {
            return (0, None);
        };
        let deadline = self.rtt + self.tolerance(board, rtt, recovering, mss);
        let mut wait: Option<Duration> = None;
        let lost = board.mark_lost(|piece| {
            if latest <= (piece.time, piece.end) {
                // First transmissions are in order of time: what follows one that is too young is younger.
                return piece.retransmitted.then_some(false);
            }
            let left = deadline.saturating_sub(now.saturating_since(piece.time));
            if left.is_zero() {
                return Some(true);
            }
            wait = Some(wait.map_or(left, |wait| wait.max(left)));
            Some(false)
        });
        (lost, wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO.saturating_add(Duration::from_millis(millis))
    }

    /// Ten segments, one sent each millisecond, on a path of 20 ms.
    fn sent() -> (Scoreboard, Rack, RttEstimator) {
        let mut board = Scoreboard::default();
        for index in 0..10 {
            board.sent(index * MSS, (index + 1) * MSS, at(index), 1000);
        }
        let rtt = RttEstimator::new(at(0), Some(Duration::from_millis(20)));
        (board, Rack::new(0), rtt)
    }

    fn sack(board: &mut Scoreboard, rack: &mut Rack, rtt: &RttEstimator, now: Timestamp, index: u64) {
        let mut found = Vec::new();
        board.sack(index * MSS, (index + 1) * MSS, |piece| found.push(*piece));
        for piece in found {
            rack.delivered(now, &piece, rtt, false);
        }
    }

    #[test]
    fn three_later_segments_prove_a_loss_at_once() {
        let (mut board, mut rack, rtt) = sent();
        for index in 1..3 {
            sack(&mut board, &mut rack, &rtt, at(20 + index), index);
            let (lost, wait) = rack.detect(at(20 + index), &mut board, &rtt, false, 1000);
            assert_eq!(lost, 0);
            assert!(wait.is_some());
        }
        sack(&mut board, &mut rack, &rtt, at(23), 3);
        assert_eq!(rack.detect(at(23), &mut board, &rtt, false, 1000).0, MSS);
    }

    #[test]
    fn where_segments_were_seen_out_of_order_time_decides() {
        let (mut board, mut rack, rtt) = sent();
        sack(&mut board, &mut rack, &rtt, at(21), 1);
        sack(&mut board, &mut rack, &rtt, at(21), 0);
        assert!(rack.reordering_seen);
        for index in 3..8 {
            sack(&mut board, &mut rack, &rtt, at(20 + index), index);
        }
        // Sent at 2 ms, the tolerance is 5 ms, the latest delivered took 20 ms.
        let (lost, wait) = rack.detect(at(26), &mut board, &rtt, false, 1000);
        assert_eq!((lost, wait), (0, Some(Duration::from_millis(1))));
        assert_eq!(rack.detect(at(27), &mut board, &rtt, false, 1000).0, MSS);
    }

    #[test]
    fn reports_of_duplicates_widen_the_tolerance() {
        let (board, mut rack, rtt) = sent();
        let before = rack.tolerance(&board, &rtt, false, 1000);
        rack.duplicate_reported(0, 10);
        rack.duplicate_reported(5, 10);
        assert_eq!(
            rack.tolerance(&board, &rtt, false, 1000),
            before * 2,
            "once a round"
        );
        rack.duplicate_reported(10, 20);
        assert_eq!(rack.tolerance(&board, &rtt, true, 1000), before * 3);
        for _ in 0..PERSISTENCE {
            rack.recovered();
        }
        assert_eq!(rack.tolerance(&board, &rtt, true, 1000), before);
    }
}
