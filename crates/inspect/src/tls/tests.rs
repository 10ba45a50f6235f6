use proptest::prelude::*;

use super::{samples::*, *};
use crate::tls::Peer::{Client, Server};

fn watch(talk: &[(Peer, Vec<u8>)]) -> TlsWatch {
    let mut watch = TlsWatch::default();
    for (from, bytes) in talk {
        watch.push(*from, bytes);
    }
    watch
}

fn hello() -> (Peer, Vec<u8>) {
    (Client, hello_flight(Some(b"a.example"), 16000))
}

type Filed = (Option<FailureClass>, String);

/// The class and the text of what failed.
fn outcome(talk: &[(Peer, Vec<u8>)], end: TlsEnd) -> Option<Filed> {
    let outcome = watch(talk).ended(end)?;
    Some((outcome.class, outcome.failure.to_string()))
}

fn filed(class: FailureClass, text: &str) -> Filed {
    (Some(class), text.to_owned())
}

#[test]
fn a_hello_says_what_the_client_offers() {
    let extensions = [
        server_name(b"Www.Example.com"),
        extension(10, &sized(2, &[0x11, 0xec, 0, 0x1d])),
        extension(16, &sized(2, &[sized(1, b"h2"), sized(1, b"http/1.1")].concat())),
        extension(43, &sized(1, &[0x1a, 0x1a, 3, 4, 3, 3])),
        extension(
            51,
            &sized(
                2,
                &[
                    &[0x11, 0xec][..],
                    &sized(2, &[1; 1216]),
                    &[0, 0x1d],
                    &sized(2, &[2; 32]),
                ]
                .concat(),
            ),
        ),
        extension(0xfe0d, &[0; 9]),
    ]
    .concat();
    let flight = in_records(&hello_message(&extensions), 16000);
    let HelloSearch::Whole(hello) = client_hello(&flight) else {
        panic!("not whole");
    };
    assert_eq!(hello.server_name(), Some("www.example.com".parse().unwrap()));
    assert_eq!(hello.raw_server_name(), Some(&b"Www.Example.com"[..]));
    assert_eq!(hello.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(hello.legacy_version(), 0x0303);
    assert_eq!(hello.versions().collect::<Vec<_>>(), [0x0304, 0x0303]);
    assert_eq!(hello.newest_version(), 0x0304);
    assert_eq!(hello.groups().collect::<Vec<_>>(), [0x11ec, 0x1d]);
    assert_eq!(hello.key_share_groups().collect::<Vec<_>>(), [0x11ec, 0x1d]);
    assert!(hello.has_post_quantum_share() && hello.has_encrypted_hello() && !hello.has_early_data());
    assert_eq!(hello.session_id(), [9; 32]);
    assert_eq!(hello.cipher_suites().collect::<Vec<_>>(), [0x1301, 0xc02f]);
}

#[test]
fn a_hello_that_two_readers_could_read_differently_is_malformed() {
    let twice = [server_name(b"a.example"), server_name(b"b.example")].concat();
    let overlong = [server_name(b"a.example"), vec![0, 5, 0, 9]].concat();
    for extensions in [twice, overlong] {
        let flight = in_records(&hello_message(&extensions), 16000);
        assert_eq!(client_hello(&flight), HelloSearch::Malformed);
    }
    let mut interrupted = hello_flight(Some(b"a.example"), 20);
    interrupted.splice(25..25, alert(1, 0));
    assert_eq!(client_hello(&interrupted), HelloSearch::Malformed);
    let empty = [hello_flight(None, 20)[..25].to_vec(), record(22, &[])].concat();
    assert_eq!(client_hello(&empty), HelloSearch::Malformed);
}

#[test]
fn a_hello_without_end_is_oversize() {
    assert_eq!(
        client_hello(&[0x16, 3, 1, 0x40, 0, 1, 1, 0, 0]),
        HelloSearch::Oversize
    );
    let long = hello_message(&extension(21, &vec![0; 60_000]));
    assert!(matches!(
        client_hello(&in_records(&long, 16000)),
        HelloSearch::Whole(_)
    ));
    // So many headers that the bound is reached before the hello is whole.
    assert_eq!(client_hello(&in_records(&long, 10)), HelloSearch::Oversize);
}

#[test]
fn other_protocols_are_not_tls() {
    for other in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x02",
        b"\x15",
        b"\x16\x03\x01\0\x10\x02",
    ] {
        assert_eq!(client_hello(other), HelloSearch::NotTls, "{other:?}");
        assert_eq!(
            watch(&[(Client, other.to_vec())]).ended(TlsEnd::Closed(Client)),
            None
        );
    }
    assert_eq!(client_hello(&[]), HelloSearch::NeedMore);
}

