//! The guide's firewall in memory: quarantine before everything else, a sinkhole for listed names.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cordon_engine::{
    Counters, DropReason, Env, Event, Frame, Ingress, Outputs, Placement, Ruleset, SHARDS, Shard, ShardId,
    ShardLimits, Sides, Verdict, fetch, place,
};
use inspect::domains::{DomainSetBuilder, ListOptions, ListTag};
use logs::{
    AddressNames, Evidence, Filter, Forwarder, ForwarderConfig, ForwarderLimits, ForwardingProfile,
    ForwardingProfiles, LogType, MatchListEntry, Mode, Record, TagAction, TagCommand, TagOperation, TagScope,
    TagTarget, View,
};
use packet::{Checksums, FragmentLimits, LinkType, Outline, Timestamp, Wire, parse};
use policy::{
    Action, AddressGroup, AddressRef, AppId, Criterion, DecryptAction, DecryptionProfile,
    DecryptionRuleDraft, DnsAction, GroupMembers, ListId, LogSetting, Policy, PolicyBuilder,
    SecurityRuleDraft, Settings, Sinkhole, SpywareProfile, SslForwardProxy, SslNoProxy, SymbolsBuilder,
    TagFilter, TlsCiphers, TlsVersion, VlanSet, WireSpec, ZoneDraft,
};
use serde_json::Value;
use tags::{Subject, TagLimits, TagNames, TagStore};

pub(crate) const WIRE: Wire = Wire(0);
pub(crate) const SINKHOLE_V4: [u8; 4] = [72, 5, 65, 111];
pub(crate) const SINKHOLE_V6: &str = "2600:5200::1";
pub(crate) const ALIAS: &str = "sinkhole.paloaltonetworks.com";
const TAG: &str = "infected-host";

/// What differs between the stories.
pub(crate) struct Plan {
    /// What the quarantine does.
    pub(crate) quarantine: Action,
    /// Rules in front of the one that allows all.
    pub(crate) refused: Vec<(&'static str, Action, AppId)>,
    pub(crate) settings: Settings,
    /// In every shard.
    pub(crate) sessions: usize,
    /// Datagrams in reassembly, in every shard.
    pub(crate) datagrams: usize,
    pub(crate) vlans: &'static str,
    /// Decryption rules: `*.bank.example` and what is tagged `decrypt-error` stays closed, all else would be opened;
    /// names are believed where these resolvers, or any where there are none, have told of them.
    pub(crate) verifying: Option<Vec<&'static str>>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            quarantine: Action::Deny,
            refused: Vec::new(),
            settings: Settings::default(),
            sessions: 100,
            datagrams: 100,
            vlans: "0-4094",
            verifying: None,
        }
    }
}

impl Plan {
    fn policy(&self, tags: &TagNames) -> Policy {
        let mut symbols = SymbolsBuilder::new();
        let mut builder = PolicyBuilder::new();
        builder.settings(self.settings.clone());
        let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
        builder.add_wire(WireSpec {
            tag_allowed: self.vlans.parse::<VlanSet>().unwrap(),
            ..WireSpec::new(symbols.intern("uplink"), interfaces)
        });
        for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
            builder.add_zone(ZoneDraft {
                resolvers: self
                    .verifying
                    .iter()
                    .flatten()
                    .map(|resolver| AddressRef::Literal(resolver.parse().unwrap()))
                    .collect(),
                ..ZoneDraft::new(symbols.intern(name), &[interface])
            });
        }
        let infected = builder.add_group(AddressGroup {
            name: symbols.intern("Infected-Hosts"),
            members: GroupMembers::Dynamic(TagFilter::parse(&format!("'{TAG}'"), tags).unwrap()),
            tags: Vec::new(),
        });
        let list = builder.add_list(symbols.intern("names"));
        let spyware = builder.add_spyware_profile(SpywareProfile {
            name: symbols.intern("Outbound"),
            lists: vec![(list, DnsAction::Sinkhole)],
            sinkhole: Sinkhole {
                ipv4: Some(SINKHOLE_V4.into()),
                ipv6: Some(SINKHOLE_V6.parse().unwrap()),
                fqdn: Some(ALIAS.parse().unwrap()),
            },
            exceptions: Vec::new(),
        });
        assert_eq!(list, ListId(0));
        builder.add_rule(SecurityRuleDraft {
            source: Criterion::Of(vec![AddressRef::Group(infected)]),
            ..SecurityRuleDraft::new(symbols.intern("quarantine"), self.quarantine)
        });
        for (name, action, app) in &self.refused {
            builder.add_rule(SecurityRuleDraft {
                applications: Criterion::Of(vec![*app]),
                ..SecurityRuleDraft::new(symbols.intern(name), *action)
            });
        }
        builder.add_rule(SecurityRuleDraft {
            spyware: Some(spyware),
            log_setting: Some(PROFILE),
            ..SecurityRuleDraft::new(symbols.intern("all"), Action::Allow)
        });
        if self.verifying.is_some() {
            add_decryption(&mut builder, &mut symbols, tags);
        }
        builder.build(Arc::new(symbols.freeze())).unwrap()
    }
}

