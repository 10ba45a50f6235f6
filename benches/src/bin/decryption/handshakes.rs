//! New connections, each with a full handshake on both sides and one small request.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use cordon_benches::Figures;

use crate::{
    Lab, ROUNDS, Spent,
    place::{Between, Running},
    site::{CLOSE, Exchange},
    visitor::{Visit, config},
};

/// Visitors at a time.
const VISITORS: usize = 16;
const LENGTH: Duration = Duration::from_secs(5);

pub(crate) fn handshakes(lab: &Lab, figures: &Figures) -> Result<(), Box<dyn Error>> {
    // Both sides with a post-quantum key exchange: the others know none.
    let hybrid = Lab::new(Exchange::Hybrid)?;
    let contenders = Lab::contenders().map(|between| (lab, between, between.name()));
    let all: Vec<_> = contenders
        .chain([(&hybrid, Between::Cordon, "cordon, post-quantum")])
        .collect();
    let mut rows: Vec<_> = all
        .iter()
        .map(|(.., name)| ((*name).to_owned(), Vec::new()))
        .collect();
    for _ in 0..ROUNDS {
        for ((lab, between, name), (_, rounds)) in all.iter().zip(&mut rows) {
            rounds.push(measure(lab, *between, name)?);
        }
    }
    figures.keep_beside(
        "Full handshakes, each with a small request",
        "a CPU second",
        &rows,
        f64::max,
    );
    Ok(())
}

/// Handshakes for each second of the proxy's processor time.
fn measure(lab: &Lab, between: Between, name: &str) -> Result<f64, Box<dyn Error>> {
    let running = lab.start(between)?;
    let visits = Visits::begin(lab, &running, between)?;
    let rate = visits.spent.rate(visits.done as f64);
    println!(
        "{name:<20} {rate:>6.0} handshakes per CPU second, {:>5.0} a second, {:.0} % of a core; {} failed; {}",
        visits.done as f64 / visits.spent.wall.as_secs_f64(),
        visits.spent.load(),
        visits.failed,
        visits.parameters,
    );
    Ok(rate)
}

struct Visits {
    done: u64,
    failed: u64,
    spent: Spent,
    parameters: String,
}

impl Visits {
    fn begin(lab: &Lab, running: &Running<'_>, between: Between) -> Result<Self, Box<dyn Error>> {
        let config = config(&lab.provider)?;
        let client = &lab.cable.client;
        let mut first = client.run(|| Visit::through_proxy(&config, between.server()))??;
        let parameters = first.parameters();
        // Without a word it would have failed.
        first.ask(CLOSE)?;
        let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let (stop, count) = (AtomicBool::new(false), AtomicBool::new(false));
        let visit = || {
            while !stop.load(Ordering::Relaxed) {
                let visit = Visit::through_proxy(&config, between.server());
                let end = visit.and_then(|mut visit| visit.ask(CLOSE));
                if count.load(Ordering::Relaxed) {
                    let counter = if end.is_ok() { &done } else { &failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let spent = thread::scope(|scope| {
            for _ in 0..VISITORS {
                scope.spawn(|| client.run(visit));
            }
            thread::sleep(LENGTH / 5);
            let spent = Spent::during(running, || {
                count.store(true, Ordering::Relaxed);
                thread::sleep(LENGTH);
                count.store(false, Ordering::Relaxed);
            });
            stop.store(true, Ordering::Relaxed);
            spent
        });
        Ok(Self {
            done: done.into_inner(),
            failed: failed.into_inner(),
            spent,
            parameters,
        })
    }
}
