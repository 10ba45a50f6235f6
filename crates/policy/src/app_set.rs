//! Sets of applications, and which applications a session can still turn out to be.

use std::sync::LazyLock;

use packet::IpProtocol;

use crate::AppId;
use crate::id_set::IdSet;

/// A set of applications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct AppSet(IdSet);

const _: () = assert!(
    AppId::COUNT <= IdSet::CAPACITY,
    "more applications than an IdSet holds"
);

/// Applications by what they run over. Read off the predefined table once.
static CARRIED: LazyLock<Carried> = LazyLock::new(Carried::new);

struct Carried {
    /// By protocol number.
    over: Vec<AppSet>,
    /// By TCP port.
    tcp: DefaultPorts,
    /// By UDP port.
    udp: DefaultPorts,
}

/// The ports that some application has as its default, each with those that do.
struct DefaultPorts {
    ports: Vec<(u16, AppSet)>,
    /// At every other port.
    elsewhere: AppSet,
}

impl AppSet {
    pub(crate) fn contains(&self, app: AppId) -> bool {
        self.0.contains(app.index())
    }

    pub(crate) fn intersects(&self, other: &Self) -> bool {
        self.0.intersects(&other.0)
    }

    pub(crate) fn is_superset(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// Those that [`AppId::runs_over`] a protocol.
    pub(crate) fn over(protocol: IpProtocol) -> &'static Self {
        static NONE: AppSet = AppSet(IdSet::NONE);
        CARRIED.over.get(usize::from(protocol.0)).unwrap_or(&NONE)
    }

    /// Those of which a port [`AppId::is_default`].
    pub(crate) fn at_home(protocol: IpProtocol, dport: u16) -> &'static Self {
        match protocol {
            IpProtocol::TCP => CARRIED.tcp.at(dport),
            IpProtocol::UDP => CARRIED.udp.at(dport),
            _ => Self::over(protocol),
        }
    }
}

impl FromIterator<AppId> for AppSet {
    fn from_iter<I: IntoIterator<Item = AppId>>(apps: I) -> Self {
        Self(apps.into_iter().map(AppId::index).collect())
    }
}

impl Carried {
    fn new() -> Self {
        let over = |protocol| AppId::all().filter(|app| app.runs_over(protocol)).collect();
        Self {
            over: (0..=u8::MAX).map(|number| over(IpProtocol(number))).collect(),
            tcp: DefaultPorts::new(IpProtocol::TCP),
            udp: DefaultPorts::new(IpProtocol::UDP),
        }
    }
}

impl DefaultPorts {
    fn new(protocol: IpProtocol) -> Self {
        let at = |port| -> AppSet {
            AppId::all()
                .filter(|app| app.is_default(protocol, port))
                .collect()
        };
        // No application has port 0.
        let elsewhere = at(0);
        let all = (0..=u16::MAX).map(|port| (port, at(port)));
        Self {
            ports: all.filter(|(_, apps)| *apps != elsewhere).collect(),
            elsewhere,
        }
    }

    fn at(&self, port: u16) -> &AppSet {
        let found = self.ports.binary_search_by_key(&port, |&(port, _)| port);
        let known = found.ok().and_then(|at| self.ports.get(at));
        known.map_or(&self.elsewhere, |(_, apps)| apps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_table() {
        for protocol in [0, 1, 6, 17, 47, 50, 58, 132].map(IpProtocol) {
            for app in AppId::all() {
                assert_eq!(AppSet::over(protocol).contains(app), app.runs_over(protocol));
                for port in [0, 22, 53, 443, 3478, 5353, 65535] {
                    assert_eq!(
                        AppSet::at_home(protocol, port).contains(app),
                        app.is_default(protocol, port),
                        "{} over {} port {port}",
                        app.name(),
                        protocol.0
                    );
                }
            }
        }
    }
}
