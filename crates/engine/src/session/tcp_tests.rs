use packet::{Tcp, TcpFlags};
use proptest::{collection::vec, prelude::*};

use super::*;

const CLIENT: Direction = Direction::ClientToServer;
const SERVER: Direction = Direction::ServerToClient;

fn segment(flags: TcpFlags, seq: u32, ack: u32, payload: &[u8]) -> Tcp<'_> {
    Tcp {
        sport: 1,
        dport: 2,
        seq,
        ack,
        flags,
        window: 1000,
        window_scale: None,
        mss: None,
        options: &[],
        payload,
        payload_len: u32::try_from(payload.len()).unwrap(),
    }
}

/// A tracker with what its session keeps for it.
struct Tracked(TcpTracker, Option<u32>);

impl Tracked {
    fn new(first: &Tcp<'_>, direction: Direction) -> Self {
        Self(TcpTracker::new(first, direction), None)
    }

    fn segment(&mut self, segment: &Tcp<'_>, direction: Direction) -> Segment {
        self.0.segment(segment, direction, &mut self.1)
    }
}

impl std::ops::Deref for Tracked {
    type Target = TcpTracker;

    fn deref(&self) -> &TcpTracker {
        &self.0
    }
}

/// A tracker after the handshake; the client's next byte is 101, the server's 501.
fn established() -> Tracked {
    let mut tracker = Tracked::new(&segment(TcpFlags::SYN, 100, 0, b""), CLIENT);
    let answer = segment(TcpFlags::SYN | TcpFlags::ACK, 500, 101, b"");
    assert_eq!(tracker.segment(&answer, SERVER), Segment::Accepted);
    assert_eq!(tracker.state(), TcpState::Handshake);
    assert_eq!(
        tracker.segment(&segment(TcpFlags::ACK, 101, 501, b""), CLIENT),
        Segment::Accepted
    );
    assert_eq!(tracker.state(), TcpState::Established);
    tracker
}

#[test]
fn a_blind_reset_changes_nothing() {
    let mut tracker = established();
    for seq in [0, 50_000, u32::MAX] {
        assert_eq!(
            tracker.segment(&segment(TcpFlags::RST, seq, 0, b""), CLIENT),
            Segment::OutOfWindow,
            "{seq}"
        );
    }
    assert_eq!(tracker.state(), TcpState::Established);
}

#[test]
fn a_reset_in_the_window_is_believed_only_at_the_expected_byte() {
    let mut tracker = established();
    assert_eq!(
        tracker.segment(&segment(TcpFlags::RST, 300, 0, b""), CLIENT),
        Segment::UnverifiedReset
    );
    assert_eq!(tracker.state(), TcpState::Established);
    assert_eq!(
        tracker.segment(&segment(TcpFlags::RST, 101, 0, b""), CLIENT),
        Segment::Reset
    );
    assert_eq!(tracker.state(), TcpState::Closed);
}

#[test]
fn data_outside_the_window_is_refused() {
    let mut tracker = established();
    let inside = segment(TcpFlags::ACK, 101, 501, b"hello");
    assert_eq!(tracker.segment(&inside, CLIENT), Segment::Accepted);
    assert_eq!(tracker.next_seq(CLIENT), 106);
    let beyond = segment(TcpFlags::ACK, 101 + 5000, 501, b"evil");
    assert_eq!(tracker.segment(&beyond, CLIENT), Segment::OutOfWindow);
    assert_eq!(tracker.next_seq(CLIENT), 106);
    assert_eq!(
        tracker.segment(&inside, CLIENT),
        Segment::Accepted,
        "a retransmission is not outside"
    );
}

#[test]
fn two_fins_close() {
    let mut tracker = established();
    let fin = TcpFlags::FIN | TcpFlags::ACK;
    assert_eq!(
        tracker.segment(&segment(fin, 101, 501, b""), CLIENT),
        Segment::Fin
    );
    assert_eq!(tracker.state(), TcpState::HalfClosed);
    assert_eq!(
        tracker.segment(&segment(fin, 501, 102, b""), SERVER),
        Segment::Fin
    );
    assert_eq!(tracker.state(), TcpState::Closed);
    assert_eq!(
        tracker.segment(&segment(TcpFlags::SYN, 9000, 0, b""), CLIENT),
        Segment::NewConnection
    );
}

#[test]
fn a_syn_over_an_open_connection_waits_for_the_server() {
    let mut tracker = established();
    assert_eq!(
        tracker.segment(&segment(TcpFlags::SYN, 9000, 0, b""), CLIENT),
        Segment::Resynchronise
    );
    assert_eq!(tracker.state(), TcpState::Established);
    let agreed = segment(TcpFlags::SYN | TcpFlags::ACK, 7000, 9001, b"");
    assert_eq!(tracker.segment(&agreed, SERVER), Segment::NewConnection);
}

#[test]
fn a_refused_connection_is_reset_by_its_acknowledgement() {
    let mut tracker = Tracked::new(&segment(TcpFlags::SYN, 100, 0, b""), CLIENT);
    let refusal = segment(TcpFlags::RST | TcpFlags::ACK, 0, 101, b"");
    assert_eq!(tracker.segment(&refusal, SERVER), Segment::Reset);
}

#[test]
fn what_is_joined_in_the_middle_goes_on() {
    let mut tracker = Tracked::new(&segment(TcpFlags::ACK, 40_000, 70_000, b"abc"), CLIENT);
    assert!(tracker.one_sided());
    assert_eq!(tracker.state(), TcpState::Established);
    assert_eq!(
        tracker.segment(&segment(TcpFlags::ACK, 70_000, 40_003, b"def"), SERVER),
        Segment::Accepted
    );
    assert_eq!(
        tracker.segment(&segment(TcpFlags::ACK, 40_003, 70_003, b""), CLIENT),
        Segment::Accepted
    );
}

proptest! {
    /// The largest window counts to the byte: a SYN's, which is not scaled, and those after it, which are. One is as
    /// good as none.
    #[test]
    fn the_largest_window_offered_is_what_the_other_side_may_lag_behind(
        syn in any::<u16>(), scale in proptest::option::of(0_u8..20), offered in vec(any::<u16>(), 0..5),
    ) {
        let mut first = segment(TcpFlags::SYN, 100, 0, b"");
        (first.window, first.window_scale) = (syn, scale);
        let mut tracker = Tracked::new(&first, CLIENT);
        let answer = segment(TcpFlags::SYN | TcpFlags::ACK, 500, 101, b"");
        prop_assert_eq!(tracker.segment(&answer, SERVER), Segment::Accepted);
        let mut largest = u32::from(syn).max(1);
        for window in offered {
            let mut next = segment(TcpFlags::ACK, 101, 501, b"");
            next.window = window;
            prop_assert_eq!(tracker.segment(&next, CLIENT), Segment::Accepted);
            largest = largest.max(u32::from(window) << scale.unwrap_or(0).min(14));
        }
        let behind = |by: u32| segment(TcpFlags::ACK, 501_u32.wrapping_sub(by), 101, b"");
        prop_assert_eq!(tracker.segment(&behind(largest + 2), SERVER), Segment::OutOfWindow);
        prop_assert_eq!(tracker.segment(&behind(largest + 1), SERVER), Segment::Accepted);
    }
}
