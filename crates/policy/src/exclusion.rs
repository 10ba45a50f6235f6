//! Hosts whose TLS sessions stay closed whatever the decryption rules say (PAN-OS: `ssl-exclude-cert`).
//!
//! Patterns come from the configuration; the names they are held against come from clients (SNI) and servers
//! (certificates), which is all that is known of a host that must not be decrypted.

use std::{collections::HashSet, fmt, str::FromStr};

use packet::{DomainName, InvalidName};

/// A host name in which each label `*` stands for exactly one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExclusionPattern {
    /// With `*` as the label it is.
    name: DomainName,
}

/// Why a text is no [`ExclusionPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExclusion {
    /// Not a name.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// A scheme, a path or a port: only host names are compared.
    #[error("expected a host name, without scheme, port and path")]
    NotAHost,
    /// A `*` within a label.
    #[error("`*` stands for a whole label, as in `*.example.com`")]
    Wildcard,
    /// It would exclude every host of so many labels.
    #[error("a name of nothing but `*` would exclude everything")]
    Everything,
}

const ANY_LABEL: &[u8] = b"*";

impl FromStr for ExclusionPattern {
    type Err = InvalidExclusion;

    fn from_str(text: &str) -> Result<Self, InvalidExclusion> {
        if text.contains(['/', ':', '?', ' ']) {
            return Err(InvalidExclusion::NotAHost);
        }
        let name: DomainName = text.parse()?;
        if name
            .labels()
            .any(|label| label != ANY_LABEL && label.contains(&b'*'))
        {
            return Err(InvalidExclusion::Wildcard);
        }
        if name.labels().all(|label| label == ANY_LABEL) {
            return Err(InvalidExclusion::Everything);
        }
        Ok(Self { name })
    }
}

impl fmt::Display for ExclusionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl ExclusionPattern {
    fn has_wildcard(&self) -> bool {
        self.name.labels().any(|label| label == ANY_LABEL)
    }

    /// Whether the host, label by label, is this one.
    pub fn matches(&self, host: &DomainName) -> bool {
        self.name.labels().count() == host.labels().count()
            && self
                .name
                .labels()
                .zip(host.labels())
                .all(|(ours, theirs)| ours == ANY_LABEL || ours.eq_ignore_ascii_case(theirs))
    }
}

/// The exclusion list: names are found by hash, patterns with `*` are tried one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    exact: HashSet<DomainName>,
    wildcards: Vec<ExclusionPattern>,
}

impl Exclusions {
    /// The most patterns that configurations may give.
    pub const MAX: usize = 4096;

    /// Adds a pattern; `false` where it was there already.
    pub fn add(&mut self, pattern: ExclusionPattern) -> bool {
        if !pattern.has_wildcard() {
            return self.exact.insert(pattern.name);
        }
        let new = !self.wildcards.contains(&pattern);
        if new {
            self.wildcards.push(pattern);
        }
        new
    }

    /// Whether a host by this name stays closed.
    pub fn contain(&self, host: &DomainName) -> bool {
        self.exact.contains(host) || self.wildcards.iter().any(|pattern| pattern.matches(host))
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.wildcards.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_exactly_one_label() {
        let mut list = Exclusions::default();
        for pattern in ["*.Update.example", "a.example", "www.*.test", "*.*.deep.example"] {
            assert!(list.add(pattern.parse().unwrap()));
            assert!(
                !list.add(pattern.to_lowercase().parse().unwrap()),
                "{pattern} twice"
            );
        }
        assert_eq!(list.len(), 4);
        for host in ["x.update.EXAMPLE", "A.example", "www.b.test", "a.b.deep.example"] {
            assert!(list.contain(&host.parse().unwrap()), "{host}");
        }
        for host in [
            "update.example",
            "x.y.update.example",
            "b.a.example",
            "www.test",
            "a.deep.example",
        ] {
            assert!(!list.contain(&host.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn refuses_what_is_no_host() {
        for (text, fault) in [
            ("https://a.example", InvalidExclusion::NotAHost),
            ("a.example:443", InvalidExclusion::NotAHost),
            ("w*.example", InvalidExclusion::Wildcard),
            ("*", InvalidExclusion::Everything),
            ("*.*", InvalidExclusion::Everything),
            (".", InvalidExclusion::Everything),
            ("a..b", InvalidExclusion::Name(InvalidName::EmptyLabel)),
        ] {
            assert_eq!(text.parse::<ExclusionPattern>(), Err(fault), "{text}");
        }
    }
}
