//! What the packet path must know of one subject's tags: each with its deadline, nothing else.

use packet::Timestamp;
use smallvec::SmallVec;

use crate::TagId;

/// A tag and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) tag: TagId,
    /// In force before this; [`Timestamp::MAX`] = never ends. Whole microseconds, see [`deadline`].
    pub(crate) deadline: Timestamp,
}

/// The tags of one subject.
pub(crate) type TagList = SmallVec<[Timed; 2]>;

/// The tags on some addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Those that count in every session.
    pub(crate) tags: TagList,
    /// Whether others count where a certain server name is asked for.
    pub(crate) named: bool,
    /// Whether others count towards certain clients.
    pub(crate) clients: bool,
}

impl Carried {
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && !self.named && !self.clients
    }
}

/// A deadline as the store keeps it: whole microseconds, as times in records are. Rounded down, so
/// that a tag never outstays.
pub(crate) fn deadline(at: Timestamp) -> Timestamp {
    match at {
        Timestamp::MAX => Timestamp::MAX,
        _ => Timestamp::from_nanos(at.as_nanos() / 1000 * 1000),
    }
}

/// A host's tags as one word, so that a reader gets all of them or none with one atomic load.
///
/// The commonest host carries one tag in every session: its deadline in the upper 52 bits, in
/// microseconds since 1970 (which lasts until 2112), all ones where it never ends; its tag in the lower
/// 12. Whatever does not fit so lies in a list elsewhere, and the word says only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

/// What a [`Word`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Nothing,
    One(Timed),
    Listed,
}

impl Word {
    /// A slot that no host has taken yet. No tag has a word below 4096: deadline 0 goes into a list.
    pub(crate) const UNUSED: Self = Self(0);
    /// A host without tags.
    pub(crate) const NOTHING: Self = Self(1);
    /// A host whose tags are in a list.
    pub(crate) const LISTED: Self = Self(2);

    const TAG_BITS: u32 = 12;
    const TAG_MASK: u64 = (1 << Self::TAG_BITS) - 1;
    const NEVER: u64 = u64::MAX >> Self::TAG_BITS;

    /// The word for a host, [`Word::LISTED`] where its tags do not fit.
    pub(crate) fn of(carried: &Carried) -> Self {
        if carried.is_empty() {
            return Self::NOTHING;
        }
        match carried.tags.as_slice() {
            [timed] if !carried.named && !carried.clients => Self::one(*timed).unwrap_or(Self::LISTED),
            _ => Self::LISTED,
        }
    }

    fn one(timed: Timed) -> Option<Self> {
        let micros = match timed.deadline {
            Timestamp::MAX => Self::NEVER,
            finite => Some(finite.as_nanos() / 1000).filter(|micros| (1..Self::NEVER).contains(micros))?,
        };
        let tag = u64::from(timed.tag.as_raw());
        (tag <= Self::TAG_MASK).then_some(Self(micros << Self::TAG_BITS | tag))
    }

    pub(crate) fn read(self) -> Reading {
        match self {
            Self::UNUSED | Self::NOTHING => Reading::Nothing,
            Self::LISTED => Reading::Listed,
            Self(bits) => Reading::One(Timed {
                tag: TagId::from_raw((bits & Self::TAG_MASK) as u32),
                deadline: match bits >> Self::TAG_BITS {
                    Self::NEVER => Timestamp::MAX,
                    micros => Timestamp::from_nanos(micros.saturating_mul(1000)),
                },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn host(tag: u32, nanos: u64) -> Carried {
        let timed = Timed {
            tag: TagId::from_raw(tag),
            deadline: Timestamp::from_nanos(nanos),
        };
        Carried {
            tags: smallvec![timed],
            ..Carried::default()
        }
    }

    #[test]
    fn one_tag_fits_a_word_and_reads_back() {
        for (tag, nanos) in [
            (0, 1_000),
            (4095, u64::MAX),
            (7, 1_700_000_000_123_456_000),
            (1, 4_503_599_627_370_494_000),
        ] {
            let carried = host(tag, nanos);
            let word = Word::of(&carried);
            assert_eq!(
                Some(word.read()),
                carried.tags.first().map(|&timed| Reading::One(timed)),
                "{carried:?}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_listed() {
        assert_eq!(
            Word::of(&host(4096, 5_000)),
            Word::LISTED,
            "the tag's number is too high"
        );
        assert_eq!(
            Word::of(&host(1, 4_503_599_627_370_495_000)),
            Word::LISTED,
            "past the year 2112"
        );
        assert_eq!(Word::of(&host(1, 0)), Word::LISTED, "would look like a mark");
        assert_eq!(
            Word::of(&Carried {
                clients: true,
                ..host(1, 5_000)
            }),
            Word::LISTED
        );
        assert_eq!(
            Word::of(&Carried {
                named: true,
                ..Carried::default()
            }),
            Word::LISTED
        );
        assert_eq!(Word::of(&Carried::default()), Word::NOTHING);
    }

    #[test]
    fn deadlines_are_whole_microseconds() {
        assert_eq!(
            deadline(Timestamp::from_nanos(1_999)),
            Timestamp::from_nanos(1_000)
        );
        assert_eq!(deadline(Timestamp::MAX), Timestamp::MAX);
    }
}
