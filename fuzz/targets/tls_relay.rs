//! Any bytes on either leg of an intercepted connection: classified, bounded, and ended with its streams.
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
    time::Duration,
};

use decrypt::{
    Authority, Trust,
    tls::{Facts, Leg, Passage, Proxy, Relay, State, Tap, Terms},
};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_790_000_000;

static PROXY: LazyLock<Arc<Proxy>> = LazyLock::new(|| {
    let authority = Authority::generate(NOW, "fuzz").expect("authorities");
    let (trust, _) = Trust::from_ders([], []);
    Arc::new(Proxy::new(authority, trust))
});

struct Through;

impl Tap for Through {
    fn opened(&mut self, _: &Facts) {}

    fn plaintext(&mut self, _: Leg, _: &[u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> Passage {
        Passage::Pass
    }
}

// Steps of a byte that says what happens and how long the bytes are that follow. The first byte chooses the terms.
fuzz_target!(|data: &[u8]| {
    let Some((&terms, mut steps)) = data.split_first() else {
        return;
    };
    let terms = Terms {
        block_untrusted_issuer: terms & 1 != 0,
        block_client_cert: terms & 2 != 0,
        strip_alpn: terms & 4 != 0,
        ..Terms::default()
    };
    let server = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let mut relay = Relay::open(&PROXY, terms, server, Duration::from_secs(NOW));
    while let [step, length, rest @ ..] = steps {
        let leg = if step & 1 == 0 { Leg::Client } else { Leg::Server };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length) << (step >> 5)));
        steps = rest;
        match step >> 1 & 15 {
            0 => relay.end_of_stream(leg),
            1 => relay.was_reset(leg),
            2 => relay.timed_out(),
            3 => relay.sent(leg, usize::from(*length)),
            _ => assert!(relay.receive(leg, bytes, &mut Through) <= bytes.len()),
        }
        assert!(relay.memory() < 400_000);
    }
    relay.end_of_stream(Leg::Client);
    relay.end_of_stream(Leg::Server);
    assert!(matches!(relay.state(), State::Failed(_) | State::Closed));
    for leg in [Leg::Client, Leg::Server] {
        relay.sent(leg, usize::MAX);
        assert!(relay.wants_finish(leg));
    }
});
