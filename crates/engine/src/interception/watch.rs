//! A TCP session whose client has not said yet what it wants.
//!
//! The handshake passes end to end, and what both ends say in it is noted: whoever takes a connection on in its
//! middle must go on as they began. The client's first bytes are withheld until they tell what they are.

use std::time::Duration;

use decrypt::tcp::{Limits, SegmentIn, SynOptions, Taking};
use packet::{Packet, Tcp, Timestamp, build::SegmentFrames};

use crate::session::Direction;

/// Segments that are held before the firewall acknowledges bytes itself: a sender puts ten on the wire before it
/// waits for an answer (RFC 6928).
const MAX_HELD: usize = 8;
/// Bytes that are held before the firewall acknowledges bytes itself.
const MAX_HELD_BYTES: usize = 24 * 1024;

/// The kind of the TCP option for data in a SYN (RFC 7413).
const FAST_OPEN: u8 = 34;
/// The kinds of experiments and how the one that became [`FAST_OPEN`] goes on (RFC 6994; RFC 7413 §4.1.1): Linux asks
/// so where the other way brought no cookie.
const EXPERIMENTS: [u8; 2] = [253, 254];
const EXPERIMENT: [u8; 2] = [0xF9, 0x89];

/// A frame that is held.
#[derive(Debug)]
pub(crate) struct Held {
    /// The whole frame.
    pub(crate) bytes: Box<[u8]>,
    /// How many frames brought it.
    pub(crate) frames: u64,
    seq: u32,
    payload: Box<[u8]>,
}

/// What one end has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    frames: Option<SegmentFrames>,
    syn: Option<SynOptions>,
    /// When its SYN came.
    at: Option<Timestamp>,
    /// Its latest window field.
    window: u16,
    /// That was in its SYN, where windows are not scaled (RFC 7323 §2.2).
    window_of_syn: bool,
    /// Its latest timestamp.
    timestamp: u32,
}

/// What is known of a connection before anybody has decided about it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    client: Said,
    server: Said,
    /// When the client's first packet after its SYN came.
    answered: Option<Timestamp>,
    held: Vec<Held>,
    held_bytes: usize,
    /// Where the withheld bytes begin.
    from: Option<u32>,
}

impl Watch {
    /// Notes what a packet shows of its sender.
    pub(crate) fn note(&mut self, now: Timestamp, packet: &Packet<'_>, tcp: &Tcp<'_>, direction: Direction) {
        let said = match direction {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        };
        said.frames = SegmentFrames::like(packet).or(said.frames);
        let options = SynOptions::parse(tcp.options);
        if tcp.flags.syn() {
            said.syn = Some(options);
            said.at = Some(now);
        } else if direction == Direction::ClientToServer && self.answered.is_none() {
            self.answered = Some(now);
        }
        said.window = tcp.window;
        said.window_of_syn = tcp.flags.syn();
        if let Some((value, _)) = options.timestamps {
            said.timestamp = value;
        }
    }

    /// Withholds a segment of the client whose first byte the server does not know is `from`. `false`: all of it is
    /// held already.
    pub(crate) fn hold(&mut self, from: u32, tcp: &Tcp<'_>, frame: Box<[u8]>, frames: u64) -> bool {
        self.from.get_or_insert(from);
        let known = |held: &Held| held.seq == tcp.seq && held.payload.len() >= tcp.payload.len();
        if self.held.iter().any(known) {
            return false;
        }
        self.held_bytes = self.held_bytes.saturating_add(tcp.payload.len());
        self.held.push(Held {
            bytes: frame,
            frames,
            seq: tcp.seq,
            payload: tcp.payload.into(),
        });
        true
    }

    /// The withheld bytes and those of the segment at hand, as far as they hang together from `from` on.
    pub(crate) fn flight(&self, from: u32, tcp: &Tcp<'_>) -> Vec<u8> {
        let from = self.from.unwrap_or(from);
        let mut flight = Vec::with_capacity(self.held_bytes.saturating_add(tcp.payload.len()));
        let held = self.held.iter().map(|held| (held.seq, &*held.payload));
        let segments = held.chain([(tcp.seq, tcp.payload)]);
        // Few segments: going round as often as there are any joins them in whatever order they came.
        loop {
            let before = flight.len();
            for (seq, payload) in segments.clone() {
                let at = from.wrapping_add(u32::try_from(flight.len()).unwrap_or(u32::MAX));
                let known = at.wrapping_sub(seq);
                if known < 0x8000_0000
                    && let Some(fresh) = payload.get(known as usize..)
                {
                    flight.extend_from_slice(fresh);
                }
            }
            if flight.len() == before {
                return flight;
            }
        }
    }

