//! `cordon test filter`: is this a filter, and which records does it let through?

use std::{
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use logs::{Filter, FilterError, FilterWarning, LogType};
use packet::Timestamp;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;

use super::{Complaint, Exit, finish, load, match_list, records::Records};
use crate::cli::check::print_json;

/// What `cordon test filter` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilterArguments {
    /// The configuration; without a filter its match lists are asked
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Type of record the filter is for
    #[arg(value_name = "TYPE", value_parser = log_type(), requires = "filter", required_unless_present = "records")]
    log_type: Option<LogType>,
    /// The filter, as in match lists
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Records to ask, as `replay --logs` writes them; `-` is standard input
    #[arg(long, value_name = "FILE.jsonl")]
    records: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn log_type() -> impl TypedValueParser<Value = LogType> {
    // Only the names of types come this far.
    PossibleValuesParser::new(LogType::NAMES)
        .map(|name| LogType::from_name(&name).unwrap_or(LogType::Traffic))
}

/// A filter and what it lets through.
#[derive(Debug, Serialize)]
struct FilterAnswer {
    log_type: &'static str,
    /// In one spelling for all; `null` where it is no filter.
    filter: Option<String>,
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
    /// Records read; `null` where none were given.
    records: Option<usize>,
    /// Those that pass.
    matched: Vec<StoredLine>,
}

/// A record as its line has it: people see the line, programs the object.
#[derive(Debug)]
struct StoredLine(String);

impl Serialize for StoredLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object: Value = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        object.serialize(serializer)
    }
}

/// Something about a place of a filter.
#[derive(Debug, Serialize)]
struct Remark {
    /// In characters, from 1.
    column: usize,
    message: String,
}

impl FilterArguments {
    pub(super) fn run(&self) -> Exit {
        let asked = match load(&self.config) {
            Ok(asked) => asked,
            Err(exit) => return exit,
        };
        match (self.log_type, &self.filter, &self.records) {
            (Some(log_type), Some(text), records) => self.judge(log_type, text, records.as_ref()),
            (_, _, Some(records)) => finish(match_list::ask(&asked.asked(), records, now()), self.json),
            // The parser of the command line asks for one or the other.
            (_, _, None) => Exit::Usage,
        }
    }

    fn judge(&self, log_type: LogType, text: &str, records: Option<&PathBuf>) -> Exit {
        match Filter::parse(text, log_type) {
            Ok((filter, warnings)) => {
                let warnings: Vec<Remark> = warnings.iter().map(Remark::from).collect();
                if !self.json {
                    point_at("warning", &warnings, text);
                }
                finish(FilterAnswer::new(&filter, warnings, records), self.json)
            }
            Err(errors) => {
                let errors: Vec<Remark> = errors.iter().map(Remark::from).collect();
                if self.json {
                    print_json(&FilterAnswer::refused(log_type, errors));
                } else {
                    point_at("error", &errors, text);
                }
                Exit::WrongInput
            }
        }
    }
}

/// What `last-hour` looks back from.
#[expect(clippy::disallowed_methods, reason = "the user asks now")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::ZERO.saturating_add(since)
}

impl FilterAnswer {
    fn new(filter: &Filter, warnings: Vec<Remark>, records: Option<&PathBuf>) -> Result<Self, Complaint> {
        let mut answer = Self {
            filter: Some(filter.to_string()),
            warnings,
            ..Self::refused(filter.log_type(), Vec::new())
        };
        if let Some(path) = records {
            let mut records = Records::open(path)?;
            let now = now();
            let mut read = 0;
            while let Some(stored) = records.next()? {
                read += 1;
                if filter.matches_line(&stored.line, now) {
                    answer.matched.push(StoredLine(stored.text.to_owned()));
                }
            }
            answer.records = Some(read);
        }
        Ok(answer)
    }

    fn refused(log_type: LogType, errors: Vec<Remark>) -> Self {
        Self {
            log_type: log_type.name(),
            filter: None,
            errors,
            warnings: Vec::new(),
            records: None,
            matched: Vec::new(),
        }
    }
}

impl fmt::Display for FilterAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for StoredLine(line) in &self.matched {
            writeln!(f, "{line}")?;
        }
        let filter = self.filter.as_deref().unwrap_or_default();
        write!(f, "{filter}: a filter of {} records", self.log_type)?;
        match self.records {
            Some(records) => writeln!(f, "; {} of {records} pass", self.matched.len()),
            None => writeln!(f),
        }
    }
}

impl From<&FilterError> for Remark {
    fn from(error: &FilterError) -> Self {
        Self {
            column: error.column().saturating_add(1),
            message: match error.nearest() {
                Some(nearest) => format!("{error}; nearest valid name: `{nearest}`"),
                None => error.to_string(),
            },
        }
    }
}

impl From<&FilterWarning> for Remark {
    fn from(warning: &FilterWarning) -> Self {
        Self {
            column: warning.column().saturating_add(1),
            message: warning.to_string(),
        }
    }
}

/// Shows on standard error where in the filter each remark points.
fn point_at(severity: &str, remarks: &[Remark], filter: &str) {
    let mut stderr = io::stderr().lock();
    let shown: String = filter
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for Remark { column, message } in remarks {
        // Where standard error is closed nobody is left to tell.
        drop(writeln!(stderr, "filter:1:{column}: {severity}: {message}"));
        drop(writeln!(stderr, "  {shown}\n  {:>column$}", '^'));
    }
}
