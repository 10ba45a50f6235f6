//! Address groups: static ones flattened, dynamic ones over tags.
//!
//! An address carries its registered tags, the tags of the address objects that cover it, and the tags
//! of the static groups it is in: so a dynamic group takes in whoever is in a group with matching tags.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use smallvec::SmallVec;
use tags::{TagId, TagSet};

use crate::address::FixedAddresses;
use crate::interval_map::{IntervalMap, Sweep};
use crate::{AddressGroupId, AddressObject, AddressRef, Symbol, TagFilter};

/// Who is in an address group.
#[derive(Clone, Debug)]
pub enum GroupMembers {
    /// These, and nobody else.
    Static(Vec<AddressRef>),
    /// Every address whose tags satisfy the filter.
    Dynamic(TagFilter),
}

/// An address group.
#[derive(Clone, Debug)]
pub struct AddressGroup {
    /// Its name.
    pub name: Symbol,
    /// Who is in it.
    pub members: GroupMembers,
    /// Its tags: those of a static group count for each member.
    pub tags: Vec<TagId>,
}

/// What a list of [`AddressRef`]s comes down to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flattened {
    pub(crate) fixed: FixedAddresses,
    /// Dynamic groups, in order, each once.
    pub(crate) dynamic: Vec<AddressGroupId>,
}

impl Flattened {
    /// Whether it certainly holds every address that `other` holds, whatever tags are registered.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.fixed.includes(&other.fixed) && other.dynamic.iter().all(|group| self.dynamic.contains(group))
    }
}

/// All address objects and groups, flattened.
#[derive(Clone, Debug)]
pub(crate) struct AddressBook {
    objects: Vec<FixedAddresses>,
    groups: Vec<Flattened>,
    filters: Vec<Option<TagFilter>>,
    /// Tags of objects, and of static groups as far as their members are fixed.
    fixed_tags: IntervalMap<u32>,
    tag_lists: Vec<Box<[TagId]>>,
    /// Tags of what no interval can hold.
    wildcard_tags: Vec<(FixedAddresses, Vec<TagId>)>,
    /// Static groups with tags and with dynamic members; a group stands behind those it depends on.
    inheriting: Vec<AddressGroupId>,
    group_tags: Vec<Vec<TagId>>,
    has_fixed_tags: bool,
}

/// Groups that contain each other, in order; the last contains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cycle(pub(crate) Vec<AddressGroupId>);

/// Every tag an address carries, without a copy of any.
#[derive(Debug)]
pub(crate) struct CarriedTags<'a> {
    pub(crate) address: IpAddr,
    registered: &'a [TagId],
    fixed: &'a [TagId],
    inherited: SmallVec<[TagId; 4]>,
}

impl CarriedTags<'_> {
    pub(crate) fn has(&self, tag: TagId) -> bool {
        self.registered.contains(&tag) || self.fixed.contains(&tag) || self.inherited.contains(&tag)
    }

    /// Every tag; one that is carried for two reasons comes twice.
    pub(crate) fn iter(&self) -> impl Iterator<Item = TagId> + '_ {
        let all = [self.registered, self.fixed, &*self.inherited];
        all.into_iter().flatten().copied()
    }
}

impl AddressBook {
    /// The ids in `objects` and `groups` must have been checked: unknown ones count as empty.
    pub(crate) fn build(objects: &[AddressObject], groups: &[AddressGroup]) -> Result<Self, Cycle> {
        let order = order(groups)?;
        let mut book = Self {
            objects: objects.iter().map(|object| (&object.value).into()).collect(),
            groups: vec![Flattened::default(); groups.len()],
            filters: groups
                .iter()
                .map(|group| group.members.filter().cloned())
                .collect(),
            fixed_tags: IntervalMap::build(std::iter::empty(), &mut TagSweep::default()),
            tag_lists: Vec::new(),
            wildcard_tags: Vec::new(),
            inheriting: Vec::new(),
            group_tags: groups.iter().map(|group| group.tags.clone()).collect(),
            has_fixed_tags: false,
        };
        for &id in &order {
            let Some(group) = groups.get(id.index()) else {
                continue;
            };
            let flattened = match &group.members {
                GroupMembers::Static(members) => book.flatten(members),
                GroupMembers::Dynamic(_) => Flattened {
                    fixed: FixedAddresses::default(),
                    dynamic: vec![id],
                },
            };
            if matches!(group.members, GroupMembers::Static(_))
                && !group.tags.is_empty()
                && !flattened.dynamic.is_empty()
            {
                book.inheriting.push(id);
            }
            if let Some(slot) = book.groups.get_mut(id.index()) {
                *slot = flattened;
            }
        }
        book.index_fixed_tags(objects, groups);
        Ok(book)
    }

