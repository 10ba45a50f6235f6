//! Any segments in any order, between writes, reads and pauses: an endpoint stays within its bounds, and what it
//! hands out is the stream that was sent, as far as it has no hole.
#![no_main]

use std::time::Duration;

use decrypt::tcp::{Cutting, Endpoint, Limits, SegmentIn, SynOptions, Taking};
use libfuzzer_sys::fuzz_target;
use packet::{TcpFlags, Timestamp};

const OURS: u32 = u32::MAX - 500;
const PEERS: u32 = u32::MAX - 300;
const ROOM: usize = 100_000;

fuzz_target!(|data: &[u8]| {
    let Some((&[offers, scale], mut steps)) = data.split_first_chunk() else {
        return;
    };
    let syn = SynOptions {
        mss: (offers & 1 != 0).then_some(u16::from(offers) << 4),
        window_scale: (offers & 2 != 0).then_some(scale),
        sack_permitted: offers & 4 != 0,
        timestamps: (offers & 8 != 0).then_some((1, 1)),
    };
    let mut now = Timestamp::from_secs(1);
    let mut end = Endpoint::adopt(
        now,
        Taking {
            our_next: OURS,
            peer_next: PEERS,
            our_syn: syn,
            peer_syn: syn,
            peer_window: 60_000,
            our_last_ts: 7,
            peer_last_ts: 7,
            our_window: 60_000,
            ipv6: offers & 16 != 0,
            rtt: (offers & 32 != 0).then_some(Duration::from_millis(20)),
            limits: Limits {
                send_buffer: ROOM,
                receive_buffer: ROOM,
                ..Limits::default()
            },
        },
    );
    let mode = if offers & 64 == 0 {
        Cutting::Mss
    } else {
        Cutting::Whole
    };
    let mut read = 0_u32;
    while let Some((&[step, a, b, c, d], rest)) = steps.split_first_chunk() {
        let (near, far) = (
            u32::from(u16::from_be_bytes([a, b])),
            u32::from(u16::from_be_bytes([c, d])),
        );
        steps = rest;
        match step >> 5 {
            0 => now = now.saturating_add(Duration::from_micros(u64::from(near << (far & 15)))),
            1 => {
                end.write(&vec![1; near as usize]);
            }
            2 => end.path_mtu(now, OURS.wrapping_add(near), far as u16),
            3 if a == 0 => end.finish(),
            3 if a == 1 => end.reset(),
            kind => {
                let (options, rest) = steps.split_at(usize::from(step & 0x1f).min(steps.len()));
                let options = if kind & 1 == 0 { options } else { &[] };
                steps = rest;
                let seq = near.wrapping_sub(200);
                let payload: Vec<u8> = (0..far >> 3).map(|at| byte(seq.wrapping_add(at))).collect();
                end.receive(
                    now,
                    &SegmentIn {
                        seq: PEERS.wrapping_add(seq),
                        ack: OURS.wrapping_add(far).wrapping_sub(100),
                        flags: if kind < 6 { TcpFlags::ACK } else { TcpFlags(d) },
                        window: u16::from_be_bytes([b, c]),
                        options,
                        payload: &payload,
                    },
                );
            }
        }
        for piece in end.readable() {
            for &found in piece {
                assert_eq!(found, byte(read));
                read = read.wrapping_add(1);
            }
        }
        end.consume(end.readable_len());
        let mut sent = 0;
        end.poll(now, mode, &mut |segment| {
            sent += segment.payload_len();
            assert!(segment.options.len() <= 40 && segment.payload_len() <= 65_000);
        });
        assert!(sent <= 2 * ROOM + 65_000);
        assert!(end.memory() < 2_000_000);
        assert!(end.deadline().is_none_or(|deadline| deadline > now));
    }
});

/// The byte at a place of the peer's stream.
fn byte(place: u32) -> u8 {
    (place.wrapping_mul(0x9e37_79b1) >> 24) as u8
}
