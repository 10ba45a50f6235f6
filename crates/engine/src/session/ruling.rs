//! What the rules said of a session, kept in terms that outlive their policy, and once for all sessions it holds for.

use std::sync::Arc;

use policy::{Action, Decision, InterfaceId, LogSetting, Policy, RuleId, SessionTimeouts, Symbol, ZoneId};

use crate::Ruleset;

/// The rule a session was last decided by, and between whom. A session may end after a commit without having seen
/// another packet; its record then still names the rule that let it pass, and is forwarded as that rule said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// The generation of the ruleset that was asked last.
    pub(crate) generation: u64,
    /// A place in the policy that the session was decided under, and in no other.
    pub(crate) rule: RuleId,
    pub(crate) name: Symbol,
    pub(crate) action: Action,
    /// An application is still to be known before the rule is sure.
    pub(crate) provisional: bool,
    /// A rule asks for a category, and the server's name is not known yet.
    pub(crate) name_matters: bool,
    pub(crate) log_setting: Option<LogSetting>,
    pub(crate) log_end: bool,
    pub(crate) zones: Zones,
    /// The client's, then the server's.
    pub(crate) interfaces: [InterfaceId; 2],
    /// How long sessions may stay silent.
    pub(crate) timeouts: Arc<SessionTimeouts>,
}

impl Ruling {
    pub(crate) fn new(
        ruleset: &Ruleset,
        decision: Decision,
        zones: Zones,
        interfaces: [InterfaceId; 2],
        timeouts: &Arc<SessionTimeouts>,
    ) -> Self {
        let policy = ruleset.policy();
        let rule = policy.rule(decision.rule);
        let current = &policy.settings().session;
        Self {
            generation: ruleset.generation(),
            rule: decision.rule,
            name: rule.name,
            action: decision.action,
            provisional: decision.provisional,
            name_matters: decision.name_matters,
            log_setting: rule.log_setting,
            log_end: rule.log_end,
            zones,
            interfaces,
            timeouts: if **timeouts == *current {
                Arc::clone(timeouts)
            } else {
                Arc::new(*current)
            },
        }
    }

    /// Another decision about the same session.
    pub(crate) fn revised(&self, ruleset: &Ruleset, decision: Decision) -> Self {
        Self::new(ruleset, decision, self.zones, self.interfaces, &self.timeouts)
    }

    /// Whether this is what `decision` comes to.
    #[inline]
    fn is(
        &self,
        generation: u64,
        decision: Decision,
        zones: [ZoneId; 2],
        interfaces: [InterfaceId; 2],
    ) -> bool {
        self.generation == generation
            && self.rule == decision.rule
            && self.action == decision.action
            && self.provisional == decision.provisional
            && self.name_matters == decision.name_matters
            && self.zones.ids == zones
            && self.interfaces == interfaces
    }
}

/// The zones of client and server, by their number in one policy and by their names in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zones {
    pub(crate) ids: [ZoneId; 2],
    pub(crate) names: [Symbol; 2],
}

impl Zones {
    pub(crate) fn new(policy: &Policy, ids: [ZoneId; 2]) -> Self {
        Self {
            ids,
            names: ids.map(|id| policy.zone(id).name),
        }
    }
}

/// Places for rulings at the start, and the most there may be: powers of two.
const FEWEST: usize = 64;
const MOST: usize = 4096;

/// The rulings that sessions of one shard were lately given, so that those which are alike share one. What has no
/// place here is not shared, and costs its session some hundred bytes.
#[derive(Debug, Default)]
pub(crate) struct Rulings {
    places: Vec<Option<Arc<Ruling>>>,
    timeouts: Arc<SessionTimeouts>,
}

impl Rulings {
    /// What a new session is told.
    pub(crate) fn of_new(
        &mut self,
        ruleset: &Ruleset,
        decision: Decision,
        zones: [ZoneId; 2],
        interfaces: [InterfaceId; 2],
    ) -> Arc<Ruling> {
        let home = home(decision.rule, zones, decision.action);
        let known = self.near(home).find_map(|place| {
            self.places
                .get(place)?
                .as_ref()
                .filter(|ruling| ruling.is(ruleset.generation(), decision, zones, interfaces))
        });
        if let Some(ruling) = known {
            return Arc::clone(ruling);
        }
        let zones = Zones::new(ruleset.policy(), zones);
        let ruling = Ruling::new(ruleset, decision, zones, interfaces, &self.timeouts);
        self.timeouts = Arc::clone(&ruling.timeouts);
        let ruling = Arc::new(ruling);
        self.keep(home, &ruling);
        ruling
    }

    /// The same ruling, shared where it can be.
    pub(crate) fn shared(&mut self, ruling: &mut Arc<Ruling>) {
        if Arc::strong_count(ruling) > 1 {
            return;
        }
        let home = home(ruling.rule, ruling.zones.ids, ruling.action);
        let known = self
            .near(home)
            .find_map(|place| self.places.get(place)?.as_ref().filter(|known| *known == ruling));
        match known {
            Some(known) => *ruling = Arc::clone(known),
            None => self.keep(home, ruling),
        }
    }

    /// Two places a ruling may have.
    fn near(&self, home: usize) -> impl Iterator<Item = usize> + use<> {
        let mask = self.places.len().wrapping_sub(1);
        [home & mask, (home & mask) ^ 1].into_iter()
    }

    /// Keeps a ruling, in the place of one that nobody holds any more or else of any.
    fn keep(&mut self, home: usize, ruling: &Arc<Ruling>) {
        let free = |places: &[Option<Arc<Ruling>>], place: usize| {
            let held = places.get(place).and_then(Option::as_ref);
            held.is_none_or(|held| Arc::strong_count(held) == 1)
        };
        let mut place = self.near(home).find(|place| free(&self.places, *place));
        if (place.is_none() || self.places.is_empty()) && self.places.len() < MOST {
            let larger = vec![None; (self.places.len() * 2).max(FEWEST)];
            for old in std::mem::replace(&mut self.places, larger).into_iter().flatten() {
                let home = self::home(old.rule, old.zones.ids, old.action);
                self.put(self.near(home).find(|place| free(&self.places, *place)), old);
            }
            place = self.near(home).find(|place| free(&self.places, *place));
        }
        let place = place.or_else(|| self.near(home).next());
        self.put(place, Arc::clone(ruling));
    }

    fn put(&mut self, place: Option<usize>, ruling: Arc<Ruling>) {
        if let Some(place) = place.and_then(|place| self.places.get_mut(place)) {
            *place = Some(ruling);
        }
    }
}

/// Where a ruling belongs.
fn home(rule: RuleId, zones: [ZoneId; 2], action: Action) -> usize {
    let [from, to] = zones.map(|zone| usize::from(zone.0));
    rule.index().wrapping_mul(2)
        ^ from.wrapping_mul(0x9e5)
        ^ to.wrapping_mul(0x3b1)
        ^ ((action as usize) << 1)
}
