//! The shards and the workers that own them.
//!
//! Frames go to shards, shards belong to workers, and everything is put back into the order of the frames
//! afterwards: what comes out does not depend on how many workers there are. A tick with few frames is not
//! worth waking anybody: it is run on the spot, over the same shards.

mod distribute;
mod parcel;

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use engine::{
    Counters, DropReason, Env, FragmentNote, Outputs, Placement, Ruleset, SHARDS, Shard, ShardLimits, Sides,
    Verdict, inside, place,
};
use packet::{Checksums, Datagram, Packet, Timestamp, Wire, parse};
use tags::TagStore;

use self::parcel::{Errand, Parcel, frame_of};
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

/// A shard whose worker panicked is still whole: its methods leave it consistent, or the run ends anyway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
