//! Whole connections over a path that loses, delays, repeats and reorders.

use std::time::Duration;

use packet::Timestamp;
use proptest::prelude::*;

use super::{
    Counters, Cutting, Endpoint, Limits, SegmentIn, SegmentOut, SynOptions, Taking,
    simulation::{Path, Simulation, ms, syn, taking},
};

const GIGABIT: Path = Path {
    rate: 1_000_000_000,
    queue: 4 << 20,
    ..Path::GOOD
};

struct Outcome {
    /// Megabits per second.
    rate: f64,
    stall: Duration,
    counters: Counters,
}

/// Sends `bytes` one way and closes; the way back is good.
fn transfer(path: Path, bytes: u64, options: SynOptions) -> Outcome {
    let mut simulation = Simulation::new(7, path, options);
    simulation.paths[1] = Path::GOOD;
    simulation.to_write = [bytes, 0];
    let start = simulation.now;
    let all = |simulation: &Simulation| simulation.read[1] == bytes;
    assert!(
        simulation.run(Duration::from_mins(10), all),
        "{:?}",
        simulation.ends
    );
    let rate = simulation.rate(1, start) / 1e6;
    assert!(
        simulation.run(Duration::from_secs(10), closed),
        "{:?}",
        simulation.ends
    );
    Outcome {
        rate,
        stall: simulation.stall[1],
        counters: simulation.ends[0].counters(),
    }
}

fn closed(simulation: &Simulation) -> bool {
    simulation.ends.iter().all(Endpoint::is_done)
}

#[test]
fn a_good_path_is_filled_without_sending_anything_twice() {
    let outcome = transfer(GIGABIT, 100_000_000, syn(|_| {}));
    assert!(outcome.rate > 700.0, "{}", outcome.rate);
    assert_eq!(outcome.counters.retransmitted, 0);
    assert!(outcome.stall < ms(50));
}

#[test]
fn losses_cost_no_more_than_the_response_to_them() {
    for (loss, least) in [(1_000, 30.0), (10_000, 5.0)] {
        let outcome = transfer(Path { loss, ..GIGABIT }, 20_000_000, syn(|_| {}));
        assert!(outcome.rate > least, "{} at {loss} per million", outcome.rate);
        assert!(outcome.stall < ms(1000), "{:?}", outcome.stall);
        let lost = 20_000_000 / 1_000_000 * u64::from(loss);
        assert!(
            outcome.counters.retransmitted < 2 * lost,
            "{:?}",
            outcome.counters
        );
    }
}

#[test]
fn segments_out_of_order_cost_next_to_nothing() {
    let overtaking = 30_000;
    let outcome = transfer(
        Path {
            overtaking,
            ..GIGABIT
        },
        100_000_000,
        syn(|_| {}),
    );
    let good = transfer(GIGABIT, 100_000_000, syn(|_| {}));
    assert!(
        outcome.rate > 0.9 * good.rate,
        "{} of {}",
        outcome.rate,
        good.rate
    );
    assert_eq!(outcome.counters.timeouts, 0);
    assert_eq!(outcome.counters.recoveries, outcome.counters.undone);
}

#[test]
fn segments_that_come_twice_cost_nothing() {
    let duplication = 30_000;
    let path = Path {
        duplication,
        ..GIGABIT
    };
    let outcome = transfer(path, 10_000_000, syn(|_| {}));
    assert_eq!(outcome.counters.retransmitted, 0);
}

#[test]
fn a_small_queue_is_found_and_used() {
    let path = Path {
        rate: 100_000_000,
        queue: 60_000,
        ..Path::GOOD
    };
    let outcome = transfer(path, 50_000_000, syn(|_| {}));
    assert!(outcome.rate > 80.0, "{}", outcome.rate);
    assert_eq!(outcome.counters.timeouts, 0);
}

#[test]
fn without_options_it_works_as_in_1990() {
    let path = Path {
        loss: 5_000,
        ..GIGABIT
    };
    let outcome = transfer(path, 2_000_000, SynOptions::default());
    assert!(outcome.rate > 0.5, "{}", outcome.rate);
    let without_sack = transfer(path, 5_000_000, syn(|syn| syn.sack_permitted = false));
    assert!(without_sack.rate > 2.0, "{}", without_sack.rate);
    assert!(without_sack.stall < ms(1000), "{:?}", without_sack.stall);
}

