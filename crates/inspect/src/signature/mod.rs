//! What the first bytes of each protocol look like.
//!
//! A signature says yes only to what no other protocol would say by chance: it counts magic numbers,
//! lengths that must agree with what was sent, and ports only where the payload alone is too weak.

mod binary;
mod datagram;
mod quic;
mod stream;
mod text;
mod tls;

#[cfg(test)]
mod tests;

pub(crate) use datagram::{Heard, datagram};
pub(crate) use stream::stream;

use crate::Ports;

impl Ports {
    /// Whether either side uses this port. Sessions first seen in mid-stream may have their sides swapped.
    pub(crate) fn either(self, port: u16) -> bool {
        self.client == port || self.server == port
    }

    /// Whether either side uses one of these ports.
    pub(crate) fn any_of(self, ports: &[u16]) -> bool {
        ports.iter().any(|port| self.either(*port))
    }
}

/// The big-endian 16-bit number at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The big-endian 32-bit number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
