//! Records: what the firewall saw, decided and did, as plain data.

pub(crate) mod query_type;
mod text;
mod values;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use packet::{DomainName, IpProtocol, MacAddr, Timestamp, VlanTags, Wire};
use policy::{Action, AppId, LogSetting, Symbol, Symbols};
use tags::{CauseSource, Subject, TagId, TagNames, TagSet};

pub use self::{
    text::EscapedText,
    values::{
        ChainStatus, Direction, ErrorIndex, ProxyType, Severity, TagEvent, ThreatAction, ThreatSubtype,
        TrafficSubtype, UrlAction,
    },
};
use crate::{LogType, SessionEndReason};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened.
    pub time: Timestamp,
    /// Its place among all records, from 1; 0 until the forwarder has numbered it.
    pub seqno: u64,
    /// What happened.
    pub body: Body,
    /// What the forwarder must know to tag; not written.
    pub origin: Origin,
    /// Whose match lists it is shown to: the `log-setting` of the rule; not written.
    pub log_setting: Option<LogSetting>,
}

impl Record {
    /// A record that no match list sees and that did not come from a packet.
    pub fn unforwarded(time: Timestamp, body: Body) -> Self {
        Self {
            time,
            seqno: 0,
            body,
            origin: Origin::default(),
            log_setting: None,
        }
    }

    /// What kind of record it is.
    pub fn log_type(&self) -> LogType {
        match self.body {
            Body::Traffic(_) => LogType::Traffic,
            Body::Threat(_) => LogType::Threat,
            Body::Url(_) => LogType::Url,
            Body::Decryption(_) => LogType::Decryption,
            Body::IpTag(_) => LogType::IpTag,
            Body::System(_) => LogType::System,
            Body::Config(_) => LogType::Config,
        }
    }

    /// Who talked to whom, where a packet caused the record.
    pub fn flow(&self) -> Option<&FlowFields> {
        match &self.body {
            Body::Traffic(traffic) => Some(&traffic.flow),
            Body::Threat(threat) => Some(&threat.flow),
            Body::Url(url) => Some(&url.flow),
            Body::Decryption(decryption) => Some(&decryption.flow),
            Body::IpTag(_) | Body::System(_) | Body::Config(_) => None,
        }
    }
}

/// What a record says. Traffic records are made for every session and hold no heap; the others are rare, and
/// boxed so that a queue of records stays small.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A session started, ended or was refused.
    Traffic(Traffic),
    /// A listed name was asked for, or a session goes to a sinkhole address.
    Threat(Box<Threat>),
    /// A URL was requested.
    Url(Box<Url>),
    /// A decryption rule judged a TLS session.
    Decryption(Box<Decryption>),
    /// A tag changed or was refused.
    IpTag(Box<IpTag>),
    /// Something happened to the firewall.
    System(Box<System>),
    /// An administrator changed something.
    Config(Box<ConfigChange>),
}

/// Which of a wire's two interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The wire's `interface1`.
    #[default]
    First,
    /// The wire's `interface2`.
    Second,
}

/// Where a record's packet came from, and whether its source can be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The wire it crosses.
    pub wire: Wire,
    /// The side the session's client is on.
    pub side: Side,
    /// The VLANs it is in.
    pub vlans: VlanTags,
    /// The link-layer address the client's packets came from; `None` where there is no link layer.
    pub src_mac: Option<MacAddr>,
    /// Whether the client's address may be tagged: `false` (the default) where it lies outside its zone's
    /// networks or nobody knows which side is inside.
    pub taggable_source: bool,
    /// The server's address is only what the inside of a tunnel claims, whose two ends may be in league: it is not
    /// tagged.
    pub unproven_destination: bool,
    /// The name the client asked the server for (TLS server name, HTTP host), where one was seen.
    pub server_name: Option<Box<DomainName>>,
}

/// Who talked to whom under which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFields {
    /// The client's address.
    pub src: IpAddr,
    /// The server's address.
    pub dst: IpAddr,
    /// The client's port; 0 for ICMP and protocols without ports.
    pub sport: u16,
    /// The server's port; 0 for ICMP and protocols without ports.
    pub dport: u16,
    /// The protocol.
    pub proto: IpProtocol,
    /// The application, as far as known.
    pub app: AppId,
    /// The client's zone.
    pub from: Symbol,
    /// The server's zone.
    pub to: Symbol,
    /// The interface the client's packets arrive at.
    pub inbound_if: Symbol,
    /// The interface they leave by.
    pub outbound_if: Symbol,
    /// The rule that decided.
    pub rule: Symbol,
    /// The session.
    pub sessionid: u64,
    /// The client's tags at the time of the decision.
    pub src_tags: TagSet,
    /// The server's tags at the time of the decision.
    pub dst_tags: TagSet,
}

