//! Frames from nothing: for tests, demonstrations and generators.

use std::net::{IpAddr, SocketAddr};

use super::headers::{self, Addresses, Segment, put16};
use crate::{IpProtocol, LinkType, MacAddr, VlanTags, checksum::Sum, read::be16};

/// Between whom a frame travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Source address and port; the port is ignored where there is none.
    pub src: SocketAddr,
    /// Destination address and port. An IPv4 address opposite an IPv6 one is written IPv4-mapped.
    pub dst: SocketAddr,
    /// Sender's link-layer address.
    pub src_mac: MacAddr,
    /// Receiver's link-layer address.
    pub dst_mac: MacAddr,
    /// VLAN tags: one is written as 802.1Q, two as 802.1ad around 802.1Q.
    pub vlans: VlanTags,
    /// TTL or hop limit.
    pub hop_limit: u8,
}

impl Ends {
    /// Untagged, hop limit 64, with locally administered link-layer addresses made from the IP addresses.
    pub fn new(src: SocketAddr, dst: SocketAddr) -> Self {
        Self {
            src,
            dst,
            src_mac: mac_of(src.ip()),
            dst_mac: mac_of(dst.ip()),
            vlans: VlanTags::NONE,
            hop_limit: 64,
        }
    }

    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_mac: self.dst_mac,
            dst_mac: self.src_mac,
            ..self
        }
    }

    /// The same ends inside `vlans`.
    #[must_use]
    pub fn in_vlans(self, vlans: VlanTags) -> Self {
        Self { vlans, ..self }
    }

    fn addresses(&self) -> Addresses {
        Addresses::new(self.src.ip(), self.dst.ip())
    }

    fn ports(&self) -> [u16; 2] {
        [self.src.port(), self.dst.port()]
    }

    /// Ethernet and IP header for `length` more bytes; nothing where IP cannot carry so many.
    fn begin(&self, protocol: IpProtocol, length: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(length.saturating_add(64));
        out.extend_from_slice(&self.dst_mac.0);
        out.extend_from_slice(&self.src_mac.0);
        match (self.vlans.outer(), self.vlans.inner()) {
            (Some(outer), Some(inner)) => {
                put_tag(&mut out, 0x88a8, outer);
                put_tag(&mut out, 0x8100, inner);
            }
            (Some(only), None) => put_tag(&mut out, 0x8100, only),
            (None, _) => {}
        }
        let addresses = self.addresses();
        let ethertype: u16 = if addresses.src.is_ipv4() { 0x0800 } else { 0x86dd };
        out.extend_from_slice(&ethertype.to_be_bytes());
        headers::ip(&mut out, addresses, protocol, self.hop_limit, length).then_some(out)
    }
}

fn put_tag(out: &mut Vec<u8>, ethertype: u16, id: u16) {
    out.extend_from_slice(&ethertype.to_be_bytes());
    out.extend_from_slice(&id.to_be_bytes());
}

