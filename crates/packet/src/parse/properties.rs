//! What must hold for every frame, however it came to be.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    FlowKey, FragmentLimits, IcmpMessage, IpProtocol, Outline, Reassembler, Tcp, TcpFlags, Timestamp,
    Transport, VlanTags, Wire,
    build::{self, Ends, Segment},
    crosses_always, fragment_hash,
};

const KINDS: [LinkType; 6] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Sll,
    LinkType::Sll2,
    LinkType::Null,
    LinkType::Ppp,
];

fn ends() -> impl Strategy<Value = Ends> {
    let vlans = prop_oneof![
        3 => Just(VlanTags::NONE),
        2 => any::<u16>().prop_map(VlanTags::single),
        1 => any::<(u16, u16)>().prop_map(|(outer, inner)| VlanTags::double(outer, inner)),
    ];
    (any::<(bool, [u8; 16], [u8; 16], u16, u16, u8)>(), vlans).prop_map(|(fields, vlans)| {
        let (v6, src, dst, sport, dport, hop_limit) = fields;
        let address = |octets: [u8; 16]| -> std::net::IpAddr {
            if v6 {
                octets.into()
            } else {
                [octets[0], octets[1], octets[2], octets[3]].into()
            }
        };
        let mut ends = Ends::new((address(src), sport).into(), (address(dst), dport).into());
        ends.vlans = vlans;
        ends.hop_limit = hop_limit;
        ends
    })
}

/// Sound Ethernet frames of every shape the builder knows.
fn sound_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = vec(any::<u8>(), 0..80);
    let options = vec(select(vec![0_u8, 1, 2, 3, 4, 8, 10, 34]), 0..44);
    (ends(), payload, options, any::<(u8, u32, u32, u8, u16)>()).prop_map(
        |(ends, payload, options, (shape, seq, ack, flags, window))| {
            let segment = Segment {
                seq,
                ack,
                flags: TcpFlags(flags),
                window,
                payload: &payload,
            };
            match shape % 8 {
                0..=2 => build::ethernet_udp(&ends, &payload),
                3 | 4 => build::ethernet_tcp_with_options(&ends, &segment, &options),
                5 => build::ethernet_icmp_echo(&ends, flags & 1 == 0, window, 1, &payload),
                6 => {
                    let quoted = build::ethernet_udp(&ends, &payload);
                    let header = parse(LinkType::Ethernet, &quoted, quoted.len(), Checksums::Verify)
                        .unwrap()
                        .link()
                        .header_len;
                    build::ethernet_icmp_error(&ends.reversed(), 3, 3, &quoted[header..])
                }
                _ => {
                    let opaque = [4, 41, 47, 50, 51, 89, 132, 255];
                    let protocol = opaque[usize::from(flags) % opaque.len()];
                    build::ethernet_ip(&ends, IpProtocol(protocol), &payload)
                }
            }
        },
    )
}

