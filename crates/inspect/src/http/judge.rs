//! What an inspected session says, and who answers for it.

use std::net::IpAddr;

use packet::DomainName;

/// Something said inside the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack while the judge looks; boxing would allocate per request"
)]
pub enum Event<'a> {
    /// A client asks for something; a server's push promise counts as the request it stands for.
    Request {
        /// The stream of HTTP/2; in HTTP/1 the number of the request, from 1.
        stream: u32,
        /// The method, in its own case.
        method: &'a str,
        /// The host asked for, without its port; `None` for an address or where none is named.
        host: Option<DomainName>,
        /// Path and query as sent; empty for CONNECT.
        path: &'a str,
        /// The first address of `X-Forwarded-For`.
        forwarded_for: Option<IpAddr>,
        /// `Content-Type`, as sent.
        content_type: Option<&'a str>,
    },
    /// A server answers, interim answers (1xx) included.
    Response {
        /// As in the request; 0 where nothing was asked.
        stream: u32,
        /// The status code.
        status: u16,
        /// `Content-Type`, as sent.
        content_type: Option<&'a str>,
    },
    /// From here on nothing is read: if the judge allows it, all that follows passes as it comes.
    NotHttp(Departure),
}

/// Why a session is no longer read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Departure {
    /// It never was HTTP: the server spoke first, or the client in another protocol.
    OtherProtocol,
    /// The server agreed to another protocol (101), `WebSocket` for one.
    Upgraded,
    /// A tunnel was opened by CONNECT.
    Tunnel,
    /// Framing or syntax that two readers could take differently, or that is plainly wrong.
    Malformed,
    /// Valid, perhaps, but beyond what is kept: see `docs/LIMITS.md`.
    OverLimit,
}

impl Departure {
    /// A short name for records.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtherProtocol => "other-protocol",
            Self::Upgraded => "upgraded",
            Self::Tunnel => "tunnel",
            Self::Malformed => "malformed",
            Self::OverLimit => "over-limit",
        }
    }
}

/// What becomes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It goes on.
    Allow,
    /// It ends here, all its streams with it.
    Cut,
}

/// What becomes of a DNS message that travels in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRuling {
    /// It goes on as it is.
    Pass,
    /// A query is answered with the message that was written, and never reaches the server; a reply is
    /// replaced by it.
    Answer,
    /// A query is answered with an error of HTTP, and never reaches the server; so is a reply.
    Refuse,
}

/// Decides on what a session says. Called in the order things were said.
pub trait Judge {
    /// Something was said.
    fn event(&mut self, event: &Event<'_>) -> Ruling;

    /// A DNS query (RFC 8484), announced before as a request. A reply may be written into `reply`, which
    /// comes empty.
    fn dns_query(&mut self, message: &[u8], reply: &mut Vec<u8>) -> DnsRuling;

    /// A server's reply to such a query. What replaces it may be written into `replacement`, which comes
    /// empty.
    fn dns_reply(&mut self, message: &[u8], replacement: &mut Vec<u8>) -> DnsRuling;
}

/// What becomes of the bytes that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They go on untouched.
    Pass,
    /// What was written to `onward` goes on in their place; it may be nothing yet.
    Replaced,
    /// The session ends; nothing of them goes on.
    Cut,
}
