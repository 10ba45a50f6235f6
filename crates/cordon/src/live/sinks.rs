//! What becomes of records.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use control::CommandError;
use logs::{Filter, Line, Record, View};
use packet::Timestamp;
use serde_json::{Value, json};
use tags::TagStore;

use super::shared::Shared;

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StateError(String);

#[derive(Debug, Default)]
pub(super) struct Sinks {
    lines: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

#[derive(Debug)]
pub(super) struct Reader {
    lines: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

impl Sinks {
    pub(super) fn open(_state: &Path, _store: &TagStore, _now: Timestamp) -> Result<(Self, u64), StateError> {
        Ok((Self::default(), 0))
    }

    pub(super) fn take(&mut self, shared: &Shared, _now: Timestamp, records: &mut Vec<Record>) {
        let ruleset = shared.ruleset.load();
        let view = View {
            symbols: ruleset.policy().symbols(),
            tags: shared.tags.names(),
        };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records.drain(..) {
            let mut line = Vec::new();
            record.write_json(view, &mut line);
            lines.push_back(line);
            if lines.len() > 10_000 {
                lines.pop_front();
            }
        }
    }

    pub(super) fn journal_fault(&self) -> Option<std::io::Error> {
        None
    }

    pub(super) fn health(&self) -> Value {
        json!({})
    }

    pub(super) fn reader(&self) -> Reader {
        Reader {
            lines: Arc::clone(&self.lines),
        }
    }

    pub(super) fn finish(&mut self) {}
}

impl Reader {
    pub(super) fn newest(
        &self,
        filter: &Filter,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Value>, CommandError> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lines
            .iter()
            .rev()
            .filter_map(|line| {
                let text = std::str::from_utf8(line).ok()?;
                let parsed = Line::parse(text).ok()?;
                (parsed.log_type() == filter.log_type() && filter.matches_line(&parsed, now))
                    .then(|| serde_json::from_slice(line).ok())?
            })
            .take(limit)
            .collect())
    }

    pub(super) fn record(&self, seqno: u64) -> Option<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .find(|record| record["seqno"] == seqno)
    }
}
