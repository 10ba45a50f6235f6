//! Frames inside frames.

use super::{Ends, ethernet_ip, ethernet_udp, headers::put16};
use crate::{Checksums, IpProtocol, LinkType, checksum::Sum, parse, read::be16};

/// How [`in_tunnel`] wraps a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Its IP packet behind another IP header.
    IpInIp,
    /// Its IP packet in GRE, with these of GRE's fields.
    Gre {
        /// A key.
        key: Option<u32>,
        /// A sequence number.
        sequence: Option<u32>,
        /// A checksum over everything behind the outer IP header.
        checksum: bool,
    },
    /// The whole frame in GRE.
    GreBridge,
    /// The whole frame in VXLAN, in this network.
    Vxlan(u32),
    /// The whole frame in Geneve, in this network, behind so many bytes of options; a multiple of 4, at most 252.
    Geneve(u32, usize),
    /// Its IP packet in GTP-U, for this endpoint.
    GtpU(u32),
}

/// The Ethernet frame `inner` inside a tunnel between `ends`. Where the tunnel runs over UDP, the destination
/// port is the tunnel's and that of `ends` does not count. Empty where the result is longer than a packet can be.
pub fn in_tunnel(ends: &Ends, wrapping: Wrapping, inner: &[u8]) -> Vec<u8> {
    let (packet, ethertype) = behind_link(inner);
    let mut payload = Vec::with_capacity(inner.len().saturating_add(32));
    let port = match wrapping {
        Wrapping::IpInIp => {
            let v6 = ethertype == 0x86dd;
            let protocol = if v6 { IpProtocol::IPV6 } else { IpProtocol::IPIP };
            return ethernet_ip(ends, protocol, packet);
        }
        Wrapping::Gre {
            key,
            sequence,
            checksum,
        } => {
            gre(&mut payload, ethertype, [key, sequence], checksum, packet);
            return ethernet_ip(ends, IpProtocol::GRE, &payload);
        }
        Wrapping::GreBridge => {
            gre(&mut payload, 0x6558, [None; 2], false, inner);
            return ethernet_ip(ends, IpProtocol::GRE, &payload);
        }
        Wrapping::Vxlan(network) => {
            payload.extend_from_slice(&[0x08, 0, 0, 0]);
            payload.extend_from_slice(&(network << 8).to_be_bytes());
            payload.extend_from_slice(inner);
            4789
        }
        Wrapping::Geneve(network, options) => {
            let words = u8::try_from(options >> 2).unwrap_or(0x3f) & 0x3f;
            payload.extend_from_slice(&[words, 0, 0x65, 0x58]);
            payload.extend_from_slice(&(network << 8).to_be_bytes());
            // What looks like options of class 0 and no length each, which nobody has to understand.
            payload.extend(std::iter::repeat_n(0, usize::from(words).saturating_mul(4)));
            payload.extend_from_slice(inner);
            6081
        }
        Wrapping::GtpU(endpoint) => {
            let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
            payload.extend_from_slice(&[0x30, 255]);
            payload.extend_from_slice(&length.to_be_bytes());
            payload.extend_from_slice(&endpoint.to_be_bytes());
            payload.extend_from_slice(packet);
            2152
        }
    };
    let mut ends = *ends;
    ends.dst.set_port(port);
    ethernet_udp(&ends, &payload)
}

/// The Ethernet frame `inner` with MPLS labels, outermost first, between its link header and its IP packet.
pub fn with_labels(inner: &[u8], labels: &[u32]) -> Vec<u8> {
    let (packet, _) = behind_link(inner);
    let header = inner.len().saturating_sub(packet.len());
    let mut out = inner.get(..header).unwrap_or_default().to_vec();
    if let Some(type_at) = header.checked_sub(2) {
        put16(&mut out, type_at, 0x8847);
    }
    for (index, label) in labels.iter().enumerate() {
        let bottom = u32::from(index.saturating_add(1) == labels.len());
        out.extend_from_slice(&((label << 12) | (bottom << 8) | 64).to_be_bytes());
    }
    out.extend_from_slice(packet);
    out
}

/// What an Ethernet frame carries, and its `EtherType`.
fn behind_link(frame: &[u8]) -> (&[u8], u16) {
    let header_len = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore)
        .map_or(14, |packet| packet.link().header_len);
    let ethertype = header_len.checked_sub(2).and_then(|at| be16(frame, at));
    (
        frame.get(header_len..).unwrap_or_default(),
        ethertype.unwrap_or(0),
    )
}

fn gre(out: &mut Vec<u8>, ethertype: u16, fields: [Option<u32>; 2], checksum: bool, packet: &[u8]) {
    let [key, sequence] = fields;
    let bit = |set: bool, bit: u8| if set { bit } else { 0 };
    out.extend_from_slice(&[
        bit(checksum, 0x80) | bit(key.is_some(), 0x20) | bit(sequence.is_some(), 0x10),
        0,
    ]);
    out.extend_from_slice(&ethertype.to_be_bytes());
    if checksum {
        out.extend_from_slice(&[0; 4]);
    }
    for field in fields.into_iter().flatten() {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(packet);
    if checksum {
        let sum = Sum::default().bytes(out).finish();
        put16(out, 4, sum);
    }
}
