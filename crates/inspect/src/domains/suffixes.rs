//! A name's ancestors, hashed in one pass from right to left, whatever the case of its letters.

/// The most labels a name can have.
const MAX_LABELS: usize = 127;

/// A name in wire format with its labels found.
pub(super) struct Suffixes<'n> {
    /// The name without the root's byte.
    wire: &'n [u8],
    /// Where each label's length byte stands, from left to right.
    starts: [u8; MAX_LABELS + 1],
    labels: usize,
}

impl<'n> Suffixes<'n> {
    /// Finds the labels of a valid name; its closing zero byte may be there or not.
    #[inline]
    pub(super) fn new(wire: &'n [u8]) -> Self {
        let mut suffixes = Self {
            wire: wire.strip_suffix(&[0]).unwrap_or(wire),
            starts: [0; MAX_LABELS + 1],
            labels: 0,
        };
        let mut at = 0_usize;
        while let Some(&length) = suffixes.wire.get(at)
            && let Some(start) = suffixes.starts.get_mut(suffixes.labels)
        {
            *start = u8::try_from(at).unwrap_or(u8::MAX);
            suffixes.labels = suffixes.labels.saturating_add(1);
            at = at.saturating_add(1).saturating_add(usize::from(length));
        }
        suffixes
    }

    /// How many labels the name has.
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// The last `depth` labels, in the case they came in.
    pub(super) fn suffix(&self, depth: usize) -> &'n [u8] {
        let start = self.start(self.labels.saturating_sub(depth));
        self.wire.get(start..).unwrap_or_default()
    }

    fn start(&self, label: usize) -> usize {
        if label >= self.labels {
            return self.wire.len();
        }
        self.starts.get(label).copied().map_or(0, usize::from)
    }

    /// Hashes suffixes, each longer than the one before.
    pub(super) fn hasher(&self, seed: u64) -> SuffixHasher<'n> {
        SuffixHasher {
            wire: self.wire,
            state: mix(seed ^ 0x9e37_79b9_7f4a_7c15),
            taken: 0,
        }
    }

    /// The hash of the whole name.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        self.hasher(seed).hash(self.wire)
    }
}

/// Takes whole words from a name's end; a suffix adds the bytes in front of them and its length.
pub(super) struct SuffixHasher<'n> {
    wire: &'n [u8],
    state: u64,
    /// Bytes taken from the end, a multiple of eight.
    taken: usize,
}

impl SuffixHasher<'_> {
    /// The hash of a suffix of the name that is no shorter than the last one.
    #[inline]
    pub(super) fn hash(&mut self, suffix: &[u8]) -> u64 {
        while suffix.len() >= self.taken.saturating_add(8) {
            let end = self.wire.len().saturating_sub(self.taken);
            let word = self.wire.get(..end).and_then(<[u8]>::last_chunk);
            self.state = mix(self.state ^ lower(word.map_or(0, |word| u64::from_le_bytes(*word))));
            self.taken = self.taken.saturating_add(8);
        }
        let rest = u32::try_from(suffix.len().saturating_sub(self.taken)).unwrap_or(0);
        let first = self.first_bytes(suffix, rest);
        // Fewer than eight bytes leave the top one for the length, which is below 256.
        let length = u64::try_from(suffix.len()).unwrap_or(0).wrapping_shl(56);
        mix(self.state ^ lower(first) ^ length)
    }

    /// The first `count` bytes of a suffix as a number, at most seven, read as one word where there is room.
    #[inline]
    fn first_bytes(&self, suffix: &[u8], count: u32) -> u64 {
        let bits = count.wrapping_mul(8);
        if let Some(word) = suffix.first_chunk() {
            let mask = 1_u64.wrapping_shl(bits).wrapping_sub(1);
            return u64::from_le_bytes(*word) & mask;
        }
        // All of the suffix is these bytes: read the word that ends where it ends.
        if let Some(word) = self.wire.last_chunk() {
            return u64::from_le_bytes(*word).wrapping_shr(64_u32.wrapping_sub(bits));
        }
        suffix
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    }
}

/// 64 x 64 to 128 bit multiply, both halves folded into one.
fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0x2d35_8dcc_aa6c_78a5).wrapping_mul(0x8bb8_4b93_962e_acc9);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are asked for")]
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    low ^ high
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
    use packet::DomainName;
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

    proptest! {
        #[test]
        fn suffixes_hash_as_names_of_their_own(text in "([a-zA-Z]{1,20}\\.){1,9}[a-z]{1,9}", seed: u64) {
            let name: DomainName = text.parse().unwrap();
            let suffixes = Suffixes::new(name.as_wire());
            let labels = name.labels().count();
            prop_assert_eq!(suffixes.labels(), labels);
            let mut hasher = suffixes.hasher(seed);
            for depth in 1..=labels {
                let hash = hasher.hash(suffixes.suffix(depth));
                let parent: DomainName = name.parent(labels - depth).to_string().to_ascii_lowercase().parse().unwrap();
                let parent = Suffixes::new(parent.as_wire());
                prop_assert_eq!(hash, parent.hash(seed), "depth {}", depth);
                prop_assert!(suffixes.suffix(depth).eq_ignore_ascii_case(parent.wire));
            }
        }
    }
}
