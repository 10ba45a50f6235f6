//! Which rule decides a session, and why.
//!
//! Zones, address objects, address groups over tags, security and decryption rules, profiles and
//! settings. A [`PolicyBuilder`] proves drafts and makes a [`Policy`] of them, which never changes and
//! is shared by all workers. Faces what the configuration says, and addresses, ports and names that
//! clients choose. No I/O, no clock, no threads.

mod address;
mod address_group;
mod application;
mod category;
mod ids;
mod interval_map;
mod networks;
mod profile;
mod service;
mod settings;
mod symbol;
mod tag_filter;
mod zone;

pub use address::{AddressObject, AddressRef, AddressValue, InvalidWildcard, Wildcard};
pub use address_group::{AddressGroup, GroupMembers};
pub use application::AppId;
pub use category::{CategorySet, HostPattern, InvalidHostPattern};
pub use ids::{
    AddressGroupId, AddressId, CategoryId, DecryptionProfileId, DecryptionRuleId, InterfaceId, ListId,
    LogSettingId, RuleId, ServiceId, SpywareProfileId, ZoneId,
};
pub use networks::Networks;
pub use profile::{DecryptionProfile, DnsAction, Sinkhole, SpywareProfile, SslForwardProxy, TlsVersion};
pub use service::{InvalidPorts, PortSet, Service};
pub use settings::{Asymmetric, Limits, NonSyn, SessionTimeouts, Settings, TaggingSettings, TcpSettings};
pub use symbol::{Symbol, Symbols, SymbolsBuilder};
pub use tag_filter::{TagFilter, TagFilterError, TagFilterFault};
pub use zone::{AntiSpoof, Ethertypes, InvalidVlans, VlanSet, WireSpec, Zone};
