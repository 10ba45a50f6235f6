use proptest::prelude::*;

use super::*;
use crate::{
    Checksums, LinkType, Transport,
    build::{Ends, ethernet_udp, fragment, udp_reply, with_link},
    parse,
};

const WIRE: Wire = Wire(1);
const NOW: Timestamp = Timestamp::from_secs(1000);

fn ends(v6: bool) -> Ends {
    let (src, dst) = if v6 {
        ("[2001:db8::1]:40000", "[2001:db8:1::53]:53")
    } else {
        ("192.0.2.1:40000", "198.51.100.53:53")
    };
    Ends::new(src.parse().unwrap(), dst.parse().unwrap())
}

fn payload(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn limits() -> FragmentLimits {
    FragmentLimits::default()
}

fn push_at(table: &mut Reassembler<usize>, now: Timestamp, frame: &[u8], note: usize) -> Reassembly<usize> {
    let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
    table.push(now, WIRE, &packet, note)
}

fn push(table: &mut Reassembler<usize>, frame: &[u8], note: usize) -> Reassembly<usize> {
    push_at(table, NOW, frame, note)
}

#[track_caller]
fn complete(result: Reassembly<usize>) -> Datagram<usize> {
    match result {
        Reassembly::Complete(datagram) => datagram,
        other @ (Reassembly::Held | Reassembly::Dropped { .. }) => panic!("not complete: {other:?}"),
    }
}

#[track_caller]
fn held(result: &Reassembly<usize>) {
    assert!(matches!(result, Reassembly::Held), "not held: {result:?}");
}

#[track_caller]
fn dropped_as(result: &Reassembly<usize>, why: FragmentFault, whose: &[usize]) {
    match result {
        Reassembly::Dropped { reason, notes } => {
            assert_eq!((*reason, notes.as_slice()), (why, whose));
        }
        other @ (Reassembly::Held | Reassembly::Complete(_)) => panic!("not dropped: {other:?}"),
    }
}

#[test]
fn faults_are_complete_ordered_and_named_apart() {
    for (index, fault) in FragmentFault::ALL.iter().enumerate() {
        assert_eq!(*fault as usize, index);
    }
    let mut names: Vec<_> = FragmentFault::ALL.iter().map(|fault| fault.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FragmentFault::NotAFragment as usize + 1);
}

#[test]
fn the_whole_datagram_is_the_frame_that_was_fragmented() {
    for v6 in [false, true] {
        let whole = ethernet_udp(&ends(v6), &payload(3000));
        let pieces = fragment(&whole, 1000);
        assert_eq!(pieces.len(), 4);
        let mut table = Reassembler::new(limits());
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            for &index in &order[..3] {
                held(&push(&mut table, &pieces[index], index));
            }
            let datagram = complete(push(&mut table, &pieces[order[3]], order[3]));
            let arrived: Vec<_> = datagram.fragments.iter().map(|(note, _)| *note).collect();
            assert_eq!(arrived, order);
            for (note, frame) in &datagram.fragments {
                assert_eq!(**frame, *pieces[*note]);
            }
            let packet = datagram.packet().unwrap();
            assert_eq!(packet.original_len(), whole.len());
            let expected = parse(LinkType::Ethernet, &whole, whole.len(), Checksums::Verify).unwrap();
            assert_eq!(packet.network(), expected.network());
            assert_eq!(packet.link(), expected.link());
            assert_eq!((table.bytes(), table.datagrams()), (0, 0));
        }
    }
}

