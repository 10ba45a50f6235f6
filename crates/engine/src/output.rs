//! What a packet leaves behind besides its verdict: records, facts and forged frames.

use logs::{Fact, Record};
use packet::{
    Timestamp,
    build::{TooLong, Unfinished},
};
use policy::InterfaceId;

/// Where an event or a frame stands among those of its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// The frame that caused it; for what ages, the session that did.
    pub number: u64,
    /// How many packets are around the one that caused it: what the outer of two says comes first.
    pub layer: u8,
    /// Its place among what the same packet caused.
    pub ordinal: u32,
}

/// Something for the forwarder.
#[derive(Debug)]
pub enum Event {
    /// A log record.
    Record(Record),
    /// Something learnt about an address.
    Fact(Fact),
}

/// A frame that cordon itself made.
#[derive(Clone, Copy, Debug)]
pub struct Emission<'a> {
    /// Its place among the frames that leave.
    pub order: Order,
    /// When the frame it answers or replaces was stamped.
    pub time: Timestamp,
    /// The interface it leaves by.
    pub egress: InterfaceId,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What its checksum, and its size, still want.
    pub unfinished: Option<Unfinished>,
}

#[derive(Clone, Copy, Debug)]
struct EmissionSpan {
    order: Order,
    time: Timestamp,
    egress: InterfaceId,
    start: usize,
    end: usize,
    unfinished: Option<Unfinished>,
}

/// Collects what a burst or a tick leaves behind. Cleared and reused, so that it stops allocating once it
/// has grown to the size of the largest burst.
#[derive(Debug, Default)]
pub struct Outputs {
    events: Vec<(Order, Event)>,
    spans: Vec<EmissionSpan>,
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    order: Option<Order>,
    stamp: Timestamp,
}

impl Outputs {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.spans.clear();
        self.bytes.clear();
        self.order = None;
    }

    /// Says which frame (or ageing session) causes what follows, how many packets are around the one in question,
    /// and how that frame was stamped.
    pub(crate) fn caused_by(&mut self, number: u64, layer: u8, stamp: Timestamp) {
        self.order = Some(Order {
            number,
            layer,
            ordinal: 0,
        });
        self.stamp = stamp;
    }

    fn next_order(&mut self) -> Order {
        let order = self.order.unwrap_or(Order {
            number: 0,
            layer: 0,
            ordinal: 0,
        });
        self.order = Some(Order {
            ordinal: order.ordinal.saturating_add(1),
            ..order
        });
        order
    }

    pub(crate) fn record(&mut self, record: Record) {
        let order = self.next_order();
        self.events.push((order, Event::Record(record)));
    }

    #[expect(clippy::large_types_passed_by_value, reason = "it moves into the queue")]
    pub(crate) fn fact(&mut self, fact: Fact) {
        let order = self.next_order();
        self.events.push((order, Event::Fact(fact)));
    }

    /// Adds a frame that `build` writes into the buffer it is handed; none where it says that it cannot.
    pub(crate) fn emit(&mut self, egress: InterfaceId, build: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.emit_segment(egress, |out| if build(out) { Ok(None) } else { Err(TooLong) });
    }

    /// As [`Outputs::emit`], for a frame that may be left unfinished.
    pub(crate) fn emit_segment(
        &mut self,
        egress: InterfaceId,
        build: impl FnOnce(&mut Vec<u8>) -> Result<Option<Unfinished>, TooLong>,
    ) {
        self.scratch.clear();
        let Ok(unfinished) = build(&mut self.scratch) else {
            return;
        };
        let order = self.next_order();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.scratch);
        self.spans.push(EmissionSpan {
            order,
            time: self.stamp,
            egress,
            start,
            end: self.bytes.len(),
            unfinished,
        });
    }

    /// Takes the events out, in the order they were added.
    pub fn drain_events(&mut self) -> impl Iterator<Item = (Order, Event)> {
        self.events.drain(..)
    }

    /// The frames to send, in the order they were added.
    pub fn emissions(&self) -> impl Iterator<Item = Emission<'_>> {
        self.spans.iter().filter_map(|span| {
            Some(Emission {
                order: span.order,
                time: span.time,
                egress: span.egress,
                bytes: self.bytes.get(span.start..span.end)?,
                unfinished: span.unfinished,
            })
        })
    }

    /// Whether there are frames to send.
    pub fn has_emissions(&self) -> bool {
        !self.spans.is_empty()
    }

    /// Forgets the frames to send, once they are sent; events stay.
    pub fn clear_emissions(&mut self) {
        self.spans.clear();
        self.bytes.clear();
    }

    /// Whether nothing was left behind.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.spans.is_empty()
    }
}
