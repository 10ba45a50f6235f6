//! TLS that begins in the middle of a plaintext session: after STARTTLS and its kin, inside a tunnel that a proxy
//! opened, behind a preface.
//!
//! Commands are hardly read, since each server takes its own spellings of them. What counts is where a `ClientHello`
//! can stand: it opens what a client says after it has heard the server, or follows text, or one of the few binary
//! messages that ask for TLS. Whatever gets past that, by retransmission or by a protocol unknown here, shows at last
//! in the server's answer: no TLS connection comes about without a `ServerHello` in the clear.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::DomainName;

use crate::tls::{HelloSearch, client_hello, host_name};

/// The content type of a TLS record that carries a handshake. No text holds this byte.
const HANDSHAKE: u8 = 0x16;
/// Bytes kept of what a client says in one go: the longest SOCKS opening, greeting and password included.
const MAX_SAID: usize = 1040;
/// How the messages begin that ask for TLS or for another host: of all others nothing is kept.
const OPENINGS: [u8; 10] = [0, 1, 4, 5, b'\r', b' ', b'0', b'A', b'C', b'c'];

/// What one side has said since it last heard the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    #[default]
    Start,
    /// Text only.
    Text,
    /// Binary, as far as it may ask for TLS.
    Opening,
    /// So many bytes of what looks like a `ServerHello`, behind text or nothing.
    Hello(u8),
    /// Something in which TLS does not begin, or what was not seen.
    Other,
}

/// The host that a client asks a proxy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for a session that asks for a host, and few do"
)]
pub enum AskedHost {
    /// By its name.
    Name(DomainName),
    /// By its address.
    Address(IpAddr),
}

/// Watches both directions of a plaintext session for TLS that begins in it. Keeps at most 1,040 bytes, and those
/// only while a client's words may ask for TLS or for another host.
#[derive(Clone, Debug, Default)]
pub struct UpgradeWatch {
    client: Turn,
    server: Turn,
    /// What the client has said in its turn, where that may be looked at again.
    said: Vec<u8>,
    kept: bool,
    asked: Option<Box<AskedHost>>,
}

impl UpgradeWatch {
    /// Takes the client's next bytes. `Some`: a `ClientHello` begins there, or may, as far as they tell; what stands
    /// before it has been taken, the rest has not. Whoever finds out that it is none says so by
    /// [`UpgradeWatch::missed_client`].
    pub fn client(&mut self, bytes: &[u8]) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        self.server = Turn::Start;
        if self.client == Turn::Other {
            return None;
        }
        let mut from = 0;
        for at in memchr::memchr_iter(HANDSHAKE, bytes) {
            self.say(bytes.get(from..at).unwrap_or_default());
            from = at;
            if self.client == Turn::Other {
                return None;
            }
            if self.may_turn() && may_begin(bytes.get(at..).unwrap_or_default()) {
                return Some(at);
            }
        }
        self.say(bytes.get(from..).unwrap_or_default());
        None
    }

    /// The client has said something once more, which may not be what it said before.
    pub fn client_again(&mut self) {
        self.server = Turn::Start;
    }

    /// Bytes of the client went by that are not known, or are no TLS though they began like it.
    pub fn missed_client(&mut self) {
        self.server = Turn::Start;
        self.client = Turn::Other;
        self.said = Vec::new();
    }

    /// Takes the server's next bytes. `true`: it answers a `ClientHello` that nobody saw.
    pub fn server(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return false;
        }
        if self.client != Turn::Start {
            self.end_turn();
        }
        let mut rest = bytes;
        if matches!(self.server, Turn::Start | Turn::Text) {
            let at = memchr::memchr(HANDSHAKE, rest);
            let (text, found) = rest.split_at(at.unwrap_or(rest.len()));
            self.server = match (is_text(text), at) {
                (false, _) => Turn::Other,
                (true, None) => Turn::Text,
                (true, Some(_)) => Turn::Hello(0),
            };
            rest = found;
        }
        let Turn::Hello(mut known) = self.server else {
            return false;
        };
        for &byte in rest {
            if !fits_server_hello(known, byte) {
                self.server = Turn::Other;
                return false;
            }
            known = known.saturating_add(1);
            if known == SERVER_HELLO {
                return true;
            }
        }
        self.server = Turn::Hello(known);
        false
    }

    /// Bytes of the server overtake others. `true`: they answer a `ClientHello` that nobody saw.
    pub fn server_ahead(&mut self, bytes: &[u8]) -> bool {
        let answers = (0..SERVER_HELLO)
            .zip(bytes)
            .filter(|&(place, &byte)| fits_server_hello(place, byte))
            .count();
        self.server = Turn::Other;
        answers == usize::from(SERVER_HELLO)
    }

    /// Whether the client's next byte is the first after it has heard the server.
    pub fn is_clients_turn(&self) -> bool {
        self.client == Turn::Start
    }

    /// The host that the client asked a proxy for last.
    pub fn asked(&self) -> Option<AskedHost> {
        asked_host(&self.said).or_else(|| self.asked.as_deref().copied())
    }

    fn end_turn(&mut self) {
        let said = std::mem::take(&mut self.said);
        if let Some(asked) = asked_host(&said) {
            self.asked = Some(Box::new(asked));
        }
        self.client = Turn::Start;
    }

    fn say(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else { return };
        if self.client == Turn::Start {
            self.kept = OPENINGS.contains(first);
        }
        let room = MAX_SAID.saturating_sub(self.said.len());
        if self.kept {
            self.said.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        let text = matches!(self.client, Turn::Start | Turn::Text) && is_text(bytes);
        self.client = if text {
            Turn::Text
        } else if self.kept && bytes.len() <= room {
            Turn::Opening
        } else {
            self.said = Vec::new();
            Turn::Other
        };
    }

    /// Whether TLS can follow what the client has said.
    fn may_turn(&self) -> bool {
        match self.client {
            Turn::Start | Turn::Text => true,
            Turn::Opening => asks_for_tls(&self.said),
            Turn::Hello(_) | Turn::Other => false,
        }
    }
}