#[test]
fn datagrams_are_kept_apart() {
    let whole = ethernet_udp(&ends(false), &payload(1000));
    let pieces = fragment(&whole, 600);
    let tagged = ethernet_udp(&ends(false).in_vlans(VlanTags::single(5)), &payload(1000));
    let tagged = fragment(&tagged, 600);
    let mut table = Reassembler::new(limits());
    held(&push(&mut table, &pieces[0], 0));
    // The same identification in another VLAN, and on another wire.
    let mut other_id = tagged[1].clone();
    other_id[22..24].copy_from_slice(&pieces[0][18..20]);
    let packet = parse(LinkType::Ethernet, &other_id, other_id.len(), Checksums::Ignore).unwrap();
    held(&table.push(NOW, WIRE, &packet, 1));
    let packet = parse(LinkType::Ethernet, &pieces[1], pieces[1].len(), Checksums::Ignore).unwrap();
    held(&table.push(NOW, Wire(2), &packet, 2));
    assert_eq!(table.datagrams(), 3);
    assert_ne!(fragment_hash(WIRE, &packet), fragment_hash(Wire(2), &packet));
    complete(push(&mut table, &pieces[1], 3));
    assert_eq!(table.drain(), [1, 2]);
    assert_eq!((table.bytes(), table.datagrams()), (0, 0));
}

#[test]
fn fragments_of_a_datagram_share_a_shard() {
    for v6 in [false, true] {
        let pieces = fragment(&ethernet_udp(&ends(v6), &payload(3000)), 600);
        let hashes: Vec<_> = pieces
            .iter()
            .map(|piece| {
                let packet = parse(LinkType::Ethernet, piece, piece.len(), Checksums::Ignore).unwrap();
                fragment_hash(WIRE, &packet)
            })
            .collect();
        assert!(hashes.iter().all(|hash| *hash == hashes[0] && *hash != 0));
    }
}

#[test]
fn equal_duplicates_are_harmless() {
    let pieces = fragment(&ethernet_udp(&ends(false), &payload(1000)), 600);
    let mut table = Reassembler::new(limits());
    held(&push(&mut table, &pieces[0], 0));
    held(&push(&mut table, &pieces[0], 1));
    let datagram = complete(push(&mut table, &pieces[1], 2));
    assert_eq!(datagram.fragments.len(), 3);
    let packet = datagram.packet().unwrap();
    let Transport::Udp(udp) = packet.ip().unwrap().transport else {
        panic!("no UDP")
    };
    assert_eq!(udp.payload, payload(1000));
}

#[test]
fn overlaps_kill_the_datagram_until_it_ages() {
    for v6 in [false, true] {
        let whole = ethernet_udp(&ends(v6), &payload(2000));
        let pieces = fragment(&whole, 600);
        // The same place with other bytes; and a piece cut elsewhere, that overlaps in part.
        let mut conflicting = pieces[1].clone();
        *conflicting.last_mut().unwrap() ^= 1;
        let mut partial = fragment(&whole, 728).swap_remove(1);
        let id_at = if v6 { 58..62 } else { 18..20 };
        partial[id_at.clone()].copy_from_slice(&pieces[1][id_at]);
        for overlap in [conflicting, partial] {
            let packet = parse(LinkType::Ethernet, &overlap, overlap.len(), Checksums::Ignore).unwrap();
            let mut table = Reassembler::new(limits());
            held(&push(&mut table, &pieces[0], 0));
            held(&push(&mut table, &pieces[1], 1));
            let result = table.push(NOW, WIRE, &packet, 2);
            dropped_as(&result, FragmentFault::Overlap, &[0, 1, 2]);
            assert_eq!(table.bytes(), 0);
            dropped_as(&push(&mut table, &pieces[2], 3), FragmentFault::Overlap, &[3]);
            // Its identification is free again when its time is over.
            let later = NOW.saturating_add(limits().timeout);
            held(&push_at(&mut table, later, &pieces[0], 4));
            assert_eq!(table.expire(later), []);
        }
    }
}

