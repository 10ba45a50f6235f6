//! Random policies, decided by the index, by the linear scan behind `explain`, and by a naive reading of
//! the drafts: all three agree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use packet::{FlowTuple, IpProtocol};
use proptest::prelude::*;
use tags::{Addresses, TagId, TagNames, TagSet};

use crate::*;

const ZONES: u16 = 3;
const CATEGORIES: u16 = 3;
const TAGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const APPS: [AppId; 6] = [
    AppId::DNS,
    AppId::SSL,
    AppId::SSH,
    AppId::QUIC,
    AppId::PING,
    AppId::UNKNOWN_TCP,
];

/// A whole policy as drafts.
#[derive(Clone, Debug)]
struct Drafts {
    objects: Vec<AddressObject>,
    groups: Vec<AddressGroup>,
    services: Vec<Service>,
    rules: Vec<SecurityRuleDraft>,
}

impl Drafts {
    fn build(&self) -> Result<Policy, Vec<BuildError>> {
        let mut builder = PolicyBuilder::new();
        for _ in 0..ZONES {
            builder.add_zone(ZoneDraft {
                name: Symbol::EMPTY,
                interfaces: Vec::new(),
                networks: Vec::new(),
                anti_spoof: AntiSpoof::NoTag,
                resolvers: Vec::new(),
            });
        }
        for _ in 0..CATEGORIES {
            builder.add_category(Symbol::EMPTY);
        }
        for object in &self.objects {
            builder.add_address(object.clone());
        }
        for group in &self.groups {
            builder.add_group(group.clone());
        }
        for service in &self.services {
            builder.add_service(service.clone());
        }
        for rule in &self.rules {
            builder.add_rule(rule.clone());
            // The same columns, as far as decryption rules have them.
            builder.add_decryption_rule(DecryptionRuleDraft {
                from: rule.from.clone(),
                to: rule.to.clone(),
                source: rule.source.clone(),
                negate_source: rule.negate_source,
                destination: rule.destination.clone(),
                negate_destination: rule.negate_destination,
                services: match &rule.service {
                    ServiceDraft::Of(services) => Criterion::Of(services.clone()),
                    ServiceDraft::Any | ServiceDraft::ApplicationDefault => Criterion::Any,
                },
                categories: rule.categories.clone(),
                disabled: rule.disabled,
                ..DecryptionRuleDraft::new(Symbol::EMPTY, DecryptAction::Decrypt)
            });
        }
        builder.build(Arc::new(SymbolsBuilder::new().freeze()))
    }

    /// What the rules say, read off the drafts without any preparation.
    fn decide(&self, query: &Query<'_>) -> Decision {
        let mut rules: Vec<SecurityRuleDraft> = self.rules.clone();
        for (rule_type, action) in [
            (RuleType::Intrazone, Action::Allow),
            (RuleType::Interzone, Action::Deny),
        ] {
            rules.push(SecurityRuleDraft {
                rule_type,
                ..SecurityRuleDraft::new(Symbol::EMPTY, action)
            });
        }
        let (mut application, mut name) = (false, false);
        let mut allowing = None;
        for (rule, id) in rules.iter().zip((0..).map(RuleId)) {
            let Some((by_application, by_name)) = self.may_match(rule, query) else {
                continue;
            };
            if rule.action == Action::Allow {
                allowing = allowing.or(Some(id));
            }
            if by_application || by_name {
                application |= by_application;
                name |= by_name;
                continue;
            }
            return match allowing {
                Some(allowing) if application || name => Decision {
                    rule: allowing,
                    action: Action::Allow,
                    provisional: application,
                    name_matters: name,
                },
                _ => Decision {
                    rule: id,
                    action: rule.action,
                    provisional: false,
                    name_matters: false,
                },
            };
        }
        panic!("a default rule matches");
    }

