//! DNS under an anti-spyware profile: queries for listed names are answered here, by the profile.

use std::net::IpAddr;

use inspect::{
    dns::{self, Query, Question, Response, SinkholeAnswer},
    domains::{DomainSet, ListTag},
};
use logs::Fact;
use packet::{DomainName, Udp, build};
use policy::{DnsAction, ListId, SpywareProfile};

use crate::{
    DropReason, Scene, Verdict,
    records::{self, Threat},
    session::{Direction, Note, Session},
};

/// A listed name in a message, and what the profile does about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) action: DnsAction,
    pub(crate) list: ListId,
    /// The name as it stands in the list.
    pub(crate) entry: DomainName,
    /// The name that was asked for.
    pub(crate) asked: DomainName,
    pub(crate) qtype: u16,
    /// The address that answers it, where it is sinkholed and one is configured.
    pub(crate) sinkhole: Option<IpAddr>,
}

impl Listed {
    /// A name that cannot be answered here, inside a tunnel whose packets cannot be made, is blocked instead.
    pub(crate) fn as_far_as(self, can_answer: bool) -> Self {
        if can_answer || self.action != DnsAction::Sinkhole {
            return self;
        }
        Self {
            action: DnsAction::Block,
            sinkhole: None,
            ..self
        }
    }
}

/// Type AAAA (RFC 3596).
const AAAA: u16 = 28;

/// Ports on which names are asked of everyone on the link, not of a server: mDNS and LLMNR.
pub(crate) fn link_local_naming(udp: &Udp<'_>) -> bool {
    (udp.sport, udp.dport) == (5353, 5353) || (udp.sport, udp.dport) == (5355, 5355) || udp.dport == 5355
}

/// Looks at a datagram of a session whose rule carries `profile`. `None`: it may go on.
pub(crate) fn datagram(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    udp: &Udp<'_>,
) -> Option<Verdict> {
    if link_local_naming(udp) {
        return None;
    }
    if let Some(query) = dns::parse_query(udp.payload) {
        return question(scene, session, profile, &query);
    }
    let response = dns::parse_response(udp.payload)?;
    answered(scene, session);
    let verdict = reply(scene, session, profile, &response);
    let stripped = verdict.is_none()
        && scene.env.ruleset.strips_ech()
        && build::can_answer(scene.packet)
        && dns::strip_ech(udp.payload, scene.message);
    if stripped {
        send_instead(scene, session);
        return Some(Verdict::Answered);
    }
    verdict
}

fn question(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    query: &Query<'_>,
) -> Option<Verdict> {
    if query.questions().any(|question| dns::is_canary(&question.name)) && build::can_answer(scene.packet) {
        // Browsers that hear this ask here, not over HTTPS of their own.
        dns::absent_reply(query, scene.message);
        send_back(scene, session);
        return Some(Verdict::Answered);
    }
    let listed = listed_question(scene.env.ruleset.domains(), profile, query.questions())?;
    let listed = listed.as_far_as(build::can_answer(scene.packet));
    record(scene, session, &listed, scene.direction);
    match listed.action {
        DnsAction::Alert | DnsAction::Allow => None,
        DnsAction::Block => Some(Verdict::Drop(DropReason::DomainBlocked)),
        DnsAction::Sinkhole => {
            session.set(Note::SinkholedQuery, true);
            scene.counters.sinkholed += 1;
            dns::sinkhole_reply(query, &sinkhole_answer(profile), scene.message);
            send_back(scene, session);
            Some(Verdict::Answered)
        }
    }
}

/// Sends the message that was made on in place of the one in the datagram at hand.
fn send_instead(scene: &mut Scene<'_, '_>, session: &Session) {
    let packet = scene.packet;
    let egress = scene.egress_of(session);
    let message = &*scene.message;
    scene
        .out
        .emit(egress, |frame| build::udp_replacement(packet, message, frame));
}

/// Answers the datagram at hand with the message that was made.
fn send_back(scene: &mut Scene<'_, '_>, session: &Session) {
    let packet = scene.packet;
    let egress = scene.ingress_of(session);
    let message = &*scene.message;
    scene
        .out
        .emit(egress, |frame| build::udp_reply(packet, message, frame));
}

