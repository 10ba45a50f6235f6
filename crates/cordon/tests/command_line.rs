//! The command line as scripts see it: exit codes, and what goes where.
#![expect(clippy::expect_used, reason = "a test says what it expected")]

use std::process::{Command, Output};

fn cordon(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cordon"))
        .args(words)
        .output()
        .expect("the binary runs")
}

#[test]
fn wrong_words_are_a_usage_error() {
    for words in [
        &[][..],
        &["frobnicate"],
        &["replay", "fw.toml"],
        &["replay", "fw.toml", "--pcap", "a.pcap", "--workers", "0"],
        &["check"],
        &["test"],
        &["test", "dns", "fw.toml"],
        &["test", "dns", "fw.toml", "a..b"],
        &["test", "filter", "fw.toml"],
        &["test", "filter", "fw.toml", "threat"],
        &["test", "filter", "fw.toml", "treat", "All Logs"],
        &["test", "security-policy-match", "fw.toml"],
        &[
            "test",
            "decryption-policy-match",
            "fw.toml",
            "--source",
            "10.0.0.1",
            "--destination",
            "x",
        ],
    ] {
        let output = cordon(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        assert!(!output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for words in [
        &["--help"][..],
        &["--version"],
        &["replay", "--help"],
        &["test", "filter", "--help"],
    ] {
        let output = cordon(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(output.stderr.is_empty(), "{words:?}");
        assert!(!output.stdout.is_empty(), "{words:?}");
    }
}
