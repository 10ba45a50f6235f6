//! TLS that starts in the middle of a plaintext session: after STARTTLS and its kin, or inside a tunnel
//! that a proxy opened.

/// Bytes of either direction that are watched; whoever starts TLS does so early.
const MAX_WATCHED: u64 = 64 * 1024;
/// Bytes kept of a line or a binary message.
const MAX_LINE: usize = 512;
/// The request that opens TLS in LDAP (RFC 4511 §4.14).
const LDAP_START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// `PostgreSQL`'s request for TLS.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];

/// Where a session turns to TLS, if a `ClientHello` really stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// What opened it.
    pub by: Opener,
    /// Bytes of the client's stream in front of the first of TLS.
    pub client_offset: u64,
}

/// What opens TLS in mid-stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opener {
    /// SMTP's STARTTLS (RFC 3207).
    Smtp,
    /// IMAP's STARTTLS (RFC 9051 §6.2.1).
    Imap,
    /// POP3's STLS (RFC 2595 §4).
    Pop3,
    /// FTP's AUTH TLS (RFC 4217 §4).
    Ftp,
    /// XMPP's starttls (RFC 6120 §5).
    Xmpp,
    /// LDAP's extended request.
    Ldap,
    /// `PostgreSQL`'s `SSLRequest`.
    Postgres,
    /// HTTP's CONNECT (RFC 9110 §9.3.6).
    Connect,
    /// SOCKS 4 or 5 (RFC 1928 §6).
    Socks,
}

/// One direction.
#[derive(Clone, Debug, Default)]
struct Side {
    /// The line that is not whole; only its start is kept.
    line: Vec<u8>,
    seen: u64,
}

/// Watches both directions of a plaintext session for the place where TLS begins. Bounded: it keeps one line
/// of either, and gives up after 64 KiB.
#[derive(Clone, Debug, Default)]
pub struct UpgradeWatch {
    client: Side,
    server: Side,
    /// What the client asked for, and how much it had said by then.
    asked: Option<(Opener, u64)>,
    /// The tag of IMAP's command.
    tag: Vec<u8>,
    /// Inside the head of a CONNECT request.
    in_request: bool,
    /// Inside the head of its answer, or behind the method that a SOCKS proxy chose.
    in_answer: bool,
    over: bool,
}

impl UpgradeWatch {
    /// Takes the next bytes of one direction; says, once, where TLS begins.
    pub fn push(&mut self, from_client: bool, bytes: &[u8]) -> Option<Upgrade> {
        for &byte in bytes {
            if self.over {
                return None;
            }
            let side = if from_client {
                &mut self.client
            } else {
                &mut self.server
            };
            side.seen = side.seen.saturating_add(1);
            if side.line.len() < MAX_LINE {
                side.line.push(byte);
            }
            self.over |= side.seen > MAX_WATCHED;
            let granted = if from_client {
                self.client_byte(byte);
                false
            } else {
                self.server_byte(byte)
            };
            if granted && let Some((by, client_offset)) = self.asked {
                self.end();
                return Some(Upgrade { by, client_offset });
            }
        }
        None
    }

