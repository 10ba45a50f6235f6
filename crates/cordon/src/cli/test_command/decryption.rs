//! `cordon test decryption-policy-match`.

use std::fmt;

use clap::Args;
use packet::IpProtocol;
use policy::{CategorySet, DecryptAction, DecryptionDecision, DecryptionQuery};
use serde::Serialize;

use super::{
    Asked, Complaint, Question,
    session::{Defaults, SessionArguments, SessionView, Tried, write_tried},
};

/// What `cordon test decryption-policy-match` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct DecryptionQuestion {
    #[command(flatten)]
    session: SessionArguments,
}

/// The rule that decides a TLS session.
#[derive(Debug, Serialize)]
pub(crate) struct DecryptionAnswer {
    /// `null` where no rule matches, which leaves the session closed.
    rule: Option<String>,
    /// Place in the rulebase, from 1.
    index: Option<usize>,
    /// What becomes of the session: `no-decrypt` too where the name is on the exclusion list.
    action: &'static str,
    /// The name is on the exclusion list, which stands before the rules.
    excluded: bool,
    profile: Option<String>,
    /// The server's name may change the decision.
    name_matters: bool,
    /// The name alone keeps the session closed, and has to be proved (`verify-sni`): until then it is opened. Tags of
    /// names are not looked at for this.
    name_to_be_proved: bool,
    session: SessionView,
    tried: Vec<Tried>,
}

impl Question for DecryptionQuestion {
    type Answer = DecryptionAnswer;

    fn answer(&self, asked: &Asked<'_>) -> Result<DecryptionAnswer, Complaint> {
        let policy = asked.policy;
        let symbols = policy.symbols();
        let https = Defaults {
            protocol: IpProtocol::TCP,
            port: Some(443),
        };
        let session = self.session.resolve(asked, https)?;
        let explanation = policy.explain_decryption(&DecryptionQuery {
            from: session.from,
            to: session.to,
            tuple: session.tuple,
            category: session.category,
            src_tags: &session.src_tags,
            dst_tags: &session.dst_tags,
        });
        let view = SessionView::new(
            policy,
            asked.names,
            &session,
            &explanation.src_tags,
            &explanation.dst_tags,
        );
        let name_of = |id| policy.decryption_rule(id).map(|rule| symbols.resolve(rule.name));
        let tried = explanation.tried.iter().map(|&(id, found)| {
            let rule = name_of(id).unwrap_or_default();
            Tried::new(id.index().saturating_add(1), rule, found, &view)
        });
        let decision = explanation.decision;
        let excluded = self
            .session
            .host()
            .is_some_and(|host| policy.excluded_from_decryption(host));
        let action = if excluded {
            DecryptAction::NoDecrypt
        } else {
            decision.action
        };
        let verifies = |decision: DecryptionDecision| {
            let profile = decision.profile.and_then(|id| policy.decryption_profile(id));
            profile.is_some_and(|profile| profile.verify_sni)
        };
        let nameless = policy.decide_decryption(&DecryptionQuery {
            from: session.from,
            to: session.to,
            tuple: session.tuple,
            category: Some(CategorySet::default()),
            src_tags: &session.src_tags,
            dst_tags: &session.dst_tags,
        });
        let name_to_be_proved = self.session.host().is_some()
            && action == DecryptAction::NoDecrypt
            && nameless.action == DecryptAction::Decrypt
            && (verifies(decision) || verifies(nameless));
        Ok(DecryptionAnswer {
            rule: decision.rule.and_then(name_of).map(str::to_owned),
            index: decision.rule.map(|id| id.index().saturating_add(1)),
            action: action.name(),
            excluded,
            profile: decision
                .profile
                .and_then(|id| policy.decryption_profile(id))
                .map(|profile| symbols.resolve(profile.name).to_owned()),
            name_matters: decision.name_matters,
            name_to_be_proved,
            tried: tried.collect(),
            session: view,
        })
    }
}

impl fmt::Display for DecryptionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => writeln!(f, "{rule}: {}", self.action)?,
            None => writeln!(f, "no rule: {}", self.action)?,
        }
        writeln!(f, "  session  {}", self.session)?;
        if self.excluded {
            writeln!(
                f,
                "  the name is on the exclusion list, which stands before the rules"
            )?;
        }
        if self.name_matters {
            writeln!(
                f,
                "  for now: the server's name is still to be known and may change this"
            )?;
        }
        if self.name_to_be_proved {
            writeln!(
                f,
                "  only where DNS or a certificate has shown the name to be that address's (verify-sni); else it is opened"
            )?;
        }
        if let Some(profile) = &self.profile {
            writeln!(f, "  decryption profile  {profile}")?;
        }
        write_tried(f, &self.tried)
    }
}
