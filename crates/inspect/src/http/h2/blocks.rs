//! Header blocks: what they say, and how they go on.

use super::{
    super::{
        fields,
        hpack::{FieldList, write_field},
        judge::{Departure, DnsRuling, Event, Judge, Ruling},
        stop::Stop,
    },
    Fate, Http2, MAX_COLLECTED, Phase,
    frame::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameHeader, HEADER, HEADERS, PUSH_PROMISE, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, number, write_block,
    },
    leg::Block,
    streams::Kept,
};

impl Http2 {
    /// Looks into a whole frame.
    pub(super) fn look_into(
        &mut self,
        from_client: bool,
        header: FrameHeader,
        raw: &[u8],
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let payload = raw.get(HEADER..).unwrap_or_default();
        match header.kind {
            SETTINGS => self.settings(from_client, &header, payload),
            WINDOW_UPDATE => self.window_update(from_client, &header, raw, payload),
            RST_STREAM => Ok(self.reset(from_client, &header)),
            DATA => self.dns_data(from_client, &header, raw, judge),
            HEADERS | PUSH_PROMISE => {
                let fragment = header.content(payload)?;
                if header.has(END_HEADERS) {
                    return self.block(from_client, &header, fragment, judge);
                }
                self.leg(from_client).block = Some(Block {
                    first: header,
                    raw: raw.to_vec(),
                    fragment: fragment.to_vec(),
                });
                Ok(Fate::Instead(Vec::new()))
            }
            _ => self.continuation(from_client, &header, raw, judge),
        }
    }

    fn continuation(
        &mut self,
        from_client: bool,
        header: &FrameHeader,
        raw: &[u8],
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let leg = self.leg(from_client);
        let Some(mut block) = leg.block.take().filter(|_| header.kind == CONTINUATION) else {
            return Err(Departure::Malformed.into());
        };
        if block.raw.len().saturating_add(raw.len()) > MAX_COLLECTED {
            leg.block = Some(block);
            return Err(Departure::OverLimit.into());
        }
        if !header.has(END_HEADERS) {
            block.raw.extend_from_slice(raw);
            block
                .fragment
                .extend_from_slice(raw.get(HEADER..).unwrap_or_default());
            leg.block = Some(block);
            return Ok(Fate::Instead(Vec::new()));
        }
        let before = block.fragment.len();
        block
            .fragment
            .extend_from_slice(raw.get(HEADER..).unwrap_or_default());
        let judged = self.block(from_client, &block.first, &block.fragment, judge);
        match judged {
            Ok(Fate::Pass) => {
                block.raw.extend_from_slice(raw);
                Ok(Fate::Instead(block.raw))
            }
            Ok(instead) => Ok(instead),
            Err(stop) => {
                // The last frame is released by whoever holds it.
                block.fragment.truncate(before);
                self.leg(from_client).block = Some(block);
                Err(stop)
            }
        }
    }

    /// Decodes and judges a whole block.
    fn block(
        &mut self,
        from_client: bool,
        first: &FrameHeader,
        fragment: &[u8],
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let (promised, fragment) = match first.kind {
            PUSH_PROMISE => {
                let promised = number(fragment)
                    .filter(|_| !from_client)
                    .ok_or(Departure::Malformed)?;
                (Some(promised), fragment.get(4..).unwrap_or_default())
            }
            _ => (None, fragment),
        };
        if first.stream == 0 {
            return Err(Departure::Malformed.into());
        }
        let mut list = std::mem::take(&mut self.list);
        let leg = self.leg(from_client);
        let judged = match leg.decoder.decode(fragment, &mut list) {
            Ok(()) => {
                leg.updates = leg.decoder.take_updates().after(leg.updates);
                self.judge_block(from_client, first, promised, &list, judge)
            }
            Err(departure) => Err(departure.into()),
        };
        list.trim();
        self.list = list;
        judged
    }

    fn judge_block(
        &mut self,
        from_client: bool,
        first: &FrameHeader,
        promised: Option<u32>,
        list: &FieldList,
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let is_request = list.value(b":method").is_some();
        match (from_client, promised) {
            (true, _) if is_request => self.request(first, list, judge),
            (false, Some(promised)) => {
                announce(promised, list, judge)?;
                if self.dns.is_ended(first.stream) {
                    // Its stream would have to be ended as well; nobody promises anything beside DNS.
                    return Err(Departure::Malformed.into());
                }
                Ok(self.forward(false, first, Some(promised), list))
            }
            (false, None) => self.response(first, list, judge),
            (true, _) => self.trailers(true, first, list, judge),
        }
    }

