//! Two endpoints and a path between them, in virtual time.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the simulation counts small numbers"
)]

use std::{collections::BTreeMap, time::Duration};

use packet::{TcpFlags, Timestamp};

use super::{Cutting, Endpoint, Limits, SegmentIn, SegmentOut, SynOptions, Taking};

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A generator of its own, so that a failure comes again (xorshift64*).
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// True in so many of a million cases.
    pub(super) fn happens(&mut self, per_million: u32) -> bool {
        ((self.next() >> 32) * 1_000_000) >> 32 < u64::from(per_million)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) delay: Duration,
    /// Bits per second; zero for no limit.
    pub(super) rate: u64,
    /// Bytes that may wait for the rate.
    pub(super) queue: u64,
    /// Per million.
    pub(super) loss: u32,
    pub(super) duplication: u32,
    /// Segments that overtake what is under way, as netem's `reorder` has it.
    pub(super) overtaking: u32,
    /// Larger segments vanish.
    pub(super) largest: usize,
}

impl Path {
    pub(super) const GOOD: Self = Self {
        delay: ms(10),
        rate: 0,
        queue: 1 << 20,
        loss: 0,
        duplication: 0,
        overtaking: 0,
        largest: usize::MAX,
    };
}

#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) options: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Owned {
    pub(super) fn new(out: &SegmentOut<'_>) -> Self {
        Self {
            seq: out.seq,
            ack: out.ack,
            flags: out.flags,
            window: out.window,
            options: out.options.to_vec(),
            payload: out.payload.concat(),
        }
    }

    pub(super) fn as_in(&self) -> SegmentIn<'_> {
        SegmentIn {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            options: &self.options,
            payload: &self.payload,
        }
    }
}

/// Both SYNs alike, as Linux sends them; `offers` takes options away.
pub(super) fn syn(offers: fn(&mut SynOptions)) -> SynOptions {
    let mut syn = SynOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some((1, 1)),
    };
    offers(&mut syn);
    syn
}

pub(super) fn taking(our_next: u32, peer_next: u32, options: SynOptions) -> Taking {
    Taking {
        our_next,
        peer_next,
        our_syn: options,
        peer_syn: options,
        peer_window: 64_000,
        our_last_ts: 1000,
        peer_last_ts: 1000,
        our_window: 64_000,
        ipv6: false,
        rtt: None,
        limits: Limits::default(),
    }
}

/// The byte at a place of the stream that `side` sends.
pub(super) fn byte(side: usize, place: u64) -> u8 {
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 ^ side as u8
}

pub(super) struct Simulation {
    pub(super) ends: [Endpoint; 2],
    pub(super) paths: [Path; 2],
    pub(super) now: Timestamp,
    random: Random,
    free_at: [Timestamp; 2],
    under_way: BTreeMap<(Timestamp, u64), (usize, Owned)>,
    sent: u64,
    pub(super) to_write: [u64; 2],
    pub(super) written: [u64; 2],
    pub(super) read: [u64; 2],
    /// When the application reads again, and how much at most at a time.
    pub(super) reads: [usize; 2],
    last_read: [Timestamp; 2],
    /// The longest time in which nothing was read although something was to come.
    pub(super) stall: [Duration; 2],
    pub(super) finishing: bool,
    pub(super) mode: Cutting,
}

impl Simulation {
    pub(super) fn new(seed: u64, path: Path, options: SynOptions) -> Self {
        let now = Timestamp::from_secs(1_000_000);
        let (a, b) = (u32::MAX - 70_000, 12_345);
        Self {
            ends: [
                Endpoint::adopt(now, taking(a, b, options)),
                Endpoint::adopt(now, taking(b, a, options)),
            ],
            paths: [path; 2],
            now,
            random: Random(seed | 1),
            free_at: [now; 2],
            under_way: BTreeMap::new(),
            sent: 0,
            to_write: [0; 2],
            written: [0; 2],
            read: [0; 2],
            reads: [usize::MAX; 2],
            last_read: [now; 2],
            stall: [Duration::ZERO; 2],
            finishing: true,
            mode: Cutting::Mss,
        }
    }

