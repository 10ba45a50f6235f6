//! `show info`, `counters`, `rules`, `lists`, `logs`.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use control::{CommandError, ErrorCode, rows};
use engine::{Counters, HitTable, RuleCounts};
use logs::{Filter, Record, View};
use packet::Timestamp;
use policy::{Symbol, WireMode};
use ports::live::{Interface, Receiver, ReceiverCounters, SenderCounters};
use serde_json::{Value, json};

use super::{Answers, time};
use crate::live::{events::EventQueue, worker::Worker};

/// What one worker has counted.
#[derive(Debug)]
struct WorkerCounts {
    engine: Counters,
    sessions: usize,
    receivers: Vec<(usize, ReceiverCounters)>,
    senders: Vec<(usize, SenderCounters)>,
    no_way_out: u64,
    handoff_refused: u64,
}

impl WorkerCounts {
    fn of(worker: &mut Worker) -> Self {
        let receivers = worker.inlets.iter_mut().map(|inlet| {
            let now = inlet
                .receiver
                .as_mut()
                .map_or_else(ReceiverCounters::default, Receiver::counters);
            (inlet.interface.index(), inlet.before + now)
        });
        let mut receivers: Vec<_> = receivers.collect();
        let desk = &worker.desk;
        let mut senders: Vec<_> = desk
            .senders
            .iter()
            .enumerate()
            .filter_map(|(place, sender)| Some((place, sender.as_ref()?.counters())))
            .collect();
        for (interface, received, sent) in desk.lines.counts() {
            receivers.push((interface.index(), received));
            senders.push((interface.index(), sent));
        }
        Self {
            engine: desk.counters(),
            sessions: desk.shards().iter().map(engine::Shard::session_count).sum(),
            receivers,
            senders,
            no_way_out: desk.no_way_out,
            handoff_refused: desk.handoff_refused(),
        }
    }
}

impl Answers {
    fn counts(&self) -> Result<Vec<WorkerCounts>, CommandError> {
        self.ask(|worker, _| WorkerCounts::of(worker))
    }

