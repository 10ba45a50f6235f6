//! cordon on a live wire: what a kill loses, and what a commit disturbs.

#[expect(dead_code, reason = "the demo uses the rest")]
mod lab;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use lab::{HEALTHY, Lab, Outcome, WEB, on, text, within};
use ports::live::Namespace;

const CONFIG: &str = include_str!("../examples/live_quarantine.toml");

/// The lab, where this user may lay cables.
fn lab() -> Outcome<Option<Lab>> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(None);
    }
    let mut lab = Lab::new(
        Path::new(env!("CARGO_BIN_EXE_cordon")),
        CONFIG,
        &["golfsource.us"],
    )?;
    lab.start()?;
    Ok(Some(lab))
}

fn tagged(lab: &Lab) -> Outcome<BTreeSet<String>> {
    let answer = lab.ask(&["show", "tags"])?;
    let rows = answer["tags"].as_array().into_iter().flatten();
    Ok(rows
        .filter_map(|row| row["subject"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn a_kill_loses_no_confirmed_tag() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    let mut confirmed = BTreeSet::new();
    for round in 0..100_u32 {
        for place in 0..4_u32 {
            let subject = format!("10.{}.{}.{place}", round / 250, round % 250);
            lab.ask(&["tag", "add", &subject, "infected-host"])?;
            confirmed.insert(subject);
        }
        let cordon = lab.process().ok_or("cordon does not run")?;
        cordon.kill()?;
        cordon.wait()?;
        lab.start()?;
    }
    assert_eq!(tagged(&lab)?, confirmed);
    Ok(())
}

#[test]
fn commits_cost_no_packet() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let config = lab.file("cordon.toml").display().to_string();
    let count = "400";
    let ping = lab
        .healthy
        .command("ping")
        .args(["-q", "-i", "0.01", "-c", count, WEB[0]])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut commits = 0;
    for _ in 0..200 {
        lab.ask(&["commit", &config])?;
        commits += 1;
    }
    let outcome = text(&ping.wait_with_output()?);
    assert!(
        outcome.contains(&format!("{count} packets transmitted, {count} received")),
        "{commits} commits: {outcome}"
    );
    // A session of an older configuration goes on under the newest.
    assert!(lab.ask(&["show", "info"])?["generation"].as_u64() > Some(200));
    Ok(())
}

#[test]
fn every_frame_has_a_verdict() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    for server in WEB {
        assert!(lab::browses(&lab.healthy, server)?);
    }
    on(&lab.healthy, "ping", &["-q", "-i", "0.01", "-c", "50", WEB[0]])?;
    within(Duration::from_secs(5), "as many verdicts as frames", || {
        let (Ok(info), Ok(counters)) = (lab.ask(&["show", "info"]), lab.ask(&["show", "counters"])) else {
            return false;
        };
        let sum = |rows: &serde_json::Value, key: &str| -> u64 {
            let rows = rows.as_array().into_iter().flatten();
            rows.filter_map(|row| row[key].as_u64()).sum()
        };
        let received = sum(&info["interfaces"], "rx_frames");
        let frames = &counters["frames"];
        let dropped = frames["dropped"].as_object().into_iter().flatten();
        let dropped: u64 = dropped.filter_map(|(_, count)| count.as_u64()).sum();
        let judged = ["forwarded", "answered", "consumed"]
            .iter()
            .filter_map(|key| frames[key].as_u64())
            .sum::<u64>()
            + dropped;
        received > 100 && received == judged
    })?;
    let sessions = lab.ask(&["show", "sessions", &format!("(addr.src in {})", HEALTHY[0])])?;
    assert!(
        !sessions["sessions"].as_array().is_none_or(Vec::is_empty),
        "{sessions}"
    );
    Ok(())
}

#[test]
fn a_question_to_a_running_firewall_knows_its_tags() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let words = [
        "test",
        "security-policy-match",
        "--source",
        HEALTHY[0],
        "--destination",
        WEB[0],
        "--application",
        "ssl",
    ];
    let answer = lab.ask(&words)?;
    assert_eq!(
        (&answer["rule"], &answer["action"]),
        (&"egress-outside".into(), &"allow".into())
    );
    lab.ask(&["tag", "add", HEALTHY[0], "infected-host"])?;
    let answer = lab.ask(&words)?;
    assert_eq!(answer["rule"], "Quarantine-Infected-Devices");
    assert_eq!(answer["session"]["src_tags"][0], "infected-host");
    let answer = lab.ask(&["test", "dns", "golfsource.us"])?;
    assert_eq!(answer["names"][0]["profiles"][0]["action"], "sinkhole");
    let answer = lab.ask(&[
        "test",
        "decryption-policy-match",
        "--source",
        HEALTHY[0],
        "--destination",
        WEB[0],
    ])?;
    assert_eq!(answer["action"], "no-decrypt");
    // A name that no configuration and no command has used is not taken up from here.
    let odd = [&words[..], &["--source-tag", "never-seen"]].concat();
    let error = lab.ask(&odd).err().ok_or("was not refused")?.to_string();
    assert!(error.contains("there is no tag in use `never-seen`"), "{error}");
    // Whatever comes over the socket is answered.
    for (words, says) in [
        ("test", "subcommand"),
        ("test dns", "required"),
        ("test dns fw.toml --records /etc/shadow a", "unexpected argument"),
        ("test filter fw.toml threat", "unrecognized subcommand"),
    ] {
        let mut socket = UnixStream::connect(lab.socket())?;
        socket.write_all(format!("{words}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line)?;
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        assert_eq!(answer["error"]["code"], "usage", "{words}: {line}");
        assert!(line.contains(says), "{words}: {line}");
    }
    Ok(())
}
