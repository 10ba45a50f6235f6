//! Between two passes: every packet without an outline to the worker that owns its shard, in order of the frames.

use std::ops::Range;

use engine::{DropReason, FragmentNote, Frame, Placement, ShardId, place};
use packet::Datagram;

use super::{
    Batch, Loaded, Outcome, PoisonError, Works,
    parcel::{Errand, Parcel, Placed, frame_of},
};

impl Works<'_> {
    /// Hands each packet of these frames that has no outline to the worker that owns its shard. Frames that need no
    /// shard of a flow are done here.
    pub(super) fn distribute(&mut self, loaded: &Loaded, frames: &Range<usize>) {
        let mut complete = Vec::new();
        for (_, piece) in loaded.pieces_of(frames) {
            let piece = piece.read().unwrap_or_else(PoisonError::into_inner);
            for &index in piece.others.iter().filter(|index| frames.contains(index)) {
                let Some(Placed::Otherwise(placement)) = piece.placed.get(index % super::PIECE) else {
                    continue;
                };
                let shard = match placement {
                    Placement::Flow(shard, _) | Placement::Fragment(shard) | Placement::Stateless(shard) => {
                        *shard
                    }
                    Placement::Refused(_) => ShardId::FIRST,
                };
                if let Some(owner) = self.owner(shard) {
                    owner.frames += 1;
                }
                let parcel = Parcel::of_frame(index, self.world.wire);
                complete.extend(self.distribute_parsed(&loaded.batch, parcel, placement));
            }
        }
        self.distribute_datagrams(complete);
    }

    /// Hands on a frame without an outline. `Some`: it is a fragment and completes its datagram.
    fn distribute_parsed(
        &mut self,
        batch: &Batch,
        parcel: Parcel,
        placement: &Placement,
    ) -> Option<(Parcel, Datagram<FragmentNote>)> {
        match *placement {
            Placement::Flow(shard, flow) => self.push(Errand::new(shard, flow, parcel)),
            Placement::Refused(reason) => self.refuse(reason, 1),
            Placement::Stateless(id) => {
                let world = self.world;
                let frame = batch.frames.get(parcel.index)?;
                let packet = world.parse(batch, frame).ok()?;
                let frame_in = frame_of(frame, &parcel, packet);
                let verdict = self.shard(id)?.stateless(&world.env(), &frame_in);
                self.owner(id)?.outcomes.push(Outcome {
                    index: parcel.index,
                    verdict,
                    datagram: None,
                });
            }
            Placement::Fragment(id) => {
                let world = self.world;
                let frame = batch.frames.get(parcel.index)?;
                let packet = world.parse(batch, frame).ok()?;
                let frame_in = frame_of(frame, &parcel, packet);
                let datagram = self.shard(id)?.fragment(frame.now, world.wire, &frame_in)?;
                return Some((parcel, datagram));
            }
        }
        None
    }

    /// Hands on what was found inside packets in the last pass; `false` where nothing was.
    pub(super) fn distribute_insides(&mut self, batch: &Batch) -> bool {
        let mut insides: Vec<_> = self
            .all
            .iter_mut()
            .flat_map(|work| work.insides.drain(..))
            .collect();
        if insides.is_empty() {
            return false;
        }
        insides.sort_unstable_by_key(|(parcel, _)| parcel.index);
        let mut complete = Vec::new();
        for (parcel, placement) in insides {
            match placement {
                Placement::Flow(shard, flow) => self.push(Errand::new(shard, flow, parcel)),
                Placement::Fragment(shard) => {
                    complete.extend(self.fragment_inside(batch, parcel, shard));
                }
                Placement::Refused(reason) => self.refuse(reason, parcel.frames()),
                // Only IP is found inside.
                Placement::Stateless(_) => self.refuse(DropReason::FragmentInvalid, parcel.frames()),
            }
        }
        self.distribute_datagrams(complete);
        true
    }

    /// Takes a fragment that came inside a tunnel. `Some`: it completes its datagram.
    fn fragment_inside(
        &mut self,
        batch: &Batch,
        mut parcel: Parcel,
        shard: ShardId,
    ) -> Option<(Parcel, Datagram<FragmentNote>)> {
        let world = self.world;
        let frame = batch.frames.get(parcel.index)?;
        let fragments = parcel
            .datagram
            .as_mut()
            .map(|datagram| std::mem::take(&mut datagram.fragments));
        let parts = FragmentNote::frames_of(fragments.unwrap_or_default());
        let packet = world.packet(batch, frame, &parcel)?;
        let frame_in = Frame {
            original_bytes: parts
                .iter()
                .map(|(note, _)| note.original_bytes)
                .sum::<u64>()
                .max(u64::from(frame.original_len)),
            ..frame_of(frame, &parcel, packet)
        };
        let complete = self
            .shard(shard)?
            .fragment_with_parts(frame.now, world.wire, &frame_in, parts)?;
        Some((parcel, complete))
    }

    /// Places datagrams that have become whole. Each stands where the frame stood that completed it.
    fn distribute_datagrams(&mut self, complete: Vec<(Parcel, Datagram<FragmentNote>)>) {
        if complete.is_empty() {
            return;
        }
        for (parcel, datagram) in complete {
            let placed = match datagram.packet() {
                Ok(packet) => match place(&packet, self.world.wire, self.world.seed) {
                    Placement::Flow(shard, flow) => Ok((shard, flow)),
                    Placement::Refused(reason) => Err(reason),
                    Placement::Fragment(_) | Placement::Stateless(_) => Err(DropReason::FragmentInvalid),
                },
                Err(malformed) => Err(DropReason::Malformed(malformed)),
            };
            let parcel = Parcel {
                datagram: Some(Box::new(datagram)),
                ..parcel
            };
            match placed {
                Ok((shard, flow)) => self.push(Errand::new(shard, flow, parcel)),
                Err(reason) => self.refuse(reason, parcel.frames()),
            }
        }
        for work in &mut self.all {
            work.errands.sort_by_key(|errand| errand.index);
        }
    }

    fn push(&mut self, errand: Errand) {
        if let Some(work) = self.owner(errand.shard) {
            work.errands.push(errand);
        }
    }

    fn refuse(&mut self, reason: DropReason, frames: u64) {
        if let Some(shard) = self.shard(ShardId::FIRST) {
            shard.refuse_frames(reason, frames);
        }
    }
}
