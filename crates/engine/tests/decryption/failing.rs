//! Sessions that cannot be opened: named at once, both ends told, the address tagged.

use std::time::Duration;

use policy::TlsVersion;

use crate::{
    certificates::Site,
    firewall::Plan,
    opening::{SECOND, ask, got_through},
    world::{TLS12_ONLY, Visit, World},
};

fn strict() -> Plan {
    let mut plan = Plan::default();
    plan.proxy.block_expired_certificate = true;
    plan.proxy.block_untrusted_issuer = true;
    plan.proxy.block_unsupported_version = true;
    plan.proxy.block_unsupported_cipher = true;
    plan
}

/// A visit that fails as told, at once, and the next one that is left closed.
#[track_caller]
fn fails(plan: &Plan, visit: &Visit, error: &str, reason: &str) -> World {
    let mut world = World::new(plan);
    let pair = ask(&mut world, visit);
    assert!(!got_through(&mut world, pair));
    assert_eq!(
        world.firewall.told()[..],
        [
            format!("failed www.example.org: {error} ({reason})"),
            format!("end ssl allow {reason} by all"),
            "register decrypt-error on 203.0.113.9".to_owned(),
        ]
    );
    let [client, server] = [world.client(pair).is_over(), world.server(pair).is_over()];
    assert!(client && server, "both were told: {client} {server}");
    let again = Visit {
        pinned: true,
        ..visit.clone()
    };
    let pair = ask(&mut world, &again.at_port(50_001));
    let trusts_it = matches!(visit.site, Site::Good | Site::Tls12);
    assert_eq!(
        got_through(&mut world, pair),
        trusts_it,
        "as it would be without a firewall"
    );
    world.run(60 * SECOND);
    assert_eq!(world.firewall.counters().adopted, 1);
    world.firewall.assert_conserved();
    world
}

#[test]
fn an_expired_certificate() {
    let visit = Visit {
        site: Site::Expired,
        ..Visit::default()
    };
    fails(
        &strict(),
        &visit,
        "expired certificate",
        "decrypt-cert-validation",
    );
}

#[test]
fn an_issuer_that_nobody_knows() {
    let visit = Visit {
        site: Site::UnknownIssuer,
        ..Visit::default()
    };
    fails(&strict(), &visit, "untrusted issuer", "decrypt-cert-validation");
}

#[test]
fn a_pinned_client_that_says_so() {
    for versions in [rustls::ALL_VERSIONS, &TLS12_ONLY] {
        let visit = Visit {
            pinned: true,
            versions,
            ..Visit::default()
        };
        fails(
            &Plan::default(),
            &visit,
            "the client does not trust the certificate (unknown_ca)",
            "decrypt-error",
        );
    }
}

#[test]
fn a_server_below_the_profiles_minimum() {
    let mut plan = strict();
    plan.versions = [TlsVersion::Tls13, TlsVersion::Max];
    let visit = Visit {
        site: Site::Tls12,
        ..Visit::default()
    };
    fails(
        &plan,
        &visit,
        "the server ended the handshake (protocol_version)",
        "decrypt-unsupport-param",
    );
}

#[test]
fn a_client_below_the_profiles_minimum() {
    let mut plan = strict();
    plan.versions = [TlsVersion::Tls13, TlsVersion::Max];
    let visit = Visit {
        versions: &TLS12_ONLY,
        ..Visit::default()
    };
    fails(
        &plan,
        &visit,
        "the client's highest version is too low",
        "decrypt-unsupport-param",
    );
}

#[test]
fn a_server_that_wants_a_certificate_of_the_client() {
    let plan = Plan {
        versions: [TlsVersion::Tls12, TlsVersion::Tls12],
        ..Plan::default()
    };
    let visit = Visit {
        site: Site::ClientCertificate,
        ..Visit::default()
    };
    fails(
        &plan,
        &visit,
        "the server asks for a client certificate",
        "decrypt-cert-validation",
    );
}

/// TLS 1.3 lets a client go on before its server has said no: both handshakes can be done by then.
#[test]
fn a_server_that_misses_a_certificate_of_the_client_after_its_handshake() {
    let mut world = World::new(&Plan::default());
    let visit = Visit {
        site: Site::ClientCertificate,
        ..Visit::default()
    };
    let pair = ask(&mut world, &visit);
    assert!(!got_through(&mut world, pair));
    let told = world.firewall.told();
    let ends = told.iter().map(String::as_str).rev().take(3);
    let expected = [
        "register decrypt-error on 203.0.113.9",
        "end web-browsing (opened) allow decrypt-cert-validation by all",
        "failed www.example.org: the server asks for a client certificate (decrypt-cert-validation)",
    ];
    assert!(ends.eq(expected), "{told:?}");
    let [client, server] = [world.client(pair).is_over(), world.server(pair).is_over()];
    assert!(client && server, "both were told: {client} {server}");
}

/// Pinning that shows no alert: the handshake is fine, and then the client goes without a word.
#[test]
fn a_pinned_client_that_says_nothing() {
    for said in [true, false] {
        let mut world = World::new(&Plan::default());
        let pair = world.visit(&Visit::default());
        world.run(Duration::from_millis(200));
        assert_eq!(world.firewall.told(), ["opened www.example.org by Decrypt-Lab"]);
        if said {
            world.client(pair).close();
        } else {
            world.client(pair).close_unsaid();
        }
        world.run(SECOND);
        assert_eq!(
            world.firewall.told(),
            [
                "failed www.example.org: closed without a byte after the handshake: pinning (decrypt-error)",
                "end ssl (opened) allow decrypt-error by all",
                "register decrypt-error on 203.0.113.9",
            ]
        );
        assert!(world.server(pair).is_over() && world.client(pair).is_over());
    }
}

/// A server that does not answer its hello: the session ends when the time for the handshake is up.
#[test]
fn silence_in_the_handshake() {
    let mut world = World::new(&Plan::default());
    let pair = world.visit(&Visit::default());
    world.run(Duration::from_millis(22));
    world.server(pair).vanish();
    world.run(29 * SECOND);
    assert_eq!(world.firewall.told(), [""; 0]);
    world.run(2 * SECOND);
    assert_eq!(
        world.firewall.told(),
        [
            "failed www.example.org: silent in the handshake (aged-out)",
            "end ssl allow aged-out by all"
        ]
    );
    world.run(60 * SECOND);
    assert!(world.client(pair).is_over());
    assert_eq!(world.firewall.sessions(), 0);
    world.firewall.assert_conserved();
}
