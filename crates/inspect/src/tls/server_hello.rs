//! What a server chose (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3).

use super::{client_hello::extension, records::prefixed};

/// The type of the handshake message.
pub(super) const SERVER_HELLO: u8 = 2;
/// Tells which group a TLS 1.2 server uses.
pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;

const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// The random of a `ServerHello` that asks for another `ClientHello`: the SHA-256 of its own name
/// (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version agreed on, as its number (0x0303 is TLS 1.2).
    pub version: u16,
    /// The cipher suite agreed on, as its number.
    pub cipher_suite: u16,
    /// The key exchange group: of TLS 1.3 the server's share, of earlier versions what its key exchange names.
    pub group: Option<u16>,
    /// The application protocol, where the server says so in the clear (up to TLS 1.2).
    pub alpn: Option<Box<[u8]>>,
    /// It asks for another `ClientHello` and agrees on nothing yet.
    pub is_retry: bool,
}

impl ServerHello {
    /// TLS 1.3, or a draft of it: what follows is encrypted.
    pub fn is_version_1_3(&self) -> bool {
        // Drafts have 0x7fNN, and what some large sites tried out 0xfbNN.
        matches!(self.version, 0x0304 | 0x7f00..=0x7fff | 0xfb00..=0xfbff)
    }

    /// Reads the body of the message; `None` where lengths do not agree with what is there.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (version, rest) = body.split_first_chunk::<2>()?;
        // Drafts of TLS 1.3 up to the 21st say so here, and have neither session id nor compression.
        let legacy = u16::from_be_bytes(*version);
        let (random, rest) = rest.split_first_chunk::<32>()?;
        let is_draft = legacy >= 0x7f00;
        let rest = if is_draft { rest } else { prefixed::<1>(rest)?.1 };
        let (cipher_suite, rest) = rest.split_first_chunk::<2>()?;
        let rest = if is_draft { rest } else { rest.get(1..)? };
        let extensions = match rest {
            [] => rest,
            rest => prefixed::<2>(rest)?.0,
        };
        let version = extension(extensions, SUPPORTED_VERSIONS)
            .and_then(|body| body.first_chunk().copied())
            .map_or(legacy, u16::from_be_bytes);
        let group = extension(extensions, KEY_SHARE)
            .and_then(|body| body.first_chunk().copied())
            .map(u16::from_be_bytes);
        let alpn = extension(extensions, ALPN)
            .and_then(prefixed::<2>)
            .and_then(|(list, _)| prefixed::<1>(list))
            .map(|(name, _)| name.into());
        Some(Self {
            version,
            cipher_suite: u16::from_be_bytes(*cipher_suite),
            group,
            alpn,
            is_retry: *random == RETRY,
        })
    }
}

/// The named group of a `ServerKeyExchange` with elliptic curves (RFC 8422 §5.4).
pub(super) fn key_exchange_group(body: &[u8]) -> Option<u16> {
    const NAMED_CURVE: u8 = 3;
    match body {
        &[NAMED_CURVE, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
