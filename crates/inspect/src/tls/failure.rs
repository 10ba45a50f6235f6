//! Why a TLS connection came to nothing, as far as the wire shows it.

use std::fmt;

use super::{Alert, FailureClass, Peer};

/// How the TCP connection under it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsEnd {
    /// This end closed first (FIN).
    Closed(Peer),
    /// This end reset it (RST).
    Reset(Peer),
    /// It did not end: it fell silent, or is not over.
    Silent,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFailure {
    /// A fatal alert in the clear.
    Alert {
        /// Who sent it.
        from: Peer,
        /// What it says.
        alert: Alert,
    },
    /// An encrypted record of an alert's size where none should be: which alert cannot be told.
    HiddenAlert {
        /// Who sent it.
        from: Peer,
    },
    /// The handshake was done, and the client left without a byte of its own: what a client does that pins certificates
    /// and meets another than its own.
    ClosedBeforeData,
    /// Somebody closed in the middle of the handshake.
    CutShort {
        /// Who.
        by: Peer,
    },
    /// Somebody reset the connection in the middle of the handshake.
    Reset {
        /// Who.
        by: Peer,
    },
}

/// What failed, and how it is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsOutcome {
    /// What failed.
    pub failure: TlsFailure,
    /// Its class; `None` where TCP's own end reason says it all.
    pub class: Option<FailureClass>,
    /// The server had asked for a certificate of the client.
    pub client_certificate: bool,
}

impl TlsOutcome {
    /// Files a failure. Where the server asked for the client's certificate, its refusal is one of the certificate.
    pub(super) fn of(failure: TlsFailure, client_certificate: bool) -> Self {
        let class = match failure {
            TlsFailure::Alert {
                from: Peer::Server,
                alert,
            } if client_certificate && alert.description == Alert::HANDSHAKE_FAILURE => {
                Some(FailureClass::CertValidation)
            }
            TlsFailure::HiddenAlert { from: Peer::Server } if client_certificate => {
                Some(FailureClass::CertValidation)
            }
            TlsFailure::Alert { alert, .. } => Some(alert.class()),
            TlsFailure::HiddenAlert { .. } | TlsFailure::ClosedBeforeData | TlsFailure::CutShort { .. } => {
                Some(FailureClass::Error)
            }
            TlsFailure::Reset { .. } => None,
        };
        Self {
            failure,
            class,
            client_certificate,
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert { from, alert } => write!(f, "Received fatal alert {alert} from {from}"),
            Self::HiddenAlert { from } => write!(f, "Received encrypted alert from {from}"),
            Self::ClosedBeforeData => f.write_str("Client closed after the handshake without data"),
            Self::CutShort { by } => write!(f, "Connection closed by {by} during the handshake"),
            Self::Reset { by } => write!(f, "Connection reset by {by} during the handshake"),
        }
    }
}
