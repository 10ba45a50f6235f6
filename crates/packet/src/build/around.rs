//! The headers of the tunnels around a packet, written again for what answers or replaces it.

use super::{
    headers::{self, Addresses, put16},
    reply::{Direction, REPLY_HOP_LIMIT},
};
use crate::{
    Checksums, IpProtocol, MAX_TUNNEL_DEPTH, Packet, Transport,
    checksum::Sum,
    parse,
    read::be16,
    tunnel::{Carries, behind_transport, gre},
};

/// Most packets that can be around one.
const MOST: usize = MAX_TUNNEL_DEPTH as usize;

/// One packet around another, without its link header.
#[derive(Clone, Copy, Debug)]
struct Layer<'a> {
    addresses: Addresses,
    protocol: IpProtocol,
    hop_limit: u8,
    /// Ports of a tunnel over UDP: the same both ways, since the destination's is the tunnel's.
    ports: Option<[u16; 2]>,
    /// The tunnel's header, and the link header inside where there is one.
    header: &'a [u8],
    /// Where in `header` an Ethernet header begins.
    ethernet_at: Option<usize>,
    checksum: Checksum,
}

/// The checksum that a tunnel header has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    None,
    Udp,
    Gre,
}

/// Everything between a frame's link header and the packet inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    /// From the outside in.
    layers: [Option<Layer<'a>>; MOST],
    /// Bytes of the frame's link header.
    pub(super) link_len: usize,
}

impl<'a> Around<'a> {
    /// What is around `packet`; `None` where it cannot be written again truthfully: sequence numbers, names that only
    /// one direction has, and headers whose lengths are those of a fragment.
    pub(super) fn new(packet: &Packet<'a>) -> Option<Self> {
        let mut around = Self {
            layers: [None; MOST],
            link_len: packet.link().header_len,
        };
        let Some(tunnel) = packet.tunnel() else {
            return Some(around);
        };
        let kind = packet.link().kind;
        let mut outer = parse(kind, packet.frame(), packet.original_len(), Checksums::Ignore).ok()?;
        around.link_len = outer.link().header_len;
        for layer in around.layers.iter_mut().take(usize::from(tunnel.depth)) {
            // The key of the id does not matter here.
            let inner = outer.inside(0).ok()??;
            *layer = Some(Layer::new(&outer, &inner)?);
            outer = inner;
        }
        let arrived = outer.tunnel().map(|found| found.depth) == Some(tunnel.depth)
            && outer.link().header_len == packet.link().header_len;
        arrived.then_some(around)
    }

    fn layers(&self) -> impl DoubleEndedIterator<Item = &Layer<'a>> {
        self.layers.iter().flatten()
    }

    /// Bytes that stand between the link header and the packet inside.
    pub(super) fn len(&self) -> usize {
        self.layers().map(Layer::len).fold(0, usize::saturating_add)
    }

    /// Appends the headers for a packet of `length` bytes; `false` where one cannot hold the length.
    pub(super) fn write(&self, direction: Direction, length: usize, out: &mut Vec<u8>) -> bool {
        let mut left = self.len().saturating_add(length);
        self.layers().all(|layer| {
            let carried = left.saturating_sub(layer.addresses.header_len());
            left = left.saturating_sub(layer.len());
            layer.write(direction, carried, out)
        })
    }

    /// Fills in the checksums once everything is there, from the inside out.
    pub(super) fn finish(&self, direction: Direction, out: &mut [u8]) {
        let mut at = self.link_len.saturating_add(self.len());
        for layer in self.layers().rev() {
            at = at.saturating_sub(layer.len());
            layer.finish(direction, at.saturating_add(layer.addresses.header_len()), out);
        }
    }
}

