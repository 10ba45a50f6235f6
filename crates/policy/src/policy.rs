//! A proven policy: everything the firewall decides by, shared by all workers and never changed.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use packet::{DomainName, VlanTags, Wire};
use tags::TagSet;

use crate::address_group::{AddressBook, Flattened};
use crate::category::HostPatterns;
use crate::criteria::Facts;
use crate::decryption::FirstDecryptionMatch;
use crate::rule_index::{Candidate, RuleIndex};
use crate::security::FirstMatch;
use crate::{
    Action, AddressGroup, AddressGroupId, AddressObject, AntiSpoof, AppKnowledge, CategoryId, CategorySet,
    Decision, DecryptionDecision, DecryptionProfile, DecryptionProfileId, DecryptionQuery, DecryptionRule,
    DecryptionRuleId, InterfaceId, ListId, Match, Networks, Query, RuleId, SecurityRule, Settings, Sinkhole,
    SpywareProfile, SpywareProfileId, Symbol, Symbols, WireSpec, Zone, ZoneId,
};

/// A policy. Made by [`PolicyBuilder::build`](crate::PolicyBuilder::build).
#[derive(Debug)]
pub struct Policy {
    parts: Parts,
    /// Over the security rules and the default rules behind them.
    rule_index: RuleIndex,
    decryption_index: RuleIndex,
    /// What each rule does, close together: a decision looks at no more of most rules.
    actions: Vec<Action>,
    /// What ids of other policies get.
    nowhere: Zone,
    no_profile: SpywareProfile,
}

/// What a policy consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) symbols: Arc<Symbols>,
    pub(crate) interfaces: Vec<Symbol>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) zone_table: ZoneTable,
    pub(crate) wires: Vec<WireSpec>,
    pub(crate) objects: Vec<AddressObject>,
    pub(crate) groups: Vec<AddressGroup>,
    pub(crate) book: AddressBook,
    pub(crate) categories: Vec<Symbol>,
    pub(crate) patterns: HostPatterns,
    pub(crate) lists: Vec<Symbol>,
    pub(crate) spyware: Vec<SpywareProfile>,
    pub(crate) decryption_profiles: Vec<DecryptionProfile>,
    pub(crate) rules: Vec<SecurityRule>,
    /// Those within a zone and between zones, behind all others.
    pub(crate) default_rules: [SecurityRule; 2],
    /// What [`Settings::management`] covers is allowed by; stands before all others, and is numbered last.
    pub(crate) management_rule: SecurityRule,
    pub(crate) decryption_rules: Vec<DecryptionRule>,
    pub(crate) resolvers: Networks,
    pub(crate) never_tag: Flattened,
    pub(crate) settings: Settings,
}

impl Policy {
    pub(crate) fn new(parts: Parts) -> Self {
        let zones = parts.zones.len();
        let security = parts
            .rules
            .iter()
            .chain(&parts.default_rules)
            .map(|rule| &rule.criteria);
        let decryption = parts.decryption_rules.iter().map(|rule| &rule.criteria);
        Self {
            rule_index: RuleIndex::build(security, zones, &parts.book),
            decryption_index: RuleIndex::build(decryption, zones, &parts.book),
            actions: parts
                .rules
                .iter()
                .chain(&parts.default_rules)
                .map(|rule| rule.action)
                .collect(),
            parts,
            nowhere: Zone {
                name: Symbol::EMPTY,
                networks: Networks::default(),
                anti_spoof: AntiSpoof::NoTag,
                resolvers: Networks::default(),
                interfaces: Vec::new(),
            },
            no_profile: SpywareProfile {
                name: Symbol::EMPTY,
                lists: Vec::new(),
                sinkhole: Sinkhole::default(),
                exceptions: Vec::new(),
            },
        }
    }

    pub(crate) fn book(&self) -> &AddressBook {
        &self.parts.book
    }

