//! What has passed unopened because of tags.

use std::{net::IpAddr, time::Duration};

use packet::{DomainName, Timestamp};
use tags::{Addresses, Qualifier, Subject};

use super::aging::AgingMap;

/// A session whose TLS stays closed only because of what its server is tagged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypassed {
    /// Its server.
    pub server: IpAddr,
    /// Its client.
    pub client: IpAddr,
    /// The server name it has asked for.
    pub name: Option<DomainName>,
    /// Bytes of both directions, frames and all.
    pub bytes: u64,
}

impl Bypassed {
    /// Whether a tag on this subject can be what lets it pass.
    pub fn is_under(&self, subject: &Subject) -> bool {
        holds(&subject.addresses, self.server) && suits(&subject.qualifier, self.client, self.name.as_ref())
    }
}

/// Sessions that have passed unopened, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Sessions.
    pub sessions: u64,
    /// Bytes of both directions.
    pub bytes: u64,
}

impl Passed {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What has passed, by server. Of each so many clients and names are told apart; what more there is counts for tags of
/// the whole address alone.
#[derive(Debug)]
pub(super) struct PassedByServer(AgingMap<IpAddr, Server>);

#[derive(Clone, Debug, Default)]
struct Server {
    apart: Vec<(IpAddr, Option<Box<DomainName>>, Passed)>,
    others: Passed,
}

impl PassedByServer {
    /// Clients and names told apart for one server.
    const APART: usize = 64;

    pub(super) fn new(servers: usize) -> Self {
        Self(AgingMap::new(servers, Duration::MAX))
    }

    pub(super) fn add(&mut self, now: Timestamp, session: &Bypassed) {
        let more = Passed {
            sessions: 1,
            bytes: session.bytes,
        };
        let server = self.0.touch(now, &session.server, Server::default);
        let known = server
            .apart
            .iter_mut()
            .find(|(client, name, _)| *client == session.client && name.as_deref() == session.name.as_ref());
        if let Some((_, _, passed)) = known {
            passed.add(more);
        } else if server.apart.len() < Self::APART {
            server
                .apart
                .push((session.client, session.name.map(Box::new), more));
        } else {
            server.others.add(more);
        }
    }

    /// What has passed under a subject's tags.
    pub(super) fn under(&self, now: Timestamp, subject: &Subject) -> Passed {
        let mut sum = Passed::default();
        let mut add = |server: &Server| {
            for (client, name, passed) in &server.apart {
                if suits(&subject.qualifier, *client, name.as_deref()) {
                    sum.add(*passed);
                }
            }
            if subject.qualifier == Qualifier::None {
                sum.add(server.others);
            }
        };
        match subject.addresses {
            Addresses::Host(address) => self.0.get(now, &address).into_iter().for_each(add),
            addresses @ (Addresses::Prefix(_) | Addresses::Range(_)) => {
                for (address, server) in self.0.iter() {
                    if holds(&addresses, *address) {
                        add(server);
                    }
                }
            }
        }
        sum
    }

    /// A tag of this subject is gone: one that comes later counts anew.
    pub(super) fn forget(&mut self, subject: &Subject) {
        let Addresses::Host(address) = subject.addresses else {
            return;
        };
        if let Some(server) = self.0.get_mut(&address) {
            server
                .apart
                .retain(|(client, name, _)| !suits(&subject.qualifier, *client, name.as_deref()));
            if subject.qualifier == Qualifier::None {
                server.others = Passed::default();
            }
        }
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted()
    }
}

fn suits(qualifier: &Qualifier, client: IpAddr, name: Option<&DomainName>) -> bool {
    match qualifier {
        Qualifier::None => true,
        Qualifier::ServerName(wanted) => name == Some(&**wanted),
        Qualifier::Client(wanted) => *wanted == client,
    }
}

fn holds(addresses: &Addresses, address: IpAddr) -> bool {
    addresses.contains(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client: &str, name: Option<&str>, bytes: u64) -> Bypassed {
        Bypassed {
            server: "192.0.2.1".parse().unwrap(),
            client: client.parse().unwrap(),
            name: name.map(|name| name.parse().unwrap()),
            bytes,
        }
    }

    fn passed(sessions: u64, bytes: u64) -> Passed {
        Passed { sessions, bytes }
    }

    #[test]
    fn a_session_counts_for_every_subject_that_could_let_it_pass() {
        let now = Timestamp::from_secs(1);
        let mut all = PassedByServer::new(8);
        let sessions = [
            session("10.0.0.1", Some("a.example"), 1),
            session("10.0.0.1", Some("b.example"), 10),
            session("10.0.0.2", Some("A.example"), 100),
            session("10.0.0.2", None, 1000),
        ];
        for one in &sessions {
            all.add(now, one);
        }
        for (subject, wanted) in [
            ("192.0.2.1", passed(4, 1111)),
            ("192.0.2.0/24", passed(4, 1111)),
            ("192.0.2.2", passed(0, 0)),
            ("198.51.100.0/24", passed(0, 0)),
            ("192.0.2.1 name=a.example", passed(2, 101)),
            ("192.0.2.1 client=10.0.0.2", passed(2, 1100)),
        ] {
            let subject: Subject = subject.parse().unwrap();
            assert_eq!(all.under(now, &subject), wanted, "{subject}");
            let mut running = Passed::default();
            for one in sessions.iter().filter(|one| one.is_under(&subject)) {
                running.add(passed(1, one.bytes));
            }
            assert_eq!(running, wanted, "{subject}, of running ones");
        }
        all.forget(&"192.0.2.1 name=a.example".parse().unwrap());
        assert_eq!(all.under(now, &"192.0.2.1".parse().unwrap()), passed(2, 1010));
    }

    #[test]
    fn what_is_too_much_to_tell_apart_counts_for_the_address() {
        let now = Timestamp::from_secs(1);
        let mut all = PassedByServer::new(8);
        for number in 0..200 {
            all.add(now, &session("10.0.0.1", Some(&format!("n{number}.example")), 1));
        }
        assert_eq!(all.under(now, &"192.0.2.1".parse().unwrap()), passed(200, 200));
        let client = "192.0.2.1 client=10.0.0.1".parse().unwrap();
        assert_eq!(all.under(now, &client), passed(64, 64));
        all.forget(&"192.0.2.1".parse().unwrap());
        assert_eq!(all.under(now, &"192.0.2.1".parse().unwrap()), Passed::default());
    }
}