    fn index_fixed_tags(&mut self, objects: &[AddressObject], groups: &[AddressGroup]) {
        let of_objects = self
            .objects
            .iter()
            .zip(objects)
            .map(|(fixed, object)| (fixed, &object.tags));
        let of_groups = self
            .groups
            .iter()
            .zip(groups)
            .map(|(group, draft)| (&group.fixed, &draft.tags));
        let tagged: Vec<(FixedAddresses, Vec<TagId>)> = of_objects
            .chain(of_groups)
            .filter(|(_, tags)| !tags.is_empty())
            .map(|(fixed, tags)| (fixed.clone(), tags.clone()))
            .collect();
        let mut sweep = TagSweep {
            tags: tagged.iter().map(|(_, tags)| tags.clone()).collect(),
            ..TagSweep::default()
        };
        self.has_fixed_tags = !tagged.is_empty();
        self.fixed_tags = IntervalMap::build(tagged.iter().map(|(fixed, _)| &fixed.networks), &mut sweep);
        self.tag_lists = sweep.lists;
        self.wildcard_tags = tagged;
        self.wildcard_tags
            .retain(|(fixed, _)| !fixed.wildcards.is_empty());
    }

    /// What `members` come down to. Groups among them must have been flattened before.
    pub(crate) fn flatten(&self, members: &[AddressRef]) -> Flattened {
        let literals: Vec<FixedAddresses> = members
            .iter()
            .filter_map(|member| match member {
                AddressRef::Literal(addresses) => Some(addresses.into()),
                AddressRef::Object(_) | AddressRef::Group(_) => None,
            })
            .collect();
        let mut fixed: Vec<&FixedAddresses> = literals.iter().collect();
        let mut dynamic = BTreeSet::new();
        for member in members {
            match member {
                AddressRef::Object(id) => fixed.extend(self.objects.get(id.index())),
                AddressRef::Group(id) => {
                    if let Some(group) = self.groups.get(id.index()) {
                        fixed.push(&group.fixed);
                        dynamic.extend(group.dynamic.iter().copied());
                    }
                }
                AddressRef::Literal(_) => {}
            }
        }
        Flattened {
            fixed: FixedAddresses::union(fixed),
            dynamic: dynamic.into_iter().collect(),
        }
    }

    /// All tags of `address`, of which `registered` are registered.
    pub(crate) fn carried<'a>(&'a self, address: IpAddr, registered: &'a TagSet) -> CarriedTags<'a> {
        let mut carried = CarriedTags {
            address,
            registered: registered.as_slice(),
            fixed: self.fixed_tags_of(address),
            inherited: SmallVec::new(),
        };
        for (fixed, tags) in &self.wildcard_tags {
            if fixed.wildcards.iter().any(|wildcard| wildcard.contains(address)) {
                carried.inherited.extend_from_slice(tags);
            }
        }
        for group in &self.inheriting {
            if let (true, Some(tags)) = (
                self.is_member(*group, &carried),
                self.group_tags.get(group.index()),
            ) {
                carried.inherited.extend_from_slice(tags);
            }
        }
        carried
    }

    fn fixed_tags_of(&self, address: IpAddr) -> &[TagId] {
        if !self.has_fixed_tags {
            return &[];
        }
        let list = self
            .fixed_tags
            .get(address)
            .and_then(|&list| usize::try_from(list).ok());
        list.and_then(|list| self.tag_lists.get(list))
            .map_or(&[], |tags| tags)
    }

    /// Whether a group holds an address.
    pub(crate) fn is_member(&self, group: AddressGroupId, carried: &CarriedTags<'_>) -> bool {
        self.groups
            .get(group.index())
            .is_some_and(|group| self.holds(group, carried))
    }

    pub(crate) fn holds(&self, set: &Flattened, carried: &CarriedTags<'_>) -> bool {
        set.fixed.contains(carried.address) || set.dynamic.iter().any(|&group| self.satisfies(group, carried))
    }

    /// Whether the address's tags satisfy the filter of a dynamic group.
    pub(crate) fn satisfies(&self, group: AddressGroupId, carried: &CarriedTags<'_>) -> bool {
        self.filter(group)
            .is_some_and(|filter| filter.matches(|tag| carried.has(tag)))
    }

