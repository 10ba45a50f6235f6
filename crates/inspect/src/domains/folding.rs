//! Hashing and comparing names whatever the case of their letters, eight bytes at a time.

/// The hash of a name, or of what is left of one, in wire format without the root's byte.
///
/// Most names have 8 to 32 bytes: four words that may overlap hold them, and no branch, which a processor
/// would guess wrong half of the time, asks how long they are.
#[inline]
pub(super) fn hash(seed: u64, name: &[u8]) -> u64 {
    let length = u64::try_from(name.len()).unwrap_or(0);
    let mut state = seed ^ length.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if name.len() > 32 {
        for block in name.as_chunks::<32>().0 {
            state = absorb(state, [0, 8, 16, 24].map(|at| word_at(block, at)));
        }
        let last = name.last_chunk::<32>().unwrap_or(&[0; 32]);
        return absorb(state, [0, 8, 16, 24].map(|at| word_at(last, at)));
    }
    if let Some(last) = name.len().checked_sub(8) {
        let near = last.min(8);
        let offsets = [0, near, last.wrapping_sub(near), last];
        return absorb(state, offsets.map(|at| word_at(name, at)));
    }
    let word = name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    absorb(state, [lower(word); 4])
}

/// Takes in 32 bytes.
fn absorb(state: u64, [a, b, c, d]: [u64; 4]) -> u64 {
    let front = multiplied(a ^ state, b ^ 0x2d35_8dcc_aa6c_78a5);
    let back = multiplied(c ^ state.rotate_left(32), d ^ 0x4b33_a62e_d433_d4a3);
    multiplied(front ^ back ^ state, 0x8bb8_4b93_962e_acc9)
}

/// 64 x 64 to 128 bit multiply, both halves folded into one.
fn multiplied(a: u64, b: u64) -> u64 {
    let wide = u128::from(a).wrapping_mul(u128::from(b));
    #[expect(clippy::cast_possible_truncation, reason = "both halves are asked for")]
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    low ^ high
}

/// Whether `name` is `stored`, which is in lower case.
#[inline]
pub(super) fn same_name(stored: &[u8], name: &[u8]) -> bool {
    let Some(last) = name.len().checked_sub(8) else {
        return stored.eq_ignore_ascii_case(name);
    };
    if stored.len() != name.len() {
        return false;
    }
    let differs = |at: usize| raw_word_at(stored, at) ^ word_at(name, at);
    // The last word overlaps the one before, so that no tail is left.
    let words = (0..last).step_by(8);
    words.fold(differs(last), |all, at| all | differs(at)) == 0
}

/// The eight bytes from `at` on, in lower case.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    lower(raw_word_at(bytes, at))
}

#[inline]
fn raw_word_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// Folds `A`-`Z` to lower case in eight bytes at once. Lengths of labels, below 64, stay as they are.
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * ONES);
    // Bit 7 of each byte: at least `A`; more than `Z`. No sum carries: both addends are below 128.
    let from_a = low_bits.wrapping_add((0x80 - 0x41) * ONES);
    let past_z = low_bits.wrapping_add((0x7f - 0x5a) * ONES);
    let upper = (from_a ^ past_z) & !word & (0x80 * ONES);
    word | (upper >> 2)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folds_every_byte_as_ascii() {
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([byte, 0xff, byte, b'Z', 0, byte, b'A', byte]);
            let wanted = word.to_le_bytes().map(|b| b.to_ascii_lowercase());
            assert_eq!(lower(word).to_le_bytes(), wanted);
        }
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let mut hashes = HashSet::new();
        for length in 0..=254 {
            let mut name = vec![0; length];
            assert!(hashes.insert(hash(1, &name)), "{length} bytes");
            for at in 0..length {
                name[at] = b'a';
                assert!(hashes.insert(hash(1, &name)), "byte {at} of {length}");
                name[at] = 0;
            }
        }
    }

    proptest! {
        #[test]
        fn case_does_not_matter(name in "[a-z0-9\\-]{0,70}", flip in prop::collection::vec(any::<bool>(), 70), seed: u64) {
            let mut flipped = name.clone().into_bytes();
            for (byte, flip) in flipped.iter_mut().zip(flip) {
                if flip {
                    byte.make_ascii_uppercase();
                }
            }
            prop_assert_eq!(hash(seed, &flipped), hash(seed, name.as_bytes()));
            prop_assert!(same_name(name.as_bytes(), &flipped));
        }

        #[test]
        fn names_compare_as_ascii_does(name in "[a-z0-9\\-]{1,70}", other: Vec<u8>, at: usize, change in 1..=u8::MAX) {
            let name = name.into_bytes();
            prop_assert_eq!(same_name(&name, &other), name.eq_ignore_ascii_case(&other));
            let mut near = name.clone();
            near[at % name.len()] ^= change;
            prop_assert_eq!(same_name(&name, &near), name.eq_ignore_ascii_case(&near));
            prop_assert!(!same_name(&name, &name[1..]));
        }
    }
}
