use std::collections::BTreeMap;

use packet::DomainName;
use proptest::prelude::*;

use super::*;

fn set_of(lists: &[(&str, ListOptions)]) -> (DomainSet, Vec<ListReport>) {
    let mut builder = DomainSetBuilder::new(1);
    let mut reports = Vec::new();
    for ((text, options), tag) in lists.iter().zip(0..) {
        reports.push(builder.add(ListTag(tag), text, options));
    }
    (builder.build(), reports)
}

fn hits(set: &DomainSet, name: &str) -> Vec<(u16, u8)> {
    set.lookup(&name.parse().unwrap())
        .iter()
        .map(|hit| (hit.list.0, hit.labels_skipped))
        .collect()
}

fn expanded() -> ListOptions {
    ListOptions {
        expand: true,
        ..ListOptions::default()
    }
}

#[test]
fn scopes_and_folding() {
    let text = "evil.example\n*.Below.example.\n^only.example\n";
    let (set, _) = set_of(&[(text, ListOptions::default())]);
    assert_eq!(hits(&set, "EVIL.Example."), [(0, 0)]);
    assert_eq!(hits(&set, "www.evil.example"), []);
    assert_eq!(hits(&set, "below.example"), []);
    assert_eq!(hits(&set, "a.b.below.example"), [(0, 2)]);
    assert_eq!(hits(&set, "only.example"), [(0, 0)]);
    assert_eq!(hits(&set, "www.only.example"), []);
    assert_eq!(set.len(), 3);
    let (set, _) = set_of(&[(text, expanded())]);
    assert_eq!(hits(&set, "www.evil.example"), [(0, 1)]);
    assert_eq!(hits(&set, "www.only.example"), []);
}

#[test]
fn every_list_with_the_name_is_told() {
    let plain = ListOptions::default;
    let (set, _) = set_of(&[
        ("a.example", plain()),
        ("*.example", plain()),
        ("A.Example", plain()),
    ]);
    assert_eq!(hits(&set, "a.example"), [(0, 0), (1, 1), (2, 0)]);
    assert!(hits(&set, "example").is_empty());
    let name = "a.example".parse().unwrap();
    assert_eq!(
        set.lookup(&name).on(ListTag(1)).map(|hit| hit.wildcard()),
        Some(true)
    );
}

#[test]
fn the_more_specific_of_entry_and_exception_counts() {
    let options = ListOptions {
        exceptions: vec![
            "good.evil.example".parse().unwrap(),
            "*.mixed.example".parse().unwrap(),
        ],
        ..expanded()
    };
    let text = "evil.example\nmixed.example\nbad.mixed.example\ngood.evil.example\n";
    let (set, _) = set_of(&[(text, options), ("evil.example", expanded())]);
    assert_eq!(hits(&set, "evil.example"), [(0, 0), (1, 0)]);
    assert_eq!(hits(&set, "good.evil.example"), [(1, 1)]);
    assert_eq!(hits(&set, "x.good.evil.example"), [(1, 2)]);
    assert_eq!(hits(&set, "mixed.example"), [(0, 0)]);
    assert_eq!(hits(&set, "other.mixed.example"), []);
    assert_eq!(hits(&set, "bad.mixed.example"), [(0, 0)]);
}

#[test]
fn lines_are_judged_one_by_one() {
    let text = "\u{feff}# comment\r\n\r\n; another\n// third\n! fourth\n\
        one.example # why\n0.0.0.0 two.example three.example # hosts\n127.0.0.1 localhost\nfe80::1%lo0 localhost\n\
        four.example five.example\nhttp://six.example/\n192.0.2.1\n*bad.example\na.*.example\nsp|ce\n\
        ..\nB\u{fc}cher.example\n_dmarc.example\nlocalhost\ncorp\n*.corp\n";
    let (set, reports) = set_of(&[(text, ListOptions::default())]);
    let report = &reports[0];
    let invalid: Vec<usize> = report.invalid.iter().map(|(line, _)| *line).collect();
    assert_eq!(invalid, [10, 11, 12, 13, 14, 15, 16]);
    assert_eq!((report.comments, report.names, report.invalid_count), (6, 8, 7));
    for name in [
        "one.example",
        "two.example",
        "three.example",
        "xn--bcher-kva.example",
        "_DMARC.example",
    ] {
        assert_eq!(hits(&set, name), [(0, 0)], "{name}");
    }
    assert_eq!(hits(&set, "host.corp"), [(0, 1)]);
}

#[test]
fn names_as_records_write_them_are_entries() {
    let odd = DomainName::from_message(b"\x06a\n\\. \xff\x07pIrate\"\x00", 0)
        .unwrap()
        .0;
    let (set, reports) = set_of(&[(&odd.to_string(), ListOptions::default())]);
    assert_eq!(reports[0].names, 1, "{:?}", reports[0].invalid);
    assert!(!set.lookup(&odd).is_empty());
}

#[test]
fn labels_may_hold_any_byte() {
    let mut builder = DomainSetBuilder::new(1);
    let text = "a.\\000\na.\\000\\000\n\\000.example\n";
    let report = builder.add(ListTag(0), text, &expanded());
    let set = builder.build();
    assert_eq!((report.names, set.len()), (3, 3), "{:?}", report.invalid);
    assert_eq!(hits(&set, "A.\\000"), [(0, 0)]);
    assert_eq!(hits(&set, "b.a.\\000\\000"), [(0, 1)]);
    assert_eq!(hits(&set, "\\000.example"), [(0, 0)]);
    assert_eq!(hits(&set, "a"), []);
}

