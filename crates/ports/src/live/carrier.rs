//! Link loss carried across a wire: what stands behind one port learns that the other has lost its link.
//!
//! The port that lost its carrier stays up, so that its return is seen; the other one is brought down. The
//! neighbour there then loses its carrier too (veth always; a network card if its driver switches the
//! transmitter off, as most do). A card that is down cannot tell whether its own link is there, so at most
//! one of the two is ever down on our account.

use std::time::Duration;

use packet::Timestamp;

use super::LinkState;

/// How long a port that was brought up again may take to find its link: autonegotiation takes seconds.
pub const SETTLE: Duration = Duration::from_secs(6);

/// One end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `interface1`.
    First,
    /// `interface2`.
    Second,
}

impl End {
    /// The end across the wire.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// What is to be done to a port, with [`Interface::set_up`](super::Interface::set_up).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierAction {
    /// Bring this end down: the one across has lost its link.
    BringDown(End),
    /// Bring this end up again.
    BringUp(End),
}

/// Decides for one wire; the caller acts, and tells what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CarrierRelay {
    held_down: Option<End>,
    /// The end that was brought up, and until when its link may be missing.
    settling: Option<(End, Timestamp)>,
}

impl CarrierRelay {
    /// What is to be done now that the links stand so; `None`: nothing. To be asked after each link event,
    /// at [`CarrierRelay::deadline`], and again after each action. A port that somebody else brought down
    /// counts as one without a link; it is never brought up.
    pub fn decide(
        &mut self,
        now: Timestamp,
        first: Option<LinkState>,
        second: Option<LinkState>,
    ) -> Option<CarrierAction> {
        let works = |end| {
            let state = match end {
                End::First => first,
                End::Second => second,
            };
            state.is_some_and(LinkState::works)
        };
        if let Some(down) = self.held_down {
            if !works(down.other()) {
                return None;
            }
            self.held_down = None;
            self.settling = Some((down, now.saturating_add(SETTLE)));
            return Some(CarrierAction::BringUp(down));
        }
        if self
            .settling
            .is_some_and(|(end, until)| works(end) || now >= until)
        {
            self.settling = None;
        }
        let settling = self.settling.map(|(end, _)| end);
        let lost = [End::First, End::Second]
            .into_iter()
            .find(|end| !works(*end) && works(end.other()) && settling != Some(*end))?;
        self.held_down = Some(lost.other());
        self.settling = None;
        Some(CarrierAction::BringDown(lost.other()))
    }

    /// When to ask again even if nothing happens.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.settling.map(|(_, until)| until)
    }

    /// The wire is given up: which end is to be brought up again, so that nobody finds it down.
    pub fn release(&mut self) -> Option<End> {
        self.settling = None;
        self.held_down.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two links with cables that can be pulled.
    #[derive(Debug)]
    struct Wire {
        relay: CarrierRelay,
        cable: [bool; 2],
        up: [bool; 2],
        now: Timestamp,
    }

    impl Wire {
        fn new() -> Self {
            Self {
                relay: CarrierRelay::default(),
                cable: [true; 2],
                up: [true; 2],
                now: Timestamp::from_secs(100),
            }
        }

        fn state(&self, end: usize) -> LinkState {
            LinkState {
                index: 1,
                up: self.up[end],
                carrier: self.up[end] && self.cable[end],
                mtu: 1500,
            }
        }

        fn place(end: End) -> usize {
            usize::from(end == End::Second)
        }

        /// Acts until nothing is left to do.
        fn settle(&mut self) -> Vec<CarrierAction> {
            let mut done = Vec::new();
            while let Some(action) = self
                .relay
                .decide(self.now, Some(self.state(0)), Some(self.state(1)))
            {
                match action {
                    BringDown(end) => self.up[Self::place(end)] = false,
                    BringUp(end) => self.up[Self::place(end)] = true,
                }
                done.push(action);
                assert!(done.len() < 10, "no end: {done:?}");
            }
            done
        }

        fn wait(&mut self) {
            self.now = self.now.saturating_add(SETTLE);
        }
    }

    use CarrierAction::{BringDown, BringUp};

    #[test]
    fn a_lost_link_takes_the_other_down_until_it_is_back() {
        let mut wire = Wire::new();
        assert_eq!(wire.settle(), []);
        wire.cable[0] = false;
        assert_eq!(wire.settle(), [BringDown(End::Second)]);
        wire.cable[0] = true;
        assert_eq!(wire.settle(), [BringUp(End::Second)]);
    }

    #[test]
    fn a_port_brought_up_has_time_to_find_its_link() {
        let mut wire = Wire::new();
        wire.cable[0] = false;
        wire.settle();
        wire.cable = [true, false];
        assert_eq!(wire.settle(), [BringUp(End::Second)]);
        assert_eq!(wire.relay.deadline(), Some(wire.now.saturating_add(SETTLE)));
        wire.wait();
        assert_eq!(wire.settle(), [BringDown(End::First)]);
        wire.cable[1] = true;
        assert_eq!(wire.settle(), [BringUp(End::First)]);
    }

    #[test]
    fn a_wire_given_up_leaves_no_port_down() {
        let mut wire = Wire::new();
        wire.cable[1] = false;
        wire.settle();
        assert_eq!(wire.relay.release(), Some(End::First));
        assert_eq!(wire.relay.release(), None);
    }

    proptest! {
        #[test]
        fn never_are_both_down_and_whole_cables_bring_both_up(
            pulls in prop::collection::vec((0..2_usize, any::<bool>(), any::<bool>()), 0..40),
        ) {
            let mut wire = Wire::new();
            for (end, plugged, wait) in pulls {
                wire.cable[end] = plugged;
                if wait {
                    wire.wait();
                }
                wire.settle();
                prop_assert!(wire.up[0] || wire.up[1]);
            }
            wire.cable = [true; 2];
            wire.settle();
            prop_assert_eq!(wire.up, [true; 2]);
        }
    }
}
