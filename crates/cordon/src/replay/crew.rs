//! The shards and the workers that own them.
//!
//! Frames go to shards, shards belong to workers, and everything is put back into the order of the frames
//! afterwards: what comes out does not depend on how many workers there are. The thread that replays is the first
//! worker; the others help it. While it reads a batch, they find the places of the frames of the one before; then
//! each takes its own frames through the engine, tick by tick. A tick with few frames is not worth starting anybody:
//! it is run on the spot, over the same shards.

mod distribute;
mod parcel;
mod whistle;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use engine::{
    BURST, Counters, DropReason, Env, FlowRef, FragmentNote, Outputs, Placement, Ruleset, SHARDS, Shard,
    ShardId, ShardLimits, Sides, Verdict, fetch, inside, place,
};
use packet::{Checksums, Datagram, LinkType, Outline, Packet, Timestamp, Wire, parse};
use tags::TagStore;

use self::{
    parcel::{Errand, Parcel, Placed, frame_of},
    whistle::Whistle,
};
use super::tick::{Batch, Tick, TickFrame};

/// Below this many frames a tick is run on the spot.
const WORTH_STARTING: usize = 256;
/// Frames that are placed in one piece.
const PIECE: usize = 512;
/// Frames of a batch: where there are helpers, enough for them to be busy while the next is read.
const ALONE: usize = 512;
const TOGETHER: usize = 4096;
/// The owner of a frame that has no outline, and is handed out one by one.
const NOBODY: u8 = u8::MAX;

/// What every worker sees, and none changes.
#[derive(Debug)]
pub(super) struct World {
    pub(super) ruleset: Arc<Ruleset>,
    pub(super) tags: Arc<TagStore>,
    pub(super) sides: Sides,
    pub(super) wire: Wire,
    pub(super) checksums: Checksums,
    pub(super) seed: u64,
    /// A capture is written: what becomes of each frame is kept.
    pub(super) keep_outcomes: bool,
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

    fn parse<'t>(&self, batch: &'t Batch, frame: &TickFrame) -> Result<Packet<'t>, DropReason> {
        let link = frame.link_type.ok_or(DropReason::LinkType)?;
        parse(
            link,
            batch.bytes(frame),
            frame.original_len as usize,
            self.checksums,
        )
        .map_err(DropReason::Malformed)
    }

    /// Finds the place of a frame.
    fn place(&self, batch: &Batch, frame: &TickFrame) -> Placed {
        if frame.link_type == Some(LinkType::Ethernet)
            && self.checksums == Checksums::Ignore
            && let Some(outline) = Outline::of_ethernet(
                batch.bytes(frame),
                frame.original_len as usize,
                self.wire,
                self.seed,
            )
        {
            return Placed::Outlined(outline);
        }
        Placed::Otherwise(match self.parse(batch, frame) {
            Err(reason) => Placement::Refused(reason),
            Ok(packet) => place(&packet, self.wire, self.seed),
        })
    }

    /// The packet that a parcel stands for.
    fn packet<'t>(&self, batch: &'t Batch, frame: &TickFrame, parcel: &'t Parcel) -> Option<Packet<'t>> {
        let mut packet = match &parcel.datagram {
            None => self.parse(batch, frame).ok()?,
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
    /// The frame's index in its batch.
    pub(super) index: usize,
    pub(super) verdict: Verdict,
    /// The fragments that left together with it, in order of arrival.
    pub(super) datagram: Option<Box<Datagram<FragmentNote>>>,
}

/// What one worker owns, and what it has done in a tick. Only one thread has it at a time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Those of the shards that are the worker's, in order; see [`Works::shard`].
    shards: Vec<Shard>,
    /// Packets without an outline, in order of the frames.
    errands: Vec<Errand>,
    /// What was found inside packets that may pass, with its place.
    insides: Vec<(Parcel, Placement)>,
    pub(super) outputs: Outputs,
    pub(super) outcomes: Vec<Outcome>,
    frames: u64,
}

/// A batch, and the places of its frames.
#[derive(Debug, Default)]
struct Loaded {
    batch: Batch,
    /// Each of [`PIECE`] frames, but for the last.
    pieces: Vec<RwLock<Piece>>,
    /// The next piece that nobody has begun with.
    next_piece: AtomicUsize,
}

/// The places of some frames.
#[derive(Debug, Default)]
struct Piece {
    /// By the frame's place in the piece: the worker that takes it, or [`NOBODY`].
    owners: Vec<u8>,
    placed: Vec<Placed>,
    /// Frames without an outline, by their index in the batch.
    others: Vec<usize>,
}

