//! Log forwarding profiles.

use std::{sync::Arc, time::Duration};

use logs::{Evidence, Filter, ForwardingProfile, LogType, MatchListEntry, TagAction, TagTarget};
use policy::LogSettingId;

use super::Compiler;
use crate::{
    document::{ActionEntry, EvidenceEntry, MatchEntry, TaggingEntry},
    finding::{Quoted, Severity},
    reader::Text,
};

impl Compiler<'_> {
    pub(super) fn forwarding(&mut self) {
        for (entry, number) in self.document.forwarding.iter().zip(0..) {
            self.log_settings.add(
                "log forwarding profile",
                &entry.name,
                LogSettingId(number),
                self.findings,
            );
            let match_list = entry
                .match_list
                .iter()
                .filter_map(|entry| self.match_entry(entry))
                .collect();
            self.profiles.push(ForwardingProfile {
                name: Arc::from(&*entry.name.value),
                match_list,
            });
        }
    }

    fn match_entry(&self, entry: &MatchEntry) -> Option<MatchListEntry> {
        let log_type = entry.log_type.as_ref()?.value;
        let filter = match &entry.filter {
            None => Filter::all(log_type),
            Some(text) => self.filter(text, log_type)?,
        };
        let acts_on_itself = matches!(log_type, LogType::IpTag | LogType::System | LogType::Config);
        if let (true, Some(action)) = (acts_on_itself, entry.actions.first()) {
            self.findings.error(
                action.name.span,
                format!(
                    "{} records are written by tagging: an action on them would tag in a circle",
                    log_type.name()
                ),
            );
        }
        Some(MatchListEntry {
            name: Arc::from(&*entry.name.value),
            filter,
            mode: entry.mode,
            actions: entry
                .actions
                .iter()
                .filter_map(|action| self.action(action))
                .collect(),
        })
    }

    fn filter(&self, text: &Text, log_type: LogType) -> Option<Filter> {
        match Filter::parse(&text.value, log_type) {
            Ok((filter, warnings)) => {
                for warning in warnings {
                    self.findings.inside(
                        text.span,
                        warning.column(),
                        Severity::Warning,
                        warning.to_string(),
                        None,
                    );
                }
                Some(filter)
            }
            Err(errors) => {
                for error in errors {
                    let nearest = error.nearest().map(str::to_owned);
                    self.findings.inside(
                        text.span,
                        error.column(),
                        Severity::Error,
                        error.to_string(),
                        nearest,
                    );
                }
                None
            }
        }
    }

    fn action(&self, entry: &ActionEntry) -> Option<TagAction> {
        let tagging = entry.tagging.as_ref()?;
        let target = self.target(tagging)?;
        if let Some(registration) = &tagging.registration
            && &*registration.value != "localhost"
        {
            self.findings.error(
                registration.span,
                format!(
                    "registration {} is not supported; use localhost",
                    Quoted(&registration.value)
                ),
            );
        }
        let tags = tagging.tags.as_ref()?;
        if tags.value.is_empty() {
            self.findings.error(tags.span, "an action that tags needs a tag");
        }
        Some(TagAction {
            name: Arc::from(&*entry.name.value),
            operation: tagging.operation,
            target,
            tags: self.tag_ids(&tags.value),
            timeout: tagging.timeout.as_ref().map_or(0, |timeout| timeout.value),
            scope: tagging
                .scope
                .as_ref()
                .map(|scope| scope.value)
                .unwrap_or_default(),
            evidence: tagging
                .evidence
                .as_ref()
                .map_or_else(|| Some(Evidence::default()), |given| self.evidence(given))?,
        })
    }

    fn target(&self, tagging: &TaggingEntry) -> Option<TagTarget> {
        let Some(target) = &tagging.target else {
            return Some(TagTarget::default());
        };
        let found = TagTarget::ALL
            .iter()
            .copied()
            .find(|known| known.name() == &*target.value);
        if found.is_none() {
            let known = matches!(&*target.value, "user" | "xff-address");
            let what = if known { "is not supported" } else { "is unknown" };
            let near = self
                .findings
                .nearest(&target.value, TagTarget::ALL.iter().map(|target| target.name()));
            self.findings.error_near(
                target.span,
                format!(
                    "target {} {what}; use source-address or destination-address",
                    Quoted(&target.value)
                ),
                near.filter(|_| !known),
            );
        }
        found
    }

    fn evidence(&self, entry: &EvidenceEntry) -> Option<Evidence> {
        let window = match &entry.window {
            None => Evidence::default().window,
            Some(text) => match duration(&text.value).filter(|window| *window <= Evidence::MAX_WINDOW) {
                Some(window) => window,
                None => {
                    self.findings.error(
                        text.span,
                        "expected a time span up to 24h, as in `10m`, `90s` or `2h`",
                    );
                    return None;
                }
            },
        };
        Some(Evidence {
            clients: entry.clients.as_ref().map_or(1, |clients| clients.value),
            window,
        })
    }
}

/// Reads `90s`, `10m`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}
