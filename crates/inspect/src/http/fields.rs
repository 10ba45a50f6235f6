//! What the fields of requests say, the same in every version of HTTP.

use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64URL_NOPAD;
use packet::DomainName;

use crate::{dns, tls::host_name};

/// The media type of DNS messages (RFC 8484 §6).
pub(super) const DNS_MESSAGE: &[u8] = b"application/dns-message";
/// The longest DNS message, by the length field of its other transports.
pub(super) const MAX_DNS: usize = 65_535;

/// The name in `Host` or `:authority`, whose port is left away. An address is no name.
pub(super) fn host(authority: &[u8]) -> Option<DomainName> {
    if authority.first() == Some(&b'[') {
        return None;
    }
    let (_, behind_user) = split_last(authority, b'@').unwrap_or((&[], authority));
    let name = split_last(behind_user, b':').map_or(behind_user, |(name, _)| name);
    host_name(name)
}

fn split_last(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memrchr(at, bytes)?;
    Some((bytes.get(..place)?, bytes.get(place.saturating_add(1)..)?))
}

/// The first address of `X-Forwarded-For`: the client that the first proxy saw.
pub(super) fn forwarded_for(value: &[u8]) -> Option<IpAddr> {
    let first = value.split(|&byte| byte == b',').next()?.trim_ascii();
    let text = std::str::from_utf8(first).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Whether a `Content-Type` is that of DNS messages, parameters aside.
pub(super) fn is_dns_message(content_type: &[u8]) -> bool {
    let kind = content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(DNS_MESSAGE)
}

/// The DNS query that a GET carries in its `dns` parameter (RFC 8484 §4.1.1), under any path.
///
/// Padding is not allowed there, but lenient servers take it; so it is read here too.
pub(super) fn query_in_path(path: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memchr(b'?', path)?;
    let parameters = path.get(at.saturating_add(1)..)?;
    let parameters = parameters.split(|&byte| byte == b'#').next()?;
    parameters
        .split(|&byte| matches!(byte, b'&' | b';'))
        .filter_map(|parameter| parameter.strip_prefix(b"dns="))
        .find_map(decode_query)
}

fn decode_query(value: &[u8]) -> Option<Vec<u8>> {
    let unescaped = unescape(value);
    let mut text: Vec<u8> = unescaped
        .into_iter()
        .map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        })
        .collect();
    while text.last() == Some(&b'=') {
        text.pop();
    }
    let message = BASE64URL_NOPAD.decode(&text).ok().or_else(|| {
        // Lax decoders do not mind bits set behind the last byte.
        let mut lax = data_encoding::Specification::new();
        lax.symbols
            .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        lax.check_trailing_bits = false;
        lax.encoding().ok()?.decode(&text).ok()
    })?;
    dns::parse_query(&message).is_some().then_some(message)
}

/// Percent escapes resolved; what is no escape stays.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.first_chunk::<2>().and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 16).ok()
        });
        match digits {
            Some(byte) if first == b'%' => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_user_and_port() {
        let name = |text: &str| Some(text.parse().unwrap());
        assert_eq!(host(b"A.example:8443"), name("a.example"));
        assert_eq!(host(b"user:pw@a.example"), name("a.example"));
        assert_eq!(host(b"192.0.2.1:80"), None);
        assert_eq!(host(b"[2001:db8::1]:80"), None);
        assert_eq!(host(b""), None);
    }

    #[test]
    fn the_first_forwarded_address_counts() {
        let is = |text: &str| Some(text.parse().unwrap());
        assert_eq!(forwarded_for(b" 192.0.2.1 , 10.0.0.1"), is("192.0.2.1"));
        assert_eq!(forwarded_for(b"[2001:db8::1]:40"), is("2001:db8::1"));
        assert_eq!(forwarded_for(b"[2001:db8::1]"), is("2001:db8::1"));
        assert_eq!(forwarded_for(b"192.0.2.1:40"), is("192.0.2.1"));
        assert_eq!(forwarded_for(b"unknown, 10.0.0.1"), None);
    }

    #[test]
    fn a_query_is_found_in_the_path() {
        // The example of RFC 8484 §4.1.1: www.example.com, type A.
        let plain = b"/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let query = query_in_path(plain).unwrap();
        assert_eq!(dns::parse_query(&query).unwrap().id(), 0);
        for other in [
            &b"/x?ct=application%2Fdns-message&dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB#a"[..],
            b"/?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQA%42",
            b"/?dns=xx&dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB==",
        ] {
            assert_eq!(query_in_path(other), Some(query.clone()));
        }
        assert_eq!(query_in_path(b"/dns-query?dns=aGVsbG8"), None);
        assert_eq!(query_in_path(b"/dns-query"), None);
        assert!(is_dns_message(b"Application/DNS-message; charset=x"));
        assert!(!is_dns_message(b"application/dns-json"));
    }
}
