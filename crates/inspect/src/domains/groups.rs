//! Which lists a name stands on, interned: a million names share a few such sets.

use hashbrown::HashMap;

/// A list, by the number its owner gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListTag(pub u16);

/// What a list says about a name, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stance(pub(super) u8);

impl Stance {
    /// The name is listed.
    pub(super) const EXACT: Self = Self(1);
    /// What is below the name is listed.
    pub(super) const BELOW: Self = Self(2);

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The same, as an exception from the list.
    pub(super) fn excepted(self) -> Self {
        Self(self.0 << 2)
    }

    /// Whether any of these bits is set.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One list's stance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) tag: ListTag,
    pub(super) stance: Stance,
}

/// Interned sets of members, each sorted by tag, one member per tag.
#[derive(Debug, Default)]
pub(super) struct Groups {
    sets: Vec<Box<[Member]>>,
    ids: HashMap<Box<[Member]>, u32>,
    /// The last step taken: lists come one after the other, so it repeats.
    last: Option<(Option<u32>, Member, u32)>,
}

impl Groups {
    /// The set that `group` becomes when `member` joins.
    pub(super) fn joined(&mut self, group: Option<u32>, member: Member) -> u32 {
        if let Some((from, by, to)) = self.last
            && from == group
            && by == member
        {
            return to;
        }
        let mut members: Vec<Member> = group
            .and_then(|group| self.sets.get(usize::try_from(group).ok()?))
            .map(|set| set.to_vec())
            .unwrap_or_default();
        match members.binary_search_by_key(&member.tag, |m| m.tag) {
            Ok(index) => {
                if let Some(known) = members.get_mut(index) {
                    known.stance = known.stance.union(member.stance);
                }
            }
            Err(index) => members.insert(index, member),
        }
        let id = self.intern(members.into());
        self.last = Some((group, member, id));
        id
    }

    fn intern(&mut self, members: Box<[Member]>) -> u32 {
        if let Some(&id) = self.ids.get(&members) {
            return id;
        }
        // Fewer sets than names, and names are counted in 32 bits.
        let id = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(members.clone());
        self.ids.insert(members, id);
        id
    }

    /// The sets by their ids.
    pub(super) fn into_sets(self) -> Box<[Box<[Member]>]> {
        self.sets.into()
    }
}
