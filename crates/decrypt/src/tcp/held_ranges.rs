//! Which bytes beyond the first hole have arrived.

use super::options::MAX_SACK_BLOCKS;

/// Ranges held at a time; a segment that would make one more is refused and comes again.
const MAX_RANGES: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Range {
    start: u64,
    end: u64,
    /// When it was last touched; larger is later.
    touched: u64,
}

/// What became of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    New,
    /// All of it was held before.
    Duplicate,
    Full,
}

/// In order, neither overlapping nor touching.
#[derive(Debug, Default)]
pub(super) struct HeldRanges {
    ranges: Vec<Range>,
    clock: u64,
}

impl HeldRanges {
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// One past the last byte held; zero where there is none.
    pub(super) fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |range| range.end)
    }

    pub(super) fn memory(&self) -> usize {
        self.ranges.capacity() * size_of::<Range>()
    }

    pub(super) fn release(&mut self) {
        if self.ranges.is_empty() {
            self.ranges = Vec::new();
        }
    }

    pub(super) fn insert(&mut self, start: u64, end: u64) -> Insertion {
        let first = self.ranges.partition_point(|range| range.end < start);
        let behind = self.ranges.partition_point(|range| range.start <= end);
        self.clock += 1;
        let mut merged = Range {
            start,
            end,
            touched: self.clock,
        };
        let Some(touching) = self
            .ranges
            .get_mut(first..behind)
            .filter(|touching| !touching.is_empty())
        else {
            if self.ranges.len() >= MAX_RANGES {
                return Insertion::Full;
            }
            self.ranges.insert(first, merged);
            return Insertion::New;
        };
        if let [only] = touching
            && only.start <= start
            && end <= only.end
        {
            only.touched = self.clock;
            return Insertion::Duplicate;
        }
        for range in touching.iter() {
            merged.start = merged.start.min(range.start);
            merged.end = merged.end.max(range.end);
        }
        if let Some(place) = touching.first_mut() {
            *place = merged;
        }
        self.ranges.drain(first + 1..behind);
        Insertion::New
    }

    /// Everything before `next` is there: how far the stream reaches without a hole.
    pub(super) fn advance(&mut self, mut next: u64) -> u64 {
        let reached = self.ranges.iter().take_while(|range| {
            let reached = range.start <= next;
            if reached {
                next = next.max(range.end);
            }
            reached
        });
        let reached = reached.count();
        self.ranges.drain(..reached);
        next
    }

    /// The ranges to report, the one touched last first (RFC 2018 §4).
    pub(super) fn latest(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut latest: [Option<Range>; MAX_SACK_BLOCKS] = [None; MAX_SACK_BLOCKS];
        for range in &self.ranges {
            let mut carried = Some(*range);
            for place in &mut latest {
                if place.map_or(0, |held| held.touched) < carried.map_or(0, |held| held.touched) {
                    std::mem::swap(place, &mut carried);
                }
            }
        }
        latest.into_iter().flatten().map(|range| (range.start, range.end))
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the models count small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_latest_is_reported_first() {
        let mut held = HeldRanges::default();
        for start in [10, 30, 50, 70, 90] {
            assert_eq!(held.insert(start, start + 5), Insertion::New);
        }
        assert_eq!(held.insert(31, 33), Insertion::Duplicate);
        let latest: Vec<_> = held.latest().collect();
        assert_eq!(latest, [(30, 35), (90, 95), (70, 75), (50, 55)]);
        for index in 5..300 {
            held.insert(1000 + 10 * index, 1001 + 10 * index);
        }
        assert_eq!(held.insert(9000, 9001), Insertion::Full);
        assert_eq!(
            held.insert(15, 30),
            Insertion::New,
            "what joins two is never refused"
        );
    }

    proptest! {
        #[test]
        fn agrees_with_one_cell_per_byte(steps in proptest::collection::vec((0_u64..200, 1_u64..30), 1..60)) {
            let mut held = HeldRanges::default();
            let mut cells = vec![false; 300];
            let mut next = 0;
            for (start, len) in steps {
                if start <= next {
                    next = held.advance(next.max(start + len));
                    cells[..(start + len) as usize].fill(true);
                } else {
                    let range = &mut cells[start as usize..(start + len) as usize];
                    let known = range.iter().all(|&cell| cell);
                    range.fill(true);
                    let expected = if known { Insertion::Duplicate } else { Insertion::New };
                    prop_assert_eq!(held.insert(start, start + len), expected);
                }
                prop_assert_eq!(next as usize, cells.iter().take_while(|&&cell| cell).count());
                let mut from_ranges = vec![false; 300];
                from_ranges[..next as usize].fill(true);
                for range in &held.ranges {
                    from_ranges[range.start as usize..range.end as usize].fill(true);
                }
                prop_assert_eq!(&from_ranges, &cells);
            }
        }
    }
}
