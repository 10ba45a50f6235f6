//! Rules that can never be reached, because one before them matches whatever they match.
//!
//! Only what is certain from the configuration is found: a rule that several others cover together is
//! not, nor what depends on which addresses carry which tags.

use crate::app_set::AppSet;
use crate::criteria::{AddressColumn, Criteria, ServiceColumn};
use crate::{CategorySet, DecryptionRuleId, Policy, RuleId, RuleType};

impl Policy {
    /// The security rules that another before them covers, each with the first that does. Disabled rules
    /// neither cover nor are reported.
    pub fn shadowed(&self) -> Vec<(RuleId, RuleId)> {
        let criteria: Vec<&Criteria> = self.rules().map(|(_, rule)| &rule.criteria).collect();
        // The default rules are there to be shadowed.
        let own = criteria.len().saturating_sub(2);
        shadowed(criteria.get(..own).unwrap_or(&[]))
            .map(|(rule, by)| (RuleId(rule), RuleId(by)))
            .collect()
    }

    /// The decryption rules that another before them covers, each with the first that does.
    pub fn shadowed_decryption(&self) -> Vec<(DecryptionRuleId, DecryptionRuleId)> {
        let criteria: Vec<&Criteria> = self.decryption_rules().map(|(_, rule)| &rule.criteria).collect();
        shadowed(&criteria)
            .map(|(rule, by)| (DecryptionRuleId(rule), DecryptionRuleId(by)))
            .collect()
    }
}

fn shadowed<'a>(rules: &'a [&Criteria]) -> impl Iterator<Item = (u32, u32)> + 'a {
    let numbered = move || (0..).zip(rules).filter(|(_, rule)| !rule.disabled);
    numbered().filter_map(move |(number, rule)| {
        let mut before = numbered().take_while(|&(earlier, _)| earlier < number);
        let by = before.find(|(_, earlier)| earlier.covers(rule));
        by.map(|(earlier, _)| (number, earlier))
    })
}

impl Criteria {
    /// Whether every session that `other` matches certainly matches this too, whatever tags are
    /// registered. The cheapest columns first.
    fn covers(&self, other: &Self) -> bool {
        self.covers_zones(other)
            && covers_applications(self.applications.as_ref(), other.applications.as_ref())
            && covers_categories(self.categories.as_ref(), other.categories.as_ref())
            && self.service.covers(&other.service)
            && self.source.covers(&other.source)
            && self.destination.covers(&other.destination)
    }

    fn covers_zones(&self, other: &Self) -> bool {
        let stays = other.rule_type == RuleType::Intrazone;
        // An intrazone rule's sessions go where they come from.
        let to = if stays { &other.from } else { &other.to };
        let crosses = other.rule_type == RuleType::Interzone || !other.from.intersects(&other.to);
        let fits = match self.rule_type {
            RuleType::Universal => true,
            RuleType::Intrazone => stays,
            RuleType::Interzone => crosses && !stays,
        };
        fits && self.from.is_superset(&other.from) && self.to.is_superset(to)
    }
}

fn covers_applications(own: Option<&AppSet>, other: Option<&AppSet>) -> bool {
    own.is_none_or(|own| other.is_some_and(|other| own.is_superset(other)))
}

fn covers_categories(own: Option<&CategorySet>, other: Option<&CategorySet>) -> bool {
    own.is_none_or(|own| other.is_some_and(|other| own.is_superset(other)))
}

impl ServiceColumn {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (Self::ApplicationDefault, Self::ApplicationDefault) => true,
            (Self::Of(own), Self::Of(other)) => other
                .iter()
                .all(|service| own.iter().any(|own| own.includes(service))),
            (Self::ApplicationDefault | Self::Of(_), _) => false,
        }
    }
}

impl AddressColumn {
    fn covers(&self, other: &Self) -> bool {
        match (&self.members, self.negate, &other.members, other.negate) {
            // Everything covers, and nothing is covered.
            (None, false, _, _) | (_, _, None, true) => true,
            (Some(own), false, Some(other), false) => own.covers(other),
            // Whoever leaves out less matches more.
            (Some(own), true, Some(other), true) => other.covers(own),
            (None, true, _, _)
            | (Some(_), _, None, false)
            | (Some(_), true, Some(_), false)
            | (Some(_), false, Some(_), true) => false,
        }
    }
}
