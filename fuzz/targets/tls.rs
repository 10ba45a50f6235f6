//! Both directions of a TLS connection: however they are cut, the same is learnt, and the same failed.
#![no_main]

use inspect::tls::{HelloReader, HelloSearch, MAX_CLIENT_HELLO, Peer, TlsEnd, TlsWatch, client_hello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, talk)) = data.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    one_hello(talk, size);
    let mut whole = TlsWatch::default();
    let mut pieces = TlsWatch::default();
    // Turns are a byte for who speaks and how much.
    let mut rest = talk;
    while let Some((&turn, tail)) = rest.split_first() {
        let (bytes, tail) = tail.split_at((usize::from(turn >> 1) * 8).min(tail.len()));
        let from = if turn & 1 == 0 { Peer::Client } else { Peer::Server };
        whole.push(from, bytes);
        for piece in bytes.chunks(size) {
            pieces.push(from, piece);
        }
        rest = tail;
    }
    assert_eq!(whole.phase(), pieces.phase());
    assert_eq!(whole.facts(), pieces.facts());
    for end in [
        TlsEnd::Closed(Peer::Client),
        TlsEnd::Reset(Peer::Server),
        TlsEnd::Silent,
    ] {
        let outcome = whole.ended(end);
        assert_eq!(outcome, pieces.ended(end));
        let _ = outcome.map(|outcome| outcome.failure.to_string());
    }
    let _ = whole.take_chain();
});

/// A hello is read alike whole and in pieces, and no accessor stumbles over it.
fn one_hello(flight: &[u8], size: usize) {
    let whole = client_hello(flight);
    let mut reader = HelloReader::default();
    let pieces = flight
        .chunks(size)
        .map(|piece| reader.push(piece))
        .find(|search| *search != HelloSearch::NeedMore)
        .unwrap_or(HelloSearch::NeedMore);
    assert_eq!(whole, pieces);
    if let HelloSearch::Whole(hello) = whole {
        let _ = (hello.server_name(), hello.newest_version(), hello.session_id());
        let seen = hello.alpn().count()
            + hello.cipher_suites().count()
            + hello.groups().count()
            + hello.key_share_groups().count();
        assert!(seen <= MAX_CLIENT_HELLO);
    }
}
