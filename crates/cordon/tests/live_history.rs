//! Commits of a running firewall: compared, taken back, confirmed or not, and kept over a kill.

#[expect(dead_code, reason = "the demo uses the rest")]
mod lab;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use lab::{Lab, Outcome, WEB, within};
use ports::live::Namespace;
use serde_json::Value;

const CONFIG: &str = include_str!("../examples/live_quarantine.toml");
const PATIENCE: Duration = Duration::from_secs(20);

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
    // The candidate forbids everything.
    fs::write(lab.file("closed.toml"), closed())?;
    lab.start()?;
    Ok(Some(lab))
}

fn closed() -> String {
    CONFIG.replace("action = \"allow\"", "action = \"deny\"")
}

fn file(lab: &Lab, name: &str) -> String {
    lab.file(name).display().to_string()
}

fn browses(lab: &Lab) -> Outcome<bool> {
    lab::browses(&lab.healthy, WEB[0])
}

/// `number state` of every commit, newest first.
fn commits(lab: &Lab) -> Outcome<Vec<String>> {
    let answer = lab.ask(&["show", "commits"])?;
    let rows = answer["commits"].as_array().into_iter().flatten();
    Ok(rows
        .map(|row| {
            let state = row["state"].as_str().unwrap_or_default();
            format!(
                "{} {}",
                row["number"],
                state.split(',').next().unwrap_or_default()
            )
        })
        .collect())
}

/// `cmd before>after result` of every config record, oldest first.
fn changes(lab: &Lab) -> Outcome<Vec<String>> {
    let answer = lab.ask(&["show", "logs", "config"])?;
    let rows = answer["logs"].as_array().into_iter().flatten();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Ok(rows
        .rev()
        .map(|row| {
            let [cmd, before, after, result] = ["cmd", "before", "after", "result"].map(|key| text(row, key));
            format!("{cmd} {before}>{after} {result}")
        })
        .collect())
}

fn told(lab: &Lab, event: &str) -> bool {
    let filter = format!("(event eq {event})");
    lab.ask(&["show", "logs", "system", &filter])
        .is_ok_and(|answer| answer["logs"].as_array().is_some_and(|rows| !rows.is_empty()))
}

#[test]
fn a_commit_is_compared_put_in_force_and_taken_back() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    assert!(browses(&lab)?);
    assert_eq!(commits(&lab)?, ["1 running"]);
    assert_eq!(lab.ask(&["diff"])?["different"], false);
    assert_eq!(lab.tell(&["diff"])?, "");
    let closed = file(&lab, "closed.toml");
    let difference = lab.tell(&["diff", &closed])?;
    assert!(
        difference.contains("\n-action = \"allow\"\n+action = \"deny\"\n"),
        "{difference}"
    );
    assert!(
        difference.starts_with("--- running (commit 1)\n+++ "),
        "{difference}"
    );

    let answer = lab.ask(&["commit", &closed, "--comment", "nobody browses"])?;
    assert_eq!(answer["number"], 2);
    assert!(!browses(&lab)?);
    assert_eq!(commits(&lab)?, ["2 running", "1 "]);
    // As it was committed, and for nobody else to read.
    let kept = lab.file("state/configs/000002.toml");
    assert_eq!(fs::read_to_string(&kept)?, crate::closed());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept)?.permissions());
    assert_eq!(mode & 0o777, 0o600);
    // The same once more is no further commit.
    assert_eq!(lab.ask(&["commit", &closed])?["number"], 2);

    // Its file is lost, and it returns all the same, with its list.
    fs::remove_file(lab.file("cordon.toml"))?;
    let answer = lab.ask(&["rollback"])?;
    assert_eq!((&answer["number"], &answer["restored"]), (&3.into(), &1.into()));
    assert!(browses(&lab)?);
    assert_eq!(
        lab.ask(&["diff", "--from", "1", "--to", "3"])?["different"],
        false
    );
    assert_eq!(lab.ask(&["diff", "--from", "2"])?["added"], 1);
    // Once more leads back to what was in force before.
    assert_eq!(lab.ask(&["rollback", "1"])?["restored"], 2);
    assert_eq!(lab.ask(&["rollback", "--to", "3"])?["number"], 5);
    assert_eq!(commits(&lab)?, ["5 running", "4 ", "3 ", "2 ", "1 "]);
    assert_eq!(
        changes(&lab)?,
        [
            "run >1 succeeded",
            "commit 1>2 succeeded",
            "commit 2>2 succeeded",
            "rollback 1 2>3 succeeded",
            "rollback 1 3>4 succeeded",
            "rollback to 3 4>5 succeeded",
        ]
    );
    let newest = &lab.ask(&["show", "commits"])?["commits"][0];
    assert_eq!(newest["comment"], "rollback to commit 3");
    assert!(
        newest["admin"]
            .as_str()
            .is_some_and(|admin| admin.contains("root")),
        "{newest}"
    );
    Ok(())
}

