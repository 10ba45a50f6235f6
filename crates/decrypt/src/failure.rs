//! What stopped a session from being decrypted, named when it happens.

use std::borrow::Cow;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::tls::Leg;

/// What ended the session, by the reasons PAN-OS gives in `session_end_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// `decrypt-cert-validation`: the server's certificate, or one it wants of the client.
    CertValidation,
    /// `decrypt-unsupport-param`: a version, cipher or algorithm that one side does not have.
    UnsupportedParameter,
    /// `decrypt-error`: everything else that TLS can fail by.
    Error,
    /// `tcp-rst-from-client`.
    ResetByClient,
    /// `tcp-rst-from-server`.
    ResetByServer,
    /// `resources-unavailable`: a bound of ours was met.
    NoResources,
    /// `aged-out`: a side fell silent within the handshake.
    Timeout,
}

/// The kind of the failure, as `err_index` of PAN-OS's decryption log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorIndex {
    /// About a certificate.
    Certificate,
    /// About cipher suites, groups or signature algorithms.
    Cipher,
    /// About protocol versions.
    Version,
    /// About how TLS was spoken.
    Protocol,
    /// About something that is not done here.
    Feature,
    /// About room or time.
    Resource,
}

impl ErrorIndex {
    /// As it stands in a decryption record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::Cipher => "Cipher",
            Self::Version => "Version",
            Self::Protocol => "Protocol",
            Self::Feature => "Feature",
            Self::Resource => "Resource",
        }
    }
}

/// Why a session could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What ends the session.
    pub class: FailureClass,
    /// The leg it happened on.
    pub leg: Leg,
    /// In our own words, never the peer's.
    pub error: Cow<'static, str>,
    /// The kind, for the decryption record.
    pub index: ErrorIndex,
    /// The client went away over our certificate, by an alert or by silence: a pinned or an unprepared client.
    pub refused_by_client: bool,
    /// The decryption profile does not block what failed, it only cannot be decrypted: the next connection may
    /// pass as it is (PAN-OS's local exclusion cache).
    pub may_bypass: bool,
}

impl Failure {
    /// A failure of the protocol.
    pub fn new(class: FailureClass, leg: Leg, error: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            leg,
            error: error.into(),
            index: ErrorIndex::Protocol,
            refused_by_client: false,
            may_bypass: false,
        }
    }

    pub(crate) fn of(mut self, index: ErrorIndex) -> Self {
        self.index = index;
        self
    }

    pub(crate) fn refused(mut self) -> Self {
        self.refused_by_client = true;
        self
    }

    /// The server asks for a certificate that only the client has.
    pub(crate) fn client_certificate() -> Self {
        Self::new(
            FailureClass::CertValidation,
            Leg::Server,
            "the server asks for a client certificate",
        )
        .of(ErrorIndex::Certificate)
    }
}

/// What was seen before the error came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    pub(crate) client_certificate_requested: bool,
    /// Of the server's RSA key; 0 where it is no RSA key or was not seen.
    pub(crate) rsa_bits: usize,
    /// Issued by itself.
    pub(crate) self_signed: bool,
}

