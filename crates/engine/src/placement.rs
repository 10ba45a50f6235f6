//! Which shard a packet belongs to.
//!
//! 64 fixed shards own all state that packets touch, whatever the number of workers, so that what
//! cordon does never depends on how many there are.

use packet::{
    FlowKey, FlowTuple, Icmp, IcmpMessage, MAX_TUNNEL_DEPTH, Network, Outline, Packet, Transport, TunnelId,
    Wire, fragment_hash,
};

use crate::DropReason;

/// How many shards there are.
pub const SHARDS: usize = 64;

/// A shard's number, below [`SHARDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardId(u8);

impl ShardId {
    /// The shard that counts what belongs to no flow.
    pub const FIRST: Self = Self(0);

    /// The shard of a flow that a frame's outline names.
    #[inline]
    pub fn of(outline: &Outline) -> Self {
        Self::from_hash(outline.hash())
    }

    /// The shard that a hash falls into: its top six bits.
    fn from_hash(hash: u64) -> Self {
        Self((hash >> 58).to_le_bytes()[0])
    }

    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Where a packet is to be taken.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum Placement {
    /// To the shard that owns its flow.
    Flow(ShardId, FlowRef),
    /// A fragment, to the shard that puts its datagram together.
    Fragment(ShardId),
    /// No IP inside: needs no state.
    Stateless(ShardId),
    /// Nowhere: what it carries is malformed, or lies too deep.
    Refused(DropReason),
}

/// The flow a packet belongs to, and how it is found.
#[derive(Clone, Copy, Debug)]
pub struct FlowRef {
    /// The packet's own key.
    pub(crate) key: FlowKey,
    /// Its symmetric hash.
    pub(crate) hash: u64,
    /// The flow that the packet, an ICMP error, is about: it belongs there while that flow is known.
    pub(crate) quoted: Option<(FlowKey, u64)>,
    /// Another packet is inside, to be judged by itself once this one may pass.
    pub(crate) carries: bool,
}

impl From<&Outline> for FlowRef {
    fn from(outline: &Outline) -> Self {
        Self {
            key: *outline.key(),
            hash: outline.hash(),
            quoted: None,
            carries: false,
        }
    }
}

/// Finds the place of a packet on `wire`. `seed` keys the hash.
pub fn place(packet: &Packet<'_>, wire: Wire, seed: u64) -> Placement {
    let Network::Ip(ip) = packet.network() else {
        return Placement::Stateless(ShardId(0));
    };
    let Some(tuple) = packet.flow_tuple() else {
        return Placement::Fragment(ShardId::from_hash(fragment_hash(wire, packet)));
    };
    let carries = match carries(packet, seed) {
        Ok(carries) => carries,
        Err(reason) => return Placement::Refused(reason),
    };
    let tunnel = packet.tunnel().map_or(TunnelId::NONE, |tunnel| tunnel.id);
    let hashed = |tuple: &FlowTuple| {
        let key = FlowKey::new(wire, packet.link().vlans, tuple).in_tunnel(tunnel);
        (key, key.symmetric_hash(seed))
    };
    let (key, hash) = hashed(&tuple);
    let quoted = match &ip.transport {
        Transport::Icmp(Icmp {
            message: IcmpMessage::Error { quoted: Some(quoted) },
            ..
        }) => Some(hashed(quoted)),
        Transport::Icmp(_)
        | Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::Other { .. }
        | Transport::Fragment { .. } => None,
    };
    let shard = ShardId::from_hash(quoted.map_or(hash, |(_, hash)| hash));
    Placement::Flow(
        shard,
        FlowRef {
            key,
            hash,
            quoted,
            carries,
        },
    )
}

/// Whether another packet is inside that can be read.
#[inline]
fn carries(packet: &Packet<'_>, seed: u64) -> Result<bool, DropReason> {
    match packet.inside(seed) {
        Ok(None) => Ok(false),
        Ok(Some(inner))
            if inner
                .tunnel()
                .is_some_and(|tunnel| tunnel.depth > MAX_TUNNEL_DEPTH) =>
        {
            Err(DropReason::TunnelDepth)
        }
        Ok(Some(_)) => Ok(true),
        Err(malformed) => Err(DropReason::Malformed(malformed)),
    }
}
