//! A listed name asked over TCP, however its query is cut into segments.

use inspect::dns::parse_response;
use packet::{Checksums, LinkType, TcpFlags, Transport, parse};

use crate::{
    lab::{Fate, Lab, Plan, SINKHOLE_V4},
    quarantine::query,
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.7";
const RESOLVER: &str = "203.0.113.53:53";

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// One segment that left: port it goes to, flags, number, acknowledgement, payload.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    to: u16,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

fn sent(fate: Fate) -> Vec<Sent> {
    let Fate::Answered(frames) = fate else {
        panic!("{fate:?}")
    };
    let read = frames.iter().map(|frame| {
        let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
        let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
            panic!("no TCP")
        };
        Sent {
            to: tcp.dport,
            flags: tcp.flags,
            seq: tcp.seq,
            ack: tcp.ack,
            payload: tcp.payload.to_vec(),
        }
    });
    read.collect()
}

/// Checks what a client and a server get when the client's query, `length` bytes of it, was withheld in part.
fn assert_sinkholed(fate: Fate, client: u32, server: u32, length: u32, withheld: u32) {
    let sent = sent(fate);
    let [reply, fin, reset] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    let acknowledged = client + length;
    assert_eq!((reply.to, reply.seq, reply.ack), (50_000, server, acknowledged));
    let response = parse_response(&reply.payload[2..]).unwrap();
    assert_eq!(
        usize::from(u16::from_be_bytes([reply.payload[0], reply.payload[1]])),
        reply.payload.len() - 2
    );
    assert_eq!(
        response.addresses().collect::<Vec<_>>(),
        [std::net::IpAddr::from(SINKHOLE_V4)]
    );
    let behind = server + u32::try_from(reply.payload.len()).unwrap();
    assert_eq!(
        (fin.to, fin.flags, fin.seq, fin.ack),
        (50_000, TcpFlags::FIN | TcpFlags::ACK, behind, acknowledged)
    );
    // The server has seen everything but what was withheld.
    assert_eq!((reset.to, reset.seq), (53, acknowledged - withheld));
    assert!(reset.flags.rst());
}

#[test]
fn a_query_split_at_any_byte_is_sinkholed() {
    let stream = framed(&query("golfsource.us", 1));
    for cut in 1..stream.len() {
        let mut lab = Lab::new(&Plan::default());
        let mut open = Connection::open(&mut lab, CLIENT, 50_000, RESOLVER);
        let [client, server] = open.next;
        let (first, second) = stream.split_at(cut);
        assert_eq!(open.client_says(&mut lab, first), Fate::Forwarded, "cut at {cut}");
        let fate = open.client_says(&mut lab, second);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        assert_sinkholed(fate, client, server, length(&stream), length(second));
        assert_eq!(
            lab.told(),
            [
                "sinkhole 192.168.1.7 golfsource.us A names",
                "register infected-host on 192.168.1.7 by 1",
            ],
            "cut at {cut}"
        );
        lab.assert_frames(4, 1, &[]);
        lab.assert_sessions([1, 0, 0], 1, 0, 0);
    }
}

#[test]
fn a_query_byte_by_byte_is_sinkholed() {
    let stream = framed(&query("golfsource.us", 1));
    let mut lab = Lab::new(&Plan::default());
    let mut open = Connection::open(&mut lab, CLIENT, 50_000, RESOLVER);
    let [client, server] = open.next;
    let (last, first) = stream.split_last().unwrap();
    for byte in first {
        assert_eq!(open.client_says(&mut lab, &[*byte]), Fate::Forwarded);
    }
    let length = u32::try_from(stream.len()).unwrap();
    assert_sinkholed(open.client_says(&mut lab, &[*last]), client, server, length, 1);
    lab.assert_frames(2 + u64::from(length), 1, &[]);
}

#[test]
fn segments_out_of_order_hide_nothing() {
    let stream = framed(&query("golfsource.us", 1));
    let mut lab = Lab::new(&Plan::default());
    let open = Connection::open(&mut lab, CLIENT, 50_000, RESOLVER);
    let flags = TcpFlags::PSH | TcpFlags::ACK;
    let (first, second) = stream.split_at(9);
    assert_eq!(lab.send(&open.stray(true, flags, 9, second)), Fate::Forwarded);
    let sent = sent(lab.send(&open.stray(true, flags, 0, first)));
    assert_eq!(sent.len(), 3);
    assert_eq!(lab.told()[0], "sinkhole 192.168.1.7 golfsource.us A names");
    lab.assert_frames(4, 1, &[]);
}

#[test]
fn what_follows_goes_nowhere_and_is_still_read() {
    let mut lab = Lab::new(&Plan::default());
    let mut open = Connection::open(&mut lab, CLIENT, 50_000, RESOLVER);
    let both = [
        framed(&query("golfsource.us", 1)),
        framed(&query("example.net", 1)),
        framed(&query("tourindia.ion", 28)),
    ];
    let sent = sent(open.client_says(&mut lab, &both.concat()));
    // Both listed names of the segment are answered, in one segment, then the connection ends.
    assert_eq!(sent.len(), 3);
    let first = usize::from(u16::from_be_bytes([sent[0].payload[0], sent[0].payload[1]]));
    let second = parse_response(&sent[0].payload[first + 4..]).unwrap();
    assert_eq!(
        second.questions().next().unwrap().name.to_string(),
        "tourindia.ion"
    );
    lab.heal(CLIENT);
    let told = lab.told();
    assert_eq!(
        told.iter().filter(|line| line.starts_with("sinkhole")).count(),
        2,
        "{told:?}"
    );
    // Later queries of the same connection are recorded, and dropped.
    assert_eq!(
        open.client_says(&mut lab, &framed(&query("golfsource.us", 28))),
        Fate::Dropped("sinkholed-session")
    );
    assert_eq!(lab.told()[0], "sinkhole 192.168.1.7 golfsource.us AAAA names");
    lab.heal(CLIENT);
    lab.assert_frames(3, 1, &[("sinkholed-session", 1)]);
    lab.assert_sessions([1, 0, 0], 3, 0, 0);
    lab.wait(90);
    assert_eq!(lab.told(), ["end 192.168.1.7 dns allow threat by all"]);
}
