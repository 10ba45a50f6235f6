//! cordon on the wire, beside what else could be in its place: the kernel's bridge, the kernel as a router with a
//! stateful packet filter, a forwarder between XDP sockets, and cordon's ports with no engine between them.
//!
//! Client, firewall and server are network namespaces with veth pairs between them, offloads as they are
//! by default. Needs root. `wire TCP trip` measures only what has such a word in its name; `wire overload`: what
//! comes through of more than that can be (`together`, `spread`: with the receiving on the firewall's core, or the sender's); `wire forward LAN WAN SECONDS` forwards between two interfaces that exist.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

mod overload;

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Figure, Figures, Firewall, open};
use overload::Receiving;
use packet::{
    MacAddr, Timestamp,
    build::{Ends, ethernet_udp},
};
use ports::live::{
    Interface, Namespace, Offload, OpenOptions, PacketSocket, Receiver, Sender, Vigil, Waiter, Waker, XdpWire,
};
use rustix::thread::{CpuSet, sched_setaffinity};

const ROUNDS: usize = 5;
const SECONDS: Duration = Duration::from_secs(1);
/// Where those stay that do not move.
const CORE: usize = 0;
/// Where the flood of frames goes, and in how many flows.
const FLOODED: &str = "10.0.2.77";
const FLOWS: u16 = 1000;
const CONFIG: &str = include_str!("open.toml");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["forward", lan, wan, seconds] => {
            let ports = [open_here(lan), open_here(wan)];
            let until = Instant::now() + Duration::from_secs(seconds.parse().expect("seconds"));
            let waker = Waker::new().expect("a waker");
            report(&mut forward(ports, &waker, || Instant::now() >= until));
        }
        ["overload", words @ ..] if Namespace::permitted().expect("root") => {
            let lab = Lab::new();
            if words != ["spread"] {
                overload::run(&lab, Receiving::WithTheFirewall);
            }
            if words != ["together"] {
                overload::run(&lab, Receiving::WithTheSender);
            }
        }
        words if Namespace::permitted().expect("root") => compare(words),
        _ => println!("wire: skipped, needs root"),
    }
}

/// What is between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// The kernel's bridge.
    Bridge,
    /// The kernel routes, and its packet filter follows connections.
    Nftables,
    /// A forwarder between XDP sockets, which copies nothing and looks at nothing but checksums.
    Xdp,
    /// The ports, with no engine.
    Ports,
    /// `cordon run`, everything inspected.
    Cordon,
    /// The same with its worker held where [`keep_up`] holds the others.
    Pinned,
    /// The same between XDP sockets.
    CordonXdp,
}

const ALL: [Between; 7] = [
    Between::Bridge,
    Between::Nftables,
    Between::Xdp,
    Between::Ports,
    Between::Cordon,
    Between::Pinned,
    Between::CordonXdp,
];

impl Between {
    /// How its figures are labelled.
    fn label(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Nftables => "nftables",
            Self::Xdp => "XDP sockets alone",
            Self::Ports => "packet rings alone",
            Self::Cordon => "cordon",
            Self::Pinned => "cordon, pinned",
            Self::CordonXdp => "cordon, io = xdp",
        }
    }

    /// Where the server is reached.
    fn server(self) -> &'static str {
        match self {
            Self::Nftables => "10.0.2.1:9999",
            Self::Bridge | Self::Xdp | Self::Ports | Self::Cordon | Self::Pinned | Self::CordonXdp => {
                "10.0.0.2:9999"
            }
        }
    }
}

