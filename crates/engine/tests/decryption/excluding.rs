//! PAN-OS's local exclusion cache: a server that does not fit the proxy fails once, and is left closed for twelve hours.

use std::time::Duration;

use policy::TlsVersion;

use crate::{
    certificates::Site,
    firewall::Plan,
    opening::{ask, got_through},
    world::{TLS12_ONLY, Visit, World},
};

fn remembering() -> Plan {
    Plan {
        versions: [TlsVersion::Tls13, TlsVersion::Max],
        remembers: true,
        tagging: false,
        ..Plan::default()
    }
}

fn old() -> Visit {
    Visit {
        site: Site::Tls12,
        ..Visit::default()
    }
}

const FAILED: &str =
    "failed www.example.org: the server ended the handshake (protocol_version) (decrypt-unsupport-param)";

#[test]
fn a_server_that_does_not_fit_is_left_closed_from_then_on() {
    let mut world = World::new(&remembering());
    let first = ask(&mut world, &old());
    assert!(
        !got_through(&mut world, first),
        "the first session fails, and says so"
    );
    assert_eq!(
        world.firewall.told(),
        [FAILED, "end ssl allow decrypt-unsupport-param by all"]
    );
    let next = ask(&mut world, &old().at_port(50_001));
    assert!(got_through(&mut world, next));
    world.client(next).close();
    world.run(Duration::from_mins(1));
    assert_eq!(world.firewall.told(), ["end ssl allow tcp-fin by all"]);
    assert_eq!(world.firewall.counters().excluded, 1);
    // Another name at the same address is another server.
    let other = Visit {
        name: "other.example",
        site: Site::Good,
        ..Visit::default()
    };
    let other = ask(&mut world, &other.at_port(50_002));
    assert!(got_through(&mut world, other));
    assert_eq!(world.firewall.told(), ["opened other.example by Decrypt-Lab"]);
    world.run(Duration::from_hours(12));
    let late = ask(&mut world, &old().at_port(50_003));
    assert!(!got_through(&mut world, late), "tried again");
    world.firewall.assert_conserved();
}

#[test]
fn a_commit_or_a_command_has_it_tried_again() {
    let mut world = World::new(&remembering());
    ask(&mut world, &old());
    world.firewall.commit(&remembering());
    let again = ask(&mut world, &old().at_port(50_001));
    assert!(!got_through(&mut world, again), "under new rules");
    assert_eq!(world.firewall.excluded.clear(), 1);
    let again = ask(&mut world, &old().at_port(50_002));
    assert!(!got_through(&mut world, again), "after clear exclude-cache");
    let closed = ask(&mut world, &old().at_port(50_003));
    assert!(got_through(&mut world, closed));
}

/// What the profile blocks, and what a client does, leaves nobody uninspected.
#[test]
fn what_is_blocked_and_what_clients_do_is_not_remembered() {
    let mut blocking = remembering();
    blocking.proxy.block_unsupported_version = true;
    let off = Plan {
        remembers: false,
        ..remembering()
    };
    let poor_client = Visit {
        versions: &TLS12_ONLY,
        ..Visit::default()
    };
    let pinned = Visit {
        pinned: true,
        ..Visit::default()
    };
    for (why, plan, visit) in [
        ("blocked", blocking, old()),
        ("off", off, old()),
        ("a client of old", remembering(), poor_client),
        ("a pinned client", remembering(), pinned),
    ] {
        let mut world = World::new(&plan);
        for port in [50_000, 50_001] {
            let pair = ask(&mut world, &visit.clone().at_port(port));
            assert!(!got_through(&mut world, pair), "{why}");
        }
        assert_eq!(world.firewall.excluded.clear(), 0, "{why}");
    }
}

/// A server that wants a certificate of the client: PAN-OS leaves it closed where `block-client-cert` is off.
#[test]
fn a_server_that_wants_a_certificate_of_the_client() {
    let plan = Plan {
        remembers: true,
        tagging: false,
        ..Plan::default()
    };
    let mut world = World::new(&plan);
    let visit = Visit {
        site: Site::ClientCertificate,
        ..Visit::default()
    };
    ask(&mut world, &visit);
    ask(&mut world, &visit.at_port(50_001));
    assert_eq!(world.firewall.counters().excluded, 1);
}
