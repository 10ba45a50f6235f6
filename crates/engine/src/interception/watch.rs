//! A TCP session in which TLS may begin: what both ends have said so far, and what is withheld.
//!
//! The handshake passes end to end, and what both ends say in it is noted: whoever takes a connection on in its
//! middle must go on as they began. Bytes of the client with which TLS may begin are withheld until they tell.

use std::{net::IpAddr, time::Duration};

use decrypt::tcp::{Limits, SegmentIn, SynOptions, Taking};
use inspect::{AskedHost, UpgradeWatch};
use packet::{Packet, Tcp, TcpFlags, Timestamp, build::SegmentFrames};

use crate::session::{Direction, after};

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
/// How nearly every sender lays out its timestamps: two bytes of padding, kind and length (RFC 7323, appendix A).
const STAMPS: [u8; 4] = [1, 1, 8, 10];

/// A frame that is held.
#[derive(Debug)]
pub(crate) struct Held {
    /// The whole frame.
    pub(crate) bytes: Box<[u8]>,
    /// How many frames brought it.
    pub(crate) frames: u64,
    /// Where its bytes begin that are held; those before went on.
    pub(crate) seq: u32,
    payload: Box<[u8]>,
}

/// What one end has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    frames: Option<SegmentFrames>,
    syn: Option<SynOptions>,
    /// When its SYN came.
    at: Option<Timestamp>,
    /// Its highest acknowledgment, and the window that came with it.
    acked: Option<u32>,
    window: u16,
    /// That was in its SYN, where windows are not scaled (RFC 7323 §2.2).
    window_of_syn: bool,
    /// Its latest timestamp.
    timestamp: u32,
    /// The latest that its peer has seen: what is held is older than what comes behind it.
    recent: u32,
    /// One past the last byte that went on from it.
    end: Option<u32>,
}

/// What is known of a connection that nobody has decided about.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    client: Said,
    server: Said,
    /// When the client's first packet after its SYN came.
    answered: Option<Timestamp>,
    held: Vec<Held>,
    held_bytes: usize,
    pub(super) upgrade: UpgradeWatch,
    /// The client has said something that was not TLS.
    pub(super) spoken: bool,
}

impl Watch {
    /// Notes what a packet shows of its sender.
    pub(super) fn note(&mut self, now: Timestamp, packet: &Packet<'_>, tcp: &Tcp<'_>, direction: Direction) {
        let answers = direction == Direction::ClientToServer && !tcp.flags.syn();
        if answers && self.answered.is_none() {
            self.answered = Some(now);
        }
        // Where plaintext is spoken, frames are looked at only where TLS could begin.
        let looks = !self.spoken || !tcp.payload.is_empty() && self.upgrade.is_clients_turn();
        let said = match direction {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        };
        if looks {
            said.frames = SegmentFrames::like(packet).or(said.frames);
        }
        if tcp.flags.syn() && said.syn.is_none() {
            said.syn = Some(SynOptions::parse(tcp.options));
            said.at = Some(now);
            said.end = Some(tcp.seq.wrapping_add(1));
        }
        if !tcp.flags.ack() || said.acked.is_none_or(|acked| !after(acked, tcp.ack)) {
            said.acked = tcp.flags.ack().then_some(tcp.ack).or(said.acked);
            said.window = tcp.window;
            said.window_of_syn = tcp.flags.syn();
        }
        if let Some(value) = timestamp(tcp.options) {
            said.timestamp = value;
            if direction == Direction::ServerToClient || tcp.payload.is_empty() && self.held.is_empty() {
                said.recent = value;
            }
        }
    }

    /// The client's first byte that has not gone on; `None` before its SYN.
    pub(super) fn next(&self) -> Option<u32> {
        self.client.end
    }

    /// The client's bytes before this one go on.
    pub(super) fn goes_on_to(&mut self, next: u32) {
        self.client.end = Some(next);
    }

