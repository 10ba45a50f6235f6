//! Hosts that keep sending: each over a UDP flow and an established TCP session, at a steady rate in all.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, open};
use packet::{
    TcpFlags,
    build::{Ends, Segment, ethernet_tcp, ethernet_udp},
};
use ports::live::{ChecksumState, Offload, Sender};

/// Where everything goes, and where names are asked for.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10));
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 53));
/// The hosts' addresses begin so.
const LAN: [u8; 2] = [10, 1];
/// Headers before the payload.
const UDP_PAYLOAD: usize = 14 + 20 + 8;
const TCP_PAYLOAD: usize = 14 + 20 + 20;
/// Frames become due this often.
const BEAT: Duration = Duration::from_micros(100);

/// A domain name in text.
pub(crate) type Name = &'static str;

/// Which of a host's two sessions a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Udp,
    Tcp,
}

/// What a frame on the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A host's frame, by the number it carries.
    Sent(u16, Session, u32),
    /// A host asks for a name.
    Query(u16),
    /// A host is answered, with this address at the end of the answer.
    Answer(u16, [u8; 4]),
}

/// Reads what [`Traffic`] has written, and what cordon answers.
pub(crate) fn read(frame: &[u8]) -> Option<Told> {
    let host = |at: usize| {
        let address = frame.get(at..at + 4)?;
        (address[..2] == LAN).then(|| u16::from_be_bytes([address[2], address[3]]))
    };
    let be32 = |at: usize| Some(u32::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let port = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    if frame.get(12..14)? != [8, 0] {
        return None;
    }
    match *frame.get(23)? {
        17 if port(34)? == 53 => Some(Told::Answer(host(30)?, *frame.last_chunk()?)),
        17 if port(36)? == 53 => Some(Told::Query(host(26)?)),
        17 => Some(Told::Sent(host(26)?, Session::Udp, be32(UDP_PAYLOAD)?)),
        6 if frame.len() > TCP_PAYLOAD => Some(Told::Sent(host(26)?, Session::Tcp, be32(TCP_PAYLOAD)?)),
        _ => None,
    }
}

struct Host {
    udp: Vec<u8>,
    tcp: Vec<u8>,
    sequence: u32,
    /// Frames sent over each session.
    sent: u32,
}

/// The hosts, and both ends of the cable.
pub(crate) struct Traffic {
    hosts: Vec<Host>,
    client: Sender,
    turn: usize,
    /// Names asked for: each from a port of its own.
    asked: u16,
}

fn ends(host: u16, port: u16, to: SocketAddr) -> Ends {
    let [high, low] = host.to_be_bytes();
    let address = Ipv4Addr::new(LAN[0], LAN[1], high, low);
    Ends::new(SocketAddr::new(address.into(), port), to)
}

/// The sum is left to whoever needs it, as a virtual link's neighbour leaves it.
const TCP_OFFLOAD: Offload = Offload {
    checksum: ChecksumState::Unfinished {
        start: 34,
        offset: 16,
    },
    gso: None,
};

impl Traffic {
    /// So many hosts, whose TCP sessions are established through the cable now.
    pub(crate) fn new(cable: &Cable, hosts: u16) -> io::Result<Self> {
        let mut client = open(&cable.client, "c0")?.tx;
        let mut server = open(&cable.server, "s0")?.tx;
        let segment = |seq, ack, flags, payload| Segment {
            seq,
            ack,
            flags: TcpFlags(flags),
            window: u16::MAX,
            payload,
        };
        let (syn, ack) = (TcpFlags::SYN.0, TcpFlags::ACK.0);
        let all = (0..hosts).map(|host| {
            let tcp = ends(host, 40_000, SocketAddr::new(SERVER, 443));
            let first = u32::from(host) << 16;
            let give = |sender: &mut Sender, frame: &[u8]| {
                // What does not cross shows up in the benchmark's figures.
                let _counted = sender.send(frame, Offload::COMPLETE);
                sender.flush();
                thread::sleep(Duration::from_micros(200));
            };
            give(&mut client, &ethernet_tcp(&tcp, &segment(first, 0, syn, &[])));
            let accept = segment(7, first + 1, syn | ack, &[]);
            give(&mut server, &ethernet_tcp(&tcp.reversed(), &accept));
            give(&mut client, &ethernet_tcp(&tcp, &segment(first + 1, 8, ack, &[])));
            let udp = ends(host, 50_000, SocketAddr::new(SERVER, 4000));
            Host {
                udp: ethernet_udp(&udp, &[0; 18]),
                tcp: ethernet_tcp(&tcp, &segment(first + 1, 8, ack, &[0; 4])),
                sequence: first + 1,
                sent: 0,
            }
        });
        let hosts = all.collect();
        Ok(Self {
            hosts,
            client,
            turn: 0,
            asked: 0,
        })
    }

    /// Keeps sending at this many frames a second for so long; `queries` (when, which host, for which name, in
    /// order of time) go between. Returns how many frames of sessions were sent.
    pub(crate) fn send(&mut self, rate: f64, length: Duration, queries: &[(Duration, u16, Name)]) -> u64 {
        let start = Instant::now();
        self.send_until(rate, queries, || start.elapsed() >= length)
    }

    /// The same until `enough`.
    pub(crate) fn send_until(
        &mut self,
        rate: f64,
        queries: &[(Duration, u16, Name)],
        enough: impl Fn() -> bool,
    ) -> u64 {
        let (start, mut queries) = (Instant::now(), queries.iter().peekable());
        let mut sent = 0;
        loop {
            if enough() {
                return sent;
            }
            let elapsed = start.elapsed();
            while let Some((_, host, name)) = queries.next_if(|(at, ..)| *at <= elapsed) {
                let frame = query(*host, self.asked, name);
                self.asked = self.asked.wrapping_add(1);
                let _counted = self.client.send(&frame, Offload::COMPLETE);
            }
            while (sent as f64) < rate * elapsed.as_secs_f64() {
                self.next_frame();
                sent += 1;
            }
            self.client.flush();
            thread::sleep(BEAT);
        }
    }

    /// Sends for so long as fast as it goes; returns the rate.
    pub(crate) fn send_all_you_can(&mut self, length: Duration) -> f64 {
        let (start, mut sent) = (Instant::now(), 0_u32);
        while start.elapsed() < length {
            for _ in 0..32 {
                self.next_frame();
                sent += 1;
            }
            self.client.flush();
        }
        f64::from(sent) / start.elapsed().as_secs_f64()
    }

    fn next_frame(&mut self) {
        let turn = self.turn;
        self.turn += 1;
        let count = self.hosts.len();
        let host = &mut self.hosts[turn % count];
        let number = host.sent.to_be_bytes();
        if (turn / count).is_multiple_of(2) {
            host.udp[UDP_PAYLOAD..UDP_PAYLOAD + 4].copy_from_slice(&number);
            // No checksum: IPv4 allows it.
            host.udp[40..42].fill(0);
            let _counted = self.client.send(&host.udp, Offload::COMPLETE);
        } else {
            host.tcp[TCP_PAYLOAD..].copy_from_slice(&number);
            host.tcp[38..42].copy_from_slice(&host.sequence.to_be_bytes());
            host.sequence += 4;
            let _counted = self.client.send(&host.tcp, TCP_OFFLOAD);
            host.sent += 1;
        }
    }
}

/// A host asks for the address of `name`.
fn query(host: u16, turn: u16, name: &str) -> Vec<u8> {
    let mut message = host.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("a short label"));
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    let port = 1024 + turn % 30_000;
    ethernet_udp(&ends(host, port, SocketAddr::new(RESOLVER, 53)), &message)
}
