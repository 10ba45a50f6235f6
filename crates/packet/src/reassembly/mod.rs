//! IP fragments wait here until the datagram they form can be judged as a whole.
//!
//! Anybody can send fragments, so everything is bounded, and no two views of a datagram are possible:
//! fragments that overlap kill it (RFC 5722, which we apply to IPv4 too), and it stays dead until its time
//! has run out. At a bound the datagram that has waited longest goes first.

mod datagram;
mod pending;

use std::{
    collections::{BTreeMap, btree_map},
    net::IpAddr,
    time::Duration,
};

pub use datagram::Datagram;
use pending::{Judgement, Pending};

use crate::{
    FragmentInfo, Ip, IpProtocol, Packet, Timestamp, Transport, TunnelId, VlanTags, Wire,
    flow_key::{address_bits, fold, low_half},
};

/// What a [`Reassembler`] may hold at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Datagrams, those that are dead but not yet forgotten among them.
    pub datagrams: usize,
    /// Bytes of frames.
    pub bytes: usize,
    /// How long a datagram may take, from its first fragment to arrive.
    pub timeout: Duration,
    /// Fragments of one datagram, duplicates among them.
    pub fragments_per_datagram: usize,
}

impl Default for FragmentLimits {
    /// 1,024 datagrams, 4 MiB, 30 s, 512 fragments of each.
    fn default() -> Self {
        Self {
            datagrams: 1024,
            bytes: 4 << 20,
            timeout: Duration::from_secs(30),
            fragments_per_datagram: 512,
        }
    }
}

/// Why fragments were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FragmentFault {
    /// Two fragments claim the same bytes without being equal, or disagree about the datagram's end.
    Overlap,
    /// More fragments than [`FragmentLimits::fragments_per_datagram`].
    TooMany,
    /// The datagram would be longer than 65,535 bytes.
    TooLong,
    /// Given up for newer ones: [`FragmentLimits::datagrams`] or [`FragmentLimits::bytes`] was reached.
    TableFull,
    /// Not complete within [`FragmentLimits::timeout`].
    Timeout,
    /// The packet is no fragment at all.
    NotAFragment,
}

impl FragmentFault {
    /// Every value, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::Overlap,
        Self::TooMany,
        Self::TooLong,
        Self::TableFull,
        Self::Timeout,
        Self::NotAFragment,
    ];

    /// The drop reason, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap => "fragment-overlap",
            Self::TooMany => "fragment-too-many",
            Self::TooLong => "fragment-too-long",
            Self::TableFull => "fragment-table-full",
            Self::Timeout => "fragment-timeout",
            Self::NotAFragment => "not-a-fragment",
        }
    }
}

/// What became of a fragment that was pushed.
#[derive(Debug)]
pub enum Reassembly<T> {
    /// It waits for others.
    Held,
    /// It was the last one missing.
    Complete(Datagram<T>),
    /// It was refused.
    Dropped {
        /// Why.
        reason: FragmentFault,
        /// The notes of this fragment and of those held that die with it, in order of arrival.
        notes: Vec<T>,
    },
}

/// The fragments of one shard. `T` is the caller's note about each of them: its frame number, say.
///
/// Everything is in order of arrival, so that the same fragments at the same times always give the same
/// answers.
#[derive(Debug)]
pub struct Reassembler<T> {
    limits: FragmentLimits,
    /// In order of their first fragment's arrival, which is also the order in which they age.
    datagrams: BTreeMap<u64, Pending<T>>,
    index: BTreeMap<DatagramKey, u64>,
    next_serial: u64,
    bytes: usize,
    /// What died while something else was pushed, until [`Reassembler::expire`] tells.
    dead: Vec<(FragmentFault, T)>,
}

