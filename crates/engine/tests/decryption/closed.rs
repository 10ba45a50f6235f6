//! Decryption rules that are looked at and not carried out, as in a replay: what would break is named from what can be
//! seen of closed sessions.

use std::{sync::Arc, time::Duration};

use policy::TlsVersion;
use rustls::{ClientConnection, ServerConnection, pki_types::ServerName};

use crate::{
    certificates::Site,
    firewall::Plan,
    host::Speech,
    opening::{REQUEST, RESPONSE, SECOND, got_through},
    world::{CERTIFICATES, NAME, Pair, TLS12_ONLY, TLS13_ONLY, Visit, Way, World},
};

fn looked_at() -> Plan {
    let mut plan = Plan {
        carried_out: false,
        ..Plan::default()
    };
    plan.proxy.block_expired_certificate = true;
    plan.proxy.block_untrusted_issuer = true;
    plan
}

fn end(world: &mut World, pair: Pair) -> Vec<String> {
    world.run(SECOND);
    world.client(pair).close();
    world.run(60 * SECOND);
    assert_eq!(world.firewall.sessions(), 0);
    let frames = world.firewall.frames;
    world.firewall.assert_frames(frames, 0, &[]);
    assert_eq!(world.sent(Way::FromClient), world.sent(Way::ToServer));
    assert_eq!(world.sent(Way::FromServer), world.sent(Way::ToClient));
    world.firewall.told()
}

/// What is told of a session that asks, and is answered where its ends can agree.
fn told(plan: &Plan, visit: &Visit) -> Vec<String> {
    let mut world = World::new(plan);
    let pair = world.visit(visit);
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    end(&mut world, pair)
}

/// The session would have failed: this is what it is called.
#[track_caller]
fn would_fail(told: &[String], error: &str, reason: &str) {
    assert_eq!(
        told,
        [
            format!("failed www.example.org: {error} ({reason})"),
            format!("end ssl allow {reason} by all"),
            "register decrypt-error on 203.0.113.9".to_owned(),
        ]
    );
}

#[test]
fn what_went_well_is_only_noted() {
    for versions in [rustls::ALL_VERSIONS, &TLS12_ONLY] {
        let visit = Visit {
            versions,
            ..Visit::default()
        };
        assert_eq!(
            told(&looked_at(), &visit),
            [
                "seen www.example.org by Decrypt-Lab",
                "end ssl allow tcp-fin by all"
            ]
        );
    }
}

#[test]
fn a_client_that_does_not_know_the_issuer() {
    let visit = |versions| Visit {
        site: Site::UnknownIssuer,
        versions,
        ..Visit::default()
    };
    would_fail(
        &told(&looked_at(), &visit(&TLS12_ONLY)),
        "Received fatal alert UnknownCA from client",
        "decrypt-error",
    );
    // TLS 1.3 hides the alert, and not that the client has gone.
    would_fail(
        &told(&looked_at(), &visit(rustls::ALL_VERSIONS)),
        "Received encrypted alert from client",
        "decrypt-error",
    );
}

#[test]
fn no_version_in_common() {
    let visit = Visit {
        site: Site::Tls12,
        versions: &TLS13_ONLY,
        ..Visit::default()
    };
    would_fail(
        &told(&looked_at(), &visit),
        "Received fatal alert ProtocolVersion from server",
        "decrypt-unsupport-param",
    );
}

/// The client and the server agree; the proxy could not take part.
#[test]
fn a_version_below_the_profiles_minimum() {
    let mut plan = looked_at();
    plan.versions = [TlsVersion::Tls13, TlsVersion::Max];
    for (site, versions) in [(Site::Tls12, rustls::ALL_VERSIONS), (Site::Good, &TLS12_ONLY[..])] {
        let visit = Visit {
            site,
            versions,
            ..Visit::default()
        };
        would_fail(
            &told(&plan, &visit),
            "TLS1.2 is older than what is decrypted",
            "decrypt-unsupport-param",
        );
    }
    assert_eq!(
        told(&plan, &Visit::default()).last().unwrap(),
        "end ssl allow tcp-fin by all"
    );
}

#[test]
fn a_server_that_wants_a_certificate_of_the_client() {
    let visit = Visit {
        site: Site::ClientCertificate,
        versions: &TLS12_ONLY,
        ..Visit::default()
    };
    let told = told(&looked_at(), &visit);
    assert_eq!(
        told[1], "end ssl allow decrypt-cert-validation by all",
        "{told:?}"
    );
}

