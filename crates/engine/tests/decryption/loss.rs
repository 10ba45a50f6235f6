//! Any one frame is lost, on either wire, in either direction: the session goes through all the same.

use std::time::Duration;

use crate::{
    firewall::Plan,
    opening::{REQUEST, RESPONSE, SECOND, got_through},
    world::{Visit, Way, World},
};

/// One session from beginning to end, of which the `lost`th frame on one of the ways does not arrive. Returns
/// how many there were.
fn without(way: Way, lost: usize, name: &'static str, copies: usize) -> usize {
    let mut world = World::new(&Plan::default());
    let mut count = 0;
    world.wire(move |sent, frame| {
        if sent == way {
            count += 1;
        }
        if sent == way && count == lost {
            return vec![(Duration::ZERO, frame.to_vec()); copies];
        }
        vec![(Duration::ZERO, frame.to_vec())]
    });
    let pair = world.visit(&Visit {
        name,
        ..Visit::default()
    });
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(10 * SECOND);
    assert!(got_through(&mut world, pair), "{way:?} {lost}");
    world.client(pair).close();
    world.run(20 * SECOND);
    let told = world.firewall.told();
    let end = told.last().map(String::as_str);
    assert!(
        matches!(
            end,
            Some("end web-browsing (opened) allow tcp-fin by all" | "end ssl allow tcp-fin by all")
        ),
        "{way:?} {lost}: {told:?}"
    );
    assert!(
        world.client(pair).is_over() && world.server(pair).is_over(),
        "{way:?} {lost}"
    );
    world.run(120 * SECOND);
    assert_eq!(world.firewall.sessions(), 0);
    assert_eq!(world.firewall.counters().held, 0);
    world.firewall.assert_conserved();
    world.sent(way).len()
}

const WAYS: [Way; 4] = [Way::FromClient, Way::ToServer, Way::FromServer, Way::ToClient];

#[test]
fn any_one_frame_is_lost() {
    for name in ["www.example.org", "bank.example"] {
        for way in WAYS {
            let frames = without(way, 0, name, 1);
            for lost in 1..=frames {
                without(way, lost, name, 0);
            }
        }
    }
}

#[test]
fn any_one_frame_comes_twice() {
    for way in WAYS {
        let frames = without(way, 0, "www.example.org", 1);
        for doubled in 1..=frames {
            without(way, doubled, "www.example.org", 2);
        }
    }
}
