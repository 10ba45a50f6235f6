//! The tags in force.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use packet::{DomainName, Timestamp};

use crate::{Addresses, Cause, Entry, Qualifier, Subject, TagId, TagNames, TagSet};

/// The bounds of a [`TagStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagLimits {
    /// How many subjects can carry tags.
    pub subjects: usize,
    /// How many of them can be prefixes or ranges, qualified or not.
    pub networks: usize,
    /// How many tags one subject can carry.
    pub tags_per_subject: usize,
}

impl Default for TagLimits {
    fn default() -> Self {
        Self {
            subjects: 1_000_000,
            networks: 10_000,
            tags_per_subject: 32,
        }
    }
}

/// Which bound refused a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`TagLimits::subjects`].
    Subjects,
    /// [`TagLimits::networks`].
    Networks,
    /// [`TagLimits::tags_per_subject`].
    TagsPerSubject,
}

/// What came of registering a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Registration {
    /// The subject did not carry the tag.
    New,
    /// It did, and now until `deadline`: the later of the old and the new one.
    Refreshed {
        /// [`Timestamp::MAX`] where the tag stays until removed.
        deadline: Timestamp,
    },
    /// A bound is reached; nothing changed.
    Full(Limit),
}

/// The session for which an address's tags are asked, so that qualified tags can count.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The session's other end.
    pub peer: IpAddr,
    /// The server name the session asked for, where it is known.
    pub server_name: Option<&'a DomainName>,
}

/// A mark of an address's tags at one moment. Two equal stamps of an address: nothing was registered
/// or removed on it, or on a prefix or range around it, between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

/// Subjects and their tags.
pub struct TagStore {
    names: Arc<TagNames>,
    limits: TagLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subjects: BTreeMap<Subject, Vec<Held>>,
    networks: usize,
    /// Past their deadline when registered anew: reported by the next `expire`.
    lapsed: Vec<(Subject, TagId, Cause)>,
    changes: u64,
}

struct Held {
    tag: TagId,
    deadline: Timestamp,
    persistent: bool,
    cause: Cause,
}

impl TagStore {
    /// An empty store for tags of `names`.
    pub fn new(names: Arc<TagNames>, limits: TagLimits) -> Self {
        Self {
            names,
            limits,
            state: Mutex::default(),
        }
    }

    /// The names of the tags.
    pub fn names(&self) -> &Arc<TagNames> {
        &self.names
    }

    /// The bounds.
    pub fn limits(&self) -> TagLimits {
        self.limits
    }

    /// Puts `tag` on `subject` for `timeout` from `now` on, or until removed where that is `None`.
    ///
    /// A tag past its deadline is gone, even where [`TagStore::expire`] has not reported it yet.
    pub fn register(
        &self,
        now: Timestamp,
        subject: &Subject,
        tag: TagId,
        timeout: Option<Duration>,
        persistent: bool,
        cause: Cause,
    ) -> Registration {
        let deadline = timeout.map_or(Timestamp::MAX, |timeout| now.saturating_add(timeout));
        let mut guard = self.state();
        let state = &mut *guard;
        let is_host = matches!(subject.addresses, Addresses::Host(_));
        if !state.subjects.contains_key(subject) {
            if state.subjects.len() >= self.limits.subjects {
                return Registration::Full(Limit::Subjects);
            }
            if !is_host && state.networks >= self.limits.networks {
                return Registration::Full(Limit::Networks);
            }
        }
        let held = state.subjects.get(subject).map_or(0, Vec::len);
        let known = state
            .subjects
            .get_mut(subject)
            .and_then(|tags| tags.iter_mut().find(|held| held.tag == tag));
        if let Some(known) = known {
            state.changes += 1;
            if known.deadline <= now {
                state.lapsed.push((subject.clone(), tag, known.cause.clone()));
                *known = Held {
                    tag,
                    deadline,
                    persistent,
                    cause,
                };
                return Registration::New;
            }
            known.persistent |= persistent;
            if deadline > known.deadline {
                known.deadline = deadline;
                known.cause = cause;
            }
            return Registration::Refreshed {
                deadline: known.deadline,
            };
        }
        if held >= self.limits.tags_per_subject {
            return Registration::Full(Limit::TagsPerSubject);
        }
        if held == 0 && !is_host {
            state.networks += 1;
        }
        state.subjects.entry(subject.clone()).or_default().push(Held {
            tag,
            deadline,
            persistent,
            cause,
        });
        state.changes += 1;
        Registration::New
    }

