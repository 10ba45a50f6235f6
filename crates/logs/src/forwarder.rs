//! Numbers records, shows them to the match lists, and tags.
//!
//! The one writer of tags that records cause: it takes records and facts in order of (tick, frame, ordinal),
//! so that what it does depends on nothing else. Everything it remembers is bounded.

mod address_names;
mod aging;
mod binding;
mod bypassed;
mod evidence;
mod quota;
mod refusal;
mod sinkholed;
mod tagging;

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use packet::{DomainName, MacAddr, Timestamp, VlanTags, Wire};
use policy::{LogSetting, Policy, Symbols};
use tags::{Cause, CauseSource, Limit, Registration, Subject, TagId, TagStore};

pub use self::{
    address_names::{AddressNameCounts, AddressNames, NameProof},
    bypassed::{Bypassed, Passed},
};
use self::{
    binding::{Bindings, Segment},
    bypassed::PassedByServer,
    evidence::Witnesses,
    sinkholed::SinkholedNames,
    tagging::{Case, EntryState, Shared, tagging_report},
};
use crate::{
    Body, ForwardingProfile, ForwardingProfiles, IpTag, Record, Severity, Side, TagEvent, TagOperation, View,
    filter::Screen,
};

/// What the forwarder obeys; replaced whole by a commit.
#[derive(Clone, Debug, Default)]
pub struct ForwarderConfig {
    /// The log forwarding profiles.
    pub profiles: ForwardingProfiles,
    /// How many new addresses one match list entry may tag in a sliding hour; `None`: any number.
    pub max_new_per_hour: Option<u32>,
    /// This machine's addresses, which are never tagged; none in replay.
    pub own_addresses: Vec<IpAddr>,
}

/// The bounds of what the forwarder remembers. At each the oldest makes room, or nothing new is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwarderLimits {
    /// Addresses with the link-layer address that holds them; the one unseen longest makes room.
    pub bindings: usize,
    /// Clients with the name last sinkholed for them; the one that asked longest ago makes room.
    pub sinkholed_clients: usize,
    /// Subjects for which clients are counted; the one that was recorded longest ago makes room.
    pub evidence: usize,
    /// Unlisted resolvers that are reported; further ones are not.
    pub unlisted_resolvers: usize,
    /// Server names known of addresses; the pair learnt longest ago makes room.
    pub address_names: usize,
    /// Servers with what has passed unopened because of their tags; the one that was last told of longest ago makes room.
    pub bypassed_servers: usize,
}

impl Default for ForwarderLimits {
    fn default() -> Self {
        Self {
            bindings: 1_000_000,
            sinkholed_clients: 65_536,
            evidence: 16_384,
            unlisted_resolvers: 4096,
            address_names: 262_144,
            bypassed_servers: 16_384,
        }
    }
}

/// Something a worker noticed that is no record, but matters for tagging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A packet came from this address, by this link-layer address. Report it when a session is set up, for
    /// a DNS query, and for a long session now and then (more often than every 300 s).
    SourceSeen {
        /// The wire.
        wire: Wire,
        /// The side of the wire.
        side: Side,
        /// The VLANs.
        vlans: VlanTags,
        /// The source address.
        ip: IpAddr,
        /// The link-layer source address.
        mac: MacAddr,
    },
    /// An address that lies inside answered somebody else's DNS query.
    AnsweredDns {
        /// Who answered.
        server: IpAddr,
        /// Who had asked.
        client: IpAddr,
    },
    /// A server name was seen to belong to an address, as far as rules want to know such things.
    Named {
        /// The address.
        address: IpAddr,
        /// The name.
        name: DomainName,
        /// By what.
        proof: NameProof,
        /// Who has asked, where the answer counts only because this is a listed resolver.
        asker: Option<Sender>,
    },
    /// A session is over that was not opened only because of its server's tags.
    Bypassed(Bypassed),
}

/// Whom a packet claims to come from, and the link-layer address that it does come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The wire.
    pub wire: Wire,
    /// The side of the wire.
    pub side: Side,
    /// The VLANs.
    pub vlans: VlanTags,
    /// The source address.
    pub ip: IpAddr,
    /// The link-layer source address.
    pub mac: MacAddr,
}

/// A tag that an administrator sets or removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCommand {
    /// What carries it.
    pub subject: Subject,
    /// The tag.
    pub tag: TagId,
    /// Add or remove.
    pub operation: TagOperation,
    /// Minutes; 0 = until removed.
    pub timeout: u32,
    /// Who.
    pub admin: Arc<str>,
}

