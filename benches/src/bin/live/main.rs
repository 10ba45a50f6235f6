//! The live firewall under load, as a process of its own between two veth pairs: how soon a host that gave itself
//! away is cut off, what a thousand commits cost, and how long a restart takes. Needs root.
//!
//! `live` runs all; `live enforcement`, `live reloads` and `live restart` one of them.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

mod capture;
mod enforcement;
mod reloads;
mod restart;
mod traffic;

use std::{error::Error, time::Duration};

use ports::live::Namespace;

use capture::Taps;
use traffic::Traffic;

type Benchmark = fn() -> Result<(), Box<dyn Error>>;

/// The load, as part of what is carried without loss.
const LOAD: f64 = 0.8;

fn main() -> Result<(), Box<dyn Error>> {
    if !Namespace::permitted()? {
        println!("live: skipped, needs root");
        return Ok(());
    }
    let wanted = std::env::args().nth(1);
    let all: [(&str, Benchmark); 3] = [
        ("enforcement", enforcement::enforcement),
        ("reloads", reloads::reloads),
        ("restart", restart::restart),
    ];
    for (name, run) in all {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            println!("== {name}");
            run()?;
        }
    }
    Ok(())
}

/// Frames a second that cross without loss: the highest rate of a search by halves.
fn capacity(traffic: &mut Traffic, taps: &mut Taps) -> f64 {
    const STEPS: usize = 7;
    /// Long enough that the firewall's own rings do not pass for what it carries.
    const TRIAL: Duration = Duration::from_millis(1500);
    // The first frames make sessions; they are not counted.
    let (offered, _) = taps.count(|| traffic.send_all_you_can(TRIAL / 2));
    let (mut carried, mut too_much) = (0.0, offered);
    for _ in 0..STEPS {
        let rate = f64::midpoint(carried, too_much);
        let (sent, captured) = taps.count(|| traffic.send(rate, TRIAL, &[]));
        if captured.frames_crossed >= sent {
            carried = rate;
        } else {
            too_much = rate;
        }
    }
    carried
}
