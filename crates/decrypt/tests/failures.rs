//! Every way a connection fails to be intercepted, and what it is called: the rows of the failure table.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod lab;

use std::sync::Arc;

use cordon_decrypt::{
    ChainStatus, ErrorIndex, FailureClass,
    tls::{Ciphers, Leg, Relay, State, Terms, Version},
};
use lab::{Lab, NAME, NOW, Root, Site, Witness, at, connect, exchange, failure, leaf_params, say};
use rcgen::{
    BasicConstraints, CertificateRevocationListParams, IsCa, KeyIdMethod, KeyPair, RevokedCertParams,
    SerialNumber,
};
use rustls::{
    AlertDescription, CertificateError, ClientConnection, Error, RootCertStore, ServerConfig,
    ServerConnection,
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

const STRICT: Terms = Terms {
    block_expired_certificate: true,
    block_untrusted_issuer: true,
    block_unknown_cert: true,
    block_unsupported_version: true,
    block_unsupported_cipher: true,
    block_client_cert: true,
    block_if_sni_mismatch: true,
    strip_alpn: false,
    restrict_cert_exts: false,
    auto_include_altname: false,
    ciphers: Ciphers::ALL,
    min_version: Version::Tls10,
    max_version: Version::Tls13,
};

fn run(lab: &Lab, terms: Terms, site: &Site) -> (Relay, Result<(), Error>) {
    run_with(lab, terms, lab.client(), lab.server(site))
}

fn run_with(
    lab: &Lab,
    terms: Terms,
    mut client: ClientConnection,
    mut server: ServerConnection,
) -> (Relay, Result<(), Error>) {
    let mut relay = lab.relay(terms);
    let outcome = exchange(
        &mut relay,
        &mut client,
        &mut server,
        &mut Witness::default(),
        1460,
    );
    (relay, outcome.client)
}

/// The server's certificate is refused, and the client told by this alert.
fn refuses(lab: &Lab, site: &Site, class: FailureClass, error: &str, alert: AlertDescription) {
    let (relay, told) = run(lab, STRICT, site);
    let failure = failure(&relay);
    assert_eq!(
        (failure.class, failure.leg, &*failure.error),
        (class, Leg::Server, error)
    );
    assert_eq!(failure.index, ErrorIndex::Certificate);
    assert!(!failure.may_bypass && !failure.refused_by_client);
    assert_eq!(told, Err(Error::AlertReceived(alert)));
    assert!(relay.wants_finish(Leg::Client) && relay.wants_finish(Leg::Server));
}

#[test]
fn an_expired_certificate() {
    let lab = Lab::new();
    let mut params = leaf_params(NAME);
    (params.not_before, params.not_after) = (at(NOW - 90 * 86_400), at(NOW - 86_400));
    let site = lab.root.sign(&params, KeyPair::generate().unwrap());
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "expired certificate",
        AlertDescription::CertificateExpired,
    );
    let (relay, told) = run(&lab, Terms::default(), &site);
    // Signed by forward-trust, with the dates as they are: the client sees what it would have seen.
    assert!(matches!(
        told,
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
    assert_eq!(relay.facts().chain, ChainStatus::Expired);
    assert!(relay.facts().trusted);
    let failure = failure(&relay);
    assert_eq!((failure.class, failure.leg), (FailureClass::Error, Leg::Client));
    assert!(failure.refused_by_client);
}

#[test]
fn a_certificate_that_is_not_valid_yet() {
    let lab = Lab::new();
    let mut params = leaf_params(NAME);
    (params.not_before, params.not_after) = (at(NOW + 86_400), at(NOW + 9 * 86_400));
    let site = lab.root.sign(&params, KeyPair::generate().unwrap());
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "certificate not yet valid",
        AlertDescription::CertificateExpired,
    );
}

fn untrusted_and_shown_as_such(lab: &Lab, site: &Site) {
    let config = lab.client_config(&lab.authority.untrust_certificate_pem());
    let (relay, told) = run_with(
        lab,
        Terms::default(),
        connect(&Arc::new(config)),
        lab.server(site),
    );
    assert_eq!(told, Ok(()));
    assert_eq!(*relay.state(), State::Open);
    assert_eq!(relay.facts().chain, ChainStatus::Untrusted);
    assert!(!relay.facts().trusted);
    // A client that trusts forward-trust alone does not trust it.
    let (relay, told) = run(lab, Terms::default(), site);
    assert_eq!(
        told,
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    );
    let failure = failure(&relay);
    assert_eq!(failure.class, FailureClass::Error);
    assert_eq!(
        failure.error,
        "the client does not trust the certificate (unknown_ca)"
    );
    assert!(failure.refused_by_client);
}

#[test]
fn an_unknown_issuer() {
    let lab = Lab::new();
    let site = Root::new("A stranger").sign(&leaf_params(NAME), KeyPair::generate().unwrap());
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "untrusted issuer",
        AlertDescription::UnknownCA,
    );
    untrusted_and_shown_as_such(&lab, &site);
}

