//! Whether a session whose client has greeted its server is to be opened, and on whose word it stays closed.

use packet::{DomainName, Timestamp};
use policy::{CategorySet, DecryptAction, DecryptionDecision, DecryptionProfileId, DecryptionQuery, Policy};
use tags::TagSet;

use super::decide;
use crate::{
    Env,
    session::{EndTags, Session},
};

/// What holds for a session whose server's name is known as far as it ever will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// What the decryption rules say; `None` where the exclusion list stands before them.
    pub(crate) decision: Option<DecryptionDecision>,
    /// The client's word for its server's name would have kept it closed, and was not believed.
    pub(crate) doubted: bool,
    /// Nothing but what its server is tagged with keeps it closed.
    pub(crate) bypassed: bool,
}

/// What the decryption rules say; `category` is `None` while the client may still name its server.
pub(crate) fn by_rules(
    policy: &Policy,
    session: &Session,
    tags: &EndTags,
    category: Option<CategorySet>,
) -> DecryptionDecision {
    let [from, to] = session.ruling.zones.ids;
    policy.decide_decryption(&DecryptionQuery {
        from,
        to,
        tuple: session.key().tuple(),
        category,
        src_tags: tags.of_client(),
        dst_tags: tags.of_server(),
    })
}

/// Decides about a session whose client has said what it wants.
pub(crate) fn decide(env: &Env<'_>, now: Timestamp, session: &Session) -> Opening {
    let policy = env.ruleset.policy();
    let tuple = session.key().tuple();
    let name = session.server_name();
    // Tags can be of a server's name: they are read again now that it is known.
    let decided = decide::read_tags(env, now, tuple.src, tuple.dst, name);
    let category = name.map_or_else(CategorySet::default, |name| policy.categorize(name));
    let decision = by_rules(policy, session, &decided.tags, Some(category));
    let excluded = name.is_some_and(|name| policy.excluded_from_decryption(name));
    let stays_closed = excluded || decision.action == DecryptAction::NoDecrypt;
    if stays_closed
        && let Some(name) = name
        && let Some(decision) = without_the_name(env, now, session, name, decision.profile)
    {
        return Opening {
            decision: Some(decision),
            doubted: true,
            bypassed: false,
        };
    }
    if excluded {
        return Opening {
            decision: None,
            doubted: false,
            bypassed: false,
        };
    }
    let bypassed = stays_closed && {
        let rule = decision.rule.and_then(|id| policy.decryption_rule(id));
        let by_tags = rule.is_some_and(|rule| !rule.dynamic_destinations().is_empty());
        by_tags && opens_untagged(policy, session, &decided.tags, category)
    };
    Opening {
        decision: Some(decision),
        doubted: false,
        bypassed,
    }
}

/// Whether a session would be opened, were its server not tagged.
fn opens_untagged(policy: &Policy, session: &Session, tags: &EndTags, category: CategorySet) -> bool {
    if tags.of_server().is_empty() {
        return false;
    }
    let untagged = EndTags::new(tags.of_client().clone(), TagSet::new());
    by_rules(policy, session, &untagged, Some(category)).action == DecryptAction::Decrypt
}

/// A session that only its server's name keeps closed is decided as if there were none, where a profile wants names to
/// be verified and this one is not. `profile` is that of the rule which keeps it closed; that of the one which would
/// open it may ask as well.
fn without_the_name(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    name: &DomainName,
    profile: Option<DecryptionProfileId>,
) -> Option<DecryptionDecision> {
    let tuple = session.key().tuple();
    if !env.ruleset.verifies_names() || env.ruleset.knows_name(now, tuple.dst, name) {
        return None;
    }
    let policy = env.ruleset.policy();
    let decided = decide::read_tags(env, now, tuple.src, tuple.dst, None);
    let decision = by_rules(policy, session, &decided.tags, Some(CategorySet::default()));
    let verifies = |profile: Option<DecryptionProfileId>| {
        profile
            .and_then(|id| policy.decryption_profile(id))
            .is_some_and(|profile| profile.verify_sni)
    };
    let doubts = verifies(profile) || verifies(decision.profile);
    (decision.action == DecryptAction::Decrypt && doubts).then_some(decision)
}
