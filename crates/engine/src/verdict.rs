//! What becomes of a frame. Every frame received ends in exactly one of these, and is counted there.

use packet::Malformed;
use policy::InterfaceId;

/// The answer to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Leaves unchanged by this interface.
    Forward(InterfaceId),
    /// Replaced by a forged reply or a reset.
    Answered,
    /// Taken over by the proxy; what leaves instead is its own.
    Consumed,
    /// Waits until it is clear what becomes of its session. It leaves later, or is counted anew.
    Held,
    /// Goes no further.
    Drop(DropReason),
}

/// Why a frame was dropped; also the name of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A header lies about what is there.
    Malformed(Malformed),
    /// The capture's link type is none that cordon reads.
    LinkType,
    /// The wire does not let this Ethernet protocol cross.
    Ethertype,
    /// The wire does not let this VLAN cross.
    Vlan,
    /// No zone holds the interface and VLAN.
    NoZone,
    /// The source does not belong to its zone's networks, and the zone drops those.
    AntiSpoof,
    /// A rule refuses the session, or refused it before.
    PolicyDeny,
    /// A domain list says block.
    DomainBlocked,
    /// Belongs to a session, or answers a query, that was sinkholed.
    SinkholedSession,
    /// Outside the TCP window; the receiver would not accept it.
    OutOfWindow,
    /// A combination of TCP flags that no stack sends.
    TcpFlags,
    /// A TCP session first seen in its middle, and `non-syn` says drop.
    NonSyn,
    /// Only one direction of a TCP session is seen, and `asymmetric` says drop.
    Asymmetric,
    /// The session table was full and nothing could be evicted.
    SessionTableFull,
    /// Fragments of a datagram contradict one another.
    FragmentOverlap,
    /// The rest of a datagram did not come in time.
    FragmentTimeout,
    /// Too many fragments wait, or too many make up one datagram.
    FragmentLimit,
    /// A fragment that no datagram can hold.
    FragmentInvalid,
    /// Came late for a session that the proxy has ended.
    SessionEnded,
    /// The beginning of a TLS greeting that never became whole.
    HelloIncomplete,
    /// More packets one inside another than are looked at.
    TunnelDepth,
    /// The queue of the worker that the frame's flow belongs to was full.
    HandoffFull,
}

impl DropReason {
    /// The reasons that stand for themselves, in the order of their counters.
    pub const PLAIN: &'static [Self] = &[
        Self::LinkType,
        Self::Ethertype,
        Self::Vlan,
        Self::NoZone,
        Self::AntiSpoof,
        Self::PolicyDeny,
        Self::DomainBlocked,
        Self::SinkholedSession,
        Self::OutOfWindow,
        Self::TcpFlags,
        Self::NonSyn,
        Self::Asymmetric,
        Self::SessionTableFull,
        Self::FragmentOverlap,
        Self::FragmentTimeout,
        Self::FragmentLimit,
        Self::FragmentInvalid,
        Self::TunnelDepth,
        Self::HandoffFull,
        Self::SessionEnded,
        Self::HelloIncomplete,
    ];

    /// Every reason, in the order of [`DropReason::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN
            .iter()
            .copied()
            .chain(Malformed::ALL.iter().copied().map(Self::Malformed))
    }

    /// How many reasons there are.
    pub fn count() -> usize {
        Self::PLAIN.len() + Malformed::ALL.len()
    }

    /// The place of this reason's counter.
    pub fn index(self) -> usize {
        match self {
            Self::Malformed(malformed) => Self::PLAIN.len() + malformed as usize,
            Self::LinkType => 0,
            Self::Ethertype => 1,
            Self::Vlan => 2,
            Self::NoZone => 3,
            Self::AntiSpoof => 4,
            Self::PolicyDeny => 5,
            Self::DomainBlocked => 6,
            Self::SinkholedSession => 7,
            Self::OutOfWindow => 8,
            Self::TcpFlags => 9,
            Self::NonSyn => 10,
            Self::Asymmetric => 11,
            Self::SessionTableFull => 12,
            Self::FragmentOverlap => 13,
            Self::FragmentTimeout => 14,
            Self::FragmentLimit => 15,
            Self::FragmentInvalid => 16,
            Self::TunnelDepth => 17,
            Self::HandoffFull => 18,
            Self::SessionEnded => 19,
            Self::HelloIncomplete => 20,
        }
    }

    /// The name of the counter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.name(),
            Self::LinkType => "link-type",
            Self::Ethertype => "ethertype",
            Self::Vlan => "vlan",
            Self::NoZone => "no-zone",
            Self::AntiSpoof => "anti-spoof",
            Self::PolicyDeny => "policy-deny",
            Self::DomainBlocked => "domain-blocked",
            Self::SinkholedSession => "sinkholed-session",
            Self::OutOfWindow => "tcp-out-of-window",
            Self::TcpFlags => "tcp-flags",
            Self::NonSyn => "tcp-non-syn",
            Self::Asymmetric => "tcp-asymmetric",
            Self::SessionTableFull => "session-table-full",
            Self::FragmentOverlap => "fragment-overlap",
            Self::FragmentTimeout => "fragment-timeout",
            Self::FragmentLimit => "fragment-limit",
            Self::FragmentInvalid => "fragment-invalid",
            Self::TunnelDepth => "tunnel-depth",
            Self::HandoffFull => "handoff-full",
            Self::SessionEnded => "session-ended",
            Self::HelloIncomplete => "hello-incomplete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_and_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (place, reason) in DropReason::all().enumerate() {
            assert_eq!(reason.index(), place, "{}", reason.name());
            assert!(names.insert(reason.name()), "{} twice", reason.name());
        }
        assert_eq!(names.len(), DropReason::count());
    }
}
