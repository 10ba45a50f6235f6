//! What two ends of a TLS connection complain of, and how PAN-OS files it.

use std::fmt;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The end that opened the connection.
    Client,
    /// The other end.
    Server,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// How a failure of TLS is filed: the three session end reasons of PAN-OS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// `decrypt-cert-validation`
    CertValidation,
    /// `decrypt-unsupport-param`
    UnsupportParam,
    /// `decrypt-error`
    Error,
}

/// An alert in the clear (RFC 8446 §6, RFC 5246 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alert {
    /// 1 is a warning, 2 is fatal.
    pub level: u8,
    /// What it says, as its number.
    pub description: u8,
}

impl Alert {
    pub(super) const CLOSE_NOTIFY: u8 = 0;
    /// What a TLS 1.2 server says where it wanted a certificate of the client.
    pub(super) const HANDSHAKE_FAILURE: u8 = 40;
    const CERTIFICATE_REQUIRED: u8 = 116;

    /// Whether it ends the connection. TLS 1.3 goes by what is said, not by the level, but the level is right there too.
    pub fn is_fatal(self) -> bool {
        self.level == 2 && self.description != Self::CLOSE_NOTIFY
    }

    /// The class PAN-OS puts it in: what it names for `decrypt-cert-validation` and `decrypt-unsupport-param`, the
    /// version added to the latter; all others are `decrypt-error`.
    pub fn class(self) -> FailureClass {
        match self.description {
            41..=44 | 49 | Self::CERTIFICATE_REQUIRED => FailureClass::CertValidation,
            10 | Self::HANDSHAKE_FAILURE | 70 | 110 => FailureClass::UnsupportParam,
            _ => FailureClass::Error,
        }
    }

    /// Its name, as PAN-OS writes it into the field `error`; `None` where the number has none.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.description {
            Self::CLOSE_NOTIFY => "CloseNotify",
            10 => "UnexpectedMessage",
            20 => "BadRecordMac",
            21 => "DecryptionFailed",
            22 => "RecordOverflow",
            30 => "DecompressionFailure",
            Self::HANDSHAKE_FAILURE => "HandshakeFailure",
            41 => "NoCertificate",
            42 => "BadCertificate",
            43 => "UnsupportedCertificate",
            44 => "CertificateRevoked",
            45 => "CertificateExpired",
            46 => "CertificateUnknown",
            47 => "IllegalParameter",
            48 => "UnknownCA",
            49 => "AccessDenied",
            50 => "DecodeError",
            51 => "DecryptError",
            60 => "ExportRestriction",
            70 => "ProtocolVersion",
            71 => "InsufficientSecurity",
            80 => "InternalError",
            86 => "InappropriateFallback",
            90 => "UserCanceled",
            100 => "NoRenegotiation",
            109 => "MissingExtension",
            110 => "UnsupportedExtension",
            111 => "CertificateUnobtainable",
            112 => "UnrecognisedName",
            113 => "BadCertificateStatusResponse",
            114 => "BadCertificateHashValue",
            115 => "UnknownPSKIdentity",
            Self::CERTIFICATE_REQUIRED => "CertificateRequired",
            120 => "NoApplicationProtocol",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.description),
        }
    }
}
