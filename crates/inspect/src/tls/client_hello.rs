//! What a client offers when it opens a TLS connection (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).

use std::{borrow::Cow, net::IpAddr};

use packet::DomainName;

use super::{
    groups,
    records::{HANDSHAKE, Messages, Records, numbers, prefixed},
};

/// The most bytes of a client's first flight that are looked at, record headers included.
pub const MAX_CLIENT_HELLO: usize = 64 * 1024;

/// What is left of it for the hello's body, behind one record header and its own.
const MAX_BODY: usize = MAX_CLIENT_HELLO - 9;

/// The type of the handshake message.
pub(super) const CLIENT_HELLO: u8 = 1;

mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const ALPN: u16 = 16;
    pub(super) const EARLY_DATA: u16 = 42;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(super) const KEY_SHARE: u16 = 51;
    pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// What a search for a `ClientHello` has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelloSearch<'a> {
    /// It is whole.
    Whole(ClientHello<'a>),
    /// Not all of it has arrived.
    NeedMore,
    /// The client speaks something else.
    NotTls,
    /// It is a hello that contradicts itself, or is interrupted: no server can be relied on to read it in the same way.
    Malformed,
    /// It is longer than [`MAX_CLIENT_HELLO`].
    Oversize,
}

/// Searches what a client sent first, its records joined. A hello that lies in one record is read where it is.
///
/// Where a flight grows, [`HelloReader`] reads every byte only once.
pub fn client_hello(flight: &[u8]) -> HelloSearch<'_> {
    HelloReader::default().push(flight)
}

/// Reads a `ClientHello` that arrives in pieces; keeps at most [`MAX_CLIENT_HELLO`] bytes, none once it has answered.
#[derive(Clone, Debug, Default)]
pub struct HelloReader {
    records: Records,
    messages: Messages,
    taken: usize,
}

impl HelloReader {
    /// Takes the next bytes of the client's stream. Call it until it answers something else than
    /// [`HelloSearch::NeedMore`]; a reader that has answered begins anew.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> HelloSearch<'a> {
        let search = self.search(bytes);
        if search != HelloSearch::NeedMore {
            *self = Self::default();
        }
        search
    }

    fn search<'a>(&mut self, bytes: &'a [u8]) -> HelloSearch<'a> {
        let room = MAX_CLIENT_HELLO.saturating_sub(self.taken);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.taken = self.taken.saturating_add(taken.len());
        let mut rest = taken;
        while let Some(fragment) = self.records.next(&mut rest) {
            // A handshake may not come in empty records (RFC 8446 §5.1).
            if fragment.kind != HANDSHAKE || fragment.length == 0 {
                return self.unfit();
            }
            let mut handshake = fragment.bytes;
            if let Some(message) = self.messages.next(&mut handshake, |_| MAX_BODY) {
                return match (message.kind, message.body) {
                    (CLIENT_HELLO, Some(body)) => {
                        ClientHello::parse(body).map_or(HelloSearch::Malformed, HelloSearch::Whole)
                    }
                    (CLIENT_HELLO, None) => HelloSearch::Oversize,
                    _ => HelloSearch::NotTls,
                };
            }
        }
        if self.records.is_broken() {
            return self.unfit();
        }
        let other = |wanted: u8| move |begun: u8| begun != wanted;
        if self.messages.begun().is_some_and(other(CLIENT_HELLO))
            || self.records.begun().is_some_and(other(HANDSHAKE))
        {
            return self.unfit();
        }
        if taken.len() == room {
            return HelloSearch::Oversize;
        }
        HelloSearch::NeedMore
    }

    /// What came does not fit: was it a hello up to there?
    fn unfit(&self) -> HelloSearch<'static> {
        match self.messages.begun() {
            Some(CLIENT_HELLO) => HelloSearch::Malformed,
            _ => HelloSearch::NotTls,
        }
    }
}

/// A whole `ClientHello`; its framing was checked once, so that no accessor can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    body: Cow<'a, [u8]>,
}

/// The parts of a hello's body.
#[derive(Clone, Copy, Default)]
struct Parts<'a> {
    version: u16,
    session_id: &'a [u8],
    cipher_suites: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `None` where lengths do not agree with what is there.
    fn split(body: &'a [u8]) -> Option<Self> {
        let (version, rest) = body.split_first_chunk::<2>()?;
        let (_random, rest) = rest.split_first_chunk::<32>()?;
        let (session_id, rest) = prefixed::<1>(rest)?;
        let (cipher_suites, rest) = prefixed::<2>(rest)?;
        let (_compression, rest) = prefixed::<1>(rest)?;
        let extensions = match rest {
            [] => rest,
            rest => match prefixed::<2>(rest)? {
                (extensions, []) => extensions,
                _ => return None,
            },
        };
        Some(Self {
            version: u16::from_be_bytes(*version),
            session_id,
            cipher_suites,
            extensions,
        })
    }
}

/// The first extension in `extensions`, and what follows it.
fn split_extension(extensions: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (kind, rest) = extensions.split_first_chunk::<2>()?;
    let (body, more) = prefixed::<2>(rest)?;
    Some((u16::from_be_bytes(*kind), body, more))
}

