//! Names become ids, texts become proven types; whatever does not fit is told with its place.
//!
//! Nothing stops at a fault: what is wrong is left out or stands for nothing, so that the rest is looked
//! at too. Only a document without errors comes out as [`Running`].

mod address_list;
mod addresses;
mod categories;
mod columns;
mod cycles;
mod domain_lists;
mod forwarding;
mod lists;
mod network;
mod profiles;
mod register;
mod rules;
mod services;
mod shadows;
mod tag_uses;

use std::{cell::Cell, collections::HashMap, sync::Arc};

use logs::ForwardingProfiles;
use policy::{
    AddressRef, AppId, BuildError, CategoryId, DecryptionProfileId, ListId, LogSetting, Policy,
    PolicyBuilder, ServiceId, SpywareProfileId, Symbol, Symbols, SymbolsBuilder, ZoneId,
};
use tags::TagNames;

pub use self::{domain_lists::DomainLists, lists::ListSummary};
use self::{
    domain_lists::DomainListsBuilder,
    register::{By, Register, by},
    shadows::Unsound,
    tag_uses::TagUses,
};
use crate::{
    document::Document,
    finding::{Finding, Findings},
    reader::Text,
    source::Place,
    sources::Sources,
};

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Running {
    /// Rules and objects.
    pub policy: Policy,
    /// Domain lists, compiled.
    pub domains: DomainLists,
    /// Log forwarding profiles, by the `log-setting` of rules.
    pub forwarding: ForwardingProfiles,
    /// What was read of each list, in the order of the document.
    pub lists: Vec<ListSummary>,
    /// Where the document names the second end of each wire, in the order of the policy's wires.
    pub wire_places: Vec<Place>,
}

/// What came of compiling a document.
#[derive(Debug)]
pub struct Compiled {
    /// `None` where a finding is an error.
    pub running: Option<Running>,
    /// Everything found, those of [`parse`](crate::parse) included, by place: the document's first, then
    /// those of other files.
    pub findings: Vec<Finding>,
}

/// What a configuration takes over from the one that it replaces.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// The names of that one, so that records of both can be read.
    pub symbols: &'a Symbols,
    /// Its domain lists: they stay where the new one has the same.
    pub domains: &'a DomainLists,
}

/// Compiles `document` with the texts of the files it refers to, to replace `previous`; `seed` keys the domain lists.
/// What comes out is the same without `previous`, apart from the numbers of names.
pub fn compile(
    document: &Document,
    sources: &Sources,
    names: &TagNames,
    previous: Option<Previous<'_>>,
    seed: u64,
) -> Compiled {
    let findings = Findings::resume(document.source.clone(), document.findings.clone());
    let symbols = previous.map_or_else(SymbolsBuilder::new, |previous| {
        SymbolsBuilder::extend(previous.symbols)
    });
    let domains = DomainListsBuilder::new(seed, previous.map(|previous| previous.domains));
    let mut compiler = Compiler::new(document, sources, names, &findings, symbols, domains);
    compiler.tags();
    compiler.lists();
    compiler.url_categories();
    compiler.addresses_and_groups();
    compiler.network();
    compiler.services();
    compiler.applications();
    compiler.profiles();
    compiler.forwarding();
    compiler.rules();
    compiler.settings();
    let running = compiler.finish();
    Compiled {
        running,
        findings: findings.into_sorted(),
    }
}

struct Compiler<'a> {
    document: &'a Document,
    sources: &'a Sources,
    tag_names: &'a TagNames,
    findings: &'a Findings,
    symbols: SymbolsBuilder,
    builder: PolicyBuilder,
    domains: DomainListsBuilder<'a>,
    list_summaries: Vec<ListSummary>,
    wire_places: Vec<Place>,
    forwarding_profiles: Vec<logs::ForwardingProfile>,
    tag_uses: TagUses<'a>,
    zones: Register<'a, ZoneId>,
    addresses: Register<'a, AddressRef>,
    /// A number leads to the members in `service_members` or `application_members`.
    services: Register<'a, usize>,
    service_members: Vec<Vec<ServiceId>>,
    /// The services that PAN-OS defines itself, once a rule names them.
    predefined_services: HashMap<&'static str, ServiceId>,
    application_groups: Register<'a, usize>,
    application_members: Vec<Vec<AppId>>,
    domain_lists: Register<'a, ListId>,
    categories: Register<'a, CategoryId>,
    /// Categories found in the folder that `setting.url-categories` names: never told as unused.
    folder_categories: HashMap<&'a str, CategoryId>,
    spyware: Register<'a, SpywareProfileId>,
    decryption: Register<'a, DecryptionProfileId>,
    profile_groups: Register<'a, Option<SpywareProfileId>>,
    log_settings: Register<'a, LogSetting>,
    unsound: Unsound,
    /// What is being compiled refers to something unsound.
    touched_unsound: Cell<bool>,
}

