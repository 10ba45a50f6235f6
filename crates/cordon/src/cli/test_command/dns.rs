//! `cordon test dns`: on which lists a name stands, and what comes of it.

use std::fmt;

use clap::Args;
use inspect::domains::{Hit, Hits, ListEntry, ListTag};
use packet::DomainName;
use policy::{DnsAction, ListId, Policy, SpywareProfile, SpywareProfileId};
use serde::Serialize;

use super::{Asked, Complaint, Question, unknown};

/// What `cordon test dns` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct DnsQuestion {
    /// Names to ask for
    #[arg(value_name = "NAME", required = true, value_parser = name)]
    names: Vec<DomainName>,
    /// Only this anti-spyware profile [default: every one]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
}

/// A name as in lists, so that international ones can be typed; the root too can be asked for.
fn name(text: &str) -> Result<DomainName, String> {
    if text == "." {
        return Ok(DomainName::ROOT);
    }
    let entry = text.parse::<ListEntry>();
    entry.map(|entry| entry.name).map_err(|fault| fault.to_string())
}

#[derive(Debug, Serialize)]
pub(crate) struct DnsAnswer {
    names: Vec<NameAnswer>,
}

#[derive(Debug, Serialize)]
struct NameAnswer {
    name: String,
    /// Every list that holds it, used or not.
    lists: Vec<Listed>,
    profiles: Vec<ProfileAnswer>,
}

#[derive(Debug, Serialize)]
struct Listed {
    list: String,
    /// The name that stands in the list: this one or one above it.
    entry: String,
}

/// What one profile does about a name.
#[derive(Debug, Serialize)]
struct ProfileAnswer {
    profile: String,
    /// `alert`, `allow`, `block` or `sinkhole`; `pass` where no list of the profile holds the name.
    action: &'static str,
    /// The list that decided; empty for `pass`.
    list: String,
    entry: String,
    /// The profile excepts the name from all lists.
    excepted: bool,
    /// What a sinkholed query is answered with.
    answer: Option<SinkholeView>,
    /// The security rules with this profile.
    rules: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SinkholeView {
    fqdn: Option<String>,
    ipv4_address: Option<String>,
    ipv6_address: Option<String>,
}

impl Question for DnsQuestion {
    type Answer = DnsAnswer;

    fn answer(&self, asked: &Asked<'_>) -> Result<DnsAnswer, Complaint> {
        let policy = asked.policy;
        let symbols = policy.symbols();
        let profile_name = |profile: &SpywareProfile| symbols.resolve(profile.name);
        let profiles: Vec<(SpywareProfileId, &SpywareProfile)> = (0_u16..)
            .map(SpywareProfileId)
            .zip(policy.spyware_profiles())
            .filter(|(_, profile)| {
                let wanted = self.profile.as_deref();
                wanted.is_none_or(|wanted| profile_name(profile) == wanted)
            })
            .collect();
        if let (Some(wanted), true) = (&self.profile, profiles.is_empty()) {
            let known = policy.spyware_profiles().iter().map(profile_name);
            return Err(unknown("anti-spyware profile", wanted, known));
        }
        let names = self.names.iter().map(|name| {
            let hits = asked.domains.lookup(name);
            let answers = profiles.iter().map(|(id, profile)| {
                let rules = policy.rules().filter(|(_, rule)| rule.spyware == Some(*id));
                let rules = rules.map(|(_, rule)| symbols.resolve(rule.name).to_owned());
                ProfileAnswer::new(policy, profile, rules.collect(), name, &hits)
            });
            NameAnswer {
                name: name.to_string(),
                profiles: answers.collect(),
                lists: hits.iter().map(|hit| Listed::new(policy, name, hit)).collect(),
            }
        });
        Ok(DnsAnswer {
            names: names.collect(),
        })
    }
}

impl Listed {
    fn new(policy: &Policy, name: &DomainName, hit: Hit) -> Self {
        let list = policy.list_name(ListId(hit.list.0));
        Self {
            list: policy.symbols().resolve(list).to_owned(),
            entry: name.parent(usize::from(hit.labels_skipped)).to_string(),
        }
    }
}

impl ProfileAnswer {
    /// The first of the profile's lists that holds the name decides.
    fn new(
        policy: &Policy,
        profile: &SpywareProfile,
        rules: Vec<String>,
        name: &DomainName,
        hits: &Hits,
    ) -> Self {
        let excepted = profile.excepts(name);
        let mut lists = profile.lists.iter();
        let found = lists
            .find_map(|&(list, action)| hits.on(ListTag(list.0)).map(|hit| (action, hit)))
            .filter(|_| !excepted);
        let listed = found.map(|(_, hit)| Listed::new(policy, name, hit));
        let (list, entry) = listed.map_or_else(Default::default, |listed| (listed.list, listed.entry));
        let sinkhole = &profile.sinkhole;
        Self {
            profile: policy.symbols().resolve(profile.name).to_owned(),
            action: found.map_or("pass", |(action, _)| action.name()),
            list,
            entry,
            excepted,
            answer: matches!(found, Some((DnsAction::Sinkhole, _))).then(|| SinkholeView {
                fqdn: sinkhole.fqdn.map(|name| name.to_string()),
                ipv4_address: sinkhole.ipv4.map(|address| address.to_string()),
                ipv6_address: sinkhole.ipv6.map(|address| address.to_string()),
            }),
            rules,
        }
    }
}

impl fmt::Display for DnsAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.iter().try_for_each(|name| write!(f, "{name}"))
    }
}

impl fmt::Display for NameAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        if self.lists.is_empty() {
            return writeln!(f, "  on no list");
        }
        for listed in &self.lists {
            writeln!(f, "  on {} as {}", listed.list, listed.entry)?;
        }
        self.profiles
            .iter()
            .try_for_each(|profile| write!(f, "{profile}"))
    }
}

impl fmt::Display for ProfileAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: {}", self.profile, self.action)?;
        if self.excepted {
            write!(f, ", the profile excepts the name")?;
        } else if self.list.is_empty() {
            write!(f, ", none of these lists is the profile's")?;
        } else {
            write!(f, " by {}", self.list)?;
        }
        if let Some(answer) = &self.answer {
            write!(f, "{answer}")?;
        }
        match self.rules.as_slice() {
            [] => writeln!(f, "; no rule has this profile"),
            rules => writeln!(f, "; rules {}", rules.join(", ")),
        }
    }
}

impl fmt::Display for SinkholeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("CNAME", &self.fqdn),
            ("A", &self.ipv4_address),
            ("AAAA", &self.ipv6_address),
        ];
        for (kind, value) in parts {
            if let Some(value) = value {
                write!(f, ", {kind} {value}")?;
            }
        }
        Ok(())
    }
}
