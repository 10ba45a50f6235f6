//! `cordon replay` as a whole process: beside tcpdump over the same capture, and with two workers beside one. And
//! the sinkhole's replies from frames in memory.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark: it prints, and may stop"
)]

mod captures;
mod sinkhole;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use cordon_benches::{Figure, Figures};

/// Runs of each, in turn.
const ROUNDS: usize = 5;
const FLOWS: u32 = 10_000;
const LISTED: u32 = 100_000;

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let lab = Lab::new();
    let captures = lab.captures(&only);
    for capture in &captures {
        lab.compare(capture);
    }
    if "sinkhole".contains(&only) {
        sinkhole::replies(lab.folder.path());
    }
}

struct Capture {
    title: &'static str,
    config: &'static str,
    path: PathBuf,
    frames: u64,
}

struct Lab {
    folder: tempfile::TempDir,
    names: Vec<String>,
    figures: Figures,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = (0..LISTED)
            .map(|number| format!("c{number}.evil-{}.example", number % 977))
            .collect();
        fs::write(folder.path().join("names.txt"), names.join("\n")).expect("a list");
        let configs = [
            ("cordon.toml", include_str!("replay.toml")),
            ("open.toml", include_str!("open.toml")),
        ];
        for (name, config) in configs {
            fs::write(folder.path().join(name), config).expect("a configuration");
        }
        Self {
            folder,
            names,
            figures: Figures::of_this_run(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn captures(&self, only: &str) -> Vec<Capture> {
        let mut made = Vec::new();
        let mut make = |title, name: &str, config, write: &dyn Fn(&Path) -> std::io::Result<u64>| {
            let capture = Capture {
                title,
                config,
                path: self.file(name),
                frames: 0,
            };
            if capture.title.contains(only) {
                let frames = write(&capture.path).expect("a capture");
                made.push(Capture { frames, ..capture });
            }
        };
        let small = "established, 60-byte frames, 10,000 flows";
        make(small, "small.pcap", "open.toml", &|path| {
            captures::established(path, FLOWS, 3_000_000, &[(60, 1)])
        });
        let imix = "established, IMIX, 10,000 flows";
        make(imix, "imix.pcap", "open.toml", &|path| {
            captures::established(path, FLOWS, 1_500_000, &[(60, 7), (590, 4), (1514, 1)])
        });
        let mix = "realistic mix: 5 % DNS beside a list of 100,000 names, TLS hellos, all sessions whole";
        make(mix, "mix.pcap", "cordon.toml", &|path| {
            captures::mix(path, 1_500_000, &self.names)
        });
        made
    }

    fn compare(&self, capture: &Capture) {
        let Capture {
            title,
            config,
            path,
            frames,
        } = capture;
        let (mut one, mut two, mut tcpdump) = (Vec::new(), Vec::new(), Vec::new());
        let empty = self.replay(config, None, 1);
        for round in 0..=ROUNDS {
            let times = (
                self.replay(config, Some(path), 1),
                self.replay(config, Some(path), 2),
                tcpdump_of(path),
            );
            // The first warms the file up.
            if round > 0 {
                one.push(times.0);
                two.push(times.1);
                tcpdump.extend(times.2);
            }
        }
        let rate = |times: &[f64]| *frames as f64 / median(times.to_vec()) / 1e6;
        let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to).collect());
        let rates = |times: &[f64]| {
            times
                .iter()
                .map(|time| *frames as f64 / time / 1e6)
                .collect::<Vec<_>>()
        };
        for (what, times) in [
            ("tcpdump", &tcpdump),
            ("cordon, one worker", &one),
            ("cordon, two workers", &two),
        ] {
            let peer = rates(&tcpdump);
            let peer = Some(&*peer).filter(|peer| what != "tcpdump" && !peer.is_empty());
            if !times.is_empty() {
                self.figures
                    .keep(&Figure::of(title, what, "M packets/s", &rates(times), peer));
            }
        }
        println!("\n{title}: {frames} frames, `replay --logs`, whole process (median of {ROUNDS})");
        println!(
            "one worker  {:6.2} M packets/s; two {:6.2}, {:.2} times as fast; without a frame {:.0} ms",
            rate(&one),
            rate(&two),
            ratio(&one, &two),
            empty * 1e3
        );
        if tcpdump.is_empty() {
            println!("tcpdump     skipped: tcpdump not installed");
        } else {
            println!(
                "tcpdump     {:6.2} M packets/s; cordon is {:.2} times as fast",
                rate(&tcpdump),
                ratio(&tcpdump, &one)
            );
        }
    }

    /// The seconds that a replay takes; without a capture, what starting takes.
    fn replay(&self, config: &str, capture: Option<&Path>, workers: usize) -> f64 {
        let empty = self.file("empty.pcap");
        if !empty.exists() {
            captures::established(&empty, 1, 0, &[(60, 1)]).expect("a capture");
        }
        // Built beside the benchmarks.
        let binary = std::env::current_exe().expect("a place").with_file_name("cordon");
        let mut command = Command::new(binary);
        command.arg("replay").arg(self.file(config));
        command.arg("--pcap").arg(capture.unwrap_or(&empty));
        command.arg("--logs").arg(self.file("logs.jsonl"));
        command.args(["--workers", &workers.to_string()]);
        seconds_of(&mut command).expect("cordon, built beside the benchmarks")
    }
}

/// The seconds that tcpdump takes to look through a capture; `None` where it is not installed.
fn tcpdump_of(capture: &Path) -> Option<f64> {
    let mut command = Command::new("tcpdump");
    command
        .arg("-r")
        .arg(capture)
        .args(["-w", "/dev/null", "udp port 53"]);
    seconds_of(&mut command)
}

fn seconds_of(command: &mut Command) -> Option<f64> {
    let start = Instant::now();
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "{command:?} failed");
    Some(start.elapsed().as_secs_f64())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