#[test]
fn fragments_that_disagree_about_the_end_kill_the_datagram() {
    let pieces = fragment(&ethernet_udp(&ends(false), &payload(2000)), 600);
    let last = pieces.len() - 1;
    // A middle fragment that claims to be the last.
    let mut short = pieces[1].clone();
    short[20] &= !0x20;
    let short = parse(LinkType::Ethernet, &short, short.len(), Checksums::Ignore).unwrap();

    let mut table = Reassembler::new(limits());
    held(&push(&mut table, &pieces[last], 0));
    dropped_as(&table.push(NOW, WIRE, &short, 1), FragmentFault::Overlap, &[0, 1]);

    let mut table = Reassembler::new(limits());
    held(&table.push(NOW, WIRE, &short, 0));
    dropped_as(
        &push(&mut table, &pieces[last], 1),
        FragmentFault::Overlap,
        &[0, 1],
    );
}

#[test]
fn a_datagram_beyond_the_length_field_is_refused() {
    // 65,535 bytes of payload and a header: "ping of death".
    let whole = ethernet_udp(&ends(false), &payload(65_507));
    let mut pieces = fragment(&whole, 1500);
    let last = pieces.pop().unwrap();
    let mut table = Reassembler::new(FragmentLimits {
        bytes: 1 << 20,
        ..limits()
    });
    for (note, piece) in pieces.iter().enumerate() {
        // Header options on the first fragment make it too long.
        let mut frame = piece.clone();
        if note == 0 {
            frame[14] = 0x46;
            frame.splice(34..34, [1, 1, 1, 1]);
            let length = u16::try_from(frame.len() - 14).unwrap().to_be_bytes();
            frame[16..18].copy_from_slice(&length);
        }
        let packet = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Ignore).unwrap();
        held(&table.push(NOW, WIRE, &packet, note));
    }
    let everyone: Vec<_> = (0..=pieces.len()).collect();
    let result = push(&mut table, &last, pieces.len());
    dropped_as(&result, FragmentFault::TooLong, &everyone);
    assert_eq!((table.bytes(), table.datagrams()), (0, 0));
}

#[test]
fn what_waits_too_long_is_given_up() {
    let pieces = fragment(&ethernet_udp(&ends(false), &payload(1000)), 600);
    let others = fragment(&ethernet_udp(&ends(true), &payload(1000)), 600);
    let mut table = Reassembler::new(limits());
    assert_eq!(table.next_deadline(), None);
    held(&push_at(&mut table, Timestamp::from_secs(10), &pieces[0], 0));
    held(&push_at(&mut table, Timestamp::from_secs(20), &others[0], 1));
    assert_eq!(table.next_deadline(), Some(Timestamp::from_secs(40)));
    assert_eq!(table.expire(Timestamp::from_nanos(39_999_999_999)), []);
    // A fragment at the very deadline comes too late.
    held(&push_at(&mut table, Timestamp::from_secs(40), &pieces[1], 2));
    let given_up = table.expire(Timestamp::from_secs(50));
    assert_eq!(
        given_up,
        [(FragmentFault::Timeout, 0), (FragmentFault::Timeout, 1)]
    );
    assert_eq!(table.drain(), [2]);
}

#[test]
fn the_oldest_make_room_at_each_bound() {
    let datagram = |port: u16| {
        let mut ends = ends(false);
        ends.src.set_port(port);
        fragment(&ethernet_udp(&ends, &payload(1000)), 600)
    };
    let all: Vec<_> = (0..4).map(datagram).collect();
    let frame_len = all[0][0].len();

    let mut table = Reassembler::new(FragmentLimits {
        datagrams: 2,
        ..limits()
    });
    for (note, pieces) in all.iter().enumerate() {
        held(&push(&mut table, &pieces[0], note));
    }
    let evicted = table.expire(NOW);
    assert_eq!(
        evicted,
        [(FragmentFault::TableFull, 0), (FragmentFault::TableFull, 1)]
    );
    complete(push(&mut table, &all[3][1], 9));

    let mut table = Reassembler::new(FragmentLimits {
        bytes: 2 * frame_len,
        ..limits()
    });
    for (note, pieces) in all[..3].iter().enumerate() {
        held(&push(&mut table, &pieces[0], note));
        assert!(table.bytes() <= 2 * frame_len);
    }
    assert_eq!(table.expire(NOW), [(FragmentFault::TableFull, 0)]);
    complete(push(&mut table, &all[2][1], 9));

    // One datagram that can never fit does not cost the others their place.
    let big = fragment(&ethernet_udp(&ends(true), &payload(3000)), 1280);
    held(&push(&mut table, &all[0][0], 10));
    dropped_as(&push(&mut table, &big[0], 11), FragmentFault::TableFull, &[11]);
    complete(push(&mut table, &all[0][1], 12));

    let mut table = Reassembler::new(FragmentLimits {
        fragments_per_datagram: 2,
        ..limits()
    });
    let many = fragment(&ethernet_udp(&ends(false), &payload(2000)), 600);
    held(&push(&mut table, &many[0], 0));
    held(&push(&mut table, &many[1], 1));
    dropped_as(&push(&mut table, &many[2], 2), FragmentFault::TooMany, &[0, 1, 2]);
}