#[test]
fn a_self_signed_certificate() {
    let lab = Lab::new();
    let key = KeyPair::generate().unwrap();
    let site = Site::of(&leaf_params(NAME).self_signed(&key).unwrap(), &key);
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "untrusted issuer: self-signed",
        AlertDescription::UnknownCA,
    );
    untrusted_and_shown_as_such(&lab, &site);
}

#[test]
fn a_self_signed_ca_certificate() {
    let lab = Lab::new();
    let key = KeyPair::generate().unwrap();
    let mut params = leaf_params(NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let site = Site::of(&params.self_signed(&key).unwrap(), &key);
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "untrusted issuer: self-signed CA certificate",
        AlertDescription::CertificateUnknown,
    );
    untrusted_and_shown_as_such(&lab, &site);
}

#[test]
fn a_certificate_for_another_name() {
    let lab = Lab::new();
    let site = lab
        .root
        .sign(&leaf_params("other.example.org"), KeyPair::generate().unwrap());
    let error = "the certificate is not for the server name";
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        error,
        AlertDescription::BadCertificate,
    );
    let mut without_names = leaf_params(NAME);
    without_names.subject_alt_names.clear();
    let site = lab.root.sign(&without_names, KeyPair::generate().unwrap());
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        error,
        AlertDescription::BadCertificate,
    );
    let (relay, _) = run(&lab, Terms::default(), &site);
    assert!(relay.facts().trusted && !relay.facts().name_matches);
}

