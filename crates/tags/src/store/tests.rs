use super::*;
use crate::CauseSource;

const MINUTE: Duration = Duration::from_mins(1);

fn refreshed(until: u64) -> Registration {
    Registration::Refreshed {
        deadline: Timestamp::from_secs(until),
    }
}

struct Lab {
    store: TagStore,
}

impl Lab {
    fn new(limits: TagLimits) -> Self {
        Self {
            store: TagStore::new(Arc::default(), limits),
        }
    }

    fn add(&self, at: u64, subject: &str, tag: &str, timeout: Option<Duration>) -> Registration {
        let tag = self.store.names().intern(tag).unwrap();
        let cause = Cause {
            source: CauseSource::Record(at),
            match_list: None,
            at: Timestamp::from_secs(at),
        };
        self.store.register(
            Timestamp::from_secs(at),
            &subject.parse().unwrap(),
            tag,
            timeout,
            false,
            cause,
        )
    }

    /// Adds a tag that was not there.
    fn put(&self, at: u64, subject: &str, tag: &str, timeout: Option<Duration>) {
        assert_eq!(self.add(at, subject, tag, timeout), Registration::New);
    }

    fn remove(&self, at: u64, subject: &str, tag: &str) -> bool {
        let tag = self.store.names().intern(tag).unwrap();
        self.store
            .unregister(Timestamp::from_secs(at), &subject.parse().unwrap(), tag)
    }

    fn tags(&self, at: u64, address: &str, peer: &str, name: Option<&str>) -> (Vec<String>, Timestamp) {
        let name = name.map(|name| name.parse().unwrap());
        let context = Context {
            peer: peer.parse().unwrap(),
            server_name: name.as_ref(),
        };
        let mut set = TagSet::new();
        let until = self.store.lookup(
            Timestamp::from_secs(at),
            address.parse().unwrap(),
            context,
            &mut set,
        );
        let mut names: Vec<String> = set
            .iter()
            .map(|tag| self.store.names().resolve(tag).to_string())
            .collect();
        names.sort();
        (names, until)
    }

    fn names_of(&self, at: u64, address: &str) -> Vec<String> {
        self.tags(at, address, "0.0.0.0", None).0
    }

    fn expire(&self, at: u64) -> Vec<String> {
        let gone = self.store.expire(Timestamp::from_secs(at));
        gone.iter()
            .map(|(subject, tag, _)| format!("{subject}: {}", self.store.names().resolve(*tag)))
            .collect()
    }
}

#[test]
fn a_host_has_the_tags_of_what_is_around_it() {
    let lab = Lab::new(TagLimits::default());
    assert_eq!(lab.add(0, "10.1.2.3", "host", None), Registration::New);
    assert_eq!(lab.add(0, "10.1.0.0/16", "prefix", None), Registration::New);
    assert_eq!(lab.add(0, "0.0.0.0/0", "all", None), Registration::New);
    assert_eq!(lab.add(0, "10.1.2.0-10.1.2.7", "range", None), Registration::New);
    assert_eq!(lab.add(0, "2001:db8::/32", "six", None), Registration::New);
    assert_eq!(lab.names_of(0, "10.1.2.3"), ["all", "host", "prefix", "range"]);
    assert_eq!(lab.names_of(0, "10.1.2.8"), ["all", "prefix"]);
    assert_eq!(lab.names_of(0, "2001:db8::9"), ["six"]);
    assert_eq!(lab.names_of(0, "::1"), [""; 0]);
}

#[test]
fn the_later_deadline_wins() {
    let lab = Lab::new(TagLimits::default());
    assert_eq!(lab.add(0, "10.0.0.1", "t", Some(10 * MINUTE)), Registration::New);
    assert_eq!(lab.add(60, "10.0.0.1", "t", Some(MINUTE)), refreshed(600));
    assert_eq!(lab.add(300, "10.0.0.1", "t", Some(10 * MINUTE)), refreshed(900));
    assert_eq!(
        lab.tags(899, "10.0.0.1", "::", None),
        (vec!["t".into()], Timestamp::from_secs(900))
    );
    assert_eq!(lab.tags(900, "10.0.0.1", "::", None), (vec![], Timestamp::MAX));
    assert_eq!(
        lab.add(400, "10.0.0.1", "t", None),
        Registration::Refreshed {
            deadline: Timestamp::MAX
        }
    );
    assert_eq!(
        lab.add(401, "10.0.0.1", "t", Some(MINUTE)),
        Registration::Refreshed {
            deadline: Timestamp::MAX
        }
    );
    assert_eq!(lab.store.next_deadline(), None);
}

