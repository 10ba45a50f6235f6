//! What the stages of a packet's journey are handed: the frame, and what holds around it.

use packet::{Packet, Timestamp, Wire};
use policy::InterfaceId;
use tags::TagStore;

use crate::{
    Counters, Outputs, Ruleset, Sides,
    session::{Direction, Session},
};

/// Where a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// By this interface.
    Interface(InterfaceId),
    /// Somewhere on this wire: captures do not say by which interface.
    Wire(Wire),
}

/// What holds for a whole burst: one ruleset, one tag store.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// The policy and lists in force.
    pub ruleset: &'a Ruleset,
    /// The tags of addresses.
    pub tags: &'a TagStore,
    /// Who is inside, where frames do not say.
    pub sides: &'a Sides,
    /// TCP sessions first seen in mid-stream are taken on whatever the policy says: the firewall has just
    /// started, and their beginnings passed before.
    pub adopting: bool,
}

impl Env<'_> {
    /// Stays the same while neither the rules nor the tags of anybody change: a session decided under it need not be
    /// looked at. Read it before what it is to stand for.
    #[inline]
    pub(crate) fn mark(&self) -> u64 {
        self.base().wrapping_add(self.tags.generation())
    }

    /// How often tags had changed when this mark was made, under the same rules as now.
    #[inline]
    pub(crate) fn changes_at(&self, mark: u64) -> u64 {
        mark.wrapping_sub(self.base())
    }

    /// Generations are few, and an odd constant with its bits spread puts them far apart: further than tags can change
    /// in the life of a process.
    #[inline]
    fn base(&self) -> u64 {
        const APART: u64 = 0x9e37_79b9_7f4a_7c15;
        self.ruleset.generation().wrapping_mul(APART)
    }
}

/// One frame, or the fragments that make up one datagram, and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// The number of the first frame of the same datagram; `number` where it is whole by itself.
    pub first_number: u64,
    /// How many frames make up the datagram.
    pub frames: u64,
    /// When it was stamped.
    pub stamp: Timestamp,
    /// Where it came in.
    pub ingress: Ingress,
    /// Bytes on the wire, of all its frames.
    pub original_bytes: u64,
    /// What it holds.
    pub packet: Packet<'a>,
}

impl Frame<'_> {
    /// How many packets are around this one.
    pub fn layer(&self) -> u8 {
        self.packet.tunnel().map_or(0, |tunnel| tunnel.depth)
    }
}

/// What a fragment's place in the reassembly remembers of its frame.
#[derive(Debug)]
pub struct FragmentNote {
    /// The frame's number.
    pub number: u64,
    /// When it was stamped.
    pub stamp: Timestamp,
    /// Its bytes on the wire.
    pub original_bytes: u64,
    /// Where a fragment came inside a datagram that was fragmented itself: the frames that brought that datagram,
    /// none of which has parts. They are what came, and what leaves. Empty for all others.
    pub parts: Vec<(FragmentNote, Box<[u8]>)>,
}

impl FragmentNote {
    /// How many frames brought the fragment.
    pub fn frames(&self) -> u64 {
        if self.parts.is_empty() {
            return 1;
        }
        self.parts.iter().map(|(part, _)| part.frames()).sum()
    }

    /// The frames that brought fragments, in order of arrival.
    pub fn frames_of(fragments: Vec<(Self, Box<[u8]>)>) -> Vec<(Self, Box<[u8]>)> {
        let mut frames = Vec::with_capacity(fragments.len());
        for (mut note, bytes) in fragments {
            if note.parts.is_empty() {
                frames.push((note, bytes));
            } else {
                frames.append(&mut note.parts);
            }
        }
        frames
    }

    /// The number of the first frame that brought a part of it.
    pub fn first_number(&self) -> u64 {
        let parts = self.parts.iter().map(|(part, _)| part.first_number());
        parts.min().unwrap_or(self.number)
    }
}

/// Everything a stage may look at or add to, for one packet.
#[derive(Debug)]
pub(crate) struct Scene<'a, 'p> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) now: Timestamp,
    pub(crate) packet: &'a Packet<'p>,
    pub(crate) direction: Direction,
    pub(crate) ingress: Ingress,
    pub(crate) out: &'a mut Outputs,
    pub(crate) counters: &'a mut Counters,
    /// Room for one forged DNS message.
    pub(crate) message: &'a mut Vec<u8>,
    /// Room for forged DNS messages on their way into a TCP stream.
    pub(crate) replies: &'a mut Vec<u8>,
}

impl Scene<'_, '_> {
    /// The interface this packet goes out by, if it goes on.
    pub(crate) fn egress_of(&self, session: &Session) -> InterfaceId {
        session.egress(self.direction)
    }

    /// The interface this packet came in by.
    pub(crate) fn ingress_of(&self, session: &Session) -> InterfaceId {
        session.egress(self.direction.reversed())
    }
}
