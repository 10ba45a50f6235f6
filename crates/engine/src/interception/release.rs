//! Held segments on their way again, when nobody wants to open what they began.

use packet::{
    Packet, Tcp, TcpFlags,
    build::{Segment, SegmentFrames, Summing},
};
use policy::InterfaceId;

use crate::Outputs;

/// Sends a held segment on, in pieces of `size` bytes where the link takes no larger ones.
pub(crate) fn send_on(
    packet: &Packet<'_>,
    tcp: &Tcp<'_>,
    summing: Summing,
    size: u16,
    egress: InterfaceId,
    out: &mut Outputs,
) {
    let Some(frames) = SegmentFrames::like(packet) else {
        return;
    };
    let whole = match summing {
        Summing::Complete => usize::from(size),
        Summing::Unfinished => tcp.payload.len(),
    };
    let mut seq = tcp.seq;
    let end = tcp
        .seq
        .wrapping_add(u32::try_from(tcp.payload.len()).unwrap_or(u32::MAX));
    for payload in tcp.payload.chunks(whole.max(1)) {
        let next = seq.wrapping_add(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        let segment = Segment {
            seq,
            ack: tcp.ack,
            flags: if next == end { tcp.flags } else { TcpFlags::ACK },
            window: tcp.window,
            payload,
        };
        out.emit_segment(egress, |buffer| {
            frames.write(&segment, &[], tcp.options, summing, Some(size), buffer)
        });
        seq = next;
    }
}
