//! What a session's ends are tagged with.

use std::sync::LazyLock;

use packet::Timestamp;
use tags::TagSet;

/// What the two ends of a session are tagged with. Most are not, and take no room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndTags(Option<Box<(TagSet, TagSet)>>);

impl EndTags {
    /// Neither is.
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn new(client: TagSet, server: TagSet) -> Self {
        let any = !(client.is_empty() && server.is_empty());
        Self(any.then(|| Box::new((client, server))))
    }

    pub(crate) fn of_client(&self) -> &TagSet {
        self.0.as_ref().map_or(&NO_TAGS, |tags| &tags.0)
    }

    pub(crate) fn of_server(&self) -> &TagSet {
        self.0.as_ref().map_or(&NO_TAGS, |tags| &tags.1)
    }
}

static NO_TAGS: LazyLock<TagSet> = LazyLock::new(TagSet::new);

/// What the ends of a session are tagged with, and how long that holds.
#[derive(Clone, Debug)]
pub(crate) struct DecidedUnder {
    /// The earliest deadline among the tags consulted.
    pub(crate) until: Timestamp,
    pub(crate) tags: EndTags,
}
