//! The words of one command, taken one after the other.

use std::collections::VecDeque;

use super::{CommandError, ErrorCode, usage::Usage};

/// What stands behind the words that name a command: arguments and options, in any order.
#[derive(Debug)]
pub(super) struct Words {
    /// The words that name the command.
    name: &'static str,
    arguments: VecDeque<String>,
    options: Vec<(&'static str, String)>,
}

impl Words {
    /// Sorts `words`; `--NAME VALUE` and `--NAME=VALUE` are options, of which `known` may be given, once
    /// each. Behind `--` all are arguments.
    pub(super) fn new(
        name: &'static str,
        words: impl IntoIterator<Item = String>,
        known: &[&'static str],
    ) -> Result<Self, CommandError> {
        let mut sorted = Self {
            name,
            arguments: VecDeque::new(),
            options: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                sorted.arguments.extend(words.by_ref());
            } else if let Some(option) = word.strip_prefix("--") {
                let (given, value) = match option.split_once('=') {
                    Some((given, value)) => (given, Some(value.to_owned())),
                    None => (option, None),
                };
                let Some(option) = known.iter().find(|known| **known == given) else {
                    return Err(sorted.unknown_option(given, known));
                };
                let Some(value) = value.or_else(|| words.next()) else {
                    return Err(sorted.wrong(&format!("--{option} needs a value")));
                };
                if sorted.options.iter().any(|(had, _)| had == option) {
                    return Err(sorted.wrong(&format!("--{option} is given twice")));
                }
                sorted.options.push((option, value));
            } else {
                sorted.arguments.push_back(word);
            }
        }
        Ok(sorted)
    }

    /// The value of an option.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().find(|(option, _)| *option == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The next argument, where there is one.
    pub(super) fn next(&mut self) -> Option<String> {
        self.arguments.pop_front()
    }

    /// The next argument, which must be there.
    pub(super) fn need(&mut self, what: &str) -> Result<String, CommandError> {
        self.next()
            .ok_or_else(|| self.wrong(&format!("{what} is missing")))
    }

    /// The last argument, which must be there.
    pub(super) fn need_last(&mut self, what: &str) -> Result<String, CommandError> {
        self.arguments
            .pop_back()
            .ok_or_else(|| self.wrong(&format!("{what} is missing")))
    }

    /// All arguments left, a blank between any two.
    pub(super) fn rest(&mut self) -> String {
        let rest: Vec<String> = self.arguments.drain(..).collect();
        rest.join(" ")
    }

    /// Nothing may be left.
    pub(super) fn end(mut self) -> Result<(), CommandError> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(&format!("`{word}` is one word too many"))),
        }
    }

    /// What is wrong, and how the command is written.
    pub(super) fn wrong(&self, what: &str) -> CommandError {
        let written: Vec<&str> = Usage::of(self.name).map(|usage| usage.words).collect();
        usage_error(format!("{what}; usage: {}", written.join(", or ")))
    }

    fn unknown_option(&self, given: &str, known: &[&'static str]) -> CommandError {
        match logs::nearest(given, known.iter().copied()) {
            Some(nearest) => self.wrong(&format!(
                "there is no option --{given} here; nearest valid name: --{nearest}"
            )),
            None => self.wrong(&format!("there is no option --{given} here")),
        }
    }
}

/// The words are no command.
pub(super) fn usage_error(message: String) -> CommandError {
    CommandError::new(ErrorCode::Usage, message)
}
