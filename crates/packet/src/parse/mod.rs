//! From the bytes of a frame to a [`Packet`], checked once.
//!
//! The commonest shapes take [`quick`]; everything else, malformed frames included, takes the thorough way
//! through etherparse's slices. A property test holds the two equal wherever the first has an answer.

mod icmp;
mod ip;
mod link_layer;
mod mpls;
mod quick;
mod transport;
mod verify;

pub use icmp::{TooBig, too_big};

use crate::{Checksums, Link, LinkType, Malformed, Network, Packet, Tunnel, VlanTags};

pub use ip::MAX_EXTENSION_HEADERS;
pub use mpls::MAX_MPLS_LABELS;

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
        tunnel: None,
    })
}

/// How what a tunnel carries begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// As a frame of this type.
    With(LinkType),
    /// With an MPLS label stack.
    WithLabels,
}

/// Reads what a tunnel header that ends at `at` says it carries, `claimed` bytes that begin as `begins` says. `Ok(None)` where that is no IP.
///
/// The result is a packet over the same frame, whose "link header" is all that comes before its IP header.
pub(crate) fn parse_inside<'a>(
    outer: &Packet<'a>,
    begins: Begins,
    at: usize,
    claimed: usize,
    tunnel: impl FnOnce(&Link) -> Tunnel,
) -> Result<Option<Packet<'a>>, Malformed> {
    let rest = outer.frame.get(at..).unwrap_or_default();
    let rest = rest.get(..claimed).unwrap_or(rest);
    let (inner, carries) = match begins {
        Begins::With(kind) => link_layer::parse(kind, rest, claimed)?,
        Begins::WithLabels => {
            let bare = Link {
                vlans: VlanTags::NONE,
                ethertype: Link::MPLS,
                header_len: 0,
                ..outer.link
            };
            mpls::parse(bare, rest, claimed)?
        }
    };
    let header_len = at.saturating_add(inner.header_len);
    parse_at(outer, header_len, carries, tunnel(&inner))
}

/// The IP packet that a tunnel carries at `header_len`; `Ok(None)` where it carries none.
fn parse_at<'a>(
    outer: &Packet<'a>,
    header_len: usize,
    carries: link_layer::Carries,
    tunnel: Tunnel,
) -> Result<Option<Packet<'a>>, Malformed> {
    let ip = match carries {
        link_layer::Carries::NonIp => return Ok(None),
        link_layer::Carries::Ipv4 { claimed } => ip::v4(outer.frame, header_len, claimed)?,
        link_layer::Carries::Ipv6 { claimed } => ip::v6(outer.frame, header_len, claimed)?,
    };
    let packet = Packet {
        link: Link {
            header_len,
            ..outer.link
        },
        network: Network::Ip(ip),
        tunnel: Some(tunnel),
        ..*outer
    };
    if packet.checksums == Checksums::Verify {
        verify::checksums(&packet)?;
    }
    Ok(Some(packet))
}

/// A datagram from inside a tunnel, put together behind the headers of its first fragment; those are not looked
/// at again, since their lengths are the fragment's.
pub(crate) fn parse_assembled(
    frame: &[u8],
    original_len: usize,
    link: Link,
    checksums: Checksums,
    tunnel: Tunnel,
) -> Result<Packet<'_>, Malformed> {
    let outer = Packet {
        frame,
        original_len: original_len.max(frame.len()),
        checksums,
        link,
        network: Network::NonIp,
        tunnel: None,
    };
    let claimed = outer.original_len.saturating_sub(link.header_len);
    let carries = match frame.get(link.header_len).map(|byte| byte >> 4) {
        Some(4) => link_layer::Carries::Ipv4 { claimed },
        _ => link_layer::Carries::Ipv6 { claimed },
    };
    parse_at(&outer, link.header_len, carries, tunnel)?.ok_or(Malformed::BadIpVersion)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
