//! HTTP/1.0 and 1.1 (RFC 9112): requests and responses of one connection, side by side.
//!
//! A request's head goes on only when it was judged, so that a name asked for in it never leaks; a
//! response's head passes as it comes. Bodies are stepped over where they are.

mod body;
mod exchange;
mod head;

use super::{
    fields::{self, MAX_DNS},
    judge::{Departure, DnsRuling, Event, Judge, Ruling},
    onward::Onward,
    stop::Stop,
};
use body::Body;
use exchange::{Exchange, Exchanges, Expected};
use head::Kind;

/// Bytes of a head.
const MAX_HEAD: usize = 64 * 1024;

/// What comes next in a direction.
#[derive(Debug)]
enum Stage {
    Head,
    Body(Body),
    /// A DNS message whose head is kept, with as much of the body as came.
    Dns {
        body: Body,
        message: Vec<u8>,
    },
}

/// One direction.
#[derive(Debug)]
struct Leg {
    stage: Stage,
    /// A head that is not whole, or all that is kept of a DNS message.
    kept: Vec<u8>,
}

/// One connection of HTTP/1.
#[derive(Debug)]
pub(super) struct Http1 {
    client: Leg,
    server: Leg,
    exchanges: Exchanges,
    requests: u32,
}

impl Default for Http1 {
    fn default() -> Self {
        let leg = || Leg {
            stage: Stage::Head,
            kept: Vec::new(),
        };
        Self {
            client: leg(),
            server: leg(),
            exchanges: Exchanges::default(),
            requests: 0,
        }
    }
}

