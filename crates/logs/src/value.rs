//! What stands in a record's fields: one source for lines and filters.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of some sixty fields each type of record has its few"
)]

use std::{fmt, fmt::Write as _, net::IpAddr};

use packet::{DomainName, IpProtocol, Timestamp};
use smallvec::SmallVec;
use tags::{Addresses, CauseSource, Qualifier, TagNames, TagSet};

use crate::{Body, Field, FlowFields, Record, View, record::query_type::QueryType};

/// The value of one field of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Number(u64),
    Flag(bool),
    Text(&'a str),
    Name(&'a DomainName),
    Address(IpAddr),
    Addresses(Addresses),
    Qualifier(&'a Qualifier),
    Time(Timestamp),
    Protocol(IpProtocol),
    QueryType(u16),
    Tags(Tags<'a>),
}

/// A set of tags by name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tags<'a> {
    /// As a record holds them.
    Ids(&'a TagSet, &'a TagNames),
    /// As a line holds them.
    Names(&'a [String]),
}

impl<'a> Tags<'a> {
    /// Whether one of the tags' names satisfies the test.
    pub(crate) fn any(self, mut test: impl FnMut(&'a str) -> bool) -> bool {
        match self {
            Self::Ids(set, names) => set.as_slice().iter().any(|&tag| test(names.resolve(tag))),
            Self::Names(names) => names.iter().any(|name| test(name)),
        }
    }
}

/// Something that has the fields of a record.
pub(crate) trait Fields {
    /// The value of a field; unknown ones, and those of other types of record, are empty text.
    fn value(&self, field: Field) -> Value<'_>;
}

/// A record with the names its numbers stand for.
#[derive(Debug)]
pub(crate) struct Named<'a> {
    pub(crate) record: &'a Record,
    pub(crate) view: View<'a>,
}

const EMPTY: Value<'static> = Value::Text("");

impl Fields for Named<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Seqno => Value::Number(self.record.seqno),
            Field::ReceiveTime => Value::Time(self.record.time),
            Field::Type => Value::Text(self.record.log_type().name()),
            _ => self.of_body(field),
        }
    }
}

