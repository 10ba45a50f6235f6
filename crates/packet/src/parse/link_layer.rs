//! Link headers of every type: where the network layer begins, and how long it can be.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::mpls;
use crate::{
    Link, LinkType, MacAddr, Malformed, VlanTags,
    read::{array, be16},
};

/// What stands behind a link header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    NonIp,
    /// IPv4, for which the link header leaves at most `claimed` bytes.
    Ipv4 {
        claimed: usize,
    },
    /// IPv6, likewise.
    Ipv6 {
        claimed: usize,
    },
}

/// `EtherType`s of 802.1Q, 802.1ad and the one that switches used before 802.1ad.
const VLAN_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Values below this are an 802.3 length, not an `EtherType` (IEEE 802.3 §3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;
/// LLC and SNAP header of an `EtherType` in an 802.3 frame (RFC 1042).
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];
/// `ARPHRD_ETHER` of Linux.
const ARPHRD_ETHER: u16 = 1;
/// Linux's protocol number of LLC frames.
const ETH_P_802_2: u16 = 0x0004;
/// PPP protocol numbers of IPv4 and IPv6.
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// Reads the link header of a frame that was `original_len` bytes long.
pub(super) fn parse(kind: LinkType, frame: &[u8], original_len: usize) -> Result<(Link, Carries), Malformed> {
    let mut link = Link {
        kind,
        source: None,
        destination: None,
        vlans: VlanTags::NONE,
        ethertype: 0,
        header_len: 0,
    };
    match kind {
        LinkType::Ethernet => {
            let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Malformed::FrameTooShort)?;
            link.source = Some(MacAddr(header.source()));
            link.destination = Some(MacAddr(header.destination()));
            link.ethertype = header.ether_type().0;
            link.header_len = 14;
            behind_ethertype(&mut link, frame, original_len)
        }
        LinkType::Sll => {
            let protocol = be16(frame, 14).ok_or(Malformed::FrameTooShort)?;
            if be16(frame, 2) == Some(ARPHRD_ETHER) && be16(frame, 4) == Some(6) {
                link.source = array(frame, 6).map(MacAddr);
            }
            link.ethertype = protocol;
            link.header_len = 16;
            behind_ethertype(&mut link, frame, original_len)
        }
        LinkType::Sll2 => {
            let header: [u8; 20] = array(frame, 0).ok_or(Malformed::FrameTooShort)?;
            if be16(&header, 8) == Some(ARPHRD_ETHER) && header[11] == 6 {
                link.source = array(&header, 12).map(MacAddr);
            }
            link.ethertype = u16::from_be_bytes([header[0], header[1]]);
            link.header_len = 20;
            behind_ethertype(&mut link, frame, original_len)
        }
        LinkType::Null => {
            link.header_len = 4;
            let family: [u8; 4] = array(frame, 0).ok_or(Malformed::FrameTooShort)?;
            link.ethertype = address_family(family);
            Ok(carries(link, link.ethertype, original_len))
        }
        LinkType::RawIp => {
            link.ethertype = match frame.first().map(|byte| byte >> 4) {
                Some(4) => Link::IPV4,
                Some(6) => Link::IPV6,
                Some(_) => return Err(Malformed::BadIpVersion),
                None => return Err(Malformed::FrameTooShort),
            };
            Ok(carries(link, link.ethertype, original_len))
        }
        LinkType::Ppp => ppp(link, frame, original_len),
    }
}

/// The link header is complete and `ethertype` says what follows.
fn carries(link: Link, ethertype: u16, original_len: usize) -> (Link, Carries) {
    let claimed = original_len.saturating_sub(link.header_len);
    let carries = match ethertype {
        Link::IPV4 => Carries::Ipv4 { claimed },
        Link::IPV6 => Carries::Ipv6 { claimed },
        _ => Carries::NonIp,
    };
    (link, carries)
}

/// Follows VLAN tags, LLC and `PPPoE` from the type field that ends at `link.header_len`.
fn behind_ethertype(
    link: &mut Link,
    frame: &[u8],
    original_len: usize,
) -> Result<(Link, Carries), Malformed> {
    let mut tags = [None; 2];
    while VLAN_TYPES.contains(&link.ethertype) {
        let rest = frame.get(link.header_len..).unwrap_or_default();
        let tag = SingleVlanHeaderSlice::from_slice(rest).map_err(|_| Malformed::FrameTooShort)?;
        let free = tags.iter_mut().find(|tag| tag.is_none());
        *free.ok_or(Malformed::TooManyVlanTags)? = Some(tag.vlan_identifier().value());
        link.ethertype = tag.ether_type().0;
        link.header_len = link.header_len.saturating_add(4);
    }
    link.vlans = match tags {
        [Some(outer), Some(inner)] => VlanTags::double(outer, inner),
        [Some(only), None] => VlanTags::single(only),
        [None, _] => VlanTags::NONE,
    };
    match link.ethertype {
        Link::PPPOE_SESSION => pppoe(*link, frame, original_len),
        below if below < FIRST_ETHERTYPE => llc(*link, frame, original_len),
        Link::MPLS | Link::MPLS_MULTICAST => mpls::parse(*link, frame, original_len),
        ethertype => Ok(carries(*link, ethertype, original_len)),
    }
}

