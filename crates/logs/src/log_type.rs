//! The types of records.

use crate::named::named_enum;

named_enum! {
    /// What kind of record a line is; decides its fields.
    pub enum LogType {
        /// Sessions: their start, end or refusal.
        Traffic = "traffic",
        /// Names on a list that somebody asked for, and sessions to a sinkhole address.
        Threat = "threat",
        /// Requests for a URL.
        Url = "url",
        /// TLS sessions that a decryption rule judged.
        Decryption = "decryption",
        /// Tags that were set, moved, removed, or refused.
        IpTag = "ip-tag",
        /// What happened to the firewall itself.
        System = "system",
        /// What an administrator changed.
        Config = "config",
    }
}

impl LogType {
    /// Whether its records say who talked to whom, so that an action has somebody to tag. The others are
    /// about the firewall itself, or were caused by tagging, which must not tag again.
    pub const fn can_tag(self) -> bool {
        match self {
            Self::Traffic | Self::Threat | Self::Url | Self::Decryption => true,
            Self::IpTag | Self::System | Self::Config => false,
        }
    }
}
