//! The names of tags, interned.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// A tag, by the number its name was given. Valid with the [`TagNames`] that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(u32);

impl TagId {
    /// The number, for tables of those who index by tag: ids count up from 0.
    pub const fn as_raw(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }
}

/// Why a text cannot name a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTagName {
    /// No characters at all.
    #[error("a tag needs a name")]
    Empty,
    /// More than [`TagNames::MAX_CHARS`] characters.
    #[error("a tag's name has at most {} characters", TagNames::MAX_CHARS)]
    TooLong,
    /// A line end, an escape or the like.
    #[error("a tag's name cannot hold control characters")]
    ControlCharacter,
    /// [`TagNames::MAX_TAGS`] names are interned already.
    #[error("there are {} tags already; use fewer distinct names", TagNames::MAX_TAGS)]
    TooMany,
}

/// Slots are made this many at a time.
const CHUNK: usize = 256;

type Chunk = Box<[OnceLock<Arc<str>>]>;

/// Interns the names of tags. It only ever grows: an id stays valid for good, and reading one waits
/// for nobody.
pub struct TagNames {
    chunks: Box<[OnceLock<Chunk>]>,
    ids: Mutex<HashMap<Arc<str>, TagId>>,
    unknown: Arc<str>,
}

impl TagNames {
    /// The longest name, in characters, as in PAN-OS.
    pub const MAX_CHARS: usize = 127;
    /// How many names there can be.
    pub const MAX_TAGS: usize = 65_536;

    /// No names yet.
    pub fn new() -> Self {
        Self {
            chunks: (0..Self::MAX_TAGS.div_ceil(CHUNK))
                .map(|_| OnceLock::new())
                .collect(),
            ids: Mutex::default(),
            unknown: Arc::from(""),
        }
    }

    /// The id of `name`, which is exact: case and spaces count. Gives out a new one where it has none.
    pub fn intern(&self, name: &str) -> Result<TagId, InvalidTagName> {
        let mut ids = self.ids();
        if let Some(&id) = ids.get(name) {
            return Ok(id);
        }
        if name.is_empty() {
            return Err(InvalidTagName::Empty);
        }
        if name.chars().count() > Self::MAX_CHARS {
            return Err(InvalidTagName::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidTagName::ControlCharacter);
        }
        let index = ids.len();
        let chunk = self.chunks.get(index / CHUNK).ok_or(InvalidTagName::TooMany)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        let slot = chunk.get(index % CHUNK).ok_or(InvalidTagName::TooMany)?;
        let id = TagId(u32::try_from(index).map_err(|_| InvalidTagName::TooMany)?);
        let name: Arc<str> = Arc::from(name);
        slot.get_or_init(|| name.clone());
        ids.insert(name, id);
        Ok(id)
    }

    /// The id of `name`, if it has one.
    pub fn get(&self, name: &str) -> Option<TagId> {
        self.ids().get(name).copied()
    }

    /// The name of a tag: lock-free. Empty for an id of another [`TagNames`].
    pub fn resolve(&self, tag: TagId) -> &Arc<str> {
        let index = usize::try_from(tag.0).unwrap_or(usize::MAX);
        self.chunks
            .get(index / CHUNK)
            .and_then(OnceLock::get)
            .and_then(|chunk| chunk.get(index % CHUNK))
            .and_then(OnceLock::get)
            .unwrap_or(&self.unknown)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ids().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A name is in `ids` only once its slot holds it, so that a panic elsewhere breaks nothing.
    fn ids(&self) -> MutexGuard<'_, HashMap<Arc<str>, TagId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TagNames {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagNames")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id_for_good() {
        let names = TagNames::new();
        let infected = names.intern("infected-host").unwrap();
        let other = names.intern("Infected-Host").unwrap();
        assert_ne!(infected, other, "names are case-sensitive");
        assert_eq!(names.intern("infected-host"), Ok(infected));
        assert_eq!(names.get("infected-host"), Some(infected));
        assert_eq!(names.get("absent"), None);
        assert_eq!(&**names.resolve(infected), "infected-host");
        assert_eq!(names.len(), 2);
        assert_eq!(&**names.resolve(TagId(9)), "");
    }

    #[test]
    fn refuses_what_is_no_name() {
        let names = TagNames::new();
        assert_eq!(names.intern(""), Err(InvalidTagName::Empty));
        assert_eq!(names.intern("a\nb"), Err(InvalidTagName::ControlCharacter));
        assert!(names.intern(&"ä".repeat(127)).is_ok());
        assert_eq!(names.intern(&"ä".repeat(128)), Err(InvalidTagName::TooLong));
    }

    #[test]
    fn is_bounded() {
        let names = TagNames::new();
        for number in 0..TagNames::MAX_TAGS {
            assert_eq!(
                names.intern(&format!("t{number}")).map(TagId::as_raw),
                Ok(u32::try_from(number).unwrap())
            );
        }
        assert_eq!(names.intern("one-more"), Err(InvalidTagName::TooMany));
        assert_eq!(
            names.intern("t300"),
            Ok(TagId(300)),
            "a known name still has its id"
        );
        assert_eq!(&**names.resolve(TagId(65_535)), "t65535");
    }
}