impl<'a> Compiler<'a> {
    fn new(
        document: &'a Document,
        sources: &'a Sources,
        tag_names: &'a TagNames,
        findings: &'a Findings,
        symbols: SymbolsBuilder,
        domains: DomainListsBuilder<'a>,
    ) -> Self {
        Self {
            document,
            sources,
            tag_names,
            findings,
            symbols,
            builder: PolicyBuilder::new(),
            domains,
            list_summaries: Vec::new(),
            wire_places: Vec::new(),
            forwarding_profiles: Vec::new(),
            tag_uses: TagUses::new(),
            zones: Register::new("zone"),
            addresses: Register::new("address, address group or external list of type ip"),
            services: Register::new("service or service group"),
            service_members: Vec::new(),
            predefined_services: HashMap::new(),
            application_groups: Register::new("application group"),
            application_members: Vec::new(),
            domain_lists: Register::new("external list of type domain"),
            categories: Register::new("URL category or external list of type url"),
            folder_categories: HashMap::new(),
            spyware: Register::new("anti-spyware profile"),
            decryption: Register::new("decryption profile"),
            profile_groups: Register::new("profile group"),
            log_settings: Register::new("log forwarding profile"),
            unsound: document.unsound.clone(),
            touched_unsound: Cell::new(false),
        }
    }

    fn symbol(&mut self, name: &Text) -> Symbol {
        self.symbols.intern(&name.value)
    }

    fn settings(&mut self) {
        let document = self.document;
        let never: Vec<AddressRef> = document
            .settings
            .never_tag
            .iter()
            .filter_map(|name| {
                self.address(
                    name,
                    By {
                        kind: "setting",
                        name: "tagging",
                        column: "never-tag",
                    },
                )
            })
            .collect();
        self.builder.add_never_tag(never);
        self.builder.settings(document.settings.policy.clone());
    }

    fn finish(self) -> Option<Running> {
        self.report_unused();
        let usable = self.findings.error_count() == 0;
        let policy = match self.builder.build(Arc::new(self.symbols.freeze())) {
            Ok(policy) => policy,
            Err(faults) => {
                // Where an error was told already, these follow from it.
                for fault in faults.iter().filter(|_| usable) {
                    report_build_error(fault, self.document, self.findings);
                }
                return None;
            }
        };
        shadows::report(self.document, &policy, &self.unsound, self.findings);
        usable.then(|| Running {
            policy,
            domains: self.domains.build(),
            forwarding: ForwardingProfiles::new(self.forwarding_profiles),
            lists: self.list_summaries,
            wire_places: self.wire_places,
        })
    }

    fn report_unused(&self) {
        self.tag_uses.report(self.tag_names, self.findings);
        self.addresses.report_unused(self.findings);
        self.services.report_unused(self.findings);
        self.application_groups.report_unused(self.findings);
        self.domain_lists.report_unused(self.findings);
        self.categories.report_unused(self.findings);
        self.spyware.report_unused(self.findings);
        self.decryption.report_unused(self.findings);
        self.profile_groups.report_unused(self.findings);
        self.log_settings.report_unused(self.findings);
    }
}

/// What only the builder finds: bounds, and zones that would depend on tags.
fn report_build_error(fault: &BuildError, document: &Document, findings: &Findings) {
    let zone = match fault {
        BuildError::DynamicZone(zone) => document.zones.get(zone.index()),
        BuildError::Dangling { .. }
        | BuildError::GroupCycle(_)
        | BuildError::InterfaceInTwoZones { .. }
        | BuildError::InterfaceOnTwoWires { .. }
        | BuildError::TooMany { .. } => None,
    };
    let span = zone.map_or(toml_span::Span::new(0, 0), |zone| zone.name.span);
    findings.error(span, fault.to_string());
}
