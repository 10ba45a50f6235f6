use proptest::prelude::*;

use super::*;
use crate::tls::samples::hello_flight;

type Said = (bool, &'static [u8]);

const CLIENT: bool = true;
const SERVER: bool = false;
/// The beginning of a server's first TLS record.
const ANSWER: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03";

/// Sessions up to where they turn to TLS, and the host that is asked for in them.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn sessions() -> Vec<(&'static str, Vec<Said>, Option<&'static str>)> {
    vec![
        (
            "smtp",
            vec![
                (SERVER, b"220 mail ESMTP\r\n"),
                (CLIENT, b"EHLO a\r\n"),
                (SERVER, b"250-mail\r\n250 STARTTLS\r\n"),
                (CLIENT, b"STARTTLS\r\n"),
                (SERVER, b"220 Ready\r\n"),
            ],
            None,
        ),
        (
            "imap",
            vec![
                (SERVER, b"* OK IMAP4rev1\r\n"),
                (CLIENT, b"a1 CAPABILITY\r\na2 starttls\r\n"),
                (SERVER, b"* CAPABILITY x\r\na1 OK\r\na2 OK Begin\r\n"),
            ],
            None,
        ),
        (
            "ftp",
            vec![
                (SERVER, b"220 FTP\r\n"),
                (CLIENT, b"AUTH SSL\r\n"),
                (SERVER, b"534 no\r\n"),
                (CLIENT, b"AUTH TLS\r\n"),
                (SERVER, b"234 Proceed\r\n"),
            ],
            None,
        ),
        (
            "xmpp",
            vec![
                (CLIENT, b"<?xml version='1.0'?><stream:stream to='a'>"),
                (SERVER, b"<stream:stream><stream:features><starttls/></stream:features>"),
                (CLIENT, b"<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                (SERVER, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            ],
            None,
        ),
        (
            "ldap",
            vec![
                (
                    CLIENT,
                    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
                ),
                (SERVER, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            ],
            None,
        ),
        (
            "postgres",
            vec![(CLIENT, b"\0\0\0\x08\x04\xd2\x16\x2f"), (SERVER, b"S")],
            None,
        ),
        (
            "mysql",
            vec![
                (SERVER, b"\x4a\0\0\0\x0a8.0.36\0abc"),
                (
                    CLIENT,
                    b"\x20\0\0\x01\x05\xae\xff\x19\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                ),
            ],
            None,
        ),
        ("amqp", vec![(CLIENT, b"AMQP\x02\x01\0\0"), (SERVER, b"AMQP\x02\x01\0\0")], None),
        (
            "connect",
            vec![
                (CLIENT, b"CONNECT other.example:443 HTTP/1.1\r\n\r\n"),
                (SERVER, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
                (CLIENT, b"CONNECT\ta.example:443 HTTP/1.1\r\nHost: liar.example\r\n\r\n"),
                (SERVER, b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"),
            ],
            Some("a.example"),
        ),
        (
            "socks5 with a password",
            vec![
                (CLIENT, b"\x05\x02\x00\x02"),
                (SERVER, b"\x05\x02"),
                (CLIENT, b"\x01\x01a\x01b"),
                (SERVER, b"\x01\x00"),
                (CLIENT, b"\x05\x01\x00\x03\x09a.example\x01\xbb"),
                (SERVER, b"\x05\x00\x00\x01\x0a\x00\x00\x01\x10\x00"),
            ],
            Some("a.example"),
        ),
        (
            "socks5 in one breath",
            vec![(
                CLIENT,
                b"\x05\x02\x00\x02\x01\x01a\x01b\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb",
            )],
            Some("192.0.2.1"),
        ),
        (
            "socks4",
            vec![
                (CLIENT, b"\x04\x01\x01\xbb\xc0\x00\x02\x01user\x00"),
                (SERVER, b"\x00\x5a\x00\x00\x00\x00\x00\x00"),
            ],
            Some("192.0.2.1"),
        ),
        (
            "socks4a",
            vec![(CLIENT, b"\x04\x01\x01\xbb\0\0\0\x01user\0a.example\0")],
            Some("a.example"),
        ),
        ("proxy protocol", vec![(CLIENT, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n")], None),
        (
            "proxy protocol 2",
            vec![(CLIENT, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x16\xc0\0\x02\x02\0\x16\x01\xbb")],
            None,
        ),
        ("a protocol of lines that nobody knows", vec![(CLIENT, b"upgrade, please\n")], None),
    ]
}

/// What is said, and then a hello, in pieces: where the hello is found, counted over all the client's bytes.
fn found(said: &[Said], piece: usize, hello: &[u8]) -> (UpgradeWatch, Option<usize>) {
    let mut watch = UpgradeWatch::default();
    let mut before = 0;
    let turns = said.iter().copied().chain([(CLIENT, hello)]);
    for (side, bytes) in turns {
        for part in bytes.chunks(piece) {
            if side == SERVER {
                assert!(!watch.server(part));
            } else if let Some(at) = watch.client(part) {
                return (watch, Some(before + at));
            } else {
                before += part.len();
            }
        }
    }
    (watch, None)
}

fn spoken(said: &[Said]) -> usize {
    said.iter()
        .filter(|(side, _)| *side)
        .map(|(_, bytes)| bytes.len())
        .sum()
}

proptest! {
    #[test]
    fn tls_is_found_in_every_session_however_it_is_cut(piece in 1_usize..80, pick in 0..16_usize) {
        let (name, said, host) = &sessions()[pick];
        let (watch, at) = found(said, piece, &hello_flight(Some(b"a.example"), 9000));
        prop_assert_eq!(at, Some(spoken(said)), "{}", name);
        let asked = watch.asked().map(|asked| match asked {
            AskedHost::Name(name) => name.to_string(),
            AskedHost::Address(address) => address.to_string(),
        });
        prop_assert_eq!(asked.as_deref(), *host, "{}", name);
    }

    /// Whoever does not wait for an answer is found as well.
    #[test]
    fn a_client_that_does_not_wait_is_found(piece in 1_usize..80, pick in 0..16_usize) {
        let (name, said, _) = &sessions()[pick];
        let last = said.iter().rposition(|(side, _)| *side).unwrap();
        let (_, at) = found(&said[..=last], piece, &hello_flight(None, 50));
        prop_assert_eq!(at, Some(spoken(said)), "{}", name);
    }

    #[test]
    fn a_servers_answer_to_what_nobody_saw_is_found(piece in 1_usize..40, text in "[ -~\r\n]{0,80}") {
        let mut watch = UpgradeWatch::default();
        watch.missed_client();
        let bytes = [text.as_bytes(), ANSWER].concat();
        let heard = bytes.chunks(piece).filter(|part| watch.server(part)).count();
        prop_assert_eq!(heard, 1);
    }

    #[test]
    fn no_bytes_panic(said in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..30)) {
        let mut watch = UpgradeWatch::default();
        for (side, bytes) in said {
            if side {
                let _ = watch.client(&bytes);
            } else {
                let _ = watch.server(&bytes);
            }
            let _ = watch.asked();
            prop_assert!(watch.said.len() <= MAX_SAID);
        }
    }

    #[test]
    fn text_is_what_has_no_control_characters(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let plain = bytes.iter().all(|byte| !byte.is_ascii_control() || b"\r\n\t\x7f".contains(byte));
        prop_assert_eq!(is_text(&bytes), plain);
    }
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    let hello = hello_flight(Some(b"a.example"), 9000);
    // SQL Server wraps TLS in packets of its own: nobody could open that.
    let wrapped = [&b"\x12\x01\x01\x23\0\0\0\0"[..], &hello].concat();
    assert_eq!(UpgradeWatch::default().client(&wrapped), None);
    // A capture that is sent somewhere holds many hellos.
    let capture = [&b"\xd4\xc3\xb2\xa1\x02\0\x04\0"[..], &hello, &hello].concat();
    assert_eq!(UpgradeWatch::default().client(&capture), None);
    // And one that is fetched, many answers.
    let mut watch = UpgradeWatch::default();
    assert_eq!(watch.client(b"GET /capture HTTP/1.0\r\n\r\n"), None);
    assert!(!watch.server(b"HTTP/1.0 200 OK\r\n\r\n\xd4\xc3\xb2\xa1\x02\0"));
    assert!(!watch.server(ANSWER));
    // The same byte in another protocol.
    assert_eq!(UpgradeWatch::default().client(b"\x16\x16"), None);
    assert!(!watch.server_ahead(b"220 Ready\r\n"));
}

#[test]
fn a_second_copy_gives_the_server_its_turn() {
    let mut watch = UpgradeWatch::default();
    assert_eq!(watch.client(b"\x05\x01\x00"), None);
    assert_eq!(watch.client(b"junk that never arrives\0"), None);
    assert!(!watch.server(b"\x05\x00"));
    watch.client_again();
    assert!(watch.server(ANSWER));
    assert!(watch.server_ahead(ANSWER));
}
