//! Why a session is decided as it is: every rule, and what it says.

use std::ops::ControlFlow;

use tags::TagSet;

use crate::decryption::FirstDecryptionMatch;
use crate::security::FirstMatch;
use crate::{Decision, DecryptionDecision, DecryptionQuery, DecryptionRuleId, Match, Policy, Query, RuleId};

/// A decision with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<D, R> {
    /// What was decided.
    pub decision: D,
    /// The rules that were tried, in order, up to the one that certainly matches.
    pub tried: Vec<(R, Match)>,
    /// Every tag of the source, registered or from the configuration.
    pub src_tags: TagSet,
    /// Every tag of the destination.
    pub dst_tags: TagSet,
}

impl Policy {
    /// What [`Policy::decide`] decides, and why: every rule is checked, one after the other.
    pub fn explain(&self, query: &Query<'_>) -> Explanation<Decision, RuleId> {
        let facts = self.facts(query);
        let mut first = FirstMatch::default();
        let management = self.management(query);
        let mut explanation = Explanation {
            decision: management.unwrap_or_else(|| self.nothing_matches()),
            tried: Vec::new(),
            src_tags: facts.src.iter().collect(),
            dst_tags: facts.dst.iter().collect(),
        };
        if management.is_some() {
            return explanation;
        }
        for (id, rule) in self.rules() {
            let found = rule.criteria.check(self.book(), &facts);
            explanation.tried.push((id, found));
            if let ControlFlow::Break(decision) = first.visit(id, rule.action, found) {
                explanation.decision = decision;
                break;
            }
        }
        explanation
    }

    /// What [`Policy::decide_decryption`] decides, and why.
    pub fn explain_decryption(
        &self,
        query: &DecryptionQuery<'_>,
    ) -> Explanation<DecryptionDecision, DecryptionRuleId> {
        let facts = self.decryption_facts(query);
        let mut first = FirstDecryptionMatch::default();
        let mut explanation = Explanation {
            decision: first.none(),
            tried: Vec::new(),
            src_tags: facts.src.iter().collect(),
            dst_tags: facts.dst.iter().collect(),
        };
        for (id, rule) in self.decryption_rules() {
            let found = rule.criteria.check(self.book(), &facts);
            explanation.tried.push((id, found));
            if let ControlFlow::Break(decision) = first.visit(id, rule, found) {
                explanation.decision = decision;
                return explanation;
            }
        }
        explanation.decision = first.none();
        explanation
    }
}
