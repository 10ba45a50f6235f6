//! Captures built byte by byte.

/// Which way round the built file writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

pub(super) use Order::{Big, Little};

#[derive(Clone, Debug)]
pub(super) struct Built {
    pub(super) order: Order,
    pub(super) bytes: Vec<u8>,
}

impl Built {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            bytes: Vec::new(),
        }
    }

    pub(super) fn u16(mut self, number: u16) -> Self {
        self.bytes.extend(match self.order {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        });
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Self {
        self.bytes.extend(match self.order {
            Little => number.to_le_bytes(),
            Big => number.to_be_bytes(),
        });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(super) fn pcap(order: Order, magic: u32, link: u32) -> Self {
        let head = Self::new(order).u32(magic).u16(2).u16(4);
        head.u32(0).u32(0).u32(65_535).u32(link)
    }

    pub(super) fn record(self, seconds: u32, fraction: u32, original: u32, frame: &[u8]) -> Self {
        let captured = u32::try_from(frame.len()).unwrap();
        let head = self.u32(seconds).u32(fraction).u32(captured).u32(original);
        head.raw(frame)
    }

    pub(super) fn block(self, kind: u32, body: &[u8]) -> Self {
        let padded = body.len().next_multiple_of(4);
        let total = u32::try_from(padded + 12).unwrap();
        let padding = vec![0; padded - body.len()];
        self.u32(kind).u32(total).raw(body).raw(&padding).u32(total)
    }

    /// A section header; what follows is written in `order`.
    pub(super) fn section(mut self, order: Order) -> Self {
        self.order = order;
        let body = Self::new(order).u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        self.block(0x0a0d_0d0a, &body.bytes)
    }

    pub(super) fn interface(self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Self {
        let mut body = Self::new(self.order).u16(link).u16(0).u32(snap_len);
        for (code, value) in options {
            body = body
                .u16(*code)
                .u16(u16::try_from(value.len()).unwrap())
                .raw(value);
            body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body = body.u32(0);
        }
        self.block(1, &body.bytes)
    }

    pub(super) fn enhanced(self, interface: u32, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u32(interface);
        let body = body.packet_rest(ticks, original, frame);
        self.block(6, &body.bytes)
    }

    pub(super) fn obsolete(self, interface: u16, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u16(interface).u16(0xffff);
        let body = body.packet_rest(ticks, original, frame);
        self.block(2, &body.bytes)
    }

    pub(super) fn packet_rest(self, ticks: u64, original: u32, frame: &[u8]) -> Self {
        let high = u32::try_from(ticks >> 32).unwrap();
        let low = u32::try_from(ticks & 0xffff_ffff).unwrap();
        let captured = u32::try_from(frame.len()).unwrap();
        self.u32(high).u32(low).u32(captured).u32(original).raw(frame)
    }

    pub(super) fn simple(self, original: u32, frame: &[u8]) -> Self {
        let body = Self::new(self.order).u32(original).raw(frame);
        self.block(3, &body.bytes)
    }
}
