//! Which rules can match a session at all, without asking each.
//!
//! Every column has, for each value a session can have there, the set of rules that accept it; the sets
//! are intersected, 64 rules at a time, in order of the rules. A summary level skips blocks in which
//! no rule is left.
//!
//! A set may hold too many rules, never too few: negated columns, wildcards and the like are not worth
//! sets of their own. A rule with such a column is yielded as [`Candidate::Possible`], and the caller
//! asks [`Criteria::check`]; all others match as they come, without a look at the rule.
//!
//! Most rules name addresses on at least one side. Those that name the session's own are few, and the
//! summaries lead to them; those that name none on either side are few again, and have a set of their
//! own for each pair of zones.

use std::collections::HashMap;
use std::ops::ControlFlow;

use smallvec::SmallVec;
use tags::TagId;

use crate::address::FixedAddresses;
use crate::address_group::{AddressBook, CarriedTags, Flattened};
use crate::criteria::{AddressColumn, Criteria, Facts, ServiceColumn};
use crate::interval_map::{IntervalMap, Sweep};
use crate::rule_bits::{BitStore, BitStoreBuilder, Block, RuleBits, StoredBits, Summary};
use crate::service_index::Services;
use crate::{AppId, AppKnowledge, PortSet, RuleType, TagFilter, ZoneId};

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
    open: Vec<StoredBits>,
    open_store: BitStore,
    source: Side,
    destination: Side,
    services: Services,
    /// By application; `None` where no rule but those for any application accepts it.
    apps: Vec<Option<RuleBits>>,
    any_app: RuleBits,
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

/// The sets of `source` or of `destination`.
#[derive(Clone, Debug)]
struct Side {
    /// Rules that accept any address, or that no set below can hold: negated ones and wildcards.
    any: RuleBits,
    /// Rules whose addresses hold this one.
    by_address: IntervalMap<StoredBits>,
    /// By number of the tag: rules with a dynamic group whose filter names it.
    by_tag: Vec<StoredBits>,
    /// The sets of this side; their companion is the other side's `any`.
    store: BitStore,
}

/// The sets that hold one side of a session: one by its address, one more for each of its tags. With
/// each goes its summary of the blocks under way.
type Sets = SmallVec<[(StoredBits, Summary); MAX_SETS]>;

