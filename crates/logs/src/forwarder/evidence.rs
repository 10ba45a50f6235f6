//! How many clients have seen the same about a server.

use std::net::IpAddr;

use packet::Timestamp;
use smallvec::SmallVec;
use tags::Subject;

use super::aging::AgingMap;
use crate::Evidence;

/// Which action of which entry looks at which subject.
pub(super) type EvidenceKey = (u32, usize, Subject);

/// The clients that caused records, for each action and subject.
#[derive(Debug)]
pub(super) struct Witnesses(AgingMap<EvidenceKey, SmallVec<[(IpAddr, Timestamp); 4]>>);

impl Witnesses {
    pub(super) fn new(capacity: usize) -> Self {
        Self(AgingMap::new(capacity, Evidence::MAX_WINDOW))
    }

    /// Notes a client where there is one to note, and says whether enough have been noted within the window.
    pub(super) fn are_enough(
        &mut self,
        now: Timestamp,
        key: &EvidenceKey,
        evidence: Evidence,
        client: Option<IpAddr>,
    ) -> bool {
        let needed = usize::try_from(evidence.clients.clamp(1, Evidence::MAX_CLIENTS)).unwrap_or(1);
        if needed == 1 {
            return true;
        }
        let clients = self.0.touch(now, key, SmallVec::new);
        clients.retain(|(_, seen)| now.saturating_since(*seen) < evidence.window);
        if let Some(client) = client {
            clients.retain(|(known, _)| *known != client);
            clients.push((client, now));
            // The newest are enough to tell.
            if clients.len() > needed {
                clients.remove(0);
            }
        }
        clients.len() >= needed
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key() -> EvidenceKey {
        (1, 0, Subject::host("203.0.113.9".parse().unwrap()))
    }

    #[test]
    fn distinct_clients_within_the_window_count() {
        let mut witnesses = Witnesses::new(8);
        let evidence = Evidence {
            clients: 3,
            window: Duration::from_mins(10),
        };
        let mut note = |secs, client: &str| {
            let client = Some(client.parse().unwrap());
            witnesses.are_enough(Timestamp::from_secs(secs), &key(), evidence, client)
        };
        assert!(!note(0, "10.0.0.1"));
        assert!(!note(10, "10.0.0.2"));
        assert!(!note(20, "10.0.0.1"), "the same again");
        assert!(note(30, "10.0.0.3"));
        assert!(note(40, "10.0.0.4"), "the last three are 1, 3, 4");
        assert!(!note(645, "10.0.0.4"), "1 and 3 are too old");
    }

    #[test]
    fn who_is_not_believed_does_not_count() {
        let mut witnesses = Witnesses::new(8);
        let evidence = Evidence {
            clients: 2,
            window: Duration::from_mins(10),
        };
        let now = Timestamp::from_secs(1);
        let first = Some("10.0.0.1".parse().unwrap());
        let second = Some("10.0.0.2".parse().unwrap());
        assert!(!witnesses.are_enough(now, &key(), evidence, first));
        assert!(!witnesses.are_enough(now, &key(), evidence, None));
        assert!(witnesses.are_enough(now, &key(), evidence, second));
        assert!(witnesses.are_enough(now, &key(), evidence, None));
        assert!(witnesses.are_enough(now, &key(), Evidence::default(), None));
    }
}
