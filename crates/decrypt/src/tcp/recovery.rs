//! How much to send while a loss is made up for (PRR, RFC 9937), and what is taken back if there was none.

use super::cubic::Cubic;

/// Where the sender stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known to be lost.
    Open,
    /// Something was lost; over when everything sent before is acknowledged.
    Recovery { end: u64 },
    /// The retransmission timer expired; over likewise.
    Loss { end: u64 },
}

/// Proportional rate reduction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proportional {
    delivered: u64,
    out: u64,
    /// Bytes in flight when recovery began.
    at_start: u64,
}

impl Proportional {
    pub(super) fn begin(in_flight: u64) -> Self {
        Self {
            delivered: 0,
            out: 0,
            at_start: in_flight.max(1),
        }
    }

    pub(super) fn sent(&mut self, bytes: u64) {
        self.out += bytes;
    }

    /// The window after an acknowledgment. `safe`: it moved on and marked nothing lost.
    pub(super) fn window(
        &mut self,
        delivered: u64,
        in_flight: u64,
        cubic: &Cubic,
        mss: u64,
        safe: bool,
    ) -> u64 {
        self.delivered += delivered;
        let threshold = cubic.threshold();
        let may_send = if in_flight > threshold {
            let share = u128::from(self.delivered) * u128::from(threshold);
            let share = share.div_ceil(u128::from(self.at_start));
            u64::try_from(share).unwrap_or(u64::MAX).saturating_sub(self.out)
        } else {
            let owed = self.delivered.saturating_sub(self.out).max(delivered);
            let owed = owed + if safe { mss } else { 0 };
            owed.min(threshold - in_flight)
        };
        // The first retransmission is not withheld.
        let may_send = if self.out == 0 {
            may_send.max(mss)
        } else {
            may_send
        };
        in_flight + may_send
    }
}

/// What a response to a loss changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undo {
    /// The window before.
    pub(super) before: Cubic,
    /// The first byte not acknowledged then.
    pub(super) una: u64,
    /// Bytes sent again of which the peer has not said that it had them.
    pub(super) unproven: u64,
    /// The timestamp of the first retransmission.
    pub(super) first_stamp: Option<u32>,
}