/// What is measured, and how.
type Line = (&'static str, fn(&Lab, Between) -> f64);

const LINES: [Line; 9] = [
    ("TCP, Gbit/s", |lab, between| bulk(lab, between, None)),
    ("TCP of cubic, Gbit/s", |lab, between| {
        bulk(lab, between, Some("cubic"))
    }),
    ("TCP in frames of the MTU, Gbit/s", |lab, between| {
        lab.cut(true);
        let result = bulk(lab, between, None);
        lab.cut(false);
        result
    }),
    ("60-byte frames, kpps", flood),
    ("60-byte frames, % of those offered", delivered),
    ("round trip, us, median", |lab, between| {
        round_trips(lab, between, 0.5)
    }),
    ("round trip, us, p99", |lab, between| {
        round_trips(lab, between, 0.99)
    }),
    ("round trip paced by 1 ms, us, median", |lab, between| {
        paced_trips(lab, between, 0.5)
    }),
    ("round trip paced by 1 ms, us, p99", |lab, between| {
        paced_trips(lab, between, 0.99)
    }),
];

/// Medians of all rounds; in each round all are measured in turn, so that what else the machine does meets all of
/// them. Beside it the median of the ratios to the bridge.
fn compare(words: &[&str]) {
    println!(
        "{:<38}    bridge  nftables       xdp     ports    cordon    pinned       xdp",
        "through"
    );
    let (lab, figures) = (Lab::new(), Figures::of_this_run());
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    for (name, measure) in LINES.into_iter().filter(|(name, _)| wanted(name)) {
        let rounds = [(); ROUNDS].map(|()| ALL.map(|between| lab.with(between, || measure(&lab, between))));
        keep(&figures, name, &rounds);
        let line = |figure: &dyn Fn(&[f64; ALL.len()], usize) -> f64| {
            let figures: Vec<String> = (0..ALL.len())
                .map(|place| median(rounds.map(|round| figure(&round, place))))
                .map(|median| format!("{median:>10.2}"))
                .collect();
            figures.concat()
        };
        println!("{name:<38}{}", line(&|round, place| round[place]));
        println!(
            "{:<38}{}",
            "  to the bridge",
            line(&|round, place| round[place] / round[0])
        );
    }
}

fn keep(figures: &Figures, name: &str, rounds: &[[f64; ALL.len()]; ROUNDS]) {
    let (title, unit) = name.split_once(", ").unwrap_or((name, ""));
    let of = |place: usize| rounds.map(|round| round[place]);
    for (place, between) in ALL.into_iter().enumerate() {
        let bridge = of(0);
        let peer = (place > 0).then_some(&bridge[..]);
        figures.keep(&Figure::of(title, between.label(), unit, &of(place), peer));
    }
}

fn median(mut rounds: [f64; ROUNDS]) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn open_here(name: &str) -> PacketSocket {
    let interface = Interface::find(name).unwrap_or_else(|error| panic!("{error}"));
    PacketSocket::open(&OpenOptions::new(&interface)).unwrap_or_else(|error| panic!("{error}"))
}

fn pump(from: &mut Receiver, to: &mut Sender) -> usize {
    let burst = from.receive();
    for frame in burst.iter() {
        // What is dropped is counted.
        let _counted = to.send(frame.bytes, frame.offload);
    }
    to.flush();
    burst.len()
}

/// Has `turn` done until it is enough; it says how many frames there were.
fn keep_up(mut waiter: Waiter, mut turn: impl FnMut() -> usize, enough: impl Fn() -> bool) {
    // As a worker of cordon: a thread that moves overtakes itself.
    let mut core = CpuSet::new();
    core.set(CORE);
    sched_setaffinity(None, &core).expect("a core");
    let (mut vigil, start) = (Vigil::default(), Instant::now());
    while !enough() {
        let frames = turn();
        let now = Timestamp::ZERO.saturating_add(start.elapsed());
        if frames > 0 {
            vigil.found(now);
        } else if vigil.looks_again(now) {
            thread::yield_now();
        } else {
            waiter.wait(Some(Duration::from_millis(100))).expect("a wait");
        }
    }
}

fn forward(mut ports: [PacketSocket; 2], waker: &Waker, enough: impl Fn() -> bool) -> [PacketSocket; 2] {
    let [lan, wan] = &mut ports;
    let waiter = Waiter::new(waker, &[lan.rx.as_fd(), wan.rx.as_fd()]);
    let turn = || pump(&mut lan.rx, &mut wan.tx) + pump(&mut wan.rx, &mut lan.tx);
    keep_up(waiter, turn, enough);
    ports
}

fn report(ports: &mut [PacketSocket; 2]) {
    for port in ports {
        println!("{:?}\n{:?}", port.rx.counters(), port.tx.counters());
    }
}

struct Lab {
    cable: Cable,
}

/// Rules, and addresses in a group, that both packet filters have, and that name nobody who is there.
const RULES: u32 = 1_000;
const LISTED: u32 = 100_000;

/// Addresses from 100.64.0.0 on, every second one, so that they are no range.
fn addresses(between: &str) -> String {
    let one = |number: u32| Ipv4Addr::from_bits(0x6440_0000 + 2 * number).to_string();
    (0..LISTED).map(one).collect::<Vec<_>>().join(between)
}

fn refused() -> impl Iterator<Item = Ipv4Addr> {
    (0..RULES).map(|number| Ipv4Addr::from_bits(0xac10_0000 + number))
}

/// As for a home's gateway: what inside has begun may pass both ways.
fn ruleset() -> String {
    let mut rules = format!(
        "table inet filter {{\nset listed {{ type ipv4_addr; elements = {{ {} }}; }}\nchain forward {{ type filter hook \
         forward priority 0; policy drop; ct state established,related accept; ct state invalid drop; ip saddr @listed \
         drop;\n",
        addresses(",")
    );
    for address in refused() {
        writeln!(rules, "ip saddr {address} drop").expect("a text grows");
    }
    rules + "iifname lan0 accept; }\n}\n"
}

fn config(between: Between) -> String {
    let io = if between == Between::CordonXdp {
        "xdp"
    } else {
        "packet"
    };
    let mut rules = String::from("[external-list.addresses]\ntype = \"ip\"\nurl = \"file:addresses.txt\"\n");
    let sources = refused().map(|address| address.to_string());
    for (number, source) in ["addresses".to_owned()].into_iter().chain(sources).enumerate() {
        write!(
            rules,
            "[[rulebase.security.rules]]\nname = \"refused {number}\"\nsource = [\"{source}\"]\naction = \"drop\"\n"
        )
        .expect("a text grows");
    }
    let last = "[[rulebase.security.rules]]";
    CONFIG
        .replace(
            "interface2 = \"wan0\"",
            &format!("interface2 = \"wan0\"\nio = \"{io}\""),
        )
        .replace(last, &format!("{rules}{last}"))
}

impl Lab {
    fn new() -> Self {
        let cable = Cable::lay().expect("links");
        let routed = || {
            cable.client.ip("addr add 10.0.1.1/24 dev c0")?;
            cable.client.ip("route add 10.0.2.0/24 via 10.0.1.254")?;
            cable.server.ip("addr add 10.0.2.1/24 dev s0")?;
            cable.server.ip("route add 10.0.1.0/24 via 10.0.2.254")
        };
        routed().expect("addresses");
        Self { cable }
    }

    fn with<T>(&self, between: Between, measure: impl FnOnce() -> T) -> T {
        match between {
            Between::Bridge => self.cable.with_bridge(measure).expect("a bridge"),
            Between::Nftables => self.with_nftables(measure),
            Between::Xdp => self.with_xdp(measure),
            Between::Ports => self.with_ports(measure),
            Between::Cordon | Between::Pinned | Between::CordonXdp => {
                let files = [
                    ("names.txt", "listed.example\n"),
                    ("addresses.txt", &*addresses("\n")),
                ];
                let mut firewall = Firewall::new(&config(between), &files).expect("files");
                if between != Between::Cordon {
                    firewall.pin(CORE);
                }
                firewall.start(&self.cable.firewall, 1).expect("cordon");
                measure()
            }
        }
    }

    fn with_nftables<T>(&self, measure: impl FnOnce() -> T) -> T {
        let firewall = &self.cable.firewall;
        let ip = |arguments: &str| firewall.ip(arguments).expect("ip");
        let forwarding = |value| {
            let write = || fs::write("/proc/sys/net/ipv4/ip_forward", value);
            firewall.run(write).expect("a thread").expect("forwarding");
        };
        ip("addr add 10.0.1.254/24 dev lan0");
        ip("addr add 10.0.2.254/24 dev wan0");
        ip(&format!(
            "neigh replace {FLOODED} lladdr 02:00:00:00:00:09 dev wan0 nud permanent"
        ));
        forwarding("1");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rules.nft");
        fs::write(&file, ruleset()).expect("rules");
        let rules = firewall
            .command("nft")
            .arg("-f")
            .arg(&file)
            .status()
            .expect("nft");
        assert!(rules.success(), "nft refuses the rules");
        let result = measure();
        let flushed = firewall
            .command("nft")
            .args(["flush", "ruleset"])
            .status()
            .expect("nft");
        assert!(flushed.success(), "the rules stay");
        forwarding("0");
        ip("addr flush dev lan0");
        ip("addr flush dev wan0");
        result
    }

    fn with_xdp<T>(&self, measure: impl FnOnce() -> T) -> T {
        let open = || {
            let [lan, wan] = ["lan0", "wan0"].map(|name| Interface::find(name).expect("an interface"));
            XdpWire::open([&lan, &wan]).expect("XDP sockets")
        };
        let mut wire = self.cable.firewall.run(open).expect("a thread");
        Self::while_forwarding(measure, |waker, stop| {
            let waiter = Waiter::new(waker, &wire.fds());
            keep_up(waiter, || wire.forward(), || stop.load(Ordering::Relaxed));
        })
    }

    fn with_ports<T>(&self, measure: impl FnOnce() -> T) -> T {
        let port = |name| open(&self.cable.firewall, name).expect("a port");
        let ports = [port("lan0"), port("wan0")];
        Self::while_forwarding(measure, |waker, stop| {
            forward(ports, waker, || stop.load(Ordering::Relaxed));
        })
    }

    fn while_forwarding<T>(
        measure: impl FnOnce() -> T,
        forward: impl FnOnce(&Waker, &AtomicBool) + Send,
    ) -> T {
        let waker = Waker::new().expect("a waker");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| forward(&waker, &stop));
            let result = measure();
            stop.store(true, Ordering::Relaxed);
            waker.wake();
            result
        })
    }

    /// Has client and server cut what they send by themselves, and join nothing.
    fn cut(&self, cut: bool) {
        let on = if cut { "off" } else { "on" };
        for (namespace, name) in [(&self.cable.client, "c0"), (&self.cable.server, "s0")] {
            let set = ["-K", name, "tso", on, "gso", on];
            let mut command = namespace.command("ethtool");
            let status = command.args(set).stdout(Stdio::null()).status().expect("ethtool");
            assert!(status.success(), "{name}: offloads stay");
        }
    }

    fn arrived(&self) -> u64 {
        self.cable.arrived().expect("counters")
    }

    /// The link-layer address of the firewall's end.
    fn router(&self) -> MacAddr {
        let find = || Interface::find("lan0").expect("lan0");
        self.cable
            .firewall
            .run(find)
            .expect("a thread")
            .mac
            .expect("an address")
    }

    fn udp(&self, between: Between) -> (UdpSocket, UdpSocket) {
        let bind = |namespace: &Namespace, address: &str| {
            namespace
                .run(|| UdpSocket::bind(address))
                .expect("a thread")
                .expect("a socket")
        };
        let client = bind(&self.cable.client, "0.0.0.0:0");
        let server = bind(&self.cable.server, between.server());
        client.connect(between.server()).expect("an address");
        client.set_read_timeout(Some(SECONDS)).expect("a timeout");
        server.set_read_timeout(Some(SECONDS)).expect("a timeout");
        (client, server)
    }
}

