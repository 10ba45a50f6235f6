//! Frames of every link type; what is built to answer or replace one is right down to its checksums.
#![no_main]

use cordon_fuzz::link_type;
use libfuzzer_sys::fuzz_target;
use packet::{Checksums, TcpFlags, Wire, build, parse};

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, cut_off], frame)) = data.split_first_chunk() else {
        return;
    };
    let checksums = [Checksums::Ignore, Checksums::Verify][usize::from(choice >> 7)];
    let link = link_type(choice & 0x7f);
    let Ok(packet) = parse(link, frame, frame.len() + usize::from(cut_off), checksums) else {
        return;
    };
    assert!(packet.link().header_len <= frame.len());
    let _ = engine::place(&packet, Wire(0), 0);
    let segment = build::Segment {
        seq: 1,
        ack: 2,
        flags: TcpFlags::RST | TcpFlags::ACK,
        window: 0,
        payload: b"said",
    };
    let mut out = Vec::new();
    for way in 0..4 {
        let built = match way {
            0 => build::udp_reply(&packet, b"said", &mut out),
            1 => build::udp_replacement(&packet, b"said", &mut out),
            2 => build::tcp_toward_source(&packet, &segment, &mut out),
            _ => build::tcp_toward_destination(&packet, &segment, &mut out),
        };
        if built {
            let read = parse(link, &out, out.len(), Checksums::Verify);
            assert_eq!(read.map(|read| read.link().vlans), Ok(packet.link().vlans));
        }
    }
});
