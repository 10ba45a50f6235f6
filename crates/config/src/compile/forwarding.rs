//! Log forwarding profiles.

use std::{sync::Arc, time::Duration};

use logs::{
    Evidence, Filter, ForwardingProfile, LogType, MatchListEntry, TagAction, TagOperation, TagScope,
    TagTarget,
};
use policy::LogSetting;

use super::{By, Compiler, Register, by};
use crate::{
    document::{ActionEntry, EvidenceEntry, ForwardingProfileEntry, MatchEntry, TaggingEntry},
    finding::{Quoted, Severity},
    reader::{Located, Text},
};

impl<'a> Compiler<'a> {
    pub(super) fn forwarding(&mut self) {
        for entry in &self.document.forwarding {
            let id = LogSetting(self.symbol(&entry.name));
            self.log_settings
                .add("log forwarding profile", &entry.name, id, self.findings);
            let profile = self.forwarding_profile(id, entry);
            self.forwarding_profiles.push(profile);
        }
    }

    fn forwarding_profile(&mut self, id: LogSetting, entry: &'a ForwardingProfileEntry) -> ForwardingProfile {
        let mut names = Register::new("match list entry");
        for entry in &entry.match_list {
            names.add("match list entry", &entry.name, (), self.findings);
        }
        ForwardingProfile {
            id,
            name: Arc::from(&*entry.name.value),
            match_list: entry
                .match_list
                .iter()
                .filter_map(|entry| self.match_entry(entry))
                .collect(),
        }
    }

    fn match_entry(&mut self, entry: &'a MatchEntry) -> Option<MatchListEntry> {
        let mut names = Register::new("action");
        for action in &entry.actions {
            names.add("action", &action.name, (), self.findings);
        }
        if entry.actions.is_empty() {
            let message = format!(
                "match list entry {} has no actions: it does nothing",
                Quoted(&entry.name.value)
            );
            self.findings.warning(entry.name.span, message);
        }
        let log_type = entry.log_type.as_ref();
        let actions = entry
            .actions
            .iter()
            .filter_map(|action| self.action(action, log_type))
            .collect();
        let log_type = log_type?.value;
        let filter = match &entry.filter {
            None => Filter::all(log_type),
            Some(text) => self.filter(text, log_type)?,
        };
        Some(MatchListEntry {
            name: Arc::from(&*entry.name.value),
            filter,
            mode: entry.mode,
            actions,
        })
    }

    fn filter(&self, text: &Text, log_type: LogType) -> Option<Filter> {
        let byte_of = |character: usize| {
            let at = text.value.char_indices().nth(character);
            at.map_or(text.value.len(), |(byte, _)| byte)
        };
        match Filter::parse(&text.value, log_type) {
            Ok((filter, warnings)) => {
                for warning in warnings {
                    let at = byte_of(warning.column());
                    self.findings
                        .inside(text.span, at, Severity::Warning, warning.to_string(), None);
                }
                Some(filter)
            }
            Err(errors) => {
                for error in errors {
                    let nearest = error.nearest().map(str::to_owned);
                    let at = byte_of(error.column());
                    self.findings
                        .inside(text.span, at, Severity::Error, error.to_string(), nearest);
                }
                None
            }
        }
    }

    fn action(&mut self, entry: &'a ActionEntry, log_type: Option<&Located<LogType>>) -> Option<TagAction> {
        let tagging = entry.tagging.as_ref()?;
        let by = by("action", &entry.name, "type.tagging");
        if let Some(log_type) = log_type.map(|given| given.value)
            && matches!(log_type, LogType::IpTag | LogType::System | LogType::Config)
        {
            let message = format!(
                "{by}: a cycle: {} records are what tagging itself writes, so an action on them would tag on and on",
                log_type.name()
            );
            self.findings.error(tagging.span, message);
        }
        self.check_registration(tagging, by);
        let target = self.target(tagging, by);
        let tags = tagging.tags.as_ref();
        if let Some(tags) = tags.filter(|tags| tags.value.is_empty()) {
            self.findings
                .error(tags.span, format!("{by}: tags is empty; name at least one"));
        }
        let tags = tags.map_or(&[][..], |tags| &tags.value);
        let tags = self.set_tags(tags);
        let evidence = tagging
            .evidence
            .as_ref()
            .map(|evidence| self.evidence(evidence, by));
        let action = TagAction {
            name: Arc::from(&*entry.name.value),
            operation: tagging.operation,
            target: target?,
            tags,
            timeout: tagging.timeout.as_ref().map_or(0, |timeout| timeout.value),
            scope: tagging
                .scope
                .as_ref()
                .map(|scope| scope.value)
                .unwrap_or_default(),
            evidence: evidence.unwrap_or_default(),
        };
        self.warn_of_idle(tagging, &action, log_type.map(|given| given.value), by);
        Some(action)
    }

