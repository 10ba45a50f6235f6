//! Starts a firewall, watches over it, and stops it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    os::fd::AsFd as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use arc_swap::ArcSwap;
use control::{BindError, History, HistoryLimits, ServerLimits, Sockets, StateDirectory};
use crossbeam::channel::{Receiver as Inbox, Sender as Outbox, unbounded};
use engine::{SHARDS, ShardLimits, Sides};
use logs::{AddressNames, Forwarder, ForwarderLimits, Severity};
use packet::{FragmentLimits, Wire};
use policy::{InterfaceId, Policy, Symbol};
use ports::live::{Claim, Interface, LinkWatch, PortError, Waiter, Waker};
use rustix::{
    process::setpriority_process,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tags::{TagLimits, TagNames, TagStore};
use tracing::{error, info, warn};

use super::{
    answers::Answers,
    clock::Clock,
    commits::{Beginning, Commits, Compiler, Given, Wish, forwarder_config},
    decryption::Decryption,
    desk::{Colleague, Desk},
    events::{Bell, EventQueue},
    forwarding::Forwarding,
    handoff::Handoff,
    lag::Lags,
    links::{LinkChange, Links},
    openings::{self, Share},
    shared::Shared,
    sinks::{KeepError, Sinks},
    worker::{Errand, Reach, Worker},
};

/// How often the clock, and what waits for a second try, are looked after.
const ROUND: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) config: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) workers: usize,
    /// The CPU of each worker; none where the kernel is to choose.
    pub(crate) pins: Vec<usize>,
    /// The priority of workers and of the forwarder, as `nice` counts.
    pub(crate) nice: i32,
}

/// Why the firewall did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("the configuration has errors: nothing was started")]
    Configuration,
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Socket(#[from] BindError),
    #[error(transparent)]
    Ca(#[from] control::CaError),
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    #[error(
        "workers cannot stay on CPU {0}: it is not there, or not for this process to use; `taskset -p $$` tells which are"
    )]
    Pin(usize),
    #[error("a worker stopped unexpectedly; this is a fault of cordon, please report it")]
    WorkerLost,
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options) -> Result<(), RunError> {
    let mut firewall = Firewall::start(options)?;
    info!(workers = options.workers, socket = %options.socket.display(), "running");
    let outcome = firewall.watch();
    firewall.stop();
    info!("stopped");
    outcome
}

/// What this thread is roused by, besides links.
#[derive(Debug)]
enum News {
    Signal(i32),
    /// An interface is gone.
    Gone(InterfaceId),
}

struct Firewall {
    shared: Arc<Shared>,
    commits: Arc<Commits>,
    workers: Vec<JoinHandle<()>>,
    reaches: Vec<Reach>,
    forwarder: JoinHandle<()>,
    server: control::Server,
    news: Inbox<News>,
    waker: Waker,
    watch: LinkWatch,
    links: Links,
    /// Interfaces that are to be opened as soon as they can be.
    gone: BTreeSet<InterfaceId>,
    /// Why wires of XDP sockets could not be opened again the last time: each is told once.
    told: BTreeMap<Symbol, String>,
    /// No other firewall takes these while this one lives.
    _claims: Vec<Claim>,
}

