//! Domain names as the wire carries them.

use std::{fmt, hash, str::FromStr};

/// Why bytes or text are no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The message ends inside the name.
    #[error("the name is cut off")]
    Truncated,
    /// A compression pointer does not point backwards (RFC 1035 §4.1.4), or too many are chained.
    #[error("the name's compression loops")]
    BadPointer,
    /// A label type other than a plain label or a pointer.
    #[error("the name has an unknown label type")]
    BadLabelType,
    /// More than 63 bytes in a label.
    #[error("a label is longer than 63 bytes")]
    LabelTooLong,
    /// More than 255 bytes in all, the root's length byte included.
    #[error("the name is longer than 255 bytes")]
    TooLong,
    /// An empty label that is not the root.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A backslash that is not followed by three digits up to 255, or by a character.
    #[error("the name has a broken escape")]
    BadEscape,
}

/// A domain name in uncompressed wire format (RFC 1035 §3.1), at most 255 bytes, without allocation.
///
/// The case it arrived in is kept; comparing and hashing ignore ASCII case (RFC 4343).
/// [`fmt::Display`] writes no trailing dot and escapes as `\DDD` every byte that could end a line,
/// move a cursor, close a quote or separate fields: everything outside `!`..=`~`, and `\`, `"`, `|` and a
/// dot inside a label. The root is written `.`.
#[derive(Clone, Copy)]
pub struct DomainName {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl DomainName {
    /// The longest name, its closing zero byte included.
    pub const MAX: usize = 255;
    /// Pointers followed in one name; more than any honest encoder chains.
    const MAX_POINTERS: usize = 32;

    /// The root name.
    pub const ROOT: Self = Self {
        len: 1,
        bytes: [0; Self::MAX],
    };

    /// Reads the name at `offset` of a DNS `message`, following compression pointers, which must point
    /// backwards. Returns it with the offset just behind it.
    pub fn from_message(message: &[u8], offset: usize) -> Result<(Self, usize), InvalidName> {
        let mut name = Self {
            len: 0,
            bytes: [0; Self::MAX],
        };
        let mut at = offset;
        let mut behind = None;
        let mut pointers = 0_usize;
        loop {
            let length = *message.get(at).ok_or(InvalidName::Truncated)?;
            match length & 0xc0 {
                0x00 => {
                    let end = at.saturating_add(1).saturating_add(usize::from(length));
                    let label = message.get(at..end).ok_or(InvalidName::Truncated)?;
                    name.append(label)?;
                    if length == 0 {
                        return Ok((name, behind.unwrap_or(end)));
                    }
                    at = end;
                }
                0xc0 => {
                    let low = *message.get(at.saturating_add(1)).ok_or(InvalidName::Truncated)?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    behind.get_or_insert(at.saturating_add(2));
                    pointers = pointers.saturating_add(1);
                    if target >= at || pointers > Self::MAX_POINTERS {
                        return Err(InvalidName::BadPointer);
                    }
                    at = target;
                }
                _ => return Err(InvalidName::BadLabelType),
            }
        }
    }

    /// Appends bytes that are already in wire format.
    fn append(&mut self, bytes: &[u8]) -> Result<(), InvalidName> {
        let start = usize::from(self.len);
        let end = start.saturating_add(bytes.len());
        self.bytes
            .get_mut(start..end)
            .ok_or(InvalidName::TooLong)?
            .copy_from_slice(bytes);
        self.len = u8::try_from(end).map_err(|_| InvalidName::TooLong)?;
        Ok(())
    }

    /// The name in wire format, its closing zero byte included.
    pub fn as_wire(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[0])
    }

    /// The labels from left to right, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_wire();
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            if length == 0 {
                return None;
            }
            let (label, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            Some(label)
        })
    }

    /// The name without its first `count` labels; the root where it has no more.
    #[must_use]
    pub fn parent(&self, count: usize) -> Self {
        let skipped = self.labels().take(count).fold(0_usize, |sum, label| {
            sum.saturating_add(label.len()).saturating_add(1)
        });
        let mut name = Self {
            len: 0,
            bytes: [0; Self::MAX],
        };
        match self.as_wire().get(skipped..) {
            Some(rest) if name.append(rest).is_ok() && !rest.is_empty() => name,
            _ => Self::ROOT,
        }
    }

    /// Whether this name is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let mine = self.labels().count();
        let others = other.labels().count();
        mine.checked_sub(others)
            .is_some_and(|extra| self.parent(extra) == *other)
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.len <= 1
    }
}

impl FromStr for DomainName {
    type Err = InvalidName;

