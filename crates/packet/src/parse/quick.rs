//! The shapes that nearly all frames have: Ethernet with at most one VLAN tag, IPv4 without options or
//! IPv6 without extension headers, whole TCP or UDP.
//!
//! `None` never means "malformed", only "look closer".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::transport::syn_options;
use crate::{
    Checksums, Ip, IpProtocol, Link, LinkType, MacAddr, Network, Packet, Tcp, TcpFlags, Transport, Udp,
    VlanTags,
};

/// The packet, if the frame has one of the common shapes and nothing is wrong with it.
#[inline]
pub(super) fn parse(frame: &[u8], original_len: usize) -> Option<Packet<'_>> {
    let [
        d0,
        d1,
        d2,
        d3,
        d4,
        d5,
        s0,
        s1,
        s2,
        s3,
        s4,
        s5,
        type_high,
        type_low,
    ] = *frame.first_chunk::<14>()?;
    let mut ethertype = u16::from_be_bytes([type_high, type_low]);
    let mut header_len = 14_usize;
    let mut vlans = VlanTags::NONE;
    let mut rest = frame.get(14..)?;
    if ethertype == 0x8100 {
        let (&[id_high, id_low, type_high, type_low], behind) = rest.split_first_chunk::<4>()?;
        vlans = VlanTags::single(u16::from_be_bytes([id_high, id_low]));
        ethertype = u16::from_be_bytes([type_high, type_low]);
        header_len = 18;
        rest = behind;
    }
    let claimed = original_len.checked_sub(header_len)?;
    let ip = match ethertype {
        Link::IPV4 => ipv4(rest, header_len, claimed)?,
        Link::IPV6 => ipv6(rest, header_len, claimed)?,
        _ => return None,
    };
    Some(Packet {
        frame,
        original_len,
        checksums: Checksums::Ignore,
        link: Link {
            kind: LinkType::Ethernet,
            source: Some(MacAddr([s0, s1, s2, s3, s4, s5])),
            destination: Some(MacAddr([d0, d1, d2, d3, d4, d5])),
            vlans,
            ethertype,
            header_len,
        },
        network: Network::Ip(ip),
        tunnel: None,
    })
}

#[inline]
fn ipv4(rest: &[u8], header_len: usize, claimed: usize) -> Option<Ip<'_>> {
    let (header, behind) = rest.split_first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || fragment != 0 || total > claimed {
        return None;
    }
    let payload_len = total.checked_sub(20)?;
    let payload = behind.get(..payload_len).unwrap_or(behind);
    let protocol = IpProtocol(header[9]);
    Some(Ip {
        src: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        dst: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        protocol,
        hop_limit: header[8],
        fragment: None,
        transport: transport(protocol, payload, payload_len)?,
        payload_len: u32::try_from(payload_len).ok()?,
        payload_at: u32::try_from(header_len.checked_add(20)?).ok()?,
        final_destination_unknown: false,
    })
}

#[inline]
fn ipv6(rest: &[u8], header_len: usize, claimed: usize) -> Option<Ip<'_>> {
    let (header, behind) = rest.split_first_chunk::<40>()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || payload_len == 0 || payload_len.checked_add(40)? > claimed {
        return None;
    }
    let payload = behind.get(..payload_len).unwrap_or(behind);
    let protocol = IpProtocol(header[6]);
    let src: [u8; 16] = *header.get(8..)?.first_chunk()?;
    let dst: [u8; 16] = *header.get(24..)?.first_chunk()?;
    Some(Ip {
        src: IpAddr::V6(Ipv6Addr::from(src)),
        dst: IpAddr::V6(Ipv6Addr::from(dst)),
        protocol,
        hop_limit: header[7],
        fragment: None,
        transport: transport(protocol, payload, payload_len)?,
        payload_len: u32::try_from(payload_len).ok()?,
        payload_at: u32::try_from(header_len.checked_add(40)?).ok()?,
        final_destination_unknown: false,
    })
}

#[inline]
fn transport(protocol: IpProtocol, captured: &[u8], sent: usize) -> Option<Transport<'_>> {
    match protocol {
        IpProtocol::UDP => {
            let (header, behind) = captured.split_first_chunk::<8>()?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            if length > sent {
                return None;
            }
            let payload_len = length.checked_sub(8)?;
            Some(Transport::Udp(Udp {
                sport: u16::from_be_bytes([header[0], header[1]]),
                dport: u16::from_be_bytes([header[2], header[3]]),
                payload: behind.get(..payload_len).unwrap_or(behind),
                payload_len: u32::try_from(payload_len).ok()?,
            }))
        }
        IpProtocol::TCP => {
            let header = captured.first_chunk::<20>()?;
            let offset = usize::from(header[12] >> 4).checked_mul(4)?;
            if offset < 20 {
                return None;
            }
            let payload = captured.get(offset..)?;
            let payload_len = sent.checked_sub(offset)?;
            let flags = TcpFlags(header[13]);
            let options = captured.get(20..offset)?;
            let (window_scale, mss) = if flags.syn() {
                syn_options(options)
            } else {
                (None, None)
            };
            Some(Transport::Tcp(Tcp {
                sport: u16::from_be_bytes([header[0], header[1]]),
                dport: u16::from_be_bytes([header[2], header[3]]),
                seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
                flags,
                window: u16::from_be_bytes([header[14], header[15]]),
                window_scale,
                mss,
                options,
                payload,
                payload_len: u32::try_from(payload_len).ok()?,
            }))
        }
        _ => None,
    }
}
