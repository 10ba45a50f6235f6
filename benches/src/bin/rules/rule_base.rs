//! Rule bases in the manner of `ClassBench` (Taylor and Turner, 2007), with what PAN-OS adds: address groups,
//! static and dynamic, that rules name instead of prefixes.
//!
//! As there, prefixes nest, few of them are short, and services are mostly single ports. A trace is made as
//! theirs is: of sessions that a chosen rule accepts, whatever rule before it may take them.

use std::{net::IpAddr, net::Ipv4Addr, sync::Arc};

use cordon_benches::Random;
use packet::{FlowTuple, IpProtocol};
use policy::{
    Action, AddressGroup, AddressGroupId, AddressId, AddressObject, AddressRef, AddressValue, AntiSpoof,
    AppId, Criterion, GroupMembers, Policy, PolicyBuilder, PortSet, SecurityRuleDraft, Service, ServiceDraft,
    ServiceId, Symbol, Symbols, SymbolsBuilder, TagFilter, ZoneDraft, ZoneId,
};
use tags::{Addresses, TagId, TagNames, TagSet};

const ZONES: u16 = 8;
const OBJECTS: u32 = 4_000;
const STATIC_GROUPS: u32 = 700;
const DYNAMIC_GROUPS: u32 = 300;
const TAGS: u32 = 200;
const SERVICES: u32 = 200;

/// A rule base, and what is needed to find sessions for its rules.
pub(crate) struct RuleBase {
    builder: PolicyBuilder,
    rules: Vec<SecurityRuleDraft>,
    prefixes: Vec<Addresses>,
    groups: Vec<Group>,
    services: Vec<(IpProtocol, u16)>,
}

/// Somebody in a group.
enum Group {
    /// Each object that it names.
    Static(Vec<AddressId>),
    /// Tags that satisfy its filter.
    Dynamic(Vec<TagId>),
}

/// A session to be decided.
pub(crate) struct Session {
    pub(crate) from: ZoneId,
    pub(crate) to: ZoneId,
    pub(crate) tuple: FlowTuple,
    pub(crate) app: AppId,
    pub(crate) src_tags: TagSet,
    pub(crate) dst_tags: TagSet,
}

impl RuleBase {
    /// A rule base of so many rules. The objects and groups are always as many.
    pub(crate) fn new(rules: u32, random: &mut Random) -> Self {
        let mut base = Self {
            builder: PolicyBuilder::new(),
            rules: Vec::new(),
            prefixes: Vec::new(),
            groups: Vec::new(),
            services: Vec::new(),
        };
        for _ in 0..ZONES {
            base.builder.add_zone(ZoneDraft {
                name: Symbol::EMPTY,
                interfaces: Vec::new(),
                networks: Vec::new(),
                anti_spoof: AntiSpoof::NoTag,
                resolvers: Vec::new(),
            });
        }
        base.add_objects(random);
        base.add_groups(random);
        base.add_services(random);
        for _ in 0..rules {
            let rule = Self::rule(random);
            base.builder.add_rule(rule.clone());
            base.rules.push(rule);
        }
        base
    }

    /// Forty sites of a /16 each, networks in them, hosts in those; and every fourth is anywhere.
    fn add_objects(&mut self, random: &mut Random) {
        for _ in 0..OBJECTS {
            let site = if random.percent(25) {
                random.below(0xdf00) << 16
            } else {
                0x0a00_0000 | random.below(40) << 16
            };
            let network = site | random.below(64) << 8;
            let (bits, length) = match random.below(100) {
                0..3 => (site, 16),
                3..10 => (network & !0x0f00, 20),
                10..50 => (network, 24),
                50..60 => (network | random.below(16) << 4, 28),
                _ => (network | random.below(256), 32),
            };
            let prefix = Addresses::prefix(Ipv4Addr::from_bits(bits).into(), length).expect("a prefix");
            self.prefixes.push(prefix);
            self.builder.add_address(AddressObject {
                name: Symbol::EMPTY,
                value: AddressValue::Addresses(prefix),
                tags: Vec::new(),
            });
        }
    }

