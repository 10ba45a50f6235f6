//! The guide's firewall with decryption carried out: what fails is tagged, and what is tagged is left closed.

use std::{collections::BTreeMap, sync::Arc};

use cordon_engine::{
    Counters, Decrypting, DecryptionPause, DropReason, Env, Event, ExclusionCache, Frame, Ingress, Outputs,
    Placement, Ruleset, SHARDS, Shard, ShardLimits, Sides, Verdict, place,
};
use decrypt::tls::Proxy;
use inspect::domains::DomainSetBuilder;
use logs::{
    AddressNames, Evidence, Filter, Forwarder, ForwarderConfig, ForwarderLimits, ForwardingProfile,
    ForwardingProfiles, LogType, MatchListEntry, Mode, Record, TagAction, TagOperation, TagScope, TagTarget,
    View,
};
use packet::{Checksums, FragmentLimits, IpProtocol, LinkType, Timestamp, Wire, build::Summing, parse};
use policy::{
    Action, AddressGroup, AddressRef, AppId, Criterion, DecryptAction, DecryptionProfile,
    DecryptionRuleDraft, GroupMembers, InterfaceId, LogSetting, Policy, PolicyBuilder, SecurityRuleDraft,
    Settings, SslForwardProxy, SslNoProxy, SymbolsBuilder, TagFilter, TlsCiphers, TlsVersion, WireSpec,
    ZoneDraft,
};
use serde_json::Value;
use tags::{Cause, CauseSource, Registration, Subject, TagLimits, TagNames, TagStore};

use crate::world::CERTIFICATES;

const WIRE: Wire = Wire(0);
/// Towards the clients, and towards the servers.
pub(crate) const INSIDE: InterfaceId = InterfaceId(0);
pub(crate) const OUTSIDE: InterfaceId = InterfaceId(1);
/// Any symbol will do.
const PROFILE: LogSetting = LogSetting(policy::Symbol::INTRAZONE_DEFAULT);
const FAILED: &str = "(session_end_reason eq decrypt-unsupport-param) or (session_end_reason eq decrypt-error) or \
                      (session_end_reason eq decrypt-cert-validation)";

/// What differs between the stories.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a story")]
pub(crate) struct Plan {
    pub(crate) proxy: SslForwardProxy,
    pub(crate) versions: [TlsVersion; 2],
    /// Whether servers that do not fit are left closed.
    pub(crate) remembers: bool,
    /// In which sessions a failure's tag counts.
    pub(crate) scope: TagScope,
    /// Whether failures are tagged at all.
    pub(crate) tagging: bool,
    /// What the quarantine does.
    pub(crate) quarantine: Action,
    /// Refused in front of the rule that allows all.
    pub(crate) refused: Option<(AppId, Action)>,
    /// Whether sessions are opened that no rule leaves closed.
    pub(crate) decrypts: bool,
    /// Whether decryption rules are carried out, or only looked at.
    pub(crate) carried_out: bool,
    /// Whether names are verified.
    pub(crate) verifies: bool,
    /// What is checked of sessions that the server's name keeps closed; then certificates are followed to their roots.
    pub(crate) closed: Option<SslNoProxy>,
    pub(crate) settings: Settings,
    /// Sessions, and adopted sessions, of each shard.
    pub(crate) sessions: usize,
    pub(crate) adopted: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            proxy: SslForwardProxy::default(),
            versions: [TlsVersion::Tls12, TlsVersion::Max],
            remembers: false,
            scope: TagScope::Address,
            tagging: true,
            quarantine: Action::Deny,
            refused: None,
            decrypts: true,
            carried_out: true,
            verifies: false,
            closed: None,
            settings: Settings::default(),
            sessions: 100,
            adopted: 100,
        }
    }
}

