use std::net::{IpAddr, SocketAddr};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    Checksums, FragmentLimits, MAX_MPLS_LABELS, Reassembler, Reassembly, Timestamp, VlanTags,
    build::{self, Ends, Wrapping},
    parse,
};

const SEED: u64 = 7;

fn ends(number: u8) -> Ends {
    let end = |last| SocketAddr::from(([10, number, 0, last], 4000));
    Ends::new(end(1), end(2))
}

#[track_caller]
fn sound(frame: &[u8]) -> Packet<'_> {
    parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap()
}

#[track_caller]
fn inside<'a>(packet: &Packet<'a>) -> Packet<'a> {
    packet.inside(SEED).unwrap().expect("a packet inside")
}

fn id(frame: &[u8]) -> TunnelId {
    inside(&sound(frame)).tunnel().unwrap().id
}

fn every_wrapping() -> Vec<Wrapping> {
    let mut all = vec![
        Wrapping::IpInIp,
        Wrapping::GreBridge,
        Wrapping::Vxlan(42),
        Wrapping::Geneve(42, 0),
        Wrapping::Geneve(42, 252),
        Wrapping::GtpU(9),
    ];
    for key in [None, Some(0), Some(u32::MAX)] {
        for sequence in [None, Some(3)] {
            for checksum in [false, true] {
                all.push(Wrapping::Gre {
                    key,
                    sequence,
                    checksum,
                });
            }
        }
    }
    all
}

#[test]
fn what_is_inside_is_found_in_every_wrapping() {
    let inner = build::ethernet_udp(&ends(1).in_vlans(VlanTags::NONE), b"payload");
    for wrapping in every_wrapping() {
        let frame = build::in_tunnel(&ends(2).in_vlans(VlanTags::single(5)), wrapping, &inner);
        let outer = sound(&frame);
        let found = inside(&outer);
        assert_eq!(found.flow_tuple(), sound(&inner).flow_tuple(), "{wrapping:?}");
        assert_eq!(found.tunnel().unwrap().depth, 1);
        // The frame and its link are the outer one's.
        assert_eq!(found.frame(), &frame[..]);
        assert_eq!(found.link().source, outer.link().source);
        assert_eq!(found.link().vlans, VlanTags::single(5));
        assert_eq!(found.frame()[found.link().header_len..], inner[14..]);
        assert_eq!(found.inside(SEED), Ok(None));
    }
}

