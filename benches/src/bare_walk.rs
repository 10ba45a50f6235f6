//! The least that any firewall does with a frame, to compare with.

use std::hint::black_box;

use engine::{Placement, place};
use packet::{Checksums, LinkType, Wire, parse};

use crate::{Case, per_step};

/// Parses each Ethernet frame and hashes its flow, and does nothing else.
///
/// # Panics
///
/// Where a frame cannot be parsed: the benchmark built it wrong.
pub fn bare_walk(frames: &[Vec<u8>]) -> Case<'_> {
    Case::new("bare walk (parse, hash)", move || {
        per_step(frames.len(), || {
            for bytes in frames {
                let packet = parse(LinkType::Ethernet, bytes, bytes.len(), Checksums::Ignore);
                let placement = packet.map(|packet| place(&packet, Wire(0), 0));
                assert!(black_box(matches!(placement, Ok(Placement::Flow(..)))));
            }
        })
    })
}
