//! What readers can see of a writer, in every interleaving that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p cordon-tags --test loom --release`
//!
//! The store under test is the real one, with loom's atomics and mutex in place of std's, and tables so
//! small that two hosts meet in one slot. loom explores the stamps, the words of hosts, the slots they
//! lie in, tables outgrown, and the writer's lock. It does not look inside arc-swap, papaya and dashmap:
//! what they do is one step here. No lookup could be waiting in these tests: loom also runs every
//! schedule in which the writer rests, at any point, until the reader is through, and gives up on a
//! reader that would spin then.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "tests of the whole crate stand outside of it")]

use std::{net::IpAddr, time::Duration};

use cordon_tags::{
    Cause, CauseSource, Context, Registration, Stamp, TagId, TagLimits, TagNames, TagSet, TagStore,
};
use loom::{sync::Arc, thread};
use packet::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

struct Lab {
    store: TagStore,
    a: TagId,
    b: TagId,
}

impl Lab {
    fn new() -> Self {
        let names = TagNames::new();
        let [a, b] = ["a", "b"].map(|name| names.intern(name).unwrap());
        Self {
            store: TagStore::new(names.into(), TagLimits::default()),
            a,
            b,
        }
    }

    fn tag(&self, at: u64, subject: &str, tag: TagId, timeout: Option<Duration>) -> Registration {
        let at = Timestamp::from_secs(at);
        let cause = Cause {
            source: CauseSource::Config,
            match_list: None,
            at,
        };
        self.store
            .register(at, &subject.parse().unwrap(), tag, timeout, false, cause)
    }

    fn untag(&self, subject: &str, tag: TagId) -> bool {
        self.store
            .unregister(Timestamp::ZERO, &subject.parse().unwrap(), tag)
    }

    fn lookup(&self, at: u64, address: &str) -> Vec<TagId> {
        let mut tags = TagSet::new();
        let context = Context {
            peer: IpAddr::from([0; 4]),
            server_name: None,
        };
        self.store.lookup(
            Timestamp::from_secs(at),
            address.parse().unwrap(),
            context,
            &mut tags,
        );
        tags.iter().collect()
    }

    /// As a session does: the generation, or the stamp, before the tags.
    fn decide(&self, address: &str) -> ((u64, Stamp), Vec<TagId>) {
        let before = (
            self.store.generation(),
            self.store.stamp(address.parse().unwrap()),
        );
        (before, self.lookup(0, address))
    }

    /// Whether a session that remembers `decided` would look again, or need not: by either.
    fn is_up_to_date(&self, address: &str, decided: &((u64, Stamp), Vec<TagId>)) -> bool {
        let ((generation, stamp), tags) = decided;
        let now = self.store.stamp(address.parse().unwrap());
        (now != *stamp && now.is_after(*generation)) || self.lookup(0, address) == *tags
    }
}

/// Runs `write` beside `read`, and `check` on what was read after both.
///
/// Either may be the thread that loom starts with. It goes by the latest access to an atomic alone to
/// find what else could have happened, and the writer reads most words before it writes them, which
/// would make a reader that came earlier look as if it did not matter.
fn race<T: Send + 'static>(
    prepare: impl Fn(&Lab) + Sync + Send + Copy + 'static,
    write: impl Fn(&Lab) + Sync + Send + Copy + 'static,
    read: impl Fn(&Lab) -> T + Sync + Send + Copy + 'static,
    check: impl Fn(&Lab, T) + Sync + Send + Copy + 'static,
) {
    let lab = move || {
        let lab = Arc::new(Lab::new());
        prepare(&lab);
        (lab.clone(), lab)
    };
    loom::model(move || {
        let (lab, for_writer) = lab();
        let writer = thread::spawn(move || write(&for_writer));
        let seen = read(&lab);
        writer.join().unwrap();
        check(&lab, seen);
    });
    loom::model(move || {
        let (lab, for_reader) = lab();
        let reader = thread::spawn(move || read(&for_reader));
        write(&lab);
        check(&lab, reader.join().unwrap());
    });
}

#[test]
fn a_stamp_read_before_a_lookup_gives_away_what_the_lookup_missed() {
    for subject in ["10.0.0.1", "10.0.0.0/8", "fd00::1"] {
        let address = if subject.starts_with('f') {
            "fd00::1"
        } else {
            "10.0.0.1"
        };
        race(
            |_| {},
            move |lab| assert_eq!(lab.tag(0, subject, lab.a, None), Registration::New),
            move |lab| lab.decide(address),
            move |lab, decided| assert!(lab.is_up_to_date(address, &decided), "{decided:?}"),
        );
        race(
            move |lab| assert_eq!(lab.tag(0, subject, lab.a, None), Registration::New),
            move |lab| assert!(lab.untag(subject, lab.a)),
            move |lab| lab.decide(address),
            move |lab, decided| assert!(lab.is_up_to_date(address, &decided), "{decided:?}"),
        );
    }
}

