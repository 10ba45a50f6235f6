//! The name of the server a client wants, in the clear: TLS server name indication, HTTP Host.

use std::net::IpAddr;

use packet::DomainName;

/// The most bytes of a client's first flight that are looked at.
const MAX_FLIGHT: usize = 16 * 1024;

/// The content type of a TLS record that carries a handshake.
const HANDSHAKE: u8 = 0x16;
/// The handshake message that opens.
const CLIENT_HELLO: u8 = 1;

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
    flight: Vec<u8>,
}

impl ServerNameFinder {
    /// Takes the next bytes of the client's stream. Call it until it answers something else than
    /// [`NameSearch::NeedMore`].
    pub fn push(&mut self, bytes: &[u8]) -> NameSearch {
        let room = MAX_FLIGHT.saturating_sub(self.flight.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        let search = if self.flight.is_empty() {
            search(taken)
        } else {
            self.flight.extend_from_slice(taken);
            search(&self.flight)
        };
        if search != NameSearch::NeedMore {
            self.flight = Vec::new();
            return search;
        }
        if taken.len() == room {
            // At the bound a greeting that still wants more has no name.
            self.flight = Vec::new();
            return NameSearch::Absent;
        }
        if self.flight.is_empty() {
            self.flight.extend_from_slice(taken);
        }
        search
    }
}

/// Searches a client's first flight.
fn search(flight: &[u8]) -> NameSearch {
    match flight.first() {
        None => NameSearch::NeedMore,
        Some(&HANDSHAKE) => client_hello(flight),
        Some(b'A'..=b'Z') => http_host(flight),
        Some(_) => NameSearch::Absent,
    }
}

/// Ends a search with what a parser found.
fn settled(name: Option<&[u8]>) -> NameSearch {
    name.and_then(host_name)
        .map_or(NameSearch::Absent, NameSearch::Found)
}

/// A host name as text; one with escapes or an address is none.
fn host_name(text: &[u8]) -> Option<DomainName> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains('\\') || text.parse::<IpAddr>().is_ok() {
        return None;
    }
    text.parse().ok().filter(|name: &DomainName| !name.is_root())
}

/// Reads `N` bytes as a big-endian length, and splits what follows there.
fn length_prefixed<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<N>()?;
    let length = length
        .iter()
        .fold(0_usize, |sum, &byte| (sum << 8) | usize::from(byte));
    rest.split_at_checked(length)
}

/// The server name of a TLS `ClientHello` (RFC 6066 §3), whose records may be many (RFC 8446 §5.1).
fn client_hello(flight: &[u8]) -> NameSearch {
    // One record holds nearly every hello: read it in place. Else join what the records carry.
    let Some((header, rest)) = flight.split_first_chunk::<3>() else {
        return NameSearch::NeedMore;
    };
    let &[HANDSHAKE, 3, _] = header else {
        return NameSearch::Absent;
    };
    let joined;
    let handshake = match length_prefixed::<2>(rest) {
        Some((record, [])) => record,
        Some(_) => {
            joined = join_records(flight);
            &joined
        }
        None => match rest.get(2) {
            Some(&kind) if kind != CLIENT_HELLO => return NameSearch::Absent,
            _ => return NameSearch::NeedMore,
        },
    };
    match handshake.split_first() {
        None => NameSearch::NeedMore,
        Some((&CLIENT_HELLO, body)) => match length_prefixed::<3>(body) {
            Some((hello, _)) => settled(hello_name(hello)),
            None => NameSearch::NeedMore,
        },
        Some(_) => NameSearch::Absent,
    }
}

/// The handshake bytes of the whole records at the start of `flight`.
fn join_records(flight: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    let mut rest = flight;
    while let Some((&[HANDSHAKE, 3, _], tail)) = rest.split_first_chunk::<3>()
        && let Some((record, more)) = length_prefixed::<2>(tail)
    {
        joined.extend_from_slice(record);
        rest = more;
    }
    joined
}

/// The `host_name` in a `ClientHello`'s body.
fn hello_name(hello: &[u8]) -> Option<&[u8]> {
    // Version and random, session id, cipher suites, compression methods.
    let (_, rest) = hello.split_at_checked(34)?;
    let (_, rest) = length_prefixed::<1>(rest)?;
    let (_, rest) = length_prefixed::<2>(rest)?;
    let (_, rest) = length_prefixed::<1>(rest)?;
    let (mut extensions, _) = length_prefixed::<2>(rest)?;
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        let (body, more) = length_prefixed::<2>(rest)?;
        if *kind == [0, 0] {
            let (list, _) = length_prefixed::<2>(body)?;
            let (&name_type, entry) = list.split_first()?;
            let (name, _) = length_prefixed::<2>(entry)?;
            return (name_type == 0).then_some(name);
        }
        extensions = more;
    }
    None
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

    /// A `ClientHello` that names `name`, in records of at most `record` bytes.
    fn hello(name: Option<&[u8]>, record: usize) -> Vec<u8> {
        let sized = |length: usize, bytes: &[u8]| {
            let size = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&size[4 - length..], bytes].concat()
        };
        let mut extensions = [&[0, 0x17][..], &sized(2, &[])].concat();
        if let Some(name) = name {
            let list = sized(2, &[&[0][..], &sized(2, name)].concat());
            extensions.extend([&[0, 0][..], &sized(2, &list)].concat());
        }
        let body = [
            &[3, 3][..],
            &[7; 32],
            &sized(1, &[9; 32]),
            &sized(2, &[0x13, 1]),
            &sized(1, &[0]),
            &sized(2, &extensions),
        ]
        .concat();
        let handshake = [&[CLIENT_HELLO][..], &sized(3, &body)].concat();
        handshake
            .chunks(record)
            .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &sized(2, part)].concat())
            .collect()
    }

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
        let endless = [&b"GET / HTTP/1.1\r\n"[..], &[b'a'; MAX_FLIGHT]].concat();
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
