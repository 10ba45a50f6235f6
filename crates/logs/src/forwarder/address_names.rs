//! Which server names were seen to lead to which addresses.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use packet::{DomainName, Timestamp};

/// By what a name was found to belong to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameProof {
    /// A DNS answer told so.
    Dns,
    /// The server there has opened TLS with a certificate for the name that leads to a trusted root.
    Certificate,
}

impl NameProof {
    /// How long it is believed. Clients keep addresses far beyond what DNS allows, so that its own lifetimes say little.
    /// A certificate is believed for less: who relays one handshake to the real server has passed that test.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Dns => Duration::from_hours(24),
            Self::Certificate => Duration::from_hours(1),
        }
    }
}

/// The names of addresses, as DNS answers and certificates have shown them; of any client, for every client.
///
/// The forwarder alone learns, so that replay knows the same from tick to tick, whatever the number of workers. Workers
/// ask without waiting for anybody. Bounded: the pair learnt longest ago makes room.
pub struct AddressNames {
    /// Until when a pair is believed.
    known: papaya::HashMap<Key, Timestamp>,
    /// Every pair, with the time it was to be believed until when it was put here.
    order: Mutex<VecDeque<(Timestamp, Key)>>,
    capacity: usize,
    seed: u64,
    counts: Mutex<AddressNameCounts>,
}

/// What became of pairs of names and addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressNameCounts {
    /// Learnt, those learnt again after they had run out among them.
    pub learnt: u64,
    /// Thrown out at the bound, though still to be believed.
    pub evicted: u64,
    /// Not believed: whoever asked need not be the resolver it said it was.
    pub refused: u64,
}

/// An address and a name's keyed hash: whoever could make two names collide would have one believed for the other.
type Key = (IpAddr, u64);

impl AddressNames {
    /// Nothing known; at most `capacity` pairs (at least one). `seed` is a secret where names come from strangers.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self {
            known: papaya::HashMap::new(),
            order: Mutex::default(),
            capacity: capacity.max(1),
            seed,
            counts: Mutex::default(),
        }
    }

    /// Whether the name is known to belong to the address.
    pub fn agrees(&self, now: Timestamp, address: IpAddr, name: &DomainName) -> bool {
        self.until(&self.key(address, name))
            .is_some_and(|until| now < until)
    }

    /// Whether a further proof of this kind would add little: the pair is known for half of its lifetime at least.
    pub fn is_fresh(&self, now: Timestamp, address: IpAddr, name: &DomainName, proof: NameProof) -> bool {
        let enough = now.saturating_add(proof.lifetime() / 2);
        self.until(&self.key(address, name))
            .is_some_and(|until| enough < until)
    }

    /// Notes that the name belongs to the address.
    pub(super) fn learn(&self, now: Timestamp, address: IpAddr, name: &DomainName, proof: NameProof) {
        if self.is_fresh(now, address, name, proof) {
            return;
        }
        let key = self.key(address, name);
        let until = now.saturating_add(proof.lifetime());
        let before = self.until(&key).filter(|before| now < *before);
        if before.is_some_and(|before| until <= before) {
            return;
        }
        let mut order = lock(&self.order);
        let mut evicted = 0;
        while order.len() >= self.capacity
            && let Some((noted, oldest)) = order.pop_front()
        {
            // Where it was learnt again, it stands further behind too.
            let known = self.until(&oldest);
            if known.is_some_and(|known| known <= noted) {
                self.known.pin().remove(&oldest);
                evicted += u64::from(now < noted);
            }
        }
        self.known.pin().insert(key, until);
        order.push_back((until, key));
        let mut counts = lock(&self.counts);
        counts.learnt += u64::from(before.is_none());
        counts.evicted += evicted;
    }

    pub(super) fn refuse(&self) {
        lock(&self.counts).refused += 1;
    }

    /// What was counted so far.
    pub fn counts(&self) -> AddressNameCounts {
        *lock(&self.counts)
    }

    fn until(&self, key: &Key) -> Option<Timestamp> {
        self.known.pin().get(key).copied()
    }

    fn key(&self, address: IpAddr, name: &DomainName) -> Key {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        name.hash(&mut hasher);
        (address, hasher.finish())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for AddressNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressNames")
            .field("len", &self.known.len())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_pair_is_believed_for_its_proofs_lifetime() {
        let names = AddressNames::new(8, 0);
        let hour = |hour: u64| Timestamp::from_secs(hour * 3600);
        let (bank, shop) = (name("bank.example"), name("shop.example"));
        names.learn(hour(0), HERE, &bank, NameProof::Dns);
        names.learn(hour(0), HERE, &shop, NameProof::Certificate);
        assert!(
            names.agrees(hour(0), HERE, &name("BANK.example")),
            "case does not matter"
        );
        assert!(!names.agrees(hour(0), THERE, &bank), "elsewhere");
        assert!(!names.agrees(hour(1), HERE, &shop), "its hour is over");
        assert!(names.agrees(hour(23), HERE, &bank));
        assert!(!names.agrees(hour(24), HERE, &bank));
        // A weaker proof takes nothing away.
        names.learn(hour(22), HERE, &bank, NameProof::Dns);
        names.learn(hour(23), HERE, &bank, NameProof::Certificate);
        assert!(names.agrees(hour(45), HERE, &bank));
        assert_eq!(names.counts().learnt, 2);
    }

    proptest! {
        #[test]
        fn it_knows_what_was_learnt_last_and_no_more_than_fits(
            learnt in prop::collection::vec((0_u8..12, any::<bool>(), 0_u64..30), 1..60),
            capacity in 1_usize..8,
        ) {
            let names = AddressNames::new(capacity, 7);
            let mut now = Timestamp::ZERO;
            for (number, strong, hours) in learnt {
                now = now.saturating_add(Duration::from_hours(hours));
                let proof = if strong { NameProof::Dns } else { NameProof::Certificate };
                let one = name(&format!("n{number}.example"));
                names.learn(now, HERE, &one, proof);
                prop_assert!(names.agrees(now, HERE, &one), "what was just learnt");
                let known = (0_u8..12).filter(|n| names.agrees(now, HERE, &name(&format!("n{n}.example"))));
                prop_assert!(known.count() <= capacity);
                prop_assert!(names.known.len() <= capacity);
                prop_assert!(lock(&names.order).len() <= capacity);
            }
        }
    }
}