/// One TCP connection that sends as fast as it can, with the machine's congestion control or another.
fn bulk(lab: &Lab, between: Between, control: Option<&str>) -> f64 {
    let listen = || TcpListener::bind(between.server()).expect("a listener");
    let listener = lab.cable.server.run(listen).expect("a thread");
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut buffer = vec![0; 128 << 10];
            let (start, mut bytes) = (Instant::now(), 0);
            loop {
                match stream.read(&mut buffer).expect("bytes") {
                    0 => return bytes as f64 * 8e-9 / start.elapsed().as_secs_f64(),
                    read => bytes += read,
                }
            }
        });
        let connect = || TcpStream::connect(between.server()).expect("a connection");
        let mut stream = lab.cable.client.run(connect).expect("a thread");
        if let Some(control) = control {
            rustix::net::sockopt::set_tcp_congestion(&stream, control).expect("a congestion control");
        }
        let (block, start) = (vec![0; 128 << 10], Instant::now());
        while start.elapsed() < SECONDS {
            stream.write_all(&block).expect("room");
        }
        drop(stream);
        reading.join().expect("a figure")
    })
}

/// Frames a second that arrive where a neighbour sends all it can, in thousands; and those it sent.
fn flood_both(lab: &Lab, between: Between) -> (f64, f64) {
    let mut sender = open(&lab.cable.client, "c0").expect("a port").tx;
    // To an address that nobody has: the server drops them at once.
    let to = SocketAddr::new(FLOODED.parse().expect("an address"), 4000);
    let frames: Vec<Vec<u8>> = (0..FLOWS)
        .map(|flow| {
            let mut ends = Ends::new(
                SocketAddr::new(Ipv4Addr::new(10, 0, 1, 1).into(), 10_000 + flow),
                to,
            );
            ends.dst_mac = match between {
                Between::Nftables => lab.router(),
                Between::Bridge
                | Between::Xdp
                | Between::Ports
                | Between::Cordon
                | Between::Pinned
                | Between::CordonXdp => MacAddr([2, 0, 0, 0, 0, 9]),
            };
            ethernet_udp(&ends, &[0; 18])
        })
        .collect();
    let (before, start) = (lab.arrived(), Instant::now());
    let mut frames = frames.iter().cycle();
    while start.elapsed() < SECONDS {
        for frame in frames.by_ref().take(32) {
            let _counted = sender.send(frame, Offload::COMPLETE);
        }
        sender.flush();
    }
    let seconds = start.elapsed().as_secs_f64();
    thread::sleep(Duration::from_millis(50));
    let arrived = lab.arrived() - before;
    let thousands = |frames: u64| frames as f64 / seconds / 1e3;
    (thousands(arrived), thousands(sender.counters().frames))
}