#[test]
fn other_packets_are_sent_back() {
    let mut table = Reassembler::new(limits());
    let frame = ethernet_udp(&ends(false), b"whole");
    dropped_as(&push(&mut table, &frame, 7), FragmentFault::NotAFragment, &[7]);
    assert_eq!(table.datagrams(), 0);
}

#[test]
fn cut_fragments_give_what_was_captured() {
    let whole = ethernet_udp(&ends(false), &payload(1000));
    let pieces = fragment(&whole, 600);
    let mut table = Reassembler::new(limits());
    for (note, piece) in pieces.iter().enumerate() {
        let cut = &piece[..100];
        let packet = parse(LinkType::Ethernet, cut, piece.len(), Checksums::Verify).unwrap();
        match table.push(NOW, WIRE, &packet, note) {
            Reassembly::Held => assert_eq!(note, 0),
            other @ (Reassembly::Complete(_) | Reassembly::Dropped { .. }) => {
                let datagram = complete(other);
                let packet = datagram.packet().unwrap();
                assert_eq!(packet.original_len(), whole.len());
                let Transport::Udp(udp) = packet.ip().unwrap().transport else {
                    panic!("no UDP")
                };
                assert_eq!(udp.payload_len, 1000);
                assert_eq!(udp.payload, &payload(1000)[..100 - 42]);
            }
        }
    }
}

#[test]
fn datagrams_can_be_answered_behind_every_link_header() {
    let kinds = [
        LinkType::RawIp,
        LinkType::Sll,
        LinkType::Sll2,
        LinkType::Null,
        LinkType::Ppp,
    ];
    let ends = ends(false);
    let pieces = fragment(&ethernet_udp(&ends, &payload(4000)), 1400);
    let pppoe = |ip: &[u8]| {
        let length = u16::try_from(ip.len() + 2).unwrap().to_be_bytes();
        [
            &[2; 12][..],
            &[0x88, 0x64, 0x11, 0, 0, 1],
            &length,
            &[0, 0x21],
            ip,
        ]
        .concat()
    };
    let snap = |ip: &[u8]| {
        let length = u16::try_from(ip.len() + 8).unwrap().to_be_bytes();
        [&[2; 12][..], &length, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], ip].concat()
    };
    let mut variants: Vec<(LinkType, Vec<Vec<u8>>)> = kinds
        .iter()
        .map(|&kind| (kind, pieces.iter().map(|piece| with_link(piece, kind)).collect()))
        .collect();
    variants.push((
        LinkType::Ethernet,
        pieces.iter().map(|p| pppoe(&p[14..])).collect(),
    ));
    variants.push((
        LinkType::Ethernet,
        pieces.iter().map(|p| snap(&p[14..])).collect(),
    ));
    for (kind, frames) in variants {
        let mut table = Reassembler::new(limits());
        let mut done = None;
        for (note, frame) in frames.iter().enumerate() {
            let packet = parse(kind, frame, frame.len(), Checksums::Verify).unwrap();
            if let Reassembly::Complete(datagram) = table.push(NOW, WIRE, &packet, note) {
                done = Some(datagram);
            }
        }
        let datagram = done.expect("all fragments were there");
        let query = datagram.packet().unwrap();
        let mut out = Vec::new();
        assert!(udp_reply(&query, b"answer", &mut out), "{kind:?}");
        let reply = parse(kind, &out, out.len(), Checksums::Verify).unwrap();
        assert_eq!(
            reply.flow_tuple(),
            query.flow_tuple().map(crate::FlowTuple::reversed)
        );
    }
}

