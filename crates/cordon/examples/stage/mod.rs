//! What both live stories are told with: chapters, steps that must hold, and the end.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::lab::{Lab, Outcome};

/// Plays a story with cordon's binary and says whether every step was as told.
pub(crate) fn play(story: impl FnOnce(&Path) -> Outcome<()>) -> ExitCode {
    match binary().and_then(|binary| story(&binary)) {
        Ok(()) => {
            println!("\nEvery step was as told.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\nNOT AS TOLD: {error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn chapter(title: &str) {
    println!("\n== {title}");
}

pub(crate) fn must(so: bool, what: &str) -> Outcome<()> {
    if so { Ok(()) } else { Err(what.to_owned().into()) }
}

/// The addresses that are in a group of the running firewall.
pub(crate) fn members(lab: &Lab, group: &str) -> Outcome<Vec<String>> {
    let answer = lab.ask(&["show", "group", group])?;
    Ok(answer["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|member| member.as_str().map(str::to_owned))
        .collect())
}

/// The binary beside this example's.
fn binary() -> Outcome<PathBuf> {
    let examples = std::env::current_exe()?;
    let target = examples
        .parent()
        .and_then(Path::parent)
        .ok_or("this example has no folder above it")?;
    Ok(target.join("cordon"))
}
