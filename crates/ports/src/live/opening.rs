//! What opening either half of a port needs.

use std::{io, os::fd::OwnedFd};

use libc::c_int;

use super::{Fanout, Interface, OpenOptions, PortError, sys};

/// The interface's number, if it can be a port.
pub(super) fn usable(interface: &Interface) -> Result<c_int, PortError> {
    if !interface.is_ethernet() {
        return Err(PortError::NotEthernet {
            interface: interface.name.clone(),
            hardware_type: interface.hardware_type,
        });
    }
    let gone = |_| PortError::NoSuchInterface {
        interface: interface.name.clone(),
        nearest: None,
    };
    c_int::try_from(interface.index).map_err(gone)
}

/// Room for a frame of the interface's MTU, up to usual jumbo frames.
pub(super) fn slot_bytes(interface: &Interface, overhead: usize) -> usize {
    let frame = (interface.mtu as usize).saturating_add(overhead);
    frame.clamp(2048, 16_384).next_power_of_two()
}

/// Names the memory where that is what a ring lacked.
pub(super) fn no_memory(interface: &Interface, slots: u32, slot_bytes: usize, error: io::Error) -> PortError {
    if error.raw_os_error() == Some(libc::ENOMEM) {
        return PortError::NoMemory {
            interface: interface.name.clone(),
            bytes: u64::from(slots).saturating_mul(slot_bytes as u64),
        };
    }
    PortError::from_system(&interface.name, "map a ring of frames", error)
}

/// `PACKET_MR_PROMISC`, as wide as its field.
const PROMISCUOUS: u16 = 1;

/// What makes an interface take frames for every address, as long as the socket lives.
pub(super) fn promiscuous(index: c_int) -> libc::packet_mreq {
    libc::packet_mreq {
        mr_ifindex: index,
        mr_type: PROMISCUOUS,
        mr_alen: 0,
        mr_address: [0; 8],
    }
}

/// Joins the fan-out group asked for; its number.
pub(super) fn join(socket: &OwnedFd, options: &OpenOptions<'_>) -> Result<Option<u16>, PortError> {
    let (group, new) = match options.fanout {
        Fanout::Alone => return Ok(None),
        Fanout::Found => (0, libc::PACKET_FANOUT_FLAG_UNIQUEID),
        Fanout::Join(group) => (group, 0),
    };
    // A group has its own hook into the interface: what the socket ignores does not count there.
    let ignore = if options.outgoing {
        0
    } else {
        libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING
    };
    let argument = u32::from(group) | ((libc::PACKET_FANOUT_HASH | new | ignore) << 16);
    let interface = &options.interface.name;
    sys::set_option(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_FANOUT,
        argument.cast_signed(),
    )
    .map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOSPC | libc::EALREADY) => PortError::GroupBusy {
            interface: interface.clone(),
            group,
        },
        _ => PortError::from_system(interface, "join a fan-out group", error),
    })?;
    let joined = sys::option::<c_int>(socket, libc::SOL_PACKET, libc::PACKET_FANOUT)
        .map_err(|error| PortError::from_system(interface, "ask for the fan-out group", error))?;
    Ok(Some((joined.cast_unsigned() & 0xffff) as u16))
}
