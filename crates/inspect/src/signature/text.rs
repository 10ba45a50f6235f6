//! Protocols that speak in lines.

use crate::{Application, Ports};

/// How far into a line a word is searched.
const LINE: usize = 128;

/// Request methods of HTTP and its extensions (IANA HTTP Method Registry).
const HTTP_METHODS: [&[u8]; 24] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MERGE",
    b"CHECKOUT",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"PURGE",
    b"BITS_POST",
];

/// A request line or a status line: HTTP, or one of the protocols made in its image.
pub(super) fn request_or_status(seen: &[u8]) -> Option<Application> {
    if seen.starts_with(b"HTTP/1.") || seen.starts_with(b"PRI * HTTP/2.0\r\n") {
        return Some(Application::WebBrowsing);
    }
    if seen.starts_with(b"RTSP/1.") || seen.starts_with(b"RTSP/2.") {
        return Some(Application::Rtsp);
    }
    if seen.starts_with(b"SIP/2.0 ") {
        return Some(Application::Sip);
    }
    let space = seen.iter().take(16).position(|&byte| byte == b' ')?;
    let (method, rest) = seen.split_at_checked(space)?;
    let target = rest.get(1..)?;
    if method.is_empty()
        || !method
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'))
    {
        return None;
    }
    if target.starts_with(b"sip:") || target.starts_with(b"sips:") || target.starts_with(b"tel:") {
        return Some(Application::Sip);
    }
    if target.starts_with(b"rtsp://") || target.starts_with(b"rtsps://") || target.starts_with(b"rtspu://") {
        return Some(Application::Rtsp);
    }
    if method == b"CONNECT" {
        let line = target.get(..LINE).unwrap_or(target);
        return line.contains(&b':').then_some(Application::HttpProxy);
    }
    if !HTTP_METHODS.contains(&method) {
        return None;
    }
    // `OPTIONS *` is complete only with the protocol behind it: RTSP has it too.
    match target {
        [b'/', ..] => Some(rtsp_or_http(target)),
        [b'*', b' ', protocol @ ..] if !protocol.is_empty() => Some(rtsp_or_http(protocol)),
        _ => (starts_like(target, b"http://") || starts_like(target, b"https://"))
            .then_some(Application::WebBrowsing),
    }
}

/// Whether the bytes begin with all of `what`, ignoring case.
fn starts_like(bytes: &[u8], what: &[u8]) -> bool {
    bytes
        .get(..what.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(what))
}

/// RTSP with a bare path shares HTTP's methods; its version tells.
fn rtsp_or_http(target: &[u8]) -> Application {
    let line = target.get(..LINE).unwrap_or(target);
    let line = line.split(|&byte| byte == b'\r').next().unwrap_or_default();
    if line.ends_with(b"RTSP/1.0") || line.starts_with(b"RTSP/") {
        Application::Rtsp
    } else {
        Application::WebBrowsing
    }
}

/// Device discovery, in HTTP's image over UDP.
pub(super) fn discovery(ports: Ports, payload: &[u8]) -> Option<Application> {
    let ssdp = payload.starts_with(b"M-SEARCH * HTTP/1.1")
        || payload.starts_with(b"NOTIFY * HTTP/1.1")
        || payload.starts_with(b"HTTP/1.1 200 OK") && ports.either(1900);
    ssdp.then_some(Application::Ssdp)
}

/// Syslog: a priority in angle brackets (RFC 5424 §6.2.1).
pub(super) fn is_syslog(ports: Ports, payload: &[u8]) -> bool {
    let digits = payload
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    payload.first() == Some(&b'<')
        && (1..=3).contains(&digits)
        && payload.get(digits.saturating_add(1)) == Some(&b'>')
        && ports.any_of(&[514, 601])
}

/// Mail, file transfer and the like: what the server greets with and what the client answers.
pub(super) fn greeted(ports: Ports, client: &[u8], server: &[u8]) -> Option<Application> {
    let greeting = server.get(..LINE).unwrap_or(server);
    if server.starts_with(b"* OK") || server.starts_with(b"* PREAUTH") {
        return Some(Application::Imap);
    }
    if server.starts_with(b"+OK") && (ports.either(110) || client.is_empty() || is_pop_command(client)) {
        return Some(Application::Pop3);
    }
    if client.starts_with(b"EHLO ") || client.starts_with(b"HELO ") {
        return Some(Application::Smtp);
    }
    if server.starts_with(b"220") {
        if contains(greeting, b"SMTP") || ports.any_of(&[25, 465, 587, 2525]) {
            return Some(Application::Smtp);
        }
        let logs_in = [&b"USER "[..], b"AUTH TLS", b"AUTH SSL"]
            .iter()
            .any(|command| client.starts_with(command));
        if contains(greeting, b"FTP") || logs_in || ports.either(21) {
            return Some(Application::Ftp);
        }
    }
    None
}

fn is_pop_command(client: &[u8]) -> bool {
    [&b"USER "[..], b"CAPA", b"APOP ", b"AUTH", b"STLS"]
        .iter()
        .any(|command| starts_like(client, command))
}

/// Whether `line` holds `word` in any case.
fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
