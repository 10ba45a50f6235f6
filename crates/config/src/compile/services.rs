//! Services, service groups and application groups.

use std::{collections::HashSet, hash::Hash};

use packet::IpProtocol;
use policy::{AppId, PortSet, Service, ServiceId};

use super::{By, Compiler, by, cycles::cycles};
use crate::{
    finding::Quoted,
    reader::{Located, Text},
};

/// The services that PAN-OS defines itself: TCP ports.
const PREDEFINED: [(&str, &str); 2] = [("service-http", "80,8080"), ("service-https", "443")];

impl Compiler<'_> {
    pub(super) fn services(&mut self) {
        let document = self.document;
        for entry in &document.services {
            let name = self.symbol(&entry.name);
            self.shown_tags(&entry.tags);
            let mut members = Vec::new();
            if let Some(ports) = &entry.protocol {
                members.push(self.builder.add_service(Service {
                    name,
                    protocol: ports.protocol,
                    ports: ports.port.clone().unwrap_or_else(PortSet::any),
                    source_ports: ports.source_port.clone().unwrap_or_else(PortSet::any),
                }));
            }
            let number = self.service_members.len();
            self.service_members.push(members);
            self.services.add("service", &entry.name, number, self.findings);
        }
        let first_group = self.service_members.len();
        for (entry, number) in document.service_groups.iter().zip(first_group..) {
            self.shown_tags(&entry.tags);
            self.service_members.push(Vec::new());
            self.services
                .add("service group", &entry.name, number, self.findings);
        }
        let mut groups = Vec::new();
        for entry in &document.service_groups {
            let by = by("service group", &entry.name, "members");
            self.warn_of_empty(&entry.name, "service group", &entry.members);
            let group = self.watched(&entry.name, |this| {
                this.service_group(&entry.members, first_group, by)
            });
            groups.push(group);
        }
        let names = document
            .service_groups
            .iter()
            .map(|entry| &entry.name)
            .collect::<Vec<_>>();
        let flat = self.flatten(&groups, "service groups", &names);
        for (slot, members) in self.service_members.iter_mut().skip(first_group).zip(flat) {
            *slot = members;
        }
    }

    /// The members of a group; services from `first_group` on are groups.
    fn service_group(&mut self, members: &[Text], first_group: usize, by: By<'_>) -> Group<ServiceId> {
        let mut group = Group {
            direct: Vec::new(),
            nested: Vec::new(),
        };
        for member in members {
            if let Some(service) = self.predefined_service(&member.value) {
                group.direct.push(service);
            } else if let Some(number) = self.services.resolve(member, by, self.findings) {
                self.refer_to(self.services.definition(&member.value));
                match number.checked_sub(first_group) {
                    Some(nested) => group.nested.push(nested),
                    None => group
                        .direct
                        .extend(self.service_members.get(number).into_iter().flatten()),
                }
            }
        }
        group
    }

    /// A service that PAN-OS knows without a definition, unless the document defines it otherwise.
    fn predefined_service(&mut self, name: &str) -> Option<ServiceId> {
        if self.services.has(name) {
            return None;
        }
        let (name, ports) = PREDEFINED.into_iter().find(|(known, _)| *known == name)?;
        if let Some(known) = self.predefined_services.get(name) {
            return Some(*known);
        }
        let id = self.builder.add_service(Service {
            name: self.symbols.intern(name),
            protocol: IpProtocol::TCP,
            ports: ports.parse().ok()?,
            source_ports: PortSet::any(),
        });
        self.predefined_services.insert(name, id);
        Some(id)
    }

    /// The services that a column names.
    pub(super) fn named_services(&mut self, names: &[Text], by: By<'_>) -> Vec<ServiceId> {
        let mut services = Vec::new();
        for name in names {
            if let Some(service) = self.predefined_service(&name.value) {
                services.push(service);
            } else if let Some(number) = self.services.find(&name.value) {
                self.refer_to(self.services.definition(&name.value));
                services.extend(self.service_members.get(number).into_iter().flatten());
            } else {
                let others = ["any", "application-default"]
                    .into_iter()
                    .chain(PREDEFINED.map(|(name, _)| name));
                self.services.report_dangling(name, by, others, self.findings);
            }
        }
        services
    }

    pub(super) fn applications(&mut self) {
        let document = self.document;
        for (entry, number) in document.application_groups.iter().zip(0..) {
            self.application_groups
                .add("application group", &entry.name, number, self.findings);
        }
        let mut groups = Vec::new();
        for entry in &document.application_groups {
            let by = by("application group", &entry.name, "members");
            self.warn_of_empty(&entry.name, "application group", &entry.members);
            let group = self.watched(&entry.name, |this| this.application_group(&entry.members, by));
            groups.push(group);
        }
        let names = document
            .application_groups
            .iter()
            .map(|entry| &entry.name)
            .collect::<Vec<_>>();
        self.application_members = self.flatten(&groups, "application groups", &names);
    }

    fn application_group(&self, members: &[Text], by: By<'_>) -> Group<AppId> {
        let mut group = Group {
            direct: Vec::new(),
            nested: Vec::new(),
        };
        for member in members {
            match self.application_groups.find(&member.value) {
                Some(nested) => group.nested.push(nested),
                None => group.direct.extend(self.application(member, by)),
            }
        }
        group
    }

    /// The applications that a column names.
    pub(super) fn named_applications(&self, names: &Located<Vec<Text>>, by: By<'_>) -> Vec<AppId> {
        let mut apps = Vec::new();
        for name in &names.value {
            self.refer_to(self.application_groups.definition(&name.value));
            match self.application_groups.find(&name.value) {
                Some(group) => apps.extend(self.application_members.get(group).into_iter().flatten()),
                None => apps.extend(self.application(name, by)),
            }
        }
        apps
    }

    fn application(&self, name: &Text, by: By<'_>) -> Option<AppId> {
        let found = AppId::from_name(&name.value);
        if found.is_none() {
            let mut names: Vec<&str> = self.application_groups.names().collect();
            for app in AppId::all() {
                names.push(app.name());
            }
            let near = self.findings.nearest(&name.value, names);
            let message = format!(
                "{by} names {}, which is no application or application group",
                Quoted(&name.value)
            );
            self.findings.error_near(name.span, message, near);
        }
        found
    }

    fn warn_of_empty(&self, name: &Text, kind: &str, members: &[Text]) {
        if members.is_empty() {
            self.findings
                .warning(name.span, format!("{kind} {} is empty", Quoted(&name.value)));
        }
    }

    /// Members of groups, those of the groups in them included. Groups that contain each other are reported.
    fn flatten<T: Copy + Eq + Hash>(&self, groups: &[Group<T>], what: &str, names: &[&Text]) -> Vec<Vec<T>> {
        let needs: Vec<Vec<usize>> = groups.iter().map(|group| group.nested.clone()).collect();
        for cycle in cycles(&needs) {
            self.report_cycle(
                what,
                cycle.iter().filter_map(|number| names.get(*number)).copied(),
            );
        }
        (0..groups.len()).map(|start| reachable(groups, start)).collect()
    }
}

/// The members of a group: its own, and the numbers of the groups in it.
struct Group<T> {
    direct: Vec<T>,
    nested: Vec<usize>,
}

/// The members of every group that can be reached from `start`, each once, in order of finding.
fn reachable<T: Copy + Eq + Hash>(groups: &[Group<T>], start: usize) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut known = HashSet::new();
    let mut waiting = vec![start];
    let mut members = Vec::new();
    while let Some(number) = waiting.pop() {
        let Some(group) = groups.get(number).filter(|_| seen.insert(number)) else {
            continue;
        };
        members.extend(group.direct.iter().filter(|member| known.insert(**member)));
        waiting.extend(group.nested.iter().rev());
    }
    members
}
