//! The stages of a packet's journey, one file each. They do not know one another; `shard.rs` names their order.

pub(crate) mod admit;
pub(crate) mod decide;
pub(crate) mod dns;
pub(crate) mod dns_tcp;
pub(crate) mod naming;
pub(crate) mod opening;
pub(crate) mod recognise;
pub(crate) mod refuse;
pub(crate) mod shown;
pub(crate) mod tcp;
pub(crate) mod tls;
