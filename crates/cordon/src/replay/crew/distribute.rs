//! Between two passes: every packet to the worker that owns its shard, in order of the frames.

use engine::{DropReason, FragmentNote, Frame, Ingress, Placement, ShardId, place};
use packet::Datagram;

use super::{
    Crew, Outcome, Tick, lock,
    parcel::{Errand, Parcel, frame_of},
};

impl Crew {
    /// Hands each packet to the worker that owns its shard. Frames that need no shard of a flow are done here.
    pub(super) fn distribute(&mut self, tick: &Tick) {
        let env = self.world.env();
        let mut complete = Vec::new();
        for (index, placed) in self.placed.iter().flatten().enumerate() {
            let Some(frame) = tick.frames.get(index) else {
                break;
            };
            let shard = match placed {
                Placement::Flow(shard, _) | Placement::Fragment(shard) | Placement::Stateless(shard) => {
                    *shard
                }
                Placement::Refused(_) => ShardId::FIRST,
            };
            let owner = shard.index() % self.worker_count;
            if let Some(count) = self.frames_by_worker.get_mut(owner) {
                *count += 1;
            }
            let Some(work) = self.work.get_mut(owner) else {
                continue;
            };
            let parcel = Parcel {
                index,
                depth: 0,
                ingress: Ingress::Wire(self.world.wire),
                datagram: None,
            };
            match *placed {
                Placement::Flow(shard, flow) => work.errands.push(Errand { parcel, shard, flow }),
                Placement::Refused(reason) => {
                    if let Some(shard) = self.shards.get(shard.index()) {
                        lock(shard).refuse_frames(reason, 1);
                    }
                }
                Placement::Stateless(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let verdict = lock(shard).stateless(&env, &frame_of(frame, &parcel, packet));
                    work.outcomes.push(Outcome {
                        index,
                        verdict,
                        datagram: None,
                    });
                }
                Placement::Fragment(shard) => {
                    let (Some(shard), Ok(packet)) =
                        (self.shards.get(shard.index()), self.world.parse(tick, frame))
                    else {
                        continue;
                    };
                    let frame_in = frame_of(frame, &parcel, packet);
                    let datagram = lock(shard).fragment(frame.now, self.world.wire, &frame_in);
                    complete.extend(datagram.map(|datagram| (parcel, datagram)));
                }
            }
        }
        self.distribute_datagrams(complete);
    }

    /// Hands on what was found inside packets in the last pass; `false` where nothing was.
    pub(super) fn distribute_insides(&mut self, tick: &Tick) -> bool {
        let mut insides: Vec<_> = self
            .work
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
                Placement::Flow(shard, flow) => self.push(Errand { parcel, shard, flow }),
                Placement::Fragment(shard) => {
                    complete.extend(self.fragment_inside(tick, parcel, shard));
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
        &self,
        tick: &Tick,
        mut parcel: Parcel,
        shard: ShardId,
    ) -> Option<(Parcel, Datagram<FragmentNote>)> {
        let frame = tick.frames.get(parcel.index)?;
        let mut shard = lock(self.shards.get(shard.index())?);
        let fragments = parcel
            .datagram
            .as_mut()
            .map(|datagram| std::mem::take(&mut datagram.fragments));
        let parts = FragmentNote::frames_of(fragments.unwrap_or_default());
        let packet = self.world.packet(tick, frame, &parcel)?;
        let frame_in = Frame {
            original_bytes: parts
                .iter()
                .map(|(note, _)| note.original_bytes)
                .sum::<u64>()
                .max(u64::from(frame.original_len)),
            ..frame_of(frame, &parcel, packet)
        };
        let complete = shard.fragment_with_parts(frame.now, self.world.wire, &frame_in, parts)?;
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
                Ok((shard, flow)) => self.push(Errand { parcel, shard, flow }),
                Err(reason) => self.refuse(reason, parcel.frames()),
            }
        }
        for work in &mut self.work {
            work.errands.sort_by_key(|errand| errand.parcel.index);
        }
    }

    fn push(&mut self, errand: Errand) {
        if let Some(work) = self.work.get_mut(errand.shard.index() % self.worker_count) {
            work.errands.push(errand);
        }
    }

    fn refuse(&self, reason: DropReason, frames: u64) {
        if let Some(shard) = self.shards.first() {
            lock(shard).refuse_frames(reason, frames);
        }
    }
}
