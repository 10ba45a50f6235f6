//! The name of the server a client wants, in the clear: TLS server name indication, HTTP Host.

use packet::DomainName;

use crate::tls::{HelloReader, HelloSearch, host_name};

/// The most bytes of a request that are looked at.
const MAX_REQUEST: usize = 16 * 1024;

/// The content type of a TLS record that carries a handshake.
const HANDSHAKE: u8 = 0x16;

/// What a search for the server's name has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one packet; boxing would allocate there"
)]
pub enum NameSearch {
    /// The client names its server.
    Found(DomainName),
    /// It does not, or not in a protocol known here.
    Absent,
    /// Not all of the greeting has arrived.
    NeedMore,
}

/// Finds the server's name in the first bytes a client sends over TCP.
///
/// Greetings that arrive in one piece are read where they are; only pieces are kept.
#[derive(Clone, Debug, Default)]
pub struct ServerNameFinder {
    greeting: Greeting,
}

/// What the first byte gave away.
#[derive(Clone, Debug, Default)]
enum Greeting {
    #[default]
    Unheard,
    Tls(Box<HelloReader>),
    Http(Vec<u8>),
}

impl ServerNameFinder {
    /// Takes the next bytes of the client's stream. Call it until it answers something else than
    /// [`NameSearch::NeedMore`].
    pub fn push(&mut self, bytes: &[u8]) -> NameSearch {
        let search = match &mut self.greeting {
            Greeting::Unheard => match bytes.first() {
                None => return NameSearch::NeedMore,
                Some(&HANDSHAKE) => {
                    let mut reader = HelloReader::default();
                    let search = hello_name(&reader.push(bytes));
                    if search == NameSearch::NeedMore {
                        self.greeting = Greeting::Tls(Box::new(reader));
                    }
                    return search;
                }
                Some(b'A'..=b'Z') => request(&mut self.greeting, bytes),
                Some(_) => NameSearch::Absent,
            },
            Greeting::Tls(reader) => hello_name(&reader.push(bytes)),
            Greeting::Http(_) => request(&mut self.greeting, bytes),
        };
        if search != NameSearch::NeedMore {
            self.greeting = Greeting::Unheard;
        }
        search
    }
}

/// The name in a hello; one that is broken or too long has none.
fn hello_name(search: &HelloSearch<'_>) -> NameSearch {
    match search {
        HelloSearch::Whole(hello) => hello.server_name().map_or(NameSearch::Absent, NameSearch::Found),
        HelloSearch::NeedMore => NameSearch::NeedMore,
        HelloSearch::NotTls | HelloSearch::Malformed | HelloSearch::Oversize => NameSearch::Absent,
    }
}

/// Looks into a request with its next bytes, and keeps those where it is not whole.
fn request(greeting: &mut Greeting, bytes: &[u8]) -> NameSearch {
    let mut flight = match std::mem::take(greeting) {
        Greeting::Http(flight) => flight,
        Greeting::Unheard | Greeting::Tls(_) => Vec::new(),
    };
    let room = MAX_REQUEST.saturating_sub(flight.len());
    let taken = bytes.get(..room).unwrap_or(bytes);
    let search = if flight.is_empty() {
        http_host(taken)
    } else {
        flight.extend_from_slice(taken);
        http_host(&flight)
    };
    if search == NameSearch::NeedMore {
        if taken.len() == room {
            // At the bound a request that still wants more has no name.
            return NameSearch::Absent;
        }
        if flight.is_empty() {
            flight.extend_from_slice(taken);
        }
        *greeting = Greeting::Http(flight);
    }
    search
}

/// Ends a search with what a parser found.
fn settled(name: Option<&[u8]>) -> NameSearch {
    name.and_then(host_name)
        .map_or(NameSearch::Absent, NameSearch::Found)
}