/// A frame, with its length on the wire, that may be padded, cut or damaged.
fn any_frame() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    // Damage mostly in the headers: that is where decisions are made.
    let header_damage = vec((0_usize..70, any::<u8>()), 0..4);
    (
        sound_frame(),
        damage,
        header_damage,
        0_usize..20,
        proptest::option::weighted(0.3, any::<prop::sample::Index>()),
        any::<bool>(),
    )
        .prop_map(|(mut frame, damage, header_damage, padding, cut, tell)| {
            frame.resize(frame.len() + padding, 0xa5);
            for (at, byte) in damage {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            for (at, byte) in header_damage {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            let original = frame.len();
            if let Some(cut) = cut {
                frame.truncate(cut.index(original));
            }
            let original = if tell { original } else { frame.len() };
            (frame, original)
        })
}

/// Everything that can be asked of a packet, and everything that can be made of it.
fn exercise(kind: LinkType, frame: &[u8], original: usize) {
    for checksums in [Checksums::Ignore, Checksums::Verify] {
        let Ok(packet) = parse(kind, frame, original, checksums) else {
            continue;
        };
        assert_eq!(packet.link().kind, kind);
        assert!(packet.link().header_len <= frame.len());
        assert_eq!(packet.original_len(), original.max(frame.len()));
        let _ = (crosses_always(&packet), fragment_hash(Wire(0), &packet));
        if let Some(ip) = packet.ip() {
            assert_eq!(ip.src.is_ipv4(), ip.dst.is_ipv4());
            let fragment = matches!(ip.transport, Transport::Fragment { .. });
            assert_eq!(packet.flow_tuple().is_none(), fragment);
            assert_eq!(ip.fragment.is_some(), fragment);
            let (payload, sent) = match ip.transport {
                Transport::Tcp(tcp) => (tcp.payload, tcp.payload_len),
                Transport::Udp(udp) => (udp.payload, udp.payload_len),
                Transport::Other { payload } | Transport::Fragment { payload } => (payload, ip.payload_len),
                Transport::Icmp(_) => (&[][..], 0),
            };
            assert!(payload.len() <= sent as usize && sent <= ip.payload_len);
            assert!(sent as usize <= packet.original_len());
        }
        let mut out = Vec::new();
        let segment = Segment {
            seq: 1,
            ack: 2,
            flags: TcpFlags::RST,
            window: 0,
            payload: b"x",
        };
        let built = [
            build::udp_reply(&packet, b"reply", &mut out),
            check(kind, &out),
            build::udp_replacement(&packet, b"", &mut out),
            check(kind, &out),
            build::tcp_toward_source(&packet, &segment, &mut out),
            check(kind, &out),
            build::tcp_toward_destination(&packet, &segment, &mut out),
            check(kind, &out),
        ];
        for pair in built.chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let mut table = Reassembler::new(FragmentLimits::default());
        let _ = table.push(Timestamp::ZERO, Wire(0), &packet, ());
    }
}

/// Whether a built frame is there; it must then be sound.
fn check(kind: LinkType, frame: &[u8]) -> bool {
    if frame.is_empty() {
        return false;
    }
    let packet = parse(kind, frame, frame.len(), Checksums::Verify).unwrap();
    assert!(packet.flow_tuple().is_some());
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Where the quick check has an answer, the thorough way has the same.
    #[test]
    fn quick_is_right_where_it_answers((frame, original) in any_frame()) {
        let original = original.max(frame.len());
        if let Some(packet) = quick::parse(&frame, original) {
            prop_assert_eq!(Ok(packet), parse_thoroughly(LinkType::Ethernet, &frame, original));
        }
    }

    /// Where a frame has an outline, the thorough way finds the same flow, payload and sequence numbers.
    #[test]
    fn an_outline_says_what_the_packet_says((frame, original) in any_frame(), wire in any::<u16>(), seed in any::<u64>()) {
        let original = original.max(frame.len());
        let (wire, thorough) = (Wire(wire), parse_thoroughly(LinkType::Ethernet, &frame, original));
        let Some(outline) = Outline::of_ethernet(&frame, original, wire, seed) else {
            // Only these have none.
            let common = thorough.ok().is_some_and(|packet| {
                packet.link().vlans.inner().is_none()
                    && matches!(packet.link().ethertype, Link::IPV4 | Link::IPV6)
                    && matches!(packet.ip().unwrap().transport, Transport::Tcp(_) | Transport::Udp(_))
                    && quick::parse(&frame, original).is_some()
                    && packet.encapsulation().is_none()
            });
            let tunnel_port = thorough.ok().and_then(|packet| packet.flow_tuple())
                .is_some_and(|tuple| [2152, 4789, 6081, 8472].contains(&tuple.dport));
            prop_assert!(!common || tunnel_port);
            return Ok(());
        };
        let packet = thorough.unwrap();
        let key = FlowKey::new(wire, packet.link().vlans, &packet.flow_tuple().unwrap());
        prop_assert_eq!(outline.key(), &key);
        prop_assert_eq!(outline.hash(), key.symmetric_hash(seed));
        prop_assert_eq!(packet.inside(seed), Ok(None));
        match packet.ip().unwrap().transport {
            Transport::Tcp(tcp) => {
                prop_assert_eq!(outline.payload(&frame), tcp.payload);
                let bare = Tcp { window_scale: None, mss: None, options: &[], payload: &[], ..tcp };
                prop_assert_eq!(outline.tcp(), Some(bare));
            }
            Transport::Udp(udp) => {
                prop_assert_eq!(outline.payload(&frame), udp.payload);
                prop_assert_eq!(outline.tcp(), None);
            }
            other @ (Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. }) => {
                prop_assert!(false, "{:?}", other);
            }
        }
    }

    /// And it does answer for the shapes it was made for.
    #[test]
    fn quick_answers_for_common_shapes(frame in sound_frame(), padding in 0_usize..20) {
        let mut frame = frame;
        frame.resize(frame.len() + padding, 0);
        let packet = parse_thoroughly(LinkType::Ethernet, &frame, frame.len()).unwrap();
        let common = packet.link().vlans.inner().is_none()
            && matches!(packet.ip().unwrap().transport, Transport::Tcp(_) | Transport::Udp(_));
        prop_assert_eq!(quick::parse(&frame, frame.len()), common.then_some(packet));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in vec(any::<u8>(), 0..120),
        original in 0_usize..200,
    ) {
        for kind in KINDS {
            exercise(kind, &bytes, original);
        }
    }

    /// Arbitrary bytes hardly ever get past the link header; here they are IP, of either version, at once.
    #[test]
    fn arbitrary_packets_never_panic(
        v6 in any::<bool>(),
        next in select(vec![0_u8, 1, 6, 17, 43, 44, 58, 59, 60]),
        bytes in vec(prop_oneof![select(vec![0_u8, 1, 6, 17, 43, 44, 58, 60]), any::<u8>()], 40..160),
    ) {
        let mut packet = bytes;
        packet[0] = if v6 { 0x60 } else { 0x40 | (packet[0] & 7) };
        let length = u16::try_from(packet.len()).unwrap();
        if v6 {
            packet[6] = next;
            packet[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        } else {
            packet[9] = next;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
        }
        exercise(LinkType::RawIp, &packet, packet.len());
    }

    #[test]
    fn damaged_frames_never_panic((frame, original) in any_frame()) {
        for kind in KINDS {
            let frame = build::with_link(&frame, kind);
            exercise(kind, &frame, original);
        }
    }

    /// A cut changes nothing but how much of the payload is there, as long as the headers are.
    #[test]
    fn cut_frames_are_judged_on_what_is_there(frame in sound_frame(), cut in any::<prop::sample::Index>()) {
        let whole = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify).unwrap();
        let cut = &frame[..cut.index(frame.len())];
        if let Ok(packet) = parse(LinkType::Ethernet, cut, frame.len(), Checksums::Verify) {
            prop_assert_eq!(packet.link(), whole.link());
            prop_assert_eq!(packet.flow_tuple(), whole.flow_tuple());
            prop_assert_eq!(
                packet.ip().map(|ip| (ip.payload_len, ip.hop_limit)),
                whole.ip().map(|ip| (ip.payload_len, ip.hop_limit))
            );
        } else {
            // Never for want of data.
            prop_assert!(cut.len() < whole.link().header_len + 40 + 20);
        }
    }

    /// An ICMP error finds the session of the packet it quotes, however little it quotes of it.
    #[test]
    fn errors_quote_the_tuple(inner in sound_frame(), keep in 0_usize..60) {
        let packet = parse(LinkType::Ethernet, &inner, inner.len(), Checksums::Verify).unwrap();
        let tuple = packet.flow_tuple().unwrap();
        let v6 = tuple.src.is_ipv6();
        let ip = &inner[packet.link().header_len..];
        let header_len = if v6 { 40 } else { 20 };
        let quote = &ip[..ip.len().min(header_len + keep)];
        let router = std::net::SocketAddr::from((tuple.dst, 0));
        let ends = Ends::new(router, (tuple.src, 0).into());
        let frame = build::ethernet_icmp_error(&ends, if v6 { 1 } else { 11 }, 0, quote);
        let error = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify).unwrap();
        let Transport::Icmp(icmp) = error.ip().unwrap().transport else {
            panic!("no ICMP: {error:?}")
        };
        let IcmpMessage::Error { quoted } = icmp.message else {
            panic!("no error: {icmp:?}")
        };
        match quoted {
            Some(quoted) => prop_assert_eq!(quoted, tuple),
            // Ports need four bytes; an identifier six; a type one.
            None => prop_assert!(keep < 6),
        }
    }
}