#[test]
fn the_last_segment_lost_is_probed_for() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.finishing = false;
    simulation.to_write = [100_000, 0];
    assert!(simulation.run(Duration::from_secs(2), |simulation| simulation.read[1] == 100_000));
    simulation.run(ms(900), |_| false);
    simulation.paths[0].loss = 1_000_000;
    simulation.to_write = [105_000, 0];
    simulation.run(ms(1), |_| false);
    simulation.paths[0].loss = 0;
    let probed = simulation.run(ms(150), |simulation| simulation.read[1] == 105_000);
    assert!(probed, "{:#?}", simulation.ends[0]);
    let counters = simulation.ends[0].counters();
    assert_eq!((counters.tail_probes, counters.timeouts), (1, 0));
}

#[test]
fn a_path_that_pauses_is_not_mistaken_for_losses() {
    let mut simulation = Simulation::new(1, GIGABIT, syn(|_| {}));
    simulation.to_write = [20_000_000, 0];
    simulation.run(ms(150), |_| false);
    simulation.paths[0].delay = ms(500);
    assert!(simulation.run(Duration::from_secs(10), closed));
    let counters = simulation.ends[0].counters();
    assert!(counters.timeouts > 0 && counters.undone > 0, "{counters:?}");
    assert!(counters.retransmitted < 100_000, "{counters:?}");
}

#[test]
fn a_reader_that_sleeps_stops_the_sender_and_wakes_it() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.to_write = [5_000_000, 0];
    simulation.reads = [0, 0];
    assert!(!simulation.run(Duration::from_mins(5), closed));
    let counters = simulation.ends[0].counters();
    assert!((5..20).contains(&counters.window_probes), "{counters:?}");
    assert!(!simulation.ends[0].gave_up(), "a peer that answers is there");
    assert!(
        simulation.ends[1].readable_len() < 100_000,
        "room that was not asked for"
    );
    simulation.reads = [usize::MAX; 2];
    assert!(simulation.run(Duration::from_secs(2), closed));
    assert_eq!(simulation.read[1], 5_000_000);
}

#[test]
fn a_reader_that_never_wakes_is_given_up() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.to_write = [5_000_000, 0];
    simulation.reads = [0, 0];
    assert!(!simulation.run(Duration::from_mins(14), |simulation| simulation.ends[0].gave_up()));
    assert!(simulation.run(Duration::from_mins(4), |simulation| simulation.ends[0].gave_up()));
    let counters = simulation.ends[0].counters();
    assert_eq!(counters.closed_windows, 1, "{counters:?}");
    simulation.run(ms(200), |_| false);
    assert!(simulation.ends[1].was_reset());
}

#[test]
fn a_reader_that_sips_keeps_the_window_open() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.to_write = [1_000_000, 0];
    simulation.reads = [0, 700];
    assert!(
        simulation.run(Duration::from_secs(20), |simulation| simulation.read[1]
            == 1_000_000)
    );
    assert_eq!(simulation.ends[0].counters().window_probes, 0);
}

#[test]
fn a_peer_that_vanishes_is_given_up_and_told() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.to_write = [5_000_000, 0];
    simulation.run(ms(100), |_| false);
    simulation.paths[1].loss = 1_000_000;
    let gone = |simulation: &Simulation| simulation.ends[0].gave_up();
    assert!(simulation.run(Duration::from_mins(5), gone));
    assert!(simulation.ends[0].is_done() && simulation.ends[0].deadline().is_none());
    assert!(simulation.run(Duration::from_secs(1), |simulation| {
        simulation.ends[1].was_reset()
    }));
    assert!(simulation.ends[0].memory() < 8192);
}

#[test]
fn a_path_that_swallows_full_segments_silently_is_found_out() {
    let largest = 1200;
    let outcome = transfer(Path { largest, ..GIGABIT }, 1_000_000, syn(|_| {}));
    assert_eq!(outcome.counters.path_mtu_changes, 1);
    let tiny = Path {
        largest: 700,
        ..GIGABIT
    };
    assert_eq!(
        transfer(tiny, 1_000_000, syn(|_| {})).counters.path_mtu_changes,
        2
    );
}

#[test]
fn what_a_router_says_of_its_mtu_is_heeded_at_once() {
    let mut simulation = Simulation::new(1, GIGABIT, syn(|_| {}));
    simulation.to_write = [1_000_000, 0];
    simulation.paths[0].largest = 1300;
    let first = 0xffff_ffff - 70_000;
    simulation.run(ms(1), |_| false);
    let now = simulation.now;
    simulation.ends[0].path_mtu(now, first - 1, 1340);
    assert_eq!(simulation.ends[0].counters().path_mtu_changes, 0, "not ours");
    simulation.ends[0].path_mtu(now, first, 1340);
    assert!(simulation.run(ms(300), closed), "{:?}", simulation.ends[0]);
    let counters = simulation.ends[0].counters();
    assert_eq!((counters.timeouts, counters.path_mtu_changes), (0, 1));
}

