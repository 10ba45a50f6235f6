//! Decryption through the whole live pipeline, beside sslsplit and squid in the same place: handshakes and bytes for each
//! second of processor time of the proxy, memory of idle connections, what a request waits for, and how soon a failure is
//! bypassed. Needs root.
//!
//! `decryption` runs all; `decryption handshakes`, `bulk`, `idle`, `latency` or `bypass` one of them.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock and prints"
)]

mod bulk;
mod bypass;
mod handshakes;
mod idle;
mod latency;
mod place;
mod site;
mod visitor;

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Figures};
use ports::live::Namespace;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::crypto::CryptoProvider;

use place::{ALL, Between, Running, address};
use site::{Exchange, Site};

/// Each is measured so often, in turns.
const ROUNDS: usize = 3;

type Benchmark = fn(&Lab, &Figures) -> Result<(), Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    if !Namespace::permitted()? {
        println!("decryption: skipped, needs root");
        return Ok(());
    }
    raise_descriptors()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, exchange] = arguments.as_slice()
        && serve == "serve"
    {
        let exchange = Exchange::ALL.into_iter().find(|known| known.name() == exchange);
        return site::serve(exchange.ok_or("no such key exchange")?);
    }
    let wanted = arguments.first();
    let all: [(&str, Benchmark); 5] = [
        ("handshakes", handshakes::handshakes),
        ("bulk", bulk::bulk),
        ("idle", idle::idle),
        ("latency", latency::latency),
        ("bypass", bypass::bypass),
    ];
    let (lab, figures) = (Lab::new(Exchange::Classical)?, Figures::of_this_run());
    for (name, run) in all {
        if wanted.is_none_or(|wanted| wanted == name) {
            println!("== {name}");
            run(&lab, &figures)?;
        }
    }
    Ok(())
}

/// Client, server, and a place between them.
struct Lab {
    cable: Cable,
    site: Site,
    provider: Arc<CryptoProvider>,
}

impl Lab {
    fn new(exchange: Exchange) -> Result<Self, Box<dyn Error>> {
        let cable = Cable::lay()?;
        address(&cable)?;
        let site = Site::start(&cable.server, exchange)?;
        let provider = Arc::new(exchange.provider());
        Ok(Self {
            cable,
            site,
            provider,
        })
    }

    fn start(&self, between: Between) -> Result<Running<'_>, Box<dyn Error>> {
        Running::start(between, &self.cable, &self.site.root)
    }

    /// Those whose programs are here; the others are named.
    fn contenders() -> impl Iterator<Item = Between> {
        ALL.into_iter().filter(|between| {
            let here = between.is_here();
            if !here {
                println!("{}: not installed", between.name());
            }
            here
        })
    }
}

/// Ten thousand connections have an end here, one in the server, and two in a proxy that we start.
fn raise_descriptors() -> Result<(), Box<dyn Error>> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(())
}

/// Work, and the processor time that the proxy took for it.
struct Spent {
    wall: Duration,
    processor: Duration,
}

impl Spent {
    /// While `work` is under way.
    fn during(running: &Running<'_>, work: impl FnOnce()) -> Self {
        let (began, before) = (Instant::now(), running.processor_time());
        work();
        Self {
            processor: running.processor_time().saturating_sub(before),
            wall: began.elapsed(),
        }
    }

    /// So much for each second of the proxy's.
    fn rate(&self, work: f64) -> f64 {
        work / self.processor.as_secs_f64()
    }

    /// Part of a processor that it had.
    fn load(&self) -> f64 {
        100.0 * self.processor.as_secs_f64() / self.wall.as_secs_f64()
    }
}
