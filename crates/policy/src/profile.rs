//! Anti-spyware and decryption profiles.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::DomainName;

use crate::{ListId, Symbol};

/// What happens to a query for a listed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsAction {
    /// It passes and is recorded.
    Alert,
    /// It passes.
    Allow,
    /// It is dropped and recorded.
    Block,
    /// It is answered with the sinkhole's addresses and recorded.
    Sinkhole,
}

impl DnsAction {
    /// All actions.
    pub const ALL: [Self; 4] = [Self::Alert, Self::Allow, Self::Block, Self::Sinkhole];

    /// The token of configurations and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Sinkhole => "sinkhole",
        }
    }

    /// The action with this token.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// Where listed names lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sinkhole {
    /// The answer to A.
    pub ipv4: Option<Ipv4Addr>,
    /// The answer to AAAA.
    pub ipv6: Option<Ipv6Addr>,
    /// The name that carries the addresses; the name asked for is then its alias.
    pub fqdn: Option<DomainName>,
}

impl Sinkhole {
    /// Whether `address` is one of the sinkhole's.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.ipv4 == Some(v4),
            IpAddr::V6(v6) => self.ipv6 == Some(v6),
        }
    }
}

/// What an anti-spyware profile does with domain names.
#[derive(Clone, Debug)]
pub struct SpywareProfile {
    /// Its name.
    pub name: Symbol,
    /// Lists in order; of several that hold a name the first decides.
    pub lists: Vec<(ListId, DnsAction)>,
    /// Where listed names lead.
    pub sinkhole: Sinkhole,
    /// Names that are in no list, whatever the lists say.
    pub exceptions: Vec<DomainName>,
}

impl SpywareProfile {
    /// What the profile does with a name that is in `list`; `None` where it does not use that list.
    pub fn action(&self, list: ListId) -> Option<DnsAction> {
        let used = self.lists.iter().find(|(used, _)| *used == list);
        used.map(|&(_, action)| action)
    }

    /// Whether `name` is excepted from every list.
    pub fn excepts(&self, name: &DomainName) -> bool {
        self.exceptions.contains(name)
    }
}

/// A version of TLS, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
    /// Whatever comes: `max`.
    Max,
}

impl TlsVersion {
    /// All versions.
    pub const ALL: [Self; 5] = [Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13, Self::Max];

    /// The token of configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "tls1-0",
            Self::Tls11 => "tls1-1",
            Self::Tls12 => "tls1-2",
            Self::Tls13 => "tls1-3",
            Self::Max => "max",
        }
    }

    /// The version with this token.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Its number on the wire; [`TlsVersion::Max`] is above all.
    pub fn wire(self) -> u16 {
        match self {
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
            Self::Max => u16::MAX,
        }
    }
}

/// What the forward proxy ends instead of passing on; the field names are those of PAN-OS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the configuration"
)]
pub struct SslForwardProxy {
    /// Sessions with an expired server certificate.
    pub block_expired_certificate: bool,
    /// Sessions with a server certificate of an issuer nobody trusts.
    pub block_untrusted_issuer: bool,
    /// Sessions whose certificate's status is unknown.
    pub block_unknown_cert: bool,
    /// Sessions whose certificate's status could not be asked in time.
    pub block_timeout_cert: bool,
    /// Sessions outside the profile's versions.
    pub block_unsupported_version: bool,
    /// Sessions without a common cipher suite.
    pub block_unsupported_cipher: bool,
    /// Sessions whose server asks for a client certificate.
    pub block_client_cert: bool,
    /// Sessions whose server's certificate is not for the name the client asks for.
    pub block_if_sni_mismatch: bool,
    /// Sessions that find no room in the proxy.
    pub block_if_no_resource: bool,
    /// Those of them whose client offers TLS 1.3.
    pub block_tls13_downgrade_no_resource: bool,
    /// Whether ALPN is taken out, so that HTTP/1.1 is spoken.
    pub strip_alpn: bool,
    /// Minted certificates have no extensions but key usage, extended key usage and alternative names.
    pub restrict_cert_exts: bool,
    /// A certificate without alternative names is imitated with its common name as one.
    pub auto_include_altname: bool,
}

/// Which of the spoken ciphers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsCiphers {
    /// AES-128-GCM with SHA-256.
    pub aes_128_gcm: bool,
    /// AES-256-GCM with SHA-384.
    pub aes_256_gcm: bool,
    /// ChaCha20-Poly1305 with SHA-256.
    pub chacha20_poly1305: bool,
}

impl TlsCiphers {
    /// Every one.
    pub const ALL: Self = Self {
        aes_128_gcm: true,
        aes_256_gcm: true,
        chacha20_poly1305: true,
    };
    /// Not one.
    pub const NONE: Self = Self {
        aes_128_gcm: false,
        aes_256_gcm: false,
        chacha20_poly1305: false,
    };
}

/// What is checked of sessions that stay closed, as far as it is in the clear: up to TLS 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SslNoProxy {
    /// Sessions with an expired server certificate end.
    pub block_expired_certificate: bool,
    /// Sessions with a server certificate of an issuer nobody trusts end.
    pub block_untrusted_issuer: bool,
}

/// How sessions are decrypted, and what is checked of those that are not.
#[derive(Clone, Debug)]
pub struct DecryptionProfile {
    /// Its name.
    pub name: Symbol,
    /// What the forward proxy refuses.
    pub ssl_forward_proxy: SslForwardProxy,
    /// What is refused without decrypting.
    pub ssl_no_proxy: SslNoProxy,
    /// The oldest version.
    pub min_version: TlsVersion,
    /// The newest version.
    pub max_version: TlsVersion,
    /// What sessions may be encrypted with.
    pub ciphers: TlsCiphers,
    /// ECH configurations are taken out of HTTPS records, so that clients show the name they ask for.
    pub strip_ech: bool,
    /// A server name that keeps a session closed is believed only where DNS, or the server's certificate, has shown it
    /// to belong to the server's address.
    pub verify_sni: bool,
    /// Servers that do not fit, and are not blocked for it, are left closed for a while.
    pub local_exclusion_cache: bool,
}
