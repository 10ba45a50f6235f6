//! Parts of a policy as the configuration gives them: names resolved to ids, nothing proven yet.

use tags::TagId;

use crate::{
    Action, AddressRef, AntiSpoof, AppId, CategoryId, Criterion, DecryptAction, DecryptionProfileId,
    InterfaceId, LogSetting, RuleType, ServiceId, SpywareProfileId, Symbol, ZoneId,
};

/// A zone.
#[derive(Clone, Debug)]
pub struct ZoneDraft {
    /// Its name.
    pub name: Symbol,
    /// Its interfaces, each limited to a VLAN (0: untagged) where one is given.
    pub interfaces: Vec<(InterfaceId, Option<u16>)>,
    /// Whose sources live here. Empty: no anti-spoofing.
    pub networks: Vec<AddressRef>,
    /// What happens to other sources.
    pub anti_spoof: AntiSpoof,
    /// Hosts here that ask DNS for others.
    pub resolvers: Vec<AddressRef>,
}

impl ZoneDraft {
    /// A zone of these interfaces, with all their VLANs, where any source may live.
    pub fn new(name: Symbol, interfaces: &[InterfaceId]) -> Self {
        Self {
            name,
            interfaces: interfaces.iter().map(|interface| (*interface, None)).collect(),
            networks: Vec::new(),
            anti_spoof: AntiSpoof::NoTag,
            resolvers: Vec::new(),
        }
    }
}

/// The services of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServiceDraft {
    /// `any`.
    #[default]
    Any,
    /// `application-default`: the application's own ports.
    ApplicationDefault,
    /// One of these.
    Of(Vec<ServiceId>),
}

/// A security rule.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the configuration"
)]
pub struct SecurityRuleDraft {
    /// Its name.
    pub name: Symbol,
    /// For which pairs of zones it is.
    pub rule_type: RuleType,
    /// Zones of the client.
    pub from: Criterion<ZoneId>,
    /// Zones of the server; says nothing in an intrazone rule.
    pub to: Criterion<ZoneId>,
    /// Addresses of the client.
    pub source: Criterion<AddressRef>,
    /// Every client but those.
    pub negate_source: bool,
    /// Addresses of the server.
    pub destination: Criterion<AddressRef>,
    /// Every server but those.
    pub negate_destination: bool,
    /// Applications.
    pub applications: Criterion<AppId>,
    /// Services.
    pub service: ServiceDraft,
    /// URL categories of the server's name.
    pub categories: Criterion<CategoryId>,
    /// What it does.
    pub action: Action,
    /// The anti-spyware profile of sessions it allows.
    pub spyware: Option<SpywareProfileId>,
    /// The log forwarding profile of its records.
    pub log_setting: Option<LogSetting>,
    /// Whether the beginning of a session is recorded.
    pub log_start: bool,
    /// Whether the end of a session is recorded.
    pub log_end: bool,
    /// Whether a refused client is told by ICMP, under [`Action::Drop`].
    pub icmp_unreachable: bool,
    /// Whether it never matches.
    pub disabled: bool,
    /// Its colours in listings.
    pub tags: Vec<TagId>,
}

impl SecurityRuleDraft {
    /// A rule that matches everything and records the end of sessions.
    pub fn new(name: Symbol, action: Action) -> Self {
        Self {
            name,
            rule_type: RuleType::Universal,
            from: Criterion::Any,
            to: Criterion::Any,
            source: Criterion::Any,
            negate_source: false,
            destination: Criterion::Any,
            negate_destination: false,
            applications: Criterion::Any,
            service: ServiceDraft::Any,
            categories: Criterion::Any,
            action,
            spyware: None,
            log_setting: None,
            log_start: false,
            log_end: true,
            icmp_unreachable: false,
            disabled: false,
            tags: Vec::new(),
        }
    }
}

/// A decryption rule.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the configuration"
)]
pub struct DecryptionRuleDraft {
    /// Its name.
    pub name: Symbol,
    /// Zones of the client.
    pub from: Criterion<ZoneId>,
    /// Zones of the server.
    pub to: Criterion<ZoneId>,
    /// Addresses of the client.
    pub source: Criterion<AddressRef>,
    /// Every client but those.
    pub negate_source: bool,
    /// Addresses of the server.
    pub destination: Criterion<AddressRef>,
    /// Every server but those.
    pub negate_destination: bool,
    /// Services.
    pub services: Criterion<ServiceId>,
    /// URL categories of the server's name.
    pub categories: Criterion<CategoryId>,
    /// What it does.
    pub action: DecryptAction,
    /// How sessions are opened, or what is checked of closed ones.
    pub profile: Option<DecryptionProfileId>,
    /// The log forwarding profile of its records.
    pub log_setting: Option<LogSetting>,
    /// Whether successful handshakes are recorded.
    pub log_success: bool,
    /// Whether failed handshakes are recorded.
    pub log_fail: bool,
    /// Whether it never matches.
    pub disabled: bool,
    /// Its colours in listings.
    pub tags: Vec<TagId>,
}

impl DecryptionRuleDraft {
    /// A rule that matches everything and records failed handshakes.
    pub fn new(name: Symbol, action: DecryptAction) -> Self {
        Self {
            name,
            from: Criterion::Any,
            to: Criterion::Any,
            source: Criterion::Any,
            negate_source: false,
            destination: Criterion::Any,
            negate_destination: false,
            services: Criterion::Any,
            categories: Criterion::Any,
            action,
            profile: None,
            log_setting: None,
            log_success: false,
            log_fail: true,
            disabled: false,
            tags: Vec::new(),
        }
    }
}