/// What came of a [`TagCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The tag was set or moved.
    Added(Registration),
    /// The tag was removed.
    Removed,
    /// There was none to remove.
    Absent,
}

/// What the forwarder has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the number of what its name says")]
pub struct ForwarderCounters {
    pub records: u64,
    pub records_paused: u64,
    pub tags_registered: u64,
    pub tags_refreshed: u64,
    pub tags_unregistered: u64,
    pub tags_timed_out: u64,
    pub tags_refused: u64,
    pub tags_shadowed: u64,
    pub unlisted_resolvers: u64,
    pub unlisted_resolvers_over_limit: u64,
    pub bindings_evicted: u64,
    pub sinkholed_names_evicted: u64,
    pub evidence_evicted: u64,
    pub bypassed_servers_evicted: u64,
}

/// Turns records into tags.
#[derive(Debug)]
pub struct Forwarder {
    profiles: Vec<Profile>,
    /// Whose symbols the screens of all profiles compare.
    screened_for: Option<Arc<Symbols>>,
    next_entry: u32,
    shared: Shared,
    sinkholed: SinkholedNames,
    address_names: Arc<AddressNames>,
    bypassed: PassedByServer,
    unlisted_resolvers: HashSet<IpAddr>,
    limits: ForwarderLimits,
    last_seqno: u64,
    counters: ForwarderCounters,
    /// Until when no record acts, by an administrator's word.
    paused_until: Timestamp,
    /// What follows from the record at hand.
    consequences: Vec<Body>,
}

#[derive(Debug)]
struct Profile {
    config: ForwardingProfile,
    /// One for each entry.
    states: Vec<EntryState>,
    /// One for each entry, made for `screened_for` of the forwarder.
    screens: Vec<Screen>,
}

impl Forwarder {
    /// With nothing seen yet; the first record gets number 1.
    pub fn new(config: ForwarderConfig, limits: ForwarderLimits) -> Self {
        let mut forwarder = Self {
            profiles: Vec::new(),
            screened_for: None,
            next_entry: 0,
            shared: Shared {
                bindings: Bindings::new(limits.bindings),
                witnesses: Witnesses::new(limits.evidence),
                max_new_per_hour: None,
                own_addresses: Vec::new(),
                told_full: false,
            },
            sinkholed: SinkholedNames::new(limits.sinkholed_clients),
            address_names: Arc::new(AddressNames::new(limits.address_names, 0)),
            bypassed: PassedByServer::new(limits.bypassed_servers),
            unlisted_resolvers: HashSet::new(),
            limits,
            last_seqno: 0,
            counters: ForwarderCounters::default(),
            paused_until: Timestamp::ZERO,
            consequences: Vec::new(),
        };
        forwarder.configure(config);
        forwarder
    }

    /// Notes in `names` what becomes known of them, for workers to look at.
    #[must_use]
    pub fn telling(self, names: Arc<AddressNames>) -> Self {
        Self {
            address_names: names,
            ..self
        }
    }

    /// The server names known of addresses.
    pub fn address_names(&self) -> &Arc<AddressNames> {
        &self.address_names
    }

    /// What sessions that are over have carried unopened because of this subject's tags.
    pub fn passed_under(&self, now: Timestamp, subject: &Subject) -> Passed {
        self.bypassed.under(now, subject)
    }

    /// Goes on numbering behind the last record of an earlier run.
    pub fn continue_after(&mut self, last_seqno: u64) {
        self.last_seqno = self.last_seqno.max(last_seqno);
    }

    /// Obeys another configuration. Entries that keep their name in a profile that keeps its own also keep
    /// their quota and evidence.
    pub fn configure(&mut self, config: ForwarderConfig) {
        let mut old = std::mem::take(&mut self.profiles);
        for profile in config.profiles.iter() {
            let states = profile.match_list.iter().map(|entry| {
                take_state(&mut old, &profile.name, &entry.name).unwrap_or_else(|| {
                    self.next_entry = self.next_entry.wrapping_add(1);
                    EntryState::new(self.next_entry)
                })
            });
            let states = states.collect();
            self.profiles.push(Profile {
                config: profile.clone(),
                states,
                screens: Vec::new(),
            });
        }
        self.screened_for = None;
        self.shared.max_new_per_hour = config.max_new_per_hour;
        self.shared.own_addresses = config.own_addresses;
    }

