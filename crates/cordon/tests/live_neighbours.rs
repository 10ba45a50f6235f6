//! A thousand names on fifty addresses, as a content network has them, twenty of them pinned by their clients: who is
//! bypassed with those twenty, by address and by name.

#[expect(dead_code, reason = "other live tests use the rest")]
mod lab;
#[path = "lab/sites.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod sites;
#[path = "lab/visitors.rs"]
#[expect(dead_code, reason = "the failure table uses the rest")]
mod visitors;

use std::{collections::BTreeSet, path::Path, time::Duration};

use lab::{Lab, Outcome, within};
use ports::live::Namespace;
use sites::{Certificate, Server, Site, Sites, site};
use visitors::{Manner, Visitors};

const CONFIG: &str = include_str!("../examples/live_decryption.toml");
const NAMES: usize = 1_000;
const ADDRESSES: usize = 50;
/// The first of the names, each on an address of its own.
const PINNED: usize = 20;

#[test]
fn a_name_that_fails_takes_its_neighbours_along_only_by_address() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let pinned: BTreeSet<usize> = (0..PINNED).collect();
    let by_name = bypassed("decryption", "server-name")?;
    assert_eq!(by_name, pinned);
    let by_address = bypassed("traffic", "address")?;
    let beside_them = (0..NAMES).filter(|name| name % ADDRESSES < PINNED).collect();
    assert_eq!(by_address, beside_them);
    let innocent = NAMES - PINNED;
    eprintln!(
        "of {innocent} innocent names {} are bypassed by name, {} ({} %) by address",
        by_name.difference(&pinned).count(),
        by_address.difference(&pinned).count(),
        100 * by_address.difference(&pinned).count() / innocent
    );
    Ok(())
}

/// The names whose own certificate a client sees, once the pinned ones have failed; by a match list of this log and with
/// this scope.
fn bypassed(log: &str, scope: &str) -> Outcome<BTreeSet<usize>> {
    let config = CONFIG
        .replace("log-type = \"traffic\"", &format!("log-type = \"{log}\""))
        .replace("timeout = 1 }", &format!("timeout = 15, scope = \"{scope}\" }}"));
    assert!(config.contains(scope) && config.contains(log), "{config}");
    let mut lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_cordon")), &config, &[])?;
    let addresses: Vec<&'static str> = (0..ADDRESSES)
        .map(|number| &*format!("203.0.113.{}", 101 + number).leak())
        .collect();
    let all: Vec<Site> = addresses
        .iter()
        .map(|address| served("*.names.example", address))
        .collect();
    let _sites = Sites::serve(&lab, &all)?;
    lab.start()?;
    let visitors = Visitors::new(&lab, Path::new(env!("CARGO_BIN_EXE_cordon")))?;
    let names: Vec<Site> = (0..NAMES)
        .map(|name| {
            served(
                format!("n{name}.names.example").leak(),
                addresses[name % ADDRESSES],
            )
        })
        .collect();
    for name in &names[..PINNED] {
        visitors.own(*name, Manner::Leaves)?;
    }
    within(Duration::from_secs(5), "all that failed are tagged", || {
        let tags = lab.ask(&["show", "tags"]).unwrap_or_default();
        tags["tags"].as_array().is_some_and(|tags| tags.len() == PINNED)
    })?;
    let mut bypassed = BTreeSet::new();
    for (number, name) in names.iter().enumerate() {
        let visit = visitors.own(*name, Manner::Browses)?;
        assert!(visit.page.contains("hello from"), "{}: {visit:?}", name.name);
        if !visit.issuer.contains("cordon") {
            bypassed.insert(number);
        }
    }
    assert_eq!(lab.stop()?, Some(0));
    Ok(bypassed)
}

fn served(name: &'static str, address: &'static str) -> Site {
    site(name, address, Certificate::Good, Server::Nginx)
}
