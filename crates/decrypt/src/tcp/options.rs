//! TCP options: what the SYNs offered, what a segment carries, what ours carry.

use super::sequence;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
/// The largest shift a window scale option may ask for (RFC 7323 §2.3).
const MAX_WINDOW_SCALE: u8 = 14;
/// SACK blocks that fit into 40 bytes of options.
pub(super) const MAX_SACK_BLOCKS: usize = 4;

/// What a SYN or SYN-ACK offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// Maximum segment size its sender can receive (RFC 9293 §3.7.1).
    pub mss: Option<u16>,
    /// Shift of the windows its sender will announce, at most 14 (RFC 7323 §2).
    pub window_scale: Option<u8>,
    /// Whether its sender understands SACK (RFC 2018 §2).
    pub sack_permitted: bool,
    /// Timestamp value and echo reply (RFC 7323 §3).
    pub timestamps: Option<(u32, u32)>,
}

impl SynOptions {
    /// Reads the raw options of a SYN; the last of each kind counts, what does not fit its kind is stepped over.
    pub fn parse(options: &[u8]) -> Self {
        let mut found = Self::default();
        each(options, |kind, data| match (kind, data) {
            (MSS, &[high, low]) => found.mss = Some(u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => found.window_scale = Some(shift.min(MAX_WINDOW_SCALE)),
            (SACK_PERMITTED, []) => found.sack_permitted = true,
            (TIMESTAMPS, data) => found.timestamps = timestamps(data).or(found.timestamps),
            _ => {}
        });
        found
    }
}

/// What the options of a segment without SYN say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentOptions {
    /// Timestamp value and echo reply.
    pub(super) timestamps: Option<(u32, u32)>,
    blocks: [(u32, u32); MAX_SACK_BLOCKS],
    count: usize,
}

impl SegmentOptions {
    pub(super) fn parse(options: &[u8]) -> Self {
        let mut found = Self::default();
        each(options, |kind, data| match kind {
            TIMESTAMPS => found.timestamps = timestamps(data).or(found.timestamps),
            SACK if data.len().is_multiple_of(8) => {
                found.count = 0;
                for (place, block) in found.blocks.iter_mut().zip(data.chunks_exact(8)) {
                    if let Some(block) = two_words(block) {
                        *place = block;
                        found.count += 1;
                    }
                }
            }
            _ => {}
        });
        found
    }

    /// SACK blocks, first and one past the last number of each, in the order they stand.
    pub(super) fn sack_blocks(&self) -> &[(u32, u32)] {
        self.blocks.get(..self.count).unwrap_or_default()
    }
}

fn timestamps(data: &[u8]) -> Option<(u32, u32)> {
    (data.len() == 8).then(|| two_words(data))?
}

/// Two words of four bytes, if they are there.
fn two_words(data: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = data.split_first_chunk()?;
    let second = rest.first_chunk()?;
    Some((u32::from_be_bytes(*first), u32::from_be_bytes(*second)))
}

/// Calls `found` with the kind and the data of each option, as far as the list makes sense.
fn each<'a>(mut options: &'a [u8], mut found: impl FnMut(u8, &'a [u8])) {
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END => return,
            NOP => options = rest,
            _ => {
                let Some((&length, rest)) = rest.split_first() else {
                    return;
                };
                let data = usize::from(length).checked_sub(2);
                let Some((data, behind)) = data.and_then(|data| rest.split_at_checked(data)) else {
                    return;
                };
                found(kind, data);
                options = behind;
            }
        }
    }
}

/// The options of a segment to send, padded to whole words.
#[derive(Clone, Copy, Debug)]
pub(super) struct OptionBuffer {
    bytes: [u8; 40],
    len: usize,
}

impl OptionBuffer {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; 40],
        len: 0,
    };
    /// Bytes that [`OptionBuffer::timestamps`] takes.
    pub(super) const TIMESTAMPS_LEN: u16 = 12;

    pub(super) fn timestamps(&mut self, value: u32, echo: u32) {
        self.append(&[NOP, NOP, TIMESTAMPS, 10]);
        self.append(&value.to_be_bytes());
        self.append(&echo.to_be_bytes());
    }

    /// As many of the blocks as fit.
    pub(super) fn sack(&mut self, blocks: impl Iterator<Item = (u64, u64)>) {
        let start = self.len;
        self.append(&[NOP, NOP, SACK, 2]);
        for (from, to) in blocks {
            if self.len + 8 > self.bytes.len() {
                break;
            }
            self.append(&sequence::wire(from).to_be_bytes());
            self.append(&sequence::wire(to).to_be_bytes());
            if let Some(length) = self.bytes.get_mut(start + 3) {
                *length += 8;
            }
        }
        if self.len == start + 4 {
            self.len = start;
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
            self.len = end;
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_linux_syn_is_read() {
        let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
        let expected = SynOptions {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((9, 0)),
        };
        assert_eq!(SynOptions::parse(&syn), expected);
        assert_eq!(SynOptions::parse(&[3, 3, 200]).window_scale, Some(14));
        assert_eq!(SynOptions::parse(&[2, 0, 2, 4]), SynOptions::default());
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut buffer = OptionBuffer::EMPTY;
        buffer.timestamps(1, 2);
        let blocks = [(10, 20), (30, 40), (50, 60), (70, 80)];
        buffer.sack(blocks.into_iter());
        let read = SegmentOptions::parse(buffer.as_slice());
        assert_eq!(buffer.as_slice().len(), 40);
        assert_eq!(read.timestamps, Some((1, 2)));
        assert_eq!(
            read.sack_blocks(),
            [(10, 20), (30, 40), (50, 60)],
            "a fourth does not fit"
        );
        let mut empty = OptionBuffer::EMPTY;
        empty.sack(std::iter::empty());
        assert!(empty.as_slice().is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
            let _ = SynOptions::parse(&bytes);
            prop_assert!(SegmentOptions::parse(&bytes).sack_blocks().len() <= MAX_SACK_BLOCKS);
        }
    }
}