/// A session's start, end or refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Which of them.
    pub subtype: TrafficSubtype,
    /// Who talked to whom.
    pub flow: FlowFields,
    /// What the rule says.
    pub action: Action,
    /// Why it ended; [`SessionEndReason::NotApplicable`] where it did not.
    pub session_end_reason: SessionEndReason,
    /// Bytes from client to server, as on the wire.
    pub bytes_sent: u64,
    /// Bytes from server to client, as on the wire.
    pub bytes_received: u64,
    /// Packets both ways.
    pub packets: u64,
    /// Time of the first packet.
    pub start: Timestamp,
    /// Whole seconds from the first packet to the last.
    pub elapsed: u64,
    /// The URL category; [`Symbol::EMPTY`] where none was looked up.
    pub category: Symbol,
    /// Whether it was decrypted.
    pub decrypted: bool,
    /// Sessions this record stands for.
    pub repeatcnt: u32,
}

/// A listed name that was asked for, or a session to a sinkhole address.
#[derive(Clone, Debug, PartialEq)]
pub struct Threat {
    /// What found it.
    pub subtype: ThreatSubtype,
    /// Who talked to whom.
    pub flow: FlowFields,
    /// What was done.
    pub action: ThreatAction,
    /// The number of the signature.
    pub threatid: u32,
    /// The listed name. `None` in a session to a sinkhole address: the forwarder fills it in.
    pub threat_name: Option<DomainName>,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of threat.
    pub category: Symbol,
    /// Whether a query or a reply gave it away.
    pub direction: Direction,
    /// The name as asked. `None` in a session to a sinkhole address: the forwarder fills it in.
    pub misc: Option<DomainName>,
    /// The list the name is on. [`Symbol::EMPTY`] in a session to a sinkhole address: the forwarder fills it in.
    pub list: Symbol,
    /// The type that was asked for (IANA "Resource Record (RR) TYPEs").
    pub qtype: Option<u16>,
    /// Events this record stands for.
    pub repeatcnt: u32,
    /// The address that was answered, where one was; not written. By it the forwarder knows the name again
    /// when a session goes there.
    pub sinkhole: Option<IpAddr>,
}

/// A request for a URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Url {
    /// Who talked to whom.
    pub flow: FlowFields,
    /// Host and path.
    pub misc: EscapedText,
    /// The category.
    pub category: Symbol,
    /// The method, e.g. `GET`.
    pub http_method: EscapedText,
    /// The first address of `X-Forwarded-For`: whom a proxy in front of the firewall says to speak for.
    pub xff_ip: Option<IpAddr>,
    /// What was done.
    pub action: UrlAction,
}

/// What a decryption rule decided, and what became of the TLS session.
#[derive(Clone, Debug, PartialEq)]
pub struct Decryption {
    /// Who talked to whom.
    pub flow: FlowFields,
    /// What the security rule says.
    pub action: Action,
    /// The decryption rule.
    pub policy_name: Symbol,
    /// The name the client asked for.
    pub sni: Option<DomainName>,
    /// The common name of the server's certificate.
    pub cn: EscapedText,
    /// The common name of its issuer.
    pub issuer_cn: EscapedText,
    /// The version agreed on, e.g. `TLS1.2`.
    pub tls_version: &'static str,
    /// The cipher suite agreed on.
    pub tls_cipher: &'static str,
    /// The key exchange agreed on.
    pub tls_keyxchg: &'static str,
    /// What failed.
    pub err_index: ErrorIndex,
    /// How it failed.
    pub error: Cow<'static, str>,
    /// How the firewall took part.
    pub proxy_type: ProxyType,
    /// What is known of the server's chain.
    pub chain_status: ChainStatus,
    /// Why the session ended.
    pub session_end_reason: SessionEndReason,
}

/// A tag that was set, moved, removed or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpTag {
    /// What carries it.
    pub subject: Subject,
    /// The tag.
    pub tag: TagId,
    /// What happened.
    pub event: TagEvent,
    /// The record, command or configuration behind it.
    pub source: CauseSource,
    /// The match list entry that acted.
    pub match_list: Option<Arc<str>>,
    /// The timeout it was set with, in minutes; 0 = until removed.
    pub timeout: u32,
}

/// Something that happened to the firewall itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// The part of the firewall, e.g. `general`, `tagging`.
    pub subtype: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Its name, for filters.
    pub event: &'static str,
    /// What happened and what to do, for people.
    pub opaque: String,
}

/// Something an administrator changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Who.
    pub admin: String,
    /// The command, e.g. `commit`, `tag-add`.
    pub cmd: String,
    /// What was changed.
    pub path: String,
    /// How it was.
    pub before: String,
    /// How it is.
    pub after: String,
    /// Whether it worked.
    pub result: String,
}

/// Where the names are that records hold as numbers.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Names of rules, zones, interfaces, lists.
    pub symbols: &'a Symbols,
    /// Names of tags.
    pub tags: &'a TagNames,
}
