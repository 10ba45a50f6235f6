//! Decryption that does not break things, on a live wire: real sites and real clients in network namespaces, and cordon
//! on the cable between them. Needs root; makes and removes all it uses. Exits with 1 if any step is not as told.

#![expect(clippy::print_stdout, reason = "it is there to be read")]

#[path = "../tests/lab/mod.rs"]
#[expect(dead_code, reason = "the quarantine uses the rest")]
mod lab;
#[path = "../tests/lab/sites.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod sites;
mod stage;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use lab::{Lab, Outcome, on, text, within};
use sites::{BANK, EXPIRED, GOOD, OLD, PINNED, ROOT, SITES, Site, Sites, UNKNOWN};
use stage::{chapter, members, must};

/// The group that a no-decrypt rule names.
const BYPASS: &str = "Decryption-Bypass";
const CONFIG: &str = include_str!("live_decryption.toml");

fn main() -> ExitCode {
    stage::play(tell)
}

fn tell(binary: &Path) -> Outcome<()> {
    println!(
        "\
A host that trusts cordon's certificate, cordon on the cable to its gateway, without an address of its own, and six
HTTPS sites behind it. A rule decrypts everything but banks and what is in the group Decryption-Bypass.\n"
    );
    let mut lab = Lab::new(binary, CONFIG, &[])?;
    let sites = Sites::serve(&lab, &SITES)?;
    lab.start()?;
    let story = Story {
        trusted: trusted(&lab, binary)?,
        pin: sites.pin(PINNED)?,
        lab: &lab,
    };
    story.good_site_is_opened()?;
    story.bank_stays_closed()?;
    for (site, what, reason) in [
        (PINNED, "whose client knows its key (pinning)", "decrypt-error"),
        (
            EXPIRED,
            "whose certificate has expired",
            "decrypt-cert-validation",
        ),
        (UNKNOWN, "whose issuer nobody knows", "decrypt-cert-validation"),
        (OLD, "that speaks TLS 1.0 only", "decrypt-unsupport-param"),
    ] {
        story.failure_is_bypassed(site, what, reason)?;
    }
    story.bypass_heals()?;
    let info = lab.ask(&["show", "info"])?;
    println!(
        "\nFrom a packet to its tag in force: {} µs at most, over {} tags.",
        info["enforcement_lag_microseconds"]["max"], info["enforcement_lag_microseconds"]["count"]
    );
    must(lab.stop()? == Some(0), "cordon stops when it is told to")
}

struct Story<'a> {
    lab: &'a Lab,
    /// What the host trusts: cordon's certificate and the internet's root.
    trusted: PathBuf,
    pin: String,
}

/// What a client got.
struct Visit {
    page: String,
    /// Who has signed the certificate that the client saw.
    issuer: String,
    error: String,
}

