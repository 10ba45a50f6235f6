//! `cordon replay`: the engine over captures, on the captures' clock.
//!
//! Only replay ticks. What a tick's records tag is in force from the next tick on; expiry happens at a tick's
//! start, before its frames. So the same captures give the same bytes, whatever the number of workers.

mod crew;
mod output;
mod progress;
mod summary;
mod tick;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use engine::{Counters, Event, Order, Outputs, Ruleset, ShardLimits, Sides};
use logs::{Forwarder, ForwarderConfig, ForwarderLimits, Record};
use packet::{Checksums, FragmentLimits, Timestamp, Wire};
use ports::{CaptureError, CaptureReader, MergedReader};
use tags::{Addresses, TagLimits, TagNames, TagStore};

use self::{
    crew::{Crew, WorkerLost, World},
    output::{LogFile, WrittenCapture},
    progress::Progress,
    tick::{Tick, TickReader},
};
pub(crate) use self::{output::OutputError, summary::Summary};

/// The key of the flow hash: fixed, so that a replay can be repeated.
const SEED: u64 = 0;

/// What to replay, and how.
#[derive(Debug)]
pub(crate) struct Options {
    /// The captures: where they are, and as the user spells them.
    pub(crate) captures: Vec<PathBuf>,
    pub(crate) inside: Vec<Addresses>,
    pub(crate) wire: Wire,
    pub(crate) workers: usize,
    pub(crate) checksums: Checksums,
    pub(crate) write: Option<PathBuf>,
    pub(crate) logs: Option<PathBuf>,
    /// No progress bar.
    pub(crate) quiet: bool,
}

/// The configuration to replay under.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) ruleset: Arc<Ruleset>,
    pub(crate) forwarding: ForwarderConfig,
    pub(crate) names: Arc<TagNames>,
}

/// Why a replay could not be carried to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Worker(#[from] WorkerLost),
    #[error("cannot start a worker: {0}")]
    Thread(#[from] std::io::Error),
}

/// What a replay has come to, and the captures that could not be read to their ends.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) summary: Summary,
    pub(crate) faults: Vec<CaptureError>,
}

/// Replays captures.
#[expect(clippy::disallowed_methods, reason = "the summary tells how long it took")]
pub(crate) fn replay(rules: &Rules, options: &Options) -> Result<Replayed, ReplayError> {
    let began = Instant::now();
    let mut faults = Vec::new();
    let mut readers = Vec::new();
    for path in &options.captures {
        match CaptureReader::open(path, &path.to_string_lossy()) {
            Ok(reader) => readers.push(reader),
            Err(fault) => faults.push(fault),
        }
    }
    let mut run = Run::new(rules, options, MergedReader::new(readers))?;
    // The first turn reads the first batch.
    run.turn(&mut faults)?;
    while run.turn(&mut faults)? {
        run.batch()?;
    }
    let held = run.finish()?;
    let mut summary = run.into_summary(held);
    summary.truncated = !faults.is_empty();
    summary.seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let packets = summary.packets as f64;
    summary.pps = if summary.seconds > 0.0 {
        packets / summary.seconds
    } else {
        0.0
    };
    Ok(Replayed { summary, faults })
}

/// The state of a replay in progress.
struct Run<'a> {
    rules: &'a Rules,
    reader: TickReader,
    crew: Crew,
    store: Arc<TagStore>,
    forwarder: Forwarder,
    logs: Option<LogFile>,
    capture: Option<WrittenCapture>,
    progress: Progress,
    expired: Outputs,
    events: Vec<(Order, Event)>,
    records: Vec<Record>,
    summary: Summary,
    now: Timestamp,
}

