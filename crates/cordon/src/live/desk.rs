//! Where a worker judges frames: its shards, its ways out, and what it leaves for the forwarder.
//!
//! A worker owns its shards of all flows. What arrives here and belongs to another's (the kernel spreads frames
//! by a hash of its own) is handed over as a copy.

use std::sync::{Arc, atomic::Ordering};

use arc_swap::{ArcSwap, Cache};
use engine::{
    BURST, Counters, DropReason, Env, FragmentNote, Frame, Ingress, Outputs, Placement, RuleCounts, Ruleset,
    SHARDS, SessionState, Shard, ShardId, ShardLimits, Verdict, fetch, inside, place,
};
use logs::Record;
use packet::{Checksums, Datagram, LinkType, Outline, Packet, Timestamp, Wire, build::Unfinished, parse};
use policy::{InterfaceId, Symbol, Symbols};
use ports::live::{
    Burst, ChecksumState, End, Gso, GsoKind, LiveFrame, Offload, Sender, Waker, checksum_is_right,
};

use super::{
    handoff::{Arrival, Copied, Handoff, Parcel},
    lines::Lines,
    shared::Shared,
};

/// Another worker, as the one who leaves parcels sees it.
#[derive(Clone, Debug)]
pub(super) struct Colleague {
    pub(super) handoff: Arc<Handoff>,
    pub(super) waker: Waker,
}

/// What leaves where the verdict lets it.
#[derive(Clone, Copy, Debug)]
enum Goods<'a> {
    Frame {
        bytes: &'a [u8],
        offload: Offload,
    },
    /// It lies where it can leave from: whoever has it is told where to ([`Desk::passing`]).
    InPlace,
    Fragments(&'a [(FragmentNote, Box<[u8]>)]),
}

impl Goods<'_> {
    fn frames(&self) -> u64 {
        match self {
            Self::Frame { .. } | Self::InPlace => 1,
            Self::Fragments(fragments) => fragments.iter().map(|(note, _)| note.frames()).sum(),
        }
    }
}

/// What is still to be done about a packet.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Nothing,
    /// It is another worker's.
    HandOver(ShardId, Ingress, u8),
    /// It is a fragment, for this shard.
    Fragment(ShardId, Ingress, u8),
}

/// What a worker judges frames with.
#[derive(Debug)]
pub(super) struct Desk {
    shared: Arc<Shared>,
    ruleset: Cache<Arc<ArcSwap<Ruleset>>, Arc<Ruleset>>,
    shards: Vec<Shard>,
    /// By the interface's number; `None` for what has no way out, as a tap or an interface that is gone, or has it in a
    /// line.
    pub(super) senders: Vec<Option<Sender>>,
    pub(super) lines: Lines,
    /// Where the frame that is judged in its place is to leave.
    passing: Option<InterfaceId>,
    /// The wire of each interface.
    wires: Vec<Option<Wire>>,
    outputs: Outputs,
    number: usize,
    colleagues: Vec<Colleague>,
    /// Frames taken so far.
    frames: u64,
    seed: u64,
    /// Frames that left the engine and no interface: it is gone, or is a tap.
    pub(super) no_way_out: u64,
    /// Frames that an interface did not take; each has its reason in the interface's own counters.
    pub(super) not_sent: u64,
}

impl Desk {
    pub(super) fn new(
        shared: Arc<Shared>,
        number: usize,
        colleagues: Vec<Colleague>,
        (senders, lines): (Vec<Option<Sender>>, Lines),
        limits: ShardLimits,
        seed: u64,
    ) -> Self {
        let policy_wires = |ruleset: &Ruleset| {
            let policy = ruleset.policy();
            let mut wires = vec![None; policy.interfaces().len()];
            for (spec, wire) in policy.wires().iter().zip(0..) {
                for interface in spec.interfaces {
                    if let Some(place) = wires.get_mut(interface.index()) {
                        *place = Some(Wire(wire));
                    }
                }
            }
            wires
        };
        let ruleset = Cache::new(Arc::clone(&shared.ruleset));
        let wires = policy_wires(&shared.ruleset.load());
        Self {
            ruleset,
            shards: (0..SHARDS).map(|_| Shard::new(limits)).collect(),
            senders,
            lines,
            passing: None,
            wires,
            outputs: Outputs::default(),
            number,
            colleagues,
            frames: 0,
            seed,
            no_way_out: 0,
            not_sent: 0,
            shared,
        }
    }