    /// Reads text with `.` between labels, `\DDD` and `\c` escapes, and an optional trailing dot.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut name = Self {
            len: 0,
            bytes: [0; Self::MAX],
        };
        if text == "." {
            return Ok(Self::ROOT);
        }
        let mut label = [0_u8; 64];
        let mut used = 0_usize;
        let mut bytes = text.bytes();
        let mut open = false;
        loop {
            let byte = match bytes.next() {
                Some(b'.') | None if used == 0 && open => return Err(InvalidName::EmptyLabel),
                Some(b'.') => {
                    name.append_label(&mut label, &mut used)?;
                    open = !bytes.as_slice_is_empty();
                    continue;
                }
                None => break,
                Some(b'\\') => unescape(&mut bytes)?,
                Some(byte) => byte,
            };
            open = true;
            used = used.saturating_add(1);
            *label.get_mut(used).ok_or(InvalidName::LabelTooLong)? = byte;
        }
        if used > 0 {
            name.append_label(&mut label, &mut used)?;
        }
        if name.len == 0 {
            return Err(InvalidName::EmptyLabel);
        }
        name.append(&[0])?;
        Ok(name)
    }
}

/// Asks a byte iterator whether it is at its end.
trait AtEnd {
    fn as_slice_is_empty(&self) -> bool;
}

impl AtEnd for std::str::Bytes<'_> {
    fn as_slice_is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn unescape(bytes: &mut std::str::Bytes<'_>) -> Result<u8, InvalidName> {
    let first = bytes.next().ok_or(InvalidName::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first.wrapping_sub(b'0'));
    for _ in 0..2 {
        let digit = bytes
            .next()
            .filter(u8::is_ascii_digit)
            .ok_or(InvalidName::BadEscape)?;
        value = value
            .saturating_mul(10)
            .saturating_add(u16::from(digit.wrapping_sub(b'0')));
    }
    u8::try_from(value).map_err(|_| InvalidName::BadEscape)
}

impl DomainName {
    /// Appends `label[1..=used]` with its length byte and empties it.
    fn append_label(&mut self, label: &mut [u8; 64], used: &mut usize) -> Result<(), InvalidName> {
        if *used == 0 {
            return Err(InvalidName::EmptyLabel);
        }
        label[0] = u8::try_from(*used).map_err(|_| InvalidName::LabelTooLong)?;
        let bytes = label.get(..=*used).ok_or(InvalidName::LabelTooLong)?;
        self.append(bytes)?;
        *used = 0;
        Ok(())
    }
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
    }
}

impl Eq for DomainName {}

impl hash::Hash for DomainName {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        for byte in self.as_wire() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if self.is_root() {
            return f.write_char('.');
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            for &byte in label {
                match byte {
                    b'\\' | b'"' | b'|' | b'.' => write!(f, "\\{byte:03}")?,
                    b'!'..=b'~' => f.write_char(char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_writes_text() {
        assert_eq!(name("www.Example.com").as_wire(), b"\x03www\x07Example\x03com\0");
        assert_eq!(name("example.com."), name("EXAMPLE.com"));
        assert_eq!(name(r"a\.b\032c\255.x").to_string(), r"a\046b\032c\255.x");
        assert_eq!(name(".").to_string(), ".");
        for bad in ["", "..", ".a", "a..b", "a\\", "a\\25", "a\\999"] {
            assert!(bad.parse::<DomainName>().is_err(), "{bad:?} must not parse");
        }
        assert_eq!(
            "x".repeat(64).parse::<DomainName>(),
            Err(InvalidName::LabelTooLong)
        );
        assert_eq!(
            "abcdefg.".repeat(32).parse::<DomainName>(),
            Err(InvalidName::TooLong)
        );
    }

    #[test]
    fn display_injects_nothing() {
        let (hostile, _) = DomainName::from_message(b"\x07a\n\"|\x1b\\\xff\0", 0).unwrap();
        assert_eq!(hostile.to_string(), r"a\010\034\124\027\092\255");
        assert_eq!(name(&hostile.to_string()), hostile);
    }

    #[test]
    fn follows_pointers_backwards_only() {
        let message = b"\x03com\0\x07example\xc0\x00\x03www\xc0\x05";
        let (read, behind) = DomainName::from_message(message, 15).unwrap();
        assert_eq!((read, behind), (name("www.example.com"), message.len()));
        assert_eq!(
            DomainName::from_message(b"\xc0\x00", 0),
            Err(InvalidName::BadPointer)
        );
        assert_eq!(
            DomainName::from_message(b"\x01a\xc0\x09", 0),
            Err(InvalidName::BadPointer)
        );
        assert_eq!(
            DomainName::from_message(b"\x05ab", 0),
            Err(InvalidName::Truncated)
        );
        assert_eq!(
            DomainName::from_message(b"\x41a\0", 0),
            Err(InvalidName::BadLabelType)
        );
    }

    #[test]
    fn knows_its_ancestors() {
        let deep = name("a.b.example.com");
        assert_eq!(deep.parent(2), name("example.com"));
        assert_eq!(deep.parent(9), DomainName::ROOT);
        assert!(deep.is_within(&name("EXAMPLE.com")));
        assert!(!name("notexample.com").is_within(&name("example.com")));
        assert!(deep.is_within(&DomainName::ROOT));
    }
}
