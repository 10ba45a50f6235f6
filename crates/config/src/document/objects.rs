//! Objects that rules refer to: tags, addresses, address groups, services, applications, lists.

use std::time::Duration;

use crate::reader::{Located, TableReader, Text};

/// `tag.NAME`
#[derive(Clone, Debug)]
pub(crate) struct TagEntry {
    pub(crate) name: Text,
}

impl TagEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        reader.text("color");
        reader.text("comments");
        reader.finish();
        Self { name }
    }
}

/// `address.NAME`
#[derive(Clone, Debug)]
pub(crate) struct AddressEntry {
    pub(crate) name: Text,
    /// What it stands for; `None` where that was reported as missing or wrong.
    pub(crate) kind: Option<(AddressKind, Text)>,
    pub(crate) tags: Vec<Text>,
}

/// Which key of an address object holds its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressKind {
    IpNetmask,
    IpRange,
    IpWildcard,
    Fqdn,
}

impl AddressKind {
    const KEYS: [(&'static str, Self); 4] = [
        ("ip-netmask", Self::IpNetmask),
        ("ip-range", Self::IpRange),
        ("ip-wildcard", Self::IpWildcard),
        ("fqdn", Self::Fqdn),
    ];
}

impl AddressEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let given: Vec<_> = AddressKind::KEYS
            .into_iter()
            .filter(|(key, _)| reader.has(key))
            .collect();
        let mut values: Vec<_> = AddressKind::KEYS
            .into_iter()
            .filter_map(|(key, kind)| Some((kind, reader.text(key)?)))
            .collect();
        if given.is_empty() {
            reader.missing("its value: `ip-netmask`, `ip-range`, `ip-wildcard` or `fqdn`");
        }
        if let [_, (_, second), ..] = &*values {
            reader.findings().error(
                second.span,
                format!(
                    "{} has more than one value; give one of ip-netmask, ip-range, ip-wildcard, fqdn",
                    reader.path()
                ),
            );
        }
        let entry = Self {
            name,
            kind: (!values.is_empty()).then(|| values.swap_remove(0)),
            tags: reader.tags(),
        };
        reader.text("description");
        reader.finish();
        entry
    }
}

/// `address-group.NAME`
#[derive(Clone, Debug)]
pub(crate) struct AddressGroupEntry {
    pub(crate) name: Text,
    pub(crate) kind: Option<GroupKind>,
    pub(crate) tags: Vec<Text>,
}

/// How an address group gets its members.
#[derive(Clone, Debug)]
pub(crate) enum GroupKind {
    /// `static`: by name.
    Static(Located<Vec<Text>>),
    /// `dynamic.filter`: by tag.
    Dynamic(Text),
}

impl AddressGroupEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let has = (reader.has("static"), reader.has("dynamic"));
        let members = reader.texts("static").map(GroupKind::Static);
        let filter = reader.table("dynamic").and_then(|mut dynamic| {
            let filter = dynamic.required_text("filter").map(GroupKind::Dynamic);
            dynamic.finish();
            filter
        });
        match has {
            (false, false) => reader.missing("`dynamic.filter` or `static`"),
            (true, true) => reader.findings().error(
                reader.span,
                format!(
                    "{} is both static and dynamic; keep one of `static` and `dynamic.filter`",
                    reader.path()
                ),
            ),
            (true, false) | (false, true) => {}
        }
        let entry = Self {
            name,
            kind: filter.or(members),
            tags: reader.tags(),
        };
        reader.text("description");
        reader.finish();
        entry
    }
}

/// `service.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) name: Text,
    pub(crate) tags: Vec<Text>,
    pub(crate) protocol: Option<PortsEntry>,
}

/// `service.NAME.protocol.{tcp|udp}`
#[derive(Clone, Debug)]
pub(crate) struct PortsEntry {
    pub(crate) protocol: packet::IpProtocol,
    pub(crate) port: Option<policy::PortSet>,
    pub(crate) source_port: Option<policy::PortSet>,
}

