//! Rule lookup at three sizes of a rule base, each with 1,000 address groups, and the time to compile it.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

mod rule_base;

use std::{collections::HashSet, hint::black_box, net::SocketAddr, time::Instant};

use cordon_benches::{Case, Meter, Random, bare_walk, per_step};
use packet::{
    IpProtocol, TcpFlags,
    build::{Ends, Segment, ethernet_tcp, ethernet_udp},
};
use policy::{AppKnowledge, Policy, Query};
use rule_base::{RuleBase, Session};

const SESSIONS: usize = 20_000;
const SIZES: [u32; 3] = [10, 1_000, 10_000];

fn main() {
    let meter = Meter::start();
    let bases = SIZES.map(|rules| RuleBase::new(rules, &mut Random::new(0x5eed)));
    let policies: Vec<Policy> = bases
        .iter()
        .zip(SIZES)
        .map(|(base, rules)| compile(base, rules))
        .collect();
    for (name, choose) in [("uniform", uniform as Choose), ("Zipf", zipf)] {
        let traces: Vec<Vec<Session>> = bases
            .iter()
            .zip(SIZES)
            .map(|(base, rules)| trace(base, rules, choose))
            .collect();
        let frames: Vec<Vec<u8>> = traces[2].iter().map(frame).collect();
        for (known, app) in [(false, "not known yet"), (true, "known")] {
            let mut cases = vec![bare_walk(&frames)];
            for ((policy, trace), rules) in policies.iter().zip(&traces).zip(SIZES) {
                let queries: Vec<Query<'_>> = trace.iter().map(|session| query(session, known)).collect();
                println!("{}", deciding(policy, &queries, rules));
                cases.push(Case::new(format!("{rules} rules"), move || {
                    per_step(queries.len(), || {
                        for query in &queries {
                            black_box(policy.decide(query));
                        }
                    })
                }));
            }
            meter.compare(
                &format!("Rule lookup, {name} trace of {SESSIONS} sessions, application {app}"),
                "session",
                &mut cases,
            );
        }
    }
}

/// Compiles as a commit does, five times.
fn compile(base: &RuleBase, rules: u32) -> Policy {
    let mut times = [(); 5].map(|()| {
        let start = Instant::now();
        black_box(base.compile());
        start.elapsed().as_secs_f64() * 1e3
    });
    times.sort_by(f64::total_cmp);
    println!(
        "{rules:>6} rules and 1,000 groups compiled in {:.1} ms (min {:.1}, max {:.1})",
        times[2], times[0], times[4]
    );
    base.compile()
}

/// Draws the place of one of so many rules.
type Choose = fn(u32, &mut Random) -> u32;

/// Each rule as often as any other.
fn uniform(rules: u32, random: &mut Random) -> u32 {
    random.below(rules)
}

/// The rule of rank `n` about `1 / n` times as often as the first. Ranks have nothing to do with places.
fn zipf(rules: u32, random: &mut Random) -> u32 {
    let part = f64::from(random.below(1 << 20)) / f64::from(1 << 20);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to `rules`"
    )]
    let rank = f64::from(rules).powf(part) as u64;
    u32::try_from(rank * 2_654_435_761 % u64::from(rules)).expect("below a u32")
}

fn trace(base: &RuleBase, rules: u32, choose: Choose) -> Vec<Session> {
    let mut random = Random::new(0xace);
    (0..SESSIONS)
        .map(|_| {
            let rule = choose(rules, &mut random);
            base.session(rule as usize, &mut random)
        })
        .collect()
}

fn query(session: &Session, known: bool) -> Query<'_> {
    Query {
        from: session.from,
        to: session.to,
        tuple: session.tuple,
        app: if known {
            AppKnowledge::Known(session.app)
        } else {
            AppKnowledge::Unknown
        },
        category: None,
        src_tags: &session.src_tags,
        dst_tags: &session.dst_tags,
    }
}

/// Where in the rule base the sessions end.
fn deciding(policy: &Policy, queries: &[Query<'_>], rules: u32) -> String {
    let places: Vec<u32> = queries.iter().map(|query| policy.decide(query).rule.0).collect();
    let default = places.iter().filter(|place| **place >= rules).count();
    let distinct: HashSet<&u32> = places.iter().collect();
    let mean = places.iter().map(|&place| f64::from(place)).sum::<f64>() / places.len() as f64;
    format!(
        "{rules:>6} rules: {} of them decide, at place {mean:.0} on average; {:.0} % get a default rule",
        distinct.len(),
        default as f64 * 100.0 / places.len() as f64
    )
}

fn frame(session: &Session) -> Vec<u8> {
    let tuple = &session.tuple;
    let ends = Ends::new(
        SocketAddr::new(tuple.src, tuple.sport),
        SocketAddr::new(tuple.dst, tuple.dport),
    );
    if tuple.protocol == IpProtocol::UDP {
        ethernet_udp(&ends, &[0xff; 18])
    } else {
        let segment = Segment {
            seq: 1,
            ack: 0,
            flags: TcpFlags::SYN,
            window: 65_535,
            payload: &[],
        };
        ethernet_tcp(&ends, &segment)
    }
}
