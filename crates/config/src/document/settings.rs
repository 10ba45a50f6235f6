//! Device settings.

use std::time::Duration;

use policy::{
    Asymmetric, DecryptionSettings, ExclusionPattern, Exclusions, Management, NonSyn, SessionTimeouts,
    Settings, TrustedRoots,
};
use tags::Addresses;

use crate::{
    finding::Quoted,
    reader::{TableReader, Text},
};

/// `setting`
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingsEntry {
    /// All that needs no name resolved.
    pub(crate) policy: Settings,
    /// `tagging.never-tag`
    pub(crate) never_tag: Vec<Text>,
    /// `url-categories.directory`
    pub(crate) category_directory: Option<Text>,
}

impl SettingsEntry {
    pub(super) fn read(mut reader: TableReader<'_>) -> Self {
        let mut entry = Self::default();
        if let Some(tagging) = reader.table("tagging") {
            entry.read_tagging(tagging);
        }
        if let Some(mut tcp) = reader.table("tcp") {
            let settings = &mut entry.policy.tcp;
            if let Some(given) = tcp.choice("non-syn", &[("adopt", NonSyn::Adopt), ("drop", NonSyn::Drop)]) {
                settings.non_syn = given.value;
            }
            let words = [("bypass", Asymmetric::Bypass), ("drop", Asymmetric::Drop)];
            if let Some(given) = tcp.choice("asymmetric", &words) {
                settings.asymmetric = given.value;
            }
            tcp.finish();
        }
        if let Some(session) = reader.table("session") {
            entry.read_session(session);
        }
        if let Some(mut fragments) = reader.table("fragments") {
            let limits = &mut entry.policy.limits;
            bound(
                &mut fragments,
                "max-datagrams",
                1 << 24,
                &mut limits.fragmented_datagrams,
            );
            bound(&mut fragments, "max-bytes", 1 << 36, &mut limits.fragment_bytes);
            fragments.finish();
        }
        if let Some(mut management) = reader.table("management") {
            let addresses: Vec<Addresses> =
                management.parsed_list("addresses").map_or_else(Vec::new, |list| {
                    list.value.into_iter().map(|one| one.value).collect()
                });
            let ports: Vec<u16> = management.integers("ports", 1, u16::MAX);
            if addresses.is_empty() && !ports.is_empty() {
                management.warning(
                    "setting.management without `addresses` lets every host reach these ports everywhere, whatever \
                     its tags and the rules; name the administrators' addresses, or those they administer",
                );
            }
            entry.policy.management = Management {
                addresses: addresses.into_iter().collect(),
                ports,
            };
            management.finish();
        }
        if let Some(decrypt) = reader.table("ssl-decrypt") {
            entry.policy.decryption = read_ssl_decrypt(decrypt);
        }
        if let Some(mut categories) = reader.table("url-categories") {
            entry.category_directory = categories.required_text("directory");
            categories.finish();
        }
        reader.finish();
        entry
    }

    fn read_tagging(&mut self, mut reader: TableReader<'_>) {
        self.never_tag = reader.texts("never-tag").map_or_else(Vec::new, |list| list.value);
        self.policy.tagging.max_new_per_hour = reader
            .integer("max-new-per-hour", 0, u32::MAX)
            .map(|given| given.value);
        bound(
            &mut reader,
            "max-subjects",
            1 << 26,
            &mut self.policy.limits.tagged_subjects,
        );
        reader.finish();
    }

    fn read_session(&mut self, mut reader: TableReader<'_>) {
        let SessionTimeouts {
            default,
            tcp,
            tcp_handshake,
            tcp_init,
            tcp_half_closed,
            tcp_time_wait,
            tcp_unverified_rst,
            udp,
            icmp,
            discard_default,
            discard_tcp,
            discard_udp,
        } = &mut self.policy.session;
        for (key, timeout) in [
            ("timeout-default", default),
            ("timeout-tcp", tcp),
            ("timeout-tcphandshake", tcp_handshake),
            ("timeout-tcpinit", tcp_init),
            ("timeout-tcp-half-closed", tcp_half_closed),
            ("timeout-tcp-time-wait", tcp_time_wait),
            ("timeout-tcp-unverified-rst", tcp_unverified_rst),
            ("timeout-udp", udp),
            ("timeout-icmp", icmp),
            ("timeout-discard-default", discard_default),
            ("timeout-discard-tcp", discard_tcp),
            ("timeout-discard-udp", discard_udp),
        ] {
            if let Some(seconds) = reader.integer(key, 1, MAX_TIMEOUT) {
                *timeout = Duration::from_secs(seconds.value.into());
            }
        }
        bound(
            &mut reader,
            "max-sessions",
            1 << 28,
            &mut self.policy.limits.sessions,
        );
        reader.finish();
    }
}

/// `setting.ssl-decrypt`
fn read_ssl_decrypt(mut reader: TableReader<'_>) -> DecryptionSettings {
    let mut settings = DecryptionSettings::default();
    for mut entry in reader.list("ssl-exclude-cert") {
        let name = entry.name();
        entry.text("description");
        let wanted = entry.switch("exclude", true);
        entry.finish();
        if name.value.is_empty() {
            continue;
        }
        let fault = match name.value.parse::<ExclusionPattern>() {
            Ok(_) if settings.exclusions.len() >= Exclusions::MAX => {
                format!("there are more than {} names", Exclusions::MAX)
            }
            Ok(pattern) if !wanted || settings.exclusions.add(pattern) => continue,
            Ok(_) => format!("{} is there twice", Quoted(&name.value)),
            Err(fault) => format!("{} is not valid: {fault}", Quoted(&name.value)),
        };
        reader.findings().error(
            name.span,
            format!("{}: {fault}", reader.path_of("ssl-exclude-cert")),
        );
    }
    if let Some(list) = reader.texts("trusted-root-ca") {
        settings.trusted_roots = list
            .value
            .iter()
            .filter_map(|text| match &*text.value {
                "system" => Some(TrustedRoots::System),
                _ => file_path(&reader, "trusted-root-ca", text, "`system` or ").map(TrustedRoots::File),
            })
            .collect();
    }
    if let Some(list) = reader.texts("crl") {
        let path = |text: &Text| file_path(&reader, "crl", text, "");
        settings.crls = list.value.iter().filter_map(path).collect();
    }
    for key in [
        "root-ca-exclude-list",
        "disabled-ssl-exclude-cert-from-predefined",
    ] {
        reader.not_supported(key);
    }
    reader.finish();
    settings
}

/// The path in `file:PATH`.
fn file_path(reader: &TableReader<'_>, key: &str, text: &Text, or: &str) -> Option<Box<str>> {
    let path = text.value.strip_prefix("file:").filter(|path| !path.is_empty());
    if path.is_none() {
        let message = format!(
            "{}: expected {or}`file:PATH`, not {}",
            reader.path_of(key),
            Quoted(&text.value)
        );
        reader.findings().error(text.span, message);
    }
    path.map(Box::from)
}

/// Seconds; the most PAN-OS takes.
const MAX_TIMEOUT: u32 = 15_999_999;

/// The size of a table: at least one, at most `most`.
fn bound(reader: &mut TableReader<'_>, key: &'static str, most: u64, size: &mut usize) {
    if let Some(given) = reader.integer(key, 1, most) {
        *size = usize::try_from(given.value).unwrap_or(usize::MAX);
    }
}
