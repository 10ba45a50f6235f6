//! TCP as a bystander sees it: state by sequence numbers (RFC 9293), windows as in van Rooij's
//! "Real Stateful TCP Packet Filtering", resets judged as RFC 5961 tells the ends to judge them.
//!
//! Whoever can guess a five-tuple can send segments into it. Only what the receiver itself would
//! accept may end a session or keep it alive.

use packet::Tcp;

use super::Direction;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TcpState {
    /// A SYN was seen, nothing came back.
    Opening = 1,
    /// SYN and SYN-ACK were seen.
    Handshake,
    /// The handshake is complete, or the session was first seen in its middle.
    Established,
    /// One side has sent its FIN.
    HalfClosed,
    /// Both sides have sent their FIN, or a reset was accepted.
    Closed,
}

/// What a segment means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Belongs to the connection.
    Accepted,
    /// The first FIN of this side.
    Fin,
    /// A reset that the receiver will accept.
    Reset,
    /// A reset inside the window, but not at the byte the receiver expects: it will be challenged.
    UnverifiedReset,
    /// Outside the window: the receiver will not accept it.
    OutOfWindow,
    /// A SYN over a connection that is open: reuse of the ports if the other side agrees.
    Resynchronise,
    /// Opens a new connection over one that is over, or that the other side has just agreed to reopen.
    NewConnection,
}

/// One side's half of the sequence space.
#[derive(Clone, Copy, Debug, Default)]
struct Half {
    /// One past the highest sequence number this side has sent.
    end: u32,
    /// One past the highest sequence number the other side allows it to send.
    limit: u32,
    /// The highest acknowledgement it has sent, where there was one; what it expects next.
    acked: u32,
    /// The largest window it has offered, as it stood in the header.
    window: u16,
    bits: u8,
    /// A byte of the whole connection's, kept where there is room: see [`TcpTracker::code`].
    whole: u8,
}

impl Half {
    /// Shift of its window field; [`Half::UNKNOWN_SCALE`] where that is not known.
    const SCALE: u8 = 0x0f;
    const UNKNOWN_SCALE: u8 = 0x0f;
    /// Whether a packet of this side was seen.
    const SEEN: u8 = 0x10;
    /// Whether its FIN was seen.
    const FIN: u8 = 0x20;
    const ACKED: u8 = 0x40;
    /// The largest window is a SYN's, which has no scale.
    const OF_SYN: u8 = 0x80;

    fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    #[inline]
    fn seen(&self) -> bool {
        self.has(Self::SEEN)
    }

    fn fin(&self) -> bool {
        self.has(Self::FIN)
    }

    #[inline]
    fn acked(&self) -> Option<u32> {
        self.has(Self::ACKED).then_some(self.acked)
    }

    #[inline]
    fn set_acked(&mut self, acked: u32) {
        self.acked = acked;
        self.bits |= Self::ACKED;
    }

    /// The shift of its window field, as far as it is known (RFC 7323 §2.3).
    #[inline]
    fn scale(&self) -> u8 {
        (self.bits & Self::SCALE).min(LARGEST_SCALE)
    }

    /// The largest window it has offered, in bytes; 0 where it has said nothing.
    #[inline]
    fn window(&self) -> u32 {
        let scale = if self.has(Self::OF_SYN) { 0 } else { self.scale() };
        let offered = u32::from(self.window) << scale;
        offered.max(u32::from(self.seen()))
    }

    /// It offers this window now.
    #[inline]
    fn offers(&mut self, window: u16) {
        if u32::from(window) << self.scale() > self.window() {
            self.window = window;
            self.bits &= !Self::OF_SYN;
        }
    }
}

/// The state of one TCP session, or of one that has none yet, packed: there may be a million.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpTracker {
    halves: [Half; 2],
    /// First sequence number of the client's SYN.
    isn: u32,
}

const _: () = assert!(size_of::<TcpTracker>() == 36);

