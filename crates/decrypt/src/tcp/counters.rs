//! What happened on one endpoint.

/// Events since adoption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes of data the peer sent, in order, once each.
    pub received: u64,
    /// Bytes of ours that the peer acknowledged.
    pub acknowledged: u64,
    /// Bytes sent again.
    pub retransmitted: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Tail loss probes.
    pub tail_probes: u64,
    /// Times a loss was responded to.
    pub recoveries: u64,
    /// Responses taken back because nothing had been lost.
    pub undone: u64,
    /// Probes of a closed window.
    pub window_probes: u64,
    /// Peers given up whose window stayed closed.
    pub closed_windows: u64,
    /// Segments outside the window, of an old timestamp or with an impossible acknowledgment.
    pub unacceptable: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub challenges: u64,
    /// Segments that were not kept because a bound was reached; the peer sends them again.
    pub refused: u64,
    /// Times the segment size was reduced.
    pub path_mtu_changes: u64,
}