#[test]
fn an_ordinary_connection_fails_in_nothing() {
    let old = [
        hello(),
        (Server, server_flight_1_2(None, false)),
        (Client, finish_1_2()),
        (Server, finish_1_2()),
        (Client, data(100)),
        (Server, data(1000)),
        (Client, record(21, &[0xaa; 26])),
    ];
    let new = [
        hello(),
        (Server, server_flight_1_3()),
        (Client, finish_1_3()),
        (Client, data(100)),
        (Server, data(250)),
        (Server, data(19)),
    ];
    for (talk, version, keys) in [(&old[..], 0x0303, "ECDHE"), (&new[..], 0x0304, "X25519MLKEM768")] {
        let watch = watch(talk);
        assert_eq!(watch.phase(), TlsPhase::Over);
        for end in [TlsEnd::Closed(Client), TlsEnd::Reset(Server), TlsEnd::Silent] {
            assert_eq!(watch.ended(end), None);
        }
        let server = watch.facts().server.as_ref().unwrap();
        assert_eq!(server.version, version);
        assert_eq!(key_exchange_name(server.cipher_suite, server.group), keys);
        assert_eq!(watch.facts().server_name, Some("a.example".parse().unwrap()));
    }
    assert_eq!(version_name(0x0303), "TLS1.2");
    assert_eq!(cipher_suite_name(0xc02f), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

#[test]
fn alerts_in_the_clear_name_who_and_what() {
    let after_hello = |alert| [hello(), (Server, alert)];
    assert_eq!(
        outcome(&after_hello(alert(2, 70)), TlsEnd::Closed(Server)),
        Some(filed(
            FailureClass::UnsupportParam,
            "Received fatal alert ProtocolVersion from server"
        ))
    );
    assert_eq!(
        outcome(&after_hello(alert(2, 200)), TlsEnd::Silent),
        Some(filed(FailureClass::Error, "Received fatal alert 200 from server"))
    );
    // A warning fails nothing: what follows does.
    assert_eq!(
        outcome(&after_hello(alert(1, 112)), TlsEnd::Closed(Client)),
        Some(filed(
            FailureClass::Error,
            "Connection closed by client during the handshake"
        ))
    );
    let refused = |description| {
        let flight = server_flight_1_2(None, false);
        outcome(
            &[hello(), (Server, flight), (Client, alert(2, description))],
            TlsEnd::Reset(Client),
        )
    };
    assert_eq!(
        refused(46),
        Some(filed(
            FailureClass::Error,
            "Received fatal alert CertificateUnknown from client"
        ))
    );
    for (description, class) in [
        (42, FailureClass::CertValidation),
        (43, FailureClass::CertValidation),
        (44, FailureClass::CertValidation),
        (49, FailureClass::CertValidation),
        (10, FailureClass::UnsupportParam),
        (40, FailureClass::UnsupportParam),
        (110, FailureClass::UnsupportParam),
        (48, FailureClass::Error),
        (120, FailureClass::Error),
    ] {
        assert_eq!(refused(description).unwrap().0, Some(class), "{description}");
    }
}

#[test]
fn data_before_the_server_has_finished_is_no_success() {
    let early = [
        hello(),
        (Server, server_flight_1_2(None, false)),
        (Client, [finish_1_2(), data(100)].concat()),
        (Server, alert(2, 20)),
    ];
    assert_eq!(
        outcome(&early, TlsEnd::Closed(Server)),
        Some(filed(
            FailureClass::Error,
            "Received fatal alert BadRecordMac from server"
        ))
    );
}

#[test]
fn a_client_certificate_that_was_missed_is_a_matter_of_certificates() {
    let asked = [
        hello(),
        (Server, server_flight_1_2(None, true)),
        (
            Client,
            [in_records(&message(11, &[0, 0, 0]), 99), finish_1_2()].concat(),
        ),
        (Server, alert(2, 40)),
    ];
    assert_eq!(
        outcome(&asked, TlsEnd::Closed(Server)),
        Some(filed(
            FailureClass::CertValidation,
            "Received fatal alert HandshakeFailure from server"
        ))
    );
    let hidden = [
        hello(),
        (Server, server_flight_1_3()),
        // An empty certificate, then Finished.
        (Client, [data(25), data(53)].concat()),
        (Server, data(19)),
    ];
    assert_eq!(
        outcome(&hidden, TlsEnd::Closed(Server)),
        Some(filed(
            FailureClass::CertValidation,
            "Received encrypted alert from server"
        ))
    );
}

#[test]
fn a_client_that_leaves_without_data_pins() {
    let text = "Client closed after the handshake without data";
    let old = [
        hello(),
        (Server, server_flight_1_2(None, false)),
        (Client, finish_1_2()),
        (Server, finish_1_2()),
        (Client, record(21, &[0xaa; 26])),
    ];
    let new = [
        hello(),
        (Server, server_flight_1_3()),
        (Client, finish_1_3()),
        (Client, data(19)),
        (Server, data(250)),
    ];
    for talk in [&old[..], &old[..4], &new[..], &new[..3]] {
        assert_eq!(watch(talk).phase(), TlsPhase::Established);
        for end in [TlsEnd::Closed(Client), TlsEnd::Reset(Client)] {
            assert_eq!(outcome(talk, end), Some(filed(FailureClass::Error, text)));
        }
    }
    // An idle connection that the server closes is none.
    assert_eq!(outcome(&new[..3], TlsEnd::Closed(Server)), None);
    assert_eq!(outcome(&old[..4], TlsEnd::Silent), None);
}

#[test]
fn handshakes_that_break_off_are_told_from_resets() {
    let answered = [hello(), (Server, server_flight_1_3())];
    assert_eq!(
        outcome(&answered, TlsEnd::Reset(Server)),
        Some((None, "Connection reset by server during the handshake".to_owned()))
    );
    assert_eq!(
        outcome(&answered, TlsEnd::Reset(Client)),
        Some(filed(
            FailureClass::Error,
            "Connection closed by client during the handshake"
        ))
    );
    assert_eq!(
        outcome(&[hello()], TlsEnd::Reset(Client)),
        Some((None, "Connection reset by client during the handshake".to_owned()))
    );
    assert_eq!(outcome(&[hello()], TlsEnd::Silent), None);
    let refused = [hello(), (Server, server_flight_1_3()), (Client, data(19))];
    assert_eq!(
        outcome(&refused, TlsEnd::Closed(Client)),
        Some(filed(FailureClass::Error, "Received encrypted alert from client"))
    );
}

#[test]
fn a_second_hello_is_read_after_a_retry() {
    let retry_random = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
        0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    let retry = [
        &[3, 3][..],
        &retry_random,
        &sized(1, &[]),
        &[0x13, 1, 0],
        &sized(2, &extension(43, &[3, 4])),
    ]
    .concat();
    let second = hello_flight(Some(b"b.example"), 16000);
    let talk = [
        hello(),
        (
            Server,
            [in_records(&message(2, &retry), 99), record(20, &[1])].concat(),
        ),
        (Client, [record(20, &[1]), second].concat()),
        (Server, server_flight_1_3()),
        (Client, data(53)),
        (Client, data(99)),
        (Server, data(99)),
    ];
    let watch = watch(&talk);
    assert!(watch.facts().retried);
    assert_eq!(watch.facts().server_name, Some("b.example".parse().unwrap()));
    assert_eq!(watch.phase(), TlsPhase::Over);
}

#[test]
fn missing_bytes_are_no_evidence() {
    let talk = [hello(), (Server, server_flight_1_3()), (Client, finish_1_3())];
    for lost in [Client, Server] {
        let mut watch = watch(&talk);
        watch.lose(lost);
        assert_eq!(watch.ended(TlsEnd::Closed(Client)), None);
    }
}

#[test]
fn names_cover_as_certificates_say() {
    let leaf = LeafCertificate {
        cn: "c.example".into(),
        issuer_cn: "".into(),
        not_before: packet::Timestamp::from_secs(10),
        not_after: packet::Timestamp::from_secs(20),
        dns_names: ["A.example".into(), "*.b.example".into(), "*.com".into()].into(),
        addresses: [].into(),
        is_self_signed: true,
    };
    let covers = |name: &str| leaf.covers(&name.parse().unwrap());
    assert!(covers("a.EXAMPLE") && covers("x.b.example"));
    assert!(!covers("b.example") && !covers("x.y.b.example") && !covers("c.example") && !covers("x.com"));
    let fault = |secs| leaf.fault(packet::Timestamp::from_secs(secs));
    assert_eq!(fault(9), Some(CertificateFault::NotYetValid));
    assert_eq!(fault(15), Some(CertificateFault::SelfSigned));
    assert_eq!(fault(21), Some(CertificateFault::Expired));
}

/// Any talk, of pieces that mean something and of noise.
fn any_talk() -> impl Strategy<Value = Vec<(Peer, Vec<u8>)>> {
    let piece = prop_oneof![
        (1_usize..600).prop_map(|record| hello_flight(Some(b"a.example"), record)),
        Just(server_flight_1_2(Some(&[0x30, 0x82, 1, 1]), true)),
        Just(server_flight_1_3()),
        Just(finish_1_2()),
        Just(finish_1_3()),
        (0_usize..100).prop_map(data),
        (1_u8..3, any::<u8>()).prop_map(|(level, description)| alert(level, description)),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let peer = prop_oneof![Just(Client), Just(Server)];
    prop::collection::vec((peer, piece), 0..12)
}

proptest! {
    #[test]
    fn a_hello_is_found_however_it_is_cut(
        mut flight in (1_usize..400).prop_map(|record| hello_flight(Some(b"a.example"), record)),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        piece in 1_usize..300,
    ) {
        for (place, byte) in flips {
            let place = place.index(flight.len());
            flight[place] = byte;
        }
        let whole = client_hello(&flight);
        let mut reader = HelloReader::default();
        let pieces = flight
            .chunks(piece)
            .map(|piece| reader.push(piece))
            .find(|search| *search != HelloSearch::NeedMore)
            .unwrap_or(HelloSearch::NeedMore);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn a_connection_is_understood_however_it_is_cut(talk in any_talk(), piece in 1_usize..200) {
        let whole = watch(&talk);
        let mut pieces = TlsWatch::default();
        for (from, bytes) in &talk {
            for piece in bytes.chunks(piece) {
                pieces.push(*from, piece);
            }
        }
        prop_assert_eq!(whole.phase(), pieces.phase());
        prop_assert_eq!(whole.facts(), pieces.facts());
        for end in [TlsEnd::Closed(Client), TlsEnd::Reset(Server), TlsEnd::Silent] {
            prop_assert_eq!(whole.ended(end), pieces.ended(end));
        }
    }
}