/// An upstream reply: dropped where its query was sinkholed, replaced where its aliases lead through a listed name.
fn reply(
    scene: &mut Scene<'_, '_>,
    session: &mut Session,
    profile: &SpywareProfile,
    response: &Response<'_>,
) -> Option<Verdict> {
    let domains = scene.env.ruleset.domains();
    if session.is(Note::SinkholedQuery)
        && listed_question(domains, profile, response.questions())
            .is_some_and(|listed| listed.action == DnsAction::Sinkhole)
    {
        return Some(Verdict::Drop(DropReason::SinkholedSession));
    }
    let listed = listed_reply(domains, profile, response)?.as_far_as(build::can_answer(scene.packet));
    record(scene, session, &listed, scene.direction.reversed());
    match listed.action {
        DnsAction::Alert | DnsAction::Allow => None,
        DnsAction::Block => Some(Verdict::Drop(DropReason::DomainBlocked)),
        DnsAction::Sinkhole => {
            scene.counters.sinkholed += 1;
            dns::sinkhole_response(response, &sinkhole_answer(profile), scene.message);
            send_instead(scene, session);
            Some(Verdict::Answered)
        }
    }
}

/// The first question with a listed name whose action is more than letting it through in silence.
pub(crate) fn listed_question(
    domains: &DomainSet,
    profile: &SpywareProfile,
    mut questions: impl Iterator<Item = Question>,
) -> Option<Listed> {
    questions
        .find_map(|question| listed_name(domains, profile, &question.name, question.name, question.qtype))
}

/// The first listed name that a reply leads through: the name asked, or an alias of it.
pub(crate) fn listed_reply(
    domains: &DomainSet,
    profile: &SpywareProfile,
    response: &Response<'_>,
) -> Option<Listed> {
    let question = response.questions().next()?;
    std::iter::once(question.name)
        .chain(response.aliases())
        .find_map(|name| listed_name(domains, profile, &name, question.name, question.qtype))
}

/// The first of the profile's lists that holds `name` decides. `allow` ends the search without a record.
pub(crate) fn listed_name(
    domains: &DomainSet,
    profile: &SpywareProfile,
    name: &DomainName,
    asked: DomainName,
    qtype: u16,
) -> Option<Listed> {
    let hits = domains.lookup(name);
    if hits.is_empty() || profile.excepts(name) {
        return None;
    }
    let (list, action, hit) = profile
        .lists
        .iter()
        .find_map(|&(list, action)| hits.on(ListTag(list.0)).map(|hit| (list, action, hit)))?;
    if action == DnsAction::Allow {
        return None;
    }
    let (v4, v6) = (
        profile.sinkhole.ipv4.map(IpAddr::V4),
        profile.sinkhole.ipv6.map(IpAddr::V6),
    );
    let address = if qtype == AAAA { v6.or(v4) } else { v4.or(v6) };
    Some(Listed {
        action,
        list,
        entry: name.parent(usize::from(hit.labels_skipped)),
        asked,
        qtype,
        sinkhole: address.filter(|_| action == DnsAction::Sinkhole),
    })
}

pub(crate) fn sinkhole_answer(profile: &SpywareProfile) -> SinkholeAnswer {
    let sinkhole = &profile.sinkhole;
    SinkholeAnswer {
        ipv4: sinkhole.ipv4,
        ipv6: sinkhole.ipv6,
        fqdn: sinkhole.fqdn,
    }
}

/// Writes the threat record of a listed name. `asker` is the direction in which the query travels.
pub(crate) fn record(scene: &mut Scene<'_, '_>, session: &Session, listed: &Listed, asker: Direction) {
    let threat = Threat {
        listed,
        asker,
        seen: scene.direction,
    };
    let record = records::listed_name(scene.env, scene.now, session, &threat);
    scene.out.record(record);
}

/// Reports, once a session, that an address on the inside answers DNS for others.
pub(crate) fn answered(scene: &mut Scene<'_, '_>, session: &mut Session) {
    let Some(ip) = scene.packet.ip() else { return };
    // What a tunnel's inside claims about addresses is no fact of the link.
    if scene.packet.tunnel().is_some() || session.is(Note::AnsweredDns) || !scene.env.sides.contains(ip.src) {
        return;
    }
    session.set(Note::AnsweredDns, true);
    if !scene.env.ruleset.policy().is_resolver(ip.src) {
        scene.out.fact(Fact::AnsweredDns {
            server: ip.src,
            client: ip.dst,
        });
    }
}