    pub(super) fn info(&self) -> Result<Value, CommandError> {
        let counts = self.counts()?;
        let shared = &self.shared;
        let now = shared.clock.now();
        let ruleset = shared.ruleset.load();
        let policy = ruleset.policy();
        let limits = policy.settings().limits;
        let interfaces = policy.wires().iter().zip(&shared.ways).flat_map(|(wire, way)| {
            let ends = wire.distinct_interfaces().iter().enumerate();
            ends.map(|(end, interface)| {
                let interface = *interface;
                let name = policy.symbols().resolve(policy.interface_name(interface));
                let place = interface.index();
                let received = counts
                    .iter()
                    .flat_map(|count| &count.receivers)
                    .filter(|(number, _)| *number == place)
                    .fold(ReceiverCounters::default(), |all, (_, one)| all + *one);
                let sent = counts
                    .iter()
                    .flat_map(|count| &count.senders)
                    .filter(|(number, _)| *number == place)
                    .fold(SenderCounters::default(), |all, (_, one)| all + *one);
                let found = Interface::find(name).ok();
                json!({
                    "name": name,
                    "mode": match wire.mode {
                        WireMode::Inline => "virtual-wire",
                        WireMode::Tap => "tap",
                    },
                    "wire": policy.symbols().resolve(wire.name),
                    "zone": policy.zone_of(interface, packet::VlanTags::NONE)
                        .map_or("", |zone| policy.symbols().resolve(policy.zone(zone).name)),
                    "up": found.as_ref().is_some_and(|found| found.up),
                    "carrier": found.as_ref().is_some_and(|found| found.carrier),
                    "mtu": found.as_ref().map_or(0, |found| found.mtu),
                    "io": way.name(),
                    "io_mode": way.mode(end),
                    "io_reason": way.reason,
                    "rx_frames": received.frames,
                    "rx_bytes": received.bytes,
                    "rx_dropped_ring": received.dropped_by_kernel,
                    "rx_dropped_no_buffer": received.no_buffer,
                    "rx_dropped_too_large": received.too_large,
                    "rx_damaged": received.damaged,
                    "tx_frames": sent.frames,
                    "tx_bytes": sent.bytes,
                    "tx_dropped_full": sent.full,
                    "tx_dropped_too_long": sent.too_long,
                    "tx_dropped_down": sent.down,
                    "tx_dropped_refused": sent.refused,
                })
            })
        });
        let interfaces: Vec<Value> = interfaces.collect();
        let lags = &shared.lags;
        let micros = |share| u64::try_from(lags.quantile(share).as_micros()).unwrap_or(u64::MAX);
        let forwarder = shared.forwarding.counters();
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started": time(shared.started),
            "uptime_seconds": now.saturating_since(shared.started).as_secs(),
            "config": self.commits.path().display().to_string(),
            "commit": self.commits.number(),
            "generation": ruleset.generation(),
            "workers": counts.len(),
            "sessions": { "active": counts.iter().map(|count| count.sessions).sum::<usize>(), "limit": limits.sessions },
            "tags": { "subjects": shared.tags.subjects(), "limit": limits.tagged_subjects },
            "interfaces": interfaces,
            "drops": {
                "ring": counts.iter().flat_map(|count| &count.receivers)
                    .map(|(_, count)| count.dropped_by_kernel + count.no_buffer).sum::<u64>(),
                "handoff": counts.iter().map(|count| count.handoff_refused).sum::<u64>(),
                "engine": counts.iter().map(|count| count.engine.drops().map(|(_, drops)| drops).sum::<u64>()).sum::<u64>(),
                "no_way_out": counts.iter().map(|count| count.no_way_out).sum::<u64>(),
                "tx": counts.iter().flat_map(|count| &count.senders)
                    .map(|(_, sent)| sent.full + sent.too_long + sent.down + sent.refused).sum::<u64>(),
            },
            "enforcement_lag_microseconds": {
                "count": lags.count(),
                "p50": micros(500),
                "p99": micros(990),
                "max": u64::try_from(lags.longest().as_micros()).unwrap_or(u64::MAX),
            },
            "records": {
                "numbered": forwarder.records,
                "not_stored": shared.events.iter().map(EventQueue::lost).sum::<u64>(),
                "seen_to_by_workers": shared.seen_to_by_workers.load(Ordering::Relaxed),
            },
            "state": shared.forwarding.with_sinks(|sinks| sinks.health()),
        }))
    }

    pub(super) fn counters(&self) -> Result<Value, CommandError> {
        let counts = self.counts()?;
        let mut all = Counters::default();
        for count in &counts {
            all.add(&count.engine);
        }
        let by_worker: Vec<u64> = counts.iter().map(|count| count.engine.frames()).collect();
        let dropped: BTreeMap<&str, u64> = all
            .drops()
            .map(|(reason, count)| (reason.name(), count))
            .collect();
        let forwarder = self.shared.forwarding.counters();
        let names = self.shared.forwarding.address_names();
        Ok(json!({
            "frames": {
                "forwarded": all.forwarded,
                "answered": all.answered,
                "consumed": all.consumed,
                "held": all.held,
                "dropped": dropped,
            },
            "frames_by_worker": by_worker,
            "sessions": {
                "tcp": all.sessions.tcp,
                "udp": all.sessions.udp,
                "icmp": all.sessions.icmp,
                "other": all.sessions.other,
                "evicted": all.evicted,
                "cut": all.cut,
                "redecided": all.redecided,
                "decrypted": all.adopted,
                "not_decrypted": all.not_adopted,
                "unverified_names": all.unverified_names,
                "excluded": all.excluded,
                "exclusions_evicted": self.commits.decryption().excluded.evicted(),
            },
            "sinkholed": all.sinkholed,
            "dns_stream_overflow": all.dns_stream_overflow,
            "forwarder": {
                "records": forwarder.records,
                "records_paused": forwarder.records_paused,
                "tags_registered": forwarder.tags_registered,
                "tags_refreshed": forwarder.tags_refreshed,
                "tags_unregistered": forwarder.tags_unregistered,
                "tags_timed_out": forwarder.tags_timed_out,
                "tags_refused": forwarder.tags_refused,
                "tags_shadowed": forwarder.tags_shadowed,
                "unlisted_resolvers": forwarder.unlisted_resolvers,
                "bindings_evicted": forwarder.bindings_evicted,
                "evidence_evicted": forwarder.evidence_evicted,
                "bypassed_servers_evicted": forwarder.bypassed_servers_evicted,
                "address_names": names.learnt,
                "address_names_evicted": names.evicted,
                "address_names_refused": names.refused,
            },
        }))
    }

    pub(super) fn rules(&self) -> Result<Value, CommandError> {
        let mut counts = RuleCounts::default();
        for worker in self.ask(|worker, _| worker.desk.rule_counts())? {
            counts.add(&worker);
        }
        let ruleset = self.shared.ruleset.load();
        let policy = ruleset.policy();
        let symbols = policy.symbols();
        let security = policy.rules().map(|(id, rule)| {
            let row = json!({
                "index": id.index() + 1,
                "name": symbols.resolve(rule.name),
                "action": rule.action.name(),
                "disabled": rule.disabled,
                "log_setting": rule.log_setting.map_or("", |setting| symbols.resolve(setting.0)),
                "profile": rule.spyware.map_or("", |id| symbols.resolve(policy.spyware(id).name)),
            });
            with_hits(row, &counts.security, rule.name)
        });
        let security: Vec<Value> = security.collect();
        let decryption = policy.decryption_rules().map(|(id, rule)| {
            let row = json!({
                "index": id.index() + 1,
                "name": symbols.resolve(rule.name),
                "action": rule.action.name(),
                "disabled": rule.disabled,
                "log_setting": rule.log_setting.map_or("", |setting| symbols.resolve(setting.0)),
            });
            with_hits(row, &counts.decryption, rule.name)
        });
        Ok(json!({ "security": security, "decryption": decryption.collect::<Vec<_>>() }))
    }

    /// Has the rules with this name, or all, counted from nothing.
    pub(super) fn clear_rule_hits(&self, name: Option<&str>) -> Result<Value, CommandError> {
        let ruleset = self.shared.ruleset.load_full();
        let policy = ruleset.policy();
        let names = || {
            let security = policy.rules().map(|(_, rule)| rule.name);
            security.chain(policy.decryption_rules().map(|(_, rule)| rule.name))
        };
        let symbols = policy.symbols();
        let rule = match name {
            None => None,
            Some(name) => Some(
                names()
                    .find(|rule| symbols.resolve(*rule) == name)
                    .ok_or_else(|| {
                        let near = logs::nearest(name, names().map(|rule| symbols.resolve(rule)))
                            .map(|near| format!("; the nearest is {near}"))
                            .unwrap_or_default();
                        CommandError::new(ErrorCode::NotFound, format!("there is no rule {name}{near}"))
                    })?,
            ),
        };
        self.ask(move |worker, _| worker.desk.clear_rule_hits(rule))?;
        Ok(json!({ "cleared": name.unwrap_or("all") }))
    }

    pub(super) fn lists(&self) -> Value {
        let lists = self.commits.lists();
        let lists = lists.iter().map(|list| {
            json!({
                "name": &*list.name,
                "type": list.kind.name(),
                "source": list.location.to_string(),
                "pending": list.pending,
                "entries": list.entries,
                "comments": list.comments,
                "invalid": list.invalid,
                "refused": list.refused,
                "over_limit": list.over_limit,
            })
        });
        json!({ "lists": lists.collect::<Vec<_>>() })
    }

    pub(super) fn logs(&self, filter: &Filter, limit: usize) -> Result<Value, CommandError> {
        let now = self.shared.clock.now();
        let records = self
            .shared
            .forwarding
            .with_sinks(|sinks| sinks.reader())
            .newest(filter, now, limit.saturating_add(1))
            .map_err(|error| {
                CommandError::new(
                    ErrorCode::System,
                    format!("the log store cannot be read: {error}"),
                )
            })?;
        Ok(rows("logs", records, limit))
    }
}

/// A rule with how often it has decided, about how many bytes, and when first and last.
fn with_hits(mut row: Value, table: &HitTable, rule: Symbol) -> Value {
    let hits = table.get(rule);
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, time);
    if let Value::Object(fields) = &mut row {
        fields.insert("hits".to_owned(), hits.map_or(0, |hits| hits.sessions).into());
        fields.insert("bytes".to_owned(), hits.map_or(0, |hits| hits.bytes).into());
        fields.insert("first_hit".to_owned(), at(hits.map(|hits| hits.first)).into());
        fields.insert("last_hit".to_owned(), at(hits.map(|hits| hits.last)).into());
    }
    row
}

/// A record as the JSON object it is written as.
pub(super) fn json_of(record: &Record, view: View<'_>) -> Value {
    let mut line = Vec::with_capacity(512);
    record.write_json(view, &mut line);
    // What was just written as JSON can be read as such.
    serde_json::from_slice(&line).unwrap_or_default()
}
