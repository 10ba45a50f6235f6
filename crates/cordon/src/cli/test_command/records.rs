//! Stored records, read back line by line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use logs::Line;

use super::Complaint;

/// The longest line, in bytes; records are far shorter.
const MAX_LINE: u64 = 1 << 20;

/// A file of records as `replay --logs` writes them; `-` is standard input.
pub(super) struct Records {
    name: String,
    source: Box<dyn BufRead>,
    number: usize,
    text: String,
}

/// One record: its line as it stands, and what it says.
pub(super) struct Stored<'a> {
    pub(super) text: &'a str,
    pub(super) line: Line,
}

impl Records {
    pub(super) fn open(path: &Path) -> Result<Self, Complaint> {
        let source: Box<dyn BufRead> = if path == "-" {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            name: path.display().to_string(),
            source,
            number: 0,
            text: String::new(),
        })
    }

    /// The next record; `None` at the end. Empty lines do not count.
    pub(super) fn next(&mut self) -> Result<Option<Stored<'_>>, Complaint> {
        loop {
            self.number += 1;
            self.text.clear();
            let read = self.source.by_ref().take(MAX_LINE).read_line(&mut self.text);
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(self.complaint(&error)),
            }
            if u64::try_from(self.text.len()).unwrap_or(u64::MAX) >= MAX_LINE {
                return Err(self.complaint(&"the line is longer than any record"));
            }
            if !self.text.trim().is_empty() {
                break;
            }
        }
        match Line::parse(&self.text) {
            Ok(line) => Ok(Some(Stored {
                text: self.text.trim_end(),
                line,
            })),
            Err(fault) => Err(self.complaint(&fault)),
        }
    }

    fn complaint(&self, fault: &dyn std::fmt::Display) -> Complaint {
        format!("{}:{}: {fault}", self.name, self.number)
    }
}