#[test]
fn a_second_tag_never_hides_the_first() {
    race(
        |lab| assert_eq!(lab.tag(0, "10.0.0.1", lab.a, None), Registration::New),
        |lab| {
            assert_eq!(lab.tag(0, "10.0.0.1", lab.b, None), Registration::New);
            assert!(lab.untag("10.0.0.1", lab.b));
        },
        |lab| lab.lookup(0, "10.0.0.1"),
        |lab, seen| assert!(seen == [lab.a] || seen == [lab.a, lab.b], "{seen:?}"),
    );
}

#[test]
fn a_growing_table_loses_nobody() {
    race(
        |lab| assert_eq!(lab.tag(0, "10.0.0.1", lab.a, None), Registration::New),
        |lab| {
            assert_eq!(lab.tag(0, "10.0.0.2", lab.b, None), Registration::New);
            assert_eq!(lab.tag(0, "10.0.0.1", lab.b, None), Registration::New);
        },
        |lab| (lab.decide("10.0.0.1"), lab.lookup(0, "10.0.0.2")),
        |lab, (first, second)| {
            assert!(first.1 == [lab.a] || first.1 == [lab.a, lab.b], "{first:?}");
            assert!(lab.is_up_to_date("10.0.0.1", &first));
            assert!(second.is_empty() || second == [lab.b], "{second:?}");
        },
    );
}

#[test]
fn a_reused_slot_gives_nobody_the_tags_of_another() {
    // The third shares a half of its key with each of the others, which take turns in the slot.
    for [first, second, third] in [
        ["fd00::1", "fd01::2", "fd01::1"],
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    ] {
        for (asked, tagged) in [
            (first, [true, false]),
            (second, [false, true]),
            (third, [false, false]),
        ] {
            race(
                move |lab| assert_eq!(lab.tag(0, first, lab.a, None), Registration::New),
                move |lab| {
                    assert!(lab.untag(first, lab.a));
                    assert_eq!(lab.tag(0, second, lab.b, None), Registration::New);
                },
                move |lab| lab.lookup(0, asked),
                move |lab, seen| {
                    let possible = [(lab.a, tagged[0]), (lab.b, tagged[1])];
                    for tag in seen {
                        assert!(possible.contains(&(tag, true)), "{asked}: {tag:?}");
                    }
                },
            );
        }
    }
}

#[test]
fn expiry_is_enforced_where_it_is_read() {
    race(
        |lab| assert_eq!(lab.tag(0, "10.0.0.1", lab.a, Some(SECOND)), Registration::New),
        |lab| assert_eq!(lab.store.expire(Timestamp::from_secs(1)).len(), 1),
        |lab| (lab.lookup(0, "10.0.0.1"), lab.lookup(1, "10.0.0.1")),
        |lab, (before, after)| {
            assert!(before.is_empty() || before == [lab.a]);
            assert!(after.is_empty(), "past its deadline, cleaned up or not");
        },
    );
}

#[test]
fn a_refresh_keeps_its_tag_from_expiring_or_comes_too_late() {
    loom::model(|| {
        let lab = Arc::new(Lab::new());
        assert_eq!(lab.tag(0, "10.0.0.1", lab.a, Some(SECOND)), Registration::New);
        let refresher = thread::spawn({
            let lab = lab.clone();
            move || lab.tag(0, "10.0.0.1", lab.a, Some(5 * SECOND))
        });
        let sweeper = thread::spawn({
            let lab = lab.clone();
            move || lab.store.expire(Timestamp::from_secs(2)).len()
        });
        let seen = lab.lookup(0, "10.0.0.1");
        let outcome = (refresher.join().unwrap(), sweeper.join().unwrap());
        let deadline = Timestamp::from_secs(5);
        match outcome {
            (Registration::Refreshed { deadline: until }, 0) => {
                assert_eq!(until, deadline);
                assert_eq!(seen, [lab.a], "it was in force all the time");
            }
            (Registration::New, 1) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(lab.lookup(4, "10.0.0.1"), [lab.a]);
        assert_eq!(lab.store.next_deadline(), Some(deadline));
        assert_eq!(lab.store.subjects(), 1);
    });
}
