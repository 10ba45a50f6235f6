//! Any bytes on either leg, in any segmentation: never a panic, memory bounded, and an end with a name.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod lab;

use std::sync::LazyLock;

use cordon_decrypt::tls::{Leg, Relay, State, Terms};
use lab::{Lab, Witness};
use proptest::{collection::vec, prelude::*};

static LAB: LazyLock<Lab> = LazyLock::new(Lab::new);

#[derive(Debug, Clone)]
enum Step {
    Bytes(Leg, Vec<u8>),
    /// What an honest peer would say, with one byte changed.
    Honest {
        leg: Leg,
        segment: usize,
        spoil: Option<(usize, u8)>,
    },
    Sent(Leg, usize),
    End(Leg),
    Reset(Leg),
    TimedOut,
}

fn leg() -> impl Strategy<Value = Leg> {
    prop_oneof![Just(Leg::Client), Just(Leg::Server)]
}

fn step() -> impl Strategy<Value = Step> {
    let spoil = prop_oneof![4 => Just(None), 1 => (0..4096usize, 1..=u8::MAX).prop_map(Some)];
    prop_oneof![
        2 => (leg(), vec(any::<u8>(), 0..400)).prop_map(|(leg, bytes)| Step::Bytes(leg, bytes)),
        20 => (leg(), 1..3000usize, spoil)
            .prop_map(|(leg, segment, spoil)| Step::Honest { leg, segment, spoil }),
        3 => (leg(), 0..100_000usize).prop_map(|(leg, count)| Step::Sent(leg, count)),
        1 => leg().prop_map(Step::End),
        1 => leg().prop_map(Step::Reset),
        1 => Just(Step::TimedOut),
    ]
}

/// What a peer has said that the relay has not taken.
fn offer(relay: &mut Relay, leg: Leg, bytes: &mut Vec<u8>, segment: usize, tap: &mut Witness) {
    let piece = bytes.len().min(segment);
    let taken = relay.receive(leg, &bytes[..piece], tap);
    assert!(taken <= piece);
    bytes.drain(..taken);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_survived(steps in vec(step(), 1..60)) {
        let lab = &*LAB;
        let mut relay = lab.relay(Terms::default());
        let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
        let mut tap = Witness::default();
        let mut queues = [Vec::new(), Vec::new()];
        for step in steps {
            let was_over = matches!(relay.state(), State::Failed(_) | State::Closed);
            let before = relay.state().clone();
            match step {
                Step::Bytes(leg, bytes) => {
                    relay.receive(leg, &bytes, &mut tap);
                }
                Step::Honest { leg, segment, spoil } => {
                    for (leg, peer) in [(Leg::Client, 0), (Leg::Server, 1)] {
                        let bytes = relay.outgoing(leg).to_vec();
                        relay.sent(leg, bytes.len());
                        let mut rest = &bytes[..];
                        while !rest.is_empty() {
                            let read = if peer == 0 { client.read_tls(&mut rest) } else { server.read_tls(&mut rest) };
                            let fine = if peer == 0 {
                                client.process_new_packets().is_ok()
                            } else {
                                server.process_new_packets().is_ok()
                            };
                            if !fine || read.unwrap_or(0) == 0 { break }
                        }
                        while client.wants_write() { client.write_tls(&mut queues[0]).unwrap(); }
                        while server.wants_write() { server.write_tls(&mut queues[1]).unwrap(); }
                    }
                    let queue = &mut queues[usize::from(leg == Leg::Server)];
                    if let Some((at, change)) = spoil && let Some(byte) = queue.get_mut(at) {
                        *byte ^= change;
                    }
                    offer(&mut relay, leg, queue, segment, &mut tap);
                }
                Step::Sent(leg, count) => relay.sent(leg, count),
                Step::End(leg) => relay.end_of_stream(leg),
                Step::Reset(leg) => relay.was_reset(leg),
                Step::TimedOut => relay.timed_out(),
            }
            prop_assert!(relay.memory() < 400_000, "{}", relay.memory());
            if was_over {
                prop_assert_eq!(relay.state(), &before, "what is over stays as it ended");
            }
            if let State::Failed(failure) = relay.state() {
                prop_assert!(!failure.error.is_empty());
            }
        }
        // The end of both streams is the end of it.
        relay.end_of_stream(Leg::Client);
        relay.end_of_stream(Leg::Server);
        prop_assert!(matches!(relay.state(), State::Failed(_) | State::Closed));
        for leg in [Leg::Client, Leg::Server] {
            relay.sent(leg, usize::MAX);
            prop_assert!(relay.wants_finish(leg));
        }
    }
}
