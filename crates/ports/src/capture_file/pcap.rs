//! Classic pcap: a file header, then records.

use std::io::Read;

use packet::Timestamp;

use super::{CaptureFault, MAX_FRAME, byte_order::ByteOrder, reader::Found, window::Window};

/// What the header of a pcap file says.
#[derive(Debug)]
pub(super) struct Pcap {
    order: ByteOrder,
    /// Nanoseconds in one unit of a record's fraction of a second.
    unit: u64,
    link: u32,
    lengths: Lengths,
}

/// In which order a record tells captured and original length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    /// Version 2.3 was written in either order: the smaller is the captured length.
    Either,
    /// Before version 2.3.
    OriginalFirst,
}

impl Pcap {
    pub(super) const HEADER_LEN: usize = 24;
    const RECORD_LEN: usize = 16;

    /// Reads the file header, whose first four bytes are `magic`.
    pub(super) fn open<R: Read>(magic: [u8; 4], window: &mut Window<R>) -> Result<Self, CaptureFault> {
        let (order, unit) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1_000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1),
            _ => return Err(CaptureFault::NotACapture),
        };
        let head = window.fill(Self::HEADER_LEN)?;
        let (Some(major), Some(minor), Some(network)) =
            (order.u16(head, 4), order.u16(head, 6), order.u32(head, 20))
        else {
            return Err(CaptureFault::Truncated("the file header"));
        };
        let lengths = match (major, minor) {
            (2, 4) => Lengths::CapturedFirst,
            (2, 3) => Lengths::Either,
            (2, 0..3) => Lengths::OriginalFirst,
            _ => {
                return Err(CaptureFault::Version {
                    format: "pcap",
                    major,
                    minor,
                });
            }
        };
        window.take(Self::HEADER_LEN);
        Ok(Self {
            order,
            unit,
            // The upper half tells about a frame check sequence at the end of each frame.
            link: network & 0xffff,
            lengths,
        })
    }

    pub(super) fn link(&self) -> u32 {
        self.link
    }

    /// The next record; `None` at the end of the file.
    pub(super) fn next<R: Read>(&self, window: &mut Window<R>) -> Result<Option<Found>, CaptureFault> {
        let head = window.fill(Self::RECORD_LEN)?;
        let Some(head) = head.first_chunk::<{ Self::RECORD_LEN }>() else {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(CaptureFault::Truncated("the last record's header"))
            };
        };
        let order = self.order;
        let (Some(seconds), Some(fraction), Some(first), Some(second)) = (
            order.u32(head, 0),
            order.u32(head, 4),
            order.u32(head, 8),
            order.u32(head, 12),
        ) else {
            return Err(CaptureFault::Truncated("the last record's header"));
        };
        let (captured, original_len) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::OriginalFirst => (second, first),
            Lengths::Either => (first.min(second), first.max(second)),
        };
        let len = match usize::try_from(captured) {
            Ok(len) if len <= MAX_FRAME => len,
            Ok(_) | Err(_) => return Err(CaptureFault::FrameTooLong(captured)),
        };
        let whole = Self::RECORD_LEN.saturating_add(len);
        if window.fill(whole)?.len() < whole {
            return Err(CaptureFault::Truncated("the last record"));
        }
        let at = window.take(whole).saturating_add(Self::RECORD_LEN);
        let nanos = u64::from(seconds)
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(fraction).saturating_mul(self.unit));
        Ok(Some(Found {
            time: Timestamp::from_nanos(nanos),
            link: self.link,
            original_len,
            at,
            len,
        }))
    }
}