    /// What is decided of a session: by [`Settings::management`], else by the rules.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        self.management(query)
            .unwrap_or_else(|| self.decide_by_rules(query))
    }

    /// What the security rules say of a session: the first that matches decides. Where the application
    /// or the name of the host is still to be known, see [`Decision::provisional`] and
    /// [`Decision::name_matters`]. For sessions inside tunnels, whose ends anybody can claim to be an administrator.
    pub fn decide_by_rules(&self, query: &Query<'_>) -> Decision {
        let facts = self.facts(query);
        let mut first = FirstMatch::default();
        let decided = self.rule_index.visit(&facts, |candidate| match candidate {
            Candidate::Certain(number) => {
                let id = RuleId(narrow(number));
                debug_assert_eq!(
                    self.rule(id).criteria.check(self.book(), &facts),
                    Match::Sure,
                    "{id:?}"
                );
                first.visit(id, self.action(number), Match::Sure)
            }
            Candidate::Possible(number) => {
                let id = RuleId(narrow(number));
                first.visit(
                    id,
                    self.action(number),
                    self.rule(id).criteria.check(self.book(), &facts),
                )
            }
        });
        match decided {
            ControlFlow::Break(decision) => decision,
            ControlFlow::Continue(()) => self.nothing_matches(),
        }
    }

    /// What the decryption rules say of a session.
    pub fn decide_decryption(&self, query: &DecryptionQuery<'_>) -> DecryptionDecision {
        let facts = self.decryption_facts(query);
        let mut first = FirstDecryptionMatch::default();
        let decided = self.decryption_index.visit(&facts, |candidate| {
            // Few sessions are asked about here; the rule is needed anyway.
            let (Candidate::Certain(number) | Candidate::Possible(number)) = candidate;
            let id = DecryptionRuleId(narrow(number));
            let Some(rule) = self.decryption_rule(id) else {
                return ControlFlow::Continue(());
            };
            first.visit(id, rule, rule.criteria.check(self.book(), &facts))
        });
        match decided {
            ControlFlow::Break(decision) => decision,
            ControlFlow::Continue(()) => first.none(),
        }
    }

    fn action(&self, number: usize) -> Action {
        self.actions.get(number).copied().unwrap_or(Action::Deny)
    }

    pub(crate) fn facts<'a>(&'a self, query: &'a Query<'_>) -> Facts<'a> {
        let book = &self.parts.book;
        Facts {
            from: query.from,
            to: query.to,
            tuple: &query.tuple,
            app: query.app,
            category: query.category.as_ref(),
            src: book.carried(query.tuple.src, query.src_tags),
            dst: book.carried(query.tuple.dst, query.dst_tags),
        }
    }

    pub(crate) fn decryption_facts<'a>(&'a self, query: &'a DecryptionQuery<'_>) -> Facts<'a> {
        let book = &self.parts.book;
        Facts {
            from: query.from,
            to: query.to,
            tuple: &query.tuple,
            app: AppKnowledge::Unknown,
            category: query.category.as_ref(),
            src: book.carried(query.tuple.src, query.src_tags),
            dst: book.carried(query.tuple.dst, query.dst_tags),
        }
    }

    /// What stands before all rules.
    pub(crate) fn management(&self, query: &Query<'_>) -> Option<Decision> {
        let covered = self.parts.settings.management.covers(&query.tuple);
        covered.then(|| Decision {
            rule: RuleId(narrow(self.parts.rules.len()).saturating_add(2)),
            action: Action::Allow,
            provisional: false,
            name_matters: false,
        })
    }

    /// One of the default rules always matches; should neither, nothing passes.
    pub fn nothing_matches(&self) -> Decision {
        Decision {
            rule: RuleId(narrow(self.parts.rules.len()).saturating_add(1)),
            action: Action::Deny,
            provisional: false,
            name_matters: false,
        }
    }

    /// Every security rule in order, the two default rules last.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &SecurityRule)> {
        let all = self.parts.rules.iter().chain(&self.parts.default_rules);
        (0..).map(RuleId).zip(all)
    }

    /// A security rule, or the one that stands for [`Settings::management`]. An id of another policy may get the rule
    /// that refuses sessions between zones.
    pub fn rule(&self, id: RuleId) -> &SecurityRule {
        let Parts {
            rules,
            default_rules: [intrazone, interzone],
            management_rule,
            ..
        } = &self.parts;
        rules
            .get(id.index())
            .unwrap_or_else(|| match id.index().wrapping_sub(rules.len()) {
                0 => intrazone,
                2 => management_rule,
                _ => interzone,
            })
    }

    /// Whether TLS sessions with a server by this name stay closed whatever the rules say: compare the name the client
    /// asks for, and the common name of the server's certificate.
    pub fn excluded_from_decryption(&self, host: &DomainName) -> bool {
        self.parts.settings.decryption.exclusions.contain(host)
    }

    /// Every decryption rule in order.
    pub fn decryption_rules(&self) -> impl ExactSizeIterator<Item = (DecryptionRuleId, &DecryptionRule)> {
        let numbered = self.parts.decryption_rules.iter().enumerate();
        numbered.map(|(number, rule)| (DecryptionRuleId(narrow(number)), rule))
    }

    /// A decryption rule; `None` for an id of another policy.
    pub fn decryption_rule(&self, id: DecryptionRuleId) -> Option<&DecryptionRule> {
        self.parts.decryption_rules.get(id.index())
    }

    /// The names of this policy and those before it.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.parts.symbols
    }

    /// The zone of frames on an interface: that of their outermost VLAN (0: untagged) where a zone names
    /// it, else that of the interface.
    pub fn zone_of(&self, interface: InterfaceId, vlans: VlanTags) -> Option<ZoneId> {
        self.parts.zone_table.get(interface, vlans.outer().unwrap_or(0))
    }

    /// A zone. An id of another policy gets a zone without a name.
    pub fn zone(&self, id: ZoneId) -> &Zone {
        self.parts.zones.get(id.index()).unwrap_or(&self.nowhere)
    }

    /// Every zone, in order of their ids.
    pub fn zones(&self) -> &[Zone] {
        &self.parts.zones
    }

    /// The zone with this name.
    pub fn zone_id(&self, name: Symbol) -> Option<ZoneId> {
        let number = self.parts.zones.iter().position(|zone| zone.name == name)?;
        u16::try_from(number).ok().map(ZoneId)
    }

    /// Every virtual wire; [`Wire`] is the index.
    pub fn wires(&self) -> &[WireSpec] {
        &self.parts.wires
    }

    /// A virtual wire; `None` for one of another policy.
    pub fn wire(&self, wire: Wire) -> Option<&WireSpec> {
        self.parts.wires.get(usize::from(wire.0))
    }

    /// The name of an interface; empty for an id of another policy.
    pub fn interface_name(&self, id: InterfaceId) -> Symbol {
        self.parts.interfaces.get(id.index()).copied().unwrap_or_default()
    }

    /// The names of the interfaces, in order of their ids.
    pub fn interfaces(&self) -> &[Symbol] {
        &self.parts.interfaces
    }

    /// The name of an external list of domain names; empty for an id of another policy.
    pub fn list_name(&self, id: ListId) -> Symbol {
        self.parts.lists.get(id.index()).copied().unwrap_or_default()
    }

    /// The name of a URL category; empty for an id of another policy.
    pub fn category_name(&self, id: CategoryId) -> Symbol {
        self.parts.categories.get(id.index()).copied().unwrap_or_default()
    }

    /// The URL category with this name.
    pub fn category_id(&self, name: Symbol) -> Option<CategoryId> {
        let number = self
            .parts
            .categories
            .iter()
            .position(|&category| category == name)?;
        u16::try_from(number).ok().map(CategoryId)
    }

    /// The URL categories that have a pattern for `host`.
    pub fn categorize(&self, host: &DomainName) -> CategorySet {
        self.parts.patterns.categorize(host)
    }

    /// Whether `address` asks DNS for others, in any zone.
    pub fn is_resolver(&self, address: IpAddr) -> bool {
        self.parts.resolvers.contains(address)
    }

    /// Whether any zone says who asks DNS for others.
    pub fn lists_resolvers(&self) -> bool {
        !self.parts.resolvers.is_empty()
    }

    /// Whether `address` is a sinkhole of any profile.
    pub fn is_sinkhole(&self, address: IpAddr) -> bool {
        let mut profiles = self.parts.spyware.iter();
        profiles.any(|profile| profile.sinkhole.contains(address))
    }

    /// Whether no action may tag `address`, of which `registered` are the registered tags: dynamic groups
    /// can stand under `never-tag`. Resolvers and sinkholes are apart.
    pub fn never_tag(&self, address: IpAddr, registered: &TagSet) -> bool {
        let book = &self.parts.book;
        book.holds(&self.parts.never_tag, &book.carried(address, registered))
    }

    /// An anti-spyware profile. An id of another policy gets a profile without lists.
    pub fn spyware(&self, id: SpywareProfileId) -> &SpywareProfile {
        self.parts.spyware.get(id.index()).unwrap_or(&self.no_profile)
    }

    /// Every anti-spyware profile, in order of their ids.
    pub fn spyware_profiles(&self) -> &[SpywareProfile] {
        &self.parts.spyware
    }

    /// A decryption profile; `None` for an id of another policy.
    pub fn decryption_profile(&self, id: DecryptionProfileId) -> Option<&DecryptionProfile> {
        self.parts.decryption_profiles.get(id.index())
    }

    /// The device settings.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The tags that objects and groups of the configuration give to `address`, besides the registered ones.
    pub fn static_tags(&self, address: IpAddr) -> TagSet {
        self.parts.book.carried(address, &TagSet::new()).iter().collect()
    }

    /// Every tag that `address` carries for the rules.
    pub fn carried_tags(&self, address: IpAddr, registered: &TagSet) -> TagSet {
        self.parts.book.carried(address, registered).iter().collect()
    }

    /// The address objects, in order of their ids.
    pub fn addresses(&self) -> &[AddressObject] {
        &self.parts.objects
    }

    /// The address groups, in order of their ids.
    pub fn groups(&self) -> &[AddressGroup] {
        &self.parts.groups
    }

    /// The address group with this name.
    pub fn group_id(&self, name: Symbol) -> Option<AddressGroupId> {
        let number = self.parts.groups.iter().position(|group| group.name == name)?;
        u32::try_from(number).ok().map(AddressGroupId)
    }

    /// Whether `address`, of which `registered` are the registered tags, is in a group.
    pub fn is_member(&self, group: AddressGroupId, address: IpAddr, registered: &TagSet) -> bool {
        let book = &self.parts.book;
        book.is_member(group, &book.carried(address, registered))
    }
}

/// Ids of rules fit: the builder bounds their number.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The zone of every interface and VLAN.
#[derive(Clone, Debug)]
pub(crate) struct ZoneTable(Vec<InterfaceZones>);

#[derive(Clone, Debug, Default)]
struct InterfaceZones {
    whole: Option<ZoneId>,
    vlans: Vec<(u16, ZoneId)>,
}

impl ZoneTable {
    pub(crate) fn new(interfaces: usize) -> Self {
        Self(vec![InterfaceZones::default(); interfaces])
    }

    pub(crate) fn insert(&mut self, interface: InterfaceId, vlan: Option<u16>, zone: ZoneId) {
        if let Some(zones) = self.0.get_mut(interface.index()) {
            match vlan {
                Some(vlan) => zones.vlans.push((vlan, zone)),
                None => zones.whole = Some(zone),
            }
        }
    }

    fn get(&self, interface: InterfaceId, vlan: u16) -> Option<ZoneId> {
        let zones = self.0.get(interface.index())?;
        let named = zones.vlans.iter().find(|&&(named, _)| named == vlan);
        named.map(|&(_, zone)| zone).or(zones.whole)
    }
}
