//! The quarantine on a live wire: real hosts in network namespaces, a real resolver, real clients, and cordon on the
//! cable between them. Needs root; makes and removes all it uses. Exits with 1 if any step is not as told.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

#[path = "../tests/lab/mod.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod lab;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
    thread,
    time::Duration,
};

use ports::live::Namespace;

use lab::{HEALTHY, INFECTED, Lab, Outcome, RESOLVER, WEB, browses, on, text, within};
use stage::{chapter, members, must};

/// The group that a deny rule on top names.
const QUARANTINE: &str = "Infected-Hosts";
const CONFIG: &str = include_str!("live_quarantine.toml");
const SINKHOLE: &str = "72.5.65.111";
const SINKHOLE6: &str = "2600:5200::1";
const ALIAS: &str = "sinkhole.paloaltonetworks.com";

fn main() -> ExitCode {
    stage::play(tell)
}

fn tell(binary: &Path) -> Outcome<()> {
    println!(
        "\
A switch with two hosts, infected ({} and {}) and healthy ({} and {}); cordon on the cable to their gateway, without
an address of its own; behind it a resolver ({}) and a web server ({}). All in network namespaces of this machine.\n",
        INFECTED[0], INFECTED[1], HEALTHY[0], HEALTHY[1], RESOLVER[0], WEB[0]
    );
    let mut lab = Lab::new(
        binary,
        CONFIG,
        &["golfsource.us", "tourindia.ion", "vip-projects.org"],
    )?;
    lab.start()?;

    let mut download = both_browse(&lab)?;
    infected_asks(&lab)?;
    it_is_tagged(&lab)?;
    it_is_cut_off(&lab, &mut download)?;
    healthy_browses_on(&lab)?;
    the_same_over_ipv6(&lab)?;
    it_is_healed(&lab)?;
    let info = lab.ask(&["show", "info"])?;
    println!(
        "\nFrom a packet to its tag in force: {} µs at most, over {} tags.",
        info["enforcement_lag_microseconds"]["max"], info["enforcement_lag_microseconds"]["count"]
    );
    must(lab.stop()? == Some(0), "cordon stops when it is told to")
}

/// A download that never ends, and what has come of it.
struct Download {
    client: Child,
    file: PathBuf,
}

impl Download {
    fn begin(lab: &Lab) -> Outcome<Self> {
        let file = lab.file("download");
        let client = lab
            .infected
            .command("curl")
            .args(["-s", "--output"])
            .arg(&file)
            .arg(format!("http://{}/download", WEB[0]))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { client, file })
    }

    fn size(&self) -> u64 {
        fs::metadata(&self.file).map_or(0, |file| file.len())
    }
}

fn both_browse(lab: &Lab) -> Outcome<Download> {
    chapter("Both hosts browse, over IPv4 and IPv6");
    for server in WEB {
        must(browses(&lab.infected, server)?, "infected browses")?;
        must(browses(&lab.healthy, server)?, "healthy browses")?;
    }
    let download = Download::begin(lab)?;
    within(Duration::from_secs(5), "the download runs", || {
        download.size() > 100_000
    })?;
    println!(
        "  infected also has a long download running: {} bytes so far",
        download.size()
    );
    Ok(download)
}

fn infected_asks(lab: &Lab) -> Outcome<()> {
    chapter("infected asks for golfsource.us, which is on the list");
    let question = ["-type=A", "-timeout=2", "-retry=1", "golfsource.us", RESOLVER[0]];
    let answer = text(&on(&lab.infected, "nslookup", &question)?);
    println!("{}", indented(&answer));
    must(answer.contains(ALIAS), "the answer shows the alias")?;
    must(answer.contains(SINKHOLE), "the answer is the sinkhole's address")
}

fn it_is_tagged(lab: &Lab) -> Outcome<()> {
    chapter("Its address was tagged, and is a member of Infected-Hosts");
    within(Duration::from_secs(2), "infected is tagged", || {
        members(lab, QUARANTINE).is_ok_and(|members| members == [INFECTED[0]])
    })?;
    println!("$ cordon show group Infected-Hosts");
    println!("{}", indented(&lab.tell(&["show", "group", QUARANTINE])?));
    println!("$ cordon explain {}", INFECTED[0]);
    println!("{}", indented(&lab.tell(&["explain", INFECTED[0]])?));
    let why = lab.ask(&["explain", INFECTED[0]])?.to_string();
    must(
        why.contains("golfsource.us") && why.contains("Tag-Infected-Host"),
        "cordon can explain it",
    )
}

fn it_is_cut_off(lab: &Lab, download: &mut Download) -> Outcome<()> {
    chapter("The download was cut, and a second lookup gets no answer");
    thread::sleep(Duration::from_millis(300));
    let stopped = download.size();
    thread::sleep(Duration::from_secs(1));
    must(
        download.size() == stopped,
        "not one byte more of the download arrives",
    )?;
    println!("  the download stands still at {stopped} bytes");
    let question = ["-timeout=1", "-retry=0", "www.example.com", RESOLVER[0]];
    let second = on(&lab.infected, "nslookup", &question)?;
    println!("{}", indented(&text(&second)));
    must(!second.status.success(), "the second lookup times out")?;
    must(!browses(&lab.infected, WEB[0])?, "infected browses no more")?;
    download.client.kill()?;
    download.client.wait()?;
    Ok(())
}

fn healthy_browses_on(lab: &Lab) -> Outcome<()> {
    chapter("healthy has noticed nothing, over IPv4 and IPv6");
    for server in WEB {
        must(browses(&lab.healthy, server)?, "healthy browses on")?;
    }
    let answer = dig(&lab.healthy, "www.example.com")?;
    must(answer.contains(WEB[1]), "healthy gets its answers")?;
    println!("  pages and names, as before");
    Ok(())
}

fn the_same_over_ipv6(lab: &Lab) -> Outcome<()> {
    chapter("The same over IPv6: infected asks the resolver's IPv6 address");
    let answer = dig(&lab.infected, "vip-projects.org")?;
    println!("{}", indented(&answer));
    must(
        answer.contains(ALIAS) && answer.contains(SINKHOLE6),
        "the sinkhole's IPv6 address",
    )?;
    within(Duration::from_secs(2), "its IPv6 address is tagged too", || {
        members(lab, QUARANTINE).is_ok_and(|members| members == INFECTED)
    })?;
    must(
        !browses(&lab.infected, WEB[1])?,
        "infected browses no more over IPv6",
    )
}

fn it_is_healed(lab: &Lab) -> Outcome<()> {
    chapter("Cleaned and healed: the tags are taken off");
    for address in INFECTED {
        lab.ask(&["tag", "remove", address, "infected-host"])?;
        println!("$ cordon tag remove {address} infected-host");
    }
    for server in WEB {
        must(browses(&lab.infected, server)?, "infected browses again")?;
    }
    println!("  infected browses again");
    Ok(())
}

/// The IPv6 addresses of a name, asked over IPv6.
fn dig(host: &Namespace, name: &str) -> Outcome<String> {
    let server = format!("@{}", RESOLVER[1]);
    let question = ["+noall", "+answer", "+time=2", "+tries=1", &server, name, "AAAA"];
    Ok(text(&on(host, "dig", &question)?))
}

fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
