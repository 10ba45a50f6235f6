//! cordon between XDP sockets: the same firewall, past the kernel's stack.

#[expect(dead_code, reason = "the demo uses the rest")]
mod lab;

use std::{fs, path::Path, time::Duration};

use lab::{HEALTHY, INFECTED, Lab, Outcome, RESOLVER, WEB, browses, on, text, within};
use ports::live::{Interface, Namespace};
use serde_json::Value;

const CONFIG: &str = include_str!("../examples/live_quarantine.toml");
const SINKHOLE: &str = "72.5.65.111";
const SOON: Duration = Duration::from_secs(20);

/// The guide's configuration with further lines for its wire.
fn config(lines: &str) -> String {
    CONFIG.replace(
        "interface2 = \"wan0\"",
        &format!("interface2 = \"wan0\"\n{lines}"),
    )
}

/// The lab without cordon, where this user may lay cables.
fn lab(config: &str, queues: u32) -> Outcome<Option<Lab>> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(None);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_cordon"));
    Ok(Some(Lab::with_queues(
        binary,
        config,
        &["golfsource.us"],
        queues,
    )?))
}

fn asks(host: &Namespace, name: &str) -> Outcome<String> {
    let server = format!("@{}", RESOLVER[0]);
    Ok(text(&on(
        host,
        "dig",
        &[&server, name, "+short", "+tries=1", "+time=2"],
    )?))
}

fn is_tagged(lab: &Lab) -> bool {
    lab.ask(&["show", "tags"])
        .is_ok_and(|tags| tags.to_string().contains(INFECTED[0]))
}

fn pings(host: &Namespace, count: &str, bytes: &str) -> Outcome<bool> {
    let arguments = ["-q", "-i", "0.01", "-W", "1", "-c", count, "-s", bytes, WEB[0]];
    Ok(text(&on(host, "ping", &arguments)?).contains(&format!("{count} received")))
}

/// Whether the interface runs an XDP program.
fn runs_a_program(lab: &Lab, interface: &str) -> Outcome<bool> {
    let shown = on(&lab.firewall, "ip", &["link", "show", interface])?;
    Ok(text(&shown).contains("prog/xdp"))
}

/// Frames that came out of the kernel's hands or were dropped before, and those that were judged.
fn received_and_judged(lab: &Lab) -> Outcome<(u64, u64)> {
    let (info, counters) = (lab.ask(&["show", "info"])?, lab.ask(&["show", "counters"])?);
    let rows = info["interfaces"].as_array().into_iter().flatten();
    let received = rows.filter_map(|row| row["rx_frames"].as_u64()).sum();
    let frames = &counters["frames"];
    let dropped = frames["dropped"].as_object().into_iter().flatten();
    let dropped: u64 = dropped.filter_map(|(_, count)| count.as_u64()).sum();
    let judged = ["forwarded", "answered", "consumed"].map(|key| frames[key].as_u64().unwrap_or(0));
    Ok((received, dropped + judged.iter().sum::<u64>()))
}

/// The story of the quarantine, from both families and by several protocols.
fn quarantine(lab: &Lab) -> Outcome<()> {
    assert!(pings(&lab.healthy, "50", "56")?, "a ping is missing");
    // Fragments.
    assert!(pings(&lab.healthy, "5", "4000")?, "a long ping is missing");
    for server in WEB {
        assert!(browses(&lab.infected, server)?, "{server}: a page is missing");
    }
    assert_eq!(asks(&lab.healthy, "example.org")?.trim(), WEB[0]);
    assert!(asks(&lab.infected, "golfsource.us")?.contains(SINKHOLE));
    within(SOON, "the tag", || is_tagged(lab))?;
    assert!(!browses(&lab.infected, WEB[0])?, "the infected host browses");
    assert!(browses(&lab.healthy, WEB[0])?, "the healthy host does not browse");
    within(SOON, "as many verdicts as frames", || {
        received_and_judged(lab).is_ok_and(|(received, judged)| received > 100 && received == judged)
    })
}

