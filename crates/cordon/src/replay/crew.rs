//! The shards and the workers that own them.
//!
//! Frames go to shards, shards belong to workers, and everything is put back into the order of the frames
//! afterwards: what comes out does not depend on how many workers there are. A tick with few frames is not
//! worth waking anybody: it is run on the spot, over the same shards.

mod distribute;
mod parcel;

use std::{
    ops::Range,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use engine::{
    BURST, Counters, DropReason, Env, FlowRef, FragmentNote, Outputs, Placement, Ruleset, SHARDS, Shard,
    ShardId, ShardLimits, Sides, Verdict, fetch, inside, place,
};
use packet::{Checksums, Datagram, LinkType, Outline, Packet, Timestamp, Wire, parse};
use tags::TagStore;

use self::parcel::{Errand, Parcel, Placed, What, frame_of};
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

    /// Finds the place of a frame.
    fn place(&self, tick: &Tick, frame: &TickFrame) -> Placed {
        if frame.link_type == Some(LinkType::Ethernet)
            && self.checksums == Checksums::Ignore
            && let Some(outline) = Outline::of_ethernet(
                tick.bytes(frame),
                frame.original_len as usize,
                self.wire,
                self.seed,
            )
        {
            return Placed::Outlined(outline);
        }
        Placed::Otherwise(match self.parse(tick, frame) {
            Err(reason) => Placement::Refused(reason),
            Ok(packet) => place(&packet, self.wire, self.seed),
        })
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

/// What became of one frame, for the capture that is written.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The frame's index in its tick.
    pub(super) index: usize,
    pub(super) verdict: Verdict,
    /// The fragments that left together with it, in order of arrival.
    pub(super) datagram: Option<Box<Datagram<FragmentNote>>>,
}

/// What one worker owns, and what it has done in a tick. Only one thread has it at a time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Those of the shards that are the worker's, in order; see [`Crew::shard`].
    shards: Vec<Shard>,
    errands: Vec<Errand>,
    /// What was found inside packets that may pass, with its place.
    insides: Vec<(Parcel, Placement)>,
    pub(super) outputs: Outputs,
    pub(super) outcomes: Vec<Outcome>,
}

enum Job {
    Place(Arc<Tick>, Range<usize>, Vec<Placed>),
    Carry(Arc<Tick>, Work),
}

enum Done {
    Placed(usize, Vec<Placed>),
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
    workers: Vec<Worker>,
    done: Receiver<Done>,
    worker_count: usize,
    placed: Vec<Vec<Placed>>,
    work: Vec<Work>,
    pub(super) frames_by_worker: Vec<u64>,
}

impl Crew {
    pub(super) fn new(world: World, worker_count: usize, limits: ShardLimits) -> std::io::Result<Self> {
        let world = Arc::new(world);
        let mut work: Vec<Work> = (0..worker_count).map(|_| Work::default()).collect();
        for shard in 0..SHARDS {
            if let Some(work) = work.get_mut(shard % worker_count) {
                work.shards.push(Shard::new(limits));
            }
        }
        let (done_sender, done) = unbounded();
        let mut workers = Vec::new();
        if worker_count > 1 {
            for number in 0..worker_count {
                let (jobs, inbox) = unbounded();
                let (world, done) = (Arc::clone(&world), done_sender.clone());
                let thread = thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || labour(number, &world, worker_count, &inbox, &done))?;
                workers.push(Worker { jobs, thread });
            }
        }
        Ok(Self {
            world,
            workers,
            done,
            worker_count,
            placed: (0..worker_count).map(|_| Vec::new()).collect(),
            work,
            frames_by_worker: vec![0; worker_count],
        })
    }

    /// Ends what is due at the start of a tick.
    pub(super) fn expire(&mut self, now: Timestamp, out: &mut Outputs) {
        let env = self.world.env();
        for shard in self.work.iter_mut().flat_map(|work| &mut work.shards) {
            shard.expire(&env, now, out);
        }
    }

    /// A shard, by its number.
    fn shard(&mut self, shard: ShardId) -> Option<&mut Shard> {
        let work = self.work.get_mut(shard.index() % self.worker_count)?;
        work.shards.get_mut(shard.index() / self.worker_count)
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

    fn carry(&mut self, tick: &Arc<Tick>, alone: bool) -> Result<(), WorkerLost> {
        if alone {
            for work in &mut self.work {
                carry_all(&self.world, self.worker_count, tick, work);
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
    pub(super) fn finish(&mut self, now: Timestamp, out: &mut Outputs) -> u64 {
        let env = self.world.env();
        self.work
            .iter_mut()
            .flat_map(|work| &mut work.shards)
            .map(|shard| shard.finish(&env, now, out))
            .sum()
    }

    /// The sums over all shards.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in self.work.iter().flat_map(|work| &work.shards) {
            sum.add(shard.counters());
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

fn labour(number: usize, world: &World, workers: usize, inbox: &Receiver<Job>, done: &Sender<Done>) {
    for job in inbox {
        let answer = match job {
            Job::Place(tick, range, mut placed) => {
                place_all(world, &tick, range, &mut placed);
                Done::Placed(number, placed)
            }
            Job::Carry(tick, mut work) => {
                carry_all(world, workers, &tick, &mut work);
                Done::Carried(number, work)
            }
        };
        if done.send(answer).is_err() {
            return;
        }
    }
}

fn place_all(world: &World, tick: &Tick, range: Range<usize>, placed: &mut Vec<Placed>) {
    let frames = tick.frames.get(range).unwrap_or_default();
    placed.extend(frames.iter().map(|frame| world.place(tick, frame)));
}

fn carry_all(world: &World, workers: usize, tick: &Tick, work: &mut Work) {
    let mut errands = std::mem::take(&mut work.errands);
    for burst in errands.chunks_mut(BURST) {
        fetch(burst.iter().filter_map(|errand| {
            let What::Outlined(outline) = &errand.what else {
                return None;
            };
            Some((work.shards.get(errand.shard.index() / workers)?, outline))
        }));
        for errand in burst {
            carry(world, workers, tick, work, errand);
        }
    }
    errands.clear();
    work.errands = errands;
}

/// Takes one packet through the engine.
fn carry(world: &World, workers: usize, tick: &Tick, work: &mut Work, errand: &mut Errand) {
    let env = world.env();
    let Some(frame) = tick.frames.get(errand.index) else {
        return;
    };
    let Some(shard) = work.shards.get_mut(errand.shard.index() / workers) else {
        return;
    };
    let (flow, parcel) = match &mut errand.what {
        What::Outlined(outline) => {
            let (bytes, length) = (tick.bytes(frame), u64::from(frame.original_len));
            if let Some(verdict) = shard.established(&env, frame.now, outline, bytes, length) {
                work.outcomes.push(Outcome {
                    index: errand.index,
                    verdict,
                    datagram: None,
                });
                return;
            }
            let parcel = Parcel::of_frame(errand.index, world.wire);
            (FlowRef::from(&*outline), parcel)
        }
        What::Parsed(flow, parcel) => {
            let datagram = parcel.datagram.take();
            (*flow, Parcel { datagram, ..*parcel })
        }
    };
    // It was parsed when it was placed; parsing again is cheaper than carrying the result over.
    let Some(packet) = world.packet(tick, frame, &parcel) else {
        return;
    };
    let frame_in = frame_of(frame, &parcel, packet);
    let verdict = shard.packet(&env, frame.now, &frame_in, &flow, &mut work.outputs);
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
