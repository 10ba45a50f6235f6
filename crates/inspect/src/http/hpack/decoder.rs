//! Header blocks become lists of fields (RFC 7541 §3, §6).

use super::{super::judge::Departure, huffman, literal::SizeUpdates, table::DynamicTable};

/// Bytes of a decoded list, each field's overhead of 32 included (RFC 9113 §6.5.2).
const MAX_LIST: usize = 256 * 1024;
/// The overhead of a field in a list's size.
const FIELD_OVERHEAD: usize = 32;

/// A decoded header list, all in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct FieldList {
    text: Vec<u8>,
    /// Where each field's name and value end.
    ends: Vec<(usize, usize)>,
}

impl FieldList {
    /// Names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&(name_end, value_end)| {
            let name = self.text.get(start..name_end)?;
            start = value_end;
            Some((name, self.text.get(name_end..value_end)?))
        })
    }

    /// The first value of this name.
    pub(crate) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|(this, _)| *this == name)
            .map(|(_, value)| value)
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Frees what an unusual list took.
    pub(crate) fn trim(&mut self) {
        self.clear();
        self.text.shrink_to(4096);
        self.ends.shrink_to(64);
    }

    pub(crate) fn memory(&self) -> usize {
        let ends = self.ends.capacity().saturating_mul(size_of::<(usize, usize)>());
        self.text.capacity().saturating_add(ends)
    }
}

/// Follows one peer's encoder.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    table: DynamicTable,
    updates: SizeUpdates,
}

impl Decoder {
    /// Decodes a whole header block into `list`, which is cleared first. Every block must pass here, in order.
    pub(crate) fn decode(&mut self, block: &[u8], list: &mut FieldList) -> Result<(), Departure> {
        list.clear();
        let mut rest = block;
        while let Some(&first) = rest.first() {
            rest = match first {
                0x80.. => self.indexed(rest, list)?,
                0x40..=0x7f => self.literal(rest, 6, list)?,
                0x20..=0x3f if list.ends.is_empty() => self.size_update(rest)?,
                // A size update belongs to the front (§4.2).
                0x20..=0x3f => return Err(Departure::Malformed),
                0x00..=0x1f => self.literal(rest, 4, list)?,
            };
            let overhead = list.ends.len().saturating_mul(FIELD_OVERHEAD);
            if list.text.len().saturating_add(overhead) > MAX_LIST {
                return Err(Departure::OverLimit);
            }
        }
        Ok(())
    }

    /// The size updates since they were last taken.
    pub(crate) fn take_updates(&mut self) -> SizeUpdates {
        std::mem::take(&mut self.updates)
    }

    pub(crate) fn memory(&self) -> usize {
        self.table.memory()
    }

    fn indexed<'b>(&self, block: &'b [u8], list: &mut FieldList) -> Result<&'b [u8], Departure> {
        let (index, rest) = integer(block, 7)?;
        let (name, value) = self.table.field(index)?;
        list.text.extend_from_slice(name);
        let name_end = list.text.len();
        list.text.extend_from_slice(value);
        list.ends.push((name_end, list.text.len()));
        Ok(rest)
    }

    /// A literal; those with a prefix of six bits enter the table.
    fn literal<'b>(
        &mut self,
        block: &'b [u8],
        prefix: u8,
        list: &mut FieldList,
    ) -> Result<&'b [u8], Departure> {
        let start = list.text.len();
        let (index, mut rest) = integer(block, prefix)?;
        if index == 0 {
            rest = string(rest, &mut list.text)?;
        } else {
            list.text.extend_from_slice(self.table.field(index)?.0);
        }
        let name_end = list.text.len();
        let rest = string(rest, &mut list.text)?;
        list.ends.push((name_end, list.text.len()));
        if prefix == 6 {
            let name = list.text.get(start..name_end).unwrap_or_default();
            let value = list.text.get(name_end..).unwrap_or_default();
            self.table.insert(name, value);
        }
        Ok(rest)
    }

    fn size_update<'b>(&mut self, block: &'b [u8]) -> Result<&'b [u8], Departure> {
        let (size, rest) = integer(block, 5)?;
        self.table.resize(size)?;
        self.updates.note(size);
        Ok(rest)
    }
}