    /// `None`: it does not. Else whether the application and the name are still to decide.
    fn may_match(&self, rule: &SecurityRuleDraft, query: &Query<'_>) -> Option<(bool, bool)> {
        let zones = match rule.rule_type {
            RuleType::Universal => is_any_of(&rule.to, &query.to),
            RuleType::Intrazone => query.from == query.to,
            RuleType::Interzone => query.from != query.to && is_any_of(&rule.to, &query.to),
        };
        let tuple = &query.tuple;
        let source = self.names(&rule.source, tuple.src, query.src_tags) != rule.negate_source;
        let destination = self.names(&rule.destination, tuple.dst, query.dst_tags) != rule.negate_destination;
        if rule.disabled || !zones || !is_any_of(&rule.from, &query.from) || !source || !destination {
            return None;
        }
        let fits = |app: AppId| {
            let port = match &rule.service {
                ServiceDraft::Any => true,
                ServiceDraft::ApplicationDefault => app.is_default(tuple.protocol, tuple.dport),
                ServiceDraft::Of(services) => services.iter().any(|id| {
                    let service = &self.services[id.index()];
                    service.matches(tuple.protocol, tuple.sport, tuple.dport)
                }),
            };
            port && is_any_of(&rule.applications, &app)
        };
        let application = match query.app {
            AppKnowledge::Known(app) => fits(app).then_some(false)?,
            AppKnowledge::Unknown => {
                let possible = AppId::all().any(|app| app.runs_over(tuple.protocol) && fits(app));
                let matters =
                    rule.applications != Criterion::Any || rule.service == ServiceDraft::ApplicationDefault;
                possible.then_some(matters)?
            }
        };
        let name = match (&rule.categories, query.category) {
            (Criterion::Any, _) => false,
            (Criterion::Of(_), _) if tuple.protocol == IpProtocol::ICMP => return None,
            (Criterion::Of(_), None) => true,
            (Criterion::Of(wanted), Some(known)) => {
                wanted.iter().any(|id| known.contains(*id)).then_some(false)?
            }
        };
        Some((application, name))
    }

    fn names(&self, column: &Criterion<AddressRef>, address: IpAddr, registered: &TagSet) -> bool {
        match column {
            Criterion::Any => true,
            Criterion::Of(members) => members
                .iter()
                .any(|member| self.holds(member, address, registered)),
        }
    }

    fn holds(&self, member: &AddressRef, address: IpAddr, registered: &TagSet) -> bool {
        match member {
            AddressRef::Literal(addresses) => addresses.contains(address),
            AddressRef::Object(id) => Self::covers(&self.objects[id.index()], address),
            AddressRef::Group(id) => match &self.groups[id.index()].members {
                GroupMembers::Static(members) => members
                    .iter()
                    .any(|member| self.holds(member, address, registered)),
                GroupMembers::Dynamic(filter) => filter.matches(|tag| self.carries(tag, address, registered)),
            },
        }
    }

    fn covers(object: &AddressObject, address: IpAddr) -> bool {
        match &object.value {
            AddressValue::Addresses(addresses) => addresses.contains(address),
            AddressValue::Wildcard(wildcard) => wildcard.contains(address),
            AddressValue::Resolved(hosts) => hosts.contains(&address),
            AddressValue::List(entries) => entries.iter().any(|entry| entry.contains(address)),
        }
    }

    fn carries(&self, tag: TagId, address: IpAddr, registered: &TagSet) -> bool {
        let mut objects = self.objects.iter().filter(|object| object.tags.contains(&tag));
        let groups = self.groups.iter().zip((0..).map(AddressGroupId));
        let mut groups = groups.filter(|(group, _)| {
            group.tags.contains(&tag) && matches!(group.members, GroupMembers::Static(_))
        });
        registered.contains(tag)
            || objects.any(|object| Self::covers(object, address))
            || groups.any(|(_, id)| self.holds(&AddressRef::Group(id), address, registered))
    }
}

fn is_any_of<T: PartialEq>(column: &Criterion<T>, value: &T) -> bool {
    match column {
        Criterion::Any => true,
        Criterion::Of(values) => values.contains(value),
    }
}

/// One of few addresses, so that sessions meet rules.
fn host() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        4 => (0_u8..24).prop_map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last))),
        1 => (0_u8..8).prop_map(|last| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()))),
    ]
}

fn addresses() -> impl Strategy<Value = Addresses> {
    prop_oneof![
        host().prop_map(Addresses::Host),
        (host(), 0_u8..6).prop_map(|(host, wide)| {
            let length = if host.is_ipv4() { 32 } else { 128 } - wide;
            Addresses::prefix(host, length).unwrap()
        }),
        (host(), host()).prop_filter_map("of one family", |(a, b)| Addresses::range(a.min(b), a.max(b))
            .ok()),
        Just("0.0.0.0/0".parse().unwrap()),
    ]
}

