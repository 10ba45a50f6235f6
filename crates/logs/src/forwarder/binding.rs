//! Which link-layer address holds an IP address.

use std::{net::IpAddr, time::Duration};

use packet::{MacAddr, Timestamp, VlanTags, Wire};

use super::aging::AgingMap;
use crate::{Sender, Side};

/// The broadcast domain an address was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Segment {
    pub(super) wire: Wire,
    pub(super) side: Side,
    pub(super) vlans: VlanTags,
}

/// The first link-layer address that an IP address was seen from holds it until it was unseen for
/// [`Bindings::LIFETIME`]; seeing it from another one in the meantime changes nothing. One link-layer
/// address may hold many IP addresses (a router does).
#[derive(Debug)]
pub(super) struct Bindings(AgingMap<(Segment, IpAddr), MacAddr>);

impl Bindings {
    pub(super) const LIFETIME: Duration = Duration::from_mins(5);

    pub(super) fn new(capacity: usize) -> Self {
        Self(AgingMap::new(capacity, Self::LIFETIME))
    }

    pub(super) fn seen(&mut self, now: Timestamp, segment: Segment, address: IpAddr, mac: MacAddr) {
        let key = (segment, address);
        if self.0.get(now, &key).is_none_or(|holder| *holder == mac) {
            self.0.insert(now, &key, mac);
        }
    }

    /// Who holds the address.
    pub(super) fn holder(&self, now: Timestamp, segment: Segment, address: IpAddr) -> Option<MacAddr> {
        self.0.get(now, &(segment, address)).copied()
    }

    /// Whether another link-layer address than the sender's holds the address it claims.
    pub(super) fn is_foreign(&self, now: Timestamp, sender: &Sender) -> bool {
        let segment = Segment {
            wire: sender.wire,
            side: sender.side,
            vlans: sender.vlans,
        };
        let holder = self.holder(now, segment, sender.ip);
        holder.is_some_and(|holder| holder != sender.mac)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const SEGMENT: Segment = Segment {
        wire: Wire(0),
        side: Side::First,
        vlans: VlanTags::NONE,
    };

    #[test]
    fn the_first_holds_it_until_it_has_aged() {
        let mut bindings = Bindings::new(8);
        let address = "192.0.2.1".parse().unwrap();
        let at = Timestamp::from_secs;
        bindings.seen(at(0), SEGMENT, address, OLD);
        bindings.seen(at(100), SEGMENT, address, NEW);
        assert_eq!(bindings.holder(at(100), SEGMENT, address), Some(OLD));
        bindings.seen(at(250), SEGMENT, address, OLD);
        bindings.seen(at(549), SEGMENT, address, NEW);
        assert_eq!(
            bindings.holder(at(549), SEGMENT, address),
            Some(OLD),
            "one second too early"
        );
        assert_eq!(bindings.holder(at(550), SEGMENT, address), None);
        bindings.seen(at(550), SEGMENT, address, NEW);
        assert_eq!(bindings.holder(at(551), SEGMENT, address), Some(NEW));
    }

    #[test]
    fn wires_sides_and_vlans_are_apart() {
        let mut bindings = Bindings::new(8);
        let address = "192.0.2.1".parse().unwrap();
        let now = Timestamp::from_secs(1);
        bindings.seen(now, SEGMENT, address, OLD);
        for other in [
            Segment {
                wire: Wire(1),
                ..SEGMENT
            },
            Segment {
                side: Side::Second,
                ..SEGMENT
            },
            Segment {
                vlans: VlanTags::single(20),
                ..SEGMENT
            },
        ] {
            assert_eq!(bindings.holder(now, other, address), None);
            bindings.seen(now, other, address, NEW);
            assert_eq!(bindings.holder(now, other, address), Some(NEW));
        }
        assert_eq!(bindings.holder(now, SEGMENT, address), Some(OLD));
    }
}