    /// Whether nothing more will be found.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn end(&mut self) {
        *self = Self {
            over: true,
            ..Self::default()
        };
    }

    fn ask(&mut self, opener: Opener) {
        self.asked = Some((opener, self.client.seen));
        self.client.line.clear();
        self.server.line.clear();
    }

    fn client_byte(&mut self, byte: u8) {
        let line = &self.client.line;
        let opener = match line.as_slice() {
            SSL_REQUEST => Some(Opener::Postgres),
            // The greeting of SOCKS 5; what follows it is part of the same asking.
            [5, methods, rest @ ..] if self.asks(None) && rest.len() == usize::from(*methods) => {
                Some(Opener::Socks)
            }
            [4, 1, _, _, _, _, _, _, .., 0] if self.asks(None) => Some(Opener::Socks),
            [0x30, .., b'7'] if line.ends_with(LDAP_START_TLS) => Some(Opener::Ldap),
            [b'<', .., b'>'] if starts_like(line, b"<starttls") => Some(Opener::Xmpp),
            _ => None,
        };
        if let Some(opener) = opener {
            self.ask(opener);
            return;
        }
        if matches!(self.asked, Some((Opener::Socks, _))) {
            // Names and passwords of the proxy are no lines, and TLS follows the last of them.
            self.asked = Some((Opener::Socks, self.client.seen));
            self.client.line.clear();
            return;
        }
        let first = line.first().copied();
        if byte == b'>' && first == Some(b'<') {
            self.client.line.clear();
        }
        if byte != b'\n' || first == Some(0x30) && !self.client.line.is_ascii() {
            return;
        }
        let line = std::mem::take(&mut self.client.line);
        let text = line.trim_ascii_end();
        if self.in_request {
            if text.is_empty() {
                self.in_request = false;
                self.ask(Opener::Connect);
            }
        } else if starts_like(text, b"CONNECT ") {
            self.in_request = text.ends_with(b"HTTP/1.1") || text.ends_with(b"HTTP/1.0");
        } else if text.eq_ignore_ascii_case(b"STARTTLS") {
            self.ask(Opener::Smtp);
        } else if text.eq_ignore_ascii_case(b"STLS") {
            self.ask(Opener::Pop3);
        } else if [&b"AUTH TLS"[..], b"AUTH SSL", b"AUTH TLS-C"]
            .iter()
            .any(|auth| text.eq_ignore_ascii_case(auth))
        {
            self.ask(Opener::Ftp);
        } else if let Some(space) = memchr::memchr(b' ', text)
            && let Some((tag, command)) = text.split_at_checked(space)
            && command.trim_ascii().eq_ignore_ascii_case(b"STARTTLS")
        {
            self.tag = tag.to_vec();
            self.ask(Opener::Imap);
        }
    }

    /// Whether this, and nothing else, was asked.
    fn asks(&self, opener: Option<Opener>) -> bool {
        self.asked.map(|(asked, _)| asked) == opener
    }

    /// Reads the server's answer; whether it grants what was asked.
    fn server_byte(&mut self, byte: u8) -> bool {
        let Some((opener, _)) = self.asked else {
            if matches!(byte, b'\n' | b'>') {
                self.server.line.clear();
            }
            return false;
        };
        match opener {
            Opener::Postgres => {
                self.asked = self.asked.filter(|_| byte == b'S');
                self.server.line.clear();
                return byte == b'S';
            }
            Opener::Socks => return self.socks_answer(),
            Opener::Ldap => return is_extended_success(&self.server.line),
            Opener::Xmpp if byte == b'>' => {
                let granted = starts_like(&self.server.line, b"<proceed");
                self.server.line.clear();
                return granted;
            }
            Opener::Smtp | Opener::Imap | Opener::Pop3 | Opener::Ftp | Opener::Xmpp | Opener::Connect => {
                if byte != b'\n' {
                    return false;
                }
            }
        }
        let line = std::mem::take(&mut self.server.line);
        let text = line.trim_ascii_end();
        let refused = match opener {
            Opener::Smtp if text.starts_with(b"220") => return true,
            Opener::Pop3 if text.starts_with(b"+OK") => return true,
            Opener::Ftp if text.starts_with(b"234") => return true,
            Opener::Connect => return self.connect_answer(text),
            Opener::Imap => {
                let own = text.strip_prefix(self.tag.as_slice());
                let said = own.map(<[u8]>::trim_ascii_start);
                if said.is_some_and(|said| starts_like(said, b"OK")) {
                    return true;
                }
                said.is_some()
            }
            Opener::Smtp
            | Opener::Pop3
            | Opener::Ftp
            | Opener::Xmpp
            | Opener::Ldap
            | Opener::Postgres
            | Opener::Socks => matches!(text.first(), Some(b'4' | b'5' | b'-')),
        };
        if refused {
            self.asked = None;
        }
        false
    }

    fn connect_answer(&mut self, text: &[u8]) -> bool {
        if text.starts_with(b"HTTP/1.") {
            let granted = text.get(9) == Some(&b'2');
            self.in_answer = granted;
            self.asked = self.asked.filter(|_| granted);
            return false;
        }
        self.in_answer && text.is_empty()
    }

    /// Method, then what the method wants, then the answer to the request.
    fn socks_answer(&mut self) -> bool {
        match self.server.line.as_slice() {
            [5, 0 | 2] if !self.in_answer => {
                self.in_answer = true;
                self.server.line.clear();
                false
            }
            [1, 0] if self.in_answer => {
                self.server.line.clear();
                false
            }
            [5, 0, 0, 1, rest @ ..] | [0, 0x5a, rest @ ..] => rest.len() == 6,
            [5, 0, 0, 4, rest @ ..] => rest.len() == 18,
            [5, 0, 0, 3, length, rest @ ..] => rest.len() == usize::from(*length).saturating_add(2),
            [0 | 1 | 5] | [5, 0] | [5, 0, 0] | [5, 0, 0, 3] => false,
            _ => {
                self.over = true;
                false
            }
        }
    }
}

/// Whether `bytes` begin with `what`, ignoring case.
fn starts_like(bytes: &[u8], what: &[u8]) -> bool {
    bytes
        .get(..what.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(what))
}