    fn add_groups(&mut self, random: &mut Random) {
        for _ in 0..STATIC_GROUPS {
            let members: Vec<AddressId> = (0..=random.below(8))
                .map(|_| AddressId(random.below(OBJECTS)))
                .collect();
            let refs = members.iter().copied().map(AddressRef::Object).collect();
            self.add_group(GroupMembers::Static(refs), Group::Static(members));
        }
        let names = TagNames::new();
        for _ in 0..DYNAMIC_GROUPS {
            let [a, b] = [0; 2].map(|_| format!("tag-{}", random.below(TAGS)));
            let (filter, needed) = match random.below(4) {
                0 => (format!("'{a}' and '{b}'"), vec![&a, &b]),
                1 => (format!("'{a}' or '{b}'"), vec![&b]),
                _ => (format!("'{a}'"), vec![&a]),
            };
            let filter = TagFilter::parse(&filter, &names).expect("a filter");
            let needed = needed.into_iter().filter_map(|tag| names.get(tag)).collect();
            self.add_group(GroupMembers::Dynamic(filter), Group::Dynamic(needed));
        }
    }

    fn add_group(&mut self, members: GroupMembers, group: Group) {
        self.builder.add_group(AddressGroup {
            name: Symbol::EMPTY,
            members,
            tags: Vec::new(),
        });
        self.groups.push(group);
    }

    fn add_services(&mut self, random: &mut Random) {
        const KNOWN: [u16; 12] = [22, 25, 53, 80, 123, 143, 389, 443, 445, 993, 3306, 8080];
        for number in 0..SERVICES {
            let port = match random.below(10) {
                0..5 => *random.pick(&KNOWN),
                _ => u16::try_from(1 + random.below(60_000)).expect("a port"),
            };
            let ports = match number % 8 {
                0 => "1024-65535".to_owned(),
                1 => format!("{port}-{}", port.saturating_add(20)),
                _ => port.to_string(),
            };
            let protocol = if random.percent(70) {
                IpProtocol::TCP
            } else {
                IpProtocol::UDP
            };
            let port = if number % 8 == 0 { 40_000 } else { port };
            self.services.push((protocol, port));
            self.builder.add_service(Service {
                name: Symbol::EMPTY,
                protocol,
                ports: ports.parse().expect("ports"),
                source_ports: PortSet::any(),
            });
        }
    }

    fn rule(random: &mut Random) -> SecurityRuleDraft {
        const APPS: [AppId; 5] = [
            AppId::DNS,
            AppId::SSL,
            AppId::SSH,
            AppId::WEB_BROWSING,
            AppId::NTP,
        ];
        let zone = |random: &mut Random| {
            if random.percent(20) {
                return Criterion::Any;
            }
            Criterion::Of(vec![ZoneId(
                u16::try_from(random.below(ZONES.into())).expect("few"),
            )])
        };
        let action = if random.percent(70) {
            Action::Allow
        } else {
            Action::Deny
        };
        let mut rule = SecurityRuleDraft::new(Symbol::EMPTY, action);
        rule.from = zone(random);
        rule.to = zone(random);
        rule.source = Self::addresses(random);
        rule.destination = Self::addresses(random);
        // A rule for everybody hides those behind it; the last lines of a rule base are for that.
        if rule.source == Criterion::Any && rule.destination == Criterion::Any {
            rule.destination = Criterion::Of(vec![AddressRef::Object(AddressId(random.below(OBJECTS)))]);
        }
        rule.service = match random.below(10) {
            0..2 => ServiceDraft::Any,
            2 => ServiceDraft::ApplicationDefault,
            _ => ServiceDraft::Of(
                (0..=random.below(3))
                    .map(|_| ServiceId(random.below(SERVICES)))
                    .collect(),
            ),
        };
        if random.percent(15) {
            rule.applications = Criterion::Of(vec![*random.pick(&APPS)]);
        }
        rule
    }

