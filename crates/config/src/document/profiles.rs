//! Profiles: anti-spyware, decryption, custom URL categories, profile groups.

use std::net::{Ipv4Addr, Ipv6Addr};

use packet::DomainName;
use policy::{DnsAction, SslForwardProxy, SslNoProxy, TlsVersion};

use crate::reader::{Located, TableReader, Text};

/// Kinds of profiles that PAN-OS has and cordon does not.
pub(super) const NOT_SUPPORTED: [&str; 9] = [
    "virus",
    "vulnerability",
    "url-filtering",
    "file-blocking",
    "wildfire-analysis",
    "data-filtering",
    "data-objects",
    "dos-protection",
    "sctp-inspection",
];

/// `profiles.custom-url-category.NAME`
#[derive(Clone, Debug)]
pub(crate) struct UrlCategoryEntry {
    pub(crate) name: Text,
    pub(crate) list: Vec<Text>,
}

impl UrlCategoryEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        if !reader.has("list") {
            reader.missing("`list`");
        }
        let entry = Self {
            name,
            list: reader.texts("list").map_or_else(Vec::new, |list| list.value),
        };
        let kind = reader.choice("type", &[("URL List", true), ("Category Match", false)]);
        if let Some(kind) = kind.filter(|kind| !kind.value) {
            let message = format!("{}: type `Category Match` is not supported", reader.path());
            reader.findings().error(kind.span, message);
        }
        reader.text("description");
        reader.finish();
        entry
    }
}

/// `profiles.spyware.NAME`
#[derive(Clone, Debug)]
pub(crate) struct SpywareProfileEntry {
    pub(crate) name: Text,
    pub(crate) lists: Vec<SpywareListEntry>,
    pub(crate) ipv4: Option<Located<Ipv4Addr>>,
    pub(crate) ipv6: Option<Located<Ipv6Addr>>,
    pub(crate) fqdn: Option<Located<DomainName>>,
    /// Whether an address was given, readable or not.
    pub(crate) has_address: bool,
    pub(crate) exceptions: Vec<Located<DomainName>>,
}

/// `profiles.spyware.NAME.botnet-domains.lists`
#[derive(Clone, Debug)]
pub(crate) struct SpywareListEntry {
    pub(crate) name: Text,
    pub(crate) action: Option<Located<DnsAction>>,
}

impl SpywareProfileEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let mut entry = Self {
            name,
            lists: Vec::new(),
            ipv4: None,
            ipv6: None,
            fqdn: None,
            has_address: false,
            exceptions: Vec::new(),
        };
        if let Some(botnet) = reader.table("botnet-domains") {
            entry.read_botnet_domains(botnet);
        }
        reader.text("description");
        for key in [
            "rules",
            "threat-exception",
            "mica-engine-spyware-enabled",
            "cloud-inline-analysis",
        ] {
            reader.not_supported(key);
        }
        reader.finish();
        entry
    }

    fn read_botnet_domains(&mut self, mut botnet: TableReader<'_>) {
        for mut list in botnet.list("lists") {
            self.lists.push(SpywareListEntry {
                name: list.name(),
                action: list.required_choice("action", &DnsAction::ALL.map(|action| (action.name(), action))),
            });
            list.not_supported("packet-capture");
            list.finish();
        }
        if let Some(mut sinkhole) = botnet.table("sinkhole") {
            self.has_address = sinkhole.has("ipv4-address") || sinkhole.has("ipv6-address");
            self.ipv4 = sinkhole.parsed("ipv4-address");
            self.ipv6 = sinkhole.parsed("ipv6-address");
            self.fqdn = sinkhole.parsed("fqdn");
            sinkhole.finish();
        }
        for mut exception in botnet.list("whitelist") {
            if !exception.has("name") {
                exception.missing("`name`");
            }
            self.exceptions.extend(exception.parsed("name"));
            exception.text("description");
            exception.finish();
        }
        for key in ["dns-security-categories", "threat-exception", "rtype-action"] {
            botnet.not_supported(key);
        }
        botnet.finish();
    }
}

