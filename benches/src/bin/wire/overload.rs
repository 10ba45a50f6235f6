//! What comes through when more comes in than can be forwarded.
//!
//! The kernel runs the generator itself, so that one core offers several times what the other forwards. Twice: with all that
//! is the firewall's on that other core, its interfaces' receive work too (threaded NAPI at ordinary priority); and with that
//! work where the kernel does it by itself, which on virtual links is the sender's core.

use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{open, tap};
use packet::{
    MacAddr,
    build::{Ends, ethernet_udp},
};
use ports::live::{Flood, Interface, Namespace, Offload};
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

use super::{Between, CORE, FLOODED, Lab};

/// Where the generator runs.
const OTHER_CORE: usize = 1;
/// Frames offered in a second; 0: all that the generator makes.
const LADDER: [u64; 10] = [
    100_000, 200_000, 400_000, 600_000, 800_000, 1_200_000, 1_600_000, 2_400_000, 4_000_000, 0,
];
const ROUNDS: usize = 3;
const WHILE: Duration = Duration::from_millis(400);
/// Of the generator.
const FLOWS: u16 = 1024;
const FIRST_PORT: u16 = 10_000;
/// Where the time of sending stands in a frame.
const TIME_AT: usize = 44;
const COMPARED: [Between; 6] = [
    Between::Bridge,
    Between::Nftables,
    Between::Xdp,
    Between::Ports,
    Between::Pinned,
    Between::CordonXdp,
];

/// One rung: thousands a second that were offered, and that arrived.
type Rung = (f64, f64);

/// Where frames are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    /// On the core where the firewall's thread is.
    WithTheFirewall,
    /// On that of whoever sends to it.
    WithTheSender,
}

pub(super) fn run(lab: &Lab, receiving: Receiving) {
    println!(
        "thousands of 60-byte frames a second that arrive, for those offered; 1,024 UDP flows, medians of {ROUNDS}; \
         received {receiving:?}"
    );
    println!(
        "offered            bridge          nftables               xdp             ports            cordon       cordon, xdp"
    );
    let mut all: Vec<Vec<Vec<Rung>>> = Vec::new();
    for _ in 0..ROUNDS {
        all.push(COMPARED.map(|between| ladder(lab, between, receiving)).into());
    }
    let median = |place: usize, rung: usize, figure: fn(&Rung) -> f64| {
        let mut figures: Vec<f64> = all.iter().map(|round| figure(&round[place][rung])).collect();
        figures.sort_by(f64::total_cmp);
        figures[ROUNDS / 2]
    };
    for (rung, rate) in LADDER.into_iter().enumerate() {
        let cells: Vec<String> = (0..COMPARED.len())
            .map(|place| {
                let (offered, arrived) = (
                    median(place, rung, |rung| rung.0),
                    median(place, rung, |rung| rung.1),
                );
                format!("{offered:>8.0} ->{arrived:>6.0}  ")
            })
            .collect();
        let name = if rate == 0 {
            "all".to_owned()
        } else {
            (rate / 1000).to_string()
        };
        println!("{name:<8}{}", cells.concat());
    }
    let best = |place| {
        (0..LADDER.len())
            .map(|rung| median(place, rung, |rung| rung.1))
            .fold(0.0, f64::max)
    };
    let row = |name: &str, figure: &dyn Fn(usize) -> f64| {
        let cells: Vec<String> = (0..COMPARED.len())
            .map(|place| format!("{:>16.2}  ", figure(place)))
            .collect();
        println!("{name:<8}{}", cells.concat());
    };
    row("best", &best);
    row("to nft", &|place| best(place) / best(1));
    row("to xdp", &|place| best(place) / best(2));
    let last = LADDER.len() - 1;
    row("at all", &|place| {
        median(place, last, |rung| rung.1) / best(place)
    });
    println!(
        "from the generator to the server, microseconds, beside a tap there that costs frames: median, p99, most"
    );
    for between in COMPARED {
        let (half, full) = lab.with(between, || {
            let flood = prepare(lab, between, receiving);
            let best = best_of(between, &best);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
            let nanos = (2e6 / best) as u64;
            (latency(lab, &flood, nanos), latency(lab, &flood, 0))
        });
        println!("{between:?}: at half its best {half}; offered all {full}");
    }
}

fn best_of(between: Between, best: &dyn Fn(usize) -> f64) -> f64 {
    COMPARED.iter().position(|one| *one == between).map_or(1.0, best)
}

fn ladder(lab: &Lab, between: Between, receiving: Receiving) -> Vec<Rung> {
    lab.with(between, || {
        let flood = prepare(lab, between, receiving);
        let rungs = LADDER.map(|rate| {
            let nanos = 1_000_000_000_u64.checked_div(rate).unwrap_or(0);
            measure(lab, &flood, nanos)
        });
        rungs.into()
    })
}

