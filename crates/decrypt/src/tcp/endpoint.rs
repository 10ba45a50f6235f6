//! The endpoint: a sender, a receiver and what stands between them and the peer.

use std::time::Duration;

use packet::Timestamp;

use super::{
    Counters, SynOptions, Taking, delayed_ack::DelayedAck, path_mtu::PathMtu, receiver::Receiver,
    sender::Sender, sequence, timers::Patience,
};

/// How the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// A reset is to be sent.
    Resetting,
    /// We reset it.
    Reset,
    /// The peer reset it.
    ResetByPeer,
}

/// Our timestamps (RFC 7323): the far end's clock goes on from where it was, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct StampClock {
    at_adoption: u32,
    adopted: Timestamp,
}

impl StampClock {
    pub(super) fn value(&self, now: Timestamp) -> u32 {
        let millis = now.saturating_since(self.adopted).as_millis() & 0xffff_ffff;
        self.at_adoption.wrapping_add(u32::try_from(millis).unwrap_or(0))
    }
}

/// The timestamp to echo, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    pub(super) stamp: u32,
    pub(super) at: Timestamp,
}

/// One end of a connection, in the name of the far end.
///
/// After anything that changes it ([`receive`](Self::receive), [`consume`](Self::consume), [`write`](Self::write), …)
/// call [`poll`](Self::poll), once for a batch; then again at [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Endpoint {
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) ack: DelayedAck,
    pub(super) clock: StampClock,
    /// Set where both SYNs had timestamps.
    pub(super) recent: Option<Recent>,
    /// The acknowledgment number last sent.
    pub(super) acknowledged: u64,
    pub(super) peer_shift: u8,
    /// What we said that we take in one segment.
    pub(super) our_mss: u16,
    pub(super) life: Life,
    pub(super) gave_up: bool,
    /// Before this no further challenge ACK is sent.
    pub(super) quiet_until: Timestamp,
    /// When data last moved in either direction.
    pub(super) progress: Timestamp,
    pub(super) patience: Patience,
    pub(super) counters: Counters,
}

impl Endpoint {
    /// Takes the far end's place.
    ///
    /// Only options that both SYNs carried are spoken. `taking.our_next` and `taking.peer_next` are where forwarding
    /// stopped: nothing before them is ever sent again from here.
    pub fn adopt(now: Timestamp, taking: Taking) -> Self {
        let both = |offers: fn(&SynOptions) -> bool| offers(&taking.our_syn) && offers(&taking.peer_syn);
        let stamps = both(|syn| syn.timestamps.is_some());
        let scaled = both(|syn| syn.window_scale.is_some());
        let sack = both(|syn| syn.sack_permitted);
        let shift = |syn: &SynOptions| syn.window_scale.filter(|_| scaled).unwrap_or(0).min(14);
        let path = PathMtu::new(taking.peer_syn.mss, taking.ipv6, stamps);
        let our_next = sequence::first(taking.our_next);
        let peer_next = sequence::first(taking.peer_next);
        let limits = taking.limits;
        // Without scaling no window is larger than this; and none may be with it.
        let window = taking
            .our_window
            .min(u32::from(u16::MAX) << shift(&taking.our_syn));
        Self {
            sender: Sender::new(
                now,
                our_next,
                taking.peer_window.min(1 << 30),
                sack,
                path,
                taking.rtt,
                limits.send_buffer,
            ),
            receiver: Receiver::new(
                now,
                peer_next,
                window,
                shift(&taking.our_syn),
                limits.receive_buffer,
            ),
            ack: DelayedAck::new(now),
            clock: StampClock {
                at_adoption: taking.our_last_ts,
                adopted: now,
            },
            recent: stamps.then_some(Recent {
                stamp: taking.peer_last_ts,
                at: now,
            }),
            acknowledged: peer_next,
            peer_shift: shift(&taking.peer_syn),
            our_mss: taking.our_syn.mss.unwrap_or(536).max(64),
            life: Life::Open,
            gave_up: false,
            quiet_until: now,
            progress: now,
            patience: Patience {
                silence: limits.give_up_after,
                closed_window: limits.closed_window,
            },
            counters: Counters::default(),
        }
    }

    /// What the peer sent and nobody consumed yet, in order, in at most two pieces.
    pub fn readable(&self) -> [&[u8]; 2] {
        self.receiver.readable()
    }

    /// The sequence number of the first byte that has not come yet.
    pub fn next(&self) -> u32 {
        self.receiver.next()
    }

    /// Bytes in [`Endpoint::readable`].
    pub fn readable_len(&self) -> usize {
        self.readable().iter().map(|piece| piece.len()).sum()
    }

    /// Forgets the first `bytes` of what is readable, and opens the window by as much.
    pub fn consume(&mut self, bytes: usize) {
        if self.receiver.consume(bytes, self.our_mss) && self.life == Life::Open {
            self.ack.now();
        }
    }

    /// Bytes that [`Endpoint::write`] would take now.
    pub fn room(&self) -> usize {
        if self.life == Life::Open {
            self.sender.room()
        } else {
            0
        }
    }

    /// Queues bytes to send; how many were taken.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if self.life == Life::Open {
            self.sender.write(bytes)
        } else {
            0
        }
    }

    /// Ends our direction after what was written.
    pub fn finish(&mut self) {
        if self.life == Life::Open {
            self.sender.finish();
        }
    }

    /// Ends the connection at once; nothing that waits is sent or read.
    pub fn reset(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Resetting;
            self.sender.clear();
            self.receiver.clear();
        }
    }

    /// Whether the peer's FIN came and everything before it was consumed.
    pub fn peer_finished(&self) -> bool {
        self.receiver.finished()
    }

    /// Whether the peer's FIN came and nothing before it is missing; some of it may still be readable.
    pub fn peer_closing(&self) -> bool {
        self.receiver.fin_reached()
    }

    /// Whether the peer reset the connection.
    pub fn was_reset(&self) -> bool {
        self.life == Life::ResetByPeer
    }

    /// Whether the peer left what we sent unanswered for too long; it was reset.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// Whether nothing more is to be sent or can come: both directions ended, or a reset. It still answers a FIN
    /// that comes again.
    pub fn is_done(&self) -> bool {
        match self.life {
            Life::Open => self.sender.fin_acknowledged() && self.receiver.fin_reached(),
            Life::Resetting => false,
            Life::Reset | Life::ResetByPeer => true,
        }
    }

    /// Bytes written that the peer has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.sender.buffer.len()
    }

    /// How long no data has moved in either direction.
    pub fn idle(&self, now: Timestamp) -> Duration {
        now.saturating_since(self.progress)
    }

    /// The smoothed round trip time, once one was measured.
    pub fn rtt(&self) -> Option<Duration> {
        self.sender.rtt.smoothed()
    }

    /// A router could not pass on a segment of ours: `mtu` is what it takes, `quoted_seq` the sequence number it
    /// quoted. Ignored where nothing like it is in the network (RFC 5927 §7).
    pub fn path_mtu(&mut self, now: Timestamp, quoted_seq: u32, mtu: u16) {
        let quoted = sequence::near(self.sender.una, quoted_seq);
        if self.life != Life::Open || quoted < self.sender.una || quoted >= self.sender.next {
            return;
        }
        if self.sender.path.limit(now, mtu) {
            self.counters.path_mtu_changes += 1;
            self.sender.cut_smaller();
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes of memory held, the endpoint itself included.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.sender.memory() + self.receiver.memory()
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.sender.check();
        self.receiver.check();
    }
}