    /// The server's bytes of this segment go on. Returns what was new of its data, and whether others are missing
    /// before it.
    pub(super) fn server_goes_on<'p>(&mut self, tcp: &Tcp<'p>) -> (&'p [u8], bool) {
        let first = tcp.seq.wrapping_add(u32::from(tcp.flags.syn()));
        let end = first
            .wrapping_add(tcp.payload_len)
            .wrapping_add(u32::from(tcp.flags.fin()));
        let known = self.server.end.unwrap_or(first);
        if !after(end, known) {
            return (&[], false);
        }
        self.server.end = Some(end);
        let ahead = after(first, known);
        let old = if ahead {
            0
        } else {
            known.wrapping_sub(first) as usize
        };
        (tcp.payload.get(old..).unwrap_or_default(), ahead)
    }

    /// The first bytes of client and server that have not gone on.
    pub(crate) fn nexts(&self) -> Option<[u32; 2]> {
        Some([self.client.end?, self.server.end?])
    }

    /// Whether both ends were heard to open the connection.
    pub(super) fn has_handshake(&self) -> bool {
        self.client.syn.is_some() && self.server.syn.is_some()
    }

    /// Whether either end has acknowledged all that went on from the other: then nothing is under way that only one
    /// of them could send again.
    pub(super) fn is_quiet(&self) -> bool {
        self.server.acked == self.client.end && self.client.acked == self.server.end
    }

    /// Withholds what a segment of the client brings that has not gone on. `false`: all of it is held already.
    pub(crate) fn hold(&mut self, tcp: &Tcp<'_>, frame: Box<[u8]>, frames: u64) -> bool {
        if self.holds(tcp) {
            return false;
        }
        let fresh = behind(tcp, self.client.end.unwrap_or(tcp.seq));
        self.held_bytes = self.held_bytes.saturating_add(fresh.payload.len());
        self.held.push(Held {
            bytes: frame,
            frames,
            seq: fresh.seq,
            payload: fresh.payload.into(),
        });
        true
    }

    /// Whether all that a segment of the client brings is held already.
    pub(super) fn holds(&self, tcp: &Tcp<'_>) -> bool {
        let fresh = behind(tcp, self.client.end.unwrap_or(tcp.seq));
        let known = |held: &Held| held.seq == fresh.seq && held.payload.len() >= fresh.payload.len();
        self.held.iter().any(known)
    }

    /// The withheld bytes and those of the segment at hand, as far as they hang together from the first that has not
    /// gone on.
    pub(crate) fn flight(&self, tcp: Option<&Tcp<'_>>) -> Vec<u8> {
        let Some(from) = self.client.end else {
            return Vec::new();
        };
        let at_hand = tcp.map(|tcp| (tcp.seq, tcp.payload));
        let fresh = at_hand.map_or(0, |(_, payload)| payload.len());
        let mut flight = Vec::with_capacity(self.held_bytes.saturating_add(fresh));
        let held = self.held.iter().map(|held| (held.seq, &*held.payload));
        let segments = held.chain(at_hand);
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
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= MAX_HELD || self.held_bytes >= MAX_HELD_BYTES
    }

    /// Takes out what is held, in the order it came. It goes on.
    pub(crate) fn take_held(&mut self) -> Vec<Held> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// One past the last byte that is held.
    pub(super) fn held_end(&self) -> Option<u32> {
        let ends = self.held.iter().map(|held| {
            held.seq
                .wrapping_add(u32::try_from(held.payload.len()).unwrap_or(u32::MAX))
        });
        ends.reduce(|latest, end| if after(end, latest) { end } else { latest })
    }

    /// Whether the client has said something in the clear: what the server answers to it may still be under way.
    pub(crate) fn has_plaintext(&self) -> bool {
        self.spoken
    }

    /// The host that the client asked a proxy for.
    pub(crate) fn asked(&self) -> Option<AskedHost> {
        self.upgrade.asked()
    }

    /// Its address, where it was asked for by that.
    pub(crate) fn asked_address(&self) -> Option<IpAddr> {
        match self.asked() {
            Some(AskedHost::Address(address)) => Some(address),
            Some(AskedHost::Name(_)) | None => None,
        }
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

    /// What taking the connection on needs to know for the ends towards client and server. `None` where the handshake
    /// was not seen whole.
    pub(crate) fn takings(&self, limits: Limits) -> Option<Takings> {
        let (client_syn, server_syn) = (self.client.syn?, self.server.syn?);
        let frames = [self.client.frames?, self.server.frames?];
        let client_next = self.client.end?;
        let server_next = self.client.acked?;
        let ipv6 = frames[0].is_ipv6();
        // Scales hold only where both SYNs carried one (RFC 7323 §2.2).
        let scaled = client_syn.window_scale.is_some() && server_syn.window_scale.is_some();
        // What is left of a window, at a number that may be ahead of what its sender has acknowledged.
        let window = |said: &Said, syn: SynOptions, next: u32| {
            let scale = if scaled && !said.window_of_syn {
                syn.window_scale.unwrap_or(0).min(14)
            } else {
                0
            };
            let ahead = next.wrapping_sub(said.acked.unwrap_or(next));
            (u32::from(said.window) << scale).saturating_sub(ahead)
        };
        let client_window = window(&self.client, client_syn, server_next);
        let server_window = window(&self.server, server_syn, client_next);
        Some(Takings {
            client: Taking {
                our_next: server_next,
                peer_next: client_next,
                our_syn: server_syn,
                peer_syn: client_syn,
                peer_window: client_window,
                our_window: server_window,
                our_last_ts: self.server.timestamp,
                peer_last_ts: self.client.recent,
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
                peer_last_ts: self.server.recent,
                ipv6,
                rtt: between(self.client.at, self.server.at),
                limits,
            },
            frames,
        })
    }
}

