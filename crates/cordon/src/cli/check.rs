//! `cordon check`: is this configuration right?

use std::{io::Write as _, path::PathBuf};

use clap::Args;
use config::{Finding, Running, Severity};
use policy::{WireIo, WireMode};
use ports::live::{Interface, XdpWire};
use serde::Serialize;
use tags::TagNames;

use super::Exit;

/// What `cordon check` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration.
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// One JSON object on standard output instead of lines on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    findings: Vec<FindingView>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct FindingView {
    file: String,
    line: usize,
    column: usize,
    severity: &'static str,
    message: String,
}

impl CheckArguments {
    pub(crate) fn run(&self) -> Exit {
        let mut loaded = control::load(&self.config, &TagNames::new(), None, 0);
        if let Some(running) = &loaded.running {
            let name = self.config.display().to_string();
            loaded.findings.extend(unequal_mtus(&name, running));
            loaded.findings.extend(too_large_for_xdp(&name, running));
        }
        let errors = count(&loaded.findings, Severity::Error);
        let warnings = count(&loaded.findings, Severity::Warning);
        if self.json {
            let findings = loaded.findings.iter().map(FindingView::of).collect();
            print_json(&Report {
                findings,
                errors,
                warnings,
            });
        } else {
            tell(&loaded.findings);
            let verdict = if errors == 0 { "accepted" } else { "refused" };
            let counts = format!(
                "{}: {verdict}, {errors} errors, {warnings} warnings",
                self.config.display()
            );
            // Where standard output is closed nobody is left to tell.
            drop(writeln!(std::io::stdout(), "{counts}"));
        }
        if errors == 0 { Exit::Done } else { Exit::WrongInput }
    }
}

/// Wires whose ends are here, and have different MTUs: what is larger than the smaller one, jumbo frames for one, cannot
/// cross. Ends that are not here say nothing: a configuration may be meant for another machine.
fn unequal_mtus(file: &str, running: &Running) -> impl Iterator<Item = Finding> {
    let policy = &running.policy;
    let wires = policy.wires().iter().zip(&running.wire_places);
    wires
        .filter(|(wire, _)| wire.mode == WireMode::Inline)
        .filter_map(move |(wire, place)| {
            let [first, second] = wire.interfaces.map(|interface| {
                Interface::find(policy.symbols().resolve(policy.interface_name(interface))).ok()
            });
            let (first, second) = (first?, second?);
            let message = mismatch(&first.name, first.mtu, &second.name, second.mtu)?;
            Some(Finding {
                file: file.into(),
                place: *place,
                severity: Severity::Warning,
                message,
                nearest: None,
            })
        })
}

/// Wires with `io = "xdp"` whose ends are here and have an MTU that it cannot carry.
fn too_large_for_xdp(file: &str, running: &Running) -> impl Iterator<Item = Finding> {
    let policy = &running.policy;
    let wires = policy.wires().iter().zip(&running.wire_places);
    let wires = wires.filter(|(wire, _)| wire.mode == WireMode::Inline && wire.io == WireIo::Xdp);
    wires.flat_map(move |(wire, place)| {
        wire.interfaces.into_iter().filter_map(move |interface| {
            let found = Interface::find(policy.symbols().resolve(policy.interface_name(interface))).ok()?;
            let refused = XdpWire::carries(&found.name, found.mtu).err()?;
            Some(Finding {
                file: file.into(),
                place: *place,
                severity: Severity::Error,
                message: refused.to_string(),
                nearest: None,
            })
        })
    })
}

fn mismatch(first: &str, first_mtu: u32, second: &str, second_mtu: u32) -> Option<String> {
    (first_mtu != second_mtu).then(|| {
        format!(
            "{second} has an MTU of {second_mtu}, and {first}, the other end of the wire, one of {first_mtu}: larger \
             frames than the smaller one cannot cross; give both the same"
        )
    })
}

impl FindingView {
    fn of(finding: &Finding) -> Self {
        let message = match &finding.nearest {
            None => finding.message.clone(),
            Some(nearest) => format!("{}; nearest valid name: `{nearest}`", finding.message),
        };
        Self {
            file: finding.file.to_string(),
            line: finding.place.line,
            column: finding.place.column,
            severity: finding.severity.name(),
            message,
        }
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

/// Writes findings to standard error, a line each.
pub(crate) fn tell(findings: &[Finding]) {
    let mut stderr = std::io::stderr().lock();
    for finding in findings {
        // Where standard error is closed nobody is left to tell.
        drop(writeln!(stderr, "{finding}"));
    }
}

/// Writes one JSON object to standard output.
pub(crate) fn print_json(value: &impl Serialize) {
    let mut stdout = std::io::stdout().lock();
    if serde_json::to_writer(&mut stdout, value).is_ok() {
        drop(writeln!(stdout));
    }
}
