//! What may be written to a terminal.

use std::borrow::Cow;

/// The text with everything escaped that could move a cursor, end a line or turn the reading direction.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, the C1 set included, and those of the Unicode bidirectional algorithm (UAX #9), line and
/// paragraph separators.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_acts_on_a_terminal() {
        assert_eq!(harmless("Büro: \\ ok"), "Büro: \\ ok");
        assert_eq!(
            harmless("a\u{1b}[2J\u{9b}2J\r\n\t\u{7f}\u{202e}b\u{2029}"),
            "a\\u{1b}[2J\\u{9b}2J\\r\\n\\t\\u{7f}\\u{202e}b\\u{2029}"
        );
    }
}
