//! One intercepted connection: two TCP endpoints, and what carries bytes from one to the other.
//!
//! Towards the client it speaks for the server, towards the server for the client, with their addresses, ports and
//! sequence numbers. It begins in the middle of a connection that both ends have opened with each other, at the
//! first byte that the client was not allowed to send through.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use packet::Timestamp;

use crate::{
    tcp::{Cutting, Endpoint, SegmentIn, SegmentOut, Taking},
    tls::{Facts, Failure, FailureClass, Leg, Proxy, Relay, State, Tap, Terms},
};

/// How long both ends are given to take what they are told at the end.
const LINGER: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take, both sides together.
const HANDSHAKE_TIME: Duration = Duration::from_secs(30);

/// An intercepted connection.
#[derive(Debug)]
pub struct Flow {
    client: End,
    server: End,
    stage: Stage,
    ending: Option<Ending>,
    /// What was found out about the TLS in it, once it is over.
    facts: Option<Facts>,
    /// When the stage it is in has lasted too long.
    limit: Option<Timestamp>,
    /// The server may have to answer first what was said before TLS.
    answering: bool,
}

#[derive(Debug)]
struct End {
    tcp: Endpoint,
    /// Its FIN was passed on.
    finish_told: bool,
    /// Its reset was passed on.
    reset_told: bool,
    /// Nothing is sent to it any more.
    mute: bool,
}

#[derive(Debug)]
enum Stage {
    /// Nobody knows yet what the client wants; its bytes are acknowledged and kept.
    Deciding,
    /// Bytes go through as they are.
    Plain,
    /// TLS is opened and closed again in between.
    Tls(Box<Relay>),
    /// Nothing goes through any more; what was said before is still delivered.
    Ending,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// TLS could not be opened, or failed while open.
    Failed(Failure),
    /// This end reset it.
    Reset(Leg),
    /// It was closed by both.
    Finished,
    /// This end did not answer any more.
    Silent(Leg),
}

impl Flow {
    /// Takes a connection on. `client` is the end towards the client, where we speak for the server.
    pub fn adopt(now: Timestamp, client: Taking, server: Taking) -> Self {
        let end = |taking| End {
            tcp: Endpoint::adopt(now, taking),
            finish_told: false,
            reset_told: false,
            mute: false,
        };
        Self {
            client: end(client),
            server: end(server),
            stage: Stage::Deciding,
            ending: None,
            facts: None,
            limit: None,
            answering: false,
        }
    }

    /// The client has spoken in the clear before: what the server still answers to that goes through as it is, until
    /// the server's TLS begins.
    pub fn answers_first(&mut self) {
        self.answering = true;
    }

    /// Takes a segment that the host on `leg` sent. Nothing is carried on before [`Flow::turn`]. `true`: its numbers
    /// are the connection's ([`Endpoint::receive`]).
    pub fn segment(&mut self, now: Timestamp, leg: Leg, segment: &SegmentIn<'_>) -> bool {
        self.end_mut(leg).tcp.receive(now, segment)
    }

    /// A router could not pass on a segment that left by `leg`: it takes `mtu` bytes of IP, and quotes `seq`.
    pub fn path_mtu(&mut self, now: Timestamp, leg: Leg, seq: u32, mtu: u16) {
        self.end_mut(leg).tcp.path_mtu(now, seq, mtu);
    }