/// Names what rustls reported on a leg.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls grows its enums within a version: what is new is nothing special"
)]
pub(crate) fn classify(leg: Leg, error: &Error, seen: Circumstances) -> Failure {
    use FailureClass::{Error as Other, UnsupportedParameter};
    match error {
        Error::InvalidCertificate(error) => certificate(leg, error, seen),
        Error::AlertReceived(alert) => alert_received(leg, *alert, seen),
        Error::PeerIncompatible(incompatible) => incompatibility(leg, incompatible),
        Error::NoApplicationProtocol => Failure::new(Other, leg, "no application protocol in common"),
        Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            Failure::new(Other, leg, "not TLS")
        }
        Error::InvalidMessage(rustls::InvalidMessage::MessageTooLarge) => {
            Failure::new(Other, leg, "a record is too large")
        }
        Error::InvalidMessage(_) => Failure::new(Other, leg, "a message that is not well-formed"),
        Error::DecryptError => Failure::new(Other, leg, "a record does not decrypt"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            Failure::new(Other, leg, "a message out of its turn")
        }
        Error::PeerMisbehaved(_) => Failure::new(Other, leg, "the peer breaks the protocol"),
        Error::NoCertificatesPresented => {
            Failure::new(Other, leg, "no certificate").of(ErrorIndex::Certificate)
        }
        Error::UnsupportedNameType => {
            Failure::new(UnsupportedParameter, leg, "a name of an unsupported type").of(ErrorIndex::Feature)
        }
        _ => Failure::new(Other, leg, "General TLS protocol error"),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls grows its enums within a version: what is new is nothing special"
)]
fn certificate(leg: Leg, error: &CertificateError, seen: Circumstances) -> Failure {
    let text: Cow<'static, str> = match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired certificate".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not yet valid".into()
        }
        CertificateError::Revoked => "revoked certificate".into(),
        CertificateError::UnknownRevocationStatus => "unknown certificate status".into(),
        CertificateError::UnknownIssuer if seen.self_signed => "untrusted issuer: self-signed".into(),
        CertificateError::UnknownIssuer => "untrusted issuer".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is not for the server name".into()
        }
        // rustls takes no smaller ones, and says "bad signature" then.
        CertificateError::BadSignature if (1..2048).contains(&seen.rsa_bits) => {
            format!("RSA key of {} bits", seen.rsa_bits).into()
        }
        CertificateError::BadSignature => "bad signature".into(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            return Failure::new(
                FailureClass::UnsupportedParameter,
                leg,
                "unsupported signature algorithm in the certificate chain",
            )
            .of(ErrorIndex::Certificate);
        }
        CertificateError::Other(_) if seen.self_signed => {
            "untrusted issuer: self-signed CA certificate".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not for a server".into()
        }
        _ => "a certificate that cannot be used".into(),
    };
    Failure::new(FailureClass::CertValidation, leg, text).of(ErrorIndex::Certificate)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls grows its enums within a version: what is new is nothing special"
)]
fn alert_received(leg: Leg, alert: AlertDescription, seen: Circumstances) -> Failure {
    use AlertDescription as Alert;
    let name = alert_name(alert);
    let (class, index) = match alert {
        Alert::CertificateRequired => return Failure::client_certificate(),
        // It was shown none.
        Alert::HandshakeFailure
        | Alert::BadCertificate
        | Alert::NoCertificate
        | Alert::UnknownCA
        | Alert::CertificateUnknown
        | Alert::AccessDenied
            if leg == Leg::Server && seen.client_certificate_requested =>
        {
            return Failure::client_certificate();
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::AccessDenied
        | Alert::NoCertificate => (FailureClass::CertValidation, ErrorIndex::Certificate),
        Alert::ProtocolVersion => (FailureClass::UnsupportedParameter, ErrorIndex::Version),
        Alert::HandshakeFailure => (FailureClass::UnsupportedParameter, ErrorIndex::Cipher),
        Alert::UnsupportedExtension | Alert::UnexpectedMessage => {
            (FailureClass::UnsupportedParameter, ErrorIndex::Protocol)
        }
        Alert::UnknownCA | Alert::CertificateUnknown | Alert::CertificateExpired => {
            (FailureClass::Error, ErrorIndex::Certificate)
        }
        _ => (FailureClass::Error, ErrorIndex::Protocol),
    };
    let about_certificate = index == ErrorIndex::Certificate;
    let text = match (leg, about_certificate) {
        (Leg::Client, true) => format!("the client does not trust the certificate ({name})"),
        (Leg::Client, false) => format!("the client ended the handshake ({name})"),
        (Leg::Server, _) => format!("the server ended the handshake ({name})"),
    };
    let failure = Failure::new(class, leg, text).of(index);
    if leg == Leg::Client && about_certificate {
        failure.refused()
    } else {
        failure
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls grows its enums within a version: what is new is nothing special"
)]
fn incompatibility(leg: Leg, incompatible: &PeerIncompatible) -> Failure {
    use PeerIncompatible as Peer;
    let (text, index) = match incompatible {
        Peer::ServerDoesNotSupportTls12Or13
        | Peer::ServerTlsVersionIsDisabledByOurConfig
        | Peer::SupportedVersionsExtensionRequired
        | Peer::Tls12NotOffered
        | Peer::Tls12NotOfferedOrEnabled => ("no TLS version in common", ErrorIndex::Version),
        Peer::NoCipherSuitesInCommon => ("no cipher suite in common", ErrorIndex::Cipher),
        Peer::NoKxGroupsInCommon | Peer::NamedGroupsExtensionRequired | Peer::KeyShareExtensionRequired => {
            ("no key exchange in common", ErrorIndex::Cipher)
        }
        Peer::NoSignatureSchemesInCommon | Peer::SignatureAlgorithmsExtensionRequired => {
            ("no signature algorithm in common", ErrorIndex::Cipher)
        }
        _ => ("a parameter that is not supported", ErrorIndex::Feature),
    };
    Failure::new(FailureClass::UnsupportedParameter, leg, text).of(index)
}

/// What the other leg is told of an error on one: the nearest alert.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls grows its enums within a version: what is new is nothing special"
)]
pub(crate) fn alert_for_the_other_leg(error: &Error) -> AlertDescription {
    match error {
        Error::InvalidCertificate(error) => AlertDescription::from(error.clone()),
        Error::AlertReceived(AlertDescription::CertificateRequired) => AlertDescription::AccessDenied,
        Error::AlertReceived(AlertDescription::CloseNotify | AlertDescription::UserCanceled) => {
            AlertDescription::InternalError
        }
        Error::AlertReceived(alert) => *alert,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => AlertDescription::ProtocolVersion,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::NoApplicationProtocol => AlertDescription::NoApplicationProtocol,
        _ => AlertDescription::InternalError,
    }
}

/// As RFC 8446 §6 and RFC 5246 §7.2 spell them.
fn alert_name(alert: AlertDescription) -> &'static str {
    match u8::from(alert) {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "an unknown alert",
    }
}
