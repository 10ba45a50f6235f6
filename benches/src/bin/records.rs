//! Traffic records from a worker's queue to the disk: what each step costs, and how many a second one core can take.
//!
//! Every record is of a rule whose log forwarding profile has sixteen match lists; one record in a thousand tags.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark: it prints, and may stop"
)]

use std::{
    hint::black_box,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use control::{LogLimits, LogStore};
use cordon_benches::{Case, Figure, Figures, Meter, Random, per_step};
use crossbeam::queue::ArrayQueue;
use logs::{
    Body, Filter, FlowFields, Forwarder, ForwarderConfig, ForwarderLimits, ForwardingProfile,
    ForwardingProfiles, LineWriter, LogType, MatchListEntry, Mode, Origin, Record, SessionEndReason,
    TagAction, TagOperation, TagScope, TagTarget, Traffic, TrafficSubtype, View,
};
use packet::{IpProtocol, Timestamp};
use policy::{Action, AppId, LogSetting, Policy, PolicyBuilder, Symbol, SymbolsBuilder};
use tags::{TagLimits, TagNames, TagSet, TagStore};

const RECORDS: usize = 20_000;
/// As the forwarder takes them.
const BATCH: usize = 256;
const QUEUE: usize = 1 << 14;
const MATCH_LISTS: u16 = 16;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
/// What a worker offers, and for how long.
const RATES: [u32; 3] = [500_000, 1_000_000, 4_000_000];
const OFFERED: Duration = Duration::from_secs(4);

fn main() {
    let lab = Lab::new();
    let meter = Meter::start();
    lab.steps(&meter);
    for per_second in RATES {
        lab.offer(per_second);
    }
}

struct Lab {
    policy: Policy,
    store: TagStore,
    profiles: ForwardingProfiles,
    records: Vec<Record>,
}

impl Lab {
    fn new() -> Self {
        let mut symbols = SymbolsBuilder::new();
        let names = Arc::new(TagNames::new());
        let setting = LogSetting(symbols.intern("forward-everything"));
        let profiles = ForwardingProfiles::new(vec![ForwardingProfile {
            id: setting,
            name: "forward-everything".into(),
            match_list: (0..MATCH_LISTS).map(|number| entry(number, &names)).collect(),
        }]);
        let mut random = Random::new(77);
        let mut symbol = |name: &str| symbols.intern(name);
        let flow_names = [
            symbol("inside"),
            symbol("outside"),
            symbol("lan0"),
            symbol("wan0"),
            symbol("egress-outside"),
        ];
        let records = (0..RECORDS)
            .map(|number| record(number, setting, flow_names, &mut random))
            .collect();
        let policy = PolicyBuilder::new()
            .build(Arc::new(symbols.freeze()))
            .expect("an empty policy");
        Self {
            policy,
            store: TagStore::new(names, TagLimits::default()),
            profiles,
            records,
        }
    }

    fn forwarder(&self) -> Forwarder {
        let config = ForwarderConfig {
            profiles: self.profiles.clone(),
            max_new_per_hour: None,
            own_addresses: Vec::new(),
        };
        Forwarder::new(config, ForwarderLimits::default())
    }

    /// What the steps cost, each alone.
    fn steps(&self, meter: &Meter) {
        let queue = ArrayQueue::new(QUEUE);
        let mut forwarder = self.forwarder();
        let mut out = Vec::new();
        let view = View {
            symbols: self.policy.symbols(),
            tags: self.store.names(),
        };
        let mut lines = Vec::new();
        let mut writer = LineWriter::new();
        let mut cases = [
            Case::new("copied, into the queue and out of it", || {
                per_step(RECORDS, || {
                    for batch in self.records.chunks(BATCH) {
                        for record in batch {
                            assert!(queue.push(record.clone()).is_ok());
                        }
                        while let Some(record) = queue.pop() {
                            black_box(record);
                        }
                    }
                })
            }),
            Case::new("copied, numbered, shown to 16 match lists", || {
                per_step(RECORDS, || {
                    for batch in self.records.chunks(BATCH) {
                        for record in batch {
                            forwarder.record(NOW, record.clone(), &self.policy, &self.store, &mut out);
                        }
                        out.clear();
                    }
                })
            }),
            Case::new("as a line of JSON", || {
                per_step(RECORDS, || {
                    for batch in self.records.chunks(BATCH) {
                        lines.clear();
                        for record in batch {
                            writer.write(record, view, &mut lines);
                        }
                    }
                    black_box(&lines);
                })
            }),
        ];
        meter.compare("What a traffic record costs on its way", "record", &mut cases);
    }

    /// A worker offers records at a steady rate; the forwarder and the writer of the log store take what they can.
    fn offer(&self, per_second: u32) {
        let folder = tempfile::tempdir().expect("a folder");
        let names = Arc::clone(self.store.names());
        let (mut log_store, _) =
            LogStore::open(folder.path(), names, LogLimits::default()).expect("a log store");
        let queue = ArrayQueue::new(QUEUE);
        let done = AtomicBool::new(false);
        let mut forwarder = self.forwarder();
        let before = forwarder.counters();
        let start = Instant::now();
        let full = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let full = self.work(&queue, start, per_second);
                done.store(true, Ordering::Release);
                full
            });
            loop {
                let stopping = done.load(Ordering::Acquire);
                let mut taken = Vec::with_capacity(BATCH);
                while taken.len() < BATCH
                    && let Some(record) = queue.pop()
                {
                    forwarder.record(NOW, record, &self.policy, &self.store, &mut taken);
                }
                if !taken.is_empty() {
                    log_store.store(self.policy.symbols(), taken);
                } else if stopping {
                    break;
                } else {
                    thread::sleep(Duration::from_micros(200));
                }
            }
            worker.join().expect("the worker")
        });
        let took = start.elapsed();
        log_store.stop();
        let stored = log_store.counters();
        let after = forwarder.counters();
        let acted =
            after.tags_registered + after.tags_refreshed - before.tags_registered - before.tags_refreshed;
        let records = after.records - before.records - after.tags_registered;
        let offer = format!("{} K records/s offered", per_second / 1000);
        for (what, count) in [("taken", records), ("stored", stored.stored)] {
            let rate = count as f64 / took.as_secs_f64() / 1e3;
            let what = format!("cordon, {what}");
            Figures::of_this_run().keep(&Figure::of(&offer, &what, "K records/s", &[rate], None));
        }
        println!(
            "\n{per_second} records/s offered for {} s: {:.0} /s taken, {:.0} /s stored; {full} times the queue was full; \
             {} not stored; {acted} acted, of {} due",
            OFFERED.as_secs(),
            records as f64 / took.as_secs_f64(),
            stored.stored as f64 / took.as_secs_f64(),
            stored.not_stored,
            offered(per_second).div_ceil(1000),
        );
    }

    /// Where the queue is full, the worker waits: what can tag is never lost. How often it had to.
    fn work(&self, queue: &ArrayQueue<Record>, start: Instant, per_second: u32) -> u64 {
        let (mut sent, mut full) = (0_u64, 0);
        let mut records = self.records.iter().cycle();
        while sent < offered(per_second) {
            let due = (start.elapsed().as_secs_f64() * f64::from(per_second)).min(offered(per_second) as f64);
            while (sent as f64) < due
                && let Some(record) = records.next()
            {
                let mut record = record.clone();
                while let Err(back) = queue.push(record) {
                    record = back;
                    full += 1;
                    thread::yield_now();
                }
                sent += 1;
            }
            thread::sleep(Duration::from_micros(200));
        }
        full
    }
}