    pub(crate) fn filter(&self, group: AddressGroupId) -> Option<&TagFilter> {
        self.filters.get(group.index())?.as_ref()
    }
}

impl GroupMembers {
    fn filter(&self) -> Option<&TagFilter> {
        match self {
            Self::Static(_) => None,
            Self::Dynamic(filter) => Some(filter),
        }
    }
}

/// The groups, each behind those it depends on: a static one on the groups in it, a dynamic one on the
/// static groups with a tag that its filter names.
fn order(groups: &[AddressGroup]) -> Result<Vec<AddressGroupId>, Cycle> {
    let mut carriers: HashMap<TagId, Vec<AddressGroupId>> = HashMap::new();
    let ids = || (0..).map(AddressGroupId).zip(groups);
    for (id, group) in ids().filter(|(_, group)| matches!(group.members, GroupMembers::Static(_))) {
        for &tag in &group.tags {
            carriers.entry(tag).or_default().push(id);
        }
    }
    let needs: Vec<Vec<AddressGroupId>> = groups
        .iter()
        .map(|group| match &group.members {
            GroupMembers::Static(members) => members.iter().filter_map(AddressRef::group).collect(),
            GroupMembers::Dynamic(filter) => {
                let named = filter.tags();
                let carriers: BTreeSet<_> = named
                    .iter()
                    .filter_map(|tag| carriers.get(tag))
                    .flatten()
                    .collect();
                carriers.into_iter().copied().collect()
            }
        })
        .collect();
    let mut visit = Visit {
        needs: &needs,
        state: vec![State::New; groups.len()],
        order: Vec::with_capacity(groups.len()),
    };
    for (id, _) in ids() {
        visit.from(id)?;
    }
    Ok(visit.order)
}

impl AddressRef {
    fn group(&self) -> Option<AddressGroupId> {
        match self {
            Self::Group(id) => Some(*id),
            Self::Object(_) | Self::Literal(_) => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// On the path; the number of needs already followed.
    Open(usize),
    Done,
}

struct Visit<'a> {
    needs: &'a [Vec<AddressGroupId>],
    state: Vec<State>,
    order: Vec<AddressGroupId>,
}

impl Visit<'_> {
    /// Depth first, without recursion: nesting is as deep as the configuration likes.
    fn from(&mut self, start: AddressGroupId) -> Result<(), Cycle> {
        let mut path = vec![start];
        while let Some(&id) = path.last() {
            let followed = match self.state.get(id.index()) {
                None | Some(State::Done) => {
                    path.pop();
                    continue;
                }
                Some(State::New) => 0,
                Some(State::Open(followed)) => *followed,
            };
            let next = self
                .needs
                .get(id.index())
                .and_then(|needs| needs.get(followed))
                .copied();
            self.set(
                id,
                next.map_or(State::Done, |_| State::Open(followed.saturating_add(1))),
            );
            match next {
                None => {
                    self.order.push(id);
                    path.pop();
                }
                Some(next) if matches!(self.state.get(next.index()), Some(State::Open(_))) => {
                    path.drain(..path.iter().position(|&on| on == next).unwrap_or(0));
                    return Err(Cycle(path));
                }
                Some(next) => path.push(next),
            }
        }
        Ok(())
    }

    fn set(&mut self, id: AddressGroupId, state: State) {
        if let Some(slot) = self.state.get_mut(id.index()) {
            *slot = state;
        }
    }
}

/// Collects the tags of all sets that hold the current address, as numbers of distinct lists.
#[derive(Default)]
struct TagSweep {
    tags: Vec<Vec<TagId>>,
    active: BTreeSet<usize>,
    lists: Vec<Box<[TagId]>>,
    numbers: HashMap<Box<[TagId]>, u32>,
}

impl Sweep for TagSweep {
    type Value = u32;

    fn enter(&mut self, set: usize) {
        self.active.insert(set);
    }

    fn leave(&mut self, set: usize) {
        self.active.remove(&set);
    }

    fn value(&mut self) -> u32 {
        let tags: BTreeSet<TagId> = self
            .active
            .iter()
            .filter_map(|&set| self.tags.get(set))
            .flatten()
            .copied()
            .collect();
        let tags: Box<[TagId]> = tags.into_iter().collect();
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(tags.clone()).or_insert(next);
        if number == next {
            self.lists.push(tags);
        }
        number
    }
}
