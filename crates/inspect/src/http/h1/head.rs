//! Heads of requests and responses (RFC 9112 §2-§6), read so that no server can read them differently.
//!
//! What a lax reader would repair is a fault here: bare line feeds, folded lines, two lengths, a length
//! beside chunks. Those are the seams that smuggled requests slip through.

use httparse::{EMPTY_HEADER, Header, Status};

use super::{
    super::judge::Departure,
    body::{Body, CHUNKED},
};

/// Header fields of one head.
const MAX_FIELDS: usize = 128;

/// What kind of request it is, as far as its response depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The response has no body.
    Head,
    /// A tunnel may follow.
    Connect,
    /// Any other.
    Other,
}

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead<'h> {
    pub(super) method: &'h str,
    /// Path and query.
    pub(super) path: &'h str,
    /// What follows the scheme or stands in Host.
    pub(super) authority: &'h [u8],
    pub(super) forwarded_for: Option<&'h [u8]>,
    pub(super) content_type: Option<&'h [u8]>,
    /// The body is encoded (gzip and the like).
    pub(super) encoded: bool,
    /// The client waits for a go-ahead before it sends the body.
    pub(super) expects: bool,
    pub(super) kind: Kind,
    pub(super) body: Body,
}

/// A response's head.
#[derive(Debug)]
pub(super) struct ResponseHead<'h> {
    pub(super) status: u16,
    pub(super) content_type: Option<&'h [u8]>,
    pub(super) encoded: bool,
    /// The server closes the connection behind this response.
    pub(super) closes: bool,
    pub(super) body: Body,
}

/// Reads the request at the start of `bytes`: `None` where its head is not whole; else how long it is.
pub(super) fn request(bytes: &[u8]) -> Result<Option<(usize, RequestHead<'_>)>, Departure> {
    let mut headers = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(length) = request.parse(bytes).map_err(departure)? else {
        return Ok(None);
    };
    check_lines(bytes.get(..length).unwrap_or_default())?;
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Departure::Malformed);
    };
    let headers: &[Header<'_>] = request.headers;
    let hosts = named(headers, "host").count();
    let host = named(headers, "host").next();
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(Departure::Malformed);
    }
    let kind = match method {
        "HEAD" => Kind::Head,
        "CONNECT" => Kind::Connect,
        _ => Kind::Other,
    };
    let (authority, path) = split_target(kind, target);
    let head = RequestHead {
        method,
        path,
        authority: authority.or(host).unwrap_or_default(),
        forwarded_for: named(headers, "x-forwarded-for").next(),
        content_type: named(headers, "content-type").next(),
        encoded: is_encoded(headers),
        expects: named(headers, "expect").next().is_some(),
        kind,
        body: framing(headers, version)?.unwrap_or(Body::Done),
    };
    Ok(Some((length, head)))
}

/// Reads the response at the start of `bytes`, which answers a request of this kind.
pub(super) fn response(bytes: &[u8], to: Kind) -> Result<Option<(usize, ResponseHead<'_>)>, Departure> {
    let mut headers = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(departure)? else {
        return Ok(None);
    };
    check_lines(bytes.get(..length).unwrap_or_default())?;
    let (Some(status), Some(version)) = (response.code, response.version) else {
        return Err(Departure::Malformed);
    };
    let headers: &[Header<'_>] = response.headers;
    let framed = framing(headers, version)?;
    let body = match status {
        100..=199 | 204 | 304 => Body::Done,
        200..=299 if to == Kind::Connect => Body::Done,
        _ if to == Kind::Head => Body::Done,
        _ => framed.unwrap_or(Body::Rest),
    };
    let head = ResponseHead {
        status,
        content_type: named(headers, "content-type").next(),
        encoded: is_encoded(headers),
        closes: body == Body::Rest || version == 0 || says(headers, "connection", b"close"),
        body,
    };
    Ok(Some((length, head)))
}

fn departure(error: httparse::Error) -> Departure {
    match error {
        httparse::Error::TooManyHeaders => Departure::OverLimit,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Departure::Malformed,
    }
}

/// Every line must end in CR LF.
fn check_lines(head: &[u8]) -> Result<(), Departure> {
    let ends_well = |at: usize| at.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r');
    if memchr::memchr_iter(b'\n', head).all(ends_well) {
        Ok(())
    } else {
        Err(Departure::Malformed)
    }
}

/// The values of the fields with this name.
fn named<'a, 'h>(headers: &'a [Header<'h>], name: &'a str) -> impl Iterator<Item = &'h [u8]> + use<'a, 'h> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// Whether a list field holds this token.
fn says(headers: &[Header<'_>], name: &str, token: &[u8]) -> bool {
    named(headers, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

fn is_encoded(headers: &[Header<'_>]) -> bool {
    named(headers, "content-encoding").any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// How long the body is (RFC 9112 §6.3); `None` where no field says.
fn framing(headers: &[Header<'_>], version: u8) -> Result<Option<Body>, Departure> {
    let mut lengths = named(headers, "content-length");
    let mut codings = named(headers, "transfer-encoding");
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() || (length.is_some() && coding.is_some()) {
        return Err(Departure::Malformed);
    }
    match (length, coding) {
        (Some(digits), _) => {
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                return Err(Departure::Malformed);
            }
            let length = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| text.parse().ok());
            match length {
                Some(0) => Ok(Some(Body::Done)),
                Some(length) => Ok(Some(Body::Length(length))),
                None => Err(Departure::Malformed),
            }
        }
        // Other codings in front of it (gzip) are nobody's practice, and each server's guess.
        (None, Some(coding)) if version == 1 && coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(CHUNKED)),
        (None, Some(_)) => Err(Departure::Malformed),
        (None, None) => Ok(None),
    }
}

/// Authority and path of a request target (RFC 9112 §3.2).
fn split_target(kind: Kind, target: &str) -> (Option<&[u8]>, &str) {
    if kind == Kind::Connect {
        return (Some(target.as_bytes()), "");
    }
    if target.starts_with('/') {
        return (None, target);
    }
    let Some((_, behind)) = target.split_once("://") else {
        return (None, target);
    };
    let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    let (authority, path) = behind.split_at_checked(end).unwrap_or((behind, ""));
    (Some(authority.as_bytes()), path)
}