impl Plan {
    fn policy(&self, tags: &TagNames) -> Policy {
        let mut symbols = SymbolsBuilder::new();
        let mut builder = PolicyBuilder::new();
        builder.settings(self.settings.clone());
        let interfaces = ["lan0", "wan0"].map(|name| builder.add_interface(symbols.intern(name)));
        assert_eq!(interfaces, [INSIDE, OUTSIDE]);
        builder.add_wire(WireSpec::new(symbols.intern("uplink"), interfaces));
        for (name, interface) in ["inside", "outside"].into_iter().zip(interfaces) {
            builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]));
        }
        let [bypass, infected] = [
            ("Decryption-Bypass", "decrypt-error"),
            ("Infected-Hosts", "infected-host"),
        ]
        .map(|(name, tag)| {
            builder.add_group(AddressGroup {
                name: symbols.intern(name),
                members: GroupMembers::Dynamic(TagFilter::parse(&format!("'{tag}'"), tags).unwrap()),
                tags: Vec::new(),
            })
        });
        let private = builder.add_category(symbols.intern("financial-services"));
        builder.add_pattern(private, &"bank.example".parse().unwrap());
        let profile = builder.add_decryption_profile(DecryptionProfile {
            name: symbols.intern("Standard"),
            ssl_forward_proxy: self.proxy,
            ssl_no_proxy: SslNoProxy::default(),
            min_version: self.versions[0],
            max_version: self.versions[1],
            ciphers: TlsCiphers::ALL,
            strip_ech: false,
            verify_sni: self.verifies,
            local_exclusion_cache: self.remembers,
        });
        let closed = self.closed.map(|ssl_no_proxy| {
            builder.add_decryption_profile(DecryptionProfile {
                name: symbols.intern("Closed"),
                ssl_forward_proxy: SslForwardProxy::default(),
                ssl_no_proxy,
                min_version: TlsVersion::Tls10,
                max_version: TlsVersion::Max,
                ciphers: TlsCiphers::ALL,
                strip_ech: false,
                verify_sni: false,
                local_exclusion_cache: false,
            })
        });
        builder.add_decryption_rule(DecryptionRuleDraft {
            categories: Criterion::Of(vec![private]),
            profile: closed,
            ..DecryptionRuleDraft::new(symbols.intern("No Decrypt"), DecryptAction::NoDecrypt)
        });
        builder.add_decryption_rule(DecryptionRuleDraft {
            destination: Criterion::Of(vec![AddressRef::Group(bypass)]),
            ..DecryptionRuleDraft::new(symbols.intern("Decrypt-Bypass"), DecryptAction::NoDecrypt)
        });
        if self.decrypts {
            builder.add_decryption_rule(DecryptionRuleDraft {
                profile: Some(profile),
                log_success: true,
                ..DecryptionRuleDraft::new(symbols.intern("Decrypt-Lab"), DecryptAction::Decrypt)
            });
        }
        builder.add_rule(SecurityRuleDraft {
            source: Criterion::Of(vec![AddressRef::Group(infected)]),
            ..SecurityRuleDraft::new(symbols.intern("quarantine"), self.quarantine)
        });
        if let Some((app, action)) = self.refused {
            builder.add_rule(SecurityRuleDraft {
                applications: Criterion::Of(vec![app]),
                ..SecurityRuleDraft::new(symbols.intern("refused"), action)
            });
        }
        builder.add_rule(SecurityRuleDraft {
            log_setting: self.tagging.then_some(PROFILE),
            ..SecurityRuleDraft::new(symbols.intern("all"), Action::Allow)
        });
        builder.build(Arc::new(symbols.freeze())).unwrap()
    }

    fn forwarding(&self, tags: &TagNames) -> ForwarderConfig {
        let action = TagAction {
            name: "decrypt-bypass".into(),
            operation: TagOperation::Add,
            target: TagTarget::Destination,
            tags: vec![tags.intern("decrypt-error").unwrap()],
            timeout: 15,
            scope: self.scope,
            evidence: Evidence::default(),
        };
        let log_type = match self.scope {
            TagScope::ServerName => LogType::Decryption,
            TagScope::Address | TagScope::Client => LogType::Traffic,
        };
        let entry = MatchListEntry {
            name: "decrypt-bypass".into(),
            filter: Filter::parse(FAILED, log_type).unwrap().0,
            mode: Mode::Enforce,
            actions: vec![action],
        };
        ForwarderConfig {
            profiles: ForwardingProfiles::new(vec![ForwardingProfile {
                id: PROFILE,
                name: "Failed".into(),
                match_list: vec![entry],
            }]),
            ..ForwarderConfig::default()
        }
    }
}