    fn check_registration(&self, tagging: &TaggingEntry, by: By<'_>) {
        let Some(registration) = &tagging.registration else {
            return;
        };
        let what = match &*registration.value {
            "localhost" => return,
            "panorama" | "remote" => "is not supported",
            _ => "is unknown",
        };
        let message = format!(
            "{by}: registration {} {what}; use localhost",
            Quoted(&registration.value)
        );
        self.findings.error(registration.span, message);
    }

    fn target(&self, tagging: &TaggingEntry, by: By<'_>) -> Option<TagTarget> {
        let Some(text) = &tagging.target else {
            return Some(TagTarget::default());
        };
        let found = TagTarget::from_name(&text.value);
        if found.is_none() {
            let in_panos = matches!(&*text.value, "user" | "xff-address");
            let what = if in_panos {
                "is not supported"
            } else {
                "is unknown"
            };
            let near = self
                .findings
                .nearest(&text.value, TagTarget::NAMES.iter().copied());
            let message = format!(
                "{by}: target {} {what}; use {}",
                Quoted(&text.value),
                TagTarget::NAMES.join(" or ")
            );
            self.findings
                .error_near(text.span, message, near.filter(|_| !in_panos));
        }
        found
    }

    /// Warns about settings of an action that can have no effect.
    fn warn_of_idle(
        &self,
        tagging: &TaggingEntry,
        action: &TagAction,
        log_type: Option<LogType>,
        by: By<'_>,
    ) {
        if let Some(timeout) = tagging.timeout.as_ref().filter(|timeout| timeout.value > 0)
            && action.operation == TagOperation::Remove
        {
            self.findings
                .warning(timeout.span, format!("{by}: timeout says nothing for remove-tag"));
        }
        if let Some(scope) = &tagging.scope {
            let fault = match scope.value {
                TagScope::Client if action.target == TagTarget::Source => {
                    "scope client says nothing for source-address: a client is its own client"
                }
                TagScope::ServerName if log_type == Some(LogType::Traffic) => {
                    "traffic records hold no server name, so nothing is tagged; use log-type decryption, url or threat"
                }
                TagScope::Address | TagScope::Client | TagScope::ServerName => return,
            };
            self.findings.warning(scope.span, format!("{by}: {fault}"));
        }
    }

    fn evidence(&self, entry: &EvidenceEntry, by: By<'_>) -> Evidence {
        let default = Evidence::default();
        let window = entry.window.as_ref().map(|text| {
            let window = duration(&text.value).filter(|window| *window <= Evidence::MAX_WINDOW);
            if window.is_none() {
                let message = format!(
                    "{by}: evidence.window must be a time span up to 24h such as 90s, 10m or 2h, not {}",
                    Quoted(&text.value)
                );
                self.findings.error(text.span, message);
            }
            window.unwrap_or(default.window)
        });
        if !entry.has_clients {
            let message = format!("{by}: evidence without clients asks for one client only");
            self.findings.warning(entry.span, message);
        }
        Evidence {
            clients: entry
                .clients
                .as_ref()
                .map_or(default.clients, |clients| clients.value),
            window: window.unwrap_or(default.window),
        }
    }
}

/// Reads `90s`, `10m`, `2h`, `1d`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text
        .strip_suffix(unit)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}
