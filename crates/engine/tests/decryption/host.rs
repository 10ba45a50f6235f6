//! A host: one end of one connection, TLS over a TCP of its own.

use std::{
    io::{Read, Write},
    time::Duration,
};

use decrypt::tcp::{Cutting, Endpoint, Limits, SegmentIn, SynOptions, Taking};
use packet::{
    Tcp, TcpFlags, Timestamp,
    build::{Ends, Segment, ethernet_tcp_with_options},
};
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

const WINDOW: u16 = 64_000;
/// The first time a SYN or SYN-ACK is sent again.
const SYN_AGAIN: Duration = Duration::from_secs(1);
/// A maximum segment size of 1,460, SACK, timestamps from 1,000 on, windows in units of 128.
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 3, 0xe8, 0, 0, 0, 0, 1, 3, 3, 7];

#[derive(Debug)]
enum Stage {
    /// A server that waits, or an end that is gone: it answers nothing.
    Quiet,
    /// A SYN, or a SYN-ACK, was sent.
    Opening {
        again: Timestamp,
        tries: u32,
    },
    Open(Box<Endpoint>),
}

/// What is spoken over TCP.
#[derive(Debug)]
pub(crate) enum Speech {
    Client(Box<ClientConnection>),
    Server(Box<ServerConnection>),
    /// Bytes as they are.
    Plain,
}

/// One end of one connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one end")]
pub(crate) struct Host {
    /// From here to the other end.
    pub(crate) ends: Ends,
    is_client: bool,
    isn: u32,
    stage: Stage,
    /// It does not wait for anybody.
    gone: bool,
    peer: Option<(u32, SynOptions)>,
    speech: Speech,
    /// What is still to be written to TCP.
    outgoing: Vec<u8>,
    /// Said once the other end was heard.
    pub(crate) reply: Vec<u8>,
    /// Ends its direction as soon as everything is said.
    closing: bool,
    /// Reads nothing more: rustls wants no errors after its `close_notify` (a debug assertion).
    pub(crate) deaf: bool,
    /// What the other end said.
    pub(crate) heard: Vec<u8>,
    /// What TLS failed by.
    pub(crate) failed: Option<rustls::Error>,
}

impl Host {
    pub(crate) fn new(ends: Ends, is_client: bool, isn: u32, speech: Speech) -> Self {
        Self {
            ends,
            is_client,
            isn,
            stage: Stage::Quiet,
            gone: false,
            peer: None,
            speech,
            outgoing: Vec::new(),
            reply: Vec::new(),
            closing: false,
            deaf: false,
            heard: Vec::new(),
            failed: None,
        }
    }

    /// Has a client send its SYN.
    pub(crate) fn open(&mut self, now: Timestamp) -> Vec<u8> {
        self.stage = Stage::Opening {
            again: now.saturating_add(SYN_AGAIN),
            tries: 5,
        };
        self.syn()
    }

    fn syn(&self) -> Vec<u8> {
        let (flags, ack) = match self.peer {
            Some((next, _)) => (TcpFlags::SYN | TcpFlags::ACK, next),
            None => (TcpFlags::SYN, 0),
        };
        let segment = Segment {
            seq: self.isn,
            ack,
            flags,
            window: WINDOW,
            payload: &[],
        };
        ethernet_tcp_with_options(&self.ends, &segment, &SYN_OPTIONS)
    }

    pub(crate) fn say(&mut self, text: &[u8]) {
        let said = match &mut self.speech {
            Speech::Client(tls) => tls.writer().write_all(text),
            Speech::Server(tls) => tls.writer().write_all(text),
            Speech::Plain => self.outgoing.write_all(text),
        };
        assert!(said.is_ok() || self.failed.is_some(), "{said:?}");
    }

    /// From here on this is spoken.
    pub(crate) fn go_over_to(&mut self, speech: Speech) {
        self.speech = speech;
        self.heard.clear();
    }

