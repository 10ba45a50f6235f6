//! IPv4 and IPv6 headers with options, extension headers and fragments.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, ip_number,
};

use super::transport;
use crate::{FragmentInfo, Ip, IpProtocol, Malformed, Transport, read::array};

/// Extension headers of one IPv6 packet, the fragment header included; a packet with more is malformed.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Bytes a whole datagram's payload can have.
const MAX_DATAGRAM: usize = 65_535;

/// The IPv4 packet at `at`, for which the link layer leaves `claimed` bytes.
pub(super) fn v4(frame: &[u8], at: usize, claimed: usize) -> Result<Ip<'_>, Malformed> {
    let rest = frame.get(at..).unwrap_or_default();
    let header = Ipv4HeaderSlice::from_slice(rest).map_err(|_| Malformed::BadIpv4Header)?;
    let header_len = header.slice().len();
    let total = match usize::from(header.total_len()) {
        0 => claimed,
        total => total,
    };
    if total > claimed {
        return Err(Malformed::IpLengthBeyondFrame);
    }
    let sent = total.checked_sub(header_len).ok_or(Malformed::BadIpv4Header)?;
    let captured = cut(rest.get(header_len..).unwrap_or_default(), sent);
    let protocol = IpProtocol(header.protocol().0);
    let fragment = if header.is_fragmenting_payload() {
        Some(FragmentInfo {
            identification: u32::from(header.identification()),
            offset: header.fragments_offset().byte_offset(),
            more: header.more_fragments(),
            next_header_at: position(at, 9)?,
        })
    } else {
        None
    };
    let src = IpAddr::V4(header.source_addr());
    let dst = IpAddr::V4(header.destination_addr());
    Ok(Ip {
        src,
        dst,
        protocol,
        hop_limit: header.ttl(),
        fragment,
        transport: match fragment {
            Some(fragment) => fragment_payload(fragment, captured, sent.saturating_add(header_len), sent)?,
            None => transport::parse(protocol, false, captured, sent)?,
        },
        payload_len: u32::try_from(sent).map_err(|_| Malformed::BadIpv4Header)?,
        payload_at: position(at, header_len)?,
        final_destination_unknown: false,
    })
}

/// The IPv6 packet at `at`, for which the link layer leaves `claimed` bytes.
pub(super) fn v6(frame: &[u8], at: usize, claimed: usize) -> Result<Ip<'_>, Malformed> {
    let rest = frame.get(at..).unwrap_or_default();
    let header = Ipv6HeaderSlice::from_slice(rest).map_err(|_| Malformed::BadIpv6Header)?;
    let room = claimed.checked_sub(40).ok_or(Malformed::IpLengthBeyondFrame)?;
    let sent = match (usize::from(header.payload_length()), header.next_header()) {
        (0, ip_number::IPV6_HEADER_HOP_BY_HOP) => return Err(Malformed::Ipv6Jumbogram),
        // Segmentation offload, as in IPv4: a TCP header cannot be empty.
        (0, ip_number::TCP) => room,
        (sent, _) => sent,
    };
    if sent > room {
        return Err(Malformed::IpLengthBeyondFrame);
    }
    let captured = cut(rest.get(40..).unwrap_or_default(), sent);
    let chain = extension_headers(header.next_header().0, captured)?;
    let payload = captured.get(chain.len..).unwrap_or_default();
    let sent = sent.saturating_sub(chain.len);
    let protocol = IpProtocol(chain.next);
    let fragment = match chain.fragment {
        Some(fragment) => Some(FragmentInfo {
            next_header_at: position(at, chain.fragment_named_at)?,
            ..fragment
        }),
        None => None,
    };
    Ok(Ip {
        src: IpAddr::V6(header.source_addr()),
        dst: IpAddr::V6(match chain.route {
            Route::Final(destination) => destination,
            Route::Arrived | Route::Unknown => header.destination_addr(),
        }),
        protocol,
        hop_limit: header.hop_limit(),
        fragment,
        transport: match fragment {
            Some(fragment) => fragment_payload(fragment, payload, sent, sent)?,
            None => transport::parse(protocol, true, payload, sent)?,
        },
        payload_len: u32::try_from(sent).map_err(|_| Malformed::BadIpv6Header)?,
        payload_at: position(at, chain.len.saturating_add(40))?,
        final_destination_unknown: chain.route == Route::Unknown,
    })
}

/// A fragment's data, whose bytes must fit into a datagram. `weight` is what its last byte adds to the
/// datagram's length at offset 0.
fn fragment_payload(
    fragment: FragmentInfo,
    captured: &[u8],
    weight: usize,
    sent: usize,
) -> Result<Transport<'_>, Malformed> {
    let end = usize::from(fragment.offset).saturating_add(weight);
    if sent == 0 || end > MAX_DATAGRAM || (fragment.more && sent & 7 != 0) {
        return Err(Malformed::BadFragment);
    }
    Ok(Transport::Fragment { payload: captured })
}

/// What the extension headers of a packet say.
struct Chain {
    /// Bytes they take.
    len: usize,
    /// What follows them.
    next: u8,
    /// Set where what follows is part of a datagram.
    fragment: Option<FragmentInfo>,
    /// Where the byte stands that named the fragment header, counted from the IPv6 header.
    fragment_named_at: usize,
    route: Route,
}

