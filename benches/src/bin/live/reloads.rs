//! A thousand reloads under load by `commit`, and as many by SIGHUP, alternating two configurations: what is lost, and
//! whether anything was judged by parts of both.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt, fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Figure, Figures, Firewall};
use serde_json::Value;

use crate::{
    LOAD, capacity,
    capture::{Captured, Taps},
    traffic::{Name, Traffic},
};

/// `SIDE` stands for `a` or `b`: rule, profile, list and listed name.
const CONFIG: &str = include_str!("reloads.toml");
const RELOADS: usize = 1000;
const HOSTS: u16 = 1000;
/// What each configuration answers for the name on its list.
const SINKHOLES: [[u8; 4]; 2] = [[192, 0, 2, 10], [192, 0, 2, 11]];
/// Each configuration's name is asked for this often.
const ASKED_EVERY: Duration = Duration::from_millis(1);
/// How often it is asked whether a signal was obeyed.
const POLL: Duration = Duration::from_micros(500);
/// Longer than the reloads take.
const AT_MOST: Duration = Duration::from_mins(2);

/// How a configuration is put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Commit,
    Signal,
}

pub(crate) fn reloads() -> Result<(), Box<dyn Error>> {
    for by in [By::Commit, By::Signal] {
        reloads_by(by)?;
    }
    Ok(())
}

fn reloads_by(by: By) -> Result<(), Box<dyn Error>> {
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

    let questions: Vec<(Duration, u16, Name)> = (1..)
        .map_while(|turn| {
            let at = ASKED_EVERY * turn;
            let host = u16::try_from(turn % u32::from(HOSTS)).ok()?;
            (at < AT_MOST).then_some([(at, host, "a.example"), (at, host, "b.example")])
        })
        .flatten()
        .collect();
    let mut load = Load {
        rate,
        questions,
        traffic,
        taps,
    };
    let done = AtomicBool::new(false);
    let (took, reloading) = thread::scope(|scope| {
        let reloads = scope.spawn(|| {
            let outcome = reload_all(&firewall, by, &configs).map_err(|error| error.to_string());
            done.store(true, Ordering::Relaxed);
            outcome
        });
        let window = load.window(&firewall, |elapsed| {
            done.load(Ordering::Relaxed) || elapsed > AT_MOST
        })?;
        let took = reloads.join().map_err(|_| "the reloads have panicked")??;
        Ok::<_, Box<dyn Error>>((took, window))
    })?;
    // The same load for the same time, and nothing is reloaded: what is lost then is lost without reloads.
    let quiet = load.window(&firewall, |elapsed| elapsed >= reloading.length)?;
    tell_times(by, took, capacity);
    for (what, window) in [("with reloads", &reloading), ("without", &quiet)] {
        println!("{what}: {window}");
    }
    let captured = &reloading.captured;
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
    println!("queries lost: {}", captured.queries.len().saturating_sub(judged));
    if reloading.captured.missed > 0 || quiet.captured.missed > 0 {
        return Err("the taps have missed frames: nothing is known of others".into());
    }
    if mixed > 0 || threats == 0 || judged > captured.queries.len() {
        return Err("a verdict of a mix".into());
    }
    if reloading.lost() > quiet.lost() {
        return Err("frames were lost to reloads".into());
    }
    Ok(())
}

/// What the firewall carries meanwhile.
struct Load {
    rate: f64,
    questions: Vec<(Duration, u16, Name)>,
    traffic: Traffic,
    taps: Taps,
}

/// Some time under load.
struct Window {
    length: Duration,
    sent: u64,
    captured: Captured,
    /// What cordon says it has dropped.
    drops: BTreeMap<String, u64>,
}

impl Load {
    fn window(
        &mut self,
        firewall: &Firewall,
        enough: impl Fn(Duration) -> bool,
    ) -> Result<Window, Box<dyn Error>> {
        let before = drops(firewall)?;
        let Self {
            rate,
            questions,
            traffic,
            taps,
        } = self;
        let ((sent, length), captured) = taps.count(|| {
            let began = Instant::now();
            let sent = traffic.send_until(*rate, questions, || enough(began.elapsed()));
            (sent, began.elapsed())
        });
        let mut drops = drops(firewall)?;
        for (what, count) in &mut drops {
            *count -= before.get(what).copied().unwrap_or(0);
        }
        Ok(Window {
            length,
            sent,
            captured,
            drops,
        })
    }
}

impl Window {
    fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.captured.frames_crossed)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.sent.saturating_sub(self.captured.frames_arrived);
        write!(
            f,
            "sent {} in {:.1} s ({:.0} kpps), lost {}, of these {before} before the firewall; missed by the taps: {}; \
             dropped, as cordon says: {:?}",
            self.sent,
            self.length.as_secs_f64(),
            self.sent as f64 / self.length.as_secs_f64() / 1e3,
            self.lost(),
            self.captured.missed,
            self.drops,
        )
    }
}

fn drops(firewall: &Firewall) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let info = firewall.ask("show info")?;
    Ok(serde_json::from_value(info["drops"].clone())?)
}

fn tell_times(by: By, mut took: Vec<Duration>, capacity: f64) {
    took.sort_unstable();
    let seconds: Duration = took.iter().sum();
    let millis: Vec<f64> = took.iter().map(|one| one.as_secs_f64() * 1e3).collect();
    let what = format!("cordon, by {by:?}");
    Figures::of_this_run().keep(&Figure::of("A reload under load", &what, "ms", &millis, None));
    println!(
        "{RELOADS} reloads by {by:?} in {:.1} s at {:.0} % of the {:.0} kpps without loss; one takes {:.1} ms, p99 {:.1}",
        seconds.as_secs_f64(),
        LOAD * 100.0,
        capacity / 1e3,
        took[RELOADS / 2].as_secs_f64() * 1e3,
        took[RELOADS * 99 / 100].as_secs_f64() * 1e3,
    );
}

/// How long each took.
fn reload_all(firewall: &Firewall, by: By, configs: &[String; 2]) -> std::io::Result<Vec<Duration>> {
    let mut control = firewall.control()?;
    let [a, b] = ["a", "b"];
    let reload = |turn: usize| {
        let side = [b, a][turn % 2];
        let began = Instant::now();
        match by {
            By::Commit => {
                let file = firewall.file(&format!("{side}.toml"));
                control.ask(&format!("commit {}", file.display()))?;
            }
            By::Signal => {
                let (new, running) = (firewall.file("new.toml"), firewall.file("cordon.toml"));
                fs::write(&new, &configs[usize::from(side == b)])?;
                fs::rename(new, running)?;
                firewall.hang_up()?;
                // Nobody answers a signal: the rules tell when it was obeyed.
                let rule = format!("rule-{side}");
                while control.ask("show rules")?["security"][0]["name"] != rule.as_str() {
                    if began.elapsed() > AT_MOST {
                        return Err(std::io::Error::other("a signal was not obeyed"));
                    }
                    thread::sleep(POLL);
                }
            }
        }
        Ok(began.elapsed())
    };
    (0..RELOADS).map(reload).collect()
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
