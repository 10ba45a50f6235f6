//! One shape of frame each.

use super::*;
use crate::{
    FlowTuple, FragmentInfo, IcmpMessage, IpProtocol, Link, MacAddr, TcpFlags, Transport, VlanTags,
    build::{self, Ends, Segment},
    crosses_always,
};

fn ends(v6: bool) -> Ends {
    let (src, dst) = if v6 {
        ("[2001:db8::1]:40000", "[2001:db8:1::53]:53")
    } else {
        ("192.0.2.1:40000", "198.51.100.53:53")
    };
    Ends::new(src.parse().unwrap(), dst.parse().unwrap())
}

#[track_caller]
fn sound(frame: &[u8]) -> Packet<'_> {
    parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore).unwrap()
}

#[track_caller]
fn refused(frame: &[u8], why: Malformed) {
    let parsed = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore);
    assert_eq!(parsed, Err(why));
}

/// The payload of a UDP packet.
#[track_caller]
fn data<'a>(packet: &Packet<'a>) -> &'a [u8] {
    let Transport::Udp(udp) = packet.ip().unwrap().transport else {
        panic!("no UDP: {packet:?}")
    };
    udp.payload
}

/// A UDP frame whose IPv6 header is followed by `extensions`, the first of which has number `first`.
fn extended(first: u8, extensions: &[&[u8]]) -> Vec<u8> {
    let mut frame = build::ethernet_udp(&ends(true), b"payload");
    let extensions = extensions.concat();
    frame[20] = first;
    let length = u16::try_from(frame.len() - 54 + extensions.len()).unwrap();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame.splice(54..54, extensions);
    frame
}

const UDP: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

#[test]
fn a_packet_is_small_enough_to_pass_around() {
    assert!(size_of::<Packet<'_>>() <= 256, "{}", size_of::<Packet<'_>>());
}

#[test]
fn padding_is_nobodys_payload() {
    let mut frame = build::ethernet_udp(&ends(false), b"ab");
    frame.resize(60, 0xee);
    assert_eq!(data(&sound(&frame)), b"ab");
    // A UDP length short of the IP length leaves bytes that no socket sees.
    frame[17] = 60 - 14;
    let packet = sound(&frame);
    assert_eq!(data(&packet), b"ab");
    assert_eq!(packet.ip().unwrap().payload_len, 60 - 34);
}

#[test]
fn short_frames_are_refused_at_each_layer() {
    let udp = build::ethernet_udp(&ends(false).in_vlans(VlanTags::single(4)), b"");
    refused(&[], Malformed::FrameTooShort);
    refused(&udp[..13], Malformed::FrameTooShort);
    refused(&udp[..16], Malformed::FrameTooShort);
    refused(&udp[..18 + 19], Malformed::BadIpv4Header);
    // Without being told that something is missing, the IP length is a lie.
    refused(&udp[..18 + 27], Malformed::IpLengthBeyondFrame);
    let snapped = |frame: &[u8], len| {
        parse(LinkType::Ethernet, &frame[..len], frame.len(), Checksums::Verify).map(|_| ())
    };
    assert_eq!(snapped(&udp, 18 + 20 + 7), Err(Malformed::BadUdpHeader));
    assert_eq!(snapped(&udp, 18 + 20 + 8), Ok(()));
    let segment = Segment {
        seq: 0,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 0,
        payload: b"",
    };
    let tcp = build::ethernet_tcp_with_options(&ends(true), &segment, &[2, 4, 5, 0xb4, 1, 3, 3, 20]);
    assert_eq!(snapped(&tcp, 14 + 39), Err(Malformed::BadIpv6Header));
    assert_eq!(snapped(&tcp, 14 + 40 + 19), Err(Malformed::BadTcpHeader));
    let icmp = build::ethernet_icmp_echo(&ends(true), true, 1, 1, b"");
    assert_eq!(snapped(&icmp, 14 + 40 + 7), Err(Malformed::BadIcmpHeader));
    // Options may be cut; what is there of them counts.
    let cut = parse(
        LinkType::Ethernet,
        &tcp[..14 + 40 + 25],
        tcp.len(),
        Checksums::Verify,
    )
    .unwrap();
    let Transport::Tcp(cut) = cut.ip().unwrap().transport else {
        panic!("no TCP")
    };
    assert_eq!(
        (cut.mss, cut.window_scale, cut.payload_len),
        (Some(1460), None, 0)
    );
    let whole = sound(&tcp);
    let Transport::Tcp(whole) = whole.ip().unwrap().transport else {
        panic!("no TCP")
    };
    assert_eq!((whole.mss, whole.window_scale), (Some(1460), Some(14)));
}

