//! The names that filters use for fields: ours, and PAN-OS's where they differ.

use super::{Field, Kind};
use crate::{LogType, spelling::nearest};

/// What one side of a comparison names: a field, or either of a client's and a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// A field.
    One(Field),
    /// `addr`: `src` or `dst`.
    Addr,
    /// `port`: `sport` or `dport`.
    Port,
    /// `zone`: `from` or `to`.
    Zone,
    /// `interface`: `inbound_if` or `outbound_if`.
    Interface,
    /// `tags`: `src_tags` or `dst_tags`.
    Tags,
}

/// Why a name is no attribute of a type of record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownAttribute {
    /// No such name.
    #[error("unknown field `{name}` of {log_type} records")]
    Unknown {
        /// As written.
        name: String,
        /// Whose fields were meant.
        log_type: LogType,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// PAN-OS has it, cordon has not.
    #[error("field `{name}` is not supported")]
    NotSupported {
        /// As written.
        name: String,
    },
    /// Another type of record has it.
    #[error("{log_type} records have no field `{name}`")]
    OtherType {
        /// As written.
        name: String,
        /// Whose fields were meant.
        log_type: LogType,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
}

/// PAN-OS's names, and the fields they mean.
const ALIASES: &[(&str, Attribute)] = &[
    ("addr", Attribute::Addr),
    ("addr.src", Attribute::One(Field::Src)),
    ("addr.dst", Attribute::One(Field::Dst)),
    ("port", Attribute::Port),
    ("port.src", Attribute::One(Field::Sport)),
    ("port.dst", Attribute::One(Field::Dport)),
    ("zone", Attribute::Zone),
    ("zone.src", Attribute::One(Field::From)),
    ("zone.dst", Attribute::One(Field::To)),
    ("interface", Attribute::Interface),
    ("interface.src", Attribute::One(Field::InboundIf)),
    ("interface.dst", Attribute::One(Field::OutboundIf)),
    ("tags", Attribute::Tags),
    ("tags.src", Attribute::One(Field::SrcTags)),
    ("tags.dst", Attribute::One(Field::DstTags)),
    ("dag.src", Attribute::One(Field::SrcTags)),
    ("dag.dst", Attribute::One(Field::DstTags)),
    ("src_dag", Attribute::One(Field::SrcTags)),
    ("dst_dag", Attribute::One(Field::DstTags)),
    ("time_generated", Attribute::One(Field::ReceiveTime)),
    ("session_id", Attribute::One(Field::Sessionid)),
    ("name-of-threatid", Attribute::One(Field::ThreatName)),
    ("category-of-threatid", Attribute::One(Field::Category)),
    ("threat_category", Attribute::One(Field::Category)),
    ("thr_category", Attribute::One(Field::Category)),
    ("filename", Attribute::One(Field::Misc)),
    ("url", Attribute::One(Field::Misc)),
    ("domain_edl", Attribute::One(Field::List)),
    ("tag_name", Attribute::One(Field::Tag)),
    ("event_id", Attribute::One(Field::Event)),
    ("eventid", Attribute::One(Field::Event)),
    ("description", Attribute::One(Field::Opaque)),
    ("before-change-detail", Attribute::One(Field::Before)),
    ("after-change-detail", Attribute::One(Field::After)),
];

/// Names of PAN-OS that stand for what these records do not hold.
const NOT_SUPPORTED: &[&str] = &[
    "action_source",
    "actionflags",
    "client",
    "cluster_name",
    "container_id",
    "contenttype",
    "datasource_subtype",
    "datasource_type",
    "datasourcename",
    "device_name",
    "dg_id",
    "dst_category",
    "dst_edl",
    "dst_host",
    "dst_mac",
    "dst_model",
    "dst_osfamily",
    "dst_uuid",
    "dst_vendor",
    "dstloc",
    "dstuser",
    "dynusergroup_name",
    "ec_curve",
    "filedigest",
    "fingerprint",
    "flags",
    "high_res_timestamp",
    "host",
    "hostid",
    "hs_stage_c2f",
    "hs_stage_f2s",
    "http2_connection",
    "location.dst",
    "location.src",
    "logset",
    "module",
    "natdport",
    "natdst",
    "natport",
    "natport.dst",
    "natport.src",
    "natsport",
    "natsrc",
    "notafter",
    "notbefore",
    "object",
    "offloaded",
    "parent_session_id",
    "pcap_id",
    "pkts_received",
    "pkts_sent",
    "recipient",
    "referer",
    "reportid",
    "risk_of_app",
    "root_cn",
    "root_status",
    "rule_uuid",
    "sender",
    "serial",
    "src_category",
    "src_edl",
    "src_host",
    "src_mac",
    "src_model",
    "src_osfamily",
    "src_uuid",
    "src_vendor",
    "srcloc",
    "srcuser",
    "subject",
    "tls_auth",
    "tls_enc",
    "tunnel",
    "tunnelid",
    "url_category_list",
    "user",
    "user.dst",
    "user.src",
    "user_agent",
    "vsys",
    "vsys_id",
    "vsys_name",
    "xff",
];

impl Attribute {
    /// The attribute that a filter over `log_type` records calls `name`.
    pub fn resolve(name: &str, log_type: LogType) -> Result<Self, UnknownAttribute> {
        let found = Field::from_name(name).map(Self::One).or_else(|| {
            ALIASES
                .iter()
                .find(|(alias, _)| *alias == name)
                .map(|&(_, attribute)| attribute)
        });
        match found {
            Some(attribute) if attribute.is_of(log_type) => Ok(attribute),
            Some(_) => Err(UnknownAttribute::OtherType {
                name: name.to_owned(),
                log_type,
                nearest: nearest_of(name, log_type),
            }),
            None if NOT_SUPPORTED.contains(&name) => Err(UnknownAttribute::NotSupported {
                name: name.to_owned(),
            }),
            None => Err(UnknownAttribute::Unknown {
                name: name.to_owned(),
                log_type,
                nearest: nearest_of(name, log_type),
            }),
        }
    }

    /// Every attribute of a type of record: its fields in the order of the line, then the pairs.
    pub fn all(log_type: LogType) -> impl Iterator<Item = Self> {
        let pairs = [Self::Addr, Self::Port, Self::Zone, Self::Interface, Self::Tags];
        let fields = log_type.fields().iter().map(|&field| Self::One(field));
        fields.chain(pairs.into_iter().filter(move |pair| pair.is_of(log_type)))
    }

    /// The name that filters are printed with.
    pub fn name(self) -> &'static str {
        match self {
            Self::One(field) => field.name(),
            Self::Addr => "addr",
            Self::Port => "port",
            Self::Zone => "zone",
            Self::Interface => "interface",
            Self::Tags => "tags",
        }
    }

    /// Other names for it in filters.
    pub fn aliases(self) -> impl Iterator<Item = &'static str> {
        ALIASES
            .iter()
            .filter(move |(alias, attribute)| *attribute == self && *alias != self.name())
            .map(|&(alias, _)| alias)
    }

    /// The operators it can be compared with.
    pub fn operators(self, log_type: LogType) -> &'static [crate::filter::Operator] {
        self.kind(log_type).operators()
    }

    /// The values it can be compared with, where they are a closed set; otherwise none.
    pub fn values(self, log_type: LogType) -> &'static [&'static str] {
        match self.kind(log_type) {
            Kind::OneOf(values) => values,
            Kind::Severity => crate::Severity::NAMES,
            Kind::Flag => &["yes", "no"],
            Kind::Number(_)
            | Kind::Time
            | Kind::Address
            | Kind::Addresses
            | Kind::Protocol
            | Kind::Application
            | Kind::QueryType
            | Kind::Text
            | Kind::CaselessText
            | Kind::Tags => &[],
        }
    }

    /// What a value of it looks like, for people.
    pub fn value_form(self, log_type: LogType) -> &'static str {
        self.kind(log_type).expected()
    }

    /// The field, or the client's and the server's.
    pub(crate) fn fields(self) -> (Field, Option<Field>) {
        match self {
            Self::One(field) => (field, None),
            Self::Addr => (Field::Src, Some(Field::Dst)),
            Self::Port => (Field::Sport, Some(Field::Dport)),
            Self::Zone => (Field::From, Some(Field::To)),
            Self::Interface => (Field::InboundIf, Some(Field::OutboundIf)),
            Self::Tags => (Field::SrcTags, Some(Field::DstTags)),
        }
    }

    pub(crate) fn kind(self, log_type: LogType) -> Kind {
        Kind::of(self.fields().0, log_type)
    }

    fn is_of(self, log_type: LogType) -> bool {
        let (first, second) = self.fields();
        let has = |field: Field| log_type.fields().contains(&field);
        has(first) && second.is_none_or(has)
    }
}

