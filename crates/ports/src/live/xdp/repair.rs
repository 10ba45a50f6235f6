//! Checksums that a virtual link left undone, and whose mark an `AF_XDP` socket does not hand over.
//!
//! The field of such a frame holds the folded sum of the pseudo header. A finished one holds that by chance once in 65,536
//! frames; to finish it again gives the value that it had.

use crate::live::{
    ChecksumState,
    checksum::{finish_checksum, folded},
};

const ADDRESSES: usize = 12;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where the checksum of a UDP datagram lies in it.
const UDP_FIELD: usize = 6;

/// Finishes the transport checksum of a frame where it is unfinished. `true`: it was.
///
/// TCP and UDP right behind IPv4 or IPv6, with up to two VLAN tags before: what a kernel leaves unfinished.
pub(super) fn repair(frame: &mut [u8]) -> bool {
    match transport(frame) {
        Some(found) if found.is_unfinished() => found.finish(frame),
        _ => false,
    }
}

/// What is known of the transport checksum of a frame, when it has been looked at, and at that of an IPv4 header; and whether
/// it came unfinished. Where padding follows, which must not count, it is finished here.
pub(super) fn examine(frame: &mut [u8]) -> (ChecksumState, bool) {
    let Some(found) = transport(frame).filter(|found| found.header_is_right(frame)) else {
        return (ChecksumState::Unverified, false);
    };
    if found.is_unfinished() && found.end <= frame.len() {
        if found.end == frame.len()
            && let Some(state) = found.unfinished()
        {
            return (state, true);
        }
        if found.finish(frame) {
            return (ChecksumState::Verified, true);
        }
    }
    let state = if found.is_right(frame) {
        ChecksumState::Verified
    } else {
        ChecksumState::Unverified
    };
    (state, false)
}

/// Whether the checksums of a frame, that of an IPv4 header too, are looked at here and right. Not for an unfinished one.
pub fn checksum_is_right(frame: &[u8]) -> bool {
    transport(frame).is_some_and(|found| found.header_is_right(frame) && found.is_right(frame))
}

/// A TCP or UDP segment in a frame.
struct Transport {
    /// Where its IP header begins, it begins itself and ends.
    ip: usize,
    start: usize,
    end: usize,
    /// Where its checksum lies, from its start; what stands there, and the sum of the pseudo header.
    offset: usize,
    field: u16,
    pseudo: u16,
    six: bool,
}

impl Transport {
    fn is_unfinished(&self) -> bool {
        self.field == self.pseudo
    }

    /// What is still to be done then.
    fn unfinished(&self) -> Option<ChecksumState> {
        Some(ChecksumState::Unfinished {
            start: u16::try_from(self.start).ok()?,
            offset: u16::try_from(self.offset).ok()?,
        })
    }

    fn finish(&self, frame: &mut [u8]) -> bool {
        let frame = frame.get_mut(..self.end);
        frame.is_some_and(|frame| {
            self.unfinished()
                .is_some_and(|state| finish_checksum(frame, state))
        })
    }

    fn header_is_right(&self, frame: &[u8]) -> bool {
        let header = frame.get(self.ip..self.start);
        self.six || header.is_some_and(|header| folded(header) == 0xffff)
    }

    fn is_right(&self, frame: &[u8]) -> bool {
        let Some(segment) = frame.get(self.start..self.end) else {
            return false;
        };
        let none = self.offset == UDP_FIELD && self.field == 0;
        if none {
            return !self.six;
        }
        let sum = u32::from(folded(segment)) + u32::from(self.pseudo);
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }
}

