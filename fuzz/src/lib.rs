//! What the fuzz targets share: a firewall in memory that is fed from bytes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use config::{SourceText, Sources};
use engine::{
    Counters, DropReason, Env, Event, FragmentNote, Frame, Ingress, Outputs, Placement, Ruleset, SHARDS,
    Shard, ShardId, ShardLimits, Sides, inside, place,
};
use logs::{Forwarder, ForwarderConfig, ForwarderLimits, View};
use packet::{
    Checksums, Datagram, FragmentLimits, LinkType, Outline, TcpFlags, Timestamp, Wire,
    build::{Ends, Segment, ethernet_icmp_error, ethernet_tcp, ethernet_udp},
    parse,
};
use tags::{TagLimits, TagNames, TagStore};

/// Few enough for eviction to be reached.
pub const SESSIONS_PER_SHARD: usize = 2;
const WIRE: Wire = Wire(0);

/// A link type for every number.
pub fn link_type(choice: u8) -> LinkType {
    use LinkType::{Ethernet, Null, Ppp, RawIp, Sll, Sll2};
    [Ethernet, RawIp, Sll, Sll2, Null, Ppp][usize::from(choice) % 6]
}

/// A policy that allows all and quarantines whoever asks for a listed name, compiled once.
struct World {
    ruleset: Ruleset,
    forwarding: ForwarderConfig,
    names: Arc<TagNames>,
    sides: Sides,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let document = config::parse("engine.toml", include_str!("engine.toml"));
    let document = document.document.expect("the document is right");
    let mut sources = Sources::new();
    for file in document.external_files() {
        sources.insert(&file, SourceText::Read("golfsource.us\n".to_owned()));
    }
    let names = Arc::new(TagNames::new());
    let compiled = config::compile(&document, &sources, &names, None, 0);
    let running = compiled.running.expect("the document compiles");
    let sides = Sides::new(Vec::new(), &running.policy, WIRE);
    World {
        forwarding: ForwarderConfig {
            profiles: running.forwarding,
            ..ForwarderConfig::default()
        },
        ruleset: Ruleset::new(running.policy, Arc::clone(running.domains.set()), 1),
        names,
        sides,
    }
});

/// The whole engine, driven frame by frame as replay drives it.
pub struct Lab {
    world: &'static World,
    tags: Arc<TagStore>,
    shards: Vec<Shard>,
    forwarder: Forwarder,
    out: Outputs,
    now: Timestamp,
    /// Frames fed so far.
    pub frames: u64,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    pub fn new() -> Self {
        let world = &*WORLD;
        let limits = ShardLimits {
            sessions: SESSIONS_PER_SHARD,
            adopted: 4,
            fragments: FragmentLimits {
                datagrams: 2,
                bytes: 4000,
                ..FragmentLimits::default()
            },
        };
        Self {
            world,
            tags: Arc::new(TagStore::new(Arc::clone(&world.names), TagLimits::default())),
            shards: (0..SHARDS).map(|_| Shard::new(limits)).collect(),
            forwarder: Forwarder::new(world.forwarding.clone(), ForwarderLimits::default()),
            out: Outputs::default(),
            now: Timestamp::ZERO,
            frames: 0,
        }
    }

    /// Takes one step's worth from the input; `false` where it is used up.
    pub fn step(&mut self, input: &mut &[u8]) -> bool {
        let Some((&[choice, wait, a, b, size], rest)) = input.split_first_chunk() else {
            return false;
        };
        let (payload, rest) = rest.split_at(usize::from(size).min(rest.len()));
        *input = rest;
        // From nanoseconds to decades.
        let pause = Duration::from_nanos(u64::from(wait & 0x0f) << (wait >> 4 << 2));
        self.now = self.now.saturating_add(pause);
        self.expire();
        let link = if choice & 0x80 == 0 {
            LinkType::Ethernet
        } else {
            link_type(a)
        };
        let frame = match choice {
            0x80.. => payload.to_vec(),
            0x40.. => plausible_segment(choice, a, b, payload),
            0x20.. => ethernet_udp(&ends(choice, a, 53), payload),
            0x10.. => ethernet_icmp_error(
                &ends(choice, a, 0),
                3,
                b,
                &plausible_segment(choice, a, b, payload)[14..],
            ),
            _ => packet::build::fragment(&ethernet_udp(&ends(choice, a, 53), payload), usize::from(b))
                .swap_remove(0),
        };
        self.frame(link, &frame);
        self.forward();
        true
    }

