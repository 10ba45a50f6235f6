//! The bulk ciphers a profile allows (PAN-OS: `enc-algo-*` and `auth-algo-*` of ssl-protocol-settings).

use std::sync::Arc;

use rustls::{
    CipherSuite,
    crypto::{CryptoProvider, aws_lc_rs},
};

/// Which of the suites that are spoken a profile allows, on both legs and in every version; key exchange is ECDHE,
/// hybrids included, in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ciphers {
    /// AES-128-GCM with SHA-256.
    pub aes_128_gcm: bool,
    /// AES-256-GCM with SHA-384.
    pub aes_256_gcm: bool,
    /// ChaCha20-Poly1305 with SHA-256.
    pub chacha20_poly1305: bool,
}

impl Ciphers {
    /// Everything that is spoken.
    pub const ALL: Self = Self {
        aes_128_gcm: true,
        aes_256_gcm: true,
        chacha20_poly1305: true,
    };
    /// Distinct values of [`Ciphers::index`].
    pub(super) const COUNT: usize = 8;

    pub(super) fn index(self) -> usize {
        [self.aes_128_gcm, self.aes_256_gcm, self.chacha20_poly1305]
            .iter()
            .fold(0, |index, &bit| index << 1 | usize::from(bit))
    }

    fn at(index: usize) -> Self {
        Self {
            aes_128_gcm: index & 4 != 0,
            aes_256_gcm: index & 2 != 0,
            chacha20_poly1305: index & 1 != 0,
        }
    }

    /// A provider for each value, by its index.
    pub(super) fn providers() -> [Arc<CryptoProvider>; Self::COUNT] {
        std::array::from_fn(|index| {
            let ciphers = Self::at(index);
            let mut provider = aws_lc_rs::default_provider();
            provider
                .cipher_suites
                .retain(|suite| ciphers.allow(suite.suite()));
            Arc::new(provider)
        })
    }

    /// Whether a suite may be spoken.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "hundreds of suites are registered, nine are spoken"
    )]
    pub(super) fn allow(self, suite: CipherSuite) -> bool {
        match suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => self.aes_128_gcm,
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => self.aes_256_gcm,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => self.chacha20_poly1305,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_provider_of_just_its_suites() {
        let providers = Ciphers::providers();
        for (index, provider) in providers.iter().enumerate() {
            let ciphers = Ciphers::at(index);
            assert_eq!(ciphers.index(), index);
            let families = [
                ciphers.aes_128_gcm,
                ciphers.aes_256_gcm,
                ciphers.chacha20_poly1305,
            ];
            let count = families.iter().filter(|&&allowed| allowed).count();
            // TLS 1.3, ECDSA and RSA.
            assert_eq!(provider.cipher_suites.len(), 3 * count);
        }
        assert_eq!(
            providers[Ciphers::ALL.index()].cipher_suites.len(),
            aws_lc_rs::default_provider().cipher_suites.len(),
            "a suite that is spoken belongs to a family"
        );
    }
}
