//! Why a session ended.

use crate::named::named_enum;

named_enum! {
    /// Why a session ended; the order is PAN-OS's precedence, the strongest reason first: where several
    /// apply, the smallest is recorded.
    #[derive(Default)]
    pub enum SessionEndReason {
        /// A threat was met with a block or a reset.
        Threat = "threat",
        /// A rule refused the session, at once or after a change.
        PolicyDeny = "policy-deny",
        /// The server's certificate was refused, or the client refused it with an alert that says so.
        DecryptCertValidation = "decrypt-cert-validation",
        /// The TLS version, cipher or an extension was refused.
        DecryptUnsupportParam = "decrypt-unsupport-param",
        /// Any other failure of decryption.
        DecryptError = "decrypt-error",
        /// The client sent RST.
        TcpRstFromClient = "tcp-rst-from-client",
        /// The server sent RST.
        TcpRstFromServer = "tcp-rst-from-server",
        /// A limit of the firewall was reached.
        ResourcesUnavailable = "resources-unavailable",
        /// Either end sent FIN.
        TcpFin = "tcp-fin",
        /// The five-tuple was used again, and the older session closed.
        TcpReuse = "tcp-reuse",
        /// A protocol decoder started a new session inside this one.
        Decoder = "decoder",
        /// Nothing was seen for as long as the timeout allows.
        AgedOut = "aged-out",
        /// None of the above, e.g. cleared by hand or the end of a capture.
        Unknown = "unknown",
        /// The record is not one of a session's end.
        #[default]
        NotApplicable = "n/a",
    }
}

impl SessionEndReason {
    /// The reason to record where both apply.
    #[must_use]
    pub fn stronger(self, other: Self) -> Self {
        self.min(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_of_the_list_wins() {
        use SessionEndReason as Reason;
        assert_eq!(Reason::AgedOut.stronger(Reason::Threat), Reason::Threat);
        assert_eq!(
            Reason::TcpFin.stronger(Reason::TcpRstFromServer),
            Reason::TcpRstFromServer
        );
        assert_eq!(
            Reason::DecryptError.stronger(Reason::DecryptUnsupportParam),
            Reason::DecryptUnsupportParam
        );
        assert_eq!(Reason::Unknown.stronger(Reason::NotApplicable), Reason::Unknown);
        assert_eq!(Reason::default(), Reason::NotApplicable);
        assert!(Reason::ALL.is_sorted());
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for &reason in SessionEndReason::ALL {
            assert_eq!(SessionEndReason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(SessionEndReason::from_name("decrypt-unsupported-parameter"), None);
    }
}
