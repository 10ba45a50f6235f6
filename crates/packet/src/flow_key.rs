//! What makes two packets belong together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{IpProtocol, TunnelId, VlanTags, Wire};

/// Source and destination of one packet, as it names them itself.
///
/// For ICMP echo both ports are the identifier; for protocols without ports both are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowTuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address; of the same family as `src`.
    pub dst: IpAddr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Protocol.
    pub protocol: IpProtocol,
}

impl FlowTuple {
    /// The tuple of a packet in the other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            ..self
        }
    }
}

/// A directed five-tuple on one wire and VLAN, and in one tunnel or none, packed for comparing and hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    pub(crate) src: u128,
    pub(crate) dst: u128,
    pub(crate) ports: [u16; 2],
    pub(crate) vlans: VlanTags,
    pub(crate) tunnel: TunnelId,
    pub(crate) wire: Wire,
    pub(crate) protocol: IpProtocol,
    pub(crate) v6: bool,
}

impl FlowKey {
    /// Source and destination port.
    pub(crate) fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// The key of `tuple` on `wire`, inside `vlans`, in no tunnel.
    pub fn new(wire: Wire, vlans: VlanTags, tuple: &FlowTuple) -> Self {
        Self {
            src: address_bits(tuple.src),
            dst: address_bits(tuple.dst),
            ports: [tuple.sport, tuple.dport],
            vlans,
            tunnel: TunnelId::NONE,
            wire,
            protocol: tuple.protocol,
            v6: tuple.src.is_ipv6(),
        }
    }

    /// The key of the same tuple inside `tunnel`: another flow than outside it.
    #[must_use]
    pub fn in_tunnel(self, tunnel: TunnelId) -> Self {
        Self { tunnel, ..self }
    }

    /// The key of packets in the other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        let [sport, dport] = self.ports;
        Self {
            src: self.dst,
            dst: self.src,
            ports: [dport, sport],
            ..self
        }
    }

    /// Whether `other` is the key of packets in the other direction.
    #[inline]
    pub fn is_reverse_of(&self, other: &Self) -> bool {
        let [sport, dport] = self.ports;
        self.src == other.dst
            && self.dst == other.src
            && [dport, sport] == other.ports
            && (self.vlans, self.tunnel, self.wire) == (other.vlans, other.tunnel, other.wire)
            && (self.protocol, self.v6) == (other.protocol, other.v6)
    }

    /// Source, destination and ports.
    pub fn tuple(&self) -> FlowTuple {
        let [sport, dport] = self.ports;
        FlowTuple {
            src: address(self.src, self.v6),
            dst: address(self.dst, self.v6),
            sport,
            dport,
            protocol: self.protocol,
        }
    }

    /// The wire the flow crosses.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The VLANs the flow lives in.
    pub fn vlans(&self) -> VlanTags {
        self.vlans
    }

    /// The tunnel the flow runs in; [`TunnelId::NONE`] for most.
    pub fn tunnel(&self) -> TunnelId {
        self.tunnel
    }

    /// A keyed hash that is the same for both directions of a flow.
    ///
    /// Its top bits choose the shard, its low bits the bucket. `seed` is drawn at start when live
    /// (an attacker must not be able to aim at one bucket) and fixed in replay.
    #[inline]
    pub fn symmetric_hash(&self, seed: u64) -> u64 {
        let [sport, dport] = self.ports;
        let a = endpoint(self.src, sport, seed);
        let b = endpoint(self.dst, dport, seed);
        let rest = u64::from(self.vlans.to_bits())
            ^ (u64::from(self.wire.0) << 32)
            ^ (u64::from(self.protocol.0) << 48)
            ^ (u64::from(self.v6) << 56);
        // Sum and product are each the same for (a, b) and (b, a); together they keep what the ends were.
        let both = fold(a.wrapping_add(b) ^ seed, (a ^ MIX).wrapping_mul(b ^ MIX) | 1);
        fold(
            both ^ rest,
            MIX ^ seed.rotate_left(32) ^ u64::from(self.tunnel.to_bits()),
        )
    }
}

/// An odd constant with bits spread evenly (the golden ratio's).
pub(crate) const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn endpoint(address: u128, port: u16, seed: u64) -> u64 {
    let low = low_half(address);
    let high = low_half(address >> 64);
    fold(
        low ^ seed,
        fold(high ^ u64::from(port).rotate_left(48), MIX ^ seed) ^ MIX,
    )
}

/// 64 x 64 to 128 bit multiply, both halves folded into one.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a).wrapping_mul(u128::from(b));
    low_half(wide) ^ low_half(wide >> 64)
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
pub(crate) fn low_half(wide: u128) -> u64 {
    wide as u64
}

pub(crate) fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(bits: u128, v6: bool) -> IpAddr {
    if v6 {
        return IpAddr::V6(Ipv6Addr::from_bits(bits));
    }
    // An IPv4 key never holds more than 32 bits.
    IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)))
}