impl<'a> Layer<'a> {
    fn new(outer: &Packet<'a>, inner: &Packet<'a>) -> Option<Self> {
        let (ip, header) = outer.tunnel_header()?;
        let (at, _) = behind_transport(ip);
        let frame = outer.frame();
        let bytes = frame.get(at..inner.link().header_len)?;
        let (ports, checksum) = match &ip.transport {
            Transport::Udp(udp) => {
                let summed = be16(frame, at.checked_sub(2)?)? != 0;
                let checksum = if summed { Checksum::Udp } else { Checksum::None };
                (Some([udp.sport, udp.dport]), checksum)
            }
            Transport::Other { .. } if ip.protocol == IpProtocol::GRE => {
                let summed = gre::turns(bytes)?;
                (None, if summed { Checksum::Gre } else { Checksum::None })
            }
            Transport::Other { .. } => (None, Checksum::None),
            Transport::Tcp(_) | Transport::Icmp(_) | Transport::Fragment { .. } => return None,
        };
        let ethernet_at = match header.carries {
            Carries::Version(_) => None,
            Carries::Ethernet => Some(header.len).filter(|&at| plain_ethernet(bytes, at)),
            // The names that GTP-U gives its ends, what PPP has agreed on and labels are each for one direction.
            Carries::IpOrElse | Carries::Ppp | Carries::Labels | Carries::Opaque => return None,
        };
        if header.carries == Carries::Ethernet && ethernet_at.is_none() {
            return None;
        }
        Some(Self {
            addresses: Addresses::new(ip.src, ip.dst),
            protocol: ip.protocol,
            hop_limit: ip.hop_limit,
            ports,
            header: bytes,
            ethernet_at,
            checksum,
        })
    }

    fn len(&self) -> usize {
        let udp = if self.ports.is_some() { 8 } else { 0 };
        self.addresses
            .header_len()
            .saturating_add(udp)
            .saturating_add(self.header.len())
    }

    fn addresses(&self, direction: Direction) -> Addresses {
        match direction {
            Direction::Same => self.addresses,
            Direction::Turned => self.addresses.turned(),
        }
    }

    /// Appends the layer's headers, behind whose IP header `carried` bytes are to follow in all.
    fn write(&self, direction: Direction, carried: usize, out: &mut Vec<u8>) -> bool {
        let hop_limit = match direction {
            Direction::Same => self.hop_limit,
            Direction::Turned => REPLY_HOP_LIMIT,
        };
        if !headers::ip(out, self.addresses(direction), self.protocol, hop_limit, carried) {
            return false;
        }
        if let Some([sport, dport]) = self.ports {
            let Ok(length) = u16::try_from(carried) else {
                return false;
            };
            for number in [sport, dport, length, 0] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        let start = out.len();
        out.extend_from_slice(self.header);
        if let (Some(ethernet_at), Direction::Turned) = (self.ethernet_at, direction)
            && let Some(ends) = out
                .get_mut(start.saturating_add(ethernet_at)..)
                .and_then(<[u8]>::first_chunk_mut::<12>)
        {
            ends.rotate_left(6);
        }
        true
    }

    /// Fills in the checksum of what begins at `at`, behind the layer's IP header.
    fn finish(&self, direction: Direction, at: usize, out: &mut [u8]) {
        let checksum_at = match self.checksum {
            Checksum::None => return,
            Checksum::Udp => at.saturating_add(6),
            Checksum::Gre => at.saturating_add(4),
        };
        put16(out, checksum_at, 0);
        let sum = if self.checksum == Checksum::Udp {
            match headers::transport_checksum(out, at, self.addresses(direction), self.protocol) {
                0 => 0xffff,
                sum => sum,
            }
        } else {
            Sum::default().bytes(out.get(at..).unwrap_or_default()).finish()
        };
        put16(out, checksum_at, sum);
    }
}

/// Whether an Ethernet header begins at `at` whose type field says IP: no length that would have to be set.
fn plain_ethernet(header: &[u8], at: usize) -> bool {
    let first = be16(header, at.saturating_add(12));
    let last = header.len().checked_sub(2).and_then(|at| be16(header, at));
    first.is_some_and(|first| first >= 0x0600) && matches!(last, Some(0x0800 | 0x86dd))
}