/// What all threads of a crew share.
#[derive(Debug)]
struct Shared {
    world: World,
    works: Vec<Mutex<Work>>,
    /// Batches, used in turn.
    slots: [RwLock<Loaded>; 3],
    whistle: Whistle<Job>,
}

/// What a helper is to do, with the batch in a slot.
#[derive(Clone, Debug)]
enum Job {
    /// Find the places of frames.
    Place(usize),
    /// Take its own frames of a tick.
    Carry(usize, Range<usize>),
    /// Take what was found inside.
    CarryErrands(usize),
    End,
}

/// A worker thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("a worker stopped unexpectedly; this is a fault of cordon, please report it with the capture")]
pub(crate) struct WorkerLost;

/// All shards, and the workers that own them.
#[derive(Debug)]
pub(super) struct Crew {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// The slot of the batch that is being run.
    current: usize,
}

impl Crew {
    pub(super) fn new(world: World, worker_count: usize, limits: ShardLimits) -> std::io::Result<Self> {
        let mut works: Vec<Work> = (0..worker_count).map(|_| Work::default()).collect();
        for shard in 0..SHARDS {
            if let Some(work) = works.get_mut(shard % worker_count) {
                work.shards.push(Shard::new(limits));
            }
        }
        let shared = Arc::new(Shared {
            world,
            works: works.into_iter().map(Mutex::new).collect(),
            slots: Default::default(),
            whistle: Whistle::new(worker_count - 1),
        });
        let mut crew = Self {
            shared,
            helpers: Vec::new(),
            current: 0,
        };
        for number in 1..worker_count {
            let shared = Arc::clone(&crew.shared);
            let thread = thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || shared.whistle.obey(number - 1, |job| shared.help(number, &job)))?;
            crew.helpers.push(thread);
        }
        Ok(crew)
    }

    /// How many frames a batch should have.
    pub(super) fn batch_frames(worker_count: usize) -> usize {
        if worker_count > 1 { TOGETHER } else { ALONE }
    }

    /// Goes on to the next batch, whose places are known then, and reads the one behind it by `read`, which tells
    /// whether there was one. `false`: there is no further batch.
    pub(super) fn turn(&mut self, read: impl FnOnce(&mut Batch) -> bool) -> Result<bool, WorkerLost> {
        let slots = self.shared.slots.len();
        self.current = (self.current + 1) % slots;
        let is_empty = self.shared.read(self.current).batch.frames.is_empty();
        let helped = !self.helpers.is_empty() && !is_empty;
        if helped {
            self.shared.whistle.start(Job::Place(self.current));
        }
        {
            let mut behind = self.shared.write((self.current + 1) % slots);
            if !read(&mut behind.batch) {
                behind.batch = Batch::default();
            }
            behind.prepare();
        }
        self.shared.place(self.current);
        if helped && !self.shared.whistle.wait() {
            return Err(WorkerLost);
        }
        Ok(!is_empty)
    }

    /// The batch that [`Crew::turn`] went on to.
    pub(super) fn batch(&self) -> BatchGuard<'_> {
        BatchGuard(self.shared.read(self.current))
    }

    /// Ends what is due at the start of a tick.
    pub(super) fn expire(&self, now: Timestamp, out: &mut Outputs) {
        let env = self.shared.world.env();
        for shard in self.works().iter_mut().flat_map(|work| &mut work.shards) {
            shard.expire(&env, now, out);
        }
    }

    /// Takes the packets of a tick through the engine, each shard its own in order. What they carry inside, where they
    /// may pass, is placed and taken in passes of its own.
    pub(super) fn run(&self, tick: &Tick) -> Result<(), WorkerLost> {
        let helped = !self.helpers.is_empty() && tick.frames.len() >= WORTH_STARTING;
        {
            let mut works = Works::of(self);
            for work in &mut works.all {
                work.errands.clear();
                work.insides.clear();
                work.outcomes.clear();
                work.outputs.clear();
            }
            works.distribute(&self.shared.read(self.current), &tick.frames);
        }
        self.all(helped, || Job::Carry(self.current, tick.frames.clone()))?;
        // Each pass is one packet further inside, so that this ends.
        loop {
            let found = Works::of(self).distribute_insides(&self.shared.read(self.current).batch);
            if !found {
                return Ok(());
            }
            self.all(helped, || Job::CarryErrands(self.current))?;
        }
    }

    /// Has every worker do its part of a job.
    fn all(&self, helped: bool, job: impl Fn() -> Job) -> Result<(), WorkerLost> {
        let job = job();
        if !helped {
            for number in 0..self.shared.works.len() {
                self.shared.help(number, &job);
            }
            return Ok(());
        }
        self.shared.whistle.start(job.clone());
        self.shared.help(0, &job);
        if self.shared.whistle.wait() {
            Ok(())
        } else {
            Err(WorkerLost)
        }
    }

    /// What each worker has left behind in the last tick.
    pub(super) fn works(&self) -> Vec<MutexGuard<'_, Work>> {
        self.shared.works.iter().map(lock).collect()
    }

    /// Ends all sessions at the end of the captures. Returns how many frames are still held.
    pub(super) fn finish(&self, now: Timestamp, out: &mut Outputs) -> u64 {
        let env = self.shared.world.env();
        let mut works = self.works();
        works
            .iter_mut()
            .flat_map(|work| &mut work.shards)
            .map(|shard| shard.finish(&env, now, out))
            .sum()
    }

    /// The sums over all shards.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for work in self.works() {
            for shard in &work.shards {
                sum.add(shard.counters());
            }
        }
        sum
    }

    /// How many frames each worker has taken.
    pub(super) fn frames_by_worker(&self) -> Vec<u64> {
        self.works().iter().map(|work| work.frames).collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.whistle.start(Job::End);
        for thread in self.helpers.drain(..) {
            // A worker that panicked was reported when its answer did not come.
            drop(thread.join());
        }
    }
}

