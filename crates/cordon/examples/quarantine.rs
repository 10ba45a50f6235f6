//! The quarantine, told from a capture: an infected host asks for a listed name, is answered with the
//! sinkhole's address, tagged, and cut off; a healthy host browses on.
//!
//! The capture is built here, packet by packet; no root, no network. Exits with 1 if any step is not as told.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use packet::{
    TcpFlags, Timestamp,
    build::{Ends, Segment, ethernet_tcp, ethernet_udp},
};
use ports::{CaptureReader, CaptureWriter, CapturedFrame};
use serde_json::Value;

const INFECTED: &str = "192.168.1.2";
const HEALTHY: &str = "192.168.1.3";
const RESOLVER: &str = "198.51.100.53:53";
const SERVER: &str = "203.0.113.80:80";

fn main() -> ExitCode {
    match tell() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nNOT AS TOLD: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tell() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("cordon-demo-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = play(&folder);
    fs::remove_dir_all(&folder)?;
    outcome
}

fn play(folder: &Path) -> Result<(), Box<dyn Error>> {
    let file = |name: &str| folder.join(name);
    fs::write(file("cordon.toml"), CONFIG)?;
    fs::write(
        file("names.txt"),
        "golfsource.us\ntourindia.ion\nvip-projects.org\n",
    )?;
    write_story(&file("story.pcap"))?;
    let logs = file("logs.jsonl");
    let output = Command::new(cordon()?)
        .arg("replay")
        .arg(file("cordon.toml"))
        .arg("--pcap")
        .arg(file("story.pcap"))
        .arg("--write")
        .arg(file("out.pcap"))
        .arg("--logs")
        .arg(&logs)
        .arg("--json")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    let records: Vec<Value> = fs::read_to_string(&logs)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    narrate(&records, &summary, &file("out.pcap"))
}

/// The binary beside this example's.
fn cordon() -> Result<PathBuf, Box<dyn Error>> {
    let examples = std::env::current_exe()?;
    let target = examples
        .parent()
        .and_then(Path::parent)
        .ok_or("no target folder")?;
    let binary = target.join("cordon");
    if !binary.exists() {
        let status = Command::new("cargo")
            .args(["build", "--release", "--quiet", "-p", "cordon"])
            .status()?;
        if !status.success() {
            return Err("cordon does not build".into());
        }
    }
    Ok(binary)
}

fn narrate(records: &[Value], summary: &Value, written: &Path) -> Result<(), Box<dyn Error>> {
    println!("The quarantine, replayed from a capture (no root, no network)\n");
    let threat = find(records, |record| record["type"] == "threat")?;
    println!(
        "1. {INFECTED} asks {} for {} ({}).",
        text(threat, "dst"),
        text(threat, "misc"),
        text(threat, "qtype")
    );
    expect(
        threat["src"] == INFECTED && threat["action"] == "sinkhole",
        "the query is sinkholed",
    )?;
    let answer = sinkhole_reply(written)?;
    println!(
        "   It is on list {}: the query never leaves. The reply says:",
        text(threat, "list")
    );
    println!(
        "     Name:    {}\n     Address: {}\n     Aliases: {}",
        answer.name,
        answer.address,
        text(threat, "misc")
    );
    expect(
        answer.address == "72.5.65.111",
        "the sinkhole's address is answered",
    )?;

    let tag = find(records, |record| {
        record["type"] == "ip-tag" && record["event"] == "register"
    })?;
    println!(
        "2. Record {} matches `{}`: {} is tagged `{}`, {}.",
        text(tag, "source"),
        text(tag, "match_list"),
        text(tag, "ip"),
        text(tag, "tag"),
        if tag["timeout"] == 0 {
            "until removed"
        } else {
            "for a while"
        }
    );
    expect(
        tag["ip"] == INFECTED && tag["tag"] == "infected-host",
        "the infected host is tagged",
    )?;

    let cut = find(records, |record| {
        record["subtype"] == "end" && record["session_end_reason"] == "policy-deny"
    })?;
    println!(
        "3. Its open download from {} is cut by rule {} after {} bytes: {}.",
        text(cut, "dst"),
        text(cut, "rule"),
        text(cut, "bytes"),
        text(cut, "session_end_reason")
    );
    expect(
        cut["src"] == INFECTED && cut["action"] == "deny",
        "the running session is cut",
    )?;

    let second = find(records, |record| {
        record["subtype"] == "deny" && record["dport"] == 53
    })?;
    println!(
        "4. It asks again, for tourindia.ion: {} by {}. The lookup times out.",
        text(second, "subtype"),
        text(second, "rule")
    );
    expect(second["src"] == INFECTED, "the second lookup is refused")?;
    expect(
        records.iter().filter(|record| record["type"] == "threat").count() == 1,
        "only the first query is seen",
    )?;

    let healthy = find(records, |record| {
        record["type"] == "traffic" && record["src"] == HEALTHY
    })?;
    println!(
        "5. {HEALTHY} browses on: {} to {}, {}, {} bytes, ended by {}.",
        text(healthy, "app"),
        text(healthy, "dst"),
        text(healthy, "action"),
        text(healthy, "bytes"),
        text(healthy, "session_end_reason")
    );
    expect(healthy["action"] == "allow", "the healthy host is not touched")?;

    println!("\nTags at the end: {}", summary["tags"]);
    expect(summary["tags"][INFECTED][0] == "infected-host", "the tag stands")?;
    println!("Frames: {}", summary["frames"]);
    Ok(())
}

fn find(records: &[Value], wanted: impl Fn(&Value) -> bool) -> Result<&Value, Box<dyn Error>> {
    records
        .iter()
        .find(|record| wanted(record))
        .ok_or_else(|| "a record is missing".into())
}

fn text(record: &Value, field: &str) -> String {
    record[field]
        .as_str()
        .map_or_else(|| record[field].to_string(), str::to_owned)
}

fn expect(holds: bool, what: &str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(what.into()) }
}

