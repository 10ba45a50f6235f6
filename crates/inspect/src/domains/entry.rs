//! One entry of a domain list.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use packet::{DomainName, InvalidName};

/// Which names an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `name`: the name; with `expand-domain` also what is below it.
    Plain,
    /// `^name`: the name alone, always.
    Exact,
    /// `*.name`: everything below the name, not the name itself.
    Below,
}

/// An entry of a domain list, as PAN-OS writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The name without the leading token, in lower case.
    pub name: DomainName,
    /// What it stands for.
    pub scope: Scope,
}

/// Why a text is no entry of a domain list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// An IP address.
    #[error("an address, not a name: use a list of type ip")]
    Address,
    /// Something with a scheme or a path.
    #[error("a URL, not a name: keep only the host")]
    Url,
    /// `*` elsewhere than as the whole first label.
    #[error("`*` may only stand as `*.` in front of a name")]
    Wildcard,
    /// A character that no list of names holds.
    #[error("a character that cannot stand in a name")]
    Character,
    /// Labels or the whole too long, empty labels, broken escapes.
    #[error("{0}")]
    Name(InvalidName),
    /// A name outside ASCII that IDNA refuses (RFC 5891).
    #[error("not a valid international name")]
    International,
    /// Something follows the name that is no comment.
    #[error("text after the name: put a comment behind `#`")]
    Trailing,
    /// The root, which would be everything.
    #[error("the root is no name")]
    Root,
}

impl FromStr for ListEntry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let (scope, name) = if let Some(name) = text.strip_prefix("*.") {
            (Scope::Below, name)
        } else if let Some(name) = text.strip_prefix('^') {
            (Scope::Exact, name)
        } else {
            (Scope::Plain, text)
        };
        if is_address(name) {
            return Err(InvalidEntry::Address);
        }
        let ascii = if name.is_ascii() {
            Cow::Borrowed(name)
        } else {
            idna::domain_to_ascii(name)
                .map(Cow::Owned)
                .map_err(|_| InvalidEntry::International)?
        };
        if let Some(wrong) = ascii.bytes().find_map(wrong_character) {
            return Err(wrong);
        }
        let mut lower = ascii;
        if lower.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = Cow::Owned(lower.to_ascii_lowercase());
        }
        let name: DomainName = lower.parse().map_err(InvalidEntry::Name)?;
        if name.is_root() {
            return Err(InvalidEntry::Root);
        }
        Ok(Self { name, scope })
    }
}

/// Whether this is an IP address, with a zone or without.
pub(super) fn is_address(text: &str) -> bool {
    let candidate = text.ends_with(|last: char| last.is_ascii_digit()) || text.contains(':');
    candidate
        && text
            .split('%')
            .next()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

/// Why this character cannot stand in an entry, if so. `\` begins an escape as log records write them.
fn wrong_character(byte: u8) -> Option<InvalidEntry> {
    match byte {
        b'*' => Some(InvalidEntry::Wildcard),
        b'/' | b':' | b'?' => Some(InvalidEntry::Url),
        b'^' | b',' | b';' | b'"' | b'|' | b'#' | b'@' | b'=' | b'\'' | b'<' | b'>' | b'(' | b')' => {
            Some(InvalidEntry::Character)
        }
        b'!'..=b'~' => None,
        _ => Some(InvalidEntry::Character),
    }
}

impl fmt::Display for ListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = match self.scope {
            Scope::Plain => "",
            Scope::Exact => "^",
            Scope::Below => "*.",
        };
        write!(f, "{token}{}", self.name)
    }
}
