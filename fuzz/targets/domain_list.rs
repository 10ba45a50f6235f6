//! The texts of domain lists, and lookups of arbitrary names in what became of them.
#![no_main]

use inspect::domains::{DomainSetBuilder, ListOptions, ListTag};
use libfuzzer_sys::fuzz_target;
use packet::DomainName;

fuzz_target!(|input: (u8, &str, &str)| {
    let (choice, name, text) = input;
    let options = ListOptions {
        expand: choice & 1 == 0,
        allow_public_suffix: choice & 2 == 0,
        max_names: 40,
        ..ListOptions::default()
    };
    let mut builder = DomainSetBuilder::new(u64::from(choice));
    let first = builder.add(ListTag(1), text, &options);
    let again = builder.add(ListTag(2), text, &options);
    assert_eq!(first, again);
    let set = builder.build();
    assert!(first.names <= 40 && set.len() <= first.names);
    for text in text.lines().chain([name]) {
        let Ok(name) = text.parse::<DomainName>() else {
            continue;
        };
        assert_eq!(name.to_string().parse(), Ok(name));
        let hits = set.lookup(&name);
        let depth = |list| hits.on(ListTag(list)).map(|hit| hit.labels_skipped);
        assert_eq!(depth(1), depth(2));
    }
});