/// An address with more tags that rules ask for is decided without an index.
const MAX_SETS: usize = 40;

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
        let open_sides = sources.any.and(&destinations.any);
        let mut open_store = BitStoreBuilder::new(RuleBits::new(blocks));
        let mut open = Vec::with_capacity(from.len().saturating_mul(from.len()));
        for (number, from) in from.iter().enumerate() {
            let from = from.and(&open_sides);
            for (other, (same, different)) in to_same.iter().zip(&to_other).enumerate() {
                let to = if number == other { same } else { different };
                open.push(open_store.store(from.and(to).blocks()));
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
            services: Services::build(blocks, &all),
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
            source: sources.clone().finish(destinations.any.clone()),
            destination: destinations.finish(sources.any),
        }
    }

    /// Visits every rule that can match, in order, until a visit breaks.
    pub(crate) fn visit<B>(
        &self,
        facts: &Facts<'_>,
        mut visit: impl FnMut(Candidate) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (mut src, mut dst) = (Sets::new(), Sets::new());
        let fits = self.source.gather(&facts.src, &mut src) && self.destination.gather(&facts.dst, &mut dst);
        let Some((from, to, open)) = self.zones(facts.from, facts.to).filter(|_| fits) else {
            return (0..self.rules).map(Candidate::Possible).try_for_each(visit);
        };
        let (app, exact) = match facts.app {
            AppKnowledge::Unknown => (None, &self.exact_without_app),
            AppKnowledge::Known(app) => {
                let named = self.apps.get(app.index()).and_then(Option::as_ref);
                (Some(named.unwrap_or(&self.any_app)), &self.exact)
            }
        };
        let service = self.services.set(facts.tuple.protocol, facts.tuple.dport);
        for word in 0..self.summary {
            let named_src = self.source.advance(&mut src, word);
            let named_dst = self.destination.advance(&mut dst, word);
            let open = self.open_store.summary(open, word).filled;
            // Both sides named, or one named and the other open, or both open.
            let mut left = (named_src.filled & named_dst.filled) | named_src.common | named_dst.common | open;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                let block = word.wrapping_mul(64).wrapping_add(bit as usize);
                let mut rules = from.block(block) & to.block(block);
                rules &= self.source.block(&src, block, bit);
                if rules == 0 {
                    continue;
                }
                rules &= self.destination.block(&dst, block, bit);
                if let Some(app) = app {
                    rules &= app.block(block);
                }
                if rules == 0 {
                    continue;
                }
                rules &= self.services.block(service, block, bit);
                while rules != 0 {
                    let rule = block
                        .wrapping_mul(64)
                        .wrapping_add(rules.trailing_zeros() as usize);
                    let lowest = rules & rules.wrapping_neg();
                    rules ^= lowest;
                    let certain = exact.block(block) & lowest != 0;
                    visit(if certain {
                        Candidate::Certain(rule)
                    } else {
                        Candidate::Possible(rule)
                    })?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// `None` for zones of another policy.
    fn zones(&self, from: ZoneId, to: ZoneId) -> Option<(&RuleBits, &RuleBits, StoredBits)> {
        let arrivals = if from == to { &self.to_same } else { &self.to_other };
        let arrivals = arrivals.get(to.index())?;
        let pair = from
            .index()
            .wrapping_mul(self.from.len())
            .wrapping_add(to.index());
        Some((self.from.get(from.index())?, arrivals, *self.open.get(pair)?))
    }
}

impl Side {
    /// Gathers the sets that hold an address; `false` where they are too many.
    fn gather(&self, carried: &CarriedTags<'_>, sets: &mut Sets) -> bool {
        let by_address = self.by_address.get(carried.address).copied();
        sets.push((by_address.unwrap_or(StoredBits::NONE), Summary::default()));
        for tag in carried.iter() {
            match self.by_tag.get(tag.as_raw() as usize) {
                None | Some(&StoredBits::NONE) => {}
                Some(_) if sets.len() == MAX_SETS => return false,
                Some(&set) => sets.push((set, Summary::default())),
            }
        }
        true
    }

    /// Moves to the next 64 blocks. Returns the summary of the union.
    fn advance(&self, sets: &mut Sets, word: usize) -> Summary {
        let mut all = Summary::default();
        for (set, summary) in sets {
            *summary = self.store.summary(*set, word);
            all.filled |= summary.filled;
            all.common |= summary.common;
        }
        all
    }

    /// The rules of a block that accept the address.
    fn block(&self, sets: &Sets, block: usize, bit: u32) -> Block {
        sets.iter().fold(self.any.block(block), |rules, &(_, summary)| {
            rules | self.store.block(summary, bit)
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

/// A side whose companion is not known yet.
#[derive(Clone, Debug)]
struct SideDraft {
    any: RuleBits,
    /// Distinct addresses, each with the rules that name them.
    fixed: Vec<(FixedAddresses, Vec<usize>)>,
    by_tag: HashMap<TagId, Vec<usize>>,
}

impl SideDraft {
    fn new<'a>(
        book: &AddressBook,
        blocks: usize,
        columns: impl Iterator<Item = (bool, &'a AddressColumn)>,
    ) -> Self {
        let mut any = RuleBits::new(blocks);
        let mut fixed: HashMap<&FixedAddresses, Vec<usize>> = HashMap::new();
        let mut by_tag: HashMap<TagId, Vec<usize>> = HashMap::new();
        let live = columns.enumerate().filter(|(_, (disabled, _))| !disabled);
        for (rule, (_, column)) in live {
            let Some(members) = column.members.as_ref().filter(|_| !column.negate) else {
                any.set(rule, true);
                continue;
            };
            let filters = || members.dynamic.iter().filter_map(|&group| book.filter(group));
            // A filter that no tag at all satisfies holds addresses without tags.
            if !members.fixed.wildcards.is_empty() || filters().any(|filter| filter.matches(|_| false)) {
                any.set(rule, true);
                continue;
            }
            for tag in filters().flat_map(TagFilter::tags) {
                by_tag.entry(tag).or_default().push(rule);
            }
            fixed.entry(&members.fixed).or_default().push(rule);
        }
        let mut fixed: Vec<_> = fixed
            .into_iter()
            .map(|(fixed, rules)| (fixed.clone(), rules))
            .collect();
        fixed.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        Self { any, fixed, by_tag }
    }

    fn finish(self, companion: RuleBits) -> Side {
        let blocks = companion.blocks().len();
        let mut sweep = RuleSweep {
            rules: self.fixed.iter().map(|(_, rules)| rules.as_slice()).collect(),
            current: RuleBits::new(blocks),
            store: BitStoreBuilder::new(companion),
        };
        let networks = self.fixed.iter().map(|(fixed, _)| &fixed.networks);
        let by_address = IntervalMap::build(networks, &mut sweep);
        let mut store = sweep.store;
        let mut by_tag = Vec::new();
        let mut tags: Vec<(TagId, Vec<usize>)> = self.by_tag.into_iter().collect();
        tags.sort_unstable();
        for (tag, rules) in tags {
            let number = usize::try_from(tag.as_raw()).unwrap_or(0);
            by_tag.resize(number, StoredBits::NONE);
            by_tag.push(store.store(RuleBits::from_rules(blocks, rules).blocks()));
        }
        Side {
            any: self.any,
            by_address,
            by_tag,
            store: store.finish(),
        }
    }
}

/// Follows which rules name the current address.
struct RuleSweep<'a> {
    rules: Vec<&'a [usize]>,
    current: RuleBits,
    store: BitStoreBuilder,
}

impl RuleSweep<'_> {
    fn set(&mut self, set: usize, value: bool) {
        for &rule in self.rules.get(set).copied().unwrap_or(&[]) {
            self.current.set(rule, value);
        }
    }
}

impl Sweep for RuleSweep<'_> {
    type Value = StoredBits;

    fn enter(&mut self, set: usize) {
        self.set(set, true);
    }

    fn leave(&mut self, set: usize) {
        self.set(set, false);
    }

    fn value(&mut self) -> StoredBits {
        self.store.store(self.current.blocks())
    }
}
