//! The sessions of one shard: found by the key of either direction, kept in a slab that is reused.
//!
//! A packet waits for two places in memory: its line of the index, then its session. Whoever has several packets at
//! hand asks for all the lines first, then for all the sessions, and waits for each kind once: [`crate::fetch()`].
//! Sessions never move: the slab has its room from the start, and takes memory only where sessions come to lie.

use packet::FlowKey;

use super::{
    Direction, Session,
    index::{Entry, Index},
};

/// Where a session lies in its shard's slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId(pub(super) u32);

/// No slot is free; the caller decides who has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFull;

/// The session table of one shard; holds at most `capacity` sessions.
#[derive(Debug)]
pub(crate) struct SessionTable {
    index: Index,
    slots: Vec<Option<Session>>,
    /// Of each slot's session the part of its flow's hash that the index knows it by.
    hashes: Vec<u32>,
    free: Vec<SlotId>,
    capacity: usize,
}

impl SessionTable {
    pub(crate) fn new(capacity: usize) -> Self {
        let (mut slots, mut hashes) = (Vec::new(), Vec::new());
        // Where the system will not promise so much, the slab grows as it needs.
        drop(slots.try_reserve_exact(capacity));
        drop(hashes.try_reserve_exact(capacity));
        Self {
            index: Index::new(),
            slots,
            hashes,
            free: Vec::new(),
            capacity,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Finds the session of a packet with this key, and which way the packet goes in it.
    ///
    /// `hash` is the key's symmetric hash, so one probe serves both directions.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &FlowKey) -> Option<(SlotId, Direction)> {
        self.index.find(hash, |slot| {
            let slot = SlotId(slot);
            let direction = self.get(slot)?.direction_of(key)?;
            Some((slot, direction))
        })
    }

    /// Brings the index line of a flow near. What is returned tells nothing; it only keeps the read from being left
    /// out.
    #[inline]
    pub(crate) fn touch_index(&self, hash: u64) -> u64 {
        self.index.touch(hash)
    }

    /// The first slot that may be the flow's, without a look at it.
    #[inline]
    pub(crate) fn find_slot(&self, hash: u64) -> Option<SlotId> {
        self.index.find(hash, |slot| Some(SlotId(slot)))
    }

    /// Brings a session's first lines near, as [`SessionTable::touch_index`] its index line.
    #[inline]
    pub(crate) fn touch(&self, slot: SlotId, tcp: bool) -> u64 {
        self.get(slot).map_or(0, |session| session.touch(tcp))
    }

    /// Adds a session under its key. The caller has made sure that the key is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, session: Session) -> Result<SlotId, TableFull> {
        if self.is_full() {
            return Err(TableFull);
        }
        let entry = |slot: SlotId| Entry::new(hash, slot.0);
        let slot = if let Some(slot) = self.free.pop() {
            *self.slots.get_mut(slot.0 as usize).ok_or(TableFull)? = Some(session);
            *self.hashes.get_mut(slot.0 as usize).ok_or(TableFull)? = entry(slot).tag();
            slot
        } else {
            let slot = SlotId(u32::try_from(self.slots.len()).map_err(|_| TableFull)?);
            self.slots.push(Some(session));
            self.hashes.push(entry(slot).tag());
            slot
        };
        self.index.insert(entry(slot));
        Ok(slot)
    }

    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<Session> {
        let session = self.slots.get_mut(slot.0 as usize)?.take()?;
        let hash = self.hashes.get(slot.0 as usize).copied()?;
        self.index.remove(Entry::new(hash.into(), slot.0));
        self.free.push(slot);
        Some(session)
    }

    #[inline]
    pub(crate) fn get(&self, slot: SlotId) -> Option<&Session> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    #[inline]
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
