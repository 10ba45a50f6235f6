//! Sequence numbers as places in a stream that never wraps.
//!
//! Inside the endpoint every sequence number is 64 bits wide; its low half is what stands on the wire. So two of
//! them compare as numbers do, and 2^31 (RFC 9293 §3.4) matters only where a segment comes in.

/// The place of the first number known of a stream; room below it for what was sent before.
pub(super) fn first(wire: u32) -> u64 {
    (1 << 32) | u64::from(wire)
}

/// The number that goes on the wire.
pub(super) fn wire(place: u64) -> u32 {
    (place & 0xffff_ffff) as u32
}

/// The place nearest to `known` that has this number on the wire.
pub(super) fn near(known: u64, number: u32) -> u64 {
    let distance = number.wrapping_sub(wire(known)).cast_signed();
    known.saturating_add_signed(i64::from(distance))
}

/// How far `to` is behind `from`; zero where it is not.
pub(super) fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}

/// A length in memory as a length in the stream.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_over_the_wrap() {
        let start = first(u32::MAX - 1);
        assert_eq!(near(start, u32::MAX), start + 1);
        assert_eq!(near(start, 5), start + 7);
        assert_eq!(near(start, u32::MAX - 10), start - 9);
        assert_eq!(wire(start + 7), 5);
        assert_eq!(near(first(0), u32::MAX), first(0) - 1);
    }
}
