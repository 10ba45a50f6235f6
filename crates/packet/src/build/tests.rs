use std::net::SocketAddr;

use super::*;
use crate::{
    Checksums, IcmpMessage, IpProtocol, LinkType, Malformed, Packet, TcpFlags, Transport, VlanTags, parse,
};

fn ends(v6: bool) -> Ends {
    let (src, dst) = if v6 {
        ("[2001:db8::1]:40000", "[2001:db8:1::53]:53")
    } else {
        ("192.0.2.1:40000", "198.51.100.53:53")
    };
    Ends::new(src.parse().unwrap(), dst.parse().unwrap())
}

fn segment(payload: &[u8]) -> Segment<'_> {
    Segment {
        seq: 0xfffe_0001,
        ack: 77,
        flags: TcpFlags::PSH | TcpFlags::ACK,
        window: 4096,
        payload,
    }
}

fn verified(frame: &[u8]) -> Packet<'_> {
    parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap()
}

fn udp_of<'a>(packet: &Packet<'a>) -> (SocketAddr, SocketAddr, &'a [u8]) {
    let ip = packet.ip().unwrap();
    let Transport::Udp(udp) = ip.transport else {
        panic!("no UDP: {packet:?}")
    };
    assert_eq!(udp.payload_len as usize, udp.payload.len());
    (
        (ip.src, udp.sport).into(),
        (ip.dst, udp.dport).into(),
        udp.payload,
    )
}

