//! Who answers, and answers that many share.

use logs::{Attribute, LogType, Operator};
use serde_json::{Value, json};

use crate::{Command, CommandError, Privilege, Usage};

/// Answers commands. Asked from several threads at a time, none of which carries packets.
pub trait Answer: Send + Sync + 'static {
    /// One JSON document that says what was asked for. `admin` is the user at the other end, by name or, where
    /// it has none, by number.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    fn answer(&self, admin: &str, command: Command) -> Result<Value, CommandError>;
}

/// `{NAME: [row…], "truncated": whether there were more than limit}`.
pub fn rows(name: &str, rows: impl IntoIterator<Item = Value>, limit: usize) -> Value {
    let mut rows = rows.into_iter();
    let shown: Vec<Value> = rows.by_ref().take(limit).collect();
    json!({ name: shown, "truncated": rows.next().is_some() })
}

/// What `help` answers.
pub(super) fn help() -> Value {
    let commands = Usage::ALL.iter().map(|usage| {
        let socket = match usage.privilege {
            Privilege::Read => "cordon.sock",
            Privilege::Write => "control.sock",
        };
        json!({ "command": usage.words, "socket": socket, "does": usage.does })
    });
    json!({ "commands": commands.collect::<Vec<_>>() })
}

/// What a filter over a type of record can ask: what `show filter-fields` answers.
pub fn filter_fields(log_type: LogType) -> Value {
    let fields = Attribute::all(log_type).map(|attribute| {
        let operators = attribute.operators(log_type).iter().map(Operator::to_string);
        json!({
            "field": attribute.name(),
            "aliases": attribute.aliases().collect::<Vec<_>>(),
            "operators": operators.collect::<Vec<_>>(),
            "value": attribute.value_form(log_type),
            "values": attribute.values(log_type),
        })
    });
    json!({ "type": log_type.name(), "fields": fields.collect::<Vec<_>>() })
}
