//! Packets inside packets: IP in IP, GRE, VXLAN, Geneve, GTP-U.
//!
//! A tunnel's header is read where its protocol number or port announces one and the header is sound; else the
//! packet is what it says it is on the outside and no more. Only IP that is found inside becomes a packet of its own.

pub(crate) mod gre;
mod over_udp;
#[cfg(test)]
mod tests;

pub(crate) use over_udp::is_tunnel_port;

use crate::{
    FlowKey, FlowTuple, Ip, IpProtocol, Link, LinkType, Malformed, Packet, Transport, Wire,
    flow_key::{MIX, fold},
    parse::{Begins, parse_inside},
};

/// Packets one inside another, the outermost not counted. What lies deeper is for nobody to judge.
pub const MAX_TUNNEL_DEPTH: u8 = 4;

/// The tunnel that a flow runs in: its two ends, its kind, the network it names, and the tunnel around it.
///
/// Both directions have the same id. It is a keyed hash: two tunnels share one by chance in 2^32, and nobody
/// without the key can find two that do. No tunnel has the id of [`TunnelId::NONE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(u32);

impl TunnelId {
    /// Outside any tunnel.
    pub const NONE: Self = Self(0);

    /// The bits, for hashing.
    pub fn to_bits(self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// Where a packet lies that travels inside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Which tunnel.
    pub id: TunnelId,
    /// How many packets are around it: 1 to [`MAX_TUNNEL_DEPTH`] and one more, which is refused.
    pub depth: u8,
}

/// How a tunnel wraps what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encapsulation {
    /// IPv4 or IPv6 directly behind an IP header (RFC 2003, RFC 2473, RFC 4213).
    IpInIp,
    /// Generic routing encapsulation (RFC 2784, RFC 2890), PPTP's (RFC 2637) included.
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// User data of mobile networks (3GPP TS 29.281).
    GtpU,
}

/// What a tunnel header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) encapsulation: Encapsulation,
    /// The network that the header names, where both directions name the same.
    pub(crate) key: u32,
    /// Bytes of the header.
    pub(crate) len: usize,
    /// The most bytes that can follow, as far as the header itself tells.
    pub(crate) most: usize,
    pub(crate) carries: Carries,
}

/// What follows a tunnel header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// A packet of the IP version with this `EtherType`.
    Version(u16),
    /// IP of either version, or something that is none.
    IpOrElse,
    /// An Ethernet frame.
    Ethernet,
    /// A PPP frame.
    Ppp,
    /// An MPLS label stack.
    Labels,
    /// Nothing that is looked into.
    Opaque,
}

impl Carries {
    /// By an `EtherType` in a tunnel header.
    fn of_ethertype(ethertype: u16) -> Self {
        match ethertype {
            Link::IPV4 | Link::IPV6 => Self::Version(ethertype),
            // Transparent Ethernet bridging.
            0x6558 => Self::Ethernet,
            Link::MPLS | Link::MPLS_MULTICAST => Self::Labels,
            _ => Self::Opaque,
        }
    }
}

impl<'a> Packet<'a> {
    /// How the packet wraps another, if it has a sound tunnel header.
    pub fn encapsulation(&self) -> Option<Encapsulation> {
        Some(self.tunnel_header()?.1.encapsulation)
    }

    /// The packet inside this one. `Ok(None)` where there is none, or none that is IP; `seed` keys the
    /// [`TunnelId`].
    ///
    /// # Errors
    /// As [`crate::parse`]: what a tunnel carries can lie as well as anything else.
    #[inline]
    pub fn inside(&self, seed: u64) -> Result<Option<Self>, Malformed> {
        match self.tunnel_header() {
            None => Ok(None),
            Some((ip, header)) => self.open(ip, &header, seed),
        }
    }

