//! From a packet to the one inside it.
//!
//! A tunnel's packet is judged from the outside in: the outer session by policy, then the inner one by policy
//! again, between the same two zones. Each belongs to the shard of its own flow, so that whoever drives the shards
//! takes the step between them.

use crate::{Env, FlowRef, Frame, Ingress, Verdict, stages::admit};

/// The packet that `frame`'s packet carries, to be placed and judged next; `None` where `verdict`, the answer to
/// `frame`, is already that of the whole frame. `seed` is that of [`crate::place`].
///
/// A frame is what its last judgement says: forwarded only where every packet in it is.
pub fn inside<'a>(
    env: &Env<'_>,
    frame: &Frame<'a>,
    flow: &FlowRef,
    verdict: Verdict,
    seed: u64,
) -> Option<Frame<'a>> {
    let Verdict::Forward(egress) = verdict else {
        return None;
    };
    if !flow.carries {
        return None;
    }
    // It was read when the packet was placed.
    let packet = frame.packet.inside(seed).ok().flatten()?;
    let (_, spec) = admit::wire_of(env.ruleset.policy(), frame.ingress)?;
    let [inner, outer] = spec.interfaces;
    Some(Frame {
        ingress: Ingress::Interface(if egress == inner { outer } else { inner }),
        packet,
        ..*frame
    })
}
