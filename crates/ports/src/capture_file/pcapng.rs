//! pcapng: sections of blocks, each section in a byte order of its own.

use std::io::Read;

use packet::Timestamp;

use super::{
    CaptureFault, MAX_FRAME,
    byte_order::ByteOrder,
    reader::Found,
    window::{WINDOW, Window},
};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// Bytes of a block that are not its body: type, length in front, length behind.
const FRAMING: usize = 12;
/// Where a block's body begins.
const BODY: usize = 8;
/// Interfaces that one section may describe.
const MAX_INTERFACES: usize = 65_536;

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// `if_tsresol`: a power of ten, or of two where the top bit is set.
    resolution: u8,
    /// `if_tsoffset` in nanoseconds.
    offset: i128,
}

impl Clock {
    const MICROSECONDS: Self = Self {
        resolution: 6,
        offset: 0,
    };

    fn time(self, high: u32, low: u32) -> Timestamp {
        let ticks = (u64::from(high) << 32) | u64::from(low);
        // Microseconds and nanoseconds are what nearly every file counts in.
        if self.offset == 0 && matches!(self.resolution, 6 | 9) {
            let unit = if self.resolution == 6 { 1_000 } else { 1 };
            return Timestamp::from_nanos(ticks.saturating_mul(unit));
        }
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            // At most 64 + 30 bits, shifted by at most 127.
            u128::from(ticks).saturating_mul(1_000_000_000) >> exponent
        } else if exponent <= 9 {
            u128::from(ticks).saturating_mul(10_u128.pow(9_u32.saturating_sub(exponent)))
        } else {
            // Ten to the 20th is beyond any number of ticks.
            u128::from(ticks) / 10_u128.pow(exponent.saturating_sub(9).min(20))
        };
        let shifted = i128::try_from(nanos)
            .unwrap_or(i128::MAX)
            .saturating_add(self.offset)
            .max(0);
        Timestamp::from_nanos(u64::try_from(shifted).unwrap_or(u64::MAX))
    }
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u32,
    snap_len: u32,
    clock: Clock,
}

/// What the current section said so far.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    first_link: Option<u32>,
    last_time: Timestamp,
    block_offset: u64,
}

impl Pcapng {
    /// The first four bytes of a file: a section header's block type, the same in both byte orders.
    pub(super) const MAGIC: [u8; 4] = SECTION_HEADER.to_be_bytes();

