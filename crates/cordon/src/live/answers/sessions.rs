//! `show sessions` and `clear session`: chosen by the filter language over the records they would write now.

use std::sync::Arc;

use control::{CommandError, Sessions, rows};
use engine::SessionState;
use logs::{Body, Filter, Record, View};
use serde_json::{Map, Value, json};

use super::Answers;

impl Answers {
    pub(super) fn sessions(&self, filter: &Filter, limit: usize) -> Result<Value, CommandError> {
        let filter = filter.clone();
        let names = Arc::clone(self.commits.names());
        let shown = self.ask(move |worker, now| {
            let mut shown: Vec<(SessionState, Record)> = Vec::new();
            worker.desk.list(now, &mut |symbols, state, record| {
                let view = View {
                    symbols,
                    tags: &names,
                };
                if shown.len() <= limit && filter.matches(&record, view, now) {
                    shown.push((state, record));
                }
            });
            shown
        })?;
        let ruleset = self.shared.ruleset.load();
        let view = View {
            symbols: ruleset.policy().symbols(),
            tags: self.commits.names(),
        };
        let mut shown: Vec<_> = shown.into_iter().flatten().collect();
        shown.sort_by_key(|(_, record)| session_id(record));
        Ok(rows(
            "sessions",
            shown.iter().map(|(state, record)| row(*state, record, view)),
            limit,
        ))
    }

    pub(super) fn clear(&self, sessions: Sessions) -> Result<Value, CommandError> {
        let sessions = Arc::new(sessions);
        let names = Arc::clone(self.commits.names());
        let shared = Arc::clone(&self.shared);
        let cleared = self.ask(move |worker, now| {
            let ruleset = shared.ruleset.load();
            let view = View {
                symbols: ruleset.policy().symbols(),
                tags: &names,
            };
            worker.desk.clear(now, &|record| match &*sessions {
                Sessions::All => true,
                Sessions::Id(id) => session_id(record) == *id,
                Sessions::Matching(filter) => filter.matches(record, view, now),
            })
        })?;
        Ok(json!({ "cleared": cleared.iter().sum::<usize>() }))
    }
}

fn session_id(record: &Record) -> u64 {
    record.flow().map_or(0, |flow| flow.sessionid)
}

/// A session as the traffic record it would write, without what only a record in a log has.
fn row(state: SessionState, record: &Record, view: View<'_>) -> Value {
    let mut row = super::show::json_of(record, view);
    if let Value::Object(fields) = &mut row {
        for field in [
            "seqno",
            "receive_time",
            "type",
            "subtype",
            "session_end_reason",
            "repeatcnt",
        ] {
            fields.remove(field);
        }
        let mut with_state = Map::new();
        with_state.insert("state".to_owned(), Value::from(state.name()));
        with_state.append(fields);
        row = Value::Object(with_state);
    }
    debug_assert!(matches!(record.body, Body::Traffic(_)));
    row
}