fn add_decryption(builder: &mut PolicyBuilder, symbols: &mut SymbolsBuilder, tags: &TagNames) {
    let bank = builder.add_category(symbols.intern("bank"));
    builder.add_pattern(bank, &"*.bank.example".parse().unwrap());
    let bypass = builder.add_group(AddressGroup {
        name: symbols.intern("Decryption-Bypass"),
        members: GroupMembers::Dynamic(TagFilter::parse("'decrypt-error'", tags).unwrap()),
        tags: Vec::new(),
    });
    let profile = builder.add_decryption_profile(DecryptionProfile {
        name: symbols.intern("Strict"),
        ssl_forward_proxy: SslForwardProxy::default(),
        ssl_no_proxy: SslNoProxy::default(),
        min_version: TlsVersion::Tls10,
        max_version: TlsVersion::Max,
        ciphers: TlsCiphers::ALL,
        strip_ech: false,
        verify_sni: true,
        local_exclusion_cache: false,
    });
    let open = DecryptionRuleDraft {
        profile: Some(profile),
        log_success: true,
        ..DecryptionRuleDraft::new(symbols.intern("open"), DecryptAction::Decrypt)
    };
    builder.add_decryption_rule(DecryptionRuleDraft {
        name: symbols.intern("private"),
        categories: Criterion::Of(vec![bank]),
        action: DecryptAction::NoDecrypt,
        ..open.clone()
    });
    builder.add_decryption_rule(DecryptionRuleDraft {
        name: symbols.intern("bypass"),
        destination: Criterion::Of(vec![AddressRef::Group(bypass)]),
        action: DecryptAction::NoDecrypt,
        ..open.clone()
    });
    builder.add_decryption_rule(open);
}

fn forwarding(tags: &TagNames) -> ForwarderConfig {
    let action = TagAction {
        name: "Tag-Source-Infected".into(),
        operation: TagOperation::Add,
        target: TagTarget::Source,
        tags: vec![tags.intern(TAG).unwrap()],
        timeout: 0,
        scope: TagScope::Address,
        evidence: Evidence::default(),
    };
    let entry = MatchListEntry {
        name: "Tag-Infected-Host".into(),
        filter: Filter::parse("(action eq sinkhole)", LogType::Threat).unwrap().0,
        mode: Mode::Enforce,
        actions: vec![action],
    };
    ForwarderConfig {
        profiles: ForwardingProfiles::new(vec![ForwardingProfile {
            id: PROFILE,
            name: "Infected-Host-LF".into(),
            match_list: vec![entry],
        }]),
        ..ForwarderConfig::default()
    }
}

/// Any symbol will do.
const PROFILE: LogSetting = LogSetting(policy::Symbol::INTRAZONE_DEFAULT);

/// What became of one frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Forwarded,
    /// These left in its place.
    Answered(Vec<Vec<u8>>),
    Dropped(&'static str),
    Held,
}

/// The firewall, and the clock.
pub(crate) struct Lab {
    ruleset: Ruleset,
    sides: Sides,
    tags: TagStore,
    shards: Vec<Shard>,
    forwarder: Forwarder,
    out: Outputs,
    pub(crate) now: Timestamp,
    frames: u64,
    told: Vec<Record>,
    /// Every frame is parsed and takes all stages.
    pub(crate) long_way: bool,
    /// Frames that did not.
    pub(crate) short_ways: u64,
}

impl Lab {
    /// `golfsource.us` and `tourindia.ion` are listed.
    pub(crate) fn new(plan: &Plan) -> Self {
        let names = Arc::new(TagNames::new());
        let mut domains = DomainSetBuilder::new(0);
        domains.add(
            ListTag(0),
            "golfsource.us\ntourindia.ion\n",
            &ListOptions::default(),
        );
        let known = Arc::new(AddressNames::new(100, 0));
        let ruleset = Ruleset::new(plan.policy(&names), domains.build(), 1).knowing(Arc::clone(&known));
        let limits = ShardLimits {
            sessions: plan.sessions,
            adopted: 10,
            fragments: FragmentLimits {
                datagrams: plan.datagrams,
                ..FragmentLimits::default()
            },
        };
        Self {
            sides: Sides::new(Vec::new(), ruleset.policy(), WIRE),
            ruleset,
            forwarder: Forwarder::new(forwarding(&names), ForwarderLimits::default()).telling(known),
            tags: TagStore::new(names, TagLimits::default()),
            shards: (0..SHARDS).map(|_| Shard::new(limits)).collect(),
            out: Outputs::default(),
            now: Timestamp::from_secs(1_700_000_000),
            frames: 0,
            told: Vec::new(),
            long_way: false,
            short_ways: 0,
        }
    }

