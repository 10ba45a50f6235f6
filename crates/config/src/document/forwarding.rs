//! Log forwarding profiles: match lists and the tags they set.

use logs::{LogType, Mode, TagAction, TagOperation, TagScope};

use crate::reader::{Located, TableReader, Text};

/// Log destinations and device-level match lists that PAN-OS has and cordon does not.
pub(super) const NOT_SUPPORTED: [&str; 13] = [
    "system",
    "config",
    "userid",
    "hipmatch",
    "globalprotect",
    "iptag",
    "correlation",
    "snmptrap",
    "email",
    "syslog",
    "http",
    "ipfix",
    "netflow",
];

/// `log-settings.profiles.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ForwardingProfileEntry {
    pub(crate) name: Text,
    pub(crate) match_list: Vec<MatchEntry>,
}

impl ForwardingProfileEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            match_list: reader
                .list("match-list")
                .into_iter()
                .map(MatchEntry::read)
                .collect(),
        };
        reader.text("description");
        reader.not_supported("enhanced-application-logging");
        reader.finish();
        entry
    }
}

/// `log-settings.profiles.NAME.match-list`
#[derive(Clone, Debug)]
pub(crate) struct MatchEntry {
    pub(crate) name: Text,
    pub(crate) log_type: Option<Located<LogType>>,
    pub(crate) filter: Option<Text>,
    pub(crate) mode: Mode,
    pub(crate) actions: Vec<ActionEntry>,
}

impl MatchEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name: reader.name(),
            log_type: Self::read_log_type(&mut reader),
            filter: reader.text("filter"),
            mode: reader
                .named("mode", Mode::ALL, Mode::name)
                .map(|mode| mode.value)
                .unwrap_or_default(),
            actions: reader
                .list("actions")
                .into_iter()
                .map(ActionEntry::read)
                .collect(),
        };
        reader.text("action-desc");
        for destination in [
            "send-to-panorama",
            "send-snmptrap",
            "send-email",
            "send-syslog",
            "send-http",
            "quarantine",
        ] {
            reader.not_supported(destination);
        }
        reader.finish();
        entry
    }

    /// Types that only PAN-OS has are "not supported", not unknown.
    fn read_log_type(reader: &mut TableReader<'_>) -> Option<Located<LogType>> {
        const OTHERS: [&str; 6] = ["wildfire", "data", "gtp", "sctp", "tunnel", "auth"];
        if !reader.has("log-type") {
            reader.missing("`log-type`");
        }
        let other = reader
            .peek_text("log-type")
            .filter(|text| OTHERS.contains(&&*text.value));
        if let Some(other) = other {
            let message = format!("{}: log-type `{}` is not supported", reader.path(), other.value);
            reader.findings().error(other.span, message);
            reader.text("log-type");
            return None;
        }
        reader.named("log-type", LogType::ALL, LogType::name)
    }
}

/// `log-settings.profiles.NAME.match-list.actions`
#[derive(Clone, Debug)]
pub(crate) struct ActionEntry {
    pub(crate) name: Text,
    pub(crate) tagging: Option<TaggingEntry>,
}

/// `type.tagging` of an action.
#[derive(Clone, Debug)]
pub(crate) struct TaggingEntry {
    pub(crate) operation: TagOperation,
    pub(crate) target: Option<Text>,
    pub(crate) registration: Option<Text>,
    pub(crate) tags: Option<Located<Vec<Text>>>,
    pub(crate) timeout: Option<Located<u32>>,
    pub(crate) scope: Option<Located<TagScope>>,
    pub(crate) evidence: Option<EvidenceEntry>,
    /// Where to say what is missing.
    pub(crate) span: toml_span::Span,
}

/// `evidence` of a tagging action.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceEntry {
    pub(crate) clients: Option<Located<u32>>,
    /// Whether `clients` was given, readable or not.
    pub(crate) has_clients: bool,
    pub(crate) window: Option<Text>,
    pub(crate) span: toml_span::Span,
}

impl ActionEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        let name = reader.name();
        let mut tagging = None;
        if let Some(mut kind) = reader.table("type") {
            if !kind.has("tagging") && !kind.has("integration") {
                kind.missing("`tagging`");
            }
            tagging = kind.table("tagging").map(TaggingEntry::read);
            kind.not_supported("integration");
            kind.finish();
        } else if !reader.has("type") {
            reader.missing("`type.tagging`");
        }
        reader.finish();
        Self { name, tagging }
    }
}

impl TaggingEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        if !reader.has("tags") {
            reader.missing("`tags`");
        }
        let entry = Self {
            operation: reader
                .named("action", TagOperation::ALL, TagOperation::name)
                .map(|operation| operation.value)
                .unwrap_or_default(),
            target: reader.text("target"),
            registration: reader.text("registration"),
            tags: reader.texts("tags"),
            timeout: reader.integer("timeout", 0, TagAction::MAX_TIMEOUT),
            scope: reader.named("scope", TagScope::ALL, TagScope::name),
            evidence: reader.table("evidence").map(EvidenceEntry::read),
            span: reader.span,
        };
        reader.not_supported("http-profile");
        reader.finish();
        entry
    }
}

impl EvidenceEntry {
    fn read(mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            has_clients: reader.has("clients"),
            clients: reader.integer("clients", 1, logs::Evidence::MAX_CLIENTS),
            window: reader.text("window"),
            span: reader.span,
        };
        reader.finish();
        entry
    }
}
