//! Encodings that several protocols share: BER, and headers that hold their own length.

use super::u16_at;
use crate::Application;

/// The longest message worth believing in, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// The header of a BER element: its tag, the length of its contents, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                digits.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
                rest,
            )
        }
        _ => return None,
    };
    Some((tag, length, rest))
}

/// LDAP, SNMP and Kerberos by the outermost elements of their messages. Bytes may end early.
pub(super) fn asn1(bytes: &[u8]) -> Option<Application> {
    let (tag, outer, rest) = element(bytes)?;
    if !(3..=MAX_MESSAGE).contains(&outer) {
        return None;
    }
    if matches!(tag, 0x6a..=0x6f | 0x7e) {
        return is_kerberos(outer, rest).then_some(Application::Kerberos);
    }
    if tag != 0x30 {
        return None;
    }
    let (2, length @ 1..=4, rest) = element(rest)? else {
        return None;
    };
    let (number, rest) = rest.split_at_checked(length)?;
    let (inner_tag, inner, _) = element(rest)?;
    let fits = inner <= outer;
    match (number, inner_tag) {
        // SNMP 1, 2c: version and community (RFC 1157 §4); 3: version and header data (RFC 3412 §6).
        ([0 | 1], 4) | ([3], 0x30) if fits => Some(Application::Snmp),
        // LDAP: message id and an operation (RFC 4511 §4).
        (_, 0x60..=0x79 | 0x42 | 0x4a | 0x50) if fits => Some(Application::Ldap),
        _ => None,
    }
}

/// A request or reply of Kerberos 5: a sequence that begins with the version (RFC 4120 §5.4).
fn is_kerberos(outer: usize, rest: &[u8]) -> bool {
    let Some((0x30, inner, rest)) = element(rest) else {
        return false;
    };
    matches!(rest, [0xa0 | 0xa1, 3, 2, 1, 5, ..]) && inner < outer
}

/// IKE (RFC 7296 §3.1), whose header ends with the whole message's length.
pub(super) fn is_ike(payload: &[u8]) -> bool {
    let message = payload.strip_prefix(&[0, 0, 0, 0]).unwrap_or(payload);
    let Some([spi @ .., _, _, _, _, _, _, _, _, next, version, exchange, _]) = message.first_chunk::<20>()
    else {
        return false;
    };
    let length = super::u32_at(message, 24).and_then(|length| usize::try_from(length).ok());
    spi.iter().any(|byte| *byte != 0)
        && matches!((version >> 4, exchange), (1, 0..=6 | 32 | 33) | (2, 34..=43))
        && matches!(next, 0..=23 | 33..=56 | 130..=133)
        && length == Some(message.len())
}

/// The shortest packet that opens an `OpenVPN` session, in bytes.
pub(super) const OPEN_VPN_RESET: usize = 14;

/// Whether an `OpenVPN` client opens a session (opcode 7 or 10) and its server answers (opcode 8).
pub(super) fn open_vpn_pair(client: &[u8], server: &[u8]) -> bool {
    matches!(client.first(), Some(0x38 | 0x50)) && server.first() == Some(&0x40)
}

/// Whether a packet of control or acknowledgement (opcodes 4 and 5) carries the session id of the reset that
/// the same side sent before it.
pub(super) fn open_vpn_continues(reset: &[u8], next: &[u8]) -> bool {
    matches!(reset.first(), Some(0x38 | 0x40 | 0x50))
        && matches!(next.first(), Some(0x20 | 0x28))
        && next.get(1..9).is_some_and(|id| reset.get(1..9) == Some(id))
}

/// RADIUS (RFC 2865 §3): known code, own length, attributes that fill it. A cut frame is judged on what is there.
pub(super) fn is_radius(known_port: bool, payload: &[u8]) -> bool {
    let (Some(code), Some(length)) = (payload.first(), u16_at(payload, 2).map(usize::from)) else {
        return false;
    };
    let known = matches!(code, 1..=5 | 11..=13 | 40..=45);
    if !known || !(20..=4096).contains(&length) {
        return false;
    }
    if known_port {
        return true;
    }
    let Some(mut attributes) = payload.get(20..length) else {
        return false;
    };
    while let Some(&[_, size]) = attributes.first_chunk::<2>() {
        match attributes.get(usize::from(size)..) {
            Some(rest) if size >= 2 => attributes = rest,
            _ => return false,
        }
    }
    attributes.is_empty() && length > 20 && length == payload.len()
}
