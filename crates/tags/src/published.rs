//! What readers see. Every change is published whole, then marked by its stamp; no reader waits.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use packet::{DomainName, Timestamp};

use crate::{
    Addresses, Context, Qualifier, TagSet,
    carried::{Carried, Reading, TagList, Timed, Word},
    hosts::Hosts,
    networks::Networks,
    stamp::{Stamp, Stamps},
    sync::{AtomicBool, Ordering, RandomState},
};

type Map<K, V> = papaya::HashMap<K, V, RandomState>;

/// The tags as the packet path reads them.
pub(crate) struct Published {
    hosts: Hosts,
    /// The hosts whose word says "listed".
    lists: Map<IpAddr, Carried>,
    networks: ArcSwap<Networks>,
    /// Spares the load of an empty snapshot.
    any_networks: AtomicBool,
    by_name: Map<Named<Box<DomainName>>, TagList>,
    by_client: Map<(Addresses, IpAddr), TagList>,
    stamps: Stamps,
}

/// Addresses, where a server name is asked for.
#[derive(PartialEq, Eq, Hash)]
struct Named<N> {
    addresses: Addresses,
    name: N,
}

/// To look a name up where it lies.
impl papaya::Equivalent<Named<Box<DomainName>>> for Named<&DomainName> {
    fn equivalent(&self, key: &Named<Box<DomainName>>) -> bool {
        self.addresses == key.addresses && *self.name == *key.name
    }
}

/// Gathers the answer to one lookup.
struct Answer<'a> {
    now: Timestamp,
    tags: &'a mut TagSet,
    until: Timestamp,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            hosts: Hosts::new(),
            lists: Map::default(),
            networks: ArcSwap::default(),
            any_networks: AtomicBool::new(false),
            by_name: Map::default(),
            by_client: Map::default(),
            stamps: Stamps::new(),
        }
    }

    #[inline]
    pub(crate) fn stamp(&self, address: IpAddr) -> Stamp {
        self.stamps.read(self.hosts.hash(address))
    }

    pub(crate) fn changes(&self) -> u64 {
        self.stamps.changes()
    }

    /// See [`crate::TagStore::lookup`].
    #[inline]
    pub(crate) fn lookup(
        &self,
        now: Timestamp,
        address: IpAddr,
        context: Context<'_>,
        tags: &mut TagSet,
    ) -> Timestamp {
        let mut answer = Answer {
            now,
            tags,
            until: Timestamp::MAX,
        };
        match self.hosts.get(self.hosts.hash(address), address).read() {
            Reading::Nothing => {}
            Reading::One(timed) => answer.add(timed),
            Reading::Listed => self.listed(address, context, &mut answer),
        }
        if self.any_networks.load(Ordering::Acquire) {
            self.networks.load().around(address, |network| {
                self.carried(network.addresses, &network.carried, context, &mut answer);
            });
        }
        answer.until
    }

    /// A list is there before its host's word says so, and until after it says otherwise: where it is
    /// missing, the host has lost its tags since.
    #[cold]
    fn listed(&self, address: IpAddr, context: Context<'_>, answer: &mut Answer<'_>) {
        if let Some(carried) = self.lists.pin().get(&address) {
            self.carried(Addresses::Host(address), carried, context, answer);
        }
    }

    fn carried(
        &self,
        addresses: Addresses,
        carried: &Carried,
        context: Context<'_>,
        answer: &mut Answer<'_>,
    ) {
        answer.add_all(&carried.tags);
        if carried.named
            && let Some(name) = context.server_name
            && let Some(tags) = self.by_name.pin().get(&Named { addresses, name })
        {
            answer.add_all(tags);
        }
        if carried.clients
            && let Some(tags) = self.by_client.pin().get(&(addresses, context.peer))
        {
            answer.add_all(tags);
        }
    }

    /// The host itself, and every tagged prefix and range around it.
    pub(crate) fn around(&self, address: IpAddr) -> Vec<Addresses> {
        let mut all = vec![Addresses::Host(address)];
        self.networks
            .load()
            .around(address, |network| all.push(network.addresses));
        all
    }

    /// Publishes what a host carries. For one writer at a time, as are all that follow.
    ///
    /// Who was listed once stays so until it has no tags: a reader that has seen its word never has to
    /// come back for another.
    pub(crate) fn set_host(&self, address: IpAddr, carried: Carried) {
        let listed = self.hosts.get(self.hosts.hash(address), address) == Word::LISTED;
        match Word::of(&carried) {
            Word::NOTHING => {
                self.hosts.set(address, Word::NOTHING);
                if listed {
                    self.lists.pin().remove(&address);
                }
            }
            word if word != Word::LISTED && !listed => {
                self.hosts.set(address, word);
            }
            _ => {
                self.lists.pin().insert(address, carried);
                self.hosts.set(address, Word::LISTED);
            }
        }
    }

    /// Publishes what all prefixes and ranges carry.
    pub(crate) fn set_networks(&self, networks: &BTreeMap<Addresses, Carried>) {
        self.networks.store(Arc::new(Networks::build(networks)));
        self.any_networks.store(!networks.is_empty(), Ordering::Release);
    }

    /// Publishes what addresses carry in certain sessions. They are looked at only where the addresses
    /// themselves say so.
    pub(crate) fn set_qualified(&self, addresses: Addresses, qualifier: &Qualifier, tags: TagList) {
        match qualifier {
            Qualifier::None => {}
            Qualifier::ServerName(name) => {
                let named = self.by_name.pin();
                if tags.is_empty() {
                    named.remove(&Named {
                        addresses,
                        name: &**name,
                    });
                } else {
                    named.insert(
                        Named {
                            addresses,
                            name: name.clone(),
                        },
                        tags,
                    );
                }
            }
            Qualifier::Client(client) => {
                let clients = self.by_client.pin();
                if tags.is_empty() {
                    clients.remove(&(addresses, *client));
                } else {
                    clients.insert((addresses, *client), tags);
                }
            }
        }
    }

    /// Marks that tags were added to or taken off `addresses`, after that was published.
    pub(crate) fn bump(&self, addresses: Addresses) {
        match addresses {
            Addresses::Host(address) => self.stamps.bump_host(self.hosts.hash(address)),
            Addresses::Prefix(_) | Addresses::Range(_) => self.stamps.bump_networks(),
        }
    }

    /// Marks that a deadline moved later.
    pub(crate) fn bump_deadline(&self) {
        self.stamps.bump_changes();
    }
}

impl Answer<'_> {
    #[inline]
    fn add(&mut self, timed: Timed) {
        if timed.deadline > self.now {
            self.tags.insert(timed.tag);
            self.until = self.until.min(timed.deadline);
        }
    }

    fn add_all(&mut self, tags: &[Timed]) {
        for &timed in tags {
            self.add(timed);
        }
    }
}
