//! From a failure's record to the next connection that is left alone, by clients that try again at once: half of them
//! know another certificate and close without a word, half go to a site whose certificate has expired.

use std::{
    collections::HashMap,
    error::Error,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use cordon_benches::{Figures, Firewall, micros, quantiles};
use rustls::ClientConfig;

use crate::{
    Lab,
    place::Between,
    site::{EXPIRED, GOOD},
    visitor::{Visit, config},
};

/// Each is an address of its own.
const FAILURES: u8 = 250;
const BLOCKS: u8 = 4;
/// Tries before one is given up.
const TRIES: usize = 1_000;

/// A client that got through.
struct Through {
    /// Microseconds since 1970, just before each SYN after the failure; the last is of the connection left alone.
    tried: Vec<u64>,
    pinned: bool,
}

pub(crate) fn bypass(lab: &Lab, _: &Figures) -> Result<(), Box<dyn Error>> {
    lab.cable.server.ip("route add local 10.7.0.0/16 dev lo")?;
    lab.cable.client.ip("route add 10.7.0.0/16 via 10.0.0.2")?;
    let running = lab.start(Between::Cordon)?;
    let cordon = running.cordon().ok_or("not cordon")?;
    let config = config(&lab.provider)?;
    let went = || -> io::Result<HashMap<String, Through>> {
        let mut all = HashMap::new();
        for block in 0..BLOCKS {
            for host in 1..=FAILURES {
                let address = SocketAddr::from(([10, 7, block, host], 443));
                let pinned = host.is_multiple_of(2);
                let tried = fail_and_try_again(&config, address, pinned)?;
                all.insert(address.ip().to_string(), Through { tried, pinned });
            }
        }
        Ok(all)
    };
    let went = lab.cable.client.run(went)??;
    let failed = first_times(
        cordon,
        "show logs traffic '(session_end_reason eq decrypt-error) or (session_end_reason eq decrypt-cert-validation)'",
        "dst",
    )?;
    let in_force = first_times(cordon, "show logs ip-tag '(event eq register)'", "ip")?;
    for pinned in [true, false] {
        let (mut to_tag, mut to_syn, mut late, mut between) = (Vec::new(), Vec::new(), 0, 0);
        for (address, through) in went.iter().filter(|(_, through)| through.pinned == pinned) {
            let record = *failed.get(address).ok_or("a failure without a record")?;
            let tag = *in_force.get(address).ok_or("a failure without a tag")?;
            let (last, decrypted) = through.tried.split_last().ok_or("never tried")?;
            to_tag.push(tag.saturating_sub(record) * 1000);
            to_syn.push(last.saturating_sub(record) * 1000);
            between += decrypted.len();
            late += decrypted.iter().filter(|&&at| at > tag).count();
        }
        println!(
            "{}",
            if pinned {
                "closed without a word (pinning)"
            } else {
                "expired certificate"
            }
        );
        println!(
            "  record to tag in force, us:                {}",
            quantiles(to_tag)
        );
        println!(
            "  record to the SYN of what is left alone:   {}",
            quantiles(to_syn)
        );
        println!("  connections opened in between: {between}; of them after the tag was in force: {late}");
        if late > 0 {
            return Err("a connection was opened though its tag was in force".into());
        }
    }
    println!(
        "packet to tag, as cordon says: {}",
        cordon.ask("show info")?["enforcement_lag_microseconds"]
    );
    Ok(())
}

/// Fails once, then tries until the site's own certificate is seen.
fn fail_and_try_again(config: &Arc<ClientConfig>, to: SocketAddr, pinned: bool) -> io::Result<Vec<u64>> {
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        tried.push(now());
        match Visit::begin(config, to, if pinned { GOOD } else { EXPIRED }) {
            Ok(visit) if visit.is_closed_to_others() => {
                tried.remove(0);
                return Ok(tried);
            }
            Ok(visit) => visit.leave(),
            Err(_) => {}
        }
    }
    Err(io::Error::other(format!("{to} is never left alone")))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The earliest record of each address, by the field that holds it.
fn first_times(
    cordon: &Firewall,
    command: &str,
    field: &str,
) -> Result<HashMap<String, u64>, Box<dyn Error>> {
    let answer = cordon.ask(&format!("{command} --limit 100000"))?;
    let rows = answer["logs"].as_array().ok_or("no rows")?;
    let mut first: HashMap<String, u64> = HashMap::new();
    for row in rows {
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        let address = text(field).ok_or("no address")?;
        let at = text("receive_time")
            .and_then(|time| micros(&time))
            .ok_or("no such time")?;
        let earliest = first.entry(address).or_insert(at);
        *earliest = at.min(*earliest);
    }
    Ok(first)
}
