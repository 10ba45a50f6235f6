//! Records for tests: one of each type, and any of each type.

use std::{net::IpAddr, sync::Arc};

use packet::{DomainName, IpProtocol, Timestamp};
use policy::{Action, AppId, Symbol, Symbols, SymbolsBuilder};
use proptest::{collection::vec, option, prelude::*, sample::select};
use tags::{CauseSource, Qualifier, Subject, TagId, TagNames, TagSet};

use crate::{
    Body, ChainStatus, ConfigChange, Decryption, Direction, ErrorIndex, EscapedText, FlowFields, IpTag,
    LogType, ProxyType, Record, SessionEndReason, Severity, System, TagEvent, Threat, ThreatAction,
    ThreatSubtype, Traffic, TrafficSubtype, Url, UrlAction, View,
};

/// Names that records of tests refer to.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) symbols: Arc<Symbols>,
    pub(crate) tags: Arc<TagNames>,
    numbers: Vec<Symbol>,
}

pub(crate) const SYMBOLS: &[&str] = &[
    "",
    "inside",
    "outside",
    "lan0",
    "wan0",
    "egress-outside",
    "No Decrypt",
    "a\"b",
];
pub(crate) const TAGS: &[&str] = &["infected-host", "decrypt-error", "a b", "host", "spared"];
const NAMES: &[&str] = &[
    "golfsource.us",
    "GolfSource.US",
    "www.golfsource.us",
    "a\\032b.example",
    ".",
];
const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "10.1.0.1",
    "192.168.1.2",
    "2001:db8::1",
    "2001:db8:1::1",
];
const APPS: &[AppId] = &[AppId::DNS, AppId::SSL, AppId::INCOMPLETE];

impl Names {
    pub(crate) fn new() -> Self {
        let mut builder = SymbolsBuilder::new();
        let numbers = SYMBOLS.iter().map(|name| builder.intern(name)).collect();
        let tags = TagNames::new();
        for tag in TAGS {
            tags.intern(tag).unwrap();
        }
        Self {
            symbols: Arc::new(builder.freeze()),
            tags: Arc::new(tags),
            numbers,
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            symbols: &self.symbols,
            tags: &self.tags,
        }
    }

    pub(crate) fn symbol(&self, name: &str) -> Symbol {
        let at = SYMBOLS.iter().position(|symbol| *symbol == name).unwrap();
        self.numbers[at]
    }

    pub(crate) fn tag(&self, name: &str) -> TagId {
        self.tags.get(name).unwrap()
    }
}

pub(crate) fn flow(names: &Names) -> FlowFields {
    FlowFields {
        src: "192.168.1.2".parse().unwrap(),
        dst: "203.0.113.53".parse().unwrap(),
        sport: 40_000,
        dport: 53,
        proto: IpProtocol::UDP,
        app: AppId::DNS,
        from: names.symbol("inside"),
        to: names.symbol("outside"),
        inbound_if: names.symbol("lan0"),
        outbound_if: names.symbol("wan0"),
        rule: names.symbol("egress-outside"),
        sessionid: 7,
        src_tags: TagSet::new(),
        dst_tags: TagSet::new(),
    }
}

pub(crate) fn traffic(names: &Names) -> Traffic {
    Traffic {
        subtype: TrafficSubtype::End,
        flow: flow(names),
        action: Action::Allow,
        session_end_reason: SessionEndReason::AgedOut,
        bytes_sent: 70,
        bytes_received: 130,
        packets: 2,
        start: Timestamp::from_secs(1_700_000_000),
        elapsed: 3,
        category: Symbol::EMPTY,
        decrypted: false,
        repeatcnt: 1,
    }
}

pub(crate) fn threat(names: &Names) -> Threat {
    Threat {
        subtype: ThreatSubtype::Spyware,
        flow: flow(names),
        action: ThreatAction::Sinkhole,
        threatid: 12_000_000,
        threat_name: "golfsource.us".parse().ok(),
        severity: Severity::Medium,
        category: Symbol::EMPTY,
        direction: Direction::ClientToServer,
        misc: "GolfSource.us".parse().ok(),
        list: names.symbol("lan0"),
        qtype: Some(1),
        repeatcnt: 1,
        sinkhole: None,
    }
}

pub(crate) fn record(time: Timestamp, body: Body) -> Record {
    Record {
        seqno: 42,
        ..Record::unforwarded(time, body)
    }
}

