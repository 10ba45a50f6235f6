//! Names that keep a session closed: believed once a certificate has shown them; and what is checked of closed sessions.

use std::{sync::Arc, time::Duration};

use packet::build::{Ends, ethernet_udp};
use policy::SslNoProxy;
use rustls::{ClientConnection, ServerConnection, pki_types::ServerName};

use crate::{
    certificates::Site,
    firewall::{INSIDE, OUTSIDE, Plan},
    greeting::{Pieces, cut_hello},
    host::Speech,
    opening::{REQUEST, RESPONSE, SECOND, ask, got_through},
    world::{CERTIFICATES, Pair, TLS12_ONLY, Visit, World, piece},
};

const BANK: &str = "bank.example";

fn bank() -> Visit {
    Visit {
        name: BANK,
        ..Visit::default()
    }
}

fn verifying() -> World {
    World::new(&Plan {
        verifies: true,
        ..Plan::default()
    })
}

/// What is told of a session once it is over.
fn told(world: &mut World, pair: Pair) -> Vec<String> {
    world.client(pair).close();
    world.run(60 * SECOND);
    world.firewall.told()
}

#[test]
fn a_name_is_believed_for_an_hour_once_its_server_has_proved_it() {
    let mut world = verifying();
    let first = ask(&mut world, &bank());
    assert!(got_through(&mut world, first));
    assert_eq!(told(&mut world, first)[0], "opened bank.example by Decrypt-Lab");
    let second = ask(&mut world, &bank().at_port(50_001));
    assert!(got_through(&mut world, second));
    assert_eq!(told(&mut world, second), ["end ssl allow tcp-fin by all"]);
    world.run(3600 * SECOND);
    let late = ask(&mut world, &bank().at_port(50_002));
    assert_eq!(told(&mut world, late)[0], "opened bank.example by Decrypt-Lab");
    world.firewall.assert_conserved();
}

/// What a server shows through a proxy says nothing of the proxy's address, behind which anybody may be.
#[test]
fn a_certificate_seen_through_a_proxy_proves_nothing() {
    let mut world = verifying();
    let pair = world.connect(&bank(), Speech::Plain, Speech::Plain);
    world
        .client(pair)
        .say(b"CONNECT bank.example:443 HTTP/1.1\r\nHost: bank.example\r\n\r\n");
    world.server(pair).reply = b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec();
    world.run(SECOND);
    let (client, server) = speeches(&bank(), BANK);
    world.client(pair).go_over_to(client);
    world.server(pair).go_over_to(server);
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(SECOND);
    assert!(got_through(&mut world, pair));
    assert_eq!(told(&mut world, pair)[0], "opened bank.example by Decrypt-Lab");
    let next = ask(&mut world, &bank().at_port(50_001));
    assert_eq!(told(&mut world, next)[0], "opened bank.example by Decrypt-Lab");
}

/// TLS of a client that asks for the bank, and of a server with a good certificate for this name.
fn speeches(visit: &Visit, shown: &str) -> (Speech, Speech) {
    let name = ServerName::try_from(visit.name).unwrap();
    let config = Arc::new(CERTIFICATES.client(false, visit.versions));
    let client = Speech::Client(Box::new(ClientConnection::new(config, name).unwrap()));
    let config = Arc::new(CERTIFICATES.server(Site::Good, shown));
    let server = Speech::Server(Box::new(ServerConnection::new(config).unwrap()));
    (client, server)
}

/// A client that pins loses one connection, and not the next.
#[test]
fn a_server_proves_its_name_to_a_client_that_refuses_us() {
    let mut world = verifying();
    let visit = Visit {
        pinned: true,
        ..bank()
    };
    let first = ask(&mut world, &visit);
    assert!(!got_through(&mut world, first));
    told(&mut world, first);
    // Not the tag's doing: its time is over by then.
    world.run(1000 * SECOND);
    world.firewall.told();
    let second = ask(&mut world, &visit.at_port(50_001));
    assert!(got_through(&mut world, second));
}

#[test]
fn a_server_that_cannot_prove_its_name_is_never_believed() {
    let mut world = verifying();
    for port in 50_000..50_003 {
        let visit = Visit {
            site: Site::UnknownIssuer,
            ..bank()
        };
        let pair = ask(&mut world, &visit.at_port(port));
        let told = told(&mut world, pair);
        assert!(
            told.iter()
                .any(|line| line.contains("bank.example") && line.starts_with("failed")),
            "{told:?}"
        );
        world.run(1000 * SECOND);
        world.firewall.told();
    }
}

/// `www.bank.example`-like names as DNS writes them, and where they lead.
fn dns(answer: Option<[u8; 4]>) -> Vec<u8> {
    let flags: [u8; 2] = if answer.is_some() { [0x81, 0x80] } else { [1, 0] };
    let mut message = [
        &b"\xbe\xef"[..],
        &flags,
        b"\0\x01\0",
        &[u8::from(answer.is_some())],
        b"\0\0\0\0",
    ]
    .concat();
    message.extend_from_slice(b"\x04bank\x07example\0\0\x01\0\x01");
    if let Some(address) = answer {
        message.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
        message.extend_from_slice(&address);
    }
    message
}

