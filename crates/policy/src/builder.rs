//! From drafts to a [`Policy`]: every id resolves, every bound holds, no group contains itself.

use std::collections::HashMap;
use std::sync::Arc;

use crate::address_group::{AddressBook, Cycle};
use crate::category::HostPatterns;
use crate::criteria::{AddressColumn, Criteria, ServiceColumn, applications, categories, zones};
use crate::draft::{DecryptionRuleDraft, SecurityRuleDraft, ServiceDraft, ZoneDraft};
use crate::id_set::IdSet;
use crate::policy::{Parts, Policy, ZoneTable};
use crate::{
    Action, AddressGroup, AddressGroupId, AddressId, AddressObject, AddressRef, CategoryId, CategorySet,
    Criterion, DecryptionProfile, DecryptionProfileId, DecryptionRule, DecryptionRuleId, GroupMembers,
    HostPattern, InterfaceId, ListId, Networks, RuleId, RuleType, SecurityRule, Service, ServiceId, Settings,
    SpywareProfile, SpywareProfileId, Symbol, Symbols, WireSpec, Zone, ZoneId,
};

/// Why drafts make no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An id of a part that was never added: the caller resolved a name wrongly.
    #[error("{by} names {what} number {number}, which was not added")]
    Dangling {
        /// The kind of part that names it.
        by: &'static str,
        /// The kind of part it names.
        what: &'static str,
        /// Its number.
        number: usize,
    },
    /// Groups contain each other, in this order; the last contains the first. A dynamic group contains a
    /// static group that carries a tag its filter names.
    #[error("address groups contain each other")]
    GroupCycle(Vec<AddressGroupId>),
    /// An interface, or one VLAN of it, is in two zones.
    #[error("an interface is in two zones")]
    InterfaceInTwoZones {
        /// The interface.
        interface: InterfaceId,
        /// The VLAN, where both zones name one.
        vlan: Option<u16>,
        /// The zones.
        zones: [ZoneId; 2],
    },
    /// An interface ends two wires, or both ends of one.
    #[error("an interface is used twice as the end of a virtual wire")]
    InterfaceOnTwoWires {
        /// The interface.
        interface: InterfaceId,
    },
    /// The networks or resolvers of a zone would depend on tags.
    #[error("the networks and resolvers of a zone cannot be a dynamic address group")]
    DynamicZone(ZoneId),
    /// More parts of a kind than fit.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// The kind of part.
        what: &'static str,
        /// How many fit.
        limit: usize,
    },
}

/// Collects the parts of a policy. Ids are given in order of adding, from 0; a part may name another
/// that is added after it.
#[derive(Clone, Debug, Default)]
pub struct PolicyBuilder {
    interfaces: Vec<Symbol>,
    zones: Vec<ZoneDraft>,
    wires: Vec<WireSpec>,
    addresses: Vec<AddressObject>,
    groups: Vec<AddressGroup>,
    services: Vec<Service>,
    categories: Vec<Symbol>,
    patterns: HostPatterns,
    lists: Vec<Symbol>,
    spyware: Vec<SpywareProfile>,
    decryption_profiles: Vec<DecryptionProfile>,
    rules: Vec<SecurityRuleDraft>,
    decryption_rules: Vec<DecryptionRuleDraft>,
    never_tag: Vec<AddressRef>,
    settings: Settings,
    /// The highest category a pattern was given for, and one more.
    pattern_categories: usize,
}

impl PolicyBuilder {
    /// Security rules and decryption rules, each.
    pub const MAX_RULES: usize = 65_536;
    /// Zones.
    pub const MAX_ZONES: usize = IdSet::CAPACITY;
    /// URL categories.
    pub const MAX_CATEGORIES: usize = CategorySet::CAPACITY;
    /// Interfaces, wires, lists and profiles, each.
    pub const MAX_PARTS: usize = 65_535;
    /// Address objects, groups and services, each.
    pub const MAX_OBJECTS: usize = 1 << 20;