/// How old an acknowledgement may be (Linux and BSD use the same constant).
const OLDEST_ACK: u32 = 66_000;
/// The largest scale, RFC 7323 §2.3; assumed where the handshake was not seen.
const LARGEST_SCALE: u8 = 14;

impl TcpTracker {
    /// The tracker of a session whose first segment is `segment`, sent by `direction`'s sender.
    pub(crate) fn new(segment: &Tcp<'_>, direction: Direction) -> Self {
        let flags = segment.flags;
        let mut tracker = Self {
            isn: if flags.syn() && !flags.ack() {
                segment.seq
            } else {
                segment.ack.wrapping_sub(1)
            },
            ..Self::default()
        };
        tracker.set_state(match (flags.syn(), flags.ack()) {
            (true, false) => TcpState::Opening,
            (true, true) => TcpState::Handshake,
            _ => TcpState::Established,
        });
        tracker.first_of_half(segment, direction);
        tracker
    }

    /// The state's number; 0 where no segment was seen.
    #[inline]
    fn code(&self) -> u8 {
        self.halves[0].whole
    }

    fn set_state(&mut self, state: TcpState) {
        self.halves[0].whole = state as u8;
    }

    /// Whether there is a connection at all.
    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.code() != 0
    }

    #[inline]
    fn is(&self, state: TcpState) -> bool {
        self.code() == state as u8
    }

    /// Whether a SYN over the open connection waits for the server's answer.
    #[inline]
    fn resynchronises(&self) -> bool {
        self.halves[1].whole != 0
    }

    /// A client's SYN over the open connection waits for the server's answer; or none does.
    fn note_resync(&mut self, resync: &mut Option<u32>, seq: Option<u32>) {
        self.halves[1].whole = u8::from(seq.is_some());
        *resync = seq;
    }

    pub(crate) fn state(&self) -> TcpState {
        [
            TcpState::Opening,
            TcpState::Handshake,
            TcpState::HalfClosed,
            TcpState::Closed,
        ]
        .into_iter()
        .find(|state| self.is(*state))
        .unwrap_or(TcpState::Established)
    }

    /// Whether only one direction was seen so far.
    pub(crate) fn one_sided(&self) -> bool {
        !(self.halves[0].seen() && self.halves[1].seen())
    }

    /// Whether a packet was seen in this direction.
    pub(crate) fn heard(&self, direction: Direction) -> bool {
        self.half(direction).seen()
    }

    /// One past the last byte that `direction`'s sender is known to have sent.
    pub(crate) fn next_seq(&self, direction: Direction) -> u32 {
        self.half(direction).end
    }

    /// The byte that the receiver of `direction` expects next, as far as it has said so.
    pub(crate) fn expected_by_receiver(&self, direction: Direction) -> Option<u32> {
        self.half(direction.reversed()).acked()
    }

    /// Moves an established connection along by a segment that changes nothing but what was sent and received.
    /// `false`, and nothing moved: the segment is something else, and [`TcpTracker::segment`] has to judge it.
    #[inline]
    pub(crate) fn carry_on(&mut self, segment: &Tcp<'_>, direction: Direction) -> bool {
        let flags = segment.flags;
        let plain = flags.ack() && !flags.syn() && !flags.fin() && !flags.rst();
        if !plain || !self.is(TcpState::Established) || self.one_sided() || self.resynchronises() {
            return false;
        }
        if !self.in_window(segment, direction) {
            return false;
        }
        self.advance(segment, direction);
        true
    }

    /// Judges the next segment and moves the state along where it is accepted. `resync` is the sequence number of a
    /// client's SYN over the open connection that waits for the server's answer.
    pub(crate) fn segment(
        &mut self,
        segment: &Tcp<'_>,
        direction: Direction,
        resync: &mut Option<u32>,
    ) -> Segment {
        let flags = segment.flags;
        if flags.syn() {
            return self.synchronise(segment, direction, resync);
        }
        if !self.half(direction).seen() {
            if !self.answers(segment, direction) {
                return Segment::OutOfWindow;
            }
            self.first_of_half(segment, direction);
        }
        if !self.in_window(segment, direction) {
            return Segment::OutOfWindow;
        }
        if flags.rst() {
            return self.reset(segment, direction);
        }
        self.advance(segment, direction);
        self.note_resync(resync, None);
        if self.is(TcpState::Opening)
            || (self.is(TcpState::Handshake) && direction == Direction::ClientToServer)
        {
            self.set_state(TcpState::Established);
        }
        if flags.fin() && !self.half(direction).fin() {
            self.half_mut(direction).bits |= Half::FIN;
            let both = self.halves.iter().all(Half::fin);
            if !self.is(TcpState::Closed) {
                self.set_state(if both {
                    TcpState::Closed
                } else {
                    TcpState::HalfClosed
                });
            }
            return Segment::Fin;
        }
        Segment::Accepted
    }

    /// Whether the first segment of a side, no SYN, answers what the other side has said. The client of an
    /// unanswered SYN believes only what acknowledges it (RFC 9293 §3.10.7.3); who has acknowledged something
    /// accepts only what is near it.
    fn answers(&self, segment: &Tcp<'_>, direction: Direction) -> bool {
        let other = self.half(direction.reversed());
        if self.is(TcpState::Opening) && direction == Direction::ServerToClient {
            let acknowledged = segment.ack.wrapping_sub(self.isn);
            let sent = other.end.wrapping_sub(self.isn);
            return segment.flags.ack() && (1..=sent).contains(&acknowledged);
        }
        let Some(expected) = other.acked() else {
            return true;
        };
        let limit = self.half(direction).limit;
        !after(segment.seq, limit) && !after(expected.wrapping_sub(other.window()), end_of(segment))
    }

    fn synchronise(&mut self, segment: &Tcp<'_>, direction: Direction, resync: &mut Option<u32>) -> Segment {
        if segment.flags.ack() {
            return self.synchronise_ack(segment, direction, *resync);
        }
        let half = self.half(direction);
        if direction == Direction::ServerToClient {
            // The server opens towards the client from the same ports: simultaneous open, or reuse.
            return if self.is(TcpState::Closed) {
                Segment::NewConnection
            } else {
                Segment::Resynchronise
            };
        }
        if half.seen() && segment.seq == self.isn {
            return Segment::Accepted; // retransmitted
        }
        match self.state() {
            TcpState::Opening | TcpState::Closed => Segment::NewConnection,
            TcpState::Handshake | TcpState::Established | TcpState::HalfClosed => {
                self.note_resync(resync, Some(segment.seq));
                Segment::Resynchronise
            }
        }
    }

    fn synchronise_ack(&mut self, segment: &Tcp<'_>, direction: Direction, resync: Option<u32>) -> Segment {
        let acknowledged = segment.ack.wrapping_sub(1);
        if resync == Some(acknowledged) && direction == Direction::ServerToClient {
            return Segment::NewConnection;
        }
        if direction == Direction::ClientToServer || acknowledged != self.isn {
            return Segment::OutOfWindow;
        }
        if !self.half(direction).seen() {
            self.first_of_half(segment, direction);
            if self.is(TcpState::Opening) {
                self.set_state(TcpState::Handshake);
            }
        }
        self.half_mut(direction).set_acked(segment.ack);
        Segment::Accepted
    }

    fn reset(&mut self, segment: &Tcp<'_>, direction: Direction) -> Segment {
        let refused = self.is(TcpState::Opening)
            && direction == Direction::ServerToClient
            && segment.flags.ack()
            && segment.ack == self.half(Direction::ClientToServer).end;
        let exact = segment.seq == self.half(direction).end
            || self.expected_by_receiver(direction) == Some(segment.seq);
        if refused || exact || self.one_sided() {
            self.set_state(TcpState::Closed);
            return Segment::Reset;
        }
        // Behind what its receiver expects it is no more in the window than beyond it (RFC 5961 §3.2).
        let expected = self
            .expected_by_receiver(direction)
            .unwrap_or(self.half(direction).end);
        if after(expected, segment.seq) {
            Segment::OutOfWindow
        } else {
            Segment::UnverifiedReset
        }
    }

    /// The first segment of one side fixes where its sequence numbers start.
    fn first_of_half(&mut self, segment: &Tcp<'_>, direction: Direction) {
        let end = end_of(segment);
        // Without its SYN nobody knows.
        let syn = segment.flags.syn();
        let scale = if syn {
            segment.window_scale.unwrap_or(0).min(LARGEST_SCALE)
        } else {
            Half::UNKNOWN_SCALE
        };
        let half = self.half_mut(direction);
        half.end = end;
        // What the other side has allowed already, if it was seen, stays.
        if half.limit == 0 {
            half.limit = end;
        }
        half.window = segment.window;
        half.bits = (half.bits & Half::FIN) | Half::SEEN | scale;
        if syn {
            half.bits |= Half::OF_SYN;
        }
        if segment.flags.ack() {
            half.set_acked(segment.ack);
            let window = half.window();
            let other = self.half_mut(direction.reversed());
            if !other.seen() {
                other.end = segment.ack;
            }
            other.limit = segment.ack.wrapping_add(window);
        }
    }

    fn in_window(&mut self, segment: &Tcp<'_>, direction: Direction) -> bool {
        if self.one_sided() {
            return true; // nothing to hold it against
        }
        let sender = *self.half(direction);
        let receiver = *self.half(direction.reversed());
        let end = end_of(segment);
        let not_beyond = !after(segment.seq, sender.limit);
        let not_before = !after(sender.end.wrapping_sub(receiver.window()).wrapping_sub(1), end);
        if !not_beyond || !not_before {
            return false;
        }
        if !segment.flags.ack() {
            return true;
        }
        let oldest = receiver.end.wrapping_sub(OLDEST_ACK.max(sender.window()));
        if after(oldest, segment.ack) {
            return false;
        }
        if after(segment.ack, receiver.end) {
            // It acknowledges what never came past here: the capture, or the path, has a hole.
            self.half_mut(direction.reversed()).end = segment.ack;
        }
        true
    }

    fn advance(&mut self, segment: &Tcp<'_>, direction: Direction) {
        let end = end_of(segment);
        let sender = self.half_mut(direction);
        sender.offers(segment.window);
        if after(end, sender.end) {
            sender.end = end;
        }
        if !segment.flags.ack() {
            return;
        }
        if sender.acked().is_none_or(|acked| after(segment.ack, acked)) {
            sender.set_acked(segment.ack);
        }
        let window = u32::from(segment.window) << sender.scale();
        let limit = segment.ack.wrapping_add(window.max(1));
        let receiver = self.half_mut(direction.reversed());
        if after(limit, receiver.limit) {
            receiver.limit = limit;
        }
    }

    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::ClientToServer => &self.halves[0],
            Direction::ServerToClient => &self.halves[1],
        }
    }

    fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ClientToServer => &mut self.halves[0],
            Direction::ServerToClient => &mut self.halves[1],
        }
    }
}

/// One past the last sequence number a segment takes; SYN and FIN take one each.
fn end_of(segment: &Tcp<'_>) -> u32 {
    segment
        .seq
        .wrapping_add(segment.payload_len)
        .wrapping_add(u32::from(segment.flags.syn()))
        .wrapping_add(u32::from(segment.flags.fin()))
}

/// Whether `a` lies after `b` in sequence space (RFC 1982).
pub(crate) fn after(a: u32, b: u32) -> bool {
    let distance = a.wrapping_sub(b);
    distance != 0 && distance < 0x8000_0000
}
