//! Real threads at once: what loom shows for two hosts and a step or two, for thousands and many.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "tests of the whole crate stand outside of it")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cordon_tags::{
    Addresses, Cause, CauseSource, Context, Registration, Stamp, Subject, TagId, TagLimits, TagNames, TagSet,
    TagStore,
};
use packet::Timestamp;

const WRITERS: u32 = 2;
const READERS: u32 = 2;
const STEPS: u32 = 60_000;
/// Each writer has its own.
const HOSTS: u32 = 20_000;
const OWN_TAGS: usize = 13;
const NOW: Timestamp = Timestamp::from_secs(1_000);
const SECOND: Duration = Duration::from_secs(1);

struct Lab {
    store: TagStore,
    /// A host's own is chosen by its number; a neighbour's is another.
    own: Vec<TagId>,
    /// On all hosts, in and out.
    passing: TagId,
    /// On one host of each writer, always.
    steady: TagId,
    /// On a prefix, in and out.
    network: TagId,
    writing: AtomicUsize,
}

impl Lab {
    fn new() -> Self {
        let names = TagNames::new();
        let name = |text: &str| names.intern(text).unwrap();
        let own = (0..OWN_TAGS)
            .map(|number| name(&format!("own-{number}")))
            .collect();
        let [passing, steady, network] = ["passing", "steady", "network"].map(name);
        Self {
            store: TagStore::new(Arc::new(names), TagLimits::default()),
            own,
            passing,
            steady,
            network,
            writing: AtomicUsize::new(WRITERS as usize),
        }
    }

    /// Of both families, by turns.
    fn address(writer: u32, host: u32) -> IpAddr {
        let bits = (writer << 24) | host;
        if host.is_multiple_of(2) {
            Ipv4Addr::from_bits(0x0a00_0000 | bits).into()
        } else {
            Ipv6Addr::from_bits((0xfd << 120) | (u128::from(bits) << 60)).into()
        }
    }

    fn own_tag(&self, host: u32) -> TagId {
        self.own[host as usize % OWN_TAGS]
    }

    fn tag(&self, subject: &Subject, tag: TagId, timeout: Option<Duration>) -> Registration {
        let cause = Cause {
            source: CauseSource::Config,
            match_list: None,
            at: NOW,
        };
        self.store.register(NOW, subject, tag, timeout, false, cause)
    }

    fn lookup(&self, address: IpAddr) -> TagSet {
        let mut tags = TagSet::new();
        let context = Context {
            peer: Ipv4Addr::UNSPECIFIED.into(),
            server_name: None,
        };
        let until = self.store.lookup(NOW, address, context, &mut tags);
        assert!(until > NOW, "what counts is in force");
        tags
    }

    /// Tags and heals, by numbers that are the same in every run; what is left on each host at the end.
    fn write(&self, writer: u32) -> Vec<bool> {
        let _done = Done(&self.writing);
        let prefix = Addresses::prefix(Self::address(writer, 0), 16).unwrap().into();
        let mut tagged = vec![false; HOSTS as usize];
        let mut random = Random(0x9e37_79b9 + u64::from(writer));
        for step in 0..STEPS {
            // More and more hosts, so that tables grow all the time.
            let host = 1 + random.below(1 + step * (HOSTS - 2) / STEPS);
            let subject = Subject::host(Self::address(writer, host));
            let is_tagged = &mut tagged[host as usize];
            if *is_tagged {
                assert!(self.store.unregister(NOW, &subject, self.own_tag(host)));
            } else {
                assert_eq!(self.tag(&subject, self.own_tag(host), None), Registration::New);
            }
            *is_tagged = !*is_tagged;
            match step % 8 {
                0 => assert_eq!(self.tag(&subject, self.passing, Some(SECOND)), Registration::New),
                1 => drop(self.store.expire(NOW.saturating_add(SECOND))),
                2 => {
                    let subject = Subject::host(Self::address(writer, 0));
                    assert_eq!(self.tag(&subject, self.passing, None), Registration::New);
                    assert!(self.store.unregister(NOW, &subject, self.passing));
                }
                3 if step % 128 == 3 => {
                    assert_eq!(self.tag(&prefix, self.network, None), Registration::New);
                    assert!(self.store.unregister(NOW, &prefix, self.network));
                }
                _ => {}
            }
        }
        tagged
    }

    /// Looks at hosts until nobody writes, and returns the last it saw of each.
    fn read(&self, reader: u32) -> Vec<(IpAddr, Stamp, TagSet)> {
        let mut seen: Vec<Option<(IpAddr, Stamp, TagSet)>> = vec![None; (WRITERS * HOSTS) as usize];
        let mut random = Random(0x1234_5678 + u64::from(reader));
        while self.writing.load(Ordering::Acquire) > 0 {
            for _ in 0..100 {
                let (writer, host) = (random.below(WRITERS), random.below(HOSTS));
                let address = Self::address(writer, host);
                let stamp = self.store.stamp(address);
                let tags = self.lookup(address);
                let constant = tags
                    .iter()
                    .filter(|&tag| tag != self.passing && tag != self.network);
                let constant: Vec<TagId> = constant.collect();
                if host == 0 {
                    assert_eq!(constant, [self.steady], "a steady tag is never missing");
                } else {
                    let allowed = [self.own_tag(host)];
                    assert!(
                        constant.is_empty() || constant == allowed,
                        "{address} has another's tags: {tags:?}"
                    );
                }
                seen[(writer * HOSTS + host) as usize] = Some((address, stamp, tags));
            }
        }
        seen.into_iter().flatten().collect()
    }
}

/// Lets the readers end, however the writer does.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 32) % u64::from(end)).unwrap()
    }
}

#[test]
fn readers_and_writers_at_once() {
    let lab = Lab::new();
    for writer in 0..WRITERS {
        let subject = Subject::host(Lab::address(writer, 0));
        assert_eq!(lab.tag(&subject, lab.steady, None), Registration::New);
    }
    let (left, seen) = thread::scope(|scope| {
        let lab = &lab;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || lab.write(writer)))
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|reader| scope.spawn(move || lab.read(reader)))
            .collect();
        let left: Vec<Vec<bool>> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let seen: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        (left, seen)
    });

    // What a reader remembers is still true where the stamp it remembers is still the address's.
    let mut still_true = 0;
    for (address, stamp, tags) in seen.into_iter().flatten() {
        if lab.store.stamp(address) == stamp {
            assert_eq!(lab.lookup(address), tags, "{address}");
            still_true += 1;
        }
    }
    assert!(still_true > 0, "else the last check said nothing");

    lab.store.expire(NOW.saturating_add(SECOND));
    for (writer, left) in (0..).zip(left) {
        for (host, tagged) in (1..).zip(&left[1..]) {
            let expected: TagSet = tagged.then(|| lab.own_tag(host)).into_iter().collect();
            assert_eq!(lab.lookup(Lab::address(writer, host)), expected);
        }
    }
}
