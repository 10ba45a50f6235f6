//! What a session takes, as the system sees it.

use std::{fs, net::SocketAddr};

use engine::{Outputs, Shard};
use packet::{
    TcpFlags,
    build::{Ends, Segment, ethernet_tcp},
};

use super::{START, Scene, frame, limits, policy, walk};

const AT_ONCE: usize = 1_024;

/// Prints how much more memory the process has with so many sessions that nothing more is asked of, for each of them.
pub(crate) fn of_sessions(flows: u32) {
    let datagrams: Vec<Vec<u8>> = (0..flows).map(frame).collect();
    per_session("UDP over IPv4", &[datagrams], 10);
    let hello = b"SSH-2.0-OpenSSH_9.6\r\n";
    let steps: [(bool, TcpFlags, [u32; 2], &[u8]); 5] = [
        (true, TcpFlags::SYN, [100, 0], b""),
        (false, TcpFlags::SYN | TcpFlags::ACK, [500, 101], b""),
        (true, TcpFlags::ACK, [101, 501], b""),
        (false, TcpFlags::ACK, [501, 101], hello),
        (true, TcpFlags::ACK, [101, 501 + 21], hello),
    ];
    let turns = steps.map(|step| (0..flows).map(|number| segment(number, step)).collect());
    per_session("TCP over IPv4", &turns, 1);
}

fn per_session(name: &str, turns: &[Vec<Vec<u8>>], times: u32) {
    let scene = Scene::new(policy());
    let env = scene.env();
    let before = resident_bytes();
    let (mut shard, mut out) = (Shard::new(limits()), Outputs::default());
    // A few at a time, since each needs more in the beginning than later.
    let flows = turns.first().map_or(0, Vec::len);
    for first in (0..flows).step_by(AT_ONCE) {
        for _ in 0..times {
            for frames in turns {
                let some = &frames[first..flows.min(first + AT_ONCE)];
                walk(&env, START, some, &mut shard, &mut out);
            }
        }
    }
    let sessions = shard.session_count();
    let more = resident_bytes().saturating_sub(before);
    println!(
        "{name}: {sessions} sessions take {:.0} bytes each, all told",
        more as f64 / sessions as f64
    );
}

fn segment(number: u32, step: (bool, TcpFlags, [u32; 2], &[u8])) -> Vec<u8> {
    let (from_client, flags, [seq, ack], payload) = step;
    let [_, a, b, c] = number.to_be_bytes();
    let client = SocketAddr::from(([10, a, b, c], 40_000));
    let ends = Ends::new(client, SocketAddr::from(([198, 51, 100, c], 22)));
    let segment = Segment {
        seq,
        ack,
        flags,
        window: 64_240,
        payload,
    };
    ethernet_tcp(&if from_client { ends } else { ends.reversed() }, &segment)
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("it is always there");
    let resident = pages.split_whitespace().nth(1).expect("a number");
    resident.parse::<u64>().expect("a number") * 4096
}
