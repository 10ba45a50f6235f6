//! cordon on links that are shared between workers, only watched, lost, or gone for a while.

#[expect(dead_code, reason = "the demo uses the rest")]
mod lab;

use std::{path::Path, time::Duration};

use lab::{HEALTHY, INFECTED, Lab, Outcome, RESOLVER, WEB, browses, on, text, within};
use ports::live::{Interface, Namespace};
use serde_json::Value;

const CONFIG: &str = include_str!("../examples/live_quarantine.toml");
const SINKHOLE: &str = "72.5.65.111";
const SOON: Duration = Duration::from_secs(20);

/// The lab without cordon, where this user may lay cables.
fn lab(config: &str) -> Outcome<Option<Lab>> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(None);
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_cordon"));
    Ok(Some(Lab::new(binary, config, &["golfsource.us"])?))
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

fn is_up(host: &Namespace, name: &str) -> bool {
    host.run(|| Interface::find(name).is_ok_and(|found| found.up))
        .unwrap_or(false)
}

#[test]
fn two_workers_judge_as_one() -> Outcome<()> {
    let Some(mut lab) = lab(CONFIG)? else {
        return Ok(());
    };
    lab.start_with(&["--workers", "2"])?;
    for _ in 0..10 {
        for server in WEB {
            assert!(browses(&lab.healthy, server)?, "a page is missing");
        }
        assert_eq!(asks(&lab.healthy, "example.org")?.trim(), WEB[0]);
    }
    assert!(asks(&lab.infected, "golfsource.us")?.contains(SINKHOLE));
    within(SOON, "the tag", || is_tagged(&lab))?;
    for server in WEB {
        assert!(
            server.contains(':') || !browses(&lab.infected, server)?,
            "the infected host browses"
        );
        assert!(browses(&lab.healthy, server)?, "the healthy host does not browse");
    }
    let counters = lab.ask(&["show", "counters"])?;
    let by_worker: Vec<u64> = counters["frames_by_worker"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    assert_eq!(by_worker.len(), 2);
    assert!(by_worker.iter().all(|frames| *frames > 20), "{by_worker:?}");
    Ok(())
}

#[test]
fn a_tap_sees_and_tags_and_touches_nothing() -> Outcome<()> {
    let (_, rest) = CONFIG
        .split_once("[zone.inside]")
        .ok_or("the guide has changed")?;
    let config = format!("[interface.lan0]\nmode = \"tap\"\n[zone.inside]{rest}").replace(
        "[zone.outside]\ninterfaces = [\"wan0\"]",
        "[zone.outside]\ninterfaces = []",
    );
    // Both ends are in the tap's zone.
    let config = config.replace("to   = [\"outside\"]", "to   = [\"any\"]");
    let Some(mut lab) = lab(&config)? else {
        return Ok(());
    };
    lab.firewall.ip("link add between type bridge")?;
    for port in ["lan0", "wan0"] {
        lab.firewall.ip(&format!("link set {port} master between"))?;
    }
    lab.firewall.ip("link set between up")?;
    within(SOON, "the bridge", || {
        browses(&lab.infected, WEB[0]).unwrap_or(false)
    })?;
    lab.start()?;
    assert_eq!(asks(&lab.infected, "golfsource.us")?.trim(), WEB[0]);
    within(SOON, "the tag", || is_tagged(&lab))?;
    assert!(browses(&lab.infected, WEB[0])?, "a tap has cut a host off");
    let info = lab.ask(&["show", "info"])?;
    assert_eq!(info["interfaces"][0]["mode"], "tap");
    assert_eq!(info["interfaces"][0]["tx_frames"], 0);
    Ok(())
}

#[test]
fn a_lost_link_crosses_the_wire_and_comes_back() -> Outcome<()> {
    let config = CONFIG.replace(
        "interface2 = \"wan0\"",
        "interface2 = \"wan0\"\nlink-state-pass-through = true",
    );
    let Some(mut lab) = lab(&config)? else {
        return Ok(());
    };
    lab.start()?;
    assert!(browses(&lab.healthy, WEB[0])?);
    lab.internet.ip("link set lan0 down")?;
    within(SOON, "the other end down", || !is_up(&lab.firewall, "lan0"))?;
    assert!(is_up(&lab.firewall, "wan0"), "both ends are down");
    lab.internet.ip("link set lan0 up")?;
    within(SOON, "the other end up", || is_up(&lab.firewall, "lan0"))?;
    within(SOON, "pages again", || {
        browses(&lab.healthy, WEB[0]).unwrap_or(false)
    })?;
    // Stopped while a link is lost: nobody finds the other end down.
    lab.internet.ip("link set lan0 down")?;
    within(SOON, "the other end down", || !is_up(&lab.firewall, "lan0"))?;
    assert_eq!(lab.stop()?, Some(0));
    assert!(is_up(&lab.firewall, "lan0"), "an end was left down");
    Ok(())
}

#[test]
fn an_interface_vanishes_and_returns() -> Outcome<()> {
    let Some(mut lab) = lab(CONFIG)? else {
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
    assert!(asks(&lab.infected, "golfsource.us")?.contains(SINKHOLE));
    let logs = lab.ask(&["show", "logs", "system", "(event eq link-change)"])?;
    assert!(logs.to_string().contains("wan0 is back"), "{logs}");
    Ok(())
}

#[test]
fn ends_with_different_mtus_are_told() -> Outcome<()> {
    let Some(mut lab) = lab(CONFIG)? else {
        return Ok(());
    };
    lab.start()?;
    assert!(!lab.log().contains("MTU"), "{}", lab.log());
    assert_eq!(lab.stop()?, Some(0));
    lab.firewall.ip("link set wan0 mtu 1400")?;
    let binary = env!("CARGO_BIN_EXE_cordon");
    let config = lab.folder.path().join("cordon.toml");
    let config = config.display().to_string();
    let checked = on(&lab.firewall, binary, &["check", &config, "--json"])?;
    assert!(
        text(&checked).contains("wan0 has an MTU of 1400, and lan0, the other end of the wire, one of 1500"),
        "{}",
        text(&checked)
    );
    lab.start()?;
    assert!(
        lab.log().contains("wan0 has an MTU of 1400 and lan0 one of 1500"),
        "{}",
        lab.log()
    );
    let gateway = on(
        &lab.healthy,
        "ping",
        &["-c1", "-W1", "-M", "do", "-s", "1372", WEB[0]],
    )?;
    assert!(gateway.status.success(), "{HEALTHY:?}: {}", text(&gateway));
    let info = || lab.ask(&["show", "info"]);
    assert_eq!(info()?["interfaces"][1]["tx_dropped_too_long"], 0);
    on(
        &lab.healthy,
        "ping",
        &["-c1", "-W1", "-M", "do", "-s", "1472", WEB[0]],
    )?;
    assert_eq!(info()?["interfaces"][1]["tx_dropped_too_long"], 1);
    Ok(())
}