    fn request(
        &mut self,
        first: &FrameHeader,
        list: &FieldList,
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        if first.stream.is_multiple_of(2) || first.stream <= self.newest {
            return Err(Departure::Malformed.into());
        }
        self.newest = first.stream;
        announce(first.stream, list, judge)?;
        let path = list.value(b":path").unwrap_or_default();
        if let Some(message) = fields::query_in_path(path) {
            self.rewriting = true;
            let mut reply = Vec::new();
            let ruling = match judge.dns_query(&message, &mut reply) {
                DnsRuling::Pass if !self.dns.has_room() => DnsRuling::Refuse,
                ruling @ (DnsRuling::Pass | DnsRuling::Answer | DnsRuling::Refuse) => ruling,
            };
            if ruling != DnsRuling::Pass {
                self.answer(first.stream, ruling, &reply, first.has(END_STREAM));
                return Ok(Fate::Instead(Vec::new()));
            }
            self.dns.open(first.stream, Phase::Waiting);
        } else if !first.has(END_STREAM) && list.value(b"content-type").is_some_and(fields::is_dns_message) {
            self.rewriting = true;
            if !self.dns.has_room() || is_encoded(list) {
                self.answer(first.stream, DnsRuling::Refuse, &[], false);
                return Ok(Fate::Instead(Vec::new()));
            }
            self.dns.open(
                first.stream,
                Phase::Query {
                    kept: keep(list),
                    opened: false,
                },
            );
            return Ok(Fate::Instead(Vec::new()));
        }
        let mut opened = self.open_kept(first.stream);
        self.newest_forwarded = first.stream;
        Ok(match self.forward(true, first, None, list) {
            Fate::Instead(block) => {
                opened.extend_from_slice(&block);
                Fate::Instead(opened)
            }
            Fate::Pass => Fate::Pass,
        })
    }

    fn response(
        &mut self,
        first: &FrameHeader,
        list: &FieldList,
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        let Some(status) = list.value(b":status") else {
            return self.trailers(false, first, list, judge);
        };
        let status = text(status)?.parse().map_err(|_| Departure::Malformed)?;
        if self.dns.is_ended(first.stream) {
            return Ok(Fate::Instead(Vec::new()));
        }
        let content_type = list.value(b"content-type");
        let event = Event::Response {
            stream: first.stream,
            status,
            content_type: content_type.map(text).transpose()?,
        };
        if judge.event(&event) == Ruling::Cut {
            return Err(Stop::Cut);
        }
        if let Some(phase @ Phase::Waiting) = self.dns.get(first.stream)
            && status >= 200
        {
            let is_reply = status == 200 && content_type.is_some_and(fields::is_dns_message);
            if is_reply && !is_encoded(list) && !first.has(END_STREAM) {
                *phase = Phase::Reply(keep(list));
                return Ok(Fate::Instead(Vec::new()));
            }
            self.dns.remove(first.stream);
        }
        Ok(self.forward(false, first, None, list))
    }

    /// Fields behind a body: they end a stream.
    fn trailers(
        &mut self,
        from_client: bool,
        first: &FrameHeader,
        list: &FieldList,
        judge: &mut dyn Judge,
    ) -> Result<Fate, Stop> {
        if !first.has(END_STREAM) {
            return Err(Departure::Malformed.into());
        }
        let kept = match (from_client, self.dns.get(first.stream)) {
            (true, Some(Phase::Query { .. })) | (false, Some(Phase::Reply(_))) => {
                self.dns.remove(first.stream)
            }
            _ => None,
        };
        if let Some(phase) = kept {
            let instead = self.complete(first.stream, phase, Some(list), judge);
            return Ok(Fate::Instead(instead));
        }
        if self.dns.is_ended(first.stream) {
            return Ok(Fate::Instead(Vec::new()));
        }
        if !from_client {
            self.dns.remove(first.stream);
        }
        Ok(self.forward(from_client, first, None, list))
    }

    /// How a block goes on: as it came, or written anew.
    fn forward(
        &mut self,
        from_client: bool,
        first: &FrameHeader,
        promised: Option<u32>,
        list: &FieldList,
    ) -> Fate {
        let updates = std::mem::take(&mut self.leg(from_client).updates);
        if !self.rewriting {
            return Fate::Pass;
        }
        let mut block = promised.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default();
        updates.write(&mut block);
        for (name, value) in list.iter() {
            write_field(name, value, &mut block);
        }
        let mut frames = Vec::new();
        write_block(
            first.kind,
            first.flags & END_STREAM,
            first.stream,
            &block,
            &mut frames,
        );
        Fate::Instead(frames)
    }
}

/// Tells the judge of a request.
fn announce(stream: u32, list: &FieldList, judge: &mut dyn Judge) -> Result<(), Stop> {
    let value = |name: &[u8]| list.value(name).map(text).transpose();
    let authority = list.value(b":authority").or_else(|| list.value(b"host"));
    let event = Event::Request {
        stream,
        method: value(b":method")?.unwrap_or_default(),
        host: authority.and_then(fields::host),
        path: value(b":path")?.unwrap_or_default(),
        forwarded_for: list.value(b"x-forwarded-for").and_then(fields::forwarded_for),
        content_type: value(b"content-type")?,
    };
    match judge.event(&event) {
        Ruling::Allow => Ok(()),
        Ruling::Cut => Err(Stop::Cut),
    }
}

fn text(value: &[u8]) -> Result<&str, Departure> {
    std::str::from_utf8(value).map_err(|_| Departure::Malformed)
}

fn is_encoded(list: &FieldList) -> bool {
    list.value(b"content-encoding")
        .is_some_and(|coding| coding != b"identity")
}

/// The list of a message that waits for its end.
fn keep(list: &FieldList) -> Kept {
    let mut kept = Kept::default();
    for (name, value) in list.iter() {
        if name == b"content-length" {
            kept.content_length = Some(value.to_vec());
        } else {
            write_field(name, value, &mut kept.fields);
        }
    }
    kept
}
