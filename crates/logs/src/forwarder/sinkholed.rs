//! Which name led a client to a sinkhole address.

use std::{net::IpAddr, sync::Arc, time::Duration};

use packet::{DomainName, Timestamp};
use policy::Symbol;

use super::aging::AgingMap;
use crate::{Body, Record, ThreatAction};

/// A listed name that somebody asked for.
#[derive(Debug)]
struct Asked {
    misc: DomainName,
    threat_name: Option<DomainName>,
    list: Symbol,
}

/// The names last sinkholed, by who asked and by the address that was answered: where a resolver asks, the
/// client that then turns up at the address never asked for anything here.
#[derive(Debug)]
pub(super) struct SinkholedNames {
    by_client: AgingMap<IpAddr, Arc<Asked>>,
    by_sinkhole: AgingMap<IpAddr, Arc<Asked>>,
}

impl SinkholedNames {
    /// Sinkhole addresses stand in the configuration and are few.
    const SINKHOLES: usize = 1024;

    pub(super) fn new(clients: usize) -> Self {
        Self {
            by_client: AgingMap::new(clients, Duration::MAX),
            by_sinkhole: AgingMap::new(Self::SINKHOLES, Duration::MAX),
        }
    }

    /// Learns from the record of a sinkholed query; completes that of a session to a sinkhole address.
    pub(super) fn pass(&mut self, now: Timestamp, record: &mut Record) {
        let Body::Threat(threat) = &mut record.body else {
            return;
        };
        if threat.action != ThreatAction::Sinkhole {
            return;
        }
        if let Some(misc) = threat.misc {
            let asked = Arc::new(Asked {
                misc,
                threat_name: threat.threat_name,
                list: threat.list,
            });
            if let Some(sinkhole) = threat.sinkhole {
                self.by_sinkhole.insert(now, &sinkhole, asked.clone());
            }
            self.by_client.insert(now, &threat.flow.src, asked);
            return;
        }
        let by_client = self.by_client.get(now, &threat.flow.src);
        let Some(asked) = by_client.or_else(|| self.by_sinkhole.get(now, &threat.flow.dst)) else {
            return;
        };
        threat.misc = Some(asked.misc);
        threat.threat_name = threat.threat_name.or(asked.threat_name);
        if threat.list == Symbol::EMPTY {
            threat.list = asked.list;
        }
    }

    pub(super) fn evicted(&self) -> u64 {
        self.by_client.evicted() + self.by_sinkhole.evicted()
    }
}
