//! Records in, tags and records out.

use std::time::Duration;

use packet::DomainName;
use policy::{
    AddressGroup, AddressRef, AntiSpoof, GroupMembers, LogSettingId, PolicyBuilder, Sinkhole, SpywareProfile,
    TagFilter, ZoneDraft,
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
            log_setting: Some(LogSettingId(0)),
            ..Record::unforwarded(self.now, body)
        };
        self.forwarder
            .record(self.now, record, &self.policy, &self.store, &mut self.out);
        self.told(before + 1)
    }

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

fn config(entries: Vec<MatchListEntry>) -> ForwarderConfig {
    ForwarderConfig {
        profiles: ForwardingProfiles::new(vec![ForwardingProfile {
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

#[test]
fn the_guide_s_quarantine() {
    let mut lab = Lab::new(vec![infected()]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("register infected-host on {CLIENT} by record 1")]
    );
    assert_eq!(lab.tags(CLIENT), ["infected-host"]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("refresh infected-host on {CLIENT} by record 3")]
    );
    let seqnos: Vec<u64> = lab.out.iter().map(|record| record.seqno).collect();
    assert_eq!(seqnos, [1, 2, 3, 4]);
    let Body::IpTag(change) = &lab.out[1].body else {
        panic!()
    };
    assert_eq!((change.match_list.as_deref(), change.timeout), (Some("Entry"), 0));
    lab.after(100 * 86_400);
    assert_eq!(lab.expire(), [""; 0], "0 minutes are for ever");
    let counters = lab.forwarder.counters();
    assert_eq!(
        (
            counters.records,
            counters.tags_registered,
            counters.tags_refreshed
        ),
        (4, 1, 1)
    );
}

#[test]
fn the_guide_s_decryption_bypass() {
    let mut lab = Lab::new(vec![bypass_entry(bypass())]);
    let told = lab.decrypt_error(CLIENT, SERVER, trusted());
    assert_eq!(told, [format!("register decrypt-error on {SERVER} by record 1")]);
    lab.after(10 * 60);
    let told = lab.decrypt_error("192.168.1.3", SERVER, trusted());
    assert_eq!(told, [format!("refresh decrypt-error on {SERVER} by record 3")]);
    lab.after(15 * 60 - 1);
    assert_eq!(lab.tags(SERVER), ["decrypt-error"]);
    assert_eq!(lab.expire(), [""; 0]);
    lab.after(1);
    assert_eq!(lab.tags(SERVER), [""; 0], "over, cleaned up or not");
    assert_eq!(
        lab.expire(),
        [format!("timeout decrypt-error on {SERVER} by record 3")]
    );
    assert_eq!(lab.expire(), [""; 0]);
}

#[test]
fn what_expires_is_told_in_order_of_subject() {
    let mut lab = Lab::new(vec![bypass_entry(bypass())]);
    for server in ["203.0.113.9", "2001:db8::1", "198.51.100.7", "203.0.113.10"] {
        lab.decrypt_error(CLIENT, server, trusted());
    }
    lab.after(3600);
    let order: Vec<String> = lab.expire();
    assert_eq!(
        order,
        [
            "timeout decrypt-error on 198.51.100.7 by record 5",
            "timeout decrypt-error on 203.0.113.9 by record 1",
            "timeout decrypt-error on 203.0.113.10 by record 7",
            "timeout decrypt-error on 2001:db8::1 by record 3",
        ]
    );
}

#[test]
fn every_matching_entry_and_action_acts() {
    let mut second = infected();
    second.name = "Second".into();
    second.actions = vec![action(2, TagTarget::Source), action(3, TagTarget::Destination)];
    second.actions[0].tags.push(Names::new().tag("host"));
    let other = entry(
        LogType::Threat,
        "action eq alert",
        vec![action(1, TagTarget::Source)],
    );
    let traffic = entry(LogType::Traffic, "", vec![action(1, TagTarget::Source)]);
    let mut lab = Lab::new(vec![infected(), other, traffic, second]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [
            format!("register infected-host on {CLIENT} by record 1"),
            format!("register a b on {CLIENT} by record 1"),
            format!("register host on {CLIENT} by record 1"),
            format!("register host on {SERVER} by record 1"),
        ]
    );
}

#[test]
fn only_the_rule_s_profile_is_asked() {
    let mut lab = Lab::new(vec![infected()]);
    let threat = samples::threat(&lab.names);
    for log_setting in [None, Some(LogSettingId(1))] {
        let record = Record {
            origin: trusted(),
            log_setting,
            ..Record::unforwarded(lab.now, Body::Threat(Box::new(threat.clone())))
        };
        lab.forwarder
            .record(lab.now, record, &lab.policy, &lab.store, &mut lab.out);
    }
    assert_eq!(lab.out.len(), 2, "recorded, and nothing else");
    assert_eq!(lab.tags(CLIENT), [""; 0]);
}

#[test]
fn removing_takes_off_what_is_there() {
    let mut heal = infected();
    heal.name = "Heal".into();
    heal.filter = Filter::parse("action eq alert", LogType::Threat).unwrap().0;
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::new(vec![infected(), heal]);
    let heal = |lab: &mut Lab| {
        let mut threat = samples::threat(&lab.names);
        threat.action = crate::ThreatAction::Alert;
        lab.feed(Body::Threat(Box::new(threat)), trusted())
    };
    assert_eq!(heal(&mut lab), [""; 0], "nothing there");
    lab.sinkhole(CLIENT);
    assert_eq!(
        heal(&mut lab),
        [format!("unregister infected-host on {CLIENT} by record 4")]
    );
    assert_eq!(lab.tags(CLIENT), [""; 0]);
}

#[test]
fn removing_needs_a_sender_that_is_believed() {
    let mut heal = infected();
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::new(vec![heal]);
    let tag = lab.store.names().get("infected-host").unwrap();
    let subject = CLIENT.parse().unwrap();
    let command = TagCommand {
        subject,
        tag,
        operation: TagOperation::Add,
        timeout: 0,
        admin: "root".into(),
    };
    lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
    let told = lab.sinkhole_from(CLIENT, Origin::default());
    assert_eq!(told, [format!("refused infected-host on {CLIENT} by record 2")]);
    assert_eq!(lab.tags(CLIENT), ["infected-host"]);
}

#[test]
fn shadow_tells_and_leaves_the_tags_alone() {
    let mut shadow = infected();
    shadow.mode = Mode::Shadow;
    let mut heal = shadow.clone();
    heal.name = "Heal".into();
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(1),
        ..config(vec![shadow, heal])
    });
    for client in [CLIENT, CLIENT, "192.168.1.3"] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("shadow infected-host on {client}")),
            "{told:?}"
        );
        assert_eq!(lab.tags(client), [""; 0]);
    }
    let told = lab.sinkhole("192.168.1.53");
    assert!(
        told[0].starts_with("refused infected-host on 192.168.1.53"),
        "{told:?}"
    );
    assert_eq!(lab.store.subjects(), 0);
}

