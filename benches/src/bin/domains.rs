//! A million listed names: how long a list loads, what a name costs in memory, what a lookup takes. And what
//! a DNS packet costs: reading a query, and forging the sinkhole's reply.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark: it reads the clock and prints"
)]

use std::{hint::black_box, net::SocketAddr, time::Instant};

use cordon_benches::{Case, Meter, Random, bare_walk, per_step};
use inspect::{
    dns::{self, SinkholeAnswer},
    domains::{DomainSet, DomainSetBuilder, ListOptions, ListTag},
};
use packet::{
    DomainName,
    build::{Ends, ethernet_udp},
};

const NAMES: u32 = 1_000_000;
/// Names asked for; each is asked once, so that nothing is in a cache because it was just asked for.
const ASKED: u32 = 200_000;

fn main() {
    let meter = Meter::start();
    let mut random = Random::new(0x5eed);
    let names: Vec<String> = (0..NAMES).map(|_| listed_name(&mut random)).collect();
    let text = names.join("\n");
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let length = (text.len() + 1) as f64 / f64::from(NAMES);
    println!("A million names of {length:.1} bytes on average, each at its own line");
    for expand in [false, true] {
        let kind = if expand { "expanded" } else { "plain" };
        let set = load(kind, &text, expand);
        lookups(&meter, kind, &set, &names, &mut random);
    }
    messages(&meter);
}

/// A name such as lists hold: two to four labels, a few endings, mostly letters.
fn listed_name(random: &mut Random) -> String {
    const ENDINGS: [&str; 12] = [
        "com", "com", "com", "net", "org", "info", "ru", "xyz", "top", "co.uk", "com.br", "online",
    ];
    let mut name = String::new();
    if random.below(10) < 3 {
        name.push_str(["www.", "mail.", "cdn1.", "ads."][random.below(4) as usize]);
    }
    for _ in 0..6 + random.below(11) {
        name.push(char::from(b'a' + u8::try_from(random.below(26)).unwrap_or(0)));
    }
    name.push('.');
    name.push_str(ENDINGS[random.below(12) as usize]);
    name
}

/// Loads it five times.
fn load(kind: &str, text: &str, expand: bool) -> DomainSet {
    let options = ListOptions {
        expand,
        ..ListOptions::default()
    };
    let load = || {
        let watch = Instant::now();
        let mut builder = DomainSetBuilder::new(0x00c0_ffee);
        let loaded = builder.add(ListTag(0), text, &options);
        let set = builder.build();
        assert_eq!(loaded.names, NAMES as usize, "every name is taken");
        (watch.elapsed().as_secs_f64(), set)
    };
    let mut seconds = [(); 5].map(|()| load().0);
    seconds.sort_by(f64::total_cmp);
    let (_, set) = load();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let bytes = set.memory() as f64 / set.len() as f64;
    println!(
        "\n{kind}: loaded in {:.2} s (min {:.2}, max {:.2}), {bytes:.1} bytes a name",
        seconds[2], seconds[0], seconds[4]
    );
    set
}

fn lookups(meter: &Meter, kind: &str, set: &DomainSet, names: &[String], random: &mut Random) {
    let pick = |random: &mut Random| &names[random.below(NAMES) as usize];
    let listed = asked(|| pick(random).clone());
    let strangers = asked(|| format!("x{}", listed_name(random)));
    let below = asked(|| format!("host7.{}", pick(random)));
    let frames = queries();
    let mut cases = vec![bare_walk(&frames)];
    for (what, names) in [
        ("listed", &listed),
        ("not listed", &strangers),
        ("below a listed one", &below),
    ] {
        let mut hits = 0_usize;
        per_lookup(names, |name| {
            hits += usize::from(!set.lookup(name).is_empty());
        });
        cases.push(Case::new(
            format!("{what} ({} % hits)", hits * 100 / names.offsets.len()),
            || {
                per_lookup(names, |name| {
                    black_box(set.lookup(name));
                })
            },
        ));
    }
    meter.compare(
        &format!("Lookup in random order, {kind}; by the wall clock, median of batches of 64"),
        "name",
        &mut cases,
    );
}

/// The query, from 10,000 clients.
fn queries() -> Vec<Vec<u8>> {
    let frame = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        let client = SocketAddr::from(([10, a, b, c], 40_000));
        ethernet_udp(&Ends::new(client, SocketAddr::from(([192, 0, 2, 53], 53))), QUERY)
    };
    (0..10_000).map(frame).collect()
}

/// Names in wire format, one behind the other, with the offset of each.
struct Asked {
    wire: Vec<u8>,
    offsets: Vec<usize>,
}

fn asked(mut name: impl FnMut() -> String) -> Asked {
    let mut asked = Asked {
        wire: Vec::new(),
        offsets: Vec::new(),
    };
    for _ in 0..ASKED {
        if let Ok(name) = name().parse::<DomainName>() {
            asked.offsets.push(asked.wire.len());
            asked.wire.extend_from_slice(name.as_wire());
        }
    }
    asked
}

/// The median over batches, in nanoseconds. A batch's names were just read, as those of a query are when
/// they are looked up; what the set holds of them was not.
fn per_lookup(asked: &Asked, mut look: impl FnMut(&DomainName)) -> f64 {
    const BATCH: usize = 64;
    let mut batches = Vec::new();
    for offsets in asked.offsets.chunks_exact(BATCH) {
        let names: Vec<DomainName> = offsets
            .iter()
            .filter_map(|&offset| DomainName::from_message(&asked.wire, offset).ok())
            .map(|(name, _)| name)
            .collect();
        let watch = Instant::now();
        for name in &names {
            look(name);
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let nanos = watch.elapsed().as_secs_f64() * 1e9 / BATCH as f64;
        batches.push(nanos);
    }
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// `WWW.GolfSource.us A`, with EDNS.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03WWW\x0aGolfSource\x02us\0\0\x01\0\x01\
    \0\0\x29\x10\0\0\0\x80\0\0\0";

fn messages(meter: &Meter) {
    const ROUNDS: usize = 200_000;
    let answer = SinkholeAnswer {
        ipv4: Some([72, 5, 65, 111].into()),
        ipv6: None,
        fqdn: "sinkhole.paloaltonetworks.com".parse().ok(),
    };
    let noise: Vec<u8> = (0..1200_u32)
        .map(|n| n.wrapping_mul(97).to_le_bytes()[0])
        .collect();
    let mut out = Vec::with_capacity(512);
    let frames = queries();
    let mut cases = [
        bare_walk(&frames),
        Case::new("a query and its question read", || {
            per_step(ROUNDS, || {
                for _ in 0..ROUNDS {
                    let query = dns::parse_query(black_box(QUERY));
                    black_box(query.and_then(|query| query.questions().next()));
                }
            })
        }),
        Case::new("a query read, the sinkhole's reply forged", || {
            per_step(ROUNDS, || {
                for _ in 0..ROUNDS {
                    if let Some(query) = dns::parse_query(black_box(QUERY)) {
                        dns::sinkhole_reply(&query, &answer, &mut out);
                        black_box(&out);
                    }
                }
            })
        }),
        Case::new("a payload found not to be a query", || {
            per_step(ROUNDS, || {
                for _ in 0..ROUNDS {
                    black_box(dns::parse_query(black_box(&noise)).is_some());
                }
            })
        }),
    ];
    meter.compare("DNS messages", "payload", &mut cases);
}
