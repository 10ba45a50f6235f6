//! Whole policies: the guide's quarantine, defaults, zones, groups, what is still open.

use std::sync::{Arc, LazyLock};

use packet::{FlowTuple, IpProtocol, VlanTags};
use tags::{TagId, TagNames, TagSet};

use crate::*;

mod reference;

/// Two zones, and names for what tests add.
struct Lab {
    builder: PolicyBuilder,
    symbols: SymbolsBuilder,
    tags: TagNames,
    inside: ZoneId,
    outside: ZoneId,
}

impl Lab {
    fn new() -> Self {
        let mut symbols = SymbolsBuilder::new();
        let mut builder = PolicyBuilder::new();
        let mut zone = |name: &str, interface: &str| {
            let interface = builder.add_interface(symbols.intern(interface));
            builder.add_zone(ZoneDraft::new(symbols.intern(name), &[interface]))
        };
        let (inside, outside) = (zone("inside", "lan0"), zone("outside", "wan0"));
        Self {
            builder,
            symbols,
            tags: TagNames::new(),
            inside,
            outside,
        }
    }

    fn tag(&self, name: &str) -> TagId {
        self.tags.intern(name).unwrap()
    }

    fn tags(&self, names: &[&str]) -> TagSet {
        names.iter().map(|name| self.tag(name)).collect()
    }

    fn rule(&mut self, name: &str, action: Action, change: impl FnOnce(&mut SecurityRuleDraft)) -> RuleId {
        let mut rule = SecurityRuleDraft::new(self.symbols.intern(name), action);
        change(&mut rule);
        self.builder.add_rule(rule)
    }

    fn dynamic(&mut self, name: &str, filter: &str) -> AddressGroupId {
        let filter = TagFilter::parse(filter, &self.tags).unwrap();
        self.group(name, GroupMembers::Dynamic(filter), &[])
    }

    fn fixed(&mut self, name: &str, members: &[AddressRef], tags: &[&str]) -> AddressGroupId {
        self.group(name, GroupMembers::Static(members.to_vec()), tags)
    }

    fn group(&mut self, name: &str, members: GroupMembers, tags: &[&str]) -> AddressGroupId {
        let tags = tags.iter().map(|name| self.tag(name)).collect();
        let name = self.symbols.intern(name);
        self.builder.add_group(AddressGroup { name, members, tags })
    }

    fn build(self) -> Policy {
        self.builder.build(Arc::new(self.symbols.freeze())).unwrap()
    }

    fn errors(self) -> Vec<BuildError> {
        self.builder.build(Arc::new(self.symbols.freeze())).unwrap_err()
    }
}

static NO_TAGS: LazyLock<TagSet> = LazyLock::new(TagSet::new);
const INSIDE: ZoneId = ZoneId(0);
const OUTSIDE: ZoneId = ZoneId(1);

fn literal(text: &str) -> AddressRef {
    AddressRef::Literal(text.parse().unwrap())
}

fn tcp(src: &str, dst: &str, dport: u16) -> FlowTuple {
    FlowTuple {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        sport: 40_000,
        dport,
        protocol: IpProtocol::TCP,
    }
}

/// From inside to outside, with nothing known beyond the first packet.
fn outbound(dport: u16) -> Query<'static> {
    Query {
        from: INSIDE,
        to: OUTSIDE,
        tuple: tcp("192.168.1.20", "203.0.113.9", dport),
        app: AppKnowledge::Unknown,
        category: None,
        src_tags: &NO_TAGS,
        dst_tags: &NO_TAGS,
    }
}

