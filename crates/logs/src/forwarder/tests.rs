//! Records in, tags and records out.

mod model;
mod refusing;
mod tagging;

use std::time::Duration;

use packet::DomainName;
use policy::{
    AddressGroup, AddressRef, AntiSpoof, GroupMembers, LogSetting, PolicyBuilder, Sinkhole, SpywareProfile,
    Symbol, TagFilter, ZoneDraft,
};
use tags::{Context, Registration, TagLimits, TagSet, TagStore};

use super::*;
use crate::{
    Evidence, Filter, LogType, MatchListEntry, Mode, Origin, TagAction, TagOperation, TagScope, TagTarget,
    samples::{self, Names},
};

const CLIENT: &str = "192.168.1.2";
const SERVER: &str = "203.0.113.53";

/// A forwarder with one profile, and all it needs.
struct Lab {
    forwarder: Forwarder,
    names: Names,
    policy: Policy,
    store: TagStore,
    out: Vec<Record>,
    now: Timestamp,
}

impl Lab {
    fn new(entries: Vec<MatchListEntry>) -> Self {
        Self::with_config(config(entries))
    }

    fn with_config(config: ForwarderConfig) -> Self {
        Self::with_limits(config, TagLimits::default())
    }

    fn with_limits(config: ForwarderConfig, limits: TagLimits) -> Self {
        let names = Names::new();
        Self {
            forwarder: Forwarder::new(config, ForwarderLimits::default()),
            policy: policy(&names),
            store: TagStore::new(names.tags.clone(), limits),
            names,
            out: Vec::new(),
            now: Timestamp::from_secs(1_000_000),
        }
    }

    fn after(&mut self, secs: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(secs));
    }

    /// A sinkholed query from an address, and what it led to.
    fn sinkhole(&mut self, client: &str) -> Vec<String> {
        self.sinkhole_from(client, trusted())
    }

    fn sinkhole_from(&mut self, client: &str, origin: Origin) -> Vec<String> {
        let mut threat = samples::threat(&self.names);
        threat.flow.src = client.parse().unwrap();
        self.feed(Body::Threat(Box::new(threat)), origin)
    }

    /// A session that ended in a decryption error.
    fn decrypt_error(&mut self, client: &str, server: &str, origin: Origin) -> Vec<String> {
        let mut traffic = samples::traffic(&self.names);
        traffic.session_end_reason = crate::SessionEndReason::DecryptError;
        traffic.flow.src = client.parse().unwrap();
        traffic.flow.dst = server.parse().unwrap();
        self.feed(Body::Traffic(traffic), origin)
    }

    /// Forwards a record under the one profile; returns what follows it.
    fn feed(&mut self, body: Body, origin: Origin) -> Vec<String> {
        let before = self.out.len();
        let record = Record {
            origin,
            log_setting: Some(PROFILE),
            ..Record::unforwarded(self.now, body)
        };
        self.forwarder
            .record(self.now, record, &self.policy, &self.store, &mut self.out);
        self.told(before + 1)
    }

    #[expect(clippy::large_types_passed_by_value, reason = "facts are moved where they go")]
    fn fact(&mut self, fact: Fact) -> Vec<String> {
        let before = self.out.len();
        self.forwarder.fact(self.now, fact, &self.policy, &mut self.out);
        self.told(before)
    }

    fn expire(&mut self) -> Vec<String> {
        let before = self.out.len();
        self.forwarder.expire_tags(self.now, &self.store, &mut self.out);
        self.told(before)
    }

    fn seen(&mut self, ip: &str, mac: MacAddr) {
        let told = self.fact(Fact::SourceSeen {
            wire: Wire(0),
            side: Side::First,
            vlans: VlanTags::NONE,
            ip: ip.parse().unwrap(),
            mac,
        });
        assert_eq!(told, [""; 0]);
    }

    /// The records from an index on, in short.
    fn told(&self, from: usize) -> Vec<String> {
        self.out[from..].iter().map(|record| self.short(record)).collect()
    }

    fn short(&self, record: &Record) -> String {
        match &record.body {
            Body::IpTag(change) => {
                let source = match &change.source {
                    CauseSource::Record(seqno) => format!("record {seqno}"),
                    CauseSource::Socket { admin } => format!("socket {admin}"),
                    CauseSource::Config => "config".to_owned(),
                };
                let tag = self.store.names().resolve(change.tag);
                format!("{} {tag} on {} by {source}", change.event, change.subject)
            }
            Body::System(system) => format!("{} {}", system.severity, system.event),
            Body::Traffic(_) | Body::Threat(_) | Body::Url(_) | Body::Decryption(_) | Body::Config(_) => {
                panic!("{record:?}")
            }
        }
    }

    /// The tags in force on an address, in a session with a peer and a name.
    fn tags_towards(&self, address: &str, peer: &str, name: Option<&str>) -> Vec<String> {
        let name: Option<DomainName> = name.map(|name| name.parse().unwrap());
        let context = Context {
            peer: peer.parse().unwrap(),
            server_name: name.as_ref(),
        };
        let mut set = TagSet::new();
        self.store
            .lookup(self.now, address.parse().unwrap(), context, &mut set);
        let mut names: Vec<String> = set
            .iter()
            .map(|tag| self.store.names().resolve(tag).to_string())
            .collect();
        names.sort();
        names
    }

    fn tags(&self, address: &str) -> Vec<String> {
        self.tags_towards(address, "198.51.100.1", None)
    }
}

