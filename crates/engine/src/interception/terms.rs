//! What a decryption profile asks of the proxy.

use decrypt::tls::{Ciphers, Terms, Version};
use policy::{DecryptionProfile, TlsVersion};

/// How a profile wants sessions opened; without one, nothing is blocked.
pub(crate) fn terms(profile: Option<&DecryptionProfile>) -> Terms {
    let Some(profile) = profile else {
        return Terms::default();
    };
    let proxy = &profile.ssl_forward_proxy;
    Terms {
        block_expired_certificate: proxy.block_expired_certificate,
        block_untrusted_issuer: proxy.block_untrusted_issuer,
        block_unknown_cert: proxy.block_unknown_cert,
        block_unsupported_version: proxy.block_unsupported_version,
        block_unsupported_cipher: proxy.block_unsupported_cipher,
        block_client_cert: proxy.block_client_cert,
        block_if_sni_mismatch: proxy.block_if_sni_mismatch,
        strip_alpn: proxy.strip_alpn,
        restrict_cert_exts: proxy.restrict_cert_exts,
        auto_include_altname: proxy.auto_include_altname,
        ciphers: Ciphers {
            aes_128_gcm: profile.ciphers.aes_128_gcm,
            aes_256_gcm: profile.ciphers.aes_256_gcm,
            chacha20_poly1305: profile.ciphers.chacha20_poly1305,
        },
        min_version: version(profile.min_version),
        max_version: version(profile.max_version),
    }
}

fn version(version: TlsVersion) -> Version {
    match version {
        TlsVersion::Tls10 => Version::Tls10,
        TlsVersion::Tls11 => Version::Tls11,
        TlsVersion::Tls12 => Version::Tls12,
        TlsVersion::Tls13 | TlsVersion::Max => Version::Tls13,
    }
}
