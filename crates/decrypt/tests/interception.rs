//! Connections that are intercepted as they should be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod lab;

use std::sync::Arc;

use cordon_decrypt::{
    ChainStatus,
    tls::{Ciphers, Leg, State, Terms, Version},
};
use lab::{ADDRESS, Lab, NAME, NOW, Witness, connect, exchange, heard, leaf_params, say};
use rcgen::KeyPair;
use rustls::{
    ClientConnection, Error, HandshakeKind, ServerConnection, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use x509_parser::parse_x509_certificate;

fn common_name_of_issuer(client: &ClientConnection) -> String {
    let leaf = &client.peer_certificates().unwrap()[0];
    let (_, leaf) = parse_x509_certificate(leaf).unwrap();
    leaf.issuer()
        .iter_common_name()
        .next()
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

/// What the tap has kept back of a direction goes on when that direction ends.
#[test]
fn what_was_kept_back_goes_on_at_the_end() {
    let lab = Lab::new();
    for notified in [true, false] {
        let mut relay = lab.relay(Terms::default());
        let mut tap = Witness::default();
        let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
        say(&mut client, b"GET / HT");
        tap.last_words = b"kept".to_vec();
        exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
        if notified {
            client.send_close_notify();
        } else {
            relay.last_words(Leg::Client, &mut tap);
            relay.end_of_stream(Leg::Client);
        }
        exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
        assert_eq!(heard(&mut server), b"GET / HTkept");
        assert!(relay.wants_finish(Leg::Server));
    }
}

fn echo(versions: &[&'static SupportedProtocolVersion], segment: usize) {
    let lab = Lab::new();
    let mut relay = lab.relay(Terms::default());
    let mut tap = Witness::default();
    let mut client = lab.client();
    let config = lab.server_config(&lab.good_site(), versions);
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    exchange(&mut relay, &mut client, &mut server, &mut tap, segment)
        .client
        .unwrap();
    assert_eq!(*relay.state(), State::Open);
    assert_eq!(tap.opened, 1);
    say(&mut client, b"ping");
    exchange(&mut relay, &mut client, &mut server, &mut tap, segment);
    assert_eq!(heard(&mut server), b"ping");
    let page: Vec<u8> = (0..200_000u32).map(|at| at.to_be_bytes()[2]).collect();
    server.set_buffer_limit(None);
    say(&mut server, &page);
    let mut got = Vec::new();
    while got.len() < page.len() {
        exchange(&mut relay, &mut client, &mut server, &mut tap, segment);
        got.extend(heard(&mut client));
    }
    assert_eq!(got, page);
    client.send_close_notify();
    exchange(&mut relay, &mut client, &mut server, &mut tap, segment);
    assert_eq!(*relay.state(), State::Open);
    assert!(relay.wants_finish(Leg::Server) && !relay.wants_finish(Leg::Client));
    server.send_close_notify();
    exchange(&mut relay, &mut client, &mut server, &mut tap, segment);
    assert_eq!(*relay.state(), State::Closed);
    assert!(relay.wants_finish(Leg::Client));
    let facts = relay.facts();
    assert_eq!((facts.from_client, facts.from_server), (4, page.len() as u64));
    assert_eq!(facts.sni.as_deref(), Some(NAME));
    assert_eq!(facts.cn, NAME);
    assert_eq!(facts.issuer_cn, "Root of the tests");
    assert_eq!(facts.chain, ChainStatus::Trusted);
    assert!(facts.trusted && facts.name_matches && !facts.client_certificate_requested);
    assert_eq!(common_name_of_issuer(&client), "Test forward trust");
}

#[test]
fn tls_1_3_passes_in_segments_of_any_size() {
    for segment in [1, 7, 1460, usize::MAX] {
        echo(&[&TLS13], segment);
    }
}

#[test]
fn tls_1_2_passes_in_segments_of_any_size() {
    for segment in [1, 7, 1460, usize::MAX] {
        echo(&[&TLS12], segment);
    }
}

#[test]
fn both_legs_exchange_post_quantum_keys() {
    let lab = Lab::new();
    let mut relay = lab.relay(Terms::default());
    let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
    exchange(
        &mut relay,
        &mut client,
        &mut server,
        &mut Witness::default(),
        1460,
    )
    .client
    .unwrap();
    let facts = relay.facts();
    for leg in [facts.client.unwrap(), facts.server.unwrap()] {
        assert_eq!((leg.version, leg.group), ("TLS1.3", "X25519MLKEM768"));
        assert_eq!(
            (leg.key_exchange, leg.encryption, leg.hash),
            ("ECDHE", "AES_256_GCM", "SHA384")
        );
    }
}

#[test]
fn the_profile_bounds_the_versions() {
    let lab = Lab::new();
    for (terms, version) in [
        (
            Terms {
                max_version: Version::Tls12,
                ..Terms::default()
            },
            "TLS1.2",
        ),
        (
            Terms {
                min_version: Version::Tls13,
                ..Terms::default()
            },
            "TLS1.3",
        ),
    ] {
        let mut relay = lab.relay(terms);
        let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
        exchange(
            &mut relay,
            &mut client,
            &mut server,
            &mut Witness::default(),
            1460,
        )
        .client
        .unwrap();
        let facts = relay.facts();
        assert_eq!(facts.client.unwrap().version, version);
        assert_eq!(facts.server.unwrap().version, version);
    }
}

#[test]
fn the_client_is_given_the_protocol_the_server_chose() {
    let lab = Lab::new();
    for (offered, spoken, strip, chosen) in [
        (
            &["h2", "http/1.1"][..],
            &["h2", "http/1.1"][..],
            false,
            Some("h2"),
        ),
        (&["h2", "http/1.1"], &["http/1.1"], false, Some("http/1.1")),
        (&["h2", "http/1.1"], &[], false, None),
        (&["h2", "http/1.1"], &["h2"], true, None),
        (&[], &["h2"], false, None),
    ] {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let mut config = lab.client_config(&lab.authority.trust_certificate_pem());
        config.alpn_protocols = list(offered);
        let mut client = connect(&Arc::new(config));
        let mut config = lab.server_config(&lab.good_site(), rustls::ALL_VERSIONS);
        config.alpn_protocols = list(spoken);
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let mut relay = lab.relay(Terms {
            strip_alpn: strip,
            ..Terms::default()
        });
        exchange(
            &mut relay,
            &mut client,
            &mut server,
            &mut Witness::default(),
            1460,
        )
        .client
        .unwrap();
        assert_eq!(client.alpn_protocol(), chosen.map(str::as_bytes));
        assert_eq!(server.alpn_protocol(), chosen.map(str::as_bytes));
        assert_eq!(relay.facts().alpn.as_deref(), chosen.map(str::as_bytes));
    }
}

#[test]
fn both_legs_resume() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let lab = Lab::new();
        let site = lab.good_site();
        let config = Arc::new(lab.client_config(&lab.authority.trust_certificate_pem()));
        let served = Arc::new(lab.server_config(&site, versions));
        for round in 0..3 {
            let mut relay = lab.relay(Terms::default());
            let mut client = connect(&config);
            let mut server = ServerConnection::new(Arc::clone(&served)).unwrap();
            let mut tap = Witness::default();
            exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
                .client
                .unwrap();
            say(&mut client, b"ping");
            exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
            assert_eq!(heard(&mut server), b"ping");
            let facts = relay.facts();
            let resumed = round > 0;
            assert_eq!(facts.client.unwrap().resumed, resumed, "{versions:?}");
            assert_eq!(facts.server.unwrap().resumed, resumed, "{versions:?}");
            assert_eq!(client.handshake_kind() == Some(HandshakeKind::Resumed), resumed);
            assert_eq!((facts.cn.as_str(), facts.chain), (NAME, ChainStatus::Trusted));
        }
        let counters = lab.proxy.counters();
        assert_eq!((counters.minted, counters.reused), (1, 2));
    }
}

#[test]
fn a_leaf_has_the_subject_names_and_dates_of_the_servers() {
    let lab = Lab::new();
    let mut params = leaf_params(NAME);
    params
        .subject_alt_names
        .push(rcgen::SanType::DnsName("*.example.net".try_into().unwrap()));
    params.subject_alt_names.push(rcgen::SanType::IpAddress(ADDRESS));
    let site = lab.root.sign(&params, KeyPair::generate().unwrap());
    let mut relay = lab.relay(Terms::default());
    let (mut client, mut server) = (lab.client(), lab.server(&site));
    exchange(
        &mut relay,
        &mut client,
        &mut server,
        &mut Witness::default(),
        1460,
    )
    .client
    .unwrap();
    let (_, original) = parse_x509_certificate(&site.chain[0]).unwrap();
    let leaf = &client.peer_certificates().unwrap()[0];
    let (_, leaf) = parse_x509_certificate(leaf).unwrap();
    assert_eq!(leaf.subject().to_string(), original.subject().to_string());
    assert_eq!(leaf.validity(), original.validity());
    let names = |certificate: &x509_parser::certificate::X509Certificate<'_>| {
        format!(
            "{:?}",
            certificate.subject_alternative_name().unwrap().unwrap().value
        )
    };
    assert_eq!(names(&leaf), names(&original));
    assert_ne!(leaf.raw_serial(), original.raw_serial());
    assert!(!leaf.is_ca());
}

