//! What a request waits for longer on a kept connection, beside one that no proxy is in, in turns.

use std::{
    error::Error,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use cordon_benches::Figures;

use crate::{
    Lab,
    site::{GOOD, KEEP},
    visitor::{Visit, config},
};

/// When the next request is sent, the pause before it, and how many there are.
const KINDS: [(&str, Duration, usize); 2] = [
    ("at once again", Duration::ZERO, 5_000),
    ("every ms", Duration::from_millis(1), 1_000),
];

pub(crate) fn latency(lab: &Lab, figures: &Figures) -> Result<(), Box<dyn Error>> {
    // A cable of its own past the proxy.
    lab.cable.client.veth("c1", &lab.cable.server, "s1", 1500)?;
    lab.cable.client.ip("addr add 10.0.9.1/24 dev c1")?;
    lab.cable.server.ip("addr add 10.0.9.2/24 dev s1")?;
    let past = SocketAddr::from(([10, 0, 9, 2], 443));
    let config = config(&lab.provider)?;
    let mut rows = [const { Vec::new() }; 2];
    for between in Lab::contenders() {
        let _running = lab.start(between)?;
        for ((what, pause, count), rows) in KINDS.into_iter().zip(&mut rows) {
            let both = lab.cable.client.run(|| -> std::io::Result<[Vec<Duration>; 2]> {
                let mut without = Visit::begin(&config, past, GOOD)?;
                let mut with = Visit::through_proxy(&config, between.server())?;
                let mut times = [const { Vec::new() }; 2];
                for _ in 0..count {
                    for (visit, times) in [&mut without, &mut with].into_iter().zip(&mut times) {
                        thread::sleep(pause);
                        let began = Instant::now();
                        visit.ask(KEEP)?;
                        times.push(began.elapsed());
                    }
                }
                Ok(times)
            })??;
            let [without, with] = both.map(|mut times| {
                times.sort_unstable();
                [50, 99].map(|share| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6)
            });
            rows.push((between.name().to_owned(), vec![with[0] - without[0]]));
            println!(
                "{:<16} {what:<14} p50 {:>4.0} us, {:.0} without: {:+.0}; p99 {:.0}, {:.0} without",
                between.name(),
                with[0],
                without[0],
                with[0] - without[0],
                with[1],
                without[1],
            );
        }
    }
    for ((what, ..), rows) in KINDS.iter().zip(&rows) {
        let title = format!("What a request on a kept connection waits for longer, {what}, median");
        figures.keep_beside(&title, "us", rows, f64::min);
    }
    Ok(())
}
