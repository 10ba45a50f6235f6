//! Services: ports over TCP or UDP.

use std::str::FromStr;

use packet::IpProtocol;

use crate::Symbol;

/// A set of ports, written `80,443,1000-2000`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSet(Vec<(u16, u16)>);

/// Why a text is no set of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPorts {
    /// Not a number, or above 65535.
    #[error("a port is a number from 0 to 65535, as in `80,443,1000-2000`")]
    Port,
    /// A range whose end comes before its beginning.
    #[error("a range of ports goes from the lower to the higher")]
    Range,
}

impl PortSet {
    /// Every port.
    pub fn any() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|&(first, last)| first <= port && port <= last)
    }

    /// Whether every port of `other` is in this set.
    pub fn is_superset(&self, other: &Self) -> bool {
        let within = |inner: &(u16, u16), outer: &(u16, u16)| outer.0 <= inner.0 && inner.1 <= outer.1;
        other
            .0
            .iter()
            .all(|inner| self.0.iter().any(|outer| within(inner, outer)))
    }

    /// Joins several sets.
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::joined(sets.into_iter().flat_map(|set| set.0.iter().copied()).collect())
    }

    fn joined(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// The ranges in order, both ends included, with a gap between any two.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }
}

impl FromStr for PortSet {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| InvalidPorts::Port);
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (port(first)?, port(last)?);
            if last < first {
                return Err(InvalidPorts::Range);
            }
            ranges.push((first, last));
        }
        Ok(Self::joined(ranges))
    }
}

/// A service object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Its name.
    pub name: Symbol,
    /// TCP or UDP; over any other protocol a service matches nothing.
    pub protocol: IpProtocol,
    /// The server's ports.
    pub ports: PortSet,
    /// The client's ports.
    pub source_ports: PortSet,
}

impl Service {
    /// Whether a session from `sport` to `dport` uses the service.
    pub fn matches(&self, protocol: IpProtocol, sport: u16, dport: u16) -> bool {
        self.protocol == protocol && self.ports.contains(dport) && self.source_ports.contains(sport)
    }

    /// Whether every session that uses `other` uses this service too.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.ports.is_superset(&other.ports)
            && self.source_ports.is_superset(&other.source_ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ports() {
        let ports: PortSet = "443, 80,1000-2000,1500-2500,2501".parse().unwrap();
        assert_eq!(ports.ranges(), [(80, 80), (443, 443), (1000, 2501)]);
        assert!(ports.contains(2501) && !ports.contains(2502) && !ports.contains(81));
        assert_eq!("0-65535".parse(), Ok(PortSet::any()));
        assert_eq!("65535,0-65534".parse(), Ok(PortSet::any()));
        for text in ["", "80,", "http", "65536", "-1"] {
            assert_eq!(text.parse::<PortSet>(), Err(InvalidPorts::Port), "{text:?}");
        }
        assert_eq!("9-1".parse::<PortSet>(), Err(InvalidPorts::Range));
        assert!(ports.is_superset(&"80,1200-2000".parse().unwrap()));
        assert!(!ports.is_superset(&"80-81".parse().unwrap()));
    }

    #[test]
    fn matches_protocol_and_both_ports() {
        let service = Service {
            name: Symbol::EMPTY,
            protocol: IpProtocol::UDP,
            ports: "53".parse().unwrap(),
            source_ports: "1024-65535".parse().unwrap(),
        };
        assert!(service.matches(IpProtocol::UDP, 5000, 53));
        assert!(!service.matches(IpProtocol::TCP, 5000, 53));
        assert!(!service.matches(IpProtocol::UDP, 53, 53));
        assert!(!service.matches(IpProtocol::UDP, 5000, 54));
    }
}
