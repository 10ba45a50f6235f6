//! Segments in any order: what comes out is the stream, as far as it has no hole, and memory stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packet::StreamAssembler;

fuzz_target!(|data: &[u8]| {
    const ROOM: usize = 600;
    let Some((start, steps)) = data.split_first_chunk::<4>() else {
        return;
    };
    let start = u32::from_be_bytes(*start);
    let stream: Vec<u8> = (0..=u16::MAX)
        .map(|at| at.to_be_bytes()[0] ^ at.to_be_bytes()[1])
        .collect();
    let mut assembler = StreamAssembler::new(ROOM);
    assembler.start(start);
    let mut delivered = 0;
    for step in steps.chunks_exact(3) {
        let &[high, low, length] = step else { break };
        let at = usize::from(u16::from_be_bytes([high & 0x0f, low]));
        let segment = &stream[at..at + usize::from(length)];
        let before = delivered;
        assembler.push(start.wrapping_add(at as u32), segment, &mut |bytes| {
            assert_eq!(bytes, &stream[delivered..delivered + bytes.len()]);
            delivered += bytes.len();
        });
        assert!(at > before || delivered >= before.max(at + segment.len()));
        assert!(assembler.buffered() <= ROOM);
        assert_eq!(assembler.next_seq(), Some(start.wrapping_add(delivered as u32)));
    }
});