#[test]
fn some_addresses_are_never_tagged() {
    let mut lab = Lab::with_config(ForwarderConfig {
        own_addresses: vec!["192.168.1.254".parse().unwrap()],
        ..config(vec![infected()])
    });
    for client in [
        "192.168.1.53",
        "72.5.65.111",
        "192.168.1.1",
        "192.168.1.254",
        "0.0.0.0",
        "::",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
    ] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("refused infected-host on {client} by")),
            "{told:?}"
        );
    }
    assert_eq!(lab.store.subjects(), 0);
    assert_eq!(lab.forwarder.counters().tags_refused, 9);
}

#[test]
fn a_tag_can_spare_its_bearer_other_tags() {
    let mut lab = Lab::new(vec![infected()]);
    let command = TagCommand {
        subject: CLIENT.parse().unwrap(),
        tag: lab.names.tag("spared"),
        operation: TagOperation::Add,
        timeout: 0,
        admin: "root".into(),
    };
    lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("refused infected-host on {CLIENT} by record 2")]
    );
}

#[test]
fn a_source_that_is_not_proven_is_not_tagged() {
    let mut lab = Lab::new(vec![infected(), {
        let mut destination = infected();
        destination.name = "Destination".into();
        destination.actions[0].target = TagTarget::Destination;
        destination
    }]);
    assert_eq!(
        lab.sinkhole_from(CLIENT, Origin::default()),
        [
            format!("refused infected-host on {CLIENT} by record 1"),
            format!("register infected-host on {SERVER} by record 1"),
        ]
    );
}

