//! A datagram whose fragments are all there.

use crate::{
    Checksums, FragmentInfo, Ip, Link, Malformed, Packet, Transport, Tunnel,
    build::{has_8023_length, put16, set_link_length, type_field_at},
    checksum::Sum,
    parse,
    parse::parse_assembled,
};

/// Bytes of the IPv6 fragment header.
const FRAGMENT_HEADER: usize = 8;

/// A whole datagram, and the frames that brought it.
#[derive(Debug)]
pub struct Datagram<T> {
    /// The original frames with the caller's notes, in order of arrival.
    pub fragments: Vec<(T, Box<[u8]>)>,
    assembled: Assembled,
}

impl<T> Datagram<T> {
    pub(super) fn new(fragments: Vec<(T, Box<[u8]>)>, assembled: Assembled) -> Self {
        Self { fragments, assembled }
    }

    /// The datagram as one packet behind the first fragment's link header, or the headers of its tunnel; checksums are judged as that
    /// fragment's were.
    ///
    /// # Errors
    /// As [`parse`]: what fragments hid can be as malformed as anything else.
    pub fn packet(&self) -> Result<Packet<'_>, Malformed> {
        let Assembled {
            frame,
            original_len,
            link,
            checksums,
            tunnel,
        } = &self.assembled;
        match tunnel {
            None => parse(link.kind, frame, *original_len, *checksums),
            Some(tunnel) => parse_assembled(frame, *original_len, *link, *checksums, *tunnel),
        }
    }
}

/// The frame that would have come, had nobody fragmented it.
#[derive(Debug)]
pub(super) struct Assembled {
    frame: Vec<u8>,
    original_len: usize,
    link: Link,
    checksums: Checksums,
    tunnel: Option<Tunnel>,
}

/// The part of a datagram that one fragment brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// First byte in the datagram's payload.
    pub(super) start: u32,
    /// The byte behind its last.
    pub(super) end: u32,
    /// No more fragments follow.
    pub(super) last: bool,
    /// Which frame brought it.
    pub(super) frame: usize,
    /// Where in that frame what was captured of it begins.
    pub(super) captured_at: usize,
    /// Where it ends.
    pub(super) captured_end: usize,
}

impl Piece {
    pub(super) fn new(ip: &Ip<'_>, info: FragmentInfo, frame: usize) -> Self {
        let start = u32::from(info.offset);
        let captured = match ip.transport {
            Transport::Fragment { payload } => payload.len(),
            Transport::Tcp(_) | Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } => 0,
        };
        let captured_at = index(ip.payload_at);
        Self {
            start,
            end: start.saturating_add(ip.payload_len),
            last: !info.more,
            frame,
            captured_at,
            captured_end: captured_at.saturating_add(captured),
        }
    }
}

/// What the datagram takes from the fragment with its first byte.
#[derive(Clone, Debug)]
pub(super) struct FirstFragment {
    /// Link header, IP header, and what extension headers stand before the fragment header.
    head: Vec<u8>,
    link: Link,
    checksums: Checksums,
    tunnel: Option<Tunnel>,
    v6: bool,
    protocol: u8,
    next_header_at: usize,
}

impl FirstFragment {
    pub(super) fn new(packet: &Packet<'_>, ip: &Ip<'_>, info: FragmentInfo) -> Self {
        let v6 = ip.src.is_ipv6();
        let removed = if v6 { FRAGMENT_HEADER } else { 0 };
        let head_len = index(ip.payload_at).saturating_sub(removed);
        let mut first = Self {
            head: packet.frame().get(..head_len).unwrap_or_default().to_vec(),
            link: *packet.link(),
            checksums: packet.checksums,
            tunnel: packet.tunnel,
            v6,
            protocol: ip.protocol.0,
            next_header_at: index(info.next_header_at),
        };
        if first.tunnel.is_none() {
            first.leave_8023();
        }
        first
    }

    /// A whole datagram may be longer than an 802.3 length can say: `EtherType` framing takes its place.
    fn leave_8023(&mut self) {
        let Some(type_at) = type_field_at(&self.link) else {
            return;
        };
        let llc_at = type_at.saturating_add(2);
        let ip_at = self.link.header_len;
        if !has_8023_length(&self.head, &self.link) || llc_at > ip_at || ip_at > self.head.len() {
            return;
        }
        let removed = self.head.drain(llc_at..ip_at).len();
        put16(&mut self.head, type_at, self.link.ethertype);
        self.link.header_len = llc_at;
        self.next_header_at = self.next_header_at.saturating_sub(removed);
    }

    /// Puts `pieces`, which are in order and cover all of `total` bytes, behind the header; `None` where
    /// that header cannot hold the length.
    ///
    /// What a snap length cut from a piece is missing, and with it all that follows.
    pub(super) fn assemble<'p>(
        &self,
        total: u32,
        pieces: &'p [Piece],
        captured: impl Fn(&'p Piece) -> &'p [u8],
    ) -> Option<Assembled> {
        let ip_at = self.link.header_len;
        let ip_len = self.head.len().saturating_sub(ip_at).saturating_add(index(total));
        let mut frame = Vec::with_capacity(ip_at.saturating_add(ip_len));
        frame.extend_from_slice(&self.head);
        if self.v6 {
            let length = u16::try_from(ip_len.saturating_sub(40)).ok()?;
            put16(&mut frame, ip_at.saturating_add(4), length);
            *frame.get_mut(self.next_header_at)? = self.protocol;
        } else {
            put16(&mut frame, ip_at.saturating_add(2), u16::try_from(ip_len).ok()?);
            // No fragment any more; whether it may be fragmented stays as it was.
            let flags = frame.get_mut(ip_at.saturating_add(6)..ip_at.saturating_add(8))?;
            for (byte, kept) in flags.iter_mut().zip([0x40, 0]) {
                *byte &= kept;
            }
            let checksum_at = ip_at.saturating_add(10);
            put16(&mut frame, checksum_at, 0);
            let checksum = Sum::default().bytes(frame.get(ip_at..)?).finish();
            put16(&mut frame, checksum_at, checksum);
        }
        if self.tunnel.is_none() {
            set_link_length(&mut frame, &self.link, ip_len);
        }
        for piece in pieces {
            let bytes = captured(piece);
            frame.extend_from_slice(bytes);
            if bytes.len() < index(piece.end.saturating_sub(piece.start)) {
                break;
            }
        }
        Some(Assembled {
            frame,
            original_len: ip_at.saturating_add(ip_len),
            link: self.link,
            checksums: self.checksums,
            tunnel: self.tunnel,
        })
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