impl Firewall {
    fn start(options: &Options) -> Result<Self, RunError> {
        let pins = pins(&options.pins)?;
        let names = Arc::new(TagNames::new());
        let clock = Clock::new();
        // Whoever could guess the keys could make flows collide.
        let seed = RandomState::new().hash_one("flows and names");
        let compiler = Compiler::new(Arc::clone(&names), seed);
        let given = Given::read(&options.config, &compiler, clock.now()).ok_or(RunError::Configuration)?;
        let state = StateDirectory::open(&options.state).map_err(KeepError::from)?;
        let sockets = Sockets::bind(&options.socket)?;
        let (history, damage) =
            History::open(state.path(), HistoryLimits::default()).map_err(|error| KeepError::History {
                folder: state.path().display().to_string(),
                error,
            })?;
        let Beginning {
            ruleset,
            trust,
            begun,
        } = Beginning::choose(given, history, &damage, &compiler, clock.now());
        let limits = ForwarderLimits::default();
        let address_names = Arc::new(AddressNames::new(limits.address_names, seed));
        let decryption = Decryption::open(state.path(), clock.now(), Arc::clone(&address_names))?;
        let ruleset = Arc::new(decryption.equip(ruleset, trust, clock.now()));
        let limits = ruleset.policy().settings().limits;
        let tag_limits = TagLimits {
            subjects: limits.tagged_subjects,
            ..TagLimits::default()
        };
        let store = Arc::new(TagStore::new(names, tag_limits));
        let (sinks, last_seqno) = Sinks::open(state, &store, clock.now())?;
        let mut forwarder = Forwarder::new(
            forwarder_config(&begun.accepted.forwarding, ruleset.policy()),
            ForwarderLimits::default(),
        )
        .telling(address_names);
        forwarder.continue_after(last_seqno);
        let links = Links::new(ruleset.policy());
        let watch = LinkWatch::new(&links.names())?;
        let claims = openings::claim_all(ruleset.policy())?;
        openings::compare_mtus(ruleset.policy());
        let (shares, ways) = openings::open_all(ruleset.policy(), options.workers)?;
        let shared = Arc::new(Shared {
            started: clock.now(),
            clock,
            sides: Sides::new(Vec::new(), ruleset.policy(), Wire(0)),
            ruleset: Arc::new(ArcSwap::new(ruleset)),
            tags: store,
            events: (0..options.workers).map(|_| EventQueue::new()).collect(),
            bell: Bell::default(),
            forwarding: Forwarding::new(forwarder, sinks),
            lags: Lags::default(),
            seen_to_by_workers: AtomicU64::new(0),
            ways,
            stopping: AtomicBool::new(false),
            workers_done: AtomicBool::new(false),
        });
        let waker = Waker::new()?;
        let (news_sender, news) = unbounded();
        let nice = options.nice;
        let (workers, reaches) = start_workers(&shared, shares, seed, (&news_sender, &waker), (&pins, nice))?;
        let forwarder = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("forwarder".to_owned())
                .spawn(move || {
                    go_ahead(nice);
                    shared.forwarding.run(&shared);
                })?
        };
        let commits = Arc::new(Commits::new(Arc::clone(&shared), compiler, begun, decryption));
        let answers = Answers::new(Arc::clone(&shared), Arc::clone(&commits), reaches.clone());
        let server = sockets.serve(Arc::new(answers), ServerLimits::default())?;
        listen_for_signals(news_sender, waker.clone())?;
        shared.forwarding.tell_system(
            &shared,
            Severity::Informational,
            "started",
            "cordon has started".to_owned(),
        );
        Ok(Self {
            shared,
            commits,
            workers,
            reaches,
            forwarder,
            server,
            news,
            waker,
            watch,
            links,
            gone: BTreeSet::new(),
            told: BTreeMap::new(),
            _claims: claims,
        })
    }

    /// Sees to signals and links until one says stop.
    fn watch(&mut self) -> Result<(), RunError> {
        let mut waiter = Waiter::new(&self.waker, &[self.watch.as_fd()]);
        loop {
            // Interrupted or not: everything is looked after in each round.
            drop(waiter.wait(Some(ROUND)));
            self.shared.clock.correct();
            while let Ok(news) = self.news.try_recv() {
                match news {
                    News::Signal(SIGHUP) => self.commits.reload(Wish {
                        admin: "signal",
                        cmd: "reload",
                    }),
                    News::Signal(_) => return Ok(()),
                    News::Gone(interface) => {
                        self.gone.insert(interface);
                    }
                }
            }
            self.follow_links();
            self.reopen();
            self.commits.look_after();
            self.keep_up();
            if self.workers.iter().any(JoinHandle::is_finished) {
                return Err(RunError::WorkerLost);
            }
        }
    }

    fn follow_links(&mut self) {
        let mut changes = Vec::new();
        let Self { watch, links, .. } = self;
        watch.events(|event| {
            info!(?event, "link");
            changes.extend(links.event(&event));
        });
        for change in changes {
            match change {
                LinkChange::Open(interface) => {
                    self.gone.insert(interface);
                }
                LinkChange::Mtu(interface, mtu) => {
                    self.for_each_worker(move |worker| worker.set_mtu(interface, mtu));
                }
            }
        }
        let now = self.shared.clock.now();
        let Self { watch, links, .. } = self;
        while let Some((name, up)) = links.decide(now, |link| watch.state(link)) {
            match Interface::find(name).and_then(|interface| interface.set_up(up)) {
                Ok(()) => info!(interface = name, up, "link state passed through"),
                Err(fault) => warn!(interface = name, up, %fault, "link state not passed through"),
            }
            // What was done is an event too.
            watch.events(|event| info!(?event, "link"));
        }
    }

    /// Opens wires of XDP sockets of which an end was gone and is back: both ends, as they share a memory.
    fn reopen_lines(&mut self) {
        let ruleset = self.shared.ruleset.load_full();
        let policy = ruleset.policy();
        for (wire, way) in policy.wires().iter().zip(&self.shared.ways) {
            let Some(xdp) = way.xdp else { continue };
            if !wire.interfaces.iter().any(|end| self.gone.contains(end)) {
                continue;
            }
            let [first, _] = wire.interfaces;
            // Whatever still holds queues there must go before.
            self.for_each_worker(move |worker| worker.install_line(first, None));
            let name = policy.symbols().resolve(wire.name);
            match openings::open_line(policy, wire, xdp.demand, self.reaches.len()) {
                Ok(lines) => {
                    for (reach, line) in self.reaches.iter().zip(lines) {
                        reach.errand(Box::new(move |worker: &mut Worker, _| {
                            worker.install_line(first, Some(line));
                        }));
                    }
                    for end in wire.interfaces {
                        if self.gone.remove(&end) {
                            self.tell_back(policy.symbols().resolve(policy.interface_name(end)));
                        }
                    }
                    self.told.remove(&wire.name);
                }
                Err(PortError::NoSuchInterface { .. }) => {}
                Err(fault) => {
                    let fault = fault.to_string();
                    if self.told.get(&wire.name) != Some(&fault) {
                        warn!(
                            wire = name,
                            fault, "nothing crosses: it cannot be opened again yet"
                        );
                        self.told.insert(wire.name, fault);
                    }
                }
            }
        }
    }

    fn tell_back(&self, name: &str) {
        info!(interface = name, "opened again");
        self.shared.forwarding.tell_system(
            &self.shared,
            Severity::Informational,
            "link-change",
            format!("interface {name} is back and was opened again"),
        );
    }

    /// Opens what was gone and is back.
    fn reopen(&mut self) {
        self.reopen_lines();
        let ruleset = self.shared.ruleset.load_full();
        let workers = self.reaches.len();
        let reaches = &self.reaches;
        let mut back = Vec::new();
        let lines: BTreeSet<InterfaceId> = ruleset
            .policy()
            .wires()
            .iter()
            .zip(&self.shared.ways)
            .filter(|(_, way)| way.xdp.is_some())
            .flat_map(|(wire, _)| wire.interfaces)
            .collect();
        self.gone.retain(|interface| {
            let interface = *interface;
            if lines.contains(&interface) {
                return true;
            }
            let name = ruleset
                .policy()
                .symbols()
                .resolve(ruleset.policy().interface_name(interface));
            match openings::open(ruleset.policy(), interface, workers) {
                Ok(ports) => {
                    for (reach, (receiver, sender)) in reaches.iter().zip(ports) {
                        reach.errand(Box::new(move |worker: &mut Worker, _| {
                            worker.install(interface, receiver, sender);
                        }));
                    }
                    back.push(name);
                    false
                }
                // It is not back yet, or is no link for a wire: the watch has told.
                Err(_) => true,
            }
        });
        for name in back {
            self.tell_back(name);
        }
    }

    /// Does what the forwarder must not wait for.
    fn keep_up(&self) {
        let upkeep = self.shared.forwarding.with_sinks(Sinks::upkeep);
        if let Some(journal) = upkeep.sync
            && let Err(fault) = journal.sync_data()
        {
            warn!(%fault, "the tag journal may not survive a power cut");
        }
        if let Some(compaction) = upkeep.compaction {
            match compaction.run() {
                Ok(damage) => {
                    for damage in damage {
                        error!(%damage, "part of the tag journal could not be read; it was kept aside");
                    }
                }
                Err(fault) => warn!(%fault, "the tag journal cannot be compacted"),
            }
        }
        if upkeep.behind {
            let now = self.shared.clock.now();
            let tags = &self.shared.tags;
            self.shared
                .forwarding
                .with_sinks(|sinks| sinks.catch_up(tags, now));
        }
    }

    fn for_each_worker(&self, what: impl Fn(&mut Worker) + Clone + Send + 'static) {
        for reach in &self.reaches {
            let what = what.clone();
            reach.errand(Box::new(move |worker, _| what(worker)));
        }
    }

    /// Lets workers end what they have, the forwarder write what they told, and gives back what was taken down.
    fn stop(self) {
        let Self {
            shared,
            workers,
            reaches,
            forwarder,
            server,
            mut links,
            ..
        } = self;
        server.stop();
        shared.stopping.store(true, Ordering::SeqCst);
        for reach in &reaches {
            reach.waker.wake();
        }
        for worker in workers {
            if worker.join().is_err() {
                error!("a worker panicked");
            }
        }
        shared.workers_done.store(true, Ordering::SeqCst);
        shared.bell.ring();
        if forwarder.join().is_err() {
            error!("the forwarder panicked");
        }
        for name in links.release() {
            if let Err(fault) = Interface::find(name).and_then(|interface| interface.set_up(true)) {
                warn!(interface = name, %fault, "stays down");
            }
        }
    }
}