/// The body of the first extension of this type.
pub(super) fn extension(mut extensions: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((kind, body, more)) = split_extension(extensions) {
        if kind == wanted {
            return Some(body);
        }
        extensions = more;
    }
    None
}

/// Whether extensions fill their list exactly, and the one that names the server comes once at most: of two, each
/// reader could believe another.
fn are_well_formed(mut extensions: &[u8]) -> bool {
    let mut names = 0_u8;
    while let Some((kind, _, more)) = split_extension(extensions) {
        names = names.saturating_add(u8::from(kind == extension::SERVER_NAME));
        extensions = more;
    }
    extensions.is_empty() && names <= 1
}

impl<'a> ClientHello<'a> {
    pub(super) fn parse(body: Cow<'a, [u8]>) -> Option<Self> {
        let parts = Parts::split(&body)?;
        if !are_well_formed(parts.extensions) {
            return None;
        }
        Some(Self { body })
    }

    fn parts(&self) -> Parts<'_> {
        Parts::split(&self.body).unwrap_or_default()
    }

    fn extension(&self, kind: u16) -> Option<&[u8]> {
        extension(self.parts().extensions, kind)
    }

    /// The version field, which TLS 1.3 leaves at TLS 1.2 (0x0303).
    pub fn legacy_version(&self) -> u16 {
        self.parts().version
    }

    /// The versions offered, the client's favourite first; GREASE values (RFC 8701) are left out.
    pub fn versions(&self) -> impl Iterator<Item = u16> + '_ {
        let listed = self
            .extension(extension::SUPPORTED_VERSIONS)
            .and_then(prefixed::<1>)
            .map(|(list, _)| list);
        let only = listed.is_none().then(|| self.legacy_version());
        numbers(listed.unwrap_or_default())
            .chain(only)
            .filter(|version| !is_grease(*version))
    }

    /// The newest version offered.
    pub fn newest_version(&self) -> u16 {
        self.versions().max().unwrap_or_default()
    }

    /// The session id; at most 32 bytes where the client keeps to the rules.
    pub fn session_id(&self) -> &[u8] {
        self.parts().session_id
    }

    /// The cipher suites offered, by their numbers, the client's favourite first.
    pub fn cipher_suites(&self) -> impl Iterator<Item = u16> + '_ {
        numbers(self.parts().cipher_suites)
    }

    /// The `host_name` asked for, as it came (RFC 6066 §3).
    pub fn raw_server_name(&self) -> Option<&[u8]> {
        let (list, _) = prefixed::<2>(self.extension(extension::SERVER_NAME)?)?;
        let (&name_type, entry) = list.split_first()?;
        let (name, _) = prefixed::<2>(entry)?;
        (name_type == 0).then_some(name)
    }

    /// The server's name, where what is asked for is a domain name; an address is none.
    pub fn server_name(&self) -> Option<DomainName> {
        self.raw_server_name().and_then(host_name)
    }

    /// The application protocols offered (RFC 7301), the client's favourite first.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> + '_ {
        let list = self.extension(extension::ALPN).and_then(prefixed::<2>);
        let mut rest = list.map(|(list, _)| list).unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, more) = prefixed::<1>(rest)?;
            rest = more;
            Some(name)
        })
    }

    /// The groups the client knows, by their numbers.
    pub fn groups(&self) -> impl Iterator<Item = u16> + '_ {
        let list = self
            .extension(extension::SUPPORTED_GROUPS)
            .and_then(prefixed::<2>);
        numbers(list.map(|(list, _)| list).unwrap_or_default())
    }

    /// The groups the client sent a key share of.
    pub fn key_share_groups(&self) -> impl Iterator<Item = u16> + '_ {
        let list = self.extension(extension::KEY_SHARE).and_then(prefixed::<2>);
        let mut rest = list.map(|(list, _)| list).unwrap_or_default();
        std::iter::from_fn(move || {
            let (group, _, more) = split_extension(rest)?;
            rest = more;
            Some(group)
        })
    }

    /// Whether a key share is of a post-quantum group.
    pub fn has_post_quantum_share(&self) -> bool {
        self.key_share_groups().any(groups::is_post_quantum)
    }

    /// Whether the name may stand in an encrypted hello, or the client pretends so (ECH, RFC 9849; GREASE looks alike).
    pub fn has_encrypted_hello(&self) -> bool {
        self.extension(extension::ENCRYPTED_CLIENT_HELLO).is_some()
    }

    /// Whether data may follow before the server has answered (0-RTT).
    pub fn has_early_data(&self) -> bool {
        self.extension(extension::EARLY_DATA).is_some()
    }

    /// The same, independent of what it was read from.
    pub fn into_owned(self) -> ClientHello<'static> {
        ClientHello {
            body: Cow::Owned(self.body.into_owned()),
        }
    }
}

/// A host name as text; one with escapes or an address is none.
pub(crate) fn host_name(text: &[u8]) -> Option<DomainName> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains('\\') || text.parse::<IpAddr>().is_ok() {
        return None;
    }
    text.parse().ok().filter(|name: &DomainName| !name.is_root())
}

/// A value that means nothing and keeps servers tolerant: 0x0a0a, 0x1a1a, … (RFC 8701).
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && high & 0x0f == 0x0a
}
