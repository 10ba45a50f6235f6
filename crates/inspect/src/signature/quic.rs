//! QUIC (RFC 8999, RFC 9000 §17) and its predecessors.

use super::u32_at;
use crate::Ports;

/// Connection ids are at most this long (RFC 9000 §17.2).
const MAX_ID: u8 = 20;

/// Whether a datagram opens or negotiates a QUIC connection, on any port.
pub(super) fn is_quic(ports: Ports, payload: &[u8]) -> bool {
    match payload.first() {
        Some(first) if first & 0x80 != 0 => long_header(*first, payload),
        Some(first) => early_google(ports, *first, payload),
        None => false,
    }
}

fn long_header(first: u8, payload: &[u8]) -> bool {
    let Some(version) = u32_at(payload, 1) else {
        return false;
    };
    // Google's versions up to 46 pack both lengths of the ids into one byte.
    if (version & 0xffff_ff00) == u32::from_be_bytes(*b"Q04\0") {
        return first & 0x40 != 0 && payload.len() >= 18;
    }
    let ids_fit = || {
        let destination = *payload.get(5)?;
        let source = *payload.get(usize::from(destination).checked_add(6)?)?;
        (destination <= MAX_ID && source <= MAX_ID).then_some(())
    };
    if ids_fit().is_none() {
        return false;
    }
    match version {
        // Version negotiation: a list of versions behind the ids (RFC 9000 §17.2.1).
        0 => version_list_fits(payload),
        // Version 1 and 2 (RFC 9369).
        1 | 0x6b33_43cf => first & 0x40 != 0,
        // The IETF's drafts; Facebook's.
        0xff00_0001..=0xff00_00ff | 0xface_b000..=0xface_b0ff => true,
        _ => {
            let bytes = version.to_be_bytes();
            let google = matches!(bytes, [b'Q' | b'T', b'0', b'5'..=b'9', b'0'..=b'9']);
            // Reserved to force negotiation (RFC 9000 §15); the fixed bit and the size of a first flight too.
            let greased = version & 0x0f0f_0f0f == 0x0a0a_0a0a && first & 0x40 != 0 && payload.len() >= 1200;
            google || greased
        }
    }
}

fn version_list_fits(payload: &[u8]) -> bool {
    let ids = payload.get(5).and_then(|&destination| {
        let source = *payload.get(usize::from(destination).checked_add(6)?)?;
        Some(
            usize::from(destination)
                .saturating_add(usize::from(source))
                .saturating_add(7),
        )
    });
    ids.and_then(|ids| payload.get(ids..))
        .is_some_and(|versions| !versions.is_empty() && versions.len().is_multiple_of(4))
}

/// Google's versions before 44: public flags, an id of eight bytes, the version in text.
fn early_google(ports: Ports, first: u8, payload: &[u8]) -> bool {
    let version = payload.get(9..13).unwrap_or_default();
    first & 0x09 == 0x09
        && matches!(version, [b'Q', b'0', b'0'..=b'4', b'0'..=b'9'])
        && ports.any_of(&[443, 80])
}
