//! IP protocol numbers.

/// A protocol number of an IP header (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(1);
    /// IPv4 inside IP (RFC 2003).
    pub const IPIP: Self = Self(4);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 inside IP (RFC 4213, RFC 2473).
    pub const IPV6: Self = Self(41);
    /// Generic routing encapsulation.
    pub const GRE: Self = Self(47);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);

    /// The keyword that records and filters use; `None` for numbers without a common one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "hopopt",
            1 => "icmp",
            2 => "igmp",
            4 => "ipip",
            6 => "tcp",
            17 => "udp",
            41 => "ipv6",
            46 => "rsvp",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "icmp6",
            88 => "eigrp",
            89 => "ospf",
            103 => "pim",
            112 => "vrrp",
            115 => "l2tp",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }

    /// The protocol that has this keyword, or this decimal number.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Ok(number) = name.parse::<u8>() {
            return Some(Self(number));
        }
        (0..=u8::MAX)
            .map(Self)
            .find(|protocol| protocol.name() == Some(name))
    }
}