/// Where routing headers lead a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// No segment is left: the header's destination is the final one.
    Arrived,
    /// To this address in the end; the header's destination is a stop on the way.
    Final(Ipv6Addr),
    /// Segments are left, of a kind that is not read here.
    Unknown,
}

/// Walks the extension headers in `bytes`, as far as a fragment header that is not atomic.
///
/// The authentication header is none of them here: what it covers is for the two ends alone (records name
/// it `ah` in both families). The same goes for mobility, HIP and Shim6, which end a chain.
fn extension_headers(first: u8, bytes: &[u8]) -> Result<Chain, Malformed> {
    let mut chain = Chain {
        len: 0,
        next: first,
        fragment: None,
        fragment_named_at: 0,
        route: Route::Arrived,
    };
    let mut named_at = 6_usize;
    let mut seen_fragment = false;
    for count in 0..=MAX_EXTENSION_HEADERS {
        let number = etherparse::IpNumber(chain.next);
        let rest = bytes.get(chain.len..).unwrap_or_default();
        let header = match number {
            ip_number::IPV6_HEADER_HOP_BY_HOP if count > 0 => return Err(Malformed::Ipv6ExtensionChain),
            ip_number::IPV6_HEADER_HOP_BY_HOP
            | ip_number::IPV6_DESTINATION_OPTIONS
            | ip_number::IPV6_ROUTE_HEADER => {
                let header =
                    Ipv6RawExtHeaderSlice::from_slice(rest).map_err(|_| Malformed::Ipv6ExtensionChain)?;
                if number == ip_number::IPV6_ROUTE_HEADER {
                    chain.route = match (chain.route, routing(header.slice())?) {
                        (before, Route::Arrived) => before,
                        (Route::Arrived, route) => route,
                        // Two itineraries at once (RFC 8200 §4.1 allows one): nobody can tell where it ends.
                        _ => return Err(Malformed::Ipv6SourceRoute),
                    };
                }
                chain.next = header.next_header().0;
                header.slice()
            }
            ip_number::IPV6_FRAGMENTATION_HEADER => {
                let header =
                    Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| Malformed::Ipv6ExtensionChain)?;
                if seen_fragment {
                    return Err(Malformed::Ipv6ExtensionChain);
                }
                seen_fragment = true;
                chain.next = header.next_header().0;
                if header.is_fragmenting_payload() {
                    chain.fragment_named_at = named_at;
                    chain.fragment = Some(FragmentInfo {
                        identification: header.identification(),
                        offset: header.fragment_offset().byte_offset(),
                        more: header.more_fragments(),
                        next_header_at: 0,
                    });
                }
                header.slice()
            }
            _ => return Ok(chain),
        };
        if count == MAX_EXTENSION_HEADERS {
            break;
        }
        named_at = chain.len.saturating_add(40);
        chain.len = chain.len.saturating_add(header.len());
        if chain.fragment.is_some() {
            return Ok(chain);
        }
    }
    Err(Malformed::Ipv6ExtensionChain)
}

/// Where a routing header leads. A forwarder is not the node it is addressed to (RFC 8200 §4.4): RFC 5095
/// binds that node, which drops type 0; here only what contradicts itself is refused.
fn routing(header: &[u8]) -> Result<Route, Malformed> {
    let (Some(&kind), Some(&left)) = (header.get(2), header.get(3)) else {
        return Err(Malformed::Ipv6ExtensionChain);
    };
    if left == 0 {
        return Ok(Route::Arrived);
    }
    let addresses = header.len().saturating_sub(8) >> 4;
    let whole = header.len() == addresses.saturating_mul(16).saturating_add(8);
    let left = usize::from(left);
    let last_at = match kind {
        // The source route of RFC 2460, and the home address of mobile nodes (RFC 6275 §6.4).
        0 | 2 if whole && left <= addresses && (kind == 0 || addresses == 1) => {
            header.len().saturating_sub(16)
        }
        0 | 2 => return Err(Malformed::Ipv6SourceRoute),
        // Segment routing lists its segments backwards; a reduced list lacks the first (RFC 8754 §2, §4.1.1).
        4 => {
            let listed = header
                .get(4)
                .map_or(0, |&last| usize::from(last).saturating_add(1));
            if listed > addresses || left > listed {
                return Err(Malformed::Ipv6SourceRoute);
            }
            8
        }
        // A node that does not know the type drops the packet while segments are left (RFC 8200 §4.4).
        _ => return Ok(Route::Unknown),
    };
    let last = array::<16>(header, last_at).map(Ipv6Addr::from);
    match last {
        Some(last) if !last.is_multicast() => Ok(Route::Final(last)),
        _ => Err(Malformed::Ipv6SourceRoute),
    }
}

/// At most the first `len` of `bytes`.
fn cut(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

/// A place in the frame, in the width a packet keeps it.
fn position(start: usize, offset: usize) -> Result<u32, Malformed> {
    u32::try_from(start.saturating_add(offset)).map_err(|_| Malformed::FrameTooShort)
}