    /// Numbers a record and appends it to `out`; then carries out what the match lists of its rule say and
    /// appends what came of that.
    pub fn record(
        &mut self,
        now: Timestamp,
        mut record: Record,
        policy: &Policy,
        store: &TagStore,
        out: &mut Vec<Record>,
    ) {
        self.sinkholed.pass(now, &mut record);
        record.seqno = self.number();
        self.match_lists(now, &record, policy, store);
        out.push(record);
        self.tell_consequences(now, out);
    }

    fn match_lists(&mut self, now: Timestamp, record: &Record, policy: &Policy, store: &TagStore) {
        self.screen_for(policy.symbols());
        let profile = record
            .log_setting
            .and_then(|id| profile_of(&mut self.profiles, id));
        // Records without a flow are about the firewall itself: nobody is there to be tagged, and what
        // tagging caused cannot tag.
        let (Some(profile), Some(flow)) = (profile, record.flow()) else {
            return;
        };
        if now < self.paused_until {
            self.counters.records_paused += 1;
            return;
        }
        let view = View {
            symbols: policy.symbols(),
            tags: store.names(),
        };
        let log_type = record.log_type();
        for (at, screen) in profile.screens.iter().enumerate() {
            if !screen.admits(log_type, record, flow) {
                continue;
            }
            let (Some(entry), Some(state)) = (profile.config.match_list.get(at), profile.states.get_mut(at))
            else {
                continue;
            };
            if !entry.filter.matches(record, view, now) {
                continue;
            }
            let case = Case {
                now,
                record,
                flow,
                profile: &profile.config.name,
                entry,
                policy,
                store,
            };
            case.act(state, &mut self.shared, &mut self.consequences);
        }
    }

    fn screen_for(&mut self, symbols: &Arc<Symbols>) {
        let is_for = |made: &Arc<Symbols>| Arc::ptr_eq(made, symbols);
        if self.screened_for.as_ref().is_some_and(is_for) {
            return;
        }
        for profile in &mut self.profiles {
            let entries = profile.config.match_list.iter();
            profile.screens = entries.map(|entry| entry.filter.screen(symbols)).collect();
        }
        self.screened_for = Some(Arc::clone(symbols));
    }

    /// Until `until` records are numbered and stored, but none of them tags. A time that has passed ends the pause.
    pub fn pause_tagging(&mut self, until: Timestamp) {
        self.paused_until = until;
    }

    /// Takes note of what a worker noticed; appends to `out` what has to be told about it.
    pub fn fact(&mut self, now: Timestamp, fact: Fact, policy: &Policy, out: &mut Vec<Record>) {
        match fact {
            Fact::SourceSeen {
                wire,
                side,
                vlans,
                ip,
                mac,
            } => {
                if !ip.is_unspecified() {
                    self.shared
                        .bindings
                        .seen(now, Segment { wire, side, vlans }, ip, mac);
                }
            }
            Fact::AnsweredDns { server, client } => {
                if !policy.is_resolver(server) {
                    self.report_resolver(server, client);
                }
            }
            Fact::Bypassed(session) => self.bypassed.add(now, &session),
            Fact::Named {
                address,
                name,
                proof,
                asker,
            } => {
                if asker.is_some_and(|asker| self.shared.bindings.is_foreign(now, &asker)) {
                    self.address_names.refuse();
                } else {
                    self.address_names.learn(now, address, &name, proof);
                }
            }
        }
        self.tell_consequences(now, out);
    }

    fn report_resolver(&mut self, server: IpAddr, client: IpAddr) {
        if self.unlisted_resolvers.contains(&server) {
            return;
        }
        if self.unlisted_resolvers.len() >= self.limits.unlisted_resolvers {
            self.counters.unlisted_resolvers_over_limit += 1;
            return;
        }
        self.unlisted_resolvers.insert(server);
        self.counters.unlisted_resolvers += 1;
        self.consequences.push(tagging_report(
            Severity::Medium,
            "unlisted-resolver",
            format!(
                "{server} answers DNS, {client} for one has asked it, and is not among the resolvers of its zone: it \
                 would be tagged for what others ask; name it in `resolvers`"
            ),
        ));
    }

