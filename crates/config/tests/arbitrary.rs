//! Whatever stands in a document or a list: no panic, no end, no finding outside the text.
#![expect(clippy::expect_used, reason = "a test says what it expected")]

use cordon_config::{Finding, Severity, SourceText, Sources, compile, parse};
use proptest::prelude::*;
use tags::TagNames;

const EVERY_KEY: &str = include_str!("every_key.toml");

/// Reads and compiles a document, every one of its files holding `list`; returns the errors.
fn look_at(text: &str, list: &str) -> Vec<Finding> {
    let parsed = parse("fw", text);
    let (ready, findings) = match parsed.document {
        None => (false, parsed.findings),
        Some(document) => {
            let mut sources = Sources::new();
            for file in document.external_files() {
                sources.insert(&file, SourceText::Read(list.to_owned()));
            }
            let compiled = compile(&document, &sources, &TagNames::new(), None, 7);
            (compiled.running.is_some(), compiled.findings)
        }
    };
    let lines: Vec<&str> = text.split('\n').collect();
    for finding in findings.iter().filter(|finding| &*finding.file == "fw") {
        let line = lines.get(finding.place.line - 1).expect("a line of the document");
        let characters = line.chars().count();
        assert!(
            (1..=characters + 1).contains(&finding.place.column),
            "{finding} in {line:?}"
        );
        assert_eq!(finding.to_string().lines().count(), 1, "{finding}");
    }
    let errors = findings
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<Finding> = errors.collect();
    assert_eq!(ready, errors.is_empty(), "{errors:?}");
    errors
}

/// One change to a document.
#[derive(Clone, Debug)]
enum Change {
    RemoveLine(prop::sample::Index),
    RepeatLine(prop::sample::Index),
    SwapLines(prop::sample::Index, prop::sample::Index),
    /// The value of one line behind the key of another.
    MixLines(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, String),
    CutAt(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        any::<Index>().prop_map(Change::RemoveLine),
        any::<Index>().prop_map(Change::RepeatLine),
        any::<(Index, Index)>().prop_map(|(a, b)| Change::SwapLines(a, b)),
        any::<(Index, Index)>().prop_map(|(a, b)| Change::MixLines(a, b)),
        (any::<Index>(), "[\"'\\[\\]{}=.,#a0\\\\é\u{202e} ]{1,3}")
            .prop_map(|(at, text)| Change::Insert(at, text)),
        any::<Index>().prop_map(Change::CutAt),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in changes {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match change {
            Change::RemoveLine(at) => {
                lines.remove(at.index(count));
            }
            Change::RepeatLine(at) => {
                let line = lines[at.index(count)].clone();
                lines.insert(at.index(count), line);
            }
            Change::SwapLines(a, b) => lines.swap(a.index(count), b.index(count)),
            Change::MixLines(a, b) => {
                let value = lines[b.index(count)]
                    .split_once('=')
                    .map(|(_, value)| value.to_owned());
                let line = &mut lines[a.index(count)];
                if let (Some((key, _)), Some(value)) = (line.split_once('='), value) {
                    *line = format!("{key}={value}");
                }
            }
            Change::Insert(at, text) => {
                let line = &mut lines[at.index(count)];
                let places: Vec<usize> = line
                    .char_indices()
                    .map(|(place, _)| place)
                    .chain([line.len()])
                    .collect();
                line.insert_str(places[at.index(places.len())], text);
            }
            Change::CutAt(at) => {
                lines.truncate(at.index(count) + 1);
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_is_survived(text in any::<String>()) {
        look_at(&text, "");
    }

    #[test]
    fn changed_documents_are_survived(changes in prop::collection::vec(change(), 0..6)) {
        look_at(&changed(EVERY_KEY, &changes), "a.example\n");
    }

    #[test]
    fn arbitrary_lists_are_survived(list in "([a-z*^.:/0-9#é\\-]{0,12}[ \n\r]?){0,20}") {
        let errors = look_at(EVERY_KEY, &list);
        prop_assert!(errors.is_empty(), "lists only warn: {errors:?}");
    }
}
