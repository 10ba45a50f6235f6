//! Servers that were found not to fit the proxy, and are left closed for a while (PAN-OS: the local SSL decryption
//! exclusion cache).
//!
//! Only what the server does fills it, never a client, and only where the decryption profile wants it so.

use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use packet::{DomainName, Timestamp};
use policy::DecryptionProfileId;

/// A server, as the sessions that are left closed name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExcludedServer {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The name asked of it.
    pub name: Option<DomainName>,
    /// The decryption profile that it does not fit.
    pub profile: DecryptionProfileId,
}

/// Why and how long a server is left closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// When it failed.
    pub since: Timestamp,
    /// Until when its sessions are left closed.
    pub until: Timestamp,
    /// What failed.
    pub reason: Cow<'static, str>,
    /// Of the ruleset that it failed under: any other one begins anew.
    generation: u64,
}

/// All of them. Shared by workers; who finds it empty waits for nobody.
#[derive(Debug, Default)]
pub struct ExclusionCache {
    servers: Mutex<HashMap<ExcludedServer, Exclusion>>,
    count: AtomicUsize,
    evicted: AtomicU64,
}

impl ExclusionCache {
    /// The most servers; the one that failed longest ago makes room (PAN-OS: 1,024).
    pub const CAPACITY: usize = 1024;
    /// How long a server stays (PAN-OS: 12 hours).
    pub const LIFETIME: Duration = Duration::from_hours(12);

    /// A server has failed under the ruleset of this generation.
    pub(crate) fn add(
        &self,
        now: Timestamp,
        generation: u64,
        server: &ExcludedServer,
        reason: Cow<'static, str>,
    ) {
        let mut servers = self.servers();
        if servers.len() >= Self::CAPACITY && !servers.contains_key(server) {
            servers.retain(|_, known| known.holds(now, generation));
            let oldest = servers.iter().min_by_key(|(_, known)| known.since);
            if servers.len() >= Self::CAPACITY
                && let Some(oldest) = oldest.map(|(server, _)| *server)
            {
                servers.remove(&oldest);
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
        let exclusion = Exclusion {
            since: now,
            until: now.saturating_add(Self::LIFETIME),
            reason,
            generation,
        };
        servers.insert(*server, exclusion);
        self.count.store(servers.len(), Ordering::Relaxed);
    }

    /// Whether sessions with the server are left closed.
    pub(crate) fn contains(&self, now: Timestamp, generation: u64, server: &ExcludedServer) -> bool {
        self.count.load(Ordering::Relaxed) > 0
            && self
                .servers()
                .get(server)
                .is_some_and(|known| known.holds(now, generation))
    }

    /// Those in force, the latest first.
    pub fn list(&self, now: Timestamp, generation: u64) -> Vec<(ExcludedServer, Exclusion)> {
        let servers = self.servers();
        let in_force = servers.iter().filter(|(_, known)| known.holds(now, generation));
        let mut list: Vec<_> = in_force.map(|(server, known)| (*server, known.clone())).collect();
        list.sort_by_key(|(server, known)| (std::cmp::Reverse(known.since), server.address, server.port));
        list
    }

    /// How many have made room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Forgets all; returns how many there were.
    pub fn clear(&self) -> usize {
        let mut servers = self.servers();
        self.count.store(0, Ordering::Relaxed);
        servers.drain().count()
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<ExcludedServer, Exclusion>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exclusion {
    fn holds(&self, now: Timestamp, generation: u64) -> bool {
        self.generation == generation && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u16) -> ExcludedServer {
        ExcludedServer {
            address: [203, 0, 113, 9].into(),
            port: number,
            name: None,
            profile: DecryptionProfileId(0),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_server_stays_for_twelve_hours_under_one_ruleset() {
        let cache = ExclusionCache::default();
        assert!(!cache.contains(at(0), 1, &server(1)));
        cache.add(at(0), 1, &server(1), "old".into());
        assert!(cache.contains(at(43_199), 1, &server(1)));
        assert!(!cache.contains(at(43_200), 1, &server(1)));
        assert!(!cache.contains(at(1), 2, &server(1)), "a commit begins anew");
        assert!(!cache.contains(at(1), 1, &server(2)));
        assert_eq!(cache.list(at(1), 1).len(), 1);
        assert_eq!(
            (cache.list(at(1), 2).len(), cache.list(at(43_200), 1).len()),
            (0, 0)
        );
        assert_eq!(cache.clear(), 1);
        assert!(!cache.contains(at(1), 1, &server(1)));
    }

    #[test]
    fn at_the_bound_the_oldest_makes_room() {
        let cache = ExclusionCache::default();
        for number in 0..1024 {
            cache.add(at(u64::from(number)), 1, &server(number), "old".into());
        }
        cache.add(at(2000), 1, &server(0), "again".into());
        assert_eq!(cache.list(at(2000), 1).len(), 1024);
        cache.add(at(2001), 1, &server(5000), "new".into());
        let list = cache.list(at(2001), 1);
        assert_eq!((list.len(), list[0].0), (1024, server(5000)));
        assert!(cache.contains(at(2001), 1, &server(0)));
        assert!(!cache.contains(at(2001), 1, &server(1)), "the oldest");
        assert_eq!(cache.evicted(), 1);
        // What does not hold any more makes room first.
        cache.add(at(2002), 2, &server(6000), "new".into());
        assert_eq!(cache.clear(), 1);
    }
}
