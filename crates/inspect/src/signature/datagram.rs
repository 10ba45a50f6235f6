//! Protocols over UDP.

use super::{binary, quic, text, u16_at, u32_at};
use crate::{Application, Ports, dns};

/// The start of the last datagram of each side, for protocols that only show in sequence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard<'h> {
    /// The start of the same side's last datagram.
    pub(crate) same: &'h [u8],
    /// The start of the other side's last datagram.
    pub(crate) other: &'h [u8],
}

/// What this datagram is.
pub(crate) fn datagram(ports: Ports, heard: Heard<'_>, payload: &[u8]) -> Option<Application> {
    link_local_naming(ports)
        .or_else(|| names(ports, payload))
        .or_else(|| quic::is_quic(ports, payload).then(|| quic(ports)))
        .or_else(|| infrastructure(ports, payload))
        .or_else(|| text::discovery(ports, payload))
        .or_else(|| {
            text::request_or_status(payload).filter(|app| matches!(app, Application::Sip | Application::Rtsp))
        })
        .or_else(|| text::is_syslog(ports, payload).then_some(Application::Syslog))
        .or_else(|| tunnels(ports, heard, payload))
        .or_else(|| peers(payload))
        .or_else(|| binary::asn1(payload))
        .or_else(|| is_rtp(heard.same, payload).then_some(Application::Rtp))
}

/// QUIC on the port of DNS over it (RFC 9250 §4.1.1).
fn quic(ports: Ports) -> Application {
    if ports.either(853) {
        Application::DnsOverQuic
    } else {
        Application::Quic
    }
}

/// Names asked of everyone on the link: told by the port, because the messages are DNS.
fn link_local_naming(ports: Ports) -> Option<Application> {
    match (ports.client, ports.server) {
        (5353, 5353) => Some(Application::Mdns),
        (5355, _) | (_, 5355) => Some(Application::Llmnr),
        _ => None,
    }
}

/// DNS on any port, and `NetBIOS` names, which are DNS messages of their own kind (RFC 1002 §4.2).
fn names(ports: Ports, payload: &[u8]) -> Option<Application> {
    if let Some(queried) = dns::first_question(payload)
        && queried.netbios()
    {
        return Some(Application::NetbiosNs);
    }
    if ports.either(137) && u16_at(payload, 4).is_some_and(|questions| questions <= 1) && payload.len() >= 50
    {
        return Some(Application::NetbiosNs);
    }
    dns::looks_like_dns(payload, ports.either(53)).then_some(Application::Dns)
}

/// What hosts need to run a network.
fn infrastructure(ports: Ports, payload: &[u8]) -> Option<Application> {
    if is_ntp(ports, payload) {
        return Some(Application::Ntp);
    }
    // The options' magic number stands behind the fixed part of a BOOTP message (RFC 2131 §3).
    if matches!(payload.first_chunk(), Some([1 | 2, _, 0..=16])) && u32_at(payload, 236) == Some(0x6382_5363)
    {
        return Some(Application::Dhcp);
    }
    if ports.any_of(&[546, 547]) && matches!(payload.first(), Some(1..=13)) && payload.len() >= 4 {
        return Some(Application::Dhcpv6);
    }
    if is_stun(ports, payload) {
        return Some(Application::Stun);
    }
    if binary::is_radius(ports.any_of(&[1812, 1813, 1645, 1646, 3799]), payload) {
        return Some(Application::Radius);
    }
    if ports.either(138) && matches!(payload.first(), Some(0x10..=0x16)) && payload.len() >= 10 {
        return Some(Application::NetbiosDg);
    }
    if ports.server == 69 && matches!(payload.first_chunk(), Some([0, 1 | 2])) {
        return Some(Application::Tftp);
    }
    None
}

