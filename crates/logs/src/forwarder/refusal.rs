//! Who is never tagged by an action, and why.

use std::net::IpAddr;

use packet::{MacAddr, Timestamp};
use policy::Policy;
use tags::TagSet;

use super::binding::{Bindings, Segment};
use crate::{FlowFields, Origin};

/// Why an action may not tag an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Multicast, broadcast or unspecified: no host.
    NoHost,
    /// One of this machine's own addresses.
    Own,
    /// A configured resolver: it asks for others.
    Resolver,
    /// A sinkhole address.
    Sinkhole,
    /// A member of `never-tag`.
    NeverTag,
    /// The address need not be that of whoever sent the packets, or answered them.
    Unproven,
    /// Another link-layer address holds the source address.
    Foreign {
        /// Who holds it.
        holder: MacAddr,
        /// Who sent the packet.
        sender: MacAddr,
    },
    /// The action's scope is the server name, and the record has none.
    NoServerName,
}

/// Whether the packets behind a record came from whom they say they did.
pub(super) fn check_sender(
    now: Timestamp,
    origin: &Origin,
    flow: &FlowFields,
    bindings: &Bindings,
) -> Result<(), Refusal> {
    if !origin.taggable_source {
        return Err(Refusal::Unproven);
    }
    let Some(sender) = origin.src_mac else {
        return Ok(());
    };
    let segment = Segment {
        wire: origin.wire,
        side: origin.side,
        vlans: origin.vlans,
    };
    match bindings.holder(now, segment, flow.src) {
        Some(holder) if holder != sender => Err(Refusal::Foreign { holder, sender }),
        _ => Ok(()),
    }
}

/// Whether an address may carry a tag that an action sets; `registered` are those it carries.
pub(super) fn check_address(
    address: IpAddr,
    registered: &TagSet,
    policy: &Policy,
    own: &[IpAddr],
) -> Result<(), Refusal> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() || address.is_unspecified() || broadcast {
        Err(Refusal::NoHost)
    } else if own.contains(&address) {
        Err(Refusal::Own)
    } else if policy.is_resolver(address) {
        Err(Refusal::Resolver)
    } else if policy.is_sinkhole(address) {
        Err(Refusal::Sinkhole)
    } else if policy.never_tag(address, registered) {
        Err(Refusal::NeverTag)
    } else {
        Ok(())
    }
}
