//! The firewall, and one connection through it.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use cordon_engine::{
    Counters, Decrypting, Env, Event, Frame, Ingress, Outputs, Placement, Ruleset, SHARDS, Shard,
    ShardLimits, Sides, Verdict, place,
};
use decrypt::{Authority, Trust, tls::Proxy};
use inspect::domains::DomainSetBuilder;
use logs::{Record, View};
use packet::{
    Checksums, FragmentLimits, LinkType, TcpFlags, Timestamp, Transport, Wire,
    build::{Ends, Segment, Summing, ethernet_tcp_with_options},
    parse,
};
use policy::{
    Action, Criterion, DecryptAction, DecryptionRuleDraft, InterfaceId, Policy, PolicyBuilder,
    SecurityRuleDraft, SymbolsBuilder, WireSpec, ZoneDraft,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
use serde_json::Value;
use tags::{TagLimits, TagNames, TagStore};

const WIRE: Wire = Wire(0);
const SIDES: [InterfaceId; 2] = [InterfaceId(0), InterfaceId(1)];
const NOW: u64 = 1_790_000_000;
/// 1,460 bytes a segment, SACK, timestamps, windows in units of 128.
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 3, 0xe8, 0, 0, 0, 0, 1, 3, 3, 7];

static PROXY: LazyLock<Arc<Proxy>> = LazyLock::new(|| {
    let authority = Authority::generate(NOW, "Tests").unwrap();
    Arc::new(Proxy::new(authority, Trust::from_ders([], Vec::new()).0))
});

/// Names below `bank.example` stay closed, all others are opened.
fn policy() -> Policy {
    let mut symbols = SymbolsBuilder::new();
    let mut builder = PolicyBuilder::new();
    let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
    assert_eq!(interfaces, SIDES);
    builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
    for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
        builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]));
    }
    let private = builder.add_category(symbols.intern("private"));
    builder.add_pattern(private, &"bank.example".parse().unwrap());
    builder.add_decryption_rule(DecryptionRuleDraft {
        categories: Criterion::Of(vec![private]),
        ..DecryptionRuleDraft::new(symbols.intern("closed"), DecryptAction::NoDecrypt)
    });
    builder.add_decryption_rule(DecryptionRuleDraft::new(
        symbols.intern("opened"),
        DecryptAction::Decrypt,
    ));
    builder.add_rule(SecurityRuleDraft::new(symbols.intern("all"), Action::Allow));
    builder.build(Arc::new(symbols.freeze())).unwrap()
}

/// One end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

use End::{Client, Server};

impl End {
    fn other(self) -> Self {
        match self {
            Client => Server,
            Server => Client,
        }
    }
}

/// A segment that reached an end.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) at: End,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: TcpFlags,
    /// In bytes.
    pub(crate) window: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) frame: Vec<u8>,
}

/// A segment that an end sends; everything that is not said stands as the connection has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) seq: Option<u32>,
    pub(crate) ack: Option<u32>,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Lab {
    ruleset: Ruleset,
    sides: Sides,
    tags: TagStore,
    shards: Vec<Shard>,
    out: Outputs,
    now: Timestamp,
    frames: u64,
    records: Vec<Record>,
    ends: Ends,
    /// The next number of client and server, and what each has got from the other.
    pub(crate) next: [u32; 2],
    pub(crate) got: [u32; 2],
    pub(crate) heard: [Vec<u8>; 2],
    /// An end acknowledges what comes as soon as it has come.
    pub(crate) acknowledges: bool,
    stamp: u32,
}

pub(crate) const ISN: [u32; 2] = [0xffff_fe00, 5_000_000];

impl Lab {
    /// A connection to this port; its handshake is done.
    pub(crate) fn new(port: u16) -> Self {
        let mut lab = Self::unopened(port);
        lab.open();
        lab
    }

