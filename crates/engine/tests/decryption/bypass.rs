//! What failed is left closed while its tag is in force; what is tagged or committed meanwhile.

use std::time::Duration;

use logs::TagScope;
use policy::{Action, AppId};

use crate::{
    firewall::Plan,
    opening::{REQUEST, SECOND, ask, got_through},
    world::{CLIENT, Visit, Way, World},
};

fn pinned() -> Visit {
    Visit {
        pinned: true,
        ..Visit::default()
    }
}

#[test]
fn a_failure_opens_the_way_for_the_next_session_and_for_fifteen_minutes() {
    let mut world = World::new(&Plan::default());
    ask(&mut world, &pinned());
    assert_eq!(world.firewall.told().len(), 3);
    let before = world.log.len();
    let next = ask(&mut world, &pinned().at_port(50_001));
    assert!(got_through(&mut world, next));
    let of = |world: &World, way| -> Vec<Vec<u8>> {
        let later = world.log[before..].iter();
        later
            .filter(|(sent, _)| *sent == way)
            .map(|(_, frame)| frame.clone())
            .collect()
    };
    assert_eq!(of(&world, Way::FromClient), of(&world, Way::ToServer));
    assert_eq!(of(&world, Way::FromServer), of(&world, Way::ToClient));
    world.run(899 * SECOND);
    let late = ask(&mut world, &pinned().at_port(50_002));
    assert!(!got_through(&mut world, late), "decrypted again");
    assert_eq!(
        world.firewall.told()[..2],
        [
            "timeout decrypt-error on 203.0.113.9",
            "failed www.example.org: the client does not trust the certificate (unknown_ca) (decrypt-error)",
        ]
    );
    world.firewall.assert_conserved();
}

/// A tag that counts for one name leaves other names at the same address alone.
#[test]
fn a_tag_of_one_name_bypasses_no_other() {
    let plan = Plan {
        scope: TagScope::ServerName,
        ..Plan::default()
    };
    let mut world = World::new(&plan);
    ask(&mut world, &pinned());
    assert_eq!(
        world.firewall.told()[1..],
        [
            "register decrypt-error on 203.0.113.9",
            "end ssl allow decrypt-error by all"
        ]
    );
    let innocent = Visit {
        name: "innocent.example",
        ..Visit::default()
    };
    let innocent = ask(&mut world, &innocent.at_port(50_001));
    assert!(got_through(&mut world, innocent));
    assert_eq!(world.firewall.told(), ["opened innocent.example by Decrypt-Lab"]);
    let pinned = ask(&mut world, &pinned().at_port(50_002));
    assert!(got_through(&mut world, pinned));
    assert_eq!(world.firewall.told(), [""; 0]);
}

/// The tag comes into force while a session is open: sessions already opened go on.
#[test]
fn a_bypass_does_not_touch_what_is_open() {
    let mut world = World::new(&Plan::default());
    let open = ask(&mut world, &Visit::default());
    ask(&mut world, &pinned().at_port(50_001));
    world.client(open).say(REQUEST);
    world.run(SECOND);
    assert_eq!(world.server(open).heard.len(), 2 * REQUEST.len());
}

/// The quarantine cuts an opened session like any other.
#[test]
fn a_tag_of_the_client_cuts_an_opened_session() {
    for (action, answered) in [(Action::Deny, false), (Action::ResetBoth, true)] {
        let plan = Plan {
            quarantine: action,
            ..Plan::default()
        };
        let mut world = World::new(&plan);
        let pair = ask(&mut world, &Visit::default());
        world.firewall.told();
        let now = world.now;
        world.firewall.tag(now, CLIENT, "infected-host");
        world.client(pair).say(b"secret");
        world.run(SECOND);
        assert_eq!(world.server(pair).heard, REQUEST, "{action:?}");
        assert_eq!(
            world.firewall.told(),
            ["end web-browsing (opened) deny policy-deny by quarantine"]
        );
        let told = [world.client(pair).was_reset(), world.server(pair).was_reset()];
        assert_eq!(told, [answered; 2], "{action:?}");
        world.firewall.assert_conserved();
        world.run(3600 * SECOND);
        assert_eq!(world.firewall.sessions(), 0);
        assert_eq!(world.firewall.told(), [""; 0], "told once");
    }
}