    pub(super) fn new() -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            first_link: None,
            last_time: Timestamp::ZERO,
            block_offset: 0,
        }
    }

    pub(super) fn first_link(&self) -> Option<u32> {
        self.first_link
    }

    /// Where the block begins that was read last.
    pub(super) fn block_offset(&self) -> u64 {
        self.block_offset
    }

    /// The next frame; `None` at the end of the file.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>) -> Result<Option<Found>, CaptureFault> {
        loop {
            self.block_offset = window.offset();
            let head = window.fill(FRAMING)?;
            if head.is_empty() {
                return Ok(None);
            }
            if head.len() < FRAMING {
                return Err(CaptureFault::Truncated("the last block's header"));
            }
            if head.starts_with(&Self::MAGIC) {
                self.order = match head.get(8..12) {
                    Some([0x4d, 0x3c, 0x2b, 0x1a]) => ByteOrder::Little,
                    Some([0x1a, 0x2b, 0x3c, 0x4d]) => ByteOrder::Big,
                    _ => {
                        return Err(CaptureFault::BadBlock(
                            "a section header without a byte-order magic",
                        ));
                    }
                };
            }
            let (Some(kind), Some(total)) = (self.order.u32(head, 0), self.order.u32(head, 4)) else {
                return Err(CaptureFault::Truncated("the last block's header"));
            };
            if !known(kind) {
                self.pass(window, total)?;
                continue;
            }
            let total = self.whole(window, total)?;
            let block = window.ahead().get(..total).unwrap_or_default();
            let body = block.get(BODY..total.saturating_sub(4)).unwrap_or_default();
            let found = match kind {
                SECTION_HEADER => self.section(body).map(|()| None),
                INTERFACE_DESCRIPTION => self.interface(body).map(|()| None),
                ENHANCED_PACKET => self.enhanced_packet(body).map(Some),
                OBSOLETE_PACKET => self.obsolete_packet(body).map(Some),
                _ => self.simple_packet(body).map(Some),
            }?;
            let start = window.take(total);
            if let Some(mut found) = found {
                found.at = start.saturating_add(BODY).saturating_add(found.at);
                self.last_time = found.time;
                return Ok(Some(found));
            }
        }
    }

    /// Brings a whole block into memory and checks that both its lengths agree.
    fn whole<R: Read>(&self, window: &mut Window<R>, total: u32) -> Result<usize, CaptureFault> {
        let total = length(total)?;
        if total > WINDOW {
            return Err(CaptureFault::BadBlock("the block is longer than 1 MiB"));
        }
        let block = window.fill(total)?;
        if block.len() < total {
            return Err(CaptureFault::Truncated("the last block"));
        }
        self.check_behind(block, total)?;
        Ok(total)
    }

    /// Steps over a block of a type that holds no frames, of whatever length.
    fn pass<R: Read>(&self, window: &mut Window<R>, total: u32) -> Result<(), CaptureFault> {
        let total = length(total)?;
        let ahead = u64::try_from(total.saturating_sub(4)).unwrap_or(u64::MAX);
        if !window.skip(ahead)? || window.fill(4)?.len() < 4 {
            return Err(CaptureFault::Truncated("the last block"));
        }
        // Only the length behind the body is left of the block.
        self.length_is(window.ahead(), 0, total)?;
        window.take(4);
        Ok(())
    }

    fn check_behind(&self, block: &[u8], total: usize) -> Result<(), CaptureFault> {
        self.length_is(block, total.saturating_sub(4), total)
    }

    fn length_is(&self, bytes: &[u8], at: usize, total: usize) -> Result<(), CaptureFault> {
        match self.order.u32(bytes, at).map(usize::try_from) {
            Some(Ok(behind)) if behind == total => Ok(()),
            _ => Err(CaptureFault::BadBlock(
                "the lengths before and behind its body differ",
            )),
        }
    }

    fn section(&mut self, body: &[u8]) -> Result<(), CaptureFault> {
        let order = self.order;
        let (Some(major), Some(minor), Some(options)) =
            (order.u16(body, 4), order.u16(body, 6), body.get(16..))
        else {
            return Err(CaptureFault::BadBlock("too short for a section header"));
        };
        // 1.2 differs in nothing; some writers put it there.
        if !matches!((major, minor), (1, 0 | 2)) {
            return Err(CaptureFault::Version {
                format: "pcapng",
                major,
                minor,
            });
        }
        self.interfaces.clear();
        self.options(options, |_, _| {})
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), CaptureFault> {
        let order = self.order;
        let (Some(link), Some(snap_len), Some(options)) =
            (order.u16(body, 0), order.u32(body, 4), body.get(8..))
        else {
            return Err(CaptureFault::BadBlock("too short for an interface description"));
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(CaptureFault::BadBlock(
                "the section describes more than 65536 interfaces",
            ));
        }
        let mut clock = Clock::MICROSECONDS;
        self.options(options, |code, value| match (code, value) {
            (OPTION_TSRESOL, &[resolution]) => clock.resolution = resolution,
            (OPTION_TSOFFSET, value) if value.len() == 8 => {
                let seconds = order.u64(value, 0).unwrap_or_default().cast_signed();
                clock.offset = i128::from(seconds).saturating_mul(1_000_000_000);
            }
            _ => {}
        })?;
        let link = u32::from(link);
        self.first_link.get_or_insert(link);
        self.interfaces.push(Interface {
            link,
            snap_len,
            clock,
        });
        Ok(())
    }

    /// Shows every option to `see`.
    fn options(&self, mut options: &[u8], mut see: impl FnMut(u16, &[u8])) -> Result<(), CaptureFault> {
        const CUT: CaptureFault = CaptureFault::BadBlock("an option is longer than the block");
        while !options.is_empty() {
            let (Some(code), Some(len)) = (self.order.u16(options, 0), self.order.u16(options, 2)) else {
                return Err(CUT);
            };
            if code == OPTION_END {
                break;
            }
            let len = usize::from(len);
            let rest = options.get(4..).unwrap_or_default();
            see(code, rest.get(..len).ok_or(CUT)?);
            // A writer may leave out the padding of the last option.
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    fn enhanced_packet(&self, body: &[u8]) -> Result<Found, CaptureFault> {
        let Some(interface) = self.order.u32(body, 0) else {
            return Err(CaptureFault::BadBlock("too short for an enhanced packet"));
        };
        self.packet(body, interface)
    }

    fn obsolete_packet(&self, body: &[u8]) -> Result<Found, CaptureFault> {
        let Some(interface) = self.order.u16(body, 0) else {
            return Err(CaptureFault::BadBlock("too short for a packet"));
        };
        self.packet(body, u32::from(interface))
    }

    /// The part of enhanced and obsolete packets that is the same. `Found::at` counts from the body.
    fn packet(&self, body: &[u8], interface: u32) -> Result<Found, CaptureFault> {
        const HEADER: usize = 20;
        let order = self.order;
        let (Some(high), Some(low), Some(captured), Some(original_len)) = (
            order.u32(body, 4),
            order.u32(body, 8),
            order.u32(body, 12),
            order.u32(body, 16),
        ) else {
            return Err(CaptureFault::BadBlock("too short for a packet"));
        };
        let described = self.described(interface)?;
        let len = frame_length(captured)?;
        if body.len() < HEADER.saturating_add(len) {
            return Err(CaptureFault::BadBlock("the frame is longer than the block"));
        }
        Ok(Found {
            time: described.clock.time(high, low),
            link: described.link,
            original_len,
            at: HEADER,
            len,
        })
    }

    /// A frame of the section's first interface, without a time. `Found::at` counts from the body.
    fn simple_packet(&self, body: &[u8]) -> Result<Found, CaptureFault> {
        const HEADER: usize = 4;
        let described = self.described(0)?;
        let Some(original_len) = self.order.u32(body, 0) else {
            return Err(CaptureFault::BadBlock("too short for a simple packet"));
        };
        let captured = match described.snap_len {
            0 => original_len,
            snap_len => original_len.min(snap_len),
        };
        let len = frame_length(captured)?;
        if body.len() < HEADER.saturating_add(len) {
            return Err(CaptureFault::BadBlock("the frame is longer than the block"));
        }
        Ok(Found {
            time: self.last_time,
            link: described.link,
            original_len,
            at: HEADER,
            len,
        })
    }

    fn described(&self, interface: u32) -> Result<Interface, CaptureFault> {
        usize::try_from(interface)
            .ok()
            .and_then(|index| self.interfaces.get(index))
            .copied()
            .ok_or(CaptureFault::UnknownInterface(interface))
    }
}

fn known(kind: u32) -> bool {
    matches!(
        kind,
        SECTION_HEADER | INTERFACE_DESCRIPTION | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
    )
}

fn length(total: u32) -> Result<usize, CaptureFault> {
    match usize::try_from(total) {
        Ok(total) if total >= FRAMING && total.is_multiple_of(4) => Ok(total),
        Ok(_) | Err(_) => Err(CaptureFault::BadBlock("its length is impossible")),
    }
}

fn frame_length(captured: u32) -> Result<usize, CaptureFault> {
    match usize::try_from(captured) {
        Ok(len) if len <= MAX_FRAME => Ok(len),
        Ok(_) | Err(_) => Err(CaptureFault::FrameTooLong(captured)),
    }
}
