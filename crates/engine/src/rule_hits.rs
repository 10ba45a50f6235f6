//! How often rules decide, and about how much.

use std::collections::BTreeMap;

use packet::Timestamp;
use policy::Symbol;

/// Names of rules that are counted. Those of earlier configurations stay until they are cleared.
const MAX_RULES: usize = 131_072;

/// The hits of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleHits {
    /// Sessions that it has decided on. One that another rule decides on later counts for both.
    pub sessions: u64,
    /// Bytes of sessions that have ended under it, both directions, frames and all.
    pub bytes: u64,
    /// The first hit.
    pub first: Timestamp,
    /// The last hit.
    pub last: Timestamp,
}

/// Hits by the names of rules, which outlive a configuration.
#[derive(Clone, Debug, Default)]
pub struct HitTable(BTreeMap<Symbol, RuleHits>);

/// The hits of all rules.
#[derive(Clone, Debug, Default)]
pub struct RuleCounts {
    /// Of security rules.
    pub security: HitTable,
    /// Of decryption rules.
    pub decryption: HitTable,
}

impl HitTable {
    /// The hits of the rule with this name, where it has any.
    pub fn get(&self, rule: Symbol) -> Option<RuleHits> {
        self.0.get(&rule).copied()
    }

    /// A session is decided on by this rule.
    pub(crate) fn hit(&mut self, rule: Symbol, now: Timestamp) {
        if let Some(hits) = self.0.get_mut(&rule) {
            hits.sessions += 1;
            hits.last = hits.last.max(now);
        } else if self.0.len() < MAX_RULES {
            let first = RuleHits {
                sessions: 1,
                bytes: 0,
                first: now,
                last: now,
            };
            self.0.insert(rule, first);
        }
    }

    /// A session has ended under this rule.
    pub(crate) fn carried(&mut self, rule: Symbol, bytes: u64) {
        if let Some(hits) = self.0.get_mut(&rule) {
            hits.bytes = hits.bytes.saturating_add(bytes);
        }
    }

    fn add(&mut self, other: &Self) {
        for (&rule, more) in &other.0 {
            self.0
                .entry(rule)
                .and_modify(|hits| {
                    hits.sessions += more.sessions;
                    hits.bytes = hits.bytes.saturating_add(more.bytes);
                    hits.first = hits.first.min(more.first);
                    hits.last = hits.last.max(more.last);
                })
                .or_insert(*more);
        }
    }
}

impl RuleCounts {
    /// Adds what another shard has counted.
    pub fn add(&mut self, other: &Self) {
        self.security.add(&other.security);
        self.decryption.add(&other.decryption);
    }

    /// Forgets the hits of the rules with this name, of either kind; of all rules where it is `None`.
    pub fn clear(&mut self, rule: Option<Symbol>) {
        for HitTable(hits) in [&mut self.security, &mut self.decryption] {
            match rule {
                None => hits.clear(),
                Some(rule) => drop(hits.remove(&rule)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Symbol = Symbol::INTERZONE_DEFAULT;

    #[test]
    fn shards_add_up_to_one_count_of_each_rule() {
        let at = Timestamp::from_secs;
        let mut all = RuleCounts::default();
        for (first, last, bytes) in [(10, 40, 5), (20, 30, 7)] {
            let mut shard = RuleCounts::default();
            shard.security.hit(RULE, at(first));
            shard.security.hit(RULE, at(last));
            shard.security.carried(RULE, bytes);
            all.add(&shard);
        }
        let hits = RuleHits {
            sessions: 4,
            bytes: 12,
            first: at(10),
            last: at(40),
        };
        assert_eq!(all.security.get(RULE), Some(hits));
        assert_eq!(all.decryption.get(RULE), None, "the same name of another kind");
        all.clear(Some(Symbol::INTRAZONE_DEFAULT));
        assert_eq!(all.security.get(RULE), Some(hits));
        all.clear(Some(RULE));
        assert_eq!(all.security.get(RULE), None);
    }
}
