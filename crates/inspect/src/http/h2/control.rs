//! Which frames are looked into, and those that steer the connection: settings, windows, resets.

use super::{
    super::{hpack, judge::Departure, stop::Stop},
    Fate, Http2, Phase, Route,
    frame::{
        ACK, CONTINUATION, DATA, END_STREAM, FrameHeader, HEADERS, PUSH_PROMISE, RST_STREAM, SETTINGS,
        WINDOW_UPDATE, number, write_frame, write_window_update,
    },
};

/// `SETTINGS_HEADER_TABLE_SIZE` and `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113 §6.5.2).
const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

impl Http2 {
    /// How the frame with this header is read.
    pub(super) fn route(&mut self, from_client: bool, header: &FrameHeader) -> Result<Route, Stop> {
        if let Some(block) = &self.leg(from_client).block
            && (header.kind != CONTINUATION || header.stream != block.first.stream)
        {
            // Nothing may come between the frames of a block (§6.10).
            return Err(Departure::Malformed.into());
        }
        Ok(match header.kind {
            HEADERS | CONTINUATION | PUSH_PROMISE | SETTINGS => Route::Whole,
            RST_STREAM | WINDOW_UPDATE if from_client || self.rewriting => Route::Whole,
            DATA => self.route_data(from_client, header),
            _ => Route::Step { forward: true },
        })
    }

    fn route_data(&mut self, from_client: bool, header: &FrameHeader) -> Route {
        if !from_client && self.window.is_in_debt() && !self.window.fits(header.length) {
            return Route::Stall;
        }
        if !self.rewriting {
            return Route::Step { forward: true };
        }
        if self.dns.is_ended(header.stream) {
            return Route::Step { forward: false };
        }
        match (from_client, self.dns.get(header.stream)) {
            (true, Some(Phase::Query { .. })) => self.keep_query_data(header),
            (false, Some(Phase::Reply(_))) => self.keep_reply_data(header),
            _ => Route::Step { forward: true },
        }
    }

    /// Accounts for a frame whose payload is stepped over.
    pub(super) fn stepped_over(&mut self, from_client: bool, header: &FrameHeader, forward: bool) {
        if header.kind != DATA {
            return;
        }
        if from_client && !forward {
            // The server will never give this back.
            let bytes = u64::try_from(header.length).unwrap_or(0);
            write_window_update(0, bytes, &mut self.to_client);
        }
        if !from_client {
            self.window.spent(header.length);
            if !forward {
                let credit = self.window.swallowed(header.length);
                write_window_update(0, credit, &mut self.to_server);
            }
            if self.rewriting && header.has(END_STREAM) {
                self.dns.remove(header.stream);
            }
        }
    }

    /// Settings of either side: what they say of windows is noted, and tables larger than what is followed
    /// are not asked for.
    pub(super) fn settings(
        &mut self,
        from_client: bool,
        header: &FrameHeader,
        payload: &[u8],
    ) -> Result<Fate, Stop> {
        if header.has(ACK) {
            return Ok(Fate::Pass);
        }
        let mut lowered = None;
        for (nth, setting) in payload.chunks(6).enumerate() {
            let &[i0, i1, v0, v1, v2, v3] = setting.first_chunk::<6>().ok_or(Departure::Malformed)?;
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            let most = u32::try_from(hpack::MAX_SIZE).unwrap_or(u32::MAX);
            match u16::from_be_bytes([i0, i1]) {
                HEADER_TABLE_SIZE if value > most => {
                    let at = nth.saturating_mul(6).saturating_add(2);
                    let all = lowered.get_or_insert_with(|| payload.to_vec());
                    if let Some(place) = all.get_mut(at..at.saturating_add(4)) {
                        place.copy_from_slice(&most.to_be_bytes());
                    }
                }
                INITIAL_WINDOW_SIZE if from_client => self.client_takes = value,
                INITIAL_WINDOW_SIZE => self.server_takes = value,
                _ => {}
            }
        }
        Ok(match lowered {
            Some(payload) => {
                let mut frame = Vec::new();
                write_frame(SETTINGS, header.flags, header.stream, &payload, &mut frame);
                Fate::Instead(frame)
            }
            None => Fate::Pass,
        })
    }

    /// Credit for data. The connection's is shared with what is given to the client here.
    pub(super) fn window_update(
        &mut self,
        from_client: bool,
        header: &FrameHeader,
        raw: &[u8],
        payload: &[u8],
    ) -> Result<Fate, Stop> {
        let bytes = number(payload).ok_or(Departure::Malformed)?;
        if header.stream == 0 {
            if !from_client {
                return Ok(Fate::Pass);
            }
            let passed = self.window.credit(bytes);
            self.settle();
            if passed == bytes {
                return Ok(Fate::Pass);
            }
            let mut frame = Vec::new();
            write_window_update(0, u64::from(passed), &mut frame);
            return Ok(Fate::Instead(frame));
        }
        if from_client && let Some(Phase::Query { kept, opened: false }) = self.dns.get(header.stream) {
            kept.frames.extend_from_slice(raw);
            return Ok(Fate::Instead(Vec::new()));
        }
        Ok(self.of_stream(from_client, header.stream))
    }

    /// A reset ends a DNS exchange too.
    pub(super) fn reset(&mut self, from_client: bool, header: &FrameHeader) -> Fate {
        let fate = self.of_stream(from_client, header.stream);
        self.dns.disown(header.stream);
        match self.dns.remove(header.stream) {
            Some(Phase::Query { kept, opened }) => {
                self.credit_client(kept.flow);
                self.dns.end(header.stream);
                if from_client && !opened {
                    return Fate::Instead(Vec::new());
                }
            }
            Some(Phase::Reply(kept)) => self.credit_server(kept.flow),
            Some(Phase::Waiting) | None => {}
        }
        fate
    }

    /// Frames of a stream that was ended here, or that the server never heard of, go nowhere.
    fn of_stream(&self, from_client: bool, stream: u32) -> Fate {
        let unknown = from_client && stream % 2 == 1 && stream > self.newest_forwarded;
        if self.rewriting && (self.dns.is_ended(stream) || unknown) {
            Fate::Instead(Vec::new())
        } else {
            Fate::Pass
        }
    }

    /// The client gets back what never went on.
    pub(super) fn credit_client(&mut self, bytes: usize) {
        write_window_update(0, u64::try_from(bytes).unwrap_or(0), &mut self.to_client);
    }

    /// The server gets back what the client never got.
    pub(super) fn credit_server(&mut self, bytes: usize) {
        let credit = self.window.swallowed(bytes);
        write_window_update(0, credit, &mut self.to_server);
        self.settle();
    }
}