#[test]
fn a_foreign_link_layer_address_waits_until_the_binding_has_aged() {
    let mut lab = Lab::new(vec![infected()]);
    lab.seen(CLIENT, MAC_A);
    lab.after(10);
    lab.seen(CLIENT, MAC_B);
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_B)),
        [
            format!("refused infected-host on {CLIENT} by record 1"),
            "medium foreign-link-layer-address".to_owned(),
        ]
    );
    let Body::System(system) = &lab.out[2].body else {
        panic!()
    };
    assert!(
        system.opaque.contains("came from 02:00:00:00:00:0b")
            && system.opaque.contains("02:00:00:00:00:0a holds"),
        "{}",
        system.opaque
    );
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_A)),
        [format!("register infected-host on {CLIENT} by record 4")]
    );
    lab.after(290);
    lab.seen(CLIENT, MAC_B);
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_B)),
        [format!("refresh infected-host on {CLIENT} by record 6")],
        "A was last seen 300 s ago"
    );
    let told = lab.sinkhole_from(CLIENT, from_mac(MAC_A));
    assert_eq!(told.len(), 2, "now A is the foreigner: {told:?}");
}

#[test]
fn bindings_do_not_concern_servers_other_segments_or_links_without_addresses() {
    let mut destination = infected();
    destination.actions = vec![action(0, TagTarget::Destination)];
    let mut lab = Lab::new(vec![destination]);
    lab.seen(CLIENT, MAC_A);
    lab.seen(SERVER, MAC_A);
    let told = lab.sinkhole_from(CLIENT, from_mac(MAC_B));
    assert_eq!(told, [format!("register infected-host on {SERVER} by record 1")]);

    let mut lab = Lab::new(vec![infected()]);
    lab.seen(CLIENT, MAC_A);
    for origin in [
        Origin {
            vlans: VlanTags::single(20),
            ..from_mac(MAC_B)
        },
        Origin {
            side: Side::Second,
            ..from_mac(MAC_B)
        },
        trusted(),
    ] {
        let told = lab.sinkhole_from(CLIENT, origin);
        assert!(!told[0].starts_with("refused"), "{told:?}");
    }
}

#[test]
fn the_quota_is_for_new_addresses_in_a_sliding_hour() {
    let mut second = infected();
    second.name = "Second".into();
    second.filter = Filter::parse("(src in 192.168.9.0/24)", LogType::Threat)
        .unwrap()
        .0;
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(2),
        ..config(vec![infected(), second])
    });
    let registered = |told: &[String]| told.iter().filter(|told| told.starts_with("register")).count();
    assert_eq!(registered(&lab.sinkhole("10.0.0.1")), 1);
    assert_eq!(
        registered(&lab.sinkhole("10.0.0.1")),
        0,
        "a refresh costs nothing"
    );
    lab.after(1800);
    assert_eq!(registered(&lab.sinkhole("10.0.0.2")), 1);
    assert_eq!(
        lab.sinkhole("10.0.0.3"),
        [
            "refused infected-host on 10.0.0.3 by record 7".to_owned(),
            "critical max-new-per-hour".to_owned()
        ]
    );
    assert_eq!(lab.sinkhole("10.0.0.4").len(), 1, "told once");
    assert_eq!(
        lab.sinkhole("10.0.0.1"),
        ["refresh infected-host on 10.0.0.1 by record 12"],
        "who is tagged already is refreshed all the same"
    );
    assert_eq!(
        lab.sinkhole("192.168.9.1")[1..],
        ["register infected-host on 192.168.9.1 by record 14"],
        "each entry has its own"
    );
    lab.after(1800);
    assert_eq!(
        registered(&lab.sinkhole("10.0.0.3")),
        1,
        "the first was an hour ago"
    );
    assert_eq!(
        lab.sinkhole("10.0.0.4").last().map(String::as_str),
        Some("critical max-new-per-hour"),
        "a crossing of its own"
    );
}

#[test]
fn an_address_counts_once_however_much_an_entry_puts_on_it() {
    let mut many = infected();
    many.actions = vec![action(0, TagTarget::Source), action(1, TagTarget::Source)];
    many.actions[0].tags.push(Names::new().tag("host"));
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(2),
        ..config(vec![many])
    });
    for client in ["10.0.0.1", "10.0.0.2"] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|told| told.starts_with("register")), "{told:?}");
    }
    let told = lab.sinkhole("10.0.0.3");
    assert_eq!(
        told.iter().filter(|told| told.starts_with("refused")).count(),
        3,
        "{told:?}"
    );
    assert_eq!(
        told.iter().filter(|told| told.starts_with("critical")).count(),
        1,
        "{told:?}"
    );
}

#[test]
fn a_full_store_is_told_once() {
    let limits = TagLimits {
        subjects: 1,
        ..TagLimits::default()
    };
    let mut lab = Lab::with_limits(config(vec![infected()]), limits);
    lab.sinkhole("10.0.0.1");
    assert_eq!(
        lab.sinkhole("10.0.0.2"),
        [
            "refused infected-host on 10.0.0.2 by record 3".to_owned(),
            "critical tag-limit".to_owned()
        ]
    );
    assert_eq!(lab.sinkhole("10.0.0.3").len(), 1);
}

