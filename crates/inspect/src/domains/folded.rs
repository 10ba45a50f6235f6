//! A name in lower case with its labels found, ready to hash every ancestor in one pass from right to left.

use packet::DomainName;

/// Zero bytes in front, so that eight bytes can be read that end at any label's end.
const LEAD: usize = 8;
/// Room for a name and for whole words behind it.
const ROOM: usize = LEAD + 256 + 8;
/// The most labels a name can have.
pub(super) const MAX_LABELS: usize = 127;

/// A name folded to lower case.
pub(super) struct Folded {
    bytes: [u8; ROOM],
    /// Where each label's length byte stands, from left to right, counted from the name's start.
    starts: [u8; MAX_LABELS + 1],
    labels: usize,
    /// Bytes of the name without the root's.
    len: usize,
}

impl Folded {
    pub(super) fn new(name: &DomainName) -> Self {
        let wire = name.as_wire();
        let mut folded = Self {
            bytes: [0; ROOM],
            starts: [0; MAX_LABELS + 1],
            labels: 0,
            len: wire.len().saturating_sub(1),
        };
        let (words, tail) = wire.as_chunks::<8>();
        let room = folded.bytes.get_mut(LEAD..).unwrap_or_default();
        let (places, _) = room.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = lower(u64::from_le_bytes(*word)).to_le_bytes();
        }
        if let Some(place) = places.get_mut(words.len()) {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            *place = lower(u64::from_le_bytes(last)).to_le_bytes();
        }
        folded.find_labels();
        folded
    }

    fn find_labels(&mut self) {
        let mut at = 0_usize;
        while at < self.len
            && let Some(start) = self.starts.get_mut(self.labels)
            && let Some(&length) = self.bytes.get(LEAD.saturating_add(at))
        {
            *start = u8::try_from(at).unwrap_or(u8::MAX);
            self.labels = self.labels.saturating_add(1);
            at = at.saturating_add(1).saturating_add(usize::from(length));
        }
    }

    /// How many labels the name has.
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// The last `depth` labels in wire format, without the root.
    pub(super) fn suffix(&self, depth: usize) -> &[u8] {
        let start = self.start(self.labels.saturating_sub(depth));
        let end = LEAD.saturating_add(self.len);
        self.bytes
            .get(LEAD.saturating_add(start)..end)
            .unwrap_or_default()
    }

    fn start(&self, label: usize) -> usize {
        if label >= self.labels {
            return self.len;
        }
        self.starts.get(label).copied().map_or(self.len, usize::from)
    }

    /// The hash of the last `depth` labels, given that of the last `depth - 1`.
    pub(super) fn hash_label(&self, state: u64, depth: usize) -> u64 {
        let label = self.labels.saturating_sub(depth);
        let start = LEAD.saturating_add(self.start(label));
        let end = LEAD.saturating_add(self.start(label.saturating_add(1)));
        let (words, tail) = self.bytes.get(start..end).unwrap_or_default().as_chunks::<8>();
        let mut state = state;
        for word in words {
            state = mix(state ^ u64::from_le_bytes(*word));
        }
        if !tail.is_empty()
            && let Some(last) = self.bytes.get(end.saturating_sub(8)..end)
            && let Ok(last) = <[u8; 8]>::try_from(last)
        {
            // The bytes in front of the tail are shifted out.
            let unwanted = 8_usize.saturating_sub(tail.len()).saturating_mul(8);
            let shift = u32::try_from(unwanted).unwrap_or(0);
            state = mix(state ^ u64::from_le_bytes(last).wrapping_shr(shift));
        }
        state
    }

    /// The hash of the whole name.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        (1..=self.labels).fold(start_state(seed), |state, depth| self.hash_label(state, depth))
    }
}

/// The hash of no labels.
pub(super) fn start_state(seed: u64) -> u64 {
    mix(seed ^ 0x9e37_79b9_7f4a_7c15)
}

/// 64 x 64 to 128 bit multiply, both halves folded into one.
fn mix(word: u64) -> u64 {
    let wide = u128::from(word ^ 0x2d35_8dcc_aa6c_78a5).wrapping_mul(0x8bb8_4b93_962e_acc9);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are asked for")]
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    low ^ high
}

/// Folds `A`-`Z` to lower case in eight bytes at once.
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
    fn suffixes_hash_as_names_of_their_own() {
        let name: DomainName = "WWW.averylonglabel-indeed.Example.com".parse().unwrap();
        let folded = Folded::new(&name);
        assert_eq!(folded.labels(), 4);
        let mut state = start_state(7);
        for depth in 1..=4 {
            state = folded.hash_label(state, depth);
            let parent = Folded::new(&name.parent(4 - depth));
            assert_eq!(state, parent.hash(7), "depth {depth}");
            assert_eq!(folded.suffix(depth), parent.suffix(depth));
        }
    }
}
