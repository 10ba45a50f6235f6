//! `show tags`, `groups`, `group NAME`, `bypass`, and `explain SUBJECT`.

use std::{collections::BTreeSet, net::IpAddr};

use control::{CommandError, ErrorCode, rows};
use engine::Ruleset;
use logs::{Bypassed, Passed};
use packet::Timestamp;
use policy::{AddressGroupId, AddressRef, AddressValue, DecryptAction, GroupMembers, Policy};
use serde_json::{Value, json};
use tags::{Addresses, CauseSource, Entry, Qualifier, Subject, TagSet};

use super::{Answers, time};

impl Answers {
    pub(super) fn tags(&self, limit: usize) -> Value {
        let now = self.shared.clock.now();
        let entries = self.shared.tags.entries(now);
        rows("tags", entries.iter().map(|entry| self.entry(now, entry)), limit)
    }

    fn entry(&self, now: Timestamp, entry: &Entry) -> Value {
        let (source, seqno) = match &entry.cause.source {
            CauseSource::Record(seqno) => ("record".to_owned(), *seqno),
            CauseSource::Socket { admin } => (format!("socket {admin}"), 0),
            CauseSource::Config => ("config".to_owned(), 0),
        };
        let ends = entry.deadline != Timestamp::MAX;
        json!({
            "subject": entry.subject.to_string(),
            "tag": &**self.commits.names().resolve(entry.tag),
            "deadline": if ends { time(entry.deadline) } else { String::new() },
            "seconds_left": ends.then(|| entry.deadline.saturating_since(now).as_secs()),
            "source": source,
            "seqno": seqno,
            "match_list": entry.cause.match_list.as_deref().unwrap_or(""),
            "since": time(entry.cause.at),
            "persistent": entry.persistent,
        })
    }

    pub(super) fn groups(&self) -> Value {
        let now = self.shared.clock.now();
        let ruleset = self.shared.ruleset.load();
        let policy = ruleset.policy();
        let tagged = self.tagged(now);
        let groups = policy.groups().iter().zip(0..).map(|(group, number)| {
            let (kind, filter) = match &group.members {
                GroupMembers::Static(_) => ("static", String::new()),
                GroupMembers::Dynamic(filter) => {
                    ("dynamic", filter.display(self.commits.names()).to_string())
                }
            };
            let members = members(policy, AddressGroupId(number), &tagged);
            json!({
                "name": policy.symbols().resolve(group.name),
                "type": kind,
                "filter": filter,
                "members": members.len(),
            })
        });
        json!({ "groups": groups.collect::<Vec<_>>() })
    }

    pub(super) fn group(&self, name: &str) -> Result<Value, CommandError> {
        let now = self.shared.clock.now();
        let ruleset = self.shared.ruleset.load();
        let policy = ruleset.policy();
        let symbols = policy.symbols();
        let names = || policy.groups().iter().map(|group| symbols.resolve(group.name));
        let Some(number) = names().position(|known| known == name) else {
            let near = logs::nearest(name, names())
                .map(|near| format!("; the nearest is {near}"))
                .unwrap_or_default();
            return Err(CommandError::new(
                ErrorCode::NotFound,
                format!("there is no address group {name}{near}"),
            ));
        };
        let id = AddressGroupId(u32::try_from(number).unwrap_or(u32::MAX));
        let tagged = self.tagged(now);
        let members = members(policy, id, &tagged);
        Ok(json!({ "name": name, "members": members }))
    }

    /// Destinations that a no-decrypt rule lets through because of a tag, with what went by unopened because of it.
    pub(super) fn bypass(&self) -> Result<Value, CommandError> {
        let open = self.ask(|worker, _| {
            let mut open: Vec<Bypassed> = Vec::new();
            for shard in worker.desk.shards() {
                shard.list_bypassed(&mut |session| open.push(session));
            }
            open
        })?;
        let open = open.concat();
        let now = self.shared.clock.now();
        let ruleset = self.shared.ruleset.load();
        let policy = ruleset.policy();
        let groups: BTreeSet<AddressGroupId> = policy
            .decryption_rules()
            .filter(|(_, rule)| rule.action == DecryptAction::NoDecrypt && !rule.disabled)
            .flat_map(|(_, rule)| rule.dynamic_destinations())
            .copied()
            .collect();
        let entries = self.shared.tags.entries(now);
        let bypassed = entries.iter().filter(|entry| {
            let set: TagSet = [entry.tag].into_iter().collect();
            groups
                .iter()
                .any(|group| policy.is_member(*group, entry.subject.addresses.first(), &set))
        });
        let rows = bypassed.map(|entry| {
            let mut passed = self.shared.forwarding.passed_under(now, &entry.subject);
            let running = open.iter().filter(|session| session.is_under(&entry.subject));
            passed.add(running.fold(Passed::default(), |mut sum, session| {
                sum.add(Passed {
                    sessions: 1,
                    bytes: session.bytes,
                });
                sum
            }));
            let mut row = self.entry(now, entry);
            if let Value::Object(fields) = &mut row {
                fields.insert("sessions".to_owned(), passed.sessions.into());
                fields.insert("bytes".to_owned(), passed.bytes.into());
            }
            row
        });
        Ok(json!({
            "bypass": rows.collect::<Vec<_>>(),
            "excluded": self.excluded(now, &ruleset),
        }))
    }

