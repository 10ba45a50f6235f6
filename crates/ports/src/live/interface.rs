//! Which interfaces this machine has, and what a port needs to know of one.

use std::{io, net::IpAddr};

use packet::MacAddr;

use super::{PortError, sys::InterfaceControl};

/// A network interface as it was when it was looked up, in the network namespace of the thread that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The kernel's number for it. An interface that vanishes and comes back gets another one.
    pub index: u32,
    /// Its link-layer address, where it has one.
    pub mac: Option<MacAddr>,
    /// Its IP addresses. An inline port should have none.
    pub addresses: Vec<IpAddr>,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether the other end of the link is there.
    pub carrier: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
    /// The largest payload of a frame, in bytes: what stands behind the link and VLAN headers.
    pub mtu: u32,
    /// `ARPHRD_…` of Linux' `if_arp.h`.
    pub hardware_type: u16,
}

impl Interface {
    /// All interfaces, in the kernel's order.
    pub fn all() -> Result<Vec<Self>, PortError> {
        let control = InterfaceControl::open()
            .map_err(|error| PortError::from_system("interfaces", "ask for their facts", error))?;
        // One that vanishes between the two questions is not there.
        let all = pnet::datalink::interfaces().into_iter();
        Ok(all
            .filter_map(|found| Self::with_facts(found, &control).ok())
            .collect())
    }

    /// The interface called `name`.
    pub fn find(name: &str) -> Result<Self, PortError> {
        let all = pnet::datalink::interfaces();
        let Some(found) = all.iter().find(|found| found.name == name) else {
            return Err(PortError::NoSuchInterface {
                interface: name.to_owned(),
                nearest: nearest(name, all.iter().map(|found| found.name.as_str())),
            });
        };
        InterfaceControl::open()
            .and_then(|control| Self::with_facts(found.clone(), &control))
            .map_err(|error| PortError::from_system(name, "ask for its facts", error))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's type is of a crate that pnet does not export"
    )]
    fn with_facts(found: pnet::datalink::NetworkInterface, control: &InterfaceControl) -> io::Result<Self> {
        Ok(Self {
            index: found.index,
            mac: found.mac.map(|mac| MacAddr(mac.octets())),
            addresses: found.ips.iter().map(|network| network.ip()).collect(),
            up: found.is_up(),
            carrier: found.is_lower_up(),
            loopback: found.is_loopback(),
            mtu: u32::try_from(control.mtu(&found.name)?).unwrap_or(0),
            hardware_type: control.hardware_type(&found.name)?,
            name: found.name,
        })
    }

    /// Whether its frames begin with an Ethernet header and it can be a port. The loopback interface
    /// cannot: what is sent there comes back.
    pub fn is_ethernet(&self) -> bool {
        self.hardware_type == libc::ARPHRD_ETHER && !self.loopback
    }

    /// In how many queues its frames arrive; one where its driver does not say.
    pub fn receive_queues(&self) -> u32 {
        let asked = InterfaceControl::open().and_then(|control| control.receive_queues(&self.name));
        asked.unwrap_or(1).max(1)
    }

    /// The name of its driver; empty where it does not say.
    pub fn driver(&self) -> String {
        let asked = InterfaceControl::open().and_then(|control| control.driver(&self.name));
        asked.unwrap_or_default()
    }

    /// Whether its frames come out of the memory of this machine or its host, uncut and with unfinished checksums, and not
    /// from a cable.
    pub fn is_virtual(&self) -> bool {
        const DRIVERS: [&str; 8] = [
            "veth",
            "tun",
            "virtio_net",
            "bridge",
            "dummy",
            "macvlan",
            "vif",
            "hv_netvsc",
        ];
        DRIVERS.contains(&&*self.driver())
    }

    /// Has its frames handed over as they came, not joined. One that does not join anything cannot be told.
    pub(super) fn do_not_join(&self) -> io::Result<()> {
        match InterfaceControl::open()?.do_not_join(&self.name) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            told => told,
        }
    }

    /// Brings the interface up or down, as `ip link set` does.
    ///
    /// The other end of a veth pair, and of most network cards, loses its carrier while this one is down.
    pub fn set_up(&self, up: bool) -> Result<(), PortError> {
        let set = || {
            let control = InterfaceControl::open()?;
            // The lower half of the flags; IFF_UP is 1.
            let up_flag = 1_i16;
            let flags = control.flags(&self.name)?;
            control.set_flags(&self.name, if up { flags | up_flag } else { flags & !up_flag })
        };
        let what = if up { "bring it up" } else { "bring it down" };
        set().map_err(|error| PortError::from_system(&self.name, what, error))
    }
}

/// The name that takes the fewest changes to become `name`, if at most half of it changes.
fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<String> {
    let bound = name.len().div_ceil(2);
    let scored = all.map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate));
    let (_, best) = scored.filter(|(score, _)| *score <= bound).min()?;
    Some(best.to_owned())
}

/// Bytes to insert, delete or replace (Levenshtein). Interface names have 15 at most.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (b, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_and_is_no_port() {
        let lo = Interface::find("lo").unwrap();
        assert!(lo.loopback && !lo.is_ethernet());
        assert!(lo.mtu >= 1280);
        assert!(Interface::all().unwrap().contains(&lo));
    }

    #[test]
    fn a_missing_interface_is_told_with_the_nearest() {
        let Err(PortError::NoSuchInterface { interface, nearest }) = Interface::find("l0") else {
            panic!("found")
        };
        assert_eq!((interface.as_str(), nearest.as_deref()), ("l0", Some("lo")));
    }

    #[test]
    fn distances_count_changes() {
        for (from, to, changes) in [
            ("lan0", "lan0", 0),
            ("lan0", "lna0", 2),
            ("eth", "eth0", 1),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), changes, "{from} {to}");
        }
        assert_eq!(
            nearest("wan", ["lo", "eth0", "wan0"].into_iter()),
            Some("wan0".into())
        );
        assert_eq!(nearest("wan", ["lo", "eth0"].into_iter()), None);
    }
}