fn names() -> Arc<TagNames> {
    let names = TagNames::new();
    for tag in TAGS {
        names.intern(tag).unwrap();
    }
    Arc::new(names)
}

fn tag() -> impl Strategy<Value = TagId> {
    let names = names();
    prop::sample::select(TAGS.to_vec()).prop_map(move |tag| names.get(tag).unwrap())
}

fn filter() -> impl Strategy<Value = TagFilter> {
    let names = names();
    let texts = vec![
        "a",
        "b",
        "c",
        "d and e",
        "a or f",
        "b and not c",
        "not a",
        "not (a or b)",
        "'e'",
        "(a or b) and (c or d)",
    ];
    prop::sample::select(texts).prop_map(move |text| TagFilter::parse(text, &names).unwrap())
}

fn object() -> impl Strategy<Value = AddressObject> {
    let wildcard = (host(), 0_u8..16).prop_filter_map("IPv4", |(host, mask)| match host {
        IpAddr::V4(v4) => Some(Wildcard::new(v4, Ipv4Addr::new(0, 0, 0, mask))),
        IpAddr::V6(_) => None,
    });
    let value = prop_oneof![
        6 => addresses().prop_map(AddressValue::Addresses),
        1 => wildcard.prop_map(AddressValue::Wildcard),
        1 => prop::collection::vec(host(), 0..3).prop_map(AddressValue::Resolved),
        1 => prop::collection::vec(addresses(), 0..3).prop_map(AddressValue::List),
    ];
    (value, prop::collection::vec(tag(), 0..2)).prop_map(|(value, tags)| AddressObject {
        name: Symbol::EMPTY,
        value,
        tags,
    })
}

fn reference(objects: usize, groups: usize) -> BoxedStrategy<AddressRef> {
    let mut any = vec![addresses().prop_map(AddressRef::Literal).boxed()];
    if let Ok(objects @ 1..) = u32::try_from(objects) {
        any.push(
            (0..objects)
                .prop_map(|id| AddressRef::Object(AddressId(id)))
                .boxed(),
        );
    }
    if let Ok(groups @ 1..) = u32::try_from(groups) {
        let group = (0..groups)
            .prop_map(|id| AddressRef::Group(AddressGroupId(id)))
            .boxed();
        any.extend([group.clone(), group]);
    }
    prop::strategy::Union::new(any).boxed()
}

fn group(objects: usize, groups: usize) -> impl Strategy<Value = AddressGroup> {
    let members = prop_oneof![
        prop::collection::vec(reference(objects, groups), 0..4).prop_map(GroupMembers::Static),
        filter().prop_map(GroupMembers::Dynamic),
    ];
    let tags = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(tag(), 1..3)];
    (members, tags).prop_map(|(members, tags)| AddressGroup {
        name: Symbol::EMPTY,
        members,
        tags,
    })
}

fn service() -> impl Strategy<Value = Service> {
    let protocol = prop::sample::select(vec![IpProtocol::TCP, IpProtocol::UDP]);
    let ports = prop::sample::select(vec!["53", "443", "22,53", "0-1023", "40-60,50-500", "0-65535"]);
    let source = prop::sample::select(vec!["0-65535", "0-65535", "0-65535", "1000-2000"]);
    (protocol, ports, source).prop_map(|(protocol, ports, source)| Service {
        name: Symbol::EMPTY,
        protocol,
        ports: ports.parse().unwrap(),
        source_ports: source.parse().unwrap(),
    })
}

/// `any` half of the time, else up to `most` values.
fn column<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T> + 'static,
    most: usize,
) -> impl Strategy<Value = Criterion<T>> {
    prop_oneof![
        Just(Criterion::Any),
        prop::collection::vec(value, 0..=most).prop_map(Criterion::Of),
    ]
}

