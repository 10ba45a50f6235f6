//! The two rule bases.

use policy::{
    Action, AddressRef, AppId, CategoryId, Criterion, DecryptionRuleDraft, Policy, RuleType,
    SecurityRuleDraft, ServiceDraft, ServiceId, SpywareProfileId, ZoneId,
};

use super::{Compiler, by};
use crate::{
    document::{DecryptionRuleEntry, Document, MatchColumns, SecurityRuleEntry},
    finding::{Findings, Quoted},
    reader::{Located, Text},
};

type Names = Option<Located<Vec<Text>>>;

impl Compiler<'_> {
    pub(super) fn rules(&mut self) {
        self.report_duplicates();
        for entry in &self.document.security_rules {
            let draft = self.security_rule(entry);
            self.builder.add_rule(draft);
        }
        for entry in &self.document.decryption_rules {
            let draft = self.decryption_rule(entry);
            self.builder.add_decryption_rule(draft);
        }
    }

    fn report_duplicates(&self) {
        let security = self.document.security_rules.iter().map(|rule| &rule.name);
        let decryption = self.document.decryption_rules.iter().map(|rule| &rule.name);
        duplicates(security, self.findings);
        duplicates(decryption, self.findings);
    }

    fn security_rule(&mut self, entry: &SecurityRuleEntry) -> SecurityRuleDraft {
        const KIND: &str = "security rule";
        let name = self.symbol(&entry.name);
        let columns = &entry.columns;
        let service = match &columns.service {
            Some(names)
                if names
                    .value
                    .iter()
                    .any(|name| &*name.value == "application-default") =>
            {
                ServiceDraft::ApplicationDefault
            }
            names => match self.services_of(KIND, &entry.name, names) {
                Criterion::Any => ServiceDraft::Any,
                Criterion::Of(services) => ServiceDraft::Of(services),
            },
        };
        SecurityRuleDraft {
            rule_type: entry
                .rule_type
                .as_ref()
                .map_or(RuleType::Universal, |given| given.value),
            from: self.zones_of(KIND, &entry.name, &columns.from, "from"),
            to: self.zones_of(KIND, &entry.name, &columns.to, "to"),
            source: self.addresses_of(KIND, &entry.name, &columns.source, "source"),
            negate_source: columns.negate_source,
            destination: self.addresses_of(KIND, &entry.name, &columns.destination, "destination"),
            negate_destination: columns.negate_destination,
            applications: self.applications_of(&entry.name, &entry.application),
            service,
            categories: self.categories_of(KIND, &entry.name, columns),
            spyware: self.spyware_of(entry),
            log_setting: self.log_setting_of(KIND, &entry.name, columns),
            log_start: entry.log_start,
            log_end: entry.log_end,
            icmp_unreachable: entry.icmp_unreachable.as_ref().is_some_and(|given| given.value),
            disabled: columns.disabled,
            tags: self.tag_ids(&columns.tags),
            ..SecurityRuleDraft::new(
                name,
                entry.action.as_ref().map_or(Action::Deny, |action| action.value),
            )
        }
    }

    fn decryption_rule(&mut self, entry: &DecryptionRuleEntry) -> DecryptionRuleDraft {
        const KIND: &str = "decryption rule";
        let name = self.symbol(&entry.name);
        let columns = &entry.columns;
        let profile = entry.profile.as_ref().and_then(|profile| {
            self.decryption
                .resolve(profile, by(KIND, &entry.name, "profile"), self.findings)
        });
        DecryptionRuleDraft {
            from: self.zones_of(KIND, &entry.name, &columns.from, "from"),
            to: self.zones_of(KIND, &entry.name, &columns.to, "to"),
            source: self.addresses_of(KIND, &entry.name, &columns.source, "source"),
            negate_source: columns.negate_source,
            destination: self.addresses_of(KIND, &entry.name, &columns.destination, "destination"),
            negate_destination: columns.negate_destination,
            services: self.services_of(KIND, &entry.name, &columns.service),
            categories: self.categories_of(KIND, &entry.name, columns),
            profile,
            log_setting: self.log_setting_of(KIND, &entry.name, columns),
            log_success: entry.log_success,
            log_fail: entry.log_fail,
            disabled: columns.disabled,
            tags: self.tag_ids(&columns.tags),
            ..DecryptionRuleDraft::new(name, entry.action)
        }
    }

    fn zones_of(
        &self,
        kind: &'static str,
        rule: &Text,
        names: &Names,
        column: &'static str,
    ) -> Criterion<ZoneId> {
        criterion(names, |name| {
            self.zones.resolve(name, by(kind, rule, column), self.findings)
        })
    }

    fn addresses_of(
        &self,
        kind: &'static str,
        rule: &Text,
        names: &Names,
        column: &'static str,
    ) -> Criterion<AddressRef> {
        criterion(names, |name| self.address(rule, kind, name, column))
    }

    fn services_of(&self, kind: &'static str, rule: &Text, names: &Names) -> Criterion<ServiceId> {
        let Some(names) = given(names) else {
            return Criterion::Any;
        };
        let mut services = Vec::new();
        for name in names {
            if let Some((_, members)) = self
                .service_groups
                .iter()
                .find(|(group, _)| *group == &*name.value)
            {
                services.extend(members);
                continue;
            }
            let others = self
                .service_groups
                .iter()
                .map(|(group, _)| *group)
                .chain(["any", "application-default"]);
            match self.services.find(&name.value) {
                Some(service) => services.push(service),
                None => self
                    .services
                    .report_dangling(name, by(kind, rule, "service"), others, self.findings),
            }
        }
        Criterion::Of(services)
    }

    fn applications_of(&self, rule: &Text, names: &Names) -> Criterion<AppId> {
        let Some(names) = given(names) else {
            return Criterion::Any;
        };
        let mut apps = Vec::new();
        for name in names {
            let group = self
                .document
                .application_groups
                .iter()
                .find(|group| *group.name.value == *name.value);
            let members = group.map_or(std::slice::from_ref(name), |group| &group.members);
            for member in members {
                match AppId::from_name(&member.value) {
                    Some(app) => apps.push(app),
                    None => {
                        let near = self
                            .findings
                            .nearest(&member.value, AppId::all().map(AppId::name));
                        let message = format!(
                            "security rule {}: application {} is unknown",
                            Quoted(&rule.value),
                            Quoted(&member.value)
                        );
                        self.findings.error_near(member.span, message, near);
                    }
                }
            }
        }
        Criterion::Of(apps)
    }

    fn categories_of(
        &self,
        kind: &'static str,
        rule: &Text,
        columns: &MatchColumns,
    ) -> Criterion<CategoryId> {
        criterion(&columns.category, |name| {
            let found = self.categories.find(&name.value);
            if found.is_none() {
                self.categories.report_dangling(
                    name,
                    by(kind, rule, "category"),
                    self.sources.folders(),
                    self.findings,
                );
            }
            found
        })
    }

    fn log_setting_of(
        &self,
        kind: &'static str,
        rule: &Text,
        columns: &MatchColumns,
    ) -> Option<policy::LogSettingId> {
        let name = columns.log_setting.as_ref()?;
        self.log_settings
            .resolve(name, by(kind, rule, "log-setting"), self.findings)
    }

    fn spyware_of(&self, entry: &SecurityRuleEntry) -> Option<SpywareProfileId> {
        let by = by("security rule", &entry.name, "profile-setting");
        if let Some(name) = entry.spyware.as_ref().and_then(|names| names.value.first()) {
            return self.spyware.resolve(name, by, self.findings);
        }
        let group = entry
            .profile_group
            .as_ref()
            .and_then(|names| names.value.first())?;
        let found = self
            .document
            .profile_groups
            .iter()
            .find(|known| known.name.value == group.value);
        let Some(found) = found else {
            let names = self
                .document
                .profile_groups
                .iter()
                .map(|known| &*known.name.value);
            let near = self.findings.nearest(&group.value, names);
            self.findings.error_near(
                group.span,
                format!("{by} names {}, which is no profile group", Quoted(&group.value)),
                near,
            );
            return None;
        };
        self.spyware.resolve(found.spyware.first()?, by, self.findings)
    }
}