#[test]
fn a_revoked_certificate_and_one_no_list_speaks_of() {
    let root = Root::new("Root with a list");
    let list = CertificateRevocationListParams {
        this_update: at(NOW - 3600),
        next_update: at(NOW + 86_400),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(77),
            revocation_time: at(NOW - 7200),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let crl = list.signed_by(&root.issuer).unwrap();
    let lab = Lab::with(root, vec![crl.der().clone()]);
    let mut params = leaf_params(NAME);
    params.serial_number = Some(SerialNumber::from(77));
    let site = lab.root.sign(&params, KeyPair::generate().unwrap());
    refuses(
        &lab,
        &site,
        FailureClass::CertValidation,
        "revoked certificate",
        AlertDescription::CertificateRevoked,
    );
    let (relay, _) = run(&lab, Terms::default(), &site);
    assert_eq!(failure(&relay).error, "revoked certificate");
    params.serial_number = Some(SerialNumber::from(78));
    let good = lab.root.sign(&params, KeyPair::generate().unwrap());
    assert_eq!(run(&lab, STRICT, &good).1, Ok(()));
}

fn asks_for_certificate(
    lab: &Lab,
    versions: &[&'static rustls::SupportedProtocolVersion],
    optional: bool,
) -> ServerConnection {
    let mut roots = RootCertStore::empty();
    roots.add(lab.root.der.clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&lab.provider));
    let verifier = if optional {
        verifier.allow_unauthenticated()
    } else {
        verifier
    };
    let site = lab.good_site();
    let config = ServerConfig::builder_with_provider(Arc::clone(&lab.provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(site.chain, site.key.clone_key())
        .unwrap();
    ServerConnection::new(Arc::new(config)).unwrap()
}

/// What it asks for, only the client has: where it insists, only an untouched connection can give it.
#[test]
fn a_server_that_insists_on_a_client_certificate() {
    let lab = Lab::new();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for block_client_cert in [false, true] {
            let terms = Terms {
                block_client_cert,
                ..Terms::default()
            };
            let server = asks_for_certificate(&lab, versions, false);
            let (relay, _) = run_with(&lab, terms, lab.client(), server);
            let failure = failure(&relay);
            assert_eq!(
                (failure.class, failure.leg),
                (FailureClass::CertValidation, Leg::Server)
            );
            assert_eq!(failure.error, "the server asks for a client certificate");
            assert_eq!(failure.may_bypass, !block_client_cert);
            assert!(relay.facts().client_certificate_requested);
        }
    }
}

#[test]
fn a_server_that_goes_on_without_a_client_certificate() {
    let lab = Lab::new();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let server = asks_for_certificate(&lab, versions, true);
        let (relay, told) = run_with(&lab, Terms::default(), lab.client(), server);
        assert_eq!((relay.state(), told), (&State::Open, Ok(())));
        assert!(relay.facts().client_certificate_requested);
        // Unless the profile will have none of it.
        let terms = Terms {
            block_client_cert: true,
            ..Terms::default()
        };
        let server = asks_for_certificate(&lab, versions, true);
        let (relay, told) = run_with(&lab, terms, lab.client(), server);
        assert_eq!(failure(&relay).class, FailureClass::CertValidation);
        assert_eq!(told, Err(Error::AlertReceived(AlertDescription::AccessDenied)));
    }
}

/// Some close instead of saying what they miss.
#[test]
fn a_server_that_leaves_when_it_is_shown_no_certificate() {
    let lab = Lab::new();
    let ends: [fn(&mut Relay, Leg); 2] = [Relay::end_of_stream, Relay::was_reset];
    for end in ends {
        let (mut client, mut server) = (lab.client(), asks_for_certificate(&lab, &[&TLS13], true));
        let (mut relay, mut tap) = (lab.relay(Terms::default()), Witness::default());
        say(&mut client, b"a question");
        exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
        assert_eq!(*relay.state(), State::Open);
        end(&mut relay, Leg::Server);
        assert_eq!(failure(&relay).error, "the server asks for a client certificate");
    }
}

/// A client's hello and a relay that has taken it; the server is played by hand.
fn hello_taken(lab: &Lab) -> (Relay, ClientConnection) {
    let mut relay = lab.relay(STRICT);
    let mut client = lab.client();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    assert_eq!(
        relay.receive(Leg::Client, &hello, &mut Witness::default()),
        hello.len()
    );
    assert!(!relay.outgoing(Leg::Server).is_empty());
    (relay, client)
}

#[test]
fn what_a_server_says_instead_of_a_handshake() {
    use FailureClass::{CertValidation, Error as Other, UnsupportedParameter};

    let lab = Lab::new();
    let alert = |number| vec![21, 3, 3, 0, 2, 2, number];
    for (bytes, class, index, error) in [
        (
            alert(70),
            UnsupportedParameter,
            ErrorIndex::Version,
            "the server ended the handshake (protocol_version)",
        ),
        (
            alert(40),
            UnsupportedParameter,
            ErrorIndex::Cipher,
            "the server ended the handshake (handshake_failure)",
        ),
        (
            alert(120),
            Other,
            ErrorIndex::Protocol,
            "the server ended the handshake (no_application_protocol)",
        ),
        (
            alert(112),
            Other,
            ErrorIndex::Protocol,
            "the server ended the handshake (unrecognized_name)",
        ),
        (
            alert(49),
            CertValidation,
            ErrorIndex::Certificate,
            "the server ended the handshake (access_denied)",
        ),
        (
            alert(110),
            UnsupportedParameter,
            ErrorIndex::Protocol,
            "the server ended the handshake (unsupported_extension)",
        ),
        (
            alert(116),
            CertValidation,
            ErrorIndex::Certificate,
            "the server asks for a client certificate",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            Other,
            ErrorIndex::Protocol,
            "not TLS",
        ),
        (
            b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
            Other,
            ErrorIndex::Protocol,
            "not TLS",
        ),
        (
            vec![22, 3, 3, 0xff, 0xff, 0, 0],
            Other,
            ErrorIndex::Protocol,
            "a record is too large",
        ),
        (
            vec![21, 3, 3, 0, 2, 1, 0],
            Other,
            ErrorIndex::Protocol,
            "closed in the handshake without an alert",
        ),
    ] {
        let (mut relay, mut client) = hello_taken(&lab);
        relay.receive(Leg::Server, &bytes, &mut Witness::default());
        // What is only a warning is followed by the end.
        relay.end_of_stream(Leg::Server);
        assert!(matches!(relay.state(), State::Failed(_)), "{error}");
        let failure = failure(&relay);
        assert_eq!(
            (failure.class, failure.index, &*failure.error),
            (class, index, error)
        );
        assert_eq!(failure.leg, Leg::Server);
        let mut told = relay.outgoing(Leg::Client);
        client.read_tls(&mut told).unwrap();
        assert!(
            matches!(client.process_new_packets(), Err(Error::AlertReceived(_))),
            "{error}"
        );
    }
}

#[test]
fn ends_and_silence_within_the_handshake() {
    let lab = Lab::new();
    for (act, leg, class) in [
        (
            Relay::end_of_stream as fn(&mut Relay, Leg),
            Leg::Server,
            FailureClass::Error,
        ),
        (Relay::was_reset, Leg::Server, FailureClass::ResetByServer),
        (Relay::end_of_stream, Leg::Client, FailureClass::Error),
        (Relay::was_reset, Leg::Client, FailureClass::ResetByClient),
    ] {
        let (mut relay, _client) = hello_taken(&lab);
        act(&mut relay, leg);
        let failure = failure(&relay);
        assert_eq!(
            (failure.class, failure.leg, failure.refused_by_client),
            (class, leg, false)
        );
    }
    let (mut relay, _client) = hello_taken(&lab);
    relay.timed_out();
    assert_eq!(
        (failure(&relay).class, failure(&relay).leg),
        (FailureClass::Timeout, Leg::Server)
    );
}

#[test]
fn a_client_that_goes_after_our_certificate() {
    let lab = Lab::new();
    for reset in [false, true] {
        let (mut relay, mut client) = hello_taken(&lab);
        let mut server = lab.server(&lab.good_site());
        let mut tap = Witness::default();
        let mut bytes = relay.outgoing(Leg::Server).to_vec();
        relay.sent(Leg::Server, bytes.len());
        server.read_tls(&mut &bytes[..]).unwrap();
        server.process_new_packets().unwrap();
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        relay.receive(Leg::Server, &bytes, &mut tap);
        assert!(!relay.outgoing(Leg::Client).is_empty());
        if reset {
            relay.was_reset(Leg::Client);
            assert_eq!(failure(&relay).class, FailureClass::ResetByClient);
        } else {
            relay.end_of_stream(Leg::Client);
            assert_eq!(failure(&relay).class, FailureClass::Error);
        }
        assert!(failure(&relay).refused_by_client);
        client.send_close_notify();
    }
}

#[test]
fn a_pinned_client() {
    let lab = Lab::new();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for way in 0..3 {
            let config = lab.server_config(&lab.good_site(), versions);
            let mut server = ServerConnection::new(Arc::new(config)).unwrap();
            let (mut relay, mut client) = (lab.relay(STRICT), lab.client());
            let mut tap = Witness::default();
            exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
                .client
                .unwrap();
            assert_eq!(*relay.state(), State::Open);
            match way {
                0 => {
                    client.send_close_notify();
                    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
                }
                1 => relay.end_of_stream(Leg::Client),
                _ => relay.was_reset(Leg::Client),
            }
            let failure = failure(&relay);
            assert_eq!((failure.class, failure.leg), (FailureClass::Error, Leg::Client));
            assert!(
                failure
                    .error
                    .ends_with("without a byte after the handshake: pinning")
            );
            assert!(failure.refused_by_client);
        }
    }
}

