//! The fields of each type of record, in the order of their lines.

mod attribute;
mod kind;

pub use self::attribute::{Attribute, UnknownAttribute};
pub(crate) use self::kind::Kind;
use crate::{LogType, named::named_enum};

named_enum! {
    /// A field of some type of record.
    pub enum Field {
        /// Place among all records.
        Seqno = "seqno",
        /// When it happened.
        ReceiveTime = "receive_time",
        /// Type of record.
        Type = "type",
        /// Kind within the type.
        Subtype = "subtype",
        /// Client address.
        Src = "src",
        /// Server address.
        Dst = "dst",
        /// Client port.
        Sport = "sport",
        /// Server port.
        Dport = "dport",
        /// Protocol.
        Proto = "proto",
        /// Application.
        App = "app",
        /// Client's zone.
        From = "from",
        /// Server's zone.
        To = "to",
        /// Client's interface.
        InboundIf = "inbound_if",
        /// Server's interface.
        OutboundIf = "outbound_if",
        /// Security rule.
        Rule = "rule",
        /// What was done.
        Action = "action",
        /// Why the session ended.
        SessionEndReason = "session_end_reason",
        /// The session.
        Sessionid = "sessionid",
        /// Bytes both ways.
        Bytes = "bytes",
        /// Bytes from client to server.
        BytesSent = "bytes_sent",
        /// Bytes from server to client.
        BytesReceived = "bytes_received",
        /// Packets both ways.
        Packets = "packets",
        /// First packet.
        Start = "start",
        /// Seconds from first to last packet.
        Elapsed = "elapsed",
        /// Category of URL or threat.
        Category = "category",
        /// Whether it was decrypted.
        Decrypted = "decrypted",
        /// How many it stands for.
        Repeatcnt = "repeatcnt",
        /// Client's tags.
        SrcTags = "src_tags",
        /// Server's tags.
        DstTags = "dst_tags",
        /// Number of the signature.
        Threatid = "threatid",
        /// Listed name.
        ThreatName = "threat_name",
        /// How bad it is.
        Severity = "severity",
        /// Which way.
        Direction = "direction",
        /// Name as asked, or host and path.
        Misc = "misc",
        /// Domain list.
        List = "list",
        /// DNS query type.
        Qtype = "qtype",
        /// HTTP method.
        HttpMethod = "http_method",
        /// Client a proxy in front spoke for.
        XffIp = "xff_ip",
        /// Decryption rule.
        PolicyName = "policy_name",
        /// Server name asked for.
        Sni = "sni",
        /// Certificate's common name.
        Cn = "cn",
        /// Issuer's common name.
        IssuerCn = "issuer_cn",
        /// TLS version.
        TlsVersion = "tls_version",
        /// Cipher suite.
        TlsCipher = "tls_cipher",
        /// Key exchange.
        TlsKeyxchg = "tls_keyxchg",
        /// Category of the failure.
        ErrIndex = "err_index",
        /// The failure.
        Error = "error",
        /// How the firewall took part.
        ProxyType = "proxy_type",
        /// State of the certificate chain.
        ChainStatus = "chain_status",
        /// Tagged address, prefix or range.
        Ip = "ip",
        /// Tag.
        Tag = "tag",
        /// What happened.
        Event = "event",
        /// Cause: a record's number, `socket` or `config`.
        Source = "source",
        /// Match list entry.
        MatchList = "match_list",
        /// Minutes; 0 = until removed.
        Timeout = "timeout",
        /// Server name or client for which alone the tag counts.
        Qualifier = "qualifier",
        /// What happened, for people.
        Opaque = "opaque",
        /// Administrator.
        Admin = "admin",
        /// Command.
        Cmd = "cmd",
        /// What was changed.
        Path = "path",
        /// How it was.
        Before = "before",
        /// How it is.
        After = "after",
        /// Whether it worked.
        Result = "result",
    }
}

impl LogType {
    /// The fields of this type's records, in the order of their lines.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Traffic => TRAFFIC,
            Self::Threat => THREAT,
            Self::Url => URL,
            Self::Decryption => DECRYPTION,
            Self::IpTag => IP_TAG,
            Self::System => SYSTEM,
            Self::Config => CONFIG,
        }
    }

    /// Of a type whose records are of a session: the fields behind those that say who talked to whom.
    pub(crate) fn fields_behind_flow(self) -> &'static [Field] {
        let fields = self.fields();
        let end = fields.iter().position(|&field| field == Field::Rule);
        end.and_then(|end| fields.get(end + 1..)).unwrap_or_default()
    }
}

/// `common! { more }`: the fields of every record, and more.
macro_rules! common {
    ($($field:ident)*) => {
        &[Field::Seqno, Field::ReceiveTime, Field::Type, Field::Subtype, $(Field::$field),*]
    };
}

/// `flow! { more }`: the fields of every record of a session, and more.
macro_rules! flow {
    ($($field:ident)*) => {
        common! { Src Dst Sport Dport Proto App From To InboundIf OutboundIf Rule $($field)* }
    };
}

const TRAFFIC: &[Field] = flow! {
    Action SessionEndReason Sessionid Bytes BytesSent BytesReceived Packets Start Elapsed Category Decrypted
    Repeatcnt SrcTags DstTags
};

const THREAT: &[Field] = flow! {
    Sessionid Action Threatid ThreatName Severity Category Direction Misc List Qtype Repeatcnt SrcTags
};

const URL: &[Field] = flow! { Action SessionEndReason Sessionid Misc Category HttpMethod XffIp };

const DECRYPTION: &[Field] = flow! {
    Action SessionEndReason Sessionid PolicyName Sni Cn IssuerCn TlsVersion TlsCipher TlsKeyxchg ErrIndex Error
    ProxyType ChainStatus
};

const IP_TAG: &[Field] = common! { Ip Tag Event Source MatchList Timeout Qualifier };

const SYSTEM: &[Field] = common! { Severity Event Opaque };

const CONFIG: &[Field] = common! { Admin Cmd Path Before After Result };
