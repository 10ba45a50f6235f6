//! The writers' book: who carries which tag, since when, until when and why.
//!
//! No packet waits for it. Its shards are locked one at a time, so that listing a million tags keeps
//! the writer from one shard, not from all. No guard is ever held while the book is touched again.

use std::collections::BTreeMap;

use dashmap::DashMap;
use packet::Timestamp;
use smallvec::SmallVec;

use crate::{
    Addresses, Cause, Entry, Qualifier, Subject, TagId,
    carried::{Carried, TagList, Timed},
    sync::RandomState,
};

/// Everything known of the tags.
pub(crate) struct Book {
    records: DashMap<Addresses, Record, RandomState>,
}

/// The tags of some addresses, by qualifier. No list is empty but the unqualified one.
#[derive(Default)]
struct Record {
    plain: HeldTags,
    qualified: BTreeMap<Qualifier, HeldTags>,
}

type HeldTags = SmallVec<[Held; 1]>;

/// One tag of one subject.
pub(crate) struct Held {
    pub(crate) tag: TagId,
    pub(crate) deadline: Timestamp,
    /// Under which time it waits in the queue of deadlines, if it does. Not later than `deadline`.
    pub(crate) queued: Option<Timestamp>,
    pub(crate) persistent: bool,
    pub(crate) cause: Cause,
}

impl Book {
    pub(crate) fn new() -> Self {
        Self {
            records: DashMap::default(),
        }
    }

    /// How many tags the subject holds, those past their deadline among them.
    pub(crate) fn count(&self, subject: &Subject) -> usize {
        let record = self.records.get(&subject.addresses);
        record
            .and_then(|record| record.of(&subject.qualifier).map(SmallVec::len))
            .unwrap_or(0)
    }

    /// Lets `change` at one tag, if the subject holds it.
    pub(crate) fn with<T>(
        &self,
        subject: &Subject,
        tag: TagId,
        change: impl FnOnce(&mut Held) -> T,
    ) -> Option<T> {
        let mut record = self.records.get_mut(&subject.addresses)?;
        let held = record.of_mut(&subject.qualifier)?;
        held.iter_mut().find(|held| held.tag == tag).map(change)
    }

    /// Enters a tag that the subject does not hold; how many it holds now.
    pub(crate) fn insert(&self, subject: &Subject, held: Held) -> usize {
        let mut record = self.records.entry(subject.addresses).or_default();
        let tags = match &subject.qualifier {
            Qualifier::None => &mut record.plain,
            qualifier @ (Qualifier::ServerName(_) | Qualifier::Client(_)) => {
                record.qualified.entry(qualifier.clone()).or_default()
            }
        };
        tags.push(held);
        tags.len()
    }

    /// Strikes a tag; how many the subject holds now.
    pub(crate) fn remove(&self, subject: &Subject, tag: TagId) -> Option<(Held, usize)> {
        let mut record = self.records.get_mut(&subject.addresses)?;
        let held = record.of_mut(&subject.qualifier)?;
        let at = held.iter().position(|held| held.tag == tag)?;
        let struck = held.remove(at);
        let left = held.len();
        if left == 0 {
            record.qualified.remove(&subject.qualifier);
        }
        let bare = record.is_empty();
        drop(record);
        if bare {
            self.records
                .remove_if(&subject.addresses, |_, record| record.is_empty());
        }
        Some((struck, left))
    }

    /// What the packet path must know of the subject: what its addresses carry, and, where it is
    /// qualified, what it carries itself.
    pub(crate) fn published(&self, subject: &Subject) -> (Carried, TagList) {
        let Some(record) = self.records.get(&subject.addresses) else {
            return Default::default();
        };
        let timed = |held: &HeldTags| {
            held.iter()
                .map(|held| Timed {
                    tag: held.tag,
                    deadline: held.deadline,
                })
                .collect()
        };
        // Names come before clients in the order of qualifiers.
        let carried = Carried {
            tags: timed(&record.plain),
            named: matches!(
                record.qualified.first_key_value(),
                Some((Qualifier::ServerName(_), _))
            ),
            clients: matches!(record.qualified.last_key_value(), Some((Qualifier::Client(_), _))),
        };
        (
            carried,
            record
                .qualified
                .get(&subject.qualifier)
                .map(timed)
                .unwrap_or_default(),
        )
    }

    /// Appends all tags in force on `addresses` whose qualifier is wanted.
    pub(crate) fn entries_of(
        &self,
        now: Timestamp,
        addresses: Addresses,
        wanted: impl Fn(&Qualifier) -> bool,
        out: &mut Vec<Entry>,
    ) {
        if let Some(record) = self.records.get(&addresses) {
            record.entries(now, addresses, wanted, out);
        }
    }

    /// Appends all tags in force.
    pub(crate) fn entries(&self, now: Timestamp, out: &mut Vec<Entry>) {
        for record in &self.records {
            record.entries(now, *record.key(), |_| true, out);
        }
    }
}

impl Record {
    fn of(&self, qualifier: &Qualifier) -> Option<&HeldTags> {
        match qualifier {
            Qualifier::None => Some(&self.plain),
            Qualifier::ServerName(_) | Qualifier::Client(_) => self.qualified.get(qualifier),
        }
    }

    fn of_mut(&mut self, qualifier: &Qualifier) -> Option<&mut HeldTags> {
        match qualifier {
            Qualifier::None => Some(&mut self.plain),
            Qualifier::ServerName(_) | Qualifier::Client(_) => self.qualified.get_mut(qualifier),
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.qualified.is_empty()
    }

    fn entries(
        &self,
        now: Timestamp,
        addresses: Addresses,
        wanted: impl Fn(&Qualifier) -> bool,
        out: &mut Vec<Entry>,
    ) {
        for (qualifier, tags) in std::iter::once((&Qualifier::None, &self.plain)).chain(&self.qualified) {
            if wanted(qualifier) {
                out.extend(tags.iter().filter(|held| held.deadline > now).map(|held| Entry {
                    subject: Subject {
                        addresses,
                        qualifier: qualifier.clone(),
                    },
                    tag: held.tag,
                    deadline: held.deadline,
                    persistent: held.persistent,
                    cause: held.cause.clone(),
                }));
            }
        }
    }
}
