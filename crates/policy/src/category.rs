//! URL categories: which of them a host name is in.
//!
//! Names come from clients (SNI, HTTP Host) and are looked up here; patterns come from the
//! configuration.

use std::collections::HashMap;
use std::str::FromStr;

use packet::{DomainName, InvalidName};

use crate::CategoryId;
use crate::id_set::IdSet;

/// A set of URL categories; a host can be in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CategorySet(IdSet);

impl CategorySet {
    /// No category.
    pub const NONE: Self = Self(IdSet::NONE);
    /// Ids are below this; the builder refuses more categories.
    pub const CAPACITY: usize = IdSet::CAPACITY;

    /// Adds a category. One beyond [`CategorySet::CAPACITY`] exists in no policy and is ignored.
    pub fn insert(&mut self, category: CategoryId) {
        self.0.insert(category.index());
    }

    /// Whether the category is in the set.
    pub fn contains(&self, category: CategoryId) -> bool {
        self.0.contains(category.index())
    }

    /// Whether the sets have a category in common.
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.intersects(&other.0)
    }

    /// Whether every category of `other` is in this set.
    pub fn is_superset(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// What is in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The categories in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = CategoryId> + use<> {
        self.0.iter().map(|number| CategoryId(number.into()))
    }

    /// The category that a record names: the one with the lowest id.
    pub fn first(&self) -> Option<CategoryId> {
        self.iter().next()
    }
}

impl FromIterator<CategoryId> for CategorySet {
    fn from_iter<I: IntoIterator<Item = CategoryId>>(categories: I) -> Self {
        let mut set = Self::NONE;
        categories.into_iter().for_each(|category| set.insert(category));
        set
    }
}

/// An entry of a category: a host name, or `*.name` for every host below a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name only.
    Exact(DomainName),
    /// Every name below this one, itself not.
    Below(DomainName),
}

/// Why a text is no [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHostPattern {
    /// Not a name.
    #[error("{0}")]
    Name(#[from] InvalidName),
    /// A scheme, a path or a port: only host names are compared.
    #[error("expected a host name or `*.name`, without scheme, port and path")]
    NotAHost,
    /// A `*` or `^` that is not the whole first label.
    #[error("`*` stands only before the first dot, as in `*.example.com`")]
    Wildcard,
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    /// Reads `name`, `name/`, `^name` (all the same) or `*.name`.
    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains(['/', ':', '?', ' ']) {
            return Err(InvalidHostPattern::NotAHost);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text.strip_prefix('^').unwrap_or(text)),
        };
        if name.contains(['*', '^']) {
            return Err(InvalidHostPattern::Wildcard);
        }
        let name: DomainName = name.parse()?;
        Ok(if below {
            Self::Below(name)
        } else {
            Self::Exact(name)
        })
    }
}

/// Every pattern of every category, by its name in lower-case wire format.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostPatterns {
    exact: HashMap<Box<[u8]>, CategorySet>,
    below: HashMap<Box<[u8]>, CategorySet>,
}

impl HostPatterns {
    pub(crate) fn add(&mut self, category: CategoryId, pattern: &HostPattern) {
        let (map, name) = match pattern {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Below(name) => (&mut self.below, name),
        };
        map.entry(name.as_wire().to_ascii_lowercase().into())
            .or_default()
            .insert(category);
    }

    /// The categories of a host: those that name it, and those that name an ancestor of it as `*.`.
    pub(crate) fn categorize(&self, host: &DomainName) -> CategorySet {
        let mut folded = [0_u8; DomainName::MAX];
        let wire = host.as_wire();
        let Some(folded) = folded.get_mut(..wire.len()) else {
            return CategorySet::NONE;
        };
        folded.copy_from_slice(wire);
        folded.make_ascii_lowercase();
        let mut found = self.exact.get(&*folded).copied().unwrap_or_default();
        let mut name: &[u8] = folded;
        while let Some((&length, rest)) = name.split_first() {
            if length == 0 {
                break;
            }
            name = rest.get(usize::from(length)..).unwrap_or(&[]);
            if let Some(categories) = self.below.get(name) {
                found = found.union(categories);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(patterns: &[(u16, &str)], host: &str) -> Vec<u16> {
        let mut all = HostPatterns::default();
        for (category, pattern) in patterns {
            all.add(CategoryId(*category), &pattern.parse().unwrap());
        }
        all.categorize(&host.parse().unwrap())
            .iter()
            .map(|id| id.0)
            .collect()
    }

    #[test]
    fn a_host_can_be_in_several() {
        let patterns = [
            (0, "*.bank.example"),
            (1, "tax.gov.example"),
            (255, "*.example"),
            (2, "WWW.Bank.example/"),
            (3, "^bank.example"),
        ];
        assert_eq!(categories(&patterns, "www.bank.EXAMPLE"), [0, 2, 255]);
        assert_eq!(
            categories(&patterns, "bank.example"),
            [3, 255],
            "`*.` is below, not itself"
        );
        assert_eq!(
            categories(&patterns, "a.tax.gov.example"),
            [255],
            "a plain name is exact"
        );
        assert_eq!(categories(&patterns, "tax.gov.example"), [1, 255]);
        assert_eq!(categories(&patterns, "notbank.test"), [0_u16; 0]);
        assert_eq!(categories(&patterns, "example"), [0_u16; 0]);
    }

    #[test]
    fn refuses_what_is_no_host() {
        for text in ["https://a.example", "a.example/path", "a.example:443"] {
            assert_eq!(
                text.parse::<HostPattern>(),
                Err(InvalidHostPattern::NotAHost),
                "{text}"
            );
        }
        for text in [
            "*",
            "*.*.example",
            "www.*.example",
            "a*.example",
            "^.example",
            "*",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        assert_eq!("".parse::<HostPattern>(), Err(InvalidName::EmptyLabel.into()));
    }

    #[test]
    fn sets_behave_as_sets() {
        let set = |ids: &[u16]| ids.iter().copied().map(CategoryId).collect::<CategorySet>();
        assert!(set(&[1, 64, 255]).intersects(&set(&[255])));
        assert!(!set(&[1, 64]).intersects(&set(&[0, 65])));
        assert!(set(&[1, 64]).is_superset(&set(&[64])) && !set(&[64]).is_superset(&set(&[1, 64])));
        assert_eq!(set(&[200, 3]).first(), Some(CategoryId(3)));
        assert_eq!(set(&[256]), CategorySet::NONE);
        assert!(!CategorySet::NONE.contains(CategoryId(256)));
    }
}
