//! TCP, UDP and ICMP headers.

use etherparse::{TcpHeaderSlice, UdpHeaderSlice};

use super::icmp;
use crate::{IpProtocol, Malformed, Tcp, TcpFlags, Transport, Udp};

/// The longest TCP header: 15 words of 4 bytes.
const MAX_TCP_HEADER: usize = 60;
/// The largest shift that the window scale option may ask for (RFC 7323 §2.3).
const MAX_WINDOW_SCALE: u8 = 14;

/// What an IP packet carries, given the `captured` part of the `sent` bytes behind its headers.
pub(super) fn parse(
    protocol: IpProtocol,
    v6: bool,
    captured: &[u8],
    sent: usize,
) -> Result<Transport<'_>, Malformed> {
    match (protocol, v6) {
        (IpProtocol::TCP, _) => Ok(Transport::Tcp(tcp(captured, sent)?)),
        (IpProtocol::UDP, _) => Ok(Transport::Udp(udp(captured, sent)?)),
        (IpProtocol::ICMP, false) | (IpProtocol::ICMPV6, true) => {
            Ok(Transport::Icmp(icmp::parse(v6, captured)?))
        }
        _ => Ok(Transport::Other { payload: captured }),
    }
}

fn udp(captured: &[u8], sent: usize) -> Result<Udp<'_>, Malformed> {
    let header = UdpHeaderSlice::from_slice(captured).map_err(|_| Malformed::BadUdpHeader)?;
    let length = usize::from(header.length());
    if length > sent {
        return Err(Malformed::BadUdpHeader);
    }
    let payload_len = length.checked_sub(8).ok_or(Malformed::BadUdpHeader)?;
    let behind = captured.get(8..).unwrap_or_default();
    Ok(Udp {
        sport: header.source_port(),
        dport: header.destination_port(),
        payload: behind.get(..payload_len).unwrap_or(behind),
        payload_len: u32::try_from(payload_len).map_err(|_| Malformed::BadUdpHeader)?,
    })
}

fn tcp(captured: &[u8], sent: usize) -> Result<Tcp<'_>, Malformed> {
    let fixed = captured.first_chunk::<20>().ok_or(Malformed::BadTcpHeader)?;
    let header_len = usize::from(fixed[12] >> 4).saturating_mul(4);
    let payload_len = sent.checked_sub(header_len).ok_or(Malformed::BadTcpHeader)?;
    // A snap length may end inside the options. Zeros take their place: "end of options".
    let mut padded = [0_u8; MAX_TCP_HEADER];
    let present = captured.get(..header_len).unwrap_or(captured);
    let header = if present.len() < header_len {
        if let Some(start) = padded.get_mut(..present.len()) {
            start.copy_from_slice(present);
        }
        TcpHeaderSlice::from_slice(&padded)
    } else {
        TcpHeaderSlice::from_slice(captured)
    };
    let header = header.map_err(|_| Malformed::BadTcpHeader)?;
    let flags = TcpFlags(fixed[13]);
    let (window_scale, mss) = if header.syn() {
        syn_options(header.options())
    } else {
        (None, None)
    };
    Ok(Tcp {
        sport: header.source_port(),
        dport: header.destination_port(),
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        flags,
        window: header.window_size(),
        window_scale,
        mss,
        options: present.get(fixed.len()..).unwrap_or_default(),
        payload: captured.get(header_len..).unwrap_or_default(),
        payload_len: u32::try_from(payload_len).map_err(|_| Malformed::BadTcpHeader)?,
    })
}

/// Window scale and maximum segment size among the options of a SYN; the last of each counts.
///
/// etherparse's iterator stops at the first option it does not know; real stacks step over it.
pub(super) fn syn_options(mut options: &[u8]) -> (Option<u8>, Option<u16>) {
    let mut window_scale = None;
    let mut mss = None;
    while let [kind, rest @ ..] = options {
        options = match (kind, rest) {
            (0, _) => break,
            (1, rest) => rest,
            (_, [length, ..]) => {
                let length = usize::from(*length);
                let (Some(option), Some(behind)) = (options.get(..length), options.get(length.max(2)..))
                else {
                    break;
                };
                match *option {
                    [3, 3, shift] => window_scale = Some(shift.min(MAX_WINDOW_SCALE)),
                    [2, 4, high, low] => mss = Some(u16::from_be_bytes([high, low])),
                    [] | [_] => break,
                    _ => {}
                }
                behind
            }
            (_, []) => break,
        };
    }
    (window_scale, mss)
}
