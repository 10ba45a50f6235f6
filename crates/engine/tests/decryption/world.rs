//! Clients, servers, the wires to the firewall between them, and the clock.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use cordon_engine::Verdict;
use packet::{
    Checksums, LinkType, Tcp, Timestamp, Transport,
    build::{Ends, Segment, ethernet_tcp_with_options},
    parse,
};
use rustls::{ClientConnection, ServerConnection, SupportedProtocolVersion, pki_types::ServerName};

use crate::{
    certificates::{Certificates, NOW, Site},
    firewall::{Firewall, INSIDE, OUTSIDE, Plan},
    host::{Host, Speech},
};

pub(crate) const CLIENT: &str = "192.168.1.7";
pub(crate) const SERVER: &str = "203.0.113.9:443";
pub(crate) const NAME: &str = "www.example.org";
/// From a host to the firewall, or back.
pub(crate) const DELAY: Duration = Duration::from_millis(5);

/// What a client of yesterday speaks.
pub(crate) static TLS12_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];

/// And what one of tomorrow does.
pub(crate) static TLS13_ONLY: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// Keys take long to make: all stories share them.
pub(crate) static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(Certificates::new);

/// The four ways over the wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    FromClient,
    ToServer,
    FromServer,
    ToClient,
}

/// One connection, by the addresses of client and server.
pub(crate) type Pair = (SocketAddr, SocketAddr);

/// What a wire does to a frame: what arrives, and how much later than it would.
pub(crate) type Wire = Box<dyn FnMut(Way, &[u8]) -> Vec<(Duration, Vec<u8>)>>;

/// Who wants to speak with whom.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) name: &'static str,
    pub(crate) site: Site,
    /// The client trusts the server's own root alone.
    pub(crate) pinned: bool,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

impl Default for Visit {
    fn default() -> Self {
        Self {
            client: SocketAddr::new(CLIENT.parse().unwrap(), 50_000),
            server: SERVER.parse().unwrap(),
            name: NAME,
            site: Site::Good,
            pinned: false,
            versions: rustls::ALL_VERSIONS,
        }
    }
}

