//! What a virtual link left undone: unfinished checksums and frames that are still to be segmented.
//!
//! The kernel hands both over in front of the frame, in the header of virtio-net (virtio 1.2, 5.1.6),
//! and takes them back the same way on transmit.

/// The bytes of the header in front of a frame.
pub(super) const VNET_HEADER: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_UDP_FRAGMENTS: u8 = 3;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP_SEGMENTS: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What is still to be done to a frame, or known about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The transport checksum.
    pub checksum: ChecksumState,
    /// The frame stands for several: it is to be cut where it enters a link that cannot carry it whole.
    pub gso: Option<Gso>,
}

/// Whether the transport checksum of a frame is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumState {
    /// Nobody has looked: what stands there is to be verified. For a frame sent: it is complete.
    #[default]
    Unverified,
    /// The field holds the sum of the pseudo header only; the sum from byte `start` to the end is to be
    /// added and stored, inverted, at byte `start + offset`. The data never left this machine, or the
    /// kernel joined frames that it had verified.
    Unfinished {
        /// Where the sum begins, from the first byte of the frame.
        start: u16,
        /// Where the field lies, from `start`.
        offset: u16,
    },
    /// The hardware has verified it.
    Verified,
}

/// A frame that stands for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// What is to be cut.
    pub kind: GsoKind,
    /// Payload bytes of each segment.
    pub size: u16,
    /// Bytes of the headers that each segment repeats, as the sender said: a hint, it may be short.
    pub header_len: u16,
    /// Congestion was signalled within: the cut repeats CWR in the first segment only.
    pub ecn: bool,
}

/// How a frame is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP segments over IPv4.
    TcpV4,
    /// TCP segments over IPv6.
    TcpV6,
    /// One UDP datagram a segment (`UDP_SEGMENT`).
    UdpSegments,
    /// IP fragments of one UDP datagram.
    UdpFragments,
}

impl Offload {
    /// A frame with nothing left to do: what cordon itself sends.
    pub const COMPLETE: Self = Self {
        checksum: ChecksumState::Unverified,
        gso: None,
    };

    /// From the header in front of a received frame; `None` for a kind of segmentation that is not known.
    pub(super) fn from_vnet(header: [u8; VNET_HEADER]) -> Option<Self> {
        let [flags, gso, h0, h1, s0, s1, c0, c1, o0, o1] = header;
        let checksum = if flags & NEEDS_CHECKSUM != 0 {
            ChecksumState::Unfinished {
                start: u16::from_ne_bytes([c0, c1]),
                offset: u16::from_ne_bytes([o0, o1]),
            }
        } else if flags & DATA_VALID != 0 {
            ChecksumState::Verified
        } else {
            ChecksumState::Unverified
        };
        let kind = match gso & !GSO_ECN {
            GSO_NONE => return Some(Self { checksum, gso: None }),
            GSO_TCP_V4 => GsoKind::TcpV4,
            GSO_TCP_V6 => GsoKind::TcpV6,
            GSO_UDP_SEGMENTS => GsoKind::UdpSegments,
            GSO_UDP_FRAGMENTS => GsoKind::UdpFragments,
            _ => return None,
        };
        let gso = Some(Gso {
            kind,
            size: u16::from_ne_bytes([s0, s1]),
            header_len: u16::from_ne_bytes([h0, h1]),
            ecn: gso & GSO_ECN != 0,
        });
        Some(Self { checksum, gso })
    }

