//! What the rules said of a session, kept in terms that outlive their policy.

use policy::{Action, Decision, LogSetting, Policy, RuleId, Symbol, ZoneId};

/// The rule a session was last decided by. A session may end after a commit without having seen another packet;
/// its record then still names the rule that let it pass, and is forwarded as that rule said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling {
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
}

impl Ruling {
    pub(crate) fn new(policy: &Policy, decision: Decision) -> Self {
        let rule = policy.rule(decision.rule);
        Self {
            rule: decision.rule,
            name: rule.name,
            action: decision.action,
            provisional: decision.provisional,
            name_matters: decision.name_matters,
            log_setting: rule.log_setting,
            log_end: rule.log_end,
        }
    }
}

/// The zones of client and server, by their number in one policy and by their names in all.
#[derive(Clone, Copy, Debug)]
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
