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
    Shard, ShardId, ShardLimits, Sides, Verdict, place,
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
}

/// Where one frame of a tick goes.
#[derive(Clone, Copy, Debug)]
enum Placed {
    Flow(ShardId, FlowRef),
    Fragment(ShardId),
    Stateless(ShardId),
    Refused(DropReason),
}

/// One packet for one shard.
#[derive(Debug)]
struct Errand {
    /// The frame's index in its tick; of a datagram, that of the frame that completed it.
    index: usize,
    shard: ShardId,
    flow: FlowRef,
    datagram: Option<Box<Datagram<FragmentNote>>>,
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
    shards: Arc<[Mutex<Shard>]>,
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

    /// Runs a tick in two passes: place every frame and put fragments together, then let each shard take its
    /// packets in order.
    pub(super) fn run(&mut self, tick: &Arc<Tick>) -> Result<(), WorkerLost> {
        for work in &mut self.work {
            work.errands.clear();
            work.outcomes.clear();
            work.outputs.clear();
        }
        let alone = self.workers.is_empty() || tick.frames.len() < WORTH_WAKING;
        self.place(tick, alone)?;
        self.distribute(tick);
        self.carry(tick, alone)
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
                Placed::Flow(shard, _) | Placed::Fragment(shard) | Placed::Stateless(shard) => *shard,
                Placed::Refused(_) => ShardId::FIRST,
            };
            let owner = shard.index() % self.worker_count;
            if let Some(count) = self.frames_by_worker.get_mut(owner) {
                *count += 1;
            }
            let Some(work) = self.work.get_mut(owner) else {
                continue;
            };
            match *placed {
                Placed::Flow(shard, flow) => work.errands.push(Errand {
                    index,
                    shard,
                    flow,
                    datagram: None,
                }),
                Placed::Refused(reason) => {
                    if let Some(shard) = self.shards.get(shard.index()) {
                        lock(shard).refuse_frames(reason, 1);
                    }
                }
                Placed::Stateless(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let verdict = lock(shard).stateless(&env, &whole(&self.world, frame, packet));
                    work.outcomes.push(Outcome {
                        index,
                        verdict,
                        datagram: None,
                    });
                }
                Placed::Fragment(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let whole = whole(&self.world, frame, packet);
                    let datagram = lock(shard).fragment(frame.now, self.world.wire, &whole);
                    complete.extend(datagram.map(|datagram| (index, datagram)));
                }
            }
        }
        if complete.is_empty() {
            return;
        }
        for (index, datagram) in complete {
            self.distribute_datagram(index, datagram);
        }
        // A datagram stands where the frame stood that completed it.
        for work in &mut self.work {
            work.errands.sort_by_key(|errand| errand.index);
        }
    }

    fn distribute_datagram(&mut self, index: usize, datagram: Datagram<FragmentNote>) {
        let placed = match datagram.packet() {
            Ok(packet) => match place(&packet, self.world.wire, self.world.seed) {
                Placement::Flow(shard, flow) => Ok((shard, flow)),
                Placement::Fragment(_) | Placement::Stateless(_) => Err(DropReason::FragmentInvalid),
            },
            Err(malformed) => Err(DropReason::Malformed(malformed)),
        };
        match placed {
            Ok((shard, flow)) => {
                if let Some(work) = self.work.get_mut(shard.index() % self.worker_count) {
                    work.errands.push(Errand {
                        index,
                        shard,
                        flow,
                        datagram: Some(Box::new(datagram)),
                    });
                }
            }
            Err(reason) => {
                if let Some(shard) = self.shards.first() {
                    lock(shard).refuse_frames(reason, datagram.fragments.len() as u64);
                }
            }
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

fn place_all(world: &World, tick: &Tick, range: Range<usize>, placed: &mut Vec<Placed>) {
    placed.extend(tick.frames.get(range).unwrap_or_default().iter().map(
        |frame| match world.parse(tick, frame) {
            Err(reason) => Placed::Refused(reason),
            Ok(packet) => match place(&packet, world.wire, world.seed) {
                Placement::Flow(shard, flow) => Placed::Flow(shard, flow),
                Placement::Fragment(shard) => Placed::Fragment(shard),
                Placement::Stateless(shard) => Placed::Stateless(shard),
            },
        },
    ));
}

fn carry_all(world: &World, shards: &[Mutex<Shard>], tick: &Tick, work: &mut Work) {
    let env = world.env();
    for errand in work.errands.drain(..) {
        let (Some(frame), Some(shard)) = (tick.frames.get(errand.index), shards.get(errand.shard.index()))
        else {
            continue;
        };
        let verdict = match &errand.datagram {
            None => {
                // It was parsed when it was placed; parsing again is cheaper than carrying the result over.
                let Ok(packet) = world.parse(tick, frame) else {
                    continue;
                };
                let frame_in = whole(world, frame, packet);
                lock(shard).packet(&env, frame.now, &frame_in, &errand.flow, &mut work.outputs)
            }
            Some(datagram) => {
                let Ok(packet) = datagram.packet() else { continue };
                let notes = datagram.fragments.iter().map(|(note, _)| note);
                let frame_in = Frame {
                    number: frame.number,
                    first_number: notes
                        .clone()
                        .map(|note| note.number)
                        .min()
                        .unwrap_or(frame.number),
                    frames: datagram.fragments.len() as u64,
                    stamp: frame.stamp,
                    ingress: Ingress::Wire(world.wire),
                    original_bytes: notes.map(|note| note.original_bytes).sum(),
                    packet,
                };
                lock(shard).packet(&env, frame.now, &frame_in, &errand.flow, &mut work.outputs)
            }
        };
        work.outcomes.push(Outcome {
            index: errand.index,
            verdict,
            datagram: errand.datagram,
        });
    }
}

fn whole<'t>(world: &World, frame: &TickFrame, packet: Packet<'t>) -> Frame<'t> {
    Frame {
        number: frame.number,
        first_number: frame.number,
        frames: 1,
        stamp: frame.stamp,
        ingress: Ingress::Wire(world.wire),
        original_bytes: u64::from(frame.original_len),
        packet,
    }
}

/// A shard whose worker panicked is still whole: its methods leave it consistent, or the run ends anyway.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
