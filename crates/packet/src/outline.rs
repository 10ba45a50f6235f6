//! The outline of a frame: its flow and little more, for whoever has seen the flow before.
//!
//! Nearly all frames have one of a few shapes and belong to a session that is known and needs nothing more. To find
//! that session, and to move it along, takes a few dozen bytes of headers; a whole [`Packet`](crate::Packet) is not
//! worth making. Every other frame has no outline, and is parsed.

use crate::{FlowKey, IpProtocol, Link, Tcp, TcpFlags, TunnelId, VlanTags, Wire, tunnel::is_tunnel_port};

/// What is to be known of a frame with one of the commonest shapes: Ethernet with at most one VLAN tag, IPv4 without
/// options or IPv6 without extension headers, whole TCP or UDP that carries no tunnel.
///
/// Where there is one, [`crate::parse`] finds nothing wrong with the frame, and the same flow and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    key: FlowKey,
    hash: u64,
    /// Where the payload begins in the frame, and how much of it was captured.
    payload_at: u32,
    payload_len: u32,
    tcp: Option<TcpOutline>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TcpOutline {
    seq: u32,
    ack: u32,
    /// Bytes of data that were sent.
    sent: u32,
    window: u16,
    flags: TcpFlags,
}

impl Outline {
    /// The outline of an Ethernet frame on `wire` that was `original_len` bytes long; `None` where it has none.
    /// `seed` keys the hash. Checksums are not looked at.
    #[inline]
    pub fn of_ethernet(frame: &[u8], original_len: usize, wire: Wire, seed: u64) -> Option<Self> {
        let original_len = original_len.max(frame.len());
        let (link, rest) = frame.split_first_chunk::<14>()?;
        let ethertype = u16::from_be_bytes([link[12], link[13]]);
        match ethertype {
            Link::IPV4 => ipv4(rest, 14, original_len, (wire, VlanTags::NONE), seed),
            Link::IPV6 => ipv6(rest, 14, original_len, (wire, VlanTags::NONE), seed),
            0x8100 => {
                let (&[id_high, id_low, type_high, type_low], rest) = rest.split_first_chunk::<4>()?;
                let vlans = VlanTags::single(u16::from_be_bytes([id_high, id_low]));
                match u16::from_be_bytes([type_high, type_low]) {
                    Link::IPV4 => ipv4(rest, 18, original_len, (wire, vlans), seed),
                    Link::IPV6 => ipv6(rest, 18, original_len, (wire, vlans), seed),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The flow.
    #[inline]
    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    /// Its symmetric hash.
    #[inline]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether it is TCP's.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.tcp.is_some()
    }

    /// The payload, as far as it was captured; `frame` is the one that this is the outline of.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.payload_at).unwrap_or(usize::MAX);
        let len = usize::try_from(self.payload_len).unwrap_or(usize::MAX);
        frame
            .get(start..)
            .and_then(|behind| behind.get(..len))
            .unwrap_or_default()
    }

    /// The TCP header without its options; the payload is left to [`Outline::payload`]. `None` for UDP.
    #[inline]
    pub fn tcp(&self) -> Option<Tcp<'static>> {
        let tcp = self.tcp?;
        let [sport, dport] = self.key.ports();
        Some(Tcp {
            sport,
            dport,
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            window_scale: None,
            mss: None,
            options: &[],
            payload: &[],
            payload_len: tcp.sent,
        })
    }
}

#[inline]
fn ipv4(
    rest: &[u8],
    header_len: usize,
    original_len: usize,
    place: (Wire, VlanTags),
    seed: u64,
) -> Option<Outline> {
    let (header, behind) = rest.split_first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    let claimed = original_len.checked_sub(header_len)?;
    if header[0] != 0x45 || fragment != 0 || total > claimed {
        return None;
    }
    let src = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
    let dst = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
    let ends = Ends {
        src: src.into(),
        dst: dst.into(),
        v6: false,
        protocol: IpProtocol(header[9]),
    };
    let sent = total.checked_sub(20)?;
    transport(&ends, behind, sent, header_len.checked_add(20)?, place, seed)
}

#[inline]
fn ipv6(
    rest: &[u8],
    header_len: usize,
    original_len: usize,
    place: (Wire, VlanTags),
    seed: u64,
) -> Option<Outline> {
    let (header, behind) = rest.split_first_chunk::<40>()?;
    let sent = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let claimed = original_len.checked_sub(header_len)?;
    if header[0] >> 4 != 6 || sent == 0 || sent.checked_add(40)? > claimed {
        return None;
    }
    let ends = Ends {
        src: u128::from_be_bytes(*header.get(8..)?.first_chunk()?),
        dst: u128::from_be_bytes(*header.get(24..)?.first_chunk()?),
        v6: true,
        protocol: IpProtocol(header[6]),
    };
    transport(&ends, behind, sent, header_len.checked_add(40)?, place, seed)
}

/// What an IP header says of a flow.
struct Ends {
    src: u128,
    dst: u128,
    v6: bool,
    protocol: IpProtocol,
}

#[inline]
fn transport(
    ends: &Ends,
    behind: &[u8],
    sent: usize,
    at: usize,
    (wire, vlans): (Wire, VlanTags),
    seed: u64,
) -> Option<Outline> {
    let captured = behind.get(..sent).unwrap_or(behind);
    let (ports, header_len, payload_len, tcp) = match ends.protocol {
        IpProtocol::UDP => {
            let header = captured.first_chunk::<8>()?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            let dport = u16::from_be_bytes([header[2], header[3]]);
            if length > sent || is_tunnel_port(dport) {
                return None;
            }
            let carried = length.checked_sub(8)?.min(captured.len().checked_sub(8)?);
            let ports = [u16::from_be_bytes([header[0], header[1]]), dport];
            (ports, 8, carried, None)
        }
        IpProtocol::TCP => {
            let header = captured.first_chunk::<20>()?;
            let header_len = usize::from(header[12] >> 4).checked_mul(4)?;
            if header_len < 20 {
                return None;
            }
            let carried = captured.len().checked_sub(header_len)?;
            let tcp = TcpOutline {
                seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
                sent: u32::try_from(sent.checked_sub(header_len)?).ok()?,
                window: u16::from_be_bytes([header[14], header[15]]),
                flags: TcpFlags(header[13]),
            };
            let ports = [
                u16::from_be_bytes([header[0], header[1]]),
                u16::from_be_bytes([header[2], header[3]]),
            ];
            (ports, header_len, carried, Some(tcp))
        }
        _ => return None,
    };
    let key = FlowKey {
        src: ends.src,
        dst: ends.dst,
        ports,
        vlans,
        tunnel: TunnelId::NONE,
        wire,
        protocol: ends.protocol,
        v6: ends.v6,
    };
    Some(Outline {
        key,
        hash: key.symmetric_hash(seed),
        payload_at: u32::try_from(at.checked_add(header_len)?).ok()?,
        payload_len: u32::try_from(payload_len).ok()?,
        tcp,
    })
}
