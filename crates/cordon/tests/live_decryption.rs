//! Decryption on a live wire: every way in which it can fail, with the peer that fails it, in one lab. Of each: what
//! the logs say, at once; whether the destination is tagged; and what the next connection gets.

#[expect(dead_code, reason = "other live tests use the rest")]
mod lab;
#[path = "lab/sites.rs"]
#[expect(dead_code, reason = "the demo uses the rest")]
mod sites;
#[path = "lab/visitors.rs"]
mod visitors;

use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use lab::{Lab, Outcome, within};
use ports::live::Namespace;
use sites::{Certificate, Server, Site, Sites, site};
use visitors::{Manner, Visit, Visitors};

/// The demo's, with the root's list of revoked certificates.
const CONFIG: &str = include_str!("../examples/live_decryption.toml");

const NGINX: Server = Server::Nginx;
const CERTIFICATE: &str = "decrypt-cert-validation";
const PARAMETER: &str = "decrypt-unsupport-param";
const ERROR: &str = "decrypt-error";

/// A way to fail, or not to.
struct Row {
    site: Site,
    client: Client,
    /// `session_end_reason` in the traffic log, and part of `error` in the decryption log, where one is due.
    told: (&'static str, Option<&'static str>),
    tagged: bool,
    then: Then,
}

/// Who goes there.
#[derive(Clone, Copy)]
enum Client {
    /// curl that trusts cordon, with these arguments.
    Curl(&'static [&'static str]),
    /// curl that does not.
    Unprepared,
    /// curl that knows the site's key.
    Pinned(&'static [&'static str]),
    /// `openssl s_client` that does not trust cordon.
    OpenSsl,
    /// One of our own.
    Own(Manner),
}

