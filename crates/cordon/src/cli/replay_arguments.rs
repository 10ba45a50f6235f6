//! What `cordon replay` is given.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser},
};
use packet::Checksums;
use tags::Addresses;

/// The words behind `cordon replay`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArguments {
    /// The configuration
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Captures to read, pcap or pcapng; several are merged by time
    #[arg(long = "pcap", value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) captures: Vec<PathBuf>,
    /// Networks whose hosts are inside [default: those of interface1's zones, or private ones]
    #[arg(long, value_name = "CIDR", num_args = 1..)]
    pub(crate) inside: Vec<Addresses>,
    /// The virtual wire that the frames cross [default: the first]
    #[arg(long, value_name = "NAME")]
    pub(crate) wire: Option<String>,
    /// Threads, 1 to 64; the results are always the same [default: one for each core]
    #[arg(long, value_name = "N", value_parser = workers())]
    pub(crate) workers: Option<usize>,
    /// Whether wrong checksums count; captures often hold unfinished ones
    #[arg(long, default_value = IGNORE, value_parser = checksums())]
    pub(crate) checksums: Checksums,
    /// Write what would have left the firewall
    #[arg(long, value_name = "OUT.pcap")]
    pub(crate) write: Option<PathBuf>,
    /// Write the log records, one JSON object a line
    #[arg(long, value_name = "OUT.jsonl")]
    pub(crate) logs: Option<PathBuf>,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const IGNORE: &str = "ignore";
const VERIFY: &str = "verify";

fn checksums() -> impl TypedValueParser<Value = Checksums> {
    PossibleValuesParser::new([IGNORE, VERIFY]).map(|word| {
        if word == VERIFY {
            Checksums::Verify
        } else {
            Checksums::Ignore
        }
    })
}

/// As many as there are shards to share out.
fn workers() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<u64>::new()
        .range(1..=64)
        .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        replay: ReplayArguments,
    }

    fn parse(words: &str) -> Result<ReplayArguments, clap::Error> {
        let words = ["replay"].into_iter().chain(words.split(' '));
        Line::try_parse_from(words).map(|line| line.replay)
    }

    #[test]
    fn everything_is_understood() {
        let all = parse(
            "fw.toml --pcap a.pcap b.pcap --inside 10.0.0.0/8 fd00::/8 --pcap c.pcap --wire uplink \
             --workers 64 --checksums verify --write out.pcap --logs out.jsonl --json --inside 192.0.2.1",
        )
        .unwrap();
        assert_eq!(all.captures.len(), 3);
        let inside: Vec<_> = all.inside.iter().map(ToString::to_string).collect();
        assert_eq!(inside, ["10.0.0.0/8", "fd00::/8", "192.0.2.1"]);
        assert_eq!(all.wire.as_deref(), Some("uplink"));
        assert_eq!((all.workers, all.json), (Some(64), true));
        assert_eq!(all.checksums, Checksums::Verify);
    }

    #[test]
    fn little_is_needed() {
        let least = parse("fw.toml --pcap a.pcap").unwrap();
        assert_eq!((least.workers, least.json), (None, false));
        assert_eq!(least.checksums, Checksums::Ignore);
        assert!(least.inside.is_empty() && least.write.is_none() && least.logs.is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            "fw.toml",
            "--pcap a.pcap",
            "fw.toml --pcap",
            "fw.toml --pcap a --workers 0",
            "fw.toml --pcap a --workers 65",
            "fw.toml --pcap a --inside 10.0.0.0/33",
            "fw.toml --pcap a --checksums maybe",
            "fw.toml --pcap a --write",
            "fw.toml --pcap a --json --wire u --wire v",
        ] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
