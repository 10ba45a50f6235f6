//! One session, whatever version of HTTP it speaks.

use super::{
    h1::Http1,
    h2::Http2,
    judge::{Departure, Event, Judge, Passage, Ruling},
    onward::Onward,
    stop::Stop,
};

/// What the two ends agreed to speak, by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// `http/1.1` or `http/1.0`.
    Http1,
    /// `h2`.
    Http2,
    /// Nothing was agreed: the client's first bytes tell.
    Unknown,
}

/// What an HTTP/2 client opens with (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
enum Protocol {
    /// The client's first bytes, as long as they may still be either version.
    Unknown(Vec<u8>),
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// Nothing is read any more.
    Opaque,
    /// The session was cut.
    Ended,
}

/// Reads both directions of one session in the order they were sent, and replaces what may not go on.
///
/// Pure and bounded: no clock, no I/O; see `docs/LIMITS.md` for what is kept at most.
#[derive(Debug)]
pub struct HttpInspector {
    protocol: Protocol,
}

impl HttpInspector {
    /// An inspector for a session that was just opened.
    pub fn new(version: HttpVersion) -> Self {
        let protocol = match version {
            HttpVersion::Http1 => Protocol::Http1(Box::default()),
            HttpVersion::Http2 => Protocol::Http2(Box::default()),
            HttpVersion::Unknown => Protocol::Unknown(Vec::new()),
        };
        Self { protocol }
    }

    /// Takes the next bytes of one direction.
    ///
    /// What goes on in their place is appended to `onward`, what goes to their own sender (an answer given
    /// here, a window reopened) to `back`; both only where needed, and in this order with all that was
    /// appended before. `back` counts whatever is returned.
    pub fn push(
        &mut self,
        from_client: bool,
        bytes: &[u8],
        judge: &mut dyn Judge,
        onward: &mut Vec<u8>,
        back: &mut Vec<u8>,
    ) -> Passage {
        let Protocol::Unknown(seen) = &mut self.protocol else {
            return self.read(from_client, bytes, judge, onward, back);
        };
        if !from_client {
            return self.depart(
                Departure::OtherProtocol,
                false,
                Onward::new(bytes, onward),
                judge,
                back,
            );
        }
        seen.extend_from_slice(bytes);
        if PREFACE.starts_with(seen) && seen.len() < PREFACE.len() {
            return if bytes.is_empty() {
                Passage::Pass
            } else {
                Passage::Replaced
            };
        }
        let seen = std::mem::take(seen);
        self.protocol = if seen.starts_with(PREFACE) {
            Protocol::Http2(Box::default())
        } else {
            Protocol::Http1(Box::default())
        };
        let passage = self.read(from_client, &seen, judge, onward, back);
        if passage == Passage::Pass && seen.len() > bytes.len() {
            onward.extend_from_slice(&seen);
            return Passage::Replaced;
        }
        passage
    }

    fn read(
        &mut self,
        from_client: bool,
        bytes: &[u8],
        judge: &mut dyn Judge,
        onward: &mut Vec<u8>,
        back: &mut Vec<u8>,
    ) -> Passage {
        let mut onward = Onward::new(bytes, onward);
        let read = match &mut self.protocol {
            Protocol::Opaque | Protocol::Unknown(_) => Ok(()),
            Protocol::Ended => Err(Stop::Cut),
            Protocol::Http1(http) if from_client => http.push_client(judge, &mut onward, back),
            Protocol::Http1(http) => http.push_server(judge, &mut onward),
            Protocol::Http2(http) => http.push(from_client, judge, &mut onward, back),
        };
        match read {
            Ok(()) => onward.finish(),
            Err(Stop::Cut) => self.cut(),
            Err(Stop::Depart(departure)) => self.depart(departure, from_client, onward, judge, back),
        }
    }

    fn cut(&mut self) -> Passage {
        self.protocol = Protocol::Ended;
        Passage::Cut
    }

    /// Reading ends at this place, if that can be without harm.
    fn depart(
        &mut self,
        departure: Departure,
        from_client: bool,
        mut onward: Onward<'_>,
        judge: &mut dyn Judge,
        back: &mut Vec<u8>,
    ) -> Passage {
        let (may, departure) = match &self.protocol {
            Protocol::Http1(http) => (http.may_depart(), http.departure(departure)),
            Protocol::Http2(http) => (http.may_depart(), departure),
            Protocol::Unknown(_) | Protocol::Opaque => (true, departure),
            Protocol::Ended => (false, departure),
        };
        let ruling = judge.event(&Event::NotHttp(departure));
        if ruling == Ruling::Cut || !may {
            return self.cut();
        }
        match &mut self.protocol {
            Protocol::Http1(http) => {
                onward.write(&http.release(from_client));
                back.extend_from_slice(&http.release(!from_client));
            }
            Protocol::Http2(http) => {
                onward.write(&http.release(from_client));
                back.extend_from_slice(&http.release(!from_client));
            }
            Protocol::Unknown(seen) => {
                // Only the server's first word ends here: what the client said goes to it.
                back.append(seen);
            }
            Protocol::Opaque | Protocol::Ended => {}
        }
        self.protocol = Protocol::Opaque;
        onward.finish()
    }

    /// One direction is closed: appends to `onward` what is still kept of it.
    pub fn finish(&mut self, from_client: bool, judge: &mut dyn Judge, onward: &mut Vec<u8>) {
        match &mut self.protocol {
            Protocol::Unknown(seen) if from_client => onward.append(seen),
            Protocol::Http1(http) => {
                if !from_client {
                    http.server_closed(judge, &mut Onward::new(&[], onward));
                }
                if http.may_depart() || !from_client {
                    onward.extend_from_slice(&http.release(from_client));
                }
            }
            // Frames that are not whole say nothing.
            Protocol::Http2(_) | Protocol::Unknown(_) | Protocol::Opaque | Protocol::Ended => {}
        }
    }

    /// Whether anything is still read.
    pub fn is_reading(&self) -> bool {
        !matches!(self.protocol, Protocol::Opaque | Protocol::Ended)
    }

    /// Bytes of memory this inspector holds, its own included.
    pub fn memory(&self) -> usize {
        let behind = match &self.protocol {
            Protocol::Unknown(seen) => seen.capacity(),
            Protocol::Http1(http) => http.memory(),
            Protocol::Http2(http) => http.memory(),
            Protocol::Opaque | Protocol::Ended => 0,
        };
        size_of::<Self>().saturating_add(behind)
    }
}
