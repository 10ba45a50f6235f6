//! How a session becomes a record.

use std::net::IpAddr;

use logs::{
    Body, Direction as Seen, EscapedText, Fact, FlowFields, Origin, Record, Sender, SessionEndReason,
    Severity, Side, Threat as ThreatRecord, ThreatAction, ThreatSubtype, Traffic as TrafficRecord,
    TrafficSubtype, Url, UrlAction,
};
use packet::{DomainName, IpProtocol, MacAddr, Timestamp};
use policy::{Action, AppId, Decision, DnsAction, Symbol};

use crate::{
    Env,
    session::{Direction, Note, Session},
    stages::dns::Listed,
};

/// The signature number of a name on a custom list; PAN-OS numbers those from 12,000,000.
const LISTED_NAME: u32 = 12_000_000;

/// A listed name in a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threat<'a> {
    pub(crate) listed: &'a Listed,
    /// The direction in which the query travels.
    pub(crate) asker: Direction,
    /// The direction in which the packet travels that gave it away.
    pub(crate) seen: Direction,
}

/// A session that its rule allows has begun, or goes on.
pub(crate) fn start(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    traffic(
        env,
        now,
        session,
        TrafficSubtype::Start,
        session.app(),
        SessionEndReason::NotApplicable,
    )
}

/// A session is over.
pub(crate) fn end(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    let reason = session.end_reason.unwrap_or(SessionEndReason::Unknown);
    traffic(env, now, session, TrafficSubtype::End, session.app(), reason)
}

/// A running session was cut because its verdict changed.
pub(crate) fn cut(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    let mut record = traffic(
        env,
        now,
        session,
        TrafficSubtype::End,
        session.app(),
        SessionEndReason::PolicyDeny,
    );
    if let Body::Traffic(traffic) = &mut record.body {
        traffic.action = Action::Deny;
    }
    record
}

/// A session was refused by its first packet.
pub(crate) fn refused_at_once(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    refused(env, now, session, AppId::NOT_APPLICABLE)
}

/// A session was refused when its application or the server's name was known.
pub(crate) fn refused_later(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    let mut record = refused(env, now, session, session.app());
    if let Body::Traffic(traffic) = &mut record.body {
        traffic.subtype = TrafficSubtype::Deny;
    }
    record
}

fn refused(env: &Env<'_>, now: Timestamp, session: &Session, app: AppId) -> Record {
    let subtype = if session.ruling.action == Action::Drop {
        TrafficSubtype::Drop
    } else {
        TrafficSubtype::Deny
    };
    traffic(env, now, session, subtype, app, SessionEndReason::PolicyDeny)
}

fn traffic(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    subtype: TrafficSubtype,
    app: AppId,
    session_end_reason: SessionEndReason,
) -> Record {
    let policy = env.ruleset.policy();
    let [bytes_sent, bytes_received] = session.bytes();
    let category = session
        .server_name()
        .and_then(|name| policy.categorize(name).first())
        .map_or(Symbol::EMPTY, |category| policy.category_name(category));
    Record {
        time: now,
        seqno: 0,
        body: Body::Traffic(TrafficRecord {
            subtype,
            flow: FlowFields {
                app,
                ..flow(env, session)
            },
            action: session.ruling.action,
            session_end_reason,
            bytes_sent,
            bytes_received,
            packets: session.packets(),
            start: session.start,
            elapsed: session.last_packet.saturating_since(session.start).as_secs(),
            category,
            decrypted: session.is(Note::Decrypted),
            repeatcnt: 1,
        }),
        origin: origin(session),
        log_setting: session.ruling.log_setting,
    }
}

/// A listed name was asked for, or an upstream reply leads through one.
pub(crate) fn listed_name(env: &Env<'_>, now: Timestamp, session: &Session, threat: &Threat<'_>) -> Record {
    let policy = env.ruleset.policy();
    let listed = threat.listed;
    let flow = FlowFields {
        app: AppId::DNS,
        ..flow(env, session)
    };
    let mut origin = origin(session);
    let flow = match threat.asker {
        Direction::ClientToServer => flow,
        Direction::ServerToClient => {
            origin.src_mac = None;
            turned(flow)
        }
    };
    Record {
        time: now,
        seqno: 0,
        body: Body::Threat(Box::new(ThreatRecord {
            subtype: ThreatSubtype::Spyware,
            flow,
            action: match listed.action {
                DnsAction::Alert => ThreatAction::Alert,
                DnsAction::Allow => ThreatAction::Allow,
                DnsAction::Block => ThreatAction::Block,
                DnsAction::Sinkhole => ThreatAction::Sinkhole,
            },
            threatid: LISTED_NAME,
            threat_name: Some(listed.entry),
            severity: Severity::Medium,
            category: Symbol::EMPTY,
            // A query is told by who asks; a reply by who answers.
            direction: if threat.seen == threat.asker {
                Seen::ClientToServer
            } else {
                Seen::ServerToClient
            },
            misc: Some(listed.asked),
            list: policy.list_name(listed.list),
            qtype: Some(listed.qtype),
            repeatcnt: 1,
            sinkhole: listed.sinkhole,
        })),
        origin,
        log_setting: session.ruling.log_setting,
    }
}

/// What a client asks of a server in HTTP.
pub(crate) struct Requested<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: Option<&'a DomainName>,
    pub(crate) path: &'a str,
    pub(crate) forwarded_for: Option<IpAddr>,
}