/// The engine, its rules, and what it has said.
pub(crate) struct Firewall {
    ruleset: Ruleset,
    sides: Sides,
    tags: TagStore,
    shards: Vec<Shard>,
    forwarder: Forwarder,
    out: Outputs,
    proxy: Arc<Proxy>,
    pub(crate) pause: Arc<DecryptionPause>,
    pub(crate) excluded: Arc<ExclusionCache>,
    pub(crate) frames: u64,
    told: Vec<Record>,
    requests: Vec<String>,
}

impl Firewall {
    pub(crate) fn new(plan: &Plan, proxy: &Arc<Proxy>) -> Self {
        let names = Arc::new(TagNames::new());
        let (pause, excluded) = (Arc::default(), Arc::default());
        let known = Arc::new(AddressNames::new(100, 0));
        let ruleset = carried_out(plan, &names, 1, proxy, (&pause, &excluded)).knowing(Arc::clone(&known));
        let limits = ShardLimits {
            sessions: plan.sessions,
            adopted: plan.adopted,
            fragments: FragmentLimits::default(),
        };
        Self {
            sides: Sides::new(Vec::new(), ruleset.policy(), WIRE),
            ruleset,
            forwarder: Forwarder::new(plan.forwarding(&names), ForwarderLimits::default()).telling(known),
            tags: TagStore::new(names, TagLimits::default()),
            shards: (0..SHARDS).map(|_| Shard::new(limits)).collect(),
            out: Outputs::default(),
            proxy: Arc::clone(proxy),
            pause,
            excluded,
            frames: 0,
            told: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Other rules are in force from now on.
    pub(crate) fn commit(&mut self, plan: &Plan) {
        let generation = self.ruleset.generation() + 1;
        self.ruleset = carried_out(
            plan,
            self.tags.names(),
            generation,
            &self.proxy,
            (&self.pause, &self.excluded),
        );
    }

    /// Takes an Ethernet frame; what leaves goes to `out`, in order.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        ingress: InterfaceId,
        bytes: &[u8],
        out: &mut Vec<(InterfaceId, Vec<u8>)>,
    ) -> Verdict {
        self.frames += 1;
        let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Verify).unwrap();
        let frame = Frame {
            number: self.frames,
            first_number: self.frames,
            frames: 1,
            stamp: now,
            ingress: Ingress::Interface(ingress),
            original_bytes: bytes.len() as u64,
            packet,
        };
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        let Placement::Flow(shard, flow) = place(&packet, WIRE, 0) else {
            panic!("stories are made of flows");
        };
        let verdict = self.shards[shard.index()].packet(&env, now, &frame, &flow, &mut self.out);
        self.settle(now, out);
        if let Verdict::Forward(egress) = verdict {
            let forged = packet.ip().is_some_and(|ip| ip.protocol == IpProtocol::UDP);
            assert!(egress != ingress || forged, "a wire has two ends");
            out.push((egress, bytes.to_vec()));
        }
        verdict
    }

    /// Time has passed.
    pub(crate) fn wake(&mut self, now: Timestamp, out: &mut Vec<(InterfaceId, Vec<u8>)>) {
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        for shard in &mut self.shards {
            shard.wake(&env, now, &mut self.out);
            shard.expire(&env, now, &mut self.out);
        }
        self.settle(now, out);
        self.forwarder.expire_tags(now, &self.tags, &mut self.told);
    }