impl<'a> Run<'a> {
    fn new(rules: &'a Rules, options: &Options, captures: MergedReader) -> Result<Self, ReplayError> {
        let policy = rules.ruleset.policy();
        let limits = policy.settings().limits;
        let store = Arc::new(TagStore::new(
            Arc::clone(&rules.names),
            TagLimits {
                subjects: limits.tagged_subjects,
                ..TagLimits::default()
            },
        ));
        let world = World {
            ruleset: Arc::clone(&rules.ruleset),
            tags: Arc::clone(&store),
            sides: Sides::new(options.inside.clone(), policy, options.wire),
            wire: options.wire,
            checksums: options.checksums,
            seed: SEED,
            keep_outcomes: options.write.is_some(),
        };
        let per_shard = ShardLimits {
            sessions: limits.sessions.div_ceil(engine::SHARDS),
            // Replay never takes part in a session.
            adopted: 0,
            fragments: FragmentLimits {
                datagrams: limits.fragmented_datagrams.div_ceil(engine::SHARDS),
                bytes: limits.fragment_bytes.div_ceil(engine::SHARDS),
                ..FragmentLimits::default()
            },
        };
        let total = options
            .captures
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|file| file.len())
            .sum();
        let forwarder = Forwarder::new(rules.forwarding.clone(), ForwarderLimits::default());
        Ok(Self {
            rules,
            reader: TickReader::new(captures, Crew::batch_frames(options.workers)),
            crew: Crew::new(world, options.workers, per_shard)?,
            store,
            forwarder: match rules.ruleset.address_names() {
                Some(names) => forwarder.telling(Arc::clone(names)),
                None => forwarder,
            },
            logs: options.logs.as_deref().map(LogFile::create).transpose()?,
            capture: options.write.as_deref().map(WrittenCapture::create).transpose()?,
            progress: Progress::new(total, options.quiet),
            expired: Outputs::default(),
            events: Vec::new(),
            records: Vec::new(),
            summary: Summary {
                workers: options.workers,
                ..Summary::default()
            },
            now: Timestamp::ZERO,
        })
    }

    /// Reads ahead, and goes on to the batch read before; `false` where there was none.
    fn turn(&mut self, faults: &mut Vec<CaptureError>) -> Result<bool, WorkerLost> {
        self.crew.turn(|batch| self.reader.next(batch, faults))
    }

    fn batch(&mut self) -> Result<(), ReplayError> {
        let ticks = self.crew.batch().ticks.clone();
        for tick in &ticks {
            self.tick(tick)?;
        }
        Ok(())
    }

    fn tick(&mut self, tick: &Tick) -> Result<(), ReplayError> {
        self.now = tick.start;
        self.expire()?;
        self.crew.run(tick)?;
        {
            let batch = self.crew.batch();
            let frames = batch.frames_of(tick);
            for frame in frames {
                self.summary.bytes += u64::from(frame.original_len);
            }
            self.progress
                .add((batch.captured(tick) + 16 * frames.len()) as u64);
            self.summary.packets += frames.len() as u64;
            if let Some(last) = frames.last() {
                self.now = last.now;
            }
        }
        for mut work in self.crew.works() {
            self.events.extend(work.outputs.drain_events());
        }
        self.forward()?;
        if let Some(capture) = &mut self.capture {
            capture.tick(&self.crew.batch(), tick, &self.crew.works())?;
        }
        Ok(())
    }

    /// What is due at the tick's start: sessions by their id, then tags by their subject.
    fn expire(&mut self) -> Result<(), ReplayError> {
        self.expired.clear();
        self.crew.expire(self.now, &mut self.expired);
        self.events.extend(self.expired.drain_events());
        self.forward()?;
        self.forwarder
            .expire_tags(self.now, &self.store, &mut self.records);
        self.write_records()
    }

    /// Shows the events gathered to the forwarder, in order.
    fn forward(&mut self) -> Result<(), ReplayError> {
        self.events.sort_unstable_by_key(|(order, _)| *order);
        let policy = self.rules.ruleset.policy();
        for (_, event) in self.events.drain(..) {
            match event {
                Event::Record(record) => {
                    self.forwarder
                        .record(record.time, record, policy, &self.store, &mut self.records);
                }
                Event::Fact(fact) => self.forwarder.fact(self.now, fact, policy, &mut self.records),
            }
        }
        self.write_records()
    }

    fn write_records(&mut self) -> Result<(), ReplayError> {
        let view = logs::View {
            symbols: self.rules.ruleset.policy().symbols(),
            tags: &self.rules.names,
        };
        for record in self.records.drain(..) {
            *self.summary.logs.entry(record.log_type().name()).or_default() += 1;
            if let Some(logs) = &mut self.logs {
                logs.write(&record, view)?;
            }
        }
        Ok(())
    }

    /// Ends all sessions and completes what is written. Returns the frames that still wait.
    fn finish(&mut self) -> Result<u64, ReplayError> {
        self.expired.clear();
        let held = self.crew.finish(self.now, &mut self.expired);
        self.events.extend(self.expired.drain_events());
        self.forward()?;
        if let Some(logs) = self.logs.take() {
            logs.finish()?;
        }
        if let Some(capture) = self.capture.take() {
            capture.finish(self.reader.link())?;
        }
        self.progress.finish();
        Ok(held)
    }

    fn into_summary(mut self, held: u64) -> Summary {
        let counters: Counters = self.crew.counters();
        let summary = &mut self.summary;
        summary.frames_by_worker = self.crew.frames_by_worker();
        summary.sessions = counters.sessions.into();
        summary.sinkholed = counters.sinkholed;
        summary.frames.forwarded = counters.forwarded;
        summary.frames.answered = counters.answered;
        summary.frames.held = held;
        summary.frames.dropped = counters
            .drops()
            .map(|(reason, count)| (reason.name(), count))
            .collect();
        summary.peak_rss_bytes = peak_resident();
        for entry in self.store.entries(self.now) {
            let tags = summary.tags.entry(entry.subject.to_string()).or_default();
            tags.push(self.rules.names.resolve(entry.tag).to_string());
        }
        self.summary
    }
}

/// The most memory this process ever had, in bytes; 0 where the system does not say.
fn peak_resident() -> u64 {
    std::fs::read_to_string(Path::new("/proc/self/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        })
        .map_or(0, |kibibytes| kibibytes * 1024)
}
