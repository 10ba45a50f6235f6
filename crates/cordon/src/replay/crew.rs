//! The shards and the workers that own them.
//!
//! Frames go to shards, shards belong to workers, and everything is put back into the order of the frames
//! afterwards: what comes out does not depend on how many workers there are. A tick with few frames is not
//! worth waking anybody: it is run on the spot, over the same shards.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use engine::{
    Counters, DropReason, Env, FlowRef, FragmentNote, Frame, Ingress, Outputs, Placement, Ruleset, SHARDS,
    Shard, ShardId, ShardLimits, Sides, Verdict, inside, place,
};
use packet::{Checksums, Datagram, Packet, Timestamp, Wire, parse};
use tags::TagStore;

use super::tick::{Tick, TickFrame};

/// Below this many frames a tick is run on the spot.
const WORTH_WAKING: usize = 256;

/// What every worker sees, and none changes.
#[derive(Debug)]
pub(super) struct World {
    pub(super) ruleset: Arc<Ruleset>,
    pub(super) tags: Arc<TagStore>,
    pub(super) sides: Sides,
    pub(super) wire: Wire,
    pub(super) checksums: Checksums,
    pub(super) seed: u64,
}

impl World {
    fn env(&self) -> Env<'_> {
        Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        }
    }

    fn parse<'t>(&self, tick: &'t Tick, frame: &TickFrame) -> Result<Packet<'t>, DropReason> {
        let link = frame.link_type.ok_or(DropReason::LinkType)?;
        parse(
            link,
            tick.bytes(frame),
            frame.original_len as usize,
            self.checksums,
        )
        .map_err(DropReason::Malformed)
    }

    /// The packet that a parcel stands for.
    fn packet<'t>(&self, tick: &'t Tick, frame: &TickFrame, parcel: &'t Parcel) -> Option<Packet<'t>> {
        let mut packet = match &parcel.datagram {
            None => self.parse(tick, frame).ok()?,
            Some(datagram) => datagram.packet().ok()?,
        };
        while packet.tunnel().map_or(0, |tunnel| tunnel.depth) < parcel.depth {
            packet = packet.inside(self.seed).ok()??;
        }
        Some(packet)
    }
}

/// One packet of a tick: a frame's own, or one inside it.
#[derive(Debug)]
struct Parcel {
    /// The frame's index in its tick; of a datagram, that of the frame that completed it.
    index: usize,
    /// How many packets are around this one.
    depth: u8,
    ingress: Ingress,
    datagram: Option<Box<Datagram<FragmentNote>>>,
}

impl Parcel {
    /// How many frames brought it.
    fn frames(&self) -> u64 {
        self.datagram.as_ref().map_or(1, |datagram| {
            datagram.fragments.iter().map(|(note, _)| note.frames()).sum()
        })
    }
}

/// One packet for one shard.
#[derive(Debug)]
struct Errand {
    parcel: Parcel,
    shard: ShardId,
    flow: FlowRef,
}

/// What became of one frame, for the capture that is written.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The frame's index in its tick.
    pub(super) index: usize,
    pub(super) verdict: Verdict,
    /// The fragments that left together with it, in order of arrival.
    pub(super) datagram: Option<Box<Datagram<FragmentNote>>>,
}

/// What one worker has done in a tick.
#[derive(Debug, Default)]
pub(super) struct Work {
    errands: Vec<Errand>,
    /// What was found inside packets that may pass, with its place.
    insides: Vec<(Parcel, Placement)>,
    pub(super) outputs: Outputs,
    pub(super) outcomes: Vec<Outcome>,
}

enum Job {
    Place(Arc<Tick>, Range<usize>, Vec<Placement>),
    Carry(Arc<Tick>, Work),
}

enum Done {
    Placed(usize, Vec<Placement>),
    Carried(usize, Work),
}

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

/// A worker thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("a worker stopped unexpectedly; this is a fault of cordon, please report it with the capture")]
pub(crate) struct WorkerLost;

/// All shards, and the workers that own them.
#[derive(Debug)]
pub(super) struct Crew {
    world: Arc<World>,
    shards: Arc<[Mutex<Shard>]>,
    workers: Vec<Worker>,
    done: Receiver<Done>,
    worker_count: usize,
    placed: Vec<Vec<Placement>>,
    work: Vec<Work>,
    pub(super) frames_by_worker: Vec<u64>,
}

