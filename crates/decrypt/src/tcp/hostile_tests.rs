//! Segments that no honest host sends.

use std::time::Duration;

use packet::{TcpFlags, Timestamp};
use proptest::prelude::*;

use super::{
    Cutting, Endpoint, Limits, SegmentIn,
    options::OptionBuffer,
    simulation::{Owned, ms, syn, taking},
};

const NOW: Timestamp = Timestamp::from_secs(1000);
const OURS: u32 = 5000;
const PEERS: u32 = 90_000;

fn endpoint() -> Endpoint {
    Endpoint::adopt(NOW, taking(OURS, PEERS, syn(|_| {})))
}

fn segment(flags: TcpFlags, seq: u32, payload: &[u8]) -> SegmentIn<'_> {
    SegmentIn {
        seq,
        ack: OURS,
        flags,
        window: 500,
        options: &[],
        payload,
    }
}

fn poll(end: &mut Endpoint, now: Timestamp) -> Vec<Owned> {
    let mut out = Vec::new();
    end.poll(now, Cutting::Mss, &mut |segment| out.push(Owned::new(segment)));
    end.check();
    out
}

#[test]
fn only_the_very_next_number_resets() {
    let mut end = endpoint();
    end.receive(NOW, &segment(TcpFlags::RST, PEERS - 1, b""));
    end.receive(NOW, &segment(TcpFlags::RST, PEERS.wrapping_add(1 << 20), b""));
    assert!(poll(&mut end, NOW).is_empty());
    end.receive(NOW, &segment(TcpFlags::RST, PEERS + 1, b""));
    let [challenge] = &poll(&mut end, NOW)[..] else {
        panic!("one challenge")
    };
    assert_eq!((challenge.seq, challenge.ack), (OURS, PEERS));
    assert!(!end.was_reset());
    end.receive(NOW, &segment(TcpFlags::RST, PEERS, b""));
    assert!(end.was_reset() && end.is_done());
}

#[test]
fn a_reset_from_before_the_fin_counts() {
    let mut end = endpoint();
    end.receive(NOW, &segment(TcpFlags::ACK | TcpFlags::FIN, PEERS, b""));
    end.receive(NOW, &segment(TcpFlags::RST, PEERS - 1, b""));
    assert!(!end.was_reset());
    end.receive(NOW, &segment(TcpFlags::RST, PEERS, b""));
    assert!(end.was_reset());
}

#[test]
fn challenges_are_few() {
    let mut end = endpoint();
    let mut sent = 0;
    for step in 0..2000 {
        let now = NOW.saturating_add(ms(step));
        end.receive(now, &segment(TcpFlags::SYN | TcpFlags::ACK, PEERS, b""));
        end.receive(now, &segment(TcpFlags::RST, PEERS + 5, b""));
        let mut ahead = segment(TcpFlags::ACK, PEERS, b"");
        ahead.ack = OURS + 1;
        end.receive(now, &ahead);
        sent += poll(&mut end, now).len();
    }
    assert_eq!(sent, 4);
    assert_eq!(end.counters().challenges, 4);
}

#[test]
fn an_old_timestamp_changes_nothing() {
    let mut end = endpoint();
    let mut options = OptionBuffer::EMPTY;
    options.timestamps(999, 0);
    let mut old = segment(TcpFlags::ACK, PEERS, b"data");
    old.options = options.as_slice();
    end.receive(NOW, &old);
    assert_eq!(end.readable_len(), 0);
    assert_eq!(end.counters().unacceptable, 1);
    let mut options = OptionBuffer::EMPTY;
    options.timestamps(1000, 0);
    old.options = options.as_slice();
    end.receive(NOW, &old);
    assert_eq!(end.readable(), [b"data".as_slice(), b""]);
}

#[test]
fn data_without_an_acknowledgment_or_outside_the_window_is_not_read() {
    let mut end = endpoint();
    end.receive(NOW, &segment(TcpFlags::PSH, PEERS, b"no ACK"));
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS.wrapping_add(64_128), b"ahead"));
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS - 4, b"old"));
    assert_eq!(end.readable_len(), 0);
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS - 4, b"old!new"));
    assert_eq!(end.readable()[0], b"new");
}

#[test]
fn a_fin_before_data_held_is_a_lie() {
    let mut end = endpoint();
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS + 10, b"held"));
    end.receive(NOW, &segment(TcpFlags::ACK | TcpFlags::FIN, PEERS + 2, b""));
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS, &[7; 10]));
    assert_eq!(end.readable_len(), 14);
    assert!(!end.peer_closing());
    end.receive(NOW, &segment(TcpFlags::ACK | TcpFlags::FIN, PEERS + 14, b""));
    assert!(end.peer_closing() && !end.peer_finished());
    end.consume(14);
    assert!(end.peer_finished());
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS + 14, b"behind the end"));
    assert_eq!(end.readable_len(), 0);
}

#[test]
fn a_window_announced_at_adoption_is_kept_open() {
    let mut wide = taking(OURS, PEERS, syn(|_| {}));
    wide.our_window = 1 << 20;
    wide.limits = Limits {
        receive_buffer: 100_000,
        ..Limits::default()
    };
    let mut end = Endpoint::adopt(NOW, wide);
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS, b"x"));
    let [ack] = &poll(&mut end, NOW)[..] else {
        panic!("one ACK")
    };
    assert!((u64::from(ack.window) << 7) + 1 >= 1 << 20);
    end.receive(NOW, &segment(TcpFlags::ACK, PEERS + (1 << 19), &[1; 1000]));
    assert_eq!(
        end.counters().refused,
        1,
        "announced by another, but no room for it"
    );
    assert!(end.memory() < 10_000);
}

