//! Checksums of a packet that is otherwise sound.

use crate::{Ip, Malformed, Network, Packet, Transport, checksum::Sum, read::be16};

/// Fails where a checksum is there to be computed and is wrong.
///
/// What a snap length cut, fragments, and packets whose final destination is not in the header cannot be
/// judged.
pub(super) fn checksums(packet: &Packet<'_>) -> Result<(), Malformed> {
    let Network::Ip(ip) = packet.network() else {
        return Ok(());
    };
    let right = ipv4_header(packet, ip) && transport(packet, ip).unwrap_or(true);
    if right {
        Ok(())
    } else {
        Err(Malformed::BadChecksum)
    }
}

fn ipv4_header(packet: &Packet<'_>, ip: &Ip<'_>) -> bool {
    let end = usize::try_from(ip.payload_at).unwrap_or(usize::MAX);
    match packet.frame().get(packet.link().header_len..end) {
        Some(header) if ip.src.is_ipv4() => Sum::default().bytes(header).finish() == 0,
        _ => true,
    }
}

/// `None` where the checksum cannot be judged.
fn transport(packet: &Packet<'_>, ip: &Ip<'_>) -> Option<bool> {
    if ip.final_destination_unknown {
        return None;
    }
    let start = usize::try_from(ip.payload_at).ok()?;
    let behind = packet.frame().get(start..)?;
    let (covered, pseudo_header) = match &ip.transport {
        Transport::Tcp(_) => (ip.payload_len, true),
        Transport::Icmp(icmp) => (ip.payload_len, icmp.v6),
        Transport::Udp(udp) => {
            if be16(behind, 6)? == 0 {
                // "No checksum": allowed in IPv4 only (RFC 8200 §8.1).
                return Some(ip.src.is_ipv4());
            }
            (udp.payload_len.checked_add(8)?, true)
        }
        Transport::Other { .. } | Transport::Fragment { .. } => return None,
    };
    let bytes = behind.get(..usize::try_from(covered).ok()?)?;
    let sum = if pseudo_header {
        Sum::default().pseudo_header(ip.src, ip.dst, ip.protocol, covered)
    } else {
        Sum::default()
    };
    Some(sum.bytes(bytes).finish() == 0)
}
