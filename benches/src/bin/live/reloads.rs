//! A thousand commits under load, alternating two configurations: what is lost, and whether anything was judged by
//! parts of both.

use std::{
    error::Error,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Firewall};
use serde_json::Value;

use crate::{
    LOAD, capacity,
    capture::Taps,
    traffic::{Name, Traffic},
};

/// `SIDE` stands for `a` or `b`: rule, profile, list and listed name.
const CONFIG: &str = include_str!("reloads.toml");
const COMMITS: usize = 1000;
const HOSTS: u16 = 1000;
/// What each configuration answers for the name on its list.
const SINKHOLES: [[u8; 4]; 2] = [[192, 0, 2, 10], [192, 0, 2, 11]];
/// Each configuration's name is asked for this often.
const ASKED_EVERY: Duration = Duration::from_millis(1);
/// Longer than the commits take.
const AT_MOST: Duration = Duration::from_mins(2);

pub(crate) fn reloads() -> Result<(), Box<dyn Error>> {
    let cable = Cable::lay()?;
    let side = |side: &str, address: [u8; 4]| {
        let [a, b, c, d] = address;
        CONFIG
            .replace("SIDE", side)
            .replace("ADDRESS", &format!("{a}.{b}.{c}.{d}"))
    };
    let configs = [side("a", SINKHOLES[0]), side("b", SINKHOLES[1])];
    let lists = [("a.txt", "a.example\n"), ("b.txt", "b.example\n")];
    let mut firewall = Firewall::new(&configs[0], &lists)?;
    fs::write(firewall.file("a.toml"), &configs[0])?;
    fs::write(firewall.file("b.toml"), &configs[1])?;
    firewall.start(&cable.firewall, 1)?;
    let mut traffic = Traffic::new(&cable, HOSTS)?;
    let mut taps = Taps::open(&cable)?;
    let capacity = capacity(&mut traffic, &mut taps);
    let rate = capacity * LOAD;

    let done = AtomicBool::new(false);
    let questions: Vec<(Duration, u16, Name)> = (1..)
        .map_while(|turn| {
            let at = ASKED_EVERY * turn;
            let host = u16::try_from(turn % u32::from(HOSTS)).ok()?;
            (at < AT_MOST).then_some([(at, host, "a.example"), (at, host, "b.example")])
        })
        .flatten()
        .collect();
    let (outcome, captured) = taps.record(|| {
        thread::scope(|scope| {
            let committing = scope.spawn(|| {
                let outcome = commit_all(&firewall);
                done.store(true, Ordering::Relaxed);
                outcome
            });
            let sent = traffic.send_until(rate, &questions, || done.load(Ordering::Relaxed));
            committing
                .join()
                .map_err(|_| "the commits have panicked".into())
                .and_then(|outcome| outcome.map_err(|error| error.to_string()))
                .map(|took| (sent, took))
        })
    });
    let (sent, mut took) = outcome?;
    took.sort_unstable();
    let seconds: Duration = took.iter().sum();
    println!(
        "{COMMITS} commits in {:.1} s at {:.0} kpps, {:.0} % of the {:.0} kpps without loss; one takes {:.1} ms, p99 {:.1}",
        seconds.as_secs_f64(),
        rate / 1e3,
        LOAD * 100.0,
        capacity / 1e3,
        took[COMMITS / 2].as_secs_f64() * 1e3,
        took[COMMITS * 99 / 100].as_secs_f64() * 1e3,
    );
    let lost = sent - captured.crossed.len() as u64;
    println!(
        "sent {sent}, lost {lost} (frames missed by the taps: {})",
        captured.missed
    );
    let answered = |side: usize| {
        let all = captured.answers.iter();
        all.filter(|(_, _, address)| *address == SINKHOLES[side]).count()
    };
    let (threats, mixed) = verdicts(&firewall)?;
    println!(
        "names asked {}, answered by one {} and by the other {}, passed by the one that does not list them {}",
        captured.queries.len(),
        answered(0),
        answered(1),
        captured.queries_crossed
    );
    println!("of the last {threats} threat records, of parts of both: {mixed}");
    let judged = answered(0) + answered(1) + captured.queries_crossed;
    if mixed > 0 || threats == 0 || judged != captured.queries.len() {
        return Err("a verdict of a mix".into());
    }
    Ok(())
}

/// How long each took.
fn commit_all(firewall: &Firewall) -> std::io::Result<Vec<Duration>> {
    let mut control = firewall.control()?;
    let paths = [firewall.file("b.toml"), firewall.file("a.toml")];
    (0..COMMITS)
        .map(|turn| {
            let began = Instant::now();
            control.ask(&format!("commit {}", paths[turn % 2].display()))?;
            Ok(began.elapsed())
        })
        .collect()
}

/// How many threat records there are, and how many of them name rule, list and name of different configurations.
fn verdicts(firewall: &Firewall) -> Result<(usize, usize), Box<dyn Error>> {
    let answer = firewall.ask("show logs threat --limit 100000")?;
    let rows = answer["logs"].as_array().ok_or("no rows")?;
    let whole = |row: &Value| {
        ["a", "b"].into_iter().any(|side| {
            row["list"] == format!("list-{side}")
                && row["rule"] == format!("rule-{side}")
                && row["misc"] == format!("{side}.example")
        })
    };
    Ok((rows.len(), rows.iter().filter(|row| !whole(row)).count()))
}
