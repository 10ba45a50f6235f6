//! From the bytes of a frame to a [`Packet`], checked once.
//!
//! The commonest shapes take [`quick`]; everything else, malformed frames included, takes the thorough way
//! through etherparse's slices. A property test holds the two equal wherever the first has an answer.

mod icmp;
mod ip;
mod link_layer;
mod quick;
mod transport;
mod verify;

use crate::{Checksums, LinkType, Malformed, Network, Packet};

pub use ip::MAX_EXTENSION_HEADERS;

/// Checks `frame`, which was `original_len` bytes long on the wire.
///
/// A frame that a snap length cut is judged on what is there: its headers must be, its data need not.
/// Padding behind the IP packet is nobody's payload. An IPv4 total length of 0 (segmentation offload)
/// means "to the end of the frame".
///
/// # Errors
/// The first thing found wrong, from the outside in.
#[inline]
pub fn parse(
    link: LinkType,
    frame: &[u8],
    original_len: usize,
    checksums: Checksums,
) -> Result<Packet<'_>, Malformed> {
    let original_len = original_len.max(frame.len());
    if link == LinkType::Ethernet
        && checksums == Checksums::Ignore
        && let Some(packet) = quick::parse(frame, original_len)
    {
        return Ok(packet);
    }
    parse_other(link, frame, original_len, checksums)
}

#[inline(never)]
fn parse_other(
    link: LinkType,
    frame: &[u8],
    original_len: usize,
    checksums: Checksums,
) -> Result<Packet<'_>, Malformed> {
    let mut packet = match quick::parse(frame, original_len) {
        Some(packet) if link == LinkType::Ethernet => packet,
        _ => parse_thoroughly(link, frame, original_len)?,
    };
    if checksums == Checksums::Verify {
        packet.checksums = checksums;
        verify::checksums(&packet)?;
    }
    Ok(packet)
}

/// The way for every shape of frame.
fn parse_thoroughly(link: LinkType, frame: &[u8], original_len: usize) -> Result<Packet<'_>, Malformed> {
    let (link, carries) = link_layer::parse(link, frame, original_len)?;
    let network = match carries {
        link_layer::Carries::NonIp => Network::NonIp,
        link_layer::Carries::Ipv4 { claimed } => Network::Ip(ip::v4(frame, link.header_len, claimed)?),
        link_layer::Carries::Ipv6 { claimed } => Network::Ip(ip::v6(frame, link.header_len, claimed)?),
    };
    Ok(Packet {
        frame,
        original_len,
        checksums: Checksums::Ignore,
        link,
        network,
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
