//! GRE headers: version 0 (RFC 2784, RFC 2890) and PPTP's version 1 (RFC 2637).

use super::{Carries, Encapsulation, Header};
use crate::read::array;

/// A checksum follows, with two reserved bytes.
const CHECKSUM: u8 = 0x80;
/// A source route follows (RFC 1701); no stack of today takes such a packet.
const ROUTING: u8 = 0x40;
/// A key follows.
const KEY: u8 = 0x20;
/// A sequence number follows.
const SEQUENCE: u8 = 0x10;
/// An acknowledgment number follows, in version 1.
const ACKNOWLEDGMENT: u8 = 0x80;
/// The version, in the second byte.
const VERSION: u8 = 0x07;
/// The one protocol that version 1 carries.
const PPP: u16 = 0x880b;

/// The header at the start of `payload`; `None` where it is cut off or of no version that is known.
pub(super) fn header(payload: &[u8]) -> Option<Header> {
    let [flags, second, high, low] = array(payload, 0)?;
    let protocol = u16::from_be_bytes([high, low]);
    let header = match second & VERSION {
        0 => version0(payload, flags, protocol)?,
        1 => version1(flags, second, protocol)?,
        _ => return None,
    };
    (payload.len() >= header.len).then_some(header)
}

fn version0(payload: &[u8], flags: u8, protocol: u16) -> Option<Header> {
    if flags & ROUTING != 0 {
        return None;
    }
    let mut len = 4_usize;
    if flags & CHECKSUM != 0 {
        len = len.saturating_add(4);
    }
    let mut key = 0;
    if flags & KEY != 0 {
        key = u32::from_be_bytes(array(payload, len)?);
        len = len.saturating_add(4);
    }
    if flags & SEQUENCE != 0 {
        len = len.saturating_add(4);
    }
    Some(Header {
        encapsulation: Encapsulation::Gre,
        key,
        len,
        most: usize::MAX,
        carries: if protocol == PPP {
            Carries::Ppp
        } else {
            Carries::of_ethertype(protocol)
        },
    })
}

/// Each direction of PPTP has a call id of its own, so that it cannot be part of the key.
fn version1(flags: u8, second: u8, protocol: u16) -> Option<Header> {
    if protocol != PPP || flags & (CHECKSUM | ROUTING | KEY) != KEY {
        return None;
    }
    let mut len = 8_usize;
    let payload_present = flags & SEQUENCE != 0;
    if payload_present {
        len = len.saturating_add(4);
    }
    if second & ACKNOWLEDGMENT != 0 {
        len = len.saturating_add(4);
    }
    Some(Header {
        encapsulation: Encapsulation::Gre,
        key: 0,
        len,
        most: usize::MAX,
        carries: if payload_present {
            Carries::Ppp
        } else {
            Carries::Opaque // an acknowledgment alone
        },
    })
}

/// Whether the header at the start of `payload` has a checksum; `None` where it cannot be used again for the other
/// direction, because it has a sequence number or is PPTP's, whose call ids differ.
pub(crate) fn turns(payload: &[u8]) -> Option<bool> {
    let [flags, second] = array(payload, 0)?;
    let version = second & VERSION;
    let can = version == 0 && flags & SEQUENCE == 0;
    can.then_some(flags & CHECKSUM != 0)
}
