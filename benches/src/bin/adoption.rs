//! One TCP connection over a path of 20 ms that loses and reorders: our endpoint as the sender, beside the kernel's.
//!
//! Client and server are the kernel's, in namespaces of their own; the path between them is simulated here, in user
//! space, the same for both. The endpoint takes the server's place after the client's first bytes. Needs root.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::Random;
use decrypt::tcp::{Counters, Cutting, Endpoint, Limits, SegmentIn, SynOptions, Taking};
use packet::{
    Checksums, LinkType, Tcp, Timestamp, Transport,
    build::{Segment, SegmentFrames, Summing},
    parse,
};
use ports::live::{Interface, Namespace, Offload, OpenOptions, PacketSocket};

const ROUNDS: usize = 3;
const SECONDS: Duration = Duration::from_secs(4);
const SERVER: &str = "10.0.0.2:9999";
const DELAY: Duration = Duration::from_millis(10);
/// Bits per second toward the client, and the bytes that may wait for them.
const RATE: u64 = 400_000_000;
const QUEUE: u64 = 2_000_000;

/// What befalls segments toward the client, of a million each.
#[derive(Clone, Copy)]
struct Trouble {
    name: &'static str,
    loss: u32,
    overtaking: u32,
}

const TROUBLES: [Trouble; 4] = [
    Trouble {
        name: "none",
        loss: 0,
        overtaking: 0,
    },
    Trouble {
        name: "loss 0.1 %",
        loss: 1_000,
        overtaking: 0,
    },
    Trouble {
        name: "loss 1 %",
        loss: 10_000,
        overtaking: 0,
    },
    Trouble {
        name: "reordering 3 %",
        loss: 0,
        overtaking: 30_000,
    },
];

fn main() {
    if !Namespace::permitted().expect("root") {
        println!("adoption: skipped, needs root");
        return;
    }
    let lab = Lab::new();
    println!("Mbit/s, 20 ms, median of {ROUNDS}   kernel     ours  longest stall, ms");
    for trouble in TROUBLES {
        let [kernel, ours] = [false, true].map(|adopt| {
            let mut rounds: Vec<Figure> = (0..ROUNDS as u64)
                .map(|seed| lab.measure(trouble, adopt, seed + 1))
                .collect();
            rounds.sort_by(|a, b| f64::total_cmp(&a.megabits, &b.megabits));
            rounds.swap_remove(ROUNDS / 2)
        });
        println!(
            "{:<31} {:>8.1} {:>8.1} {:>8} {:>8}",
            trouble.name,
            kernel.megabits,
            ours.megabits,
            kernel.stall.as_millis(),
            ours.stall.as_millis()
        );
        if let Some(counters) = ours.counters {
            println!("    {counters:?}");
        }
    }
}

struct Figure {
    megabits: f64,
    stall: Duration,
    counters: Option<Counters>,
}

struct Lab {
    client: Namespace,
    path: Namespace,
    server: Namespace,
}

impl Lab {
    fn new() -> Self {
        let made = |name| Namespace::create(name).expect("a namespace");
        let lab = Self {
            client: made("adopt-client"),
            path: made("adopt-path"),
            server: made("adopt-server"),
        };
        let links = || {
            lab.client.veth("c0", &lab.path, "lan0", 1500)?;
            lab.path.veth("wan0", &lab.server, "s0", 1500)?;
            lab.client.ip("addr add 10.0.0.1/24 dev c0")?;
            lab.server.ip("addr add 10.0.0.2/24 dev s0")?;
            // Whatever the machine's default is; and nothing learnt in one round serves the next.
            lab.server
                .ip("route change 10.0.0.0/24 dev s0 src 10.0.0.2 congctl cubic")
        };
        links().expect("links");
        for (namespace, interface) in [(&lab.client, "c0"), (&lab.server, "s0")] {
            let mut ethtool = namespace.command("ethtool");
            ethtool.args(["-K", interface, "tso", "off", "gso", "off", "gro", "off"]);
            assert!(ethtool.status().expect("ethtool").success(), "offloads");
        }
        lab
    }