    fn frame(&mut self, link: LinkType, bytes: &[u8]) {
        self.frames += 1;
        if link == LinkType::Ethernet
            && let Some(outline) = Outline::of_ethernet(bytes, bytes.len(), WIRE, 0)
        {
            let (world, tags) = (self.world, Arc::clone(&self.tags));
            let env = Env {
                ruleset: &world.ruleset,
                tags: &tags,
                sides: &world.sides,
                adopting: false,
            };
            let shard = &mut self.shards[ShardId::of(&outline).index()];
            let length = bytes.len() as u64;
            if shard
                .established(&env, self.now, &outline, bytes, length)
                .is_some()
            {
                return;
            }
        }
        let packet = match parse(link, bytes, bytes.len(), Checksums::Ignore) {
            Ok(packet) => packet,
            Err(malformed) => return self.shards[0].refuse_frames(DropReason::Malformed(malformed), 1),
        };
        let frame = Frame {
            number: self.frames,
            first_number: self.frames,
            frames: 1,
            stamp: self.now,
            ingress: Ingress::Wire(WIRE),
            original_bytes: bytes.len() as u64,
            packet,
        };
        self.judge(frame, &[]);
        for sent in self.out.emissions() {
            let sent = parse(link, sent.bytes, sent.bytes.len(), Checksums::Verify);
            assert!(sent.is_ok(), "cordon sent what it would drop itself: {sent:?}");
        }
    }

    /// Judges a packet, then what is inside it; `fragments` are those that made it up.
    fn judge(&mut self, mut frame: Frame<'_>, fragments: &[(FragmentNote, Box<[u8]>)]) {
        let world = self.world;
        let tags = Arc::clone(&self.tags);
        let env = Env {
            ruleset: &world.ruleset,
            tags: &tags,
            sides: &world.sides,
            adopting: false,
        };
        loop {
            let (shard, flow) = match place(&frame.packet, WIRE, 0) {
                Placement::Stateless(shard) => {
                    let _ = self.shards[shard.index()].stateless(&env, &frame);
                    return;
                }
                Placement::Refused(reason) => return self.shards[0].refuse_frames(reason, frame.frames),
                Placement::Fragment(shard) => {
                    let parts = leaves(fragments);
                    let whole = self.shards[shard.index()].fragment_with_parts(self.now, WIRE, &frame, parts);
                    if let Some(datagram) = whole {
                        self.judge_datagram(frame, &datagram);
                    }
                    return;
                }
                Placement::Flow(shard, flow) => (shard, flow),
            };
            let verdict = self.shards[shard.index()].packet(&env, self.now, &frame, &flow, &mut self.out);
            match inside(&env, &frame, &flow, verdict, 0) {
                Some(inner) => frame = inner,
                None => return,
            }
        }
    }

    fn judge_datagram(&mut self, last: Frame<'_>, datagram: &Datagram<FragmentNote>) {
        let frames = datagram.fragments.iter().map(|(note, _)| note.frames()).sum();
        let mut packet = match datagram.packet() {
            Ok(packet) => packet,
            Err(fault) => return self.shards[0].refuse_frames(DropReason::Malformed(fault), frames),
        };
        while packet.tunnel().map_or(0, |tunnel| tunnel.depth) < last.layer() {
            match packet.inside(0) {
                Ok(Some(inner)) => packet = inner,
                _ => return self.shards[0].refuse_frames(DropReason::FragmentInvalid, frames),
            }
        }
        let frame = Frame {
            number: last.number,
            first_number: last.first_number,
            frames,
            stamp: last.stamp,
            ingress: last.ingress,
            original_bytes: last.original_bytes,
            packet,
        };
        self.judge(frame, &datagram.fragments);
    }

