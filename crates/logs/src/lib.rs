//! Records of what the firewall saw, decided and did; the language that filters them; match lists, and the
//! forwarder that turns records into tags.
//!
//! What stands in a record was chosen by whoever sent the packets, and a record can tag: so names are
//! escaped once, tables that grow with what is seen have bounds, and the forwarder refuses to tag what the
//! sender could not prove to be. Filters come from administrators and are bounded in length and depth.
//! No I/O, no clock, no threads: records go in, records come out.

mod calendar;
mod end_reason;
mod field;
mod filter;
mod forwarder;
mod json;
mod line;
mod line_writer;
mod log_type;
mod match_list;
mod named;
mod record;
#[cfg(test)]
mod samples;
mod spelling;
mod value;

pub use calendar::{RelativeTime, Unit, parse_time, write_rfc3339};
pub use end_reason::SessionEndReason;
pub use field::{Attribute, Field, UnknownAttribute};
pub use filter::{Filter, FilterError, FilterWarning, Operator};
pub use forwarder::{
    AddressNameCounts, AddressNames, Bypassed, CommandOutcome, Fact, Forwarder, ForwarderConfig,
    ForwarderCounters, ForwarderLimits, NameProof, Passed, Sender, TagCommand,
};
pub use line::{InvalidLine, Line};
pub use line_writer::LineWriter;
pub use log_type::LogType;
pub use match_list::{
    Evidence, ForwardingProfile, ForwardingProfiles, MatchListEntry, Mode, TagAction, TagOperation, TagScope,
    TagTarget,
};
pub use record::{
    Body, ChainStatus, ConfigChange, Decryption, Direction, ErrorIndex, EscapedText, FlowFields, IpTag,
    Origin, ProxyType, Record, Severity, Side, System, TagEvent, Threat, ThreatAction, ThreatSubtype,
    Traffic, TrafficSubtype, Url, UrlAction, View,
};
pub use spelling::nearest;
