//! Address objects, address groups, and what an address column may name.

use std::{collections::HashMap, net::IpAddr};

use policy::{
    AddressGroup, AddressGroupId, AddressObject, AddressRef, AddressValue, GroupMembers, TagFilter, Wildcard,
};
use tags::{Addresses, TagId};

use super::{By, Compiler, by, cycles::cycles};
use crate::{
    document::{AddressEntry, AddressGroupEntry, AddressKind, GroupKind},
    finding::{Quoted, Severity},
    reader::Text,
};

/// Lists of addresses that come with PAN-OS content updates.
const VENDOR_LISTS: [&str; 5] = [
    "panw-bulletproof-ip-list",
    "panw-highrisk-ip-list",
    "panw-known-ip-list",
    "panw-torexit-ip-list",
    "panw-auth-portal-exclude-list",
];

impl<'a> Compiler<'a> {
    pub(super) fn addresses_and_groups(&mut self) {
        let document = self.document;
        for entry in &document.addresses {
            let name = self.symbol(&entry.name);
            // One without a value is known all the same: what refers to it is not wrong too.
            let value = self.watched(&entry.name, |this| this.address_value(entry));
            let value = value.unwrap_or(AddressValue::Resolved(Vec::new()));
            let tags = self.set_tags(&entry.tags);
            let id = self.builder.add_address(AddressObject { name, value, tags });
            self.addresses
                .add("address", &entry.name, AddressRef::Object(id), self.findings);
        }
        // Groups refer to groups that come later: their numbers are their places.
        for (entry, number) in document.address_groups.iter().zip(0..) {
            let group = AddressRef::Group(AddressGroupId(number));
            self.addresses
                .add("address group", &entry.name, group, self.findings);
        }
        let mut groups: Vec<AddressGroup> = document
            .address_groups
            .iter()
            .map(|entry| AddressGroup {
                name: self.symbol(&entry.name),
                members: self.watched(&entry.name, |this| this.group_members(entry)),
                tags: self.set_tags(&entry.tags),
            })
            .collect();
        self.break_cycles(&mut groups);
        for group in groups {
            self.builder.add_group(group);
        }
        self.use_by_tags();
    }

    fn group_members(&mut self, entry: &'a AddressGroupEntry) -> GroupMembers {
        match &entry.kind {
            None => GroupMembers::Static(Vec::new()),
            Some(GroupKind::Static(members)) => {
                if members.value.is_empty() {
                    let message = format!(
                        "address group {} is empty: it matches nobody",
                        Quoted(&entry.name.value)
                    );
                    self.findings.warning(members.span, message);
                }
                let by = by("address group", &entry.name, "static");
                let members = members.value.iter().filter_map(|member| self.address(member, by));
                GroupMembers::Static(members.collect())
            }
            Some(GroupKind::Dynamic(filter)) => match TagFilter::parse(&filter.value, self.tag_names) {
                Ok(parsed) => {
                    self.tag_uses.ask(filter, parsed.tags());
                    GroupMembers::Dynamic(parsed)
                }
                Err(error) => {
                    let message = format!("address group {}: {}", Quoted(&entry.name.value), error.fault);
                    self.findings
                        .inside(filter.span, error.column, Severity::Error, message, None);
                    GroupMembers::Static(Vec::new())
                }
            },
        }
    }

    /// Reports groups that contain each other, and empties them.
    fn break_cycles(&mut self, groups: &mut [AddressGroup]) {
        // A dynamic group takes in the static groups that carry a tag it asks for.
        let mut carriers: HashMap<TagId, Vec<usize>> = HashMap::new();
        for (number, group) in groups.iter().enumerate() {
            if let GroupMembers::Static(_) = group.members {
                for tag in &group.tags {
                    carriers.entry(*tag).or_default().push(number);
                }
            }
        }
        let needs: Vec<Vec<usize>> = groups
            .iter()
            .map(|group| match &group.members {
                GroupMembers::Static(members) => members
                    .iter()
                    .filter_map(|member| match member {
                        AddressRef::Group(group) => Some(group.index()),
                        AddressRef::Object(_) | AddressRef::Literal(_) => None,
                    })
                    .collect(),
                GroupMembers::Dynamic(filter) => {
                    let tags = filter.tags();
                    tags.iter()
                        .filter_map(|tag| carriers.get(tag))
                        .flatten()
                        .copied()
                        .collect()
                }
            })
            .collect();
        for cycle in cycles(&needs) {
            let names = cycle
                .iter()
                .filter_map(|number| Some(&self.document.address_groups.get(*number)?.name));
            self.report_cycle("address groups", names);
            for number in cycle {
                if let Some(entry) = self.document.address_groups.get(number) {
                    self.unsound.insert(entry.name.span.start);
                }
                if let Some(group) = groups.get_mut(number) {
                    group.members = GroupMembers::Static(Vec::new());
                }
            }
        }
    }