    /// The tunnel header, and the IP header it stands behind. One look at protocol and port settles nearly all
    /// packets.
    #[inline]
    pub(crate) fn tunnel_header(&self) -> Option<(&Ip<'a>, Header)> {
        let ip = self.ip()?;
        let header = match &ip.transport {
            Transport::Udp(udp) => over_udp::header(udp)?,
            Transport::Other { payload } => match ip.protocol {
                IpProtocol::GRE => gre::header(payload)?,
                IpProtocol::IPIP => directly(Link::IPV4),
                IpProtocol::IPV6 => directly(Link::IPV6),
                _ => return None,
            },
            Transport::Tcp(_) | Transport::Icmp(_) | Transport::Fragment { .. } => return None,
        };
        Some((ip, header))
    }

    #[inline(never)]
    fn open(&self, ip: &Ip<'a>, header: &Header, seed: u64) -> Result<Option<Self>, Malformed> {
        let (at, sent) = behind_transport(ip);
        let at = at.saturating_add(header.len);
        let claimed = sent.checked_sub(header.len).ok_or(Malformed::BadLinkHeader)?;
        let claimed = claimed.min(header.most);
        let begins = match header.carries {
            Carries::Opaque => return Ok(None),
            Carries::IpOrElse | Carries::Version(_) => Begins::With(LinkType::RawIp),
            Carries::Ethernet => Begins::With(LinkType::Ethernet),
            Carries::Ppp => Begins::With(LinkType::Ppp),
            Carries::Labels => Begins::WithLabels,
        };
        let version = self.frame.get(at).map(|byte| byte >> 4);
        match (header.carries, version) {
            (Carries::IpOrElse, Some(4 | 6)) => {}
            (Carries::IpOrElse, _) => return Ok(None),
            (Carries::Version(Link::IPV4), Some(version)) if version != 4 => {
                return Err(Malformed::BadIpVersion);
            }
            (Carries::Version(Link::IPV6), Some(version)) if version != 6 => {
                return Err(Malformed::BadIpVersion);
            }
            _ => {}
        }
        parse_inside(self, begins, at, claimed, |inner| {
            self.tunnel_of(ip, header, inner, seed)
        })
    }

    /// The tunnel around what this packet carries.
    fn tunnel_of(&self, ip: &Ip<'_>, header: &Header, inner: &Link, seed: u64) -> Tunnel {
        let (around, depth) = self
            .tunnel
            .map_or((TunnelId::NONE, 0), |tunnel| (tunnel.id, tunnel.depth));
        let ends = FlowTuple {
            src: ip.src,
            dst: ip.dst,
            sport: 0,
            dport: 0,
            protocol: ip.protocol,
        };
        // The flow key's hash is the same for both directions already.
        let hash = FlowKey::new(Wire(0), inner.vlans, &ends)
            .in_tunnel(around)
            .symmetric_hash(seed);
        let named = u64::from(header.key) | (u64::from(header.encapsulation as u8) << 32);
        let [_, _, _, _, id @ ..] = fold(hash ^ MIX, named ^ seed ^ MIX).to_be_bytes();
        Tunnel {
            id: TunnelId(u32::from_be_bytes(id).max(1)),
            depth: depth.saturating_add(1),
        }
    }
}

/// Where in the frame the bytes begin that a tunnel header would, and how many were sent.
pub(crate) fn behind_transport(ip: &Ip<'_>) -> (usize, usize) {
    let at = usize::try_from(ip.payload_at).unwrap_or(usize::MAX);
    let (at, sent) = match &ip.transport {
        Transport::Udp(udp) => (at.saturating_add(8), udp.payload_len),
        Transport::Tcp(_) | Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => {
            (at, ip.payload_len)
        }
    };
    (at, usize::try_from(sent).unwrap_or(usize::MAX))
}

fn directly(ethertype: u16) -> Header {
    Header {
        encapsulation: Encapsulation::IpInIp,
        key: 0,
        len: 0,
        most: usize::MAX,
        carries: Carries::Version(ethertype),
    }
}