#[test]
fn a_client_that_was_served_first_is_not_pinned() {
    let lab = Lab::new();
    let mut server = lab.server(&lab.good_site());
    let (mut relay, mut client) = (lab.relay(STRICT), lab.client());
    let mut tap = Witness::default();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
        .client
        .unwrap();
    say(&mut server, b"220 mail.example.org\r\n");
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    client.send_close_notify();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    assert_eq!(*relay.state(), State::Open);
    server.send_close_notify();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    assert_eq!(*relay.state(), State::Closed);
}

#[test]
fn a_client_that_has_no_version_of_ours() {
    let lab = Lab::new();
    // A ClientHello of TLS 1.0, as an old client writes it: no signature_algorithms.
    let mut body = vec![3, 1];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x0a, 0x00, 0x2f, 1, 0]);
    body.extend([0, 8, 0, 10, 0, 4, 0, 2, 0, 23]);
    let mut record = vec![22, 3, 1, 0, u8::try_from(body.len() + 4).unwrap(), 1, 0, 0];
    record.push(u8::try_from(body.len()).unwrap());
    record.extend(body);
    let mut relay = lab.relay(STRICT);
    relay.receive(Leg::Client, &record, &mut Witness::default());
    let failed = failure(&relay);
    assert_eq!(
        (failed.class, failed.leg),
        (FailureClass::UnsupportedParameter, Leg::Client)
    );
    assert_eq!(failed.index, ErrorIndex::Version);
    assert_eq!(relay.outgoing(Leg::Client), [21, 3, 3, 0, 2, 2, 70]);
    // And one the profile does not allow.
    let config = lab.client_config_with(
        lab.provider.as_ref().clone(),
        &[&TLS12],
        &lab.authority.trust_certificate_pem(),
    );
    let terms = Terms {
        min_version: Version::Tls13,
        ..Terms::default()
    };
    let (relay, _) = run_with(
        &lab,
        terms,
        connect(&Arc::new(config)),
        lab.server(&lab.good_site()),
    );
    let failed = failure(&relay);
    assert_eq!(
        (failed.class, failed.index),
        (FailureClass::UnsupportedParameter, ErrorIndex::Version)
    );
    assert!(failed.may_bypass);
}

