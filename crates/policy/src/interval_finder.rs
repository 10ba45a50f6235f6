//! Finds the interval of an address in fewer steps than a binary search, most of which a processor guesses
//! wrong.
//!
//! The span of the starts is cut into equal buckets, and a bucket with many starts again, as addresses lie in
//! heaps: a few networks hold most of what rules name.

use std::ops::Range;

/// An address as a number.
pub(crate) trait Number: Copy + Ord {
    const ZERO: Self;
    fn next(self) -> Option<Self>;
    /// The bits of the distance from `base`, without the lowest `shift`; `None` below `base`.
    fn distance(self, base: Self, shift: u32) -> Option<usize>;
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Number for $number {
            const ZERO: Self = 0;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            #[inline]
            fn distance(self, base: Self, shift: u32) -> Option<usize> {
                let distance = self.checked_sub(base)?.checked_shr(shift).unwrap_or(0);
                Some(usize::try_from(distance).unwrap_or(usize::MAX))
            }
        }
    )*};
}

number!(u32, u128);

/// Starts that a bucket may hold without being cut again.
const FEW: usize = 8;
/// How often buckets are cut at most. Each time, there are half as many new ones as starts.
const DEEPEST: usize = 4;

/// Where to search among sorted starts.
#[derive(Clone, Debug)]
pub(crate) struct Finder<A> {
    cuts: Vec<Cut<A>>,
    /// What the buckets of all cuts hold, and the end behind each cut's last one.
    slots: Vec<Slot>,
}

/// Some starts, in equal buckets.
#[derive(Clone, Copy, Debug)]
struct Cut<A> {
    /// The lowest start.
    base: A,
    /// Bits of an address's distance from `base` within a bucket.
    shift: u32,
    /// Its buckets among the slots.
    slots: u32,
    /// The last of its buckets.
    last: u32,
}

/// A bucket.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// How many starts lie before it.
    before: u32,
    /// How it is cut itself; [`Slot::WHOLE`] where it is not.
    cut: u32,
}

impl Slot {
    const WHOLE: u32 = u32::MAX;
}

impl<A: Number> Finder<A> {
    /// For these starts, in order, each once.
    pub(crate) fn new(starts: &[A]) -> Self {
        let mut finder = Self {
            cuts: Vec::new(),
            slots: Vec::new(),
        };
        // The first starts where addresses do, far from most.
        if starts.len() > 1 {
            finder.cut(starts, 1..starts.len(), 1);
        }
        finder.slots.shrink_to_fit();
        finder
    }

    /// Cuts the starts of a range that is not empty; returns the number of the cut.
    fn cut(&mut self, starts: &[A], range: Range<usize>, depth: usize) -> u32 {
        let number = narrow(self.cuts.len());
        let mine = starts.get(range.clone()).unwrap_or(&[]);
        let (Some(&base), Some(&highest)) = (mine.first(), mine.last()) else {
            return Slot::WHOLE;
        };
        let most = mine.len().div_ceil(2).saturating_add(1);
        let fits = |shift: &u32| highest.distance(base, *shift).is_some_and(|last| last < most);
        let shift = (0..128).find(fits).unwrap_or(0);
        let last = highest.distance(base, shift).unwrap_or(0);
        let slots = self.slots.len();
        self.cuts.push(Cut {
            base,
            shift,
            slots: narrow(slots),
            last: narrow(last),
        });
        let mut before = range.start;
        for bucket in 0..=last {
            self.slots.push(Slot {
                before: narrow(before),
                cut: Slot::WHOLE,
            });
            let rest = starts.get(before..range.end).unwrap_or(&[]);
            let here = rest.partition_point(|start| start.distance(base, shift) <= Some(bucket));
            before = before.saturating_add(here);
        }
        self.slots.push(Slot {
            before: narrow(range.end),
            cut: Slot::WHOLE,
        });
        if depth < DEEPEST {
            for slot in slots..=slots.saturating_add(last) {
                let range = self.bucket(slot);
                // A bucket with all of the starts would be cut into the same again.
                if range.len() > FEW && range.len() < mine.len() {
                    let cut = self.cut(starts, range, depth.saturating_add(1));
                    if let Some(slot) = self.slots.get_mut(slot) {
                        slot.cut = cut;
                    }
                }
            }
        }
        number
    }

    /// The starts in a bucket.
    fn bucket(&self, slot: usize) -> Range<usize> {
        let before = |slot: usize| self.slots.get(slot).map_or(0, |slot| slot.before as usize);
        before(slot)..before(slot.saturating_add(1))
    }

    /// The number of the last start that is not behind `address`; of the starts that this was made for, each
    /// beside its value.
    #[inline]
    pub(crate) fn last_not_behind<V>(&self, starts: &[(A, V)], address: A) -> Option<usize> {
        let mut number = 0;
        // Without a cut there is one start at most.
        let mut in_front = starts.len();
        while let Some(cut) = self.cuts.get(number) {
            let slot = cut.slots as usize;
            let Some(bucket) = address.distance(cut.base, cut.shift) else {
                in_front = self.bucket(slot).start;
                break;
            };
            let slot = slot.saturating_add(bucket.min(cut.last as usize));
            let next = self.slots.get(slot)?.cut;
            if next != Slot::WHOLE {
                number = next as usize;
                continue;
            }
            let range = self.bucket(slot);
            let few = starts.get(range.start..range.start.saturating_add(FEW));
            let within = match few {
                // Starts behind the bucket are behind the address as well. Always as many steps, and no branch:
                // which start it is nobody could predict.
                Some(few) if range.len() <= FEW => {
                    few.iter().map(|(start, _)| usize::from(*start <= address)).sum()
                }
                _ => starts
                    .get(range.clone())?
                    .partition_point(|(start, _)| *start <= address),
            };
            in_front = range.start.saturating_add(within);
            break;
        }
        in_front.checked_sub(1)
    }
}

/// Starts are fewer than 2^32: so are the addresses of all objects and lists together.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Numbers in heaps, heaps in heaps, and both ends.
    fn number() -> impl Strategy<Value = u128> {
        let bits = prop::sample::select(vec![0, 8, 20, 31, 32, 64, 127]);
        prop_oneof![
            4 => (bits, 0..40_u128).prop_map(|(bits, low)| (1 << bits) | low),
            1 => any::<u128>(),
            1 => Just(u128::MAX),
        ]
    }

    fn agrees<A: Number>(starts: BTreeSet<A>, probes: &[A]) {
        let starts: Vec<A> = [A::ZERO]
            .into_iter()
            .chain(starts.into_iter().filter(|start| *start > A::ZERO))
            .collect();
        let finder = Finder::new(&starts);
        let pairs: Vec<(A, ())> = starts.iter().map(|&start| (start, ())).collect();
        for &probe in probes.iter().chain(&starts) {
            let wanted = starts.partition_point(|&start| start <= probe).checked_sub(1);
            assert_eq!(finder.last_not_behind(&pairs, probe), wanted);
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_binary_search_finds(
            starts in prop::collection::btree_set(number(), 0..400),
            probes in prop::collection::vec(number(), 100),
        ) {
            let low = |number: &u128| u32::try_from(number & u128::from(u32::MAX)).unwrap();
            agrees(starts.iter().map(low).collect(), &probes.iter().map(low).collect::<Vec<u32>>());
            agrees(starts, &probes);
        }
    }
}
