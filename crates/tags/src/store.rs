//! The tags in force: one writer at a time, any number of readers that wait for nobody.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use packet::{DomainName, Timestamp};

use crate::{
    Addresses, Cause, Entry, Stamp, Subject, TagId, TagNames, TagSet,
    book::{Book, Held},
    carried::{self, Carried},
    published::Published,
    sync::{Mutex, MutexGuard},
};

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

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subjects => "the bound of tagged subjects",
            Self::Networks => "the bound of tagged prefixes and ranges",
            Self::TagsPerSubject => "the bound of tags on one subject",
        })
    }
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

/// Subjects and their tags.
///
/// A change is first entered in the book, then published, then marked: [`TagStore::stamp`] read before
/// a lookup differs from one read after a change that the lookup missed. [`TagStore::lookup`] and
/// [`TagStore::stamp`] are for the packet path: they take no lock. All else may wait for a writer.
pub struct TagStore {
    names: Arc<TagNames>,
    limits: TagLimits,
    published: Published,
    book: Book,
    writer: Mutex<Writer>,
}

/// What only writers need.
#[derive(Default)]
struct Writer {
    /// When to look at which tag: each that ends is here once, at its deadline or, where that has moved
    /// since, before.
    deadlines: BTreeSet<(Timestamp, Subject, TagId)>,
    /// Tags that were past their deadline when registered anew: the next [`TagStore::expire`] tells.
    lapsed: Vec<(Subject, TagId, Cause)>,
    /// What prefixes and ranges carry.
    networks: BTreeMap<Addresses, Carried>,
    subjects: usize,
    network_subjects: usize,
}

/// What registering did to a tag that is there already.
enum Known {
    /// Nothing: it is past its deadline.
    Lapsed,
    /// It stays, until then.
    Stays { deadline: Timestamp, moved: bool },
}

