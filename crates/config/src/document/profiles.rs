//! Profiles: anti-spyware, custom URL categories, profile groups.

use std::net::{Ipv4Addr, Ipv6Addr};

use packet::DomainName;
use policy::DnsAction;

use crate::reader::{Located, TableReader, Text};

/// Kinds of profiles that PAN-OS has and cordon does not.
pub(super) const NOT_SUPPORTED: [&str; 9] = [
    "virus",
    "vulnerability",
    "url-filtering",
    "file-blocking",
    "wildfire-analysis",
    "data-filtering",
    "data-objects",
    "dos-protection",
    "sctp-inspection",
];

/// `profiles.custom-url-category.NAME`
#[derive(Clone, Debug)]
pub(crate) struct UrlCategoryEntry {
    pub(crate) name: Text,
    pub(crate) list: Vec<Text>,
}

impl UrlCategoryEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        if !reader.has("list") {
            reader.missing("`list`");
        }
        let entry = Self {
            name,
            list: reader.texts("list").map_or_else(Vec::new, |list| list.value),
        };
        let kind = reader.choice("type", &[("URL List", true), ("Category Match", false)]);
        if let Some(kind) = kind.filter(|kind| !kind.value) {
            let message = format!("{}: type `Category Match` is not supported", reader.path());
            reader.findings().error(kind.span, message);
        }
        reader.text("description");
        reader.finish();
        entry
    }
}

/// `profiles.spyware.NAME`
#[derive(Clone, Debug)]
pub(crate) struct SpywareProfileEntry {
    pub(crate) name: Text,
    pub(crate) lists: Vec<SpywareListEntry>,
    pub(crate) ipv4: Option<Located<Ipv4Addr>>,
    pub(crate) ipv6: Option<Located<Ipv6Addr>>,
    pub(crate) fqdn: Option<Located<DomainName>>,
    /// Whether an address was given, readable or not.
    pub(crate) has_address: bool,
    pub(crate) exceptions: Vec<Located<DomainName>>,
}

/// `profiles.spyware.NAME.botnet-domains.lists`
#[derive(Clone, Debug)]
pub(crate) struct SpywareListEntry {
    pub(crate) name: Text,
    pub(crate) action: Option<Located<DnsAction>>,
}

impl SpywareProfileEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let mut entry = Self {
            name,
            lists: Vec::new(),
            ipv4: None,
            ipv6: None,
            fqdn: None,
            has_address: false,
            exceptions: Vec::new(),
        };
        if let Some(botnet) = reader.table("botnet-domains") {
            entry.read_botnet_domains(botnet);
        }
        reader.text("description");
        for key in [
            "rules",
            "threat-exception",
            "mica-engine-spyware-enabled",
            "cloud-inline-analysis",
        ] {
            reader.not_supported(key);
        }
        reader.finish();
        entry
    }

    fn read_botnet_domains(&mut self, mut botnet: TableReader<'_>) {
        for mut list in botnet.list("lists") {
            self.lists.push(SpywareListEntry {
                name: list.name(),
                action: list.required_choice("action", &DnsAction::ALL.map(|action| (action.name(), action))),
            });
            list.not_supported("packet-capture");
            list.finish();
        }
        if let Some(mut sinkhole) = botnet.table("sinkhole") {
            self.has_address = sinkhole.has("ipv4-address") || sinkhole.has("ipv6-address");
            self.ipv4 = sinkhole.parsed("ipv4-address");
            self.ipv6 = sinkhole.parsed("ipv6-address");
            self.fqdn = sinkhole.parsed("fqdn");
            sinkhole.finish();
        }
        for mut exception in botnet.list("whitelist") {
            if !exception.has("name") {
                exception.missing("`name`");
            }
            self.exceptions.extend(exception.parsed("name"));
            exception.text("description");
            exception.finish();
        }
        for key in ["dns-security-categories", "threat-exception", "rtype-action"] {
            botnet.not_supported(key);
        }
        botnet.finish();
    }
}

/// `profile-group.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ProfileGroupEntry {
    pub(crate) name: Text,
    pub(crate) spyware: Vec<Text>,
}

impl ProfileGroupEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            spyware: reader.texts("spyware").map_or_else(Vec::new, |list| list.value),
        };
        for key in NOT_SUPPORTED {
            reader.not_supported(key);
        }
        reader.finish();
        entry
    }
}