    /// The client's bytes that nobody has decided on; empty once somebody has.
    pub fn undecided(&self) -> Cow<'_, [u8]> {
        match self.stage {
            Stage::Deciding => {
                let [first, rest] = self.client.tcp.readable();
                if rest.is_empty() {
                    Cow::Borrowed(first)
                } else {
                    Cow::Owned([first, rest].concat())
                }
            }
            Stage::Plain | Stage::Tls(_) | Stage::Ending => Cow::Borrowed(&[]),
        }
    }

    /// The sequence numbers of the first bytes of client and server that have not come yet.
    pub fn next(&self) -> [u32; 2] {
        [self.client.tcp.next(), self.server.tcp.next()]
    }

    /// Whether nobody has decided yet what becomes of it.
    pub fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Deciding)
    }

    /// From here on TLS is opened. `server` is the server's address, `now` also the time that certificates are held
    /// against.
    pub fn decrypt(&mut self, now: Timestamp, proxy: &Arc<Proxy>, terms: Terms, server: IpAddr) {
        let unix = Duration::from_nanos(now.as_nanos());
        self.stage = Stage::Tls(Box::new(Relay::open(proxy, terms, server, unix)));
        self.limit = Some(now.saturating_add(HANDSHAKE_TIME));
    }

    /// From here on bytes go through as they are.
    pub fn pass(&mut self) {
        self.stage = Stage::Plain;
    }

    /// Ends the connection for a reason of our own: both ends are reset.
    pub fn fail(&mut self, now: Timestamp, failure: Failure) {
        self.client.tcp.reset();
        self.server.tcp.reset();
        self.end(now, Ending::Failed(failure));
    }

    /// Ends the connection in silence about why: both ends are reset.
    pub fn abort(&mut self) {
        self.cut(true, true);
    }

    /// Ends the connection: these ends are reset, the other hears nothing more.
    pub fn cut(&mut self, client: bool, server: bool) {
        for (end, reset) in [(&mut self.client, client), (&mut self.server, server)] {
            end.mute |= !reset;
            if reset {
                end.tcp.reset();
            }
        }
        self.stage = Stage::Ending;
    }

    /// Carries on what can be carried on, and sends what can be sent.
    pub fn turn(
        &mut self,
        now: Timestamp,
        cutting: Cutting,
        tap: &mut dyn Tap,
        emit: &mut dyn FnMut(Leg, &SegmentOut<'_>),
    ) {
        while self.carry(tap) {}
        self.settle(now, tap);
        for (leg, end) in [(Leg::Client, &mut self.client), (Leg::Server, &mut self.server)] {
            if !end.mute {
                end.tcp.poll(now, cutting, &mut |out| emit(leg, out));
            }
        }
    }

    /// One round of moving bytes; `false`: nothing moved.
    fn carry(&mut self, tap: &mut dyn Tap) -> bool {
        match &mut self.stage {
            Stage::Deciding => splice(&mut self.server.tcp, &mut self.client.tcp),
            Stage::Plain => {
                let up = splice(&mut self.client.tcp, &mut self.server.tcp);
                let down = splice(&mut self.server.tcp, &mut self.client.tcp);
                up || down
            }
            Stage::Tls(relay) => {
                let mut moved = false;
                if self.answering {
                    let (passed, answered) = pass_answers(&mut self.server.tcp, &mut self.client.tcp);
                    moved |= passed > 0 || answered;
                    self.answering = !answered;
                }
                for (leg, end) in [(Leg::Client, &mut self.client), (Leg::Server, &mut self.server)] {
                    if leg == Leg::Server && self.answering {
                        continue;
                    }
                    let [readable, _] = end.tcp.readable();
                    if !readable.is_empty() {
                        let taken = relay.receive(leg, readable, tap);
                        end.tcp.consume(taken);
                        moved |= taken > 0;
                    }
                }
                for (leg, end) in [(Leg::Client, &mut self.client), (Leg::Server, &mut self.server)] {
                    let outgoing = relay.outgoing(leg);
                    if !outgoing.is_empty() {
                        let written = end.tcp.write(outgoing);
                        relay.sent(leg, written);
                        moved |= written > 0;
                    }
                }
                moved
            }
            Stage::Ending => false,
        }
    }

    /// Passes on what ends a connection.
    fn settle(&mut self, now: Timestamp, tap: &mut dyn Tap) {
        if let Some(limit) = self.limit
            && now >= limit
        {
            self.run_out();
        }
        for leg in [Leg::Client, Leg::Server] {
            self.pass_on_end(now, leg, tap);
        }
        if let Stage::Tls(relay) = &self.stage {
            for (leg, end) in [(Leg::Client, &mut self.client), (Leg::Server, &mut self.server)] {
                if relay.wants_finish(leg) && relay.outgoing(leg).is_empty() {
                    end.tcp.finish();
                }
            }
            match relay.state().clone() {
                State::Handshaking => {}
                State::Open => self.limit = None,
                State::Failed(failure) => {
                    let resets = matches!(
                        failure.class,
                        FailureClass::ResetByClient | FailureClass::ResetByServer
                    );
                    for (leg, end) in [(Leg::Client, &mut self.client), (Leg::Server, &mut self.server)] {
                        let outgoing = relay.outgoing(leg);
                        if outgoing.is_empty() && resets {
                            end.tcp.reset();
                        } else {
                            end.tcp.write(outgoing);
                            end.tcp.finish();
                        }
                    }
                    self.end(now, Ending::Failed(failure));
                }
                State::Closed => self.end_when_quiet(now),
            }
        }
        if matches!(self.stage, Stage::Plain | Stage::Deciding) {
            self.end_when_quiet(now);
        }
    }

    fn pass_on_end(&mut self, now: Timestamp, leg: Leg, tap: &mut dyn Tap) {
        let (end, other) = match leg {
            Leg::Client => (&mut self.client, &mut self.server),
            Leg::Server => (&mut self.server, &mut self.client),
        };
        if end.tcp.gave_up() && !end.reset_told {
            end.reset_told = true;
            other.tcp.reset();
            self.end(now, Ending::Silent(leg));
            return;
        }
        if end.tcp.was_reset() && !end.reset_told {
            end.reset_told = true;
            if let Stage::Tls(relay) = &mut self.stage {
                relay.was_reset(leg);
            }
            let failed = match &self.stage {
                Stage::Tls(relay) => matches!(relay.state(), State::Failed(_)),
                Stage::Deciding | Stage::Plain | Stage::Ending => false,
            };
            if !failed {
                let other = match leg {
                    Leg::Client => &mut self.server,
                    Leg::Server => &mut self.client,
                };
                other.tcp.reset();
                self.end(now, Ending::Reset(leg));
            }
            return;
        }
        // What nobody has decided on is never read: a client that closes now will not say more.
        let finished = match self.stage {
            Stage::Deciding => end.tcp.peer_closing(),
            Stage::Plain | Stage::Tls(_) | Stage::Ending => end.tcp.peer_finished(),
        };
        if finished && !end.finish_told {
            end.finish_told = true;
            match &mut self.stage {
                Stage::Tls(relay) => {
                    relay.last_words(leg, tap);
                    relay.end_of_stream(leg);
                }
                Stage::Plain | Stage::Deciding | Stage::Ending => other.tcp.finish(),
            }
        }
    }

    fn end_when_quiet(&mut self, now: Timestamp) {
        if self.client.tcp.is_done() && self.server.tcp.is_done() {
            self.end(now, Ending::Finished);
        }
    }

    fn run_out(&mut self) {
        if matches!(self.stage, Stage::Ending) {
            self.client.tcp.reset();
            self.server.tcp.reset();
            self.limit = None;
            return;
        }
        match &mut self.stage {
            Stage::Tls(relay) => relay.timed_out(),
            Stage::Deciding | Stage::Plain | Stage::Ending => {}
        }
        self.limit = None;
    }

    fn end(&mut self, now: Timestamp, ending: Ending) {
        self.ending.get_or_insert(ending);
        if let Stage::Tls(relay) = &self.stage {
            self.facts = Some(relay.facts().clone());
        }
        self.stage = Stage::Ending;
        self.limit = Some(now.saturating_add(LINGER));
    }

    /// How it ended, as soon as that is clear; what was said before may still be on its way.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether nothing is left to be done for it.
    pub fn is_over(&self) -> bool {
        let quiet = |end: &End| end.mute || end.tcp.is_done() || end.tcp.was_reset() || end.tcp.gave_up();
        matches!(self.stage, Stage::Ending) && quiet(&self.client) && quiet(&self.server)
    }

    /// What is known of the TLS that was opened in it.
    pub fn facts(&self) -> Option<&Facts> {
        self.relay().map(Relay::facts).or(self.facts.as_ref())
    }

    fn relay(&self) -> Option<&Relay> {
        match &self.stage {
            Stage::Tls(relay) => Some(relay),
            Stage::Deciding | Stage::Plain | Stage::Ending => None,
        }
    }

    /// When [`Flow::turn`] is to be called though nothing came.
    pub fn deadline(&self) -> Option<Timestamp> {
        [self.client.tcp.deadline(), self.server.tcp.deadline(), self.limit]
            .into_iter()
            .flatten()
            .min()
    }

    /// Bytes it holds.
    pub fn memory(&self) -> usize {
        let relay = self.relay().map_or(0, Relay::memory);
        size_of::<Self>() + self.client.tcp.memory() + self.server.tcp.memory() + relay
    }

    fn end_mut(&mut self, leg: Leg) -> &mut End {
        match leg {
            Leg::Client => &mut self.client,
            Leg::Server => &mut self.server,
        }
    }
}

