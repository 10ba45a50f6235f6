//! Both TLS sides of an intercepted connection: bytes in, bytes out.
//!
//! [`Relay`] is one connection. It speaks to the server first, in the client's stead, and to the client only when
//! it knows what the server is: with a leaf minted by [`Proxy`] in the server's likeness and the protocol the server
//! chose. All bytes of both legs are an adversary's.

mod ciphers;
mod facts;
mod hello;
mod leaf;
mod outgoing;
mod proxy;
mod relay;
mod upstream;

use std::net::IpAddr;

pub use self::{
    ciphers::Ciphers,
    facts::{Facts, Handshake},
    proxy::{Proxy, ProxyCounters},
    relay::Relay,
};
pub use crate::failure::{ErrorIndex, Failure, FailureClass};

/// A side of an intercepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Towards whoever opened it.
    Client,
    /// Towards the server it was opened to.
    Server,
}

impl Leg {
    /// The other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A version of TLS, as decryption profiles name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 1.0: known, never spoken.
    Tls10,
    /// 1.1: known, never spoken.
    Tls11,
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

/// How a flow is to be opened, by its decryption profile (PAN-OS: ssl-forward-proxy, ssl-protocol-settings).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the profile's switches, as it names them"
)]
pub struct Terms {
    /// Not set: the client is shown the same dates.
    pub block_expired_certificate: bool,
    /// Not set: forward-untrust signs.
    pub block_untrusted_issuer: bool,
    /// Revocation lists are loaded, but say nothing of the chain.
    pub block_unknown_cert: bool,
    /// Not set: fails as well, and may be bypassed.
    pub block_unsupported_version: bool,
    /// Not set: fails as well, and may be bypassed.
    pub block_unsupported_cipher: bool,
    /// Not set: fails as well, and may be bypassed.
    pub block_client_cert: bool,
    /// The certificate is not for the name asked.
    pub block_if_sni_mismatch: bool,
    /// No ALPN on either leg: HTTP/2 falls back to 1.1.
    pub strip_alpn: bool,
    /// A minted leaf has no extensions but key usage, extended key usage and the names it is for.
    pub restrict_cert_exts: bool,
    /// A server's certificate without alternative names is imitated with its common name as one.
    pub auto_include_altname: bool,
    /// What both legs may be encrypted with.
    pub ciphers: Ciphers,
    /// The least version both legs may have.
    pub min_version: Version,
    /// The highest version both legs may have.
    pub max_version: Version,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            block_expired_certificate: false,
            block_untrusted_issuer: false,
            block_unknown_cert: false,
            block_unsupported_version: false,
            block_unsupported_cipher: false,
            block_client_cert: false,
            block_if_sni_mismatch: false,
            strip_alpn: false,
            restrict_cert_exts: false,
            auto_include_altname: false,
            ciphers: Ciphers::ALL,
            min_version: Version::Tls10,
            max_version: Version::Tls13,
        }
    }
}

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not both handshakes are done.
    Handshaking,
    /// Plaintext passes.
    Open,
    /// It is over, and why. What is to be sent is still in [`Relay::outgoing`].
    Failed(Failure),
    /// It is over as its ends, or the tap, wanted it.
    Closed,
}

/// What happens to plaintext that a [`Tap`] was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Passage {
    /// It goes on as it is.
    Pass,
    /// `onward` goes on in its place, `back` goes to its sender.
    Replaced,
    /// The session ends: both sides are told.
    Cut,
}

/// Sees the plaintext of both directions and may change it.
pub trait Tap {
    /// Both handshakes are done.
    fn opened(&mut self, facts: &Facts);

    /// Plaintext that came from `leg`: 16 KiB at most at a time. `onward` and `back` are empty, and looked at only
    /// after [`Passage::Replaced`].
    fn plaintext(&mut self, leg: Leg, bytes: &[u8], onward: &mut Vec<u8>, back: &mut Vec<u8>) -> Passage;

    /// `leg` says nothing more: `onward` takes what was kept back of what it said.
    fn finished(&mut self, leg: Leg, onward: &mut Vec<u8>) {
        let _ = (leg, onward);
    }
}

fn server_name(sni: Option<&str>, server: IpAddr) -> rustls::pki_types::ServerName<'static> {
    use rustls::pki_types::ServerName;
    sni.and_then(|name| ServerName::try_from(name.to_owned()).ok())
        .unwrap_or_else(|| ServerName::IpAddress(server.into()))
}