#[test]
fn lists_may_be_more_than_a_byte_counts() {
    let lines: Vec<String> = (0..300).map(|list| format!("host-{list}.example")).collect();
    let lists: Vec<_> = lines
        .iter()
        .map(|line| (line.as_str(), ListOptions::default()))
        .collect();
    let (set, _) = set_of(&lists);
    for (list, line) in (0..).zip(&lines) {
        assert_eq!(hits(&set, line), [(list, 0)]);
    }
    assert_eq!(hits(&set, "host-300.example"), []);
}

#[test]
fn public_suffixes_are_refused_unless_allowed() {
    let text = "com\n*.com\nco.uk\n*.ck\n*.github.io\nexample.com\n*.example.co.uk\n*.xn--p1ai\n*.home\n";
    let (set, reports) = set_of(&[(text, ListOptions::default())]);
    let refused: Vec<&str> = reports[0].refused.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(
        refused,
        ["com", "*.com", "co.uk", "*.ck", "*.github.io", "*.xn--p1ai"]
    );
    assert_eq!((reports[0].names, set.len()), (3, 3));
    let allowed = ListOptions {
        allow_public_suffix: true,
        ..ListOptions::default()
    };
    let (set, reports) = set_of(&[(text, allowed)]);
    assert_eq!((reports[0].refused_count, reports[0].names), (0, 9));
    assert_eq!(hits(&set, "anything.com"), [(0, 1)]);
}

#[test]
fn bounds_are_counted() {
    let options = ListOptions {
        max_names: 2,
        ..ListOptions::default()
    };
    let (set, reports) = set_of(&[("a.example\nb.example\nc.example\n", options)]);
    assert_eq!((reports[0].names, reports[0].over_limit, set.len()), (2, 1, 2));
}

/// Names over a tiny alphabet, so that entries, names and ancestors meet.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "A", "long-label-of-many-bytes", "x1"]),
        1..5,
    )
    .prop_map(|labels| labels.join("."))
}

fn entry() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["", "^", "*."]), name()).prop_map(|(token, name)| format!("{token}{name}"))
}

/// The rule as the documentation says it: per list the most specific entry or exception that fits.
fn naive(lists: &[(Vec<String>, Vec<String>, bool)], name: &DomainName) -> BTreeMap<u16, u8> {
    let mut found = BTreeMap::new();
    for ((entries, exceptions, expand), tag) in lists.iter().zip(0_u16..) {
        let fits = |text: &String| {
            let entry: ListEntry = text.parse().unwrap();
            let same = *name == entry.name;
            let below = !same && name.is_within(&entry.name);
            let fits = match entry.scope {
                Scope::Plain => same || *expand && below,
                Scope::Exact => same,
                Scope::Below => below,
            };
            fits.then(|| entry.name.labels().count())
        };
        let listed = entries.iter().filter_map(fits).max();
        let excepted = exceptions.iter().filter_map(fits).max();
        if let Some(depth) = listed
            && excepted < listed
        {
            let skipped = name.labels().count() - depth;
            found.insert(tag, u8::try_from(skipped).unwrap());
        }
    }
    found
}

proptest! {
    #[test]
    fn agrees_with_the_naive_rule(
        lists in prop::collection::vec(
            (prop::collection::vec(entry(), 0..12), prop::collection::vec(entry(), 0..4), any::<bool>()),
            0..7,
        ),
        asked in prop::collection::vec(name(), 1..20),
        seed: u64,
    ) {
        let mut builder = DomainSetBuilder::new(seed);
        for ((entries, exceptions, expand), tag) in lists.iter().zip(0..) {
            let options = ListOptions {
                expand: *expand,
                exceptions: exceptions.iter().map(|text| text.parse().unwrap()).collect(),
                ..ListOptions::default()
            };
            let report = builder.add(ListTag(tag), &entries.join("\n"), &options);
            prop_assert_eq!(report.names, entries.len());
        }
        let set = builder.build();
        for text in &asked {
            let name: DomainName = text.parse().unwrap();
            let found: BTreeMap<u16, u8> =
                set.lookup(&name).iter().map(|hit| (hit.list.0, hit.labels_skipped)).collect();
            prop_assert_eq!(found, naive(&lists, &name), "{}", name);
        }
    }

    #[test]
    fn holds_all_of_many_names(seed: u64, count in 0_usize..3000) {
        let lines: Vec<String> = (0..count).map(|n| format!("host-{n}.zone{}.example", n % 7)).collect();
        let text = lines.join("\n");
        let mut builder = DomainSetBuilder::new(seed);
        builder.add(ListTag(0), &text, &ListOptions::default());
        let set = builder.build();
        prop_assert_eq!(set.len(), count);
        for n in 0..count {
            prop_assert_eq!(hits(&set, &format!("Host-{n}.zone{}.example", n % 7)), [(0, 0)]);
            let elsewhere = format!("host-{n}.zone{}.example", n % 7 + 1);
            prop_assert!(hits(&set, &elsewhere).is_empty());
        }
    }

    #[test]
    fn no_text_panics(text in "(\\PC|\\n|\\\\|\\.){0,200}") {
        let (set, reports) = set_of(&[(&text, expanded())]);
        prop_assert!(set.len() <= reports[0].names);
    }
}
