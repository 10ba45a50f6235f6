//! Two thousand connections, opened and ended in every way, over wires that lose, double and delay.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use policy::Action;

use crate::{
    certificates::Site,
    firewall::Plan,
    host::Speech,
    opening::{REQUEST, RESPONSE},
    world::{Pair, TLS12_ONLY, Visit, World},
};

const CONNECTIONS: u64 = 2_000;
const AT_A_TIME: usize = 24;
/// In each of 64 shards: low enough to be met now and then.
const SESSIONS: usize = 12;
const ADOPTED: usize = 1;

/// A generator of its own, so that a failure comes again (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.next(choices.len() as u64);
        choices[usize::try_from(place).unwrap()]
    }

    fn byte(&mut self) -> u8 {
        self.next(256).to_le_bytes()[0]
    }
}

fn visit(random: &mut Random, number: u64) -> Visit {
    let [.., high, low] = number.to_be_bytes();
    let client = Ipv4Addr::new(192, 168, 1, 1 + low % 50);
    let server = Ipv4Addr::new(203, 0, 113, 1 + u8::try_from(random.next(40)).unwrap());
    Visit {
        client: SocketAddr::from((client, 10_000 + u16::from(high) * 256 + u16::from(low))),
        server: SocketAddr::from((server, 443)),
        name: random.pick(&["www.example.org", "bank.example", "other.example"]),
        site: random.pick(&[
            Site::Good,
            Site::Good,
            Site::Good,
            Site::Expired,
            Site::UnknownIssuer,
            Site::Tls12,
            Site::ClientCertificate,
        ]),
        pinned: random.next(5) == 0,
        versions: if random.next(4) == 0 {
            &TLS12_ONLY
        } else {
            rustls::ALL_VERSIONS
        },
    }
}

fn open(world: &mut World, random: &mut Random, number: u64) -> Pair {
    let visit = visit(random, number);
    if random.next(10) == 0 {
        let pair = world.connect(&visit, Speech::Plain, Speech::Plain);
        let mut garbage: Vec<u8> = (0..random.next(3000)).map(|_| random.byte()).collect();
        if random.next(2) == 0 {
            garbage.splice(0..0, [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
        }
        world.client(pair).say(&garbage);
        world.server(pair).reply = b"what?".to_vec();
        return pair;
    }
    let pair = world.visit(&visit);
    if random.next(5) > 0 {
        world.client(pair).say(REQUEST);
    }
    world.server(pair).reply = RESPONSE.to_vec();
    pair
}

fn disturb(world: &mut World, random: &mut Random, pair: Pair) {
    let host = if random.next(2) == 0 {
        world.client(pair)
    } else {
        world.server(pair)
    };
    match random.next(8) {
        0 => host.reset(),
        1 => host.close_unsaid(),
        2 => host.vanish(),
        _ => host.close(),
    }
}

#[test]
fn two_thousand_connections_leave_nothing_behind() {
    for (seed, tagging) in [(1, false), (2026, true)] {
        churn(seed, tagging);
    }
}

fn churn(seed: u64, tagging: bool) {
    let mut plan = Plan {
        sessions: SESSIONS,
        adopted: ADOPTED,
        tagging,
        ..Plan::default()
    };
    plan.proxy.block_expired_certificate = true;
    let mut world = World::new(&plan);
    let mut random = Random(seed);
    let mut weather = Random(seed + 7);
    world.wire(move |_, frame| {
        let late = Duration::from_millis(weather.next(3));
        match weather.next(60) {
            0 => Vec::new(),
            1 => vec![(late, frame.to_vec()), (2 * late, frame.to_vec())],
            2 => vec![(late * 8, frame.to_vec())],
            _ => vec![(Duration::ZERO, frame.to_vec())],
        }
    });
    let mut live: Vec<Pair> = Vec::new();
    let mut opened = 0;
    let mut ends = 0;
    while opened < CONNECTIONS || !live.is_empty() {
        if opened < CONNECTIONS && live.len() < AT_A_TIME {
            opened += 1;
            live.push(open(&mut world, &mut random, opened));
        }
        world.run(Duration::from_millis(random.next(12)));
        if !live.is_empty() {
            let pair = random.pick(&live);
            disturb(&mut world, &mut random, pair);
        }
        live.retain(|&pair| {
            let over = world.client(pair).is_over() && world.server(pair).is_over();
            if over {
                world.forget(pair);
            }
            !over
        });
        if opened == CONNECTIONS {
            world.run(Duration::from_secs(1));
        }
        if opened % 300 == 299 {
            world.firewall.commit(&Plan {
                decrypts: random.next(4) > 0,
                quarantine: random.pick(&[Action::Deny, Action::ResetBoth]),
                ..plan.clone()
            });
            let now = world.now;
            let host = format!("192.168.1.{}", 1 + random.next(50));
            world.firewall.tag(now, &host, "infected-host");
        }
        assert!(world.firewall.sessions() <= 64 * SESSIONS);
        assert!(world.firewall.adopted() <= 64 * ADOPTED);
        world.firewall.assert_conserved();
        world.log.clear();
        ends += logged_ends(&world.firewall.told());
    }
    world.run(Duration::from_hours(3));
    ends += logged_ends(&world.firewall.told());
    let counters = world.firewall.counters();
    assert_eq!(
        (world.firewall.sessions(), world.firewall.adopted(), counters.held),
        (0, 0, 0)
    );
    assert_eq!(world.firewall.next_wake(), None);
    world.firewall.assert_conserved();
    assert_eq!(
        ends, counters.sessions.tcp,
        "every session has told its end, once"
    );
    let [adopted, evicted, not_adopted] = if tagging { [50, 100, 0] } else { [400, 100, 100] };
    assert!(
        counters.adopted > adopted && counters.evicted > evicted && counters.not_adopted >= not_adopted,
        "seed {seed}: {counters:?}"
    );
}

fn logged_ends(told: &[String]) -> u64 {
    let ends = told.iter().filter(|line| {
        ["end ", "deny ", "drop "]
            .iter()
            .any(|subtype| line.starts_with(subtype))
    });
    ends.count() as u64
}