/// Where the profile blocks expired certificates, that is what would have ended the session; else its client's word.
#[test]
fn an_expired_certificate() {
    let visit = Visit {
        site: Site::Expired,
        versions: &TLS12_ONLY,
        ..Visit::default()
    };
    let blocked = told(&looked_at(), &visit);
    would_fail(
        &blocked,
        "server certificate has expired",
        "decrypt-cert-validation",
    );
    let mut lenient = looked_at();
    lenient.proxy.block_expired_certificate = false;
    let told = told(&lenient, &visit);
    assert_eq!(told[1], "end ssl allow decrypt-error by all", "{told:?}");
}

/// A server that vouches for itself: its client believes it, and the profile would not.
#[test]
fn a_self_signed_certificate() {
    let visit = Visit {
        site: Site::SelfSigned,
        versions: &TLS12_ONLY,
        ..Visit::default()
    };
    let told = told(&looked_at(), &visit);
    assert_eq!(
        told[1], "end ssl allow decrypt-cert-validation by all",
        "{told:?}"
    );
}

/// Pinning as it shows without decryption is no pinning to us, but a client that goes at once has a reason.
#[test]
fn a_client_that_goes_without_a_byte() {
    for reset in [true, false] {
        let mut world = World::new(&looked_at());
        let pair = world.visit(&Visit::default());
        world.run(Duration::from_millis(200));
        if reset {
            world.client(pair).reset();
        }
        would_fail(
            &end(&mut world, pair),
            "Client closed after the handshake without data",
            "decrypt-error",
        );
    }
}

#[test]
fn a_server_that_goes_in_the_handshake() {
    for (reset, reason) in [(true, "tcp-rst-from-server"), (false, "decrypt-error")] {
        let mut world = World::new(&looked_at());
        let client = Speech::Client(Box::new(hello()));
        let pair = world.connect(&Visit::default(), client, Speech::Plain);
        world.run(Duration::from_millis(38));
        if reset {
            world.server(pair).reset();
        } else {
            world.server(pair).close();
        }
        let told = end(&mut world, pair);
        assert!(
            told.contains(&format!("end ssl allow {reason} by all")),
            "{told:?}"
        );
    }
}

fn hello() -> ClientConnection {
    let config = Arc::new(CERTIFICATES.client(false, &TLS12_ONLY));
    ClientConnection::new(config, ServerName::try_from(NAME).unwrap()).unwrap()
}

/// Alerts in the clear, and PAN-OS's reasons for them.
const ALERTS: [(u8, &str); 11] = [
    (10, "decrypt-unsupport-param"),
    (40, "decrypt-unsupport-param"),
    (42, "decrypt-cert-validation"),
    (43, "decrypt-cert-validation"),
    (44, "decrypt-cert-validation"),
    (45, "decrypt-error"),
    (48, "decrypt-error"),
    (49, "decrypt-cert-validation"),
    (70, "decrypt-unsupport-param"),
    (80, "decrypt-error"),
    (110, "decrypt-unsupport-param"),
];

#[test]
fn alerts_of_the_server() {
    for (alert, reason) in ALERTS {
        let mut world = World::new(&looked_at());
        let client = Speech::Client(Box::new(hello()));
        let pair = world.connect(&Visit::default(), client, Speech::Plain);
        world.server(pair).reply = vec![21, 3, 3, 0, 2, 2, alert];
        let told = end(&mut world, pair);
        assert!(
            told.contains(&format!("end ssl allow {reason} by all")),
            "{alert}: {told:?}"
        );
    }
}

#[test]
fn alerts_of_the_client() {
    for (alert, reason) in ALERTS {
        let mut world = World::new(&looked_at());
        let server = ServerConnection::new(Arc::new(CERTIFICATES.server(Site::Good, NAME))).unwrap();
        let pair = world.connect(&Visit::default(), Speech::Plain, Speech::Server(Box::new(server)));
        let mut flight = Vec::new();
        hello().write_tls(&mut flight).unwrap();
        world.client(pair).say(&flight);
        world.client(pair).reply = vec![21, 3, 3, 0, 2, 2, alert];
        let told = end(&mut world, pair);
        assert!(
            told.contains(&format!("end ssl allow {reason} by all")),
            "{alert}: {told:?}"
        );
    }
}

/// What a rule leaves closed anyway breaks by nobody's fault.
#[test]
fn what_would_stay_closed_is_no_failure() {
    let visit = Visit {
        name: "bank.example",
        site: Site::UnknownIssuer,
        ..Visit::default()
    };
    let told = told(&looked_at(), &visit);
    assert_eq!(told.last().unwrap(), "end ssl allow tcp-fin by all", "{told:?}");
    let mut world = World::new(&looked_at());
    let pair = world.visit(&Visit {
        site: Site::Good,
        ..visit
    });
    world.client(pair).say(REQUEST);
    world.server(pair).reply = RESPONSE.to_vec();
    world.run(SECOND);
    assert!(got_through(&mut world, pair));
}
