//! Log forwarding profiles: which records act, and how.

use std::{sync::Arc, time::Duration};

use policy::LogSetting;
use tags::TagId;

use crate::{Filter, named::named_enum};

/// The log forwarding profiles of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForwardingProfiles(Vec<ForwardingProfile>);

impl ForwardingProfiles {
    /// Profiles, each under an id of its own.
    pub fn new(mut profiles: Vec<ForwardingProfile>) -> Self {
        profiles.sort_by_key(|profile| profile.id);
        Self(profiles)
    }

    /// The profile that a rule's `log-setting` names.
    pub fn get(&self, id: LogSetting) -> Option<&ForwardingProfile> {
        let place = self.0.binary_search_by_key(&id, |profile| profile.id).ok()?;
        self.0.get(place)
    }

    /// All profiles, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &ForwardingProfile> {
        self.0.iter()
    }
}

/// One log forwarding profile.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardingProfile {
    /// What rules name it by.
    pub id: LogSetting,
    /// Its name.
    pub name: Arc<str>,
    /// Its entries; every one that matches acts.
    pub match_list: Vec<MatchListEntry>,
}

/// One entry of a match list.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchListEntry {
    /// Its name, unique in the profile.
    pub name: Arc<str>,
    /// Which records, of which type.
    pub filter: Filter,
    /// Whether it acts.
    pub mode: Mode,
    /// What it does; every action is carried out.
    pub actions: Vec<TagAction>,
}

/// One built-in action of type `tagging`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagAction {
    /// Its name.
    pub name: Arc<str>,
    /// Add or remove.
    pub operation: TagOperation,
    /// Whose address.
    pub target: TagTarget,
    /// Which tags; every one.
    pub tags: Vec<TagId>,
    /// Minutes, at most [`TagAction::MAX_TIMEOUT`]; 0 = until removed. For adding only.
    pub timeout: u32,
    /// In which sessions the tag counts.
    pub scope: TagScope,
    /// How many clients it takes until a server's tag counts for all.
    pub evidence: Evidence,
}

impl TagAction {
    /// The longest timeout in minutes: 30 days.
    pub const MAX_TIMEOUT: u32 = 43_200;
}

named_enum! {
    /// Whether an entry acts.
    #[derive(Default)]
    pub enum Mode {
        /// It tags.
        #[default]
        Enforce = "enforce",
        /// It records what it would have tagged.
        Shadow = "shadow",
    }
}

named_enum! {
    /// What an action does with its tags.
    #[derive(Default)]
    pub enum TagOperation {
        /// Registers them.
        #[default]
        Add = "add-tag",
        /// Unregisters them.
        Remove = "remove-tag",
    }
}

named_enum! {
    /// Whose address an action tags.
    #[derive(Default)]
    pub enum TagTarget {
        /// The client's.
        #[default]
        Source = "source-address",
        /// The server's.
        Destination = "destination-address",
    }
}

named_enum! {
    /// In which sessions of the tagged address a tag counts.
    #[derive(Default)]
    pub enum TagScope {
        /// In all.
        #[default]
        Address = "address",
        /// In those that ask for the server name of the record.
        ServerName = "server-name",
        /// In those with the client of the record. For servers only: a client is its own client.
        Client = "client",
    }
}

/// How many distinct clients must have caused a record within how long before a server's tag counts for
/// everybody. Below that it counts for each of these clients alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Clients, 1 to [`Evidence::MAX_CLIENTS`].
    pub clients: u32,
    /// How long a client counts, at most [`Evidence::MAX_WINDOW`].
    pub window: Duration,
}

impl Evidence {
    /// The most clients that can be asked for.
    pub const MAX_CLIENTS: u32 = 256;
    /// The longest window.
    pub const MAX_WINDOW: Duration = Duration::from_hours(24);
}

impl Default for Evidence {
    /// One client is enough.
    fn default() -> Self {
        Self {
            clients: 1,
            window: Duration::from_mins(10),
        }
    }
}