struct Answer {
    name: String,
    address: String,
}

/// What the client gets: read from the capture of what left the firewall.
fn sinkhole_reply(written: &Path) -> Result<Answer, Box<dyn Error>> {
    let mut reader = CaptureReader::open(written, "out.pcap")?;
    while let Some(frame) = reader.next_frame()? {
        let parsed = packet::parse(
            packet::LinkType::Ethernet,
            frame.bytes,
            frame.bytes.len(),
            packet::Checksums::Verify,
        );
        let Ok(parsed) = parsed else {
            return Err("a frame with a wrong checksum left".into());
        };
        let Some(packet::Transport::Udp(udp)) = parsed.ip().map(|ip| ip.transport) else {
            continue;
        };
        if let Some(response) = inspect::dns::parse_response(udp.payload) {
            let name = response.aliases().last().ok_or("no alias")?.to_string();
            let address = response.addresses().next().ok_or("no address")?.to_string();
            return Ok(Answer { name, address });
        }
    }
    Err("no reply left".into())
}

/// Writes the story's packets.
fn write_story(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut story = Story {
        writer: CaptureWriter::create(path, "story.pcap")?,
        now: Timestamp::from_secs(1_700_000_000),
    };
    let mut download = Connection::new(&format!("{INFECTED}:50000"), SERVER)?;
    story.open(&mut download)?;
    story.send(
        &mut download,
        true,
        b"GET /big HTTP/1.1\r\nHost: example.net\r\n\r\n",
    )?;
    story.send(
        &mut download,
        false,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    )?;
    story.query(INFECTED, 40001, b"\x0agolfsource\x02us")?;
    story.send(&mut download, false, &[b'x'; 1000])?;
    story.send(&mut download, false, &[b'x'; 1000])?;
    story.query(INFECTED, 40002, b"\x09tourindia\x03ion")?;
    let mut healthy = Connection::new(&format!("{HEALTHY}:50001"), SERVER)?;
    story.open(&mut healthy)?;
    story.send(&mut healthy, true, b"GET / HTTP/1.1\r\nHost: example.net\r\n\r\n")?;
    story.send(
        &mut healthy,
        false,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )?;
    story.close(&mut healthy)?;
    Ok(story.writer.finish(None)?)
}

struct Story {
    writer: CaptureWriter,
    now: Timestamp,
}

struct Connection {
    ends: Ends,
    seq: [u32; 2],
}

