//! What a commit publishes to the packet path as one thing: old or new, never a mix.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use decrypt::{Trust, tls::Proxy};
use inspect::{Application, domains::DomainSet};
use logs::{AddressNames, NameProof};
use packet::{DomainName, Timestamp, build::Summing};
use policy::{AppId, DecryptAction, Policy};

use crate::ExclusionCache;

/// What TLS is opened with.
#[derive(Clone, Debug)]
pub struct Decrypting {
    /// Certificates, trust and keys.
    pub proxy: Arc<Proxy>,
    /// How the frames of taken-over sessions leave; unfinished where the ports can take such frames.
    pub summing: Summing,
    /// The operator's brake.
    pub pause: Arc<DecryptionPause>,
    /// Servers that do not fit, and are left closed.
    pub excluded: Arc<ExclusionCache>,
}

/// Holds decryption still: sessions that begin meanwhile are never opened, those that are open stay so.
#[derive(Debug, Default)]
pub struct DecryptionPause(AtomicU64);

impl DecryptionPause {
    /// From now on until then; a time that is past ends it.
    pub fn until(&self, time: Timestamp) {
        self.0.store(time.as_nanos(), Ordering::Relaxed);
    }

    /// When it ends, where it is not over at `now`.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = Timestamp::from_nanos(self.0.load(Ordering::Relaxed));
        (now < ends).then_some(ends)
    }
}

/// A policy with the domain lists it refers to.
#[derive(Debug)]
pub struct Ruleset {
    policy: Policy,
    /// That of the ruleset before, where no list has changed.
    domains: Arc<DomainSet>,
    generation: u64,
    apps: Vec<AppId>,
    decrypting: Option<Decrypting>,
    strips_ech: bool,
    verifies_names: bool,
    /// Which names belong to which addresses, as far as is known.
    names: Option<Arc<AddressNames>>,
    trust: Option<Trust>,
}

impl Ruleset {
    /// `generation` must differ from that of every ruleset published before.
    pub fn new(policy: Policy, domains: impl Into<Arc<DomainSet>>, generation: u64) -> Self {
        let apps = Application::ALL
            .iter()
            .map(|application| AppId::from_name(application.name()).unwrap_or(AppId::UNKNOWN_TCP))
            .collect();
        let verifies_names = policy.decryption_rules().any(|(_, rule)| {
            let profile = rule.profile.and_then(|id| policy.decryption_profile(id));
            !rule.disabled && profile.is_some_and(|profile| profile.verify_sni)
        });
        let strips_ech = policy.decryption_rules().any(|(_, rule)| {
            let profile = rule.profile.and_then(|id| policy.decryption_profile(id));
            rule.action == DecryptAction::Decrypt
                && !rule.disabled
                && profile.is_some_and(|profile| profile.strip_ech)
        });
        Self {
            strips_ech,
            verifies_names,
            names: None,
            trust: None,
            policy,
            domains: domains.into(),
            generation,
            apps,
            decrypting: None,
        }
    }

    /// The same, with decryption rules carried out. Without, they are looked at and recorded only.
    #[must_use]
    pub fn decrypting(self, decrypting: Decrypting) -> Self {
        Self {
            decrypting: Some(decrypting),
            ..self
        }
    }

    /// The same, with the server names known of addresses. Without, none is.
    #[must_use]
    pub fn knowing(self, names: Arc<AddressNames>) -> Self {
        Self {
            names: Some(names),
            ..self
        }
    }

    /// The same, with whom certificates that pass in the clear must lead to. Without, none is checked for that.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self {
            trust: Some(trust),
            ..self
        }
    }

    /// The server names known of addresses, where the rules were given some.
    pub fn address_names(&self) -> Option<&Arc<AddressNames>> {
        self.names.as_ref()
    }

    /// Whom certificates must lead to.
    pub(crate) fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// Whether some rule believes a server's name only where it is known to belong to the server's address.
    pub(crate) fn verifies_names(&self) -> bool {
        self.verifies_names
    }

    /// Whether a name is known to belong to an address.
    pub(crate) fn knows_name(&self, now: Timestamp, address: IpAddr, name: &DomainName) -> bool {
        self.names
            .as_ref()
            .is_some_and(|names| names.agrees(now, address, name))
    }

    /// Whether a further proof that a name belongs to an address is worth telling.
    pub(crate) fn wants_name(
        &self,
        now: Timestamp,
        address: IpAddr,
        name: &DomainName,
        proof: NameProof,
    ) -> bool {
        let names = self.names.as_ref().filter(|_| self.verifies_names);
        names.is_some_and(|names| !names.is_fresh(now, address, name, proof))
    }

    /// Whether keys of Encrypted Client Hello are taken out of DNS replies: some rule's decryption needs the names.
    pub(crate) fn strips_ech(&self) -> bool {
        self.strips_ech
    }

    /// What TLS is opened with, where it is.
    pub(crate) fn decryption(&self) -> Option<&Decrypting> {
        self.decrypting.as_ref()
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
