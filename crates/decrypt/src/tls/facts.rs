//! What is known of an intercepted connection, for its records.

use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion};

use super::leaf::Leaf;
use crate::trust::{ChainStatus, Verdict};

/// What the records tell of a connection. Strings are the peers' words: whoever writes them escapes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The name asked for; not verified.
    pub sni: Option<String>,
    /// The application protocol the server chose, and the client was given.
    pub alpn: Option<Vec<u8>>,
    /// Common name of the server's certificate.
    pub cn: String,
    /// Common name of its issuer.
    pub issuer_cn: String,
    /// Serial number of the server's certificate, hexadecimal with colons.
    pub serial: String,
    /// Dates of the server's certificate, in seconds since 1970.
    pub validity: (u64, u64),
    /// How the server's chain stands.
    pub chain: ChainStatus,
    /// The certificate is for the name asked, or the address where none was asked.
    pub name_matches: bool,
    /// The client was shown a leaf signed by forward-trust.
    pub trusted: bool,
    /// The server asked for a certificate of the client.
    pub client_certificate_requested: bool,
    /// The leg towards the client, once it has handshaken.
    pub client: Option<Handshake>,
    /// The leg towards the server, once it has handshaken.
    pub server: Option<Handshake>,
    /// Plaintext that came from the client, in bytes.
    pub from_client: u64,
    /// Plaintext that came from the server, in bytes.
    pub from_server: u64,
}

impl Facts {
    pub(super) fn note_leaf(&mut self, leaf: &Leaf, verdict: &Verdict) {
        self.cn.clone_from(&leaf.common_name);
        self.issuer_cn.clone_from(&leaf.issuer_common_name);
        self.serial.clone_from(&leaf.serial);
        self.validity = leaf.validity;
        self.chain = verdict.status();
        self.name_matches = verdict.wrong_name.is_none();
        self.trusted = verdict.is_trusted();
    }

    pub(super) fn memory(&self) -> usize {
        self.sni.as_ref().map_or(0, String::capacity)
            + self.alpn.as_ref().map_or(0, Vec::capacity)
            + self.cn.capacity()
            + self.issuer_cn.capacity()
            + self.serial.capacity()
    }
}

/// What a handshake settled on, as PAN-OS's decryption log spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handshake {
    /// `TLS1.2`, `TLS1.3`.
    pub version: &'static str,
    /// The whole suite, as IANA names it.
    pub suite: &'static str,
    /// `tls_keyxchg`: always `ECDHE` (hybrid groups included); empty for a resumption without a new exchange.
    pub key_exchange: &'static str,
    /// `ec_curve`: the group, as IANA names it.
    pub group: &'static str,
    /// `tls_enc`, such as `AES_256_GCM`.
    pub encryption: &'static str,
    /// `tls_auth`, such as `SHA384`.
    pub hash: &'static str,
    /// The session was taken up from an earlier one.
    pub resumed: bool,
}

impl Handshake {
    pub(super) fn of(connection: &CommonState) -> Self {
        let (suite, encryption, hash) = connection
            .negotiated_cipher_suite()
            .map_or(("", "", ""), |suite| suite_names(suite.suite()));
        let group = connection
            .negotiated_key_exchange_group()
            .map_or("", |group| group_name(group.name()));
        Self {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
                _ => "",
            },
            suite,
            key_exchange: if group.is_empty() { "" } else { "ECDHE" },
            group,
            encryption,
            hash,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "hundreds of suites are registered, nine are spoken"
)]
fn suite_names(suite: CipherSuite) -> (&'static str, &'static str, &'static str) {
    use CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_128_GCM_SHA256 => ("TLS_AES_128_GCM_SHA256", "AES_128_GCM", "SHA256"),
        Suite::TLS13_AES_256_GCM_SHA384 => ("TLS_AES_256_GCM_SHA384", "AES_256_GCM", "SHA384"),
        Suite::TLS13_CHACHA20_POLY1305_SHA256 => {
            ("TLS_CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305", "SHA256")
        }
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => {
            ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES_128_GCM", "SHA256")
        }
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => {
            ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES_256_GCM", "SHA384")
        }
        Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "CHACHA20_POLY1305",
            "SHA256",
        ),
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => {
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES_128_GCM", "SHA256")
        }
        Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => {
            ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES_256_GCM", "SHA384")
        }
        Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => (
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            "CHACHA20_POLY1305",
            "SHA256",
        ),
        _ => ("", "", ""),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "many groups are registered, five are spoken"
)]
fn group_name(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::X25519 => "x25519",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        _ => "",
    }
}