proptest! {
    /// Whatever the order, repetitions included, and however small the pieces: the datagram comes out when
    /// and only when every piece was seen, and no note is lost.
    #[test]
    fn any_order_gives_the_datagram(
        v6 in any::<bool>(),
        len in 1200_usize..4000,
        mtu in 80_usize..1200,
        seed in proptest::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let whole = ethernet_udp(&ends(v6), &payload(len));
        let pieces = fragment(&whole, mtu);
        let mut order: Vec<usize> = seed.iter().map(|index| index.index(pieces.len())).collect();
        order.extend(0..pieces.len());
        let mut table = Reassembler::new(FragmentLimits { fragments_per_datagram: 500, ..limits() });
        let mut seen = vec![false; pieces.len()];
        for (note, &index) in order.iter().enumerate() {
            seen[index] = true;
            let result = push(&mut table, &pieces[index], note);
            if seen.iter().all(|seen| *seen) {
                let datagram = complete(result);
                let notes: Vec<_> = datagram.fragments.iter().map(|(note, _)| *note).collect();
                prop_assert_eq!(notes, (0..=note).collect::<Vec<_>>());
                let expected = parse(LinkType::Ethernet, &whole, whole.len(), Checksums::Verify).unwrap();
                let packet = datagram.packet().unwrap();
                prop_assert_eq!(packet.network(), expected.network());
                break;
            }
            held(&result);
        }
        prop_assert_eq!(table.drain().len(), 0);
    }

    /// Arbitrary fragments of a few datagrams under tight bounds: every note comes back exactly once, and
    /// the bounds hold.
    #[test]
    fn no_note_is_lost(
        pushes in proptest::collection::vec(
            (0_u8..4, 0_u16..12, 1_u8..6, any::<bool>(), any::<bool>(), 0_u64..3), 1..200),
    ) {
        let limits = FragmentLimits {
            datagrams: 3,
            bytes: 700,
            timeout: Duration::from_secs(10),
            fragments_per_datagram: 5,
        };
        let mut table = Reassembler::new(limits);
        let mut returned = Vec::new();
        let mut now = NOW;
        for (note, &(id, offset, words, more, flip, pause)) in pushes.iter().enumerate() {
            now = now.saturating_add(Duration::from_secs(pause));
            let data = vec![u8::from(flip); usize::from(words) * 8];
            let mut frame = crate::build::ethernet_ip(&ends(false), IpProtocol::UDP, &data);
            frame[19] = id;
            let flags = offset | if more { 0x2000 } else { 0 };
            frame[20..22].copy_from_slice(&flags.to_be_bytes());
            let packet = parse(LinkType::Ethernet, &frame, frame.len(), Checksums::Ignore);
            let Ok(packet) = packet else { returned.push(note); continue };
            match table.push(now, WIRE, &packet, note) {
                Reassembly::Held => {}
                Reassembly::Complete(datagram) => {
                    returned.extend(datagram.fragments.iter().map(|(note, _)| *note));
                }
                Reassembly::Dropped { notes, .. } => returned.extend(notes),
            }
            returned.extend(table.expire(now).into_iter().map(|(_, note)| note));
            prop_assert!(table.bytes() <= limits.bytes && table.datagrams() <= limits.datagrams);
        }
        returned.extend(table.drain());
        returned.sort_unstable();
        prop_assert_eq!(returned, (0..pushes.len()).collect::<Vec<_>>());
    }
}
