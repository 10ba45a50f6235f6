//! Header blocks that lean on no state: any block of a peer can be replaced by one, at any time.
//!
//! Fields that the static table holds are named by index, all others are literals that never enter a table:
//! a proxy must not let a value be indexed whose sender forbade it (RFC 7541 §6.2.3), and nobody forbids
//! the other way.

use super::table::STATIC;

/// What a peer's size updates come to, between two blocks that went on: they must reach the other side, which
/// may insist on them (RFC 7541 §4.2).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SizeUpdates {
    /// The smallest size and the last.
    sizes: Option<(usize, usize)>,
}

impl SizeUpdates {
    pub(super) fn note(&mut self, size: usize) {
        let smallest = self.sizes.map_or(size, |(smallest, _)| smallest.min(size));
        self.sizes = Some((smallest, size));
    }

    /// Adds what came before these.
    pub(crate) fn after(self, earlier: Self) -> Self {
        match (earlier.sizes, self.sizes) {
            (Some((before, _)), Some((smallest, last))) => Self {
                sizes: Some((before.min(smallest), last)),
            },
            (earlier, later) => Self {
                sizes: later.or(earlier),
            },
        }
    }

    /// Writes them to the front of a block.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        if let Some((smallest, last)) = self.sizes {
            if smallest < last {
                write_integer(0x20, 5, smallest, out);
            }
            write_integer(0x20, 5, last, out);
        }
    }
}

/// Appends a field to a block.
pub(crate) fn write_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let named = |(_, entry): &(usize, &(&str, &str))| entry.0.as_bytes() == name;
    let known = || (1_usize..).zip(&STATIC).filter(named);
    if let Some((index, _)) = known().find(|(_, entry)| entry.1.as_bytes() == value) {
        write_integer(0x80, 7, index, out);
        return;
    }
    if let Some((index, _)) = known().next() {
        write_integer(0x10, 4, index, out);
    } else {
        out.push(0x10);
        write_string(name, out);
    }
    write_string(value, out);
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    write_integer(0, 7, text.len(), out);
    out.extend_from_slice(text);
}

/// Appends an integer (RFC 7541 §5.1) below the bits of `kind`.
fn write_integer(kind: u8, prefix: u8, value: usize, out: &mut Vec<u8>) {
    let mask = 0xff_u8 >> 8_u8.saturating_sub(prefix);
    match u8::try_from(value) {
        Ok(small) if small < mask => out.push(kind | small),
        _ => {
            out.push(kind | mask);
            let mut left = value.saturating_sub(usize::from(mask));
            while left >= 0x80 {
                out.push(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
                left >>= 7;
            }
            out.push(u8::try_from(left).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{Decoder, FieldList},
        *,
    };

    proptest! {
        #[test]
        fn reads_as_it_was_written(
            sent in prop::collection::vec((0_usize..70, prop::collection::vec(any::<u8>(), 0..300)), 0..20),
        ) {
            let sent: Vec<(Vec<u8>, Vec<u8>)> = sent
                .into_iter()
                .map(|(pick, text)| match STATIC.get(pick) {
                    Some((name, value)) if text.len() % 2 == 0 => (name.as_bytes().into(), value.as_bytes().into()),
                    Some((name, _)) => (name.as_bytes().into(), text),
                    None => (text.clone(), text),
                })
                .collect();
            let mut block = Vec::new();
            for (name, value) in &sent {
                write_field(name, value, &mut block);
            }
            let (mut decoder, mut list) = (Decoder::default(), FieldList::default());
            decoder.decode(&block, &mut list).unwrap();
            let read: Vec<_> = list.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(read, sent);
            prop_assert_eq!(decoder.memory(), Decoder::default().memory());
        }

        #[test]
        fn sizes_stay_what_they_come_to(sizes in prop::collection::vec(0_usize..70_000, 1..6), cut in 0_usize..6) {
            let note = |sizes: &[usize]| {
                let mut updates = SizeUpdates::default();
                for size in sizes {
                    updates.note(*size);
                }
                updates
            };
            let (first, second) = sizes.split_at(cut.min(sizes.len()));
            let mut out = Vec::new();
            note(second).after(note(first)).write(&mut out);
            let (mut whole, smallest) = (Vec::new(), *sizes.iter().min().unwrap());
            if smallest < *sizes.last().unwrap() {
                write_integer(0x20, 5, smallest, &mut whole);
            }
            write_integer(0x20, 5, *sizes.last().unwrap(), &mut whole);
            prop_assert_eq!(out, whole);
        }
    }
}
