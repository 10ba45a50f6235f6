//! Captures that are made here, the same in every run: they are large, and none lies about.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use cordon_benches::Random;
use packet::{
    TcpFlags, Timestamp,
    build::{Ends, Segment, ethernet_tcp, ethernet_udp},
};
use ports::{CaptureWriter, CapturedFrame};

/// Between two frames: a thousand frames are a tick.
const GAP_NANOS: u64 = 1000;
const START: u64 = 1_700_000_000_000_000_000;
const ETHERNET: u32 = 1;
/// Ethernet, IPv4 and UDP.
const UDP_HEADERS: usize = 14 + 20 + 8;
const TCP_HEADERS: usize = 14 + 20 + 20;
/// Conversations that go on at a time in the realistic mix.
const AT_A_TIME: usize = 5000;

/// A capture being written.
struct Capture {
    writer: CaptureWriter,
    frames: u64,
}

impl Capture {
    fn create(path: &Path) -> io::Result<Self> {
        let mut writer = CaptureWriter::create(path, &path.to_string_lossy()).map_err(io::Error::other)?;
        writer.note_link(ETHERNET).map_err(io::Error::other)?;
        Ok(Self { writer, frames: 0 })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let frame = CapturedFrame {
            time: Timestamp::from_nanos(START + self.frames * GAP_NANOS),
            link: ETHERNET,
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes,
        };
        self.frames += 1;
        self.writer.write(&frame).map_err(io::Error::other)
    }

    fn finish(self) -> io::Result<u64> {
        self.writer.finish(Some(ETHERNET)).map_err(io::Error::other)?;
        Ok(self.frames)
    }
}

/// Flows of UDP that go on and on; `sizes` are of whole frames, and how often each comes.
pub(crate) fn established(path: &Path, flows: u32, frames: u32, sizes: &[(usize, u32)]) -> io::Result<u64> {
    let mut capture = Capture::create(path)?;
    let mut random = Random::new(41);
    let mut bodies = Vec::new();
    for &(size, weight) in sizes {
        for _ in 0..weight {
            // Zeros would pass for a question of DNS.
            bodies.push(vec![0xa5_u8; size - UDP_HEADERS]);
        }
    }
    for number in 0..frames {
        // Each is begun by its client.
        let (flow, back) = if number < flows {
            (number, false)
        } else {
            (random.below(flows), random.percent(50))
        };
        let ends = ends(flow, 20_000, SocketAddr::new(server(flow).into(), 4000));
        let ends = if back { ends.reversed() } else { ends };
        let body: &Vec<u8> = random.pick(&bodies);
        capture.add(&ethernet_udp(&ends, body))?;
    }
    capture.finish()
}

/// What is still to come of a conversation, the last first.
type Rest = Vec<Vec<u8>>;

/// Every twentieth frame is of DNS, one query in ten for a listed name; the others are of TCP sessions, whole from
/// the first frame to the last, that begin with a TLS hello.
pub(crate) fn mix(path: &Path, frames: u32, listed: &[String]) -> io::Result<u64> {
    let mut capture = Capture::create(path)?;
    let mut random = Random::new(43);
    let mut begun = 0;
    let mut open: Vec<Rest> = Vec::new();
    let mut written = 0;
    while written < frames {
        if open.len() < AT_A_TIME {
            begun += 1;
            open.push(tls(begun, &mut random));
        }
        if written.is_multiple_of(40) {
            begun += 1;
            let name = if random.percent(10) {
                random.pick(listed).clone()
            } else {
                format!("host-{}.example.org", random.below(50_000))
            };
            for frame in dns(begun, &name) {
                capture.add(&frame)?;
                written += 1;
            }
            continue;
        }
        let at = random.below(u32::try_from(open.len()).unwrap_or(u32::MAX)) as usize;
        if let Some(frame) = open[at].pop() {
            capture.add(&frame)?;
            written += 1;
        }
        if open[at].is_empty() {
            open.swap_remove(at);
        }
    }
    // Those that are under way are ended too.
    for rest in &mut open {
        while let Some(frame) = rest.pop() {
            capture.add(&frame)?;
        }
    }
    capture.finish()
}

