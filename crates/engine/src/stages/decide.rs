//! Which rule holds, and does it still hold?

use std::{net::IpAddr, sync::Arc};

use packet::{DomainName, FlowKey, Timestamp, TunnelId};
use policy::{AppKnowledge, Decision, Query, ZoneId};
use tags::{Context, TagSet};

use crate::{
    Env, Ruleset,
    session::{DecidedUnder, EndTags, Note, Recognition, Session, State, Zones},
    stages::admit,
};

/// Reads what the two ends are tagged with, and until when that holds. Take [`Env::mark`] first: what changes after it
/// shows as a difference later.
pub(crate) fn read_tags(
    env: &Env<'_>,
    now: Timestamp,
    client: IpAddr,
    server: IpAddr,
    server_name: Option<&DomainName>,
) -> DecidedUnder {
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
    DecidedUnder {
        until: client_until.min(server_until),
        tags: EndTags::new(client_tags, server_tags),
    }
}

/// Whether nothing that the session's verdict rests on has changed.
pub(crate) fn is_current(session: &Session, env: &Env<'_>, now: Timestamp) -> bool {
    let ruling = &session.ruling;
    if ruling.generation != env.ruleset.generation() || now >= session.until() {
        return false;
    }
    let seen = env.changes_at(session.mark);
    let tuple = session.key().tuple();
    let changed = |address| env.tags.stamp(address).is_after(seen);
    !changed(tuple.src) && !changed(tuple.dst)
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
    let tuple = session.key().tuple();
    session.mark = env.mark();
    let asked_before = session.ruling.generation == env.ruleset.generation();
    // What cannot be where it is any more is refused like a session between zones that no rule knows.
    let homeless = !asked_before && !rezone(session, env.ruleset);
    let name = session.server_name();
    let decided = read_tags(env, now, tuple.src, tuple.dst, name);
    let same = asked_before && decided.tags == *session.tags();
    if same && !learnt {
        session.set_decided(decided);
        return Again::Unchanged;
    }
    let app = match (session.recognition(), session.state()) {
        (Recognition::Settled(app), State::Open | State::Sinkholed) => AppKnowledge::Known(app),
        _ => AppKnowledge::Unknown,
    };
    let decision = if homeless {
        env.ruleset.policy().nothing_matches()
    } else {
        ask(env, session.ruling.zones.ids, &session.key(), app, name, &decided)
    };
    session.set_decided(decided);
    if decision.action.allows() {
        session.set_ruling(env.ruleset, decision);
        return Again::Allowed;
    }
    Again::Refused(decision)
}

/// Finds the session's place in a policy that it was not decided under. `false`: it has none.
fn rezone(session: &mut Session, ruleset: &Ruleset) -> bool {
    let policy = ruleset.policy();
    let key = session.key();
    let [client, server] = session
        .ruling
        .interfaces
        .map(|interface| policy.zone_of(interface, key.vlans()));
    let ruling = Arc::make_mut(&mut session.ruling);
    ruling.generation = ruleset.generation();
    let (Some(client), Some(server)) = (client, server) else {
        return false;
    };
    ruling.zones = Zones::new(policy, [client, server]);
    let tuple = key.tuple();
    if session.layer() > 0 {
        session.set(Note::Taggable, admit::proven_inside(policy, client, tuple.src));
        session.set(
            Note::ServerUnproven,
            !admit::proven_inside(policy, server, tuple.dst),
        );
        return true;
    }
    let source = admit::source(policy, client, tuple.src);
    session.set(Note::Taggable, source.unwrap_or(false));
    source.is_ok()
}
