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

/// What most flows need of their [`FlowKey`], in the least room; the rest, where there is any, is a [`FarKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearKey {
    /// The low 32 bits of the source address, then those of the destination's above them.
    pub ends: u64,
    /// The source port, and the destination's above it.
    pub ports: u32,
    /// VLANs, and whether a [`FarKey`] belongs to it. The bits of [`NearKey::SPARE`] are zero.
    pub place: u32,
    /// The wire.
    pub wire: Wire,
    /// The protocol.
    pub protocol: IpProtocol,
}

/// What a flow's key has beside its [`NearKey`], over IPv6 or in a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FarKey {
    /// The upper 96 bits of source and destination, in three parts each.
    high: [[u32; 3]; 2],
    tunnel: TunnelId,
}

impl NearKey {
    /// Bits of `place` that no key uses: whoever keeps one may have bits of their own there.
    pub const SPARE: u32 = 0x7000_4000;
    const V6: u32 = 0x1000;
    const TUNNEL: u32 = 0x2000;

    /// The near key of packets in the other direction.
    #[inline]
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            ends: self.ends.rotate_left(32),
            ports: self.ports.rotate_left(16),
            ..self
        }
    }

    /// Whether the flow has a [`FarKey`] as well.
    #[inline]
    pub fn is_partial(self) -> bool {
        self.place & (Self::V6 | Self::TUNNEL) != 0
    }
}

impl FlowKey {
    /// The part that most flows need.
    #[inline]
    pub fn near(&self) -> NearKey {
        let low = |address: u128| low_half(address) & u64::from(u32::MAX);
        let [sport, dport] = self.ports;
        let mut place = self.vlans.to_bits();
        if self.v6 {
            place |= NearKey::V6;
        }
        if self.tunnel != TunnelId::NONE {
            place |= NearKey::TUNNEL;
        }
        NearKey {
            ends: low(self.src) | (low(self.dst) << 32),
            ports: u32::from(sport) | (u32::from(dport) << 16),
            place,
            wire: self.wire,
            protocol: self.protocol,
        }
    }

    /// The rest; `None` where there is none.
    pub fn far(&self) -> Option<FarKey> {
        let far = FarKey {
            high: [self.src, self.dst].map(|address| [32, 64, 96].map(|shift| part(address, shift))),
            tunnel: self.tunnel,
        };
        self.near().is_partial().then_some(far)
    }

    /// The key of which these are the parts.
    pub fn from_parts(near: NearKey, far: Option<&FarKey>) -> Self {
        let far = far.copied().unwrap_or_default();
        let ends = u128::from(near.ends);
        let address = |shift: u32, [a, b, c]: [u32; 3]| {
            u128::from(part(ends, shift))
                | (u128::from(a) << 32)
                | (u128::from(b) << 64)
                | (u128::from(c) << 96)
        };
        let [src, dst] = far.high;
        let [low, high, ..] = near.ports.to_le_bytes().map(u16::from);
        let [.., d_low, d_high] = near.ports.to_le_bytes().map(u16::from);
        Self {
            src: address(0, src),
            dst: address(32, dst),
            ports: [low | (high << 8), d_low | (d_high << 8)],
            vlans: VlanTags::from_bits(near.place),
            tunnel: far.tunnel,
            wire: near.wire,
            protocol: near.protocol,
            v6: near.place & NearKey::V6 != 0,
        }
    }
}

/// The 32 bits of an address from bit `shift` on.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is asked for"
)]
fn part(address: u128, shift: u32) -> u32 {
    (address >> shift) as u32
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = FlowKey> {
        let vlans = prop_oneof![
            Just(VlanTags::NONE),
            any::<u16>().prop_map(VlanTags::single),
            any::<(u16, u16)>().prop_map(|(outer, inner)| VlanTags::double(outer, inner)),
        ];
        let tunnel = prop_oneof![Just(TunnelId::NONE), any::<u32>().prop_map(TunnelId::from_bits)];
        let rest = (any::<[u16; 2]>(), any::<u16>(), any::<u8>());
        (any::<(bool, u128, u128)>(), vlans, tunnel, rest).prop_map(
            |((v6, src, dst), vlans, tunnel, (ports, wire, protocol))| {
                let [src, dst] = [src, dst].map(|bits| if v6 { bits } else { bits >> 96 });
                FlowKey {
                    src,
                    dst,
                    ports,
                    vlans,
                    tunnel,
                    wire: Wire(wire),
                    protocol: IpProtocol(protocol),
                    v6,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn the_parts_of_a_key_make_it_up(key in key()) {
            let (near, far) = (key.near(), key.far());
            prop_assert_eq!(near.place & NearKey::SPARE, 0);
            prop_assert_eq!(far.is_some(), near.is_partial());
            prop_assert_eq!(FlowKey::from_parts(near, far.as_ref()), key);
            prop_assert_eq!(key.reversed().near(), near.reversed());
        }

        #[test]
        fn keys_of_different_flows_have_different_parts(a in key(), b in key()) {
            prop_assert_eq!((a.near(), a.far()) == (b.near(), b.far()), a == b);
        }
    }
}