#[test]
fn options_of_a_syn_survive_unknown_and_broken_neighbours() {
    let read = transport::syn_options;
    assert_eq!(read(&[2, 4, 1, 2, 3, 3, 7]), (Some(7), Some(0x0102)));
    assert_eq!(read(&[30, 4, 9, 9, 254, 2, 3, 3, 7]), (Some(7), None));
    assert_eq!(read(&[0, 3, 3, 7]), (None, None));
    assert_eq!(read(&[3, 3, 7, 2, 0, 2, 4, 1, 2]), (Some(7), None));
    assert_eq!(read(&[3, 3, 7, 2, 1, 2, 4, 1, 2]), (Some(7), None));
    assert_eq!(read(&[3, 3, 7, 8, 10, 0]), (Some(7), None));
    assert_eq!(read(&[3, 3, 7, 8]), (Some(7), None));
    assert_eq!(read(&[3, 4, 7, 7, 2, 3, 5, 1, 1]), (None, None));
    assert_eq!(read(&[3, 3, 200]), (Some(14), None));
}

#[test]
fn lying_lengths_are_refused() {
    let udp = build::ethernet_udp(&ends(false), b"payload");
    let with = |at: usize, bytes: [u8; 2]| {
        let mut frame = udp.clone();
        frame[at..at + 2].copy_from_slice(&bytes);
        frame
    };
    let total = u16::try_from(udp.len() - 14).unwrap();
    refused(
        &with(16, (total + 1).to_be_bytes()),
        Malformed::IpLengthBeyondFrame,
    );
    refused(&with(16, 19_u16.to_be_bytes()), Malformed::BadIpv4Header);
    refused(&with(16, 27_u16.to_be_bytes()), Malformed::BadUdpHeader);
    refused(&with(38, 7_u16.to_be_bytes()), Malformed::BadUdpHeader);
    refused(&with(38, 0_u16.to_be_bytes()), Malformed::BadUdpHeader);
    refused(&with(38, 16_u16.to_be_bytes()), Malformed::BadUdpHeader);
    refused(&with(14, [0x44, 0]), Malformed::BadIpv4Header);
    refused(&with(14, [0x65, 0]), Malformed::BadIpv4Header);
    refused(&with(14, [0x4f, 0]), Malformed::BadIpv4Header);
    let mut v6 = build::ethernet_udp(&ends(true), b"payload");
    v6[14] = 0x45;
    refused(&v6, Malformed::BadIpv6Header);
    v6[14] = 0x60;
    v6[19] += 1;
    refused(&v6, Malformed::IpLengthBeyondFrame);
}

#[test]
fn a_total_length_of_zero_reaches_to_the_end() {
    let segment = Segment {
        seq: 0,
        ack: 0,
        flags: TcpFlags::ACK,
        window: 0,
        payload: &[7; 3000],
    };
    for v6 in [false, true] {
        let mut frame = build::ethernet_tcp(&ends(v6), &segment);
        let length_at = if v6 { 18 } else { 16 };
        frame[length_at..length_at + 2].fill(0);
        let packet = sound(&frame);
        let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
            panic!("no TCP")
        };
        assert_eq!((tcp.payload_len, tcp.payload.len()), (3000, 3000));
    }
    // There is no such offload for anything else in IPv6: this packet says that it is empty.
    let mut udp = build::ethernet_udp(&ends(true), b"payload");
    udp[18..20].fill(0);
    refused(&udp, Malformed::BadUdpHeader);
    udp[20] = HOP_BY_HOP;
    refused(&udp, Malformed::Ipv6Jumbogram);
}

#[test]
fn tcp_offsets_must_fit() {
    let segment = Segment {
        seq: 0,
        ack: 0,
        flags: TcpFlags::ACK,
        window: 0,
        payload: b"1234",
    };
    let mut frame = build::ethernet_tcp(&ends(false), &segment);
    frame[46] = 0x40;
    refused(&frame, Malformed::BadTcpHeader);
    frame[46] = 0x70;
    refused(&frame, Malformed::BadTcpHeader);
    frame[46] = 0x60;
    let packet = sound(&frame);
    let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
        panic!("no TCP")
    };
    assert_eq!((tcp.payload, tcp.payload_len), (&b""[..], 0));
}