/// Algorithms that PAN-OS can forbid one by one.
const ALGORITHMS: [&str; 14] = [
    "keyxchg-algo-rsa",
    "keyxchg-algo-dhe",
    "keyxchg-algo-ecdhe",
    "enc-algo-3des",
    "enc-algo-rc4",
    "enc-algo-aes-128-cbc",
    "enc-algo-aes-256-cbc",
    "enc-algo-aes-128-gcm",
    "enc-algo-aes-256-gcm",
    "enc-algo-chacha20-poly1305",
    "auth-algo-md5",
    "auth-algo-sha1",
    "auth-algo-sha256",
    "auth-algo-sha384",
];

/// `profiles.decryption.NAME`
#[derive(Clone, Debug)]
pub(crate) struct DecryptionProfileEntry {
    pub(crate) name: Text,
    pub(crate) ssl_forward_proxy: SslForwardProxy,
    pub(crate) ssl_no_proxy: SslNoProxy,
    pub(crate) strip_ech: bool,
    pub(crate) verify_sni: Option<Located<bool>>,
    pub(crate) local_exclusion_cache: bool,
    pub(crate) min_version: Option<Located<TlsVersion>>,
    pub(crate) max_version: Option<Located<TlsVersion>>,
}

impl DecryptionProfileEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let ssl_forward_proxy = reader
            .table("ssl-forward-proxy")
            .map(read_ssl_forward_proxy)
            .unwrap_or_default();
        let ssl_no_proxy = reader
            .table("ssl-no-proxy")
            .map(read_ssl_no_proxy)
            .unwrap_or_default();
        let (mut min_version, mut max_version) = (None, None);
        if let Some(mut protocol) = reader.table("ssl-protocol-settings") {
            let versions = TlsVersion::ALL.map(|version| (version.name(), version));
            let [oldest @ .., _] = &versions;
            min_version = protocol.choice("min-version", oldest);
            max_version = protocol.choice("max-version", &versions);
            for key in ALGORITHMS {
                protocol.not_supported(key);
            }
            protocol.finish();
        }
        let verify_sni = reader.boolean("verify-sni");
        let strip_ech = reader.switch("strip-ech", false);
        let local_exclusion_cache = reader.switch("local-exclusion-cache", false);
        reader.text("description");
        for key in ["ssl-inbound-proxy", "ssh-proxy"] {
            reader.not_supported(key);
        }
        reader.finish();
        Self {
            name,
            ssl_forward_proxy,
            ssl_no_proxy,
            strip_ech,
            verify_sni,
            local_exclusion_cache,
            min_version,
            max_version,
        }
    }
}

fn read_ssl_no_proxy(mut reader: TableReader<'_>) -> SslNoProxy {
    let checks = SslNoProxy {
        block_expired_certificate: reader.switch("block-expired-certificate", false),
        block_untrusted_issuer: reader.switch("block-untrusted-issuer", false),
    };
    reader.finish();
    checks
}

fn read_ssl_forward_proxy(mut reader: TableReader<'_>) -> SslForwardProxy {
    let proxy = SslForwardProxy {
        block_expired_certificate: reader.switch("block-expired-certificate", false),
        block_untrusted_issuer: reader.switch("block-untrusted-issuer", false),
        block_unknown_cert: reader.switch("block-unknown-cert", false),
        block_timeout_cert: reader.switch("block-timeout-cert", false),
        block_unsupported_version: reader.switch("block-unsupported-version", false),
        block_unsupported_cipher: reader.switch("block-unsupported-cipher", false),
        block_client_cert: reader.switch("block-client-cert", false),
        block_if_sni_mismatch: reader.switch("block-if-sni-mismatch", false),
        block_if_no_resource: reader.switch("block-if-no-resource", false),
        strip_alpn: reader.switch("strip-alpn", false),
    };
    for key in [
        "restrict-cert-exts",
        "auto-include-altname",
        "block-if-hsm-unavailable",
        "block-tls13-downgrade-no-resource",
    ] {
        reader.not_supported(key);
    }
    reader.finish();
    proxy
}

/// `profile-group.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ProfileGroupEntry {
    pub(crate) name: Text,
    pub(crate) spyware: Vec<Text>,
}

impl ProfileGroupEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            spyware: reader.texts("spyware").map_or_else(Vec::new, |list| list.value),
        };
        for key in NOT_SUPPORTED {
            reader.not_supported(key);
        }
        reader.finish();
        entry
    }
}