    /// The header for a frame to send. `linear` is how many of its first bytes the kernel is to copy at
    /// once: more than the headers costs little, fewer cost it a second look.
    pub(super) fn to_vnet(self, linear: u16) -> [u8; VNET_HEADER] {
        let (flags, start, offset) = match self.checksum {
            ChecksumState::Unfinished { start, offset } => (NEEDS_CHECKSUM, start, offset),
            ChecksumState::Verified => (DATA_VALID, 0, 0),
            ChecksumState::Unverified => (0, 0, 0),
        };
        let (kind, header_len, size) = match self.gso {
            None => (GSO_NONE, linear, 0),
            Some(gso) => {
                let kind = match gso.kind {
                    GsoKind::TcpV4 => GSO_TCP_V4,
                    GsoKind::TcpV6 => GSO_TCP_V6,
                    GsoKind::UdpSegments => GSO_UDP_SEGMENTS,
                    GsoKind::UdpFragments => GSO_UDP_FRAGMENTS,
                };
                (kind | if gso.ecn { GSO_ECN } else { 0 }, gso.header_len, gso.size)
            }
        };
        let [h0, h1] = header_len.to_ne_bytes();
        let [s0, s1] = size.to_ne_bytes();
        let [c0, c1] = start.to_ne_bytes();
        let [o0, o1] = offset.to_ne_bytes();
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    /// The same, `by` bytes further back in the frame: a VLAN tag was put in before it.
    pub(super) fn moved_back(self, by: u16) -> Self {
        let checksum = match self.checksum {
            ChecksumState::Unfinished { start, offset } => ChecksumState::Unfinished {
                start: start.saturating_add(by),
                offset,
            },
            known @ (ChecksumState::Unverified | ChecksumState::Verified) => known,
        };
        let gso = self.gso.map(|gso| Gso {
            header_len: gso.header_len.saturating_add(by),
            ..gso
        });
        Self { checksum, gso }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `virtio_net_hdr` as a little-endian machine lays it out.
    fn header(flags: u8, gso: u8, fields: [u16; 4]) -> [u8; VNET_HEADER] {
        let mut bytes = vec![flags, gso];
        bytes.extend(fields.iter().flat_map(|field| field.to_ne_bytes()));
        bytes.try_into().unwrap()
    }

    #[test]
    fn a_tcp_frame_of_a_veth_is_unfinished_and_uncut() {
        let offload = Offload::from_vnet(header(1, 0x81, [66, 1448, 34, 16])).unwrap();
        assert_eq!(
            offload.checksum,
            ChecksumState::Unfinished {
                start: 34,
                offset: 16
            }
        );
        let gso = offload.gso.unwrap();
        assert_eq!(
            (gso.kind, gso.size, gso.header_len, gso.ecn),
            (GsoKind::TcpV4, 1448, 66, true)
        );
    }

    #[test]
    fn a_frame_of_a_nic_is_verified_or_not() {
        assert_eq!(Offload::from_vnet([0; VNET_HEADER]), Some(Offload::COMPLETE));
        let verified = Offload::from_vnet(header(2, 0, [0; 4])).unwrap();
        assert_eq!(verified.checksum, ChecksumState::Verified);
    }

    #[test]
    fn an_unknown_segmentation_is_told() {
        assert_eq!(Offload::from_vnet(header(0, 9, [0; 4])), None);
    }

    #[test]
    fn a_tag_put_in_moves_the_sum_not_its_field() {
        let offload = Offload::from_vnet(header(1, 4, [74, 1440, 54, 16])).unwrap();
        assert_eq!(offload.moved_back(4).to_vnet(0), header(1, 4, [78, 1440, 58, 16]));
    }

    proptest! {
        #[test]
        fn what_was_received_is_sent_unchanged(
            unfinished: bool,
            gso in prop::sample::select(vec![0x00, 0x01, 0x81, 0x03, 0x04, 0x84, 0x05]),
            linear: u16, size: u16, start: u16, offset: u16,
        ) {
            let sum = if unfinished { [start, offset] } else { [0, 0] };
            let size = if gso == 0 { 0 } else { size };
            let given = header(u8::from(unfinished), gso, [linear, size, sum[0], sum[1]]);
            let sent = Offload::from_vnet(given).unwrap().to_vnet(linear);
            prop_assert_eq!(given, sent);
        }
    }
}