impl Crew {
    pub(super) fn new(world: World, worker_count: usize, limits: ShardLimits) -> std::io::Result<Self> {
        let world = Arc::new(world);
        let shards: Arc<[Mutex<Shard>]> = (0..SHARDS).map(|_| Mutex::new(Shard::new(limits))).collect();
        let (done_sender, done) = unbounded();
        let mut workers = Vec::new();
        if worker_count > 1 {
            for number in 0..worker_count {
                let (jobs, inbox) = unbounded();
                let (world, shards, done) = (Arc::clone(&world), Arc::clone(&shards), done_sender.clone());
                let thread = thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || labour(number, &world, &shards, &inbox, &done))?;
                workers.push(Worker { jobs, thread });
            }
        }
        Ok(Self {
            world,
            shards,
            workers,
            done,
            worker_count,
            placed: (0..worker_count).map(|_| Vec::new()).collect(),
            work: (0..worker_count).map(|_| Work::default()).collect(),
            frames_by_worker: vec![0; worker_count],
        })
    }

    /// Ends what is due at the start of a tick.
    pub(super) fn expire(&self, now: Timestamp, out: &mut Outputs) {
        let env = self.world.env();
        for shard in &*self.shards {
            lock(shard).expire(&env, now, out);
        }
    }

    /// Runs a tick in passes: place every frame and put fragments together, then let each shard take its packets
    /// in order. What they carry inside, where they may pass, is placed and taken in passes of its own.
    pub(super) fn run(&mut self, tick: &Arc<Tick>) -> Result<(), WorkerLost> {
        for work in &mut self.work {
            work.errands.clear();
            work.insides.clear();
            work.outcomes.clear();
            work.outputs.clear();
        }
        let alone = self.workers.is_empty() || tick.frames.len() < WORTH_WAKING;
        self.place(tick, alone)?;
        self.distribute(tick);
        self.carry(tick, alone)?;
        // Each pass is one packet further inside, so that this ends.
        while self.distribute_insides(tick) {
            self.carry(tick, alone)?;
        }
        Ok(())
    }

    fn place(&mut self, tick: &Arc<Tick>, alone: bool) -> Result<(), WorkerLost> {
        for placed in &mut self.placed {
            placed.clear();
        }
        if alone {
            if let Some(placed) = self.placed.first_mut() {
                place_all(&self.world, tick, 0..tick.frames.len(), placed);
            }
            return Ok(());
        }
        let share = tick.frames.len().div_ceil(self.worker_count);
        for (number, (worker, placed)) in self.workers.iter().zip(&mut self.placed).enumerate() {
            let start = (number * share).min(tick.frames.len());
            let end = (start + share).min(tick.frames.len());
            let job = Job::Place(Arc::clone(tick), start..end, std::mem::take(placed));
            worker.jobs.send(job).map_err(|_| WorkerLost)?;
        }
        for _ in 0..self.workers.len() {
            if let Done::Placed(number, placed) = self.done.recv().map_err(|_| WorkerLost)?
                && let Some(place) = self.placed.get_mut(number)
            {
                *place = placed;
            }
        }
        Ok(())
    }

    /// Hands each packet to the worker that owns its shard. Frames that need no shard of a flow are done here.
    fn distribute(&mut self, tick: &Tick) {
        let env = self.world.env();
        let mut complete = Vec::new();
        for (index, placed) in self.placed.iter().flatten().enumerate() {
            let Some(frame) = tick.frames.get(index) else {
                break;
            };
            let shard = match placed {
                Placement::Flow(shard, _) | Placement::Fragment(shard) | Placement::Stateless(shard) => {
                    *shard
                }
                Placement::Refused(_) => ShardId::FIRST,
            };
            let owner = shard.index() % self.worker_count;
            if let Some(count) = self.frames_by_worker.get_mut(owner) {
                *count += 1;
            }
            let Some(work) = self.work.get_mut(owner) else {
                continue;
            };
            let parcel = Parcel {
                index,
                depth: 0,
                ingress: Ingress::Wire(self.world.wire),
                datagram: None,
            };
            match *placed {
                Placement::Flow(shard, flow) => work.errands.push(Errand { parcel, shard, flow }),
                Placement::Refused(reason) => {
                    if let Some(shard) = self.shards.get(shard.index()) {
                        lock(shard).refuse_frames(reason, 1);
                    }
                }
                Placement::Stateless(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let verdict = lock(shard).stateless(&env, &frame_of(frame, &parcel, packet));
                    work.outcomes.push(Outcome {
                        index,
                        verdict,
                        datagram: None,
                    });
                }
                Placement::Fragment(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let frame_in = frame_of(frame, &parcel, packet);
                    let datagram = lock(shard).fragment(frame.now, self.world.wire, &frame_in);
                    complete.extend(datagram.map(|datagram| (parcel, datagram)));
                }
            }
        }
        self.distribute_datagrams(complete);
    }

    /// Hands on what was found inside packets in the last pass; `false` where nothing was.
    fn distribute_insides(&mut self, tick: &Tick) -> bool {
        let mut insides: Vec<_> = self
            .work
            .iter_mut()
            .flat_map(|work| work.insides.drain(..))
            .collect();
        if insides.is_empty() {
            return false;
        }
        insides.sort_unstable_by_key(|(parcel, _)| parcel.index);
        let mut complete = Vec::new();
        for (parcel, placement) in insides {
            match placement {
                Placement::Flow(shard, flow) => self.push(Errand { parcel, shard, flow }),
                Placement::Fragment(shard) => {
                    complete.extend(self.fragment_inside(tick, parcel, shard));
                }
                Placement::Refused(reason) => self.refuse(reason, parcel.frames()),
                // Only IP is found inside.
                Placement::Stateless(_) => self.refuse(DropReason::FragmentInvalid, parcel.frames()),
            }
        }
        self.distribute_datagrams(complete);
        true
    }

    /// Takes a fragment that came inside a tunnel. `Some`: it completes its datagram.
    fn fragment_inside(
        &self,
        tick: &Tick,
        mut parcel: Parcel,
        shard: ShardId,
    ) -> Option<(Parcel, Datagram<FragmentNote>)> {
        let frame = tick.frames.get(parcel.index)?;
        let mut shard = lock(self.shards.get(shard.index())?);
        let fragments = parcel
            .datagram
            .as_mut()
            .map(|datagram| std::mem::take(&mut datagram.fragments));
        let parts = leaves(fragments.unwrap_or_default());
        let packet = self.world.packet(tick, frame, &parcel)?;
        let frame_in = Frame {
            original_bytes: parts
                .iter()
                .map(|(note, _)| note.original_bytes)
                .sum::<u64>()
                .max(u64::from(frame.original_len)),
            ..frame_of(frame, &parcel, packet)
        };
        let complete = shard.fragment_with_parts(frame.now, self.world.wire, &frame_in, parts)?;
        Some((parcel, complete))
    }

    /// Places datagrams that have become whole. Each stands where the frame stood that completed it.
    fn distribute_datagrams(&mut self, complete: Vec<(Parcel, Datagram<FragmentNote>)>) {
        if complete.is_empty() {
            return;
        }
        for (parcel, datagram) in complete {
            let placed = match datagram.packet() {
                Ok(packet) => match place(&packet, self.world.wire, self.world.seed) {
                    Placement::Flow(shard, flow) => Ok((shard, flow)),
                    Placement::Refused(reason) => Err(reason),
                    Placement::Fragment(_) | Placement::Stateless(_) => Err(DropReason::FragmentInvalid),
                },
                Err(malformed) => Err(DropReason::Malformed(malformed)),
            };
            let parcel = Parcel {
                datagram: Some(Box::new(datagram)),
                ..parcel
            };
            match placed {
                Ok((shard, flow)) => self.push(Errand { parcel, shard, flow }),
                Err(reason) => self.refuse(reason, parcel.frames()),
            }
        }
        for work in &mut self.work {
            work.errands.sort_by_key(|errand| errand.parcel.index);
        }
    }

    fn push(&mut self, errand: Errand) {
        if let Some(work) = self.work.get_mut(errand.shard.index() % self.worker_count) {
            work.errands.push(errand);
        }
    }

    fn refuse(&self, reason: DropReason, frames: u64) {
        if let Some(shard) = self.shards.first() {
            lock(shard).refuse_frames(reason, frames);
        }
    }

    fn carry(&mut self, tick: &Arc<Tick>, alone: bool) -> Result<(), WorkerLost> {
        if alone {
            for work in &mut self.work {
                carry_all(&self.world, &self.shards, tick, work);
            }
            return Ok(());
        }
        let mut busy = 0;
        for (worker, work) in self.workers.iter().zip(&mut self.work) {
            if work.errands.is_empty() {
                continue;
            }
            let job = Job::Carry(Arc::clone(tick), std::mem::take(work));
            worker.jobs.send(job).map_err(|_| WorkerLost)?;
            busy += 1;
        }
        for _ in 0..busy {
            if let Done::Carried(number, work) = self.done.recv().map_err(|_| WorkerLost)?
                && let Some(place) = self.work.get_mut(number)
            {
                *place = work;
            }
        }
        Ok(())
    }

    /// What each worker has left behind in the last tick.
    pub(super) fn work(&mut self) -> &mut [Work] {
        &mut self.work
    }

    /// Ends all sessions at the end of the captures. Returns how many frames are still held.
    pub(super) fn finish(&self, now: Timestamp, out: &mut Outputs) -> u64 {
        let env = self.world.env();
        self.shards
            .iter()
            .map(|shard| lock(shard).finish(&env, now, out))
            .sum()
    }

    /// The sums over all shards.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in &*self.shards {
            sum.add(lock(shard).counters());
        }
        sum
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for Worker { jobs, thread } in self.workers.drain(..) {
            drop(jobs);
            // A worker that panicked was reported when its answer did not come.
            drop(thread.join());
        }
    }
}

