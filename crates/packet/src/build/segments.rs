//! Segments of a connection that somebody else opened, in frames like those its own end sends.

use super::{
    headers::{self, Addresses, Segment, put16},
    link_length::set_link_length,
};
use crate::{IpProtocol, Link, Packet, Transport, checksum::Sum};

/// Longest link header that is kept: Ethernet with two VLAN tags and `PPPoE`, or any cooked header.
const MAX_LINK_HEADER: usize = 32;
/// Most bytes of options a TCP header can have (RFC 9293 §3.1).
const MAX_OPTIONS: usize = 40;

/// How a frame's TCP checksum is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summing {
    /// It is complete.
    Complete,
    /// The field holds the sum of the pseudo header; whoever sends the frame adds the rest, or lets a link in memory
    /// carry it as it is.
    Unfinished,
}

/// What is still to be done to a frame whose checksum is unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Where the TCP header begins, from the first byte of the frame; the sum runs from here to the end.
    pub transport_at: u16,
    /// Bytes of link, IP and TCP header.
    pub headers: u16,
    /// The frame stands for several segments, of this many bytes each.
    pub segment_size: Option<u16>,
    /// It carries IPv6.
    pub ipv6: bool,
}

impl Unfinished {
    /// Where the checksum lies, from [`Unfinished::transport_at`].
    pub const CHECKSUM_AT: u16 = 16;
}

/// One direction of a TCP connection: everything of its frames but the segments.
#[derive(Clone, Copy, Debug)]
pub struct SegmentFrames {
    link: Link,
    header: [u8; MAX_LINK_HEADER],
    addresses: Addresses,
    ports: [u16; 2],
    hop_limit: u8,
}

impl SegmentFrames {
    /// Frames as `packet` came in, for the same direction. `None` where it is no TCP, comes out of a tunnel, or has
    /// a link header longer than any that is known.
    pub fn like(packet: &Packet<'_>) -> Option<Self> {
        let ip = packet.ip()?;
        let Transport::Tcp(tcp) = &ip.transport else {
            return None;
        };
        if packet.tunnel().is_some() {
            return None;
        }
        let link = *packet.link();
        let mut header = [0; MAX_LINK_HEADER];
        header
            .get_mut(..link.header_len)?
            .copy_from_slice(packet.frame().get(..link.header_len)?);
        Some(Self {
            link,
            header,
            addresses: Addresses::new(ip.src, ip.dst),
            ports: [tcp.sport, tcp.dport],
            hop_limit: ip.hop_limit,
        })
    }

    /// Whether frames carry IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.addresses.src.is_ipv6()
    }

    /// Bytes of IP and fixed TCP header: what of a path's MTU is not for options and data.
    pub fn overhead(&self) -> usize {
        self.addresses.header_len().saturating_add(20)
    }

    /// A frame with `segment` in `out`, which is emptied first; its data is followed by `rest`. `segment_size`: where the data is longer than this, the
    /// frame stands for several; only for [`Summing::Unfinished`].
    ///
    /// `Err`: nothing was written, the segment is longer than IP can carry. `Ok(None)`: the frame is complete.
    pub fn write(
        &self,
        segment: &Segment<'_>,
        rest: &[u8],
        options: &[u8],
        summing: Summing,
        segment_size: Option<u16>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Unfinished>, TooLong> {
        out.clear();
        let options = options.get(..MAX_OPTIONS).unwrap_or(options);
        let length = options
            .len()
            .next_multiple_of(4)
            .saturating_add(20)
            .saturating_add(segment.payload.len())
            .saturating_add(rest.len());
        out.extend_from_slice(self.header.get(..self.link.header_len).unwrap_or_default());
        let ip_len = self.addresses.header_len().saturating_add(length);
        set_link_length(out, &self.link, ip_len);
        if !headers::ip(out, self.addresses, IpProtocol::TCP, self.hop_limit, length) {
            out.clear();
            return Err(TooLong);
        }
        let at = out.len();
        headers::tcp_unsummed(out, self.ports, segment, options);
        out.extend_from_slice(rest);
        match summing {
            Summing::Complete => {
                let sum = headers::transport_checksum(out, at, self.addresses, IpProtocol::TCP);
                put16(out, at.saturating_add(usize::from(Unfinished::CHECKSUM_AT)), sum);
                Ok(None)
            }
            Summing::Unfinished => {
                let payload = segment.payload.len().saturating_add(rest.len());
                Ok(Some(self.unfinished(out, at, payload, segment_size)))
            }
        }
    }

    fn unfinished(&self, out: &mut [u8], at: usize, payload: usize, segment_size: Option<u16>) -> Unfinished {
        let length = out.len().saturating_sub(at);
        let sum = Sum::default()
            .pseudo_header(
                self.addresses.src,
                self.addresses.dst,
                IpProtocol::TCP,
                u32::try_from(length).unwrap_or(u32::MAX),
            )
            .finish();
        put16(out, at.saturating_add(usize::from(Unfinished::CHECKSUM_AT)), !sum);
        let headers = out.len().saturating_sub(payload);
        Unfinished {
            transport_at: u16::try_from(at).unwrap_or(u16::MAX),
            headers: u16::try_from(headers).unwrap_or(u16::MAX),
            segment_size: segment_size.filter(|size| payload > usize::from(*size)),
            ipv6: self.is_ipv6(),
        }
    }
}

