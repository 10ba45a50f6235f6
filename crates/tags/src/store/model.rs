//! The store as one would first write it, and the same random life led by both.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use packet::{DomainName, Timestamp};
use proptest::prelude::*;

use crate::{
    Cause, CauseSource, Context, Entry, Limit, Qualifier, Registration, Subject, TagId, TagLimits, TagNames,
    TagSet, TagStore, carried,
};

const LIMITS: TagLimits = TagLimits {
    subjects: 12,
    networks: 5,
    tags_per_subject: 3,
};

/// All entries in one heap, each question answered by walking it.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    lapsed: Vec<(Subject, TagId, Cause)>,
}

impl Model {
    fn subjects(&self, wanted: impl Fn(&Subject) -> bool) -> usize {
        let subjects: BTreeSet<&Subject> = self.entries.iter().map(|entry| &entry.subject).collect();
        subjects.into_iter().filter(|subject| wanted(subject)).count()
    }

    fn register(
        &mut self,
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
        let new = Entry {
            subject: subject.clone(),
            tag,
            deadline,
            persistent,
            cause,
        };
        let known = self
            .entries
            .iter_mut()
            .find(|entry| entry.subject == *subject && entry.tag == tag);
        if let Some(known) = known {
            if known.deadline <= now {
                self.lapsed.push((subject.clone(), tag, known.cause.clone()));
                *known = new;
                return Registration::New;
            }
            known.persistent |= persistent;
            if new.deadline > known.deadline {
                known.deadline = new.deadline;
                known.cause = new.cause;
            }
            return Registration::Refreshed {
                deadline: known.deadline,
            };
        }
        let is_network = |subject: &Subject| subject.addresses.first() != subject.addresses.last();
        match self
            .entries
            .iter()
            .filter(|entry| entry.subject == *subject)
            .count()
        {
            0 if self.subjects(|_| true) >= LIMITS.subjects => return Registration::Full(Limit::Subjects),
            0 if is_network(subject) && self.subjects(is_network) >= LIMITS.networks => {
                return Registration::Full(Limit::Networks);
            }
            count if count >= LIMITS.tags_per_subject => return Registration::Full(Limit::TagsPerSubject),
            _ => {}
        }
        self.entries.push(new);
        Registration::New
    }

    fn unregister(&mut self, now: Timestamp, subject: &Subject, tag: TagId) -> bool {
        let count = self.entries.len();
        self.entries
            .retain(|entry| entry.subject != *subject || entry.tag != tag || entry.deadline <= now);
        self.entries.len() < count
    }

    fn expire(&mut self, names: &TagNames, now: Timestamp) -> Vec<(Subject, TagId, Cause)> {
        let mut gone = std::mem::take(&mut self.lapsed);
        let due = self.entries.extract_if(.., |entry| entry.deadline <= now);
        gone.extend(due.map(|entry| (entry.subject, entry.tag, entry.cause)));
        gone.sort_by_key(|(subject, tag, _)| (subject.clone(), names.resolve(*tag).clone()));
        gone
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = self
            .entries
            .iter()
            .map(|entry| entry.deadline)
            .filter(|&at| at < Timestamp::MAX);
        if self.lapsed.is_empty() {
            deadlines.min()
        } else {
            Some(Timestamp::ZERO)
        }
    }

    fn lookup(&self, now: Timestamp, address: IpAddr, context: Context<'_>) -> (TagSet, Timestamp) {
        let counting = self.entries.iter().filter(|entry| {
            entry.deadline > now
                && entry.subject.addresses.contains(address)
                && match &entry.subject.qualifier {
                    Qualifier::None => true,
                    Qualifier::ServerName(name) => context.server_name == Some(name),
                    Qualifier::Client(client) => context.peer == *client,
                }
        });
        let until = counting.clone().map(|entry| entry.deadline).min();
        (
            counting.map(|entry| entry.tag).collect(),
            until.unwrap_or(Timestamp::MAX),
        )
    }

    fn entries(&self, names: &TagNames, now: Timestamp, wanted: impl Fn(&Subject) -> bool) -> Vec<Entry> {
        let wanted = |entry: &&Entry| entry.deadline > now && wanted(&entry.subject);
        let mut entries: Vec<Entry> = self.entries.iter().filter(wanted).cloned().collect();
        entries.sort_by_key(|entry| (entry.subject.clone(), names.resolve(entry.tag).clone()));
        entries
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register {
        subject: Subject,
        tag: usize,
        timeout: Option<Duration>,
        persistent: bool,
    },
    Unregister {
        subject: Subject,
        tag: usize,
    },
    Expire,
    Wait(Duration),
}

/// Few addresses, so that they meet; hosts, prefixes and ranges of both families, qualified and not.
fn subject() -> impl Strategy<Value = Subject> {
    let addresses = prop_oneof![
        3 => prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "::ffff:10.0.0.1"]),
        1 => prop::sample::select(vec!["10.0.0.0/8", "10.0.0.2/31", "0.0.0.0/0", "fd00::/64", "::/0"]),
        1 => prop::sample::select(vec!["10.0.0.1-10.0.0.2", "10.0.0.2-10.0.1.0", "fd00::-fd00::1"]),
    ];
    let qualifier = prop::sample::select(vec![
        "",
        "",
        "",
        " name=a.example",
        " name=B.example",
        " client=10.0.0.9",
    ]);
    (addresses, qualifier)
        .prop_map(|(addresses, qualifier)| format!("{addresses}{qualifier}").parse().unwrap())
}