fn may_begin(bytes: &[u8]) -> bool {
    client_hello(bytes) != HelloSearch::NotTls
}

/// Bytes of a record by which a `ServerHello` is known.
const SERVER_HELLO: u8 = 11;

/// Whether a record with a `ServerHello` has such a byte there (RFC 8446 §5.1, §4.1.3).
fn fits_server_hello(place: u8, byte: u8) -> bool {
    match place {
        0 => byte == HANDSHAKE,
        1 | 9 => byte == 3,
        2 | 10 => byte <= 4,
        3 => byte <= 0x48,
        5 => byte == 2,
        6 => byte == 0,
        _ => true,
    }
}

/// Bytes at either end of a segment that speak for all of it.
const SAMPLE: usize = 64;

/// Whether there are no control characters but those of lines, as far as both ends of the bytes tell. Other scripts
/// count as text. What is taken for text wrongly is only looked at for longer.
fn is_text(bytes: &[u8]) -> bool {
    let first = bytes.get(..SAMPLE).unwrap_or(bytes);
    let last = bytes
        .get(bytes.len().saturating_sub(SAMPLE)..)
        .unwrap_or_default();
    let is_text = |byte: &u8| *byte >= 0x20 || matches!(byte, b'\n' | b'\r' | b'\t');
    first.iter().all(is_text) && (bytes.len() <= SAMPLE || last.iter().all(is_text))
}

/// Whether these bytes, and nothing else, ask for TLS or for a tunnel: what follows them may be a `ClientHello`.
fn asks_for_tls(said: &[u8]) -> bool {
    match said {
        // PostgreSQL's SSLRequest, and AMQP with TLS (AMQP 1.0 §5.2.1).
        [0, 0, 0, 8, 4, 210, 22, 47] | [b'A', b'M', b'Q', b'P', 2, 1, 0, 0] => true,
        // MySQL's SSLRequest: a first packet of 32 bytes that ends behind its 23 reserved ones.
        [32, 0, 0, 1, _, flags, ..] if said.len() == 36 => flags & 0x08 != 0,
        [b'0', ..] => is_start_tls_of_ldap(said),
        [
            b'\r',
            b'\n',
            b'\r',
            b'\n',
            0,
            b'\r',
            b'\n',
            b'Q',
            b'U',
            b'I',
            b'T',
            b'\n',
            _,
            _,
            high,
            low,
            rest @ ..,
        ] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        [4, ..] => socks4_host(said).is_some(),
        [1 | 5, ..] => socks5_host(said).is_some(),
        _ => false,
    }
}