impl TagStore {
    /// An empty store for tags of `names`.
    pub fn new(names: Arc<TagNames>, limits: TagLimits) -> Self {
        Self {
            names,
            limits,
            published: Published::new(),
            book: Book::new(),
            writer: Mutex::new(Writer::default()),
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

    /// Adds to `out` the tags in force on `address` in this session: its own, and those of every prefix
    /// and range around it. Lock-free.
    ///
    /// Returns the earliest deadline among the tags that counted, [`Timestamp::MAX`] if none has one: the
    /// answer is good until then, while [`TagStore::stamp`], read before, stays the same.
    #[inline]
    pub fn lookup(
        &self,
        now: Timestamp,
        address: IpAddr,
        context: Context<'_>,
        out: &mut TagSet,
    ) -> Timestamp {
        self.published.lookup(now, address, context, out)
    }

    /// The mark of what `address` carries; see [`Stamp`]. Wait-free.
    #[inline]
    pub fn stamp(&self, address: IpAddr) -> Stamp {
        self.published.stamp(address)
    }

    /// Counts changes of any kind, moved deadlines among them. Wait-free.
    pub fn generation(&self) -> u64 {
        self.published.changes()
    }

    /// Puts `tag` on `subject` for `timeout` from `now` on, or until removed where that is `None`.
    ///
    /// A tag past its deadline is gone, even where [`TagStore::expire`] has not reported it yet; but it
    /// takes its room until then. Deadlines are whole microseconds, as times in records are.
    pub fn register(
        &self,
        now: Timestamp,
        subject: &Subject,
        tag: TagId,
        timeout: Option<Duration>,
        persistent: bool,
        cause: Cause,
    ) -> Registration {
        let deadline = timeout.map_or(Timestamp::MAX, |timeout| {
            carried::deadline(now.saturating_add(timeout))
        });
        let mut writer = self.writer();
        let known = self.book.with(subject, tag, |held| {
            if held.deadline <= now {
                return Known::Lapsed;
            }
            held.persistent |= persistent;
            let moved = deadline > held.deadline;
            if moved {
                held.deadline = deadline;
                held.cause = cause.clone();
            }
            Known::Stays {
                deadline: held.deadline,
                moved,
            }
        });
        match known {
            Some(Known::Stays { deadline, moved }) => {
                if moved {
                    self.publish(&mut writer, [subject]);
                    self.published.bump_deadline();
                }
                return Registration::Refreshed { deadline };
            }
            Some(Known::Lapsed) => {
                if let Some(held) = self.strike(&mut writer, subject, tag) {
                    writer.lapsed.push((subject.clone(), tag, held.cause));
                }
            }
            None => {
                if let Some(limit) = self.refusal(&writer, subject) {
                    return Registration::Full(limit);
                }
            }
        }
        let queued = (deadline < Timestamp::MAX).then_some(deadline);
        self.enter(
            &mut writer,
            subject,
            Held {
                tag,
                deadline,
                queued,
                persistent,
                cause,
            },
        );
        self.publish(&mut writer, [subject]);
        self.published.bump(subject.addresses);
        Registration::New
    }

    /// Takes `tag` off `subject`; `false` where it was not in force.
    pub fn unregister(&self, now: Timestamp, subject: &Subject, tag: TagId) -> bool {
        let mut writer = self.writer();
        let in_force = self.book.with(subject, tag, |held| held.deadline > now);
        if in_force != Some(true) {
            return false;
        }
        self.strike(&mut writer, subject, tag);
        self.publish(&mut writer, [subject]);
        self.published.bump(subject.addresses);
        true
    }

    /// Removes what is past its deadline, and tells it in order of subject, then tag name.
    ///
    /// Readers do not depend on it: to them a tag ends at its deadline.
    pub fn expire(&self, now: Timestamp) -> Vec<(Subject, TagId, Cause)> {
        let mut writer = self.writer();
        let mut gone = Vec::new();
        while let Some((subject, tag)) = self.first_due(&mut writer, now) {
            if let Some(held) = self.strike(&mut writer, &subject, tag) {
                gone.push((subject, tag, held.cause));
            }
        }
        self.publish(&mut writer, gone.iter().map(|(subject, _, _)| subject));
        for (subject, _, _) in &gone {
            self.published.bump(subject.addresses);
        }
        let mut all = std::mem::take(&mut writer.lapsed);
        drop(writer);
        all.append(&mut gone);
        all.sort_by(|a, b| self.order((&a.0, a.1), (&b.0, b.1)));
        all
    }

    /// The earliest deadline of all, already past where [`TagStore::expire`] has something to tell;
    /// `None` where nothing will end.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let mut writer = self.writer();
        if !writer.lapsed.is_empty() {
            return Some(Timestamp::ZERO);
        }
        self.settle_first(&mut writer);
        writer.deadlines.first().map(|(deadline, _, _)| *deadline)
    }

    /// How many subjects carry tags, those past their deadline and not yet expired among them.
    pub fn subjects(&self) -> usize {
        self.writer().subjects
    }

    /// All tags in force, in order of subject, then tag name.
    pub fn entries(&self, now: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.book.entries(now, &mut entries);
        self.sorted(entries)
    }

    /// The tags in force on exactly this subject, in order of their names.
    pub fn entries_of(&self, now: Timestamp, subject: &Subject) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.book.entries_of(
            now,
            subject.addresses,
            |qualifier| *qualifier == subject.qualifier,
            &mut entries,
        );
        self.sorted(entries)
    }

    /// Every tag in force that `address` can carry: its own and those of prefixes and ranges around it,
    /// qualified ones too; in order of subject, then tag name.
    pub fn explain(&self, now: Timestamp, address: IpAddr) -> Vec<Entry> {
        let mut entries = Vec::new();
        for addresses in self.published.around(address) {
            self.book.entries_of(now, addresses, |_| true, &mut entries);
        }
        self.sorted(entries)
    }

    /// Enters a tag that the subject does not carry.
    fn enter(&self, writer: &mut Writer, subject: &Subject, held: Held) {
        if let Some(queued) = held.queued {
            writer.deadlines.insert((queued, subject.clone(), held.tag));
        }
        if self.book.insert(subject, held) == 1 {
            writer.subjects += 1;
            writer.network_subjects += usize::from(is_network(subject));
        }
    }

