//! How soon a host that gave itself away is cut off, while a thousand keep sending.

use std::{collections::HashMap, error::Error, time::Duration};

use cordon_benches::{Cable, Figure, Figures, Firewall, Random, micros, quantile, quantiles};

use crate::{
    LOAD, capacity,
    capture::{Captured, Seen, Taps},
    traffic::{Session, Traffic},
};

pub(crate) const CONFIG: &str = include_str!("enforcement.toml");
/// Hosts that will ask for a listed name, and others that only send.
const ASKING: u16 = 1000;
const QUIET: u16 = 100;
const LENGTH: Duration = Duration::from_secs(8);
/// Nobody asks at first and at last.
const MARGIN: Duration = Duration::from_millis(500);
/// In which they ask, in microseconds.
const SPAN: u32 = 7_000_000;

pub(crate) fn enforcement() -> Result<(), Box<dyn Error>> {
    let cable = Cable::lay()?;
    let mut firewall = Firewall::new(CONFIG, &[("names.txt", "listed.example\n")])?;
    firewall.start(&cable.firewall, 1)?;
    let mut traffic = Traffic::new(&cable, ASKING + QUIET)?;
    let mut taps = Taps::open(&cable)?;
    let capacity = capacity(&mut traffic, &mut taps);
    let rate = capacity * LOAD;

    let mut random = Random::new(0x5eed);
    let mut queries: Vec<_> = (0..ASKING)
        .map(|host| {
            let at = MARGIN + Duration::from_micros(random.below(SPAN).into());
            (at, host, "listed.example")
        })
        .collect();
    queries.sort_unstable();
    let ring = |info: &serde_json::Value| info["drops"]["ring"].as_u64().unwrap_or(0);
    let dropped = ring(&firewall.ask("show info")?);
    let before = firewall.ask("show counters")?["sessions"]["cut"].as_u64();
    let (sent, captured) = taps.record(|| traffic.send(rate, LENGTH, &queries));
    let counters = firewall.ask("show counters")?;
    let info = firewall.ask("show info")?;
    let in_force = tags_in_force(&firewall)?;

    let judged = judge(&captured, &in_force);
    println!(
        "{ASKING} of {} hosts ask at {:.0} kpps, {:.0} % of the {:.0} kpps without loss",
        ASKING + QUIET,
        rate / 1e3,
        LOAD * 100.0,
        capacity / 1e3
    );
    println!(
        "sent {sent}, arrived {}, crossed {}",
        captured.arrived.len(),
        captured.crossed.len()
    );
    let title = "From the forged reply on";
    for (what, nanos) in [
        ("last packet of the host that crossed", &judged.after_reply),
        ("tag in force", &judged.in_force_after_reply),
    ] {
        for share in [50, 99] {
            let what = format!("cordon, {what}, p{share}");
            Figures::of_this_run().keep(&Figure::of(title, &what, "us", &[quantile(nanos, share)], None));
        }
    }
    println!(
        "last packet after the forged reply, us: {}",
        quantiles(judged.after_reply)
    );
    println!(
        "tag in force after the forged reply, us: {}",
        quantiles(judged.in_force_after_reply)
    );
    println!(
        "record to tag, as cordon says:  {}",
        info["enforcement_lag_microseconds"]
    );
    println!(
        "crossed, but arrived after the tag's publication: {}",
        judged.late
    );
    println!(
        "lost before the host's query, or of a quiet host: {}",
        judged.lost
    );
    println!(
        "frames missed by the taps: {}; dropped by the ring: {}",
        captured.missed,
        ring(&info) - dropped
    );
    let cut = counters["sessions"]["cut"]
        .as_u64()
        .zip(before)
        .map(|(now, before)| now - before);
    println!("sessions cut: {} of {}", cut.unwrap_or(0), 2 * ASKING);
    let whole = in_force.len() == usize::from(ASKING) && captured.queries_crossed == 0 && judged.late == 0;
    if !whole || cut != Some(2 * u64::from(ASKING)) {
        return Err("the quarantine is not tight".into());
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Judged {
    /// For each host, nanoseconds.
    after_reply: Vec<u64>,
    in_force_after_reply: Vec<u64>,
    late: usize,
    lost: usize,
}

/// `in_force`: the microsecond from which on a host was tagged.
fn judge(captured: &Captured, in_force: &HashMap<u16, u64>) -> Judged {
    let key = |seen: &Seen| (seen.host, seen.session == Session::Tcp, seen.number);
    let crossed: HashMap<_, u64> = captured.crossed.iter().map(|seen| (key(seen), seen.at)).collect();
    let asked: HashMap<u16, u64> = captured.queries.iter().map(|(at, host)| (*host, *at)).collect();
    let mut last: HashMap<u16, u64> = HashMap::new();
    for seen in &captured.crossed {
        let last = last.entry(seen.host).or_default();
        *last = seen.at.max(*last);
    }
    let mut judged = Judged::default();
    for seen in &captured.arrived {
        let passed = crossed.contains_key(&key(seen));
        // The record has whole microseconds: the one it names is given to the packet.
        let tagged = in_force
            .get(&seen.host)
            .is_some_and(|micros| seen.at / 1000 > *micros);
        judged.late += usize::from(tagged && passed);
        let innocent = asked.get(&seen.host).is_none_or(|asked| seen.at < *asked);
        judged.lost += usize::from(innocent && !passed);
    }
    for (at, host, _) in &captured.answers {
        let last = last.get(host).copied().unwrap_or(0);
        judged.after_reply.push(last.saturating_sub(*at));
        let tagged = in_force.get(host).map_or(u64::MAX, |micros| micros * 1000);
        judged.in_force_after_reply.push(tagged.saturating_sub(*at));
    }
    judged
}

/// Since when each host is tagged, in microseconds.
fn tags_in_force(firewall: &Firewall) -> Result<HashMap<u16, u64>, Box<dyn Error>> {
    let answer = firewall.ask("show logs ip-tag '(event eq register)' --limit 100000")?;
    let rows = answer["logs"].as_array().ok_or("no rows")?;
    rows.iter()
        .map(|row| {
            let address: std::net::Ipv4Addr = row["ip"].as_str().ok_or("no address")?.parse()?;
            let [_, _, high, low] = address.octets();
            let time = micros(row["receive_time"].as_str().ok_or("no time")?).ok_or("no such time")?;
            Ok((u16::from_be_bytes([high, low]), time))
        })
        .collect()
}