    fn measure(&self, trouble: Trouble, adopt: bool, seed: u64) -> Figure {
        let forgetful = || fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
        self.server.run(forgetful).expect("a thread").expect("a setting");
        let ports = self.path.run(|| ["lan0", "wan0"].map(open)).expect("ports");
        let listen = || TcpListener::bind(SERVER).expect("a listener");
        let listener = self.server.run(listen).expect("a thread");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let path = scope.spawn(|| Path::new(trouble, adopt, seed).run(ports, &stop));
            scope.spawn(|| serve(&listener));
            let connect = || TcpStream::connect(SERVER).expect("a connection");
            let stream = self.client.run(connect).expect("a thread");
            let (megabits, stall) = read(stream);
            // In the endpoint's case the server never heard of the request: nothing must wait for it.
            thread::sleep(Duration::from_millis(300));
            stop.store(true, Ordering::Relaxed);
            let counters = path.join().expect("the path");
            Figure {
                megabits,
                stall,
                counters,
            }
        })
    }
}

fn open(name: &str) -> PacketSocket {
    let interface = Interface::find(name).unwrap_or_else(|error| panic!("{error}"));
    PacketSocket::open(&OpenOptions::new(&interface)).unwrap_or_else(|error| panic!("{error}"))
}

/// Sends for as long as the client reads.
fn serve(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().expect("a connection");
    let wait = Some(SECONDS + Duration::from_secs(2));
    stream.set_read_timeout(wait).expect("a timeout");
    stream.set_write_timeout(wait).expect("a timeout");
    let block = vec![0; 128 << 10];
    if stream.read(&mut [0]).is_ok_and(|read| read == 1) {
        while stream.write_all(&block).is_ok() {}
    }
}

/// Megabits per second, and the longest wait between two reads.
fn read(mut stream: TcpStream) -> (f64, Duration) {
    stream.write_all(b"x").expect("room");
    stream.set_read_timeout(Some(SECONDS)).expect("a timeout");
    let mut buffer = vec![0; 256 << 10];
    let (start, mut last, mut bytes, mut stall) = (Instant::now(), Instant::now(), 0, Duration::ZERO);
    while start.elapsed() < SECONDS {
        bytes += stream.read(&mut buffer).unwrap_or(0);
        stall = stall.max(last.elapsed());
        last = Instant::now();
    }
    (bytes as f64 * 8e-6 / start.elapsed().as_secs_f64(), stall)
}

struct Frame {
    bytes: Vec<u8>,
    offload: Offload,
}

/// What the handshake showed of one end.
#[derive(Clone, Copy, Default)]
struct Seen {
    syn: SynOptions,
    stamp: u32,
    window: u32,
}

impl Seen {
    fn note(&mut self, tcp: &Tcp<'_>) {
        let options = SynOptions::parse(tcp.options);
        if tcp.flags.syn() {
            self.syn = options;
        }
        self.stamp = options.timestamps.map_or(self.stamp, |(stamp, _)| stamp);
        let shift = self.syn.window_scale.filter(|_| !tcp.flags.syn()).unwrap_or(0);
        self.window = u32::from(tcp.window) << shift;
    }
}

/// The path, and at its far end the server or the endpoint in its place.
struct Path {
    trouble: Trouble,
    adopt: bool,
    random: Random,
    start: Instant,
    free_at: Instant,
    carried: u64,
    /// Toward the server and toward the client.
    under_way: [BTreeMap<(Instant, u64), Frame>; 2],
    client: Seen,
    server: Seen,
    frames: Option<SegmentFrames>,
    endpoint: Option<Endpoint>,
}

impl Path {
    fn new(trouble: Trouble, adopt: bool, seed: u64) -> Self {
        let start = Instant::now();
        Self {
            trouble,
            adopt,
            random: Random::new(seed * 0x9e37_79b9),
            start,
            free_at: start,
            carried: 0,
            under_way: [BTreeMap::new(), BTreeMap::new()],
            client: Seen::default(),
            server: Seen::default(),
            frames: None,
            endpoint: None,
        }
    }