fn rule(objects: usize, groups: usize, services: usize) -> impl Strategy<Value = SecurityRuleDraft> {
    let rule_type = prop_oneof![
        4 => Just(RuleType::Universal),
        1 => Just(RuleType::Intrazone),
        1 => Just(RuleType::Interzone),
    ];
    let zone = || column((0..ZONES).prop_map(ZoneId), 2);
    let side = || (column(reference(objects, groups), 3), prop::bool::weighted(0.1));
    let services = u32::try_from(services).unwrap();
    let service = prop_oneof![
        Just(ServiceDraft::Any),
        Just(ServiceDraft::ApplicationDefault),
        prop::collection::vec((0..services).prop_map(ServiceId), 0..3).prop_map(ServiceDraft::Of),
    ];
    let apps = column(prop::sample::select(APPS.to_vec()), 2);
    let category = prop_oneof![
        4 => Just(Criterion::Any),
        1 => column((0..CATEGORIES).prop_map(CategoryId), 2),
    ];
    let action = prop::sample::select(Action::ALL.to_vec());
    let disabled = prop::bool::weighted(0.1);
    let columns = (side(), side(), apps, service, category);
    (rule_type, zone(), zone(), columns, action, disabled).prop_map(
        |(rule_type, from, to, columns, action, disabled)| {
            let (
                (source, negate_source),
                (destination, negate_destination),
                applications,
                service,
                categories,
            ) = columns;
            SecurityRuleDraft {
                rule_type,
                from,
                to,
                source,
                negate_source,
                destination,
                negate_destination,
                applications,
                service,
                categories,
                disabled,
                ..SecurityRuleDraft::new(Symbol::EMPTY, action)
            }
        },
    )
}

fn drafts(rules: std::ops::Range<usize>) -> impl Strategy<Value = Drafts> {
    (0_usize..6, 0_usize..6, 1_usize..4).prop_flat_map(move |(objects, groups, services)| {
        (
            prop::collection::vec(object(), objects),
            prop::collection::vec(group(objects, groups), groups),
            prop::collection::vec(service(), services),
            prop::collection::vec(rule(objects, groups, services), rules.clone()),
        )
            .prop_map(|(objects, groups, services, rules)| Drafts {
                objects,
                groups,
                services,
                rules,
            })
    })
}

/// A session, and the registered tags of its ends.
#[derive(Clone, Debug)]
struct Session {
    from: ZoneId,
    to: ZoneId,
    tuple: FlowTuple,
    app: AppKnowledge,
    category: Option<CategorySet>,
    tags: [TagSet; 2],
}

impl Session {
    fn known_app(&self) -> AppId {
        match self.app {
            AppKnowledge::Known(app) => app,
            AppKnowledge::Unknown => AppId::UNKNOWN_TCP,
        }
    }

    fn query(&self) -> Query<'_> {
        Query {
            from: self.from,
            to: self.to,
            tuple: self.tuple,
            app: self.app,
            category: self.category,
            src_tags: &self.tags[0],
            dst_tags: &self.tags[1],
        }
    }
}

fn session() -> impl Strategy<Value = Session> {
    let zone = || (0..ZONES).prop_map(ZoneId);
    let protocol = prop::sample::select(vec![IpProtocol::TCP, IpProtocol::UDP, IpProtocol::ICMP]);
    let app = prop_oneof![
        Just(AppKnowledge::Unknown),
        prop::sample::select(APPS.to_vec()).prop_map(AppKnowledge::Known),
    ];
    let categories = prop::collection::vec((0..CATEGORIES).prop_map(CategoryId), 0..3);
    let category = prop_oneof![
        Just(None),
        categories.prop_map(|categories| Some(categories.into_iter().collect())),
    ];
    let tags = || prop::collection::vec(tag(), 0..4).prop_map(|tags| tags.into_iter().collect::<TagSet>());
    let port = prop::sample::select(vec![22_u16, 53, 54, 443, 853, 9999]);
    let ends = (host(), host()).prop_filter("of one family", |(a, b)| a.is_ipv4() == b.is_ipv4());
    (
        zone(),
        zone(),
        (protocol, ends, 900_u16..2100, port),
        app,
        category,
        [tags(), tags()],
    )
        .prop_map(
            |(from, to, (protocol, (src, dst), sport, dport), app, category, tags)| Session {
                from,
                to,
                tuple: FlowTuple {
                    src,
                    dst,
                    sport,
                    dport,
                    protocol,
                },
                app,
                category,
                tags,
            },
        )
}

