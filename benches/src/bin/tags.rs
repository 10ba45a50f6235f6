//! A million tagged hosts: what a lookup costs while another thread writes 200,000 tags a second.
//!
//! Addresses are random: every lookup misses the caches.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Case, Meter, Random, bare_walk, per_step};
use packet::{
    Timestamp,
    build::{Ends, ethernet_udp},
};
use tags::{
    Addresses, Cause, CauseSource, Context, Limit, Registration, Subject, TagId, TagLimits, TagNames, TagSet,
    TagStore,
};

const HOSTS: u32 = 1_000_000;
const LOOKUPS: u32 = 1_000_000;
const NETWORKS: u32 = 1_000;
const WRITES_PER_SECOND: u32 = 200_000;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const TIMEOUT: Duration = Duration::from_mins(15);

fn main() {
    let meter = Meter::start();
    for family in [Family::V4, Family::V6] {
        let lab = Lab::new(family);
        let nanos = lab.load();
        println!("\n{HOSTS} tagged hosts, {family:?}: {nanos:.0} ns to register each");
        lab.read(&meter, &format!("{family:?}, nobody writes"));
        lab.read_beside_a_writer(&meter, &format!("{family:?}, beside a writer"));
        lab.add_networks();
        let title = format!("{family:?}, beside a writer, {NETWORKS} prefixes and ranges tagged too");
        lab.read_beside_a_writer(&meter, &title);
    }
}

/// Stops the writer however reading ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}

struct Lab {
    store: TagStore,
    tags: Vec<TagId>,
    family: Family,
}

impl Lab {
    fn new(family: Family) -> Self {
        let names = Arc::new(TagNames::new());
        let tag = |number| names.intern(&format!("tag-{number}")).expect("a name");
        let tags = (0..100).map(tag).collect();
        let limits = TagLimits {
            subjects: 2 * HOSTS as usize,
            ..TagLimits::default()
        };
        Self {
            store: TagStore::new(names, limits),
            tags,
            family,
        }
    }

    /// Hosts lie about the whole address space, as servers and attackers do.
    fn address(&self, host: u32) -> IpAddr {
        let bits = host.wrapping_mul(0x9e37_79b1);
        match self.family {
            Family::V4 => Ipv4Addr::from_bits(bits).into(),
            Family::V6 => {
                let network = (0x2001_0db8_u128 << 96) | (u128::from(bits) << 64);
                Ipv6Addr::from_bits(network | u128::from(host)).into()
            }
        }
    }

    fn register(&self, now: Timestamp, subject: impl Into<Subject>, tag: u32) -> Registration {
        let cause = Cause {
            source: CauseSource::Record(tag.into()),
            match_list: None,
            at: now,
        };
        let tag = self.tags[tag as usize % self.tags.len()];
        self.store
            .register(now, &subject.into(), tag, Some(TIMEOUT), false, cause)
    }

    /// How long each took.
    fn load(&self) -> f64 {
        per_step(HOSTS as usize, || {
            for host in 0..HOSTS {
                let registered = self.register(NOW, Addresses::Host(self.address(host)), host);
                assert_eq!(registered, Registration::New);
            }
        })
    }

    /// Nine prefixes to one range.
    fn add_networks(&self) {
        for number in 0..NETWORKS {
            let address = self.address(number);
            let (length, last) = match address {
                IpAddr::V4(v4) => (24, Ipv4Addr::from_bits(v4.to_bits().saturating_add(5_000)).into()),
                IpAddr::V6(v6) => (
                    64,
                    Ipv6Addr::from_bits(v6.to_bits().saturating_add(1 << 70)).into(),
                ),
            };
            let network = if number % 10 == 0 {
                Addresses::range(address, last)
            } else {
                Addresses::prefix(address, length)
            };
            let registered = self.register(NOW, network.expect("a network"), number);
            assert_eq!(registered, Registration::New);
        }
    }