    /// The shards of this worker; those of others stay empty.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// How often rules have decided here.
    pub(super) fn rule_counts(&self) -> RuleCounts {
        let mut sum = RuleCounts::default();
        for shard in &self.shards {
            sum.add(&shard.counters().rules);
        }
        sum
    }

    /// Has rules counted from nothing.
    pub(super) fn clear_rule_hits(&mut self, rule: Option<Symbol>) {
        for shard in &mut self.shards {
            shard.clear_rule_hits(rule);
        }
    }

    /// Shows every session, with the names of its record.
    pub(super) fn list(&mut self, now: Timestamp, show: &mut dyn FnMut(&Symbols, SessionState, Record)) {
        let ruleset = Arc::clone(self.ruleset.load());
        let env = self.shared.env(&ruleset, now);
        for shard in &self.shards {
            shard.list_sessions(&env, now, &mut |state, record| {
                show(ruleset.policy().symbols(), state, record);
            });
        }
    }

    /// Parcels for this worker that found no room.
    pub(super) fn handoff_refused(&self) -> u64 {
        self.colleagues
            .get(self.number)
            .map_or(0, |own| own.handoff.refused())
    }

    /// The sums over this worker's shards.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in &self.shards {
            sum.add(shard.counters());
        }
        sum
    }

    /// Judges what has arrived at a port and sends on what may pass.
    pub(super) fn take_burst(&mut self, ingress: InterfaceId, burst: &Burst<'_>, now: Timestamp) {
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        let Some(wire) = self.wires.get(ingress.index()).copied().flatten() else {
            return;
        };
        for start in (0..burst.len()).step_by(BURST) {
            let frames = || {
                (start..burst.len())
                    .take(BURST)
                    .filter_map(|place| burst.get(place))
            };
            let mut outlines = [None; BURST];
            for (outline, frame) in outlines.iter_mut().zip(frames()) {
                *outline = self.outline(wire, &frame);
            }
            fetch(outlines.iter().flatten().filter_map(|outline| {
                let shard = self.shards.get(ShardId::of(outline).index())?;
                Some((shard, outline))
            }));
            for (outline, frame) in outlines.iter().zip(frames()) {
                let goods = Goods::Frame {
                    bytes: frame.bytes,
                    offload: frame.offload,
                };
                self.take_frame(&env, now, (wire, ingress), outline.as_ref(), &frame, goods);
            }
        }
        self.settle();
    }

    /// Judges what has arrived at one end of a line; what may pass leaves from where it lies. `false`: nothing had.
    pub(super) fn take_line(&mut self, line: usize, end: End, now: Timestamp) -> bool {
        let Some(mut arrived) = self.lines.receive(line, end) else {
            return false;
        };
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        let ingress = arrived.interface;
        let wire = self.wires.get(ingress.index()).copied().flatten();
        let mut outlines = [None; BURST];
        for (outline, frame) in outlines.iter_mut().zip(&arrived.frames) {
            *outline = wire.and_then(|wire| self.outline(wire, &arrived.memory.frame(frame)));
        }
        fetch(outlines.iter().flatten().filter_map(|outline| {
            let shard = self.shards.get(ShardId::of(outline).index())?;
            Some((shard, outline))
        }));
        let mut outlines = outlines.iter();
        for frame in arrived.frames.drain(..) {
            let outline = outlines.next().and_then(Option::as_ref);
            let live = arrived.memory.frame(&frame);
            if let Some(wire) = wire {
                self.take_frame(&env, now, (wire, ingress), outline, &live, Goods::InPlace);
            }
            match self.passing.take() {
                None => self.lines.release(line, frame),
                Some(egress) if self.lines.leads_to(line, end, egress) => {
                    self.not_sent += u64::from(self.lines.hand_on(line, end, frame).is_err());
                }
                Some(egress) => {
                    self.send(egress, live.bytes, live.offload);
                    self.lines.release(line, frame);
                }
            }
        }
        self.lines.give_back(arrived);
        self.settle();
        true
    }

    /// Judges a frame that has just arrived, by its outline where that is enough.
    fn take_frame(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        (wire, ingress): (Wire, InterfaceId),
        outline: Option<&Outline>,
        frame: &LiveFrame<'_>,
        goods: Goods<'_>,
    ) {
        let number = self.next_number();
        if let Some(outline) = outline
            && self.pass_established(env, now, outline, frame, goods)
        {
            return;
        }
        let arrival = Arrival {
            wire,
            ingress: Ingress::Interface(ingress),
            number,
            stamp: now,
            original_len: frame.original_len,
            depth: 0,
        };
        self.take(env, now, arrival, (frame.bytes, frame.offload), goods);
    }

    /// What is enough to find the session of most frames. What is wrong, or cannot be verified here, has to be parsed.
    fn outline(&self, wire: Wire, frame: &LiveFrame<'_>) -> Option<Outline> {
        match frame.offload.checksum {
            ChecksumState::Unverified if !checksum_is_right(frame.bytes) => None,
            ChecksumState::Unverified | ChecksumState::Unfinished { .. } | ChecksumState::Verified => {
                Outline::of_ethernet(frame.bytes, frame.original_len as usize, wire, self.seed)
            }
        }
    }

    /// Sends a frame on whose session needs nothing more; `false`, and nothing was done, where it does. (A shard of
    /// another worker has no sessions here.)
    fn pass_established(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        outline: &Outline,
        frame: &LiveFrame<'_>,
        goods: Goods<'_>,
    ) -> bool {
        let shard = self.shards.get_mut(ShardId::of(outline).index());
        let verdict = shard.and_then(|shard| {
            shard.established(env, now, outline, frame.bytes, u64::from(frame.original_len))
        });
        match verdict {
            Some(verdict) => self.leave(verdict, goods),
            None => return false,
        }
        true
    }

    /// Takes what other workers have left here. `true`: there may be more.
    pub(super) fn take_parcels(&mut self, most: usize, now: Timestamp) -> bool {
        let Some(own) = self.colleagues.get(self.number).cloned() else {
            return false;
        };
        if own.handoff.is_empty() {
            return false;
        }
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        for _ in 0..most {
            match own.handoff.next() {
                None => break,
                Some(Parcel::Frame(copied)) => {
                    let (bytes, offload) = (&*copied.bytes, copied.offload);
                    let goods = Goods::Frame { bytes, offload };
                    self.take(&env, now, copied.arrival, (bytes, offload), goods);
                    own.handoff.give_back(copied.bytes);
                }
                Some(Parcel::Datagram(arrival, datagram)) => self.take_datagram(&env, now, arrival, datagram),
            }
        }
        self.settle();
        !own.handoff.is_empty()
    }

    /// Session ids must differ between workers: each counts in steps of how many there are.
    fn next_number(&mut self) -> u64 {
        self.frames += 1;
        let workers = self.colleagues.len().max(1) as u64;
        (self.frames - 1) * workers + self.number as u64 + 1
    }

    /// Judges a frame and sends it on.
    fn take(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        arrival: Arrival,
        (bytes, offload): (&[u8], Offload),
        goods: Goods<'_>,
    ) {
        // What the kernel marks as unfinished is finished where it leaves; what it has verified is right.
        let checksums = match offload.checksum {
            ChecksumState::Unverified => Checksums::Verify,
            ChecksumState::Unfinished { .. } | ChecksumState::Verified => Checksums::Ignore,
        };
        let packet = match parse(
            LinkType::Ethernet,
            bytes,
            arrival.original_len as usize,
            checksums,
        ) {
            Ok(packet) => packet,
            Err(malformed) => {
                self.refuse(DropReason::Malformed(malformed), 1);
                return;
            }
        };
        let Some(packet) = at_depth(packet, arrival.depth, self.seed) else {
            return;
        };
        let frame = Frame {
            number: arrival.number,
            first_number: arrival.number,
            frames: 1,
            stamp: arrival.stamp,
            ingress: arrival.ingress,
            original_bytes: u64::from(arrival.original_len),
            packet,
        };
        match self.judge(env, now, arrival.wire, frame, goods) {
            Rest::Nothing => {}
            Rest::HandOver(shard, ingress, depth) => {
                let arrival = Arrival {
                    ingress,
                    depth,
                    ..arrival
                };
                self.hand_over(shard, arrival, bytes, offload);
            }
            Rest::Fragment(shard, ingress, depth) => {
                let Some(packet) = at_depth(packet, depth, self.seed) else {
                    return;
                };
                let frame = Frame {
                    ingress,
                    packet,
                    ..frame
                };
                let whole = self
                    .shards
                    .get_mut(shard.index())
                    .and_then(|shard| shard.fragment(now, arrival.wire, &frame));
                if let Some(datagram) = whole {
                    let arrival = Arrival {
                        ingress,
                        depth,
                        ..arrival
                    };
                    self.take_datagram(env, now, arrival, Box::new(datagram));
                }
            }
        }
    }

    /// Judges a datagram that has become whole, and sends its fragments on as they came.
    fn take_datagram(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        arrival: Arrival,
        mut datagram: Box<Datagram<FragmentNote>>,
    ) {
        let rest = {
            let goods = Goods::Fragments(&datagram.fragments);
            let packet = match datagram.packet() {
                Ok(packet) => packet,
                Err(malformed) => {
                    self.refuse(DropReason::Malformed(malformed), goods.frames());
                    return;
                }
            };
            let Some(packet) = at_depth(packet, arrival.depth, self.seed) else {
                return;
            };
            let notes = || datagram.fragments.iter().map(|(note, _)| note);
            let frame = Frame {
                number: arrival.number,
                first_number: notes()
                    .map(FragmentNote::first_number)
                    .min()
                    .unwrap_or(arrival.number),
                frames: goods.frames(),
                stamp: arrival.stamp,
                ingress: arrival.ingress,
                original_bytes: notes().map(|note| note.original_bytes).sum(),
                packet,
            };
            self.judge(env, now, arrival.wire, frame, goods)
        };
        match rest {
            Rest::Nothing => {}
            Rest::HandOver(shard, ingress, depth) => {
                let arrival = Arrival {
                    ingress,
                    depth,
                    ..arrival
                };
                let frames = Goods::Fragments(&datagram.fragments).frames();
                let Some(owner) = self.owner_elsewhere(shard) else {
                    return;
                };
                match owner.handoff.push(Parcel::Datagram(arrival, datagram)) {
                    Ok(()) => owner.waker.wake(),
                    Err(_) => self.refuse(DropReason::HandoffFull, frames),
                }
            }
            Rest::Fragment(shard, ingress, depth) => {
                let arrival = Arrival {
                    ingress,
                    depth,
                    ..arrival
                };
                self.fragment_inside(env, now, arrival, shard, &mut datagram);
            }
        }
    }

    /// Takes a fragment from inside a datagram that was fragmented itself: its frames wait with it.
    fn fragment_inside(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        arrival: Arrival,
        shard: ShardId,
        outer: &mut Datagram<FragmentNote>,
    ) {
        let parts = FragmentNote::frames_of(std::mem::take(&mut outer.fragments));
        let Some(packet) = outer
            .packet()
            .ok()
            .and_then(|packet| at_depth(packet, arrival.depth, self.seed))
        else {
            return;
        };
        let frame = Frame {
            number: arrival.number,
            first_number: arrival.number,
            frames: parts.len() as u64,
            stamp: arrival.stamp,
            ingress: arrival.ingress,
            original_bytes: parts.iter().map(|(note, _)| note.original_bytes).sum(),
            packet,
        };
        let whole = self
            .shards
            .get_mut(shard.index())
            .and_then(|shard| shard.fragment_with_parts(now, arrival.wire, &frame, parts));
        if let Some(datagram) = whole {
            self.take_datagram(env, now, arrival, Box::new(datagram));
        }
    }

    /// Judges a packet, then what is inside it, as long as this worker owns the flow; sends on what may pass.
    fn judge(
        &mut self,
        env: &Env<'_>,
        now: Timestamp,
        wire: Wire,
        mut frame: Frame<'_>,
        goods: Goods<'_>,
    ) -> Rest {
        loop {
            let (shard, flow) = match place(&frame.packet, wire, self.seed) {
                Placement::Flow(shard, flow) => (shard, flow),
                Placement::Fragment(shard) if self.owner_elsewhere(shard).is_some() => {
                    return Rest::HandOver(shard, frame.ingress, frame.layer());
                }
                Placement::Fragment(shard) => return Rest::Fragment(shard, frame.ingress, frame.layer()),
                Placement::Refused(reason) => {
                    self.refuse(reason, goods.frames());
                    return Rest::Nothing;
                }
                Placement::Stateless(_) => {
                    if let Some(shard) = self.shards.first_mut() {
                        let verdict = shard.stateless(env, &frame);
                        self.leave(verdict, goods);
                    }
                    return Rest::Nothing;
                }
            };
            if self.owner_elsewhere(shard).is_some() {
                return Rest::HandOver(shard, frame.ingress, frame.layer());
            }
            let Some(shard) = self.shards.get_mut(shard.index()) else {
                return Rest::Nothing;
            };
            let verdict = shard.packet(env, now, &frame, &flow, &mut self.outputs);
            if self.outputs.has_emissions() {
                // What was held of a flow leaves before what comes after it.
                self.send_emissions();
            }
            let Some(inner) = inside(env, &frame, &flow, verdict, self.seed) else {
                self.leave(verdict, goods);
                return Rest::Nothing;
            };
            frame = inner;
        }
    }

    fn owner_elsewhere(&self, shard: ShardId) -> Option<&Colleague> {
        let owner = shard.index() % self.colleagues.len().max(1);
        (owner != self.number)
            .then(|| self.colleagues.get(owner))
            .flatten()
    }

    /// Hands a frame to the worker that owns its shard.
    fn hand_over(&mut self, shard: ShardId, arrival: Arrival, bytes: &[u8], offload: Offload) {
        let Some(owner) = self.owner_elsewhere(shard) else {
            return;
        };
        let copied = Copied {
            arrival,
            offload,
            bytes: owner.handoff.copy(bytes),
        };
        match owner.handoff.push(Parcel::Frame(copied)) {
            Ok(()) => owner.waker.wake(),
            Err(_) => self.refuse(DropReason::HandoffFull, 1),
        }
    }

    fn refuse(&mut self, reason: DropReason, frames: u64) {
        if let Some(shard) = self.shards.first_mut() {
            shard.refuse_frames(reason, frames);
        }
    }

    fn leave(&mut self, verdict: Verdict, goods: Goods<'_>) {
        let Verdict::Forward(egress) = verdict else { return };
        match goods {
            Goods::Frame { bytes, offload } => self.send(egress, bytes, offload),
            Goods::InPlace => self.passing = Some(egress),
            Goods::Fragments(fragments) => {
                for (note, bytes) in fragments {
                    if note.parts.is_empty() {
                        self.send(egress, bytes, Offload::COMPLETE);
                    }
                    for (_, part) in &note.parts {
                        self.send(egress, part, Offload::COMPLETE);
                    }
                }
            }
        }
    }

    /// What a sender cannot take it drops and counts itself.
    fn send(&mut self, egress: InterfaceId, bytes: &[u8], offload: Offload) {
        match self.senders.get_mut(egress.index()) {
            Some(Some(sender)) => self.not_sent += u64::from(sender.send(bytes, offload).is_err()),
            _ => match self.lines.send(egress, bytes, offload) {
                Some(sent) => self.not_sent += u64::from(sent.is_err()),
                None => self.no_way_out += 1,
            },
        }
    }

    /// Sends what waits, forged frames too, and passes on what there is to tell.
    fn settle(&mut self) {
        self.send_emissions();
        let Self { senders, lines, .. } = self;
        lines.flush();
        for sender in senders.iter_mut().flatten() {
            if sender.waiting() > 0 {
                sender.flush();
            }
        }
        self.tell();
    }

    /// Hands the frames that the engine made to their senders.
    fn send_emissions(&mut self) {
        let Self {
            outputs,
            senders,
            lines,
            no_way_out,
            not_sent,
            ..
        } = self;
        for emission in outputs.emissions() {
            let offload = emission.unfinished.map_or(Offload::COMPLETE, to_finish);
            let sent = match senders.get_mut(emission.egress.index()) {
                Some(Some(sender)) => Some(sender.send(emission.bytes, offload)),
                _ => lines.send(emission.egress, emission.bytes, offload),
            };
            match sent {
                Some(sent) => *not_sent += u64::from(sent.is_err()),
                None => *no_way_out += 1,
            }
        }
        outputs.clear_emissions();
    }

    /// Does what is due in sessions that were taken over.
    pub(super) fn wake(&mut self, now: Timestamp) {
        if self.next_wake().is_none_or(|at| at > now) {
            return;
        }
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        for shard in &mut self.shards {
            shard.wake(&env, now, &mut self.outputs);
        }
        if !self.outputs.is_empty() {
            self.settle();
        }
    }

    /// When something is due next in a session that was taken over.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(Shard::next_wake).min()
    }

    /// Passes events to the forwarder. One that can tag and finds no room is seen to here and now: it is not
    /// lost, and what came before it is seen to first.
    fn tell(&mut self) {
        let Some(queue) = self.shared.events.get(self.number) else {
            return;
        };
        let mut told = false;
        for (_, event) in self.outputs.drain_events() {
            told = true;
            if let Err(event) = queue.push(event) {
                self.shared.seen_to_by_workers.fetch_add(1, Ordering::Relaxed);
                self.shared.forwarding.see_to(&self.shared, queue, event);
            }
        }
        self.outputs.clear();
        if told {
            self.shared.bell.ring();
        }
    }

    /// Ends what is due.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        for shard in &mut self.shards {
            shard.expire(&env, now, &mut self.outputs);
        }
        if !self.outputs.is_empty() {
            self.settle();
        }
    }

    /// Ends the sessions chosen; returns how many.
    pub(super) fn clear(&mut self, now: Timestamp, choose: &dyn Fn(&Record) -> bool) -> usize {
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        let cleared = self
            .shards
            .iter_mut()
            .map(|shard| shard.clear_sessions(&env, now, choose, &mut self.outputs))
            .sum();
        self.settle();
        cleared
    }

    /// Ends everything: the firewall stops.
    pub(super) fn finish(&mut self, now: Timestamp) {
        let ruleset = Arc::clone(self.ruleset.load());
        let shared = Arc::clone(&self.shared);
        let env = shared.env(&ruleset, now);
        for shard in &mut self.shards {
            shard.finish(&env, now, &mut self.outputs);
        }
        self.settle();
    }
}

/// What the kernel is told about a frame that the engine left unfinished.
fn to_finish(unfinished: Unfinished) -> Offload {
    let gso = unfinished.segment_size.map(|size| Gso {
        kind: if unfinished.ipv6 {
            GsoKind::TcpV6
        } else {
            GsoKind::TcpV4
        },
        size,
        header_len: unfinished.headers,
        ecn: false,
    });
    Offload {
        checksum: ChecksumState::Unfinished {
            start: unfinished.transport_at,
            offset: Unfinished::CHECKSUM_AT,
        },
        gso,
    }
}

/// The packet that lies in `packet` below `depth` others.
fn at_depth(mut packet: Packet<'_>, depth: u8, seed: u64) -> Option<Packet<'_>> {
    while packet.tunnel().map_or(0, |tunnel| tunnel.depth) < depth {
        packet = packet.inside(seed).ok()??;
    }
    Some(packet)
}