/// A request was read. `None`: the rule that holds for it forwards no records. There is no URL filtering profile whose
/// action `alert` would ask for the record; a rule's `log-setting` does.
pub(crate) fn requested(
    env: &Env<'_>,
    now: Timestamp,
    session: &Session,
    request: &Requested<'_>,
    refused: Option<Decision>,
) -> Option<Record> {
    let policy = env.ruleset.policy();
    let (rule, log_setting, action) = match refused {
        None => (session.ruling.name, session.ruling.log_setting, UrlAction::Alert),
        Some(decision) => {
            let rule = policy.rule(decision.rule);
            (rule.name, rule.log_setting, UrlAction::Block)
        }
    };
    let log_setting = log_setting?;
    let mut misc = match request.host {
        Some(host) => host.to_string(),
        None => session.key().tuple().dst.to_string(),
    };
    misc.push_str(request.path);
    let category = request
        .host
        .and_then(|host| policy.categorize(host).first())
        .map_or(Symbol::EMPTY, |category| policy.category_name(category));
    Some(Record {
        time: now,
        seqno: 0,
        body: Body::Url(Box::new(Url {
            flow: FlowFields {
                rule,
                ..flow(env, session)
            },
            misc: EscapedText::from_bytes(misc.as_bytes()),
            category,
            http_method: EscapedText::from_bytes(request.method.as_bytes()),
            xff_ip: request.forwarded_for,
            action,
        })),
        origin: origin(session),
        log_setting: Some(log_setting),
    })
}

/// A session goes to a sinkhole address. Which name led it there is for the forwarder to say.
pub(crate) fn toward_sinkhole(env: &Env<'_>, now: Timestamp, session: &Session) -> Record {
    Record {
        time: now,
        seqno: 0,
        body: Body::Threat(Box::new(ThreatRecord {
            subtype: ThreatSubtype::Spyware,
            flow: flow(env, session),
            action: ThreatAction::Sinkhole,
            threatid: LISTED_NAME,
            threat_name: None,
            severity: Severity::Medium,
            category: Symbol::EMPTY,
            direction: Seen::ClientToServer,
            misc: None,
            list: Symbol::EMPTY,
            qtype: None,
            repeatcnt: 1,
            sinkhole: None,
        })),
        origin: origin(session),
        log_setting: session.ruling.log_setting,
    }
}

/// A packet of a new session came from this link-layer address.
pub(crate) fn source_seen(session: &Session, direction: Direction, ip: IpAddr, mac: MacAddr) -> Fact {
    let client = side(session);
    let side = match (direction, client) {
        (Direction::ClientToServer, side) => side,
        (Direction::ServerToClient, Side::First) => Side::Second,
        (Direction::ServerToClient, Side::Second) => Side::First,
    };
    Fact::SourceSeen {
        wire: session.key().wire(),
        side,
        vlans: session.key().vlans(),
        ip,
        mac,
    }
}

/// Whom a session's client claims to be, and the link-layer address that it has; `None` where there is no link layer.
pub(crate) fn sender(session: &Session) -> Option<Sender> {
    Some(Sender {
        wire: session.key().wire(),
        side: side(session),
        vlans: session.key().vlans(),
        ip: session.key().tuple().src,
        mac: session.client_mac()?,
    })
}

pub(crate) fn flow(env: &Env<'_>, session: &Session) -> FlowFields {
    let policy = env.ruleset.policy();
    let tuple = session.key().tuple();
    // The identifier of an echo makes a session; a port it is not.
    let has_ports = !matches!(tuple.protocol, IpProtocol::ICMP | IpProtocol::ICMPV6);
    let [from, to] = session.ruling.zones.names;
    let [inbound, outbound] = session.ruling.interfaces;
    FlowFields {
        src: tuple.src,
        dst: tuple.dst,
        sport: if has_ports { tuple.sport } else { 0 },
        dport: if has_ports { tuple.dport } else { 0 },
        proto: tuple.protocol,
        app: session.app(),
        from,
        to,
        inbound_if: policy.interface_name(inbound),
        outbound_if: policy.interface_name(outbound),
        rule: session.ruling.name,
        sessionid: session.id(),
        src_tags: policy.carried_tags(tuple.src, session.tags().of_client()),
        dst_tags: policy.carried_tags(tuple.dst, session.tags().of_server()),
    }
}

/// The same flow as its server sees it.
fn turned(flow: FlowFields) -> FlowFields {
    FlowFields {
        src: flow.dst,
        dst: flow.src,
        sport: flow.dport,
        dport: flow.sport,
        from: flow.to,
        to: flow.from,
        inbound_if: flow.outbound_if,
        outbound_if: flow.inbound_if,
        src_tags: flow.dst_tags,
        dst_tags: flow.src_tags,
        ..flow
    }
}

fn side(session: &Session) -> Side {
    if session.is(Note::FromInside) {
        Side::First
    } else {
        Side::Second
    }
}

pub(crate) fn origin(session: &Session) -> Origin {
    Origin {
        wire: session.key().wire(),
        side: side(session),
        vlans: session.key().vlans(),
        src_mac: session.client_mac(),
        taggable_source: session.is(Note::Taggable),
        unproven_destination: session.is(Note::ServerUnproven),
        server_name: session.extra().and_then(|extra| extra.server_name.clone()),
    }
}