/// The names of a column; `None` where it is absent or holds `any`.
fn given(names: &Names) -> Option<&[Text]> {
    let names = &names.as_ref()?.value;
    (!names.iter().any(|name| &*name.value == "any")).then_some(names)
}

fn criterion<T>(names: &Names, resolve: impl FnMut(&Text) -> Option<T>) -> Criterion<T> {
    given(names).map_or(Criterion::Any, |names| {
        Criterion::Of(names.iter().filter_map(resolve).collect())
    })
}

fn duplicates<'n>(names: impl Iterator<Item = &'n Text>, findings: &Findings) {
    let mut seen = std::collections::HashMap::new();
    for name in names.filter(|name| !name.value.is_empty()) {
        if let Some(first) = seen.insert(&*name.value, name) {
            let line = findings.source().place(first.span.start).line;
            findings.error(
                name.span,
                format!(
                    "duplicate name: rule {} is already on line {line}",
                    Quoted(&name.value)
                ),
            );
        }
    }
}

/// Warns about rules that never match because another before them always does.
pub(super) fn report_shadowed(document: &Document, policy: &Policy, findings: &Findings) {
    for (rule, by) in policy.shadowed() {
        let (rule, by) = (
            document.security_rules.get(rule.index()),
            document.security_rules.get(by.index()),
        );
        if let (Some(rule), Some(by)) = (rule, by) {
            shadowed("security rule", &rule.name, &by.name, findings);
        }
    }
    for (rule, by) in policy.shadowed_decryption() {
        let (rule, by) = (
            document.decryption_rules.get(rule.index()),
            document.decryption_rules.get(by.index()),
        );
        if let (Some(rule), Some(by)) = (rule, by) {
            shadowed("decryption rule", &rule.name, &by.name, findings);
        }
    }
}

fn shadowed(kind: &str, rule: &Text, by: &Text, findings: &Findings) {
    findings.warning(
        rule.span,
        format!(
            "{kind} {} never matches: {} before it covers it",
            Quoted(&rule.value),
            Quoted(&by.value)
        ),
    );
}
