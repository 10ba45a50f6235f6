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

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// Runs of each, in turn.
const ROUNDS: usize = 5;
const FLOWS: u32 = 10_000;
const LISTED: u32 = 100_000;

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let lab = Lab::new();
    let captures = lab.captures(&only);
    for (title, path, frames) in &captures {
        lab.compare(title, path, *frames);
    }
}

struct Lab {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = (0..LISTED)
            .map(|number| format!("c{number}.evil-{}.example", number % 977))
            .collect();
        fs::write(folder.path().join("names.txt"), names.join("\n")).expect("a list");
        let config = include_str!("replay.toml");
        fs::write(folder.path().join("cordon.toml"), config).expect("a configuration");
        Self { folder, names }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn captures(&self, only: &str) -> Vec<(String, PathBuf, u64)> {
        let mut made = Vec::new();
        let mut make = |title: &str, name: &str, write: &dyn Fn(&Path) -> std::io::Result<u64>| {
            if title.contains(only) {
                let path = self.file(name);
                let frames = write(&path).expect("a capture");
                made.push((title.to_owned(), path, frames));
            }
        };
        make(
            "established, 60-byte frames, 10,000 flows",
            "small.pcap",
            &|path| captures::established(path, FLOWS, 3_000_000, &[(60, 1)]),
        );
        make("established, IMIX, 10,000 flows", "imix.pcap", &|path| {
            captures::established(path, FLOWS, 1_500_000, &[(60, 7), (590, 4), (1514, 1)])
        });
        make(
            "realistic mix: 5 % DNS, TLS hellos, every session from its first frame to its last",
            "mix.pcap",
            &|path| captures::mix(path, 1_500_000, &self.names),
        );
        made
    }

    fn compare(&self, title: &str, capture: &Path, frames: u64) {
        let (mut one, mut two, mut tcpdump) = (Vec::new(), Vec::new(), Vec::new());
        let empty = self.replay(None, 1);
        for round in 0..=ROUNDS {
            let times = (
                self.replay(Some(capture), 1),
                self.replay(Some(capture), 2),
                tcpdump_of(capture),
            );
            // The first warms the file up.
            if round > 0 {
                one.push(times.0);
                two.push(times.1);
                tcpdump.extend(times.2);
            }
        }
        let rate = |times: &[f64]| frames as f64 / median(times.to_vec()) / 1e6;
        let ratio = |of: &[f64], to: &[f64]| median(of.iter().zip(to).map(|(of, to)| of / to).collect());
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
    fn replay(&self, capture: Option<&Path>, workers: usize) -> f64 {
        let empty = self.file("empty.pcap");
        if !empty.exists() {
            captures::established(&empty, 1, 0, &[(60, 1)]).expect("a capture");
        }
        // Built beside the benchmarks.
        let binary = std::env::current_exe().expect("a place").with_file_name("cordon");
        let mut command = Command::new(binary);
        command.arg("replay").arg(self.file("cordon.toml"));
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