impl Named<'_> {
    fn of_body(&self, field: Field) -> Value<'_> {
        let symbol = |symbol| Value::Text(self.view.symbols.resolve(symbol));
        match &self.record.body {
            Body::Traffic(traffic) => match field {
                Field::Subtype => Value::Text(traffic.subtype.name()),
                Field::Action => Value::Text(traffic.action.name()),
                Field::SessionEndReason => Value::Text(traffic.session_end_reason.name()),
                Field::Bytes => Value::Number(traffic.bytes_sent.saturating_add(traffic.bytes_received)),
                Field::BytesSent => Value::Number(traffic.bytes_sent),
                Field::BytesReceived => Value::Number(traffic.bytes_received),
                Field::Packets => Value::Number(traffic.packets),
                Field::Start => Value::Time(traffic.start),
                Field::Elapsed => Value::Number(traffic.elapsed),
                Field::Category => symbol(traffic.category),
                Field::Decrypted => Value::Flag(traffic.decrypted),
                Field::Repeatcnt => Value::Number(traffic.repeatcnt.into()),
                _ => self.of_flow(&traffic.flow, field),
            },
            Body::Threat(threat) => match field {
                Field::Subtype => Value::Text(threat.subtype.name()),
                Field::Action => Value::Text(threat.action.name()),
                Field::Threatid => Value::Number(threat.threatid.into()),
                Field::ThreatName => threat.threat_name.as_ref().map_or(EMPTY, Value::Name),
                Field::Severity => Value::Text(threat.severity.name()),
                Field::Category => symbol(threat.category),
                Field::Direction => Value::Text(threat.direction.name()),
                Field::Misc => threat.misc.as_ref().map_or(EMPTY, Value::Name),
                Field::List => symbol(threat.list),
                Field::Qtype => threat.qtype.map_or(EMPTY, Value::QueryType),
                Field::Repeatcnt => Value::Number(threat.repeatcnt.into()),
                _ => self.of_flow(&threat.flow, field),
            },
            Body::Url(url) => match field {
                Field::Action => Value::Text(url.action.name()),
                Field::SessionEndReason => Value::Text(crate::SessionEndReason::NotApplicable.name()),
                Field::Misc => Value::Text(url.misc.as_str()),
                Field::Category => symbol(url.category),
                Field::HttpMethod => Value::Text(url.http_method.as_str()),
                Field::XffIp => url.xff_ip.map_or(EMPTY, Value::Address),
                _ => self.of_flow(&url.flow, field),
            },
            Body::Decryption(decryption) => match field {
                Field::Action => Value::Text(decryption.action.name()),
                Field::SessionEndReason => Value::Text(decryption.session_end_reason.name()),
                Field::PolicyName => symbol(decryption.policy_name),
                Field::Sni => decryption.sni.as_ref().map_or(EMPTY, Value::Name),
                Field::Cn => Value::Text(decryption.cn.as_str()),
                Field::IssuerCn => Value::Text(decryption.issuer_cn.as_str()),
                Field::TlsVersion => Value::Text(decryption.tls_version),
                Field::TlsCipher => Value::Text(decryption.tls_cipher),
                Field::TlsKeyxchg => Value::Text(decryption.tls_keyxchg),
                Field::ErrIndex => Value::Text(decryption.err_index.name()),
                Field::Error => Value::Text(&decryption.error),
                Field::ProxyType => Value::Text(decryption.proxy_type.name()),
                Field::ChainStatus => Value::Text(decryption.chain_status.name()),
                _ => self.of_flow(&decryption.flow, field),
            },
            Body::IpTag(change) => match field {
                Field::Ip => Value::Addresses(change.subject.addresses),
                Field::Tag => Value::Text(self.view.tags.resolve(change.tag)),
                Field::Event => Value::Text(change.event.name()),
                Field::Source => match &change.source {
                    CauseSource::Record(seqno) => Value::Number(*seqno),
                    CauseSource::Socket { .. } => Value::Text("socket"),
                    CauseSource::Config => Value::Text("config"),
                },
                Field::MatchList => Value::Text(change.match_list.as_deref().unwrap_or_default()),
                Field::Timeout => Value::Number(change.timeout.into()),
                Field::Qualifier => Value::Qualifier(&change.subject.qualifier),
                _ => EMPTY,
            },
            Body::System(system) => match field {
                Field::Subtype => Value::Text(system.subtype),
                Field::Severity => Value::Text(system.severity.name()),
                Field::Event => Value::Text(system.event),
                Field::Opaque => Value::Text(&system.opaque),
                _ => EMPTY,
            },
            Body::Config(change) => match field {
                Field::Admin => Value::Text(&change.admin),
                Field::Cmd => Value::Text(&change.cmd),
                Field::Path => Value::Text(&change.path),
                Field::Before => Value::Text(&change.before),
                Field::After => Value::Text(&change.after),
                Field::Result => Value::Text(&change.result),
                _ => EMPTY,
            },
        }
    }

    fn of_flow<'a>(&'a self, flow: &'a FlowFields, field: Field) -> Value<'a> {
        let symbol = |symbol| Value::Text(self.view.symbols.resolve(symbol));
        match field {
            Field::Src => Value::Address(flow.src),
            Field::Dst => Value::Address(flow.dst),
            Field::Sport => Value::Number(flow.sport.into()),
            Field::Dport => Value::Number(flow.dport.into()),
            Field::Proto => Value::Protocol(flow.proto),
            Field::App => Value::Text(flow.app.name()),
            Field::From => symbol(flow.from),
            Field::To => symbol(flow.to),
            Field::InboundIf => symbol(flow.inbound_if),
            Field::OutboundIf => symbol(flow.outbound_if),
            Field::Rule => symbol(flow.rule),
            Field::Sessionid => Value::Number(flow.sessionid),
            Field::SrcTags => Value::Tags(Tags::Ids(&flow.src_tags, self.view.tags)),
            Field::DstTags => Value::Tags(Tags::Ids(&flow.dst_tags, self.view.tags)),
            _ => EMPTY,
        }
    }
}

/// Room for the text of a value; a domain name rarely needs more.
pub(crate) struct TextBuffer(SmallVec<[u8; 288]>);

impl TextBuffer {
    pub(crate) fn new() -> Self {
        Self(SmallVec::new())
    }

    fn as_str(&self) -> &str {
        // Only text is ever written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Write for TextBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl<'a> Value<'a> {
    /// The value as a line has it between quotes; `buffer` is where it is made if it has to be.
    pub(crate) fn text(self, buffer: &'a mut TextBuffer) -> &'a str {
        let written = match self {
            Self::Text(text) => return text,
            Self::Flag(flag) => return if flag { "yes" } else { "no" },
            Self::Number(number) => write!(buffer, "{number}"),
            Self::Name(name) => write!(buffer, "{name}"),
            Self::Address(address) => write!(buffer, "{address}"),
            Self::Addresses(addresses) => write!(buffer, "{addresses}"),
            Self::Tags(_) | Self::Qualifier(Qualifier::None) => return "",
            Self::Qualifier(Qualifier::ServerName(name)) => write!(buffer, "name={name}"),
            Self::Qualifier(Qualifier::Client(client)) => write!(buffer, "client={client}"),
            Self::Time(time) => {
                let mut bytes = Vec::new();
                crate::calendar::write_rfc3339(time, &mut bytes);
                buffer.0.extend_from_slice(&bytes);
                Ok(())
            }
            Self::Protocol(protocol) => match protocol.name() {
                Some(name) => return name,
                None => write!(buffer, "{}", protocol.0),
            },
            Self::QueryType(number) => write!(buffer, "{}", QueryType(number)),
        };
        // Writing to memory cannot fail.
        written.unwrap_or_default();
        buffer.as_str()
    }
}
