//! All figures as tables.

use std::{fmt::Write, fs};

use cordon_benches::Figure;

/// A page with a table and a plot for each benchmark.
pub(crate) fn of(benchmarks: &[(String, Vec<Figure>)]) -> String {
    let mut page = format!(
        "# Figures of the last run\n\nMade by `make figures` from what `make bench` kept; what they mean stands in \
         [PERFORMANCE.md](../PERFORMANCE.md). {}\n\nLeast and most are those of all rounds. x is the median of the \
         ratios to the peer, round by round: the first line, the bridge, tcpdump, or the best of the others. In plots \
         cordon is blue.\n",
        machine()
    );
    for (name, figures) in benchmarks {
        let _infallible = write!(
            page,
            "\n## {name}\n\n`cargo run --release -p cordon-benches --bin {name}`\n\n![{name}]({name}.svg)\n"
        );
        let mut title = None;
        for figure in figures {
            if title != Some(&figure.title) {
                title = Some(&figure.title);
                let _infallible = write!(
                    page,
                    "\n{}\n\n| | median | least | most | | x |\n|---|---:|---:|---:|---|---:|\n",
                    figure.title
                );
            }
            let ratio = figure
                .ratio
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default();
            let _infallible = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {ratio} |",
                figure.what,
                number(figure.median),
                number(figure.least),
                number(figure.most),
                figure.unit
            );
        }
    }
    page
}

/// With three digits or more.
pub(crate) fn number(value: f64) -> String {
    let places = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

/// What the figures were taken on, as far as it says.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let processors = read("/proc/cpuinfo");
    let cores = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    format!(
        "Machine: {cores} cores ({}), {} of memory, Linux {}.",
        field(&processors, "model name"),
        field(&read("/proc/meminfo"), "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}
