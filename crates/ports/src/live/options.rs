//! How a port is to be opened.

use super::Interface;

/// Slots of a ring unless told otherwise: as many small frames as come in 2 ms at 2 million a second.
pub const DEFAULT_SLOTS: u32 = 4096;

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
            receive_slots: DEFAULT_SLOTS,
            transmit_slots: 1024,
            promiscuous: true,
            fanout: Fanout::Alone,
            outgoing: false,
        }
    }
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
