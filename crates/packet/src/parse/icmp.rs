//! ICMP and `ICMPv6` messages, and the packets that errors quote.

use crate::{
    FlowTuple, Icmp, IcmpMessage, IpProtocol, Malformed, Packet, Transport,
    read::{array, be16, ipv4, ipv6},
};

/// Extension headers that are followed inside a quote.
const MAX_QUOTED_EXTENSIONS: usize = super::MAX_EXTENSION_HEADERS;

/// Reads the message at the start of `bytes`, of which the first eight must be there.
pub(super) fn parse(v6: bool, bytes: &[u8]) -> Result<Icmp, Malformed> {
    let [kind, code, _, _, id_high, id_low, sequence_high, sequence_low] =
        array::<8>(bytes, 0).ok_or(Malformed::BadIcmpHeader)?;
    let echo = |request| IcmpMessage::Echo {
        identifier: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
        request,
    };
    let error = || IcmpMessage::Error {
        quoted: quoted(v6, bytes.get(8..).unwrap_or_default()),
    };
    let message = match (v6, kind) {
        (false, 0) | (true, 129) => echo(false),
        (false, 8) | (true, 128) => echo(true),
        // Unreachable, source quench, redirect, time exceeded, parameter problem; all below 128 in ICMPv6.
        (false, 3..=5 | 11 | 12) | (true, 0..=127) => error(),
        (true, 130..=137 | 143) => IcmpMessage::NeighborDiscovery,
        _ => IcmpMessage::Other,
    };
    Ok(Icmp {
        v6,
        kind,
        code,
        message,
    })
}

/// A router's word that a segment was too long for its next link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// Bytes of IP that the link takes; 0 from routers that do not say.
    pub mtu: u16,
    /// The sequence number of the segment.
    pub seq: u32,
}

/// What an ICMP or `ICMPv6` error says about the size of a TCP segment (RFC 1191 §4, RFC 8201); `None` for all other
/// packets.
pub fn too_big(packet: &Packet<'_>) -> Option<TooBig> {
    let ip = packet.ip()?;
    let Transport::Icmp(icmp) = &ip.transport else {
        return None;
    };
    let bytes = packet.frame().get(usize::try_from(ip.payload_at).ok()?..)?;
    let quote = bytes.get(8..)?;
    let (mtu, transport) = match (icmp.v6, icmp.kind, icmp.code) {
        (false, 3, 4) => {
            let header_len = usize::from(quote.first()? & 0x0f).checked_mul(4)?;
            (u32::from(be16(bytes, 6)?), quote.get(header_len..)?)
        }
        (true, 2, 0) => {
            let (_, transport) = quoted_extensions(*quote.get(6)?, quote.get(40..)?)?;
            (u32::from_be_bytes(array::<4>(bytes, 4)?), transport)
        }
        _ => return None,
    };
    Some(TooBig {
        mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
        seq: u32::from_be_bytes(array::<4>(transport, 4)?),
    })
}

/// The tuple of a quoted packet, of which as little as its ports may be there.
fn quoted(v6: bool, quote: &[u8]) -> Option<FlowTuple> {
    let version = quote.first()? >> 4;
    let (src, dst, protocol, transport) = match (v6, version) {
        (false, 4) => {
            let header_len = usize::from(quote.first()? & 0x0f).checked_mul(4)?;
            let later_fragment = be16(quote, 6)? & 0x1fff != 0;
            if header_len < 20 || later_fragment {
                return None;
            }
            let protocol = IpProtocol(*quote.get(9)?);
            (
                ipv4(quote, 12)?,
                ipv4(quote, 16)?,
                protocol,
                quote.get(header_len..)?,
            )
        }
        (true, 6) => {
            let (protocol, transport) = quoted_extensions(*quote.get(6)?, quote.get(40..)?)?;
            (ipv6(quote, 8)?, ipv6(quote, 24)?, protocol, transport)
        }
        _ => return None,
    };
    let (sport, dport) = match (protocol, v6) {
        (IpProtocol::TCP | IpProtocol::UDP, _) => (be16(transport, 0)?, be16(transport, 2)?),
        (IpProtocol::ICMP, false) | (IpProtocol::ICMPV6, true) => {
            let echo = matches!((v6, *transport.first()?), (false, 0 | 8) | (true, 128 | 129));
            let identifier = if echo { be16(transport, 4)? } else { 0 };
            (identifier, identifier)
        }
        _ => (0, 0),
    };
    Some(FlowTuple {
        src,
        dst,
        sport,
        dport,
        protocol,
    })
}

/// Steps over the extension headers of a quoted IPv6 packet. Quotes are cut anywhere, so that this can be
/// no error: what cannot be followed belongs to no session.
fn quoted_extensions(first: u8, mut bytes: &[u8]) -> Option<(IpProtocol, &[u8])> {
    let mut next = first;
    for _ in 0..MAX_QUOTED_EXTENSIONS {
        let length = match next {
            0 | 43 | 60 => usize::from(*bytes.get(1)?).checked_add(1)?.checked_mul(8)?,
            44 => {
                let later_fragment = be16(bytes, 2)? & 0xfff8 != 0;
                if later_fragment {
                    return None;
                }
                8
            }
            _ => return Some((IpProtocol(next), bytes)),
        };
        next = *bytes.first()?;
        bytes = bytes.get(length..)?;
    }
    None
}