/// The same, while half a hello is held.
#[test]
fn a_tag_of_the_client_cuts_a_session_whose_hello_is_held() {
    let mut world = World::new(&Plan::default());
    let mut seen = 0;
    world.wire(move |way, frame| {
        let data = way == Way::FromClient && crate::world::with_tcp(frame, |tcp| !tcp.payload.is_empty());
        seen += usize::from(data);
        if data && seen == 1 {
            return vec![(Duration::ZERO, crate::world::piece(frame, 0, 100))];
        }
        vec![(Duration::ZERO, frame.to_vec())]
    });
    let pair = world.visit(&Visit::default());
    world.run(Duration::from_millis(40));
    assert!(world.firewall.counters().held > 0);
    let now = world.now;
    world.firewall.tag(now, CLIENT, "infected-host");
    world.run(5 * SECOND);
    assert_eq!(world.firewall.told(), ["end ssl deny policy-deny by quarantine"]);
    assert_eq!(world.firewall.counters().held, 0);
    assert_eq!(world.server(pair).heard, b"");
    world.firewall.assert_conserved();
}

/// A commit decides running sessions again: by application, known from inside.
#[test]
fn a_commit_refuses_what_is_said_inside() {
    let mut world = World::new(&Plan::default());
    let pair = ask(&mut world, &Visit::default());
    world.firewall.told();
    world.firewall.commit(&Plan {
        refused: Some((AppId::from_name("web-browsing").unwrap(), Action::ResetBoth)),
        ..Plan::default()
    });
    world.client(pair).say(b"more");
    world.run(SECOND);
    assert_eq!(world.server(pair).heard, REQUEST);
    assert_eq!(
        world.firewall.told(),
        ["end web-browsing (opened) deny policy-deny by refused"]
    );
    assert!(world.client(pair).was_reset() && world.server(pair).was_reset());
    world.firewall.assert_conserved();
}

/// A commit that decrypts no more leaves open what is open: PAN-OS decides about decryption when a session begins.
#[test]
fn a_commit_that_decrypts_no_more_leaves_open_what_is_open() {
    let mut world = World::new(&Plan::default());
    let open = ask(&mut world, &Visit::default());
    let half = world.visit(&Visit::default().at_port(50_001));
    world.run(Duration::from_millis(25));
    world.firewall.commit(&Plan {
        decrypts: false,
        ..Plan::default()
    });
    world.client(open).say(REQUEST);
    world.client(half).say(REQUEST);
    world.run(SECOND);
    assert_eq!(world.server(open).heard.len(), 2 * REQUEST.len());
    assert_eq!(world.server(half).heard, REQUEST);
    let closed = ask(&mut world, &Visit::default().at_port(50_002));
    assert!(got_through(&mut world, closed));
    assert!(
        !world
            .firewall
            .told()
            .contains(&"opened www.example.org by Decrypt-Lab".to_owned()),
        "told before"
    );
    world.firewall.assert_conserved();
}

/// Traffic inside is refused by its application, the moment it is known.
#[test]
fn an_application_inside_is_refused() {
    let plan = Plan {
        refused: Some((AppId::from_name("web-browsing").unwrap(), Action::Deny)),
        ..Plan::default()
    };
    let mut world = World::new(&plan);
    let pair = ask(&mut world, &Visit::default());
    assert_eq!(world.server(pair).heard, b"");
    assert_eq!(
        world.firewall.told(),
        [
            "deny web-browsing (opened) deny policy-deny by refused",
            "opened www.example.org by Decrypt-Lab"
        ]
    );
    world.run(60 * SECOND);
    assert!(world.client(pair).is_over() && world.server(pair).is_over());
    assert_eq!(world.firewall.sessions(), 0);
    assert_eq!(world.firewall.told(), [""; 0]);
    world.firewall.assert_conserved();
}