impl Connection {
    fn new(client: &str, server: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            ends: Ends::new(client.parse::<SocketAddr>()?, server.parse::<SocketAddr>()?),
            seq: [1000, 9000],
        })
    }
}

impl Story {
    fn frame(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.now = self.now.saturating_add(std::time::Duration::from_millis(10));
        let original_len = u32::try_from(bytes.len())?;
        Ok(self.writer.write(&CapturedFrame {
            time: self.now,
            link: 1,
            original_len,
            bytes,
        })?)
    }

    fn query(&mut self, client: &str, port: u16, name: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        message.extend_from_slice(name);
        message.extend_from_slice(b"\0\x00\x01\x00\x01");
        let ends = Ends::new(format!("{client}:{port}").parse()?, RESOLVER.parse()?);
        self.frame(&ethernet_udp(&ends, &message))
    }

    fn segment(
        &mut self,
        on: &mut Connection,
        from_client: bool,
        flags: TcpFlags,
        payload: &[u8],
    ) -> Result<(), Box<dyn Error>> {
        let [client, server] = on.seq;
        let (ends, seq, ack) = if from_client {
            (on.ends, client, server)
        } else {
            (on.ends.reversed(), server, client)
        };
        let ack = if flags.ack() { ack } else { 0 };
        let bytes = ethernet_tcp(
            &ends,
            &Segment {
                seq,
                ack,
                flags,
                window: 64_000,
                payload,
            },
        );
        let taken = u32::try_from(payload.len())? + u32::from(flags.syn() || flags.fin());
        if from_client {
            on.seq = [client + taken, server];
        } else {
            on.seq = [client, server + taken];
        }
        self.frame(&bytes)
    }

    fn open(&mut self, on: &mut Connection) -> Result<(), Box<dyn Error>> {
        self.segment(on, true, TcpFlags::SYN, b"")?;
        self.segment(on, false, TcpFlags::SYN | TcpFlags::ACK, b"")?;
        self.segment(on, true, TcpFlags::ACK, b"")
    }

    fn send(&mut self, on: &mut Connection, from_client: bool, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        self.segment(on, from_client, TcpFlags::PSH | TcpFlags::ACK, payload)?;
        self.segment(on, !from_client, TcpFlags::ACK, b"")
    }

    fn close(&mut self, on: &mut Connection) -> Result<(), Box<dyn Error>> {
        self.segment(on, true, TcpFlags::FIN | TcpFlags::ACK, b"")?;
        self.segment(on, false, TcpFlags::FIN | TcpFlags::ACK, b"")?;
        self.segment(on, true, TcpFlags::ACK, b"")
    }
}

const CONFIG: &str = r#"
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
networks   = ["192.168.0.0/16"]
[zone.outside]
interfaces = ["wan0"]

[tag.infected-host]
color = "red"
[address-group.Infected-Hosts]
dynamic.filter = "'infected-host'"

[external-list.DNS-Sinkhole-List]
type      = "domain"
url       = "file:names.txt"
recurring = "hourly"

[profiles.spyware.Outbound]
botnet-domains.sinkhole.ipv4-address = "72.5.65.111"
botnet-domains.sinkhole.fqdn         = "sinkhole.paloaltonetworks.com"
[[profiles.spyware.Outbound.botnet-domains.lists]]
name   = "DNS-Sinkhole-List"
action = "sinkhole"

[[log-settings.profiles.Infected-Host-LF.match-list]]
name     = "Tag-Infected-Host"
log-type = "threat"
filter   = "(action eq sinkhole)"
[[log-settings.profiles.Infected-Host-LF.match-list.actions]]
name = "Tag-Source-Infected"
type.tagging = { action = "add-tag", target = "source-address", registration = "localhost", tags = ["infected-host"], timeout = 0 }

[[rulebase.security.rules]]
name = "Quarantine-Infected-Devices"
from = ["inside"]
to = ["any"]
source = ["Infected-Hosts"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "deny"
log-setting = "Infected-Host-LF"

[[rulebase.security.rules]]
name = "egress-outside"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "allow"
profile-setting.profiles.spyware = ["Outbound"]
log-setting = "Infected-Host-LF"
"#;
