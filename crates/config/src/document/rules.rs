//! Security and decryption rules.

use policy::{Action, DecryptAction, RuleType};

use super::Document;
use crate::reader::{Located, TableReader, Text};

/// The columns that both kinds of rules have. An absent column is `any`.
#[derive(Clone, Debug)]
pub(crate) struct MatchColumns {
    pub(crate) from: Option<Located<Vec<Text>>>,
    pub(crate) to: Option<Located<Vec<Text>>>,
    pub(crate) source: Option<Located<Vec<Text>>>,
    pub(crate) negate_source: bool,
    pub(crate) destination: Option<Located<Vec<Text>>>,
    pub(crate) negate_destination: bool,
    pub(crate) service: Option<Located<Vec<Text>>>,
    pub(crate) category: Option<Located<Vec<Text>>>,
    pub(crate) disabled: bool,
    pub(crate) tags: Vec<Text>,
    pub(crate) log_setting: Option<Text>,
}

impl MatchColumns {
    fn read(reader: &mut TableReader<'_>) -> Self {
        let columns = Self {
            from: reader.texts("from"),
            to: reader.texts("to"),
            source: reader.texts("source"),
            negate_source: reader.switch("negate-source", false),
            destination: reader.texts("destination"),
            negate_destination: reader.switch("negate-destination", false),
            service: reader.texts("service"),
            category: reader.texts("category"),
            disabled: reader.switch("disabled", false),
            tags: reader.tags(),
            log_setting: reader.text("log-setting"),
        };
        for key in ["source-user", "source-hip", "destination-hip"] {
            reader.only_any(key);
        }
        for key in ["description", "uuid", "group-tag"] {
            reader.text(key);
        }
        columns
    }
}

/// `rulebase.security.rules`
#[derive(Clone, Debug)]
pub(crate) struct SecurityRuleEntry {
    pub(crate) name: Text,
    pub(crate) rule_type: Option<Located<RuleType>>,
    pub(crate) columns: MatchColumns,
    pub(crate) application: Option<Located<Vec<Text>>>,
    /// `None` where that was reported as missing or wrong.
    pub(crate) action: Option<Located<Action>>,
    pub(crate) icmp_unreachable: Option<Located<bool>>,
    pub(crate) log_start: bool,
    pub(crate) log_end: bool,
    /// `profile-setting.profiles.spyware`
    pub(crate) spyware: Option<Located<Vec<Text>>>,
    /// `profile-setting.group`
    pub(crate) profile_group: Option<Located<Vec<Text>>>,
}

impl SecurityRuleEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        let mut entry = Self {
            name: reader.name(),
            rule_type: reader.choice(
                "rule-type",
                &[
                    ("universal", RuleType::Universal),
                    ("intrazone", RuleType::Intrazone),
                    ("interzone", RuleType::Interzone),
                ],
            ),
            columns: MatchColumns::read(&mut reader),
            application: reader.texts("application"),
            action: reader.required_choice("action", &Action::ALL.map(|action| (action.name(), action))),
            icmp_unreachable: reader.boolean("icmp-unreachable"),
            log_start: reader.switch("log-start", false),
            log_end: reader.switch("log-end", true),
            spyware: None,
            profile_group: None,
        };
        if let Some(mut setting) = reader.table("profile-setting") {
            entry.profile_group = setting.texts("group");
            if let Some(mut profiles) = setting.table("profiles") {
                entry.spyware = profiles.texts("spyware");
                for other in super::profiles::NOT_SUPPORTED {
                    profiles.not_supported(other);
                }
                profiles.finish();
            }
            setting.finish();
        }
        for key in ["schedule", "qos", "option"] {
            reader.not_supported(key);
        }
        reader.finish();
        entry
    }
}

/// `rulebase.decryption.rules`
#[derive(Clone, Debug)]
pub(crate) struct DecryptionRuleEntry {
    pub(crate) name: Text,
    pub(crate) columns: MatchColumns,
    pub(crate) action: DecryptAction,
    pub(crate) profile: Option<Text>,
    pub(crate) log_success: bool,
    pub(crate) log_fail: bool,
}

impl DecryptionRuleEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name: reader.name(),
            columns: MatchColumns::read(&mut reader),
            action: Self::read_action(&mut reader),
            profile: reader.text("profile"),
            log_success: reader.switch("log-success", false),
            log_fail: reader.switch("log-fail", true),
        };
        let kind = reader.choice(
            "type",
            &[
                ("ssl-forward-proxy", true),
                ("ssl-inbound-inspection", false),
                ("ssh-proxy", false),
            ],
        );
        if let Some(kind) = kind.filter(|kind| !kind.value) {
            let message = format!(
                "{}: this type is not supported; use ssl-forward-proxy",
                reader.path()
            );
            reader.findings().error(kind.span, message);
        }
        reader.not_supported("packet-broker-profile");
        reader.finish();
        entry
    }

    fn read_action(reader: &mut TableReader<'_>) -> DecryptAction {
        let action = reader.choice(
            "action",
            &[
                ("no-decrypt", Some(DecryptAction::NoDecrypt)),
                ("decrypt", Some(DecryptAction::Decrypt)),
                ("decrypt-and-forward", None),
            ],
        );
        if let Some(action) = action.as_ref().filter(|action| action.value.is_none()) {
            let message = format!("{}: decrypt-and-forward is not supported", reader.path());
            reader.findings().error(action.span, message);
        }
        action.and_then(|action| action.value).unwrap_or_default()
    }
}

pub(super) fn read_rulebase(mut rulebase: TableReader<'_>, document: &mut Document) {
    if let Some(mut security) = rulebase.table("security") {
        let rules = security.list("rules");
        document.security_rules = read_rules(rules, document, SecurityRuleEntry::read, |rule| &rule.name);
        security.finish();
    }
    if let Some(mut decryption) = rulebase.table("decryption") {
        let rules = decryption.list("rules");
        document.decryption_rules = read_rules(rules, document, DecryptionRuleEntry::read, |rule| &rule.name);
        decryption.finish();
    }
    for other in [
        "default-security-rules",
        "nat",
        "qos",
        "pbf",
        "dos",
        "authentication",
        "application-override",
        "tunnel-inspect",
        "network-packet-broker",
        "sdwan",
    ] {
        rulebase.not_supported(other);
    }
    rulebase.finish();
}

/// Reads rules; notes those with errors.
fn read_rules<'a, T>(
    rules: Vec<TableReader<'a>>,
    document: &mut Document,
    read: fn(TableReader<'a>) -> T,
    name: fn(&T) -> &Text,
) -> Vec<T> {
    rules
        .into_iter()
        .map(|rule| {
            let findings = rule.findings();
            let before = findings.error_count();
            let rule = read(rule);
            if findings.error_count() > before {
                document.unsound.insert(name(&rule).span.start);
            }
            rule
        })
        .collect()
}
