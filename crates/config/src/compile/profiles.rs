//! Anti-spyware profiles, decryption profiles, profile groups.

use std::collections::HashSet;

use policy::{DecryptionProfile, DnsAction, ListId, Sinkhole, SpywareProfile, TlsCiphers, TlsVersion};

use super::{Compiler, by};
use crate::{
    document::{DecryptionProfileEntry, SpywareProfileEntry},
    finding::Quoted,
    reader::Located,
};

/// Lists of domain names that come with PAN-OS content updates.
const VENDOR_LISTS: [&str; 2] = ["default-paloalto-dns", "default-paloalto-cloud"];

impl<'a> Compiler<'a> {
    pub(super) fn profiles(&mut self) {
        let document = self.document;
        for entry in &document.spyware {
            self.spyware_profile(entry);
        }
        for entry in &document.decryption {
            self.decryption_profile(entry);
        }
        for entry in &document.profile_groups {
            let by = by("profile group", &entry.name, "spyware");
            let profile = self.one_of(&entry.spyware, by);
            let profile = profile.and_then(|name| self.spyware.resolve(name, by, self.findings));
            self.profile_groups
                .add("profile group", &entry.name, profile, self.findings);
        }
    }

    fn spyware_profile(&mut self, entry: &'a SpywareProfileEntry) {
        let name = self.symbol(&entry.name);
        let profile = SpywareProfile {
            name,
            lists: self.spyware_lists(entry),
            sinkhole: Sinkhole {
                ipv4: entry.ipv4.as_ref().map(|given| given.value),
                ipv6: entry.ipv6.as_ref().map(|given| given.value),
                fqdn: entry.fqdn.as_ref().map(|given| given.value),
            },
            exceptions: entry.exceptions.iter().map(|name| name.value).collect(),
        };
        self.check_sinkhole(entry);
        let id = self.builder.add_spyware_profile(profile);
        self.spyware
            .add("anti-spyware profile", &entry.name, id, self.findings);
    }

    fn spyware_lists(&self, entry: &SpywareProfileEntry) -> Vec<(ListId, DnsAction)> {
        let by = by("anti-spyware profile", &entry.name, "lists");
        let mut seen = HashSet::new();
        let mut lists = Vec::new();
        for list in &entry.lists {
            let name = &list.name;
            if name.value.is_empty() {
                continue;
            }
            if !seen.insert(&*name.value) {
                let message = format!("{by} names {} twice; the first decides", Quoted(&name.value));
                self.findings.error(name.span, message);
                continue;
            }
            if VENDOR_LISTS.contains(&&*name.value) && !self.domain_lists.has(&name.value) {
                let message = format!(
                    "{by} names {}: vendor lists are not supported",
                    Quoted(&name.value)
                );
                self.findings.error(name.span, message);
                continue;
            }
            let id = self.domain_lists.resolve(name, by, self.findings);
            lists.extend(id.zip(list.action.as_ref().map(|action| action.value)));
        }
        lists
    }

    /// A sinkhole without an address would answer nothing.
    fn check_sinkhole(&self, entry: &SpywareProfileEntry) {
        let action = entry.lists.iter().filter_map(|list| list.action.as_ref());
        let sinkholes = action
            .into_iter()
            .find(|action| action.value == DnsAction::Sinkhole);
        if let (Some(action), false) = (sinkholes, entry.has_address) {
            let message = format!(
                "anti-spyware profile {} sinkholes but has no address; give botnet-domains.sinkhole.ipv4-address or \
                 ipv6-address",
                Quoted(&entry.name.value)
            );
            self.findings.error(action.span, message);
        }
        let addresses = [
            entry.ipv4.as_ref().map(|ipv4| {
                (
                    ipv4.span,
                    ipv4.value.is_unspecified() || ipv4.value.is_multicast(),
                )
            }),
            entry.ipv6.as_ref().map(|ipv6| {
                (
                    ipv6.span,
                    ipv6.value.is_unspecified() || ipv6.value.is_multicast(),
                )
            }),
        ];
        for (span, useless) in addresses.into_iter().flatten() {
            if useless {
                self.findings
                    .error(span, "a sinkhole needs the address of one host");
            }
        }
    }

    fn decryption_profile(&mut self, entry: &'a DecryptionProfileEntry) {
        let name = self.symbol(&entry.name);
        let protocol = &entry.protocol;
        let min_version = protocol
            .min_version
            .as_ref()
            .map_or(TlsVersion::Tls10, |given| given.value);
        let max_version = protocol
            .max_version
            .as_ref()
            .map_or(TlsVersion::Max, |given| given.value);
        if let Some(given) = protocol.max_version.as_ref().or(protocol.min_version.as_ref())
            && min_version > max_version
        {
            let message = format!(
                "decryption profile {}: min-version {} is above max-version {}",
                Quoted(&entry.name.value),
                min_version.name(),
                max_version.name()
            );
            self.findings.error(given.span, message);
        }
        let ciphers = self.ciphers(entry);
        let verify_sni = entry.verify_sni.as_ref().filter(|given| given.value);
        if let Some(given) = verify_sni
            && self.document.zones.iter().all(|zone| zone.resolvers.is_empty())
        {
            let message = format!(
                "decryption profile {}: no zone lists `resolvers`, so verify-sni believes whatever any DNS server \
                 answers, a client's own included",
                Quoted(&entry.name.value)
            );
            self.findings.warning(given.span, message);
        }
        let id = self.builder.add_decryption_profile(DecryptionProfile {
            name,
            ssl_forward_proxy: entry.ssl_forward_proxy,
            ssl_no_proxy: entry.ssl_no_proxy,
            strip_ech: entry.strip_ech,
            verify_sni: verify_sni.is_some(),
            local_exclusion_cache: entry.local_exclusion_cache,
            min_version,
            max_version,
            ciphers,
        });
        self.decryption
            .add("decryption profile", &entry.name, id, self.findings);
    }

    /// What is left of the ciphers; it is an error where nothing is.
    fn ciphers(&self, entry: &DecryptionProfileEntry) -> TlsCiphers {
        let protocol = &entry.protocol;
        let allowed = |given: &Option<Located<bool>>| given.as_ref().is_none_or(|given| given.value);
        let [sha256, sha384] = [&protocol.sha256, &protocol.sha384].map(allowed);
        let ciphers = TlsCiphers {
            aes_128_gcm: allowed(&protocol.aes_128_gcm) && sha256,
            aes_256_gcm: allowed(&protocol.aes_256_gcm) && sha384,
            chacha20_poly1305: allowed(&protocol.chacha20_poly1305) && sha256,
        };
        let name = Quoted(&entry.name.value);
        if let Some(given) = protocol.ecdhe.as_ref().filter(|given| !given.value) {
            let message = format!(
                "decryption profile {name}: without keyxchg-algo-ecdhe nothing can be decrypted: cordon speaks no \
                 other key exchange"
            );
            self.findings.error(given.span, message);
        }
        if ciphers == TlsCiphers::NONE
            && let Some(given) = protocol.first_forbidden()
        {
            let message = format!(
                "decryption profile {name}: no cipher is left to decrypt with; allow one of aes-128-gcm with sha256, \
                 aes-256-gcm with sha384, chacha20-poly1305 with sha256"
            );
            self.findings.error(given.span, message);
        }
        ciphers
    }
}