    /// Whether something is held.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether so much is held that the client would wait for an answer.
    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= MAX_HELD || self.held_bytes >= MAX_HELD_BYTES
    }

    /// Takes out what is held, in the order it came.
    pub(crate) fn take_held(&mut self) -> Vec<Held> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// The most bytes a segment to the server may carry, its options counted off.
    pub(crate) fn segment_size(&self) -> u16 {
        let syn = self.server.syn.unwrap_or_default();
        // RFC 9293 §3.7.1: whoever offers none takes 536; timestamps and their padding are 12 bytes of it.
        let stamps = if syn.timestamps.is_some() { 12 } else { 0 };
        syn.mss.unwrap_or(536).max(88).saturating_sub(stamps)
    }

    /// How many frames are held.
    pub(crate) fn held_frames(&self) -> u64 {
        self.held.iter().map(|held| held.frames).sum()
    }

    /// What taking the connection on needs to know for the ends towards client and server. `client_next`: the client's
    /// first byte, where nothing is held; `server_next`: the byte of the server that the client expects next. `None` where the handshake was not seen whole.
    pub(crate) fn takings(&self, client_next: u32, server_next: u32, limits: Limits) -> Option<Takings> {
        let (client_syn, server_syn) = (self.client.syn?, self.server.syn?);
        let frames = [self.client.frames?, self.server.frames?];
        let client_next = self.from.unwrap_or(client_next);
        let ipv6 = frames[0].is_ipv6();
        // Scales hold only where both SYNs carried one (RFC 7323 §2.2).
        let scaled = client_syn.window_scale.is_some() && server_syn.window_scale.is_some();
        let window = |said: &Said, syn: SynOptions| {
            let scale = if scaled && !said.window_of_syn {
                syn.window_scale.unwrap_or(0).min(14)
            } else {
                0
            };
            u32::from(said.window) << scale
        };
        let (client_window, server_window) =
            (window(&self.client, client_syn), window(&self.server, server_syn));
        Some(Takings {
            client: Taking {
                our_next: server_next,
                peer_next: client_next,
                our_syn: server_syn,
                peer_syn: client_syn,
                peer_window: client_window,
                our_window: server_window,
                our_last_ts: self.server.timestamp,
                peer_last_ts: self.client.timestamp,
                ipv6,
                rtt: between(self.server.at, self.answered),
                limits,
            },
            server: Taking {
                our_next: client_next,
                peer_next: server_next,
                our_syn: client_syn,
                peer_syn: server_syn,
                peer_window: server_window,
                our_window: client_window,
                our_last_ts: self.client.timestamp,
                peer_last_ts: self.server.timestamp,
                ipv6,
                rtt: between(self.client.at, self.server.at),
                limits,
            },
            frames,
        })
    }
}

fn between(earlier: Option<Timestamp>, later: Option<Timestamp>) -> Option<Duration> {
    Some(later?.saturating_since(earlier?))
}

/// Both ends of a connection that is taken on.
pub(crate) struct Takings {
    pub(crate) client: Taking,
    pub(crate) server: Taking,
    /// As the client's and the server's own look.
    pub(crate) frames: [SegmentFrames; 2],
}

impl Held {
    /// The segment, as an endpoint takes it.
    pub(crate) fn segment<'a>(tcp: &Tcp<'a>) -> SegmentIn<'a> {
        SegmentIn {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            window: tcp.window,
            options: tcp.options,
            payload: tcp.payload,
        }
    }
}

/// The options of a SYN without the one that asks for data in it; `None` where it has none.
pub(crate) fn without_fast_open(options: &[u8]) -> Option<Vec<u8>> {
    const NOTHING: u8 = 1;
    let mut stripped = options.to_vec();
    let mut at = 0;
    let mut found = false;
    while let Some(&kind) = options.get(at) {
        let length = match (kind, options.get(at + 1)) {
            (0, _) => break,
            (NOTHING, _) => 1,
            (_, Some(&length)) if length >= 2 => usize::from(length),
            _ => break,
        };
        let experiment = EXPERIMENTS.contains(&kind) && options.get(at + 2..at + 4) == Some(&EXPERIMENT[..]);
        if (kind == FAST_OPEN || experiment)
            && let Some(option) = stripped.get_mut(at..at + length)
        {
            option.fill(NOTHING);
            found = true;
        }
        at += length;
    }
    found.then_some(stripped)
}

#[cfg(test)]
mod tests {
    use packet::TcpFlags;
    use proptest::prelude::*;

    use super::*;

    fn segment(seq: u32, payload: &[u8]) -> Tcp<'_> {
        Tcp {
            sport: 1,
            dport: 2,
            seq,
            ack: 0,
            flags: TcpFlags::ACK,
            window: 0,
            window_scale: None,
            mss: None,
            options: &[],
            payload,
            payload_len: u32::try_from(payload.len()).unwrap(),
        }
    }

    #[test]
    fn only_the_option_for_early_data_is_taken_out() {
        let options = [2, 4, 5, 180, 34, 2, 1, 3, 3, 7];
        assert_eq!(
            without_fast_open(&options).unwrap(),
            [2, 4, 5, 180, 1, 1, 1, 3, 3, 7]
        );
        assert_eq!(without_fast_open(&[2, 4, 5, 180]), None);
        let experiment = [2, 4, 5, 180, 254, 4, 0xF9, 0x89, 3, 3, 7];
        assert_eq!(
            without_fast_open(&experiment).unwrap(),
            [2, 4, 5, 180, 1, 1, 1, 1, 3, 3, 7]
        );
        // Another experiment.
        assert_eq!(without_fast_open(&[254, 4, 0xF9, 0x88]), None);
        // Lies about lengths end the search.
        assert_eq!(without_fast_open(&[3, 0, 34, 2]), None);
        assert_eq!(without_fast_open(&[34, 40]), None);
    }

    proptest! {
        #[test]
        fn withheld_bytes_hang_together_in_whatever_order_they_came(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            cuts in prop::collection::vec((0_usize..200, 1_usize..60), 0..12),
            start in any::<u32>(),
        ) {
            let mut watch = Watch::default();
            let mut arrived = vec![false; bytes.len()];
            let nothing = segment(start.wrapping_sub(1), &[]);
            for (at, len) in cuts {
                let at = at.min(bytes.len() - 1);
                let end = (at + len).min(bytes.len());
                let seq = start.wrapping_add(u32::try_from(at).unwrap());
                watch.hold(start, &segment(seq, &bytes[at..end]), Box::default(), 1);
                arrived[at..end].fill(true);
            }
            let known = arrived.iter().take_while(|here| **here).count();
            prop_assert_eq!(watch.flight(start, &nothing), &bytes[..known]);
        }
    }
}
