//! HTTP/2 (RFC 9113): the frames of both directions.
//!
//! Header blocks are decoded, because the tables of HPACK must be followed; they go on as they came. From the
//! first DNS query of a session on, blocks of both directions are written anew without state: from then
//! on any of them can be withheld, replaced or put in, and no decoder's table loses its way. A session
//! without DNS pays nothing for this.
//!
//! A query in a path is withheld with its header block, so the server never hears the name. One in a body
//! is withheld with its block until it is whole; only where the client opens another stream in between, the
//! block goes first (stream numbers must rise), and the stream is reset if the query is then answered here.

mod blocks;
mod control;
mod dns;
mod frame;
mod leg;
mod streams;
mod window;

use super::{
    hpack::FieldList,
    inspector::PREFACE,
    judge::{Departure, Judge},
    onward::Onward,
    stop::Stop,
};
use frame::{FrameHeader, HEADER};
use leg::{Leg, Streaming};
use streams::{DnsStreams, Phase};
use window::ServerWindow;

/// Bytes of a frame that is looked into, and of a header block.
const MAX_COLLECTED: usize = 128 * 1024;
/// Bytes of the server's that wait for the client's window.
const MAX_STALLED: usize = 256 * 1024;

/// One connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Http2 {
    client: Leg,
    server: Leg,
    /// Bytes of the preface still to come.
    preface: &'static [u8],
    list: FieldList,
    /// Whether blocks are written anew.
    rewriting: bool,
    dns: DnsStreams,
    /// The client's newest stream, and the newest that went on.
    newest: u32,
    newest_forwarded: u32,
    window: ServerWindow,
    /// Each side's initial stream window for data it receives.
    client_takes: u32,
    server_takes: u32,
    /// Frames made here that wait for the end of a frame under way.
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// What the server sent beyond the client's window.
    stalled: Vec<u8>,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            client: Leg::default(),
            server: Leg::default(),
            preface: PREFACE,
            list: FieldList::default(),
            rewriting: false,
            dns: DnsStreams::default(),
            newest: 0,
            newest_forwarded: 0,
            window: ServerWindow::default(),
            client_takes: 65_535,
            server_takes: 65_535,
            to_client: Vec::new(),
            to_server: Vec::new(),
            stalled: Vec::new(),
        }
    }
}

/// What becomes of a frame that was looked into.
enum Fate {
    /// It goes on as it is.
    Pass,
    /// This goes on instead; it may be nothing.
    Instead(Vec<u8>),
}

/// How a frame is read.
enum Route {
    /// Its payload is stepped over.
    Step { forward: bool },
    /// It is looked into as a whole.
    Whole,
    /// It waits until the client has window for it.
    Stall,
}

impl Http2 {
    /// Bytes of one direction; `back` takes what goes to their sender.
    pub(super) fn push(
        &mut self,
        from_client: bool,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        back: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if !from_client && !self.stalled.is_empty() {
            let more = onward.withhold(usize::MAX);
            self.stalled.extend_from_slice(more);
            return self.resume(judge, onward);
        }
        self.read(from_client, judge, onward)?;
        self.put_in(from_client, onward);
        if from_client && !self.stalled.is_empty() {
            self.resume(judge, &mut Onward::new(&[], back))?;
        }
        if self.leg(!from_client).is_at_boundary() {
            back.append(self.queue(!from_client));
        }
        Ok(())
    }

    /// Takes up what the server sent beyond the client's window.
    fn resume(&mut self, judge: &mut dyn Judge, onward: &mut Onward<'_>) -> Result<(), Stop> {
        let stalled = std::mem::take(&mut self.stalled);
        let mut out = Vec::new();
        let mut walk = Onward::new(&stalled, &mut out);
        walk.withhold(0);
        self.read(false, judge, &mut walk)?;
        onward.write(&out);
        self.put_in(false, onward);
        Ok(())
    }

    fn leg(&mut self, from_client: bool) -> &mut Leg {
        if from_client {
            &mut self.client
        } else {
            &mut self.server
        }
    }

    /// Frames made here that travel with what the client, or the server, sends.
    fn queue(&mut self, with_client: bool) -> &mut Vec<u8> {
        if with_client {
            &mut self.to_server
        } else {
            &mut self.to_client
        }
    }

    /// Writes frames made here, where a frame ended.
    fn put_in(&mut self, from_client: bool, onward: &mut Onward<'_>) {
        if self.leg(from_client).is_at_boundary() {
            let queue = self.queue(from_client);
            if !queue.is_empty() {
                onward.write(queue);
                *queue = Vec::new();
            }
        }
    }