    /// Sends one Ethernet frame; what its records tag is in force before the next one.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Fate {
        let verdict = self.take(bytes);
        let sent: Vec<Vec<u8>> = self.out.emissions().map(|sent| sent.bytes.to_vec()).collect();
        self.forward();
        match verdict {
            None | Some(Verdict::Held) => Fate::Held,
            Some(Verdict::Answered | Verdict::Consumed) => Fate::Answered(sent),
            Some(Verdict::Forward(_)) => {
                assert_eq!(sent, [b""; 0], "a packet that goes on is not answered");
                Fate::Forwarded
            }
            Some(Verdict::Drop(reason)) => {
                assert_eq!(sent, [b""; 0], "a drop is silent");
                Fate::Dropped(reason.name())
            }
        }
    }

    /// The way of a frame through the engine, and nothing else; `None` where it is held.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<Verdict> {
        self.frames += 1;
        let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Verify).unwrap();
        let frame = Frame {
            number: self.frames,
            first_number: self.frames,
            frames: 1,
            stamp: self.now,
            ingress: Ingress::Wire(WIRE),
            original_bytes: bytes.len() as u64,
            packet,
        };
        let (ruleset, tags, sides) = (&self.ruleset, &self.tags, &self.sides);
        let env = Env {
            ruleset,
            tags,
            sides,
            adopting: false,
        };
        if !self.long_way
            && let Some(outline) = Outline::of_ethernet(bytes, bytes.len(), WIRE, 0)
        {
            let shard = &mut self.shards[ShardId::of(&outline).index()];
            fetch([(&*shard, &outline)]);
            let established = shard.established(&env, self.now, &outline, bytes, bytes.len() as u64);
            if established.is_some() {
                self.short_ways += 1;
                return established;
            }
        }
        match place(&packet, WIRE, 0) {
            Placement::Flow(shard, flow) => {
                let shard = &mut self.shards[shard.index()];
                Some(shard.packet(&env, self.now, &frame, &flow, &mut self.out))
            }
            Placement::Stateless(shard) => Some(self.shards[shard.index()].stateless(&env, &frame)),
            Placement::Fragment(shard) => {
                let whole = self.shards[shard.index()].fragment(self.now, WIRE, &frame);
                assert!(whole.is_none(), "no story completes a datagram");
                None
            }
            Placement::Refused(reason) => panic!("no story is refused unplaced: {reason:?}"),
        }
    }

    /// Time passes; what is due ends.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
        let (ruleset, tags, sides) = (&self.ruleset, &self.tags, &self.sides);
        let env = Env {
            ruleset,
            tags,
            sides,
            adopting: false,
        };
        for shard in &mut self.shards {
            shard.expire(&env, self.now, &mut self.out);
        }
        self.forward();
        let policy = &mut self.told;
        self.forwarder.expire_tags(self.now, &self.tags, policy);
    }

    /// The end of the capture; returns what was still held.
    pub(crate) fn finish(&mut self) -> u64 {
        let (ruleset, tags, sides) = (&self.ruleset, &self.tags, &self.sides);
        let env = Env {
            ruleset,
            tags,
            sides,
            adopting: false,
        };
        let (now, out) = (self.now, &mut self.out);
        let held = self
            .shards
            .iter_mut()
            .map(|shard| shard.finish(&env, now, out))
            .sum();
        self.forward();
        held
    }

    fn forward(&mut self) {
        let policy = self.ruleset.policy();
        for (_, event) in self.out.drain_events() {
            match event {
                Event::Record(record) => {
                    self.forwarder
                        .record(record.time, record, policy, &self.tags, &mut self.told);
                }
                Event::Fact(fact) => self.forwarder.fact(self.now, fact, policy, &mut self.told),
            }
        }
        self.out.clear();
    }

    /// Tags a subject, as an administrator would.
    pub(crate) fn tag(&mut self, subject: &str, tag: &str) {
        let command = TagCommand {
            subject: subject.parse().unwrap(),
            tag: self.tags.names().intern(tag).unwrap(),
            operation: TagOperation::Add,
            timeout: 0,
            admin: "nobody".into(),
        };
        self.forwarder
            .command(self.now, &command, &self.tags, &mut self.told);
    }

    /// Sessions and bytes that went by unopened because of a subject's tags.
    pub(crate) fn passed_under(&self, subject: &str) -> (u64, u64) {
        let passed = self.forwarder.passed_under(self.now, &subject.parse().unwrap());
        (passed.sessions, passed.bytes)
    }

    /// Hits and bytes of a security and of a decryption rule.
    pub(crate) fn hits(&self, security: &str, decryption: &str) -> [Option<(u64, u64)>; 2] {
        let counters = self.counters();
        let policy = self.ruleset.policy();
        let symbols = policy.symbols();
        let mut names = policy.rules().map(|(_, rule)| rule.name);
        let security = names.find(|name| symbols.resolve(*name) == security).unwrap();
        let mut names = policy.decryption_rules().map(|(_, rule)| rule.name);
        let decryption = names.find(|name| symbols.resolve(*name) == decryption).unwrap();
        [
            counters.rules.security.get(security),
            counters.rules.decryption.get(decryption),
        ]
        .map(|hits| hits.map(|hits| (hits.sessions, hits.bytes)))
    }

    /// TLS sessions whose word for their server was not believed.
    pub(crate) fn doubted(&self) -> u64 {
        self.counters().unverified_names
    }

    /// Takes the tag off a host, as an administrator would.
    pub(crate) fn heal(&mut self, host: &str) {
        let tag = self.tags.names().intern(TAG).unwrap();
        let subject: Subject = host.parse().unwrap();
        assert!(
            self.tags.unregister(self.now, &subject, tag),
            "{host} was not tagged"
        );
    }

    /// As [`Lab::heal`], whether it is tagged or not.
    pub(crate) fn try_heal(&mut self, host: &str) {
        let tag = self.tags.names().intern(TAG).unwrap();
        let subject: Subject = host.parse().unwrap();
        self.tags.unregister(self.now, &subject, tag);
    }

    /// The records since this was last asked, whole.
    pub(crate) fn records(&mut self) -> Vec<Value> {
        let view = View {
            symbols: self.ruleset.policy().symbols(),
            tags: self.tags.names(),
        };
        let records = std::mem::take(&mut self.told);
        let lines = records.iter().map(|record| {
            let mut line = Vec::new();
            record.write_json(view, &mut line);
            serde_json::from_slice(&line).unwrap()
        });
        lines.collect()
    }

    /// The records since this was last asked, in short.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.records().iter().map(short).collect()
    }

    /// Everything that was counted, to compare.
    pub(crate) fn counted(&self) -> String {
        format!("{:?}", self.counters())
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in &self.shards {
            sum.add(shard.counters());
        }
        sum
    }

    /// What became of all frames so far: exactly this.
    #[track_caller]
    pub(crate) fn assert_frames(&self, forwarded: u64, answered: u64, dropped: &[(&str, u64)]) {
        let counters = self.counters();
        let drops = counters
            .drops()
            .map(|(reason, count)| (DropReason::name(reason), count));
        assert_eq!(
            (
                counters.forwarded,
                counters.answered,
                drops.collect::<BTreeMap<_, _>>()
            ),
            (forwarded, answered, dropped.iter().copied().collect()),
            "forwarded, answered, dropped"
        );
    }

    /// What else was counted so far: sessions of TCP, UDP and ICMP, then sinkholed, cut and evicted.
    #[track_caller]
    pub(crate) fn assert_sessions(&self, sessions: [u64; 3], sinkholed: u64, cut: u64, evicted: u64) {
        let counters = self.counters();
        let counts = counters.sessions;
        assert_eq!(
            [counts.tcp, counts.udp, counts.icmp, counts.other],
            [sessions[0], sessions[1], sessions[2], 0]
        );
        assert_eq!(
            (counters.sinkholed, counters.cut, counters.evicted),
            (sinkholed, cut, evicted)
        );
    }
}

fn short(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    match record["type"].as_str().unwrap() {
        "traffic" => format!(
            "{} {} {} {} {} by {}",
            text("subtype"),
            text("src"),
            text("app"),
            text("action"),
            text("session_end_reason"),
            text("rule")
        ),
        "threat" => format!(
            "{} {} {} {} {}",
            text("action"),
            text("src"),
            text("misc"),
            text("qtype"),
            text("list")
        ),
        "ip-tag" => format!(
            "{} {} on {} by {}",
            text("event"),
            text("tag"),
            text("ip"),
            record["source"]
        ),
        other => panic!("{other}: {record}"),
    }
}