#[test]
fn a_scope_qualifies_the_subject() {
    let scoped = |scope| Lab::new(vec![bypass_entry(TagAction { scope, ..bypass() })]);
    let named = || Origin {
        server_name: Some(Box::new("www.example.com".parse().unwrap())),
        ..trusted()
    };
    let mut lab = scoped(TagScope::ServerName);
    let told = lab.decrypt_error(CLIENT, SERVER, named());
    assert_eq!(
        told,
        [format!(
            "register decrypt-error on {SERVER} name=www.example.com by record 1"
        )]
    );
    assert_eq!(
        lab.tags_towards(SERVER, CLIENT, Some("WWW.example.com")),
        ["decrypt-error"]
    );
    assert_eq!(lab.tags_towards(SERVER, CLIENT, Some("example.com")), [""; 0]);
    assert_eq!(lab.tags_towards(SERVER, CLIENT, None), [""; 0]);
    assert_eq!(
        lab.decrypt_error(CLIENT, SERVER, trusted()),
        [
            format!("refused decrypt-error on {SERVER} by record 3"),
            "low no-server-name".to_owned()
        ]
    );
    assert_eq!(lab.decrypt_error(CLIENT, SERVER, trusted()).len(), 1, "told once");

    let mut lab = scoped(TagScope::Client);
    let told = lab.decrypt_error(CLIENT, SERVER, named());
    assert_eq!(
        told,
        [format!(
            "register decrypt-error on {SERVER} client={CLIENT} by record 1"
        )]
    );
    assert_eq!(lab.tags_towards(SERVER, CLIENT, None), ["decrypt-error"]);
    assert_eq!(lab.tags_towards(SERVER, "192.168.1.3", None), [""; 0]);
}

#[test]
fn evidence_of_several_clients_tags_for_all() {
    let evidence = Evidence {
        clients: 3,
        window: Duration::from_mins(10),
    };
    let mut lab = Lab::new(vec![bypass_entry(TagAction { evidence, ..bypass() })]);
    let mut error = |client: &str, origin: Origin| lab.decrypt_error(client, SERVER, origin).remove(0);
    let on = |subject: &str, event: &str| format!("{event} decrypt-error on {subject} by record ");
    let qualified = |client: &str| format!("{SERVER} client={client}");
    assert!(error("10.0.0.1", trusted()).starts_with(&on(&qualified("10.0.0.1"), "register")));
    assert!(error("10.0.0.1", trusted()).starts_with(&on(&qualified("10.0.0.1"), "refresh")));
    assert!(error("10.0.0.2", trusted()).starts_with(&on(&qualified("10.0.0.2"), "register")));
    assert!(
        error("10.0.0.9", Origin::default()).starts_with(&on(&qualified("10.0.0.9"), "register")),
        "a source that may be forged is no evidence"
    );
    assert!(
        error("10.0.0.3", trusted()).starts_with(&on(SERVER, "register")),
        "the third"
    );
    assert!(error("10.0.0.1", trusted()).starts_with(&on(SERVER, "refresh")));
    lab.after(600);
    let told = lab.decrypt_error("10.0.0.1", SERVER, trusted());
    assert!(
        told[0].starts_with(&on(&qualified("10.0.0.1"), "refresh")),
        "the window is over: {told:?}"
    );
    assert_eq!(
        lab.tags_towards(SERVER, "10.0.0.77", None),
        ["decrypt-error"],
        "but not the tag"
    );
}