    /// Nothing but the default rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interface.
    pub fn add_interface(&mut self, name: Symbol) -> InterfaceId {
        InterfaceId(push(&mut self.interfaces, name))
    }

    /// Adds a zone.
    pub fn add_zone(&mut self, zone: ZoneDraft) -> ZoneId {
        ZoneId(push(&mut self.zones, zone))
    }

    /// Adds a virtual wire; its number is the [`packet::Wire`] of its packets.
    pub fn add_wire(&mut self, wire: WireSpec) -> packet::Wire {
        packet::Wire(push(&mut self.wires, wire))
    }

    /// Adds an address object.
    pub fn add_address(&mut self, address: AddressObject) -> AddressId {
        AddressId(push(&mut self.addresses, address))
    }

    /// Adds an address group.
    pub fn add_group(&mut self, group: AddressGroup) -> AddressGroupId {
        AddressGroupId(push(&mut self.groups, group))
    }

    /// Adds a service.
    pub fn add_service(&mut self, service: Service) -> ServiceId {
        ServiceId(push(&mut self.services, service))
    }

    /// Adds a URL category, without hosts.
    pub fn add_category(&mut self, name: Symbol) -> CategoryId {
        CategoryId(push(&mut self.categories, name))
    }

    /// Puts hosts into a category.
    pub fn add_pattern(&mut self, category: CategoryId, pattern: &HostPattern) {
        self.pattern_categories = self.pattern_categories.max(category.index().saturating_add(1));
        self.patterns.add(category, pattern);
    }

    /// Adds an external list of domain names.
    pub fn add_list(&mut self, name: Symbol) -> ListId {
        ListId(push(&mut self.lists, name))
    }

    /// Adds an anti-spyware profile.
    pub fn add_spyware_profile(&mut self, profile: SpywareProfile) -> SpywareProfileId {
        SpywareProfileId(push(&mut self.spyware, profile))
    }

    /// Adds a decryption profile.
    pub fn add_decryption_profile(&mut self, profile: DecryptionProfile) -> DecryptionProfileId {
        DecryptionProfileId(push(&mut self.decryption_profiles, profile))
    }

    /// Adds a security rule behind those added before.
    pub fn add_rule(&mut self, rule: SecurityRuleDraft) -> RuleId {
        RuleId(push(&mut self.rules, rule))
    }

    /// Adds a decryption rule behind those added before.
    pub fn add_decryption_rule(&mut self, rule: DecryptionRuleDraft) -> DecryptionRuleId {
        DecryptionRuleId(push(&mut self.decryption_rules, rule))
    }

    /// Adds addresses that no action ever tags.
    pub fn add_never_tag(&mut self, addresses: impl IntoIterator<Item = AddressRef>) {
        self.never_tag.extend(addresses);
    }

    /// Replaces the settings.
    pub fn settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Proves the drafts and compiles them, or says everything that is wrong with them.
    pub fn build(self, symbols: Arc<Symbols>) -> Result<Policy, Vec<BuildError>> {
        let mut errors = self.check_bounds();
        errors.extend(self.check_references());
        errors.extend(self.check_wires());
        let zone_table = self.zone_table().map_err(|twice| errors.extend(twice));
        let book = AddressBook::build(&self.addresses, &self.groups)
            .map_err(|Cycle(groups)| errors.push(BuildError::GroupCycle(groups)));
        let (Ok(zone_table), Ok(book)) = (zone_table, book) else {
            return Err(errors);
        };
        let zones = self.zones(&book).map_err(|dynamic| errors.extend(dynamic));
        let (Ok(zones), true) = (zones, errors.is_empty()) else {
            return Err(errors);
        };
        let resolvers = Networks::union(zones.iter().map(|zone| &zone.resolvers));
        Ok(Policy::new(Parts {
            symbols,
            rules: self
                .rules
                .iter()
                .map(|draft| self.security_rule(&book, draft))
                .collect(),
            default_rules: [
                self.default_rule(
                    &book,
                    Symbol::INTRAZONE_DEFAULT,
                    RuleType::Intrazone,
                    Action::Allow,
                ),
                self.default_rule(
                    &book,
                    Symbol::INTERZONE_DEFAULT,
                    RuleType::Interzone,
                    Action::Deny,
                ),
            ],
            management_rule: self.default_rule(&book, Symbol::MANAGEMENT, RuleType::Universal, Action::Allow),
            decryption_rules: self.decryption_rules(&book),
            never_tag: book.flatten(&self.never_tag),
            objects: self.addresses,
            groups: self.groups,
            book,
            zones,
            zone_table,
            wires: self.wires,
            interfaces: self.interfaces,
            categories: self.categories,
            patterns: self.patterns,
            lists: self.lists,
            spyware: self.spyware,
            decryption_profiles: self.decryption_profiles,
            resolvers,
            settings: self.settings,
        }))
    }