    fn read(&self, meter: &Meter, title: &str) {
        let mut random = Random::new(88_172_645_463_325_252);
        let tagged: Vec<IpAddr> = (0..LOOKUPS).map(|_| self.address(random.below(HOSTS))).collect();
        // The writer's new hosts come right behind the tagged ones.
        let other = |_| self.address(2 * HOSTS + random.below(u32::MAX - 2 * HOSTS));
        let untagged: Vec<IpAddr> = (0..LOOKUPS).map(other).collect();
        let frames: Vec<Vec<u8>> = tagged.iter().take(10_000).map(|&host| frame(host)).collect();
        let all = |addresses: &[IpAddr]| {
            per_step(LOOKUPS as usize, || {
                for address in addresses {
                    black_box(self.lookup(address));
                }
            })
        };
        let mut cases = [
            bare_walk(&frames),
            Case::new("lookup, tagged", || all(&tagged)),
            Case::new("lookup, untagged", || all(&untagged)),
            // Which address is next depends on the answer, so that lookups cannot overlap.
            Case::new("lookup, each waiting for the last", || {
                per_step(LOOKUPS as usize, || {
                    let mut skip = 0;
                    for at in 0..tagged.len() {
                        skip = self.lookup(&tagged[(at + skip) % tagged.len()]);
                    }
                    black_box(skip);
                })
            }),
            Case::new("stamp", || {
                per_step(LOOKUPS as usize, || {
                    for address in &tagged {
                        black_box(self.store.stamp(*address));
                    }
                })
            }),
        ];
        meter.compare(title, "address", &mut cases);
    }

    /// How many tags the address carries. By reference: a copy just made is slower to read than an
    /// address that lies in a packet.
    fn lookup(&self, address: &IpAddr) -> usize {
        let mut tags = TagSet::new();
        let context = Context {
            peer: Ipv4Addr::UNSPECIFIED.into(),
            server_name: None,
        };
        black_box(self.store.lookup(NOW, *address, context, &mut tags));
        tags.len()
    }

    fn read_beside_a_writer(&self, meter: &Meter, title: &str) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| self.write_until(&done));
            {
                let _done = SetOnDrop(&done);
                self.read(meter, title);
            }
            println!("tags written: {:.0} /s", writer.join().expect("the writer"));
        });
    }

    /// Half of the writes move a deadline, a quarter tag new hosts, and a quarter heal them; as many a
    /// second.
    fn write_until(&self, done: &AtomicBool) -> f64 {
        let mut random = Random::new(1234);
        let start = Instant::now();
        let mut written = 0_u32;
        while !done.load(Ordering::Relaxed) {
            let due = start.elapsed().as_secs_f64() * f64::from(WRITES_PER_SECOND);
            while f64::from(written) < due {
                let now = NOW.saturating_add(Duration::from_secs(1) / WRITES_PER_SECOND * written);
                let fresh = Addresses::Host(self.address(HOSTS + written / 4 % HOSTS));
                match written % 4 {
                    // An earlier writer may have stopped before it healed its last host.
                    0 => assert_ne!(self.register(now, fresh, 0), Registration::Full(Limit::Subjects)),
                    1 => assert!(self.store.unregister(now, &fresh.into(), self.tags[0])),
                    _ => {
                        let host = random.below(HOSTS);
                        let refreshed = self.register(now, Addresses::Host(self.address(host)), host);
                        assert_ne!(refreshed, Registration::New);
                    }
                }
                written += 1;
            }
        }
        f64::from(written) / start.elapsed().as_secs_f64()
    }
}

/// A packet of this host's.
fn frame(host: IpAddr) -> Vec<u8> {
    let server = match host {
        IpAddr::V4(_) => SocketAddr::from(([198, 51, 100, 1], 9999)),
        IpAddr::V6(_) => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9999)),
    };
    ethernet_udp(&Ends::new(SocketAddr::new(host, 40_000), server), &[0xff; 18])
}
