//! Which entries of the configuration's match lists a stored record would set off.

use std::{collections::HashMap, fmt, path::Path};

use logs::{LogType, MatchListEntry, TagAction, TagTarget};
use packet::Timestamp;
use policy::{LogSetting, Policy};
use serde::Serialize;
use serde_json::Value;
use tags::TagNames;

use super::{Asked, Complaint, records::Records};

/// The records that set something off.
#[derive(Debug, Serialize)]
pub(super) struct MatchListAnswer {
    /// Records read.
    records: usize,
    matched: Vec<Matched>,
}

/// One record and what it sets off.
#[derive(Debug, Serialize)]
struct Matched {
    seqno: u64,
    #[serde(rename = "type")]
    log_type: &'static str,
    /// The rule whose `log-setting` counts.
    rule: String,
    log_setting: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    filter: String,
    mode: &'static str,
    actions: Vec<Act>,
}

#[derive(Debug, Serialize)]
struct Act {
    name: String,
    action: &'static str,
    target: &'static str,
    /// The address that stands there in the record.
    address: String,
    tags: Vec<String>,
    /// Minutes; 0 = until removed.
    timeout: u32,
}

/// Reads the records at `path` and asks the match lists of each one's rule.
pub(super) fn ask(asked: &Asked<'_>, path: &Path, now: Timestamp) -> Result<MatchListAnswer, Complaint> {
    let settings = LogSettings::new(asked.policy);
    let mut records = Records::open(path)?;
    let mut answer = MatchListAnswer {
        records: 0,
        matched: Vec::new(),
    };
    while let Some(stored) = records.next()? {
        answer.records += 1;
        // It was read as JSON once already.
        let Ok(record) = serde_json::from_str::<Value>(stored.text) else {
            continue;
        };
        let log_type = stored.line.log_type();
        let rule = text(&record, rule_field(log_type));
        let profile = settings
            .of(log_type, rule)
            .and_then(|id| asked.forwarding.get(id));
        let Some(profile) = profile else { continue };
        let entries: Vec<Entry> = profile
            .match_list
            .iter()
            .filter(|entry| entry.filter.matches_line(&stored.line, now))
            .map(|entry| Entry::new(entry, &record, asked.names))
            .collect();
        if !entries.is_empty() {
            answer.matched.push(Matched {
                seqno: record.get("seqno").and_then(Value::as_u64).unwrap_or_default(),
                log_type: log_type.name(),
                rule: rule.to_owned(),
                log_setting: profile.name.to_string(),
                entries,
            });
        }
    }
    Ok(answer)
}

/// The log forwarding profile of every rule, by its name.
struct LogSettings<'a> {
    security: HashMap<&'a str, LogSetting>,
    decryption: HashMap<&'a str, LogSetting>,
}

impl<'a> LogSettings<'a> {
    fn new(policy: &'a Policy) -> Self {
        let symbols = policy.symbols();
        let security = policy.rules().map(|(_, rule)| (rule.name, rule.log_setting));
        let decryption = policy
            .decryption_rules()
            .map(|(_, rule)| (rule.name, rule.log_setting));
        let named = |(name, setting): (_, Option<_>)| Some((symbols.resolve(name), setting?));
        Self {
            security: security.filter_map(named).collect(),
            decryption: decryption.filter_map(named).collect(),
        }
    }

    fn of(&self, log_type: LogType, rule: &str) -> Option<LogSetting> {
        let rules = match log_type {
            LogType::Decryption => &self.decryption,
            LogType::Traffic
            | LogType::Threat
            | LogType::Url
            | LogType::IpTag
            | LogType::System
            | LogType::Config => &self.security,
        };
        rules.get(rule).copied()
    }
}

/// The field that names the rule.
fn rule_field(log_type: LogType) -> &'static str {
    if log_type == LogType::Decryption {
        "policy_name"
    } else {
        "rule"
    }
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

impl Entry {
    fn new(entry: &MatchListEntry, record: &Value, names: &TagNames) -> Self {
        Self {
            name: entry.name.to_string(),
            filter: entry.filter.to_string(),
            mode: entry.mode.name(),
            actions: entry
                .actions
                .iter()
                .map(|action| Act::new(action, record, names))
                .collect(),
        }
    }
}

impl Act {
    fn new(action: &TagAction, record: &Value, names: &TagNames) -> Self {
        let address = match action.target {
            TagTarget::Source => text(record, "src"),
            TagTarget::Destination => text(record, "dst"),
        };
        Self {
            name: action.name.to_string(),
            action: action.operation.name(),
            target: action.target.name(),
            address: address.to_owned(),
            tags: action
                .tags
                .iter()
                .map(|tag| names.resolve(*tag).to_string())
                .collect(),
            timeout: action.timeout,
        }
    }
}

impl fmt::Display for MatchListAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for matched in &self.matched {
            writeln!(
                f,
                "record {} ({}), rule {}, log forwarding {}",
                matched.seqno, matched.log_type, matched.rule, matched.log_setting
            )?;
            for entry in &matched.entries {
                writeln!(f, "  {} ({})  {}", entry.name, entry.mode, entry.filter)?;
                for act in &entry.actions {
                    let tags = act.tags.join(", ");
                    writeln!(f, "    {} {tags} on {} {}", act.action, act.target, act.address)?;
                }
            }
        }
        writeln!(f, "{} of {} records match", self.matched.len(), self.records)
    }
}