#[test]
fn ipv4_options_are_stepped_over() {
    let mut frame = build::ethernet_udp(&ends(false), b"payload");
    frame[14] = 0x47;
    frame[17] += 8;
    frame.splice(34..34, [7, 7, 4, 0, 0, 0, 0, 0]);
    let packet = sound(&frame);
    assert_eq!(data(&packet), b"payload");
    assert_eq!(packet.flow_tuple().unwrap().dport, 53);
    assert_eq!(
        parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify),
        Err(Malformed::BadChecksum)
    );
}

#[test]
fn vlan_tags_are_read_and_counted() {
    let tag = |kind: u16, id: u16| [kind.to_be_bytes(), id.to_be_bytes()].concat();
    let plain = build::ethernet_udp(&ends(false), b"payload");
    let tagged = |tags: &[Vec<u8>]| {
        let mut frame = plain.clone();
        frame.splice(12..12, tags.concat());
        frame
    };
    let one = tagged(&[tag(0x8100, 0xe00a)]);
    let packet = sound(&one);
    assert_eq!(packet.link().vlans, VlanTags::single(10));
    assert_eq!(
        (packet.link().ethertype, packet.link().header_len),
        (Link::IPV4, 18)
    );
    for outer in [0x8100, 0x88a8, 0x9100] {
        let two = tagged(&[tag(outer, 20), tag(0x8100, 0)]);
        assert_eq!(sound(&two).link().vlans, VlanTags::double(20, 0));
        assert_eq!(data(&sound(&two)), b"payload");
    }
    let only_service = tagged(&[tag(0x88a8, 9)]);
    assert_eq!(sound(&only_service).link().vlans, VlanTags::single(9));
    let three = tagged(&[tag(0x88a8, 1), tag(0x8100, 2), tag(0x8100, 3)]);
    refused(&three, Malformed::TooManyVlanTags);
}

#[test]
fn frames_with_a_length_are_llc() {
    let llc = |length: u16, bytes: &[u8]| [&[2; 12][..], &length.to_be_bytes(), bytes].concat();
    let spanning_tree = llc(38, &[0x42, 0x42, 3, 0, 0]);
    let packet = sound(&spanning_tree);
    assert_eq!(packet.link().ethertype, Link::LLC_STP);
    assert_eq!(packet.network(), &Network::NonIp);
    assert_eq!(packet.flow_tuple(), None);
    let empty = llc(0, &[]);
    assert_eq!(sound(&empty).link().ethertype, 0);
    // Cisco's SNAP types are no EtherTypes.
    let cisco = llc(8, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0]);
    assert_eq!(sound(&cisco).link().ethertype, 0xaa);
    let arp = llc(8, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 6]);
    assert_eq!(sound(&arp).link().ethertype, Link::ARP);
    let ip = &build::ethernet_udp(&ends(false), b"payload")[14..];
    let length = u16::try_from(ip.len() + 8).unwrap();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], ip].concat();
    assert_eq!(data(&sound(&llc(length, &snap))), b"payload");
    refused(&llc(length + 1, &snap), Malformed::BadLinkHeader);
    refused(&llc(7, &snap), Malformed::BadLinkHeader);
    refused(&llc(length - 1, &snap), Malformed::IpLengthBeyondFrame);
}

#[test]
fn pppoe_sessions_carry_ip() {
    let ip = &build::ethernet_udp(&ends(true), b"payload")[14..];
    let pppoe = |header: [u8; 4], length: usize, protocol: &[u8]| {
        let length = u16::try_from(length).unwrap().to_be_bytes();
        [&[2; 12][..], &[0x88, 0x64], &header, &length, protocol, ip].concat()
    };
    let frame = pppoe([0x11, 0, 0, 1], ip.len() + 2, &[0, 0x57]);
    let packet = sound(&frame);
    assert_eq!((data(&packet), packet.link().header_len), (&b"payload"[..], 22));
    assert_eq!(packet.link().ethertype, Link::PPPOE_SESSION);
    let compressed = pppoe([0x11, 0, 0, 1], ip.len() + 1, &[0x57]);
    assert_eq!(data(&sound(&compressed)), b"payload");
    let control = pppoe([0x11, 0, 0, 1], ip.len() + 2, &[0xc0, 0x21]);
    assert_eq!(
        (sound(&control).network(), sound(&control).link().header_len),
        (&Network::NonIp, 14)
    );
    refused(&pppoe([0x12, 0, 0, 1], 2, &[0, 0x57]), Malformed::BadLinkHeader);
    refused(
        &pppoe([0x11, 0, 0, 1], ip.len() + 3, &[0, 0x57]),
        Malformed::BadLinkHeader,
    );
    refused(
        &pppoe([0x11, 0, 0, 1], ip.len() + 1, &[0, 0x57]),
        Malformed::IpLengthBeyondFrame,
    );
    // What an access concentrator would cut off is no part of the packet.
    let mut padded = frame.clone();
    padded.extend_from_slice(b"trailer");
    assert_eq!(data(&sound(&padded)), b"payload");
}

