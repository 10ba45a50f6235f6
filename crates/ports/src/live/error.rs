//! What can go wrong with a live interface, as sentences that say what to do.

use std::io;

/// A live interface that cannot be used. The process ends with exit code 3: the system refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// Packet sockets are for privileged processes.
    #[error(
        "{interface}: not permitted; run as root or give CAP_NET_RAW and CAP_NET_ADMIN, for io = \"xdp\" CAP_BPF too"
    )]
    NotPermitted {
        /// The interface that was to be opened.
        interface: String,
    },
    /// No interface has that name.
    #[error("{interface}: no such interface{}", suggestion(.nearest.as_deref()))]
    NoSuchInterface {
        /// The name asked for.
        interface: String,
        /// The existing interface whose name is most like it.
        nearest: Option<String>,
    },
    /// The interface exists, but is administratively down.
    #[error("{interface}: the interface is down; run 'ip link set dev {interface} up'")]
    Down {
        /// The interface that was to be opened.
        interface: String,
    },
    /// Another firewall holds the interface.
    #[error(
        "{interface}: another cordon holds this interface; stop it first, or give this one another interface"
    )]
    InUse {
        /// The interface that was to be claimed.
        interface: String,
    },
    /// The frames of this interface do not begin with an Ethernet header.
    #[error(
        "{interface}: is no Ethernet interface (link type {hardware_type}); use an Ethernet, VLAN, bridge \
         or veth interface"
    )]
    NotEthernet {
        /// The interface that was to be opened.
        interface: String,
        /// `ARPHRD_…` of Linux' `if_arp.h`.
        hardware_type: u16,
    },
    /// The rings of this size do not fit into the memory that the kernel may use.
    #[error("{interface}: the kernel has no memory for the rings ({bytes} bytes); ask for fewer slots")]
    NoMemory {
        /// The interface that was to be opened.
        interface: String,
        /// What was asked for.
        bytes: u64,
    },
    /// The fan-out group cannot be joined.
    #[error(
        "{interface}: the fan-out group {group} is used otherwise; let the first socket found a group of \
         its own"
    )]
    GroupBusy {
        /// The interface that was to be opened.
        interface: String,
        /// The group's number.
        group: u16,
    },
    /// Frames as large as the interface's MTU allows do not fit a chunk of an `AF_XDP` socket's memory.
    #[error(
        "{interface}: frames of its MTU of {mtu} do not fit into AF_XDP's buffers, {most} at most; lower the MTU, or \
         give the wire io = \"packet\""
    )]
    TooLargeForXdp {
        /// The interface that was to be opened.
        interface: String,
        /// Its MTU.
        mtu: u32,
        /// The largest that fits.
        most: u32,
    },
    /// Anything else that the system refused.
    #[error("{interface}: cannot {what}: {source}")]
    System {
        /// The interface concerned.
        interface: String,
        /// What was tried, as the rest of a sentence.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn suggestion(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

impl PortError {
    /// What `source` means for `interface` while doing `what`.
    pub(super) fn from_system(interface: &str, what: &'static str, source: io::Error) -> Self {
        let interface = interface.to_owned();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { interface },
            Some(libc::ENODEV | libc::ENXIO) => Self::NoSuchInterface {
                interface,
                nearest: None,
            },
            Some(libc::ENETDOWN) => Self::Down { interface },
            _ => Self::System {
                interface,
                what,
                source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let from = |code| PortError::from_system("lan0", "bind", io::Error::from_raw_os_error(code));
        assert_eq!(
            from(libc::EPERM).to_string(),
            "lan0: not permitted; run as root or give CAP_NET_RAW and CAP_NET_ADMIN, for io = \"xdp\" CAP_BPF too"
        );
        assert_eq!(from(libc::ENODEV).to_string(), "lan0: no such interface");
        assert!(from(libc::EBUSY).to_string().starts_with("lan0: cannot bind: "));
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = PortError::NoSuchInterface {
            interface: "lna0".into(),
            nearest: Some("lan0".into()),
        };
        assert_eq!(error.to_string(), "lna0: no such interface; did you mean lan0?");
    }
}