impl Visit {
    pub(crate) fn at_port(self, port: u16) -> Self {
        Self {
            client: SocketAddr::new(self.client.ip(), port),
            ..self
        }
    }
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) firewall: Firewall,
    hosts: HashMap<Pair, [Host; 2]>,
    flying: BTreeMap<(Timestamp, u64), (Way, Vec<u8>)>,
    flown: u64,
    /// Everything that was sent, in order.
    pub(crate) log: Vec<(Way, Vec<u8>)>,
    wire: Wire,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            now: Timestamp::from_secs(NOW),
            firewall: Firewall::new(plan, &CERTIFICATES.proxy),
            hosts: HashMap::new(),
            flying: BTreeMap::new(),
            flown: 0,
            log: Vec::new(),
            wire: Box::new(|_, frame| vec![(Duration::ZERO, frame.to_vec())]),
        }
    }

    /// Puts something on the wires.
    pub(crate) fn wire(&mut self, wire: impl FnMut(Way, &[u8]) -> Vec<(Duration, Vec<u8>)> + 'static) {
        self.wire = Box::new(wire);
    }

    /// A client sends its SYN to a server that waits for it.
    pub(crate) fn visit(&mut self, visit: &Visit) -> Pair {
        let config = Arc::new(CERTIFICATES.client(visit.pinned, visit.versions));
        let name = ServerName::try_from(visit.name).unwrap();
        let client = Speech::Client(Box::new(ClientConnection::new(config, name).unwrap()));
        let config = Arc::new(CERTIFICATES.server(visit.site, visit.name));
        let server = Speech::Server(Box::new(ServerConnection::new(config).unwrap()));
        self.connect(visit, client, server)
    }

    /// As [`World::visit`], for ends that speak no TLS, or their own.
    pub(crate) fn connect(&mut self, visit: &Visit, client: Speech, server: Speech) -> Pair {
        let ends = Ends::new(visit.client, visit.server);
        let pair = (visit.client, visit.server);
        let isn = u32::from(visit.client.port()).wrapping_mul(0x9e37_79b9);
        let mut client = Host::new(ends, true, isn, client);
        let server = Host::new(ends.reversed(), false, !isn, server);
        let syn = client.open(self.now);
        self.hosts.insert(pair, [client, server]);
        self.send(Way::FromClient, syn);
        pair
    }

    pub(crate) fn client(&mut self, pair: Pair) -> &mut Host {
        &mut self.hosts.get_mut(&pair).unwrap()[0]
    }

    pub(crate) fn server(&mut self, pair: Pair) -> &mut Host {
        &mut self.hosts.get_mut(&pair).unwrap()[1]
    }

    /// Both ends of a connection are forgotten.
    pub(crate) fn forget(&mut self, pair: Pair) {
        self.hosts.remove(&pair);
    }

    /// A frame leaves a host, or the firewall.
    pub(crate) fn send(&mut self, way: Way, frame: Vec<u8>) {
        for (late, frame) in (self.wire)(way, &frame) {
            self.flown += 1;
            let at = self.now.saturating_add(DELAY).saturating_add(late);
            self.flying.insert((at, self.flown), (way, frame));
        }
        self.log.push((way, frame));
    }

    fn leave(&mut self, sent: Vec<(policy::InterfaceId, Vec<u8>)>) {
        for (egress, frame) in sent {
            let way = if egress == INSIDE {
                Way::ToClient
            } else {
                Way::ToServer
            };
            self.send(way, frame);
        }
    }

    /// What the firewall makes of a frame that arrives now.
    pub(crate) fn arrive(&mut self, way: Way, frame: &[u8]) -> Verdict {
        let ingress = match way {
            Way::FromClient => INSIDE,
            Way::FromServer => OUTSIDE,
            Way::ToServer | Way::ToClient => panic!("that goes away"),
        };
        let mut sent = Vec::new();
        let verdict = self.firewall.take(self.now, ingress, frame, &mut sent);
        self.leave(sent);
        verdict
    }

    fn deliver(&mut self, way: Way, frame: &[u8]) {
        let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
        let (ip, tcp) = match packet.ip() {
            Some(ip) => match ip.transport {
                Transport::Tcp(tcp) => (ip, tcp),
                Transport::Udp(_)
                | Transport::Icmp(_)
                | Transport::Other { .. }
                | Transport::Fragment { .. } => {
                    return;
                }
            },
            None => return,
        };
        let (src, dst) = (
            SocketAddr::new(ip.src, tcp.sport),
            SocketAddr::new(ip.dst, tcp.dport),
        );
        let (pair, place) = if way == Way::ToServer {
            ((src, dst), 1)
        } else {
            ((dst, src), 0)
        };
        let mut out = Vec::new();
        if let Some(ends) = self.hosts.get_mut(&pair) {
            ends[place].receive(self.now, &tcp, &mut out);
            ends[place].turn(self.now, &mut out);
        }
        let back = if place == 1 {
            Way::FromServer
        } else {
            Way::FromClient
        };
        for frame in out {
            self.send(back, frame);
        }
    }

    /// Has a connection's hosts do what they can do now.
    fn turn(&mut self, pair: Pair) {
        let Some(ends) = self.hosts.get_mut(&pair) else {
            return;
        };
        let mut sent = [Vec::new(), Vec::new()];
        for (host, out) in ends.iter_mut().zip(&mut sent) {
            host.turn(self.now, out);
        }
        for (way, frames) in [Way::FromClient, Way::FromServer].into_iter().zip(sent) {
            for frame in frames {
                self.send(way, frame);
            }
        }
    }

    /// Lets things happen for so long.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        let mut pairs: Vec<Pair> = self.hosts.keys().copied().collect();
        pairs.sort_unstable();
        for pair in &pairs {
            self.turn(*pair);
        }
        loop {
            let arrival = self.flying.first_key_value().map(|(&(at, _), _)| at);
            let due = pairs.iter().filter_map(|pair| {
                let ends = self.hosts.get(pair)?;
                ends.iter().filter_map(Host::deadline).min()
            });
            let due = due.min();
            let woken = self.firewall.next_wake();
            let next = [arrival, due, woken].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if woken.is_some_and(|at| at <= self.now) {
                self.wake();
            } else if due.is_some_and(|at| at <= self.now) {
                for pair in &pairs {
                    self.turn(*pair);
                }
            } else if let Some((_, (way, frame))) = self.flying.pop_first() {
                match way {
                    Way::FromClient | Way::FromServer => {
                        let _counted = self.arrive(way, &frame);
                    }
                    Way::ToServer | Way::ToClient => self.deliver(way, &frame),
                }
            }
        }
        self.now = end;
        self.wake();
    }

    fn wake(&mut self) {
        let mut sent = Vec::new();
        self.firewall.wake(self.now, &mut sent);
        self.leave(sent);
    }

    /// The firewall stops.
    pub(crate) fn finish(&mut self) {
        let mut sent = Vec::new();
        self.firewall.finish(self.now, &mut sent);
        self.leave(sent);
    }

    /// What was sent this way.
    pub(crate) fn sent(&self, way: Way) -> Vec<&[u8]> {
        self.log
            .iter()
            .filter(|(sent, _)| *sent == way)
            .map(|(_, frame)| &frame[..])
            .collect()
    }
}

/// Reads the TCP segment of a frame.
pub(crate) fn with_tcp<R>(frame: &[u8], read: impl FnOnce(&Tcp<'_>) -> R) -> R {
    let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
    let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
        panic!("no TCP");
    };
    read(&tcp)
}

/// The part of a segment that carries these bytes of its data.
pub(crate) fn piece(frame: &[u8], from: usize, to: usize) -> Vec<u8> {
    let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
    let ip = packet.ip().unwrap();
    with_tcp(frame, |tcp| {
        let src = SocketAddr::new(ip.src, tcp.sport);
        let ends = Ends::new(src, SocketAddr::new(ip.dst, tcp.dport));
        let segment = Segment {
            seq: tcp.seq.wrapping_add(u32::try_from(from).unwrap()),
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            payload: &tcp.payload[from..to],
        };
        ethernet_tcp_with_options(&ends, &segment, tcp.options)
    })
}
