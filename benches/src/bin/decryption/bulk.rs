//! Downloads as fast as they go, through one connection and through sixteen.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use cordon_benches::Figures;

use crate::{
    Lab, ROUNDS, Spent,
    place::Between,
    site::BULK,
    visitor::{Visit, config},
};

const LENGTH: Duration = Duration::from_secs(5);

pub(crate) fn bulk(lab: &Lab, figures: &Figures) -> Result<(), Box<dyn Error>> {
    for flows in [1, 16] {
        let all: Vec<_> = Lab::contenders().collect();
        let mut rows: Vec<_> = all
            .iter()
            .map(|between| (between.name().to_owned(), Vec::new()))
            .collect();
        for _ in 0..ROUNDS {
            for (between, (_, rounds)) in all.iter().zip(&mut rows) {
                rounds.push(measure(lab, *between, flows)?);
            }
        }
        let title = format!("Download, {flows} flows at a time");
        figures.keep_beside(&title, "Gbit a CPU second", &rows, f64::max);
    }
    Ok(())
}

/// Gigabits for each second of the proxy's processor time.
fn measure(lab: &Lab, between: Between, flows: usize) -> Result<f64, Box<dyn Error>> {
    let running = lab.start(between)?;
    let (server, config) = (between.server(), config(&lab.provider)?);
    let (bytes, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let download = || -> std::io::Result<()> {
        let mut visit = Visit::through_proxy(&config, server)?;
        visit.send(BULK)?;
        let mut buffer = vec![0; 256 << 10];
        while !stop.load(Ordering::Relaxed) {
            match visit.read(&mut buffer)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                more => bytes.fetch_add(more as u64, Ordering::Relaxed),
            };
        }
        Ok(())
    };
    let (spent, taken) = thread::scope(|scope| {
        let downloads: Vec<_> = (0..flows)
            .map(|_| scope.spawn(|| lab.cable.client.run(download)))
            .collect();
        thread::sleep(LENGTH / 5);
        let before = bytes.load(Ordering::Relaxed);
        let spent = Spent::during(&running, || thread::sleep(LENGTH));
        let taken = bytes.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        for download in downloads {
            if let Ok(Ok(Err(error))) = download.join() {
                println!("a download fails: {error}");
            }
        }
        (spent, taken)
    });
    let gigabits = taken as f64 * 8e-9;
    let rate = spent.rate(gigabits);
    println!(
        "{:<16} {flows:>2} flows: {rate:>5.2} Gbit/s per CPU second, {:.2} Gbit/s, {:.0} % of a core",
        between.name(),
        gigabits / spent.wall.as_secs_f64(),
        spent.load(),
    );
    Ok(rate)
}
