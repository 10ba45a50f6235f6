//! Frames that answer a packet, or go on in its place.

use super::{
    around::Around,
    headers::{self, Addresses, Segment},
    link_length::set_link_length,
};
use crate::{Ip, IpProtocol, Link, LinkType, Packet, Transport};

/// Hop limit of what travels back to the sender of a packet.
pub(super) const REPLY_HOP_LIMIT: u8 = 64;

/// Which way a built frame travels, compared with the packet it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Same,
    Turned,
}

/// Answers a UDP datagram: link header turned round (link-layer addresses swapped, VLAN tags kept), addresses
/// and ports swapped, hop limit 64.
///
/// `out` is emptied first. Returns whether it holds a frame now: it does not where `query` is no UDP, or
/// `payload` is longer than a datagram can be.
pub fn udp_reply(query: &Packet<'_>, payload: &[u8], out: &mut Vec<u8>) -> bool {
    udp(query, Direction::Turned, payload, out)
}

/// A UDP datagram in place of `reply`: same direction, link header, addresses, ports and hop limit, another
/// payload. `out` and the result are as for [`udp_reply`].
pub fn udp_replacement(reply: &Packet<'_>, payload: &[u8], out: &mut Vec<u8>) -> bool {
    udp(reply, Direction::Same, payload, out)
}

/// A TCP segment to whoever sent `packet`, as if its receiver had sent it; hop limit 64.
///
/// `out` is emptied first. Returns whether it holds a frame now: it does not where `packet` is no TCP, or
/// the segment is longer than a packet can be.
pub fn tcp_toward_source(packet: &Packet<'_>, segment: &Segment<'_>, out: &mut Vec<u8>) -> bool {
    tcp(packet, Direction::Turned, segment, &[], out)
}

/// As [`tcp_toward_source`], with options as they stand in the header, at most 40 bytes in whole words.
pub fn tcp_toward_source_with_options(
    packet: &Packet<'_>,
    segment: &Segment<'_>,
    options: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    tcp(packet, Direction::Turned, segment, options, out)
}

/// A TCP segment to where `packet` was going, as if its sender had sent it; with the hop limit of `packet`.
/// `out` and the result are as for [`tcp_toward_source`].
pub fn tcp_toward_destination(packet: &Packet<'_>, segment: &Segment<'_>, out: &mut Vec<u8>) -> bool {
    tcp(packet, Direction::Same, segment, &[], out)
}

/// Whether frames can be made that answer or replace `packet`. Inside a tunnel that is so where the headers around it
/// can be written again for the other direction: IP in IP, GRE without sequence numbers, VXLAN and Geneve.
pub fn can_answer(packet: &Packet<'_>) -> bool {
    packet.tunnel().is_none() || Around::new(packet).is_some()
}

fn udp(packet: &Packet<'_>, direction: Direction, payload: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let Some(ip) = packet.ip() else { return false };
    let Transport::Udp(udp) = &ip.transport else {
        return false;
    };
    let (addresses, ports) = ends(ip, direction, [udp.sport, udp.dport]);
    let length = payload.len().saturating_add(8);
    let Some(around) = begin(packet, ip, direction, (addresses, IpProtocol::UDP), length, out) else {
        return false;
    };
    headers::udp(out, addresses, ports, payload);
    around.finish(direction, out);
    true
}

fn tcp(
    packet: &Packet<'_>,
    direction: Direction,
    segment: &Segment<'_>,
    options: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let Some(ip) = packet.ip() else { return false };
    let Transport::Tcp(tcp) = &ip.transport else {
        return false;
    };
    let (addresses, ports) = ends(ip, direction, [tcp.sport, tcp.dport]);
    let options = options.get(..40).unwrap_or(options);
    let length = options
        .len()
        .next_multiple_of(4)
        .saturating_add(20)
        .saturating_add(segment.payload.len());
    let Some(around) = begin(packet, ip, direction, (addresses, IpProtocol::TCP), length, out) else {
        return false;
    };
    headers::tcp(out, addresses, ports, segment, options);
    around.finish(direction, out);
    true
}

fn ends(ip: &Ip<'_>, direction: Direction, [sport, dport]: [u16; 2]) -> (Addresses, [u16; 2]) {
    match direction {
        Direction::Same => (Addresses::new(ip.src, ip.dst), [sport, dport]),
        Direction::Turned => (Addresses::new(ip.dst, ip.src), [dport, sport]),
    }
}

/// Link and IP header of a frame that carries `length` bytes of transport, with the headers of the tunnels between
/// them; empties `out` on failure.
fn begin<'a>(
    packet: &Packet<'a>,
    ip: &Ip<'_>,
    direction: Direction,
    (addresses, protocol): (Addresses, IpProtocol),
    length: usize,
    out: &mut Vec<u8>,
) -> Option<Around<'a>> {
    let hop_limit = match direction {
        Direction::Same => ip.hop_limit,
        Direction::Turned => REPLY_HOP_LIMIT,
    };
    let around = Around::new(packet)?;
    let ip_len = addresses.header_len().saturating_add(length);
    let link = Link {
        header_len: around.link_len,
        ..*packet.link()
    };
    link_header(
        packet.frame(),
        &link,
        direction,
        around.len().saturating_add(ip_len),
        out,
    );
    let fits =
        around.write(direction, ip_len, out) && headers::ip(out, addresses, protocol, hop_limit, length);
    if !fits {
        out.clear();
        return None;
    }
    Some(around)
}

/// Copies the link header. Ethernet addresses are swapped where it is turned; the cooked, PPP and loopback
/// headers name no receiver that could be. Length fields of the link layer are set for `ip_len` bytes.
fn link_header(frame: &[u8], link: &Link, direction: Direction, ip_len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(frame.get(..link.header_len).unwrap_or_default());
    if direction == Direction::Turned
        && let (LinkType::Ethernet, Some(source), Some(destination)) =
            (link.kind, link.source, link.destination)
        && let Some(addresses) = out.first_chunk_mut::<12>()
    {
        let turned = source.0.into_iter().chain(destination.0);
        for (place, byte) in addresses.iter_mut().zip(turned) {
            *place = byte;
        }
    }
    set_link_length(out, link, ip_len);
}