impl<T> Reassembler<T> {
    /// An empty one.
    pub fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            datagrams: BTreeMap::new(),
            index: BTreeMap::new(),
            next_serial: 0,
            bytes: 0,
            dead: Vec::new(),
        }
    }

    /// Takes in one fragment, `packet`, that crossed `wire`. `now` must not go back.
    pub fn push(&mut self, now: Timestamp, wire: Wire, packet: &Packet<'_>, note: T) -> Reassembly<T> {
        self.age(now);
        let Some((key, ip, info)) = DatagramKey::of(wire, packet) else {
            return dropped(FragmentFault::NotAFragment, note);
        };
        let serial = match self.index.entry(key) {
            btree_map::Entry::Occupied(known) => *known.get(),
            btree_map::Entry::Vacant(free) => {
                let serial = self.next_serial;
                self.next_serial = serial.saturating_add(1);
                free.insert(serial);
                self.datagrams.insert(serial, Pending::new(key, now));
                serial
            }
        };
        let frame_len = packet.frame().len();
        let most = self.limits.fragments_per_datagram;
        let Some(pending) = self.datagrams.get(&serial) else {
            return dropped(FragmentFault::TableFull, note);
        };
        let own_bytes = pending.bytes.saturating_add(frame_len);
        let fault = match pending.judge(ip, info, most) {
            Judgement::Dead(reason) => return dropped(reason, note),
            Judgement::Fault(reason) => reason,
            Judgement::Fits if own_bytes > self.limits.bytes => FragmentFault::TableFull,
            Judgement::Fits => {
                self.make_room(serial, frame_len);
                if let Some(pending) = self.datagrams.get_mut(&serial) {
                    pending.keep(packet, ip, info, note);
                    self.bytes = self.bytes.saturating_add(frame_len);
                }
                return self.finish(serial);
            }
        };
        let mut notes = self.kill(serial, fault);
        notes.push(note);
        Reassembly::Dropped { reason: fault, notes }
    }

    /// Hands out the datagram if it is complete.
    fn finish(&mut self, serial: u64) -> Reassembly<T> {
        if !self.datagrams.get(&serial).is_some_and(Pending::is_complete) {
            return Reassembly::Held;
        }
        let Some(pending) = self.remove(serial) else {
            return Reassembly::Held;
        };
        pending.assemble()
    }

    /// Gives up, and returns the notes of, everything that has waited too long at `now`; also what had to
    /// make room for newer fragments since the last call. In the order in which it died.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(FragmentFault, T)> {
        self.age(now);
        std::mem::take(&mut self.dead)
    }

    /// The earliest time at which [`Reassembler::expire`] has something to give up.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let (_, oldest) = self.datagrams.first_key_value()?;
        Some(oldest.started.saturating_add(self.limits.timeout))
    }

    /// Empties the table, at the end of a capture: the notes of all fragments that still wait, in order of
    /// the datagrams' arrival. Call [`Reassembler::expire`] before, for those that died.
    pub fn drain(&mut self) -> Vec<T> {
        self.index.clear();
        self.bytes = 0;
        std::mem::take(&mut self.datagrams)
            .into_values()
            .flat_map(Pending::into_notes)
            .collect()
    }

    /// Bytes of frames held now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Datagrams known now, dead ones included.
    pub fn datagrams(&self) -> usize {
        self.datagrams.len()
    }

    fn age(&mut self, now: Timestamp) {
        while let Some((&serial, oldest)) = self.datagrams.first_key_value()
            && now.saturating_since(oldest.started) >= self.limits.timeout
        {
            self.bury(serial, FragmentFault::Timeout);
        }
    }

    /// Evicts the oldest others until `serial` can take `frame_len` more bytes, or is alone.
    fn make_room(&mut self, serial: u64, frame_len: usize) {
        loop {
            let full = self.datagrams.len() > self.limits.datagrams
                || self.bytes.saturating_add(frame_len) > self.limits.bytes;
            let oldest = self.datagrams.keys().find(|&&oldest| oldest != serial).copied();
            match oldest {
                Some(oldest) if full => self.bury(oldest, FragmentFault::TableFull),
                _ => return,
            }
        }
    }

    /// Forgets a datagram and keeps its notes for [`Reassembler::expire`].
    fn bury(&mut self, serial: u64, reason: FragmentFault) {
        if let Some(pending) = self.remove(serial) {
            self.dead.extend(pending.into_notes().map(|note| (reason, note)));
        }
    }

    fn remove(&mut self, serial: u64) -> Option<Pending<T>> {
        let pending = self.datagrams.remove(&serial)?;
        self.index.remove(&pending.key);
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        Some(pending)
    }

    /// Drops what is held of a datagram; it stays known, and dead, until it ages.
    fn kill(&mut self, serial: u64, reason: FragmentFault) -> Vec<T> {
        let Some(pending) = self.datagrams.get_mut(&serial) else {
            return Vec::new();
        };
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        pending.kill(reason)
    }
}

fn dropped<T>(reason: FragmentFault, note: T) -> Reassembly<T> {
    Reassembly::Dropped {
        reason,
        notes: vec![note],
    }
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DatagramKey {
    src: IpAddr,
    dst: IpAddr,
    identification: u32,
    vlans: VlanTags,
    tunnel: TunnelId,
    wire: Wire,
    /// 0 in IPv6, where only the first fragment's "next header" counts (RFC 8200 §4.5).
    protocol: IpProtocol,
}

impl DatagramKey {
    fn of<'p>(wire: Wire, packet: &'p Packet<'_>) -> Option<(Self, &'p Ip<'p>, FragmentInfo)> {
        let ip = packet.ip()?;
        let info = ip.fragment?;
        let Transport::Fragment { .. } = ip.transport else {
            return None;
        };
        let key = Self {
            src: ip.src,
            dst: ip.dst,
            identification: info.identification,
            vlans: packet.link().vlans,
            tunnel: packet.tunnel().map_or(TunnelId::NONE, |tunnel| tunnel.id),
            wire,
            protocol: if ip.src.is_ipv4() {
                ip.protocol
            } else {
                IpProtocol(0)
            },
        };
        Some((key, ip, info))
    }
}

/// Arbitrary bits for [`fragment_hash`].
const SEED: u64 = 0x2d35_8dcc_aa6c_78a5;

/// Chooses the shard for a fragment: the same for all fragments of a datagram, 0 for what is none.
///
/// Not keyed: whoever aims at one shard meets that shard's bounds.
pub fn fragment_hash(wire: Wire, packet: &Packet<'_>) -> u64 {
    let Some((key, ..)) = DatagramKey::of(wire, packet) else {
        return 0;
    };
    let [src, dst] = [key.src, key.dst].map(|address| {
        let bits = address_bits(address);
        low_half(bits) ^ low_half(bits >> 64).rotate_left(17)
    });
    let rest = u64::from(key.identification)
        ^ (u64::from(key.vlans.to_bits()) << 32)
        ^ (u64::from(key.wire.0) << 24)
        ^ (u64::from(key.protocol.0) << 56);
    let tunnel = u64::from(key.tunnel.to_bits());
    fold(
        fold(src ^ SEED, dst ^ SEED.rotate_left(32)) ^ SEED ^ tunnel,
        rest ^ SEED,
    )
}

#[cfg(test)]
mod tests;