fn offered(per_second: u32) -> u64 {
    u64::from(per_second) * OFFERED.as_secs()
}

/// Filters as people write them: by reason, application, port, network, bytes.
fn entry(number: u16, names: &TagNames) -> MatchListEntry {
    let filter = match number {
        0 => "( dport eq 9999 ) and ( action eq allow )".to_owned(),
        1 => "( session_end_reason eq threat )".to_owned(),
        2..6 => format!("( addr.dst in 203.0.{number}.0/24 ) and not ( action eq allow )"),
        6..10 => format!("( app eq ssh ) and ( port.dst neq {number} )"),
        10..13 => format!("( zone.src eq guest-{number} ) or ( zone.dst eq guest-{number} )"),
        _ => format!("( bytes geq {number}000000000 ) and ( proto eq tcp )"),
    };
    let (filter, _) = Filter::parse(&filter, LogType::Traffic).expect("a filter");
    MatchListEntry {
        name: format!("entry-{number}").into(),
        filter,
        mode: Mode::Enforce,
        actions: vec![TagAction {
            name: "tag".into(),
            operation: TagOperation::Add,
            target: TagTarget::Source,
            tags: vec![names.intern("watched").expect("a name")],
            timeout: 15,
            scope: TagScope::Address,
            evidence: logs::Evidence::default(),
        }],
    }
}

fn record(number: usize, setting: LogSetting, names: [Symbol; 5], random: &mut Random) -> Record {
    let [from, to, inbound_if, outbound_if, rule] = names;
    let tagging = number.is_multiple_of(1000);
    let (bytes_sent, bytes_received) = (u64::from(random.below(5_000)), u64::from(random.below(1_000_000)));
    Record {
        time: NOW,
        seqno: 0,
        body: Body::Traffic(Traffic {
            subtype: TrafficSubtype::End,
            flow: FlowFields {
                src: Ipv4Addr::from_bits(0x0a00_0000 | random.below(1 << 16)).into(),
                dst: Ipv4Addr::from_bits(0xc633_0000 | random.below(1 << 16)).into(),
                sport: u16::try_from(1024 + random.below(60_000)).expect("a port"),
                dport: if tagging { 9999 } else { 443 },
                proto: IpProtocol::TCP,
                app: AppId::SSL,
                from,
                to,
                inbound_if,
                outbound_if,
                rule,
                sessionid: number as u64,
                src_tags: TagSet::new(),
                dst_tags: TagSet::new(),
            },
            action: Action::Allow,
            session_end_reason: SessionEndReason::TcpFin,
            bytes_sent,
            bytes_received,
            packets: 12,
            start: NOW,
            elapsed: 3,
            category: Symbol::EMPTY,
            decrypted: false,
            repeatcnt: 1,
        }),
        origin: Origin {
            taggable_source: true,
            ..Origin::default()
        },
        log_setting: Some(setting),
    }
}