#[test]
fn our_reset_is_sent_once() {
    let mut end = endpoint();
    end.write(b"never sent");
    end.reset();
    assert!(!end.is_done() && end.deadline() == Some(Timestamp::ZERO));
    let [reset] = &poll(&mut end, NOW)[..] else {
        panic!("one RST")
    };
    assert!(reset.flags.rst() && reset.payload.is_empty());
    assert!(poll(&mut end, NOW).is_empty() && end.is_done() && end.deadline().is_none());
    assert_eq!((end.write(b"more"), end.room()), (0, 0));
}

/// What happens to an endpoint.
#[derive(Clone, Debug)]
enum Step {
    Segment {
        seq: i32,
        ack: i32,
        flags: u8,
        window: u16,
        blocks: Vec<(i32, i32)>,
        stamp: Option<(i32, u32)>,
        payload: usize,
    },
    Raw(Vec<u8>),
    Wait(u32),
    Write(usize),
    Consume(usize),
    PathMtu(i32, u16),
    Finish,
    Reset,
}

fn any_step() -> impl Strategy<Value = Step> {
    let near = || prop_oneof![4 => -3000_i32..20_000, 1 => any::<i32>()];
    let flags = prop_oneof![6 => Just(0x10_u8), 1 => Just(0x11), 1 => any::<u8>()];
    let blocks = proptest::collection::vec((near(), near()), 0..4);
    let stamp =
        proptest::option::weighted(0.7, (prop_oneof![3 => 0..3000, 1 => any::<i32>()], 900..4000_u32));
    let payload = prop_oneof![2 => Just(0_usize), 2 => 0_usize..3000, 1 => 0_usize..65_536];
    prop_oneof![
        12 => (near(), near(), flags, any::<u16>(), blocks, stamp, payload).prop_map(
            |(seq, ack, flags, window, blocks, stamp, payload)| Step::Segment {
                seq, ack, flags, window, blocks, stamp, payload
            }
        ),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Raw),
        4 => prop_oneof![3 => 0..100_000_u32, 2 => 0..2_000_000_u32, 1 => any::<u32>()].prop_map(Step::Wait),
        3 => (0_usize..100_000).prop_map(Step::Write),
        3 => (0_usize..100_000).prop_map(Step::Consume),
        1 => (near(), any::<u16>()).prop_map(|(seq, mtu)| Step::PathMtu(seq, mtu)),
        1 => Just(Step::Finish),
        1 => prop_oneof![9 => Just(Step::Wait(1)), 1 => Just(Step::Reset)],
    ]
}

proptest! {
    #[test]
    fn whatever_comes_the_bounds_hold(
        steps in proptest::collection::vec(any_step(), 1..120),
        sack: bool,
        stamps: bool,
        scale in proptest::option::of(0_u8..15),
        mss in proptest::option::of(any::<u16>()),
    ) {
        let mut taking = taking(OURS, PEERS, syn(|_| {}));
        for options in [&mut taking.our_syn, &mut taking.peer_syn] {
            options.sack_permitted = sack;
            options.window_scale = scale;
            options.mss = mss;
            options.timestamps = options.timestamps.filter(|_| stamps);
        }
        taking.limits = Limits { send_buffer: 200_000, receive_buffer: 150_000, ..Limits::default() };
        let mut end = Endpoint::adopt(NOW, taking);
        let mut now = NOW;
        for step in steps {
            let at = |base: u32, offset: i32| base.wrapping_add_signed(offset);
            match step {
                Step::Segment { seq, ack, flags, window, blocks, stamp, payload } => {
                    let mut options = OptionBuffer::EMPTY;
                    if let Some((value, echo)) = stamp {
                        options.timestamps(at(1000, value), echo);
                    }
                    options.sack(blocks.iter().map(|&(from, to)| {
                        (u64::from(at(OURS, from)), u64::from(at(OURS, to)))
                    }));
                    let payload = vec![1; payload];
                    end.receive(now, &SegmentIn {
                        seq: at(PEERS, seq),
                        ack: at(OURS, ack),
                        flags: TcpFlags(flags),
                        window,
                        options: options.as_slice(),
                        payload: &payload,
                    });
                }
                Step::Raw(options) => {
                    let mut odd = segment(TcpFlags::ACK, PEERS, b"odd");
                    odd.options = &options;
                    end.receive(now, &odd);
                }
                Step::Wait(micros) => {
                    now = now.saturating_add(Duration::from_micros(u64::from(micros)));
                }
                Step::Write(bytes) => {
                    let room = end.room();
                    prop_assert_eq!(end.write(&vec![2; bytes]), room.min(bytes));
                }
                Step::Consume(bytes) => end.consume(bytes),
                Step::PathMtu(seq, mtu) => end.path_mtu(now, at(OURS, seq), mtu),
                Step::Finish => end.finish(),
                Step::Reset => end.reset(),
            }
            let mut sent = 0;
            end.poll(now, Cutting::Mss, &mut |segment| {
                sent += segment.payload_len();
                assert!(segment.options.len() <= 40 && segment.options.len().is_multiple_of(4));
                assert!(u16::try_from(segment.payload_len()).is_ok());
            });
            prop_assert!(sent <= 2 * 200_000, "{sent} bytes at once");
            end.check();
            prop_assert!(end.memory() < 2_500_000, "{}", end.memory());
            if let Some(deadline) = end.deadline() {
                prop_assert!(deadline > now, "polling does what is due");
            }
        }
    }
}
