//! IP, UDP and TCP headers, written behind what a buffer already holds.

use std::net::{IpAddr, Ipv6Addr};

use crate::{IpProtocol, TcpFlags, checksum::Sum};

/// What a TCP segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, unscaled.
    pub window: u16,
    /// Data.
    pub payload: &'a [u8],
}

/// The addresses of an IP packet to be written, always of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
}

impl Addresses {
    /// Makes one family of two: an IPv4 address beside an IPv6 one becomes IPv4-mapped.
    pub(super) fn new(src: IpAddr, dst: IpAddr) -> Self {
        let mapped = |address: IpAddr| match address {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            IpAddr::V6(_) => address,
        };
        if src.is_ipv4() == dst.is_ipv4() {
            Self { src, dst }
        } else {
            Self {
                src: mapped(src),
                dst: mapped(dst),
            }
        }
    }

    /// The other direction.
    pub(super) fn turned(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
        }
    }

    /// Bytes of the IP header that [`ip`] writes.
    pub(super) fn header_len(self) -> usize {
        if self.src.is_ipv4() { 20 } else { 40 }
    }
}

/// Appends an IP header for `payload_len` bytes; `false`, with nothing written, where IP cannot carry so
/// many. IPv4 packets may not be fragmented and so need no identification (RFC 6864).
pub(super) fn ip(
    out: &mut Vec<u8>,
    addresses: Addresses,
    protocol: IpProtocol,
    hop_limit: u8,
    payload_len: usize,
) -> bool {
    match (addresses.src, addresses.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let Ok(total) = u16::try_from(payload_len.saturating_add(20)) else {
                return false;
            };
            let [total_high, total_low] = total.to_be_bytes();
            let start = [
                0x45, 0, total_high, total_low, 0, 0, 0x40, 0, hop_limit, protocol.0,
            ];
            let sum = Sum::default().bytes(&src.octets()).bytes(&dst.octets());
            // The first ten bytes are followed by the checksum itself, which counts as zero.
            let checksum = start
                .as_chunks::<2>()
                .0
                .iter()
                .fold(sum, |sum, word| sum.number(u32::from(u16::from_be_bytes(*word))))
                .finish();
            out.extend_from_slice(&start);
            out.extend_from_slice(&checksum.to_be_bytes());
            out.extend_from_slice(&src.octets());
            out.extend_from_slice(&dst.octets());
            true
        }
        (src, dst) => {
            let Ok(length) = u16::try_from(payload_len) else {
                return false;
            };
            let [length_high, length_low] = length.to_be_bytes();
            out.extend_from_slice(&[0x60, 0, 0, 0, length_high, length_low, protocol.0, hop_limit]);
            for address in [src, dst] {
                let octets = match address {
                    IpAddr::V6(v6) => v6,
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                };
                out.extend_from_slice(&Ipv6Addr::octets(&octets));
            }
            true
        }
    }
}

/// Appends a UDP datagram.
pub(super) fn udp(out: &mut Vec<u8>, addresses: Addresses, ports: [u16; 2], payload: &[u8]) {
    let start = out.len();
    let length = u16::try_from(payload.len().saturating_add(8)).unwrap_or(u16::MAX);
    for number in [ports[0], ports[1], length, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(payload);
    let checksum = match transport_checksum(out, start, addresses, IpProtocol::UDP) {
        // All zeros would say "no checksum"; the other zero of ones' complement says the same number.
        0 => 0xffff,
        checksum => checksum,
    };
    put16(out, start.saturating_add(6), checksum);
}

/// Appends a TCP segment; `options` are padded to whole words and cut to the 40 bytes there can be.
pub(super) fn tcp(
    out: &mut Vec<u8>,
    addresses: Addresses,
    ports: [u16; 2],
    segment: &Segment<'_>,
    options: &[u8],
) {
    let start = out.len();
    tcp_unsummed(out, ports, segment, options);
    let checksum = transport_checksum(out, start, addresses, IpProtocol::TCP);
    put16(out, start.saturating_add(16), checksum);
}

/// As [`tcp`], with a checksum of zero.
pub(super) fn tcp_unsummed(out: &mut Vec<u8>, ports: [u16; 2], segment: &Segment<'_>, options: &[u8]) {
    let start = out.len();
    let options = options.get(..40).unwrap_or(options);
    let padded = options.len().next_multiple_of(4);
    out.extend_from_slice(&ports[0].to_be_bytes());
    out.extend_from_slice(&ports[1].to_be_bytes());
    out.extend_from_slice(&segment.seq.to_be_bytes());
    out.extend_from_slice(&segment.ack.to_be_bytes());
    let words = u8::try_from(padded.saturating_add(20) >> 2).unwrap_or(5);
    out.extend_from_slice(&[words << 4, segment.flags.0]);
    out.extend_from_slice(&segment.window.to_be_bytes());
    // Checksum and urgent pointer.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(options);
    out.resize(start.saturating_add(20).saturating_add(padded), 0);
    out.extend_from_slice(segment.payload);
}

/// The checksum of everything from `start` on, behind a pseudo header.
pub(super) fn transport_checksum(
    out: &[u8],
    start: usize,
    addresses: Addresses,
    protocol: IpProtocol,
) -> u16 {
    let covered = out.get(start..).unwrap_or_default();
    let length = u32::try_from(covered.len()).unwrap_or(u32::MAX);
    Sum::default()
        .pseudo_header(addresses.src, addresses.dst, protocol, length)
        .bytes(covered)
        .finish()
}

/// Overwrites two bytes that were appended before.
pub(crate) fn put16(out: &mut [u8], at: usize, number: u16) {
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *place = number.to_be_bytes();
    }
}