fn transport(frame: &[u8]) -> Option<Transport> {
    let mut at = ADDRESSES;
    for _ in 0..2 {
        if matches!(frame.get(at..at + 2)?, [0x81, 0x00] | [0x88, 0xa8]) {
            at += 4;
        }
    }
    let (kind, header) = (frame.get(at..at + 2)?, frame.get(at + 2..)?);
    let (protocol, header_len, length, addresses) = match kind {
        [0x08, 0x00] => {
            let header_len = usize::from(header.first()? & 0xf) * 4;
            // Fragments have one checksum for all of them.
            if be16(header, 6)? & 0x3fff != 0 {
                return None;
            }
            let length = usize::from(be16(header, 2)?).checked_sub(header_len)?;
            (*header.get(9)?, header_len, length, header.get(12..20)?)
        }
        [0x86, 0xdd] => (
            *header.get(6)?,
            40,
            usize::from(be16(header, 4)?),
            header.get(8..40)?,
        ),
        _ => return None,
    };
    let offset = match protocol {
        TCP => 16,
        UDP => UDP_FIELD,
        _ => return None,
    };
    let start = at + 2 + header_len;
    let [l0, l1] = u16::try_from(length).ok()?.to_be_bytes();
    let rest = folded(&[0, protocol, l0, l1]).to_be_bytes();
    let mut sums = [0; 4];
    sums[..2].copy_from_slice(&folded(addresses).to_be_bytes());
    sums[2..].copy_from_slice(&rest);
    Some(Transport {
        ip: at + 2,
        start,
        end: start + length,
        offset,
        field: be16(frame, start + offset)?,
        pseudo: folded(&sums),
        six: kind == [0x86, 0xdd],
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use packet::{
        TcpFlags,
        build::{Ends, Segment, ethernet_tcp, ethernet_udp},
    };
    use proptest::prelude::*;

    use super::*;

    /// A frame as a stack sends it, and as it stands in the memory of a virtual link; whether it has a tag.
    fn both(tcp: bool, six: bool, tagged: bool, payload: &[u8]) -> [Vec<u8>; 2] {
        let [from, to]: [SocketAddr; 2] = if six {
            [
                "[fd00::1]:1000".parse().unwrap(),
                "[fd00::2]:2000".parse().unwrap(),
            ]
        } else {
            ["10.0.0.1:1000".parse().unwrap(), "10.0.0.2:2000".parse().unwrap()]
        };
        let ends = Ends::new(from, to);
        let segment = Segment {
            seq: 7,
            ack: 8,
            flags: TcpFlags(0x18),
            window: 9,
            payload,
        };
        let mut whole = if tcp {
            ethernet_tcp(&ends, &segment)
        } else {
            ethernet_udp(&ends, payload)
        };
        let (start, offset) = (14 + if six { 40 } else { 20 }, if tcp { 16 } else { 6 });
        let mut partial = whole.clone();
        let mut pseudo = if six {
            whole[22..54].to_vec()
        } else {
            whole[26..34].to_vec()
        };
        let length = u16::try_from(whole.len() - start).unwrap();
        pseudo.extend([0, if tcp { 6 } else { 17 }]);
        pseudo.extend(length.to_be_bytes());
        partial[start + offset..][..2].copy_from_slice(&folded(&pseudo).to_be_bytes());
        if tagged {
            for frame in [&mut whole, &mut partial] {
                frame.splice(12..12, [0x81, 0, 0, 7]);
            }
        }
        [whole, partial]
    }

    proptest! {
        #[test]
        fn an_unfinished_frame_becomes_whole_and_a_whole_one_stays(
            tcp: bool, six: bool, tagged: bool, padding in 0_usize..10,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let [mut whole, mut partial] = both(tcp, six, tagged, &payload);
            for frame in [&mut whole, &mut partial] {
                // Not zero, as padding should be: it must not count.
                frame.extend(vec![0xaa; padding]);
            }
            prop_assert!(repair(&mut partial));
            prop_assert_eq!(&partial, &whole);
            repair(&mut partial);
            prop_assert_eq!(partial, whole);
        }

        #[test]
        fn anything_else_is_left_alone(mut frame in prop::collection::vec(any::<u8>(), 0..100)) {
            let before = frame.clone();
            prop_assert!(repair(&mut frame) || frame == before);
        }
    }

    proptest! {
        #[test]
        fn what_is_examined_is_right_or_told(
            tcp: bool, six: bool, tagged: bool, at in 34_usize..54, flip in 1_u8..,
            payload in prop::collection::vec(any::<u8>(), 20..200),
        ) {
            let [mut whole, mut partial] = both(tcp, six, tagged, &payload);
            let finished = whole.clone();
            let mut padded = partial.clone();
            padded.push(0xaa);
            prop_assert_eq!(examine(&mut padded), (ChecksumState::Verified, true));
            prop_assert_eq!(&padded[..finished.len()], &finished);
            let (state, unfinished) = examine(&mut partial);
            prop_assert!(unfinished && finish_checksum(&mut partial, state));
            prop_assert_eq!(&partial, &finished);
            // By chance a finished frame looks like an unfinished one: to finish it changes nothing.
            let (state, unfinished) = examine(&mut whole);
            prop_assert!(state == ChecksumState::Verified || unfinished && finish_checksum(&mut whole, state));
            prop_assert_eq!(&whole, &finished);
            // One byte of addresses, ports or data is another one: seen, unless the field is by chance that of an
            // unfinished frame.
            whole[at] ^= flip;
            let (state, repaired) = examine(&mut whole);
            prop_assert!(state == ChecksumState::Unverified || repaired, "{state:?}");
            prop_assert!(checksum_is_right(&finished) && (repaired || !checksum_is_right(&whole)));
        }
    }

    #[test]
    fn the_header_of_ipv4_is_examined_too_and_udp_may_have_no_checksum() {
        let [mut whole, _] = both(false, false, false, b"data");
        whole[22] ^= 1;
        assert_eq!(examine(&mut whole), (ChecksumState::Unverified, false));
        whole[22] ^= 1;
        whole[40..42].fill(0);
        assert_eq!(examine(&mut whole), (ChecksumState::Verified, false));
        let [mut six, _] = both(false, true, false, b"data");
        six[60..62].fill(0);
        assert_eq!(examine(&mut six), (ChecksumState::Unverified, false));
    }

    #[test]
    fn a_fragment_is_left_alone() {
        let [_, mut partial] = both(false, false, false, b"half");
        partial[20] = 0x20;
        assert!(!repair(&mut partial));
    }
}