/// What a client is shown for a certificate of these parameters.
fn shown(lab: &Lab, params: &rcgen::CertificateParams, terms: Terms) -> Result<Vec<u8>, Error> {
    let site = lab.root.sign(params, KeyPair::generate().unwrap());
    let mut relay = lab.relay(terms);
    let (mut client, mut server) = (lab.client(), lab.server(&site));
    let mut tap = Witness::default();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460).client?;
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}

fn extensions(certificate: &[u8]) -> Vec<String> {
    let (_, certificate) = parse_x509_certificate(certificate).unwrap();
    let mut names: Vec<String> = certificate
        .extensions()
        .iter()
        .map(|extension| extension.oid.to_id_string())
        .collect();
    names.sort();
    names
}

/// id-ce-certificatePolicies with the policy of domain-validated certificates; a TLS feature; an unknown one.
fn with_extensions() -> rcgen::CertificateParams {
    let mut params = leaf_params(NAME);
    params.custom_extensions = [
        (
            &[2, 5, 29, 32][..],
            &b"\x30\x0a\x30\x08\x06\x06\x67\x81\x0c\x01\x02\x01"[..],
        ),
        (&[1, 3, 6, 1, 5, 5, 7, 1, 24], b"\x30\x03\x02\x01\x05"),
        (&[1, 2, 3, 4], b"\x05\x00"),
    ]
    .map(|(oid, content)| rcgen::CustomExtension::from_oid_content(oid, content.to_vec()))
    .into();
    params
}

