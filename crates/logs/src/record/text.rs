//! Text that came off the wire, made harmless once and for good.

use std::fmt;

/// Bytes from a packet as printable ASCII: everything outside `!`..=`~`, and `\`, `"` and `|`, is written
/// `\DDD` (three decimal digits), as in [`packet::DomainName`]'s text. Nothing is lost, and no terminal, CEF
/// line or mail header can be injected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EscapedText(Box<str>);

impl EscapedText {
    /// Bytes of input that are kept; what lies beyond is cut off and shown as `...`.
    pub const MAX_BYTES: usize = 2048;

    /// Escapes bytes of a packet.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let kept = bytes.get(..Self::MAX_BYTES).unwrap_or(bytes);
        let mut text = String::with_capacity(kept.len());
        for &byte in kept {
            match byte {
                b'!'..=b'~' if !matches!(byte, b'\\' | b'"' | b'|') => text.push(char::from(byte)),
                // Writing to a string cannot fail.
                _ => write!(text, "\\{byte:03}").unwrap_or_default(),
            }
        }
        if kept.len() < bytes.len() {
            text.push_str("...");
        }
        Self(text.into_boxed_str())
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EscapedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injects_nothing_and_loses_nothing() {
        let text = EscapedText::from_bytes(b"host/a b|c\"\\\r\n\x1b[31m\xc3\xa4~!");
        assert_eq!(
            text.as_str(),
            r"host/a\032b\124c\034\092\013\010\027[31m\195\164~!"
        );
        assert_eq!(EscapedText::from_bytes(b"").as_str(), "");
    }

    #[test]
    fn is_bounded() {
        let text = EscapedText::from_bytes(&[b'a'; 5000]);
        assert_eq!(text.as_str().len(), EscapedText::MAX_BYTES + 3);
        assert!(text.as_str().ends_with("a..."));
    }
}
