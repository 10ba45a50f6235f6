//! Finishing a checksum that a virtual link left undone, for whoever needs the whole frame: a capture, or a
//! frame that is changed before it goes on. The kernel does it by itself for frames that are handed on.

use super::ChecksumState;

/// A UDP checksum of zero would mean "none": all ones is the same number.
const UDP_FIELD: u16 = 6;

/// Adds what is missing to the transport checksum of `frame`, which then is whole. `false`, and nothing is
/// changed, where the sum or its field does not lie in the frame.
///
/// Not for frames that are still to be cut: each segment gets a checksum of its own.
pub fn finish_checksum(frame: &mut [u8], state: ChecksumState) -> bool {
    let ChecksumState::Unfinished { start, offset } = state else {
        return true;
    };
    let Some(summed) = frame.get_mut(usize::from(start)..) else {
        return false;
    };
    // The field holds the sum of the pseudo header, so it is part of what is added up.
    let sum = !folded(summed);
    let sum = if sum == 0 && offset == UDP_FIELD { !0 } else { sum };
    let field = summed
        .get_mut(usize::from(offset)..)
        .and_then(<[u8]>::first_chunk_mut);
    field.map(|field| *field = sum.to_be_bytes()).is_some()
}

/// The sum of 16-bit words in one's complement (RFC 1071).
pub(super) fn folded(bytes: &[u8]) -> u16 {
    // The order of bytes in a word changes nothing but that of the sum (RFC 1071, 2B), and words of 32 bits fold as well.
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let mut sum = u64::from(u32::from_ne_bytes(last));
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::from_be_bytes(u16::try_from(sum).unwrap_or(u16::MAX).to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_add_up_as_the_standard_says(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut sum = 0_u32;
            for pair in bytes.chunks(2) {
                sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
                sum = (sum & 0xffff) + (sum >> 16);
            }
            prop_assert_eq!(u32::from(folded(&bytes)), sum);
        }

        #[test]
        fn what_is_finished_adds_up(
            mut frame in prop::collection::vec(any::<u8>(), 60..200), start in 14_u16..40, tcp: bool,
        ) {
            let offset = if tcp { 16 } else { 6 };
            let at = usize::from(start + offset);
            // What the pseudo header added up to is all that the field holds.
            let pseudo = u16::from_be_bytes([frame[at], frame[at + 1]]);
            let state = ChecksumState::Unfinished { start, offset };
            prop_assert!(finish_checksum(&mut frame, state));
            // A receiver adds the pseudo header and everything, the checksum too: all ones, or 0 which is the same.
            let mut all = pseudo.to_be_bytes().to_vec();
            all.extend(&frame[usize::from(start)..]);
            prop_assert!(matches!(folded(&all), 0xffff | 0));
            prop_assert!(tcp || frame[at..at + 2] != [0, 0]);
        }

        #[test]
        fn a_sum_outside_the_frame_changes_nothing(
            frame in prop::collection::vec(any::<u8>(), 0..60), start in 60_u16.., offset: u16,
        ) {
            let mut changed = frame.clone();
            let state = ChecksumState::Unfinished { start, offset };
            prop_assert!(!finish_checksum(&mut changed, state));
            prop_assert_eq!(frame, changed);
        }
    }

    #[test]
    fn a_whole_checksum_stays() {
        let mut frame = [1; 60];
        assert!(finish_checksum(&mut frame, ChecksumState::Verified));
        assert_eq!(frame, [1; 60]);
    }
}
