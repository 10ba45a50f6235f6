//! Whom a name belongs to, on the wire: one that only its client claims keeps no session closed, and a certificate without
//! alternative names is shown with one.

#[expect(dead_code, reason = "other live tests use the rest")]
mod lab;
#[path = "lab/sites.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod sites;
#[path = "lab/visitors.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod visitors;

use std::path::Path;

use lab::{Lab, Outcome, RESOLVER, WEB, on, text};
use ports::live::Namespace;
use sites::{Certificate, ROOT, Server, Site, Sites, site};
use visitors::Visitors;

const CONFIG: &str = include_str!("../examples/live_decryption.toml");
/// The resolver knows one address for every name.
const BANK: Site = site("www.bank.example", WEB[0], Certificate::Good, Server::Nginx);
/// A server of anybody's, whose client says that it is the bank.
const LIAR: Site = site("evil.example", "203.0.113.66", Certificate::Good, Server::Nginx);
const CLAIMED: Site = site(BANK.name, LIAR.address, Certificate::Good, Server::Nginx);
const COMMON_NAME: Site = site(
    "old.example",
    "203.0.113.67",
    Certificate::CommonName,
    Server::Nginx,
);

/// A lab with these sites and one more line in the decryption profile.
fn lab(line: &str, all: &[Site]) -> Outcome<(Lab, Sites)> {
    let profile = "[profiles.decryption.Standard]\n";
    let config = CONFIG.replace(profile, &format!("{profile}{line}\n"));
    assert!(config.contains(line), "{config}");
    let mut lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_cordon")), &config, &[])?;
    let sites = Sites::serve(&lab, all)?;
    lab.start()?;
    Ok((lab, sites))
}

#[test]
fn a_claimed_name_is_believed_where_dns_has_told_it() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let (mut lab, _sites) = lab("verify-sni = true", &[BANK, LIAR])?;
    let visitors = Visitors::new(&lab, Path::new(env!("CARGO_BIN_EXE_cordon")))?;
    let visit = |site: Site| visitors.curl(site, "trusted.pem", &["--insecure"]);
    // Nobody has asked for the bank yet.
    for site in [CLAIMED, BANK] {
        let seen = visit(site)?;
        assert!(seen.issuer.contains("cordon"), "{}: {seen:?}", site.address);
    }
    let server = format!("@{}", RESOLVER[0]);
    let answer = on(&lab.healthy, "dig", &["+short", &server, BANK.name, "A"])?;
    assert_eq!(text(&answer).trim(), WEB[0]);
    let seen = visit(BANK)?;
    assert!(
        seen.issuer.contains(ROOT) && seen.page.contains("hello"),
        "{seen:?}"
    );
    let seen = visit(CLAIMED)?;
    assert!(seen.issuer.contains("cordon"), "{seen:?}");
    let doubted = lab.ask(&["show", "counters"])?["sessions"]["unverified_names"].clone();
    assert_eq!(doubted.as_u64(), Some(3), "{doubted}");
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}

#[test]
fn a_server_with_nothing_but_a_common_name_is_opened_and_believed() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let (mut lab, _sites) = lab("ssl-forward-proxy.auto-include-altname = true", &[COMMON_NAME])?;
    let visitors = Visitors::new(&lab, Path::new(env!("CARGO_BIN_EXE_cordon")))?;
    let seen = visitors.curl(COMMON_NAME, "trusted.pem", &[])?;
    assert!(seen.issuer.contains("cordon"), "{seen:?}");
    assert!(seen.page.contains("hello from old.example"), "{seen:?}");
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}