    fn check_bounds(&self) -> Vec<BuildError> {
        let bounds = [
            ("zones", self.zones.len(), Self::MAX_ZONES),
            ("URL categories", self.categories.len(), Self::MAX_CATEGORIES),
            ("security rules", self.rules.len(), Self::MAX_RULES),
            ("decryption rules", self.decryption_rules.len(), Self::MAX_RULES),
            ("interfaces", self.interfaces.len(), Self::MAX_PARTS),
            ("virtual wires", self.wires.len(), Self::MAX_PARTS),
            ("external lists", self.lists.len(), Self::MAX_PARTS),
            ("anti-spyware profiles", self.spyware.len(), Self::MAX_PARTS),
            (
                "decryption profiles",
                self.decryption_profiles.len(),
                Self::MAX_PARTS,
            ),
            ("address objects", self.addresses.len(), Self::MAX_OBJECTS),
            ("address groups", self.groups.len(), Self::MAX_OBJECTS),
            ("services", self.services.len(), Self::MAX_OBJECTS),
        ];
        let over = bounds.into_iter().filter(|(_, count, limit)| count > limit);
        over.map(|(what, _, limit)| BuildError::TooMany { what, limit })
            .collect()
    }

    fn check_references(&self) -> Vec<BuildError> {
        let mut check = References {
            builder: self,
            by: "a zone",
            errors: Vec::new(),
        };
        for zone in &self.zones {
            zone.interfaces.iter().for_each(|&(id, _)| check.interface(id));
            check.addresses(&zone.networks);
            check.addresses(&zone.resolvers);
        }
        check.by = "a virtual wire";
        for wire in &self.wires {
            wire.interfaces.iter().for_each(|&id| check.interface(id));
        }
        check.by = "an address group";
        for group in &self.groups {
            match &group.members {
                GroupMembers::Static(members) => check.addresses(members),
                GroupMembers::Dynamic(_) => {}
            }
        }
        check.by = "never-tag";
        check.addresses(&self.never_tag);
        check.by = "a category's list";
        check.number(
            "category",
            self.pattern_categories.checked_sub(1),
            self.categories.len(),
        );
        check.by = "an anti-spyware profile";
        for (list, _) in self.spyware.iter().flat_map(|profile| &profile.lists) {
            check.number("list", Some(list.index()), self.lists.len());
        }
        check.by = "a security rule";
        for rule in &self.rules {
            check.rule(&rule.from, &rule.to, &rule.categories);
            check.sides(&rule.source, &rule.destination);
            if let ServiceDraft::Of(services) = &rule.service {
                check.services(services);
            }
            let spyware = rule.spyware.map(SpywareProfileId::index);
            check.number("anti-spyware profile", spyware, self.spyware.len());
        }
        check.by = "a decryption rule";
        for rule in &self.decryption_rules {
            check.rule(&rule.from, &rule.to, &rule.categories);
            check.sides(&rule.source, &rule.destination);
            check.services(rule.services.named());
            let profile = rule.profile.map(DecryptionProfileId::index);
            check.number("decryption profile", profile, self.decryption_profiles.len());
        }
        check.errors
    }

