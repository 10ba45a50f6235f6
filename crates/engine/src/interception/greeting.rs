//! What a client's first bytes are, as far as that matters for opening them.

use inspect::tls::{HelloSearch, client_hello};
use packet::DomainName;

/// TLS 1.3 on the wire (RFC 8446 §4.1.2).
const TLS13: u16 = 0x0304;

/// What the first bytes of a client are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Too few to tell.
    NeedMore,
    /// Not TLS.
    Other,
    /// A whole `ClientHello`, with the name it asks for.
    Hello(Option<Box<DomainName>>),
    /// The beginning of a `ClientHello` that is longer than any, or not one that could be read: under a rule that opens
    /// sessions it never passes.
    Unreadable,
}

/// Whether a client's first bytes are a `ClientHello` that offers TLS 1.3.
pub(crate) fn offers_tls13(flight: &[u8]) -> bool {
    match client_hello(flight) {
        HelloSearch::Whole(hello) => hello.versions().any(|version| version == TLS13),
        HelloSearch::NeedMore | HelloSearch::NotTls | HelloSearch::Malformed | HelloSearch::Oversize => false,
    }
}

/// Reads a client's first bytes.
pub(crate) fn greeting(flight: &[u8]) -> Greeting {
    match client_hello(flight) {
        HelloSearch::NeedMore => Greeting::NeedMore,
        HelloSearch::NotTls => Greeting::Other,
        HelloSearch::Whole(hello) => Greeting::Hello(hello.server_name().map(Box::new)),
        HelloSearch::Malformed | HelloSearch::Oversize => Greeting::Unreadable,
    }
}
