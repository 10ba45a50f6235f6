//! The two rule bases.

use policy::{Action, DecryptionRuleDraft, RuleType, SecurityRuleDraft, SpywareProfileId};

use super::{Compiler, Register, by};
use crate::{
    document::{DecryptionRuleEntry, SecurityRuleEntry},
    finding::Quoted,
    reader::Text,
};

const SECURITY: &str = "security rule";
const DECRYPTION: &str = "decryption rule";

/// The names of the rules behind all others.
const DEFAULT_RULES: [&str; 2] = ["intrazone-default", "interzone-default"];

impl<'a> Compiler<'a> {
    pub(super) fn rules(&mut self) {
        let document = self.document;
        self.check_names(SECURITY, document.security_rules.iter().map(|rule| &rule.name));
        self.check_names(
            DECRYPTION,
            document.decryption_rules.iter().map(|rule| &rule.name),
        );
        for entry in &document.security_rules {
            let draft = self.watched(&entry.name, |this| this.security_rule(entry));
            self.builder.add_rule(draft);
        }
        for entry in &document.decryption_rules {
            let draft = self.watched(&entry.name, |this| this.decryption_rule(entry));
            self.builder.add_decryption_rule(draft);
        }
    }

    fn check_names(&self, kind: &'static str, names: impl Iterator<Item = &'a Text>) {
        let mut known = Register::new(kind);
        for name in names {
            if kind == SECURITY && DEFAULT_RULES.contains(&&*name.value) {
                let message = format!(
                    "{kind} {}: this name belongs to the default rule",
                    Quoted(&name.value)
                );
                self.findings.error(name.span, message);
            }
            known.add(kind, name, (), self.findings);
        }
    }

    fn security_rule(&mut self, entry: &'a SecurityRuleEntry) -> SecurityRuleDraft {
        let rule = |column| by(SECURITY, &entry.name, column);
        let name = self.symbol(&entry.name);
        let columns = &entry.columns;
        let action = entry.action.as_ref().map_or(Action::Deny, |given| given.value);
        let rule_type = entry
            .rule_type
            .as_ref()
            .map_or(RuleType::Universal, |given| given.value);
        self.check_icmp_unreachable(entry, action);
        SecurityRuleDraft {
            rule_type,
            from: self.zones_of(&columns.from, rule("from")),
            to: self.zones_of(&columns.to, rule("to")),
            source: self.addresses_of(&columns.source, rule("source")),
            negate_source: columns.negate_source,
            destination: self.addresses_of(&columns.destination, rule("destination")),
            negate_destination: columns.negate_destination,
            applications: self.applications_of(&entry.application, rule("application")),
            service: self.service_draft_of(&columns.service, rule("service")),
            categories: self.categories_of(&columns.category, rule("category")),
            spyware: self.spyware_of(entry),
            log_setting: self.log_setting_of(columns.log_setting.as_ref(), rule("log-setting")),
            log_start: entry.log_start,
            log_end: entry.log_end,
            icmp_unreachable: entry.icmp_unreachable.as_ref().is_some_and(|given| given.value),
            disabled: columns.disabled,
            tags: self.shown_tags(&columns.tags),
            ..SecurityRuleDraft::new(name, action)
        }
    }

    fn decryption_rule(&mut self, entry: &'a DecryptionRuleEntry) -> DecryptionRuleDraft {
        let rule = |column| by(DECRYPTION, &entry.name, column);
        let name = self.symbol(&entry.name);
        let columns = &entry.columns;
        let profile = entry.profile.as_ref();
        DecryptionRuleDraft {
            from: self.zones_of(&columns.from, rule("from")),
            to: self.zones_of(&columns.to, rule("to")),
            source: self.addresses_of(&columns.source, rule("source")),
            negate_source: columns.negate_source,
            destination: self.addresses_of(&columns.destination, rule("destination")),
            negate_destination: columns.negate_destination,
            services: self.services_of(&columns.service, rule("service")),
            categories: self.categories_of(&columns.category, rule("category")),
            profile: profile
                .and_then(|profile| self.decryption.resolve(profile, rule("profile"), self.findings)),
            log_setting: self.log_setting_of(columns.log_setting.as_ref(), rule("log-setting")),
            log_success: entry.log_success,
            log_fail: entry.log_fail,
            disabled: columns.disabled,
            tags: self.shown_tags(&columns.tags),
            ..DecryptionRuleDraft::new(name, entry.action)
        }
    }

    fn check_icmp_unreachable(&self, entry: &SecurityRuleEntry, action: Action) {
        if let Some(given) = entry.icmp_unreachable.as_ref().filter(|given| given.value)
            && action != Action::Drop
        {
            let message = format!(
                "{SECURITY} {}: icmp-unreachable says nothing unless the action is drop",
                Quoted(&entry.name.value)
            );
            self.findings.warning(given.span, message);
        }
    }

    /// The anti-spyware profile of a rule, named itself or by a profile group.
    fn spyware_of(&self, entry: &SecurityRuleEntry) -> Option<SpywareProfileId> {
        let profile = entry.spyware.as_ref().and_then(|names| {
            let by = by(SECURITY, &entry.name, "profile-setting.profiles.spyware");
            let name = self.one_of(&names.value, by)?;
            self.spyware.resolve(name, by, self.findings)
        });
        let by = by(SECURITY, &entry.name, "profile-setting.group");
        let Some(group) = &entry.profile_group else {
            return profile;
        };
        if entry.spyware.is_some() {
            let message = format!("{by}: give either a group or profiles, not both");
            self.findings.error(group.span, message);
            return profile;
        }
        let name = self.one_of(&group.value, by)?;
        self.profile_groups.resolve(name, by, self.findings).flatten()
    }
}