    fn check_wires(&self) -> Vec<BuildError> {
        let mut ends: Vec<InterfaceId> = self
            .wires
            .iter()
            .flat_map(WireSpec::distinct_interfaces)
            .copied()
            .collect();
        ends.sort_unstable();
        let twice = ends.chunk_by(|a, b| a == b).filter(|same| same.len() > 1);
        twice
            .filter_map(|same| same.first())
            .map(|&interface| BuildError::InterfaceOnTwoWires { interface })
            .collect()
    }

    fn zone_table(&self) -> Result<ZoneTable, Vec<BuildError>> {
        let mut owners: HashMap<(InterfaceId, Option<u16>), ZoneId> = HashMap::new();
        let mut table = ZoneTable::new(self.interfaces.len());
        let mut errors = Vec::new();
        for (id, zone) in (0..).map(ZoneId).zip(&self.zones) {
            for &(interface, vlan) in &zone.interfaces {
                if let Some(&owner) = owners.get(&(interface, vlan)) {
                    if owner != id {
                        errors.push(BuildError::InterfaceInTwoZones {
                            interface,
                            vlan,
                            zones: [owner, id],
                        });
                    }
                } else {
                    owners.insert((interface, vlan), id);
                    table.insert(interface, vlan, id);
                }
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    fn zones(&self, book: &AddressBook) -> Result<Vec<Zone>, Vec<BuildError>> {
        let mut errors = Vec::new();
        let mut zones = Vec::with_capacity(self.zones.len());
        for (id, draft) in (0..).map(ZoneId).zip(&self.zones) {
            let [networks, resolvers] =
                [&draft.networks, &draft.resolvers].map(|members| book.flatten(members));
            if !networks.dynamic.is_empty() || !resolvers.dynamic.is_empty() {
                errors.push(BuildError::DynamicZone(id));
            }
            zones.push(Zone {
                name: draft.name,
                networks: networks.fixed.networks,
                anti_spoof: draft.anti_spoof,
                resolvers: resolvers.fixed.networks,
                interfaces: draft.interfaces.clone(),
            });
        }
        if errors.is_empty() { Ok(zones) } else { Err(errors) }
    }

    fn default_rule(
        &self,
        book: &AddressBook,
        name: Symbol,
        rule_type: RuleType,
        action: Action,
    ) -> SecurityRule {
        let draft = SecurityRuleDraft {
            rule_type,
            ..SecurityRuleDraft::new(name, action)
        };
        self.security_rule(book, &draft)
    }

    fn security_rule(&self, book: &AddressBook, draft: &SecurityRuleDraft) -> SecurityRule {
        let (from, to) = zones(draft.rule_type, &draft.from, &draft.to);
        SecurityRule {
            name: draft.name,
            action: draft.action,
            spyware: draft.spyware,
            log_setting: draft.log_setting,
            log_start: draft.log_start,
            log_end: draft.log_end,
            icmp_unreachable: draft.icmp_unreachable,
            disabled: draft.disabled,
            tags: draft.tags.clone(),
            criteria: Criteria {
                disabled: draft.disabled,
                rule_type: draft.rule_type,
                from,
                to,
                source: addresses(book, &draft.source, draft.negate_source),
                destination: addresses(book, &draft.destination, draft.negate_destination),
                applications: applications(&draft.applications),
                service: match &draft.service {
                    ServiceDraft::Any => ServiceColumn::Any,
                    ServiceDraft::ApplicationDefault => ServiceColumn::ApplicationDefault,
                    ServiceDraft::Of(services) => self.services(services),
                },
                categories: categories(&draft.categories),
            },
        }
    }

    fn decryption_rules(&self, book: &AddressBook) -> Vec<DecryptionRule> {
        let compile = |draft: &DecryptionRuleDraft| {
            let (from, to) = zones(RuleType::Universal, &draft.from, &draft.to);
            DecryptionRule {
                name: draft.name,
                action: draft.action,
                profile: draft.profile,
                log_setting: draft.log_setting,
                log_success: draft.log_success,
                log_fail: draft.log_fail,
                disabled: draft.disabled,
                tags: draft.tags.clone(),
                criteria: Criteria {
                    disabled: draft.disabled,
                    rule_type: RuleType::Universal,
                    from,
                    to,
                    source: addresses(book, &draft.source, draft.negate_source),
                    destination: addresses(book, &draft.destination, draft.negate_destination),
                    applications: None,
                    service: match &draft.services {
                        Criterion::Any => ServiceColumn::Any,
                        Criterion::Of(services) => self.services(services),
                    },
                    categories: categories(&draft.categories),
                },
            }
        };
        self.decryption_rules.iter().map(compile).collect()
    }

    fn services(&self, ids: &[ServiceId]) -> ServiceColumn {
        let known = ids.iter().filter_map(|id| self.services.get(id.index()));
        ServiceColumn::Of(known.cloned().collect())
    }
}

/// Appends a part and returns its number. Past the type's range the number is its highest, and
/// [`PolicyBuilder::build`] refuses the policy for its size.
fn push<T, N: TryFrom<usize> + Bounded>(parts: &mut Vec<T>, part: T) -> N {
    let number = N::try_from(parts.len()).unwrap_or(N::MAX);
    parts.push(part);
    number
}

/// A number with a highest value.
trait Bounded {
    const MAX: Self;
}

impl Bounded for u16 {
    const MAX: Self = Self::MAX;
}

impl Bounded for u32 {
    const MAX: Self = Self::MAX;
}

fn addresses(book: &AddressBook, column: &Criterion<AddressRef>, negate: bool) -> AddressColumn {
    AddressColumn {
        members: match column {
            Criterion::Any => None,
            Criterion::Of(members) => Some(book.flatten(members)),
        },
        negate,
    }
}

impl<T> Criterion<T> {
    /// What the column names.
    fn named(&self) -> &[T] {
        match self {
            Self::Any => &[],
            Self::Of(named) => named,
        }
    }
}

/// Checks ids against what was added.
struct References<'a> {
    builder: &'a PolicyBuilder,
    by: &'static str,
    errors: Vec<BuildError>,
}

impl References<'_> {
    fn number(&mut self, what: &'static str, number: Option<usize>, count: usize) {
        if let Some(number) = number.filter(|&number| number >= count) {
            self.errors.push(BuildError::Dangling {
                by: self.by,
                what,
                number,
            });
        }
    }

    fn interface(&mut self, id: InterfaceId) {
        self.number("interface", Some(id.index()), self.builder.interfaces.len());
    }

    fn addresses(&mut self, addresses: &[AddressRef]) {
        for address in addresses {
            match address {
                AddressRef::Object(id) => {
                    self.number("address", Some(id.index()), self.builder.addresses.len());
                }
                AddressRef::Group(id) => {
                    self.number("address group", Some(id.index()), self.builder.groups.len());
                }
                AddressRef::Literal(_) => {}
            }
        }
    }

    fn services(&mut self, services: &[ServiceId]) {
        for id in services {
            self.number("service", Some(id.index()), self.builder.services.len());
        }
    }

    fn sides(&mut self, source: &Criterion<AddressRef>, destination: &Criterion<AddressRef>) {
        self.addresses(source.named());
        self.addresses(destination.named());
    }

    fn rule(&mut self, from: &Criterion<ZoneId>, to: &Criterion<ZoneId>, categories: &Criterion<CategoryId>) {
        for zone in from.named().iter().chain(to.named()) {
            self.number("zone", Some(zone.index()), self.builder.zones.len());
        }
        for category in categories.named() {
            self.number("category", Some(category.index()), self.builder.categories.len());
        }
    }
}
