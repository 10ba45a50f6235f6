//! A TCP session that the firewall has taken over.

use std::net::IpAddr;

use decrypt::{Flow, tls::Leg};
use packet::{Packet, Tcp, Timestamp, build::SegmentFrames};
use policy::{DecryptionProfileId, DecryptionRule, LogSetting, Symbol};

use super::{Held, Inside};
use crate::session::Direction;

/// A connection in the hands of the proxy.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) flow: Flow,
    /// As the client's and the server's own look.
    pub(crate) frames: [SegmentFrames; 2],
    /// When the timer queue will look at it next.
    pub(crate) queued: Timestamp,
    /// The decryption rule, once one has decided.
    pub(crate) rule: Option<DecryptedBy>,
    /// TLS began with the session: what is shown in it is shown by the session's own server, and not through a proxy.
    pub(crate) direct: bool,
    /// The address that a proxy was asked for: it, and no other, is the server's.
    pub(crate) asked: Option<IpAddr>,
    /// Under which profile and ruleset its server is to be remembered, should it not fit.
    pub(crate) remembers: Option<(DecryptionProfileId, u64)>,
    /// What is said inside TLS.
    pub(crate) inside: Inside,
    /// The successful handshake is recorded.
    pub(crate) told_open: bool,
    /// The server's name is told, as its certificate has it.
    pub(crate) told_name: bool,
}

impl Adopted {
    /// `known`: the application was recognised before TLS began, and stays what it is.
    pub(crate) fn new(flow: Flow, frames: [SegmentFrames; 2], known: bool) -> Self {
        Self {
            flow,
            frames,
            queued: Timestamp::MAX,
            rule: None,
            direct: true,
            asked: None,
            remembers: None,
            inside: Inside::new(known),
            told_open: false,
            told_name: false,
        }
    }

    /// Takes a packet of the connection.
    pub(crate) fn take(&mut self, now: Timestamp, packet: &Packet<'_>, tcp: &Tcp<'_>, direction: Direction) {
        // Anyone can make up a packet with these addresses and ports: what its receiver would not accept has no say in
        // where frames go.
        if self.flow.segment(now, leg_of(direction), &Held::segment(tcp)) {
            self.note(packet, direction);
        }
    }

    /// Frames to the other end look as this end's own do now: a gateway may have moved.
    fn note(&mut self, packet: &Packet<'_>, direction: Direction) {
        if let (Some(place), Some(frames)) = (
            self.frames.get_mut(direction.index()),
            SegmentFrames::like(packet),
        ) {
            *place = frames;
        }
    }
}

/// What a decryption rule says about records, in terms that outlive its policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecryptedBy {
    pub(crate) name: Symbol,
    pub(crate) log_setting: Option<LogSetting>,
    pub(crate) log_success: bool,
    pub(crate) log_fail: bool,
}

/// Where packets of this direction come from.
pub(crate) fn leg_of(direction: Direction) -> Leg {
    match direction {
        Direction::ClientToServer => Leg::Client,
        Direction::ServerToClient => Leg::Server,
    }
}

/// The direction in which segments travel that leave by this leg.
pub(crate) fn toward(leg: Leg) -> Direction {
    match leg {
        Leg::Client => Direction::ServerToClient,
        Leg::Server => Direction::ClientToServer,
    }
}

impl DecryptedBy {
    pub(crate) fn new(rule: &DecryptionRule) -> Self {
        Self {
            name: rule.name,
            log_setting: rule.log_setting,
            log_success: rule.log_success,
            log_fail: rule.log_fail,
        }
    }
}
