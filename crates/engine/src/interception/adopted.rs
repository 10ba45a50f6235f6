//! A TCP session that the firewall has taken over.

use decrypt::{Flow, tls::Leg};
use packet::{Packet, Timestamp, build::SegmentFrames};
use policy::{DecryptionRule, LogSetting, Symbol};

use super::Inside;
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
    /// What is said inside TLS.
    pub(crate) inside: Inside,
    /// The successful handshake is recorded.
    pub(crate) told_open: bool,
}

impl Adopted {
    pub(crate) fn new(flow: Flow, frames: [SegmentFrames; 2]) -> Self {
        Self {
            flow,
            frames,
            queued: Timestamp::MAX,
            rule: None,
            inside: Inside::new(),
            told_open: false,
        }
    }

    /// Frames to the other end look as this end's own do now: a gateway may have moved.
    pub(crate) fn note(&mut self, packet: &Packet<'_>, direction: Direction) {
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
