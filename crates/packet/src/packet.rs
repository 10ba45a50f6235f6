//! The checked view of one frame that every later stage works with.

use std::net::IpAddr;

use crate::{FlowTuple, IpProtocol, LinkType, MacAddr, Tunnel, VlanTags};

/// Whether [`crate::parse`] believes checksums or computes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksums {
    /// Captures hold checksums that hardware was to fill in later: do not look.
    Ignore,
    /// A wrong checksum makes a frame malformed.
    Verify,
}

/// One frame, checked: whatever the accessors return was proven to lie inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub(crate) frame: &'a [u8],
    pub(crate) original_len: usize,
    pub(crate) checksums: Checksums,
    pub(crate) link: Link,
    pub(crate) network: Network<'a>,
    pub(crate) tunnel: Option<Tunnel>,
}

impl<'a> Packet<'a> {
    /// The bytes that were captured, from the link header on.
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// The length the frame had on the wire; more than [`Packet::frame`] holds where a snap length cut it.
    pub fn original_len(&self) -> usize {
        self.original_len
    }

    /// The frame's link header. Of a packet from inside a tunnel its `header_len` covers all the headers around
    /// it; everything else in it is the frame's own.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// What the link header carries.
    pub fn network(&self) -> &Network<'a> {
        &self.network
    }

    /// The IP packet, if it is one.
    pub fn ip(&self) -> Option<&Ip<'a>> {
        match &self.network {
            Network::Ip(ip) => Some(ip),
            Network::NonIp => None,
        }
    }

    /// The tunnel that the packet travels in; `None` where nothing is around it.
    pub fn tunnel(&self) -> Option<Tunnel> {
        self.tunnel
    }

    /// Source, destination and ports; `None` for what is not IP, and for fragments.
    ///
    /// An ICMP error has the tuple of its own header here; what it quotes is in [`IcmpMessage::Error`].
    pub fn flow_tuple(&self) -> Option<FlowTuple> {
        let ip = self.ip()?;
        let (sport, dport) = match &ip.transport {
            Transport::Tcp(tcp) => (tcp.sport, tcp.dport),
            Transport::Udp(udp) => (udp.sport, udp.dport),
            Transport::Icmp(icmp) => match icmp.message {
                IcmpMessage::Echo { identifier, .. } => (identifier, identifier),
                IcmpMessage::Error { .. } | IcmpMessage::NeighborDiscovery | IcmpMessage::Other => (0, 0),
            },
            Transport::Other { .. } => (0, 0),
            Transport::Fragment { .. } => return None,
        };
        Some(FlowTuple {
            src: ip.src,
            dst: ip.dst,
            sport,
            dport,
            protocol: ip.protocol,
        })
    }
}

/// The link header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How the frame begins.
    pub kind: LinkType,
    /// Sender's link-layer address, where the link type has one.
    pub source: Option<MacAddr>,
    /// Receiver's link-layer address, where the link type has one.
    pub destination: Option<MacAddr>,
    /// VLAN tags, outermost first.
    pub vlans: VlanTags,
    /// The `EtherType` behind the VLAN tags.
    ///
    /// For frames with an IEEE 802.3 length it is the `EtherType` of a SNAP header with OUI 0, else the LLC
    /// destination service access point (below 0x100; [`Link::LLC_STP`] is spanning tree). 0 where there
    /// is nothing to go by. Links without an `EtherType` get that of the IP version they announce.
    pub ethertype: u16,
    /// Bytes before the IP header, or before the payload of what is not IP.
    pub header_len: usize,
}

impl Link {
    /// [`Link::ethertype`] of IPv4.
    pub const IPV4: u16 = 0x0800;
    /// [`Link::ethertype`] of IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// [`Link::ethertype`] of ARP.
    pub const ARP: u16 = 0x0806;
    /// [`Link::ethertype`] of MPLS. Where it carries IP, `header_len` covers the label stack too.
    pub const MPLS: u16 = 0x8847;
    /// [`Link::ethertype`] of MPLS with upstream-assigned or multicast labels (RFC 5332).
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// [`Link::ethertype`] of a `PPPoE` session. Where it carries IP, `header_len` covers `PPPoE` and PPP too.
    pub const PPPOE_SESSION: u16 = 0x8864;
    /// [`Link::ethertype`] of LLC frames of the spanning tree protocol (IEEE 802.1D).
    pub const LLC_STP: u16 = 0x42;
}

/// What a link header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network<'a> {
    /// Neither IPv4 nor IPv6.
    NonIp,
    /// An IPv4 or IPv6 packet, or a fragment of one.
    Ip(Ip<'a>),
}