#[test]
fn a_leaf_has_few_extensions_and_fewer_where_they_are_restricted() {
    const KEY_USAGE: &str = "2.5.29.15";
    const NAMES: &str = "2.5.29.17";
    const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
    let lab = Lab::new();
    let leaf = shown(&lab, &with_extensions(), Terms::default()).unwrap();
    let found = extensions(&leaf);
    for expected in [KEY_USAGE, NAMES, EXTENDED_KEY_USAGE, "2.5.29.32", "2.5.29.35"] {
        assert!(found.iter().any(|oid| oid == expected), "{expected} in {found:?}");
    }
    for foreign in ["1.3.6.1.5.5.7.1.24", "1.2.3.4"] {
        assert!(found.iter().all(|oid| oid != foreign), "{foreign} in {found:?}");
    }
    let terms = Terms {
        restrict_cert_exts: true,
        ..Terms::default()
    };
    // The same server, whose leaf is in the cache: another is minted.
    let leaf = shown(&lab, &with_extensions(), terms).unwrap();
    assert_eq!(extensions(&leaf), [KEY_USAGE, NAMES, EXTENDED_KEY_USAGE]);
}

#[test]
fn the_common_name_becomes_an_alternative_name_where_there_is_none() {
    let lab = Lab::new();
    let terms = Terms {
        auto_include_altname: true,
        // A common name is what a server is for, where it has no other.
        block_if_sni_mismatch: true,
        ..Terms::default()
    };
    for common_name in [NAME, "*.example.org"] {
        let mut params = leaf_params(common_name);
        params.subject_alt_names.clear();
        assert!(
            shown(&lab, &params, Terms::default()).is_err(),
            "no client takes a certificate without names"
        );
        let leaf = shown(&lab, &params, terms).unwrap();
        let (_, leaf) = parse_x509_certificate(&leaf).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap();
        assert_eq!(
            names.value.general_names,
            [x509_parser::extensions::GeneralName::DNSName(common_name)]
        );
    }
    // One that has names keeps them, whatever its common name is.
    let mut params = leaf_params("other.example");
    params.subject_alt_names = vec![rcgen::SanType::DnsName(NAME.try_into().unwrap())];
    let leaf = shown(&lab, &params, terms).unwrap();
    let (_, leaf) = parse_x509_certificate(&leaf).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 1);
    // A common name that is for another host, or for none.
    for common_name in ["other.example", "example.org", "*.org", "Example Ltd", ""] {
        let mut params = leaf_params(common_name);
        params.subject_alt_names.clear();
        assert!(shown(&lab, &params, terms).is_err(), "{common_name}");
    }
}