/// A resolver, a sinkhole and two that are never to be tagged, one of them by a tag of its own.
fn policy(names: &Names) -> Policy {
    let literal = |text: &str| AddressRef::Literal(text.parse().unwrap());
    let mut builder = PolicyBuilder::new();
    builder.add_zone(ZoneDraft {
        name: names.symbol("inside"),
        interfaces: Vec::new(),
        networks: Vec::new(),
        anti_spoof: AntiSpoof::NoTag,
        resolvers: vec![literal("192.168.1.53")],
    });
    builder.add_spyware_profile(SpywareProfile {
        name: names.symbol("lan0"),
        lists: Vec::new(),
        sinkhole: Sinkhole {
            ipv4: "72.5.65.111".parse().ok(),
            ..Sinkhole::default()
        },
        exceptions: Vec::new(),
    });
    let spared = builder.add_group(AddressGroup {
        name: names.symbol("outside"),
        members: GroupMembers::Dynamic(TagFilter::parse("'spared'", &names.tags).unwrap()),
        tags: Vec::new(),
    });
    builder.add_never_tag([literal("192.168.1.1"), AddressRef::Group(spared)]);
    builder.build(names.symbols.clone()).unwrap()
}

fn trusted() -> Origin {
    Origin {
        taggable_source: true,
        ..Origin::default()
    }
}

fn from_mac(mac: MacAddr) -> Origin {
    Origin {
        src_mac: Some(mac),
        ..trusted()
    }
}

/// Any symbol will do.
const PROFILE: LogSetting = LogSetting(Symbol::INTRAZONE_DEFAULT);

fn config(entries: Vec<MatchListEntry>) -> ForwarderConfig {
    ForwarderConfig {
        profiles: ForwardingProfiles::new(vec![ForwardingProfile {
            id: PROFILE,
            name: "Infected-Host-LF".into(),
            match_list: entries,
        }]),
        ..ForwarderConfig::default()
    }
}

fn entry(log_type: LogType, filter: &str, actions: Vec<TagAction>) -> MatchListEntry {
    MatchListEntry {
        name: "Entry".into(),
        filter: Filter::parse(filter, log_type).unwrap().0,
        mode: Mode::Enforce,
        actions,
    }
}

fn action(tag: usize, target: TagTarget) -> TagAction {
    // Tags are numbered in the order of `samples::TAGS` in every store of these tests.
    let names = Names::new();
    TagAction {
        name: "Action".into(),
        operation: TagOperation::Add,
        target,
        tags: vec![names.tag(samples::TAGS[tag])],
        timeout: 0,
        scope: TagScope::Address,
        evidence: Evidence::default(),
    }
}

/// The guide's: who asks for a listed name is infected.
fn infected() -> MatchListEntry {
    entry(
        LogType::Threat,
        "(action eq sinkhole)",
        vec![action(0, TagTarget::Source)],
    )
}

/// The guide's: what cannot be decrypted is left alone for a quarter of an hour.
fn bypass() -> TagAction {
    TagAction {
        timeout: 15,
        ..action(1, TagTarget::Destination)
    }
}

fn bypass_entry(action: TagAction) -> MatchListEntry {
    entry(
        LogType::Traffic,
        "(session_end_reason eq decrypt-error)",
        vec![action],
    )
}

const MAC_A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
const MAC_B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
