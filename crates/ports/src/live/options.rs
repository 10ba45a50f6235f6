//! How a port is to be opened.

use super::{Interface, opening::slot_bytes, receive::SLOT_OVERHEAD};

/// Bytes of a receive ring unless told otherwise: at an MTU of 1500, 16,384 frames, as many as come in 30 ms at half a
/// million a second. A thread that has to share its core can be without it for that long: the kernel takes turns of
/// 3 to 4 ms each, and what comes meanwhile waits here or is lost.
const RING_BYTES: usize = 32 << 20;
/// But no fewer slots than these, however large a frame can be.
pub const FEWEST_SLOTS: u32 = 4096;

/// How a port is to be opened.
#[derive(Clone, Debug)]
pub struct OpenOptions<'a> {
    /// Where.
    pub interface: &'a Interface,
    /// Slots of the receive ring, at least; each holds one frame of the interface's MTU.
    pub receive_slots: u32,
    /// Slots of the transmit ring, at least.
    pub transmit_slots: u32,
    /// Take frames for every link-layer address, not only the interface's own.
    pub promiscuous: bool,
    /// Which of several sockets on the interface gets a frame.
    pub fanout: Fanout,
    /// Also see what this machine sends there: for a tap. An inline port must not, or it would see its
    /// own frames.
    pub outgoing: bool,
}

impl<'a> OpenOptions<'a> {
    /// A promiscuous inline port that shares the interface's frames with no other socket.
    pub fn new(interface: &'a Interface) -> Self {
        Self {
            interface,
            receive_slots: slots_in(RING_BYTES, slot_bytes(interface, SLOT_OVERHEAD)),
            transmit_slots: 1024,
            promiscuous: true,
            fanout: Fanout::Alone,
            outgoing: false,
        }
    }
}

fn slots_in(bytes: usize, slot_bytes: usize) -> u32 {
    u32::try_from(bytes / slot_bytes.max(1)).map_or(FEWEST_SLOTS, |slots| slots.max(FEWEST_SLOTS))
}

/// How the sockets of several workers share an interface.
///
/// A frame goes to one of a group's sockets by a hash of its flow that is the same in both directions;
/// the place of a socket is the order of joining, so groups of several interfaces that are joined in the
/// same order agree. Frames of other protocols than IP share one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fanout {
    /// This socket sees every frame.
    Alone,
    /// The first socket of a group whose number the kernel chooses ([`Receiver::fanout_group`]).
    ///
    /// [`Receiver::fanout_group`]: super::Receiver::fanout_group
    Found,
    /// A further socket of a group, on the same interface.
    Join(u16),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_as_deep_as_its_memory_lets_it() {
        assert_eq!(slots_in(RING_BYTES, 2048), 16_384);
        assert_eq!(slots_in(RING_BYTES, 4096), 8192);
        assert_eq!(slots_in(RING_BYTES, 16_384), FEWEST_SLOTS, "jumbo frames");
    }
}
