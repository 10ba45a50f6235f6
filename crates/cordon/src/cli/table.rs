//! Answers for people: lists as tables, everything else as names and values.

use comfy_table::{Table, presets};
use control::{Command, Show};
use logs::LogType;
use serde_json::{Map, Value};

use super::terminal::harmless;

/// Which columns a table has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Columns {
    /// These, where rows have them.
    Only(&'static [&'static str]),
    /// All; these first.
    First(&'static [&'static str]),
}

/// The columns of a command's answer. A record has more fields than a line has room for.
pub(super) fn columns(command: &Command) -> Columns {
    match command {
        Command::Show(Show::Logs { filter, .. }) => Columns::Only(match filter.log_type() {
            LogType::Traffic => &[
                "receive_time",
                "subtype",
                "src",
                "dst",
                "dport",
                "proto",
                "app",
                "from",
                "to",
                "rule",
                "action",
                "session_end_reason",
                "bytes",
                "sessionid",
            ],
            LogType::Threat => &[
                "receive_time",
                "src",
                "dst",
                "misc",
                "threat_name",
                "list",
                "severity",
                "action",
                "rule",
                "seqno",
            ],
            LogType::Url => &["receive_time", "src", "dst", "misc", "category", "action", "rule"],
            LogType::Decryption => &[
                "receive_time",
                "src",
                "dst",
                "sni",
                "policy_name",
                "action",
                "tls_version",
                "err_index",
                "error",
            ],
            LogType::IpTag => &[
                "receive_time",
                "ip",
                "qualifier",
                "tag",
                "event",
                "timeout",
                "match_list",
                "source",
            ],
            LogType::System => &["receive_time", "severity", "subtype", "event", "opaque"],
            LogType::Config => &[
                "receive_time",
                "admin",
                "cmd",
                "path",
                "before",
                "after",
                "result",
            ],
        }),
        Command::Show(Show::Commits) => {
            Columns::First(&["number", "back", "time", "admin", "path", "state", "comment"])
        }
        Command::Help
        | Command::Show(_)
        | Command::TagAdd { .. }
        | Command::TagRemove { .. }
        | Command::Explain { .. }
        | Command::Commit { .. }
        | Command::Diff { .. }
        | Command::Rollback(_)
        | Command::Confirm
        | Command::ClearSession(_)
        | Command::ClearRuleHits(_)
        | Command::ClearExcludeCache
        | Command::Pause { .. }
        | Command::Test(_) => Columns::First(&[
            "number",
            "sessionid",
            "name",
            "subject",
            "tag",
            "field",
            "src",
            "sport",
            "dst",
            "dport",
            "proto",
            "app",
            "rule",
            "action",
        ]),
    }
}

/// The answer as text, with a line end.
pub(super) fn render(answer: &Value, columns: Columns) -> String {
    let mut out = String::new();
    write_value(answer, columns, 0, &mut out);
    if out.is_empty() {
        out.push_str("nothing\n");
    }
    out
}

/// The lines of a difference, as they are; nothing where nothing differs.
pub(super) fn difference(answer: &Value) -> String {
    let mut out = String::new();
    for line in answer["lines"].as_array().into_iter().flatten() {
        push_line(&cell(line), 0, &mut out);
    }
    if answer["truncated"] == Value::Bool(true) {
        push_line("… and more", 0, &mut out);
    }
    out
}

