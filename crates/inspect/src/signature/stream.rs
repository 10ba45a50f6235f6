//! Protocols over TCP.

use super::{binary, text, tls, u16_at, u32_at};
use crate::{Application, Ports, dns};

/// What the streams are, by the first bytes of the side that just spoke and of the other.
///
/// `complete` says that nothing will be added to `seen`: its signature is as long as it gets.
pub(crate) fn stream(
    ports: Ports,
    from_client: bool,
    seen: &[u8],
    other: &[u8],
    complete: bool,
) -> Option<Application> {
    let (client, server) = if from_client { (seen, other) } else { (other, seen) };
    if tls::is_tls(seen) {
        return Some(if ports.either(853) || from_client && tls::offers_dns(seen) {
            Application::DnsOverTls
        } else {
            Application::Ssl
        });
    }
    text::request_or_status(seen)
        .or_else(|| seen.starts_with(b"SSH-").then_some(Application::Ssh))
        .or_else(|| text::greeted(ports, client, server))
        .or_else(|| magic(ports, seen))
        .or_else(|| file_and_data(ports, client, server))
        .or_else(|| kerberos_or_ldap(ports, seen))
        .or_else(|| text::is_syslog(ports, seen).then_some(Application::Syslog))
        .or_else(|| is_open_vpn(client, server).then_some(Application::OpenVpn))
        .or_else(|| is_dns(seen, complete).then_some(Application::Dns))
}

/// `OpenVPN` puts the length of each packet in front of it.
fn is_open_vpn(client: &[u8], server: &[u8]) -> bool {
    let sent = |stream: &[u8]| u16_at(stream, 0).is_some_and(|length| (14..=512).contains(&length));
    sent(client)
        && sent(server)
        && binary::open_vpn_pair(
            client.get(2..).unwrap_or_default(),
            server.get(2..).unwrap_or_default(),
        )
}

fn is_dns(seen: &[u8], complete: bool) -> bool {
    match dns::looks_like_dns_tcp(seen) {
        dns::Likeness::Yes => true,
        // The header made sense, and the names do as far as they are known.
        dns::Likeness::Undecided => complete,
        dns::Likeness::No => false,
    }
}

/// Protocols that open with a fixed string of bytes.
fn magic(ports: Ports, seen: &[u8]) -> Option<Application> {
    Some(match seen {
        [0x13, b'B', b'i', b't', b'T', b'o', b'r', b'r', ..] => Application::BitTorrent,
        [b'R', b'F', b'B', b' ', b'0', b'0', b'0'..=b'9', ..] => Application::Vnc,
        [
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            ..,
        ] => Application::Bgp,
        [0xff, 0xfb..=0xfe, 0..=50, ..] => Application::Telnet,
        [0, 0x9c, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, ..] => Application::Pptp,
        [b'0', b'0', _, _, b'g', b'i', b't', b'-', ..] => Application::Git,
        [0x10, _, 0, 4, b'M', b'Q', b'T', b'T', ..]
        | [0x10, _, _, 0, 4, b'M', b'Q', b'T', b'T', ..]
        | [0x10, _, 0, 6, b'M', b'Q', b'I', b's', ..] => Application::Mqtt,
        [5, 0, 0..=19, 0..=3, 0x10, 0, 0, 0, ..] => Application::MsRpc,
        // STUN over TCP, framed by its own length (RFC 8489 §6.2.2).
        [0 | 1, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] => Application::Stun,
        _ if ports.either(1080) && is_socks(seen) => Application::Socks,
        _ => return None,
    })
}

/// A client's opening of SOCKS 5 (RFC 1928 §3) or 4.
fn is_socks(seen: &[u8]) -> bool {
    match seen {
        [5, methods, rest @ ..] => rest.len() == usize::from(*methods) && !rest.is_empty(),
        [4, 1 | 2, _, _, _, _, _, _, .., 0] => true,
        _ => false,
    }
}

/// File shares, remote desktops, databases: each begins with a length that must agree.
fn file_and_data(ports: Ports, client: &[u8], server: &[u8]) -> Option<Application> {
    if let Some([0, _, _, _, 0xfd..=0xff, b'S', b'M', b'B']) = client.first_chunk() {
        return Some(Application::MsSmb);
    }
    // A session request of `NetBIOS` (RFC 1002 §4.3.2), before SMB.
    if let Some([0x81, 0, 0, 0x44, 0x20]) = client.first_chunk() {
        return Some(Application::NetbiosSs);
    }
    if is_remote_desktop(ports, client) {
        return Some(Application::MsRdp);
    }
    // A start-up message of PostgreSQL 3, or its requests for encryption and cancelling.
    match (u32_at(client, 0), u32_at(client, 4)) {
        (Some(8), Some(80_877_103 | 80_877_104)) | (Some(16), Some(80_877_102)) => {
            return Some(Application::Postgres);
        }
        (Some(9..=10_000), Some(0x0003_0000)) if client.get(8..12) == Some(b"user") => {
            return Some(Application::Postgres);
        }
        _ => {}
    }
    // MySQL's greeting: length, packet 0, protocol 10, version in text.
    if let Some([_, 0..=3, 0, 0, 10, b'1'..=b'9']) = server.first_chunk() {
        return Some(Application::Mysql);
    }
    // TDS: a pre-login packet, whole, as the first of its connection.
    if let Some([0x12, 1, _, _, 0, 0, 0 | 1, 0, 0]) = client.first_chunk()
        && u16_at(client, 2).is_some_and(|length| (20..=512).contains(&length))
    {
        return Some(Application::MsSql);
    }
    None
}

/// A connection request of T.125 over TPKT with the marks of RDP ([MS-RDPBCGR] 2.2.1.1).
fn is_remote_desktop(ports: Ports, client: &[u8]) -> bool {
    let Some(&[3, 0, _, _, rest, 0xe0, 0, 0, 0, 0, 0]) = client.first_chunk() else {
        return false;
    };
    let behind = client.get(11..).unwrap_or_default();
    let consistent = u16_at(client, 2) == Some(u16::from(rest).saturating_add(5));
    consistent && (behind.starts_with(b"Cookie: ") || behind.starts_with(&[1, 0, 8, 0]) || ports.either(3389))
}

/// Directory and tickets; over TCP Kerberos stands behind a length of four bytes (RFC 4120 §7.2.2).
fn kerberos_or_ldap(ports: Ports, seen: &[u8]) -> Option<Application> {
    let framed = seen
        .get(4..)
        .filter(|_| u32_at(seen, 0).is_some_and(|length| length < 1 << 20));
    framed
        .and_then(binary::asn1)
        .filter(|app| *app == Application::Kerberos)
        .or_else(|| binary::asn1(seen).filter(|app| *app == Application::Ldap || ports.any_of(&[161, 162])))
}