fn flood(lab: &Lab, between: Between) -> f64 {
    flood_both(lab, between).0
}

fn delivered(lab: &Lab, between: Between) -> f64 {
    let (arrived, sent) = flood_both(lab, between);
    100.0 * arrived / sent
}

fn trips(lab: &Lab, between: Between, count: usize, pause: Duration, quantile: f64) -> f64 {
    let (client, server) = lab.udp(between);
    let mut times = Vec::with_capacity(count);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            for _ in 0..=count {
                let (length, from) = server.recv_from(&mut buffer).expect("a question");
                server.send_to(&buffer[..length], from).expect("an answer");
            }
        });
        // The first one looks for the server's address.
        for _ in 0..=count {
            thread::sleep(pause);
            let start = Instant::now();
            client.send(&[0; 56]).expect("a question");
            client.recv(&mut [0; 64]).expect("an answer");
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    });
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let last = times.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let place = (last as f64 * quantile) as usize;
    times[place]
}

fn round_trips(lab: &Lab, between: Between, quantile: f64) -> f64 {
    trips(lab, between, 20_000, Duration::ZERO, quantile)
}

fn paced_trips(lab: &Lab, between: Between, quantile: f64) -> f64 {
    trips(lab, between, 1_000, Duration::from_millis(1), quantile)
}