#[test]
fn a_session_to_a_sinkhole_gets_the_name_that_led_there() {
    let mut lab = Lab::new(vec![infected()]);
    let sinkhole = "72.5.65.111".parse().unwrap();
    let query = |lab: &mut Lab, client: &str, name: &str| {
        let mut threat = samples::threat(&lab.names);
        threat.flow.src = client.parse().unwrap();
        threat.misc = name.parse().ok();
        threat.threat_name = "golfsource.us".parse().ok();
        threat.sinkhole = Some(sinkhole);
        lab.feed(Body::Threat(Box::new(threat)), trusted());
    };
    let session = |lab: &mut Lab, client: &str| {
        let mut threat = samples::threat(&lab.names);
        threat.flow.src = client.parse().unwrap();
        threat.flow.dst = sinkhole;
        (threat.misc, threat.threat_name, threat.qtype) = (None, None, None);
        threat.list = policy::Symbol::EMPTY;
        let at = lab.out.len();
        let told = lab.feed(Body::Threat(Box::new(threat)), trusted());
        let Body::Threat(written) = &lab.out[at].body else {
            panic!()
        };
        let text = |name: Option<DomainName>| name.map(|name| name.to_string()).unwrap_or_default();
        let list = lab.policy.symbols().resolve(written.list).to_owned();
        (text(written.misc), text(written.threat_name), list, told.len())
    };
    assert_eq!(
        session(&mut lab, CLIENT),
        (String::new(), String::new(), String::new(), 1),
        "nobody asked"
    );
    let full = |misc: &str| (misc.to_owned(), "golfsource.us".to_owned(), "lan0".to_owned(), 1);
    query(&mut lab, "192.168.1.53", "a.golfsource.us");
    assert_eq!(
        session(&mut lab, CLIENT),
        full("a.golfsource.us"),
        "the resolver asked for it"
    );
    query(&mut lab, CLIENT, "b.golfsource.us");
    query(&mut lab, "192.168.1.53", "c.golfsource.us");
    assert_eq!(
        session(&mut lab, CLIENT),
        full("b.golfsource.us"),
        "its own name comes first"
    );
    assert_eq!(session(&mut lab, "192.168.1.3"), full("c.golfsource.us"));
}

#[test]
fn an_unlisted_resolver_is_told_once() {
    let mut lab = Lab::new(vec![infected()]);
    let answered = |lab: &mut Lab, server: &str| {
        lab.fact(Fact::AnsweredDns {
            server: server.parse().unwrap(),
            client: CLIENT.parse().unwrap(),
        })
    };
    assert_eq!(answered(&mut lab, "192.168.1.53"), [""; 0], "it is listed");
    assert_eq!(answered(&mut lab, "192.168.1.54"), ["medium unlisted-resolver"]);
    assert_eq!(answered(&mut lab, "192.168.1.54"), [""; 0]);
    assert_eq!(answered(&mut lab, "192.168.1.55"), ["medium unlisted-resolver"]);
    let told = lab.sinkhole("192.168.1.54");
    assert!(
        told[0].starts_with("register"),
        "only `resolvers` exempts: {told:?}"
    );
}

#[test]
fn a_commit_keeps_quota_and_evidence_of_entries_that_stay() {
    let one = |name: &str| ForwarderConfig {
        max_new_per_hour: Some(1),
        ..config(vec![MatchListEntry {
            name: name.into(),
            ..infected()
        }])
    };
    let mut lab = Lab::with_config(one("A"));
    lab.sinkhole("10.0.0.1");
    lab.forwarder.configure(one("A"));
    assert!(lab.sinkhole("10.0.0.2")[0].starts_with("refused"));
    lab.forwarder.configure(one("B"));
    assert!(lab.sinkhole("10.0.0.3")[0].starts_with("register"));
}

#[test]
fn commands_tag_by_hand() {
    let mut lab = Lab::new(vec![]);
    let tag = lab.store.names().get("infected-host").unwrap();
    let mut command = TagCommand {
        subject: "10.0.0.0/24".parse().unwrap(),
        tag,
        operation: TagOperation::Add,
        timeout: 5,
        admin: "uid 0".into(),
    };
    let mut run = |lab: &mut Lab, operation| {
        command.operation = operation;
        let before = lab.out.len();
        let outcome = lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
        (outcome, lab.told(before))
    };
    let (outcome, told) = run(&mut lab, TagOperation::Add);
    assert_eq!(outcome, CommandOutcome::Added(Registration::New));
    assert_eq!(told, ["register infected-host on 10.0.0.0/24 by socket uid 0"]);
    assert_eq!(lab.tags("10.0.0.7"), ["infected-host"]);
    let (outcome, told) = run(&mut lab, TagOperation::Remove);
    assert_eq!(outcome, CommandOutcome::Removed);
    assert_eq!(told, ["unregister infected-host on 10.0.0.0/24 by socket uid 0"]);
    assert_eq!(
        run(&mut lab, TagOperation::Remove),
        (CommandOutcome::Absent, vec![])
    );
    run(&mut lab, TagOperation::Add);
    lab.after(300);
    assert_eq!(
        lab.expire(),
        ["timeout infected-host on 10.0.0.0/24 by socket uid 0"]
    );
}

#[test]
fn numbering_goes_on_where_it_stopped() {
    let mut lab = Lab::new(vec![infected()]);
    lab.forwarder.continue_after(100);
    lab.sinkhole(CLIENT);
    assert_eq!(lab.forwarder.last_seqno(), 102);
    assert_eq!((lab.out[0].seqno, lab.out[1].seqno), (101, 102));
}