fn agree(drafts: &Drafts, sessions: &[Session]) -> Result<(), TestCaseError> {
    let policy = match drafts.build() {
        Ok(policy) => policy,
        Err(errors) => {
            let cyclic = errors
                .iter()
                .all(|error| matches!(error, BuildError::GroupCycle(_)));
            prop_assert!(cyclic, "{:?}", errors);
            return Ok(());
        }
    };
    for session in sessions {
        let query = session.query();
        let expected = drafts.decide(&query);
        prop_assert_eq!(
            policy.explain(&query).decision,
            expected,
            "the linear scan, of {:?}",
            session
        );
        prop_assert_eq!(policy.decide(&query), expected, "the index, of {:?}", session);
        let query = DecryptionQuery {
            from: session.from,
            to: session.to,
            tuple: session.tuple,
            category: session.category,
            src_tags: &session.tags[0],
            dst_tags: &session.tags[1],
        };
        prop_assert_eq!(
            policy.decide_decryption(&query),
            policy.explain_decryption(&query).decision
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn few_rules(drafts in drafts(0..12), sessions in prop::collection::vec(session(), 20)) {
        agree(&drafts, &sessions)?;
    }

    #[test]
    fn shadowed_rules_never_decide(
        mut drafts in drafts(1..5),
        sides in prop::collection::vec((0_u8..24, 0_u8..24, any::<[bool; 2]>()), 4),
        sessions in prop::collection::vec(session(), 60),
    ) {
        // Copies that differ in one column only are often covered.
        for rule in drafts.rules.clone() {
            for &(first, last, [source, negate]) in &sides {
                let mut copy = rule.clone();
                let range = Addresses::range(
                    Ipv4Addr::new(10, 0, 0, first.min(last)).into(),
                    Ipv4Addr::new(10, 0, 0, first.max(last)).into(),
                );
                let column = Criterion::Of(vec![AddressRef::Literal(range.unwrap())]);
                if source {
                    (copy.source, copy.negate_source) = (column, negate);
                } else {
                    (copy.destination, copy.negate_destination) = (column, negate);
                }
                drafts.rules.push(copy);
            }
        }
        let Ok(policy) = drafts.build() else { return Ok(()) };
        let shadowed = policy.shadowed();
        for session in &sessions {
            // While something is open, any rule that may match can be named.
            let query = Query {
                app: AppKnowledge::Known(session.known_app()),
                category: session.category.or(Some(CategorySet::NONE)),
                ..session.query()
            };
            let rule = policy.decide(&query).rule;
            prop_assert!(shadowed.iter().all(|&(shadowed, by)| shadowed != rule && by < shadowed), "{:?}", rule);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn many_blocks(drafts in drafts(200..500), sessions in prop::collection::vec(session(), 40)) {
        agree(&drafts, &sessions)?;
    }
}

/// More blocks than one word of the summary has bits; only the last rule of many matches.
#[test]
fn many_summary_words() {
    let never = SecurityRuleDraft {
        source: Criterion::Of(vec![AddressRef::Literal("192.0.2.1".parse().unwrap())]),
        ..SecurityRuleDraft::new(Symbol::EMPTY, Action::Drop)
    };
    let mut drafts = Drafts {
        objects: Vec::new(),
        groups: Vec::new(),
        services: Vec::new(),
        rules: vec![never; 9_000],
    };
    let session = Session {
        from: ZoneId(0),
        to: ZoneId(1),
        tuple: FlowTuple {
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            sport: 1,
            dport: 2,
            protocol: IpProtocol::UDP,
        },
        app: AppKnowledge::Unknown,
        category: None,
        tags: [TagSet::new(), TagSet::new()],
    };
    for at in [0, 63, 64, 4_095, 4_096, 8_191, 8_192, 8_999] {
        let kept = drafts.rules[at].clone();
        for column in [
            Criterion::Any,
            Criterion::Of(vec![AddressRef::Literal("10.0.0.0/8".parse().unwrap())]),
        ] {
            drafts.rules[at].source = column;
            let decision = drafts.build().unwrap().decide(&session.query());
            assert_eq!(decision.rule.index(), at);
        }
        drafts.rules[at] = kept;
    }
}
