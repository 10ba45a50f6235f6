//! The ports of all wires, opened for every worker.

use policy::{InterfaceId, Policy, WireIo, WireMode, WireSpec};
use ports::live::{
    Claim, FEWEST_SLOTS, Fanout, Interface, OpenOptions, PacketSocket, PortError, Receiver, ReceiverCounters,
    Sender, XdpDemand, XdpWire,
};

use tracing::{info, warn};

use super::{
    lines::Lines,
    way::{Facts, Way, Wish, Xdp, instead, wish},
    worker::Inlet,
};

/// What one worker gets of the ports.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) inlets: Vec<Inlet>,
    /// By the interface's number.
    pub(super) senders: Vec<Option<Sender>>,
    pub(super) lines: Lines,
}

/// Claims every interface that frames leave by.
pub(super) fn claim_all(policy: &Policy) -> Result<Vec<Claim>, PortError> {
    let inline = policy.wires().iter().filter(|wire| wire.mode == WireMode::Inline);
    let names = inline
        .flat_map(WireSpec::distinct_interfaces)
        .map(|interface| policy.symbols().resolve(policy.interface_name(*interface)));
    names.map(Claim::new).collect()
}

/// Warns of wires whose two ends have different MTUs: what is larger than the smaller one cannot cross.
pub(super) fn compare_mtus(policy: &Policy) {
    for wire in policy.wires().iter().filter(|wire| wire.mode == WireMode::Inline) {
        let [first, second] = wire
            .interfaces
            .map(|interface| Interface::find(policy.symbols().resolve(policy.interface_name(interface))));
        if let (Ok(first), Ok(second)) = (first, second)
            && first.mtu != second.mtu
        {
            let (small, large) = if first.mtu < second.mtu {
                (first, second)
            } else {
                (second, first)
            };
            warn!(
                wire = policy.symbols().resolve(wire.name),
                "{} has an MTU of {} and {} one of {}: larger packets from there are dropped; give both the same",
                small.name,
                small.mtu,
                large.name,
                large.mtu
            );
        }
    }
}

/// Opens every interface of every wire, for each worker, and says by which way each wire's frames come. Brings up what is
/// down: the link is cordon's.
pub(super) fn open_all(policy: &Policy, workers: usize) -> Result<(Vec<Share>, Vec<Way>), PortError> {
    let mut shares: Vec<Share> = (0..workers).map(|_| Share::default()).collect();
    for share in &mut shares {
        share.senders.resize_with(policy.interfaces().len(), || None);
    }
    let mut ways = Vec::new();
    for wire in policy.wires() {
        let (way, lines) = choose(policy, wire, workers)?;
        info!(
            wire = policy.symbols().resolve(wire.name),
            io = way.name(),
            interface1 = way.mode(0),
            interface2 = way.mode(1),
            "frames by {} sockets: {}",
            way.name(),
            way.reason
        );
        ways.push(way);
        if let Some(lines) = lines {
            for (share, line) in shares.iter_mut().zip(lines) {
                share.lines.push(line, wire.interfaces);
            }
            continue;
        }
        for interface in wire.distinct_interfaces().iter().copied() {
            for (share, (receiver, sender)) in shares.iter_mut().zip(open(policy, interface, workers)?) {
                share.inlets.push(Inlet {
                    interface,
                    receiver: Some(receiver),
                    before: ReceiverCounters::default(),
                });
                if let Some(place) = share.senders.get_mut(interface.index()) {
                    *place = sender;
                }
            }
        }
    }
    Ok((shares, ways))
}

/// By which way the frames of a wire are to come; where by XDP sockets, these, one wire for each worker.
fn choose(
    policy: &Policy,
    wire: &WireSpec,
    workers: usize,
) -> Result<(Way, Option<Vec<XdpWire>>), PortError> {
    if wire.mode == WireMode::Tap {
        let reason = "a tap sees copies".to_owned();
        return Ok((Way { xdp: None, reason }, None));
    }
    let [first, second] = ends(policy, wire)?;
    let facts = [Facts::of(&first), Facts::of(&second)];
    match wish(wire.io, facts.each_ref(), workers) {
        Wish::Packet(reason) => Ok((Way { xdp: None, reason }, None)),
        Wish::Xdp(demand, reason) => match XdpWire::open_for([&first, &second], workers, demand) {
            Err(fault) if wire.io == WireIo::Auto => Ok((instead(&fault), None)),
            opened => {
                let lines = opened?;
                let xdp = lines.first().map(|line| Xdp {
                    demand,
                    manner: line.manner(),
                });
                Ok((Way { xdp, reason }, Some(lines)))
            }
        },
    }
}

/// Opens a wire again whose frames come through XDP sockets.
pub(super) fn open_line(
    policy: &Policy,
    wire: &WireSpec,
    demand: XdpDemand,
    workers: usize,
) -> Result<Vec<XdpWire>, PortError> {
    let [first, second] = ends(policy, wire)?;
    XdpWire::open_for([&first, &second], workers, demand)
}

/// Both ends of a wire, up.
fn ends(policy: &Policy, wire: &WireSpec) -> Result<[Interface; 2], PortError> {
    let [first, second] = wire
        .interfaces
        .map(|interface| up(policy.symbols().resolve(policy.interface_name(interface))));
    Ok([first?, second?])
}

/// The interface of this name, brought up.
fn up(name: &str) -> Result<Interface, PortError> {
    let found = Interface::find(name)?;
    if found.up {
        return Ok(found);
    }
    found.set_up(true)?;
    Interface::find(name)
}

/// Opens one interface for each worker; of a tap, only the way in.
pub(super) fn open(
    policy: &Policy,
    interface: InterfaceId,
    workers: usize,
) -> Result<Vec<(Receiver, Option<Sender>)>, PortError> {
    let name = policy.symbols().resolve(policy.interface_name(interface));
    let found = up(name)?;
    let tap = policy
        .wires()
        .iter()
        .any(|wire| wire.mode == WireMode::Tap && wire.distinct_interfaces().contains(&interface));
    let mut fanout = if workers > 1 { Fanout::Found } else { Fanout::Alone };
    let sharers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
    let mut ports = Vec::with_capacity(workers);
    for _ in 0..workers {
        let options = OpenOptions::new(&found);
        let options = OpenOptions {
            fanout,
            outgoing: tap,
            // Among them they hold what one would.
            receive_slots: (options.receive_slots / sharers).max(FEWEST_SLOTS),
            ..options
        };
        let (rx, tx) = if tap {
            (Receiver::open(&options)?, None)
        } else {
            let PacketSocket { rx, tx } = PacketSocket::open(&options)?;
            (rx, Some(tx))
        };
        if let Some(group) = rx.fanout_group() {
            fanout = Fanout::Join(group);
        }
        ports.push((rx, tx));
    }
    Ok(ports)
}