/// NTP (RFC 5905 §7.3): by its port, or by a whole header in which every field makes sense.
fn is_ntp(ports: Ports, payload: &[u8]) -> bool {
    let Some(&[first, stratum, poll, precision, delay0, delay1, .., d0, d1, _, _]) =
        payload.first_chunk::<12>()
    else {
        return false;
    };
    let (version, mode) = (first >> 3 & 7, first & 7);
    if ports.either(123) {
        return (1..=4).contains(&version) && mode > 0;
    }
    // Root delay and dispersion are seconds in their upper halves.
    payload.len() == 48
        && (3..=4).contains(&version)
        && (1..=5).contains(&mode)
        && stratum <= 16
        && poll <= 17
        && (precision == 0 || precision >= 0xe0)
        && (delay0, d0) == (0, 0)
        && delay1 < 16
        && d1 < 16
        && payload
            .get(40..48)
            .is_some_and(|sent| sent.iter().any(|byte| *byte != 0))
}

/// STUN and TURN (RFC 8489 §5): the magic cookie, or the older form on its own ports.
fn is_stun(ports: Ports, payload: &[u8]) -> bool {
    let (Some(kind), Some(length)) = (u16_at(payload, 0), u16_at(payload, 2).map(usize::from)) else {
        return false;
    };
    let whole = length.saturating_add(20) == payload.len();
    let cookie = u32_at(payload, 4) == Some(0x2112_a442);
    kind < 0x4000
        && payload.len() >= 20
        && (cookie
            || whole && matches!(kind & !0x0110, 1..=9) && (3478..=3481).any(|port| ports.either(port)))
}

/// Private networks over UDP.
fn tunnels(ports: Ports, heard: Heard<'_>, payload: &[u8]) -> Option<Application> {
    if binary::is_ike(payload) {
        return Some(Application::Ike);
    }
    if ports.either(4500) && matches!(u32_at(payload, 0), Some(256..)) && payload.len() >= 24 {
        return Some(Application::IpsecEspUdp);
    }
    if is_wireguard(payload) {
        return Some(Application::Wireguard);
    }
    let openvpn = payload.len() >= binary::OPEN_VPN_RESET
        && (binary::open_vpn_pair(heard.other, payload)
            || binary::open_vpn_pair(payload, heard.other)
            || binary::open_vpn_continues(heard.same, payload)
            || ports.either(1194) && matches!(payload.first(), Some(0x38 | 0x40 | 0x50)));
    openvpn.then_some(Application::OpenVpn)
}

/// `WireGuard`: four types of message, each with a length of its own.
fn is_wireguard(payload: &[u8]) -> bool {
    match (payload.first_chunk(), payload.len()) {
        (Some([1, 0, 0, 0]), 148) | (Some([2, 0, 0, 0]), 92) | (Some([3, 0, 0, 0]), 64) => true,
        // Data: receiver, counter, and a tag, padded to 16 bytes. A young counter's upper half is zero.
        (Some([4, 0, 0, 0]), length) => {
            length >= 32 && length.is_multiple_of(16) && u32_at(payload, 12) == Some(0)
        }
        _ => false,
    }
}

/// `BitTorrent`: the distributed hash table (BEP 5) and trackers over UDP (BEP 15).
fn peers(payload: &[u8]) -> Option<Application> {
    let table = [&b"d1:ad2:id20:"[..], b"d1:rd2:id20:", b"d1:eli20", b"d2:ip6:"]
        .iter()
        .any(|start| payload.starts_with(start));
    let tracker = payload.starts_with(&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0]);
    (table || tracker).then_some(Application::BitTorrent)
}

/// RTP (RFC 3550 §5.1): two datagrams in sequence, of one source and one kind.
fn is_rtp(last: &[u8], payload: &[u8]) -> bool {
    let (Some(&[first, kind]), Some(&[last_first, last_kind])) = (payload.first_chunk(), last.first_chunk())
    else {
        return false;
    };
    let step = u16_at(payload, 2)
        .zip(u16_at(last, 2))
        .map(|(now, before)| now.wrapping_sub(before));
    let source = u32_at(payload, 8);
    first >> 6 == 2
        && last_first >> 6 == 2
        && kind & 0x7f == last_kind & 0x7f
        && !(64..96).contains(&(kind & 0x7f))
        && matches!(step, Some(1..=16))
        && source.is_some()
        && source == u32_at(last, 8)
}