/// An answer counts where it comes from the side on which its server is: a host inside can write any address on it.
#[test]
fn an_answer_from_the_wrong_side_proves_nothing() {
    for (side, proven) in [(INSIDE, false), (OUTSIDE, true)] {
        let mut world = verifying();
        let client = "192.168.1.9:40000".parse().unwrap();
        let ends = Ends::new(client, "198.51.100.53:53".parse().unwrap());
        let mut out = Vec::new();
        let now = world.now;
        let asked = ethernet_udp(&ends, &dns(None));
        let _verdict = world.firewall.take(now, INSIDE, &asked, &mut out);
        let answered = ethernet_udp(&ends.reversed(), &dns(Some([203, 0, 113, 9])));
        let _verdict = world.firewall.take(now, side, &answered, &mut out);
        let pair = ask(&mut world, &bank());
        assert!(got_through(&mut world, pair));
        let opened = told(&mut world, pair)[0].starts_with("opened");
        assert_eq!(opened, !proven, "{side:?}");
    }
}

#[test]
fn without_the_switch_the_client_is_believed() {
    let mut world = World::new(&Plan::default());
    let pair = ask(&mut world, &bank());
    assert!(got_through(&mut world, pair));
    assert_eq!(told(&mut world, pair), ["end ssl allow tcp-fin by all"]);
}

fn closed(site: Site, checks: SslNoProxy) -> Vec<String> {
    let mut world = World::new(&Plan {
        closed: Some(checks),
        ..Plan::default()
    });
    let pair = ask(
        &mut world,
        &Visit {
            site,
            versions: &TLS12_ONLY,
            ..bank()
        },
    );
    told(&mut world, pair)
}

/// The client trusts neither of them; with the check it is the firewall that says so.
#[test]
fn closed_sessions_lead_to_a_trusted_root_where_the_profile_says_so() {
    let untrusted = SslNoProxy {
        block_untrusted_issuer: true,
        ..SslNoProxy::default()
    };
    for (site, error) in [
        (Site::UnknownIssuer, "server certificate's issuer is not trusted"),
        (Site::SelfSigned, "server certificate is self-signed"),
    ] {
        let told = closed(site, untrusted);
        assert_eq!(
            told[0],
            format!("failed bank.example: {error} (decrypt-cert-validation)")
        );
        assert!(told[1].contains("decrypt-cert-validation"), "{told:?}");
        let told = closed(site, SslNoProxy::default());
        assert!(!told[1].contains("decrypt-cert-validation"), "{told:?}");
    }
    assert_eq!(closed(Site::Good, untrusted), ["end ssl allow tcp-fin by all"]);
    let told = closed(Site::Expired, untrusted);
    assert!(!told[1].contains("decrypt-cert-validation"), "{told:?}");
    let expired = SslNoProxy {
        block_expired_certificate: true,
        ..SslNoProxy::default()
    };
    assert_eq!(
        closed(Site::Expired, expired)[0],
        "failed bank.example: server certificate has expired (decrypt-cert-validation)"
    );
}

/// A hello that does not come in one piece buys no look away.
#[test]
fn closed_sessions_are_watched_whatever_shape_their_hello_has() {
    const NOW: Duration = Duration::ZERO;
    const LATER: Duration = Duration::from_millis(1);

    let untrusted = SslNoProxy {
        block_untrusted_issuer: true,
        ..SslNoProxy::default()
    };
    let shapes: [fn(&[u8], usize) -> Pieces; 3] = [
        |frame, length| vec![(NOW, piece(frame, 0, 100)), (LATER, piece(frame, 100, length))],
        |frame, length| vec![(NOW, piece(frame, 100, length)), (LATER, piece(frame, 0, 100))],
        // So many that the firewall has to answer itself before it can decide.
        |frame, length| {
            (0..length)
                .map(|at| (Duration::from_millis(at as u64), piece(frame, at, at + 1)))
                .collect()
        },
    ];
    for (number, shape) in shapes.into_iter().enumerate() {
        for (site, blocked) in [(Site::UnknownIssuer, true), (Site::Good, false)] {
            let mut world = World::new(&Plan {
                closed: Some(untrusted),
                ..Plan::default()
            });
            cut_hello(&mut world, shape);
            let visit = Visit {
                site,
                versions: &TLS12_ONLY,
                ..bank()
            };
            let pair = ask(&mut world, &visit);
            world.run(2 * SECOND);
            let (client, server) = (world.client(pair).was_reset(), world.server(pair).was_reset());
            assert_eq!((client, server), (blocked, blocked), "shape {number} of {site:?}");
            let told = told(&mut world, pair);
            let expected: &[&str] = if blocked {
                &[
                    "failed bank.example: server certificate's issuer is not trusted (decrypt-cert-validation)",
                    "end ssl reset-both decrypt-cert-validation by all",
                ]
            } else {
                &["end ssl allow tcp-fin by all"]
            };
            assert!(
                told.iter().take(expected.len()).eq(expected),
                "shape {number}: {told:?}"
            );
            world.run(120 * SECOND);
            world.firewall.assert_conserved();
            assert_eq!((world.firewall.sessions(), world.firewall.adopted()), (0, 0));
        }
    }
}

/// Nobody is stopped, and it is said.
#[test]
fn a_certificate_for_another_name_is_recorded() {
    let mut world = World::new(&Plan::default());
    let visit = Visit {
        versions: &TLS12_ONLY,
        ..bank()
    };
    let (client, server) = speeches(&visit, "elsewhere.example");
    let pair = world.connect(&visit, client, server);
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(Duration::from_secs(1));
    let told = told(&mut world, pair);
    let error = "server certificate is not for the server name that was asked for";
    assert!(told[0].contains(error), "{told:?}");
}