/// An extended response of LDAP with result 0 (RFC 4511 §4.12).
fn is_extended_success(message: &[u8]) -> bool {
    message
        .windows(5)
        .any(|part| matches!(part, [0x78, _, 0x0a, 1, 0]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Said = (bool, &'static [u8]);

    /// Sessions that turn to TLS, up to where they do, and what opened it.
    const SESSIONS: [(Opener, &[Said]); 10] = [
        (
            Opener::Smtp,
            &[
                (false, b"220 mail ESMTP\r\n"),
                (true, b"EHLO a\r\n"),
                (false, b"250-mail\r\n250 STARTTLS\r\n"),
                (true, b"STARTTLS\r\n"),
                (false, b"220 Ready\r\n"),
            ],
        ),
        (
            Opener::Imap,
            &[
                (false, b"* OK IMAP4rev1\r\n"),
                (true, b"a1 CAPABILITY\r\na2 starttls\r\n"),
                (false, b"* CAPABILITY x\r\na1 OK\r\na2 OK Begin\r\n"),
            ],
        ),
        (
            Opener::Pop3,
            &[
                (false, b"+OK POP3\r\n"),
                (true, b"STLS\r\n"),
                (false, b"+OK Begin\r\n"),
            ],
        ),
        (
            Opener::Ftp,
            &[
                (false, b"220 FTP\r\n"),
                (true, b"AUTH SSL\r\n"),
                (false, b"534 no\r\n"),
                (true, b"AUTH TLS\r\n"),
                (false, b"234 Proceed\r\n"),
            ],
        ),
        (
            Opener::Xmpp,
            &[
                (true, b"<?xml version='1.0'?><stream:stream to='a'>"),
                (
                    false,
                    b"<stream:stream><stream:features><starttls/></stream:features>",
                ),
                (true, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
                (false, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            ],
        ),
        (
            Opener::Ldap,
            &[
                (
                    true,
                    b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037",
                ),
                (false, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"),
            ],
        ),
        (
            Opener::Postgres,
            &[(true, b"\0\0\0\x08\x04\xd2\x16\x2f"), (false, b"S")],
        ),
        (
            Opener::Connect,
            &[
                (true, b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
                (
                    false,
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                ),
                (
                    true,
                    b"CONNECT a.example:443 HTTP/1.1\r\nProxy-Authorization: Basic x\r\n\r\n",
                ),
                (false, b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"),
            ],
        ),
        (
            Opener::Socks,
            &[
                (true, b"\x05\x02\x00\x02"),
                (false, b"\x05\x02"),
                (true, b"\x01\x01a\x01b"),
                (false, b"\x01\x00"),
                (true, b"\x05\x01\x00\x03\x09a.example\x01\xbb"),
                (false, b"\x05\x00\x00\x01\x0a\x00\x00\x01\x10\x00"),
            ],
        ),
        (
            Opener::Socks,
            &[
                (true, b"\x04\x01\x01\xbb\xc0\x00\x02\x01user\x00"),
                (false, b"\x00\x5a\x00\x00\x00\x00\x00\x00"),
            ],
        ),
    ];

    fn watch(said: impl Iterator<Item = (bool, Vec<u8>)>) -> Option<Upgrade> {
        let mut watch = UpgradeWatch::default();
        let found: Vec<Upgrade> = said
            .filter_map(|(side, bytes)| watch.push(side, &bytes))
            .collect();
        assert!(found.len() <= 1 && watch.is_over() != found.is_empty());
        found.first().copied()
    }

    proptest! {
        #[test]
        fn every_opener_is_found_however_it_is_cut(piece in 1_usize..80, pick in 0..SESSIONS.len()) {
            let (by, said) = SESSIONS[pick];
            let client_offset = said.iter().filter(|(side, _)| *side).map(|(_, bytes)| bytes.len() as u64).sum();
            let cut = said.iter().flat_map(|(side, bytes)| bytes.chunks(piece).map(|part| (*side, part.to_vec())));
            prop_assert_eq!(watch(cut), Some(Upgrade { by, client_offset }));
            // Without the last answer there is none.
            let short = said[..said.len() - 1].iter().map(|(side, bytes)| (*side, bytes.to_vec()));
            prop_assert_eq!(watch(short), None);
        }

        #[test]
        fn no_bytes_panic(said in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..30)) {
            let mut watch = UpgradeWatch::default();
            for (side, bytes) in said {
                let _ = watch.push(side, &bytes);
                prop_assert!(watch.client.line.len() <= MAX_LINE && watch.server.line.len() <= MAX_LINE);
            }
        }
    }

    #[test]
    fn what_is_refused_or_late_opens_nothing() {
        let mut watch = UpgradeWatch::default();
        for (side, bytes) in [
            (true, &b"STARTTLS\r\n"[..]),
            (false, b"454 no\r\n"),
            (false, b"220 late\r\n"),
        ] {
            assert_eq!(watch.push(side, bytes), None);
        }
        assert!(!watch.is_over());
        assert_eq!(watch.push(true, &vec![b'x'; 70_000]), None);
        assert!(watch.is_over());
    }
}