fn write_value(value: &Value, columns: Columns, depth: usize, out: &mut String) {
    match value {
        Value::Object(members) => write_members(members, columns, depth, out),
        Value::Array(rows) if rows.iter().any(Value::is_object) => write_table(rows, columns, depth, out),
        Value::Array(items) => {
            for item in items {
                push_line(&cell(item), depth, out);
            }
        }
        // A text may have lines of its own: a difference of two configurations does.
        Value::String(text) => {
            for line in text.lines() {
                push_line(&harmless(line), depth, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => push_line(&cell(value), depth, out),
    }
}

/// Plain members first, names in one column; then those with members or rows of their own, under their names.
fn write_members(members: &Map<String, Value>, columns: Columns, depth: usize, out: &mut String) {
    let is_plain = |value: &Value| match value {
        Value::Object(_) => false,
        Value::Array(items) => !items.iter().any(Value::is_object) && items.len() <= 8,
        Value::String(text) => !text.contains('\n'),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    // Said at the end, and only where it is so.
    let shown = |name: &str| name != "truncated";
    let plain: Vec<_> = members
        .iter()
        .filter(|(name, value)| is_plain(value) && shown(name))
        .collect();
    let mut table = bare_table();
    for (name, value) in &plain {
        table.add_row([harmless(name).into_owned(), cell(value)]);
    }
    push_table(&table, depth, out);
    let parts = members.iter().filter(|(_, value)| !is_plain(value));
    // The only part of an answer needs no name.
    let alone = plain.is_empty() && members.iter().filter(|(name, _)| shown(name)).count() == 1;
    let inside = if alone { depth } else { depth.saturating_add(1) };
    for (name, value) in parts {
        if !alone {
            push_line(&harmless(name), depth, out);
        }
        write_value(value, columns, inside, out);
    }
    if members.get("truncated") == Some(&Value::Bool(true)) {
        push_line(
            "… and more: ask for fewer with a filter, or raise --limit",
            depth,
            out,
        );
    }
}

fn write_table(rows: &[Value], columns: Columns, depth: usize, out: &mut String) {
    let has = |name: &str| rows.iter().any(|row| row.get(name).is_some());
    let names: Vec<&str> = match columns {
        Columns::Only(only) => only.iter().copied().filter(|name| has(name)).collect(),
        Columns::First(first) => {
            let mut others: Vec<&str> = rows
                .iter()
                .filter_map(Value::as_object)
                .flat_map(Map::keys)
                .map(String::as_str)
                .filter(|name| !first.contains(name))
                .collect();
            others.sort_unstable();
            others.dedup();
            let first = first.iter().copied().filter(|name| has(name));
            first.chain(others).collect()
        }
    };
    let mut table = bare_table();
    table.set_header(names.iter().map(|name| harmless(name)));
    for row in rows {
        table.add_row(
            names
                .iter()
                .map(|name| row.get(name).map(cell).unwrap_or_default()),
        );
    }
    push_table(&table, depth, out);
}

/// No lines, no colours: a table that can be cut and searched.
fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn push_table(table: &Table, depth: usize, out: &mut String) {
    if table.is_empty() {
        return;
    }
    for line in table.lines() {
        // Columns have a blank to their left, which the first needs not.
        let line = line.strip_prefix(' ').unwrap_or(&line);
        push_line(line.trim_end(), depth, out);
    }
}

fn push_line(line: &str, depth: usize, out: &mut String) {
    for _ in 0..depth {
        out.push_str("  ");
    }
    out.push_str(line);
    out.push('\n');
}

/// A value in one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => harmless(text).into_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(cell).collect();
            items.join(", ")
        }
        Value::Object(members) => {
            let members = members.iter();
            let members: Vec<String> = members
                .map(|(name, value)| format!("{}={}", harmless(name), cell(value)))
                .collect();
            members.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_reads_like_a_page() {
        let answer = json!({
            "version": "0.1.0",
            "interfaces": ["lan0", "wan0"],
            "frames": {"received": 12, "forwarded": 11},
            "rules": [
                {"hits": 3, "name": "Büro", "action": "allow"},
                {"hits": 12, "name": "block", "action": "deny", "odd": null},
            ],
            "truncated": false,
        });
        let text = render(&answer, Columns::First(&["name", "action"]));
        assert_eq!(
            text,
            concat!(
                "interfaces  lan0, wan0\n",
                "version     0.1.0\n",
                "frames\n",
                "  forwarded  11\n",
                "  received   12\n",
                "rules\n",
                "  name   action  hits  odd\n",
                "  Büro   allow   3\n",
                "  block  deny    12\n",
            )
        );
    }

    #[test]
    fn a_difference_is_its_lines() {
        let answer = json!({"from": "a", "lines": ["--- a", " x", "+\u{1b}[2J"], "truncated": false});
        assert_eq!(difference(&answer), "--- a\n x\n+\\u{1b}[2J\n");
        assert_eq!(difference(&json!({"lines": [], "truncated": false})), "");
    }

    #[test]
    fn a_lone_list_is_a_table_and_says_where_it_ends() {
        let answer = json!({"records": [{"a": 1, "b": "x", "c": 2}], "truncated": true});
        assert_eq!(
            render(&answer, Columns::Only(&["b", "a", "z"])),
            "b  a\nx  1\n… and more: ask for fewer with a filter, or raise --limit\n"
        );
        assert_eq!(
            render(&json!({"records": []}), Columns::Only(&["b"])),
            "records\n"
        );
        assert_eq!(render(&json!({}), Columns::Only(&["b"])), "nothing\n");
    }

    #[test]
    fn nothing_in_an_answer_acts_on_the_terminal() {
        let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\n";
        let answer = json!({
            hostile: hostile,
            "rows": [{"a": hostile, "b": {hostile: [hostile]}, hostile: 1}],
            "text": "a\u{1b}\nb\r\n",
            "inner": {hostile: {"x": [hostile]}},
        });
        let text = render(&answer, Columns::First(&["a"]));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains("  a\\u{1b}\n  b\n"), "{text}");
    }
}