    /// When something is due in a session that was taken over.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.shards.iter().filter_map(Shard::next_wake).min()
    }

    /// The firewall stops.
    pub(crate) fn finish(&mut self, now: Timestamp, out: &mut Vec<(InterfaceId, Vec<u8>)>) {
        let env = Env {
            ruleset: &self.ruleset,
            tags: &self.tags,
            sides: &self.sides,
            adopting: false,
        };
        for shard in &mut self.shards {
            assert_eq!(
                shard.finish(&env, now, &mut self.out),
                0,
                "no story has fragments"
            );
        }
        self.settle(now, out);
    }

    fn settle(&mut self, now: Timestamp, out: &mut Vec<(InterfaceId, Vec<u8>)>) {
        out.extend(self.out.emissions().map(|sent| {
            assert!(sent.unfinished.is_none());
            (sent.egress, sent.bytes.to_vec())
        }));
        let policy = self.ruleset.policy();
        for (_, event) in self.out.drain_events() {
            match event {
                Event::Record(record) => {
                    self.forwarder
                        .record(record.time, record, policy, &self.tags, &mut self.told);
                }
                Event::Fact(fact) => self.forwarder.fact(now, fact, policy, &mut self.told),
            }
        }
        self.out.clear();
    }

    /// Tags a host, as an administrator would.
    pub(crate) fn tag(&mut self, now: Timestamp, host: &str, tag: &str) {
        let subject: Subject = host.parse().unwrap();
        let tag = self.tags.names().intern(tag).unwrap();
        let cause = Cause {
            source: CauseSource::Config,
            match_list: None,
            at: now,
        };
        let registered = self.tags.register(now, &subject, tag, None, false, cause);
        assert!(!matches!(registered, Registration::Full(_)));
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
        let records = self.records();
        let (requests, others): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["type"] == "url");
        self.requests.extend(requests.into_iter().map(short));
        others.into_iter().map(short).collect()
    }

    /// The requests that were recorded since this was last asked, in short.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        let before = self.told();
        assert_eq!(before, [""; 0], "nobody has asked for these");
        std::mem::take(&mut self.requests)
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for shard in &self.shards {
            sum.add(shard.counters());
        }
        sum
    }

    pub(crate) fn sessions(&self) -> usize {
        self.shards.iter().map(Shard::session_count).sum()
    }

    /// Sessions in the hands of the proxy.
    pub(crate) fn adopted(&self) -> usize {
        self.shards.iter().map(Shard::adopted_count).sum()
    }

    /// What became of all frames so far: exactly this.
    #[track_caller]
    pub(crate) fn assert_frames(&self, forwarded: u64, consumed: u64, dropped: &[(&str, u64)]) {
        let counters = self.counters();
        let drops = counters
            .drops()
            .map(|(reason, count)| (DropReason::name(reason), count));
        assert_eq!(
            (
                counters.forwarded,
                counters.consumed,
                drops.collect::<BTreeMap<_, _>>()
            ),
            (forwarded, consumed, dropped.iter().copied().collect()),
            "forwarded, consumed, dropped"
        );
        self.assert_conserved();
    }

    /// No frame is unaccounted for.
    #[track_caller]
    pub(crate) fn assert_conserved(&self) {
        assert_eq!(self.counters().frames(), self.frames, "{:?}", self.counters());
    }
}

fn carried_out(
    plan: &Plan,
    names: &TagNames,
    generation: u64,
    proxy: &Arc<Proxy>,
    (pause, excluded): (&Arc<DecryptionPause>, &Arc<ExclusionCache>),
) -> Ruleset {
    let mut ruleset = Ruleset::new(plan.policy(names), DomainSetBuilder::new(0).build(), generation);
    if plan.closed.is_some() {
        ruleset = ruleset.trusting(CERTIFICATES.trust.clone());
    }
    if !plan.carried_out {
        return ruleset;
    }
    ruleset.decrypting(Decrypting {
        proxy: Arc::clone(proxy),
        summing: Summing::Complete,
        pause: Arc::clone(pause),
        excluded: Arc::clone(excluded),
    })
}

fn short(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    match record["type"].as_str().unwrap() {
        "traffic" => format!(
            "{} {}{} {} {} by {}",
            text("subtype"),
            text("app"),
            if record["decrypted"] == true {
                " (opened)"
            } else {
                ""
            },
            text("action"),
            text("session_end_reason"),
            text("rule")
        ),
        "decryption" if text("error").is_empty() && text("chain_status") == "Uninspected" => {
            format!("seen {} by {}", text("sni"), text("policy_name"))
        }
        "decryption" if text("error").is_empty() => {
            format!("opened {} by {}", text("sni"), text("policy_name"))
        }
        "decryption" => format!(
            "failed {}: {} ({})",
            text("sni"),
            text("error"),
            text("session_end_reason")
        ),
        "url" => {
            let behind = match text("xff_ip") {
                "" => String::new(),
                client => format!(" for {client}"),
            };
            format!(
                "{} {} {} [{}] by {}{behind}",
                text("action"),
                text("http_method"),
                text("misc"),
                text("category"),
                text("rule")
            )
        }
        "ip-tag" => format!("{} {} on {}", text("event"), text("tag"), text("ip")),
        other => panic!("{other}: {record}"),
    }
}