/// An 802.3 frame: what was read as `EtherType` is the length of the LLC frame, or Linux's name for one.
fn llc(mut link: Link, frame: &[u8], original_len: usize) -> Result<(Link, Carries), Malformed> {
    let type_field = link.ethertype;
    let cooked = matches!(link.kind, LinkType::Sll | LinkType::Sll2) && link.vlans == VlanTags::NONE;
    link.ethertype = 0;
    if cooked && type_field != ETH_P_802_2 {
        return Ok((link, Carries::NonIp));
    }
    let rest = frame.get(link.header_len..).unwrap_or_default();
    let snap_type = rest.strip_prefix(&SNAP).and_then(|behind| be16(behind, 0));
    let Some(snap_type) = snap_type else {
        link.ethertype = rest.first().map_or(0, |&access_point| u16::from(access_point));
        return Ok((link, Carries::NonIp));
    };
    link.ethertype = snap_type;
    let sent = original_len.saturating_sub(link.header_len);
    let length = if cooked { sent } else { usize::from(type_field) };
    link.header_len = link.header_len.saturating_add(8);
    if !matches!(snap_type, Link::IPV4 | Link::IPV6) {
        return Ok((link, Carries::NonIp));
    }
    let claimed = length.checked_sub(8).ok_or(Malformed::BadLinkHeader)?;
    if length > sent {
        return Err(Malformed::BadLinkHeader);
    }
    Ok(if snap_type == Link::IPV4 {
        (link, Carries::Ipv4 { claimed })
    } else {
        (link, Carries::Ipv6 { claimed })
    })
}

/// A `PPPoE` session frame (RFC 2516 §4); its own length field bounds what it carries.
fn pppoe(mut link: Link, frame: &[u8], original_len: usize) -> Result<(Link, Carries), Malformed> {
    let rest = frame.get(link.header_len..).unwrap_or_default();
    let header: [u8; 6] = array(rest, 0).ok_or(Malformed::FrameTooShort)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let sent = original_len.saturating_sub(link.header_len).saturating_sub(6);
    if header[0] != 0x11 || length > sent {
        return Err(Malformed::BadLinkHeader);
    }
    let payload = rest.get(6..).unwrap_or_default();
    let (protocol, protocol_len) = ppp_protocol(payload).ok_or(Malformed::FrameTooShort)?;
    // Code 0 is session data; the stages of discovery have an `EtherType` of their own.
    let is_ip = header[1] == 0 && matches!(protocol, PPP_IPV4 | PPP_IPV6);
    if !is_ip {
        return Ok((link, Carries::NonIp));
    }
    let claimed = length.checked_sub(protocol_len).ok_or(Malformed::BadLinkHeader)?;
    link.header_len = link.header_len.saturating_add(6).saturating_add(protocol_len);
    Ok(if protocol == PPP_IPV4 {
        (link, Carries::Ipv4 { claimed })
    } else {
        (link, Carries::Ipv6 { claimed })
    })
}

/// A PPP frame (RFC 1661), in HDLC-like framing (RFC 1662) or without, or a Cisco HDLC frame, which
/// serial captures hold too.
fn ppp(mut link: Link, frame: &[u8], original_len: usize) -> Result<(Link, Carries), Malformed> {
    let prefix: [u8; 2] = array(frame, 0).ok_or(Malformed::FrameTooShort)?;
    if matches!(prefix, [0x0f | 0x8f, 0x00]) {
        link.ethertype = be16(frame, 2).ok_or(Malformed::FrameTooShort)?;
        link.header_len = 4;
        return Ok(carries(link, link.ethertype, original_len));
    }
    let framing = if prefix == [0xff, 0x03] { 2 } else { 0 };
    let rest = frame.get(framing..).unwrap_or_default();
    let (protocol, protocol_len) = ppp_protocol(rest).ok_or(Malformed::FrameTooShort)?;
    link.header_len = framing.saturating_add(protocol_len);
    link.ethertype = match protocol {
        PPP_IPV4 => Link::IPV4,
        PPP_IPV6 => Link::IPV6,
        labels if mpls::PPP.contains(&labels) => {
            link.ethertype = Link::MPLS;
            return mpls::parse(link, frame, original_len);
        }
        _ => 0,
    };
    Ok(carries(link, link.ethertype, original_len))
}

/// A PPP protocol number with its length: one byte where the peers agreed to compress it, which shows
/// in its lowest bit (RFC 1661 §2).
fn ppp_protocol(bytes: &[u8]) -> Option<(u16, usize)> {
    let first = *bytes.first()?;
    if first & 1 == 1 {
        return Some((u16::from(first), 1));
    }
    Some((be16(bytes, 0)?, 2))
}

/// The `EtherType` of a BSD address family, in whichever byte order; 0 where it is not IP.
fn address_family(bytes: [u8; 4]) -> u16 {
    let family = match bytes {
        [0, 0, 0, family] | [family, 0, 0, 0] => family,
        _ => 0,
    };
    match family {
        2 => Link::IPV4,
        // Linux, Windows, the BSDs and macOS each have their own number.
        10 | 23 | 24 | 28 | 30 => Link::IPV6,
        _ => 0,
    }
}
