//! Which rule holds, and does it still hold?

use std::net::IpAddr;

use packet::{DomainName, FlowKey, Timestamp, TunnelId};
use policy::{AppKnowledge, Decision, Policy, Query, ZoneId};
use tags::{Context, TagSet};

use crate::{
    Env,
    session::{DecidedUnder, EndTags, Recognition, Ruling, Session, State, Zones},
    stages::admit,
};

/// Reads what the two ends are tagged with, and until when that holds.
pub(crate) fn read_tags(
    env: &Env<'_>,
    now: Timestamp,
    client: IpAddr,
    server: IpAddr,
    server_name: Option<&DomainName>,
) -> DecidedUnder {
    // Stamps first: what changes after them shows as a difference later.
    let mut decided = DecidedUnder {
        stamps: [env.tags.stamp(client), env.tags.stamp(server)],
        policy: env.ruleset.generation(),
        ..DecidedUnder::default()
    };
    let of_client = Context {
        peer: server,
        server_name,
    };
    let of_server = Context {
        peer: client,
        server_name,
    };
    let (mut client_tags, mut server_tags) = (TagSet::new(), TagSet::new());
    let client_until = env.tags.lookup(now, client, of_client, &mut client_tags);
    let server_until = env.tags.lookup(now, server, of_server, &mut server_tags);
    decided.tags = EndTags::new(client_tags, server_tags);
    decided.until = client_until.min(server_until);
    decided
}

/// Whether nothing that the session's verdict rests on has changed.
pub(crate) fn is_current(session: &Session, env: &Env<'_>, now: Timestamp) -> bool {
    let decided = &session.decided;
    let tuple = session.key.tuple();
    decided.policy == env.ruleset.generation()
        && now < decided.until
        && decided.stamps == [env.tags.stamp(tuple.src), env.tags.stamp(tuple.dst)]
}

/// Asks the policy about a flow.
pub(crate) fn ask(
    env: &Env<'_>,
    zones: [ZoneId; 2],
    key: &FlowKey,
    app: AppKnowledge,
    server_name: Option<&DomainName>,
    decided: &DecidedUnder,
) -> Decision {
    let policy = env.ruleset.policy();
    let tuple = key.tuple();
    let category = server_name.map(|name| policy.categorize(name));
    let query = Query {
        from: zones[0],
        to: zones[1],
        tuple,
        app,
        category,
        src_tags: decided.tags.of_client(),
        dst_tags: decided.tags.of_server(),
    };
    if key.tunnel() == TunnelId::NONE {
        policy.decide(&query)
    } else {
        policy.decide_by_rules(&query)
    }
}

/// What deciding a session again came to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Again {
    /// Nothing that rules look at has changed.
    Unchanged,
    /// It may go on, perhaps under another rule.
    Allowed,
    /// It may not.
    Refused(Decision),
}

/// Decides a session again because tags, policy, application or name have changed. What the ends are tagged
/// with is compared first: a change that did not touch them costs no walk over the rules.
pub(crate) fn again(session: &mut Session, env: &Env<'_>, now: Timestamp, learnt: bool) -> Again {
    let policy = env.ruleset.policy();
    let tuple = session.key.tuple();
    session.mark = env.mark();
    // What cannot be where it is any more is refused like a session between zones that no rule knows.
    let homeless = session.decided.policy != env.ruleset.generation() && !rezone(session, policy);
    let name = session.server_name.as_deref();
    let decided = read_tags(env, now, tuple.src, tuple.dst, name);
    let same = decided.policy == session.decided.policy && decided.tags == session.decided.tags;
    if same && !learnt {
        session.decided = decided;
        return Again::Unchanged;
    }
    let app = match (session.recognition, session.state) {
        (Recognition::Settled(app), State::Open | State::Sinkholed) => AppKnowledge::Known(app),
        _ => AppKnowledge::Unknown,
    };
    let decision = if homeless {
        policy.nothing_matches()
    } else {
        ask(env, session.zones.ids, &session.key, app, name, &decided)
    };
    session.decided = decided;
    if decision.action.allows() {
        session.ruling = Ruling::new(policy, decision);
        return Again::Allowed;
    }
    Again::Refused(decision)
}

/// Finds the session's place in a policy that it was not decided under. `false`: it has none.
fn rezone(session: &mut Session, policy: &Policy) -> bool {
    let [client, server] = session
        .interfaces
        .map(|interface| policy.zone_of(interface, session.key.vlans()));
    let (Some(client), Some(server)) = (client, server) else {
        return false;
    };
    session.zones = Zones::new(policy, [client, server]);
    let tuple = session.key.tuple();
    if session.layer > 0 {
        session.taggable = admit::proven_inside(policy, client, tuple.src);
        session.server_unproven = !admit::proven_inside(policy, server, tuple.dst);
        return true;
    }
    let source = admit::source(policy, client, tuple.src);
    session.taggable = source.unwrap_or(false);
    source.is_ok()
}