fn labour(number: usize, world: &World, shards: &[Mutex<Shard>], inbox: &Receiver<Job>, done: &Sender<Done>) {
    for job in inbox {
        let answer = match job {
            Job::Place(tick, range, mut placed) => {
                place_all(world, &tick, range, &mut placed);
                Done::Placed(number, placed)
            }
            Job::Carry(tick, mut work) => {
                carry_all(world, shards, &tick, &mut work);
                Done::Carried(number, work)
            }
        };
        if done.send(answer).is_err() {
            return;
        }
    }
}

fn place_all(world: &World, tick: &Tick, range: Range<usize>, placed: &mut Vec<Placement>) {
    placed.extend(tick.frames.get(range).unwrap_or_default().iter().map(
        |frame| match world.parse(tick, frame) {
            Err(reason) => Placement::Refused(reason),
            Ok(packet) => place(&packet, world.wire, world.seed),
        },
    ));
}

fn carry_all(world: &World, shards: &[Mutex<Shard>], tick: &Tick, work: &mut Work) {
    let env = world.env();
    for errand in work.errands.drain(..) {
        let Errand { parcel, shard, flow } = errand;
        let (Some(frame), Some(shard)) = (tick.frames.get(parcel.index), shards.get(shard.index())) else {
            continue;
        };
        // It was parsed when it was placed; parsing again is cheaper than carrying the result over.
        let Some(packet) = world.packet(tick, frame, &parcel) else {
            continue;
        };
        let frame_in = frame_of(frame, &parcel, packet);
        let verdict = lock(shard).packet(&env, frame.now, &frame_in, &flow, &mut work.outputs);
        let found = inside(&env, &frame_in, &flow, verdict, world.seed).map(|inner| {
            let placement = place(&inner.packet, world.wire, world.seed);
            (inner.ingress, placement)
        });
        match found {
            Some((ingress, placement)) => {
                let depth = parcel.depth.saturating_add(1);
                work.insides.push((
                    Parcel {
                        depth,
                        ingress,
                        ..parcel
                    },
                    placement,
                ));
            }
            None => work.outcomes.push(Outcome {
                index: parcel.index,
                verdict,
                datagram: parcel.datagram,
            }),
        }
    }
}

