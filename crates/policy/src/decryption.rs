//! Decryption rules: which TLS sessions are opened.

use std::ops::ControlFlow;

use packet::FlowTuple;
use tags::{TagId, TagSet};

use crate::criteria::{Criteria, Match};
use crate::{AddressGroupId, CategorySet, DecryptionProfileId, DecryptionRuleId, LogSetting, Symbol, ZoneId};

/// What a decryption rule does with a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DecryptAction {
    /// It stays closed.
    #[default]
    NoDecrypt,
    /// It is opened.
    Decrypt,
}

impl DecryptAction {
    /// The token of configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoDecrypt => "no-decrypt",
            Self::Decrypt => "decrypt",
        }
    }
}

/// A session for which a decryption rule is sought.
#[derive(Clone, Copy, Debug)]
pub struct DecryptionQuery<'a> {
    /// The zone it comes from.
    pub from: ZoneId,
    /// The zone it goes to.
    pub to: ZoneId,
    /// Client and server.
    pub tuple: FlowTuple,
    /// The URL categories of the server's name, as in [`Query`](crate::Query).
    pub category: Option<CategorySet>,
    /// The registered tags of the source.
    pub src_tags: &'a TagSet,
    /// The registered tags of the destination.
    pub dst_tags: &'a TagSet,
}

/// What the decryption rules say of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecryptionDecision {
    /// The rule that says it; `None` where no rule matches, which leaves the session closed.
    pub rule: Option<DecryptionRuleId>,
    /// What is to be done.
    pub action: DecryptAction,
    /// The profile of the rule.
    pub profile: Option<DecryptionProfileId>,
    /// The server's name is still to be known, and may change the decision.
    pub name_matters: bool,
}

/// A decryption rule that is part of a policy.
#[derive(Clone, Debug)]
pub struct DecryptionRule {
    /// Its name.
    pub name: Symbol,
    /// What it does.
    pub action: DecryptAction,
    /// How sessions are opened, or what is checked of closed ones.
    pub profile: Option<DecryptionProfileId>,
    /// The log forwarding profile of its records.
    pub log_setting: Option<LogSetting>,
    /// Whether successful handshakes are recorded.
    pub log_success: bool,
    /// Whether failed handshakes are recorded.
    pub log_fail: bool,
    /// Whether it never matches.
    pub disabled: bool,
    /// Its colours in listings.
    pub tags: Vec<TagId>,
    pub(crate) criteria: Criteria,
}

impl DecryptionRule {
    /// The dynamic groups among its destinations.
    pub fn dynamic_destinations(&self) -> &[AddressGroupId] {
        let members = self.criteria.destination.members.as_ref();
        members.map_or(&[], |members| &members.dynamic)
    }
}

/// Follows the matching rules in order until the decision is certain.
#[derive(Debug, Default)]
pub(crate) struct FirstDecryptionMatch {
    name: bool,
}

impl FirstDecryptionMatch {
    pub(crate) fn visit(
        &mut self,
        id: DecryptionRuleId,
        rule: &DecryptionRule,
        found: Match,
    ) -> ControlFlow<DecryptionDecision> {
        match found {
            Match::Refused(_) => ControlFlow::Continue(()),
            Match::Open { .. } => {
                self.name = true;
                ControlFlow::Continue(())
            }
            Match::Sure => ControlFlow::Break(DecryptionDecision {
                rule: Some(id),
                action: rule.action,
                profile: rule.profile,
                name_matters: self.name,
            }),
        }
    }

    /// No rule is certain to match.
    pub(crate) fn none(&self) -> DecryptionDecision {
        DecryptionDecision {
            rule: None,
            action: DecryptAction::NoDecrypt,
            profile: None,
            name_matters: self.name,
        }
    }
}