fn known(query: Query<'static>, app: AppId) -> Query<'static> {
    Query {
        app: AppKnowledge::Known(app),
        ..query
    }
}

/// A decision that nothing can change any more.
fn final_decision(rule: RuleId, action: Action) -> Decision {
    Decision {
        rule,
        action,
        provisional: false,
        name_matters: false,
    }
}

#[test]
fn the_guides_quarantine() {
    let mut lab = Lab::new();
    let infected = lab.dynamic("Infected-Hosts", "'infected-host'");
    let quarantine = lab.rule("Quarantine-Infected-Devices", Action::Deny, |rule| {
        rule.from = Criterion::Of(vec![INSIDE]);
        rule.source = Criterion::Of(vec![AddressRef::Group(infected)]);
    });
    let egress = lab.rule("egress-outside", Action::Allow, |rule| {
        rule.from = Criterion::Of(vec![INSIDE]);
        rule.to = Criterion::Of(vec![OUTSIDE]);
    });
    let tagged = lab.tags(&["infected-host"]);
    assert_eq!((lab.inside, lab.outside), (INSIDE, OUTSIDE));
    let policy = lab.build();
    assert_eq!(
        policy.decide(&outbound(443)),
        final_decision(egress, Action::Allow)
    );
    let query = Query {
        src_tags: &tagged,
        ..outbound(443)
    };
    assert_eq!(policy.decide(&query), final_decision(quarantine, Action::Deny));
    let query = Query {
        dst_tags: &tagged,
        ..outbound(443)
    };
    assert_eq!(policy.decide(&query), final_decision(egress, Action::Allow));
    assert_eq!(
        policy.symbols().resolve(policy.rule(egress).name),
        "egress-outside"
    );
}

#[test]
fn default_rules_come_last() {
    let mut lab = Lab::new();
    lab.rule("off", Action::ResetBoth, |rule| rule.disabled = true);
    let policy = lab.build();
    assert_eq!(
        policy.decide(&outbound(80)),
        final_decision(RuleId(2), Action::Deny)
    );
    let stays = Query {
        to: INSIDE,
        ..outbound(80)
    };
    assert_eq!(policy.decide(&stays), final_decision(RuleId(1), Action::Allow));
    assert_eq!(policy.rule(RuleId(1)).name, Symbol::INTRAZONE_DEFAULT);
    assert_eq!(policy.rule(RuleId(2)).name, Symbol::INTERZONE_DEFAULT);
    assert_eq!(policy.rule(RuleId(9)).name, Symbol::INTERZONE_DEFAULT);
    let tried = policy.explain(&outbound(80)).tried;
    assert_eq!(
        tried,
        [
            (RuleId(0), Match::Refused(Column::Disabled)),
            (RuleId(1), Match::Refused(Column::RuleType)),
            (RuleId(2), Match::Sure),
        ]
    );
}

#[test]
fn management_stands_before_all_rules() {
    let mut lab = Lab::new();
    lab.rule("nothing", Action::Deny, |_| ());
    lab.builder.settings(Settings {
        management: Management {
            addresses: ["192.168.1.0/24".parse::<tags::Addresses>().unwrap()]
                .into_iter()
                .collect(),
            ports: vec![22],
        },
        ..Settings::default()
    });
    let policy = lab.build();
    let decision = policy.decide(&outbound(22));
    assert_eq!(decision, final_decision(RuleId(3), Action::Allow));
    assert_eq!(policy.rule(decision.rule).name, Symbol::MANAGEMENT);
    assert_eq!(policy.explain(&outbound(22)).decision, decision);
    assert_eq!(policy.decide(&outbound(80)).action, Action::Deny, "another port");
    let mut elsewhere = outbound(22);
    elsewhere.tuple.src = "10.9.9.9".parse().unwrap();
    assert_eq!(policy.decide(&elsewhere).action, Action::Deny, "another address");
}

#[test]
fn an_unknown_application_passes_while_one_may_be_allowed() {
    let mut lab = Lab::new();
    lab.rule("no-torrents", Action::Deny, |rule| {
        rule.applications = Criterion::Of(vec![AppId::BITTORRENT]);
    });
    let ssh = lab.rule("ssh", Action::Allow, |rule| {
        rule.applications = Criterion::Of(vec![AppId::SSH]);
    });
    let policy = lab.build();
    let open = Decision {
        rule: ssh,
        action: Action::Allow,
        provisional: true,
        name_matters: false,
    };
    assert_eq!(policy.decide(&outbound(2222)), open);
    assert_eq!(
        policy.decide(&known(outbound(2222), AppId::SSH)),
        final_decision(ssh, Action::Allow)
    );
    assert_eq!(
        policy.decide(&known(outbound(2222), AppId::BITTORRENT)),
        final_decision(RuleId(0), Action::Deny)
    );
    assert_eq!(
        policy.decide(&known(outbound(2222), AppId::SSL)),
        final_decision(RuleId(3), Action::Deny)
    );
    let mut icmp = outbound(0);
    icmp.tuple.protocol = IpProtocol::ICMP;
    assert_eq!(
        policy.decide(&icmp),
        final_decision(RuleId(3), Action::Deny),
        "ssh never runs over ICMP"
    );
}

#[test]
fn refused_at_once_where_no_application_is_allowed() {
    let mut lab = Lab::new();
    lab.rule("no-torrents", Action::ResetBoth, |rule| {
        rule.applications = Criterion::Of(vec![AppId::BITTORRENT]);
    });
    let all = lab.rule("all", Action::Drop, |_| {});
    assert_eq!(
        lab.build().decide(&outbound(80)),
        final_decision(all, Action::Drop)
    );
}

#[test]
fn application_default_holds_to_ports() {
    let mut lab = Lab::new();
    let dns = lab.rule("dns", Action::Allow, |rule| {
        rule.applications = Criterion::Of(vec![AppId::DNS]);
        rule.service = ServiceDraft::ApplicationDefault;
    });
    let policy = lab.build();
    let refused = final_decision(RuleId(2), Action::Deny);
    assert_eq!(policy.decide(&known(outbound(53), AppId::DNS)).rule, dns);
    assert_eq!(policy.decide(&known(outbound(5353), AppId::DNS)), refused);
    assert!(policy.decide(&outbound(53)).provisional);
    assert_eq!(
        policy.decide(&outbound(54)),
        refused,
        "no application of the rule is at home there"
    );
}

#[test]
fn a_category_waits_for_the_name() {
    let mut lab = Lab::new();
    let bank = lab.builder.add_category(lab.symbols.intern("bank"));
    lab.builder.add_pattern(bank, &"*.bank.example".parse().unwrap());
    let banks = lab.rule("banks", Action::Deny, |rule| {
        rule.categories = Criterion::Of(vec![bank]);
    });
    let rest = lab.rule("rest", Action::Allow, |_| {});
    let policy = lab.build();
    let open = Decision {
        rule: rest,
        action: Action::Allow,
        provisional: false,
        name_matters: true,
    };
    assert_eq!(policy.decide(&outbound(443)), open);
    let named = |host: &str| Query {
        category: Some(policy.categorize(&host.parse().unwrap())),
        ..outbound(443)
    };
    assert_eq!(
        policy.decide(&named("www.bank.example")),
        final_decision(banks, Action::Deny)
    );
    assert_eq!(
        policy.decide(&named("www.example")),
        final_decision(rest, Action::Allow)
    );
    let mut icmp = outbound(0);
    icmp.tuple.protocol = IpProtocol::ICMPV6;
    assert_eq!(
        policy.decide(&icmp),
        final_decision(rest, Action::Allow),
        "no name will come"
    );
}

#[test]
fn negation_inverts_the_column() {
    let mut lab = Lab::new();
    let nobody = lab.dynamic("nobody", "'never-registered'");
    let guests = lab.rule("guests", Action::Drop, |rule| {
        rule.source = Criterion::Of(vec![literal("192.168.0.0/16"), literal("fd00::/8")]);
        rule.negate_source = true;
    });
    let all = lab.rule("all", Action::Allow, |rule| {
        rule.destination = Criterion::Of(vec![AddressRef::Group(nobody)]);
        rule.negate_destination = true;
    });
    let policy = lab.build();
    assert_eq!(policy.decide(&outbound(80)).rule, all);
    let mut guest = outbound(80);
    guest.tuple.src = "198.51.100.1".parse().unwrap();
    assert_eq!(policy.decide(&guest).rule, guests);
    guest.tuple.src = "fe80::1".parse().unwrap();
    assert_eq!(policy.decide(&guest).rule, guests);
}

#[test]
fn zones_by_interface_and_vlan() {
    let mut lab = Lab::new();
    let lan = InterfaceId(0);
    let zone = |lab: &mut Lab, name: &str, vlan| {
        lab.builder.add_zone(ZoneDraft {
            name: lab.symbols.intern(name),
            interfaces: vec![(lan, Some(vlan))],
            networks: vec![literal("10.20.0.0/16")],
            anti_spoof: AntiSpoof::Drop,
            resolvers: vec![literal("10.20.0.53")],
        })
    };
    let voice = zone(&mut lab, "voice", 20);
    let untagged = zone(&mut lab, "untagged", 0);
    let policy = lab.build();
    assert_eq!(policy.zone_of(lan, VlanTags::single(20)), Some(voice));
    assert_eq!(policy.zone_of(lan, VlanTags::double(20, 7)), Some(voice));
    assert_eq!(policy.zone_of(lan, VlanTags::NONE), Some(untagged));
    assert_eq!(policy.zone_of(lan, VlanTags::single(7)), Some(INSIDE));
    assert_eq!(policy.zone_of(InterfaceId(9), VlanTags::NONE), None);
    assert!(policy.zone(voice).networks.contains("10.20.1.1".parse().unwrap()));
    assert!(policy.is_resolver("10.20.0.53".parse().unwrap()));
    assert!(!policy.is_resolver("10.20.0.54".parse().unwrap()));
}

#[test]
fn static_tags_count_like_registered_ones() {
    let mut lab = Lab::new();
    let critical = lab.tag("critical");
    let name = lab.symbols.intern("servers");
    let servers = lab.builder.add_address(AddressObject {
        name,
        value: AddressValue::Addresses("203.0.113.0-203.0.113.99".parse().unwrap()),
        tags: vec![critical],
    });
    let both = lab.dynamic("both", "'critical' and 'infected'");
    let rule = lab.rule("both", Action::Drop, |rule| {
        rule.destination = Criterion::Of(vec![AddressRef::Group(both)]);
    });
    let infected = lab.tags(&["infected"]);
    let policy = lab.build();
    let query = Query {
        dst_tags: &infected,
        ..outbound(80)
    };
    assert_eq!(policy.decide(&query).rule, rule);
    assert_ne!(policy.decide(&outbound(80)).rule, rule);
    let mut elsewhere = query;
    elsewhere.tuple.dst = "203.0.113.100".parse().unwrap();
    assert_ne!(policy.decide(&elsewhere).rule, rule);
    let tags = policy.static_tags("203.0.113.99".parse().unwrap());
    assert_eq!(tags.as_slice(), [critical]);
    assert_eq!(servers, AddressId(0));
}

#[test]
fn a_tagged_static_group_passes_its_tags_on() {
    let mut lab = Lab::new();
    let infected = lab.dynamic("infected", "'infected'");
    // One member is fixed, the others come and go.
    lab.fixed(
        "watched",
        &[AddressRef::Group(infected), literal("10.9.9.9")],
        &["watch"],
    );
    let watch = lab.dynamic("watch", "watch");
    let healthy = lab.dynamic("healthy", "watch and not infected");
    let tagged = lab.tags(&["infected"]);
    let policy = lab.build();
    let member = |group, ip: &str, tags| policy.is_member(group, ip.parse().unwrap(), tags);
    assert!(member(watch, "10.9.9.9", &NO_TAGS) && member(watch, "10.0.0.1", &tagged));
    assert!(!member(watch, "10.0.0.1", &NO_TAGS));
    assert!(member(healthy, "10.9.9.9", &NO_TAGS) && !member(healthy, "10.9.9.9", &tagged));
}

#[test]
fn cycles_of_groups_are_errors() {
    let mut lab = Lab::new();
    let (a, b) = (AddressGroupId(0), AddressGroupId(1));
    lab.fixed("a", &[AddressRef::Group(b), literal("10.0.0.1")], &[]);
    lab.fixed("b", &[AddressRef::Group(a)], &[]);
    assert_eq!(lab.errors(), [BuildError::GroupCycle(vec![a, b])]);

    let mut lab = Lab::new();
    lab.fixed("itself", &[AddressRef::Group(a)], &[]);
    assert_eq!(lab.errors(), [BuildError::GroupCycle(vec![a])]);

    let mut lab = Lab::new();
    lab.fixed("leaf", &[literal("10.0.0.1")], &[]);
    lab.fixed("tagged", &[AddressRef::Group(AddressGroupId(2))], &["x"]);
    lab.dynamic("through-tags", "x");
    assert_eq!(
        lab.errors(),
        [BuildError::GroupCycle(vec![AddressGroupId(1), AddressGroupId(2)])]
    );
}

#[test]
fn nesting_is_flattened() {
    let mut lab = Lab::new();
    let inner = AddressGroupId(1);
    let outer = lab.fixed("outer", &[AddressRef::Group(inner), literal("10.0.1.0/24")], &[]);
    lab.fixed(
        "inner",
        &[literal("10.0.0.0/24"), AddressRef::Group(AddressGroupId(2))],
        &[],
    );
    lab.dynamic("dynamic", "'x'");
    let tagged = lab.tags(&["x"]);
    let policy = lab.build();
    let member = |ip: &str, tags| policy.is_member(outer, ip.parse().unwrap(), tags);
    assert!(member("10.0.0.7", &NO_TAGS) && member("10.0.1.7", &NO_TAGS));
    assert!(!member("10.0.2.7", &NO_TAGS) && member("10.0.2.7", &tagged));
}

#[test]
fn wrong_references_are_all_reported() {
    let mut lab = Lab::new();
    lab.rule("r", Action::Allow, |rule| {
        rule.from = Criterion::Of(vec![ZoneId(7)]);
        rule.source = Criterion::Of(vec![AddressRef::Object(AddressId(3))]);
        rule.service = ServiceDraft::Of(vec![ServiceId(1)]);
        rule.categories = Criterion::Of(vec![CategoryId(2)]);
        rule.spyware = Some(SpywareProfileId(0));
    });
    lab.builder
        .add_wire(WireSpec::new(Symbol::EMPTY, [InterfaceId(0), InterfaceId(0)]));
    let errors = lab.errors();
    let kinds: Vec<&str> = errors
        .iter()
        .map(|error| match error {
            BuildError::Dangling { what, .. } => what,
            BuildError::InterfaceOnTwoWires { .. } => "wire",
            BuildError::GroupCycle(_)
            | BuildError::InterfaceInTwoZones { .. }
            | BuildError::DynamicZone(_)
            | BuildError::TooMany { .. } => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "zone",
            "category",
            "address",
            "service",
            "anti-spyware profile",
            "wire"
        ]
    );
}

#[test]
fn an_interface_is_in_one_zone() {
    let mut lab = Lab::new();
    let name = lab.symbols.intern("again");
    lab.builder.add_zone(ZoneDraft {
        name,
        interfaces: vec![(InterfaceId(0), Some(5)), (InterfaceId(1), None)],
        networks: Vec::new(),
        anti_spoof: AntiSpoof::NoTag,
        resolvers: Vec::new(),
    });
    let twice = BuildError::InterfaceInTwoZones {
        interface: InterfaceId(1),
        vlan: None,
        zones: [OUTSIDE, ZoneId(2)],
    };
    assert_eq!(lab.errors(), [twice]);
}

#[test]
fn shadowed_rules_are_found() {
    let mut lab = Lab::new();
    let group = lab.dynamic("g", "'x'");
    let wide = lab.rule("wide", Action::Allow, |rule| {
        rule.from = Criterion::Of(vec![INSIDE]);
        rule.source = Criterion::Of(vec![literal("10.0.0.0/8"), AddressRef::Group(group)]);
        rule.applications = Criterion::Of(vec![AppId::SSL, AppId::DNS]);
    });
    let narrow = |rule: &mut SecurityRuleDraft| {
        rule.from = Criterion::Of(vec![INSIDE]);
        rule.source = Criterion::Of(vec![literal("10.1.0.0/16")]);
        rule.applications = Criterion::Of(vec![AppId::DNS]);
        rule.service = ServiceDraft::ApplicationDefault;
    };
    let shadowed = lab.rule("narrow", Action::Deny, narrow);
    let by_group = lab.rule("by-group", Action::Deny, |rule| {
        narrow(rule);
        rule.source = Criterion::Of(vec![AddressRef::Group(group)]);
    });
    for (name, change) in [
        (
            "other zone",
            (|rule| rule.from = Criterion::Any) as fn(&mut SecurityRuleDraft),
        ),
        ("other address", |rule| {
            rule.source = Criterion::Of(vec![literal("11.0.0.1")]);
        }),
        ("other app", |rule| {
            rule.applications = Criterion::Of(vec![AppId::SSH]);
        }),
        ("negated", |rule| rule.negate_source = true),
        ("disabled", |rule| rule.disabled = true),
    ] {
        lab.rule(name, Action::Deny, |rule| {
            narrow(rule);
            change(rule);
        });
    }
    let policy = lab.build();
    assert_eq!(policy.shadowed(), [(shadowed, wide), (by_group, wide)]);
}

#[test]
fn decryption_rules_wait_for_the_name() {
    let mut lab = Lab::new();
    let bank = lab.builder.add_category(lab.symbols.intern("bank"));
    lab.builder.add_pattern(bank, &"*.bank.example".parse().unwrap());
    let mut never = DecryptionRuleDraft::new(lab.symbols.intern("never"), DecryptAction::NoDecrypt);
    never.categories = Criterion::Of(vec![bank]);
    let never = lab.builder.add_decryption_rule(never);
    let mut lab_rule = DecryptionRuleDraft::new(lab.symbols.intern("lab"), DecryptAction::Decrypt);
    lab_rule.source = Criterion::Of(vec![literal("192.168.1.20")]);
    let decrypt = lab.builder.add_decryption_rule(lab_rule);
    let policy = lab.build();
    let mut query = DecryptionQuery {
        from: INSIDE,
        to: OUTSIDE,
        tuple: outbound(443).tuple,
        category: None,
        src_tags: &NO_TAGS,
        dst_tags: &NO_TAGS,
    };
    let decision = policy.decide_decryption(&query);
    assert_eq!((decision.rule, decision.name_matters), (Some(decrypt), true));
    query.category = Some(policy.categorize(&"a.bank.example".parse().unwrap()));
    let decision = policy.decide_decryption(&query);
    assert_eq!(
        (decision.rule, decision.action),
        (Some(never), DecryptAction::NoDecrypt)
    );
    query.category = Some(CategorySet::NONE);
    assert_eq!(policy.decide_decryption(&query).action, DecryptAction::Decrypt);
    query.tuple.src = "192.168.1.21".parse().unwrap();
    let decision = policy.decide_decryption(&query);
    assert_eq!((decision.rule, decision.action), (None, DecryptAction::NoDecrypt));
    assert_eq!(policy.explain_decryption(&query).decision, decision);
}

#[test]
fn never_tag_follows_groups() {
    let mut lab = Lab::new();
    let trusted = lab.dynamic("trusted", "'trusted'");
    lab.builder
        .add_never_tag([literal("192.168.1.1"), AddressRef::Group(trusted)]);
    let tagged = lab.tags(&["trusted"]);
    let policy = lab.build();
    let never = |ip: &str, tags| policy.never_tag(ip.parse().unwrap(), tags);
    assert!(never("192.168.1.1", &NO_TAGS) && never("192.168.1.2", &tagged));
    assert!(!never("192.168.1.2", &NO_TAGS));
}
