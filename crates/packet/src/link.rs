//! What stands below IP: link types, link-layer addresses, VLAN tags, wires.

use std::fmt;

/// The virtual wire a packet crosses: an index into the policy's wires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wire(pub u16);

/// How the bytes of a frame begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet II or 802.3.
    Ethernet,
    /// The first byte is the first byte of an IPv4 or IPv6 header.
    RawIp,
    /// Linux "cooked" capture, version 1.
    Sll,
    /// Linux "cooked" capture, version 2.
    Sll2,
    /// BSD loopback: address family in the writer's byte order (either order is accepted).
    Null,
    /// PPP, with or without the HDLC-like address and control bytes.
    Ppp,
}

impl LinkType {
    /// From the link type number of a pcap or pcapng file; `None` for those cordon does not read.
    pub fn from_pcap(number: u32) -> Option<Self> {
        Some(match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::Sll,
            276 => Self::Sll2,
            _ => return None,
        })
    }
}

/// A 48-bit link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The VLAN ids of a frame, outermost first: none, one (802.1Q) or two (`QinQ`).
///
/// A third tag and beyond is refused by the parser. An 802.1p priority tag (VLAN id 0) counts as a
/// tag with id 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanTags(u32);

impl VlanTags {
    const PRESENT: u32 = 0x8000;
    const ID: u32 = 0x0fff;

    /// An untagged frame.
    pub const NONE: Self = Self(0);

    /// A frame with one tag; the id is cut to 12 bits.
    pub fn single(id: u16) -> Self {
        Self(Self::PRESENT | (u32::from(id) & Self::ID))
    }

    /// A frame with two tags; the ids are cut to 12 bits.
    pub fn double(outer: u16, inner: u16) -> Self {
        Self(Self::single(outer).0 | (Self::single(inner).0 << 16))
    }

    /// The outermost VLAN id.
    pub fn outer(self) -> Option<u16> {
        Self::id(self.0 & 0xffff)
    }

    /// The id of the tag inside the outermost.
    pub fn inner(self) -> Option<u16> {
        Self::id(self.0 >> 16)
    }

    fn id(half: u32) -> Option<u16> {
        if half & Self::PRESENT == 0 {
            return None;
        }
        u16::try_from(half & Self::ID).ok()
    }

    /// The bits, for hashing and keeping; those of `0x7000_7000` are never set.
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// From bits as [`VlanTags::to_bits`] gives them; others are not looked at.
    pub(crate) fn from_bits(bits: u32) -> Self {
        const MEANT: u32 = VlanTags::PRESENT | VlanTags::ID;
        Self(bits & (MEANT | (MEANT << 16)))
    }
}