    fn read(
        &mut self,
        from_client: bool,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
    ) -> Result<(), Stop> {
        while !onward.rest().is_empty() {
            if from_client && !self.preface.is_empty() {
                self.read_preface(onward)?;
                continue;
            }
            let leg = self.leg(from_client);
            if let Some(streaming) = &mut leg.streaming {
                let step = streaming.left.min(onward.rest().len());
                if streaming.forward {
                    onward.pass(step);
                } else {
                    onward.withhold(step);
                }
                streaming.left = streaming.left.saturating_sub(step);
                if streaming.left == 0 {
                    leg.streaming = None;
                }
                continue;
            }
            self.put_in(from_client, onward);
            self.next_frame(from_client, judge, onward)?;
        }
        Ok(())
    }

    fn read_preface(&mut self, onward: &mut Onward<'_>) -> Result<(), Stop> {
        let rest = onward.rest();
        let length = self.preface.len().min(rest.len());
        let (wanted, left) = self.preface.split_at_checked(length).unwrap_or_default();
        if !rest.starts_with(wanted) {
            return Err(Departure::OtherProtocol.into());
        }
        self.preface = left;
        onward.pass(length);
        Ok(())
    }

    /// Takes the next frame, or as much of it as is there.
    fn next_frame(
        &mut self,
        from_client: bool,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
    ) -> Result<(), Stop> {
        let leg = self.leg(from_client);
        let rest = onward.rest();
        let in_front = if leg.held.is_empty() {
            FrameHeader::parse(rest)
        } else {
            None
        };
        if in_front.is_none() {
            let missing = HEADER.saturating_sub(leg.held.len());
            leg.held.extend_from_slice(onward.withhold(missing));
        }
        let in_place = leg.held.is_empty();
        // A frame without payload is whole with its header: it must not wait for the next bytes.
        let Some(header) = in_front.or_else(|| FrameHeader::parse(&leg.held)) else {
            return Ok(());
        };
        match self.route(from_client, &header)? {
            Route::Step { forward } => {
                let leg = self.leg(from_client);
                match (in_place, forward) {
                    (true, true) => onward.pass(HEADER),
                    (true, false) => {
                        onward.withhold(HEADER);
                    }
                    (false, true) => onward.write(&leg.held),
                    (false, false) => {}
                }
                leg.held.clear();
                leg.streaming = (header.length > 0).then_some(Streaming {
                    left: header.length,
                    forward,
                });
                self.stepped_over(from_client, &header, forward);
                Ok(())
            }
            Route::Stall => {
                let held = std::mem::take(&mut self.server.held);
                self.stalled.extend_from_slice(&held);
                self.stalled.extend_from_slice(onward.withhold(usize::MAX));
                if self.stalled.len() > MAX_STALLED {
                    return Err(Stop::Cut);
                }
                Ok(())
            }
            Route::Whole => self.whole_frame(from_client, header, judge, onward),
        }
    }

    fn whole_frame(
        &mut self,
        from_client: bool,
        header: FrameHeader,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
    ) -> Result<(), Stop> {
        let whole = header.whole();
        if whole > MAX_COLLECTED {
            return Err(Departure::OverLimit.into());
        }
        let leg = self.leg(from_client);
        if leg.held.is_empty()
            && let Some(raw) = onward.rest().get(..whole)
        {
            match self.look_into(from_client, header, raw, judge)? {
                Fate::Pass => onward.pass(whole),
                Fate::Instead(bytes) => {
                    onward.withhold(whole);
                    onward.write(&bytes);
                }
            }
            return Ok(());
        }
        let missing = whole.saturating_sub(leg.held.len());
        leg.held.extend_from_slice(onward.withhold(missing));
        if leg.held.len() < whole {
            return Ok(());
        }
        let raw = std::mem::take(&mut leg.held);
        match self.look_into(from_client, header, &raw, judge) {
            Ok(Fate::Pass) => onward.write(&raw),
            Ok(Fate::Instead(bytes)) => onward.write(&bytes),
            Err(stop) => {
                self.leg(from_client).held = raw;
                return Err(stop);
            }
        }
        self.leg(from_client).reuse(raw);
        Ok(())
    }

    /// Whether nothing was changed that reading on would be needed for.
    pub(super) fn may_depart(&self) -> bool {
        !self.rewriting
    }

    /// What is kept of this direction and would have gone on; it is forgotten.
    pub(super) fn release(&mut self, from_client: bool) -> Vec<u8> {
        self.leg(from_client).release()
    }

    /// Bytes of memory behind this object.
    pub(super) fn memory(&self) -> usize {
        [&self.to_client, &self.to_server, &self.stalled]
            .into_iter()
            .map(Vec::capacity)
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.client.memory())
            .saturating_add(self.server.memory())
            .saturating_add(self.list.memory())
            .saturating_add(self.dns.memory())
    }
}