#[test]
fn every_link_type_finds_its_packet() {
    for v6 in [false, true] {
        let ends = ends(v6);
        let ethernet = build::ethernet_udp(&ends, b"payload");
        let ethertype = if v6 { Link::IPV6 } else { Link::IPV4 };
        for (kind, header_len, source) in [
            (LinkType::Ethernet, 14, Some(ends.src_mac)),
            (LinkType::RawIp, 0, None),
            (LinkType::Sll, 16, Some(ends.src_mac)),
            (LinkType::Sll2, 20, Some(ends.src_mac)),
            (LinkType::Null, 4, None),
            (LinkType::Ppp, 4, None),
        ] {
            let frame = build::with_link(&ethernet, kind);
            let packet = parse(kind, &frame, frame.len(), Checksums::Verify).unwrap();
            assert_eq!(data(&packet), b"payload", "{kind:?}");
            let link = packet.link();
            assert_eq!(
                (link.header_len, link.ethertype, link.source),
                (header_len, ethertype, source)
            );
            let cut = &frame[..header_len.saturating_sub(1)];
            assert_eq!(
                parse(kind, cut, frame.len(), Checksums::Verify),
                Err(Malformed::FrameTooShort)
            );
        }
    }
}

#[test]
fn odd_link_headers_are_understood() {
    let v4 = &build::ethernet_udp(&ends(false), b"payload")[14..];
    let v6 = &build::ethernet_udp(&ends(true), b"payload")[14..];
    let arp = [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &[8, 6], &[0; 28]].concat();
    let vlan = [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &[0x81, 0, 0, 5, 8, 0], v4].concat();
    let no_address = [&[0, 0, 0xff, 0xfe, 0, 0][..], &[0; 8], &[8, 0], v4].concat();
    let llc = [&[0, 0, 0, 1, 0, 6][..], &[2; 8], &[0, 4, 0x42, 0x42, 3]].concat();
    let sound = |kind, frame: &[u8]| {
        let packet = parse(kind, frame, frame.len(), Checksums::Verify).unwrap();
        (*packet.link(), packet.ip().is_some())
    };
    let (link, ip) = sound(LinkType::Sll, &arp);
    assert_eq!(
        (link.ethertype, link.source, ip),
        (Link::ARP, Some(MacAddr([2; 6])), false)
    );
    let (link, ip) = sound(LinkType::Sll, &vlan);
    assert_eq!((link.vlans, ip), (VlanTags::single(5), true));
    let (link, ip) = sound(LinkType::Sll, &no_address);
    assert_eq!((link.source, ip), (None, true));
    assert_eq!(sound(LinkType::Sll, &llc).0.ethertype, Link::LLC_STP);
    for family in [10, 23, 24, 28, 30] {
        assert!(sound(LinkType::Null, &[&[family, 0, 0, 0][..], v6].concat()).1);
        assert!(sound(LinkType::Null, &[&[0, 0, 0, family][..], v6].concat()).1);
    }
    assert!(!sound(LinkType::Null, &[&[7, 0, 0, 0][..], v4].concat()).1);
    assert!(sound(LinkType::Ppp, &[&[0, 0x21][..], v4].concat()).1);
    assert!(sound(LinkType::Ppp, &[&[0x21][..], v4].concat()).1);
    assert!(sound(LinkType::Ppp, &[&[0xff, 3, 0x57][..], v6].concat()).1);
    assert!(!sound(LinkType::Ppp, &[0xff, 3, 0xc0, 0x21, 1]).1);
    let (link, ip) = sound(LinkType::Ppp, &[&[0x0f, 0, 8, 0][..], v4].concat());
    assert_eq!((link.ethertype, link.header_len, ip), (Link::IPV4, 4, true));
    let raw = |bytes: &[u8]| parse(LinkType::RawIp, bytes, bytes.len(), Checksums::Verify).map(|_| ());
    assert_eq!(raw(&[0x50; 40]), Err(Malformed::BadIpVersion));
}

