//! Cheap detection of change: has anything been tagged or untagged around an address since?

use crate::sync::{AtomicU64, Ordering};

/// When what an address carries has last changed, counted in changes of the whole store. While an address's stamp
/// stays the same, no tag was added to it or taken off it, nor to or off a prefix or range around it; at most deadlines
/// moved later.
///
/// Read the stamp, or the store's generation, *before* the lookup whose answer it marks. The answer then holds while
/// the stamp stays the same, or is none after that generation, and the time that the lookup returned has not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// Whether there was a change after the store's generation was read as `generation`.
    #[inline]
    pub fn is_after(self, generation: u64) -> bool {
        self.0 > generation
    }
}

/// Marks that a writer moves after it has published a change, and a reader reads before it looks: the number of the
/// latest change. There is one writer at a time.
///
/// Addresses share a few thousand marks by hash: a change of one makes some strangers look again,
/// once. Prefixes and ranges share one, for each can be around any address.
pub(crate) struct Stamps {
    hosts: Box<[AtomicU64]>,
    networks: OwnLine,
    changes: OwnLine,
}

/// Keeps what every packet reads apart from what every writer writes.
#[repr(align(128))]
struct OwnLine(AtomicU64);

impl Stamps {
    /// loom explores every atomic; a few show all there is to see.
    const STRIPES: usize = if cfg!(loom) { 2 } else { 4096 };

    pub(crate) fn new() -> Self {
        Self {
            hosts: (0..Self::STRIPES).map(|_| AtomicU64::new(0)).collect(),
            networks: OwnLine(AtomicU64::new(0)),
            changes: OwnLine(AtomicU64::new(0)),
        }
    }

    /// The stamp of the address with this hash.
    ///
    /// Acquire pairs with the release of the bumps: who sees a bump sees what was published before it.
    pub(crate) fn read(&self, hash: u64) -> Stamp {
        let host = self
            .stripe(hash)
            .map_or(0, |stripe| stripe.load(Ordering::Acquire));
        Stamp(host.max(self.networks.0.load(Ordering::Acquire)))
    }

    /// After a change of the host with this hash was published.
    pub(crate) fn bump_host(&self, hash: u64) {
        if let Some(stripe) = self.stripe(hash) {
            self.bump(stripe);
        }
    }

    /// After a change of a prefix or range was published.
    pub(crate) fn bump_networks(&self) {
        self.bump(&self.networks.0);
    }

    /// The address's mark moves before the count of changes does: who reads the new count reads the change as well,
    /// and to all others the mark lies ahead.
    fn bump(&self, mark: &AtomicU64) {
        mark.store(
            self.changes.0.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Release,
        );
        self.bump_changes();
    }

    /// After a deadline has moved: no change to any address.
    pub(crate) fn bump_changes(&self) {
        self.changes.0.fetch_add(1, Ordering::Release);
    }

    /// How many changes there were of any kind.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.0.load(Ordering::Acquire)
    }

    /// The hash's upper half, as tables take their slots from the lower.
    fn stripe(&self, hash: u64) -> Option<&AtomicU64> {
        self.hosts.get((hash >> 32) as usize % Self::STRIPES)
    }
}
