//! Decryption profiles.

use policy::{SslForwardProxy, SslNoProxy, TlsVersion};

use crate::reader::{Located, TableReader, Text};

/// Algorithms that PAN-OS has and cordon does not speak: forbidding them costs nothing, allowing them brings nothing.
const NOT_SPOKEN: [&str; 8] = [
    "keyxchg-algo-rsa",
    "keyxchg-algo-dhe",
    "enc-algo-3des",
    "enc-algo-rc4",
    "enc-algo-aes-128-cbc",
    "enc-algo-aes-256-cbc",
    "auth-algo-md5",
    "auth-algo-sha1",
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
    pub(crate) protocol: ProtocolSettings,
}

/// `profiles.decryption.NAME.ssl-protocol-settings`
#[derive(Clone, Debug, Default)]
pub(crate) struct ProtocolSettings {
    pub(crate) min_version: Option<Located<TlsVersion>>,
    pub(crate) max_version: Option<Located<TlsVersion>>,
    pub(crate) ecdhe: Option<Located<bool>>,
    pub(crate) aes_128_gcm: Option<Located<bool>>,
    pub(crate) aes_256_gcm: Option<Located<bool>>,
    pub(crate) chacha20_poly1305: Option<Located<bool>>,
    pub(crate) sha256: Option<Located<bool>>,
    pub(crate) sha384: Option<Located<bool>>,
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
        let protocol = reader
            .table("ssl-protocol-settings")
            .map(ProtocolSettings::read)
            .unwrap_or_default();
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
            protocol,
        }
    }
}

impl ProtocolSettings {
    fn read(mut reader: TableReader<'_>) -> Self {
        let versions = TlsVersion::ALL.map(|version| (version.name(), version));
        let [oldest @ .., _] = &versions;
        let settings = Self {
            min_version: reader.choice("min-version", oldest),
            max_version: reader.choice("max-version", &versions),
            ecdhe: reader.boolean("keyxchg-algo-ecdhe"),
            aes_128_gcm: reader.boolean("enc-algo-aes-128-gcm"),
            aes_256_gcm: reader.boolean("enc-algo-aes-256-gcm"),
            chacha20_poly1305: reader.boolean("enc-algo-chacha20-poly1305"),
            sha256: reader.boolean("auth-algo-sha256"),
            sha384: reader.boolean("auth-algo-sha384"),
        };
        for key in NOT_SPOKEN {
            if let Some(given) = reader.boolean(key).filter(|given| given.value) {
                let message = format!(
                    "{} = true changes nothing: cordon speaks ECDHE with AES-GCM or ChaCha20-Poly1305 only, and a \
                     server that has nothing else cannot be decrypted",
                    reader.path_of(key)
                );
                reader.findings().warning(given.span, message);
            }
        }
        reader.finish();
        settings
    }

    /// The first of the algorithms that is forbidden, in the order in which people write them.
    pub(crate) fn first_forbidden(&self) -> Option<&Located<bool>> {
        [
            &self.aes_128_gcm,
            &self.aes_256_gcm,
            &self.chacha20_poly1305,
            &self.sha256,
            &self.sha384,
        ]
        .into_iter()
        .flatten()
        .find(|given| !given.value)
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
        block_tls13_downgrade_no_resource: reader.switch("block-tls13-downgrade-no-resource", false),
        strip_alpn: reader.switch("strip-alpn", false),
        restrict_cert_exts: reader.switch("restrict-cert-exts", false),
        auto_include_altname: reader.switch("auto-include-altname", false),
    };
    // Keys lie in files that are read before anything is opened: there is no module that could be away.
    reader.boolean("block-if-hsm-unavailable");
    reader.finish();
    proxy
}
