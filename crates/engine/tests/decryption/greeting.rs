//! `ClientHello`s of every shape: split, trickled, retransmitted, overlapping, out of order, without an end.

use std::time::Duration;

use crate::{
    firewall::Plan,
    host::Speech,
    opening::{REQUEST, RESPONSE, SECOND, got_through},
    world::{Visit, Way, World, piece, with_tcp},
};

const NOW: Duration = Duration::ZERO;
const LATER: Duration = Duration::from_millis(1);

/// Whether a frame carries the beginning of a `ClientHello`.
fn greets(way: Way, frame: &[u8]) -> bool {
    way == Way::FromClient
        && with_tcp(frame, |tcp| {
            tcp.payload.starts_with(&[22, 3]) && tcp.payload.get(5) == Some(&1)
        })
}

/// What arrives of a frame, and how much later.
pub(crate) type Pieces = Vec<(Duration, Vec<u8>)>;

/// Cuts the client's hello as `cut` says, the first time it is sent.
pub(crate) fn cut_hello(world: &mut World, mut cut: impl FnMut(&[u8], usize) -> Pieces + 'static) {
    let mut once = false;
    world.wire(move |way, frame| {
        if !once && greets(way, frame) {
            once = true;
            return cut(frame, with_tcp(frame, |tcp| tcp.payload.len()));
        }
        vec![(NOW, frame.to_vec())]
    });
}

/// Whatever the shape, a session under the decrypt rule is opened, and one that stays closed gets every byte.
fn whatever_its_shape(what: &str, cut: impl Fn(&[u8], usize) -> Pieces + Copy + 'static) {
    for (name, opened) in [("www.example.org", true), ("bank.example", false)] {
        let mut world = World::new(&Plan::default());
        cut_hello(&mut world, cut);
        let pair = world.visit(&Visit {
            name,
            ..Visit::default()
        });
        world.client(pair).say(REQUEST);
        world.server(pair).reply = RESPONSE.to_vec();
        world.run(5 * SECOND);
        assert!(got_through(&mut world, pair), "{what} to {name}");
        let told = world.firewall.told();
        assert_eq!(
            told,
            if opened {
                vec!["opened www.example.org by Decrypt-Lab"]
            } else {
                vec![]
            },
            "{what} to {name}"
        );
        world.firewall.assert_conserved();
        assert_eq!(world.firewall.counters().held, 0, "{what} to {name}");
        world.client(pair).close();
        world.run(60 * SECOND);
        let app = if opened { "web-browsing (opened)" } else { "ssl" };
        assert_eq!(
            world.firewall.told(),
            [format!("end {app} allow tcp-fin by all")],
            "{what} to {name}"
        );
        assert_eq!(world.firewall.sessions(), 0, "{what} to {name}");
    }
}

#[test]
fn in_two_segments() {
    for at in [1, 4, 5, 6, 43, 200] {
        whatever_its_shape("in two", move |frame, length| {
            vec![(NOW, piece(frame, 0, at)), (LATER, piece(frame, at, length))]
        });
    }
}

#[test]
fn in_two_segments_the_second_first() {
    for at in [1, 5, 200] {
        whatever_its_shape("in two, the second first", move |frame, length| {
            vec![(NOW, piece(frame, at, length)), (LATER, piece(frame, 0, at))]
        });
    }
}

#[test]
fn in_segments_that_overlap() {
    whatever_its_shape("overlapping", |frame, length| {
        vec![
            (NOW, piece(frame, 0, 100)),
            (LATER, piece(frame, 50, 180)),
            (LATER, piece(frame, 20, 120)),
            (LATER, piece(frame, 100, length)),
        ]
    });
}

#[test]
fn sent_again_before_it_is_whole() {
    whatever_its_shape("the first half twice", |frame, length| {
        vec![
            (NOW, piece(frame, 0, 100)),
            (LATER, piece(frame, 0, 100)),
            (LATER, piece(frame, 0, 90)),
            (2 * LATER, piece(frame, 0, 110)),
            (3 * LATER, piece(frame, 100, length)),
        ]
    });
}

#[test]
fn sent_again_as_a_whole() {
    whatever_its_shape("twice", |frame, length| {
        vec![(NOW, piece(frame, 0, length)), (LATER, piece(frame, 0, length))]
    });
}

/// More segments than a client sends without an answer: the firewall answers itself.
#[test]
fn in_many_small_segments() {
    whatever_its_shape("in pieces of twenty", |frame, length| {
        (0..length)
            .step_by(20)
            .map(|at| (LATER, piece(frame, at, (at + 20).min(length))))
            .collect()
    });
}

#[test]
fn one_byte_at_a_time() {
    whatever_its_shape("byte by byte", |frame, length| {
        (0..length)
            .map(|at| (Duration::from_millis(at as u64), piece(frame, at, at + 1)))
            .collect()
    });
}

#[test]
fn in_many_segments_in_reverse() {
    whatever_its_shape("in reverse", |frame, length| {
        let starts = (0..length).step_by(150);
        let mut pieces: Vec<_> = starts
            .map(|at| piece(frame, at, (at + 150).min(length)))
            .collect();
        pieces.reverse();
        pieces.into_iter().map(|piece| (LATER, piece)).collect()
    });
}

/// A client that says half of a hello and no more is never let through, and costs nothing once it ages.
#[test]
fn half_a_hello_is_never_released() {
    let mut world = World::new(&Plan::default());
    let half = [&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 100]].concat();
    let pair = world.connect(&Visit::default(), Speech::Plain, Speech::Plain);
    world.client(pair).say(&half);
    world.run(3600 * SECOND);
    assert_eq!(world.server(pair).heard, b"");
    world.run(3600 * SECOND);
    assert_eq!(world.server(pair).heard, b"");
    world.firewall.assert_conserved();
    assert_eq!(
        (world.firewall.counters().held, world.firewall.sessions()),
        (0, 0)
    );
}

/// A hello without an end ends the session, with a name; its server never sees a byte of it.
#[test]
fn a_hello_without_an_end() {
    let mut world = World::new(&Plan::default());
    // A handshake message of 16 MB, in records of 16 KiB.
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff, 3, 3];
    hello.resize(5 + 0x4000, 7);
    for _ in 0..8 {
        hello.extend_from_slice(&[22, 3, 1, 0x40, 0]);
        hello.resize(hello.len() + 0x4000, 7);
    }
    let pair = world.connect(&Visit::default(), Speech::Plain, Speech::Plain);
    world.client(pair).say(&hello);
    world.run(5 * SECOND);
    assert_eq!(world.server(pair).heard, b"");
    assert!(world.client(pair).was_reset() && world.server(pair).was_reset());
    assert_eq!(
        world.firewall.told(),
        [
            "failed : the ClientHello cannot be read, or has no end (decrypt-error)",
            "end ssl allow decrypt-error by all",
            "register decrypt-error on 203.0.113.9",
        ]
    );
    world.run(60 * SECOND);
    world.firewall.assert_conserved();
    assert_eq!(world.firewall.sessions(), 0);
}
