//! What goes into an endpoint and what comes out of it.

use std::time::Duration;

use packet::TcpFlags;

use super::SynOptions;

/// A segment from the peer; its checksum was right.
#[derive(Clone, Copy, Debug)]
pub struct SegmentIn<'a> {
    /// Sequence number of the first byte, or of SYN or FIN where there is none.
    pub seq: u32,
    /// Acknowledgment number; meaningful with [`TcpFlags::ack`].
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, unscaled.
    pub window: u16,
    /// Raw options.
    pub options: &'a [u8],
    /// Data, up to 64 KiB where the link hands over merged segments.
    pub payload: &'a [u8],
}

/// A segment to the peer. Addresses, ports, checksum and the urgent pointer (zero) are the caller's to add.
#[derive(Clone, Copy, Debug)]
pub struct SegmentOut<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, scaled.
    pub window: u16,
    /// Options, whole words.
    pub options: &'a [u8],
    /// Data, in at most two pieces.
    pub payload: [&'a [u8]; 2],
    /// Where the data is more than one segment: bytes of each but the last.
    pub segment_size: Option<u16>,
}

impl SegmentOut<'_> {
    /// Bytes of data.
    pub fn payload_len(&self) -> usize {
        self.payload.iter().map(|piece| piece.len()).sum()
    }
}

/// How much data one emitted segment may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutting {
    /// One maximum segment size.
    Mss,
    /// Up to 64 KiB, for a link that cuts it into segments itself ([`SegmentOut::segment_size`]).
    Whole,
}

/// One half of a connection as seen on the wire when it is adopted. "We" are the far end, which we now speak for;
/// "the peer" is the host on this leg.
#[derive(Clone, Copy, Debug)]
pub struct Taking {
    /// The next number we send; the peer has, or will have without our help, everything before it.
    pub our_next: u32,
    /// The next number we expect from the peer.
    pub peer_next: u32,
    /// Options of the far end's SYN.
    pub our_syn: SynOptions,
    /// Options of the peer's SYN.
    pub peer_syn: SynOptions,
    /// The window the peer last announced, in bytes.
    pub peer_window: u32,
    /// The last timestamp value the far end sent.
    pub our_last_ts: u32,
    /// The last timestamp value the peer sent.
    pub peer_last_ts: u32,
    /// The window the far end last announced to the peer, in bytes: its right edge is never taken back.
    pub our_window: u32,
    /// Whether the leg is IPv6.
    pub ipv6: bool,
    /// Round trip time of this leg as the handshake showed it.
    pub rtt: Option<Duration>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes written and not yet acknowledged.
    pub send_buffer: usize,
    /// Bytes received and not yet consumed, holes between them included.
    pub receive_buffer: usize,
    /// How long the peer may leave what was sent, or a probe of its closed window, unanswered
    /// (RFC 9293 §3.8.3 asks for at least 100 s).
    pub give_up_after: Duration,
    /// How long the peer may keep its window closed, though it answers every probe.
    pub closed_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            send_buffer: 4 << 20,
            receive_buffer: 4 << 20,
            give_up_after: Duration::from_secs(100),
            closed_window: Duration::from_mins(15),
        }
    }
}