fn nearest_of(name: &str, log_type: LogType) -> Option<&'static str> {
    let names = Attribute::all(log_type).map(Attribute::name);
    let aliases = ALIASES
        .iter()
        .filter(|(_, attribute)| attribute.is_of(log_type))
        .map(|&(alias, _)| alias);
    nearest(name, names.chain(aliases))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_resolves_to_one_attribute() {
        for &log_type in LogType::ALL {
            for attribute in Attribute::all(log_type) {
                assert_eq!(Attribute::resolve(attribute.name(), log_type), Ok(attribute));
                for alias in attribute.aliases() {
                    assert_eq!(Attribute::resolve(alias, log_type), Ok(attribute));
                    assert_eq!(Field::from_name(alias), None, "{alias} is a field's own name");
                }
            }
        }
        for (index, (alias, _)) in ALIASES.iter().enumerate() {
            assert!(
                ALIASES.iter().skip(index + 1).all(|(other, _)| other != alias),
                "{alias} twice"
            );
        }
        for name in NOT_SUPPORTED {
            assert_eq!(Field::from_name(name), None, "{name} is supported");
            assert!(
                ALIASES.iter().all(|(alias, _)| alias != name),
                "{name} is supported"
            );
        }
    }

    #[test]
    fn pan_os_names_mean_our_fields() {
        let resolve = |name| Attribute::resolve(name, LogType::Traffic);
        assert_eq!(resolve("addr.src"), Ok(Attribute::One(Field::Src)));
        assert_eq!(resolve("zone.dst"), Ok(Attribute::One(Field::To)));
        assert_eq!(resolve("port"), Ok(Attribute::Port));
        assert_eq!(
            Attribute::resolve("eventid", LogType::System),
            Ok(Attribute::One(Field::Event))
        );
    }

    #[test]
    fn says_what_is_wrong_with_a_name() {
        let wrong = |name, log_type| Attribute::resolve(name, log_type).unwrap_err();
        let error = wrong("sesion_end_reason", LogType::Traffic);
        assert_eq!(
            error.to_string(),
            "unknown field `sesion_end_reason` of traffic records"
        );
        assert!(matches!(
            error,
            UnknownAttribute::Unknown {
                nearest: Some("session_end_reason"),
                ..
            }
        ));
        assert_eq!(
            wrong("natsrc", LogType::Traffic).to_string(),
            "field `natsrc` is not supported"
        );
        assert_eq!(
            wrong("threatid", LogType::Traffic).to_string(),
            "traffic records have no field `threatid`"
        );
        assert_eq!(
            wrong("addr", LogType::System).to_string(),
            "system records have no field `addr`"
        );
        assert_eq!(
            wrong("dst_tags", LogType::Threat).to_string(),
            "threat records have no field `dst_tags`"
        );
    }
}
