//! From a configuration's text to what can be published.

use std::time::Duration;

use config::{Finding, ListSummary, Running};
use control::{CommandError, ConfigurationText, ErrorCode, Loaded, TrustFiles};
use engine::Ruleset;
use inspect::domains::DomainSet;
use logs::{ForwarderConfig, ForwardingProfiles};
use packet::Timestamp;
use policy::Policy;
use ports::live::Interface;
use tags::TagNames;
use tracing::warn;

/// What is kept of a configuration beside its ruleset.
#[derive(Clone, Debug)]
pub(in crate::live) struct Accepted {
    pub(in crate::live) forwarding: ForwardingProfiles,
    pub(super) lists: Vec<ListSummary>,
    /// When its lists were read.
    pub(super) read: Timestamp,
}

/// A configuration without errors, not in force yet.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) accepted: Accepted,
    policy: Policy,
    domains: DomainSet,
    /// Whom the forward proxy is to believe.
    trust: TrustFiles,
    /// What is worth knowing all the same.
    pub(super) findings: Vec<String>,
}

impl Compiled {
    /// Compiles a configuration with its lists as they are now, to replace the one whose policy is `old`.
    pub(super) fn new(
        configuration: &ConfigurationText,
        names: &TagNames,
        old: &Policy,
        seed: u64,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let loaded = configuration.load(names, Some(old.symbols()), seed);
        let findings: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
        let Some(running) = loaded.running else {
            return Err(invalid(&configuration.name, &loaded.findings));
        };
        if !same_interfaces(old, &running.policy) {
            return Err(CommandError::new(
                ErrorCode::Refused,
                "the virtual wires have other interfaces than those that cordon holds: restart it with this \
                 configuration",
            )
            .with_details(findings));
        }
        Ok(Self::of(running, configuration, findings, now))
    }

    /// Compiles a configuration for a firewall that is about to start, and says all that was found.
    pub(super) fn first(
        configuration: &ConfigurationText,
        names: &TagNames,
        seed: u64,
        now: Timestamp,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let Loaded { running, findings } = configuration.load(names, None, seed);
        match running {
            Some(running) => Ok((Self::of(running, configuration, Vec::new(), now), findings)),
            None => Err(findings),
        }
    }

    fn of(
        running: Running,
        configuration: &ConfigurationText,
        findings: Vec<String>,
        read: Timestamp,
    ) -> Self {
        let Running {
            policy,
            domains,
            forwarding,
            lists,
            ..
        } = running;
        Self {
            trust: TrustFiles::named_by(&policy.settings().decryption, &configuration.folder),
            accepted: Accepted {
                forwarding,
                lists,
                read,
            },
            policy,
            domains,
            findings,
        }
    }

    /// What is to be published, and what is kept beside it.
    pub(super) fn into_parts(self, generation: u64) -> (Accepted, Ruleset, TrustFiles, Vec<String>) {
        let ruleset = Ruleset::new(self.policy, self.domains, generation);
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

/// Whether the wires hold the same interfaces, under the same numbers.
fn same_interfaces(old: &Policy, new: &Policy) -> bool {
    let names = |policy: &Policy| -> Vec<[String; 2]> {
        let name = |interface| {
            policy
                .symbols()
                .resolve(policy.interface_name(interface))
                .to_owned()
        };
        policy
            .wires()
            .iter()
            .map(|wire| wire.interfaces.map(name))
            .collect()
    };
    names(old) == names(new)
}
