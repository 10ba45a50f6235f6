//! Frames in, frames out: the whole engine between a client and a server that have TCP of their own. Only the engine's
//! processor time counts.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use decrypt::tcp::{Cutting, Endpoint, Limits, SegmentIn, SynOptions, Taking};
use packet::{
    Checksums, LinkType, TcpFlags, Timestamp, Transport,
    build::{Ends, Segment, SegmentFrames, Summing, ethernet_tcp},
    parse,
};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
    client::Resumption, pki_types::ServerName, server::NoServerSessionStorage,
};

use crate::{
    Lab, NAME,
    firewall::{AtPort, Firewall, Port},
};

const INTERCEPTIONS: u16 = 2_000;
const BULK: usize = 1 << 30;
/// A round of all parties takes so long on their clock.
const ROUND: Duration = Duration::from_micros(20);
/// MSS 1460, SACK, timestamps, a window scale of 7.
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: bench\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// How frames are cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    cutting: Cutting,
    summing: Summing,
}

/// Frames of up to 64 KiB, as between virtual links.
pub(crate) const WHOLE: Cut = Cut {
    cutting: Cutting::Whole,
    summing: Summing::Unfinished,
};
/// Frames of 1,514 bytes, with checksums.
pub(crate) const SINGLE: Cut = Cut {
    cutting: Cutting::Mss,
    summing: Summing::Complete,
};

/// Full interceptions, each with a request, an answer and its end, for each second of the firewall's.
pub(crate) fn interceptions(lab: &Lab) -> f64 {
    let mut world = World::new(lab, WHOLE);
    for number in 0..INTERCEPTIONS {
        if number == 1 {
            // The first one minted the certificate.
            world.firewall.spent = Duration::ZERO;
        }
        let mut connection = world.connect(10_000 + number);
        connection.client.tls.writer().write_all(REQUEST).expect("room");
        world.run(&mut connection, |connection| {
            connection.server.got >= REQUEST.len()
        });
        connection.server.tls.writer().write_all(ANSWER).expect("room");
        world.run(&mut connection, |connection| {
            connection.client.got >= ANSWER.len()
        });
        connection.client.close();
        connection.server.close();
        world.run(&mut connection, |connection| {
            connection.client.tcp.is_done() && connection.server.tcp.is_done()
        });
        // Until the last acknowledgment is there, and nothing waits any more.
        while world.round(&mut connection) && world.firewall.next_wake().is_some() {}
        world.now = world.now.saturating_add(Duration::from_millis(100));
        world.firewall.expire(world.now);
    }
    assert_eq!(world.firewall.adopted(), u64::from(INTERCEPTIONS));
    f64::from(INTERCEPTIONS - 1) / world.firewall.spent.as_secs_f64()
}

/// A long download: gigabits of plaintext for each second of the firewall's.
pub(crate) fn bulk(lab: &Lab, cut: Cut) -> f64 {
    let mut world = World::new(lab, cut);
    let mut connection = world.connect(10_000);
    connection.client.tls.writer().write_all(REQUEST).expect("room");
    world.run(&mut connection, |connection| {
        connection.server.got >= REQUEST.len()
    });
    connection.server.endless = true;
    connection.server.tls.set_buffer_limit(None);
    world.run(&mut connection, |connection| connection.client.got > BULK / 8);
    let before = connection.client.got;
    world.firewall.spent = Duration::ZERO;
    world.run(&mut connection, |connection| connection.client.got > BULK);
    let bytes = connection.client.got - before;
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    let bits = bytes as f64 * 8.0;
    bits / world.firewall.spent.as_secs_f64() / 1e9
}

/// The firewall and what its neighbours are made with.
struct World {
    firewall: Firewall,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    cut: Cut,
    now: Timestamp,
}

struct Connection {
    client: Peer<ClientConnection>,
    server: Peer<ServerConnection>,
}

impl World {
    fn new(lab: &Lab, cut: Cut) -> Self {
        let (mut client, mut server) = (lab.client.clone(), lab.server.clone());
        client.resumption = Resumption::disabled();
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Self {
            firewall: Firewall::new(Arc::clone(&lab.proxy), cut.summing),
            client: Arc::new(client),
            server: Arc::new(server),
            cut,
            now: Timestamp::from_secs(lab.now.as_secs()),
        }
    }

    /// Opens a TCP connection from this port; TLS has only begun.
    fn connect(&mut self, port: u16) -> Connection {
        let ends = Ends::new(
            SocketAddr::from(([10, 0, 0, 1], port)),
            SocketAddr::from(([192, 0, 2, 7], 443)),
        );
        let (up, down) = (frames_like(&ends), frames_like(&ends.reversed()));
        let (client, server) = (u32::from(port) << 12, 7);
        let syn = TcpFlags::SYN;
        for (port, frames, seq, ack, flags) in [
            (Port::Lan, &up, client, 0, syn),
            (Port::Wan, &down, server, client + 1, syn | TcpFlags::ACK),
            (Port::Lan, &up, client + 1, server + 1, TcpFlags::ACK),
        ] {
            let segment = Segment {
                seq,
                ack,
                flags,
                window: u16::MAX,
                payload: &[],
            };
            let options = if flags.syn() { &SYN_OPTIONS[..] } else { &[] };
            let mut frame = Vec::new();
            frames
                .write(&segment, &[], options, Summing::Complete, None, &mut frame)
                .expect("short");
            let mut left = Vec::new();
            self.firewall.judge(self.now, &[(port, frame)], &mut left);
            assert_eq!(left.len(), 1, "the handshake passes");
        }
        let taking = |our_next, peer_next| Taking {
            our_next,
            peer_next,
            our_syn: SynOptions::parse(&SYN_OPTIONS),
            peer_syn: SynOptions::parse(&SYN_OPTIONS),
            peer_window: u16::MAX.into(),
            our_last_ts: 1,
            peer_last_ts: 1,
            our_window: u16::MAX.into(),
            ipv6: false,
            rtt: None,
            limits: Limits::default(),
        };
        let name = ServerName::try_from(NAME).expect("a name");
        Connection {
            client: Peer::new(
                up,
                Endpoint::adopt(self.now, taking(client + 1, server + 1)),
                ClientConnection::new(Arc::clone(&self.client), name).expect("a client"),
            ),
            server: Peer::new(
                down,
                Endpoint::adopt(self.now, taking(server + 1, client + 1)),
                ServerConnection::new(Arc::clone(&self.server)).expect("a server"),
            ),
        }
    }

