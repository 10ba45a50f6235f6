//! What a replay says of TLS that would break, before anybody turns decryption on.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers stop it where anything is amiss"
)]

use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};

use packet::{
    TcpFlags, Timestamp,
    build::{Ends, Segment, ethernet_tcp},
};
use ports::{CaptureWriter, CapturedFrame};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SideData, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::{Value, json};

const CONFIG: &str = r#"
[virtual-wire.uplink]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
[zone.outside]
interfaces = ["wan0"]

[tag.decrypt-error]
[address-group.Decryption-Bypass]
dynamic.filter = "'decrypt-error'"
[profiles.custom-url-category.Never-Decrypt]
list = ["bank.example"]
[profiles.decryption.Standard]
ssl-forward-proxy.block-expired-certificate = true
ssl-forward-proxy.block-untrusted-issuer = true

[[log-settings.profiles.Failed.match-list]]
name = "decrypt-bypass"
log-type = "traffic"
filter = "(session_end_reason eq decrypt-unsupport-param) or (session_end_reason eq decrypt-error) or (session_end_reason eq decrypt-cert-validation)"
[[log-settings.profiles.Failed.match-list.actions]]
name = "decrypt-bypass"
type.tagging = { action = "add-tag", target = "destination-address", tags = ["decrypt-error"], timeout = 15 }

[[rulebase.security.rules]]
name = "egress"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "allow"
log-setting = "Failed"

[[rulebase.decryption.rules]]
name = "No Decrypt"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
category = ["Never-Decrypt"]
action = "no-decrypt"
[[rulebase.decryption.rules]]
name = "Decrypt-Bypass"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["Decryption-Bypass"]
action = "no-decrypt"
[[rulebase.decryption.rules]]
name = "Decrypt-All"
from = ["inside"]
to = ["outside"]
source = ["any"]
destination = ["any"]
action = "decrypt"
type = "ssl-forward-proxy"
profile = "Standard"
"#;

/// The captured network, and its clock.
struct Network {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    now: Timestamp,
    frames: Vec<(Timestamp, Vec<u8>)>,
    ports: u16,
}

/// A connection that is captured.
struct Talk<'a> {
    network: &'a mut Network,
    ends: Ends,
    next: [u32; 2],
}

/// What a session is like.
struct Session {
    server: &'static str,
    name: &'static str,
    client: Versions,
    versions: Versions,
    expired: bool,
    /// The client sends a request.
    asks: bool,
}

type Versions = &'static [&'static SupportedProtocolVersion];
const ONLY_1_2: Versions = &[&TLS12];
const ONLY_1_3: Versions = &[&TLS13];

const GOOD: Session = Session {
    server: "203.0.113.1:443",
    name: "good.example",
    client: &[&TLS12, &TLS13],
    versions: &[&TLS12, &TLS13],
    expired: false,
    asks: true,
};

impl Talk<'_> {
    fn say(&mut self, from_client: bool, flags: TcpFlags, payload: &[u8]) {
        let [client, server] = self.next;
        let (ends, seq, ack) = if from_client {
            (self.ends, client, server)
        } else {
            (self.ends.reversed(), server, client)
        };
        let segment = Segment {
            seq,
            ack: if flags.ack() { ack } else { 0 },
            flags,
            window: 64_000,
            payload,
        };
        let taken = u32::try_from(payload.len()).unwrap() + u32::from(flags.syn()) + u32::from(flags.fin());
        self.next[usize::from(!from_client)] += taken;
        self.network.now = self.network.now.saturating_add(Duration::from_millis(2));
        self.network
            .frames
            .push((self.network.now, ethernet_tcp(&ends, &segment)));
    }

    /// What one side has to say, to the other's ears; `false`: nothing.
    fn flight<F: SideData, T: SideData>(
        &mut self,
        from_client: bool,
        from: &mut ConnectionCommon<F>,
        to: &mut ConnectionCommon<T>,
    ) -> bool {
        let mut flight = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut flight).unwrap();
        }
        for piece in flight.chunks(1400) {
            self.say(from_client, TcpFlags::PSH | TcpFlags::ACK, piece);
        }
        let mut rest = &flight[..];
        while !rest.is_empty() && to.read_tls(&mut rest).unwrap() > 0 {
            if to.process_new_packets().is_err() {
                break;
            }
        }
        !flight.is_empty()
    }
}