#[test]
fn the_quarantine_works_between_xdp_sockets() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 1)? else {
        return Ok(());
    };
    lab.start()?;
    let info = lab.ask(&["show", "info"])?;
    for row in [&info["interfaces"][0], &info["interfaces"][1]] {
        assert_eq!(
            (&row["io"], &row["io_mode"], &row["io_reason"]),
            (
                &"xdp".into(),
                &"native, copied".into(),
                &"the configuration says so".into()
            )
        );
    }
    assert!(
        lab.log()
            .contains("frames by xdp sockets: the configuration says so"),
        "{}",
        lab.log()
    );
    quarantine(&lab)?;
    let info = lab.ask(&["show", "info"])?;
    assert_eq!(info["drops"]["ring"], 0, "{info}");
    assert_eq!(info["drops"]["no_way_out"], 0, "{info}");
    assert_eq!(info["drops"]["tx"], 0, "{info}");
    Ok(())
}

#[test]
fn two_workers_share_two_queues() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 2)? else {
        return Ok(());
    };
    lab.start_with(&["--workers", "2"])?;
    for _ in 0..10 {
        for server in WEB {
            assert!(browses(&lab.healthy, server)?, "a page is missing");
        }
    }
    quarantine(&lab)?;
    let counters = lab.ask(&["show", "counters"])?;
    let by_worker = counters["frames_by_worker"].as_array().into_iter().flatten();
    let by_worker: Vec<u64> = by_worker.filter_map(Value::as_u64).collect();
    assert_eq!(by_worker.len(), 2);
    assert!(by_worker.iter().all(|frames| *frames > 20), "{by_worker:?}");
    Ok(())
}

#[test]
fn a_worker_without_a_queue_sends_all_the_same() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 1)? else {
        return Ok(());
    };
    lab.start_with(&["--workers", "2"])?;
    quarantine(&lab)
}

#[test]
fn a_kill_detaches_and_closes_the_wire_and_a_restart_opens_it() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 1)? else {
        return Ok(());
    };
    lab.start()?;
    for _ in 0..3 {
        assert!(browses(&lab.healthy, WEB[0])?);
        assert!(runs_a_program(&lab, "lan0")? && runs_a_program(&lab, "wan0")?);
        let cordon = lab.process().ok_or("cordon does not run")?;
        cordon.kill()?;
        cordon.wait()?;
        within(SOON, "no program", || {
            ["lan0", "wan0"]
                .iter()
                .all(|name| matches!(runs_a_program(&lab, name), Ok(false)))
        })?;
        assert!(
            !pings(&lab.healthy, "2", "56")?,
            "something crosses without cordon"
        );
        lab.start()?;
    }
    quarantine(&lab)?;
    assert_eq!(lab.stop()?, Some(0));
    assert!(!runs_a_program(&lab, "lan0")?);
    Ok(())
}

#[test]
fn an_interface_vanishes_and_returns() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 1)? else {
        return Ok(());
    };
    lab.start()?;
    assert!(browses(&lab.healthy, WEB[0])?);
    for _ in 0..2 {
        lab.firewall.ip("link delete wan0")?;
        assert!(
            !browses(&lab.healthy, WEB[0])?,
            "pages without a cable to the server"
        );
        lab.firewall.veth("wan0", &lab.internet, "lan0", 1500)?;
        lab.internet.ip("address add 192.168.1.1/24 dev lan0")?;
        // The gateway's card is another one now.
        for host in [&lab.healthy, &lab.infected] {
            host.ip("neigh flush dev eth0")?;
        }
        within(SOON, "pages again", || {
            browses(&lab.healthy, WEB[0]).unwrap_or(false)
        })?;
    }
    let logs = lab.ask(&["show", "logs", "system", "(event eq link-change)"])?;
    assert!(logs.to_string().contains("wan0 is back"), "{logs}");
    // What was counted before is not forgotten, and nothing is counted twice.
    within(SOON, "as many verdicts as frames", || {
        received_and_judged(&lab).is_ok_and(|(received, judged)| received > 30 && received == judged)
    })
}