/// A segment without the bytes before `next`.
pub(crate) fn behind<'p>(tcp: &Tcp<'p>, next: u32) -> Tcp<'p> {
    let known = next.wrapping_sub(tcp.seq);
    match tcp.payload.get(known as usize..) {
        Some(payload) if known > 0 => Tcp {
            seq: next,
            payload,
            payload_len: tcp.payload_len.saturating_sub(known),
            ..*tcp
        },
        _ => *tcp,
    }
}

/// The first `length` bytes of a segment, by themselves.
pub(crate) fn front<'p>(tcp: &Tcp<'p>, length: usize) -> Tcp<'p> {
    let payload = tcp.payload.get(..length).unwrap_or(tcp.payload);
    Tcp {
        payload,
        payload_len: u32::try_from(payload.len()).unwrap_or(tcp.payload_len),
        flags: TcpFlags(tcp.flags.0 & !TcpFlags::FIN.0),
        ..*tcp
    }
}

fn timestamp(options: &[u8]) -> Option<u32> {
    if let Some((rest, value)) = options
        .first_chunk::<8>()
        .and_then(|first| first.split_first_chunk())
        && *rest == STAMPS
    {
        return Some(u32::from_be_bytes(*value.first_chunk()?));
    }
    SynOptions::parse(options).timestamps.map(|(value, _)| value)
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
            watch.goes_on_to(start);
            let mut arrived = vec![false; bytes.len()];
            for (at, len) in cuts {
                let at = at.min(bytes.len() - 1);
                let end = (at + len).min(bytes.len());
                let seq = start.wrapping_add(u32::try_from(at).unwrap());
                watch.hold(&segment(seq, &bytes[at..end]), Box::default(), 1);
                arrived[at..end].fill(true);
            }
            let known = arrived.iter().take_while(|here| **here).count();
            prop_assert_eq!(watch.flight(None), &bytes[..known]);
        }
    }
}
