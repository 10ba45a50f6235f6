//! Names become ids, texts become proven types; whatever does not fit is told with its place.

mod cycles;
mod forwarding;
mod lists;
mod objects;
mod register;
mod rules;

use std::sync::Arc;

use inspect::domains::DomainSet;
use logs::ForwardingProfiles;
use policy::{
    AddressRef, CategoryId, DecryptionProfileId, ListId, LogSettingId, Policy, PolicyBuilder, ServiceId,
    SpywareProfileId, Symbol, Symbols, SymbolsBuilder, ZoneId,
};
use tags::{TagId, TagNames};

pub use self::lists::ListSummary;
use self::register::{By, Register};
use crate::{
    document::Document,
    finding::{Finding, Findings},
    reader::Text,
    sources::Sources,
};

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Running {
    /// Rules and objects.
    pub policy: Policy,
    /// Domain lists, compiled.
    pub domains: DomainSet,
    /// Log forwarding profiles, by the `log-setting` of rules.
    pub forwarding: ForwardingProfiles,
    /// What was read of each list.
    pub lists: Vec<ListSummary>,
}

/// What came of compiling a document.
#[derive(Debug)]
pub struct Compiled {
    /// `None` where a finding is an error.
    pub running: Option<Running>,
    /// Everything found, by place: the document's first, then those of other files.
    pub findings: Vec<Finding>,
}

/// Compiles `document` with the texts of the files it refers to. `previous` are the names of the configuration
/// it replaces, so that records of both can be read; `seed` keys the domain lists.
pub fn compile(
    document: &Document,
    sources: &Sources,
    names: &TagNames,
    previous: Option<&Symbols>,
    seed: u64,
) -> Compiled {
    let findings = Findings::resume(document.source.clone(), document.findings.clone());
    let symbols = previous.map_or_else(SymbolsBuilder::new, SymbolsBuilder::extend);
    let mut compiler = Compiler::new(document, sources, names, &findings, symbols, seed);
    compiler.objects();
    compiler.forwarding();
    compiler.rules();
    let running = compiler.finish();
    Compiled {
        running,
        findings: findings.into_sorted(),
    }
}

/// What a name in a source or destination column stands for.
type Address = AddressRef;

struct Compiler<'a> {
    document: &'a Document,
    sources: &'a Sources,
    tag_names: &'a TagNames,
    findings: &'a Findings,
    symbols: SymbolsBuilder,
    builder: PolicyBuilder,
    domains: inspect::domains::DomainSetBuilder,
    list_summaries: Vec<ListSummary>,
    zones: Register<'a, ZoneId>,
    addresses: Register<'a, Address>,
    services: Register<'a, ServiceId>,
    service_groups: Vec<(&'a str, Vec<ServiceId>)>,
    domain_lists: Register<'a, ListId>,
    categories: Register<'a, CategoryId>,
    spyware: Register<'a, SpywareProfileId>,
    decryption: Register<'a, DecryptionProfileId>,
    log_settings: Register<'a, LogSettingId>,
    tags: Register<'a, TagId>,
    profiles: Vec<logs::ForwardingProfile>,
}

impl<'a> Compiler<'a> {
    fn new(
        document: &'a Document,
        sources: &'a Sources,
        tag_names: &'a TagNames,
        findings: &'a Findings,
        symbols: SymbolsBuilder,
        seed: u64,
    ) -> Self {
        Self {
            document,
            sources,
            tag_names,
            findings,
            symbols,
            builder: PolicyBuilder::new(),
            domains: inspect::domains::DomainSetBuilder::new(seed),
            list_summaries: Vec::new(),
            zones: Register::new("zone"),
            addresses: Register::new("address, address group or list of type ip"),
            services: Register::new("service or service group"),
            service_groups: Vec::new(),
            domain_lists: Register::new("external list of type domain"),
            categories: Register::new("URL category"),
            spyware: Register::new("anti-spyware profile"),
            decryption: Register::new("decryption profile"),
            log_settings: Register::new("log forwarding profile"),
            tags: Register::new("tag"),
            profiles: Vec::new(),
        }
    }

    fn symbol(&mut self, name: &Text) -> Symbol {
        self.symbols.intern(&name.value)
    }

    /// A tag, by its name. Tags need not be defined: any name can be registered.
    fn tag(&self, name: &Text) -> Option<TagId> {
        self.tags.find(&name.value);
        match self.tag_names.intern(&name.value) {
            Ok(tag) => Some(tag),
            Err(fault) => {
                self.findings.error(name.span, fault.to_string());
                None
            }
        }
    }

    fn tag_ids(&self, names: &[Text]) -> Vec<TagId> {
        names.iter().filter_map(|name| self.tag(name)).collect()
    }

    fn finish(self) -> Option<Running> {
        for unused in [
            &self.addresses as &dyn ReportUnused,
            &self.services,
            &self.domain_lists,
            &self.spyware,
            &self.decryption,
            &self.log_settings,
        ] {
            unused.report_unused(self.findings);
        }
        if self.findings.has_errors() {
            return None;
        }
        let symbols = Arc::new(self.symbols.freeze());
        let policy = match self.builder.build(Arc::clone(&symbols)) {
            Ok(policy) => policy,
            Err(faults) => {
                for fault in faults {
                    let start = toml_span::Span::new(0, 0);
                    self.findings.error(start, fault.to_string());
                }
                return None;
            }
        };
        rules::report_shadowed(self.document, &policy, self.findings);
        Some(Running {
            policy,
            domains: self.domains.build(),
            forwarding: ForwardingProfiles::new(self.profiles),
            lists: self.list_summaries,
        })
    }
}

/// Registers of any kind of object.
trait ReportUnused {
    fn report_unused(&self, findings: &Findings);
}

impl<T: Copy> ReportUnused for Register<'_, T> {
    fn report_unused(&self, findings: &Findings) {
        Register::report_unused(self, findings);
    }
}

/// Who refers to a name, for messages.
fn by<'n>(kind: &'static str, name: &'n Text, column: &'static str) -> By<'n> {
    By {
        kind,
        name: &name.value,
        column,
    }
}
