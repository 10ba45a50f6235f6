//! Configuration documents: every finding has a place in the text, and only errors stop it.
#![no_main]

use config::{Severity, SourceText, Sources};
use libfuzzer_sys::fuzz_target;
use tags::TagNames;

fuzz_target!(|text: &str| {
    let parsed = config::parse("f", text);
    let lines = text.lines().count() + 1;
    for finding in &parsed.findings {
        assert!((1..=lines).contains(&finding.place.line) && finding.place.column > 0);
    }
    let Some(document) = parsed.document else {
        assert!(
            parsed
                .findings
                .iter()
                .any(|finding| finding.severity == Severity::Error)
        );
        return;
    };
    let mut sources = Sources::new();
    for file in document.external_files() {
        sources.insert(&file, SourceText::Read("golfsource.us\n10.0.0.0/8\n".to_owned()));
    }
    let compiled = config::compile(&document, &sources, &TagNames::new(), None, 0);
    let stopped = compiled
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    assert_eq!(compiled.running.is_none(), stopped);
});
