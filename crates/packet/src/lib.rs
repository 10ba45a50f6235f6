//! Frame bytes become a checked [`Packet`] with a [`FlowKey`].
//!
//! Every byte that comes in here was chosen by somebody else, possibly an attacker: each length,
//! count, offset and name is a lie until it was checked against what is really there. What comes
//! out is proven once, so that no later stage parses again. No I/O, no clock, no threads.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod domain_name;
mod flow_key;
mod link;
mod protocol;
mod time;

pub use domain_name::{DomainName, InvalidName};
pub use flow_key::{FlowKey, FlowTuple};
pub use link::{LinkType, MacAddr, VlanTags, Wire};
pub use protocol::IpProtocol;
pub use time::Timestamp;
