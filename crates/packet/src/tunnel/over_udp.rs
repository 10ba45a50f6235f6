//! Tunnels in UDP, known by their port: VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281).

use super::{Carries, Encapsulation, Header};
use crate::{Udp, read::array};

/// VXLAN's port, and the one Linux used before there was any.
const VXLAN: u16 = 4789;
const VXLAN_BEFORE_IANA: u16 = 8472;
/// Geneve's port.
const GENEVE: u16 = 6081;
/// GTP-U's port.
const GTP_U: u16 = 2152;
/// GTP-U extension headers of one packet; a packet with more is not looked into.
const MAX_GTP_EXTENSIONS: usize = 8;

/// Whether a datagram to this port may carry a tunnel.
#[inline]
pub(crate) fn is_tunnel_port(port: u16) -> bool {
    matches!(port, VXLAN | VXLAN_BEFORE_IANA | GENEVE | GTP_U)
}

/// The tunnel header that the payload begins with, if the port and its bytes say so.
#[inline]
pub(super) fn header(udp: &Udp<'_>) -> Option<Header> {
    if is_tunnel_port(udp.dport) {
        known(udp)
    } else {
        None
    }
}

#[inline(never)]
fn known(udp: &Udp<'_>) -> Option<Header> {
    match udp.dport {
        VXLAN => vxlan(udp.payload),
        // OTV has this port too: only what can be nothing else.
        VXLAN_BEFORE_IANA => vxlan(udp.payload).filter(|_| strict_vxlan(udp.payload)),
        GENEVE => geneve(udp.payload),
        GTP_U => gtp_u(udp.payload),
        _ => None,
    }
}

/// Receivers are told to ignore reserved bits, so that they cannot hide a packet here.
fn vxlan(payload: &[u8]) -> Option<Header> {
    let [flags, _, _, _, a, b, c, _] = array::<8>(payload, 0)?;
    let names_a_network = flags & 0x08 != 0;
    names_a_network.then_some(Header {
        encapsulation: Encapsulation::Vxlan,
        key: u32::from_be_bytes([0, a, b, c]),
        len: 8,
        most: usize::MAX,
        carries: Carries::Ethernet,
    })
}

fn strict_vxlan(payload: &[u8]) -> bool {
    matches!(payload, [0x08, 0, 0, 0, _, _, _, 0, ..])
}

fn geneve(payload: &[u8]) -> Option<Header> {
    let [first, _, high, low, a, b, c, _] = array::<8>(payload, 0)?;
    let version = first >> 6;
    let options = usize::from(first & 0x3f).saturating_mul(4);
    let len = options.saturating_add(8);
    if version != 0 || payload.len() < len {
        return None;
    }
    Some(Header {
        encapsulation: Encapsulation::Geneve,
        key: u32::from_be_bytes([0, a, b, c]),
        len,
        most: usize::MAX,
        carries: Carries::of_ethertype(u16::from_be_bytes([high, low])),
    })
}

/// A G-PDU: user data. Each direction has an endpoint identifier of its own, so that it cannot be part of the key.
fn gtp_u(payload: &[u8]) -> Option<Header> {
    const G_PDU: u8 = 255;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    let [flags, kind, high, low, ..] = array::<8>(payload, 0)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let version_1_not_prime = flags & 0xf0 == 0x30;
    if !version_1_not_prime || kind != G_PDU {
        return None;
    }
    let mut len = 8_usize;
    if flags & OPTIONAL_FIELDS != 0 {
        let [_, _, _, next] = array::<4>(payload, 8)?;
        let first = if flags & EXTENSION != 0 { next } else { 0 };
        len = behind_extensions(payload, first)?;
    }
    // The length counts everything behind the first eight bytes.
    let most = length.checked_sub(len.saturating_sub(8))?;
    Some(Header {
        encapsulation: Encapsulation::GtpU,
        key: 0,
        len,
        most,
        carries: Carries::IpOrElse,
    })
}

/// Where the chain of extension headers ends that begins behind the optional fields; `first` names the first.
/// Each says its length in words of four bytes, and its last byte names the next.
fn behind_extensions(payload: &[u8], first: u8) -> Option<usize> {
    let mut len = 12_usize;
    let mut next = first;
    for _ in 0..MAX_GTP_EXTENSIONS {
        if next == 0 {
            return Some(len);
        }
        let words = usize::from(*payload.get(len)?);
        let end = len.checked_add(words.checked_mul(4)?)?;
        if words == 0 {
            return None;
        }
        next = *payload.get(end.checked_sub(1)?)?;
        len = end;
    }
    (next == 0).then_some(len)
}
