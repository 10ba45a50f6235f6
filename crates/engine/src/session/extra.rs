//! What only some sessions have, and most only in the beginning.

use inspect::{AppDetector, ServerNameFinder};
use packet::{DomainName, FarKey, Timestamp};
use policy::Symbol;

use super::EndTags;
use crate::{
    interception::Interception,
    stages::{dns_tcp::DnsStream, tls::ClosedTls},
};

/// Kept apart from its session, which has room for what all have; gone once nothing in it is left.
#[derive(Debug)]
pub(crate) struct Extra {
    /// The rest of its key.
    pub(crate) far: Option<FarKey>,
    /// What the two ends were tagged with when it was last decided.
    pub(crate) tags: EndTags,
    /// The earliest deadline among the tags consulted.
    pub(crate) until: Timestamp,
    /// Looks for the application; gone once it is known, or given up.
    pub(crate) detector: Option<Box<AppDetector>>,
    /// The next byte the detector wants, per direction; `None` before the first payload.
    pub(crate) detector_seq: [Option<u32>; 2],
    /// The host it was heard to ask for, by `ClientHello` or Host header.
    pub(crate) server_name: Option<Box<DomainName>>,
    pub(crate) name_finder: Option<Box<ServerNameFinder>>,
    pub(crate) dns_stream: Option<Box<DnsStream>>,
    /// TLS that may be opened, or is.
    pub(crate) interception: Option<Interception>,
    /// TLS in it that stays closed, and is watched.
    pub(crate) closed_tls: Option<Box<ClosedTls>>,
    /// When it ages, where that is not told by its last packet.
    pub(crate) deadline: Option<Timestamp>,
    /// A client's SYN over its open TCP connection that waits for the server's answer.
    pub(crate) resync: Option<u32>,
    /// The security rule that was counted when it began, where another has decided since.
    pub(crate) first_rule: Option<Symbol>,
    /// The decryption rule that has decided on it; empty where none has.
    pub(crate) decryption_rule: Symbol,
    /// Counts that have outgrown their session: bytes of each direction, and packets, in units of 2^32.
    pub(crate) bytes_above: [u32; 2],
    pub(crate) packets_above: u32,
    /// How many packets are around its own.
    pub(crate) layer: u8,
}

impl Default for Extra {
    fn default() -> Self {
        Self {
            far: None,
            tags: EndTags::default(),
            until: Timestamp::MAX,
            detector: None,
            detector_seq: [None; 2],
            server_name: None,
            name_finder: None,
            dns_stream: None,
            interception: None,
            closed_tls: None,
            deadline: None,
            resync: None,
            first_rule: None,
            decryption_rule: Symbol::EMPTY,
            bytes_above: [0; 2],
            packets_above: 0,
            layer: 0,
        }
    }
}

impl Extra {
    /// Whether all that is left is what every session starts with. Where nobody looks for anything any more, the place
    /// in the stream does not matter.
    pub(super) fn is_idle(&self) -> bool {
        let Self {
            far,
            tags,
            until,
            detector,
            detector_seq: _,
            server_name,
            name_finder,
            dns_stream,
            interception,
            closed_tls,
            deadline,
            resync,
            first_rule,
            decryption_rule,
            bytes_above,
            packets_above,
            layer,
        } = self;
        far.is_none()
            && *tags == EndTags::default()
            && *until == Timestamp::MAX
            && detector.is_none()
            && server_name.is_none()
            && name_finder.is_none()
            && dns_stream.is_none()
            && interception.is_none()
            && closed_tls.is_none()
            && deadline.is_none()
            && resync.is_none()
            && first_rule.is_none()
            && *decryption_rule == Symbol::EMPTY
            && *bytes_above == [0; 2]
            && *packets_above == 0
            && *layer == 0
    }
}