/// An integer whose first byte has this many bits of it (§5.1), and what follows.
fn integer(bytes: &[u8], prefix: u8) -> Result<(usize, &[u8]), Departure> {
    let (&first, mut rest) = bytes.split_first().ok_or(Departure::Malformed)?;
    let mask = 0xff_u8 >> 8_u8.saturating_sub(prefix);
    let mut value = u64::from(first & mask);
    if first & mask == mask {
        let mut shift = 0_u32;
        loop {
            let (&byte, tail) = rest.split_first().ok_or(Departure::Malformed)?;
            rest = tail;
            // Five bytes hold all that HTTP/2 has use for; longer ones are faults.
            if shift > 28 {
                return Err(Departure::Malformed);
            }
            value = value.saturating_add(u64::from(byte & 0x7f) << shift);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    let value = usize::try_from(value).map_err(|_| Departure::Malformed)?;
    Ok((value, rest))
}

/// Appends the string at the start of `bytes` (§5.2) to `out`; returns what follows.
fn string<'b>(bytes: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], Departure> {
    let coded = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let (length, rest) = integer(bytes, 7)?;
    let (text, rest) = rest.split_at_checked(length).ok_or(Departure::Malformed)?;
    if coded {
        huffman::decode(text, out)?;
    } else {
        out.extend_from_slice(text);
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    fn fields(list: &FieldList) -> Fields {
        list.iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    /// Blocks that are mostly well formed: indices, literals, size updates.
    fn block() -> impl Strategy<Value = Vec<u8>> {
        let text = || {
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|text| {
                let length = u8::try_from(text.len()).unwrap();
                [&[length], &*text].concat()
            })
        };
        let item = prop_oneof![
            (0x80_u8..=0xff).prop_map(|byte| vec![byte]),
            (prop_oneof![Just(0x40_u8), Just(0), Just(0x10)], text(), text())
                .prop_map(|(kind, name, value)| [&[kind], &*name, &*value].concat()),
            (0x41_u8..0x7e, text()).prop_map(|(kind, value)| [&[kind], &*value].concat()),
        ];
        (
            prop::option::of(0x20_u8..0x3f),
            prop::collection::vec(item, 1..20),
        )
            .prop_map(|(update, items)| update.into_iter().chain(items.concat()).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_another_decoder(blocks in prop::collection::vec(block(), 1..12)) {
            let (mut ours, mut theirs) = (Decoder::default(), loona_hpack::Decoder::new());
            let mut list = FieldList::default();
            for block in blocks {
                let decoded = ours.decode(&block, &mut list).ok().map(|()| fields(&list));
                let wanted: Option<Fields> = theirs.decode(&block).ok();
                prop_assert_eq!(&decoded, &wanted);
                if decoded.is_none() {
                    break;
                }
            }
        }

        #[test]
        fn no_bytes_panic(block in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut decoder, mut list) = (Decoder::default(), FieldList::default());
            prop_assert!(decoder.decode(&block, &mut list).is_ok() || !block.is_empty());
            prop_assert!(decoder.memory() <= 16 * 1024);
        }
    }

    #[test]
    fn a_small_block_cannot_become_a_huge_list() {
        // One entry of 4 KB, then a thousand references to it.
        let mut block = vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e];
        block.extend([b'x'; 3968]);
        block.extend([0xbe; 1000]);
        let (mut decoder, mut list) = (Decoder::default(), FieldList::default());
        assert_eq!(decoder.decode(&block, &mut list), Err(Departure::OverLimit));
        assert!(list.memory() < 1 << 20);
    }
}
