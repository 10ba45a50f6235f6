//! Downloads as fast as they go, through one connection and through sixteen.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::{
    Lab, Spent,
    site::BULK,
    visitor::{Visit, config},
};

const LENGTH: Duration = Duration::from_secs(5);

pub(crate) fn bulk(lab: &Lab) -> Result<(), Box<dyn Error>> {
    for between in Lab::contenders() {
        for flows in [1, 16] {
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
            println!(
                "{:<16} {flows:>2} flows: {:>5.2} Gbit/s per CPU second, {:.2} Gbit/s, {:.0} % of a core",
                between.name(),
                spent.rate(gigabits),
                gigabits / spent.wall.as_secs_f64(),
                spent.load(),
            );
        }
    }
    Ok(())
}
