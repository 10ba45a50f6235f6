//! A session that is opened, and sessions that are left closed, untouched.

use std::time::Duration;

use packet::Timestamp;
use policy::AppId;

use crate::{
    firewall::Plan,
    host::Speech,
    world::{Pair, SERVER, TLS12_ONLY, Visit, Way, World},
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const REQUEST: &[u8] = b"GET /page HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A client asks, and the server answers.
pub(crate) fn ask(world: &mut World, visit: &Visit) -> Pair {
    let pair = world.visit(visit);
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(SECOND);
    pair
}

/// Whether both have heard what the other had to say.
pub(crate) fn got_through(world: &mut World, pair: Pair) -> bool {
    world.server(pair).heard == REQUEST && world.client(pair).heard == RESPONSE
}

/// Whether the server's own certificate is what the client was shown.
pub(crate) fn shown_the_servers_own(world: &mut World, pair: Pair) -> bool {
    let shown = world.client(pair).shown().map(|chain| chain[0].to_vec());
    let own = world.sent(Way::FromServer).concat();
    // TLS 1.3 hides it: then the frames tell.
    let seen = shown.is_some_and(|der| own.windows(der.len()).any(|window| window == der));
    seen || world.sent(Way::FromServer) == world.sent(Way::ToClient)
}

#[test]
fn a_session_under_a_decrypt_rule_is_opened_end_to_end() {
    for versions in [rustls::ALL_VERSIONS, &TLS12_ONLY] {
        let mut world = World::new(&Plan::default());
        let visit = Visit {
            versions,
            ..Visit::default()
        };
        let pair = ask(&mut world, &visit);
        assert!(got_through(&mut world, pair));
        assert_eq!(world.firewall.told(), ["opened www.example.org by Decrypt-Lab"]);
        assert!(!shown_the_servers_own(&mut world, pair));
        world.client(pair).close();
        world.run(SECOND);
        assert!(world.client(pair).is_over() && world.server(pair).is_over());
        assert_eq!(
            world.firewall.told(),
            ["end web-browsing (opened) allow tcp-fin by all"]
        );
        // The handshake of TCP went from end to end.
        let counters = world.firewall.counters();
        assert_eq!((counters.forwarded, counters.adopted, counters.held), (3, 1, 0));
        world.firewall.assert_conserved();
        world.run(Duration::from_mins(1));
        assert_eq!(world.firewall.sessions(), 0);
        assert_eq!(world.firewall.told(), [""; 0], "told once");
    }
}

#[test]
fn large_transfers_go_through_opened_sessions_both_ways() {
    let mut world = World::new(&Plan::default());
    let pair = ask(&mut world, &Visit::default());
    let (up, down) = (vec![b'u'; 400_000], vec![b'd'; 700_000]);
    world.client(pair).say(&up[..50_000]);
    world.server(pair).say(&down[..60_000]);
    for part in 1..8 {
        world.run(SECOND);
        world.client(pair).say(&up[part * 50_000..][..50_000]);
        world.server(pair).say(&down[part * 60_000..][..60_000]);
    }
    world.run(5 * SECOND);
    assert_eq!(world.server(pair).heard.len(), REQUEST.len() + 400_000);
    assert_eq!(world.client(pair).heard.len(), RESPONSE.len() + 480_000);
    world.firewall.assert_conserved();
}

/// A rule by category, an exclusion, a pause, and no rule at all: all leave sessions closed.
#[test]
fn what_stays_closed_is_not_touched() {
    let plans: [(&str, &str, Plan, bool); 3] = [
        ("by category", "bank.example", Plan::default(), false),
        (
            "no rule",
            "www.example.org",
            Plan {
                decrypts: false,
                ..Plan::default()
            },
            false,
        ),
        ("a pause", "www.example.org", Plan::default(), true),
    ];
    for (why, name, plan, pause) in plans {
        let mut world = World::new(&plan);
        if pause {
            world.firewall.pause.until(world.now.saturating_add(SECOND));
        }
        let pair = ask(
            &mut world,
            &Visit {
                name,
                ..Visit::default()
            },
        );
        assert!(got_through(&mut world, pair), "{why}");
        assert_eq!(world.sent(Way::FromClient), world.sent(Way::ToServer), "{why}");
        assert_eq!(world.sent(Way::FromServer), world.sent(Way::ToClient), "{why}");
        world.client(pair).close();
        world.run(20 * SECOND);
        let told = world.firewall.told();
        assert_eq!(told.last().unwrap(), "end ssl allow tcp-fin by all", "{why}");
        // What a rule would have opened is noted.
        let noted = if pause {
            vec!["seen www.example.org by Decrypt-Lab".to_owned()]
        } else {
            Vec::new()
        };
        assert_eq!(told[..told.len() - 1], noted, "{why}");
        let frames = world.firewall.frames;
        world.firewall.assert_frames(frames, 0, &[]);
        assert_eq!(world.firewall.counters().adopted, 0, "{why}");
    }
}

/// After the pause, sessions are opened again; what began in it stays closed.
#[test]
fn a_pause_ends() {
    let mut world = World::new(&Plan::default());
    world.firewall.pause.until(world.now.saturating_add(SECOND));
    let closed = ask(&mut world, &Visit::default());
    world.run(SECOND);
    let opened = ask(&mut world, &Visit::default().at_port(50_001));
    world.client(closed).say(b"more");
    world.run(SECOND);
    assert!(got_through(&mut world, opened));
    assert!(world.server(closed).heard.ends_with(b"more"));
    assert_eq!(world.firewall.told(), ["opened www.example.org by Decrypt-Lab"]);
    world.firewall.pause.until(Timestamp::ZERO);
}

/// What is no TLS goes through under a decrypt rule, whoever speaks first.
#[test]
fn other_protocols_pass() {
    for client_first in [true, false] {
        let mut world = World::new(&Plan::default());
        let pair = world.connect(&Visit::default(), Speech::Plain, Speech::Plain);
        if client_first {
            world.client(pair).say(b"SSH-2.0-client\r\n");
            world.server(pair).reply = b"SSH-2.0-server\r\n".to_vec();
        } else {
            world.server(pair).say(b"SSH-2.0-server\r\n");
            world.client(pair).reply = b"SSH-2.0-client\r\n".to_vec();
        }
        world.run(SECOND);
        assert_eq!(world.server(pair).heard, b"SSH-2.0-client\r\n");
        assert_eq!(world.client(pair).heard, b"SSH-2.0-server\r\n");
        assert_eq!(world.sent(Way::FromClient), world.sent(Way::ToServer));
        assert_eq!(world.sent(Way::FromServer), world.sent(Way::ToClient));
        assert_eq!(world.firewall.counters().adopted, 0);
        world.firewall.assert_conserved();
    }
}

/// Where the proxy is full, sessions pass as they are; where the profile says so, they end.
#[test]
fn a_full_proxy() {
    const ONLY_TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    for (block, block_tls13, versions, ends) in [
        (false, false, rustls::ALL_VERSIONS, false),
        (true, false, rustls::ALL_VERSIONS, true),
        (true, false, ONLY_TLS12, true),
        (false, true, rustls::ALL_VERSIONS, true),
        (false, true, ONLY_TLS12, false),
    ] {
        let mut plan = Plan {
            adopted: 0,
            ..Plan::default()
        };
        plan.proxy.block_if_no_resource = block;
        plan.proxy.block_tls13_downgrade_no_resource = block_tls13;
        let mut world = World::new(&plan);
        let visit = Visit {
            versions,
            ..Visit::default()
        };
        let pair = ask(&mut world, &visit);
        assert_eq!(world.firewall.counters().not_adopted, 1);
        assert_eq!(got_through(&mut world, pair), !ends);
        if ends {
            assert_eq!(
                world.firewall.told()[0],
                "end ssl allow decrypt-error by all",
                "at once"
            );
        } else {
            assert_eq!(world.sent(Way::FromClient), world.sent(Way::ToServer));
        }
        world.firewall.assert_conserved();
    }
}

/// QUIC is no TLS over TCP: a rule refuses it, and the browser falls back to what can be opened.
#[test]
fn quic_is_refused_by_a_rule_and_the_fallback_is_opened() {
    let plan = Plan {
        refused: Some((AppId::from_name("quic").unwrap(), policy::Action::Drop)),
        ..Plan::default()
    };
    let mut world = World::new(&plan);
    let visit = Visit::default();
    let initial = [&b"\xc3\0\0\0\x01\x08destinat\0\0"[..], &[0x77; 1180]].concat();
    let ends = packet::build::Ends::new(visit.client, SERVER.parse().unwrap());
    let frame = packet::build::ethernet_udp(&ends, &initial);
    for _ in 0..3 {
        assert!(matches!(
            world.arrive(Way::FromClient, &frame),
            cordon_engine::Verdict::Drop(_)
        ));
    }
    assert_eq!(world.firewall.told(), ["deny quic drop policy-deny by refused"]);
    let pair = ask(&mut world, &visit);
    assert!(got_through(&mut world, pair));
    assert_eq!(world.firewall.told(), ["opened www.example.org by Decrypt-Lab"]);
}
