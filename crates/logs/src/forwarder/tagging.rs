//! What a match list entry does to the tags when a record matches it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use packet::{DomainName, Timestamp};
use policy::Policy;
use smallvec::SmallVec;
use tags::{Cause, CauseSource, Context, Limit, Qualifier, Registration, Subject, TagId, TagSet, TagStore};

use super::{
    binding::Bindings,
    evidence::Witnesses,
    quota::Quota,
    refusal::{Refusal, check_address, check_sender},
};
use crate::{
    Body, FlowFields, IpTag, MatchListEntry, Mode, Record, Severity, System, TagAction, TagEvent,
    TagOperation, TagScope, TagTarget,
};

/// What the forwarder knows of an entry beside its configuration.
#[derive(Debug)]
pub(super) struct EntryState {
    /// Stays the same while profile and entry keep their names.
    pub(super) id: u32,
    pub(super) quota: Quota,
    /// Whether somebody was told that records had no server name.
    told_no_name: bool,
}

impl EntryState {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            quota: Quota::default(),
            told_no_name: false,
        }
    }
}

/// What all entries share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bindings: Bindings,
    pub(super) witnesses: Witnesses,
    pub(super) max_new_per_hour: Option<u32>,
    pub(super) own_addresses: Vec<IpAddr>,
    /// Whether somebody was told that the tag store is full, and nothing was added since.
    pub(super) told_full: bool,
}

/// One record before one entry.
pub(super) struct Case<'a> {
    pub(super) now: Timestamp,
    pub(super) record: &'a Record,
    pub(super) flow: &'a FlowFields,
    pub(super) profile: &'a Arc<str>,
    pub(super) entry: &'a MatchListEntry,
    pub(super) policy: &'a Policy,
    pub(super) store: &'a TagStore,
}

