//! By which way the frames of a wire come from the kernel: packet sockets or XDP sockets, and why.
//!
//! Measured on virtual links (`docs/PERFORMANCE.md`): TCP over packet sockets, which take frames that are still to be cut,
//! is several times as fast as over XDP sockets, for which the neighbour has to cut them. Frames from a cable are cut
//! already, and there an XDP socket in the driver saves the kernel the making of a packet for each.

use policy::WireIo;
use ports::live::{Interface, PortError, XdpDemand, XdpManner, XdpMode};

/// What was chosen for a wire, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// `None`: packet sockets.
    pub(super) xdp: Option<Xdp>,
    /// For people.
    pub(super) reason: String,
}

/// XDP sockets, and how they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Xdp {
    pub(super) demand: XdpDemand,
    pub(super) manner: XdpManner,
}

impl Way {
    /// As in the configuration.
    pub(super) fn name(&self) -> &'static str {
        match self.xdp {
            Some(_) => WireIo::Xdp.name(),
            None => WireIo::Packet.name(),
        }
    }

    /// How XDP sockets get the frames of one end, the first or the second.
    pub(super) fn mode(&self, end: usize) -> &'static str {
        let Some(Xdp { manner, .. }) = self.xdp else {
            return "";
        };
        match manner.modes.get(end) {
            Some(XdpMode::Native) if manner.zero_copy => "native, zero-copy",
            Some(XdpMode::Native) => "native, copied",
            Some(XdpMode::Generic) => "generic, copied",
            None => "",
        }
    }
}

/// What matters of one end.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    name: String,
    driver: String,
    is_virtual: bool,
    queues: u32,
}

impl Facts {
    pub(super) fn of(interface: &Interface) -> Self {
        Self {
            name: interface.name.clone(),
            driver: interface.driver(),
            is_virtual: interface.is_virtual(),
            queues: interface.receive_queues(),
        }
    }
}

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Packet(String),
    Xdp(XdpDemand, String),
}

/// What `io` comes to for a wire with these ends.
pub(super) fn wish(io: WireIo, [first, second]: [&Facts; 2], workers: usize) -> Wish {
    match io {
        WireIo::Packet => Wish::Packet("the configuration says so".to_owned()),
        WireIo::Xdp => Wish::Xdp(XdpDemand::Any, "the configuration says so".to_owned()),
        WireIo::Auto if first.is_virtual && second.is_virtual => Wish::Packet(format!(
            "both ends are virtual links ({}, {}), whose uncut frames cross whole this way",
            first.driver, second.driver
        )),
        WireIo::Auto => {
            let short = [first, second]
                .into_iter()
                .find(|end| (end.queues as usize) < workers);
            match short {
                Some(end) => Wish::Packet(format!(
                    "{} has {} receive queues for {workers} workers, which share them evenly this way",
                    end.name, end.queues
                )),
                None => Wish::Xdp(
                    XdpDemand::Native,
                    format!(
                        "the drivers of both ends ({}, {}) run XDP programs",
                        first.driver, second.driver
                    ),
                ),
            }
        }
    }
}

/// What becomes of a wish for XDP sockets that the system does not grant, where the configuration leaves the choice.
pub(super) fn instead(fault: &PortError) -> Way {
    Way {
        xdp: None,
        reason: format!("XDP sockets in the drivers are not to be had ({fault})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(name: &str, driver: &str, queues: u32) -> Facts {
        Facts {
            name: name.to_owned(),
            driver: driver.to_owned(),
            is_virtual: driver == "veth",
            queues,
        }
    }

    #[test]
    fn virtual_links_have_packet_sockets_and_cables_have_xdp_where_the_queues_suffice() {
        let (veth, one, four) = (
            facts("lan0", "veth", 4),
            facts("eth0", "igb", 1),
            facts("eth1", "ice", 4),
        );
        let tell = |ends, workers| match wish(WireIo::Auto, ends, workers) {
            Wish::Packet(reason) => ("packet", reason),
            Wish::Xdp(XdpDemand::Native, reason) => ("xdp", reason),
            Wish::Xdp(XdpDemand::Any, reason) => ("generic", reason),
        };
        for (ends, workers, way, says) in [
            ([&veth, &veth], 1, "packet", "virtual links (veth, veth)"),
            ([&veth, &four], 4, "xdp", "(veth, ice)"),
            ([&one, &four], 1, "xdp", "(igb, ice)"),
            (
                [&one, &four],
                2,
                "packet",
                "eth0 has 1 receive queues for 2 workers",
            ),
        ] {
            let (told, reason) = tell(ends, workers);
            assert_eq!(told, way, "{reason}");
            assert!(reason.contains(says), "{reason}");
        }
    }

    #[test]
    fn what_the_configuration_says_is_not_chosen_against() {
        let veth = facts("lan0", "veth", 1);
        let said = "the configuration says so".to_owned();
        assert_eq!(
            wish(WireIo::Xdp, [&veth, &veth], 8),
            Wish::Xdp(XdpDemand::Any, said.clone())
        );
        assert_eq!(wish(WireIo::Packet, [&veth, &veth], 8), Wish::Packet(said));
    }
}
