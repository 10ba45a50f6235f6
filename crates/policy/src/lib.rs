//! Which rule decides a session, and why.
//!
//! Zones, address objects, address groups over tags, security and decryption rules, profiles and
//! settings. A [`PolicyBuilder`] proves drafts and makes a [`Policy`] of them, which never changes and
//! is shared by all workers. Faces what the configuration says, and addresses, ports and names that
//! clients choose. No I/O, no clock, no threads.

mod address;
mod address_group;
mod app_set;
mod application;
mod builder;
mod category;
mod criteria;
mod decryption;
mod draft;
mod exclusion;
mod explain;
mod id_set;
mod ids;
mod interval_finder;
mod interval_map;
mod management;
mod networks;
mod policy;
mod profile;
mod rule_bits;
mod rule_index;
mod rule_sets;
mod rule_traits;
mod security;
mod service;
mod service_index;
mod settings;
mod shadow;
mod symbol;
mod tag_filter;
mod zone;

pub use address::{AddressObject, AddressRef, AddressValue, InvalidWildcard, Wildcard};
pub use address_group::{AddressGroup, GroupMembers};
pub use application::AppId;
pub use builder::{BuildError, PolicyBuilder};
pub use category::{CategorySet, HostPattern, InvalidHostPattern};
pub use criteria::{Column, Criterion, Match, RuleType};
pub use decryption::{DecryptAction, DecryptionDecision, DecryptionQuery, DecryptionRule};
pub use draft::{DecryptionRuleDraft, SecurityRuleDraft, ServiceDraft, ZoneDraft};
pub use exclusion::{ExclusionPattern, Exclusions, InvalidExclusion};
pub use explain::Explanation;
pub use ids::{
    AddressGroupId, AddressId, CategoryId, DecryptionProfileId, DecryptionRuleId, InterfaceId, ListId,
    RuleId, ServiceId, SpywareProfileId, ZoneId,
};
pub use management::Management;
pub use networks::Networks;
pub use policy::Policy;
pub use profile::{
    DecryptionProfile, DnsAction, Sinkhole, SpywareProfile, SslForwardProxy, SslNoProxy, TlsCiphers,
    TlsVersion,
};
pub use security::{Action, AppKnowledge, Decision, Query, SecurityRule};
pub use service::{InvalidPorts, PortSet, Service};
pub use settings::{
    Asymmetric, DecryptionSettings, Limits, NonSyn, SessionTimeouts, Settings, TaggingSettings, TcpSettings,
    TrustedRoots,
};
pub use symbol::{LogSetting, Symbol, Symbols, SymbolsBuilder};
pub use tag_filter::{TagFilter, TagFilterError, TagFilterFault};
pub use zone::{AntiSpoof, Ethertypes, InvalidVlans, VlanSet, WireIo, WireMode, WireSpec, Zone};

#[cfg(test)]
mod tests;