#[test]
fn a_tag_past_its_deadline_is_gone_and_reported_once() {
    let lab = Lab::new(TagLimits::default());
    lab.put(0, "10.0.0.2", "b", Some(MINUTE));
    lab.put(0, "10.0.0.2", "a", Some(MINUTE));
    lab.put(0, "10.0.0.1", "c", Some(MINUTE));
    lab.put(0, "10.0.0.1", "d", Some(2 * MINUTE));
    assert!(!lab.remove(60, "10.0.0.2", "a"), "it is past its deadline");
    assert_eq!(lab.add(61, "10.0.0.1", "c", None), Registration::New);
    assert_eq!(lab.expire(61), ["10.0.0.1: c", "10.0.0.2: a", "10.0.0.2: b"]);
    assert_eq!(lab.expire(61), [""; 0]);
    assert_eq!(lab.store.next_deadline(), Some(Timestamp::from_secs(120)));
    assert_eq!(lab.names_of(61, "10.0.0.1"), ["c", "d"]);
    assert_eq!(lab.expire(120), ["10.0.0.1: d"]);
}

#[test]
fn qualified_tags_count_only_in_their_sessions() {
    let lab = Lab::new(TagLimits::default());
    lab.put(0, "192.0.2.1 name=shop.example", "n", Some(MINUTE));
    lab.put(0, "192.0.2.0/24 client=10.0.0.1", "c", None);
    assert_eq!(lab.names_of(0, "192.0.2.1"), [""; 0]);
    assert_eq!(
        lab.tags(0, "192.0.2.1", "10.0.0.1", Some("SHOP.example")).0,
        ["c", "n"]
    );
    assert_eq!(
        lab.tags(0, "192.0.2.1", "10.0.0.2", Some("other.example")),
        (vec![], Timestamp::MAX)
    );
    assert_eq!(
        lab.store
            .explain(Timestamp::ZERO, "192.0.2.1".parse().unwrap())
            .len(),
        2
    );
    assert!(lab.remove(1, "192.0.2.1 name=Shop.Example", "n"));
    assert_eq!(
        lab.tags(0, "192.0.2.1", "10.0.0.1", Some("shop.example")).0,
        ["c"]
    );
}

#[test]
fn every_bound_refuses_and_a_known_tag_still_refreshes() {
    let lab = Lab::new(TagLimits {
        subjects: 3,
        networks: 1,
        tags_per_subject: 2,
    });
    let full = |limit| Registration::Full(limit);
    assert_eq!(lab.add(0, "10.0.0.1", "a", None), Registration::New);
    assert_eq!(lab.add(0, "10.0.0.1", "b", None), Registration::New);
    assert_eq!(lab.add(0, "10.0.0.1", "c", None), full(Limit::TagsPerSubject));
    assert_eq!(lab.add(0, "10.0.0.0/8", "a", None), Registration::New);
    assert_eq!(lab.add(0, "10.0.0.0/9", "a", None), full(Limit::Networks));
    assert_eq!(lab.add(0, "10.0.0.2", "a", None), Registration::New);
    assert_eq!(lab.add(0, "10.0.0.3", "a", None), full(Limit::Subjects));
    assert_eq!(
        lab.add(0, "10.0.0.1", "b", None),
        Registration::Refreshed {
            deadline: Timestamp::MAX
        }
    );
    assert!(lab.remove(0, "10.0.0.0/8", "a"));
    assert_eq!(lab.add(0, "10.0.0.0/9", "a", None), Registration::New);
}

#[test]
fn a_stamp_changes_with_what_an_address_carries() {
    let lab = Lab::new(TagLimits::default());
    let address = "10.0.0.1".parse().unwrap();
    let mut last = lab.store.stamp(address);
    let mut changed = || std::mem::replace(&mut last, lab.store.stamp(address)) != last;
    lab.put(0, "10.0.0.1", "a", Some(MINUTE));
    assert!(changed());
    assert!(!changed());
    lab.put(1, "10.0.0.0/8", "a", None);
    assert!(changed());
    assert!(lab.remove(1, "10.0.0.0/8", "a"));
    assert!(changed());
    lab.put(1, "10.0.0.1 client=10.0.0.2", "a", None);
    assert!(changed());
    lab.expire(61);
    assert!(changed());
}

#[test]
fn refreshing_is_a_change_but_leaves_every_stamp() {
    let lab = Lab::new(TagLimits::default());
    lab.put(0, "10.0.0.1", "a", Some(MINUTE));
    let before = (
        lab.store.generation(),
        lab.store.stamp("10.0.0.1".parse().unwrap()),
    );
    assert_eq!(lab.add(1, "10.0.0.1", "a", Some(MINUTE)), refreshed(61));
    assert_eq!(lab.tags(1, "10.0.0.1", "::", None).1, Timestamp::from_secs(61));
    assert_eq!(lab.store.stamp("10.0.0.1".parse().unwrap()), before.1);
    assert_ne!(lab.store.generation(), before.0);
}
