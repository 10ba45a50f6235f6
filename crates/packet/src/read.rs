//! Big-endian numbers out of slices that may be too short.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The 16-bit number at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// The `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The IPv4 address at `at`.
pub(crate) fn ipv4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    array::<4>(bytes, at).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// The IPv6 address at `at`.
pub(crate) fn ipv6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    array::<16>(bytes, at).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))
}
