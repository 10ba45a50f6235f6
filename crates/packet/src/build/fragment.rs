//! Splitting a packet into fragments.

use super::headers::put16;
use crate::{Checksums, Ip, IpProtocol, LinkType, checksum::Sum, parse};

/// The IPv6 fragment header's protocol number.
const FRAGMENT_HEADER: u8 = 44;

/// Splits an Ethernet frame into frames whose IP packets are at most `mtu` bytes long, in order.
///
/// Each fragment carries at least eight bytes, however small `mtu` is. The identification is made from
/// the frame's bytes: the same frame always gives the same fragments. What is not IP, or fits, comes back
/// as it is; so does a frame whose parser refuses it.
pub fn fragment(frame: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let Ok(packet) = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore) else {
        return vec![frame.to_vec()];
    };
    let ip_at = packet.link().header_len;
    let Some(ip) = packet.ip().filter(|ip| ip.fragment.is_none()) else {
        return vec![frame.to_vec()];
    };
    let sent = usize::try_from(ip.payload_len).unwrap_or(usize::MAX);
    let payload_at = usize::try_from(ip.payload_at).unwrap_or(usize::MAX);
    // IPv6 extension headers travel in the first fragment: only the fixed header is repeated.
    let header_len = if ip.src.is_ipv4() {
        payload_at.saturating_sub(ip_at)
    } else {
        40
    };
    let payload_len = sent.saturating_add(payload_at.saturating_sub(ip_at.saturating_add(header_len)));
    let data_at = ip_at.saturating_add(header_len);
    let (Some(head), Some(data)) = (
        frame.get(..data_at),
        frame.get(data_at..data_at.saturating_add(payload_len)),
    ) else {
        return vec![frame.to_vec()];
    };
    if header_len.saturating_add(payload_len) <= mtu {
        return vec![frame.to_vec()];
    }
    let extra = if ip.src.is_ipv4() { 0 } else { 8 };
    let room = mtu.saturating_sub(header_len).saturating_sub(extra) & !7;
    let room = room.max(8);
    let identification = identification(frame);
    let count = data.len().div_ceil(room);
    data.chunks(room)
        .enumerate()
        .map(|(index, piece)| {
            let offset = index.saturating_mul(room);
            let more = index.saturating_add(1) < count;
            one(ip, head, ip_at, piece, offset, more, identification)
        })
        .collect()
}

/// FNV-1a. A checksum would not do: sums over a datagram's own checksum hardly differ.
fn identification(frame: &[u8]) -> u32 {
    frame.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// One fragment: `head` is everything up to the end of the IP header.
fn one(
    ip: &Ip<'_>,
    head: &[u8],
    ip_at: usize,
    piece: &[u8],
    offset: usize,
    more: bool,
    identification: u32,
) -> Vec<u8> {
    let mut out = head.to_vec();
    let offset = u16::try_from(offset).unwrap_or(u16::MAX);
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
    if ip.src.is_ipv4() {
        let [_, _, id_high, id_low] = identification.to_be_bytes();
        let header_len = head.len().saturating_sub(ip_at);
        put16(
            &mut out,
            ip_at.saturating_add(2),
            length(header_len.saturating_add(piece.len())),
        );
        put16(
            &mut out,
            ip_at.saturating_add(4),
            u16::from_be_bytes([id_high, id_low]),
        );
        put16(
            &mut out,
            ip_at.saturating_add(6),
            (offset >> 3) | if more { 0x2000 } else { 0 },
        );
        put16(&mut out, ip_at.saturating_add(10), 0);
        let checksum = Sum::default()
            .bytes(out.get(ip_at..).unwrap_or_default())
            .finish();
        put16(&mut out, ip_at.saturating_add(10), checksum);
    } else {
        let next_at = ip_at.saturating_add(6);
        let next = head.get(next_at).map_or(IpProtocol(59), |&next| IpProtocol(next));
        put16(
            &mut out,
            ip_at.saturating_add(4),
            length(piece.len().saturating_add(8)),
        );
        if let Some(place) = out.get_mut(next_at) {
            *place = FRAGMENT_HEADER;
        }
        out.extend_from_slice(&[next.0, 0]);
        out.extend_from_slice(&(offset | u16::from(more)).to_be_bytes());
        out.extend_from_slice(&identification.to_be_bytes());
    }
    out.extend_from_slice(piece);
    out
}
