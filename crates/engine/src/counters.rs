//! What a shard has counted. Each shard owns its counters; whoever asks adds them up.

use packet::IpProtocol;

use crate::{DropReason, RuleCounts, Verdict};

/// Sums over one shard, or over several.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Frames that left unchanged.
    pub forwarded: u64,
    /// Frames replaced by a forged reply or a reset.
    pub answered: u64,
    /// Frames taken over by the proxy.
    pub consumed: u64,
    /// Frames held now, until it is clear what becomes of their session.
    pub held: u64,
    /// Frames dropped, by [`DropReason::index`].
    dropped: Box<[u64]>,
    /// Sessions set up, by protocol.
    pub sessions: SessionCounts,
    /// DNS queries answered with, or replies replaced by, a sinkhole address.
    pub sinkholed: u64,
    /// Sessions ended early because the table was full.
    pub evicted: u64,
    /// Sessions ended because their verdict changed.
    pub cut: u64,
    /// Sessions decided again because a tag or the policy had changed.
    pub redecided: u64,
    /// TLS sessions taken over by the proxy.
    pub adopted: u64,
    /// TLS sessions that a rule would have opened, and that could not be taken over.
    pub not_adopted: u64,
    /// TLS sessions that were opened, or would be, because the server name that would have kept them closed was not
    /// known to belong to the server's address.
    pub unverified_names: u64,
    /// TLS sessions that a rule would have opened, and that were left closed because their server does not fit.
    pub excluded: u64,
    /// DNS-over-TCP messages too long to be held, or streams with too large a hole.
    pub dns_stream_overflow: u64,
    /// How often each rule has decided.
    pub rules: RuleCounts,
}

/// Sessions set up, by protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// TCP.
    pub tcp: u64,
    /// UDP.
    pub udp: u64,
    /// ICMP and `ICMPv6`.
    pub icmp: u64,
    /// Every other IP protocol.
    pub other: u64,
}

impl SessionCounts {
    pub(crate) fn add(&mut self, protocol: IpProtocol) {
        match protocol {
            IpProtocol::TCP => self.tcp += 1,
            IpProtocol::UDP => self.udp += 1,
            IpProtocol::ICMP | IpProtocol::ICMPV6 => self.icmp += 1,
            _ => self.other += 1,
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            forwarded: 0,
            answered: 0,
            consumed: 0,
            held: 0,
            dropped: vec![0; DropReason::count()].into_boxed_slice(),
            sessions: SessionCounts::default(),
            sinkholed: 0,
            evicted: 0,
            cut: 0,
            redecided: 0,
            adopted: 0,
            not_adopted: 0,
            unverified_names: 0,
            excluded: 0,
            dns_stream_overflow: 0,
            rules: RuleCounts::default(),
        }
    }
}

impl Counters {
    /// Counts `frames` frames that shared a verdict: more than one where they made up a datagram.
    pub(crate) fn verdict(&mut self, verdict: Verdict, frames: u64) {
        match verdict {
            Verdict::Forward(_) => self.forwarded += frames,
            Verdict::Answered => self.answered += frames,
            Verdict::Consumed => self.consumed += frames,
            Verdict::Held => self.held += frames,
            Verdict::Drop(reason) => self.dropped(reason, frames),
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason, frames: u64) {
        if let Some(counter) = self.dropped.get_mut(reason.index()) {
            *counter += frames;
        }
    }

    /// The reasons for which frames were dropped, and how many.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::all()
            .zip(self.dropped.iter().copied())
            .filter(|(_, count)| *count > 0)
    }

    /// Frames that were held have left.
    pub(crate) fn released(&mut self, verdict: Verdict, frames: u64) {
        self.held = self.held.saturating_sub(frames);
        self.verdict(verdict, frames);
    }

    /// All frames that have a verdict, those held included.
    pub fn frames(&self) -> u64 {
        self.forwarded + self.answered + self.consumed + self.held + self.dropped.iter().sum::<u64>()
    }

    /// Adds another shard's sums.
    pub fn add(&mut self, other: &Self) {
        self.forwarded += other.forwarded;
        self.answered += other.answered;
        self.consumed += other.consumed;
        self.held += other.held;
        for (mine, theirs) in self.dropped.iter_mut().zip(&other.dropped) {
            *mine += theirs;
        }
        self.sessions.tcp += other.sessions.tcp;
        self.sessions.udp += other.sessions.udp;
        self.sessions.icmp += other.sessions.icmp;
        self.sessions.other += other.sessions.other;
        self.sinkholed += other.sinkholed;
        self.evicted += other.evicted;
        self.cut += other.cut;
        self.redecided += other.redecided;
        self.adopted += other.adopted;
        self.not_adopted += other.not_adopted;
        self.rules.add(&other.rules);
        self.unverified_names += other.unverified_names;
        self.excluded += other.excluded;
        self.dns_stream_overflow += other.dns_stream_overflow;
    }
}