#[test]
fn extension_headers_are_stepped_over() {
    let options = [DESTINATION, 0, 1, 4, 0, 0, 0, 0];
    let long = [&[UDP, 1][..], &[0; 14]].concat();
    let frame = extended(HOP_BY_HOP, &[&options, &long]);
    let packet = sound(&frame);
    assert_eq!(data(&packet), b"payload");
    assert_eq!(packet.ip().unwrap().protocol, IpProtocol::UDP);
    let verified = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Verify);
    assert_eq!(
        verified.map(|packet| packet.flow_tuple()),
        Ok(packet.flow_tuple())
    );

    let header = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    let most: Vec<[u8; 8]> = (1..MAX_EXTENSION_HEADERS).map(|_| header(DESTINATION)).collect();
    let mut chain: Vec<&[u8]> = most.iter().map(|header| &header[..]).collect();
    let last = header(UDP);
    let one_more = header(DESTINATION);
    chain.push(&last);
    assert_eq!(data(&sound(&extended(DESTINATION, &chain))), b"payload");
    chain.insert(0, &one_more);
    refused(&extended(DESTINATION, &chain), Malformed::Ipv6ExtensionChain);
    refused(
        &extended(DESTINATION, &[&header(HOP_BY_HOP), &header(UDP)]),
        Malformed::Ipv6ExtensionChain,
    );
    // A header that claims more than there is.
    refused(
        &extended(DESTINATION, &[&[UDP, 200, 0, 0, 0, 0, 0, 0]]),
        Malformed::Ipv6ExtensionChain,
    );
    // The authentication header hides what it covers, in both families.
    let authenticated = extended(51, &[&[UDP, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]);
    let packet = sound(&authenticated);
    assert_eq!(packet.ip().unwrap().protocol, IpProtocol(51));
    assert!(matches!(packet.ip().unwrap().transport, Transport::Other { .. }));
}