    fn run(mut self, ports: [PacketSocket; 2], stop: &AtomicBool) -> Option<Counters> {
        let [mut lan, mut wan] = ports;
        while !stop.load(Ordering::Relaxed) {
            let mut idle = true;
            for frame in lan.rx.receive().iter() {
                idle = false;
                let due = Instant::now() + DELAY;
                self.put(0, due, frame.bytes.to_vec(), frame.offload);
            }
            for frame in wan.rx.receive().iter() {
                idle = false;
                if self.endpoint.is_none() {
                    self.note_server(frame.bytes);
                    self.toward_client(frame.bytes.to_vec(), frame.offload);
                }
            }
            while let Some(frame) = self.due(0) {
                idle = false;
                if self.at_server(&frame) {
                    continue;
                }
                let _counted = wan.tx.send(&frame.bytes, frame.offload);
            }
            self.speak();
            while let Some(frame) = self.due(1) {
                idle = false;
                let _counted = lan.tx.send(&frame.bytes, frame.offload);
            }
            lan.tx.flush();
            wan.tx.flush();
            if idle {
                thread::sleep(Duration::from_micros(50));
            }
        }
        self.endpoint.map(|endpoint| endpoint.counters())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1).saturating_add(self.start.elapsed())
    }

    fn put(&mut self, way: usize, due: Instant, bytes: Vec<u8>, offload: Offload) {
        self.carried += 1;
        self.under_way[way].insert((due, self.carried), Frame { bytes, offload });
    }

    fn due(&mut self, way: usize) -> Option<Frame> {
        let first = self.under_way[way].first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    fn toward_client(&mut self, bytes: Vec<u8>, offload: Offload) {
        if self.random.below(1_000_000) < self.trouble.loss {
            return;
        }
        let now = Instant::now();
        let backlog = self.free_at.saturating_duration_since(now).as_secs_f64();
        if backlog * RATE as f64 / 8.0 > QUEUE as f64 {
            return;
        }
        let takes = Duration::from_nanos(bytes.len() as u64 * 8_000_000_000 / RATE);
        self.free_at = self.free_at.max(now) + takes;
        let overtakes = self.random.below(1_000_000) < self.trouble.overtaking;
        let due = self.free_at + if overtakes { Duration::ZERO } else { DELAY };
        self.put(1, due, bytes, offload);
    }

    fn note_server(&mut self, bytes: &[u8]) {
        let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore);
        let Some(packet) = packet.ok().filter(|packet| tcp(packet).is_some()) else {
            return;
        };
        self.frames = SegmentFrames::like(&packet);
        if let Some(tcp) = tcp(&packet) {
            self.server.note(tcp);
        }
    }

    /// A frame of the client's has come through; whether the endpoint takes it.
    fn at_server(&mut self, frame: &Frame) -> bool {
        let bytes = &frame.bytes;
        let Ok(packet) = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore) else {
            return false;
        };
        let Some(tcp) = tcp(&packet).filter(|_| self.adopt) else {
            return false;
        };
        let now = self.now();
        if self.endpoint.is_none() {
            self.client.note(tcp);
            if tcp.payload.is_empty() {
                return false;
            }
            self.endpoint = Some(Endpoint::adopt(
                now,
                Taking {
                    our_next: tcp.ack,
                    peer_next: tcp.seq,
                    our_syn: self.server.syn,
                    peer_syn: self.client.syn,
                    peer_window: self.client.window,
                    our_last_ts: self.server.stamp,
                    peer_last_ts: self.client.stamp,
                    our_window: self.server.window,
                    ipv6: false,
                    rtt: None,
                    limits: Limits::default(),
                },
            ));
        }
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.receive(
                now,
                &SegmentIn {
                    seq: tcp.seq,
                    ack: tcp.ack,
                    flags: tcp.flags,
                    window: tcp.window,
                    options: tcp.options,
                    payload: tcp.payload,
                },
            );
        }
        true
    }

    /// The endpoint sends what it can.
    fn speak(&mut self) {
        const BLOCK: [u8; 16 << 10] = [0; 16 << 10];
        let now = self.now();
        let (Some(mut endpoint), Some(frames)) = (self.endpoint.take(), self.frames) else {
            return;
        };
        endpoint.consume(endpoint.readable_len());
        while !endpoint.was_reset() && endpoint.write(&BLOCK) == BLOCK.len() {}
        endpoint.poll(now, Cutting::Mss, &mut |out| {
            let segment = Segment {
                seq: out.seq,
                ack: out.ack,
                flags: out.flags,
                window: out.window,
                payload: out.payload[0],
            };
            let mut bytes = Vec::new();
            frames
                .write(
                    &segment,
                    out.payload[1],
                    out.options,
                    Summing::Complete,
                    None,
                    &mut bytes,
                )
                .expect("a frame");
            self.toward_client(bytes, Offload::default());
        });
        self.endpoint = Some(endpoint);
    }
}

fn tcp<'a>(packet: &'a packet::Packet<'a>) -> Option<&'a Tcp<'a>> {
    match &packet.ip()?.transport {
        Transport::Tcp(tcp) => Some(tcp),
        Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } | Transport::Fragment { .. } => None,
    }
}
