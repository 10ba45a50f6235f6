//! Sessions brought near before their packets are judged, for a burst at a time.
//!
//! Where many sessions are known, each packet waits for memory: for its line of the index, then for its session. Read
//! one after the other, as judging does, that is the longest part of its way; read for all packets of a burst at once,
//! the waits are one.

use std::hint::black_box;

use packet::Outline;

use crate::Shard;

/// How many packets are looked ahead at a time: enough for memory to be busy, few enough for the nearest cache.
pub const BURST: usize = 32;

/// Brings near what the packets with these outlines will need. At most [`BURST`] are looked at.
///
/// It changes nothing and promises nothing: a session may be gone when its packet comes.
pub fn fetch<'s>(outlines: impl IntoIterator<Item = (&'s Shard, &'s Outline)>) {
    // What is read here tells nothing; it is added up only so that it is read. No step asks what the step before has
    // read, so that none waits: a guess that turns out wrong would have to wait for memory to be found out.
    let mut read = 0_u64;
    let mut coming = [None; BURST];
    for (packet, (shard, outline)) in coming.iter_mut().zip(outlines) {
        read = read.wrapping_add(shard.touch_index(outline.hash()));
        *packet = Some((shard, outline));
    }
    let mut places = [None; BURST];
    for (place, (shard, outline)) in places.iter_mut().zip(coming.iter().flatten()) {
        *place = shard
            .place_of(outline.hash())
            .map(|slot| (shard, slot, outline.is_tcp()));
    }
    for (shard, slot, tcp) in places.iter().flatten() {
        read = read.wrapping_add(shard.touch_place(*slot, *tcp));
    }
    black_box(read);
}
