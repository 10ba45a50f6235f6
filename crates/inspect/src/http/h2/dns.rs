//! DNS exchanges on their streams: kept until they are whole, then let on, answered or refused.

use super::{
    super::{
        fields::MAX_DNS,
        hpack::{FieldList, write_field},
        judge::{DnsRuling, Judge},
        stop::Stop,
    },
    Fate, Http2, Phase, Route,
    frame::{END_STREAM, FrameHeader, HEADER, HEADERS, RST_STREAM, write_block, write_data, write_frame},
    streams::{Kept, MAX_KEPT},
};

/// Error codes (RFC 9113 §7).
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

impl Http2 {
    /// Whether the data of a query can be kept; else the query is refused.
    pub(super) fn keep_query_data(&mut self, header: &FrameHeader) -> Route {
        let most = self.most_kept(self.server_takes);
        if let Some(Phase::Query { kept, .. }) = self.dns.get(header.stream)
            && keeps(kept, header, most)
        {
            return Route::Whole;
        }
        if let Some(Phase::Query { kept, opened }) = self.dns.remove(header.stream) {
            if opened {
                cancel(header.stream, &mut self.to_server);
            }
            self.credit_client(kept.flow);
            self.answer(header.stream, DnsRuling::Refuse, &[], header.has(END_STREAM));
        }
        Route::Step { forward: false }
    }

    /// Whether the data of a reply can be kept; else the reply is refused.
    pub(super) fn keep_reply_data(&mut self, header: &FrameHeader) -> Route {
        let most = self.most_kept(self.client_takes);
        if let Some(Phase::Reply(kept)) = self.dns.get(header.stream)
            && keeps(kept, header, most)
        {
            return Route::Whole;
        }
        if let Some(Phase::Reply(kept)) = self.dns.remove(header.stream) {
            cancel(header.stream, &mut self.to_server);
            self.credit_server(kept.flow);
            self.answer(header.stream, DnsRuling::Refuse, &[], true);
        }
        Route::Step { forward: false }
    }

    /// Bytes of a message that can be kept: whoever sends it must not run out of window before its end.
    fn most_kept(&self, window: u32) -> usize {
        if self.dns.kept() > MAX_KEPT {
            return 0;
        }
        usize::try_from(window).unwrap_or(MAX_DNS).min(MAX_DNS)
    }

    /// Data of a message that is kept; at its end the judge decides.
    pub(super) fn dns_data(
        &mut self,
        from_client: bool,
        header: &FrameHeader,
        raw: &[u8],
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let content = header.content(raw.get(HEADER..).unwrap_or_default())?;
        if !from_client {
            self.window.spent(header.length);
        }
        let Some(Phase::Query { kept, .. } | Phase::Reply(kept)) = self.dns.get(header.stream) else {
            return Ok(Fate::Pass);
        };
        kept.frames.extend_from_slice(raw);
        kept.message.extend_from_slice(content);
        kept.flow = kept.flow.saturating_add(header.length);
        if header.has(END_STREAM)
            && let Some(phase) = self.dns.remove(header.stream)
        {
            return Ok(Fate::Instead(self.complete(header.stream, phase, None, judge)));
        }
        Ok(Fate::Instead(Vec::new()))
    }

    /// A message is whole. Returns what goes on in the direction it came.
    pub(super) fn complete(
        &mut self,
        stream: u32,
        phase: Phase,
        trailers: Option<&FieldList>,
        judge: &mut dyn Judge,
    ) -> Vec<u8> {
        match phase {
            Phase::Query { kept, opened } => self.complete_query(stream, &kept, opened, trailers, judge),
            Phase::Reply(kept) => self.complete_reply(stream, &kept, trailers, judge),
            Phase::Waiting => Vec::new(),
        }
    }

    fn complete_query(
        &mut self,
        stream: u32,
        kept: &Kept,
        opened: bool,
        trailers: Option<&FieldList>,
        judge: &mut dyn Judge,
    ) -> Vec<u8> {
        let (mut reply, mut out) = (Vec::new(), Vec::new());
        let ruling = judge.dns_query(&kept.message, &mut reply);
        if ruling == DnsRuling::Pass {
            if !opened {
                out = self.open_kept(stream);
                self.write_kept(true, stream, kept, kept.content_length.as_deref(), &mut out);
                self.newest_forwarded = self.newest_forwarded.max(stream);
            }
            out.extend_from_slice(&kept.frames);
            self.write_trailers(true, stream, trailers, &mut out);
            self.dns.open(stream, Phase::Waiting);
            return out;
        }
        if opened {
            cancel(stream, &mut out);
        }
        self.credit_client(kept.flow);
        self.answer(stream, ruling, &reply, true);
        out
    }