    /// Takes `tag` off `subject`; `false` where it was not in force.
    pub fn unregister(&self, now: Timestamp, subject: &Subject, tag: TagId) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(tags) = state.subjects.get_mut(subject) else {
            return false;
        };
        let Some(at) = tags
            .iter()
            .position(|held| held.tag == tag && held.deadline > now)
        else {
            return false;
        };
        tags.remove(at);
        state.changes += 1;
        state.forget_if_bare(subject);
        true
    }

    /// Removes what is past its deadline, and tells it in order of subject, then tag name.
    pub fn expire(&self, now: Timestamp) -> Vec<(Subject, TagId, Cause)> {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut gone = std::mem::take(&mut state.lapsed);
        for (subject, tags) in &mut state.subjects {
            gone.extend(
                tags.extract_if(.., |held| held.deadline <= now)
                    .map(|held| (subject.clone(), held.tag, held.cause)),
            );
        }
        for (subject, _, _) in &gone {
            state.forget_if_bare(subject);
        }
        if !gone.is_empty() {
            state.changes += 1;
        }
        gone.sort_by(|a, b| (&a.0, self.names.resolve(a.1)).cmp(&(&b.0, self.names.resolve(b.1))));
        gone
    }

    /// The earliest deadline of all; `None` where nothing will expire.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let state = self.state();
        if !state.lapsed.is_empty() {
            return Some(Timestamp::ZERO);
        }
        let deadlines = state.subjects.values().flatten().map(|held| held.deadline);
        deadlines.filter(|&deadline| deadline < Timestamp::MAX).min()
    }

    /// Adds to `out` the tags in force on `address` in this session: its own, and those of every prefix
    /// and range around it.
    ///
    /// Returns the earliest deadline among the tags that counted, [`Timestamp::MAX`] if none has one: the
    /// answer is good until then, and while [`TagStore::stamp`], read before, stays the same.
    pub fn lookup(
        &self,
        now: Timestamp,
        address: IpAddr,
        context: Context<'_>,
        out: &mut TagSet,
    ) -> Timestamp {
        let mut until = Timestamp::MAX;
        for (subject, tags) in &self.state().subjects {
            let counts = subject.addresses.contains(address)
                && match &subject.qualifier {
                    Qualifier::None => true,
                    Qualifier::ServerName(name) => context.server_name == Some(name),
                    Qualifier::Client(client) => *client == context.peer,
                };
            if counts {
                for held in tags.iter().filter(|held| held.deadline > now) {
                    out.insert(held.tag);
                    until = until.min(held.deadline);
                }
            }
        }
        until
    }

    /// The mark of `address` now; see [`Stamp`]. Read it before the lookup whose answer it marks.
    pub fn stamp(&self, _address: IpAddr) -> Stamp {
        Stamp(self.state().changes)
    }

    /// Counts changes of any kind.
    pub fn generation(&self) -> u64 {
        self.state().changes
    }

    /// How many subjects carry tags, those past their deadline and not yet expired among them.
    pub fn subjects(&self) -> usize {
        self.state().subjects.len()
    }

    /// All tags in force, in order of subject, then tag name.
    pub fn entries(&self, now: Timestamp) -> Vec<Entry> {
        self.select(now, |_| true)
    }

    /// The tags in force on exactly this subject, in order of their names.
    pub fn entries_of(&self, now: Timestamp, subject: &Subject) -> Vec<Entry> {
        self.select(now, |candidate| candidate == subject)
    }

    /// Every tag in force that `address` can carry: its own and those of prefixes and ranges around it,
    /// qualified ones too; in order of subject, then tag name.
    pub fn explain(&self, now: Timestamp, address: IpAddr) -> Vec<Entry> {
        self.select(now, |candidate| candidate.addresses.contains(address))
    }

    fn select(&self, now: Timestamp, wanted: impl Fn(&Subject) -> bool) -> Vec<Entry> {
        let state = self.state();
        let mut entries: Vec<Entry> = state
            .subjects
            .iter()
            .filter(|(subject, _)| wanted(subject))
            .flat_map(|(subject, tags)| {
                tags.iter().filter(|held| held.deadline > now).map(|held| Entry {
                    subject: subject.clone(),
                    tag: held.tag,
                    deadline: held.deadline,
                    persistent: held.persistent,
                    cause: held.cause.clone(),
                })
            })
            .collect();
        entries.sort_by(|a, b| {
            (&a.subject, self.names.resolve(a.tag)).cmp(&(&b.subject, self.names.resolve(b.tag)))
        });
        entries
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_if_bare(&mut self, subject: &Subject) {
        if self.subjects.get(subject).is_some_and(Vec::is_empty) {
            self.subjects.remove(subject);
            if !matches!(subject.addresses, Addresses::Host(_)) {
                self.networks -= 1;
            }
        }
    }
}

impl fmt::Debug for TagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagStore")
            .field("subjects", &self.subjects())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
