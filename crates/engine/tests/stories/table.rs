//! Full tables: sessions make way and say so, fragments are accounted for.

use packet::build;

use crate::{
    lab::{Fate, Lab, Plan},
    quarantine::ends,
};

#[test]
fn at_the_bound_the_session_that_would_age_next_makes_way() {
    let plan = Plan {
        sessions: 1,
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    // Two hundred flows for sixty-four shards of one session each.
    for port in 1..=200 {
        let flow = ends("192.168.1.7", port, "198.51.100.9:4000");
        assert_eq!(lab.send(&build::ethernet_udp(&flow, b"\xff")), Fate::Forwarded);
    }
    let told = lab.told();
    assert!(told.len() >= 136, "{}", told.len());
    assert!(
        told.iter()
            .all(|line| line == "end 192.168.1.7 insufficient-data allow resources-unavailable by all")
    );
    let evicted = told.len() as u64;
    lab.assert_sessions([0, 200, 0], 0, 0, evicted);
    lab.finish();
    let told = lab.told();
    assert_eq!(told.len() as u64 + evicted, 200, "every session has its end");
    assert!(told.iter().all(|line| line.ends_with("unknown by all")));
    lab.assert_frames(200, 0, &[]);
}

/// What makes room for newer fragments in the very last tick is dropped, not lost.
#[test]
fn fragments_that_had_to_make_room_are_accounted_for_at_the_end() {
    let plan = Plan {
        datagrams: 1,
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    for port in 1..=200 {
        let flow = ends("192.168.1.7", port, "198.51.100.9:4000");
        let fragments = build::fragment(&build::ethernet_udp(&flow, &[0; 40]), 44);
        assert_eq!(lab.send(&fragments[0]), Fate::Held);
    }
    let held = lab.finish();
    assert!(held <= 64, "{held} of 64 shards with one datagram each");
    lab.assert_frames(0, 0, &[("fragment-limit", 200 - held)]);
}