impl Network {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            root,
            now: Timestamp::from_secs(1_790_000_000),
            frames: Vec::new(),
            ports: 40_000,
        }
    }

    fn session(&mut self, session: &Session) {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![session.name.to_owned()]).unwrap();
        if session.expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(session.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(session.client)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(session.name).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();

        self.ports += 1;
        let source: SocketAddr = format!("192.168.1.7:{}", self.ports).parse().unwrap();
        let mut talk = Talk {
            ends: Ends::new(source, session.server.parse().unwrap()),
            next: [1000, 900_000],
            network: self,
        };
        talk.say(true, TcpFlags::SYN, b"");
        talk.say(false, TcpFlags::SYN | TcpFlags::ACK, b"");
        talk.say(true, TcpFlags::ACK, b"");
        if session.asks {
            std::io::Write::write_all(&mut client.writer(), b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        let mut answered = false;
        loop {
            let said = talk.flight(true, &mut client, &mut server);
            if session.asks && !server.is_handshaking() && !answered {
                answered = true;
                std::io::Write::write_all(&mut server.writer(), b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
            let heard = talk.flight(false, &mut server, &mut client);
            if !said && !heard {
                break;
            }
        }
        talk.say(true, TcpFlags::FIN | TcpFlags::ACK, b"");
        talk.say(false, TcpFlags::FIN | TcpFlags::ACK, b"");
        talk.say(true, TcpFlags::ACK, b"");
        // Long enough for the session to be over, and its record written.
        self.now = self.now.saturating_add(Duration::from_secs(20));
    }
}

/// What a replay of these frames says, and what it records.
fn replay(frames: &[(Timestamp, Vec<u8>)]) -> (Value, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("tls.pcap");
    let mut writer = CaptureWriter::create(&capture, "tls.pcap").unwrap();
    for (time, bytes) in frames {
        let frame = CapturedFrame {
            time: *time,
            link: 1,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        };
        writer.write(&frame).unwrap();
    }
    writer.finish(None).unwrap();
    std::fs::write(folder.path().join("fw.toml"), CONFIG).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cordon"))
        .current_dir(folder.path())
        .args([
            "replay",
            "fw.toml",
            "--pcap",
            "tls.pcap",
            "--logs",
            "logs.jsonl",
            "--json",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let logs = std::fs::read_to_string(folder.path().join("logs.jsonl")).unwrap();
    let logs: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (summary, logs)
}

fn records<'a>(records: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    records.iter().filter(move |record| record["type"] == kind)
}

#[test]
fn a_replay_names_the_destinations_that_would_break() {
    let mut network = Network::new();
    let pinned = Session {
        server: "203.0.113.2:443",
        name: "pinned.example",
        asks: false,
        ..GOOD
    };
    network.session(&GOOD);
    network.session(&pinned);
    network.session(&Session {
        server: "203.0.113.3:443",
        name: "expired.example",
        client: ONLY_1_2,
        expired: true,
        ..GOOD
    });
    network.session(&Session {
        server: "203.0.113.4:443",
        name: "old.example",
        client: ONLY_1_3,
        versions: ONLY_1_2,
        ..GOOD
    });
    network.session(&Session {
        server: "203.0.113.5:443",
        name: "bank.example",
        ..pinned
    });
    // The guide's loop: this one is under its tag.
    network.session(&pinned);

    let (summary, logs) = replay(&network.frames);
    // A rule that leaves sessions closed has its own records of what went wrong in them.
    let would_fail = |record: &&Value| record["proxy_type"] == "Forward";
    let failed: Vec<Value> = records(&logs, "decryption")
        .filter(would_fail)
        .map(|record| {
            json!([
                record["dst"],
                record["sni"],
                record["session_end_reason"],
                record["policy_name"]
            ])
        })
        .collect();
    assert_eq!(
        failed,
        [
            json!(["203.0.113.2", "pinned.example", "decrypt-error", "Decrypt-All"]),
            json!([
                "203.0.113.3",
                "expired.example",
                "decrypt-cert-validation",
                "Decrypt-All"
            ]),
            json!([
                "203.0.113.4",
                "old.example",
                "decrypt-unsupport-param",
                "Decrypt-All"
            ]),
        ]
    );
    let ends: Vec<Value> = records(&logs, "traffic")
        .map(|record| json!([record["dst"], record["session_end_reason"]]))
        .collect();
    assert_eq!(
        ends,
        [
            json!(["203.0.113.1", "tcp-fin"]),
            json!(["203.0.113.2", "decrypt-error"]),
            json!(["203.0.113.3", "decrypt-cert-validation"]),
            json!(["203.0.113.4", "decrypt-unsupport-param"]),
            json!(["203.0.113.5", "tcp-fin"]),
            json!(["203.0.113.2", "tcp-fin"]),
        ]
    );
    let tag = json!(["decrypt-error"]);
    assert_eq!(
        summary["tags"],
        json!({ "203.0.113.2": tag, "203.0.113.3": tag, "203.0.113.4": tag })
    );
    // Nothing of the capture is held back for it.
    assert_eq!(summary["frames"]["forwarded"], network.frames.len());
}
