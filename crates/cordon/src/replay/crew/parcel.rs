//! Packets on their way to a shard.

use engine::{FlowRef, FragmentNote, Frame, Ingress, Placement, ShardId};
use packet::{Datagram, Outline, Packet, Wire};

use super::TickFrame;

/// One packet of a batch: a frame's own, or one inside it.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The frame's index in its batch; of a datagram, that of the frame that completed it.
    pub(super) index: usize,
    /// How many packets are around this one.
    pub(super) depth: u8,
    pub(super) ingress: Ingress,
    pub(super) datagram: Option<Box<Datagram<FragmentNote>>>,
}

impl Parcel {
    /// A frame's own packet.
    pub(super) fn of_frame(index: usize, wire: Wire) -> Self {
        Self {
            index,
            depth: 0,
            ingress: Ingress::Wire(wire),
            datagram: None,
        }
    }

    /// How many frames brought it.
    pub(super) fn frames(&self) -> u64 {
        self.datagram.as_ref().map_or(1, |datagram| {
            datagram.fragments.iter().map(|(note, _)| note.frames()).sum()
        })
    }
}

/// Where a frame belongs, as the first look at it tells.
#[derive(Debug)]
pub(super) enum Placed {
    /// To the shard of its flow.
    Outlined(Outline),
    /// It has no outline.
    Otherwise(Placement),
}

/// One packet for one shard.
#[derive(Debug)]
pub(super) struct Errand {
    /// The frame's index in its batch.
    pub(super) index: usize,
    pub(super) shard: ShardId,
    pub(super) flow: FlowRef,
    pub(super) parcel: Parcel,
}

impl Errand {
    pub(super) fn new(shard: ShardId, flow: FlowRef, parcel: Parcel) -> Self {
        Self {
            index: parcel.index,
            shard,
            flow,
            parcel,
        }
    }
}

/// What the engine is told of a packet.
pub(super) fn frame_of<'t>(frame: &TickFrame, parcel: &Parcel, packet: Packet<'t>) -> Frame<'t> {
    let notes = parcel.datagram.iter().flat_map(|datagram| &datagram.fragments);
    let notes = notes.map(|(note, _)| note);
    Frame {
        number: frame.number,
        first_number: notes
            .clone()
            .map(FragmentNote::first_number)
            .min()
            .unwrap_or(frame.number),
        frames: parcel.frames(),
        stamp: frame.stamp,
        ingress: parcel.ingress,
        original_bytes: if parcel.datagram.is_some() {
            notes.map(|note| note.original_bytes).sum()
        } else {
            u64::from(frame.original_len)
        },
        packet,
    }
}
