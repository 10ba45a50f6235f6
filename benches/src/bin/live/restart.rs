//! How long it takes after `kill -9` until a firewall with a hundred thousand tags answers and enforces.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Figure, Figures, Firewall};

use crate::{capture::Taps, enforcement::CONFIG, traffic::Traffic};

const TAGS: u32 = 100_000;
const ROUNDS: usize = 3;
/// Commands on their way before their answers are read.
const AHEAD: u32 = 100;
/// Hosts that send: every second one is tagged.
const HOSTS: u16 = 2;

pub(crate) fn restart() -> Result<(), Box<dyn Error>> {
    let cable = Cable::lay()?;
    let mut firewall = Firewall::new(CONFIG, &[("names.txt", "listed.example\n")])?;
    firewall.start(&cable.firewall, 1)?;
    let began = Instant::now();
    let mut control = firewall.control()?;
    for block in 0..TAGS / AHEAD {
        for place in 0..AHEAD {
            let number = block * AHEAD + place;
            let subject = if number == 0 {
                "10.1.0.0".to_owned()
            } else {
                format!(
                    "10.{}.{}.{}",
                    100 + (number >> 16),
                    (number >> 8) & 255,
                    number & 255
                )
            };
            control.send(&format!("tag add {subject} infected-host"))?;
        }
        for _ in 0..AHEAD {
            control.answer()?;
        }
    }
    println!("{TAGS} tags by hand in {:.1} s", began.elapsed().as_secs_f64());
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        firewall.kill()?;
        let began = Instant::now();
        firewall.spawn(&cable.firewall, 1)?;
        firewall.wait()?;
        let answers = began.elapsed();
        // Frames of a tagged host and of another, until the other's cross.
        let mut taps = Taps::open(&cable)?;
        let mut traffic = Traffic::new(&cable, HOSTS)?;
        let (_, captured) = taps.record(|| traffic.send(1000.0, Duration::from_millis(100), &[]));
        let first = captured.crossed.first().ok_or("nothing crosses")?;
        let tagged = captured.crossed.iter().filter(|seen| seen.host == 0).count();
        let tags = firewall.ask("show info")?["tags"]["subjects"].as_u64();
        if tagged > 0 || tags != Some(TAGS.into()) || first.host != 1 {
            return Err(format!("{tagged} frames of a tagged host crossed, {tags:?} tags").into());
        }
        rounds.push(answers);
    }
    rounds.sort_unstable();
    let seconds: Vec<f64> = rounds.iter().map(Duration::as_secs_f64).collect();
    let title = format!("kill -9 with {TAGS} tags, until it answers and enforces");
    Figures::of_this_run().keep(&Figure::of(&title, "cordon", "s", &seconds, None));
    println!(
        "kill -9, then until it answers and enforces: {:.2} s ({:.2}-{:.2})",
        rounds[ROUNDS / 2].as_secs_f64(),
        rounds[0].as_secs_f64(),
        rounds[ROUNDS - 1].as_secs_f64()
    );
    Ok(())
}
