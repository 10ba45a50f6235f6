//! What a commit publishes to the packet path as one thing: old or new, never a mix.

use inspect::{Application, domains::DomainSet};
use policy::{AppId, Policy};

/// A policy with the domain lists it refers to.
#[derive(Debug)]
pub struct Ruleset {
    policy: Policy,
    domains: DomainSet,
    generation: u64,
    apps: Vec<AppId>,
}

impl Ruleset {
    /// `generation` must differ from that of every ruleset published before.
    pub fn new(policy: Policy, domains: DomainSet, generation: u64) -> Self {
        let apps = Application::ALL
            .iter()
            .map(|application| AppId::from_name(application.name()).unwrap_or(AppId::UNKNOWN_TCP))
            .collect();
        Self {
            policy,
            domains,
            generation,
            apps,
        }
    }

    /// The rules and objects.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The domain lists, compiled.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// Distinguishes this ruleset from all others.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the policy calls an application that `inspect` has recognised.
    pub(crate) fn app(&self, application: Application) -> AppId {
        self.apps
            .get(application as usize)
            .copied()
            .unwrap_or(AppId::UNKNOWN_TCP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_knows_every_application_that_can_be_recognised() {
        for (place, application) in Application::ALL.iter().enumerate() {
            assert_eq!(*application as usize, place);
            assert!(
                AppId::from_name(application.name()).is_some(),
                "{}",
                application.name()
            );
        }
    }
}