impl Case<'_> {
    /// Carries out every action of the entry, and tells in `out` what came of it.
    pub(super) fn act(&self, state: &mut EntryState, shared: &mut Shared, out: &mut Vec<Body>) {
        // An address counts once for the quota, however many actions tag it for this record.
        let mut charged = SmallVec::<[Subject; 2]>::new();
        for (index, action) in self.entry.actions.iter().enumerate() {
            let sender = check_sender(self.now, &self.record.origin, self.flow, &shared.bindings);
            match self.subject(action, sender, shared) {
                Err((subject, refusal)) => self.refuse(action, &subject, refusal, state, out),
                Ok(subject) if action.operation == TagOperation::Remove => self.remove(action, &subject, out),
                Ok(subject) => {
                    let subject = self.narrow(action, (state.id, index), subject, sender.is_ok(), shared);
                    if self.entry.mode == Mode::Shadow {
                        self.tell_all(action, &subject, TagEvent::Shadow, out);
                    } else {
                        self.add(action, &subject, state, shared, &mut charged, out);
                    }
                }
            }
        }
    }

    /// What an action tags, or why it may not.
    fn subject(
        &self,
        action: &TagAction,
        sender: Result<(), Refusal>,
        shared: &Shared,
    ) -> Result<Subject, (Subject, Refusal)> {
        let address = match action.target {
            TagTarget::Source => self.flow.src,
            TagTarget::Destination => self.flow.dst,
        };
        let mut subject = Subject::host(address);
        // Whoever can forge a source could otherwise have others tagged, or healed.
        let sender = match action.target {
            TagTarget::Source => sender,
            TagTarget::Destination if self.record.origin.unproven_destination => Err(Refusal::Unproven),
            TagTarget::Destination => Ok(()),
        };
        let address = match action.operation {
            TagOperation::Add => {
                let registered = self.registered(address);
                check_address(address, &registered, self.policy, &shared.own_addresses)
            }
            TagOperation::Remove => Ok(()),
        };
        if let Err(refusal) = address.and(sender) {
            return Err((subject, refusal));
        }
        match action.scope {
            TagScope::Client if action.target == TagTarget::Destination => {
                subject.qualifier = Qualifier::Client(self.flow.src);
            }
            // A client is its own client.
            TagScope::Client | TagScope::Address => {}
            TagScope::ServerName => match self.server_name() {
                Some(name) => subject.qualifier = Qualifier::server_name(*name),
                None => return Err((subject, Refusal::NoServerName)),
            },
        }
        Ok(subject)
    }

    /// The name the client wanted to talk to, or asked for.
    fn server_name(&self) -> Option<&DomainName> {
        let recorded = match &self.record.body {
            Body::Decryption(decryption) => decryption.sni.as_ref(),
            Body::Threat(threat) => threat.misc.as_ref(),
            Body::Traffic(_) | Body::Url(_) | Body::IpTag(_) | Body::System(_) | Body::Config(_) => None,
        };
        self.record.origin.server_name.as_deref().or(recorded)
    }

    /// Below the evidence asked for, a server's tag counts for the record's client alone.
    fn narrow(
        &self,
        action: &TagAction,
        (entry, index): (u32, usize),
        subject: Subject,
        is_believed: bool,
        shared: &mut Shared,
    ) -> Subject {
        if action.target == TagTarget::Source || action.scope == TagScope::Client {
            return subject;
        }
        let key = (entry, index, subject);
        let client = is_believed.then_some(self.flow.src);
        let enough = shared
            .witnesses
            .are_enough(self.now, &key, action.evidence, client);
        let (_, _, mut subject) = key;
        if !enough {
            subject.qualifier = Qualifier::Client(self.flow.src);
        }
        subject
    }

    fn add(
        &self,
        action: &TagAction,
        subject: &Subject,
        state: &mut EntryState,
        shared: &mut Shared,
        charged: &mut SmallVec<[Subject; 2]>,
        out: &mut Vec<Body>,
    ) {
        for &tag in &action.tags {
            if let Some(max) = shared.max_new_per_hour
                && !charged.contains(subject)
                && !self.carries(subject, tag)
                && !state.quota.allows(self.now, max)
            {
                self.tell(action, subject, tag, TagEvent::Refused, out);
                if state.quota.must_tell() {
                    out.push(self.quota_used_up(max));
                }
                continue;
            }
            let timeout = Duration::from_secs(u64::from(action.timeout).saturating_mul(60));
            let timeout = (action.timeout > 0).then_some(timeout);
            let cause = Cause {
                source: CauseSource::Record(self.record.seqno),
                match_list: Some(self.entry.name.clone()),
                at: self.now,
            };
            match self.store.register(self.now, subject, tag, timeout, true, cause) {
                Registration::New => {
                    shared.told_full = false;
                    if shared.max_new_per_hour.is_some() && !charged.contains(subject) {
                        state.quota.charge(self.now);
                        charged.push(subject.clone());
                    }
                    self.tell(action, subject, tag, TagEvent::Register, out);
                }
                Registration::Refreshed { .. } => self.tell(action, subject, tag, TagEvent::Refresh, out),
                Registration::Full(limit) => {
                    self.tell(action, subject, tag, TagEvent::Refused, out);
                    if !std::mem::replace(&mut shared.told_full, true) {
                        out.push(self.store_full(limit));
                    }
                }
            }
        }
    }

    fn remove(&self, action: &TagAction, subject: &Subject, out: &mut Vec<Body>) {
        for &tag in &action.tags {
            if self.entry.mode == Mode::Shadow {
                if self.carries(subject, tag) {
                    self.tell(action, subject, tag, TagEvent::Shadow, out);
                }
            } else if self.store.unregister(self.now, subject, tag) {
                self.tell(action, subject, tag, TagEvent::Unregister, out);
            }
        }
    }

    /// The tags registered on one end of the record's session.
    fn registered(&self, address: IpAddr) -> TagSet {
        let FlowFields { src, dst, .. } = *self.flow;
        let context = Context {
            peer: if address == src { dst } else { src },
            server_name: self.server_name(),
        };
        let mut registered = TagSet::new();
        self.store.lookup(self.now, address, context, &mut registered);
        registered
    }

    fn carries(&self, subject: &Subject, tag: TagId) -> bool {
        let entries = self.store.entries_of(self.now, subject);
        entries.iter().any(|entry| entry.tag == tag)
    }

    fn refuse(
        &self,
        action: &TagAction,
        subject: &Subject,
        refusal: Refusal,
        state: &mut EntryState,
        out: &mut Vec<Body>,
    ) {
        self.tell_all(action, subject, TagEvent::Refused, out);
        match refusal {
            Refusal::Foreign { holder, sender } => out.push(tagging_report(
                Severity::Medium,
                "foreign-link-layer-address",
                format!(
                    "{} left the tags of {subject} as they are: the record's packet came from {sender}, and {holder} \
                     holds that address until it was unseen for {} s",
                    self.label(),
                    Bindings::LIFETIME.as_secs(),
                ),
            )),
            Refusal::NoServerName if !std::mem::replace(&mut state.told_no_name, true) => out.push(tagging_report(
                Severity::Low,
                "no-server-name",
                format!(
                    "{} has the scope server-name and did not tag {subject}: the record has no server name; \
                     this is told once",
                    self.label(),
                ),
            )),
            Refusal::NoHost
            | Refusal::Own
            | Refusal::Resolver
            | Refusal::Sinkhole
            | Refusal::NeverTag
            | Refusal::Unproven
            | Refusal::NoServerName => {}
        }
    }

    fn quota_used_up(&self, max: u32) -> Body {
        tagging_report(
            Severity::Critical,
            "max-new-per-hour",
            format!(
                "{} tagged {max} new addresses within an hour and tags no more until the first of them is an hour \
                 old; see what its records have in common before raising max-new-per-hour",
                self.label(),
            ),
        )
    }

    fn store_full(&self, limit: Limit) -> Body {
        let limits = self.store.limits();
        let (what, bound) = match limit {
            Limit::Subjects => ("tagged subjects", limits.subjects),
            Limit::Networks => ("tagged prefixes and ranges", limits.networks),
            Limit::TagsPerSubject => ("tags on one subject", limits.tags_per_subject),
        };
        tagging_report(
            Severity::Critical,
            "tag-limit",
            format!(
                "{} could not tag: the limit of {bound} {what} is reached; tags with timeout 0 stay until removed",
                self.label(),
            ),
        )
    }

    fn label(&self) -> String {
        format!(
            "match list entry `{}` of profile `{}`",
            self.entry.name, self.profile
        )
    }

    fn tell_all(&self, action: &TagAction, subject: &Subject, event: TagEvent, out: &mut Vec<Body>) {
        for &tag in &action.tags {
            self.tell(action, subject, tag, event, out);
        }
    }

    fn tell(&self, action: &TagAction, subject: &Subject, tag: TagId, event: TagEvent, out: &mut Vec<Body>) {
        out.push(Body::IpTag(Box::new(IpTag {
            subject: subject.clone(),
            tag,
            event,
            source: CauseSource::Record(self.record.seqno),
            match_list: Some(self.entry.name.clone()),
            timeout: action.timeout,
        })));
    }
}

/// A system record about tagging.
pub(super) fn tagging_report(severity: Severity, event: &'static str, opaque: String) -> Body {
    Body::System(Box::new(System {
        subtype: "tagging",
        severity,
        event,
        opaque,
    }))
}