/// A segment that no IP packet can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checksums, LinkType, TcpFlags, VlanTags, build, parse};

    fn segment(payload: &[u8]) -> Segment<'_> {
        Segment {
            seq: 7,
            ack: 9,
            flags: TcpFlags::ACK | TcpFlags::PSH,
            window: 1000,
            payload,
        }
    }

    fn model(ipv6: bool) -> Vec<u8> {
        let ends = if ipv6 {
            build::Ends::new(
                "[2001:db8::1]:40000".parse().unwrap(),
                "[2001:db8::2]:443".parse().unwrap(),
            )
        } else {
            build::Ends::new(
                "192.0.2.1:40000".parse().unwrap(),
                "198.51.100.2:443".parse().unwrap(),
            )
        };
        build::ethernet_tcp(&ends.in_vlans(VlanTags::single(5)), &segment(b"model"))
    }

    #[test]
    fn a_segment_written_like_its_model_is_read_back_with_right_checksums() {
        for ipv6 in [false, true] {
            let frame = model(ipv6);
            let packet = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify).unwrap();
            let frames = SegmentFrames::like(&packet).unwrap();
            let mut out = Vec::new();
            let options = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
            let left = frames.write(
                &segment(b"other "),
                b"data",
                &options,
                Summing::Complete,
                None,
                &mut out,
            );
            assert_eq!(left, Ok(None));
            let read = parse(LinkType::Ethernet, &out, out.len(), Checksums::Verify).unwrap();
            let Transport::Tcp(tcp) = &read.ip().unwrap().transport else {
                panic!("no TCP");
            };
            assert_eq!((tcp.seq, tcp.ack, tcp.payload), (7, 9, &b"other data"[..]));
            assert_eq!(tcp.options, [8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0]);
            assert_eq!(read.link().vlans, packet.link().vlans);
        }
    }

    #[test]
    fn an_unfinished_checksum_is_finished_by_adding_the_rest() {
        for ipv6 in [false, true] {
            let frame = model(ipv6);
            let packet = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify).unwrap();
            let frames = SegmentFrames::like(&packet).unwrap();
            let mut out = Vec::new();
            let payload = vec![3; 4000];
            let left = frames
                .write(
                    &segment(&payload),
                    &[],
                    &[],
                    Summing::Unfinished,
                    Some(1400),
                    &mut out,
                )
                .unwrap()
                .unwrap();
            assert_eq!(left.segment_size, Some(1400));
            assert_eq!(usize::from(left.headers) + payload.len(), out.len());
            let at = usize::from(left.transport_at);
            let sum = Sum::default().bytes(&out[at..]).finish();
            put16(&mut out, at + usize::from(Unfinished::CHECKSUM_AT), sum);
            assert!(parse(LinkType::Ethernet, &out, out.len(), Checksums::Verify).is_ok());
        }
    }

    #[test]
    fn what_ip_cannot_carry_is_not_written() {
        let frame = model(false);
        let packet = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify).unwrap();
        let mut out = Vec::new();
        let written = SegmentFrames::like(&packet).unwrap().write(
            &segment(&vec![0; 65_530]),
            &[],
            &[],
            Summing::Complete,
            None,
            &mut out,
        );
        assert_eq!(written, Err(TooLong));
        assert!(out.is_empty());
    }
}
