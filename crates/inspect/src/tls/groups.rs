//! Key exchange groups and cipher suites, by the names they are logged under.

use tls_parser::{TlsCipherKx, TlsCipherSuite};

/// The hash a cipher suite's `Finished` message is made with, where it is SHA-384 (else it is SHA-256).
pub(super) fn is_sha384(cipher_suite: u16) -> bool {
    TlsCipherSuite::from_id(cipher_suite).is_some_and(|suite| suite.name.ends_with("_SHA384"))
}

/// A cipher suite's name in the registry of IANA; empty where it has none.
pub fn cipher_suite_name(cipher_suite: u16) -> &'static str {
    TlsCipherSuite::from_id(cipher_suite).map_or("", |suite| suite.name)
}

/// Groups that a quantum computer does not break: ML-KEM alone or with a curve, and the drafts before it.
pub fn is_post_quantum(group: u16) -> bool {
    matches!(group, 0x0200..=0x0202 | 0x11eb..=0x11ed | 0x6399 | 0x639a)
}

/// How two sides agreed on keys, as PAN-OS spells it (`RSA`, `DHE`, `ECDHE`); a post-quantum group by its own
/// name. Empty where that cannot be told.
pub fn key_exchange_name(cipher_suite: u16, group: Option<u16>) -> &'static str {
    match group {
        Some(0x11eb) => return "SecP256r1MLKEM768",
        Some(0x11ec) => return "X25519MLKEM768",
        Some(0x11ed) => return "SecP384r1MLKEM1024",
        Some(0x6399) => return "X25519Kyber768Draft00",
        Some(0x639a) => return "SecP256r1Kyber768Draft00",
        Some(0x0200) => return "MLKEM512",
        Some(0x0201) => return "MLKEM768",
        Some(0x0202) => return "MLKEM1024",
        Some(_) | None => {}
    }
    match TlsCipherSuite::from_id(cipher_suite).map(|suite| &suite.kx) {
        Some(TlsCipherKx::Rsa) => "RSA",
        Some(TlsCipherKx::Dhe) => "DHE",
        Some(TlsCipherKx::Ecdhe) => "ECDHE",
        Some(TlsCipherKx::Dh) => "DH",
        Some(TlsCipherKx::Ecdh) => "ECDH",
        Some(TlsCipherKx::Psk) => "PSK",
        // TLS 1.3: the suite says nothing of it, the key share does.
        Some(TlsCipherKx::Tls13) => match group {
            Some(0x0100..=0x01ff) => "DHE",
            Some(_) => "ECDHE",
            None => "PSK",
        },
        Some(_) | None => "",
    }
}

/// A version as PAN-OS spells it (`TLS1.2`); empty where it is none.
pub fn version_name(version: u16) -> &'static str {
    match version {
        0x0002 => "SSL2.0",
        0x0300 => "SSL3.0",
        0x0301 => "TLS1.0",
        0x0302 => "TLS1.1",
        0x0303 => "TLS1.2",
        0x0304 => "TLS1.3",
        _ => "",
    }
}
