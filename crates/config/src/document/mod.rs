//! What the document says, read but not yet understood: names are texts, references lead nowhere yet.

mod decryption_profile;
mod forwarding;
mod network;
mod objects;
mod profiles;
mod rules;
mod settings;

pub(crate) use decryption_profile::DecryptionProfileEntry;
pub(crate) use forwarding::{ActionEntry, EvidenceEntry, ForwardingProfileEntry, MatchEntry, TaggingEntry};
pub(crate) use network::{TapEntry, WireEntry, ZoneEntry};
pub(crate) use objects::{
    AddressEntry, AddressGroupEntry, AddressKind, ApplicationGroupEntry, GroupKind, ListEntry, ServiceEntry,
    ServiceGroupEntry, TagEntry,
};
pub use objects::{ListKind, Recurring};
pub(crate) use profiles::{ProfileGroupEntry, SpywareProfileEntry, UrlCategoryEntry};
pub(crate) use rules::{DecryptionRuleEntry, SecurityRuleEntry};
pub(crate) use settings::SettingsEntry;

use std::collections::HashSet;

use crate::{
    finding::{Finding, Findings},
    reader::{TableReader, Text},
    source::Source,
    syntax,
};

/// A document that could be read. What it says is not proven yet: see [`compile`](crate::compile).
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) source: Source,
    pub(crate) wires: Vec<WireEntry>,
    pub(crate) taps: Vec<TapEntry>,
    pub(crate) zones: Vec<ZoneEntry>,
    pub(crate) tags: Vec<TagEntry>,
    pub(crate) addresses: Vec<AddressEntry>,
    pub(crate) address_groups: Vec<AddressGroupEntry>,
    pub(crate) services: Vec<ServiceEntry>,
    pub(crate) service_groups: Vec<ServiceGroupEntry>,
    pub(crate) application_groups: Vec<ApplicationGroupEntry>,
    pub(crate) lists: Vec<ListEntry>,
    pub(crate) url_categories: Vec<UrlCategoryEntry>,
    pub(crate) spyware: Vec<SpywareProfileEntry>,
    pub(crate) decryption: Vec<DecryptionProfileEntry>,
    pub(crate) profile_groups: Vec<ProfileGroupEntry>,
    pub(crate) forwarding: Vec<ForwardingProfileEntry>,
    pub(crate) security_rules: Vec<SecurityRuleEntry>,
    pub(crate) decryption_rules: Vec<DecryptionRuleEntry>,
    pub(crate) settings: SettingsEntry,
    /// What reading it found; compiling repeats it.
    pub(crate) findings: Vec<Finding>,
    /// Entries with errors, by the place of their names.
    pub(crate) unsound: HashSet<usize>,
}

/// What came of reading a document.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says; `None` where a fault of its TOML hides a part of it.
    pub document: Option<Document>,
    /// Faults of its TOML, unknown keys, wrong types and words, in order of their places.
    pub findings: Vec<Finding>,
}

/// Reads a document. `file` is its name as the user spells it: findings carry it.
pub fn parse(file: &str, text: &str) -> Parsed {
    let mut findings = Findings::new(Source::new(file, text));
    let document = syntax::read(&mut findings, |values, findings| {
        TableReader::root(values, findings).map(read)
    });
    let document = document.flatten().filter(|_| !findings.is_partial());
    let findings = findings.into_sorted();
    Parsed {
        document: document.map(|document| Document {
            findings: findings.clone(),
            ..document
        }),
        findings,
    }
}

fn read(mut root: TableReader<'_>) -> Document {
    let mut unsound = HashSet::new();
    let mut document = Document {
        source: root.findings().source().clone(),
        wires: read_entries(&mut root, &mut unsound, "virtual-wire", WireEntry::read),
        taps: read_entries(&mut root, &mut unsound, "interface", TapEntry::read),
        zones: read_entries(&mut root, &mut unsound, "zone", ZoneEntry::read),
        tags: read_entries(&mut root, &mut unsound, "tag", TagEntry::read),
        addresses: read_entries(&mut root, &mut unsound, "address", AddressEntry::read),
        address_groups: read_entries(&mut root, &mut unsound, "address-group", AddressGroupEntry::read),
        services: read_entries(&mut root, &mut unsound, "service", ServiceEntry::read),
        service_groups: read_entries(&mut root, &mut unsound, "service-group", ServiceGroupEntry::read),
        application_groups: read_entries(
            &mut root,
            &mut unsound,
            "application-group",
            ApplicationGroupEntry::read,
        ),
        lists: read_entries(&mut root, &mut unsound, "external-list", ListEntry::read),
        profile_groups: read_entries(&mut root, &mut unsound, "profile-group", ProfileGroupEntry::read),
        url_categories: Vec::new(),
        spyware: Vec::new(),
        decryption: Vec::new(),
        forwarding: Vec::new(),
        security_rules: Vec::new(),
        decryption_rules: Vec::new(),
        settings: SettingsEntry::default(),
        findings: Vec::new(),
        unsound: HashSet::new(),
    };
    if let Some(mut profiles) = root.table("profiles") {
        document.url_categories = read_entries(
            &mut profiles,
            &mut unsound,
            "custom-url-category",
            UrlCategoryEntry::read,
        );
        document.spyware = read_entries(&mut profiles, &mut unsound, "spyware", SpywareProfileEntry::read);
        document.decryption = read_entries(
            &mut profiles,
            &mut unsound,
            "decryption",
            DecryptionProfileEntry::read,
        );
        for other in profiles::NOT_SUPPORTED {
            profiles.not_supported(other);
        }
        profiles.finish();
    }
    if let Some(mut log_settings) = root.table("log-settings") {
        document.forwarding = read_entries(
            &mut log_settings,
            &mut unsound,
            "profiles",
            ForwardingProfileEntry::read,
        );
        for other in forwarding::NOT_SUPPORTED {
            log_settings.not_supported(other);
        }
        log_settings.finish();
    }
    document.unsound = unsound;
    if let Some(rulebase) = root.table("rulebase") {
        rules::read_rulebase(rulebase, &mut document);
    }
    if let Some(setting) = root.table("setting") {
        document.settings = SettingsEntry::read(setting);
    }
    root.finish();
    document
}

/// Reads every entry of a table of named tables; notes those with errors.
fn read_entries<T>(
    reader: &mut TableReader<'_>,
    unsound: &mut HashSet<usize>,
    key: &'static str,
    mut read: impl FnMut(Text, TableReader<'_>) -> T,
) -> Vec<T> {
    let findings = reader.findings();
    reader
        .entries(key)
        .into_iter()
        .map(|(name, entry)| {
            let (at, before) = (name.span.start, findings.error_count());
            let read = read(name, entry);
            if findings.error_count() > before {
                unsound.insert(at);
            }
            read
        })
        .collect()
}