impl ServiceEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let mut protocols = Vec::new();
        if let Some(mut protocol) = reader.table("protocol") {
            for (key, number) in [("tcp", packet::IpProtocol::TCP), ("udp", packet::IpProtocol::UDP)] {
                if let Some(mut ports) = protocol.table(key) {
                    if !ports.has("port") {
                        ports.missing("`port`");
                    }
                    protocols.push(PortsEntry {
                        protocol: number,
                        port: ports.parsed("port").map(|ports| ports.value),
                        source_port: ports.parsed("source-port").map(|ports| ports.value),
                    });
                    ports.not_supported("override");
                    ports.finish();
                }
            }
            match &*protocols {
                [] if !protocol.has("tcp") && !protocol.has("udp") => {
                    protocol.missing("`tcp.port` or `udp.port`");
                }
                [_, _] => protocol.findings().error(
                    protocol.span,
                    format!("{} is both tcp and udp; make two services", protocol.path()),
                ),
                _ => {}
            }
            protocol.finish();
        } else if !reader.has("protocol") {
            reader.missing("`protocol.tcp.port` or `protocol.udp.port`");
        }
        let entry = Self {
            name,
            tags: reader.tags(),
            protocol: protocols.pop(),
        };
        reader.text("description");
        reader.finish();
        entry
    }
}

/// `service-group.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ServiceGroupEntry {
    pub(crate) name: Text,
    pub(crate) members: Vec<Text>,
    pub(crate) tags: Vec<Text>,
}

impl ServiceGroupEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            members: reader.members(),
            tags: reader.tags(),
        };
        reader.finish();
        entry
    }
}

/// `application-group.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ApplicationGroupEntry {
    pub(crate) name: Text,
    pub(crate) members: Vec<Text>,
}

impl ApplicationGroupEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            members: reader.members(),
        };
        reader.finish();
        entry
    }
}

/// What an external list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// Domain names, for anti-spyware profiles.
    Domain,
    /// Addresses, for rules and groups.
    Ip,
    /// URLs, for the category column of rules.
    Url,
}

impl ListKind {
    /// The word of configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Ip => "ip",
            Self::Url => "url",
        }
    }
}

/// How often a list is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recurring {
    /// Every five minutes.
    FiveMinute,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
}

impl Recurring {
    /// How long after one reading the next comes.
    pub fn period(self) -> Duration {
        match self {
            Self::FiveMinute => Duration::from_mins(5),
            Self::Hourly => Duration::from_hours(1),
            Self::Daily => Duration::from_hours(24),
        }
    }
}

/// `external-list.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ListEntry {
    pub(crate) name: Text,
    pub(crate) kind: Option<ListKind>,
    pub(crate) url: Option<Text>,
    pub(crate) recurring: Option<Recurring>,
    pub(crate) expand_domain: bool,
    pub(crate) allow_public_suffix: bool,
    pub(crate) exceptions: Vec<Text>,
}

impl ListEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let kind = Self::read_kind(&mut reader);
        for key in ["expand-domain", "allow-public-suffix"] {
            if kind.is_some_and(|kind| kind != ListKind::Domain) && reader.has(key) {
                reader.findings().error(
                    reader.span,
                    format!("{} is for lists of type domain only", reader.path_of(key)),
                );
            }
        }
        let entry = Self {
            name,
            kind,
            url: reader.required_text("url"),
            recurring: reader
                .choice(
                    "recurring",
                    &[
                        ("five-minute", Recurring::FiveMinute),
                        ("hourly", Recurring::Hourly),
                        ("daily", Recurring::Daily),
                    ],
                )
                .map(|given| given.value),
            expand_domain: reader.switch("expand-domain", false),
            allow_public_suffix: reader.switch("allow-public-suffix", false),
            exceptions: reader
                .texts("exception-list")
                .map_or_else(Vec::new, |list| list.value),
        };
        reader.text("description");
        reader.not_supported("certificate-profile");
        reader.not_supported("auth");
        reader.finish();
        entry
    }

    fn read_kind(reader: &mut TableReader<'_>) -> Option<ListKind> {
        if !reader.has("type") {
            reader.missing("`type`: domain, ip or url");
        }
        let kind = reader.choice(
            "type",
            &[
                ("domain", Some(ListKind::Domain)),
                ("ip", Some(ListKind::Ip)),
                ("url", Some(ListKind::Url)),
                ("predefined-ip", None),
                ("predefined-url", None),
                ("imei", None),
                ("imsi", None),
            ],
        )?;
        if kind.value.is_none() {
            reader.findings().error(
                kind.span,
                format!(
                    "{}: lists of this type are not supported; use domain, ip or url",
                    reader.path()
                ),
            );
        }
        kind.value
    }
}
