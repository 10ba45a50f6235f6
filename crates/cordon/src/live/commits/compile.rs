//! From a configuration's text to what can be published.

use std::{sync::Arc, time::Duration};

use config::{DomainLists, Finding, ListSummary, Previous, Running};
use control::{CommandError, ConfigurationText, ErrorCode, Loaded, SystemRoots, TrustFiles};
use engine::Ruleset;
use logs::{ForwarderConfig, ForwardingProfiles};
use packet::Timestamp;
use policy::{Policy, WireIo};
use ports::live::Interface;
use tags::TagNames;
use tracing::warn;

/// What is kept of a configuration beside its ruleset.
#[derive(Clone, Debug)]
pub(in crate::live) struct Accepted {
    pub(in crate::live) forwarding: ForwardingProfiles,
    pub(super) lists: Vec<ListSummary>,
    /// Shared with the ruleset, and with that of the next configuration where it has the same lists.
    domains: DomainLists,
    /// When its lists were read.
    pub(super) read: Timestamp,
}

/// A configuration without errors, not in force yet.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) accepted: Accepted,
    policy: Policy,
    /// Whom the forward proxy is to believe.
    trust: TrustFiles,
    /// What is worth knowing all the same.
    pub(super) findings: Vec<String>,
}

/// Compiles the configurations of one process, one after the other. What they all need, and none of them changes, is
/// kept from one to the next.
#[derive(Debug)]
pub(in crate::live) struct Compiler {
    names: Arc<TagNames>,
    /// Keys the domain lists.
    seed: u64,
    system_roots: SystemRoots,
}

impl Compiler {
    pub(in crate::live) fn new(names: Arc<TagNames>, seed: u64) -> Self {
        Self {
            names,
            seed,
            system_roots: SystemRoots::default(),
        }
    }

    /// The names of all tags.
    pub(super) fn names(&self) -> &Arc<TagNames> {
        &self.names
    }

    /// Compiles a configuration with its lists as they are now, to replace the one whose policy is `old`, and of which
    /// `accepted` was kept.
    pub(super) fn compile(
        &self,
        configuration: &ConfigurationText,
        (old, accepted): (&Policy, &Accepted),
        now: Timestamp,
    ) -> Result<Compiled, CommandError> {
        let previous = Previous {
            symbols: old.symbols(),
            domains: &accepted.domains,
        };
        let loaded = configuration.load(&self.names, Some(previous), self.seed);
        let findings: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
        let Some(running) = loaded.running else {
            return Err(invalid(&configuration.name, &loaded.findings));
        };
        if !same_interfaces(old, &running.policy) {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "the virtual wires have other interfaces than those that cordon holds, or another `io`: restart it \
                 with this configuration",
            )
            .with_details(findings));
        }
        Ok(self.with_trust(running, configuration, findings, now))
    }

    /// Compiles a configuration for a firewall that is about to start, and says all that was found.
    pub(super) fn first(
        &self,
        configuration: &ConfigurationText,
        now: Timestamp,
    ) -> Result<(Compiled, Vec<Finding>), Vec<Finding>> {
        let Loaded { running, findings } = configuration.load(&self.names, None, self.seed);
        match running {
            Some(running) => Ok((self.with_trust(running, configuration, Vec::new(), now), findings)),
            None => Err(findings),
        }
    }

    fn with_trust(
        &self,
        running: Running,
        configuration: &ConfigurationText,
        findings: Vec<String>,
        read: Timestamp,
    ) -> Compiled {
        let Running {
            policy,
            domains,
            forwarding,
            lists,
            ..
        } = running;
        let settings = &policy.settings().decryption;
        Compiled {
            trust: TrustFiles::named_by(settings, &configuration.folder, &self.system_roots, read),
            accepted: Accepted {
                forwarding,
                lists,
                domains,
                read,
            },
            policy,
            findings,
        }
    }
}

impl Compiled {
    /// What is to be published, and what is kept beside it.
    pub(super) fn into_parts(self, generation: u64) -> (Accepted, Ruleset, TrustFiles, Vec<String>) {
        let ruleset = Ruleset::new(self.policy, Arc::clone(self.accepted.domains.set()), generation);
        (self.accepted, ruleset, self.trust, self.findings)
    }
}

/// The refusal of a configuration with errors.
pub(super) fn invalid(name: &str, findings: &[Finding]) -> CommandError {
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == config::Severity::Error)
        .count();
    CommandError::new(
        ErrorCode::Invalid,
        format!("{name}: {errors} errors; nothing was changed"),
    )
    .with_details(findings.iter().map(Finding::to_string).collect())
}

impl Accepted {
    /// The shortest period after which one of the lists is to be read again.
    pub(super) fn due_after(&self) -> Option<Duration> {
        self.lists
            .iter()
            .filter_map(|list| list.recurring)
            .map(config::Recurring::period)
            .min()
    }
}

/// What the forwarder obeys under a policy, on this machine.
pub(in crate::live) fn forwarder_config(forwarding: &ForwardingProfiles, policy: &Policy) -> ForwarderConfig {
    let own_addresses = Interface::all().map_or_else(
        |fault| {
            warn!(%fault, "this machine's own addresses are not known, and could be tagged");
            Vec::new()
        },
        |interfaces| {
            interfaces
                .into_iter()
                .flat_map(|interface| interface.addresses)
                .collect()
        },
    );
    ForwarderConfig {
        profiles: forwarding.clone(),
        max_new_per_hour: policy.settings().tagging.max_new_per_hour,
        own_addresses,
    }
}

/// Whether the wires hold the same interfaces, under the same numbers and in the same way.
fn same_interfaces(old: &Policy, new: &Policy) -> bool {
    let names = |policy: &Policy| -> Vec<([String; 2], WireIo)> {
        let name = |interface| {
            policy
                .symbols()
                .resolve(policy.interface_name(interface))
                .to_owned()
        };
        policy
            .wires()
            .iter()
            .map(|wire| (wire.interfaces.map(name), wire.io))
            .collect()
    };
    names(old) == names(new)
}