    pub(crate) fn unopened(port: u16) -> Self {
        let ruleset = Ruleset::new(policy(), DomainSetBuilder::new(0).build(), 1).decrypting(Decrypting {
            proxy: Arc::clone(&PROXY),
            summing: Summing::Complete,
            pause: Arc::default(),
            excluded: Arc::default(),
        });
        let limits = ShardLimits {
            sessions: 10,
            adopted: 10,
            fragments: FragmentLimits::default(),
        };
        let client = "192.168.1.7:50000".parse::<SocketAddr>().unwrap();
        Self {
            sides: Sides::new(Vec::new(), ruleset.policy(), WIRE),
            ruleset,
            tags: TagStore::new(Arc::new(TagNames::new()), TagLimits::default()),
            shards: (0..SHARDS).map(|_| Shard::new(limits)).collect(),
            out: Outputs::default(),
            now: Timestamp::from_secs(NOW),
            frames: 0,
            records: Vec::new(),
            ends: Ends::new(client, SocketAddr::new("203.0.113.9".parse().unwrap(), port)),
            next: ISN,
            got: ISN,
            heard: Default::default(),
            acknowledges: true,
            stamp: 1000,
        }
    }

    pub(crate) fn open(&mut self) {
        self.send_syn(Client, 0, b"");
        self.send_syn(Server, 0, b"");
        self.send(Client, &Sent::default());
    }

    pub(crate) fn send_syn(&mut self, from: End, flags: u8, payload: &[u8]) -> Vec<Arrived> {
        let isn = ISN[from as usize];
        let ack = if from == Server { TcpFlags::ACK.0 } else { 0 };
        let segment = Segment {
            seq: isn,
            ack: if from == Server { ISN[0].wrapping_add(1) } else { 0 },
            flags: TcpFlags(TcpFlags::SYN.0 | ack | flags),
            window: 64_000,
            payload,
        };
        self.next[from as usize] = isn.wrapping_add(1);
        let frame = ethernet_tcp_with_options(&self.ends_of(from), &segment, &SYN_OPTIONS);
        let (_, arrived) = self.take(from, &frame);
        self.got[from.other() as usize] = isn.wrapping_add(1);
        arrived
    }

    fn ends_of(&self, from: End) -> Ends {
        match from {
            Client => self.ends,
            Server => self.ends.reversed(),
        }
    }

    /// An end says something; its peer acknowledges what arrives.
    pub(crate) fn say(&mut self, from: End, payload: &[u8]) -> Vec<Arrived> {
        let mut all = Vec::new();
        for piece in payload.chunks(1448) {
            let sent = Sent {
                payload: piece.to_vec(),
                ..Sent::default()
            };
            all.extend(self.send(from, &sent));
        }
        all
    }

    pub(crate) fn frame(&mut self, from: End, sent: &Sent) -> Vec<u8> {
        let place = from as usize;
        let seq = sent.seq.unwrap_or(self.next[place]);
        let segment = Segment {
            seq,
            ack: sent.ack.unwrap_or(self.got[place]),
            flags: TcpFlags(TcpFlags::ACK.0 | sent.flags),
            window: 500,
            payload: &sent.payload,
        };
        if sent.seq.is_none() {
            let length = u32::try_from(sent.payload.len()).unwrap();
            self.next[place] = seq.wrapping_add(length + u32::from(segment.flags.fin()));
        }
        self.stamp += 1;
        let [a, b, c, d] = self.stamp.to_be_bytes();
        let stamps = [1, 1, 8, 10, a, b, c, d, 0, 0, 3, 0xe8];
        ethernet_tcp_with_options(&self.ends_of(from), &segment, &stamps)
    }

    pub(crate) fn send(&mut self, from: End, sent: &Sent) -> Vec<Arrived> {
        self.now = self.now.saturating_add(Duration::from_millis(1));
        let frame = self.frame(from, sent);
        let (_, arrived) = self.take(from, &frame);
        self.settle(arrived)
    }