#[test]
fn a_lost_link_crosses_the_wire_and_comes_back() -> Outcome<()> {
    let config = config("io = \"xdp\"\nlink-state-pass-through = true");
    let Some(mut lab) = lab(&config, 1)? else {
        return Ok(());
    };
    let is_up = |lab: &Lab| {
        lab.firewall
            .run(|| Interface::find("lan0").is_ok_and(|found| found.up))
            .unwrap_or(false)
    };
    lab.start()?;
    for _ in 0..2 {
        assert!(browses(&lab.healthy, WEB[0])?);
        lab.internet.ip("link set lan0 down")?;
        within(SOON, "the other end down", || !is_up(&lab))?;
        lab.internet.ip("link set lan0 up")?;
        within(SOON, "the other end up", || is_up(&lab))?;
        within(SOON, "pages again", || {
            browses(&lab.healthy, WEB[0]).unwrap_or(false)
        })?;
    }
    Ok(())
}

#[test]
fn what_xdp_cannot_carry_is_refused() -> Outcome<()> {
    let Some(mut lab) = lab(&config("io = \"xdp\""), 1)? else {
        return Ok(());
    };
    lab.firewall.ip("link set lan0 mtu 9000")?;
    let config = lab.file("cordon.toml").display().to_string();
    let binary = env!("CARGO_BIN_EXE_cordon");
    let says = "lan0: frames of its MTU of 9000 do not fit into AF_XDP's buffers, 3818 at most; lower the MTU, or \
                give the wire io = \"packet\"";
    let checked = on(&lab.firewall, binary, &["check", &config, "--json"])?;
    let report: Value = serde_json::from_str(&text(&checked))?;
    assert_eq!(checked.status.code(), Some(1), "{report}");
    assert_eq!(report["errors"], 1, "{report}");
    assert!(text(&checked).contains(&says.replace('"', "\\\"")), "{report}");
    let (state, socket) = (lab.file("state"), lab.socket());
    let run = [
        "run",
        &config,
        "--state",
        &state.display().to_string(),
        "--socket",
        &socket.display().to_string(),
    ];
    let ran = on(&lab.firewall, binary, &run)?;
    assert_eq!(ran.status.code(), Some(3));
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains(says), "{said}");
    // Grown while it runs: told, and the wire stays closed until it fits again.
    lab.firewall.ip("link set lan0 mtu 1500")?;
    lab.start()?;
    assert!(browses(&lab.healthy, WEB[0])?);
    lab.firewall.ip("link set lan0 mtu 3000")?;
    within(SOON, "pages again", || {
        browses(&lab.healthy, WEB[0]).unwrap_or(false)
    })?;
    Ok(())
}

#[test]
fn a_tap_has_no_choice() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tap.toml");
    fs::write(&file, "[interface.lan0]\nmode = \"tap\"\nio = \"xdp\"\n")?;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cordon"))
        .arg("check")
        .arg(&file)
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("tap.toml:3:1: error: interface.lan0.io is for virtual wires: a tap sees copies"),
        "{said}"
    );
    Ok(())
}

#[test]
fn virtual_links_are_given_packet_sockets_and_the_reason_is_told() -> Outcome<()> {
    let Some(mut lab) = lab(CONFIG, 1)? else {
        return Ok(());
    };
    lab.start()?;
    let info = lab.ask(&["show", "info"])?;
    let row = &info["interfaces"][0];
    assert_eq!((&row["io"], &row["io_mode"]), (&"packet".into(), &"".into()));
    assert!(
        row["io_reason"]
            .to_string()
            .contains("virtual links (veth, veth)"),
        "{row}"
    );
    assert!(
        lab.log()
            .contains("frames by packet sockets: both ends are virtual links")
    );
    assert!(!runs_a_program(&lab, "lan0")?);
    // A commit cannot change it under the running workers.
    let other = lab.file("other.toml");
    fs::write(&other, config("io = \"xdp\""))?;
    let refused = lab.ask(&["commit", &other.display().to_string()]).unwrap_err();
    assert!(
        refused.to_string().contains("another `io`: restart it"),
        "{refused}"
    );
    assert!(browses(&lab.healthy, WEB[0])?, "{HEALTHY:?}");
    Ok(())
}