/// The Host of an HTTP/1 request (RFC 9112 §3.2), without its port.
fn http_host(flight: &[u8]) -> NameSearch {
    let mut rest = flight;
    let mut request_line = true;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, more) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = more.get(1..).unwrap_or_default();
        if request_line {
            if !line.ends_with(b"HTTP/1.1") && !line.ends_with(b"HTTP/1.0") {
                return NameSearch::Absent;
            }
            request_line = false;
            continue;
        }
        if line.is_empty() {
            return NameSearch::Absent;
        }
        if let Some((field, value)) = line.split_first_chunk::<5>()
            && field.eq_ignore_ascii_case(b"host:")
        {
            let host = value.trim_ascii();
            let host = host.split(|&byte| byte == b':').next().unwrap_or_default();
            return settled(Some(host));
        }
    }
    NameSearch::NeedMore
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tls::samples::hello_flight as hello;

    fn found(name: &str) -> NameSearch {
        NameSearch::Found(name.parse().unwrap())
    }

    fn push_in_pieces(bytes: &[u8], piece: usize) -> NameSearch {
        let mut finder = ServerNameFinder::default();
        bytes
            .chunks(piece)
            .map(|piece| finder.push(piece))
            .find(|search| *search != NameSearch::NeedMore)
            .unwrap_or(NameSearch::NeedMore)
    }

    #[test]
    fn requests_name_their_host() {
        let search = |text: &[u8]| ServerNameFinder::default().push(text);
        assert_eq!(
            search(b"GET / HTTP/1.1\r\nA: b\r\nhOsT:  Www.Example.com:8080 \r\n\r\n"),
            found("www.example.com")
        );
        assert_eq!(
            search(b"GET / HTTP/1.1\r\nA: b\r\n\r\nHost: a.example\r\n"),
            NameSearch::Absent
        );
        assert_eq!(
            search(b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n"),
            NameSearch::Absent
        );
        assert_eq!(
            search(b"GET / HTTP/1.1\r\nHost: a\\046b.example\r\n"),
            NameSearch::Absent
        );
        assert_eq!(search(b"GET / HTTP/1.1\r\nHost: a.exa"), NameSearch::NeedMore);
        assert_eq!(
            search(b"MAIL FROM:<a@b>\r\nHost: a.example\r\n"),
            NameSearch::Absent
        );
        assert_eq!(search(b"\x13BitTorrent protocol"), NameSearch::Absent);
    }

    #[test]
    fn a_hello_without_a_name_has_none() {
        assert_eq!(push_in_pieces(&hello(None, 9000), 9000), NameSearch::Absent);
        assert_eq!(
            push_in_pieces(&hello(Some(b"192.0.2.1"), 9000), 9000),
            NameSearch::Absent
        );
        assert_eq!(
            push_in_pieces(&hello(Some(b"a..b"), 9000), 9000),
            NameSearch::Absent
        );
        assert_eq!(push_in_pieces(b"\x16\x03\x01\0\x10\x02", 9), NameSearch::Absent);
    }

    #[test]
    fn a_greeting_without_end_is_given_up() {
        let endless = [&b"GET / HTTP/1.1\r\n"[..], &[b'a'; MAX_REQUEST]].concat();
        assert_eq!(push_in_pieces(&endless, 1000), NameSearch::Absent);
        assert_eq!(push_in_pieces(&endless, usize::MAX), NameSearch::Absent);
    }

    proptest! {
        #[test]
        fn hellos_may_be_cut_anywhere(record in 1_usize..400, piece in 1_usize..400) {
            let bytes = hello(Some(b"Tax.gov.example"), record);
            prop_assert_eq!(push_in_pieces(&bytes, piece), found("tax.gov.example"));
        }

        #[test]
        fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), start in 0_usize..120, piece in 1_usize..500) {
            push_in_pieces(&bytes, piece);
            // A good start leads further in.
            let good = hello(Some(b"a.example"), 9000);
            bytes.splice(..start.min(bytes.len()), good.into_iter().take(start));
            push_in_pieces(&bytes, piece);
        }
    }
}
