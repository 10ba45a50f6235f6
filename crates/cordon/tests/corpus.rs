//! Every capture of the shared corpus against what an independent oracle says of it.
//!
//! Runs where `CORDON_SHARED` names the folder that holds `pcaps/` and `design/`; says so where it does not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers stop it where anything is amiss"
)]

#[path = "corpus/applications.rs"]
mod applications;
#[path = "corpus/tls.rs"]
mod tls;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The corpus; `None` where nobody has given one. One that was given and is not there fails.
fn shared() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("CORDON_SHARED") else {
        eprintln!("skipped: CORDON_SHARED is not set");
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(
        folder.join("pcaps/oracle").is_dir(),
        "CORDON_SHARED is {}, which holds no pcaps",
        folder.display()
    );
    Some(folder)
}

fn oracle(shared: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(shared.join("pcaps/oracle"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

/// A folder with the open configuration and these names on its list.
struct Lab {
    folder: tempfile::TempDir,
}

struct Outcome {
    summary: Value,
    records: Vec<Value>,
    logs: Vec<u8>,
    written: Vec<u8>,
    code: i32,
}

impl Lab {
    fn new(shared: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lists")).unwrap();
        fs::copy(shared.join("design/open.toml"), folder.path().join("open.toml")).unwrap();
        Self { folder }
    }

    fn replay(&self, captures: &[PathBuf], names: &BTreeSet<String>, workers: usize) -> Outcome {
        let file = |name: &str| self.folder.path().join(name);
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        fs::write(file("lists/dns-sinkhole.txt"), list.join("\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_cordon"))
            .arg("replay")
            .arg(file("open.toml"))
            .arg("--pcap")
            .args(captures)
            .arg("--logs")
            .arg(file("logs.jsonl"))
            .arg("--write")
            .arg(file("out.pcap"))
            .args(["--json", "--workers", &workers.to_string()])
            .output()
            .unwrap();
        let code = output.status.code().expect("killed by a signal");
        assert!(
            code == 0 || code == 1,
            "{captures:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let logs = fs::read(file("logs.jsonl")).unwrap();
        Outcome {
            summary: serde_json::from_slice(&output.stdout).unwrap(),
            records: logs
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect(),
            logs,
            written: fs::read(file("out.pcap")).unwrap_or_default(),
            code,
        }
    }
}

fn sum(frames: &Value) -> u64 {
    ["forwarded", "answered", "consumed", "held"]
        .iter()
        .map(|key| frames[key].as_u64().unwrap())
        .sum::<u64>()
        + frames["dropped"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>()
}

fn five_tuples(records: &[Value], protocol: &str) -> usize {
    let tuples: BTreeSet<_> = records
        .iter()
        .filter(|record| record["type"] == "traffic" && record["proto"] == protocol)
        .map(|record| {
            let mut ends = [
                (record["src"].to_string(), record["sport"].to_string()),
                (record["dst"].to_string(), record["dport"].to_string()),
            ];
            ends.sort();
            ends
        })
        .collect();
    tuples.len()
}

#[test]
fn every_capture_is_accounted_for() {
    let Some(shared) = shared() else { return };
    let lab = Lab::new(&shared);
    let table = include_str!("five_tuples.tsv");
    let explained: BTreeSet<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .collect();
    let mut different = BTreeSet::new();
    let oracle = oracle(&shared);
    for facts in &oracle {
        let name = facts["name"].as_str().unwrap();
        let outcome = lab.replay(&[shared.join("pcaps").join(name)], &BTreeSet::new(), 1);
        let packets = outcome.summary["packets"].as_u64().unwrap();
        assert_eq!(
            sum(&outcome.summary["frames"]),
            packets,
            "{name}: a frame is unaccounted for"
        );
        match facts["file"]["packets"].as_u64() {
            Some(counted) => assert_eq!(packets, counted, "{name}"),
            None => assert_eq!(outcome.code, 1, "{name}: unreadable, and accepted"),
        }
        let tuples = [
            five_tuples(&outcome.records, "tcp"),
            five_tuples(&outcome.records, "udp"),
        ];
        let expected = ["tcp_5tuples", "udp_5tuples"]
            .map(|key| usize::try_from(facts["conversations"][key].as_u64().unwrap()).unwrap());
        if tuples != expected {
            different.insert(name);
        }
    }
    assert_eq!(oracle.len(), 245);
    assert_eq!(
        different, explained,
        "five-tuples differ where nobody explains it, or no longer do"
    );
}

#[test]
fn every_name_that_was_asked_for_is_sinkholed() {
    let Some(shared) = shared() else { return };
    let lab = Lab::new(&shared);
    // Inside a tunnel that cannot be answered in (blocked), in a frame whose length lies, or no name at all as the oracle shows it.
    let elsewhere = [
        "tunnel/6-4-gre-ppp-udp-4-dns.pcap",
        "malformed/ipv4_invalid_total_length.pcap",
        "dns/dns-invalid-names.pcap",
    ];
    let mut captures = 0;
    for facts in oracle(&shared) {
        let name = facts["name"].as_str().unwrap();
        let asked = ["udp", "tcp"]
            .iter()
            .filter_map(|transport| facts["dns"][transport]["queries"].as_array());
        // Bytes outside ASCII are shown by the oracle in a form that cannot be turned back.
        let names: BTreeSet<String> = asked
            .flatten()
            .filter_map(|query| query["name"].as_str())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() || elsewhere.contains(&name) {
            continue;
        }
        captures += 1;
        let outcome = lab.replay(&[shared.join("pcaps").join(name)], &names, 1);
        let sinkholed: BTreeSet<String> = outcome
            .records
            .iter()
            .filter(|record| record["type"] == "threat" && record["action"] == "sinkhole")
            .map(|record| record["misc"].as_str().unwrap().to_ascii_lowercase())
            .collect();
        let missed: Vec<_> = names.difference(&sinkholed).collect();
        assert!(missed.is_empty(), "{name}: {missed:?}");
    }
    assert!(captures > 30, "only {captures} captures with names");
}

#[test]
fn any_number_of_workers_writes_the_same_bytes() {
    let Some(shared) = shared() else { return };
    let lab = Lab::new(&shared);
    let folders = ["dns", "tls", "http", "mixed", "ip", "tunnel"];
    let captures: Vec<PathBuf> = oracle(&shared)
        .iter()
        .map(|facts| facts["name"].as_str().unwrap().to_owned())
        .filter(|name| folders.iter().any(|folder| name.starts_with(folder)))
        .map(|name| shared.join("pcaps").join(name))
        .collect();
    let names = BTreeSet::from(["facebook.com", "www.google.com", "example.com"].map(str::to_owned));
    let one = lab.replay(&captures, &names, 1);
    assert!(one.logs.len() > 100_000 && one.written.len() > 100_000);
    for workers in [2, 4, 64] {
        let many = lab.replay(&captures, &names, workers);
        assert!(one.logs == many.logs, "{workers} workers write other logs");
        assert!(
            one.written == many.written,
            "{workers} workers write other frames"
        );
        assert_eq!(
            many.summary["frames_by_worker"].as_array().unwrap().len(),
            workers
        );
        assert_eq!(one.summary["frames"], many.summary["frames"]);
    }
}
