//! Frame bytes become a checked [`Packet`] with a [`FlowKey`].
//!
//! Every byte that comes in here was chosen by somebody else, possibly an attacker: each length,
//! count, offset and name is a lie until it was checked against what is really there. What comes
//! out is proven once, so that no later stage parses again. No I/O, no clock, no threads.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod build;
mod checksum;
mod domain_name;
mod flow_key;
mod link;
mod malformed;
mod outline;
mod packet;
mod parse;
mod protocol;
mod read;
mod reassembly;
mod stream;
mod time;
mod tunnel;

pub use domain_name::{DomainName, InvalidName};
pub use flow_key::{FarKey, FlowKey, FlowTuple, NearKey};
pub use link::{LinkType, MacAddr, VlanTags, Wire};
pub use malformed::Malformed;
pub use outline::Outline;
pub use packet::{
    Checksums, FragmentInfo, Icmp, IcmpMessage, Ip, Link, Network, Packet, Tcp, TcpFlags, Transport, Udp,
    crosses_always,
};
pub use parse::{MAX_EXTENSION_HEADERS, MAX_MPLS_LABELS, TooBig, parse, too_big};
pub use protocol::IpProtocol;
pub use reassembly::{Datagram, FragmentFault, FragmentLimits, Reassembler, Reassembly, fragment_hash};
pub use stream::{StreamAssembler, StreamPush};
pub use time::Timestamp;
pub use tunnel::{Encapsulation, MAX_TUNNEL_DEPTH, Tunnel, TunnelId};