    /// Reports groups that contain each other, each the next.
    pub(super) fn report_cycle<'n>(&self, what: &str, names: impl Iterator<Item = &'n Text>) {
        let mut names: Vec<&Text> = names.collect();
        // The same cycle reads the same, wherever the search entered it.
        let first = names.iter().enumerate().min_by_key(|(_, name)| name.span.start);
        let first = first.map_or(0, |(at, _)| at);
        names.rotate_left(first);
        let path: Vec<String> = names
            .iter()
            .chain(names.first())
            .map(|name| Quoted(&name.value).to_string())
            .collect();
        if let Some(first) = names.first() {
            let message = format!("{what} contain each other: {}", path.join(" > "));
            self.findings.error(first.span, message);
        }
    }

    fn address_value(&self, entry: &AddressEntry) -> Option<AddressValue> {
        let (kind, text) = entry.kind.as_ref()?;
        let wrong = |fault: &str| {
            let message = format!(
                "address {}: {} is not valid: {fault}",
                Quoted(&entry.name.value),
                Quoted(&text.value)
            );
            self.findings.error(text.span, message);
        };
        match kind {
            AddressKind::IpNetmask | AddressKind::IpRange => {
                let range = *kind == AddressKind::IpRange;
                match text.value.parse::<Addresses>() {
                    Ok(_) if range != text.value.contains('-') => {
                        wrong(if range {
                            "ip-range takes two addresses, as in 10.0.0.1-10.0.0.99"
                        } else {
                            "ip-netmask takes an address or prefix; use ip-range"
                        });
                        None
                    }
                    Ok(addresses) => {
                        self.warn_of_host_bits(text, &addresses);
                        Some(AddressValue::Addresses(addresses))
                    }
                    Err(fault) => {
                        wrong(&fault.to_string());
                        None
                    }
                }
            }
            AddressKind::IpWildcard => match text.value.parse::<Wildcard>() {
                Ok(wildcard) => Some(AddressValue::Wildcard(wildcard)),
                Err(fault) => {
                    wrong(&fault.to_string());
                    None
                }
            },
            AddressKind::Fqdn => self.host_addresses(entry, text),
        }
    }

    fn host_addresses(&self, entry: &AddressEntry, name: &Text) -> Option<AddressValue> {
        let problem = match name.value.parse::<packet::DomainName>() {
            Err(fault) => Some(fault.to_string()),
            Ok(_) if name.value.parse::<IpAddr>().is_ok() => {
                Some("an address, not a name: use ip-netmask".to_owned())
            }
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            let message = format!(
                "address {}: {} is not valid: {problem}",
                Quoted(&entry.name.value),
                Quoted(&name.value)
            );
            self.findings.error(name.span, message);
            return None;
        }
        let resolved = self.sources.addresses_of(&name.value);
        if resolved.is_none() {
            let message = format!(
                "address {}: {} is looked up by a running firewall; here it stands for no address",
                Quoted(&entry.name.value),
                Quoted(&name.value)
            );
            self.findings.warning(name.span, message);
        }
        resolved.map(|addresses| AddressValue::Resolved(addresses.to_vec()))
    }

    /// `192.168.1.20/24` means `192.168.1.0/24`, or it was meant to be a host.
    fn warn_of_host_bits(&self, text: &Text, addresses: &Addresses) {
        let written = text
            .value
            .split_once('/')
            .and_then(|(address, _)| address.parse::<IpAddr>().ok());
        if written.is_some_and(|address| address != addresses.first()) {
            let message = format!("{} stands for the whole of {addresses}", Quoted(&text.value));
            self.findings.warning(text.span, message);
        }
    }

    /// What an address column names: an object, a group, a list, or addresses written out.
    pub(super) fn address(&self, name: &Text, by: By<'_>) -> Option<AddressRef> {
        if let Some(found) = self.addresses.find(&name.value) {
            self.refer_to(self.addresses.definition(&name.value));
            return Some(found);
        }
        match name.value.parse::<Addresses>() {
            Ok(literal) => {
                self.warn_of_host_bits(name, &literal);
                return Some(AddressRef::Literal(literal));
            }
            Err(fault) if looks_like_addresses(&name.value) => {
                let message = format!("{by} names {}: {fault}", Quoted(&name.value));
                self.findings.error(name.span, message);
            }
            Err(_) if VENDOR_LISTS.contains(&&*name.value) => {
                let message = format!(
                    "{by} names {}: vendor lists are not supported",
                    Quoted(&name.value)
                );
                self.findings.error(name.span, message);
            }
            Err(_) => self.addresses.report_dangling(name, by, [], self.findings),
        }
        None
    }
}

/// Whether a text was meant as addresses and not as a name.
fn looks_like_addresses(text: &str) -> bool {
    let of_addresses = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/' | '-');
    text.chars().all(of_addresses) && (text.contains(':') || text.chars().filter(|c| *c == '.').count() >= 3)
}
