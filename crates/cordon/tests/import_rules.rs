//! Keeps the house's import rules (`docs/ARCHITECTURE.md`): which room may import which, and which
//! outside crates only certain rooms may name.
//!
//! Every kind of dependency counts, those of tests too: a test that needs a room above its own belongs
//! above.

#![expect(clippy::expect_used, reason = "a test says what it expected")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{Metadata, MetadataCommand};

/// Each room, and the rooms it may import: only such as have their row before.
const ROOMS: &[(&str, &[&str])] = &[
    ("cordon-packet", &[]),
    ("cordon-tags", &["cordon-packet"]),
    ("cordon-policy", &["cordon-packet", "cordon-tags"]),
    ("cordon-inspect", &["cordon-packet"]),
    ("cordon-decrypt", &["cordon-packet", "cordon-inspect"]),
    ("cordon-logs", &["cordon-packet", "cordon-tags", "cordon-policy"]),
    (
        "cordon-engine",
        &[
            "cordon-packet",
            "cordon-tags",
            "cordon-policy",
            "cordon-inspect",
            "cordon-decrypt",
            "cordon-logs",
        ],
    ),
    (
        "cordon-config",
        &[
            "cordon-packet",
            "cordon-tags",
            "cordon-policy",
            "cordon-inspect",
            "cordon-logs",
            "cordon-engine",
        ],
    ),
    ("cordon-ports", &["cordon-packet"]),
    (
        "cordon-control",
        &[
            "cordon-packet",
            "cordon-tags",
            "cordon-policy",
            "cordon-inspect",
            "cordon-logs",
            "cordon-decrypt",
            "cordon-engine",
            "cordon-config",
        ],
    ),
];

/// What sits above all rooms and may import every one of them.
const ABOVE: &[&str] = &["cordon", "cordon-benches"];

/// Outside crates that only these may name.
const KEPT: &[(&str, &[&str])] = &[
    ("etherparse", &["cordon-packet"]),
    ("hickory-proto", &["cordon-inspect"]),
    ("tls-parser", &["cordon-inspect"]),
    ("x509-parser", &["cordon-inspect", "cordon-decrypt"]),
    ("dashmap", &["cordon-tags"]),
    ("papaya", &["cordon-tags", "cordon-logs"]),
    ("pnet", &["cordon-ports"]),
    ("toml-span", &["cordon-config"]),
    ("serde", SERIALISING),
    ("serde_json", SERIALISING),
    ("clap", &["cordon"]),
    ("comfy-table", &["cordon"]),
    // `inspect` drives real HTTP/2 ends with it in its tests.
    ("tokio", &["cordon-control", "cordon-inspect"]),
    ("indicatif", &["cordon"]),
    ("tracing-subscriber", &["cordon"]),
];

/// Records are what is serialised: only their owner and the rooms above it do.
const SERIALISING: &[&str] = &[
    "cordon-logs",
    "cordon-engine",
    "cordon-config",
    "cordon-control",
    "cordon",
    "cordon-benches",
];

/// Each workspace member with the packages it names as dependencies of any kind.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let metadata: Metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .expect("cargo describes the workspace");
    let packages = metadata.workspace_packages().into_iter();
    packages
        .map(|package| {
            let names = package.dependencies.iter().map(|named| named.name.clone());
            (package.name.to_string(), names.collect())
        })
        .collect()
}

/// What `may` allows to each of `members`, held against what they name.
fn broken_rules(
    members: &BTreeMap<String, BTreeSet<String>>,
    concerns: impl Fn(&str) -> bool,
    may: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let mut broken = Vec::new();
    for (member, named) in members {
        for name in named {
            if concerns(name) && !may(member, name) {
                broken.push(format!("{member} must not import {name}"));
            }
        }
    }
    broken
}

fn may_import(member: &str, room: &str) -> bool {
    // A room's own tests may want its features for tests.
    member == room
        || ABOVE.contains(&member)
        || ROOMS
            .iter()
            .any(|(name, imports)| *name == member && imports.contains(&room))
}

fn may_name(member: &str, outside: &str) -> bool {
    KEPT.iter()
        .any(|(name, rooms)| *name == outside && rooms.contains(&member))
}

#[test]
fn every_member_has_its_place() {
    let members: Vec<String> = dependencies().into_keys().collect();
    let mut places: Vec<&str> = ROOMS
        .iter()
        .map(|(name, _)| *name)
        .chain(ABOVE.iter().copied())
        .collect();
    places.sort_unstable();
    assert_eq!(members, places, "a new crate needs a row in ROOMS");
}

#[test]
fn rooms_import_only_what_lies_below() {
    let members = dependencies();
    let broken = broken_rules(&members, |name| members.contains_key(name), may_import);
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn some_outside_crates_have_one_home() {
    let kept = |name: &str| KEPT.iter().any(|(outside, _)| *outside == name);
    let broken = broken_rules(&dependencies(), kept, may_name);
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_table_itself_points_downwards() {
    for (row, (name, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            let below = ROOMS[..row].iter().any(|(lower, _)| lower == import);
            assert!(
                below,
                "{name} may import {import}, whose row does not stand above"
            );
        }
    }
}

#[test]
fn a_broken_rule_is_seen() {
    let members = BTreeMap::from([
        (
            "cordon-packet".to_owned(),
            BTreeSet::from(["cordon-tags".to_owned()]),
        ),
        (
            "cordon-tags".to_owned(),
            BTreeSet::from(["etherparse".to_owned(), "smallvec".to_owned()]),
        ),
    ]);
    assert_eq!(
        broken_rules(&members, |name| members.contains_key(name), may_import),
        ["cordon-packet must not import cordon-tags"]
    );
    assert_eq!(
        broken_rules(&members, |name| name == "etherparse", may_name),
        ["cordon-tags must not import etherparse"]
    );
}