    fn expire(&mut self) {
        let env = Env {
            ruleset: &self.world.ruleset,
            tags: &self.tags,
            sides: &self.world.sides,
            adopting: false,
        };
        for shard in &mut self.shards {
            shard.expire(&env, self.now, &mut self.out);
        }
        self.forward();
    }

    /// Records to the match lists, and every line to JSON and back.
    fn forward(&mut self) {
        let policy = self.world.ruleset.policy();
        let mut records = Vec::new();
        for (_, event) in self.out.drain_events() {
            match event {
                Event::Record(record) => {
                    self.forwarder
                        .record(record.time, record, policy, &self.tags, &mut records);
                }
                Event::Fact(fact) => self.forwarder.fact(self.now, fact, policy, &mut records),
            }
        }
        self.forwarder.expire_tags(self.now, &self.tags, &mut records);
        self.out.clear();
        let view = View {
            symbols: policy.symbols(),
            tags: &self.world.names,
        };
        for record in records {
            let mut line = Vec::new();
            record.write_json(view, &mut line);
            let line = String::from_utf8(line).expect("a line is text");
            logs::Line::parse(&line).expect("a line reads back");
        }
    }

    pub fn sessions(&self) -> usize {
        self.shards.iter().map(Shard::session_count).sum()
    }

    /// Ends all sessions; the frames that were still held.
    pub fn finish(&mut self) -> u64 {
        let env = Env {
            ruleset: &self.world.ruleset,
            tags: &self.tags,
            sides: &self.world.sides,
            adopting: false,
        };
        let (now, out) = (self.now, &mut self.out);
        let held = self
            .shards
            .iter_mut()
            .map(|shard| shard.finish(&env, now, out))
            .sum();
        self.forward();
        held
    }

    /// Frames that have a verdict.
    pub fn counted(&self) -> u64 {
        let mut sum = Counters::default();
        for shard in &self.shards {
            sum.add(shard.counters());
        }
        sum.frames()
    }
}

/// The frames that brought fragments.
fn leaves(fragments: &[(FragmentNote, Box<[u8]>)]) -> Vec<(FragmentNote, Box<[u8]>)> {
    let mut all = Vec::new();
    for (note, bytes) in fragments {
        if note.parts.is_empty() {
            let note = FragmentNote {
                number: note.number,
                stamp: note.stamp,
                original_bytes: note.original_bytes,
                parts: Vec::new(),
            };
            all.push((note, bytes.clone()));
        } else {
            all.append(&mut leaves(&note.parts));
        }
    }
    all
}

/// A few hosts and ports, in both families and either direction.
fn ends(choice: u8, a: u8, port: u16) -> Ends {
    let host = u16::from(a >> 6);
    let [client, server]: [IpAddr; 2] = if choice & 1 == 0 {
        [[10, 0, 0, host as u8].into(), [198, 51, 100, 1].into()]
    } else {
        [
            [0xfd00, 0, 0, 0, 0, 0, 0, host].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        ]
    };
    let there = Ends::new(
        SocketAddr::new(client, 1000 + host),
        SocketAddr::new(server, port),
    );
    if choice & 2 == 0 { there } else { there.reversed() }
}

/// A segment near the beginning of the sequence space, so that many of them fit one another.
fn plausible_segment(choice: u8, a: u8, b: u8, payload: &[u8]) -> Vec<u8> {
    let segment = Segment {
        seq: 1000 + u32::from(b >> 4) * 8,
        ack: 1000 + u32::from(b & 0x0f) * 8,
        flags: TcpFlags(a & 0x1f),
        window: 512,
        payload,
    };
    ethernet_tcp(&ends(choice, a, if choice & 4 == 0 { 53 } else { 80 }), &segment)
}