    /// Strikes a tag that the subject carries.
    fn strike(&self, writer: &mut Writer, subject: &Subject, tag: TagId) -> Option<Held> {
        let (held, left) = self.book.remove(subject, tag)?;
        if let Some(queued) = held.queued {
            writer.deadlines.remove(&(queued, subject.clone(), tag));
        }
        if left == 0 {
            writer.subjects -= 1;
            writer.network_subjects -= usize::from(is_network(subject));
        }
        Some(held)
    }

    /// Which bound keeps the subject from another tag.
    fn refusal(&self, writer: &Writer, subject: &Subject) -> Option<Limit> {
        match self.book.count(subject) {
            0 if writer.subjects >= self.limits.subjects => Some(Limit::Subjects),
            0 if is_network(subject) && writer.network_subjects >= self.limits.networks => {
                Some(Limit::Networks)
            }
            tags if tags >= self.limits.tags_per_subject => Some(Limit::TagsPerSubject),
            _ => None,
        }
    }

    /// Shows readers what the book says of these subjects.
    fn publish<'a>(&self, writer: &mut Writer, subjects: impl IntoIterator<Item = &'a Subject>) {
        let mut networks_changed = false;
        for subject in subjects {
            let (carried, qualified) = self.book.published(subject);
            self.published
                .set_qualified(subject.addresses, &subject.qualifier, qualified);
            match subject.addresses {
                Addresses::Host(address) => self.published.set_host(address, carried),
                network @ (Addresses::Prefix(_) | Addresses::Range(_)) => {
                    networks_changed |= writer.set_network(network, carried);
                }
            }
        }
        if networks_changed {
            self.published.set_networks(&writer.networks);
        }
    }

    /// The tag that ends first, if it is past its deadline.
    fn first_due(&self, writer: &mut Writer, now: Timestamp) -> Option<(Subject, TagId)> {
        self.settle_first(writer);
        let (_, subject, tag) = writer
            .deadlines
            .first()
            .filter(|(deadline, _, _)| *deadline <= now)?;
        Some((subject.clone(), *tag))
    }

    /// Brings the queue's head up to date: a deadline that moved is queued again where it is now, so
    /// that refreshing a tag does not touch the queue.
    fn settle_first(&self, writer: &mut Writer) {
        while let Some((queued, subject, tag)) = writer.deadlines.first() {
            let now_queued = self.book.with(subject, *tag, |held| {
                held.queued = (held.deadline < Timestamp::MAX).then_some(held.deadline);
                held.queued
            });
            if now_queued == Some(Some(*queued)) {
                return;
            }
            let Some((_, subject, tag)) = writer.deadlines.pop_first() else {
                return;
            };
            if let Some(Some(deadline)) = now_queued {
                writer.deadlines.insert((deadline, subject, tag));
            }
        }
    }

    fn sorted(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by(|a, b| self.order((&a.subject, a.tag), (&b.subject, b.tag)));
        entries
    }

    /// By subject, then tag name.
    fn order(&self, a: (&Subject, TagId), b: (&Subject, TagId)) -> Ordering {
        a.0.cmp(b.0)
            .then_with(|| self.names.resolve(a.1).cmp(self.names.resolve(b.1)))
    }

    /// The order of steps is such that a panic between them costs readers nothing, so go on after one.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Enters what a prefix or range carries; whether that is anything new.
    fn set_network(&mut self, network: Addresses, carried: Carried) -> bool {
        if carried.is_empty() {
            self.networks.remove(&network).is_some()
        } else if self.networks.get(&network) == Some(&carried) {
            false
        } else {
            self.networks.insert(network, carried);
            true
        }
    }
}

fn is_network(subject: &Subject) -> bool {
    !matches!(subject.addresses, Addresses::Host(_))
}

impl fmt::Debug for TagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagStore")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod model;
