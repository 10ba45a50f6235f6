//! Arbitrary files never harm; what was written is what is read.

use proptest::prelude::*;

use super::{
    built::{Big, Built, Little},
    kept::{Kept, read, read_whole},
    writing::written,
};

fn kept(links: &'static [u32]) -> impl Strategy<Value = Kept> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..80);
    // Classic pcap counts seconds in 32 bits.
    let nanos = 0..4_294_967_296_000_000_000_u64;
    (nanos, proptest::sample::select(links), any::<u32>(), bytes).prop_map(
        |(nanos, link, original_len, bytes)| Kept {
            nanos,
            link,
            original_len,
            bytes,
        },
    )
}

fn capture() -> impl Strategy<Value = Built> {
    let order = prop_oneof![Just(Little), Just(Big)];
    let frames = proptest::collection::vec((0..3_u32, any::<u64>(), kept(&[1])), 0..8);
    (order, any::<bool>(), any::<u8>(), frames).prop_map(|(order, ng, resolution, frames)| {
        let mut file = if ng {
            Built::new(order)
                .section(order)
                .interface(1, 40, &[(9, &[resolution])])
                .interface(113, 0, &[])
        } else {
            Built::pcap(order, 0xa1b2_3c4d, 1)
        };
        for (kind, ticks, frame) in frames {
            let original = frame.original_len;
            file = match (ng, kind) {
                (false, _) => file.record(original, 5, original, &frame.bytes),
                (true, 0) => file.enhanced(0, ticks, original, &frame.bytes),
                (true, 1) => file.obsolete(1, ticks, original, &frame.bytes),
                (true, _) => file.block(3, &frame.bytes),
            };
        }
        file
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read(&bytes);
    }

    #[test]
    fn damaged_captures_never_panic(
        file in capture(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = file.bytes;
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let held: usize = read(&bytes).0.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert!(held <= bytes.len(), "no frame holds bytes that are not in the file");
    }

    #[test]
    fn what_was_written_is_read(frames in proptest::collection::vec(kept(&[0, 1, 113]), 0..20)) {
        prop_assert_eq!(read_whole(&written(&[], &frames)), frames);
    }
}