impl Story<'_> {
    fn good_site_is_opened(&self) -> Outcome<()> {
        chapter("A site without flaws is decrypted: the certificate is cordon's");
        let visit = self.visit(GOOD)?;
        must(visit.page.contains(GOOD.name), "the page arrives")?;
        must(visit.issuer.contains("cordon"), "the certificate is cordon's")
    }

    fn bank_stays_closed(&self) -> Outcome<()> {
        chapter("A bank is never decrypted, by its category: the certificate is its own");
        let visit = self.visit(BANK)?;
        must(visit.page.contains(BANK.name), "the page arrives")?;
        must(visit.issuer.contains(ROOT), "the certificate is the site's own")
    }

    fn failure_is_bypassed(&self, site: Site, what: &str, reason: &str) -> Outcome<()> {
        chapter(&format!(
            "{} ({}), {what}: the first connection fails",
            site.name, site.address
        ));
        let first = self.visit(site)?;
        must(
            !first.page.contains(site.name) && !first.page.contains("Cipher"),
            "no page the first time",
        )?;
        within(Duration::from_secs(2), "its address is tagged", || {
            members(self.lab, BYPASS).is_ok_and(|members| members.contains(&site.address.to_owned()))
        })?;
        let filter = format!(
            "(addr.dst in {}) and (session_end_reason eq {reason})",
            site.address
        );
        let records = self.lab.ask(&["show", "logs", "traffic", &filter])?;
        must(
            records.to_string().contains(reason),
            &format!("the traffic log says {reason}"),
        )?;
        let why = self.lab.ask(&[
            "show",
            "logs",
            "decryption",
            &format!("(addr.dst in {})", site.address),
        ])?;
        let error = why["logs"][0]["error"].as_str().unwrap_or_default();
        println!("  traffic log: session_end_reason {reason}; decryption log: {error}");
        println!("  Decryption-Bypass: {}", members(self.lab, BYPASS)?.join(", "));
        let second = self.visit(site)?;
        must(
            second.page.contains(site.name) || second.page.contains("Cipher"),
            "the second connection goes through",
        )?;
        must(
            !second.issuer.contains("cordon"),
            "with the site's own certificate",
        )
    }

    fn bypass_heals(&self) -> Outcome<()> {
        chapter("After the deadline (a minute here, fifteen in the guide) it is decrypted again");
        within(Duration::from_secs(90), "the tags expire", || {
            members(self.lab, BYPASS).is_ok_and(|members| members.is_empty())
        })?;
        let visit = self.visit_with(PINNED, &[])?;
        must(
            visit.issuer.contains("cordon"),
            "the certificate is cordon's again",
        )
    }

    /// Visits a site as its usual client does.
    fn visit(&self, site: Site) -> Outcome<Visit> {
        let extra: Vec<&str> = match site.name {
            name if name == PINNED.name => vec!["--pinnedpubkey", &self.pin],
            // Such sites have visitors who do not mind.
            name if name == EXPIRED.name || name == UNKNOWN.name => vec!["--insecure"],
            name if name == OLD.name => vec!["--tlsv1.0", "--ciphers", "DEFAULT@SECLEVEL=0"],
            _ => Vec::new(),
        };
        self.visit_with(site, &extra)
    }

    fn visit_with(&self, site: Site, extra: &[&str]) -> Outcome<Visit> {
        let trusted = self.trusted.to_string_lossy();
        let resolve = format!("{}:443:{}", site.name, site.address);
        let url = format!("https://{}/", site.name);
        let mut arguments = vec![
            "-sv",
            "--max-time",
            "5",
            "--cacert",
            &trusted,
            "--resolve",
            &resolve,
            &url,
        ];
        arguments.extend(extra);
        let output = on(&self.lab.healthy, "curl", &arguments)?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let issuer = told
            .lines()
            .find_map(|line| line.trim_start_matches("* ").trim().strip_prefix("issuer: "))
            .unwrap_or_default()
            .to_owned();
        let error = told
            .lines()
            .rfind(|line| line.contains("curl: (") || line.contains("alert") || line.contains("pinned"))
            .unwrap_or_default()
            .to_owned();
        let visit = Visit {
            page: text(&output),
            issuer,
            error,
        };
        println!("$ curl https://{}/ {}", site.name, extra.first().unwrap_or(&""));
        println!("    page: {:?}", visit.page.lines().next().unwrap_or_default());
        println!("    certificate issued by: {:?}", visit.issuer);
        if !output.status.success() {
            println!("    curl: exit {:?} {}", output.status.code(), visit.error);
        }
        Ok(visit)
    }
}

/// What the host trusts, in one file.
fn trusted(lab: &Lab, binary: &Path) -> Outcome<PathBuf> {
    let ours = Command::new(binary)
        .args(["ca", "export", "--state"])
        .arg(lab.file("state"))
        .output()?;
    must(ours.status.success(), &String::from_utf8_lossy(&ours.stderr))?;
    let mut pem = ours.stdout;
    pem.extend(std::fs::read(lab.file("root.pem"))?);
    let file = lab.file("trusted.pem");
    std::fs::write(&file, pem)?;
    Ok(file)
}