    /// Servers that do not fit the proxy, and are left closed.
    fn excluded(&self, now: Timestamp, ruleset: &Ruleset) -> Vec<Value> {
        let policy = ruleset.policy();
        let list = self.commits.decryption().excluded.list(now, ruleset.generation());
        let rows = list.iter().map(|(server, exclusion)| {
            let profile = policy.decryption_profile(server.profile);
            json!({
                "dst": server.address.to_string(),
                "dport": server.port,
                "name": server.name.as_ref().map_or_else(String::new, ToString::to_string),
                "profile": profile.map_or("", |profile| policy.symbols().resolve(profile.name)),
                "reason": exclusion.reason,
                "since": time(exclusion.since),
                "deadline": time(exclusion.until),
                "seconds_left": exclusion.until.saturating_since(now).as_secs(),
            })
        });
        rows.collect()
    }

    pub(super) fn explain(&self, subject: &Subject) -> Value {
        let now = self.shared.clock.now();
        let ruleset = self.shared.ruleset.load();
        let policy = ruleset.policy();
        let names = self.commits.names();
        let address = subject.addresses.first();
        let entries = match (&subject.addresses, &subject.qualifier) {
            (Addresses::Host(_), Qualifier::None) => self.shared.tags.explain(now, address),
            _ => self.shared.tags.entries_of(now, subject),
        };
        let registered: TagSet = entries
            .iter()
            .filter(|entry| entry.subject.qualifier == Qualifier::None)
            .map(|entry| entry.tag)
            .collect();
        let reader = self.shared.forwarding.with_sinks(|sinks| sinks.reader());
        let tags = entries.iter().map(|entry| {
            let mut row = self.entry(now, entry);
            if let (CauseSource::Record(seqno), Value::Object(fields)) = (&entry.cause.source, &mut row) {
                fields.insert("record".to_owned(), reader.record(*seqno).unwrap_or_default());
            }
            row
        });
        let tags: Vec<Value> = tags.collect();
        let groups = policy
            .groups()
            .iter()
            .zip(0..)
            .filter(|&(_group, number)| policy.is_member(AddressGroupId(number), address, &registered))
            .map(|(group, _number)| policy.symbols().resolve(group.name));
        let configured: Vec<&str> = policy
            .static_tags(address)
            .iter()
            .map(|tag| &**names.resolve(tag))
            .collect();
        json!({
            "subject": subject.to_string(),
            "tags": tags,
            "tags_of_the_configuration": configured,
            "groups": groups.collect::<Vec<_>>(),
        })
    }

    /// What carries registered tags, each subject once, with all of them.
    fn tagged(&self, now: Timestamp) -> Vec<(Subject, TagSet)> {
        let mut tagged: Vec<(Subject, TagSet)> = Vec::new();
        for entry in self.shared.tags.entries(now) {
            match tagged.last_mut() {
                Some((subject, set)) if *subject == entry.subject => {
                    set.insert(entry.tag);
                }
                _ => tagged.push((entry.subject, [entry.tag].into_iter().collect())),
            }
        }
        tagged
    }
}

/// The members of a group: those the configuration names, and those that tags bring in.
fn members(policy: &Policy, id: AddressGroupId, tagged: &[(Subject, TagSet)]) -> Vec<String> {
    let mut members = Vec::new();
    if let Some(group) = policy.groups().get(id.index())
        && let GroupMembers::Static(references) = &group.members
    {
        members.extend(references.iter().map(|reference| named(policy, *reference)));
    }
    for object in policy.addresses() {
        let tags: TagSet = object.tags.iter().copied().collect();
        if tags.is_empty() {
            continue;
        }
        if let Some(first) = first_address(&object.value)
            && is_dynamic(policy, id)
            && policy.is_member(id, first, &TagSet::new())
        {
            members.push(policy.symbols().resolve(object.name).to_owned());
        }
    }
    members.extend(
        tagged
            .iter()
            .filter(|(subject, set)| {
                is_dynamic(policy, id) && policy.is_member(id, subject.addresses.first(), set)
            })
            .map(|(subject, _)| subject.to_string()),
    );
    members
}

/// One address of an object that carries tags; its others carry the same.
fn first_address(value: &AddressValue) -> Option<IpAddr> {
    match value {
        AddressValue::Addresses(addresses) => Some(addresses.first()),
        AddressValue::Wildcard(wildcard) => Some(wildcard.first()),
        AddressValue::Resolved(addresses) => addresses.first().copied(),
        AddressValue::List(list) => list.first().map(Addresses::first),
    }
}

fn is_dynamic(policy: &Policy, id: AddressGroupId) -> bool {
    policy
        .groups()
        .get(id.index())
        .is_some_and(|group| matches!(group.members, GroupMembers::Dynamic(_)))
}

fn named(policy: &Policy, reference: AddressRef) -> String {
    let symbols = policy.symbols();
    match reference {
        AddressRef::Object(id) => policy
            .addresses()
            .get(id.index())
            .map_or("", |object| symbols.resolve(object.name)),
        AddressRef::Group(id) => policy
            .groups()
            .get(id.index())
            .map_or("", |group| symbols.resolve(group.name)),
        AddressRef::Literal(addresses) => return addresses.to_string(),
    }
    .to_owned()
}