/// Moves what a server says before its TLS begins: how many bytes, and whether it has begun.
fn pass_answers(server: &mut Endpoint, client: &mut Endpoint) -> (usize, bool) {
    let [first, rest] = server.readable();
    let joined = if rest.is_empty() {
        Cow::Borrowed(first)
    } else {
        Cow::Owned([first, rest].concat())
    };
    let (length, begins) = before_tls(&joined);
    let closing = server.peer_closing() && !begins;
    let answers = joined.get(..length).filter(|_| !closing).unwrap_or(&joined);
    let written = client.write(answers);
    let all = written == answers.len();
    server.consume(written);
    (written, begins && all)
}

/// How many bytes stand before a server's first record of TLS, and whether it is there: a handshake that begins with
/// its hello, or an alert (RFC 8446 §5.1, §6).
fn before_tls(bytes: &[u8]) -> (usize, bool) {
    for (at, rest) in (0..bytes.len()).filter_map(|at| Some((at, bytes.get(at..)?))) {
        let header = rest.first_chunk::<6>().copied();
        match (header, rest) {
            (Some([22, 3, 0..=4, _, _, 2] | [21, 3, 0..=4, 0, 2, 1 | 2]), _) => return (at, true),
            (None, [21 | 22] | [21 | 22, 3] | [21 | 22, 3, 0..=4, ..]) => return (at, false),
            _ => {}
        }
    }
    (bytes.len(), false)
}

/// Moves bytes as they are; whether any moved.
fn splice(from: &mut Endpoint, to: &mut Endpoint) -> bool {
    let [readable, _] = from.readable();
    if readable.is_empty() {
        return false;
    }
    let written = to.write(readable);
    from.consume(written);
    written > 0
}

#[cfg(test)]
mod tests {
    use super::before_tls;

    #[test]
    fn answers_end_where_tls_begins() {
        let hello = b"\x16\x03\x03\x00\x7a\x02";
        let alert = b"\x15\x03\x01\x00\x02\x02\x28";
        for answer in [
            &b""[..],
            b"220 go\r\n",
            b"S",
            b"\x05\0\0\x01\x15\x16\x03\x01\x01\xbb",
        ] {
            for begins in [&hello[..], alert] {
                let said = [answer, begins].concat();
                assert_eq!(before_tls(&said), (answer.len(), true));
                for cut in 1..6 {
                    assert_eq!(before_tls(&said[..answer.len() + cut]), (answer.len(), false));
                }
            }
        }
        assert_eq!(before_tls(b"220 go\r\n"), (8, false));
        assert_eq!(before_tls(b"\x16\x04"), (2, false));
    }
}