#[test]
fn both_legs_speak_only_the_ciphers_the_profile_allows() {
    const NONE: Ciphers = Ciphers {
        aes_128_gcm: false,
        aes_256_gcm: false,
        chacha20_poly1305: false,
    };
    for (ciphers, name) in [
        (
            Ciphers {
                aes_128_gcm: true,
                ..NONE
            },
            "AES_128_GCM",
        ),
        (
            Ciphers {
                aes_256_gcm: true,
                ..NONE
            },
            "AES_256_GCM",
        ),
        (
            Ciphers {
                chacha20_poly1305: true,
                ..NONE
            },
            "CHACHA20_POLY1305",
        ),
    ] {
        for version in [Version::Tls12, Version::Tls13] {
            let lab = Lab::new();
            let mut relay = lab.relay(Terms {
                ciphers,
                min_version: version,
                max_version: version,
                ..Terms::default()
            });
            let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
            let mut tap = Witness::default();
            exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
                .client
                .unwrap();
            let facts = relay.facts();
            assert_eq!(facts.client.unwrap().encryption, name, "{version:?}");
            assert_eq!(facts.server.unwrap().encryption, name, "{version:?}");
        }
    }
}

/// The leaf's key is one for a suite that the profile allows, not for any the client offers.
#[test]
fn the_key_of_a_leaf_fits_the_ciphers_that_are_left() {
    let lab = Lab::new();
    let mut provider = lab.provider.as_ref().clone();
    provider.cipher_suites.retain(|suite| {
        [
            rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]
        .contains(&suite.suite())
    });
    let trusted = lab.authority.trust_certificate_pem();
    let config = Arc::new(lab.client_config_with(provider, &[&TLS12], &trusted));
    for (aes_128_gcm, suite) in [
        (true, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (false, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ] {
        let mut relay = lab.relay(Terms {
            ciphers: Ciphers {
                aes_128_gcm,
                ..Ciphers::ALL
            },
            ..Terms::default()
        });
        let (mut client, mut server) = (connect(&config), lab.server(&lab.good_site()));
        let mut tap = Witness::default();
        exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
            .client
            .unwrap();
        assert_eq!(relay.facts().client.unwrap().suite, suite);
    }
}

#[test]
fn without_a_name_the_address_is_verified_and_the_names_are_the_servers() {
    let lab = Lab::new();
    let mut params = leaf_params(NAME);
    params.subject_alt_names.push(rcgen::SanType::IpAddress(ADDRESS));
    let site = lab.root.sign(&params, KeyPair::generate().unwrap());
    let config = Arc::new(lab.client_config(&lab.authority.trust_certificate_pem()));
    let mut client = ClientConnection::new(config, ServerName::IpAddress(ADDRESS.into())).unwrap();
    let mut server = lab.server(&site);
    let mut relay = lab.relay(Terms {
        block_if_sni_mismatch: true,
        ..Terms::default()
    });
    exchange(
        &mut relay,
        &mut client,
        &mut server,
        &mut Witness::default(),
        1460,
    )
    .client
    .unwrap();
    assert_eq!(*relay.state(), State::Open);
    assert_eq!(relay.facts().sni, None);
}

#[test]
fn a_client_without_ecdsa_is_given_rsa_all_the_way() {
    let lab = Lab::new();
    let mut provider = lab.provider.as_ref().clone();
    provider
        .cipher_suites
        .retain(|suite| format!("{:?}", suite.suite()).contains("ECDHE_RSA"));
    let algorithms = provider.signature_verification_algorithms;
    let rsa: Vec<_> = algorithms
        .mapping
        .iter()
        .copied()
        .filter(|(scheme, _)| format!("{scheme:?}").starts_with("RSA"))
        .collect();
    let all: Vec<_> = rsa.iter().flat_map(|(_, list)| list.iter().copied()).collect();
    provider.signature_verification_algorithms = rustls::crypto::WebPkiSupportedAlgorithms {
        all: all.leak(),
        mapping: rsa.leak(),
    };
    let config = lab.client_config_with(provider, &[&TLS12], &lab.authority.trust_certificate_pem());
    let mut client = connect(&Arc::new(config));
    let mut server = lab.server(&lab.good_site());
    let mut relay = lab.relay(Terms::default());
    exchange(
        &mut relay,
        &mut client,
        &mut server,
        &mut Witness::default(),
        1460,
    )
    .client
    .unwrap();
    assert_eq!(*relay.state(), State::Open);
    assert_eq!(common_name_of_issuer(&client), "Test forward trust RSA");
}

#[test]
fn a_tap_replaces_answers_and_cuts() {
    let lab = Lab::new();
    let mut relay = lab.relay(Terms::default());
    let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
    let mut tap = Witness {
        replace: Some((b"other".to_vec(), b"answer".to_vec())),
        ..Witness::default()
    };
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
        .client
        .unwrap();
    say(&mut client, b"request");
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    assert_eq!(heard(&mut server), b"other");
    assert_eq!(heard(&mut client), b"answer");
    assert_eq!(tap.seen, [(Leg::Client, b"request".to_vec())]);
    tap.cut = true;
    say(&mut client, b"more");
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    assert_eq!(*relay.state(), State::Closed);
    assert!(heard(&mut server).is_empty());
    assert!(relay.wants_finish(Leg::Client) && relay.wants_finish(Leg::Server));
}

#[test]
fn authorities_survive_their_text() {
    let authority = cordon_decrypt::Authority::generate(NOW, "CA").unwrap();
    let (trust, untrust) = authority.to_pem();
    assert!(!trust.certificates.contains("PRIVATE"));
    assert!(!format!("{trust:?}").contains("PRIVATE"));
    let again = cordon_decrypt::Authority::from_pem(&trust, &untrust).unwrap();
    assert_eq!(again.to_pem(), (trust.clone(), untrust.clone()));
    let strangers = cordon_decrypt::AuthorityPem {
        certificates: trust.certificates,
        keys: untrust.keys.clone(),
    };
    assert!(cordon_decrypt::Authority::from_pem(&strangers, &untrust).is_err());
}

#[test]
fn a_slow_reader_stops_the_sender_and_nothing_is_lost() {
    let lab = Lab::new();
    let mut relay = lab.relay(Terms::default());
    let (mut client, mut server) = (lab.client(), lab.server(&lab.good_site()));
    let mut tap = Witness::default();
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460)
        .client
        .unwrap();
    server.set_buffer_limit(None);
    say(&mut server, &vec![7; 1_000_000]);
    let mut wire = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut wire).unwrap();
    }
    let mut offered = &wire[..];
    let mut got = 0;
    while !offered.is_empty() {
        let taken = relay.receive(Leg::Server, offered, &mut tap);
        offered = &offered[taken..];
        assert!(relay.outgoing(Leg::Client).len() < 128 * 1024);
        if taken == 0 {
            // The client reads at last.
            let bytes = relay.outgoing(Leg::Client).to_vec();
            relay.sent(Leg::Client, bytes.len());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
                got += heard(&mut client).len();
            }
        }
    }
    exchange(&mut relay, &mut client, &mut server, &mut tap, 1460);
    got += heard(&mut client).len();
    assert_eq!(got, 1_000_000);
    assert!(relay.memory() < 20_000, "{}", relay.memory());
}