impl Http1 {
    /// Bytes from the client; `back` takes what answers it from here.
    pub(super) fn push_client(
        &mut self,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        back: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        while !onward.rest().is_empty() {
            match &mut self.client.stage {
                Stage::Head => self.request_head(judge, onward, back)?,
                Stage::Body(body) => {
                    let (taken, _) = body.advance(onward.rest())?;
                    let done = *body == Body::Done;
                    onward.pass(taken);
                    if done {
                        self.client.stage = Stage::Head;
                    }
                }
                Stage::Dns { .. } => {
                    if self.client.collect(onward)? {
                        self.query(judge, onward, back)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn request_head(
        &mut self,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        back: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let rest = onward.rest();
        if self.client.kept.is_empty() && matches!(rest.first(), Some(b'\r' | b'\n')) {
            // Empty lines in front of a request mean nothing (RFC 9112 §2.2).
            onward.pass(1);
            return Ok(());
        }
        if self.exchanges.awaits_switch() {
            // Whether this is a request depends on an answer that has not come.
            return Err(Departure::Malformed.into());
        }
        let mut kept = std::mem::take(&mut self.client.kept);
        let before = kept.len();
        let (read, over) = extend(&mut kept, rest);
        let bytes = if before == 0 {
            rest.get(..MAX_HEAD).unwrap_or(rest)
        } else {
            kept.as_slice()
        };
        let judged = if read {
            self.request(judge, onward, back, bytes, before)
        } else {
            Ok(false)
        };
        match judged {
            Ok(true) => return Ok(()),
            Ok(false) if !over => {
                if before == 0 {
                    kept.extend_from_slice(rest);
                }
                onward.withhold(rest.len());
                self.client.kept = kept;
                return Ok(());
            }
            Ok(false) | Err(_) => {}
        }
        kept.truncate(before);
        self.client.kept = kept;
        judged.and(Err(Departure::OverLimit.into()))
    }

    /// Reads and judges the request at the start of `bytes`, of which `before` were kept; whether it was whole.
    fn request(
        &mut self,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        back: &mut Vec<u8>,
        bytes: &[u8],
        before: usize,
    ) -> Result<bool, Stop> {
        let Some((length, request)) = head::request(bytes)? else {
            return Ok(false);
        };
        self.requests = self.requests.saturating_add(1);
        let event = Event::Request {
            stream: self.requests,
            method: request.method,
            host: fields::host(request.authority),
            path: request.path,
            forwarded_for: request.forwarded_for.and_then(fields::forwarded_for),
            content_type: text(request.content_type),
        };
        if judge.event(&event) == Ruling::Cut {
            return Err(Stop::Cut);
        }
        self.exchanges.check_room()?;
        let raw = bytes.get(..length).unwrap_or_default();
        let taken = length.saturating_sub(before);
        let mut expected = Expected {
            stream: self.requests,
            kind: request.kind,
            dns: false,
        };
        let body = request.body;
        if request.kind == Kind::Other {
            if let Some(message) = fields::query_in_path(request.path.as_bytes()) {
                let mut reply = Vec::new();
                let ruling = judge.dns_query(&message, &mut reply);
                if ruling == DnsRuling::Pass {
                    expected.dns = true;
                } else if body == Body::Done {
                    onward.withhold(taken);
                    self.exchanges.answer(ruling, &reply, back)?;
                    return Ok(true);
                } else {
                    // A GET with a body: nobody sends it, and nobody answers it alike.
                    return Err(Stop::Cut);
                }
            } else if request.content_type.is_some_and(fields::is_dns_message) && body != Body::Done {
                if request.encoded {
                    // A query that cannot be read is none to let by.
                    return Err(Departure::Malformed.into());
                }
                if request.expects && self.exchanges.is_empty() {
                    back.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                self.client.kept = raw.to_vec();
                onward.withhold(taken);
                self.client.stage = Stage::Dns {
                    body,
                    message: Vec::new(),
                };
                return Ok(true);
            }
        }
        pass_on(onward, before, raw, taken);
        self.client.stage = stage(body);
        self.exchanges.push(Exchange::Expected(expected));
        Ok(true)
    }

    /// A DNS query came in whole.
    fn query(
        &mut self,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        back: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let (kept, message) = self.client.collected();
        let mut reply = Vec::new();
        let ruling = judge.dns_query(&message, &mut reply);
        if ruling == DnsRuling::Pass {
            onward.write(&kept);
            self.exchanges.push(Exchange::Expected(Expected {
                stream: self.requests,
                kind: Kind::Other,
                dns: true,
            }));
        } else {
            self.exchanges.answer(ruling, &reply, back)?;
        }
        Ok(())
    }

    /// Bytes from the server.
    pub(super) fn push_server(&mut self, judge: &mut dyn Judge, onward: &mut Onward<'_>) -> Result<(), Stop> {
        while !onward.rest().is_empty() {
            match &mut self.server.stage {
                Stage::Head => self.response_head(judge, onward)?,
                Stage::Body(body) => {
                    let (taken, _) = body.advance(onward.rest())?;
                    let done = *body == Body::Done;
                    onward.pass(taken);
                    if done {
                        self.responded(onward);
                    }
                }
                Stage::Dns { .. } => {
                    if self.server.collect(onward)? {
                        self.reply(judge, onward);
                    }
                }
            }
        }
        Ok(())
    }

    fn response_head(&mut self, judge: &mut dyn Judge, onward: &mut Onward<'_>) -> Result<(), Stop> {
        let rest = onward.rest();
        let expected = self.exchanges.front();
        let mut kept = std::mem::take(&mut self.server.kept);
        let before = kept.len();
        let (read, over) = extend(&mut kept, rest);
        let bytes = if before == 0 {
            rest.get(..MAX_HEAD).unwrap_or(rest)
        } else {
            kept.as_slice()
        };
        let judged = if read {
            self.response(judge, onward, bytes, before)
        } else {
            Ok(false)
        };
        match judged {
            Ok(true) => return Ok(()),
            Ok(false) if !over => {
                if before == 0 {
                    kept.extend_from_slice(rest);
                }
                if expected.dns {
                    onward.withhold(rest.len());
                } else {
                    onward.pass(rest.len());
                }
                self.server.kept = kept;
                return Ok(());
            }
            Ok(false) | Err(_) => {}
        }
        kept.truncate(before);
        self.server.kept = kept;
        judged.and(Err(Departure::OverLimit.into()))
    }

    /// Reads and judges the response at the start of `bytes`, of which `before` were kept; whether it was whole.
    fn response(
        &mut self,
        judge: &mut dyn Judge,
        onward: &mut Onward<'_>,
        bytes: &[u8],
        before: usize,
    ) -> Result<bool, Stop> {
        let expected = self.exchanges.front();
        let Some((length, response)) = head::response(bytes, expected.kind)? else {
            return Ok(false);
        };
        let event = Event::Response {
            stream: expected.stream,
            status: response.status,
            content_type: text(response.content_type),
        };
        if judge.event(&event) == Ruling::Cut {
            return Err(Stop::Cut);
        }
        let raw = bytes.get(..length).unwrap_or_default();
        let taken = length.saturating_sub(before);
        let is_reply = expected.dns
            && response.status == 200
            && !response.encoded
            && response.body != Body::Done
            && response.content_type.is_some_and(fields::is_dns_message);
        if is_reply {
            self.server.kept = raw.to_vec();
            self.exchanges.closes(response.closes);
            onward.withhold(taken);
            self.server.stage = Stage::Dns {
                body: response.body,
                message: Vec::new(),
            };
            return Ok(true);
        }
        if expected.dns {
            pass_on(onward, before, raw, taken);
        } else {
            onward.pass(taken);
        }
        match (response.status, expected.kind) {
            (101, _) => return Err(Departure::Upgraded.into()),
            (100..=199, _) => {}
            (200..=299, Kind::Connect) => return Err(Departure::Tunnel.into()),
            _ if response.body == Body::Done => self.responded(onward),
            _ => self.server.stage = Stage::Body(response.body),
        }
        Ok(true)
    }

    /// A reply to a DNS query came in whole.
    fn reply(&mut self, judge: &mut dyn Judge, onward: &mut Onward<'_>) {
        let (kept, message) = self.server.collected();
        let mut replacement = Vec::new();
        let ruling = judge.dns_reply(&message, &mut replacement);
        if ruling == DnsRuling::Pass {
            onward.write(&kept);
        } else {
            let closes = self.exchanges.closes(false);
            onward.write(&exchange::answer(ruling, &replacement, closes));
        }
        self.responded(onward);
    }

    /// A response is through: what was answered here behind it follows.
    fn responded(&mut self, onward: &mut Onward<'_>) {
        self.server.stage = Stage::Head;
        self.exchanges.pop();
        while let Some(answer) = self.exchanges.pop_answer() {
            onward.write(&answer);
        }
    }

    /// The server closed: a reply that only this ends is whole.
    pub(super) fn server_closed(&mut self, judge: &mut dyn Judge, onward: &mut Onward<'_>) {
        if let Stage::Dns { body: Body::Rest, .. } = self.server.stage {
            self.reply(judge, onward);
        }
    }

    /// What is kept of this direction and would have gone on; it is forgotten.
    pub(super) fn release(&mut self, from_client: bool) -> Vec<u8> {
        let withheld = from_client || self.exchanges.front().dns;
        let leg = if from_client {
            &mut self.client
        } else {
            &mut self.server
        };
        leg.stage = Stage::Head;
        let kept = std::mem::take(&mut leg.kept);
        if withheld { kept } else { Vec::new() }
    }

    /// Whether nothing was changed in the order of requests and answers: reading may stop here.
    pub(super) fn may_depart(&self) -> bool {
        !self.exchanges.holds_answers() && !matches!(self.client.stage, Stage::Dns { .. })
    }

    /// What a fault is called: before the first request, it is another protocol.
    pub(super) fn departure(&self, departure: Departure) -> Departure {
        if departure == Departure::Malformed && self.requests == 0 {
            Departure::OtherProtocol
        } else {
            departure
        }
    }

    /// Bytes of memory behind this object.
    pub(super) fn memory(&self) -> usize {
        [&self.client, &self.server]
            .into_iter()
            .map(Leg::memory)
            .fold(size_of::<Self>(), usize::saturating_add)
            .saturating_add(self.exchanges.memory())
    }
}

impl Leg {
    /// Takes what belongs to the DNS message; whether it is whole.
    fn collect(&mut self, onward: &mut Onward<'_>) -> Result<bool, Stop> {
        let Stage::Dns { body, message } = &mut self.stage else {
            return Ok(false);
        };
        let (taken, content) = body.advance(onward.rest())?;
        let bytes = onward.withhold(taken);
        self.kept.extend_from_slice(bytes);
        if content {
            message.extend_from_slice(bytes);
        }
        // No message of DNS is longer; framing may be a multiple of it.
        if message.len() > MAX_DNS || self.kept.len() > MAX_HEAD.saturating_add(MAX_DNS).saturating_mul(2) {
            return Err(Stop::Cut);
        }
        Ok(*body == Body::Done)
    }

    /// Head and body as they came, and the message; the next head follows.
    fn collected(&mut self) -> (Vec<u8>, Vec<u8>) {
        let kept = std::mem::take(&mut self.kept);
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Dns { message, .. } => (kept, message),
            Stage::Head | Stage::Body(_) => (kept, Vec::new()),
        }
    }

    fn memory(&self) -> usize {
        let message = match &self.stage {
            Stage::Dns { message, .. } => message.capacity(),
            Stage::Head | Stage::Body(_) => 0,
        };
        self.kept.capacity().saturating_add(message)
    }
}

/// Adds to a kept head what came, up to the bound; whether it is worth reading now, and whether the bound is
/// reached.
///
/// Nothing is read again without a new line's end: a head that trickles in is not read once a byte.
fn extend(kept: &mut Vec<u8>, rest: &[u8]) -> (bool, bool) {
    if kept.is_empty() {
        return (true, rest.len() >= MAX_HEAD);
    }
    let room = MAX_HEAD.saturating_sub(kept.len());
    let taken = rest.get(..room).unwrap_or(rest);
    kept.extend_from_slice(taken);
    (memchr::memchr(b'\n', taken).is_some(), rest.len() >= room)
}

/// A judged head goes on: from where it lies, or from what was kept.
fn pass_on(onward: &mut Onward<'_>, before: usize, raw: &[u8], taken: usize) {
    if before == 0 {
        onward.pass(taken);
    } else {
        onward.withhold(taken);
        onward.write(raw);
    }
}

fn stage(body: Body) -> Stage {
    match body {
        Body::Done => Stage::Head,
        body @ (Body::Length(_) | Body::Chunked(_) | Body::Rest) => Stage::Body(body),
    }
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    value.and_then(|value| std::str::from_utf8(value).ok())
}
