//! From the path of a configuration to something that can be put in force.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use config::{Compiled, Document, Finding, Location, Running, SourceText, Sources};
use policy::Symbols;
use tags::TagNames;

/// The largest file that is read, in bytes: ten million listed names fit.
const MAX_FILE: u64 = 1 << 30;

/// The configuration itself could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {source}")]
pub struct Unreadable {
    /// The file, as the user spells it.
    pub name: String,
    /// Why.
    pub source: io::Error,
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// `None` where a finding is an error.
    pub running: Option<Running>,
    /// Everything found, by place.
    pub findings: Vec<Finding>,
}

/// Reads the configuration at `path`, its lists and categories, and compiles them. Relative names in it begin at
/// its folder. `seed` keys the domain lists.
pub fn load(
    path: &Path,
    names: &TagNames,
    previous: Option<&Symbols>,
    seed: u64,
) -> Result<Loaded, Unreadable> {
    let name = path.to_string_lossy();
    let text = read(path).map_err(|source| Unreadable {
        name: name.to_string(),
        source,
    })?;
    let parsed = config::parse(&name, &text);
    let Some(document) = parsed.document else {
        return Ok(Loaded {
            running: None,
            findings: parsed.findings,
        });
    };
    let sources = read_sources(&document, path.parent().unwrap_or(Path::new("")));
    let Compiled { running, findings } = config::compile(&document, &sources, names, previous, seed);
    Ok(Loaded { running, findings })
}

fn read_sources(document: &Document, folder: &Path) -> Sources {
    let mut sources = Sources::new();
    for file in document.external_files() {
        let text = match &file.location {
            Location::Web(_) => SourceText::Pending,
            Location::File(path) => match read(&folder.join(&**path)) {
                Ok(text) => SourceText::Read(text),
                Err(error) => SourceText::Failed(format!("{path}: {error}")),
            },
        };
        sources.insert(&file, text);
    }
    if let Some(directory) = document.category_directory() {
        sources.category_folders(folders_of(&folder.join(directory)));
    }
    sources
}

/// The folders in a directory, by name.
fn folders_of(directory: &PathBuf) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// The text of a file; bytes that are no UTF-8 are replaced.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if read as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 GiB"));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
