//! Connections that are open, have asked for something once, and are idle.

use std::{error::Error, thread, time::Duration};

use rustix::process::{Resource, getrlimit};

use cordon_benches::Figures;

use crate::{
    Lab,
    place::Between,
    site::{CLOSE, Exchange, HOLD},
    visitor::{Visit, config},
};

const CONNECTIONS: usize = 10_000;
/// Descriptors that a proxy on a router needs besides two for each connection; without them sslsplit dies.
const SPARE: u64 = 1_000;
/// They are opened by so many at a time.
const VISITORS: usize = 8;
/// Nothing is given back earlier.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn idle(_: &Lab, figures: &Figures) -> Result<(), Box<dyn Error>> {
    let mut rows = Vec::new();
    for between in Lab::contenders() {
        // What a server holds goes with it.
        let lab = Lab::new(Exchange::Classical)?;
        let running = lab.start(between)?;
        let (server, config) = (between.server(), config(&lab.provider)?);
        let most = match between {
            Between::Cordon => CONNECTIONS,
            Between::Sslsplit | Between::SslsplitEcdsa | Between::Squid => {
                let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
                CONNECTIONS.min(usize::try_from(descriptors.saturating_sub(SPARE) / 2)?)
            }
        };
        let open = || {
            let mut visits = Vec::new();
            for _ in 0..most / VISITORS {
                let visit = Visit::through_proxy(&config, server)
                    .and_then(|mut visit| visit.ask(HOLD).map(|()| visit));
                match visit {
                    Ok(visit) => visits.push(visit),
                    Err(error) => return (visits, Some(error)),
                }
            }
            (visits, None)
        };
        // What the first connection costs is not for each.
        let first = || Visit::through_proxy(&config, server)?.ask(CLOSE);
        lab.cable.client.run(first)??;
        thread::sleep(REST);
        let before = running.memory();
        let opened: Vec<_> = thread::scope(|scope| {
            let visitors: Vec<_> = (0..VISITORS)
                .map(|_| scope.spawn(|| lab.cable.client.run(open)))
                .collect();
            visitors
                .into_iter()
                .filter_map(|visitor| visitor.join().ok()?.ok())
                .collect()
        });
        thread::sleep(REST);
        let after = running.memory();
        let error = opened.iter().find_map(|(_, error)| error.as_ref());
        let count: usize = opened.iter().map(|(visits, _)| visits.len()).sum();
        let each = after.saturating_sub(before) as f64 / 1000.0 / count.max(1) as f64;
        rows.push((format!("{}, {count} held", between.name()), vec![each]));
        println!(
            "{:<16} {count} held, {each:.1} KB each ({:.0} MiB in all){}",
            between.name(),
            after as f64 / f64::from(1 << 20),
            error.map_or(String::new(), |error| format!("; then: {error}")),
        );
        drop(opened);
    }
    figures.keep_beside("Memory of an idle connection", "KB", &rows, f64::min);
    Ok(())
}