    /// Carries frames until it is so.
    fn run(&mut self, connection: &mut Connection, enough: impl Fn(&Connection) -> bool) {
        while !enough(connection) {
            assert!(self.round(connection), "nothing is due");
        }
    }

    /// What everybody has to send now crosses; where nobody has, time passes until somebody has. `false`: nobody ever will.
    fn round(&mut self, connection: &mut Connection) -> bool {
        let Connection { client, server } = connection;
        let (mut arrived, mut left) = (Vec::new(), Vec::new());
        client.send(self.now, self.cut, Port::Lan, &mut arrived);
        server.send(self.now, self.cut, Port::Wan, &mut arrived);
        if arrived.is_empty() {
            let due = [
                client.tcp.deadline(),
                server.tcp.deadline(),
                self.firewall.next_wake(),
            ];
            let Some(due) = due.into_iter().flatten().min() else {
                return false;
            };
            self.now = due.max(self.now);
        }
        self.firewall.judge(self.now, &arrived, &mut left);
        for (port, frame) in left.drain(..) {
            match port {
                Port::Lan => client.receive(self.now, &frame),
                Port::Wan => server.receive(self.now, &frame),
            }
        }
        self.now = self.now.saturating_add(ROUND);
        client.read();
        server.read();
        true
    }
}

fn frames_like(ends: &Ends) -> SegmentFrames {
    let model = ethernet_tcp(
        ends,
        &Segment {
            seq: 0,
            ack: 0,
            flags: TcpFlags::ACK,
            window: 0,
            payload: &[],
        },
    );
    let packet = parse(LinkType::Ethernet, &model, model.len(), Checksums::Ignore).expect("built right");
    SegmentFrames::like(&packet).expect("TCP")
}

/// A host at one end.
struct Peer<T> {
    frames: SegmentFrames,
    tcp: Endpoint,
    tls: T,
    /// TLS that found no room in TCP.
    waiting: Vec<u8>,
    /// Plaintext received.
    got: usize,
    /// It always has more to say.
    endless: bool,
}

impl<T, D> Peer<T>
where
    T: std::ops::DerefMut<Target = ConnectionCommon<D>>,
    D: SideData,
{
    fn new(frames: SegmentFrames, tcp: Endpoint, tls: T) -> Self {
        Self {
            frames,
            tcp,
            tls,
            waiting: Vec::new(),
            got: 0,
            endless: false,
        }
    }

    fn receive(&mut self, now: Timestamp, frame: &[u8]) {
        let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Ignore).expect("built right");
        let Some(Transport::Tcp(tcp)) = packet.ip().map(|ip| &ip.transport) else {
            panic!("built right");
        };
        self.tcp.receive(
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

    fn read(&mut self) {
        let mut plaintext = [0; 16 * 1024];
        loop {
            let [first, _] = self.tcp.readable();
            let mut rest = first;
            if rest.is_empty() {
                return;
            }
            let taken = self.tls.read_tls(&mut rest).expect("room");
            self.tcp.consume(taken);
            self.tls.process_new_packets().expect("TLS");
            while let Ok(count @ 1..) = self.tls.reader().read(&mut plaintext) {
                self.got += count;
            }
        }
    }

    fn send(&mut self, now: Timestamp, cut: Cut, port: Port, frames: &mut Vec<AtPort>) {
        while self.endless && self.waiting.len() < self.tcp.room().min(1 << 20) {
            self.tls.writer().write_all(&[7; 16 * 1024]).expect("no limit");
            self.tls
                .write_tls(&mut self.waiting)
                .expect("a Vec takes everything");
        }
        while self.tls.wants_write() {
            self.tls
                .write_tls(&mut self.waiting)
                .expect("a Vec takes everything");
        }
        let written = self.tcp.write(&self.waiting);
        self.waiting.drain(..written);
        let like = &self.frames;
        self.tcp.poll(now, cut.cutting, &mut |segment| {
            let head = Segment {
                seq: segment.seq,
                ack: segment.ack,
                flags: segment.flags,
                window: segment.window,
                payload: segment.payload[0],
            };
            let mut frame = Vec::new();
            like.write(
                &head,
                segment.payload[1],
                segment.options,
                cut.summing,
                segment.segment_size,
                &mut frame,
            )
            .expect("short enough");
            frames.push((port, frame));
        });
    }

    /// Says goodbye, and is not to be heard again.
    fn close(&mut self) {
        self.tls.send_close_notify();
        self.tls
            .write_tls(&mut self.waiting)
            .expect("a Vec takes everything");
        let written = self.tcp.write(&self.waiting);
        self.waiting.drain(..written);
        self.tcp.finish();
    }
}
