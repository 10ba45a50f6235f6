//! What a benchmark measured, kept for the table and the plots that `figures` makes of all of them.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use serde::{Deserialize, Serialize};

/// Something measured in several rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What it is measured beside: figures of one title and unit share a scale.
    pub title: String,
    /// What was measured.
    pub what: String,
    /// What it is counted in.
    pub unit: String,
    /// The least of all rounds.
    pub least: f64,
    /// The middle of all rounds.
    pub median: f64,
    /// The most of all rounds.
    pub most: f64,
    /// The median of the ratios to the peer, round by round, where this is not the peer.
    pub ratio: Option<f64>,
    /// Whether cordon is what was measured, not a peer.
    pub ours: bool,
}

impl Figure {
    /// A figure of these rounds; `peer` has the peer's, one by one, where this is not the peer.
    pub fn of(title: &str, what: &str, unit: &str, rounds: &[f64], peer: Option<&[f64]>) -> Self {
        let sorted = |rounds: &mut dyn Iterator<Item = f64>| {
            let mut rounds: Vec<f64> = rounds.collect();
            rounds.sort_by(f64::total_cmp);
            rounds
        };
        let figures = sorted(&mut rounds.iter().copied());
        let ratio = peer.map(|peer| {
            let ratios = sorted(&mut rounds.iter().zip(peer).map(|(ours, peers)| ours / peers));
            ratios[ratios.len() / 2]
        });
        Self {
            title: title.to_owned(),
            what: what.to_owned(),
            unit: unit.to_owned(),
            least: figures[0],
            median: figures[figures.len() / 2],
            most: figures[figures.len() - 1],
            ratio,
            ours: is_ours(what),
        }
    }
}

fn is_ours(what: &str) -> bool {
    what.contains("cordon")
}

/// The file that this run of a benchmark keeps its figures in. What an earlier run kept is gone. Where there can be no
/// file, figures are printed as ever and not kept.
#[derive(Debug)]
pub struct Figures(Option<&'static Mutex<File>>);

impl Figures {
    /// Of the program that runs.
    pub fn of_this_run() -> Self {
        static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
        let file = FILE.get_or_init(|| {
            let file = create().inspect_err(|error| println!("figures are not kept: {error}"));
            file.ok().map(Mutex::new)
        });
        Self(file.as_ref())
    }

    /// Keeps the rounds of all that were measured side by side, by name. What is cordon's is held against the `best` of the
    /// others, round by round.
    pub fn keep_beside(
        &self,
        title: &str,
        unit: &str,
        rows: &[(String, Vec<f64>)],
        best: fn(f64, f64) -> f64,
    ) {
        let others = rows
            .iter()
            .filter(|(name, _)| !is_ours(name))
            .map(|(_, rounds)| rounds.clone());
        let peer = others.reduce(|one, other| one.iter().zip(&other).map(|(a, b)| best(*a, *b)).collect());
        for (name, rounds) in rows {
            let peer = peer.as_deref().filter(|_| is_ours(name));
            self.keep(&Figure::of(title, name, unit, rounds, peer));
        }
    }

    /// Keeps a figure.
    pub fn keep(&self, figure: &Figure) {
        let line = serde_json::to_string(figure);
        if let (Some(file), Ok(line)) = (self.0, line) {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = writeln!(file, "{line}") {
                println!("a figure is not kept: {error}");
            }
        }
    }
}

fn create() -> io::Result<File> {
    let program = env::current_exe()?;
    let folder = folder(&program);
    fs::create_dir_all(&folder)?;
    let name = program.file_stem().unwrap_or_default();
    File::create(folder.join(name).with_extension("jsonl"))
}

/// What each benchmark's last run kept, by the benchmark's name.
pub fn kept() -> io::Result<Vec<(String, Vec<Figure>)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder(&env::current_exe()?))? {
        let path = entry?.path();
        let Some(name) = path
            .file_stem()
            .filter(|_| path.extension().is_some_and(|kind| kind == "jsonl"))
        else {
            continue;
        };
        let figures: Result<Vec<Figure>, _> = fs::read_to_string(&path)?
            .lines()
            .map(serde_json::from_str)
            .collect();
        all.push((name.to_string_lossy().into_owned(), figures?));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(all)
}

/// Beside the programs, so never in the tree of sources.
fn folder(program: &Path) -> PathBuf {
    program.with_file_name("figures-kept")
}