/// The receive work is put where the firewall is, and every flow has had a frame each way.
fn prepare(lab: &Lab, between: Between, receiving: Receiving) -> Flood {
    let firewall = &lab.cable.firewall;
    for name in ["lan0", "wan0"] {
        let threaded = u8::from(receiving == Receiving::WithTheFirewall);
        let line = format!("ethtool -K {name} gro on; echo {threaded} > /sys/class/net/{name}/threaded");
        shell(firewall, &line);
        pin_receiving(name);
    }
    let to: SocketAddr = (FLOODED.parse::<std::net::IpAddr>().expect("an address"), 4000).into();
    let mac = |end: &str| {
        let find = || {
            Interface::find(end)
                .expect("an interface")
                .mac
                .expect("an address")
        };
        firewall.run(find).expect("a thread")
    };
    let frame = |port: u16, back: bool| {
        let client = SocketAddr::new([10, 0, 1, 1].into(), port);
        let mut ends = if back {
            Ends::new(to, client)
        } else {
            Ends::new(client, to)
        };
        ends.dst_mac = match (between, back) {
            (Between::Nftables, false) => mac("lan0"),
            (Between::Nftables, true) => mac("wan0"),
            _ => MacAddr([2, 0, 0, 0, 0, 9 + u8::from(back)]),
        };
        ends.src_mac = MacAddr([2, 0, 0, 0, 0, 9 + u8::from(!back)]);
        ethernet_udp(&ends, &[0; 18])
    };
    let mut template: [u8; 60] = frame(FIRST_PORT, false).try_into().expect("60 bytes");
    // Ports differ: no checksum.
    template[40..42].fill(0);
    let there: Vec<_> = (0..FLOWS).map(|flow| frame(FIRST_PORT + flow, false)).collect();
    let back: Vec<_> = (0..FLOWS).map(|flow| frame(FIRST_PORT + flow, true)).collect();
    // Twice: the first ones ask for addresses.
    for _ in 0..2 {
        for (namespace, name, frames) in [
            (&lab.cable.client, "c0", &there),
            (&lab.cable.server, "s0", &back),
        ] {
            let mut sender = open(namespace, name).expect("a port").tx;
            for frames in frames.chunks(32) {
                for frame in frames {
                    sender.send(frame, Offload::COMPLETE).expect("room");
                }
                sender.flush();
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    let make = || {
        let c0 = Interface::find("c0").expect("c0");
        Flood::new(&c0, template).expect("a generator")
    };
    lab.cable.client.run(make).expect("a thread")
}

fn shell(namespace: &Namespace, line: &str) {
    let status = namespace
        .command("sh")
        .args(["-c", line])
        .status()
        .expect("a shell");
    assert!(status.success(), "{line}");
}

/// Puts the kernel's receiving threads of an interface onto the firewall's core.
fn pin_receiving(interface: &str) {
    let mut core = CpuSet::new();
    core.set(CORE);
    let prefix = format!("napi/{interface}");
    for entry in fs::read_dir("/proc").expect("processes").flatten() {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = number.and_then(Pid::from_raw)
            && name.starts_with(&prefix)
        {
            // One of a namespace that is just being deleted may be gone.
            let _gone = sched_setaffinity(Some(pid), &core);
        }
    }
}

fn send(lab: &Lab, flood: &Flood, nanos: u64) -> (u64, f64) {
    let send = || {
        let mut core = CpuSet::new();
        core.set(OTHER_CORE);
        sched_setaffinity(None, &core).expect("a core");
        let start = Instant::now();
        let sent = flood
            .send(nanos, || start.elapsed() > WHILE)
            .expect("a generator");
        (sent, start.elapsed().as_secs_f64())
    };
    lab.cable.client.run(send).expect("a thread")
}

fn measure(lab: &Lab, flood: &Flood, nanos: u64) -> Rung {
    let before = lab.arrived();
    let (sent, seconds) = send(lab, flood, nanos);
    // What is in queues now would come later.
    let arrived = lab.arrived() - before;
    thread::sleep(Duration::from_millis(50));
    let thousands = |frames: u64| frames as f64 / seconds / 1e3;
    (thousands(sent), thousands(arrived))
}

/// How long frames were under way.
fn latency(lab: &Lab, flood: &Flood, nanos: u64) -> String {
    let now = |clock| {
        let time = clock_gettime(clock);
        Duration::try_from(time).expect("a time after 1970").as_nanos()
    };
    // What lies between the two clocks.
    let offset = now(ClockId::Realtime) - now(ClockId::Monotonic);
    let mut tap = tap(&lab.cable.server, "s0", 1 << 16).expect("a tap");
    send(lab, flood, nanos);
    let mut times = Vec::new();
    loop {
        let burst = tap.receive();
        if burst.is_empty() {
            break;
        }
        for frame in burst.iter() {
            let Some(sent) = frame.bytes.get(TIME_AT..).and_then(<[u8]>::first_chunk) else {
                continue;
            };
            let sent = u128::from(u64::from_ne_bytes(*sent)) + offset;
            let arrived = u128::from(frame.stamp.as_nanos());
            // Frames of others have no time there.
            if frame.bytes.get(36..38) == Some(&4000_u16.to_be_bytes()) {
                times.push(u64::try_from(arrived.saturating_sub(sent)).unwrap_or(u64::MAX));
            }
        }
    }
    cordon_benches::quantiles(times)
}