/// The frames that brought fragments, in order of arrival.
fn leaves(fragments: Vec<(FragmentNote, Box<[u8]>)>) -> Vec<(FragmentNote, Box<[u8]>)> {
    let mut leaves = Vec::with_capacity(fragments.len());
    for (mut note, bytes) in fragments {
        if note.parts.is_empty() {
            leaves.push((note, bytes));
        } else {
            leaves.append(&mut note.parts);
        }
    }
    leaves
}

/// What the engine is told of a packet.
fn frame_of<'t>(frame: &TickFrame, parcel: &Parcel, packet: Packet<'t>) -> Frame<'t> {
    let notes = parcel.datagram.iter().flat_map(|datagram| &datagram.fragments);
    let notes = notes.map(|(note, _)| note);
    Frame {
        number: frame.number,
        first_number: notes
            .clone()
            .map(FragmentNote::first_number)
            .min()
            .unwrap_or(frame.number),
        frames: parcel.frames(),
        stamp: frame.stamp,
        ingress: parcel.ingress,
        original_bytes: if parcel.datagram.is_some() {
            notes.map(|note| note.original_bytes).sum()
        } else {
            u64::from(frame.original_len)
        },
        packet,
    }
}

/// A shard whose worker panicked is still whole: its methods leave it consistent, or the run ends anyway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