/// Any record of a type; its values come from small sets, so that filters hit them.
pub(crate) fn any_record(names: &Arc<Names>, log_type: LogType) -> BoxedStrategy<Record> {
    let body = match log_type {
        LogType::Traffic => any_traffic(names),
        LogType::Threat => any_threat(names),
        LogType::Url => any_url(names),
        LogType::Decryption => any_decryption(names),
        LogType::IpTag => any_ip_tag(names),
        LogType::System => any_system(),
        LogType::Config => any_config(),
    };
    (body, any_time(), 0_u64..100)
        .prop_map(|(body, time, seqno)| Record {
            seqno,
            ..Record::unforwarded(time, body)
        })
        .boxed()
}

/// Within two months before the instant that tests call now.
pub(crate) fn any_time() -> impl Strategy<Value = Timestamp> {
    let whole = select(vec![NOW_SECS, NOW_SECS - 3600, NOW_SECS - 900]).prop_map(Timestamp::from_secs);
    let any = (0..60 * 86_400_000_000_u64)
        .prop_map(|micros| Timestamp::from_nanos(NOW_SECS * 1_000_000_000 - micros * 1000 + 999));
    prop_oneof![whole, any]
}

/// 2026-11-24 04:16:00 UTC.
pub(crate) const NOW_SECS: u64 = 1_795_493_760;

fn any_symbol(names: &Arc<Names>) -> impl Strategy<Value = Symbol> + use<> {
    select(names.numbers.clone())
}

fn any_name() -> impl Strategy<Value = Option<DomainName>> {
    option::of(select(NAMES.to_vec()).prop_map(|name| name.parse().unwrap()))
}

pub(crate) fn any_address() -> impl Strategy<Value = IpAddr> {
    select(ADDRESSES.to_vec()).prop_map(|address| address.parse().unwrap())
}

fn any_tags(names: &Arc<Names>) -> impl Strategy<Value = TagSet> + use<> {
    let ids: Vec<TagId> = TAGS.iter().map(|tag| names.tag(tag)).collect();
    vec(select(ids), 0..4).prop_map(|ids| ids.into_iter().collect())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "",
            "commit",
            "tag add",
            "it's",
            "\"x\"",
            "back\\slash",
            "line\nend"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ]
}

fn any_flow(names: &Arc<Names>) -> impl Strategy<Value = FlowFields> + use<> {
    let symbols = [(); 5].map(|()| any_symbol(names));
    let ports = (select(vec![0, 53, 443]), select(vec![0, 53, 443]));
    let proto = select(vec![6, 17, 1, 58, 253]).prop_map(IpProtocol);
    let tags = (any_tags(names), any_tags(names));
    let addresses = (any_address(), any_address());
    (
        addresses,
        ports,
        proto,
        select(APPS.to_vec()),
        symbols,
        0_u64..20,
        tags,
    )
        .prop_map(
            |((src, dst), (sport, dport), proto, app, symbols, sessionid, (src_tags, dst_tags))| {
                let [from, to, inbound_if, outbound_if, rule] = symbols;
                FlowFields {
                    src,
                    dst,
                    sport,
                    dport,
                    proto,
                    app,
                    from,
                    to,
                    inbound_if,
                    outbound_if,
                    rule,
                    sessionid,
                    src_tags,
                    dst_tags,
                }
            },
        )
}

fn any_action() -> impl Strategy<Value = Action> {
    select(vec![Action::Allow, Action::Deny, Action::Drop, Action::ResetBoth])
}

fn any_traffic(names: &Arc<Names>) -> BoxedStrategy<Body> {
    let words = (
        select(TrafficSubtype::ALL),
        any_action(),
        select(SessionEndReason::ALL),
        any_symbol(names),
        any::<bool>(),
    );
    let numbers = (0_u64..5, any::<u64>(), 0_u64..5, 0_u64..5, 0_u32..3);
    (any_flow(names), words, numbers, any_time())
        .prop_map(|(flow, words, numbers, start)| {
            let (subtype, action, session_end_reason, category, decrypted) = words;
            let (bytes_sent, bytes_received, packets, elapsed, repeatcnt) = numbers;
            Body::Traffic(Traffic {
                subtype,
                flow,
                action,
                session_end_reason,
                bytes_sent,
                bytes_received,
                packets,
                start,
                elapsed,
                category,
                decrypted,
                repeatcnt,
            })
        })
        .boxed()
}

