//! Interfaces, wires, zones, addresses, groups, services, profiles.

use std::collections::HashMap;

use policy::{
    AddressGroup, AddressGroupId, AddressObject, AddressRef, AddressValue, DecryptionProfile, Ethertypes,
    GroupMembers, InterfaceId, Service, Sinkhole, SpywareProfile, TagFilter, TlsVersion, VlanSet, WireSpec,
    ZoneDraft,
};
use tags::Addresses;

use super::{Compiler, by, cycles::cycles};
use crate::{
    document::{AddressEntry, AddressKind, GroupKind},
    finding::{Quoted, Severity},
    reader::Text,
};

impl Compiler<'_> {
    pub(super) fn objects(&mut self) {
        for entry in &self.document.tags {
            if let Ok(tag) = self.tag_names.intern(&entry.name.value) {
                self.tags.add("tag", &entry.name, tag, self.findings);
            }
        }
        self.lists();
        self.addresses_and_groups();
        self.network();
        self.services();
        self.profiles();
        let never: Vec<AddressRef> = self
            .document
            .settings
            .never_tag
            .iter()
            .filter_map(|name| self.address(name, "setting", name, "never-tag"))
            .collect();
        self.builder.add_never_tag(never);
        self.builder.settings(self.document.settings.policy.clone());
    }

    fn network(&mut self) {
        let mut interfaces: HashMap<String, InterfaceId> = HashMap::new();
        for entry in &self.document.wires {
            let name = self.symbol(&entry.name);
            let [Some(first), Some(second)] = &entry.interfaces else {
                continue;
            };
            let ends = [first, second].map(|end| {
                let symbol = self.symbols.intern(&end.value);
                *interfaces
                    .entry(end.value.to_string())
                    .or_insert_with(|| self.builder.add_interface(symbol))
            });
            let ethertypes = match &entry.ethertypes {
                None => Ethertypes::All,
                Some(names) => {
                    Ethertypes::Only(names.iter().filter_map(|name| self.ethertype(name)).collect())
                }
            };
            self.builder.add_wire(WireSpec {
                name,
                interfaces: ends,
                tag_allowed: entry.tag_allowed.clone().unwrap_or_else(VlanSet::all),
                ethertypes,
                protect_link_local: entry.protect_link_local,
                link_state_pass_through: entry.link_state_pass_through,
            });
        }
        for entry in &self.document.zones {
            let name = self.symbol(&entry.name);
            if !entry.has_interfaces {
                let message = format!(
                    "zone {} has no interfaces: nothing comes from it",
                    Quoted(&entry.name.value)
                );
                self.findings.warning(entry.name.span, message);
            }
            let mut ends = Vec::new();
            for interface in &entry.interfaces {
                let (base, vlan) = match interface.value.rsplit_once('.') {
                    Some((base, vlan)) if !interfaces.contains_key(&*interface.value) => {
                        match vlan.parse::<u16>() {
                            Ok(vlan) if vlan <= 4094 => (base, Some(vlan)),
                            _ => (&*interface.value, None),
                        }
                    }
                    _ => (&*interface.value, None),
                };
                match interfaces.get(base) {
                    Some(id) => ends.push((*id, vlan)),
                    None => {
                        let near = self.findings.nearest(base, interfaces.keys().map(String::as_str));
                        let message = format!(
                            "zone {}: interface {} is on no virtual wire",
                            Quoted(&entry.name.value),
                            Quoted(base)
                        );
                        self.findings.error_near(interface.span, message, near);
                    }
                }
            }
            let addresses = |names: &[Text], column| -> Vec<AddressRef> {
                names
                    .iter()
                    .filter_map(|name| self.address(&entry.name, "zone", name, column))
                    .collect()
            };
            let zone = ZoneDraft {
                name,
                interfaces: ends,
                networks: addresses(&entry.networks, "networks"),
                anti_spoof: entry.anti_spoof,
                resolvers: addresses(&entry.resolvers, "resolvers"),
            };
            let id = self.builder.add_zone(zone);
            self.zones.add("zone", &entry.name, id, self.findings);
        }
    }

    fn ethertype(&self, name: &Text) -> Option<u16> {
        let number = Ethertypes::number(&name.value);
        if number.is_none() {
            let near = self.findings.nearest(&name.value, Ethertypes::names());
            let message = format!(
                "unknown ethertype {}; a name or a number like 0x88cc",
                Quoted(&name.value)
            );
            self.findings.error_near(name.span, message, near);
        }
        number
    }

    fn addresses_and_groups(&mut self) {
        for entry in &self.document.addresses {
            let name = self.symbol(&entry.name);
            let Some(value) = self.address_value(entry) else {
                // Known all the same: what refers to it is not wrong too.
                let nothing = AddressObject {
                    name,
                    value: AddressValue::Resolved(Vec::new()),
                    tags: Vec::new(),
                };
                let id = self.builder.add_address(nothing);
                self.addresses
                    .add("address", &entry.name, AddressRef::Object(id), self.findings);
                continue;
            };
            let tags = self.tag_ids(&entry.tags);
            let id = self.builder.add_address(AddressObject { name, value, tags });
            self.addresses
                .add("address", &entry.name, AddressRef::Object(id), self.findings);
        }
        // Groups refer to groups that come later: their numbers are their places.
        for (entry, number) in self.document.address_groups.iter().zip(0..) {
            self.addresses.add(
                "address group",
                &entry.name,
                AddressRef::Group(AddressGroupId(number)),
                self.findings,
            );
        }
        let mut needs = vec![Vec::new(); self.document.address_groups.len()];
        for (entry, needs) in self.document.address_groups.iter().zip(&mut needs) {
            let name = self.symbol(&entry.name);
            let tags = self.tag_ids(&entry.tags);
            let members = match &entry.kind {
                Some(GroupKind::Static(members)) => {
                    if members.value.is_empty() {
                        self.findings.warning(
                            members.span,
                            format!("address group {} is empty", Quoted(&entry.name.value)),
                        );
                    }
                    let members: Vec<AddressRef> = members
                        .value
                        .iter()
                        .filter_map(|member| self.address(&entry.name, "address group", member, "static"))
                        .collect();
                    needs.extend(members.iter().filter_map(|member| match member {
                        AddressRef::Group(group) => Some(group.index()),
                        AddressRef::Object(_) | AddressRef::Literal(_) => None,
                    }));
                    GroupMembers::Static(members)
                }
                Some(GroupKind::Dynamic(filter)) => match TagFilter::parse(&filter.value, self.tag_names) {
                    Ok(parsed) => {
                        for tag in parsed.tags() {
                            self.tags.find(&self.tag_names.resolve(tag));
                        }
                        GroupMembers::Dynamic(parsed)
                    }
                    Err(error) => {
                        let message = error.fault.to_string();
                        self.findings
                            .inside(filter.span, error.column, Severity::Error, message, None);
                        GroupMembers::Static(Vec::new())
                    }
                },
                None => GroupMembers::Static(Vec::new()),
            };
            self.builder.add_group(AddressGroup { name, members, tags });
        }
        for cycle in cycles(&needs) {
            let named: Vec<&Text> = cycle
                .iter()
                .filter_map(|group| Some(&self.document.address_groups.get(*group)?.name))
                .collect();
            let Some(first) = named.first() else { continue };
            let path: Vec<String> = named
                .iter()
                .chain([first])
                .map(|name| Quoted(&name.value).to_string())
                .collect();
            self.findings.error(
                first.span,
                format!("address groups contain each other: {}", path.join(" → ")),
            );
        }
    }

    fn address_value(&self, entry: &AddressEntry) -> Option<AddressValue> {
        let (kind, text) = entry.kind.as_ref()?;
        let wrong = |what: &str| {
            self.findings.error(
                text.span,
                format!("address {}: expected {what}", Quoted(&entry.name.value)),
            );
        };
        match kind {
            AddressKind::IpNetmask => match text.value.parse::<Addresses>() {
                Ok(addresses @ (Addresses::Host(_) | Addresses::Prefix(_))) => {
                    Some(AddressValue::Addresses(addresses))
                }
                _ => {
                    wrong("an address or a prefix, as in 10.0.0.1 or 10.0.0.0/8");
                    None
                }
            },
            AddressKind::IpRange => match text.value.parse::<Addresses>() {
                Ok(addresses @ (Addresses::Range(_) | Addresses::Host(_) | Addresses::Prefix(_)))
                    if text.value.contains('-') =>
                {
                    Some(AddressValue::Addresses(addresses))
                }
                _ => {
                    wrong("a range, as in 10.0.0.1-10.0.0.99");
                    None
                }
            },
            AddressKind::IpWildcard => match text.value.parse() {
                Ok(wildcard) => Some(AddressValue::Wildcard(wildcard)),
                Err(fault) => {
                    self.findings.error(text.span, fault.to_string());
                    None
                }
            },
            AddressKind::Fqdn => Some(AddressValue::Resolved(
                self.sources
                    .addresses_of(&text.value)
                    .unwrap_or_default()
                    .to_vec(),
            )),
        }
    }

    /// What an address column's entry stands for: an object, a group, a list, or an address itself.
    pub(super) fn address(
        &self,
        owner: &Text,
        kind: &'static str,
        name: &Text,
        column: &'static str,
    ) -> Option<AddressRef> {
        if let Some(found) = self.addresses.find(&name.value) {
            return Some(found);
        }
        if let Ok(literal) = name.value.parse::<Addresses>() {
            return Some(AddressRef::Literal(literal));
        }
        self.addresses
            .report_dangling(name, by(kind, owner, column), [], self.findings);
        None
    }

    fn services(&mut self) {
        for entry in &self.document.services {
            let Some(ports) = &entry.protocol else { continue };
            let name = self.symbol(&entry.name);
            let id = self.builder.add_service(Service {
                name,
                protocol: ports.protocol,
                ports: ports.port.clone().unwrap_or_else(policy::PortSet::any),
                source_ports: ports.source_port.clone().unwrap_or_else(policy::PortSet::any),
            });
            self.services.add("service", &entry.name, id, self.findings);
        }
        for entry in &self.document.service_groups {
            let members = entry
                .members
                .iter()
                .filter_map(|name| {
                    self.services
                        .resolve(name, by("service group", &entry.name, "members"), self.findings)
                })
                .collect();
            self.service_groups.push((&entry.name.value, members));
        }
    }

    fn profiles(&mut self) {
        for entry in &self.document.spyware {
            let name = self.symbol(&entry.name);
            let lists = entry
                .lists
                .iter()
                .filter_map(|list| {
                    let by = by("anti-spyware profile", &entry.name, "lists");
                    let id = self.domain_lists.resolve(&list.name, by, self.findings)?;
                    Some((id, list.action.as_ref()?.value))
                })
                .collect();
            let id = self.builder.add_spyware_profile(SpywareProfile {
                name,
                lists,
                sinkhole: Sinkhole {
                    ipv4: entry.ipv4.as_ref().map(|given| given.value),
                    ipv6: entry.ipv6.as_ref().map(|given| given.value),
                    fqdn: entry.fqdn.as_ref().map(|given| given.value),
                },
                exceptions: entry.exceptions.iter().map(|name| name.value).collect(),
            });
            self.spyware
                .add("anti-spyware profile", &entry.name, id, self.findings);
        }
        for entry in &self.document.decryption {
            let name = self.symbol(&entry.name);
            let id = self.builder.add_decryption_profile(DecryptionProfile {
                name,
                ssl_forward_proxy: entry.ssl_forward_proxy,
                min_version: entry
                    .min_version
                    .as_ref()
                    .map_or(TlsVersion::Tls10, |version| version.value),
                max_version: entry
                    .max_version
                    .as_ref()
                    .map_or(TlsVersion::Max, |version| version.value),
            });
            self.decryption
                .add("decryption profile", &entry.name, id, self.findings);
        }
    }
}
