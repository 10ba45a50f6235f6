//! The closed sets of values that records hold.

use crate::named::named_enum;

named_enum! {
    /// At which point of a session a traffic record was written.
    pub enum TrafficSubtype {
        /// The session was allowed; written where the rule says `log-start`.
        Start = "start",
        /// The session ended.
        End = "end",
        /// Refused by a rule that says `drop`.
        Drop = "drop",
        /// Refused by any other rule.
        Deny = "deny",
    }
}

named_enum! {
    /// Which engine found a threat.
    pub enum ThreatSubtype {
        /// Domain lists of an anti-spyware profile.
        Spyware = "spyware",
    }
}

named_enum! {
    /// What was done about a threat.
    pub enum ThreatAction {
        /// Let through and recorded.
        Alert = "alert",
        /// Let through.
        Allow = "allow",
        /// Dropped.
        Block = "block",
        /// Answered with the sinkhole's address, or a session on its way there.
        Sinkhole = "sinkhole",
    }
}

named_enum! {
    /// What was done about a request for a URL.
    pub enum UrlAction {
        /// Let through and recorded.
        Alert = "alert",
        /// Let through.
        Allow = "allow",
        /// Refused.
        Block = "block",
    }
}

named_enum! {
    /// How bad it is, the least first.
    pub enum Severity {
        /// For the record.
        Informational = "informational",
        /// Somebody may want to look at it some day.
        Low = "low",
        /// Somebody should look at it.
        Medium = "medium",
        /// Somebody should look at it today.
        High = "high",
        /// Somebody should look at it now.
        Critical = "critical",
    }
}

named_enum! {
    /// Which way the packets went that gave the threat away.
    pub enum Direction {
        /// From whoever opened the session.
        ClientToServer = "client-to-server",
        /// Towards whoever opened the session.
        ServerToClient = "server-to-client",
    }
}

named_enum! {
    /// What happened to a tag.
    pub enum TagEvent {
        /// It is new on this subject.
        Register = "register",
        /// It was there; its deadline is now the later of the two.
        Refresh = "refresh",
        /// It was removed by an action or by hand.
        Unregister = "unregister",
        /// It was removed because its time was over.
        Timeout = "timeout",
        /// An action wanted to set it and may not.
        Refused = "refused",
        /// A match list entry in shadow mode would have set or removed it.
        Shadow = "shadow",
    }
}

named_enum! {
    /// PAN-OS's category of a failed TLS session.
    #[derive(Default)]
    pub enum ErrorIndex {
        /// It did not fail.
        #[default]
        None = "None",
        /// The certificate.
        Certificate = "Certificate",
        /// The cipher.
        Cipher = "Cipher",
        /// The version.
        Version = "Version",
        /// Messages out of place, and all else.
        Protocol = "Protocol",
        /// An extension or feature.
        Feature = "Feature",
        /// The hardware security module.
        Hsm = "HSM",
        /// Resources of the firewall.
        Resource = "Resource",
        /// Resuming an earlier session.
        Resume = "Resume",
    }
}

named_enum! {
    /// How the firewall took part in a TLS session.
    pub enum ProxyType {
        /// As forward proxy.
        Forward = "Forward",
        /// With the server's own key.
        Inbound = "Inbound",
        /// Not at all.
        NoDecrypt = "No Decrypt",
    }
}

named_enum! {
    /// What was found out about the server's certificate chain.
    #[derive(Default)]
    pub enum ChainStatus {
        /// Nobody looked.
        #[default]
        Uninspected = "Uninspected",
        /// It leads to a trusted root.
        Trusted = "Trusted",
        /// It leads to no trusted root.
        Untrusted = "Untrusted",
        /// A certificate in it has expired.
        Expired = "Expired",
        /// A certificate in it is missing.
        Incomplete = "Incomplete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_ordered() {
        assert!(Severity::ALL.is_sorted());
        assert!(Severity::Critical > Severity::High);
        assert!(Severity::Low > Severity::Informational);
    }
}
