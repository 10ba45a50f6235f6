//! How much a session has carried: what fits into its first cache line there, what outgrows it in [`Extra`](super::Extra).

use packet::Timestamp;

use super::{Direction, Session};

impl Session {
    /// Counts a packet that keeps the session; see [`Session::deadline`].
    #[inline]
    pub(crate) fn count(&mut self, direction: Direction, bytes: u64, now: Timestamp) {
        self.last_packet = now;
        self.count_aside(direction, bytes);
    }

    /// Counts a packet that neither keeps the session nor ends it.
    #[inline]
    pub(crate) fn count_aside(&mut self, direction: Direction, bytes: u64) {
        let counted = u32::try_from(bytes).ok().and_then(|bytes| {
            let [sent, received] = self.bytes;
            direction.pick([sent, received]).checked_add(bytes)
        });
        match (counted, self.packets.checked_add(1)) {
            (Some(sum), Some(packets)) => {
                match direction {
                    Direction::ClientToServer => self.bytes[0] = sum,
                    Direction::ServerToClient => self.bytes[1] = sum,
                }
                self.packets = packets;
            }
            _ => self.count_many(direction, bytes),
        }
    }

    #[cold]
    fn count_many(&mut self, direction: Direction, bytes: u64) {
        let mut all = self.bytes();
        if let Some(sum) = all.get_mut(direction.index()) {
            *sum = sum.saturating_add(bytes);
        }
        self.set_counts(all, self.packets().saturating_add(1));
    }

    /// Takes back what [`Session::count`] counted: the packet is another session's, the one inside it.
    pub(crate) fn hand_over(&mut self, direction: Direction, bytes: u64) {
        let mut all = self.bytes();
        if let Some(sum) = all.get_mut(direction.index()) {
            *sum = sum.saturating_sub(bytes);
        }
        self.set_counts(all, self.packets().saturating_sub(1));
    }

    /// Bytes of each direction; those of original frames.
    pub(crate) fn bytes(&self) -> [u64; 2] {
        let above = self.extra().map_or([0; 2], |extra| extra.bytes_above);
        let [sent, received] = self.bytes.map(u64::from);
        let [more_sent, more_received] = above.map(|above| u64::from(above) << 32);
        [sent | more_sent, received | more_received]
    }

    /// Packets of both directions.
    pub(crate) fn packets(&self) -> u64 {
        let above = self.extra().map_or(0, |extra| extra.packets_above);
        u64::from(self.packets) | (u64::from(above) << 32)
    }

    fn set_counts(&mut self, bytes: [u64; 2], packets: u64) {
        let [(sent, more_sent), (received, more_received)] = bytes.map(halves);
        let (packets, more_packets) = halves(packets);
        self.bytes = [sent, received];
        self.packets = packets;
        let above = ([more_sent, more_received], more_packets);
        if self.extra.is_some() || above != ([0; 2], 0) {
            let extra = self.extra_mut();
            (extra.bytes_above, extra.packets_above) = above;
        }
    }
}

/// The low and the high half.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is asked for")]
pub(super) fn halves(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}