fn mac_of(address: IpAddr) -> MacAddr {
    let [.., a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    MacAddr([0x02, 0, a, b, c, d])
}

/// An Ethernet frame with a UDP datagram; empty where `payload` is longer than a datagram can be.
pub fn ethernet_udp(ends: &Ends, payload: &[u8]) -> Vec<u8> {
    let Some(mut out) = ends.begin(IpProtocol::UDP, payload.len().saturating_add(8)) else {
        return Vec::new();
    };
    headers::udp(&mut out, ends.addresses(), ends.ports(), payload);
    out
}

/// An Ethernet frame with a TCP segment; empty where it is longer than a packet can be.
pub fn ethernet_tcp(ends: &Ends, segment: &Segment<'_>) -> Vec<u8> {
    ethernet_tcp_with_options(ends, segment, &[])
}

/// As [`ethernet_tcp`], with options as they stand in the header; they are padded to whole words, and cut
/// after 40 bytes.
pub fn ethernet_tcp_with_options(ends: &Ends, segment: &Segment<'_>, options: &[u8]) -> Vec<u8> {
    let options = options.get(..40).unwrap_or(options);
    let length = options
        .len()
        .next_multiple_of(4)
        .saturating_add(20)
        .saturating_add(segment.payload.len());
    let Some(mut out) = ends.begin(IpProtocol::TCP, length) else {
        return Vec::new();
    };
    headers::tcp(&mut out, ends.addresses(), ends.ports(), segment, options);
    out
}

/// An Ethernet frame with an ICMP or `ICMPv6` echo request or reply.
pub fn ethernet_icmp_echo(
    ends: &Ends,
    request: bool,
    identifier: u16,
    sequence: u16,
    payload: &[u8],
) -> Vec<u8> {
    let kind = match (ends.addresses().src, request) {
        (IpAddr::V4(_), true) => 8,
        (IpAddr::V4(_), false) => 0,
        (IpAddr::V6(_), true) => 128,
        (IpAddr::V6(_), false) => 129,
    };
    let [id_high, id_low] = identifier.to_be_bytes();
    let [sequence_high, sequence_low] = sequence.to_be_bytes();
    icmp(
        ends,
        kind,
        0,
        [id_high, id_low, sequence_high, sequence_low],
        payload,
    )
}

/// An Ethernet frame with an ICMP or `ICMPv6` error that quotes `quoted`: an IP packet from its first byte,
/// cut wherever the caller likes. `kind` and `code` are as the family numbers them.
pub fn ethernet_icmp_error(ends: &Ends, kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    icmp(ends, kind, code, [0; 4], quoted)
}

fn icmp(ends: &Ends, kind: u8, code: u8, word: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let addresses = ends.addresses();
    let protocol = if addresses.src.is_ipv4() {
        IpProtocol::ICMP
    } else {
        IpProtocol::ICMPV6
    };
    let Some(mut out) = ends.begin(protocol, payload.len().saturating_add(8)) else {
        return Vec::new();
    };
    let start = out.len();
    out.extend_from_slice(&[kind, code, 0, 0]);
    out.extend_from_slice(&word);
    out.extend_from_slice(payload);
    let checksum = if protocol == IpProtocol::ICMP {
        Sum::default()
            .bytes(out.get(start..).unwrap_or_default())
            .finish()
    } else {
        headers::transport_checksum(&out, start, addresses, protocol)
    };
    put16(&mut out, start.saturating_add(2), checksum);
    out
}

/// An Ethernet frame with an IP packet of any protocol, its payload given as it stands.
pub fn ethernet_ip(ends: &Ends, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let Some(mut out) = ends.begin(protocol, payload.len()) else {
        return Vec::new();
    };
    out.extend_from_slice(payload);
    out
}

/// The IP packet of an untagged Ethernet `frame` behind a link header of another type; VLAN tags are kept
/// where the type can hold them.
pub fn with_link(frame: &[u8], kind: LinkType) -> Vec<u8> {
    let behind_addresses = frame.get(12..).unwrap_or_default();
    let source = frame.get(6..12).unwrap_or_default();
    let ethertype = be16(behind_addresses, 0).unwrap_or(0);
    let v6 = ethertype == 0x86dd;
    let mut out = Vec::with_capacity(frame.len().saturating_add(16));
    match kind {
        LinkType::Ethernet => return frame.to_vec(),
        LinkType::RawIp => {}
        LinkType::Sll => {
            // Outgoing or not is unknown: "sent to us"; Ethernet, six address bytes.
            out.extend_from_slice(&[0, 0, 0, 1, 0, 6]);
            out.extend_from_slice(source);
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&ethertype.to_be_bytes());
        }
        LinkType::Sll2 => {
            out.extend_from_slice(&ethertype.to_be_bytes());
            out.extend_from_slice(&[0, 0, 0, 0, 0, 1, 0, 1, 0, 6]);
            out.extend_from_slice(source);
            out.extend_from_slice(&[0, 0]);
        }
        LinkType::Null => out.extend_from_slice(&[if v6 { 30 } else { 2 }, 0, 0, 0]),
        LinkType::Ppp => out.extend_from_slice(&[0xff, 0x03, 0, if v6 { 0x57 } else { 0x21 }]),
    }
    out.extend_from_slice(behind_addresses.get(2..).unwrap_or_default());
    out
}