    fn carry(&mut self, from: usize, segment: &Owned) {
        let path = self.paths[from];
        let size = segment.payload.len() as u64 + 40 + segment.options.len() as u64;
        if self.random.happens(path.loss) || segment.payload.len() > path.largest {
            return;
        }
        let mut leaves = self.now;
        if path.rate > 0 {
            let backlog = self.free_at[from].saturating_since(self.now);
            let queued = backlog.as_nanos() as u64 / 8 * path.rate / 1_000_000_000;
            if queued > path.queue {
                return;
            }
            let takes = Duration::from_nanos(size * 8 * 1_000_000_000 / path.rate);
            leaves = self.free_at[from].max(self.now).saturating_add(takes);
            self.free_at[from] = leaves;
        }
        let delay = if self.random.happens(path.overtaking) {
            Duration::ZERO
        } else {
            path.delay
        };
        let arrives = leaves.saturating_add(delay);
        let copies = 1 + u64::from(self.random.happens(path.duplication));
        for _ in 0..copies {
            self.sent += 1;
            self.under_way
                .insert((arrives, self.sent), (1 - from, segment.clone()));
        }
    }

    fn application(&mut self, side: usize) {
        let end = &mut self.ends[side];
        while self.written[side] < self.to_write[side] {
            let some = (self.to_write[side] - self.written[side]).min(16_384);
            let bytes: Vec<u8> = (0..some).map(|at| byte(side, self.written[side] + at)).collect();
            let taken = end.write(&bytes);
            self.written[side] += taken as u64;
            if taken < bytes.len() {
                break;
            }
        }
        if self.finishing && self.written[side] == self.to_write[side] {
            end.finish();
        }
        let mut left = self.reads[side];
        loop {
            let [first, _] = end.readable();
            let some = first.len().min(left);
            if some == 0 {
                break;
            }
            for (at, &found) in first[..some].iter().enumerate() {
                assert_eq!(found, byte(1 - side, self.read[side] + at as u64), "a wrong byte");
            }
            self.read[side] += some as u64;
            left -= some;
            end.consume(some);
            self.stall[side] = self.stall[side].max(self.now.saturating_since(self.last_read[side]));
            self.last_read[side] = self.now;
        }
    }

    fn poll(&mut self, side: usize) {
        self.application(side);
        let mut out = Vec::new();
        let (now, mode) = (self.now, self.mode);
        self.ends[side].poll(now, mode, &mut |segment| {
            let whole = Owned::new(segment);
            let size = usize::from(segment.segment_size.unwrap_or(u16::MAX));
            if whole.payload.len() <= size {
                out.push(whole);
                return;
            }
            let pieces = whole.payload.chunks(size);
            let last = pieces.len() - 1;
            for (index, piece) in pieces.enumerate() {
                let mut part = whole.clone();
                part.payload = piece.to_vec();
                part.seq = whole.seq.wrapping_add((index * size) as u32);
                if index < last {
                    part.flags = TcpFlags::ACK;
                }
                out.push(part);
            }
        });
        self.ends[side].check();
        for segment in out {
            self.carry(side, &segment);
        }
    }

    /// Lets things happen until `until` says stop or nothing can happen any more; whether it said so.
    pub(super) fn run(&mut self, longest: Duration, until: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.saturating_add(longest);
        self.poll(0);
        self.poll(1);
        loop {
            if until(self) {
                return true;
            }
            let arrival = self.under_way.first_key_value().map(|(&(at, _), _)| at);
            let deadlines = [self.ends[0].deadline(), self.ends[1].deadline()];
            let next = [arrival, deadlines[0], deadlines[1], self.next_read()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|&next| next <= end) else {
                return false;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                let (_, (to, segment)) = self.under_way.pop_first().unwrap();
                let now = self.now;
                self.ends[to].receive(now, &segment.as_in());
                self.ends[to].check();
                self.poll(to);
            } else {
                for side in 0..2 {
                    self.poll(side);
                }
            }
        }
    }

    /// An application that reads little at a time reads again after a millisecond.
    fn next_read(&self) -> Option<Timestamp> {
        let waits = (0..2).any(|side| self.reads[side] > 0 && self.ends[side].readable_len() > 0);
        waits.then(|| self.now.saturating_add(ms(1)))
    }

    /// Bits per second of what one side read since the beginning.
    pub(super) fn rate(&self, side: usize, since: Timestamp) -> f64 {
        self.read[side] as f64 * 8.0 / self.now.saturating_since(since).as_secs_f64()
    }
}
