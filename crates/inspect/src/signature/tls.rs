//! TLS and SSL (RFC 8446 §5.1, RFC 6101).

use super::u16_at;

/// The longest record: plaintext and what encryption may add.
const MAX_RECORD: u16 = (1 << 14) + 2048;

/// Whether a direction's first bytes are TLS records, from the start or from the middle of a session.
pub(super) fn is_tls(seen: &[u8]) -> bool {
    is_record(seen) || is_version_2_hello(seen)
}

/// Whether a `ClientHello` offers DNS over TLS, and nothing else, by ALPN (RFC 7858 has `dot` for it in the
/// IANA registry): the whole extension must lie in `seen`.
pub(super) fn offers_dns(seen: &[u8]) -> bool {
    // Extension 16, a list of one protocol (RFC 7301 §3.1).
    const ONLY_DOT: [u8; 10] = [0, 16, 0, 6, 0, 4, 3, b'd', b'o', b't'];
    matches!(seen, [22, 3, _, _, _, 1, ..]) && memchr::memmem::find(seen, &ONLY_DOT).is_some()
}

fn is_record(seen: &[u8]) -> bool {
    let &[kind, 3, 0..=4, ..] = seen else {
        return false;
    };
    let Some(length) = u16_at(seen, 3).filter(|length| (1..=MAX_RECORD).contains(length)) else {
        return false;
    };
    match (kind, seen.get(5)) {
        // Change of cipher: one byte, always 1.
        (20, Some(1)) => length == 1,
        // An alert in the clear has a level of 1 or 2; an encrypted one is longer.
        (21, Some(first)) => length > 2 || length == 2 && matches!(first, 1 | 2),
        // A hello of either side, or the encrypted handshake of a session met in the middle.
        (22, Some(first)) => {
            matches!(first, 0..=2 | 4 | 8 | 11 | 12 | 13 | 14 | 15 | 16 | 20 | 22) && length >= 4
        }
        // Data: no less than a tag or a MAC.
        (23, Some(_)) => length >= 16 && next_record_fits(seen, length),
        _ => false,
    }
}

/// Whether another record follows, where the bytes reach that far.
fn next_record_fits(seen: &[u8], length: u16) -> bool {
    let at = usize::from(length).saturating_add(5);
    match seen.get(at..) {
        None | Some([]) => true,
        Some([kind]) => (20..=23).contains(kind),
        Some([kind, version, ..]) => (20..=23).contains(kind) && *version == 3,
    }
}

/// The hello of SSL 2 that old clients open with: length with its top bit set, type 1, a version.
fn is_version_2_hello(seen: &[u8]) -> bool {
    let &[
        high @ 0x80..=0x83,
        low,
        1,
        major,
        minor,
        c0,
        c1,
        s0,
        s1,
        r0,
        r1,
        ..,
    ] = seen
    else {
        return false;
    };
    let length = u32::from(high & 0x7f) << 8 | u32::from(low);
    let parts = [[c0, c1], [s0, s1], [r0, r1]].map(|part| u32::from(u16::from_be_bytes(part)));
    let [ciphers, _, challenge] = parts;
    matches!((major, minor), (0, 2) | (3, 0..=3))
        && ciphers > 0
        && ciphers.is_multiple_of(3)
        && (16..=32).contains(&challenge)
        && length == parts.iter().sum::<u32>().saturating_add(9)
}
