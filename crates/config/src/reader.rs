//! Reads tables key by key and collects findings instead of stopping at the first.
//!
//! Every key asked for counts as known; [`TableReader::finish`] reports the others.

use std::{fmt::Display, str::FromStr};

use toml_span::{
    Span, Value,
    value::{Key, Table, ValueInner},
};

use crate::finding::{Findings, Quoted};

/// The longest name, in characters: the longest PAN-OS has, that of a tag.
const MAX_NAME: usize = 127;

/// A value with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located::new(f(self.value), self.span)
    }
}

/// A name or other text with its place.
pub(crate) type Text = Located<Box<str>>;

/// One table being read.
pub(crate) struct TableReader<'a> {
    table: &'a Table<'a>,
    /// The table's own place, for what is missing in it.
    pub(crate) span: Span,
    /// The table as messages name it: `zone.inside`.
    path: String,
    known: Vec<&'static str>,
    findings: &'a Findings,
}

impl<'a> TableReader<'a> {
    /// A reader of the document's root.
    pub(crate) fn root(value: &'a Value<'a>, findings: &'a Findings) -> Option<Self> {
        let table = value.as_table()?;
        Some(Self {
            table,
            span: Span::new(0, 0),
            path: String::new(),
            known: Vec::new(),
            findings,
        })
    }

    fn open(value: &'a Value<'a>, span: Span, path: String, findings: &'a Findings) -> Option<Self> {
        let Some(table) = value.as_table() else {
            findings.error(
                value.span,
                format!("{path} must be a table, not {}", type_name(value)),
            );
            return None;
        };
        Some(Self {
            table,
            span,
            path,
            known: Vec::new(),
            findings,
        })
    }

