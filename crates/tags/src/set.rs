//! A set of tags: what the rules see of an address.

use smallvec::SmallVec;

use crate::TagId;

/// Tags in order of their id, each once. Up to six lie inline; more are on the heap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TagSet(SmallVec<[TagId; 6]>);

impl TagSet {
    /// No tags.
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    /// Adds a tag; `false` where it was there already.
    pub fn insert(&mut self, tag: TagId) -> bool {
        match self.0.binary_search(&tag) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, tag);
                true
            }
        }
    }

    /// Removes all tags and keeps the room they took.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the tag is in the set.
    pub fn contains(&self, tag: TagId) -> bool {
        self.0.contains(&tag)
    }

    /// The tags in order of their id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = TagId> + '_ {
        self.0.iter().copied()
    }

    /// The tags in order of their id.
    pub fn as_slice(&self) -> &[TagId] {
        &self.0
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<TagId> for TagSet {
    fn extend<I: IntoIterator<Item = TagId>>(&mut self, tags: I) {
        for tag in tags {
            self.insert(tag);
        }
    }
}

impl FromIterator<TagId> for TagSet {
    fn from_iter<I: IntoIterator<Item = TagId>>(tags: I) -> Self {
        let mut set = Self::new();
        set.extend(tags);
        set
    }
}

impl<'a> IntoIterator for &'a TagSet {
    type Item = TagId;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, TagId>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted_and_holds_each_tag_once() {
        let set: TagSet = [3, 1, 2, 3, 1, 9, 8, 7, 6]
            .map(TagId::from_raw)
            .into_iter()
            .collect();
        let raw: Vec<u32> = set.iter().map(TagId::as_raw).collect();
        assert_eq!(raw, [1, 2, 3, 6, 7, 8, 9]);
        assert!(set.contains(TagId::from_raw(8)));
        assert!(!set.contains(TagId::from_raw(5)));
    }
}