#[test]
fn an_idle_endpoint_is_small() {
    let mut simulation = Simulation::new(1, Path::GOOD, syn(|_| {}));
    simulation.finishing = false;
    simulation.to_write = [300_000, 300_000];
    simulation.run(Duration::from_secs(5), |_| false);
    assert_eq!(simulation.read, [300_000; 2]);
    for end in &simulation.ends {
        assert!(end.memory() < 2048, "{}", end.memory());
        assert_eq!(end.deadline(), None);
        assert!(end.idle(simulation.now) > ms(500));
    }
}

#[test]
fn a_flow_under_way_allocates_nothing() {
    let limits = Limits {
        send_buffer: 200_000,
        receive_buffer: 200_000,
        ..Limits::default()
    };
    let mut now = Timestamp::from_secs(1);
    let [mut from, mut to] = [(1, 2), (2, 1)].map(|(ours, peers)| {
        let taking = taking(ours, peers, syn(|_| {}));
        Endpoint::adopt(now, Taking { limits, ..taking })
    });
    let block = vec![7; 300_000];
    let mut payload = Vec::with_capacity(65_536);
    let mut turns = |count: u32| {
        for turn in 0..count {
            now = now.saturating_add(Duration::from_micros(100));
            from.write(&block);
            let mut lost = turn % 8;
            from.poll(now, Cutting::Mss, &mut |out| {
                payload.clear();
                payload.extend(out.payload.into_iter().flatten());
                lost += 1;
                if lost % 64 > 0 {
                    to.receive(now, &carried(out, &payload));
                }
            });
            to.consume(to.readable_len());
            to.poll(now, Cutting::Mss, &mut |out| {
                from.receive(now, &carried(out, &[]));
            });
        }
        from.counters()
    };
    let before = turns(3000);
    let mut after = before;
    let info = allocation_counter::measure(|| after = turns(1000));
    assert!(after.acknowledged > before.acknowledged + 10_000_000);
    assert!(after.retransmitted > before.retransmitted);
    assert_eq!(info.count_total, 0);
}

fn carried<'a>(out: &SegmentOut<'a>, payload: &'a [u8]) -> SegmentIn<'a> {
    SegmentIn {
        seq: out.seq,
        ack: out.ack,
        flags: out.flags,
        window: out.window,
        options: out.options,
        payload,
    }
}

fn any_path() -> impl Strategy<Value = Path> {
    (1_u64..100, 0_u64..50, 0_u32..80_000, 0_u32..50_000, 0_u32..80_000).prop_map(
        |(delay, megabits, loss, duplication, overtaking)| Path {
            delay: ms(delay),
            rate: megabits * 1_000_000,
            queue: 100_000,
            loss,
            duplication,
            overtaking,
            largest: usize::MAX,
        },
    )
}

fn any_options() -> impl Strategy<Value = SynOptions> {
    (
        proptest::option::of(0_u16..9000),
        proptest::option::of(0_u8..15),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(mss, window_scale, sack_permitted, stamps)| SynOptions {
            mss,
            window_scale,
            sack_permitted,
            timestamps: stamps.then_some((1, 0)),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_byte_arrives_once_and_in_order(
        seed: u64,
        there in any_path(),
        back in any_path(),
        options in any_options(),
        to_write in [0_u64..400_000, 0_u64..100_000],
        reads in [prop_oneof![Just(usize::MAX), 100_usize..5000], prop_oneof![Just(usize::MAX), 100_usize..5000]],
        whole: bool,
    ) {
        let mut simulation = Simulation::new(seed, there, options);
        simulation.paths[1] = back;
        simulation.to_write = to_write;
        simulation.reads = reads;
        simulation.mode = if whole { Cutting::Whole } else { Cutting::Mss };
        // The simulation compares every byte.
        let all = |simulation: &Simulation| {
            simulation.read == [to_write[1], to_write[0]] && simulation.ends.iter().all(Endpoint::peer_finished)
        };
        let done = simulation.run(Duration::from_hours(1), all);
        prop_assert!(done, "{} {:?} {:#?}", simulation.now.as_nanos(), simulation.read, simulation.ends);
    }
}
