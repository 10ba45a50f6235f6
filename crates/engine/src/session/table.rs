//! The sessions of one shard: found by the key of either direction, kept in a slab that is reused.

use hashbrown::HashTable;
use packet::FlowKey;

use super::{Direction, Session};

/// Where a session lies in its shard's slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId(u32);

/// No slot is free; the caller decides who has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFull;

/// An index entry: enough of the hash to skip strangers without touching their session.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u64,
    slot: SlotId,
}

/// The session table of one shard; holds at most `capacity` sessions.
#[derive(Debug)]
pub(crate) struct SessionTable {
    index: HashTable<Indexed>,
    slots: Vec<Option<Session>>,
    free: Vec<SlotId>,
    capacity: usize,
}

impl SessionTable {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            capacity,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.index.len() >= self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Finds the session of a packet with this key, and which way the packet goes in it.
    ///
    /// `hash` is the key's symmetric hash, so one probe serves both directions.
    pub(crate) fn find(&self, hash: u64, key: &FlowKey) -> Option<(SlotId, Direction)> {
        let mut direction = Direction::ClientToServer;
        let reversed = key.reversed();
        let found = self.index.find(hash, |entry| {
            entry.hash == hash
                && self.get(entry.slot).is_some_and(|session| {
                    if session.key == *key {
                        direction = Direction::ClientToServer;
                        true
                    } else if session.key == reversed {
                        direction = Direction::ServerToClient;
                        true
                    } else {
                        false
                    }
                })
        })?;
        Some((found.slot, direction))
    }

    /// Adds a session under its key. The caller has made sure that the key is not in the table.
    pub(crate) fn insert(&mut self, session: Session) -> Result<SlotId, TableFull> {
        if self.is_full() {
            return Err(TableFull);
        }
        let hash = session.hash;
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            let slot = SlotId(u32::try_from(self.slots.len()).map_err(|_| TableFull)?);
            self.slots.push(None);
            slot
        };
        let place = self.slots.get_mut(slot.0 as usize).ok_or(TableFull)?;
        *place = Some(session);
        self.index
            .insert_unique(hash, Indexed { hash, slot }, |entry| entry.hash);
        Ok(slot)
    }

    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<Session> {
        let session = self.slots.get_mut(slot.0 as usize)?.take()?;
        if let Ok(entry) = self.index.find_entry(session.hash, |entry| entry.slot == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(session)
    }

    pub(crate) fn get(&self, slot: SlotId) -> Option<&Session> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Session> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    /// All sessions, in the order of their slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (SlotId, &Session)> {
        self.slots
            .iter()
            .zip(0_u32..)
            .filter_map(|(slot, id)| Some((SlotId(id), slot.as_ref()?)))
    }
}