#[test]
fn a_client_that_speaks_something_else() {
    let lab = Lab::new();
    let mut relay = lab.relay(STRICT);
    relay.receive(Leg::Client, b"GET / HTTP/1.1\r\n\r\n", &mut Witness::default());
    let failed = failure(&relay);
    assert_eq!(
        (failed.class, failed.leg, &*failed.error),
        (FailureClass::Error, Leg::Client, "not TLS")
    );
}

#[test]
fn any_alert_of_a_client_over_our_certificate() {
    let lab = Lab::new();
    for (alert, class) in [
        (42, FailureClass::CertValidation),
        (43, FailureClass::CertValidation),
        (44, FailureClass::CertValidation),
        (48, FailureClass::Error),
        (46, FailureClass::Error),
    ] {
        let config = lab.server_config(&lab.good_site(), &[&TLS12]);
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let (mut relay, mut client) = (
            lab.relay(Terms {
                max_version: Version::Tls12,
                ..STRICT
            }),
            lab.client(),
        );
        let mut tap = Witness::default();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        relay.receive(Leg::Client, &hello, &mut tap);
        // The server's side alone; the client answers by an alert in the clear.
        while !relay.outgoing(Leg::Server).is_empty() {
            let bytes = relay.outgoing(Leg::Server).to_vec();
            relay.sent(Leg::Server, bytes.len());
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets().unwrap();
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).unwrap();
            }
            relay.receive(Leg::Server, &answer, &mut tap);
        }
        relay.receive(Leg::Client, &[21, 3, 3, 0, 2, 2, alert], &mut tap);
        let failed = failure(&relay);
        assert_eq!((failed.class, failed.leg), (class, Leg::Client));
        assert!(failed.refused_by_client && failed.error.starts_with("the client does not trust"));
    }
}

/// A peer that has none of the ciphers the profile allows is one that cannot be decrypted, on either leg.
#[test]
fn ciphers_that_the_profile_forbids() {
    let lab = Lab::new();
    let mut no_aes_256 = lab.provider.as_ref().clone();
    no_aes_256
        .cipher_suites
        .retain(|suite| !format!("{:?}", suite.suite()).contains("AES_256"));
    for block in [false, true] {
        let terms = Terms {
            block_unsupported_cipher: block,
            ciphers: Ciphers {
                aes_128_gcm: false,
                aes_256_gcm: true,
                chacha20_poly1305: false,
            },
            ..Terms::default()
        };
        let config = lab.server_config_with(no_aes_256.clone(), &lab.good_site(), rustls::ALL_VERSIONS);
        let server = ServerConnection::new(Arc::new(config)).unwrap();
        let (relay, _) = run_with(&lab, terms, lab.client(), server);
        let failed = failure(&relay);
        assert_eq!(
            (failed.class, failed.leg, failed.index),
            (
                FailureClass::UnsupportedParameter,
                Leg::Server,
                ErrorIndex::Cipher
            )
        );
        assert_eq!(failed.may_bypass, !block);

        let trusted = lab.authority.trust_certificate_pem();
        let config = lab.client_config_with(no_aes_256.clone(), rustls::ALL_VERSIONS, &trusted);
        let (relay, _) = run_with(
            &lab,
            terms,
            connect(&Arc::new(config)),
            lab.server(&lab.good_site()),
        );
        let failed = failure(&relay);
        assert_eq!(
            (failed.class, failed.leg, &*failed.error),
            (
                FailureClass::UnsupportedParameter,
                Leg::Client,
                "no cipher suite in common"
            )
        );
        assert_eq!(failed.may_bypass, !block);
    }
}

/// A server may go on after its client has closed, and may say anything then.
#[test]
fn garbage_behind_the_clients_close() {
    let lab = Lab::new();
    let mut relay = lab.relay(Terms::default());
    let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
    let mut tap = Witness::default();
    say(&mut client, b"ping");
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
        .client
        .unwrap();
    client.send_close_notify();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    assert_eq!(relay.state(), &State::Open, "half of it");
    let record = [&[23, 3, 3, 0, 200][..], &[0x5a; 200]].concat();
    assert_eq!(relay.receive(Leg::Server, &record, &mut tap), record.len());
    assert_eq!(&*failure(&relay).error, "a record does not decrypt");
}