fn any_threat(names: &Arc<Names>) -> BoxedStrategy<Body> {
    let words = (
        select(ThreatAction::ALL),
        select(Severity::ALL),
        select(Direction::ALL),
    );
    let symbols = (any_symbol(names), any_symbol(names));
    let qtype = option::of(select(vec![1_u16, 28, 65, 65_280]));
    (
        any_flow(names),
        words,
        symbols,
        (any_name(), any_name()),
        qtype,
        0_u32..3,
    )
        .prop_map(
            |(flow, words, (category, list), (threat_name, misc), qtype, threatid)| {
                let (action, severity, direction) = words;
                Body::Threat(Box::new(Threat {
                    subtype: ThreatSubtype::Spyware,
                    flow,
                    action,
                    threatid,
                    threat_name,
                    severity,
                    category,
                    direction,
                    misc,
                    list,
                    qtype,
                    repeatcnt: 1,
                    sinkhole: None,
                }))
            },
        )
        .boxed()
}

fn any_url(names: &Arc<Names>) -> BoxedStrategy<Body> {
    let request = (
        any::<Vec<u8>>(),
        select(vec!["GET", "POST"]),
        option::of(any_address()),
    );
    (
        any_flow(names),
        request,
        any_symbol(names),
        select(UrlAction::ALL),
    )
        .prop_map(|(flow, (misc, method, xff_ip), category, action)| {
            Body::Url(Box::new(Url {
                flow,
                misc: EscapedText::from_bytes(&misc),
                category,
                http_method: EscapedText::from_bytes(method.as_bytes()),
                xff_ip,
                action,
            }))
        })
        .boxed()
}

fn any_decryption(names: &Arc<Names>) -> BoxedStrategy<Body> {
    let words = (
        any_action(),
        select(ErrorIndex::ALL),
        select(ProxyType::ALL),
        select(ChainStatus::ALL),
        select(SessionEndReason::ALL),
    );
    let texts = (any::<Vec<u8>>(), any::<Vec<u8>>(), any_text());
    (any_flow(names), words, texts, any_name(), any_symbol(names))
        .prop_map(|(flow, words, (cn, issuer_cn, error), sni, policy_name)| {
            let (action, err_index, proxy_type, chain_status, session_end_reason) = words;
            Body::Decryption(Box::new(Decryption {
                flow,
                action,
                policy_name,
                sni,
                cn: EscapedText::from_bytes(&cn),
                issuer_cn: EscapedText::from_bytes(&issuer_cn),
                tls_version: "TLS1.3",
                tls_cipher: "TLS_AES_128_GCM_SHA256",
                tls_keyxchg: "ECDHE",
                err_index,
                error: error.into(),
                proxy_type,
                chain_status,
                session_end_reason,
            }))
        })
        .boxed()
}

fn any_ip_tag(names: &Arc<Names>) -> BoxedStrategy<Body> {
    let addresses = select(vec![
        "10.0.0.1",
        "10.0.0.0/24",
        "10.0.0.1-10.0.0.9",
        "2001:db8::/32",
        "192.168.1.2",
    ]);
    let qualifier = prop_oneof![
        Just(Qualifier::None),
        any_address().prop_map(Qualifier::Client),
        any_name().prop_map(|name| name.map_or(Qualifier::None, Qualifier::server_name)),
    ];
    let source = prop_oneof![
        (0_u64..5).prop_map(CauseSource::Record),
        Just(CauseSource::Socket { admin: "root".into() }),
        Just(CauseSource::Config),
    ];
    let tags: Vec<TagId> = TAGS.iter().map(|tag| names.tag(tag)).collect();
    let entry = option::of(Just(Arc::<str>::from("Tag-Infected-Host")));
    (
        addresses,
        qualifier,
        source,
        select(tags),
        select(TagEvent::ALL),
        entry,
        0_u32..3,
    )
        .prop_map(
            |(addresses, qualifier, source, tag, event, match_list, timeout)| {
                let subject = Subject {
                    addresses: addresses.parse().unwrap(),
                    qualifier,
                };
                Body::IpTag(Box::new(IpTag {
                    subject,
                    tag,
                    event,
                    source,
                    match_list,
                    timeout,
                }))
            },
        )
        .boxed()
}

fn any_system() -> BoxedStrategy<Body> {
    (select(Severity::ALL), any_text())
        .prop_map(|(severity, opaque)| {
            Body::System(Box::new(System {
                subtype: "general",
                severity,
                event: "unlisted-resolver",
                opaque,
            }))
        })
        .boxed()
}

fn any_config() -> BoxedStrategy<Body> {
    [(); 6]
        .map(|()| any_text())
        .prop_map(|[admin, cmd, path, before, after, result]| {
            Body::Config(Box::new(ConfigChange {
                admin,
                cmd,
                path,
                before,
                after,
                result,
            }))
        })
        .boxed()
}