    fn addresses(random: &mut Random) -> Criterion<AddressRef> {
        let object = |random: &mut Random| AddressRef::Object(AddressId(random.below(OBJECTS)));
        let group = |number| AddressRef::Group(AddressGroupId(number));
        Criterion::Of(match random.below(100) {
            0..15 => return Criterion::Any,
            15..50 => vec![object(random)],
            50..60 => vec![object(random), object(random)],
            60..85 => vec![group(random.below(STATIC_GROUPS))],
            _ => vec![group(STATIC_GROUPS + random.below(DYNAMIC_GROUPS))],
        })
    }

    /// A session that the rule accepts, if none before it does.
    pub(crate) fn session(&self, rule: usize, random: &mut Random) -> Session {
        let rule = &self.rules[rule];
        let mut zone = |zones: &Criterion<ZoneId>| match zones {
            Criterion::Any => ZoneId(u16::try_from(random.below(ZONES.into())).expect("few")),
            Criterion::Of(zones) => zones[0],
        };
        let (from, to) = (zone(&rule.from), zone(&rule.to));
        let (src, src_tags) = self.member(&rule.source, random);
        let (dst, dst_tags) = self.member(&rule.destination, random);
        let (protocol, dport) = match &rule.service {
            ServiceDraft::Of(services) => self.services[services[0].0 as usize],
            ServiceDraft::Any | ServiceDraft::ApplicationDefault => (IpProtocol::TCP, 443),
        };
        let app = match &rule.applications {
            Criterion::Any => AppId::SSL,
            Criterion::Of(apps) => apps[0],
        };
        Session {
            from,
            to,
            tuple: FlowTuple {
                src,
                dst,
                sport: u16::try_from(1024 + random.below(60_000)).expect("a port"),
                dport,
                protocol,
            },
            app,
            src_tags,
            dst_tags,
        }
    }

    fn member(&self, addresses: &Criterion<AddressRef>, random: &mut Random) -> (IpAddr, TagSet) {
        let anybody = Ipv4Addr::from_bits(0x0a00_0000 | random.below(40) << 16 | random.below(1 << 14));
        let mut tags = TagSet::new();
        // One host in ten carries a tag that has nothing to do with the rule.
        if random.percent(10) {
            tags.extend([*random.pick(&self.tags())]);
        }
        let Criterion::Of(members) = addresses else {
            return (anybody.into(), tags);
        };
        let object = match *random.pick(members) {
            AddressRef::Object(object) => object,
            AddressRef::Group(group) => match &self.groups[group.0 as usize] {
                Group::Static(objects) => *random.pick(objects),
                Group::Dynamic(needed) => {
                    tags.extend(needed.iter().copied());
                    return (anybody.into(), tags);
                }
            },
            AddressRef::Literal(_) => return (anybody.into(), tags),
        };
        let prefix = &self.prefixes[object.0 as usize];
        let (IpAddr::V4(first), IpAddr::V4(last)) = (prefix.first(), prefix.last()) else {
            return (prefix.first(), tags);
        };
        let host = first.to_bits() + random.below(last.to_bits() - first.to_bits() + 1);
        (Ipv4Addr::from_bits(host).into(), tags)
    }

    fn tags(&self) -> Vec<TagId> {
        let needed = self.groups.iter().filter_map(|group| match group {
            Group::Dynamic(needed) => Some(needed),
            Group::Static(_) => None,
        });
        needed.flatten().copied().collect()
    }

    /// The policy of it, as a commit makes it.
    pub(crate) fn compile(&self) -> Policy {
        let symbols: Symbols = SymbolsBuilder::new().freeze();
        self.builder
            .clone()
            .build(Arc::new(symbols))
            .expect("built right")
    }
}
