//! A table of names that never changes: which group a name has.
//!
//! A bucket is a block of bytes with a few names in it, and an array small enough for a processor's cache
//! says where each begins. What a lookup waits for is memory, so [`NameTable::probe`] asks for all of a block
//! at once, before anybody needs it: a name that is there costs no more waiting than one that is not.
//!
//! A block is a run of strips, each of at most [`STRIP`] names:
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | how many names (`n`), and [`MORE`] where another strip of the block follows |
//! | 2 `n` | 16 bits of each name's hash |
//! | `n` | each name's length |
//! | `n` or 4 `n` | each name's group: one byte where all groups of the table fit |
//! | the rest | the names, in lower case, in wire format without the root |

use std::hint::black_box;

use super::builder::{Record, name_at};
use super::folding::{hash, same_name};

/// Names in a bucket, on average.
const BUCKET: usize = 4;
/// Names in a strip: as many as one comparison of 128 bits tells apart.
const STRIP: usize = 8;
/// Another strip follows.
const MORE: u8 = 0x80;
/// Zeros behind the last block, so that the head of every strip can be read in whole words.
const SLACK: usize = 32;
/// What a probe touches of a block, from its start: at the usual 50 to 130 bytes, every line.
const TOUCHED: [usize; 3] = [0, 64, 112];

/// Names, each with the number of a group.
pub(super) struct NameTable {
    seed: u64,
    /// Where each bucket begins in `blocks`.
    starts: Box<[u32]>,
    blocks: Box<[u8]>,
    /// Bytes of a group's number.
    group_size: usize,
}

/// A name that is being looked up.
#[derive(Clone, Copy, Default)]
pub(super) struct Probe<'n> {
    name: &'n [u8],
    mark: u16,
    start: usize,
}

impl NameTable {
    /// The table of these records, the names of which `names` holds.
    pub(super) fn new(seed: u64, names: &[u8], records: &[Record]) -> Self {
        let wide = records.iter().any(|record| record.group > u8::MAX.into());
        let mut table = Self {
            seed,
            starts: vec![0; records.len().div_ceil(BUCKET).max(1)].into(),
            blocks: Box::default(),
            group_size: if wide { 4 } else { 1 },
        };
        let mut placed: Vec<(u64, u32)> = (0..)
            .zip(records)
            .map(|(index, record)| (hash(seed, name_at(names, record.offset)), index))
            .collect();
        // Buckets divide the hashes by their size, so that sorting puts each bucket's names together.
        placed.sort_unstable();
        let room = placed.len().saturating_mul(table.group_size.saturating_add(4));
        let mut blocks = Vec::with_capacity(names.len().saturating_add(room).saturating_add(SLACK));
        let mut rest = placed.as_slice();
        for bucket in 0..table.starts.len() {
            if let Some(start) = table.starts.get_mut(bucket) {
                // The builder takes no more names than 32 bits reach.
                *start = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
            }
            let count = rest.partition_point(|&(hash, _)| table.bucket_of(hash) <= bucket);
            let (mine, others) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = others;
            table.write_block(mine, names, records, &mut blocks);
        }
        blocks.extend_from_slice(&[0; SLACK]);
        table.blocks = blocks.into();
        table
    }

    /// Appends a bucket's strips.
    fn write_block(&self, placed: &[(u64, u32)], names: &[u8], records: &[Record], out: &mut Vec<u8>) {
        let strips = placed.len().div_ceil(STRIP);
        if strips == 0 {
            out.push(0);
        }
        for (placed, number) in placed.chunks(STRIP).zip(1..) {
            let named = || {
                placed.iter().filter_map(|&(hash, index)| {
                    let record = records.get(usize::try_from(index).ok()?)?;
                    Some((hash, name_at(names, record.offset), record.group))
                })
            };
            let more = if number < strips { MORE } else { 0 };
            out.push(u8::try_from(placed.len()).unwrap_or(0) | more);
            out.extend(named().flat_map(|(hash, ..)| mark(hash).to_le_bytes()));
            out.extend(named().map(|(_, name, _)| u8::try_from(name.len()).unwrap_or(0)));
            for (.., group) in named() {
                out.extend(group.to_le_bytes().iter().take(self.group_size));
            }
            out.extend(named().flat_map(|(_, name, _)| name));
        }
    }