#[test]
fn a_rollback_is_refused_where_a_commit_would_be() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let refused = |words: &[&str], says: &str| -> Outcome<()> {
        let error = lab.ask(words).err().ok_or("was not refused")?.to_string();
        assert!(error.contains(says), "{words:?}: {error}");
        Ok(())
    };
    refused(&["rollback"], "there is no earlier commit")?;
    refused(&["rollback", "--to", "7"], "there is no commit 7")?;
    refused(&["rollback", "--to", "1"], "commit 1 is in force already")?;
    refused(&["diff", "--to", "7"], "there is no commit 7")?;
    refused(&["diff", "/nowhere.toml"], "there is no such file")?;
    refused(&["confirm"], "no commit waits to be confirmed")?;
    // The list that commit 1 needs is gone by then.
    fs::write(lab.file("other.txt"), "a.example\n")?;
    let other = closed().replace("names.txt", "other.txt");
    fs::write(lab.file("closed.toml"), other)?;
    lab.ask(&["commit", &file(&lab, "closed.toml")])?;
    fs::remove_file(lab.file("names.txt"))?;
    refused(&["rollback"], "names.txt")?;
    refused(&["rollback"], "configs/000001.toml")?;
    assert_eq!(commits(&lab)?, ["2 running", "1 "]);
    // A commit whose file was changed on the disk never returns.
    fs::write(lab.file("names.txt"), "golfsource.us\n")?;
    fs::write(lab.file("state/configs/000001.toml"), "# anything\n")?;
    refused(&["rollback"], "commit 1 is skipped")?;
    assert!(!browses(&lab)?);
    Ok(())
}

#[test]
fn a_commit_that_nobody_confirms_is_taken_back() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    let config = file(&lab, "cordon.toml");
    let closed = file(&lab, "closed.toml");
    let answer = lab.ask(&["commit", &closed, "--confirm-within", "3s"])?;
    assert!(
        answer["confirm_by"].as_str().is_some_and(|time| !time.is_empty()),
        "{answer}"
    );
    assert!(!browses(&lab)?);
    let error = lab
        .ask(&["commit", &config])
        .err()
        .ok_or("was not refused")?
        .to_string();
    assert!(error.contains("commit 2 waits until"), "{error}");
    within(PATIENCE, "the configuration before it returns", || {
        commits(&lab).is_ok_and(|commits| commits == ["3 running", "2 not confirmed", "1 "])
    })?;
    assert!(browses(&lab)?);
    assert!(told(&lab, "commit-not-confirmed"));
    let last = changes(&lab)?.pop();
    assert_eq!(last.as_deref(), Some("confirm-timeout 2>3 succeeded"));

    // Confirmed in time it stays.
    lab.ask(&["commit", &closed, "--confirm-within", "1h"])?;
    assert_eq!(lab.ask(&["confirm"])?["confirmed"], 4);
    assert_eq!(commits(&lab)?.first().map(String::as_str), Some("4 running"));
    // Taken back by hand it does not wait any longer.
    lab.ask(&["commit", &config, "--confirm-within", "1h"])?;
    assert_eq!(lab.ask(&["rollback"])?["restored"], 4);
    assert!(lab.ask(&["confirm"]).is_err());
    assert!(!browses(&lab)?);
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}

#[test]
fn a_kill_before_it_was_confirmed_takes_it_back() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    // As administrators do: the file that the service names is edited, and committed.
    let config = file(&lab, "cordon.toml");
    fs::write(&config, closed())?;
    lab.ask(&["commit", &config, "--confirm-within", "1h"])?;
    assert!(!browses(&lab)?);
    let cordon = lab.process().ok_or("cordon does not run")?;
    cordon.kill()?;
    cordon.wait()?;
    lab.start()?;
    assert_eq!(commits(&lab)?, ["3 running", "2 not confirmed", "1 "]);
    assert!(browses(&lab)?);
    assert!(told(&lab, "commit-not-confirmed"));
    assert_eq!(changes(&lab)?.pop().as_deref(), Some("run 2>3 succeeded"));
    // Committed for good, it starts again.
    lab.ask(&["commit", &config])?;
    assert_eq!(lab.stop()?, Some(0));
    lab.start()?;
    assert_eq!(commits(&lab)?.first().map(String::as_str), Some("4 running"));
    assert!(!browses(&lab)?);
    Ok(())
}

#[test]
fn a_kill_while_committing_loses_no_answered_commit() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    let files = ["cordon.toml", "closed.toml"].map(|name| file(&lab, name));
    let texts = [CONFIG.to_owned(), closed()];
    let mut answered = BTreeMap::new();
    for round in 0..10_u64 {
        let process = lab.process().ok_or("cordon does not run")?.id().to_string();
        thread::scope(|scope| -> Outcome<()> {
            let killer = scope.spawn(move || {
                thread::sleep(Duration::from_millis(40 + 7 * round));
                Command::new("kill").args(["-9", &process]).status()
            });
            for turn in (0..2).cycle() {
                // The first refusal is the kill.
                let Ok(answer) = lab.ask(&["commit", &files[turn], "--comment", "again"]) else {
                    break;
                };
                answered.insert(answer["number"].as_u64().ok_or("no number")?, turn);
            }
            killer.join().map_err(|_| "the killer panicked")??;
            Ok(())
        })?;
        lab.process().ok_or("cordon does not run")?.wait()?;
        lab.start()?;
        let answer = lab.ask(&["show", "commits"])?;
        let rows = answer["commits"].as_array().into_iter().flatten();
        let kept: BTreeSet<u64> = rows.filter_map(|row| row["number"].as_u64()).collect();
        // The oldest may have made room.
        let oldest = kept.first().copied().unwrap_or_default();
        for (number, turn) in answered.range(oldest..) {
            assert!(kept.contains(number), "commit {number} of {answered:?}");
            let text = fs::read_to_string(lab.file(&format!("state/configs/{number:06}.toml")))?;
            assert_eq!(text, texts[*turn], "commit {number}");
        }
    }
    assert!(answered.len() > 10, "{answered:?}");
    Ok(())
}
