//! Any bytes, with any sequence numbers and flags, in the middle of an honest connection: never a panic, every frame
//! accounted for, nothing left behind.

use std::{net::SocketAddr, time::Duration};

use packet::{
    TcpFlags,
    build::{Ends, Segment, ethernet_tcp},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    firewall::Plan,
    host::Speech,
    opening::{REQUEST, RESPONSE},
    world::{Pair, Visit, Way, World, with_tcp},
};

#[derive(Clone, Debug)]
enum Step {
    /// A segment of anybody's, so far from the last one that was sent this way.
    Forged {
        from_client: bool,
        offset: i32,
        ack_offset: i32,
        flags: u8,
        window: u16,
        payload: Vec<u8>,
    },
    /// Milliseconds pass, and the honest ends go on.
    Run(u64),
    Say(bool, Vec<u8>),
    Close(bool),
    Reset(bool),
}

fn near() -> impl Strategy<Value = i32> {
    prop_oneof![5 => Just(0), 3 => -3000..3000_i32, 1 => any::<i32>()]
}

fn step() -> impl Strategy<Value = Step> {
    let hello = vec(any::<u8>(), 0..600).prop_map(|mut bytes| {
        bytes.splice(0..0, [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
        bytes
    });
    let record = vec(any::<u8>(), 0..300).prop_map(|mut bytes| {
        bytes.splice(0..0, [23, 3, 3, 0, 200]);
        bytes
    });
    let payload = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..1400), hello, record];
    let forged = (
        any::<bool>(),
        near(),
        near(),
        0..64_u8,
        any::<u16>(),
        payload.clone(),
    );
    prop_oneof![
        6 => forged.prop_map(|(from_client, offset, ack_offset, flags, window, payload)| {
            Step::Forged { from_client, offset, ack_offset, flags, window, payload }
        }),
        6 => (0..40_u64).prop_map(Step::Run),
        1 => (40..5_000_u64).prop_map(Step::Run),
        1 => (any::<bool>(), payload).prop_map(|(client, bytes)| Step::Say(client, bytes)),
        1 => any::<bool>().prop_map(Step::Close),
        1 => any::<bool>().prop_map(Step::Reset),
    ]
}

fn forge(world: &World, pair: Pair, from_client: bool, offsets: [i32; 2], rest: (u8, u16, &[u8])) -> Vec<u8> {
    let (flags, window, payload) = rest;
    let way = if from_client {
        Way::FromClient
    } else {
        Way::FromServer
    };
    let last = world.sent(way).last().map(|frame| {
        with_tcp(frame, |tcp| {
            let length = tcp.payload_len + u32::from(tcp.flags.syn()) + u32::from(tcp.flags.fin());
            (tcp.seq.wrapping_add(length), tcp.ack)
        })
    });
    let (seq, ack) = last.unwrap_or_default();
    let (client, server): (SocketAddr, SocketAddr) = pair;
    let ends = Ends::new(client, server);
    let ends = if from_client { ends } else { ends.reversed() };
    let segment = Segment {
        seq: seq.wrapping_add_signed(offsets[0]),
        ack: ack.wrapping_add_signed(offsets[1]),
        flags: TcpFlags(flags),
        window,
        payload,
    };
    ethernet_tcp(&ends, &segment)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_survived(plain in any::<bool>(), steps in vec(step(), 1..60)) {
        let mut world = World::new(&Plan::default());
        let visit = Visit::default();
        let pair = if plain {
            world.connect(&visit, Speech::Plain, Speech::Plain)
        } else {
            let pair = world.visit(&visit);
            world.client(pair).say(REQUEST);
            pair
        };
        world.server(pair).reply = RESPONSE.to_vec();
        for step in steps {
            match step {
                Step::Forged { from_client, offset, ack_offset, flags, window, payload } => {
                    let way = if from_client { Way::FromClient } else { Way::FromServer };
                    let frame = forge(&world, pair, from_client, [offset, ack_offset], (flags, window, &payload));
                    let _counted = world.arrive(way, &frame);
                }
                Step::Run(millis) => world.run(Duration::from_millis(millis)),
                Step::Say(client, bytes) => {
                    let host = if client { world.client(pair) } else { world.server(pair) };
                    host.say(&bytes);
                }
                Step::Close(client) => {
                    let host = if client { world.client(pair) } else { world.server(pair) };
                    host.close();
                }
                Step::Reset(client) => {
                    let host = if client { world.client(pair) } else { world.server(pair) };
                    host.reset();
                }
            }
            world.firewall.assert_conserved();
            prop_assert!(world.firewall.sessions() <= 1 && world.firewall.adopted() <= 1);
        }
        world.run(Duration::from_hours(4));
        prop_assert_eq!((world.firewall.sessions(), world.firewall.adopted()), (0, 0));
        prop_assert_eq!(world.firewall.counters().held, 0);
        prop_assert_eq!(world.firewall.next_wake(), None);
        world.firewall.assert_conserved();
        let told = world.firewall.told();
        let ends = told.iter().filter(|line| !line.starts_with("opened") && !line.starts_with("failed")
            && !line.starts_with("seen") && !line.contains("decrypt-error on"));
        prop_assert_eq!(ends.count() as u64, world.firewall.counters().sessions.tcp, "{:?}", told);
    }
}
