//! Frames from one live interface to another: what the ports cost with no engine between them, beside the
//! kernel's bridge in the same place.
//!
//! Client, firewall and server are network namespaces with veth pairs between them, offloads as they are
//! by default. Needs root. `wire forward LAN WAN SECONDS` forwards between two interfaces that exist.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use ports::live::{
    Interface, Namespace, Offload, OpenOptions, PacketSocket, Receiver, Sender, Waiter, Waker,
};

const ROUNDS: usize = 3;
const SECONDS: Duration = Duration::from_secs(2);
const SERVER: &str = "10.0.0.2:9999";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] if Namespace::permitted().expect("root") => compare(),
        [] => println!("wire: skipped, needs root"),
        ["forward", lan, wan, seconds] => {
            let ports = [open(lan), open(wan)];
            let until = Instant::now() + Duration::from_secs(seconds.parse().expect("seconds"));
            let waker = Waker::new().expect("a waker");
            report(&mut forward(ports, &waker, || Instant::now() >= until));
        }
        _ => panic!("wire | wire forward LAN WAN SECONDS"),
    }
}

fn compare() {
    println!("through                      bridge      wire");
    let lab = Lab::new();
    let line = |what: &str, measure: &dyn Fn(&Lab) -> f64| {
        let bridge = lab.with_bridge(|| median(|| measure(&lab)));
        let wire = lab.with_wire(|| median(|| measure(&lab)));
        println!("{what:<24} {bridge:>10.2} {wire:>9.2}");
    };
    line("TCP, Gbit/s", &bulk);
    line("60-byte frames, kpps", &flood);
    line("  of those offered, %", &delivered);
    line("round trip, us, median", &|lab| round_trips(lab, 0.5));
    line("round trip, us, p99", &|lab| round_trips(lab, 0.99));
    line("paced by 1 ms, us, median", &|lab| paced_trips(lab, 0.5));
    line("paced by 1 ms, us, p99", &|lab| paced_trips(lab, 0.99));
}

fn median(measure: impl Fn() -> f64) -> f64 {
    let mut rounds = [(); ROUNDS].map(|()| measure());
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn open(name: &str) -> PacketSocket {
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

fn forward(mut ports: [PacketSocket; 2], waker: &Waker, enough: impl Fn() -> bool) -> [PacketSocket; 2] {
    let [lan, wan] = &mut ports;
    let mut waiter = Waiter::new(waker, &[lan.rx.as_fd(), wan.rx.as_fd()]);
    while !enough() {
        if pump(&mut lan.rx, &mut wan.tx) + pump(&mut wan.rx, &mut lan.tx) == 0 {
            waiter.wait(Some(Duration::from_millis(100))).expect("a wait");
        }
    }
    ports
}

fn report(ports: &mut [PacketSocket; 2]) {
    for port in ports {
        println!("{:?}\n{:?}", port.rx.counters(), port.tx.counters());
    }
}

struct Lab {
    client: Namespace,
    firewall: Namespace,
    server: Namespace,
}

impl Lab {
    fn new() -> Self {
        let made = |name| Namespace::create(name).expect("a namespace");
        let lab = Self {
            client: made("bench-client"),
            firewall: made("bench-firewall"),
            server: made("bench-server"),
        };
        let links = || {
            lab.client.veth("c0", &lab.firewall, "lan0", 1500)?;
            lab.firewall.veth("wan0", &lab.server, "s0", 1500)?;
            lab.client.ip("addr add 10.0.0.1/24 dev c0")?;
            lab.server.ip("addr add 10.0.0.2/24 dev s0")
        };
        links().expect("links");
        lab
    }

    fn with_bridge(&self, measure: impl FnOnce() -> f64) -> f64 {
        let ip = |arguments| self.firewall.ip(arguments).expect("ip");
        ip("link add br0 type bridge");
        ip("link set lan0 master br0");
        ip("link set wan0 master br0");
        ip("link set br0 up");
        // Where the bridge's frames pass the packet filter by default, it has half the speed.
        let no_filter = || fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
        drop(self.firewall.run(no_filter));
        let result = measure();
        ip("link delete br0");
        result
    }

    fn with_wire(&self, measure: impl FnOnce() -> f64) -> f64 {
        let ports = self.firewall.run(|| [open("lan0"), open("wan0")]).expect("ports");
        let waker = Waker::new().expect("a waker");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| forward(ports, &waker, || stop.load(Ordering::Relaxed)));
            let result = measure();
            stop.store(true, Ordering::Relaxed);
            waker.wake();
            result
        })
    }

    /// Frames that the server's interface has received.
    fn arrived(&self) -> u64 {
        let read = || fs::read_to_string("/proc/thread-self/net/dev");
        let table = self.server.run(read).expect("a thread").expect("counters");
        let row = table.lines().find_map(|line| line.trim().strip_prefix("s0:"));
        let frames = row.and_then(|row| row.split_whitespace().nth(1));
        frames.expect("a counter").parse().expect("a number")
    }

    fn udp(&self) -> (UdpSocket, UdpSocket) {
        let bind = |namespace: &Namespace, address: &str| {
            namespace
                .run(|| UdpSocket::bind(address))
                .expect("a thread")
                .expect("a socket")
        };
        let (client, server) = (bind(&self.client, "10.0.0.1:0"), bind(&self.server, SERVER));
        client.connect(SERVER).expect("an address");
        client.set_read_timeout(Some(SECONDS)).expect("a timeout");
        server.set_read_timeout(Some(SECONDS)).expect("a timeout");
        (client, server)
    }
}

/// One TCP connection that sends as fast as it can.
fn bulk(lab: &Lab) -> f64 {
    let listen = || TcpListener::bind(SERVER).expect("a listener");
    let listener = lab.server.run(listen).expect("a thread");
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
        let connect = || TcpStream::connect(SERVER).expect("a connection");
        let mut stream = lab.client.run(connect).expect("a thread");
        let (block, start) = (vec![0; 128 << 10], Instant::now());
        while start.elapsed() < SECONDS {
            stream.write_all(&block).expect("room");
        }
        drop(stream);
        reading.join().expect("a figure")
    })
}

/// Frames a second that arrive where a neighbour sends all it can, in thousands; and those it sent.
fn flood_both(lab: &Lab) -> (f64, f64) {
    let mut sender = lab.client.run(|| open("c0")).expect("a thread").tx;
    // From and to addresses that nobody has, of a protocol for experiments: the server drops them at once.
    let mut frame = [0; 60];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5]);
    let (before, start) = (lab.arrived(), Instant::now());
    while start.elapsed() < SECONDS {
        for _ in 0..32 {
            let _counted = sender.send(&frame, Offload::COMPLETE);
        }
        sender.flush();
    }
    let seconds = start.elapsed().as_secs_f64();
    thread::sleep(Duration::from_millis(50));
    let arrived = lab.arrived() - before;
    let thousands = |frames: u64| frames as f64 / seconds / 1e3;
    (thousands(arrived), thousands(sender.counters().frames))
}

fn flood(lab: &Lab) -> f64 {
    flood_both(lab).0
}

fn delivered(lab: &Lab) -> f64 {
    let (arrived, sent) = flood_both(lab);
    100.0 * arrived / sent
}

fn trips(lab: &Lab, count: usize, pause: Duration, quantile: f64) -> f64 {
    let (client, server) = lab.udp();
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

fn round_trips(lab: &Lab, quantile: f64) -> f64 {
    trips(lab, 20_000, Duration::ZERO, quantile)
}

fn paced_trips(lab: &Lab, quantile: f64) -> f64 {
    trips(lab, 1_000, Duration::from_millis(1), quantile)
}