#[test]
fn fresh_frames_carry_what_was_asked_and_right_checksums() {
    for v6 in [false, true] {
        for vlans in [VlanTags::NONE, VlanTags::single(7), VlanTags::double(100, 200)] {
            let ends = ends(v6).in_vlans(vlans);
            // Odd and even lengths, and none.
            for payload in [&b""[..], b"a", b"odd", b"even"] {
                let frame = ethernet_udp(&ends, payload);
                let packet = verified(&frame);
                assert_eq!(udp_of(&packet), (ends.src, ends.dst, payload));
                assert_eq!(packet.link().vlans, vlans);
                assert_eq!(packet.link().source, Some(ends.src_mac));
                assert_eq!(packet.link().destination, Some(ends.dst_mac));

                let frame = ethernet_tcp(&ends, &segment(payload));
                let packet = verified(&frame);
                let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
                    panic!("no TCP")
                };
                assert_eq!((tcp.sport, tcp.dport), (40000, 53));
                assert_eq!((tcp.seq, tcp.ack, tcp.window), (0xfffe_0001, 77, 4096));
                assert_eq!(tcp.flags, TcpFlags::PSH | TcpFlags::ACK);
                assert_eq!(tcp.payload, payload);

                let frame = ethernet_icmp_echo(&ends, true, 9, 10, payload);
                let packet = verified(&frame);
                let Transport::Icmp(icmp) = packet.ip().unwrap().transport else {
                    panic!("no ICMP")
                };
                assert_eq!(icmp.v6, v6);
                let echo = IcmpMessage::Echo {
                    identifier: 9,
                    sequence: 10,
                    request: true,
                };
                assert_eq!(icmp.message, echo);
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_packet_is_a_wrong_checksum_or_worse() {
    for v6 in [false, true] {
        let whole = [
            ethernet_udp(&ends(v6), b"payload"),
            ethernet_tcp(&ends(v6), &segment(b"payload")),
            ethernet_icmp_echo(&ends(v6), false, 1, 2, b"payload"),
        ];
        for frame in whole {
            // IPv6 has no checksum over traffic class, flow label and hop limit.
            let covered = if v6 { 22..frame.len() } else { 14..frame.len() };
            for at in covered {
                let mut broken = frame.clone();
                broken[at] ^= 0x10;
                let result = parse(LinkType::Ethernet, &broken, broken.len(), Checksums::Verify);
                // A changed protocol number hides the transport's checksum from us.
                let opaque = matches!(
                    result.as_ref().map(|packet| packet.ip().unwrap().transport),
                    Ok(Transport::Other { .. })
                );
                assert!(result.is_err() || opaque, "byte {at} of {frame:02x?}");
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_only_looked_at_when_asked() {
    let mut frame = ethernet_udp(&ends(false), b"payload");
    *frame.last_mut().unwrap() ^= 1;
    let verified = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify);
    assert_eq!(verified, Err(Malformed::BadChecksum));
    let ignored = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Ignore).unwrap();
    assert_eq!(udp_of(&ignored).2, b"payloae");
}

#[test]
fn udp_without_checksum_is_fine_in_ipv4_only() {
    for (v6, verdict) in [(false, true), (true, false)] {
        let mut frame = ethernet_udp(&ends(v6), b"payload");
        let checksum_at = frame.len() - b"payload".len() - 2;
        frame[checksum_at..checksum_at + 2].fill(0);
        let parsed = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify);
        assert_eq!(parsed.is_ok(), verdict);
    }
}

#[test]
fn a_computed_udp_checksum_of_zero_is_written_as_ones() {
    // Two payload bytes that bring the sum to all ones: found by trying them all.
    let zero = (0..=u16::MAX).map(u16::to_be_bytes).find_map(|payload| {
        let frame = ethernet_udp(&ends(false), &payload);
        (frame[40..42] == [0xff, 0xff]).then_some(frame)
    });
    verified(&zero.expect("some payload has that checksum"));
    let forbidden = (0..=u16::MAX).map(u16::to_be_bytes).any(|payload| {
        let frame = ethernet_udp(&ends(false), &payload);
        frame[40..42] == [0, 0]
    });
    assert!(!forbidden);
}

#[test]
fn replies_turn_round_and_replacements_do_not() {
    let mut out = vec![0xee; 9];
    for v6 in [false, true] {
        let mut ends = ends(v6).in_vlans(VlanTags::double(5, 6));
        ends.hop_limit = 17;
        let mut frame = ethernet_udp(&ends, b"question");
        // A priority in the outer tag, to be kept.
        frame[14] |= 0xa0;
        let query = verified(&frame);

        assert!(udp_reply(&query, b"an answer", &mut out));
        let reply = verified(&out);
        assert_eq!(udp_of(&reply), (ends.dst, ends.src, &b"an answer"[..]));
        assert_eq!(out[0..6], ends.src_mac.0);
        assert_eq!(out[6..12], ends.dst_mac.0);
        assert_eq!(out[12..22], frame[12..22]);
        assert_eq!(reply.ip().unwrap().hop_limit, 64);

        assert!(udp_replacement(&query, b"other", &mut out));
        let replacement = verified(&out);
        assert_eq!(udp_of(&replacement), (ends.src, ends.dst, &b"other"[..]));
        assert_eq!(out[..22], frame[..22]);
        assert_eq!(replacement.ip().unwrap().hop_limit, 17);
    }
}

#[test]
fn resets_reach_both_ends() {
    let mut out = Vec::new();
    let reset = Segment {
        seq: 1,
        ack: 2,
        flags: TcpFlags::RST | TcpFlags::ACK,
        window: 0,
        payload: b"",
    };
    for v6 in [false, true] {
        let ends = ends(v6);
        let frame = ethernet_tcp(&ends, &segment(b"data"));
        let packet = verified(&frame);
        let tuple = packet.flow_tuple().unwrap();
        assert!(tcp_toward_source(&packet, &reset, &mut out));
        let back = verified(&out);
        assert_eq!(back.flow_tuple(), Some(tuple.reversed()));
        assert_eq!(back.link().destination, Some(ends.src_mac));
        assert!(tcp_toward_destination(&packet, &reset, &mut out));
        let on = verified(&out);
        assert_eq!(on.flow_tuple(), Some(tuple));
        assert_eq!(on.link().destination, Some(ends.dst_mac));
        let Transport::Tcp(tcp) = on.ip().unwrap().transport else {
            panic!("no TCP")
        };
        assert_eq!((tcp.seq, tcp.ack, tcp.flags), (1, 2, reset.flags));
        assert_eq!((tcp.payload_len, tcp.payload), (0, &b""[..]));
    }
}

#[test]
fn what_cannot_be_built_leaves_nothing() {
    let mut out = vec![1, 2, 3];
    let udp = ethernet_udp(&ends(false), b"x");
    let tcp = ethernet_tcp(&ends(false), &segment(b"x"));
    assert!(!udp_reply(&verified(&tcp), b"x", &mut out));
    assert!(out.is_empty());
    assert!(!tcp_toward_source(&verified(&udp), &segment(b""), &mut out));
    assert!(!udp_reply(&verified(&udp), &vec![0; 65_508], &mut out));
    assert!(out.is_empty());
    assert!(udp_reply(&verified(&udp), &vec![0; 65_507], &mut out));
    verified(&out);
    assert!(ethernet_udp(&ends(false), &vec![0; 65_508]).is_empty());
    assert!(ethernet_tcp(&ends(true), &segment(&vec![0; 65_516])).is_empty());
}

#[test]
fn replies_fit_every_link_type() {
    let mut out = Vec::new();
    let kinds = [
        LinkType::Ethernet,
        LinkType::RawIp,
        LinkType::Sll,
        LinkType::Sll2,
        LinkType::Null,
        LinkType::Ppp,
    ];
    for kind in kinds {
        for v6 in [false, true] {
            let ends = ends(v6);
            let frame = with_link(&ethernet_udp(&ends, b"question"), kind);
            let query = parse(kind, &frame, frame.len(), Checksums::Verify).unwrap();
            assert!(udp_reply(&query, b"answer", &mut out));
            let reply = parse(kind, &out, out.len(), Checksums::Verify).unwrap();
            assert_eq!(udp_of(&reply), (ends.dst, ends.src, &b"answer"[..]));
            assert_eq!(reply.link().header_len, query.link().header_len);
        }
    }
}

#[test]
fn link_layer_lengths_follow_the_payload() {
    let ends = ends(false);
    let packet = &ethernet_udp(&ends, b"question")[14..];
    let length = |extra: usize| u16::try_from(packet.len() + extra).unwrap().to_be_bytes();
    let mut pppoe = [&ends.dst_mac.0[..], &ends.src_mac.0, &[0x88, 0x64, 0x11, 0, 0, 9]].concat();
    pppoe.extend_from_slice(&length(2));
    pppoe.extend_from_slice(&[0, 0x21]);
    let mut snap = [&ends.dst_mac.0[..], &ends.src_mac.0, &length(8)].concat();
    snap.extend_from_slice(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
    for (header, length_at, counted) in [(pppoe, 18, 2), (snap, 12, 8)] {
        let frame = [&header, packet].concat();
        let query = verified(&frame);
        assert_eq!(query.link().header_len, header.len());
        let mut out = Vec::new();
        assert!(udp_reply(&query, b"a longer answer", &mut out));
        let reply = verified(&out);
        assert_eq!(udp_of(&reply), (ends.dst, ends.src, &b"a longer answer"[..]));
        let said = u16::from_be_bytes([out[length_at], out[length_at + 1]]);
        assert_eq!(usize::from(said), out.len() - header.len() + counted);
    }
}

#[test]
fn fragments_cover_the_datagram_once_and_in_order() {
    let payload: Vec<u8> = (0..=255).cycle().take(3001).collect();
    for v6 in [false, true] {
        let frame = ethernet_udp(&ends(v6), &payload);
        let pieces = fragment(&frame, 1400);
        assert_eq!(pieces.len(), 3);
        let mut next = 0;
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.len() - 14 <= 1400);
            let packet = verified(piece);
            assert_eq!(packet.flow_tuple(), None);
            let ip = packet.ip().unwrap();
            assert_eq!(ip.protocol, IpProtocol::UDP);
            let info = ip.fragment.unwrap();
            assert_eq!(info.offset, next);
            assert_eq!(info.more, index < 2);
            next += u16::try_from(ip.payload_len).unwrap();
        }
        assert_eq!(usize::from(next), payload.len() + 8);
        assert_eq!(fragment(&frame, 9000), vec![frame]);
    }
}
