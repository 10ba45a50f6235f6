//! Records read back from their lines.

use std::net::IpAddr;

use packet::IpProtocol;
use serde_json::{Map, Value as Json};
use tags::Addresses;

use crate::{
    Field, LogType, calendar,
    field::Kind,
    record::query_type::QueryType,
    value::{Fields, Tags, Value},
};

/// A record as its line has it, for filters over stored records.
#[derive(Clone, Debug)]
pub struct Line {
    log_type: LogType,
    members: Map<String, Json>,
    src_tags: Vec<String>,
    dst_tags: Vec<String>,
}

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLine {
    /// Not JSON.
    #[error("the line is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but nothing that has members.
    #[error("the line is not a JSON object")]
    NotAnObject,
    /// A record needs a type.
    #[error("the line has no `type`, or one that is not known")]
    Type,
}

impl Line {
    /// Reads a line. Members that are missing or odd count as empty.
    pub fn parse(text: &str) -> Result<Self, InvalidLine> {
        let Json::Object(members) = serde_json::from_str(text)? else {
            return Err(InvalidLine::NotAnObject);
        };
        let log_type = members
            .get("type")
            .and_then(Json::as_str)
            .and_then(LogType::from_name);
        let tags = |field: Field| {
            let names = members.get(field.name()).and_then(Json::as_array);
            names
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .map(str::to_owned)
                .collect()
        };
        Ok(Self {
            log_type: log_type.ok_or(InvalidLine::Type)?,
            src_tags: tags(Field::SrcTags),
            dst_tags: tags(Field::DstTags),
            members,
        })
    }

    /// What kind of record it is.
    pub fn log_type(&self) -> LogType {
        self.log_type
    }
}

impl Fields for Line {
    fn value(&self, field: Field) -> Value<'_> {
        let text = || {
            self.members
                .get(field.name())
                .and_then(Json::as_str)
                .unwrap_or_default()
        };
        let read = match Kind::of(field, self.log_type) {
            Kind::Flag => self
                .members
                .get(field.name())
                .and_then(Json::as_bool)
                .map(Value::Flag),
            Kind::Time => calendar::parse_time(text()).map(Value::Time),
            Kind::Address => text().parse::<IpAddr>().ok().map(Value::Address),
            Kind::Addresses => text().parse::<Addresses>().ok().map(Value::Addresses),
            Kind::Protocol => IpProtocol::from_name(text()).map(Value::Protocol),
            Kind::QueryType => QueryType::parse(text()).map(|query_type| Value::QueryType(query_type.0)),
            Kind::Tags if field == Field::SrcTags => Some(Value::Tags(Tags::Names(&self.src_tags))),
            Kind::Tags => Some(Value::Tags(Tags::Names(&self.dst_tags))),
            // A text may be a number: `source` is one or the other.
            Kind::Number(_)
            | Kind::Text
            | Kind::CaselessText
            | Kind::OneOf(_)
            | Kind::Severity
            | Kind::Application => self
                .members
                .get(field.name())
                .and_then(Json::as_u64)
                .map(Value::Number),
        };
        read.unwrap_or_else(|| Value::Text(text()))
    }
}