/// An IP packet or fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address; of the same family as `src`. Where an IPv6 routing header leads on, the final one,
    /// if its type tells: what the transport is bound to, and what its answers come from.
    pub dst: IpAddr,
    /// The protocol behind the extension headers; of a fragment, what its own header says comes next.
    pub protocol: IpProtocol,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Set where this is part of a datagram. An IPv6 fragment that is the whole datagram ("atomic",
    /// RFC 6946) is none.
    pub fragment: Option<FragmentInfo>,
    /// What IP carries.
    pub transport: Transport<'a>,
    /// Bytes behind the IP and extension headers, as the IP header says they were sent.
    pub payload_len: u32,
    /// Where those bytes begin in the frame.
    pub(crate) payload_at: u32,
    /// A routing header of a kind that is not read leads on: the receiver's checksum is over another address.
    pub(crate) final_destination_unknown: bool,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub identification: u32,
    /// Offset of its first byte in the datagram's payload.
    pub offset: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Where in the frame stands the byte that names what the datagram carries: the IPv4 protocol field,
    /// or the "next header" that names the IPv6 fragment header.
    pub(crate) next_header_at: u32,
}

/// What an IP packet carries. Payloads are what was captured of them, without link-layer padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(Tcp<'a>),
    /// A UDP datagram.
    Udp(Udp<'a>),
    /// An ICMP or `ICMPv6` message.
    Icmp(Icmp),
    /// Any other protocol.
    Other {
        /// Bytes behind the IP headers.
        payload: &'a [u8],
    },
    /// A fragment: nothing in it is interpreted before the datagram is whole.
    Fragment {
        /// Bytes behind the IP headers.
        payload: &'a [u8],
    },
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; meaningful with [`TcpFlags::ack`].
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, unscaled.
    pub window: u16,
    /// Shift count of the window scale option, at most 14; only read where SYN is set (RFC 7323 §2.2).
    pub window_scale: Option<u8>,
    /// Maximum segment size option; only read where SYN is set (RFC 9293 §3.7.1).
    pub mss: Option<u16>,
    /// The options as they stand in the header, padding included; what a snap length cut off is missing.
    pub options: &'a [u8],
    /// The data that was captured.
    pub payload: &'a [u8],
    /// Bytes of data that were sent, according to the IP header.
    pub payload_len: u32,
}

/// The control bits of a TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is valid.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is valid.
    pub const URG: Self = Self(0x20);

    /// Whether FIN is set.
    pub fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    pub fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    pub fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether PSH is set.
    pub fn psh(self) -> bool {
        self.contains(Self::PSH)
    }

    /// Whether ACK is set.
    pub fn ack(self) -> bool {
        self.contains(Self::ACK)
    }

    /// Whether URG is set.
    pub fn urg(self) -> bool {
        self.contains(Self::URG)
    }

    /// Whether all of `other`'s bits are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The data that was captured.
    pub payload: &'a [u8],
    /// Bytes of data that were sent, according to the UDP header.
    pub payload_len: u32,
}

/// An ICMP (RFC 792) or `ICMPv6` (RFC 4443) message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether this is `ICMPv6`.
    pub v6: bool,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// What the message is about.
    pub message: IcmpMessage,
}

/// What an ICMP message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpMessage {
    /// Echo request or reply.
    Echo {
        /// Identifier.
        identifier: u16,
        /// Sequence number.
        sequence: u16,
        /// A request, not a reply.
        request: bool,
    },
    /// An error, or an IPv4 redirect or source quench: it quotes the packet that caused it.
    Error {
        /// The tuple of the quoted packet, in the direction it had. `None` where the quote is too short
        /// or is a later fragment.
        quoted: Option<FlowTuple>,
    },
    /// IPv6 neighbor discovery (RFC 4861) or multicast listener discovery (RFC 2710, RFC 3810).
    NeighborDiscovery,
    /// Anything else.
    Other,
}

/// Whether a packet is part of what a link needs to work at all: neighbor and multicast listener discovery,
/// DHCP and `DHCPv6`. Such packets cross a virtual wire unless the policy protects it. Inside a tunnel there are
/// none: no link of ours needs those.
pub fn crosses_always(packet: &Packet<'_>) -> bool {
    let Some(ip) = packet.ip().filter(|_| packet.tunnel.is_none()) else {
        return false;
    };
    match &ip.transport {
        Transport::Icmp(icmp) => icmp.message == IcmpMessage::NeighborDiscovery,
        Transport::Udp(udp) => {
            let dhcp = if ip.src.is_ipv4() { [67, 68] } else { [546, 547] };
            dhcp.contains(&udp.sport) && dhcp.contains(&udp.dport)
        }
        Transport::Tcp(_) | Transport::Other { .. } | Transport::Fragment { .. } => false,
    }
}