#[test]
fn both_directions_share_a_tunnel_and_others_do_not() {
    let inner = build::ethernet_udp(&ends(1), b"");
    for wrapping in every_wrapping() {
        let there = build::in_tunnel(&ends(2), wrapping, &inner);
        let mut back = ends(2).reversed();
        back.src.set_port(9);
        assert_eq!(id(&there), id(&build::in_tunnel(&back, wrapping, &inner)));
        assert_ne!(id(&there), id(&build::in_tunnel(&ends(3), wrapping, &inner)));
        assert_ne!(id(&there), TunnelId::NONE);
        let other_key = sound(&there).inside(SEED + 1).unwrap().unwrap();
        assert_ne!(id(&there), other_key.tunnel().unwrap().id);
    }
    let tunnels = [
        Wrapping::IpInIp,
        Wrapping::Vxlan(1),
        Wrapping::Vxlan(2),
        Wrapping::Geneve(1, 0),
        Wrapping::Gre {
            key: None,
            sequence: None,
            checksum: false,
        },
        Wrapping::Gre {
            key: Some(1),
            sequence: None,
            checksum: false,
        },
    ];
    let mut ids: Vec<_> = tunnels
        .iter()
        .map(|wrapping| id(&build::in_tunnel(&ends(2), *wrapping, &inner)))
        .collect();
    // VLANs inside are part of the tunnel; those outside are the flow key's.
    let tagged = build::ethernet_udp(&ends(1).in_vlans(VlanTags::single(7)), b"");
    ids.push(id(&build::in_tunnel(&ends(2), Wrapping::Vxlan(1), &tagged)));
    // So is the tunnel around.
    let nested = build::in_tunnel(&ends(2), Wrapping::Vxlan(1), &inner);
    let nested = build::in_tunnel(&ends(4), Wrapping::IpInIp, &nested);
    ids.push(inside(&inside(&sound(&nested))).tunnel().unwrap().id);
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_flow_inside_is_another_than_the_same_outside() {
    let inner = build::ethernet_udp(&ends(1), b"");
    let tuple = sound(&inner).flow_tuple().unwrap();
    let outside = FlowKey::new(Wire(0), VlanTags::NONE, &tuple);
    let within = outside.in_tunnel(id(&build::in_tunnel(&ends(2), Wrapping::IpInIp, &inner)));
    assert_ne!(outside, within);
    assert_ne!(outside.symmetric_hash(SEED), within.symmetric_hash(SEED));
    assert_eq!(
        within.symmetric_hash(SEED),
        within.reversed().symmetric_hash(SEED)
    );
    assert_eq!(within.reversed().tunnel(), within.tunnel());
}

/// A UDP frame to `port` with this payload.
fn to_port(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut ends = ends(2);
    ends.dst.set_port(port);
    build::ethernet_udp(&ends, payload)
}

fn behind(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

#[test]
fn headers_that_are_none_leave_an_ordinary_packet() {
    let inner = build::ethernet_udp(&ends(1), b"");
    let ip = &inner[14..];
    let opaque = |port, header: &[u8], rest: &[u8]| {
        let frame = to_port(port, &behind(header, rest));
        let packet = sound(&frame);
        (
            packet.encapsulation(),
            packet.inside(SEED).map(|inside| inside.is_some()),
        )
    };
    // No network named; version 1; another message than user data; GTP'.
    assert_eq!(opaque(4789, &[0; 8], &inner), (None, Ok(false)));
    assert_eq!(
        opaque(6081, &[0x40, 0, 0x65, 0x58, 0, 0, 0, 0], &inner),
        (None, Ok(false))
    );
    assert_eq!(opaque(2152, &[0x30, 1, 0, 28, 0, 0, 0, 0], ip), (None, Ok(false)));
    assert_eq!(
        opaque(2152, &[0x20, 255, 0, 28, 0, 0, 0, 0], ip),
        (None, Ok(false))
    );
    // The same bytes to another port.
    assert_eq!(opaque(4788, &[8, 0, 0, 0, 0, 0, 1, 0], &inner), (None, Ok(false)));
    // Reserved bits hide nothing on VXLAN's own port; the older one is shared.
    let odd = [0x88, 0, 1, 2, 0, 0, 1, 3];
    assert_eq!(opaque(4789, &odd, &inner), (Some(Encapsulation::Vxlan), Ok(true)));
    assert_eq!(opaque(8472, &odd, &inner), (None, Ok(false)));
    assert_eq!(
        opaque(8472, &[8, 0, 0, 0, 0, 0, 1, 0], &inner),
        (Some(Encapsulation::Vxlan), Ok(true))
    );
    // ARP inside is a tunnel's, but no packet.
    let mut arp = inner.clone();
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(
        opaque(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &arp),
        (Some(Encapsulation::Vxlan), Ok(false))
    );
    // A GRE header with a source route (RFC 1701), of version 2, cut off, or with something unknown inside.
    for header in [
        &[0x40, 0, 8, 0][..],
        &[0, 2, 8, 0],
        &[0x20, 0, 8, 0],
        &[0, 0, 0x88, 0xbe],
    ] {
        let payload = if header[0] == 0x20 {
            header.to_vec()
        } else {
            behind(header, ip)
        };
        let frame = build::ethernet_ip(&ends(2), IpProtocol::GRE, &payload);
        assert_eq!(sound(&frame).inside(SEED), Ok(None), "{header:?}");
    }
}

#[test]
fn optional_fields_are_stepped_over() {
    let inner = build::ethernet_udp(&ends(1), b"");
    let ip = &inner[14..];
    let expected = sound(&inner).flow_tuple();
    let found = |frame: &[u8]| inside(&sound(frame)).flow_tuple();
    let length = |extra: usize| u8::try_from(ip.len() + extra).unwrap();
    // GTP-U with a sequence number, and with two extension headers of 4 and 8 bytes.
    let frame = to_port(
        2152,
        &behind(&[0x32, 255, 0, length(4), 0, 0, 0, 1, 0, 1, 0, 0x85], ip),
    );
    assert_eq!(found(&frame), expected);
    let chain = [
        0x34,
        255,
        0,
        length(16),
        0,
        0,
        0,
        1,
        0,
        1,
        0,
        0x85,
        1,
        9,
        9,
        0x40,
        2,
        9,
        9,
        9,
        9,
        9,
        9,
        0,
    ];
    assert_eq!(found(&to_port(2152, &behind(&chain, ip))), expected);
    let mut endless = chain;
    endless[12] = 0;
    assert_eq!(sound(&to_port(2152, &behind(&endless, ip))).encapsulation(), None);
    // GTP-U's own length bounds what is inside.
    let short = to_port(2152, &behind(&[0x30, 255, 0, length(0) - 1, 0, 0, 0, 1], ip));
    assert_eq!(sound(&short).inside(SEED), Err(Malformed::IpLengthBeyondFrame));
    // PPTP: PPP with and without its address bytes, acknowledged or not.
    for ppp in [&[0xff, 3, 0, 0x21][..], &[0, 0x21], &[0x21]] {
        for header in [
            &[0x30, 1, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1][..],
            &[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
        ] {
            let frame = build::ethernet_ip(&ends(2), IpProtocol::GRE, &[header, ppp, ip].concat());
            assert_eq!(found(&frame), expected);
        }
    }
    let acknowledgment = [0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1];
    let frame = build::ethernet_ip(&ends(2), IpProtocol::GRE, &acknowledgment);
    assert_eq!(sound(&frame).inside(SEED), Ok(None));
    assert_eq!(sound(&frame).encapsulation(), Some(Encapsulation::Gre));
}

#[test]
fn what_lies_inside_is_refused() {
    let inner = build::ethernet_udp(&ends(1), b"payload");
    let mut long = inner.clone();
    long[17] += 1;
    for wrapping in every_wrapping() {
        let frame = build::in_tunnel(&ends(2), wrapping, &long);
        // A builder cannot know how long a packet is that lies about it.
        let outer = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Ignore).unwrap();
        assert_eq!(
            outer.inside(SEED),
            Err(Malformed::IpLengthBeyondFrame),
            "{wrapping:?}"
        );
    }
    let v6 = build::ethernet_ip(&ends(2), IpProtocol::IPV6, &inner[14..]);
    assert_eq!(sound(&v6).inside(SEED), Err(Malformed::BadIpVersion));
    let mut wrong = inner.clone();
    wrong[26] ^= 1;
    let frame = build::in_tunnel(&ends(2), Wrapping::IpInIp, &wrong);
    assert_eq!(sound(&frame).inside(SEED), Err(Malformed::BadChecksum));
}

#[test]
fn labels_are_like_vlan_tags() {
    let plain = build::ethernet_udp(&ends(1).in_vlans(VlanTags::single(3)), b"payload");
    for count in 1..=MAX_MPLS_LABELS {
        let labels: Vec<u32> = (0..count).map(|label| u32::try_from(label).unwrap()).collect();
        let frame = build::with_labels(&plain, &labels);
        let packet = sound(&frame);
        assert_eq!(packet.flow_tuple(), sound(&plain).flow_tuple());
        assert_eq!(packet.tunnel(), None);
        assert_eq!(packet.link().ethertype, Link::MPLS);
        assert_eq!(packet.link().vlans, VlanTags::single(3));
        assert_eq!(packet.link().header_len, 18 + 4 * count);
    }
    let too_many = build::with_labels(&plain, &[1; MAX_MPLS_LABELS + 1]);
    let refused =
        |frame: &[u8]| parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore).unwrap_err();
    assert_eq!(refused(&too_many), Malformed::MplsLabelStack);
    let frame = build::with_labels(&plain, &[1, 2]);
    assert_eq!(refused(&frame[..22]), Malformed::FrameTooShort);
    // A pseudowire's control word is no IP.
    let mut control = frame.clone();
    control[26] = 0;
    assert_eq!(sound(&control).ip(), None);
    // PPP, and GRE, carry labels too.
    let ppp = behind(&[0xff, 3, 2, 0x81, 0, 0, 0x11, 64], &plain[18..]);
    let packet = parse(LinkType::Ppp, &ppp, ppp.len(), Checksums::Verify).unwrap();
    assert_eq!(packet.flow_tuple(), sound(&plain).flow_tuple());
    let gre = behind(&[0, 0, 0x88, 0x47, 0, 0, 0x11, 64], &plain[18..]);
    let gre = build::ethernet_ip(&ends(2), IpProtocol::GRE, &gre);
    assert_eq!(inside(&sound(&gre)).flow_tuple(), sound(&plain).flow_tuple());
}

#[test]
fn fragments_inside_are_put_together_inside() {
    let payload: Vec<u8> = (0..200).collect();
    let inner = build::ethernet_udp(&ends(1), &payload);
    for wrapping in every_wrapping() {
        let fragments: Vec<Vec<u8>> = build::fragment(&inner, 100)
            .iter()
            .map(|fragment| build::in_tunnel(&ends(2), wrapping, fragment))
            .collect();
        let mut table = Reassembler::new(FragmentLimits::default());
        // The first fragment outside the tunnel belongs to another datagram.
        let outside = build::fragment(&inner, 100);
        let pushed = table.push(Timestamp::ZERO, Wire(0), &sound(&outside[0]), ());
        assert!(matches!(pushed, Reassembly::Held));
        let mut whole = None;
        for frame in &fragments {
            let outer = sound(frame);
            if let Reassembly::Complete(datagram) = table.push(Timestamp::ZERO, Wire(0), &inside(&outer), ())
            {
                whole = Some(datagram);
            }
        }
        let datagram = whole.expect("complete");
        assert_eq!(datagram.fragments.len(), fragments.len());
        assert!(
            datagram
                .fragments
                .iter()
                .zip(&fragments)
                .all(|(((), left), came)| **left == came[..])
        );
        let packet = datagram.packet().unwrap();
        assert_eq!(packet.flow_tuple(), sound(&inner).flow_tuple(), "{wrapping:?}");
        assert_eq!(packet.tunnel(), inside(&sound(&fragments[0])).tunnel());
        let Transport::Udp(udp) = packet.ip().unwrap().transport else {
            panic!("no UDP")
        };
        assert_eq!(udp.payload, payload);
        assert_eq!(table.datagrams(), 1);
    }
}

/// Wrappings that can be written again for the other direction.
fn turns(wrapping: Wrapping) -> bool {
    match wrapping {
        Wrapping::IpInIp | Wrapping::GreBridge | Wrapping::Vxlan(_) | Wrapping::Geneve(..) => true,
        Wrapping::Gre { sequence, .. } => sequence.is_none(),
        Wrapping::GtpU(_) => false,
    }
}

#[test]
fn answers_travel_back_in_the_same_tunnel() {
    let query = build::ethernet_udp(&ends(1).in_vlans(VlanTags::single(9)), b"question");
    let segment = build::Segment {
        seq: 1,
        ack: 2,
        flags: crate::TcpFlags::ACK,
        window: 3,
        payload: b"data",
    };
    let tcp = build::ethernet_tcp(&ends(1), &segment);
    for wrapping in every_wrapping() {
        let outer = ends(2).in_vlans(VlanTags::single(5));
        let frame = build::in_tunnel(&outer, wrapping, &query);
        let packet = inside(&sound(&frame));
        let mut out = Vec::new();
        assert_eq!(build::can_answer(&packet), turns(wrapping), "{wrapping:?}");
        assert_eq!(build::udp_reply(&packet, b"answer", &mut out), turns(wrapping));
        assert_eq!(out.is_empty(), !turns(wrapping));
        if !turns(wrapping) {
            continue;
        }
        // What a receiver would check, is right; and it is what the other end would have sent.
        let mut turned = outer.reversed();
        turned.src.set_port(outer.src.port());
        let expected = build::ethernet_udp(&ends(1).reversed().in_vlans(VlanTags::single(9)), b"answer");
        assert_eq!(
            out,
            build::in_tunnel(&turned, wrapping, &expected),
            "{wrapping:?}"
        );
        assert_eq!(inside(&sound(&out)).tunnel(), packet.tunnel());

        assert!(build::udp_replacement(&packet, b"another", &mut out));
        let expected = build::ethernet_udp(&ends(1).in_vlans(VlanTags::single(9)), b"another");
        assert_eq!(out, build::in_tunnel(&outer, wrapping, &expected), "{wrapping:?}");

        let frame = build::in_tunnel(&outer, wrapping, &tcp);
        assert!(build::tcp_toward_source(
            &inside(&sound(&frame)),
            &segment,
            &mut out
        ));
        let expected = build::ethernet_tcp(&ends(1).reversed(), &segment);
        assert_eq!(
            out,
            build::in_tunnel(&turned, wrapping, &expected),
            "{wrapping:?}"
        );
    }
}

#[test]
fn a_put_together_query_in_a_tunnel_has_no_answer() {
    let query = build::ethernet_udp(&ends(1), &[7; 200]);
    let mut table = Reassembler::new(FragmentLimits::default());
    for fragment in build::fragment(&query, 100) {
        let frame = build::in_tunnel(&ends(2), Wrapping::Vxlan(1), &fragment);
        let pushed = table.push(Timestamp::ZERO, Wire(0), &inside(&sound(&frame)), ());
        if let Reassembly::Complete(datagram) = pushed {
            let packet = datagram.packet().unwrap();
            assert!(!build::can_answer(&packet));
            assert!(!build::udp_reply(&packet, b"", &mut Vec::new()));
            return;
        }
    }
    panic!("never whole");
}

fn any_wrapping() -> impl Strategy<Value = Wrapping> {
    prop_oneof![
        Just(Wrapping::IpInIp),
        any::<(Option<u32>, Option<u32>, bool)>().prop_map(|(key, sequence, checksum)| Wrapping::Gre {
            key,
            sequence,
            checksum
        }),
        Just(Wrapping::GreBridge),
        (0_u32..1 << 24).prop_map(Wrapping::Vxlan),
        (0_u32..1 << 24, 0_usize..64).prop_map(|(network, words)| Wrapping::Geneve(network, words * 4)),
        any::<u32>().prop_map(Wrapping::GtpU),
    ]
}

fn any_ends() -> impl Strategy<Value = Ends> {
    any::<(bool, [u8; 16], [u8; 16], u16)>().prop_map(|(v6, a, b, port)| {
        let address = |octets: [u8; 16]| -> IpAddr {
            if v6 {
                octets.into()
            } else {
                [octets[0], octets[1], octets[2], octets[3]].into()
            }
        };
        // Ports that are no tunnel's, so that nothing is deeper than it was built.
        Ends::new((address(a), port | 1).into(), (address(b), 5).into())
    })
}

proptest! {
    #[test]
    fn a_built_tunnel_of_any_depth_leads_to_the_packet_inside(
        inner in any_ends(),
        payload in vec(any::<u8>(), 0..64),
        layers in vec((any_ends(), any_wrapping()), 0..6),
    ) {
        let plain = build::ethernet_udp(&inner, &payload);
        let mut frame = plain.clone();
        for (ends, wrapping) in &layers {
            frame = build::in_tunnel(ends, *wrapping, &frame);
        }
        let mut packet = sound(&frame);
        for depth in 1..=layers.len() {
            packet = inside(&packet);
            prop_assert_eq!(usize::from(packet.tunnel().unwrap().depth), depth);
        }
        prop_assert_eq!(packet.inside(SEED), Ok(None));
        prop_assert_eq!(packet.flow_tuple(), sound(&plain).flow_tuple());
        let Transport::Udp(udp) = packet.ip().unwrap().transport else { panic!("no UDP") };
        prop_assert_eq!(udp.payload, &payload[..]);

        let mut out = Vec::new();
        let all_turn = layers.iter().all(|(_, wrapping)| turns(*wrapping));
        let within = layers.len() <= usize::from(MAX_TUNNEL_DEPTH);
        let made = build::udp_reply(&packet, b"answer", &mut out);
        prop_assert_eq!(made, all_turn && within);
        if made {
            let mut answer = sound(&out);
            for _ in &layers {
                answer = inside(&answer);
            }
            prop_assert_eq!(answer.flow_tuple(), packet.flow_tuple().map(FlowTuple::reversed));
            prop_assert_eq!(answer.tunnel(), packet.tunnel());
        }
    }

    #[test]
    fn no_bytes_inside_can_harm(
        ends in any_ends(),
        port in prop::sample::select(vec![4789_u16, 8472, 6081, 2152]),
        protocol in prop::sample::select(vec![4_u8, 41, 47, 17]),
        head in prop::sample::select(vec![
            vec![], vec![8, 0, 0, 0, 0, 0, 1, 0], vec![0, 0, 8, 0], vec![0xb0, 0, 0x65, 0x58],
            vec![0x34, 255, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0x85], vec![1, 0, 0x65, 0x58, 0, 0, 0, 0],
            vec![0x30, 0x81, 0x88, 0x0b], vec![0, 0, 0x88, 0x47, 0, 0, 1, 1],
        ]),
        body in vec(any::<u8>(), 0..120),
        cut in 0_usize..200,
    ) {
        let payload = behind(&head, &body);
        let frame = if protocol == 17 {
            let mut ends = ends;
            ends.dst.set_port(port);
            build::ethernet_udp(&ends, &payload)
        } else {
            build::ethernet_ip(&ends, IpProtocol(protocol), &payload)
        };
        let captured = &frame[..frame.len().saturating_sub(cut / 4)];
        for checksums in [Checksums::Ignore, Checksums::Verify] {
            let Ok(mut packet) = parse(LinkType::Ethernet, captured, frame.len(), checksums) else { continue };
            let mut depth = 0;
            while let Ok(Some(next)) = packet.inside(SEED) {
                depth += 1;
                prop_assert_eq!(next.tunnel().unwrap().depth, depth);
                // Each layer costs bytes, so that this ends.
                prop_assert!(next.link().header_len > packet.link().header_len);
                prop_assert!(next.link().header_len <= captured.len());
                packet = next;
            }
        }
    }

    #[test]
    fn damage_anywhere_is_found_or_harmless(
        layers in vec((any_ends(), any_wrapping()), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = build::ethernet_udp(&ends(1), b"payload");
        for (ends, wrapping) in &layers {
            frame = build::in_tunnel(ends, *wrapping, &frame);
        }
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        let captured = &frame[..cut.index(frame.len() + 1)];
        if let Ok(mut packet) = parse(LinkType::Ethernet, captured, frame.len(), Checksums::Ignore) {
            let mut out = Vec::new();
            while let Ok(Some(next)) = packet.inside(SEED) {
                packet = next;
                let made = build::udp_reply(&packet, b"answer", &mut out);
                prop_assert!(!made || parse(LinkType::Ethernet, &out, out.len(), Checksums::Ignore).is_ok());
            }
        }
    }
}
