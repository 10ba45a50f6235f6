//! Security rules and what they decide.

use std::ops::ControlFlow;

use packet::FlowTuple;
use tags::{TagId, TagSet};

use crate::criteria::{Criteria, Match};
use crate::{AppId, CategorySet, LogSetting, RuleId, SpywareProfileId, Symbol, ZoneId};

/// What a security rule does with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It passes.
    Allow,
    /// It is refused, silently; its record says `deny`.
    Deny,
    /// It is refused, silently.
    Drop,
    /// It is refused, and a TCP client is told.
    ResetClient,
    /// It is refused, and a TCP server is told.
    ResetServer,
    /// It is refused, and both ends of a TCP session are told.
    ResetBoth,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 6] = [
        Self::Allow,
        Self::Deny,
        Self::Drop,
        Self::ResetClient,
        Self::ResetServer,
        Self::ResetBoth,
    ];

    /// The token of configurations and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Drop => "drop",
            Self::ResetClient => "reset-client",
            Self::ResetServer => "reset-server",
            Self::ResetBoth => "reset-both",
        }
    }

    /// The action with this token.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether the session passes.
    pub fn allows(self) -> bool {
        self == Self::Allow
    }
}

/// What is known of a session's application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppKnowledge {
    /// Nothing yet: too few bytes were seen.
    Unknown,
    /// It is this one.
    Known(AppId),
}

/// A session for which a rule is sought.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The zone it comes from.
    pub from: ZoneId,
    /// The zone it goes to.
    pub to: ZoneId,
    /// Client and server.
    pub tuple: FlowTuple,
    /// Its application.
    pub app: AppKnowledge,
    /// The URL categories of the host it names: `None` while a name may still come,
    /// [`CategorySet::NONE`] where none will.
    pub category: Option<CategorySet>,
    /// The registered tags of the source; static tags are added by the policy.
    pub src_tags: &'a TagSet,
    /// The registered tags of the destination.
    pub dst_tags: &'a TagSet,
}

/// What the security rules say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The rule that says it.
    pub rule: RuleId,
    /// What is to be done.
    pub action: Action,
    /// The session passes for now: its application is still to be known, and may change the decision.
    pub provisional: bool,
    /// The session passes for now: the name of its host is still to be known, and may change the decision.
    pub name_matters: bool,
}

/// A security rule that is part of a policy.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the configuration"
)]
pub struct SecurityRule {
    /// Its name.
    pub name: Symbol,
    /// What it does.
    pub action: Action,
    /// The anti-spyware profile of sessions it allows.
    pub spyware: Option<SpywareProfileId>,
    /// The log forwarding profile of its records.
    pub log_setting: Option<LogSetting>,
    /// Whether the beginning of a session is recorded.
    pub log_start: bool,
    /// Whether the end of a session is recorded.
    pub log_end: bool,
    /// Whether a refused client is told by ICMP, under [`Action::Drop`].
    pub icmp_unreachable: bool,
    /// Whether it never matches.
    pub disabled: bool,
    /// Its colours in listings.
    pub tags: Vec<TagId>,
    pub(crate) criteria: Criteria,
}

/// Follows the matching rules in order until the decision is certain.
#[derive(Debug, Default)]
pub(crate) struct FirstMatch {
    /// The first rule that may match and allows.
    allowing: Option<RuleId>,
    application: bool,
    name: bool,
}

impl FirstMatch {
    /// Takes the next rule that matches, or may.
    ///
    /// While something is open, a session passes if any rule that may be its own allows it: how else
    /// should its application become known? It is refused at once where every such rule refuses; then
    /// under the rule that matches whatever the application is.
    pub(crate) fn visit(&mut self, id: RuleId, action: Action, found: Match) -> ControlFlow<Decision> {
        match found {
            Match::Refused(_) => ControlFlow::Continue(()),
            Match::Open { application, name } => {
                self.application |= application;
                self.name |= name;
                if action.allows() {
                    self.allowing.get_or_insert(id);
                }
                ControlFlow::Continue(())
            }
            Match::Sure => ControlFlow::Break(self.conclude(id, action)),
        }
    }

    fn conclude(&self, id: RuleId, action: Action) -> Decision {
        let open = self.application || self.name;
        let allowing = self.allowing.or(action.allows().then_some(id));
        match allowing {
            Some(rule) if open => Decision {
                rule,
                action: Action::Allow,
                provisional: self.application,
                name_matters: self.name,
            },
            _ => Decision {
                rule: id,
                action,
                provisional: false,
                name_matters: false,
            },
        }
    }
}