/// What becomes of the next connection.
#[derive(Clone, Copy)]
enum Then {
    /// It gets the page, under the site's own certificate.
    Own(Client),
    /// It hears this from the site.
    Hears(&'static str),
    /// It fares no better.
    Same,
}

fn row(
    site: Site,
    client: Client,
    told: (&'static str, Option<&'static str>),
    tagged: bool,
    then: Then,
) -> Row {
    Row {
        site,
        client,
        told,
        tagged,
        then,
    }
}

const TRUSTING: Client = Client::Curl(&[]);
const CARELESS: Client = Client::Curl(&["--insecure"]);
const LAX: Client = Client::Curl(&["--ciphers", "DEFAULT@SECLEVEL=0"]);
const OLD: Client = Client::Curl(&["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]);
const TLS10: Client = Client::Curl(&["--tlsv1.0", "--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0"]);
const WITH_CERTIFICATE: Client = Client::Curl(&["--cert", "client.pem", "--key", "client.key"]);

/// Rows of servers.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn servers() -> Vec<Row> {
    use Certificate as Cert;
    use Client::Own as Ours;
    use Server::{OpenSsl, Says};
    let at = site;
    vec![
        row(
            at("expired.example", "203.0.113.20", Cert::Expired, NGINX),
            TRUSTING,
            (CERTIFICATE, Some("expired certificate")),
            true,
            Then::Own(CARELESS),
        ),
        row(
            at("unknown.example", "203.0.113.21", Cert::UnknownIssuer, NGINX),
            TRUSTING,
            (CERTIFICATE, Some("untrusted issuer")),
            true,
            Then::Own(CARELESS),
        ),
        row(
            at("selfsigned.example", "203.0.113.22", Cert::SelfSigned, NGINX),
            TRUSTING,
            (CERTIFICATE, Some("untrusted issuer: self-signed")),
            true,
            Then::Own(CARELESS),
        ),
        row(
            at(
                "selfsignedca.example",
                "203.0.113.23",
                Cert::SelfSignedAuthority,
                NGINX,
            ),
            TRUSTING,
            (CERTIFICATE, Some("untrusted issuer: self-signed")),
            true,
            Then::Own(CARELESS),
        ),
        // The likeness has the names of the original: the client sees that they are wrong, and says nothing.
        row(
            at("wronghost.example", "203.0.113.24", Cert::OtherName, NGINX),
            TRUSTING,
            (ERROR, Some("pinning")),
            true,
            Then::Own(CARELESS),
        ),
        row(
            at("revoked.example", "203.0.113.26", Cert::Revoked, NGINX),
            TRUSTING,
            (CERTIFICATE, Some("revoked certificate")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at("v1.example", "203.0.113.27", Cert::FirstVersion, NGINX),
            TRUSTING,
            (CERTIFICATE, Some("a certificate that cannot be used")),
            true,
            Then::Own(CARELESS),
        ),
        row(
            at(
                "sha1.example",
                "203.0.113.28",
                Cert::Sha1,
                OpenSsl(&["-cipher", "DEFAULT@SECLEVEL=0"]),
            ),
            LAX,
            (PARAMETER, Some("unsupported signature algorithm")),
            true,
            Then::Own(LAX),
        ),
        row(
            at(
                "shortkey.example",
                "203.0.113.29",
                Cert::ShortKey,
                OpenSsl(&["-cipher", "DEFAULT@SECLEVEL=0"]),
            ),
            LAX,
            (CERTIFICATE, Some("RSA key of 1024 bits")),
            true,
            Then::Own(LAX),
        ),
        row(
            at(
                "wants13.example",
                "203.0.113.30",
                Cert::Good,
                OpenSsl(&["-tls1_3", "-Verify", "1"]),
            ),
            TRUSTING,
            (CERTIFICATE, Some("the server asks for a client certificate")),
            true,
            Then::Own(WITH_CERTIFICATE),
        ),
        row(
            at(
                "wants12.example",
                "203.0.113.31",
                Cert::Good,
                OpenSsl(&["-tls1_2", "-Verify", "1"]),
            ),
            TRUSTING,
            (CERTIFICATE, Some("the server asks for a client certificate")),
            true,
            Then::Own(WITH_CERTIFICATE),
        ),
        row(
            at(
                "tls10.example",
                "203.0.113.32",
                Cert::Good,
                OpenSsl(&["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"]),
            ),
            Client::Curl(&["--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0"]),
            (PARAMETER, Some("protocol_version")),
            true,
            Then::Own(OLD),
        ),
        row(
            at(
                "tls11.example",
                "203.0.113.33",
                Cert::Good,
                OpenSsl(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]),
            ),
            Client::Curl(&["--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0"]),
            (PARAMETER, Some("protocol_version")),
            true,
            Then::Own(OLD),
        ),
        row(
            at(
                "cbc.example",
                "203.0.113.34",
                Cert::Good,
                OpenSsl(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at(
                "staticrsa.example",
                "203.0.113.35",
                Cert::Rsa,
                OpenSsl(&["-tls1_2", "-cipher", "AES128-GCM-SHA256"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at(
                "dhe.example",
                "203.0.113.36",
                Cert::Rsa,
                OpenSsl(&["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at(
                "ccm.example",
                "203.0.113.37",
                Cert::Good,
                OpenSsl(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(Client::Curl(&[
                "--tls-max",
                "1.2",
                "--ciphers",
                "ECDHE-ECDSA-AES128-CCM",
            ])),
        ),
        row(
            at(
                "p521.example",
                "203.0.113.38",
                Cert::Good,
                OpenSsl(&["-groups", "P-521"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at(
                "koblitz.example",
                "203.0.113.39",
                Cert::Koblitz,
                OpenSsl(&["-tls1_2"]),
            ),
            TRUSTING,
            (PARAMETER, Some("handshake_failure")),
            true,
            Then::Own(Client::Curl(&["--curves", "secp256k1:P-256"])),
        ),
        row(
            at(
                "alpn.example",
                "203.0.113.40",
                Cert::Good,
                OpenSsl(&["-alpn", "odd"]),
            ),
            TRUSTING,
            (ERROR, Some("no_application_protocol")),
            true,
            Then::Own(Client::Curl(&["--no-alpn"])),
        ),
        row(
            at(
                "unnamed.example",
                "203.0.113.41",
                Cert::Good,
                Says(b"\x15\x03\x03\x00\x02\x02\x70"),
            ),
            TRUSTING,
            (ERROR, Some("unrecognized_name")),
            true,
            Then::Hears("\x15\x03\x03\0\x02\x02\x70"),
        ),
        row(
            at(
                "http.example",
                "203.0.113.42",
                Cert::Good,
                Says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
            ),
            TRUSTING,
            (ERROR, Some("not TLS")),
            true,
            Then::Hears("HTTP/1.1 400"),
        ),
        row(
            at(
                "ssh.example",
                "203.0.113.43",
                Cert::Good,
                Says(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            ),
            TRUSTING,
            (ERROR, Some("not TLS")),
            true,
            Then::Hears("SSH-2.0-"),
        ),
        row(
            at(
                "huge.example",
                "203.0.113.44",
                Cert::Good,
                Says(b"\x16\x03\x03\x4f\xff\x02\0\x4f\xfb\x03\x03"),
            ),
            TRUSTING,
            (ERROR, Some("a record is too large")),
            true,
            Then::Hears("\x16\x03\x03"),
        ),
        row(
            at(
                "notify.example",
                "203.0.113.45",
                Cert::Good,
                Says(b"\x15\x03\x03\x00\x02\x01\x00"),
            ),
            TRUSTING,
            (ERROR, Some("closed in the handshake")),
            true,
            Then::Hears("\x15\x03\x03\0\x02\x01\0"),
        ),
        row(
            at("fin.example", "203.0.113.46", Cert::Good, Says(b"")),
            TRUSTING,
            (ERROR, Some("closed in the handshake")),
            true,
            Then::Hears(""),
        ),
        row(
            at("reset.example", "203.0.113.47", Cert::Good, Server::Resets),
            TRUSTING,
            ("tcp-rst-from-server", Some("reset in the handshake")),
            false,
            Then::Same,
        ),
        row(
            at("silent.example", SILENT, Cert::Good, Server::Silent),
            Ours(Manner::Waits),
            ("aged-out", Some("silent in the handshake")),
            false,
            Then::Same,
        ),
    ]
}

const SILENT: &str = "203.0.113.48";

/// Rows of clients.
fn clients() -> Vec<Row> {
    use Certificate as Cert;
    use Client::Own as Ours;
    use Server::OpenSsl;
    let at = site;
    let any = OpenSsl(&["-cipher", "ALL:@SECLEVEL=0"]);
    vec![
        row(
            at("nocurl.example", "203.0.113.60", Cert::Good, NGINX),
            Client::Unprepared,
            (ERROR, Some("unknown_ca")),
            true,
            Then::Own(Client::Unprepared),
        ),
        row(
            at("noopenssl.example", "203.0.113.61", Cert::Good, NGINX),
            Client::OpenSsl,
            (ERROR, Some("unknown_ca")),
            true,
            Then::Own(Client::OpenSsl),
        ),
        row(
            at("leaves.example", "203.0.113.62", Cert::Good, NGINX),
            Ours(Manner::Leaves),
            (ERROR, Some("closed in the handshake without an alert")),
            true,
            Then::Own(TRUSTING),
        ),
        row(
            at("pinned13.example", "203.0.113.63", Cert::Good, NGINX),
            Client::Pinned(&["--tlsv1.3"]),
            (ERROR, Some("pinning")),
            true,
            Then::Own(Client::Pinned(&["--tlsv1.3"])),
        ),
        row(
            at("pinned12.example", "203.0.113.64", Cert::Good, NGINX),
            Client::Pinned(&["--tls-max", "1.2"]),
            (ERROR, Some("pinning")),
            true,
            Then::Own(Client::Pinned(&["--tls-max", "1.2"])),
        ),
        row(
            at("oldclient.example", "203.0.113.65", Cert::Rsa, any),
            TLS10,
            (PARAMETER, Some("version")),
            true,
            Then::Own(TLS10),
        ),
        row(
            at("rsacbc.example", "203.0.113.66", Cert::Rsa, any),
            Client::Curl(&["--tls-max", "1.2", "--ciphers", "AES128-SHA"]),
            (PARAMETER, Some("in common")),
            true,
            Then::Own(Client::Curl(&["--tls-max", "1.2", "--ciphers", "AES128-SHA"])),
        ),
        row(
            at("p521client.example", "203.0.113.67", Cert::Good, NGINX),
            Client::Curl(&["--curves", "P-521"]),
            (PARAMETER, Some("no key exchange in common")),
            true,
            Then::Own(Client::Curl(&["--curves", "P-521"])),
        ),
        row(
            at("halfhello.example", "203.0.113.68", Cert::Good, NGINX),
            Ours(Manner::ResetsInHello),
            ("tcp-rst-from-client", None),
            false,
            Then::Same,
        ),
        row(
            at("halfclosed.example", "203.0.113.69", Cert::Good, NGINX),
            Ours(Manner::ClosesInHello),
            ("tcp-fin", None),
            false,
            Then::Same,
        ),
        row(
            at("bytesonly.example", "203.0.113.70", Cert::Good, NGINX),
            Ours(Manner::ClosesAfterManySegments),
            ("tcp-fin", None),
            false,
            Then::Same,
        ),
    ]
}

/// Connections that go well.
fn successes() -> Vec<(Site, Client)> {
    use Certificate as Cert;
    use Client::Own as Ours;
    use Server::OpenSsl;
    let at = site;
    vec![
        // curl takes the common name where there is no other, of the likeness as of the original.
        (
            at("commonname.example", "203.0.113.107", Cert::CommonName, NGINX),
            TRUSTING,
        ),
        // It asks for a certificate, and goes on without.
        (
            at(
                "asks13.example",
                "203.0.113.108",
                Cert::Good,
                OpenSsl(&["-tls1_3", "-verify", "1"]),
            ),
            TRUSTING,
        ),
        (
            at(
                "asks12.example",
                "203.0.113.109",
                Cert::Good,
                OpenSsl(&["-tls1_2", "-verify", "1"]),
            ),
            TRUSTING,
        ),
        (
            at("rsaclient.example", "203.0.113.100", Cert::Good, NGINX),
            Client::Curl(&["--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256"]),
        ),
        (
            at("whole.example", "203.0.113.110", Cert::Good, NGINX),
            Ours(Manner::Browses),
        ),
        (
            at("bytes.example", "203.0.113.101", Cert::Good, NGINX),
            Ours(Manner::InBytes),
        ),
        (
            at("halves.example", "203.0.113.102", Cert::Good, NGINX),
            Ours(Manner::InHalves),
        ),
        (
            at("records.example", "203.0.113.103", Cert::Good, NGINX),
            Ours(Manner::InRecords),
        ),
        (
            at("quantum.example", "203.0.113.104", Cert::Good, NGINX),
            Ours(Manner::PostQuantum),
        ),
    ]
}

const FAST: Site = site("fast.example", "203.0.113.105", Certificate::Good, NGINX);
const PLAIN: Site = site(
    "plain.example",
    "203.0.113.106",
    Certificate::Good,
    Server::Says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\nConnection: close\r\n\r\nhello from plain.example\n",
    ),
);

#[test]
fn every_failure_is_named_and_the_next_connection_passes() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let config = CONFIG.replace(
        "trusted-root-ca = [\"file:root.pem\"]",
        "trusted-root-ca = [\"file:root.pem\"]\ncrl = [\"file:root.crl\"]",
    );
    assert_ne!(config, CONFIG);
    let mut lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_cordon")), &config, &[])?;
    let rows: Vec<Row> = servers().into_iter().chain(clients()).collect();
    let mut all: Vec<Site> = rows.iter().map(|row| row.site).collect();
    all.extend(successes().iter().map(|(site, _)| *site));
    all.extend([FAST, PLAIN]);
    for host in [&lab.healthy, &lab.internet] {
        lab::on(host, "sysctl", &["-w", "net.ipv4.tcp_fastopen=3"])?;
    }
    let sites = Sites::serve(&lab, &all)?;
    lab.start()?;
    let visitors = Visitors::new(&lab, Path::new(env!("CARGO_BIN_EXE_cordon")))?;
    let run = Run {
        lab: &lab,
        sites: &sites,
        visitors,
    };
    let (slow, quick): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.site.address == SILENT);
    let mut wrong = Vec::new();
    let mut note = |what: &str, outcome: Outcome<()>| {
        if let Err(error) = outcome {
            wrong.push(format!("{what}: {error}"));
        }
    };
    thread::scope(|scope| -> Outcome<()> {
        let waits: Vec<_> = slow
            .iter()
            .map(|row| (row.site.name, scope.spawn(|| run.row(row))))
            .collect();
        for row in &quick {
            note(row.site.name, run.row(row));
        }
        for (site, client) in successes() {
            note(site.name, run.success(site, client));
        }
        note(FAST.name, run.fast_open());
        note(PLAIN.name, run.plain());
        for (name, wait) in waits {
            note(name, wait.join().map_err(|_| "panicked")?);
        }
        Ok(())
    })?;
    assert!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.join("\n"),
        fs::read_to_string(lab.file("cordon.log")).unwrap_or_default()
    );
    counted(&lab)?;
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}

/// What went by unopened is told by its tags, and what rules have decided by the rules.
fn counted(lab: &Lab) -> Outcome<()> {
    let bypass = lab.ask(&["show", "bypass"])?;
    let entries = bypass["bypass"].as_array().ok_or("no list")?;
    let went_by = |entry: &serde_json::Value| {
        entry["sessions"].as_u64() > Some(0) && entry["bytes"].as_u64() > Some(1000)
    };
    must(entries.iter().any(went_by), &bypass.to_string())?;
    let hits = |kind: &str, what: &str| -> Outcome<u64> {
        let rules = lab.ask(&["show", "rules"])?;
        let rules = rules[kind].as_array().ok_or("no list")?.clone();
        Ok(rules.iter().filter_map(|rule| rule[what].as_u64()).sum())
    };
    for kind in ["security", "decryption"] {
        must(hits(kind, "hits")? > 10, kind)?;
        must(hits(kind, "bytes")? > 10_000, kind)?;
    }
    lab.ask(&["clear", "rule-hits", "all"])?;
    must(hits("decryption", "hits")? == 0, "cleared")
}

struct Run<'a> {
    lab: &'a Lab,
    sites: &'a Sites,
    visitors: Visitors<'a>,
}

impl Run<'_> {
    fn row(&self, row: &Row) -> Outcome<()> {
        let (reason, error) = row.told;
        let first = self.go(row.site, row.client)?;
        must(!is_page(&first), &format!("a page the first time: {first:?}"))?;
        // The failure's records are there at once, not when the session would have timed out.
        let told = within(Duration::from_secs(1), "its records", || {
            self.reason(row.site).is_ok_and(|told| told == reason)
                && error.is_none_or(|error| {
                    self.error(row.site)
                        .is_ok_and(|told| told.is_some_and(|told| told.contains(error)))
                })
        });
        if told.is_err() {
            return Err(format!(
                "traffic says {:?}, decryption says {:?}, and {first:?}",
                self.reason(row.site)?,
                self.error(row.site)?
            )
            .into());
        }
        if error.is_none() {
            must(self.error(row.site)?.is_none(), "a record of decryption")?;
        }
        if row.tagged {
            within(Duration::from_secs(1), "its tag", || {
                self.members()
                    .is_ok_and(|members| members.contains(row.site.address))
            })?;
        } else {
            must(!self.members()?.contains(row.site.address), "is tagged")?;
        }
        match row.then {
            Then::Same => Ok(()),
            Then::Own(client) => {
                let second = self.go(row.site, client)?;
                must(
                    is_page(&second) && !second.issuer.is_empty() && !second.issuer.contains("cordon"),
                    &format!("the next connection: {second:?}"),
                )
            }
            Then::Hears(bytes) => {
                let second = self.go(row.site, Client::Own(Manner::Waits))?;
                must(
                    second.page.starts_with(bytes),
                    &format!("the next connection: {second:?}"),
                )
            }
        }
    }

    /// Opened, and nothing wrong with it.
    fn success(&self, site: Site, client: Client) -> Outcome<()> {
        let visit = self.go(site, client)?;
        must(
            is_page(&visit) && visit.issuer.contains("cordon"),
            &format!("{visit:?}; decryption says {:?}", self.error(site)?),
        )?;
        must(!self.members()?.contains(site.address), "is tagged")
    }

    /// Nobody gets a cookie, so no data comes before the decision.
    fn fast_open(&self) -> Outcome<()> {
        for _ in 0..2 {
            self.success(FAST, Client::Curl(&["--tcp-fastopen"]))?;
        }
        let asked = |host: &Namespace| visitors::tcp_counter(host, "TCPFastOpenCookieReqd");
        must(asked(&self.lab.internet)? == 0, "a cookie was asked for")
    }

    /// What is not TLS is nobody's business.
    fn plain(&self) -> Outcome<()> {
        let page = self.visitors.plain(PLAIN)?;
        must(page.contains("hello from"), &format!("no page: {page}"))?;
        // A session that nobody opens waits for stray segments first, as `tcp-time-wait` says.
        within(Duration::from_secs(25), "its record", || {
            self.reason(PLAIN).is_ok_and(|told| told == "tcp-fin")
        })?;
        must(self.error(PLAIN)?.is_none(), "a record of decryption")?;
        must(!self.members()?.contains(PLAIN.address), "is tagged")
    }

    fn go(&self, site: Site, client: Client) -> Outcome<Visit> {
        match client {
            Client::Curl(arguments) => self.visitors.curl(site, "trusted.pem", arguments),
            Client::Unprepared => self.visitors.curl(site, "root.pem", &[]),
            Client::Pinned(arguments) => {
                let pin = self.sites.pin(site)?;
                let all: Vec<&str> = ["--pinnedpubkey", &pin]
                    .into_iter()
                    .chain(arguments.iter().copied())
                    .collect();
                self.visitors.curl(site, "trusted.pem", &all)
            }
            Client::OpenSsl => self.visitors.openssl(site),
            Client::Own(manner) => self.visitors.own(site, manner),
        }
    }

    /// Why the last session with a site ended; empty where none has.
    fn reason(&self, site: Site) -> Outcome<String> {
        let answer = self.logs("traffic", site)?;
        Ok(answer["logs"][0]["session_end_reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// What the last record of decryption says.
    fn error(&self, site: Site) -> Outcome<Option<String>> {
        let answer = self.logs("decryption", site)?;
        Ok(answer["logs"][0]["error"].as_str().map(str::to_owned))
    }

    fn logs(&self, log: &str, site: Site) -> Outcome<serde_json::Value> {
        self.lab
            .ask(&["show", "logs", log, &format!("(addr.dst in {})", site.address)])
    }

    fn members(&self) -> Outcome<BTreeSet<String>> {
        let answer = self.lab.ask(&["show", "group", "Decryption-Bypass"])?;
        let members = answer["members"].as_array().into_iter().flatten();
        Ok(members
            .filter_map(|member| member.as_str().map(str::to_owned))
            .collect())
    }
}

/// nginx's page, or OpenSSL's.
fn is_page(visit: &Visit) -> bool {
    visit.page.contains("hello from") || visit.page.contains("Ciphers supported")
}

fn must(so: bool, what: &str) -> Outcome<()> {
    if so { Ok(()) } else { Err(what.to_owned().into()) }
}
