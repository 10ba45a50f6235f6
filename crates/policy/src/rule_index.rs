//! Which rules can match a session at all, without asking each.
//!
//! Every column has, for each value a session can have there, the set of rules that accept it. A set may hold
//! too many rules, never too few: negated columns, wildcards and the like are not worth sets of their own. A
//! rule with such a column is yielded as [`Candidate::Possible`], and the caller asks [`Criteria::check`]; all
//! others match as they come, without a look at the rule.
//!
//! Most rules name addresses on at least one side. Those that name the session's own are few: they are listed
//! (see [`RuleSets`]), and the lists of both sides are compared. Where an address stands in too many rules for a
//! list, the sets are intersected as bits, 64 rules at a time, and summaries skip blocks in which no rule is
//! left. Rules that name no address on either side have a set of their own for each pair of zones.

mod blocks;
mod lists;
mod side;

use std::ops::ControlFlow;

use crate::address_group::{AddressBook, Flattened};
use crate::criteria::{AddressColumn, Criteria, Facts, ServiceColumn};
use crate::rule_bits::{BitStore, BitStoreBuilder, RuleBits, StoredBits};
use crate::rule_sets::RuleSets;
use crate::rule_traits::Traits;
use crate::service_index::Services;
use crate::{AppId, AppKnowledge, PortSet, RuleType, TagFilter, ZoneId};
use side::{Named, Side, SideDraft};

/// Few addresses stand in more rules than that.
const MOSTLY: usize = 32;
const _: () = assert!(RuleSets::LONGEST.is_power_of_two());

/// An index over the criteria of a rule base.
#[derive(Clone, Debug)]
pub(crate) struct RuleIndex {
    rules: usize,
    summary: usize,
    /// By zone.
    from: Vec<RuleBits>,
    /// By zone, for sessions that stay in it.
    to_same: Vec<RuleBits>,
    /// By zone, for sessions that come from another.
    to_other: Vec<RuleBits>,
    /// By pair of zones: rules for any source and any destination.
    open: Vec<Open>,
    open_store: BitStore,
    source: Side,
    destination: Side,
    services: Services,
    /// By application; `None` where no rule but those for any application accepts it.
    apps: Vec<Option<RuleBits>>,
    any_app: RuleBits,
    /// Rules that are not disabled.
    live: RuleBits,
    /// Rules that the sets say everything about, once the application is known.
    exact: RuleBits,
    /// Those of them that do not ask for an application.
    exact_without_app: RuleBits,
}

/// A rule that the index yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// It matches: [`Criteria::check`] would say [`Match::Sure`](crate::Match::Sure).
    Certain(usize),
    /// It may match.
    Possible(usize),
}

/// Rules for any source and any destination.
#[derive(Clone, Copy, Debug)]
struct Open {
    rules: StoredBits,
    /// The first of them; `usize::MAX` where there is none.
    first: usize,
}

/// The sets of a session in all columns but the addresses.
struct Columns<'a> {
    from: &'a RuleBits,
    to: &'a RuleBits,
    app: &'a RuleBits,
    service: StoredBits,
    open: Open,
    exact: &'a RuleBits,
}

impl Columns<'_> {
    /// A rule that all sets hold.
    fn candidate(&self, rule: usize) -> Candidate {
        if self.exact.contains(rule) {
            Candidate::Certain(rule)
        } else {
            Candidate::Possible(rule)
        }
    }
}

