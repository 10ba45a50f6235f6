//! A name's ancestors: what is left of it without its first labels.

use packet::DomainName;

/// The most labels a name can have.
const MAX_LABELS: usize = 127;

/// A name in wire format with its labels found.
pub(super) struct Suffixes<'n> {
    /// The name without the root's byte.
    wire: &'n [u8],
    /// Where each label's length byte stands, from left to right.
    starts: [u8; MAX_LABELS + 1],
    labels: usize,
}

impl<'n> Suffixes<'n> {
    /// Finds the labels of a name in wire format without the root's byte.
    #[inline]
    pub(super) fn new(wire: &'n [u8]) -> Self {
        let mut suffixes = Self {
            wire,
            starts: [0; MAX_LABELS + 1],
            labels: 0,
        };
        let mut at = 0_usize;
        while let Some(&length) = suffixes.wire.get(at)
            && let Some(start) = suffixes.starts.get_mut(suffixes.labels)
        {
            *start = u8::try_from(at).unwrap_or(u8::MAX);
            suffixes.labels = suffixes.labels.saturating_add(1);
            at = at.saturating_add(1).saturating_add(usize::from(length));
        }
        suffixes
    }

    /// How many labels the name has.
    pub(super) fn labels(&self) -> usize {
        self.labels
    }

    /// The last `depth` labels, in the case they came in.
    pub(super) fn suffix(&self, depth: usize) -> &'n [u8] {
        let start = self.start(self.labels.saturating_sub(depth));
        self.wire.get(start..).unwrap_or_default()
    }

    fn start(&self, label: usize) -> usize {
        if label >= self.labels {
            return self.wire.len();
        }
        self.starts.get(label).copied().map_or(0, usize::from)
    }
}

/// A name in wire format without the root's byte.
pub(super) fn without_root(name: &DomainName) -> &[u8] {
    name.as_wire().split_last().map_or(&[], |(_, labels)| labels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn suffixes_are_the_names_ancestors(text in "([a-zA-Z]{1,20}\\.){0,9}[a-z]{1,9}") {
            let name: DomainName = text.parse().unwrap();
            let suffixes = Suffixes::new(without_root(&name));
            let labels = name.labels().count();
            prop_assert_eq!(suffixes.labels(), labels);
            for depth in 1..=labels {
                let parent = name.parent(labels - depth);
                prop_assert_eq!(suffixes.suffix(depth), without_root(&parent));
            }
        }
    }
}