    /// Says that nothing more will be said, in TLS and in TCP.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.deaf = !matches!(self.speech, Speech::Plain);
        match &mut self.speech {
            Speech::Client(tls) if !tls.is_handshaking() => tls.send_close_notify(),
            Speech::Server(tls) if !tls.is_handshaking() => tls.send_close_notify(),
            Speech::Client(_) | Speech::Server(_) | Speech::Plain => {}
        }
    }

    /// Ends TCP in order, and TLS without a word.
    pub(crate) fn close_unsaid(&mut self) {
        self.closing = true;
    }

    pub(crate) fn reset(&mut self) {
        match &mut self.stage {
            Stage::Open(tcp) => tcp.reset(),
            // Nothing stands yet: what comes is not answered.
            Stage::Opening { .. } | Stage::Quiet => self.vanish(),
        }
    }

    /// From now on it does nothing more, as a host whose cable was pulled.
    pub(crate) fn vanish(&mut self) {
        self.stage = Stage::Quiet;
        self.gone = true;
    }

    /// Whether the other end reset the connection.
    pub(crate) fn was_reset(&self) -> bool {
        matches!(&self.stage, Stage::Open(tcp) if tcp.was_reset())
    }

    /// Whether the other end has closed its direction of TCP.
    pub(crate) fn saw_the_end(&self) -> bool {
        matches!(&self.stage, Stage::Open(tcp) if tcp.peer_finished())
    }

    /// Whether nothing more will come or go.
    pub(crate) fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Quiet => true,
            Stage::Opening { .. } => false,
            Stage::Open(tcp) => tcp.is_done() || tcp.was_reset() || tcp.gave_up(),
        }
    }

    /// The certificates that the other end has shown.
    pub(crate) fn shown(&self) -> Option<&[rustls::pki_types::CertificateDer<'static>]> {
        match &self.speech {
            Speech::Client(tls) => tls.peer_certificates(),
            Speech::Server(tls) => tls.peer_certificates(),
            Speech::Plain => None,
        }
    }

    /// Takes a segment; answers go to `out`.
    pub(crate) fn receive(&mut self, now: Timestamp, tcp: &Tcp<'_>, out: &mut Vec<Vec<u8>>) {
        let segment = SegmentIn {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            options: tcp.options,
            payload: tcp.payload,
        };
        match &mut self.stage {
            Stage::Open(end) => {
                end.receive(now, &segment);
            }
            Stage::Quiet if !self.is_client && !self.gone && tcp.flags.syn() && self.peer.is_none() => {
                self.peer = Some((tcp.seq.wrapping_add(1), SynOptions::parse(tcp.options)));
                out.push(self.open(now));
            }
            Stage::Opening { .. } if tcp.flags.rst() => self.stage = Stage::Quiet,
            Stage::Opening { .. } if self.is_client && tcp.flags.syn() && tcp.flags.ack() => {
                self.peer = Some((tcp.seq.wrapping_add(1), SynOptions::parse(tcp.options)));
                self.stage = Stage::Open(Box::new(self.endpoint(now, u32::from(tcp.window))));
                let segment = Segment {
                    seq: self.isn.wrapping_add(1),
                    ack: tcp.seq.wrapping_add(1),
                    flags: TcpFlags::ACK,
                    window: WINDOW >> 7,
                    payload: &[],
                };
                let stamps = [1, 1, 8, 10, 0, 0, 3, 0xe8, 0, 0, 3, 0xe8];
                out.push(ethernet_tcp_with_options(&self.ends, &segment, &stamps));
            }
            Stage::Opening { .. } if !self.is_client && tcp.flags.syn() => out.push(self.syn()),
            Stage::Opening { .. } if !self.is_client && tcp.ack == self.isn.wrapping_add(1) => {
                let mut end = self.endpoint(now, u32::from(tcp.window) << 7);
                end.receive(now, &segment);
                self.stage = Stage::Open(Box::new(end));
            }
            Stage::Quiet | Stage::Opening { .. } => {}
        }
    }

    fn endpoint(&self, now: Timestamp, peer_window: u32) -> Endpoint {
        let (peer_next, peer_syn) = self.peer.unwrap();
        Endpoint::adopt(
            now,
            Taking {
                our_next: self.isn.wrapping_add(1),
                peer_next,
                our_syn: SynOptions::parse(&SYN_OPTIONS),
                peer_syn,
                peer_window,
                our_last_ts: 1000,
                peer_last_ts: peer_syn.timestamps.map_or(0, |(value, _)| value),
                our_window: u32::from(WINDOW),
                ipv6: self.ends.src.is_ipv6(),
                rtt: None,
                limits: Limits::default(),
            },
        )
    }

    /// Does what can be done; frames go to `out`.
    pub(crate) fn turn(&mut self, now: Timestamp, out: &mut Vec<Vec<u8>>) {
        if let Stage::Opening { again, tries } = &mut self.stage
            && now >= *again
        {
            *again = now.saturating_add(SYN_AGAIN);
            *tries -= 1;
            if *tries == 0 {
                self.stage = Stage::Quiet;
                return;
            }
            out.push(self.syn());
        }
        let Stage::Open(tcp) = &mut self.stage else {
            return;
        };
        loop {
            let [readable, _] = tcp.readable();
            if readable.is_empty() {
                break;
            }
            let count = readable.len();
            if self.failed.is_none() && !self.deaf {
                let result = match &mut self.speech {
                    Speech::Client(tls) => listen(tls, readable, &mut self.heard),
                    Speech::Server(tls) => listen(tls, readable, &mut self.heard),
                    Speech::Plain => {
                        self.heard.extend_from_slice(readable);
                        Ok(())
                    }
                };
                self.failed = result.err();
            }
            tcp.consume(count);
        }
        self.closing |= self.failed.is_some() || tcp.peer_finished();
        if !self.heard.is_empty() && !self.reply.is_empty() {
            let reply = std::mem::take(&mut self.reply);
            let said = match &mut self.speech {
                Speech::Client(tls) => tls.writer().write_all(&reply),
                Speech::Server(tls) => tls.writer().write_all(&reply),
                Speech::Plain => self.outgoing.write_all(&reply),
            };
            assert!(said.is_ok() || self.failed.is_some(), "{said:?}");
        }
        match &mut self.speech {
            Speech::Client(tls) => speak(tls, &mut self.outgoing),
            Speech::Server(tls) => speak(tls, &mut self.outgoing),
            Speech::Plain => {}
        }
        let written = tcp.write(&self.outgoing);
        self.outgoing.drain(..written);
        if self.closing && self.outgoing.is_empty() {
            tcp.finish();
        }
        let ends = self.ends;
        tcp.poll(now, Cutting::Mss, &mut |segment| {
            let payload = segment.payload.concat();
            let written = Segment {
                seq: segment.seq,
                ack: segment.ack,
                flags: segment.flags,
                window: segment.window,
                payload: &payload,
            };
            out.push(ethernet_tcp_with_options(&ends, &written, segment.options));
        });
    }

    /// When [`Host::turn`] is wanted though nothing came.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Quiet => None,
            Stage::Opening { again, .. } => Some(*again),
            Stage::Open(tcp) => tcp.deadline(),
        }
    }
}

fn listen<D: SideData>(
    tls: &mut ConnectionCommon<D>,
    mut bytes: &[u8],
    heard: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        if tls.read_tls(&mut bytes).unwrap_or(0) == 0 {
            break;
        }
        let done = tls.process_new_packets();
        // What is not there yet is no fault.
        let _more_to_come = tls.reader().read_to_end(heard);
        done?;
    }
    Ok(())
}

fn speak<D: SideData>(tls: &mut ConnectionCommon<D>, outgoing: &mut Vec<u8>) {
    while tls.wants_write() {
        tls.write_tls(outgoing).unwrap();
    }
}