impl RuleIndex {
    pub(crate) fn build<'a>(
        rules: impl Iterator<Item = &'a Criteria>,
        zones: usize,
        book: &AddressBook,
    ) -> Self {
        let all: Vec<&Criteria> = rules.collect();
        let blocks = all.len().div_ceil(64);
        let bits = |accepts: &dyn Fn(&Criteria) -> bool| {
            let live = all
                .iter()
                .enumerate()
                .filter(|(_, rule)| !rule.disabled && accepts(rule));
            RuleBits::from_rules(blocks, live.map(|(number, _)| number))
        };
        let by_zone = |accepts: &dyn Fn(&Criteria, ZoneId) -> bool| -> Vec<RuleBits> {
            let zones = (0..zones).map(|number| ZoneId(u16::try_from(number).unwrap_or(u16::MAX)));
            zones.map(|zone| bits(&|rule| accepts(rule, zone))).collect()
        };
        let from = by_zone(&|rule, zone| rule.from.contains(zone.index()));
        let to_same =
            by_zone(&|rule, zone| rule.rule_type != RuleType::Interzone && rule.to.contains(zone.index()));
        let to_other =
            by_zone(&|rule, zone| rule.rule_type != RuleType::Intrazone && rule.to.contains(zone.index()));
        let sources = SideDraft::new(book, blocks, all.iter().map(|rule| (rule.disabled, &rule.source)));
        let destinations = SideDraft::new(
            book,
            blocks,
            all.iter().map(|rule| (rule.disabled, &rule.destination)),
        );
        let services = Services::build(blocks, &all);
        let traits = Traits::of_rules(&all, &services);
        let open_sides = sources.any.and(&destinations.any);
        let mut open_store = BitStoreBuilder::new(RuleBits::new(blocks));
        let mut open = Vec::with_capacity(from.len().saturating_mul(from.len()));
        for (number, from) in from.iter().enumerate() {
            let from = from.and(&open_sides);
            for (other, (same, different)) in to_same.iter().zip(&to_other).enumerate() {
                let to = if number == other { same } else { different };
                let rules = from.and(to);
                open.push(Open {
                    rules: open_store.store(rules.blocks()),
                    first: rules.iter().next().unwrap_or(usize::MAX),
                });
            }
        }
        Self {
            rules: all.len(),
            summary: blocks.div_ceil(64),
            from,
            to_same,
            to_other,
            open,
            open_store: open_store.finish(),
            services,
            apps: AppId::all()
                .map(|app| {
                    let named = all
                        .iter()
                        .any(|rule| rule.applications.is_some_and(|apps| apps.contains(app)));
                    named.then(|| bits(&|rule| rule.applications.is_none_or(|apps| apps.contains(app))))
                })
                .collect(),
            any_app: bits(&|rule| rule.applications.is_none()),
            exact: bits(&|rule| rule.is_exact(book)),
            exact_without_app: bits(&|rule| rule.applications.is_none() && rule.is_exact(book)),
            live: bits(&|_| true),
            source: sources.clone().finish(destinations.any.clone(), &traits),
            destination: destinations.finish(sources.any, &traits),
        }
    }

    /// Visits every rule that can match, in order, until a visit breaks.
    pub(crate) fn visit<B>(
        &self,
        facts: &Facts<'_>,
        visit: impl FnMut(Candidate) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (mut src, mut dst) = (Named::new(), Named::new());
        let fits = self.source.gather(&facts.src, &mut src) && self.destination.gather(&facts.dst, &mut dst);
        let Some(columns) = self.columns(facts).filter(|_| fits) else {
            return (0..self.rules).map(Candidate::Possible).try_for_each(visit);
        };
        // Both sides are asked for their lengths before either list is read, so that memory is asked for both at once.
        let lengths = [self.source.len(&src), self.destination.len(&dst)];
        match lengths.into_iter().max() {
            Some(0..=MOSTLY) => self.visit_lists::<MOSTLY, B>(facts, &columns, [&src, &dst], visit),
            Some(0..=RuleSets::LONGEST) => {
                self.visit_lists::<{ RuleSets::LONGEST }, B>(facts, &columns, [&src, &dst], visit)
            }
            Some(_) | None => self.visit_blocks(&columns, [&src, &dst], visit),
        }
    }

    /// The sets of all columns but the addresses; `None` for zones of another policy.
    fn columns(&self, facts: &Facts<'_>) -> Option<Columns<'_>> {
        let (from, to) = (facts.from, facts.to);
        let arrivals = if from == to { &self.to_same } else { &self.to_other };
        let pair = from
            .index()
            .wrapping_mul(self.from.len())
            .wrapping_add(to.index());
        let (app, exact) = match facts.app {
            AppKnowledge::Unknown => (&self.live, &self.exact_without_app),
            AppKnowledge::Known(app) => {
                let named = self.apps.get(app.index()).and_then(Option::as_ref);
                (named.unwrap_or(&self.any_app), &self.exact)
            }
        };
        Some(Columns {
            from: self.from.get(from.index())?,
            to: arrivals.get(to.index())?,
            app,
            exact,
            open: *self.open.get(pair)?,
            service: self.services.set(facts.tuple.protocol, facts.tuple.dport),
        })
    }
}

impl Criteria {
    /// Whether the sets hold the rule exactly where its columns accept a session, once the application is
    /// known.
    fn is_exact(&self, book: &AddressBook) -> bool {
        let service = match &self.service {
            ServiceColumn::Any => true,
            ServiceColumn::ApplicationDefault => false,
            ServiceColumn::Of(services) => services
                .iter()
                .all(|service| service.source_ports == PortSet::any()),
        };
        service && self.categories.is_none() && self.source.is_exact(book) && self.destination.is_exact(book)
    }
}

impl AddressColumn {
    fn is_exact(&self, book: &AddressBook) -> bool {
        let simple = |members: &Flattened| {
            let mut filters = members.dynamic.iter().filter_map(|&group| book.filter(group));
            members.fixed.wildcards.is_empty() && filters.all(TagFilter::asks_for_any)
        };
        !self.negate && self.members.as_ref().is_none_or(simple)
    }
}
