//! The packet path does not allocate: established traffic of every kind, counted by the allocator itself.

use std::time::Duration;

use cordon_engine::Verdict;
use packet::{TcpFlags, build::ethernet_udp};

use crate::{
    lab::{Lab, Plan},
    quarantine::{ends, query},
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.7";

/// One round: data both ways over TCP, a call each way, a lookup and its answer.
fn round(download: &mut Connection, number: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (from_client, payload) in [(true, 100_u32), (false, 1400)] {
        let payload = vec![0xee; usize::try_from(payload).unwrap()];
        frames.push(download.stray(from_client, TcpFlags::PSH | TcpFlags::ACK, 0, &payload));
        download.next[usize::from(!from_client)] += u32::try_from(payload.len()).unwrap();
        frames.push(download.stray(!from_client, TcpFlags::ACK, 0, b""));
    }
    let call = ends(CLIENT, 9000, "198.51.100.9:9000");
    frames.push(ethernet_udp(&call, &[0xff; 160]));
    frames.push(ethernet_udp(&call.reversed(), &[0xff; 160]));
    let lookup = ends(CLIENT, 40_000, "203.0.113.53:53");
    let asked = query(&format!("host{number}.golfsource.example.net"), 1);
    frames.push(ethernet_udp(&lookup, &asked));
    let mut reply = asked;
    reply[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 2]);
    reply.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x06\x03www\xc0\x12");
    reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc6\x33\x64\x42");
    frames.push(ethernet_udp(&lookup.reversed(), &reply));
    frames
}

#[test]
fn a_hundred_thousand_established_packets_allocate_nothing() {
    let mut lab = Lab::new(&Plan::default());
    let mut download = Connection::open(&mut lab, CLIENT, 50_000, "198.51.100.9:443");
    let mut rounds = (0..12_600).map(|number| round(&mut download, number));
    for frame in rounds.by_ref().take(100).flatten() {
        assert!(matches!(lab.take(&frame), Some(Verdict::Forward(_))));
    }
    assert_eq!(lab.told(), [""; 0]);
    let frames: Vec<Vec<u8>> = rounds.flatten().collect();
    assert_eq!(frames.len(), 100_000);
    let counted = allocation_counter::measure(|| {
        for frame in &frames {
            lab.now = lab.now.saturating_add(Duration::from_micros(100));
            assert!(matches!(lab.take(frame), Some(Verdict::Forward(_))));
        }
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    // Once TCP's application is known; and calls, once it is given up. DNS is always read.
    assert!(lab.short_ways > 70_000, "{}", lab.short_ways);
    lab.assert_frames(3 + 800 + 100_000, 0, &[]);
    lab.assert_sessions([1, 2, 0], 0, 0, 0);
}

/// The same test would see an allocation.
#[test]
fn the_allocator_counts() {
    let mut lab = Lab::new(&Plan::default());
    let first = ethernet_udp(&ends(CLIENT, 9000, "198.51.100.9:9000"), b"\xff");
    let counted = allocation_counter::measure(|| assert!(lab.take(&first).is_some()));
    assert!(counted.count_total > 0, "setting a session up takes memory");
}