    pub(crate) fn findings(&self) -> &'a Findings {
        self.findings
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its keys.
    pub(crate) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// The entry of `key`, which from now on counts as known.
    fn entry(&mut self, key: &'static str) -> Option<(&'a Key<'a>, &'a Value<'a>)> {
        self.known.push(key);
        self.table.get_key_value(key)
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Value<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    fn wrong_type(&self, key: &str, value: &Value<'_>, wanted: &str) {
        let path = self.path_of(key);
        let found = type_name(value);
        self.findings
            .error(value.span, format!("{path} must be {wanted}, not {found}"));
    }

    /// A warning about the table as a whole.
    pub(crate) fn warning(&self, message: impl Into<String>) {
        self.findings.warning(self.span, message);
    }

    /// Reports that the table lacks something.
    pub(crate) fn missing(&self, what: &str) {
        if !self.findings.is_partial() {
            let name = if self.path.is_empty() {
                "the document"
            } else {
                &self.path
            };
            self.findings.error(self.span, format!("{name} lacks {what}"));
        }
    }

    /// Whether the table has the key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A key that PAN-OS has and cordon does not: an error where it is given.
    pub(crate) fn not_supported(&mut self, key: &'static str) {
        if let Some((key, _)) = self.entry(key) {
            let path = self.path_of(&key.name);
            self.findings.error(key.span, format!("{path} is not supported"));
        }
    }

    /// A key that has its place elsewhere: an error where it is given.
    pub(crate) fn refuse(&mut self, key: &'static str, why: &str) {
        if let Some((key, _)) = self.entry(key) {
            let path = self.path_of(&key.name);
            self.findings.error(key.span, format!("{path} {why}"));
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        let Some(text) = value.as_str() else {
            self.wrong_type(key, value, "a text in quotes");
            return None;
        };
        Some(Located::new(text.into(), value.span))
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, key: &'static str) -> Option<Text> {
        if !self.has(key) {
            self.missing(&format!("`{key}`"));
        }
        self.text(key)
    }

    /// True or false.
    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<Located<bool>> {
        let value = self.value(key)?;
        let Some(boolean) = value.as_bool() else {
            self.wrong_type(key, value, "true or false, without quotes");
            return None;
        };
        Some(Located::new(boolean, value.span))
    }

    /// True or false, with a default.
    pub(crate) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        self.boolean(key).map_or(default, |given| given.value)
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn integer<T>(&mut self, key: &'static str, least: T, most: T) -> Option<Located<T>>
    where
        T: Copy + TryFrom<i64> + PartialOrd + Display,
    {
        let value = self.value(key)?;
        self.whole_number(key, value, &least, &most)
    }

    /// An array of whole numbers from `least` to `most`.
    pub(crate) fn integers<T>(&mut self, key: &'static str, least: T, most: T) -> Vec<T>
    where
        T: Copy + TryFrom<i64> + PartialOrd + Display,
    {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.as_array() else {
            self.wrong_type(key, value, "an array of whole numbers");
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|element| self.whole_number(key, element, &least, &most))
            .map(|number| number.value)
            .collect()
    }

    fn whole_number<T>(&self, key: &str, value: &Value<'_>, least: &T, most: &T) -> Option<Located<T>>
    where
        T: Copy + TryFrom<i64> + PartialOrd + Display,
    {
        let Some(number) = value.as_integer() else {
            self.wrong_type(key, value, "a whole number, without quotes");
            return None;
        };
        match T::try_from(number) {
            Ok(fit) if *least <= fit && fit <= *most => Some(Located::new(fit, value.span)),
            Ok(_) | Err(_) => {
                let path = self.path_of(key);
                self.findings.error(
                    value.span,
                    format!("{path} must be from {least} to {most}, not {number}"),
                );
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<Located<T>> {
        let text = self.text(key)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == &*text.value) {
            return Some(text.map(|_| *choice));
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let near = self.findings.nearest(&text.value, words.iter().copied());
        let message = format!(
            "{} must be one of {}, not {}",
            self.path_of(key),
            words.join(", "),
            Quoted(&text.value)
        );
        self.findings.error_near(text.span, message, near);
        None
    }

    /// A text that stands for something, as `wanted` says.
    pub(crate) fn parsed<T>(&mut self, key: &'static str) -> Option<Located<T>>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(key)?;
        let path = self.path_of(key);
        parse(&text, &path, self.findings)
    }

    /// An array of texts that stand for something.
    pub(crate) fn parsed_list<T>(&mut self, key: &'static str) -> Option<Located<Vec<Located<T>>>>
    where
        T: FromStr<Err: Display>,
    {
        let texts = self.texts(key)?;
        let path = self.path_of(key);
        let parsed = |texts: Vec<Text>| {
            texts
                .iter()
                .filter_map(|text| parse(text, &path, self.findings))
                .collect()
        };
        Some(texts.map(parsed))
    }

    /// The `name` of a table in a list; empty, at the table's place, where it is missing.
    pub(crate) fn name(&mut self) -> Text {
        match self.required_text("name") {
            Some(name) => {
                self.check_name(&name);
                name
            }
            None => Located::new("".into(), self.span),
        }
    }

    /// Reports a name that could not be shown, typed or written to PAN-OS's tree.
    fn check_name(&self, name: &Text) {
        let fault = if name.value.is_empty() {
            "a name must not be empty".to_owned()
        } else if &*name.value == "any" {
            "a name must not be `any`, which stands for everything".to_owned()
        } else if name.value.chars().any(char::is_control) {
            format!("a name must not hold control characters: {}", Quoted(&name.value))
        } else if name.value.trim() != &*name.value {
            format!(
                "a name must not begin or end with a space: {}",
                Quoted(&name.value)
            )
        } else if name.value.chars().count() > MAX_NAME {
            format!("a name must not be longer than {MAX_NAME} characters")
        } else {
            return;
        };
        self.findings.error(name.span, fault);
    }

    /// One of a few words that must be there.
    pub(crate) fn required_choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<Located<T>> {
        if !self.has(key) {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.missing(&format!("`{key}`: one of {}", words.join(", ")));
        }
        self.choice(key, choices)
    }

    /// One of the values of an enum that knows their names.
    pub(crate) fn named<T: Copy>(
        &mut self,
        key: &'static str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<Located<T>> {
        let choices: Vec<_> = all.iter().map(|value| (name(*value), *value)).collect();
        self.choice(key, &choices)
    }

    /// The text of `key` without a word if there is none.
    pub(crate) fn peek_text(&self, key: &str) -> Option<Text> {
        let value = self.table.get(key)?;
        value.as_str().map(|text| Located::new(text.into(), value.span))
    }

    /// `tag`: the tags of an object or rule.
    pub(crate) fn tags(&mut self) -> Vec<Text> {
        self.texts("tag").map_or_else(Vec::new, |tags| tags.value)
    }

    /// `members` of a group.
    pub(crate) fn members(&mut self) -> Vec<Text> {
        if !self.has("members") {
            self.missing("`members`");
        }
        self.texts("members")
            .map_or_else(Vec::new, |members| members.value)
    }

    /// A column that PAN-OS has and cordon does not: only `any` is understood.
    pub(crate) fn only_any(&mut self, key: &'static str) {
        let Some(column) = self.texts(key) else { return };
        for text in column.value.iter().filter(|text| &*text.value != "any") {
            let path = self.path_of(key);
            self.findings
                .error(text.span, format!("{path} is not supported; only [\"any\"] is"));
        }
    }

    /// An array of texts. `None` where it is absent; elements of other types are reported and left out.
    pub(crate) fn texts(&mut self, key: &'static str) -> Option<Located<Vec<Text>>> {
        let value = self.value(key)?;
        let Some(array) = value.as_array() else {
            self.wrong_type(key, value, "an array of texts: [\"…\"]");
            return None;
        };
        let texts = array
            .iter()
            .filter_map(|element| {
                let text = element.as_str();
                if text.is_none() {
                    self.wrong_type(key, element, "an array of texts in quotes");
                }
                Some(Located::new(text?.into(), element.span))
            })
            .collect::<Vec<_>>();
        // What is left of an array of nothing but faults is not an empty array.
        let absent = texts.is_empty() && !array.is_empty();
        (!absent).then(|| Located::new(texts, value.span))
    }

    /// A table inside this one.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<TableReader<'a>> {
        let (name, value) = self.entry(key)?;
        Self::open(value, name.span, self.path_of(key), self.findings)
    }

    /// A table of named tables, in the order of the text: PAN-OS's `entry name=`.
    pub(crate) fn entries(&mut self, key: &'static str) -> Vec<(Text, TableReader<'a>)> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let Some(table) = value.as_table() else {
            self.wrong_type(key, value, "a table of named tables");
            return Vec::new();
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span.start);
        entries
            .into_iter()
            .filter_map(|(name, value)| {
                let text = Located::new(Box::from(&*name.name), name.span);
                self.check_name(&text);
                let reader = Self::open(value, name.span, join(&path, &name.name), self.findings)?;
                Some((text, reader))
            })
            .collect()
    }

    /// An array of tables, in order.
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<TableReader<'a>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let path = self.path_of(key);
        let Some(array) = value.as_array() else {
            let wanted = format!("a list of tables: [[{path}]]");
            self.wrong_type(key, value, &wanted);
            return Vec::new();
        };
        array
            .iter()
            .enumerate()
            .filter_map(|(index, value)| {
                let path = match value.pointer("/name").and_then(Value::as_str) {
                    Some(name) => format!("{path} {}", Quoted(name)),
                    None => format!("{path}[{index}]"),
                };
                Self::open(value, value.span, path, self.findings)
            })
            .collect()
    }

    /// Reports the keys nobody asked for.
    pub(crate) fn finish(self) {
        for key in self.table.keys() {
            if !self.known.contains(&&*key.name) {
                let near = self.findings.nearest(&key.name, self.known.iter().copied());
                let place = if self.path.is_empty() {
                    "the document"
                } else {
                    &self.path
                };
                let mut message = format!("unknown key {} in {place}", Quoted(&key.name));
                if near.is_none() && self.known.len() <= 12 {
                    message = format!("{message}; known are {}", self.known.join(", "));
                }
                self.findings.error_near(key.span, message, near);
            }
        }
    }
}

/// `path.key`, the key quoted where TOML would.
fn join(path: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let dot = if path.is_empty() { "" } else { "." };
    if bare {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{}", Quoted(key))
    }
}

fn parse<T>(text: &Text, path: &str, findings: &Findings) -> Option<Located<T>>
where
    T: FromStr<Err: Display>,
{
    match text.value.parse() {
        Ok(value) => Some(Located::new(value, text.span)),
        Err(why) => {
            findings.error(
                text.span,
                format!("{path}: {} is not valid: {why}", Quoted(&text.value)),
            );
            None
        }
    }
}

fn type_name(value: &Value<'_>) -> &'static str {
    match value.as_ref() {
        ValueInner::String(_) => "a text",
        ValueInner::Integer(_) => "a whole number",
        ValueInner::Float(_) => "a number with a fraction",
        ValueInner::Boolean(true) => "true",
        ValueInner::Boolean(false) => "false",
        ValueInner::Array(_) => "an array",
        ValueInner::Table(_) => "a table",
    }
}