/// A batch that is being run.
pub(super) struct BatchGuard<'a>(RwLockReadGuard<'a, Loaded>);

impl std::ops::Deref for BatchGuard<'_> {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.0.batch
    }
}

/// All that the workers own, while none of them works.
struct Works<'a> {
    world: &'a World,
    all: Vec<MutexGuard<'a, Work>>,
}

impl<'a> Works<'a> {
    fn of(crew: &'a Crew) -> Self {
        Self {
            world: &crew.shared.world,
            all: crew.works(),
        }
    }

    fn owner(&mut self, shard: ShardId) -> Option<&mut Work> {
        let workers = self.all.len();
        self.all.get_mut(shard.index() % workers).map(|work| &mut **work)
    }

    /// A shard, by its number.
    fn shard(&mut self, shard: ShardId) -> Option<&mut Shard> {
        let workers = self.all.len();
        self.owner(shard)?.shards.get_mut(shard.index() / workers)
    }
}

/// A worker that panicked has ended the replay: nobody asks what it has left.
fn lock(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn read(&self, slot: usize) -> RwLockReadGuard<'_, Loaded> {
        // The remainder is an index.
        let slot = &self.slots[slot % self.slots.len()];
        slot.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, slot: usize) -> RwLockWriteGuard<'_, Loaded> {
        let slot = &self.slots[slot % self.slots.len()];
        slot.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a worker's part of a job; `false` where it is to end.
    fn help(&self, number: usize, job: &Job) -> bool {
        match job {
            Job::Place(slot) => self.place(*slot),
            Job::Carry(slot, frames) => {
                let Some(work) = self.works.get(number) else {
                    return false;
                };
                self.carry_tick(number, &self.read(*slot), frames, &mut lock(work));
            }
            Job::CarryErrands(slot) => {
                let Some(work) = self.works.get(number) else {
                    return false;
                };
                let (loaded, mut work) = (self.read(*slot), lock(work));
                let mut errands = std::mem::take(&mut work.errands);
                for errand in errands.drain(..) {
                    self.carry_errand(&loaded.batch, &mut work, errand);
                }
                work.errands = errands;
            }
            Job::End => return false,
        }
        true
    }

    /// Finds the places of frames, piece by piece, until all pieces of the batch are begun with.
    fn place(&self, slot: usize) {
        let loaded = self.read(slot);
        loop {
            let number = loaded.next_piece.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = loaded.pieces.get(number) else {
                return;
            };
            let mut piece = piece.write().unwrap_or_else(PoisonError::into_inner);
            let start = number * PIECE;
            let frames = loaded.batch.frames.iter().enumerate().skip(start).take(PIECE);
            for (index, frame) in frames {
                let placed = self.world.place(&loaded.batch, frame);
                piece.owners.push(match &placed {
                    // There are fewer workers than numbers of eight bits.
                    Placed::Outlined(outline) => {
                        u8::try_from(ShardId::of(outline).index() % self.works.len()).unwrap_or(NOBODY)
                    }
                    Placed::Otherwise(_) => NOBODY,
                });
                if matches!(placed, Placed::Otherwise(_)) {
                    piece.others.push(index);
                }
                piece.placed.push(placed);
            }
        }
    }

    /// Takes the frames of a tick that belong to a worker.
    fn carry_tick(&self, number: usize, loaded: &Loaded, frames: &Range<usize>, work: &mut Work) {
        let mut errands = std::mem::take(&mut work.errands);
        let mut waiting = errands.drain(..).peekable();
        for (at, piece) in loaded.pieces_of(frames) {
            let piece = piece.read().unwrap_or_else(PoisonError::into_inner);
            let first = at * PIECE;
            let within = frames.start.saturating_sub(first)..(frames.end - first).min(piece.placed.len());
            let mut next = within.start;
            while next < within.end {
                let mut burst = [0; BURST];
                let mut count = 0;
                while count < BURST
                    && let Some(owner) = piece.owners.get(next)
                    && next < within.end
                {
                    burst[count] = next;
                    count += usize::from(usize::from(*owner) == number);
                    next += 1;
                }
                let burst = burst.get(..count).unwrap_or_default();
                let outlines = burst.iter().filter_map(|place| match piece.placed.get(*place) {
                    Some(Placed::Outlined(outline)) => Some((first + place, outline)),
                    Some(Placed::Otherwise(_)) | None => None,
                });
                fetch(outlines.clone().filter_map(|(_, outline)| {
                    let shard = ShardId::of(outline).index() / self.works.len();
                    Some((work.shards.get(shard)?, outline))
                }));
                for (index, outline) in outlines {
                    while let Some(errand) = waiting.next_if(|errand| errand.index < index) {
                        self.carry_errand(&loaded.batch, work, errand);
                    }
                    self.carry_outlined(&loaded.batch, work, index, outline);
                }
            }
        }
        for errand in waiting {
            self.carry_errand(&loaded.batch, work, errand);
        }
        work.errands = errands;
    }

    /// Takes a frame of which no more than the outline is known.
    fn carry_outlined(&self, batch: &Batch, work: &mut Work, index: usize, outline: &Outline) {
        work.frames += 1;
        let id = ShardId::of(outline);
        let Some(frame) = batch.frames.get(index) else {
            return;
        };
        let Some(shard) = work.shards.get_mut(id.index() / self.works.len()) else {
            return;
        };
        let (bytes, length) = (batch.bytes(frame), u64::from(frame.original_len));
        let verdict = shard.established(&self.world.env(), frame.now, outline, bytes, length);
        let Some(verdict) = verdict else {
            let parcel = Parcel::of_frame(index, self.world.wire);
            let errand = Errand::new(id, FlowRef::from(outline), parcel);
            self.carry_errand(batch, work, errand);
            return;
        };
        if self.world.keep_outcomes {
            work.outcomes.push(Outcome {
                index,
                verdict,
                datagram: None,
            });
        }
    }

    /// Takes one packet through the engine.
    fn carry_errand(&self, batch: &Batch, work: &mut Work, errand: Errand) {
        let world = &self.world;
        let env = world.env();
        let Errand {
            shard,
            flow,
            mut parcel,
            ..
        } = errand;
        let Some(frame) = batch.frames.get(parcel.index) else {
            return;
        };
        let Some(shard) = work.shards.get_mut(shard.index() / self.works.len()) else {
            return;
        };
        let datagram = parcel.datagram.take();
        let parcel = Parcel { datagram, ..parcel };
        // It was parsed when it was placed; parsing again is cheaper than carrying the result over.
        let Some(packet) = world.packet(batch, frame, &parcel) else {
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
                let parcel = Parcel {
                    depth,
                    ingress,
                    ..parcel
                };
                work.insides.push((parcel, placement));
            }
            None if world.keep_outcomes => work.outcomes.push(Outcome {
                index: parcel.index,
                verdict,
                datagram: parcel.datagram,
            }),
            None => {}
        }
    }
}

impl Loaded {
    /// Makes room for the places of the frames just read.
    fn prepare(&mut self) {
        let wanted = self.batch.frames.len().div_ceil(PIECE);
        self.pieces
            .resize_with(wanted.max(self.pieces.len()), Default::default);
        self.pieces.truncate(wanted);
        for piece in &mut self.pieces {
            let piece = piece.get_mut().unwrap_or_else(PoisonError::into_inner);
            piece.owners.clear();
            piece.placed.clear();
            piece.others.clear();
        }
        *self.next_piece.get_mut() = 0;
    }

    /// The pieces that hold some of these frames.
    fn pieces_of(&self, frames: &Range<usize>) -> impl Iterator<Item = (usize, &RwLock<Piece>)> {
        let numbers = frames.start / PIECE..frames.end.div_ceil(PIECE);
        self.pieces
            .iter()
            .enumerate()
            .take(numbers.end)
            .skip(numbers.start)
    }
}