    /// What has arrived is heard, and acknowledged, until nothing moves.
    pub(crate) fn settle(&mut self, mut arrived: Vec<Arrived>) -> Vec<Arrived> {
        let mut all = arrived.clone();
        for _ in 0..50 {
            let mut answers = Vec::new();
            for segment in &arrived {
                let place = segment.at as usize;
                let fresh = self.got[place].wrapping_sub(segment.seq);
                if let Some(bytes) = segment.payload.get(fresh as usize..)
                    && !bytes.is_empty()
                {
                    self.heard[place].extend_from_slice(bytes);
                    self.got[place] = self.got[place].wrapping_add(u32::try_from(bytes.len()).unwrap());
                    if !answers.contains(&segment.at) {
                        answers.push(segment.at);
                    }
                }
            }
            if answers.is_empty() || !self.acknowledges {
                return all;
            }
            arrived = Vec::new();
            for end in answers {
                let frame = self.frame(end, &Sent::default());
                arrived.extend(self.take(end, &frame).1);
            }
            all.extend(arrived.iter().cloned());
        }
        panic!("it does not come to rest");
    }

    /// The way of a frame through the engine.
    pub(crate) fn take(&mut self, from: End, bytes: &[u8]) -> (Verdict, Vec<Arrived>) {
        self.frames += 1;
        let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Verify).unwrap();
        let frame = Frame {
            number: self.frames,
            first_number: self.frames,
            frames: 1,
            stamp: self.now,
            ingress: Ingress::Interface(SIDES[from as usize]),
            original_bytes: bytes.len() as u64,
            packet,
        };
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        let Placement::Flow(shard, flow) = place(&packet, WIRE, 0) else {
            panic!("no flow");
        };
        let verdict = self.shards[shard.index()].packet(&env, self.now, &frame, &flow, &mut self.out);
        let mut arrived: Vec<Arrived> = self
            .out
            .emissions()
            .map(|sent| read(sent.egress, sent.bytes))
            .collect();
        if let Verdict::Forward(egress) = verdict {
            arrived.push(read(egress, bytes));
        }
        for (_, event) in self.out.drain_events() {
            match event {
                Event::Record(record) => self.records.push(record),
                Event::Fact(_) => {}
            }
        }
        self.out.clear();
        assert_eq!(
            self.counters().frames(),
            self.frames,
            "a frame is unaccounted for"
        );
        (verdict, arrived)
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in &self.shards {
            sum.add(shard.counters());
        }
        sum
    }

    /// Ends everything, and returns the records: type, application and why it ended.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        for shard in &mut self.shards {
            shard.finish(&env, self.now, &mut self.out);
        }
        for (_, event) in self.out.drain_events() {
            match event {
                Event::Record(record) => self.records.push(record),
                Event::Fact(_) => {}
            }
        }
        let view = View {
            symbols: self.ruleset.policy().symbols(),
            tags: self.tags.names(),
        };
        let lines = self.records.iter().map(|record| {
            let mut line = Vec::new();
            record.write_json(view, &mut line);
            let record: Value = serde_json::from_slice(&line).unwrap();
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} {}{}",
                text("type"),
                text("app"),
                text("session_end_reason"),
                Some(text("error"))
                    .filter(|error| !error.is_empty())
                    .map_or(String::new(), |error| format!(": {error}"))
            )
        });
        lines.collect()
    }
}

fn read(egress: InterfaceId, bytes: &[u8]) -> Arrived {
    let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Verify).unwrap();
    let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
        panic!("no TCP");
    };
    Arrived {
        at: if egress == SIDES[0] { Client } else { Server },
        seq: tcp.seq,
        ack: tcp.ack,
        flags: tcp.flags,
        window: u32::from(tcp.window) << if tcp.flags.syn() { 0 } else { 7 },
        payload: tcp.payload.to_vec(),
        frame: bytes.to_vec(),
    }
}

/// A client's hello that asks for this name, or for none.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut bytes).unwrap();
    }
    bytes
}

pub(crate) fn is_hello(bytes: &[u8]) -> bool {
    bytes.starts_with(&[22, 3]) && bytes.get(5) == Some(&1)
}