/// Long lives are as frequent as short ones, and few are so exact that clock and deadline fall together.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..5_u64).prop_map(Duration::from_secs),
        (0..5_000_000_000_u64).prop_map(Duration::from_nanos),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let timeout = prop_oneof![1 => Just(None), 3 => duration().prop_map(Some)];
    prop_oneof![
        6 => (subject(), 0..4_usize, timeout, any::<bool>())
            .prop_map(|(subject, tag, timeout, persistent)| Step::Register { subject, tag, timeout, persistent }),
        2 => (subject(), 0..4_usize).prop_map(|(subject, tag)| Step::Unregister { subject, tag }),
        1 => Just(Step::Expire),
        2 => duration().prop_map(Step::Wait),
    ]
}

/// What the packet path can ask.
fn questions() -> Vec<(IpAddr, IpAddr, Option<DomainName>)> {
    let addresses = [
        "10.0.0.1",
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.7",
        "fd00::1",
        "fd00::2",
        "::ffff:10.0.0.1",
        "1.1.1.1",
    ];
    let mut questions = Vec::new();
    for address in addresses {
        for peer in ["10.0.0.9", "10.0.0.8"] {
            for name in [None, Some("A.example"), Some("b.EXAMPLE"), Some("c.example")] {
                questions.push((
                    address.parse().unwrap(),
                    peer.parse().unwrap(),
                    name.map(|name| name.parse().unwrap()),
                ));
            }
        }
    }
    questions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn leads_the_life_of_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let names = Arc::new(TagNames::new());
        // Not in the order of their ids.
        let tags: Vec<TagId> = ["t9", "t3", "t7", "t1"].iter().map(|name| names.intern(name).unwrap()).collect();
        let store = TagStore::new(names.clone(), LIMITS);
        let mut model = Model::default();
        let mut now = Timestamp::from_nanos(1_700_000_000_000_000_123);
        let questions = questions();
        let mut cached = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Register { subject, tag, timeout, persistent } => {
                    let source = CauseSource::Record(number as u64);
                    let cause = Cause { source, match_list: None, at: now };
                    prop_assert_eq!(
                        store.register(now, &subject, tags[tag], timeout, persistent, cause.clone()),
                        model.register(now, &subject, tags[tag], timeout, persistent, cause)
                    );
                    prop_assert_eq!(
                        store.entries_of(now, &subject),
                        model.entries(&names, now, |candidate| *candidate == subject)
                    );
                }
                Step::Unregister { subject, tag } => prop_assert_eq!(
                    store.unregister(now, &subject, tags[tag]),
                    model.unregister(now, &subject, tags[tag])
                ),
                Step::Expire => prop_assert_eq!(store.expire(now), model.expire(&names, now)),
                Step::Wait(duration) => now = now.saturating_add(duration),
            }
            prop_assert_eq!(store.next_deadline(), model.next_deadline());
            prop_assert_eq!(store.subjects(), model.subjects(|_| true));
            prop_assert_eq!(store.entries(now), model.entries(&names, now, |_| true));
            let answers: Vec<_> = questions
                .iter()
                .map(|(address, peer, name)| {
                    let context = Context { peer: *peer, server_name: name.as_ref() };
                    let mut set = TagSet::new();
                    let stamp = store.stamp(*address);
                    let until = store.lookup(now, *address, context, &mut set);
                    (stamp, set, until, model.lookup(now, *address, context))
                })
                .collect();
            for (at, (stamp, set, until, expected)) in answers.iter().enumerate() {
                prop_assert_eq!((set, until), (&expected.0, &expected.1));
                // What a session remembers is still true where nothing tells it to look again.
                if let Some((old_stamp, old_set, old_until)) = cached.get(at)
                    && old_stamp == stamp
                    && *old_until > now
                {
                    prop_assert_eq!(old_set, set);
                }
            }
            cached = answers.into_iter().map(|(stamp, set, until, _)| (stamp, set, until)).collect();
            let (address, ..) = questions[number % questions.len()];
            prop_assert_eq!(
                store.explain(now, address),
                model.entries(&names, now, |subject| subject.addresses.contains(address))
            );
        }
    }
}
