//! From the path of a configuration to something that can be put in force.

use std::{
    fs,
    path::{self, Path, PathBuf},
};

use config::{
    Compiled, Document, Finding, Location, Place, Previous, Running, Severity, SourceText, Sources,
};
use tags::TagNames;

use crate::text_file;

/// The longest configuration, in bytes: a hundred thousand rules fit.
pub(crate) const MAX_CONFIGURATION: u64 = 64 << 20;
/// The longest list, in bytes: ten million names fit.
const MAX_LIST: u64 = 1 << 30;

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// `None` where a finding is an error.
    pub running: Option<Running>,
    /// Everything found, by place. A configuration that cannot be read is one finding at its beginning.
    pub findings: Vec<Finding>,
}

/// A configuration as it was read, and what is needed to compile it at any later time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationText {
    /// How findings spell it.
    pub name: String,
    /// Where relative names in it begin.
    pub folder: PathBuf,
    /// Its bytes.
    pub text: String,
}

impl ConfigurationText {
    /// Reads the configuration at `path`. Relative names in it begin at its folder, which stays right wherever
    /// the process goes.
    ///
    /// # Errors
    ///
    /// The one finding that says why it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Box<Finding>> {
        let name = path.to_string_lossy().into_owned();
        let text = match read_configuration(path) {
            Ok(text) => text,
            Err((place, message)) => {
                return Err(Box::new(Finding {
                    file: name.as_str().into(),
                    place,
                    severity: Severity::Error,
                    message,
                    nearest: None,
                }));
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        // The current folder of a process whose folder was removed has no name: then names stay relative.
        let folder = path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned());
        Ok(Self { name, folder, text })
    }

    /// Compiles it with its lists and categories, which are read now, to replace `previous`; `seed` keys the domain
    /// lists.
    pub fn load(&self, names: &TagNames, previous: Option<Previous<'_>>, seed: u64) -> Loaded {
        let parsed = config::parse(&self.name, &self.text);
        let Some(document) = parsed.document else {
            return Loaded {
                running: None,
                findings: parsed.findings,
            };
        };
        let sources = read_sources(&document, &self.folder);
        let Compiled { running, findings } = config::compile(&document, &sources, names, previous, seed);
        Loaded { running, findings }
    }
}

/// Reads the configuration at `path`, its lists and categories, and compiles them. Relative names in it begin at
/// its folder; findings name files as they are spelled. It replaces `previous`; `seed` keys the domain lists.
pub fn load(path: &Path, names: &TagNames, previous: Option<Previous<'_>>, seed: u64) -> Loaded {
    match ConfigurationText::read(path) {
        Ok(text) => text.load(names, previous, seed),
        Err(finding) => Loaded {
            running: None,
            findings: vec![*finding],
        },
    }
}

/// The text, or what is wrong where.
fn read_configuration(path: &Path) -> Result<String, (Place, String)> {
    let bytes =
        text_file::read(path, MAX_CONFIGURATION).map_err(|error| (Place::START, error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
        let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let place = Place {
            line: before.matches('\n').count().saturating_add(1),
            column: column.saturating_add(1),
        };
        (
            place,
            "this byte is not UTF-8, which TOML is written in".to_owned(),
        )
    })
}

fn read_sources(document: &Document, folder: &Path) -> Sources {
    let mut sources = Sources::new();
    for file in document.external_files() {
        let text = match &file.location {
            Location::Web(_) => SourceText::Pending,
            Location::File(path) => match text_file::read_regular(&folder.join(&**path), MAX_LIST) {
                Ok(bytes) => SourceText::Read(lossy(bytes)),
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

/// The text of a list. Bytes that are no UTF-8 are replaced: they cost their line, not the list.
fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The folders in a directory, by name.
fn folders_of(directory: &Path) -> Vec<String> {
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

#[cfg(test)]
mod tests;
