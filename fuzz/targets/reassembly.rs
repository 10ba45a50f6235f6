//! Fragments in any order and number: the table keeps its bounds and loses no note.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use packet::{Checksums, FragmentLimits, LinkType, Reassembler, Reassembly, Timestamp, Wire, parse};

fuzz_target!(|data: &[u8]| {
    let limits = FragmentLimits {
        datagrams: 4,
        bytes: 2000,
        timeout: Duration::from_secs(30),
        fragments_per_datagram: 8,
    };
    let mut table = Reassembler::new(limits);
    let (mut now, mut pushed, mut gone) = (Timestamp::ZERO, 0, 0);
    for step in data.chunks_exact(6) {
        let &[wait, id, offset, more, length, filler] = step else {
            break;
        };
        now = now.saturating_add(Duration::from_secs(u64::from(wait >> 3)));
        let mut frame = [69, 0, 0, 20 + (length >> 1), 0, id & 7, more, offset, 9, 17].to_vec();
        frame.extend_from_slice(&[0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.resize(20 + usize::from(length >> 1), filler);
        let Ok(packet) = parse(
            LinkType::RawIp,
            &frame,
            20 + usize::from(length),
            Checksums::Ignore,
        ) else {
            continue;
        };
        pushed += 1;
        gone += match table.push(now, Wire(0), &packet, ()) {
            Reassembly::Held => 0,
            Reassembly::Complete(datagram) => {
                let _ = datagram.packet();
                datagram.fragments.len()
            }
            Reassembly::Dropped { notes, .. } => notes.len(),
        };
        assert!(table.datagrams() <= limits.datagrams && table.bytes() <= limits.bytes);
    }
    gone += table.expire(now).len() + table.drain().len();
    assert_eq!(pushed, gone);
});