    fn complete_reply(
        &mut self,
        stream: u32,
        kept: &Kept,
        trailers: Option<&FieldList>,
        judge: &mut dyn Judge,
    ) -> Vec<u8> {
        let (mut replacement, mut out) = (Vec::new(), Vec::new());
        match judge.dns_reply(&kept.message, &mut replacement) {
            DnsRuling::Pass => {
                self.write_kept(false, stream, kept, kept.content_length.as_deref(), &mut out);
                out.extend_from_slice(&kept.frames);
                self.write_trailers(false, stream, trailers, &mut out);
            }
            DnsRuling::Answer => {
                self.credit_server(kept.flow);
                if self.client_takes_whole(&replacement) {
                    let length = replacement.len().to_string();
                    self.write_kept(false, stream, kept, Some(length.as_bytes()), &mut out);
                    self.dns.owe(stream, replacement);
                    self.settle();
                } else {
                    refuse(stream, &mut out);
                }
            }
            DnsRuling::Refuse => {
                self.credit_server(kept.flow);
                refuse(stream, &mut out);
            }
        }
        out
    }

    /// The blocks of queries that wait for their bodies: this newer stream must not overtake them.
    pub(super) fn open_kept(&mut self, newer: u32) -> Vec<u8> {
        let (mut out, mut newest) = (Vec::new(), 0);
        let mut updates = std::mem::take(&mut self.client.updates);
        for stream in self.dns.unopened() {
            let Phase::Query { kept, opened } = &mut stream.phase else {
                continue;
            };
            if stream.id > newer {
                break;
            }
            *opened = true;
            newest = stream.id;
            let mut block = Vec::new();
            std::mem::take(&mut updates).write(&mut block);
            write_message(stream.id, kept, kept.content_length.as_deref(), block, &mut out);
            // What came for the stream beside data goes with it.
            if kept.message.is_empty() && kept.flow == 0 {
                out.append(&mut kept.frames);
            }
        }
        self.client.updates = updates;
        self.newest_forwarded = self.newest_forwarded.max(newest);
        out
    }

    fn write_kept(
        &mut self,
        from_client: bool,
        stream: u32,
        kept: &Kept,
        content_length: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        let mut block = Vec::new();
        std::mem::take(&mut self.leg(from_client).updates).write(&mut block);
        write_message(stream, kept, content_length, block, out);
    }

    fn write_trailers(
        &mut self,
        from_client: bool,
        stream: u32,
        trailers: Option<&FieldList>,
        out: &mut Vec<u8>,
    ) {
        let Some(list) = trailers else { return };
        let mut block = Vec::new();
        std::mem::take(&mut self.leg(from_client).updates).write(&mut block);
        for (name, value) in list.iter() {
            write_field(name, value, &mut block);
        }
        write_block(HEADERS, END_STREAM, stream, &block, out);
    }

    /// Whether the client's stream has window for a whole message, and there is room for it to wait.
    fn client_takes_whole(&self, message: &[u8]) -> bool {
        usize::try_from(self.client_takes).is_ok_and(|window| message.len() <= window)
            && self.dns.kept().saturating_add(message.len()) <= MAX_KEPT
    }

    /// Gives the client the messages it has window for.
    pub(super) fn settle(&mut self) {
        while let Some((stream, message)) = self.dns.take_owed(|length| self.window.fits(length)) {
            write_data(stream, &message, &mut self.to_client);
            self.window.given(message.len());
        }
    }

    /// Answers a stream here; for both ends it is over.
    pub(super) fn answer(&mut self, stream: u32, ruling: DnsRuling, reply: &[u8], ended: bool) {
        self.dns.end(stream);
        if ruling == DnsRuling::Answer && self.client_takes_whole(reply) {
            let mut block = Vec::new();
            write_field(b":status", b"200", &mut block);
            write_field(b"content-type", super::super::fields::DNS_MESSAGE, &mut block);
            write_field(b"content-length", reply.len().to_string().as_bytes(), &mut block);
            write_field(b"cache-control", b"no-store", &mut block);
            write_block(HEADERS, 0, stream, &block, &mut self.to_client);
            self.dns.owe(stream, reply.to_vec());
            self.settle();
        } else {
            refuse(stream, &mut self.to_client);
        }
        if !ended && !self.dns.owes(stream) {
            // The rest of the request is not wanted (RFC 9113 §8.1).
            write_frame(
                RST_STREAM,
                0,
                stream,
                &NO_ERROR.to_be_bytes(),
                &mut self.to_client,
            );
        }
    }
}

/// Whether a message with this frame is still within bounds, and can get to its end.
fn keeps(kept: &Kept, header: &FrameHeader, most: usize) -> bool {
    let flow = kept.flow.saturating_add(header.length);
    flow < most || (flow == most && header.has(END_STREAM))
}

fn write_message(id: u32, kept: &Kept, content_length: Option<&[u8]>, mut block: Vec<u8>, out: &mut Vec<u8>) {
    block.extend_from_slice(&kept.fields);
    if let Some(length) = content_length {
        write_field(b"content-length", length, &mut block);
    }
    write_block(HEADERS, 0, id, &block, out);
}

/// An error without a body: it needs no window.
fn refuse(stream: u32, out: &mut Vec<u8>) {
    let mut block = Vec::new();
    write_field(b":status", b"403", &mut block);
    write_field(b"cache-control", b"no-store", &mut block);
    write_block(HEADERS, END_STREAM, stream, &block, out);
}

fn cancel(stream: u32, out: &mut Vec<u8>) {
    write_frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes(), out);
}
