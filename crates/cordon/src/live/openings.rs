//! The ports of all wires, opened for every worker.

use policy::{InterfaceId, Policy, WireMode, WireSpec};
use ports::live::{
    Fanout, Interface, OpenOptions, PacketSocket, PortError, Receiver, ReceiverCounters, Sender,
};

use super::worker::Inlet;

/// What one worker gets of the ports.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) inlets: Vec<Inlet>,
    /// By the interface's number.
    pub(super) senders: Vec<Option<Sender>>,
}

/// Opens every interface of every wire, for each worker. Brings up what is down: the link is cordon's.
pub(super) fn open_all(policy: &Policy, workers: usize) -> Result<Vec<Share>, PortError> {
    let mut shares: Vec<Share> = (0..workers).map(|_| Share::default()).collect();
    for share in &mut shares {
        share.senders.resize_with(policy.interfaces().len(), || None);
    }
    let interfaces = policy
        .wires()
        .iter()
        .flat_map(WireSpec::distinct_interfaces)
        .copied();
    for interface in interfaces {
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
    Ok(shares)
}

/// Opens one interface for each worker; of a tap, only the way in.
pub(super) fn open(
    policy: &Policy,
    interface: InterfaceId,
    workers: usize,
) -> Result<Vec<(Receiver, Option<Sender>)>, PortError> {
    let name = policy.symbols().resolve(policy.interface_name(interface));
    let mut found = Interface::find(name)?;
    if !found.up {
        found.set_up(true)?;
        found = Interface::find(name)?;
    }
    let tap = policy
        .wires()
        .iter()
        .any(|wire| wire.mode == WireMode::Tap && wire.distinct_interfaces().contains(&interface));
    let mut fanout = if workers > 1 { Fanout::Found } else { Fanout::Alone };
    let mut ports = Vec::with_capacity(workers);
    for _ in 0..workers {
        let options = OpenOptions {
            fanout,
            outgoing: tap,
            ..OpenOptions::new(&found)
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