fn start_workers(
    shared: &Arc<Shared>,
    shares: Vec<Share>,
    seed: u64,
    (news, supervisor): (&Outbox<News>, &Waker),
    (pins, nice): (&[CpuSet], i32),
) -> Result<(Vec<JoinHandle<()>>, Vec<Reach>), RunError> {
    let colleagues = shares
        .iter()
        .map(|_| {
            Ok(Colleague {
                handoff: Arc::new(Handoff::new()),
                waker: Waker::new()?,
            })
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    let limits = shard_limits(shared.ruleset.load().policy());
    let (mut threads, mut reaches) = (Vec::new(), Vec::new());
    for (
        number,
        Share {
            inlets,
            senders,
            lines,
        },
    ) in shares.into_iter().enumerate()
    {
        let Some(own) = colleagues.get(number) else { break };
        let (errand_sender, errands) = unbounded::<Errand>();
        reaches.push(Reach {
            errands: errand_sender,
            waker: own.waker.clone(),
        });
        let desk = Desk::new(
            Arc::clone(shared),
            number,
            colleagues.clone(),
            (senders, lines),
            limits,
            seed,
        );
        let (news, supervisor) = (news.clone(), supervisor.clone());
        let gone = move |interface| {
            // The supervisor listens as long as workers run.
            drop(news.send(News::Gone(interface)));
            supervisor.wake();
        };
        let worker = Worker::new(
            Arc::clone(shared),
            inlets,
            desk,
            own.waker.clone(),
            errands,
            Box::new(gone),
        );
        let pin = pins.get(number).copied();
        let thread = thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                if let Some(pin) = pin
                    && let Err(fault) = sched_setaffinity(None, &pin)
                {
                    warn!(worker = number, %fault, "the worker goes where the kernel likes");
                }
                go_ahead(nice);
                worker.run();
            })?;
        threads.push(thread);
    }
    Ok((threads, reaches))
}

