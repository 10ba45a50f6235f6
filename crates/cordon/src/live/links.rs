//! The links of all wires: which interface is to be opened anew, and link loss carried across a wire.

use packet::Timestamp;
use policy::{InterfaceId, Policy, WireMode};
use ports::live::{CarrierAction, CarrierRelay, End, LinkEvent, LinkState};

/// The interfaces of all wires, in the order they are watched in.
#[derive(Debug)]
pub(super) struct Links {
    ends: Vec<(InterfaceId, String)>,
    relays: Vec<Relay>,
}

/// A wire whose link state passes through.
#[derive(Debug)]
struct Relay {
    /// The places of `interface1` and `interface2` among the ends.
    places: [usize; 2],
    relay: CarrierRelay,
}

/// What is to be done after a change of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkChange {
    /// It is there again: open it.
    Open(InterfaceId),
    /// Its MTU is another one.
    Mtu(InterfaceId, u32),
}

impl Links {
    /// The ends of the wires of `policy`.
    pub(super) fn new(policy: &Policy) -> Self {
        let (mut ends, mut relays) = (Vec::new(), Vec::new());
        for wire in policy.wires() {
            let first = ends.len();
            for interface in wire.distinct_interfaces() {
                let name = policy.symbols().resolve(policy.interface_name(*interface));
                ends.push((*interface, name.to_owned()));
            }
            if wire.mode == WireMode::Inline && wire.link_state_pass_through {
                relays.push(Relay {
                    places: [first, first + 1],
                    relay: CarrierRelay::default(),
                });
            }
        }
        Self { ends, relays }
    }

    /// The names, in the order of [`LinkEvent::link`].
    pub(super) fn names(&self) -> Vec<&str> {
        self.ends.iter().map(|(_, name)| &**name).collect()
    }

    /// What follows from an event for the interface itself.
    pub(super) fn event(&self, event: &LinkEvent) -> Option<LinkChange> {
        let (interface, _) = self.ends.get(event.link)?;
        let now = event.now?;
        match event.before {
            Some(before) if before.index == now.index => {
                (before.mtu != now.mtu).then_some(LinkChange::Mtu(*interface, now.mtu))
            }
            _ => Some(LinkChange::Open(*interface)),
        }
    }

    /// Which interface is to be brought up or down, as the links stand. To be asked again after it was done.
    pub(super) fn decide(
        &mut self,
        now: Timestamp,
        state: impl Fn(usize) -> Option<LinkState>,
    ) -> Option<(&str, bool)> {
        for Relay { places, relay } in &mut self.relays {
            let [first, second] = *places;
            let (end, up) = match relay.decide(now, state(first), state(second)) {
                None => continue,
                Some(CarrierAction::BringDown(end)) => (end, false),
                Some(CarrierAction::BringUp(end)) => (end, true),
            };
            let (_, name) = self.ends.get(place(*places, end))?;
            return Some((name, up));
        }
        None
    }

    /// The wires are given up: which interfaces are to be brought up, so that nobody finds them down.
    pub(super) fn release(&mut self) -> Vec<&str> {
        let held: Vec<usize> = self
            .relays
            .iter_mut()
            .filter_map(|Relay { places, relay }| Some(place(*places, relay.release()?)))
            .collect();
        held.into_iter()
            .filter_map(|held| Some(&*self.ends.get(held)?.1))
            .collect()
    }
}

fn place([first, second]: [usize; 2], end: End) -> usize {
    match end {
        End::First => first,
        End::Second => second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKING: LinkState = LinkState {
        index: 7,
        up: true,
        carrier: true,
        mtu: 1500,
    };

    fn links() -> Links {
        Links {
            ends: vec![
                (InterfaceId(0), "lan0".to_owned()),
                (InterfaceId(1), "wan0".to_owned()),
            ],
            relays: vec![Relay {
                places: [0, 1],
                relay: CarrierRelay::default(),
            }],
        }
    }

    fn event(before: Option<LinkState>, now: Option<LinkState>) -> LinkEvent {
        LinkEvent { link: 1, before, now }
    }

    #[test]
    fn what_is_another_interface_is_opened() {
        let links = links();
        let another = LinkState { index: 9, ..WORKING };
        let smaller = LinkState { mtu: 1400, ..WORKING };
        let open = Some(LinkChange::Open(InterfaceId(1)));
        assert_eq!(links.event(&event(None, Some(another))), open);
        assert_eq!(links.event(&event(Some(WORKING), Some(another))), open);
        assert_eq!(links.event(&event(Some(WORKING), None)), None);
        assert_eq!(
            links.event(&event(Some(WORKING), Some(smaller))),
            Some(LinkChange::Mtu(InterfaceId(1), 1400))
        );
    }

    #[test]
    fn a_loss_crosses_the_wire_and_is_taken_back() {
        let mut links = links();
        let unplugged = LinkState {
            carrier: false,
            ..WORKING
        };
        let states = [Some(unplugged), Some(WORKING)];
        let decided = links.decide(Timestamp::ZERO, |link| states[link]);
        assert_eq!(decided, Some(("wan0", false)));
        assert_eq!(links.release(), ["wan0"]);
        assert_eq!(links.release(), [""; 0]);
    }
}