    /// The bucket of a hash; a greater hash never has a lesser bucket.
    #[inline]
    fn bucket_of(&self, hash: u64) -> usize {
        let buckets = u128::try_from(self.starts.len()).unwrap_or(1);
        usize::try_from(u128::from(hash).wrapping_mul(buckets) >> 64).unwrap_or(0)
    }

    /// Begins to look up a name, in wire format without the root: asks memory for its bucket, without waiting.
    #[inline]
    pub(super) fn probe<'n>(&self, name: &'n [u8]) -> Probe<'n> {
        let hash = hash(self.seed, name);
        let start = self.starts.get(self.bucket_of(hash)).copied().unwrap_or(0);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        for ahead in TOUCHED {
            black_box(self.blocks.get(start.wrapping_add(ahead)));
        }
        Probe {
            name,
            mark: mark(hash),
            start,
        }
    }

    /// The group of exactly this name.
    #[inline]
    pub(super) fn find(&self, probe: &Probe<'_>) -> Option<u32> {
        let mut rest = self.blocks.get(probe.start..)?;
        loop {
            let (&head, strip) = rest.split_first()?;
            let count = usize::from(head & !MORE);
            let marks = u128::from_le_bytes(*strip.first_chunk()?);
            let after_marks = strip.get(count.wrapping_mul(2)..)?;
            let lengths = u64::from_le_bytes(*after_marks.first_chunk()?);
            let (groups, names) = after_marks
                .get(count..)?
                .split_at_checked(count.wrapping_mul(self.group_size))?;
            let mut candidates = lanes_with(marks, probe.mark) & ones(count.wrapping_mul(16));
            while candidates != 0 {
                let lane = usize::try_from(candidates.trailing_zeros() / 16).unwrap_or(0);
                candidates &= candidates.wrapping_sub(1);
                let name = names.get(sum_below(lengths, lane)..sum_below(lengths, lane.wrapping_add(1)))?;
                if same_name(name, probe.name) {
                    return self.group(groups, lane);
                }
            }
            if head & MORE == 0 {
                return None;
            }
            rest = names.get(sum_below(lengths, count)..)?;
        }
    }

    fn group(&self, groups: &[u8], lane: usize) -> Option<u32> {
        if self.group_size == 1 {
            return groups.get(lane).copied().map(u32::from);
        }
        groups.as_chunks().0.get(lane).copied().map(u32::from_le_bytes)
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        size_of_val::<[u32]>(&self.starts).saturating_add(self.blocks.len())
    }
}

/// The part of a hash that stands beside a name: not the part that chooses its bucket.
fn mark(hash: u64) -> u16 {
    let [low, high, ..] = hash.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The top bit of every 16-bit lane that is `mark`, and perhaps of some above one that is.
fn lanes_with(lanes: u128, mark: u16) -> u128 {
    const ONES: u128 = u128::MAX / 0xffff;
    let differing = lanes ^ ONES.wrapping_mul(mark.into());
    differing.wrapping_sub(ONES) & !differing & (ONES << 15)
}

/// As many bits, from the lowest on.
fn ones(bits: usize) -> u128 {
    let bit = u32::try_from(bits).ok().and_then(|bits| 1_u128.checked_shl(bits));
    bit.unwrap_or(0).wrapping_sub(1)
}

/// The sum of the lowest `count` bytes, at most eight.
fn sum_below(bytes: u64, count: usize) -> usize {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is asked for")]
    let bytes = bytes & ones(count.wrapping_mul(8)) as u64;
    let pairs = (bytes & EVEN).wrapping_add((bytes >> 8) & EVEN);
    // The top lane of the product is the sum of the four.
    let sum = pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48;
    usize::try_from(sum).unwrap_or(0)
}
