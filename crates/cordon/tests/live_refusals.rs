//! What cordon says, and how it ends, where the system refuses; and what it keeps.

#[expect(dead_code, reason = "the demo uses the rest")]
mod lab;

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use lab::{Lab, Outcome, within};
use ports::live::Namespace;

const CONFIG: &str = include_str!("../examples/live_quarantine.toml");
/// Exit code 3 of the contract.
const REFUSED: Option<i32> = Some(3);

fn lab() -> Outcome<Option<Lab>> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(None);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_cordon"));
    Ok(Some(Lab::new(binary, CONFIG, &["golfsource.us"])?))
}

/// Runs cordon to its end, which must come; exit code and what it said.
fn ends(lab: &Lab, through: &[&str], config: &str, state: &str) -> Outcome<(Option<i32>, String)> {
    let path = lab.file(config);
    if !path.exists() {
        let interface = config.trim_end_matches(".toml");
        fs::write(&path, CONFIG.replace("wan0", interface))?;
    }
    fs::create_dir_all(lab.file("elsewhere"))?;
    fs::set_permissions(lab.file("elsewhere"), Permissions::from_mode(0o777))?;
    let (program, arguments) = through.split_first().unwrap_or((&"timeout", &["5"]));
    let output = lab
        .firewall
        .command(program)
        .args(arguments)
        .arg(env!("CARGO_BIN_EXE_cordon"))
        .arg("run")
        .arg(path)
        .arg("--state")
        .arg(lab.file(state))
        .arg("--socket")
        .arg(lab.file("elsewhere").join("cordon.sock"))
        .output()?;
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

#[test]
fn an_interface_that_cannot_be_a_port_is_told() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    for (interface, sentence) in [
        ("wan1", "wan1: no such interface; did you mean"),
        ("lo", "lo: is no Ethernet interface"),
    ] {
        let (code, said) = ends(&lab, &[], &format!("{interface}.toml"), "state2")?;
        assert_eq!(code, REFUSED, "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    Ok(())
}

#[test]
fn without_permission_it_says_what_to_give() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    fs::set_permissions(lab.folder.path(), Permissions::from_mode(0o777))?;
    let nobody = ["setpriv", "--reuid=65534", "--clear-groups", "timeout", "5"];
    let (code, said) = ends(&lab, &nobody, "cordon.toml", "state2")?;
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("run as root or give CAP_NET_RAW"), "{said}");
    Ok(())
}

#[test]
fn a_second_firewall_leaves_the_first_alone() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    lab.start()?;
    let (code, said) = ends(&lab, &[], "cordon.toml", "state2")?;
    assert_eq!(code, REFUSED, "{said}");
    assert!(
        said.contains("lan0: another cordon holds this interface"),
        "{said}"
    );
    let (code, said) = ends(&lab, &[], "cordon.toml", "state")?;
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("state"), "{said}");
    assert!(lab.ask(&["show", "info"]).is_ok());
    Ok(())
}

fn subjects(lab: &Lab) -> Outcome<Vec<String>> {
    let answer = lab.ask(&["show", "tags"])?;
    let rows = answer["tags"].as_array().into_iter().flatten();
    let mut subjects: Vec<String> = rows
        .filter_map(|row| row["subject"].as_str().map(str::to_owned))
        .collect();
    subjects.sort_unstable();
    Ok(subjects)
}

/// Kills it as a crash does.
fn kill(lab: &mut Lab) -> Outcome<()> {
    let cordon = lab.process().ok_or("cordon does not run")?;
    cordon.kill()?;
    cordon.wait()?;
    Ok(())
}

#[test]
fn a_damaged_journal_costs_what_is_damaged() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    lab.start()?;
    for subject in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        lab.ask(&["tag", "add", subject, "infected-host"])?;
    }
    kill(&mut lab)?;
    let journal = lab.file("state").join("tags.journal");
    let mut bytes = fs::read(&journal)?;
    let last = bytes.last_mut().ok_or("an empty journal")?;
    *last ^= 0xff;
    fs::write(&journal, bytes)?;
    lab.start()?;
    assert_eq!(subjects(&lab)?, ["10.0.0.1", "10.0.0.2"]);
    assert!(
        lab.log().contains("part of the tag journal could not be read"),
        "{}",
        lab.log()
    );
    Ok(())
}

#[test]
fn a_state_that_is_no_folder_is_told() -> Outcome<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    fs::write(lab.file("file"), "")?;
    let (code, said) = ends(&lab, &[], "cordon.toml", "file")?;
    assert_eq!(code, REFUSED, "{said}");
    assert!(said.contains("file"), "{said}");
    Ok(())
}

/// A small file system, gone when this is dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, bytes: &str) -> Outcome<Self> {
        fs::create_dir(at)?;
        let options = format!("size={bytes}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "none"])
            .arg(at)
            .status()?;
        if !mounted.success() {
            return Err("cannot mount a tmpfs".into());
        }
        Ok(Self(at))
    }

    /// Fills what is left.
    fn fill(&self) -> Outcome<()> {
        let mut ballast = fs::File::create(self.0.join("ballast"))?;
        while ballast.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_is_told_and_made_up_for() -> Outcome<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    let state = lab.file("state");
    let disk = Disk::mount(&state, "1m")?;
    lab.start()?;
    lab.ask(&["tag", "add", "10.0.0.1", "infected-host"])?;
    disk.fill()?;
    let mut refused = None;
    for number in 0..200 {
        if let Err(error) = lab.ask(&["tag", "add", &format!("10.1.0.{number}"), "infected-host"]) {
            refused = Some((number, error.to_string()));
            break;
        }
    }
    let (number, refusal) = refused.ok_or("a full disk refuses nothing")?;
    assert!(refusal.contains("will not outlive a restart"), "{refusal}");
    let before = subjects(&lab)?;
    assert!(before.contains(&format!("10.1.0.{number}")), "not in force");
    let (code, said) = ends(&lab, &[], "cordon.toml", "state/second")?;
    assert_eq!(code, REFUSED, "{said}");

    fs::remove_file(state.join("ballast"))?;
    within(Duration::from_secs(10), "everything written down", || {
        lab.ask(&["show", "info"])
            .is_ok_and(|info| info["state"]["journal_fault"] == "")
    })?;
    kill(&mut lab)?;
    lab.start()?;
    assert_eq!(subjects(&lab)?, before);
    kill(&mut lab)
}
