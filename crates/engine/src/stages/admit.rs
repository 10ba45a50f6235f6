//! May this frame cross its wire at all, and from whom does it come?

use std::net::IpAddr;

use packet::{FlowKey, FlowTuple, Link, Network, Packet, Wire};
use policy::{AntiSpoof, InterfaceId, Policy, WireSpec, ZoneId};

use crate::{
    DropReason,
    scene::Ingress,
    sides::{Opening, Sides},
};

/// The wire that a frame came in on.
pub(crate) fn wire_of(policy: &Policy, ingress: Ingress) -> Option<(Wire, &WireSpec)> {
    let wire = match ingress {
        Ingress::Wire(wire) => wire,
        Ingress::Interface(interface) => wire_with(policy, interface)?,
    };
    Some((wire, policy.wires().get(usize::from(wire.0))?))
}

fn wire_with(policy: &Policy, interface: InterfaceId) -> Option<Wire> {
    let place = policy
        .wires()
        .iter()
        .position(|spec| spec.interfaces.contains(&interface))?;
    u16::try_from(place).ok().map(Wire)
}

/// Judges a frame by its VLAN and its Ethernet protocol.
pub(crate) fn link(spec: &WireSpec, packet: &Packet<'_>) -> Result<(), DropReason> {
    let link = packet.link();
    if !spec.tag_allowed.allows(link.vlans) {
        return Err(DropReason::Vlan);
    }
    let labelled = matches!(link.ethertype, Link::MPLS | Link::MPLS_MULTICAST);
    if (labelled || matches!(packet.network(), Network::NonIp)) && !spec.allows_ethertype(link.ethertype) {
        return Err(DropReason::Ethertype);
    }
    Ok(())
}

/// Where the two ends of a new session are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// The client's interface, then the server's.
    pub(crate) interfaces: [InterfaceId; 2],
    /// Their zones.
    pub(crate) zones: [ZoneId; 2],
    /// The client sits at the wire's `interface1`.
    pub(crate) from_inside: bool,
    /// The addresses did not say who is inside.
    pub(crate) undecided: bool,
}

/// Finds the ends of the session with this key, client first. `sender_is_client`: the packet at hand
/// was sent by the client.
pub(crate) fn ends(
    policy: &Policy,
    spec: &WireSpec,
    sides: &Sides,
    ingress: Ingress,
    key: &FlowKey,
    sender_is_client: bool,
) -> Result<Ends, DropReason> {
    let [inner, outer] = spec.interfaces;
    let FlowTuple {
        src: client,
        dst: server,
        ..
    } = key.tuple();
    let opening = match ingress {
        Ingress::Wire(_) if sender_is_client => sides.opening(client, server),
        Ingress::Wire(_) => {
            // The first sender seen is inside where addresses do not tell, though it is the server.
            let opening = sides.opening(client, server);
            Opening {
                from_inside: opening.from_inside && !opening.undecided,
                ..opening
            }
        }
        Ingress::Interface(interface) => Opening {
            from_inside: (interface == inner) == sender_is_client,
            undecided: false,
        },
    };
    let interfaces = if opening.from_inside {
        [inner, outer]
    } else {
        [outer, inner]
    };
    let zone = |interface| policy.zone_of(interface, key.vlans()).ok_or(DropReason::NoZone);
    Ok(Ends {
        interfaces,
        zones: [zone(interfaces[0])?, zone(interfaces[1])?],
        from_inside: opening.from_inside,
        undecided: opening.undecided,
    })
}

/// Whether a source may be tagged from the zone it was seen in; an error where the zone drops strangers.
///
/// Unspecified and link-local sources belong to every zone: that is how a host without an address speaks.
pub(crate) fn source(policy: &Policy, zone: ZoneId, source: IpAddr) -> Result<bool, DropReason> {
    let zone = policy.zone(zone);
    if zone.networks.is_empty() || zone.networks.contains(source) || stateless_source(source) {
        return Ok(true);
    }
    match zone.anti_spoof {
        AntiSpoof::NoTag => Ok(false),
        AntiSpoof::Drop => Err(DropReason::AntiSpoof),
    }
}

/// Whether an address may be tagged that was seen inside a tunnel, on the side of `zone`. A tunnel's inside can claim
/// any address, and its two ends may be in league: only what the zone is said to hold counts as proven. Nothing is
/// dropped for it, since what a tunnel connects is seldom the zone's own.
pub(crate) fn proven_inside(policy: &Policy, zone: ZoneId, address: IpAddr) -> bool {
    policy.zone(zone).networks.contains(address)
}

fn stateless_source(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}
