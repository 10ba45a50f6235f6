//! How the gateway itself is administered, which no rule can forbid.

use packet::{FlowTuple, IpProtocol};

use crate::Networks;

/// Sessions that are decided before all rules: an administrator's own way in is cut by no tag, no rule and no
/// commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    /// Of the administrators or of what they administer: one end of the session lies here. Empty: everywhere.
    pub addresses: Networks,
    /// The TCP ports of the server. Empty: all.
    pub ports: Vec<u16>,
}

impl Management {
    /// Whether this is an administrator's session.
    pub fn covers(&self, tuple: &FlowTuple) -> bool {
        if tuple.protocol != IpProtocol::TCP || (self.addresses.is_empty() && self.ports.is_empty()) {
            return false;
        }
        let addresses = &self.addresses;
        (self.ports.is_empty() || self.ports.contains(&tuple.dport))
            && (addresses.is_empty() || addresses.contains(tuple.src) || addresses.contains(tuple.dst))
    }
}