/// Puts the calling thread before all others that want its core: what it does not see to now is lost, or crosses, while
/// a commit can wait.
fn go_ahead(nice: i32) {
    if nice != 0
        && let Err(fault) = setpriority_process(None, nice)
    {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        warn!(
            thread = name,
            %fault,
            "no more important than others: cordon lacks CAP_SYS_NICE; frames may be lost while others keep its core"
        );
    }
}

/// The CPU of each worker, all of which this process may use.
fn pins(cpus: &[usize]) -> Result<Vec<CpuSet>, RunError> {
    if cpus.is_empty() {
        return Ok(Vec::new());
    }
    let allowed = sched_getaffinity(None).map_err(std::io::Error::from)?;
    let pin = |&cpu: &usize| {
        let mut pin = CpuSet::new();
        pin.set(cpu);
        allowed.is_set(cpu).then_some(pin).ok_or(RunError::Pin(cpu))
    };
    cpus.iter().map(pin).collect()
}

/// TLS sessions that are open in the proxy at one time.
const MAX_ADOPTED: usize = 65_536;

fn shard_limits(policy: &Policy) -> ShardLimits {
    let limits = policy.settings().limits;
    ShardLimits {
        sessions: limits.sessions.div_ceil(SHARDS),
        adopted: MAX_ADOPTED.div_ceil(SHARDS),
        fragments: FragmentLimits {
            datagrams: limits.fragmented_datagrams.div_ceil(SHARDS),
            bytes: limits.fragment_bytes.div_ceil(SHARDS),
            ..FragmentLimits::default()
        },
    }
}

fn listen_for_signals(news: Outbox<News>, waker: Waker) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if news.send(News::Signal(signal)).is_err() {
                return;
            }
            waker.wake();
        }
    })?;
    Ok(())
}