/// An extended request for TLS (RFC 4511 §4.14), whole.
fn is_start_tls_of_ldap(said: &[u8]) -> bool {
    let body = match said {
        [_, length @ 0..=0x7f, body @ ..] if body.len() == usize::from(*length) => body,
        [_, 0x81, length, body @ ..] if body.len() == usize::from(*length) => body,
        [_, 0x82, high, low, body @ ..] if body.len() == usize::from(u16::from_be_bytes([*high, *low])) => {
            body
        }
        _ => return false,
    };
    memchr::memmem::find(body, b"1.3.6.1.4.1.1466.20037").is_some()
}

/// The host that a whole request names: of CONNECT, SOCKS 4 or 5.
fn asked_host(said: &[u8]) -> Option<AskedHost> {
    match said.first()? {
        b'C' | b'c' => connect_host(said),
        4 => socks4_host(said),
        1 | 5 => socks5_host(said),
        _ => None,
    }
}

/// `CONNECT host:port HTTP/1.1` (RFC 9110 §9.3.6).
fn connect_host(said: &[u8]) -> Option<AskedHost> {
    let (line, _) = said.split_at_checked(memchr::memchr(b'\n', said)?)?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    if !words.next()?.eq_ignore_ascii_case(b"CONNECT") {
        return None;
    }
    let target = words.next()?;
    let (host, _port) = target.split_at_checked(memchr::memrchr(b':', target)?)?;
    named(
        host.strip_prefix(b"[")
            .map_or(host, |host| host.strip_suffix(b"]").unwrap_or(host)),
    )
}

fn named(host: &[u8]) -> Option<AskedHost> {
    let address = std::str::from_utf8(host).ok().and_then(|text| text.parse().ok());
    address
        .map(AskedHost::Address)
        .or_else(|| host_name(host).map(AskedHost::Name))
}

/// A request of SOCKS 4, or 4a with a name behind the user's.
fn socks4_host(said: &[u8]) -> Option<AskedHost> {
    let ([4, 1 | 2, _, _, a, b, c, d], strings) = said.split_first_chunk()? else {
        return None;
    };
    let (_user, behind) = strings.split_at_checked(memchr::memchr(0, strings)?)?;
    match ([a, b, c, d], behind) {
        ([0, 0, 0, 1..=255], [0, name @ .., 0]) => named(name),
        ([0, 0, 0, 1..=255], _) => None,
        (_, [0]) => Some(AskedHost::Address(Ipv4Addr::new(*a, *b, *c, *d).into())),
        _ => None,
    }
}

/// A request of SOCKS 5 (RFC 1928 §4) and whatever of its opening was said in the same breath: greeting, name and
/// password (RFC 1929).
fn socks5_host(said: &[u8]) -> Option<AskedHost> {
    if let [5, 1..=3, 0, kind, rest @ ..] = said {
        let host = match (kind, rest) {
            (1, [a, b, c, d, _, _]) => Some(AskedHost::Address(Ipv4Addr::new(*a, *b, *c, *d).into())),
            (3, [length, name @ .., _, _]) if name.len() == usize::from(*length) => named(name),
            (4, [address @ .., _, _]) => <[u8; 16]>::try_from(address)
                .ok()
                .map(|octets| AskedHost::Address(Ipv6Addr::from(octets).into())),
            _ => None,
        };
        if host.is_some() {
            return host;
        }
    }
    let (length, rest) = match said {
        [5, methods @ 1..=255, rest @ ..] => (usize::from(*methods), rest),
        [1, user, rest @ ..] => {
            let password = rest.get(usize::from(*user))?;
            let length = usize::from(*user)
                .saturating_add(usize::from(*password))
                .saturating_add(1);
            (length, rest)
        }
        _ => return None,
    };
    socks5_host(rest.get(length..)?)
}

#[cfg(test)]
mod tests;