    /// Removes the tags whose time is over and appends a record for each, in order of subject, then tag.
    pub fn expire_tags(&mut self, now: Timestamp, store: &TagStore, out: &mut Vec<Record>) {
        for (subject, tag, cause) in store.expire(now) {
            self.consequences.push(Body::IpTag(Box::new(IpTag {
                subject,
                tag,
                event: TagEvent::Timeout,
                source: cause.source,
                match_list: cause.match_list,
                timeout: 0,
            })));
        }
        self.tell_consequences(now, out);
    }

    /// Sets or removes a tag because an administrator says so; refuses nobody but at the store's bounds.
    pub fn command(
        &mut self,
        now: Timestamp,
        command: &TagCommand,
        store: &TagStore,
        out: &mut Vec<Record>,
    ) -> CommandOutcome {
        let source = CauseSource::Socket {
            admin: command.admin.clone(),
        };
        let (outcome, event) = match command.operation {
            TagOperation::Add => {
                let minutes = u64::from(command.timeout);
                let timeout =
                    (minutes > 0).then(|| std::time::Duration::from_secs(minutes.saturating_mul(60)));
                let cause = Cause {
                    source: source.clone(),
                    match_list: None,
                    at: now,
                };
                let registration = store.register(now, &command.subject, command.tag, timeout, true, cause);
                let event = match registration {
                    Registration::New => TagEvent::Register,
                    Registration::Refreshed { .. } => TagEvent::Refresh,
                    Registration::Full(Limit::Subjects | Limit::Networks | Limit::TagsPerSubject) => {
                        TagEvent::Refused
                    }
                };
                (CommandOutcome::Added(registration), event)
            }
            TagOperation::Remove => {
                if !store.unregister(now, &command.subject, command.tag) {
                    return CommandOutcome::Absent;
                }
                (CommandOutcome::Removed, TagEvent::Unregister)
            }
        };
        self.consequences.push(Body::IpTag(Box::new(IpTag {
            subject: command.subject.clone(),
            tag: command.tag,
            event,
            source,
            match_list: None,
            timeout: command.timeout,
        })));
        self.tell_consequences(now, out);
        outcome
    }

    /// The number of the last record.
    pub fn last_seqno(&self) -> u64 {
        self.last_seqno
    }

    /// What was done so far.
    pub fn counters(&self) -> ForwarderCounters {
        ForwarderCounters {
            bindings_evicted: self.shared.bindings.evicted(),
            sinkholed_names_evicted: self.sinkholed.evicted(),
            evidence_evicted: self.shared.witnesses.evicted(),
            bypassed_servers_evicted: self.bypassed.evicted(),
            ..self.counters
        }
    }

    fn number(&mut self) -> u64 {
        self.counters.records += 1;
        self.last_seqno += 1;
        self.last_seqno
    }

    fn tell_consequences(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        let mut consequences = std::mem::take(&mut self.consequences);
        for body in consequences.drain(..) {
            if let Body::IpTag(change) = &body {
                let counter = match change.event {
                    TagEvent::Register => &mut self.counters.tags_registered,
                    TagEvent::Refresh => &mut self.counters.tags_refreshed,
                    TagEvent::Unregister => &mut self.counters.tags_unregistered,
                    TagEvent::Timeout => &mut self.counters.tags_timed_out,
                    TagEvent::Refused => &mut self.counters.tags_refused,
                    TagEvent::Shadow => &mut self.counters.tags_shadowed,
                };
                *counter += 1;
                if matches!(change.event, TagEvent::Unregister | TagEvent::Timeout) {
                    self.bypassed.forget(&change.subject);
                }
            }
            let seqno = self.number();
            out.push(Record {
                seqno,
                ..Record::unforwarded(now, body)
            });
        }
        self.consequences = consequences;
    }
}

/// The profile under an id; they stand in order of their ids.
fn profile_of(profiles: &mut [Profile], id: LogSetting) -> Option<&mut Profile> {
    let place = profiles
        .binary_search_by_key(&id, |profile| profile.config.id)
        .ok()?;
    profiles.get_mut(place)
}

/// The state of an entry of this name in a profile of this name.
fn take_state(old: &mut [Profile], profile: &str, entry: &str) -> Option<EntryState> {
    let profile = old.iter_mut().find(|old| &*old.config.name == profile)?;
    let at = profile
        .config
        .match_list
        .iter()
        .position(|old| &*old.name == entry)?;
    profile.config.match_list.remove(at);
    Some(profile.states.remove(at))
}

#[cfg(test)]
mod tests;