fn tls(number: u32, random: &mut Random) -> Rest {
    let ends = ends(number, 30_000, SocketAddr::new(server(number).into(), 443));
    let turned = ends.reversed();
    let hello = client_hello(&format!("www-{}.example.net", number % 20_000));
    let (mut sent, mut received) = (1_u32, 1_u32);
    let mut frames = Vec::new();
    let mut add = |from_client: bool, flags: u8, payload: &[u8]| {
        let (seq, ack) = if from_client {
            (&mut sent, &received)
        } else {
            (&mut received, &sent)
        };
        let segment = Segment {
            seq: *seq,
            ack: if flags == TcpFlags::SYN.0 { 0 } else { *ack },
            flags: TcpFlags(flags),
            window: u16::MAX,
            payload,
        };
        let length = u32::try_from(payload.len()).unwrap_or(0);
        *seq = seq.wrapping_add(length + u32::from(flags & (TcpFlags::SYN.0 | TcpFlags::FIN.0) != 0));
        frames.push(ethernet_tcp(if from_client { &ends } else { &turned }, &segment));
    };
    let (syn, ack, fin) = (TcpFlags::SYN.0, TcpFlags::ACK.0, TcpFlags::FIN.0);
    add(true, syn, &[]);
    add(false, syn | ack, &[]);
    add(true, ack, &[]);
    add(true, ack, &hello);
    for _ in 0..6 + random.below(28) {
        // IMIX.
        let size = match random.below(12) {
            0..7 => 60,
            7..11 => 590,
            _ => 1514,
        };
        add(random.percent(30), ack, &vec![0x17; size - TCP_HEADERS]);
    }
    add(true, ack | fin, &[]);
    add(false, ack | fin, &[]);
    add(true, ack, &[]);
    frames.reverse();
    frames
}

/// A query for a name, and an answer.
fn dns(number: u32, name: &str) -> [Vec<u8>; 2] {
    let resolver = SocketAddr::new(Ipv4Addr::new(198, 51, 100, 53).into(), 53);
    let ends = ends(number, 10_000, resolver);
    let query = query(u16::try_from(number & 0xffff).unwrap_or(0), name);
    let mut answer = query.clone();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9]);
    [
        ethernet_udp(&ends, &query),
        ethernet_udp(&ends.reversed(), &answer),
    ]
}

/// A query for the address of a name.
pub(crate) fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap_or(0));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    query
}

/// A host inside, by the number of its flow; its port changes with every sixteenth thousand of them.
pub(crate) fn ends(number: u32, port: u16, to: SocketAddr) -> Ends {
    let host = Ipv4Addr::from_bits(0x0a01_0000 | (number & 0x3fff));
    let port = port.saturating_add(u16::try_from(number >> 14).unwrap_or(0));
    Ends::new(SocketAddr::new(host.into(), port), to)
}

fn server(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc633_6400 | (number % 50 + 100))
}

/// A TLS 1.3 client's first record: it names the server, and what a reader of names passes over.
fn client_hello(name: &str) -> Vec<u8> {
    let be16 = |length: usize| u16::try_from(length).unwrap_or(0).to_be_bytes();
    let mut names = vec![0];
    names.extend(be16(name.len()));
    names.extend_from_slice(name.as_bytes());
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(be16(body.len()));
        extensions.extend_from_slice(body);
    };
    extension(0, &[&be16(names.len()), &names[..]].concat());
    extension(43, &[2, 3, 4]);
    extension(10, &[0, 2, 0, 29]);
    extension(51, &[&[0, 36, 0, 29, 0, 32], &[7; 32][..]].concat());
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    body.push(0);
    body.extend_from_slice(&[0, 2, 0x13, 1, 1, 0]);
    body.extend(be16(extensions.len()));
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend(be16(body.len() + 4));
    record.push(1);
    record.push(0);
    record.extend(be16(body.len()));
    record.extend(body);
    record
}
