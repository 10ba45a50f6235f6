//! One datagram that is not whole yet.

use super::{
    Datagram, DatagramKey, FragmentFault, Reassembly,
    datagram::{FirstFragment, Piece},
};
use crate::{FragmentInfo, Ip, Packet, Timestamp, Transport};

/// What a fragment would do to a datagram.
pub(super) enum Judgement {
    /// It can be kept.
    Fits,
    /// It kills the datagram.
    Fault(FragmentFault),
    /// The datagram was dead already.
    Dead(FragmentFault),
}

#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) key: DatagramKey,
    pub(super) started: Timestamp,
    /// Bytes of `frames`.
    pub(super) bytes: usize,
    /// In order of arrival.
    frames: Vec<(T, Box<[u8]>)>,
    /// In order of offset, free of overlaps.
    pieces: Vec<Piece>,
    /// Bytes that `pieces` cover.
    covered: u32,
    /// Bytes of the whole payload, once the last fragment was seen.
    total: Option<u32>,
    first: Option<FirstFragment>,
    dead: Option<FragmentFault>,
}

impl<T> Pending<T> {
    pub(super) fn new(key: DatagramKey, now: Timestamp) -> Self {
        Self {
            key,
            started: now,
            bytes: 0,
            frames: Vec::new(),
            pieces: Vec::new(),
            covered: 0,
            total: None,
            first: None,
            dead: None,
        }
    }

    /// Judges a fragment without keeping it.
    pub(super) fn judge(&self, ip: &Ip<'_>, info: FragmentInfo, most: usize) -> Judgement {
        if let Some(reason) = self.dead {
            return Judgement::Dead(reason);
        }
        if self.frames.len() >= most {
            return Judgement::Fault(FragmentFault::TooMany);
        }
        let new = Piece::new(ip, info, self.frames.len());
        // Ordered and free of overlaps: only the neighbours can touch the new piece.
        let place = self.pieces.partition_point(|old| old.start < new.start);
        let next = self.pieces.get(place);
        let previous = place.checked_sub(1).and_then(|place| self.pieces.get(place));
        let duplicate = next.is_some_and(|old| {
            (old.start, old.end, old.last) == (new.start, new.end, new.last)
                && self.captured(old) == payload(ip)
        });
        if duplicate {
            return Judgement::Fits;
        }
        let overlaps =
            next.is_some_and(|old| old.start < new.end) || previous.is_some_and(|old| old.end > new.start);
        let end_moves = match self.total {
            Some(total) => new.last || new.end > total,
            None => new.last && self.pieces.last().is_some_and(|old| old.end > new.end),
        };
        if overlaps || end_moves {
            return Judgement::Fault(FragmentFault::Overlap);
        }
        Judgement::Fits
    }

    /// Keeps a fragment that [`Pending::judge`] found to fit.
    pub(super) fn keep(&mut self, packet: &Packet<'_>, ip: &Ip<'_>, info: FragmentInfo, note: T) {
        let piece = Piece::new(ip, info, self.frames.len());
        self.frames.push((note, packet.frame().into()));
        self.bytes = self.bytes.saturating_add(packet.frame().len());
        let place = self.pieces.partition_point(|old| old.start < piece.start);
        if self.pieces.get(place).is_some_and(|old| old.start == piece.start) {
            // A duplicate leaves with the others and changes nothing.
            return;
        }
        if piece.last {
            self.total = Some(piece.end);
        }
        if piece.start == 0 {
            self.first = Some(FirstFragment::new(packet, ip, info));
        }
        self.covered = self.covered.saturating_add(piece.end.saturating_sub(piece.start));
        self.pieces.insert(place, piece);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.covered)
    }

    /// The complete datagram, unless it is longer than its header can say.
    pub(super) fn assemble(self) -> Reassembly<T> {
        let total = self.total.unwrap_or(0);
        let assembled = self
            .first
            .as_ref()
            .and_then(|first| first.assemble(total, &self.pieces, |piece| self.captured(piece)));
        match assembled {
            Some(assembled) => Reassembly::Complete(Datagram::new(self.frames, assembled)),
            None => Reassembly::Dropped {
                reason: FragmentFault::TooLong,
                notes: self.into_notes().collect(),
            },
        }
    }

    pub(super) fn kill(&mut self, reason: FragmentFault) -> Vec<T> {
        self.dead = Some(reason);
        self.bytes = 0;
        self.pieces = Vec::new();
        let frames = std::mem::take(&mut self.frames);
        frames.into_iter().map(|(note, _)| note).collect()
    }

    pub(super) fn into_notes(self) -> impl Iterator<Item = T> {
        self.frames.into_iter().map(|(note, _)| note)
    }

    /// The part of a piece that was captured.
    fn captured(&self, piece: &Piece) -> &[u8] {
        let frame = self.frames.get(piece.frame).map_or(&[][..], |(_, frame)| frame);
        frame
            .get(piece.captured_at..piece.captured_end)
            .unwrap_or_default()
    }
}

fn payload<'a>(ip: &Ip<'a>) -> &'a [u8] {
    match ip.transport {
        Transport::Fragment { payload } => payload,
        Transport::Tcp(_) | Transport::Udp(_) | Transport::Icmp(_) | Transport::Other { .. } => &[],
    }
}