/// A routing header of `kind` with these addresses behind its first eight bytes.
fn routing(next: u8, kind: u8, left: u8, addresses: &[&str]) -> Vec<u8> {
    let words = u8::try_from(addresses.len() * 2).unwrap();
    let last = u8::try_from(addresses.len().saturating_sub(1)).unwrap();
    let mut header = vec![next, words, kind, left, if kind == 4 { last } else { 0 }, 0, 0, 0];
    for address in addresses {
        header.extend(address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    header
}

#[test]
fn a_routed_packet_belongs_to_where_it_ends() {
    let final_of = |header: &[u8]| sound(&extended(ROUTING, &[header])).ip().unwrap().dst;
    let header_dst = ends(true).dst.ip();
    let [one, two] = ["2001:db8:2::1", "2001:db8:2::2"];
    let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    // Type 0 lists its stops forwards, segment routing backwards; a mobile node has one address at home.
    for left in 1..=2 {
        assert_eq!(final_of(&routing(UDP, 0, left, &[one, two])), address(two));
        assert_eq!(final_of(&routing(UDP, 4, left, &[one, two])), address(one));
    }
    assert_eq!(final_of(&routing(UDP, 2, 1, &[one])), address(one));
    // Arrived, or nobody knows.
    for kind in [0, 2, 4, 250] {
        assert_eq!(final_of(&routing(UDP, kind, 0, &[one, two])), header_dst);
    }
    assert_eq!(final_of(&routing(UDP, 250, 1, &[one])), header_dst);
    assert_eq!(
        data(&sound(&extended(ROUTING, &[&routing(UDP, 0, 1, &[one])]))),
        b"payload"
    );
}

#[test]
fn routing_headers_that_lie_are_refused() {
    let refused_route = |headers: &[&[u8]]| refused(&extended(ROUTING, headers), Malformed::Ipv6SourceRoute);
    let one = "2001:db8:2::1";
    refused_route(&[&routing(UDP, 0, 1, &[])]);
    refused_route(&[&routing(UDP, 0, 2, &[one])]);
    refused_route(&[&routing(UDP, 2, 1, &[one, one])]);
    refused_route(&[&routing(UDP, 4, 2, &[one])]);
    refused_route(&[&routing(UDP, 0, 1, &["ff02::1"])]);
    // A list that ends inside an address, or claims more addresses than there are.
    let mut odd = routing(UDP, 0, 1, &[one]);
    odd[1] = 1;
    odd.truncate(16);
    refused_route(&[&odd]);
    let mut long = routing(UDP, 4, 1, &[one]);
    long[4] = 1;
    refused_route(&[&long]);
    // Two that lead on; one that leads on beside one that has arrived is fine.
    refused_route(&[&routing(ROUTING, 0, 1, &[one]), &routing(UDP, 0, 1, &[one])]);
    let both = extended(
        ROUTING,
        &[&routing(ROUTING, 0, 0, &[one]), &routing(UDP, 0, 1, &[one])],
    );
    assert_eq!(data(&sound(&both)), b"payload");
}

#[test]
fn a_routed_packets_checksum_is_over_its_final_destination() {
    let verified =
        |frame: &[u8]| parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).map(|_| ());
    // The header's destination is a stop; the last address is the one the sender's stack summed over.
    let end = "2001:db8:1::53";
    let mut frame = extended(ROUTING, &[&routing(UDP, 0, 1, &[end])]);
    frame[53] ^= 1;
    assert_eq!(verified(&frame), Ok(()));
    frame[54 + 23] ^= 1;
    assert_eq!(verified(&frame), Err(Malformed::BadChecksum));
    // Where the end is not known, nothing can be said.
    let mut unknown = extended(ROUTING, &[&routing(UDP, 250, 1, &[])]);
    unknown[53] ^= 1;
    assert_eq!(verified(&unknown), Ok(()));
}

#[test]
fn fragments_are_not_interpreted() {
    let mut frame = build::ethernet_udp(&ends(false), &[9; 24]);
    frame[18..22].copy_from_slice(&[0xab, 0xcd, 0x20, 0x03]);
    let packet = sound(&frame);
    let ip = packet.ip().unwrap();
    let expected = FragmentInfo {
        identification: 0xabcd,
        offset: 24,
        more: true,
        next_header_at: 23,
    };
    assert_eq!(ip.fragment, Some(expected));
    assert_eq!(
        ip.transport,
        Transport::Fragment {
            payload: &frame[34..]
        }
    );
    assert_eq!(packet.flow_tuple(), None);
    // Not a multiple of eight although more follow; beyond the end of any datagram; empty.
    frame[17] -= 1;
    refused(&frame, Malformed::BadFragment);
    frame[17] += 1;
    frame[20..22].copy_from_slice(&[0x1f, 0xff]);
    refused(&frame, Malformed::BadFragment);
    frame[20..22].copy_from_slice(&[0x20, 0]);
    frame[17] = 20;
    refused(&frame, Malformed::BadFragment);
    // "Don't fragment" and the reserved bit make no fragment.
    let mut whole = build::ethernet_udp(&ends(false), b"payload");
    whole[20] = 0xc0;
    assert_eq!(data(&sound(&whole)), b"payload");
}

#[test]
fn ipv6_fragments_know_where_they_belong() {
    let options = [FRAGMENT, 0, 1, 4, 0, 0, 0, 0];
    let mut frame = extended(HOP_BY_HOP, &[&options, &[UDP, 0, 0, 0x10, 1, 2, 3, 4]]);
    let packet = sound(&frame);
    let expected = FragmentInfo {
        identification: 0x0102_0304,
        offset: 16,
        more: false,
        next_header_at: 54,
    };
    assert_eq!(packet.ip().unwrap().fragment, Some(expected));
    assert_eq!(packet.ip().unwrap().protocol, IpProtocol::UDP);
    // 15 bytes, and more to follow.
    frame[65] |= 1;
    refused(&frame, Malformed::BadFragment);
    // Atomic: the whole datagram (RFC 6946), whose chain goes on.
    let atomic = extended(
        FRAGMENT,
        &[&[DESTINATION, 0, 0, 0, 1, 2, 3, 4], &[UDP, 0, 1, 4, 0, 0, 0, 0]],
    );
    let packet = sound(&atomic);
    assert_eq!(
        (data(&packet), packet.ip().unwrap().fragment),
        (&b"payload"[..], None)
    );
    refused(
        &extended(
            FRAGMENT,
            &[&[FRAGMENT, 0, 0, 0, 1, 2, 3, 4], &[UDP, 0, 0, 0, 1, 2, 3, 4]],
        ),
        Malformed::Ipv6ExtensionChain,
    );
}

#[test]
fn icmp_messages_say_what_they_are_about() {
    let message = |v6, kind: u8| {
        let frame = build::ethernet_icmp_error(&ends(v6), kind, 7, &[0; 8]);
        let Transport::Icmp(icmp) = sound(&frame).ip().unwrap().transport else {
            panic!("no ICMP: {frame:?}")
        };
        assert_eq!((icmp.v6, icmp.kind, icmp.code), (v6, kind, 7));
        icmp.message
    };
    let echo = |request| IcmpMessage::Echo {
        identifier: 0,
        sequence: 0,
        request,
    };
    let error = IcmpMessage::Error { quoted: None };
    for kind in 0..=255 {
        let v4 = match kind {
            0 => echo(false),
            8 => echo(true),
            3 | 4 | 5 | 11 | 12 => error,
            _ => IcmpMessage::Other,
        };
        assert_eq!(message(false, kind), v4);
        let v6 = match kind {
            128 => echo(true),
            129 => echo(false),
            0..=127 => error,
            130..=137 | 143 => IcmpMessage::NeighborDiscovery,
            _ => IcmpMessage::Other,
        };
        assert_eq!(message(true, kind), v6);
    }
    // Each family has its own ICMP; the other's is just a payload.
    let foreign = build::ethernet_ip(&ends(true), IpProtocol::ICMP, &[8, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(
        sound(&foreign).ip().unwrap().transport,
        Transport::Other { .. }
    ));
}

#[test]
fn quotes_are_followed_behind_extension_headers_but_not_into_later_fragments() {
    let quoted = |inner: &[u8]| {
        let frame = build::ethernet_icmp_error(&ends(true).reversed(), 1, 4, inner);
        let Transport::Icmp(icmp) = sound(&frame).ip().unwrap().transport else {
            panic!("no ICMP: {frame:?}")
        };
        icmp.message
    };
    let tuple = FlowTuple {
        src: ends(true).src.ip(),
        dst: ends(true).dst.ip(),
        sport: 40000,
        dport: 53,
        protocol: IpProtocol::UDP,
    };
    let found = IcmpMessage::Error { quoted: Some(tuple) };
    let lost = IcmpMessage::Error { quoted: None };
    let first = [UDP, 0, 0, 1, 9, 9, 9, 9];
    let later = [UDP, 0, 0, 8, 9, 9, 9, 9];
    assert_eq!(
        quoted(&extended(DESTINATION, &[&[UDP, 0, 1, 4, 0, 0, 0, 0]])[14..]),
        found
    );
    assert_eq!(quoted(&extended(FRAGMENT, &[&first])[14..]), found);
    assert_eq!(quoted(&extended(FRAGMENT, &[&later])[14..]), lost);
    assert_eq!(
        quoted(&extended(DESTINATION, &[&[UDP, 9, 1, 4, 0, 0, 0, 0]])[14..]),
        lost
    );
    assert_eq!(quoted(b""), lost);
    // An IPv4 packet in an ICMPv6 error is nobody's.
    assert_eq!(quoted(&build::ethernet_udp(&ends(false), b"payload")[14..]), lost);
}

#[test]
fn what_a_link_needs_crosses_always() {
    let udp = |v6, sport, dport| {
        let mut ends = ends(v6);
        ends.src.set_port(sport);
        ends.dst.set_port(dport);
        crosses_always(&sound(&build::ethernet_udp(&ends, b"")))
    };
    for (v6, client, server) in [(false, 68, 67), (true, 546, 547)] {
        assert!(udp(v6, client, server) && udp(v6, server, client) && udp(v6, server, server));
        assert!(!udp(v6, client, 53) && !udp(v6, 53, server) && !udp(!v6, client, server));
    }
    let icmp = |v6, kind| crosses_always(&sound(&build::ethernet_icmp_error(&ends(v6), kind, 0, &[])));
    assert!(icmp(true, 135) && icmp(true, 143) && icmp(true, 130));
    assert!(!icmp(true, 128) && !icmp(true, 1) && !icmp(false, 135));
}
